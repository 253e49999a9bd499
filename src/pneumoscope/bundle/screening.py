"""What is known of a picture before a classifier sees it: is it one that this classifier may judge?

First come the facts of the file (DICOM: body part, view, modality, age), then the pixels (the gatekeeper), then the
lungs that the companion outlines. Each refusal says why, and the way out where there is one; where file and pixels
disagree, it says so. A refusal ends the prediction; a warning goes with the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.bundle.body_parts import UNLISTED, body_part_of
from pneumoscope.bundle.card import Population
from pneumoscope.bundle.chest_layout import (
    TURN,
    find_part_of_chest,
    find_several_chests,
    measure_layout,
    measure_turn,
)
from pneumoscope.bundle.frame import trim_frame, turn_back
from pneumoscope.bundle.gatekeeper import Gatekeeper, GatekeeperAnswer, Thresholds, builtin_gatekeeper
from pneumoscope.bundle.lung_shape import LungShape, measure_lung_shape
from pneumoscope.bundle.lungs import LungModel, LungOutlines, builtin_lungs
from pneumoscope.bundle.prediction import OUTSIDE_LUNGS
from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import ADULT_AGE
from pneumoscope.imaging.border import NO_BORDER, Border, find_border
from pneumoscope.imaging.plane import Metadata
from pneumoscope.imaging.proportions import LONGEST, describe_ratio, is_strip, measure_ratio

_FRONTAL_ALONE = "this model has met frontal views alone; send the frontal view"
_WHOLE = "send the whole radiograph"
_UNFRAMED = "send the radiograph itself, without a frame or black borders around it"
_GREY = "a radiograph is grey: crop away a coloured frame or window, or send the original, without drawings"
_TINTED = (
    "a radiograph is grey: convert a scan that is tinted as a whole (sepia, blue) to grey and send it again; of a heat "
    "map or a photograph send the original"
)
_MOSTLY = 0.5  # share of a picture with a colour from which on a tint is likelier than a window or drawings
_MIRRORED = (
    "it may be mirrored: the heart seems to lie on the right; check the side marker (with the organs mirrored, "
    "dextrocardia, this is right)"
)
_MEASURES = {
    "area": "share of the picture in lung",
    "paired": "share of rows that cross two lungs",
    "balance": "smaller lung by larger lung",
    "across": "their middle from the left edge",
    "down": "their middle from the upper edge",
}
_LATERAL = frozenset({"L", "LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "LEFT LATERAL", "RIGHT LATERAL"})
_FRONTAL = frozenset({"PA", "AP", "AP SUPINE"})
_OBLIQUE = frozenset({"RAO", "LAO", "RPO", "LPO", "LLO", "RLO", "OBL", "OBLIQUE"})
_DECUBITUS = frozenset({"LLD", "RLD", "LLDECUB", "RLDECUB", "DECUB", "DECUBITUS"})
KNOWN_VIEWS = _LATERAL | _FRONTAL | _OBLIQUE | _DECUBITUS
"""All values of ViewPosition, in capitals, that make a difference here."""
_NO_CHEST_MODALITIES = {"MG": "a mammogram", "IO": "a picture from inside the mouth", "PX": "a panorama of the teeth"}

_WORDS = {
    "lateral": f"it looks like a lateral chest radiograph: {_FRONTAL_ALONE}",
    "other": (
        "it does not look like a frontal chest radiograph, or is spoilt (a collage, a photograph of a screen, a part "
        "of a chest); send the radiograph itself, whole, without a frame or the window of a program around it"
    ),
    "inverted": "black and white are exchanged; invert it, so that bone is white, and send it again",
    "turned-left": "it is turned to the left; rotate it by 90 degrees clockwise and send it again",
    "turned-right": "it is turned to the right; rotate it by 90 degrees counterclockwise and send it again",
    "upside-down": "it is upside down; rotate it by 180 degrees and send it again",
}
_UPRIGHT_AGAIN = {"turned-left": 3, "turned-right": 1, "upside-down": 2}
"""Quarter turns counterclockwise that undo each."""
_ASKEW = "it is turned, by another angle than 90 or 180 degrees; turn it upright and send it again"
_ON_CANVAS = "it is turned to the {}, by another angle than 90 degrees; rotate it {} until it is upright and cut it out"
_FRAMED = "a frame or an empty border lies around the radiograph; crop it away and send the radiograph again"
_CUT = "a flat border was cut off before the model looked ({})"
_LEFT = "a flat border lies around the radiograph ({}), and this model was made without cutting it off: crop it away"
_MAY_BE_FRAMED = frozenset({"other", "lungs", "several", "part"})
_MAY_BE_TURNED = frozenset({"other", "lungs"})  # where the layout was judged, a turn was looked for


@dataclass(frozen=True, slots=True)
class ScreeningFinding:
    """One reason to refuse a picture, or to be warned of it.

    Attributes:
        code: A word for a machine, such as "lateral".
        sentence: What is wrong, with the way out where there is one; it starts in lower case and has no full stop.
    """

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Screening:
    """What is known of one picture.

    Attributes:
        refusals: Why no classifier may judge it; empty where it may.
        warnings: What to know beside its answer.
        outlines: Lungs and heart, of the whole picture; None where the lungs companion did not run.
        border: The flat border that was cut off before anything looked, which the classifier must not see either.
    """

    refusals: tuple[ScreeningFinding, ...]
    warnings: tuple[ScreeningFinding, ...]
    outlines: LungOutlines | None = None
    border: Border = NO_BORDER

    @property
    def reason(self) -> str:
        """Why it is refused, in words; empty where it is not."""
        return "; ".join(finding.sentence for finding in self.refusals)


@dataclass(frozen=True, slots=True)
class Companions:
    """The graphs that look at a picture before a classifier does.

    Attributes:
        gatekeeper: Tells an upright frontal chest from anything else.
        lungs: Outlines the lungs; None: plausible lungs are not looked for.
    """

    gatekeeper: Gatekeeper
    lungs: LungModel | None

    @property
    def identities(self) -> dict[str, str]:
        """Role -> identity of the graphs."""
        graphs = {"gatekeeper": self.gatekeeper, "lungs": self.lungs}
        return {role: graph.identity for role, graph in graphs.items() if graph is not None}

    def screen(
        self,
        pixels: NDArray[np.float32],
        facts: Metadata,
        population: Population | None = None,
        *,
        cut_border: bool = True,
    ) -> Screening:
        """Return what is known of a picture, of which only the inside of a flat border is looked at.

        Args:
            pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head.
            facts: Of its file, as `imaging.read.Radiograph.metadata` has them; none where there is no file.
            population: What the classifier has met; None: frontal views of adults and children.
            cut_border: False: the classifier was made to see borders, so that they are looked at, and warned of.

        Raises:
            UsageError: The pixels are no picture [H, W].
        """
        if pixels.ndim != 2 or not pixels.size:
            raise UsageError(
                "pixels", f"has the shape {pixels.shape}; one radiograph is [H, W].", "Give one picture at a time."
            )
        border = find_border(pixels)
        if not cut_border:
            found = self._screen_inside(pixels, facts, population)
            if found.refusals or border == NO_BORDER:
                return found
            return _add_warning(found, warn_of_border(border, cut=False))
        found = self._screen_inside(np.ascontiguousarray(border.cut(pixels)), facts, population)
        if border == NO_BORDER:
            return found
        outlines = None if found.outlines is None else replace(found.outlines, shape=pixels.shape, border=border)
        found = replace(found, outlines=outlines, border=border)
        return found if found.refusals else _add_warning(found, warn_of_border(border))

    def _screen_inside(self, pixels: NDArray[np.float32], facts: Metadata, population: Population | None) -> Screening:
        """Return what is known of a picture without a border."""
        found = self._screen(pixels, facts, population)
        if len(found.refusals) != 1 or judge_facts(facts, population):
            return found
        (refusal,) = found.refusals
        named = self._find_way_out(refusal, pixels, found.outlines)
        return found if named is refusal else Screening((named,), (), found.outlines)

    def _screen(self, pixels: NDArray[np.float32], facts: Metadata, population: Population | None) -> Screening:
        """Return what is known of a picture, without a search for what would free it of a refusal."""
        thresholds = self.gatekeeper.card.thresholds
        stated = judge_facts(facts, population)
        if is_strip(pixels.shape):  # a graph would take minutes and gigabytes to say nothing more
            return Screening((*stated, *judge_sides(pixels.shape)), ())
        answer = self.gatekeeper.answer(pixels)
        refusals = [*stated, *judge_sides(pixels.shape), *judge_answer(answer, thresholds, facts, population)]
        refusals = [self._check_turn(finding, pixels) for finding in refusals]
        if len(refusals) == len(stated):  # the pixels have nothing against it
            refusals = [_add_disagreement(finding) for finding in stated]
        outlines = None if self.lungs is None or refusals else self.lungs.outline(pixels)
        shape = None if outlines is None else measure_lung_shape(outlines.square("lungs"))
        if shape is not None:
            refusals += judge_lungs(shape, thresholds)
        if outlines is not None and shape is not None and not refusals and answer.likeliest == "frontal":
            refusals += self._judge_layout(pixels, outlines, shape, answer)
        warnings = [] if refusals else [*warn_of_facts(facts), *warn_of(answer, shape, thresholds)]
        return Screening(tuple(refusals), tuple(warnings), outlines)

    def _check_turn(self, finding: ScreeningFinding, pixels: NDArray[np.float32]) -> ScreeningFinding:
        """Return a finding whose way out is right: a chest at 30 degrees looks like one at 90, which it is not."""
        turns = _UPRIGHT_AGAIN.get(finding.code)
        if turns is None:
            return finding
        return finding if self._is_frontal(np.rot90(pixels, turns)) else ScreeningFinding("askew", _ASKEW)

    def _find_way_out(
        self, finding: ScreeningFinding, pixels: NDArray[np.float32], outlines: LungOutlines | None
    ) -> ScreeningFinding:
        """Return that a refused picture is framed or turned, where it would be a frontal chest without that."""
        if finding.code in _MAY_BE_FRAMED:
            inside = trim_frame(pixels)
            if inside.shape != pixels.shape and not self._screen(inside, {}, None).refusals:
                return ScreeningFinding("framed", _FRAMED)
        if finding.code in _MAY_BE_TURNED and self.lungs is not None:
            degrees = measure_turn(outlines or self.lungs.outline(pixels))
            if abs(degrees) > TURN:
                upright = Image.fromarray(pixels).rotate(-degrees, Image.Resampling.BILINEAR)
                return _name_turn(degrees) if self._is_frontal(np.asarray(upright)) else finding
        if finding.code == "other":  # turned so far on a larger canvas that no lungs are found
            turns = (degrees for degrees, inside in turn_back(pixels) if self._is_frontal(inside))
            if (side := next(turns, None)) is not None:
                return ScreeningFinding("askew", _ON_CANVAS.format(*_side_of(side)))
        return finding

    def _is_frontal(self, pixels: NDArray[np.float32]) -> bool:
        answer = self.gatekeeper.answer(np.ascontiguousarray(pixels))
        return answer.probabilities["frontal"] >= self.gatekeeper.card.thresholds.frontal

    def _judge_layout(
        self, pixels: NDArray[np.float32], outlines: LungOutlines, shape: LungShape, answer: GatekeeperAnswer
    ) -> list[ScreeningFinding]:
        """Return why a picture does not show one whole upright chest; nothing where it does."""

        def ask(part: NDArray[np.float32]) -> tuple[float, float]:
            probabilities = self.gatekeeper.answer(part).probabilities
            return probabilities["frontal"], probabilities["lateral"]

        layout, frontal = measure_layout(pixels, outlines, shape), answer.probabilities["frontal"]
        if why := find_several_chests(layout, frontal, ask, pixels):
            return [
                ScreeningFinding("several", f"it seems to show several chests ({why}); send each frontal one by itself")
            ]
        if layout.is_turned:
            return [_name_turn(layout.turn)]
        if why := find_part_of_chest(layout, frontal):
            return [ScreeningFinding("part", f"it seems to show a part of a chest ({why}); {_WHOLE}")]
        return []


def _add_warning(found: Screening, finding: ScreeningFinding) -> Screening:
    return replace(found, warnings=(*found.warnings, finding))


def warn_of_border(border: Border, *, cut: bool = True) -> ScreeningFinding:
    """Return that a picture has a flat border, and whether it was cut off before a model looked.

    Args:
        border: Of the picture.
        cut: False: the model was made to see borders.
    """
    sentence = (_CUT if cut else _LEFT).format(border)
    return ScreeningFinding("bordered", sentence) if cut else ScreeningFinding("border-kept", sentence)


def judge_facts(facts: Metadata, population: Population | None) -> list[ScreeningFinding]:
    """Return why the facts of a file speak against a frontal chest radiograph of a patient that a model has met.

    Args:
        facts: As `imaging.read.Radiograph.metadata` has them (PS3.3: Modality C.7.3.1.1.1, BodyPartExamined and
            ViewPosition C.8.1.1 and C.8.11.5, PatientAge C.7.2.2).
        population: What the classifier has met; None: frontal views of adults and children.
    """
    findings = []
    if (modality := _text(facts, "modality")) in _NO_CHEST_MODALITIES:
        what = _NO_CHEST_MODALITIES[modality]
        findings.append(
            ScreeningFinding("modality", f"the file says modality {modality}, {what}, which is no chest radiograph")
        )
    body_part = _text(facts, "body_part")
    if body_part_of(body_part) == "other":
        findings.append(
            ScreeningFinding(
                "body-part", f"the file says body part {body_part[:16]}, and this model judges chests alone"
            )
        )
    view = _text(facts, "view")
    if view in _LATERAL and not _has_met_laterals(population):
        findings.append(ScreeningFinding("lateral", f"the file says it is a lateral view ({view}): {_FRONTAL_ALONE}"))
    kind = "an oblique view" if view in _OBLIQUE else "a decubitus view" if view in _DECUBITUS else ""
    if kind and not (population is not None and population.views.get(view)):
        findings.append(ScreeningFinding("view", f"the file says it is {kind} ({view[:16]}): {_FRONTAL_ALONE}"))
    age = _age(facts)
    if age is not None and age < ADULT_AGE and _has_met_adults_alone(population):
        stated = f"the file says an age of {_age_in_words(age)}"
        findings.append(ScreeningFinding("child", f"{stated}, and this model has met adults alone"))
    return findings


def warn_of_facts(facts: Metadata) -> list[ScreeningFinding]:
    """Return what to know about the facts of a file whose pixels show a chest.

    Args:
        facts: As `judge_facts` takes them.
    """
    body_part = _text(facts, "body_part")
    if body_part_of(body_part) != "unknown":
        return []
    what = "a body part" if body_part == UNLISTED else f"body part {body_part[:16]}"
    sentence = f"the file says {what}, which is not known here; the pixels look like a chest"
    return [ScreeningFinding("body-part", sentence)]


def judge_sides(shape: tuple[int, int]) -> list[ScreeningFinding]:
    """Return why a picture is too long or too wide to be one radiograph; nothing where it is not.

    Args:
        shape: Height and width in pixels.
    """
    if measure_ratio(shape) <= LONGEST:
        return []
    sentence = f"it is {describe_ratio(shape)}, and a chest is at most {LONGEST}; {_WHOLE}"
    return [ScreeningFinding("sides", f"{sentence}, with its true proportions")]


def judge_answer(
    answer: GatekeeperAnswer, thresholds: Thresholds, facts: Metadata, population: Population | None
) -> list[ScreeningFinding]:
    """Return why the pixels speak against it.

    Args:
        answer: Of the gatekeeper.
        thresholds: Of its card.
        facts: Of the file; they say whether a colour was seen, and what the pixels contradict.
        population: What the classifier has met; None: frontal views of adults and children.
    """
    accepted = answer.probabilities["frontal"]
    if _has_met_laterals(population):
        accepted += answer.probabilities["lateral"]
    findings = []
    if not accepted >= thresholds.frontal:  # written so that NaN is refused too
        kinds = {name: share for name, share in answer.probabilities.items() if name in _WORDS}
        code = max(kinds, key=lambda name: kinds[name])
        findings.append(ScreeningFinding(code, _WORDS[code] + _contradicted(facts, code)))
    colour = facts.get("colour_share")
    if isinstance(colour, int | float) and colour > thresholds.colour:
        way_out = _TINTED if colour > _MOSTLY else _GREY
        findings.append(ScreeningFinding("coloured", f"{colour:.0%} of it has a colour, and {way_out}"))
    return findings


def judge_lungs(shape: LungShape, thresholds: Thresholds) -> list[ScreeningFinding]:
    """Return why the outlined lungs are implausible; nothing where they are not.

    Args:
        shape: Of the lungs.
        thresholds: Of the gatekeeper's card.
    """
    measures = shape.values()
    for name, (low, high) in thresholds.lungs.items():
        if not low <= measures[name] <= high:
            value = measures[name]
            # A value just beyond a limit must not read as if it were the limit.
            digits = 2 if not low <= round(value, 2) <= high else 3
            limits = f"{low:.{digits}f} to {high:.{digits}f}"
            reason = f"{_MEASURES[name]} {value:.{digits}f}, and one of {limits} is expected"
            way_out = _UNFRAMED if name == "area" and value < low else _WHOLE
            return [ScreeningFinding("lungs", f"no plausible pair of lungs was found ({reason}); {way_out}")]
    return []


def warn_of(answer: GatekeeperAnswer, shape: LungShape | None, thresholds: Thresholds) -> list[ScreeningFinding]:
    """Return what to know beside the answer about a picture that is not refused.

    Args:
        answer: Of the gatekeeper.
        shape: Of the lungs; None where they were not outlined.
        thresholds: Of the gatekeeper's card.
    """
    findings = []
    if answer.mirrored >= thresholds.mirrored:
        findings.append(ScreeningFinding("mirrored", _MIRRORED))
    if shape is not None and shape.cut > thresholds.cut:
        findings.append(ScreeningFinding("cropped", "the edge of the picture cuts off a part of the lungs"))
    return findings


MOST_ACTIVE_OUTSIDE = ScreeningFinding(OUTSIDE_LUNGS, "the model is most active outside the lungs: look at the heatmap")


@cache
def builtin_companions() -> Companions:
    """Return the gatekeeper and the lungs graph of the package; a process loads them once."""
    return Companions(builtin_gatekeeper(), builtin_lungs())


def _side_of(degrees: float) -> tuple[str, str]:
    """Return to which side a chest is turned, and which way back."""
    return ("left", "clockwise") if degrees > 0 else ("right", "counterclockwise")


def _name_turn(degrees: float) -> ScreeningFinding:
    """Return that a chest is turned, positive to the left."""
    side, back = _side_of(degrees)
    about = 5 * round(abs(degrees) / 5)
    return ScreeningFinding(
        "askew", f"it is turned to the {side} by about {about} degrees; rotate it {back} until it is upright"
    )


def _text(facts: Metadata, name: str) -> str:
    return str(facts.get(name) or "").strip().upper()


def _age(facts: Metadata) -> float | None:
    age = facts.get("age")
    return float(age) if isinstance(age, int | float) else None


def _age_in_words(age: float) -> str:
    """Return an age in completed years, or below two years in completed months; it is never rounded up."""
    months = int(age * 12 + 1e-6)  # 7 / 12 is a little less than seven months
    if months >= 24:
        return f"{int(age + 1e-6)} years"
    return f"{months} month{'' if months == 1 else 's'}" if months else "less than a month"


def _has_met_laterals(population: Population | None) -> bool:
    return population is not None and population.views.get("L", 0) > 0


def _has_met_adults_alone(population: Population | None) -> bool:
    """Return whether no training image was a child's, and the age of most is known."""
    if population is None or population.ages.get("child"):
        return False
    return population.ages.get("adult", 0) > population.ages.get("unknown", 0)


def _contradicted(facts: Metadata, code: str) -> str:
    """Return what the file says against an answer of the pixels; empty where it says nothing."""
    view, body_part = _text(facts, "view"), _text(facts, "body_part")
    if code == "inverted" and (photometric := _text(facts, "photometric_interpretation")).startswith("MONOCHROME"):
        return f" (the file says {photometric[:11]}, which the pixels contradict)"
    if body_part_of(body_part) == "other":
        return ""  # the file itself says that it is no chest
    if code in ("lateral", "other") and view in _FRONTAL:
        return f" (the file says view {view}, which the pixels contradict)"
    if code == "other" and body_part_of(body_part) == "chest":
        return f" (the file says body part {body_part[:16]}, which the pixels contradict)"
    return ""


def _add_disagreement(finding: ScreeningFinding) -> ScreeningFinding:
    """Return a finding of the file's facts with the note that the pixels say something else."""
    if finding.code in ("modality", "body-part", "lateral", "view"):
        return ScreeningFinding(finding.code, f"{finding.sentence} (the pixels look like an upright frontal chest)")
    return finding
