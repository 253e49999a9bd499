"""Facts of files, pixels, lungs and heatmaps: worked by hand, without a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pneumoscope.bundle.body_parts import body_part_of
from pneumoscope.bundle.card import Population
from pneumoscope.bundle.frame import trim_frame
from pneumoscope.bundle.gatekeeper import ANSWERS, Gatekeeper, GatekeeperAnswer, Thresholds
from pneumoscope.bundle.graph_inputs import graph_inputs
from pneumoscope.bundle.heat import is_active_outside
from pneumoscope.bundle.lung_shape import measure_lung_shape
from pneumoscope.bundle.lungs import LungModel, LungOutlines, builtin_lungs
from pneumoscope.bundle.screening import (
    Companions,
    builtin_companions,
    judge_answer,
    judge_facts,
    judge_lungs,
    judge_sides,
    warn_of,
    warn_of_facts,
)
from pneumoscope.core.errors import ImageError
from pneumoscope.imaging import border
from pneumoscope.imaging.proportions import LONGEST, STRIP, is_strip

ADULTS = Population(views={"PA": 100}, ages={"adult": 90, "unknown": 10})
ALL = Population(views={"PA": 100, "L": 20}, ages={"adult": 90, "child": 30})
THRESHOLDS = Thresholds(
    frontal=0.5,
    mirrored=0.5,
    colour=0.02,
    lungs={"area": (0.1, 0.5), "paired": (0.3, 1.0), "balance": (0.3, 1.0)},
    cut=0.3,
)


def answer(mirrored: float = 0.0, **shares: float) -> GatekeeperAnswer:
    names = {name.replace("-", "_"): name for name in ANSWERS}
    given = {names[name]: share for name, share in shares.items()}
    return GatekeeperAnswer({name: given.get(name, 0.0) for name in ANSWERS}, mirrored, 0.0)


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        ({}, []),
        ({"modality": "DX", "body_part": "CHEST", "view": "PA", "age": 40.0}, []),
        ({"body_part": "CHEST PORTABLE"}, []),
        ({"body_part": "THORAX"}, []),
        ({"body_part": "TORAX"}, []),
        ({"body_part": "UNKNOWN"}, []),
        ({"body_part": "RIBS"}, []),
        ({"body_part": "HAND"}, ["body-part"]),
        ({"body_part": "CSPINE"}, ["body-part"]),
        ({"body_part": "ABDOMEN"}, ["body-part"]),
        ({"modality": "MG"}, ["modality"]),
        ({"view": "LL"}, ["lateral"]),
        ({"view": "L"}, ["lateral"]),
        ({"view": "LATERAL"}, ["lateral"]),
        ({"age": 4.0}, ["child"]),
        ({"age": 18.0}, []),
    ],
)
def test_the_facts_of_a_file(facts: dict[str, str | float], codes: list[str]) -> None:
    assert [finding.code for finding in judge_facts(facts, ADULTS)] == codes


def test_what_a_model_has_met_is_not_refused() -> None:
    assert judge_facts({"view": "L", "age": 4.0}, ALL) == []
    assert judge_answer(answer(lateral=0.9, frontal=0.1), THRESHOLDS, {}, ALL) == []
    assert judge_facts({"age": 4.0}, None) == []  # an old card does not say whom it met
    assert [finding.code for finding in judge_facts({"view": "L"}, None)] == ["lateral"]
    unknown = Population(views={}, ages={"adult": 10, "unknown": 90})
    assert judge_facts({"age": 4.0}, unknown) == []


@pytest.mark.parametrize(
    ("given", "code", "way_out"),
    [
        ("lateral", "lateral", "send the frontal view"),
        ("other", "other", "send the radiograph itself"),
        ("inverted", "inverted", "invert it"),
        ("turned_left", "turned-left", "90 degrees clockwise"),
        ("turned_right", "turned-right", "90 degrees counterclockwise"),
        ("upside_down", "upside-down", "180 degrees"),
    ],
)
def test_each_refusal_has_its_way_out(given: str, code: str, way_out: str) -> None:
    (finding,) = judge_answer(answer(frontal=0.4, **{given: 0.6}), THRESHOLDS, {}, None)
    assert finding.code == code
    assert way_out in finding.sentence


def test_the_pixels_and_the_file_disagree_in_words() -> None:
    facts = {"view": "PA", "body_part": "CHEST", "photometric_interpretation": "MONOCHROME1"}
    (lateral,) = judge_answer(answer(lateral=0.9), THRESHOLDS, facts, None)
    assert "the file says view PA, which the pixels contradict" in lateral.sentence
    (inverted,) = judge_answer(answer(inverted=0.9), THRESHOLDS, facts, None)
    assert "the file says MONOCHROME1, which the pixels contradict" in inverted.sentence


def test_an_answer_that_is_no_number_is_refused() -> None:
    assert judge_answer(answer(frontal=float("nan")), THRESHOLDS, {}, None)


def test_a_coloured_picture_is_refused() -> None:
    frontal = answer(frontal=1.0)
    assert judge_answer(frontal, THRESHOLDS, {"colour_share": 0.02}, None) == []
    (finding,) = judge_answer(frontal, THRESHOLDS, {"colour_share": 0.21}, None)
    assert finding.code == "coloured" and "21%" in finding.sentence
    assert "crop away a coloured frame or window" in finding.sentence
    (finding,) = judge_answer(frontal, THRESHOLDS, {"colour_share": 0.9}, None)
    assert "convert a scan that is tinted as a whole" in finding.sentence


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_frame_is_trimmed_and_nothing_else(value: float) -> None:
    inside = np.random.default_rng(0).random((60, 50), np.float32)
    assert trim_frame(inside).shape == (60, 50)
    assert np.array_equal(trim_frame(np.pad(inside, 10, constant_values=value)), inside)
    assert np.array_equal(trim_frame(np.pad(inside, ((0, 0), (6, 12)), constant_values=value)), inside)
    for sides in ((1, 1), (50, 0), (50, 10)):  # hardly any, half a picture, nearly that
        whole = np.pad(inside, (sides, (0, 0)), constant_values=value)
        assert trim_frame(whole).shape == whole.shape
    assert trim_frame(np.full((9, 7), value, np.float32)).shape == (9, 7)


@pytest.mark.parametrize(("shape", "words"), [((3000, 50), "60.0 times as high"), ((400, 1001), "2.5 times as wide")])
def test_a_squeezed_picture_is_refused(shape: tuple[int, int], words: str) -> None:
    (finding,) = judge_sides(shape)
    assert finding.code == "sides" and words in finding.sentence


@pytest.mark.parametrize("shape", [(1000, 2090), (2500, 1000), (1, 1)])
def test_the_sides_of_real_radiographs_are_accepted(shape: tuple[int, int]) -> None:
    assert judge_sides(shape) == []


class _NeverRun:
    """A graph that must not run."""

    def run(self, *_: object) -> None:
        raise AssertionError("a graph ran on a strip")


def never_run_companions() -> Companions:
    own = builtin_companions()
    gatekeeper = Gatekeeper(own.gatekeeper.card, own.gatekeeper.identity, _NeverRun())
    assert own.lungs is not None
    return Companions(gatekeeper, LungModel(own.lungs.card, own.lungs.identity, _NeverRun()))


@pytest.mark.parametrize("cut_border", [True, False])
@pytest.mark.parametrize(
    ("shape", "words"), [((3_000_000, 1), "high as it is wide"), ((2, 3_000_000), "times as wide")]
)
def test_a_strip_is_refused_before_a_graph_runs(shape: tuple[int, int], words: str, *, cut_border: bool) -> None:
    pixels, facts = np.full(shape, 0.5, np.float32), {"body_part": "HAND"}
    found = never_run_companions().screen(pixels, {}, cut_border=cut_border)
    assert [finding.code for finding in found.refusals] == ["sides"] and found.outlines is None
    assert words in found.reason and "a chest is at most 2.5" in found.reason
    found = never_run_companions().screen(pixels, facts, cut_border=cut_border)
    assert [finding.code for finding in found.refusals] == ["body-part", "sides"]


def test_what_lies_inside_the_border_of_a_strip_is_no_radiograph_either() -> None:
    assert STRIP * border._LEAST_INSIDE >= LONGEST
    assert is_strip((10_001, 1000)) and is_strip((1, 10_001))
    assert not is_strip((10_001, 1001)) and not is_strip((1, 10_000)) and not is_strip((1, 1))


@pytest.mark.parametrize("runs", [lambda pixels: graph_inputs(_NeverRun(), pixels), builtin_lungs().outline])
def test_no_graph_runs_on_a_strip_without_a_gatekeeper_either(runs: Callable[[np.ndarray], object]) -> None:
    with pytest.raises(
        ImageError, match=r"an image of 30000 x 1 pixels: is 30000\.0 times as wide .* more than 10 times"
    ):
        runs(np.zeros((1, 30_000), np.float32))


def outlines(mask: np.ndarray) -> LungOutlines:
    return LungOutlines(mask[None].astype(np.float32), ("lungs",), mask.shape)


def two_lungs(left: slice = slice(15, 40), right: slice = slice(60, 85)) -> np.ndarray:
    mask = np.zeros((100, 100), np.bool_)
    mask[20:80, left] = mask[20:80, right] = True
    return mask


def test_the_shape_of_two_lungs() -> None:
    shape = measure_lung_shape(two_lungs(right=slice(60, 70)))
    assert shape.area == pytest.approx(0.21)
    assert (shape.paired, shape.balance, shape.cut) == (1.0, pytest.approx(0.4), 0.0)
    assert shape.down == pytest.approx(0.5)
    assert shape.across == pytest.approx((25 * 27.5 + 10 * 65) / 3500)


def test_one_lung_and_no_lung_are_implausible() -> None:
    assert judge_lungs(measure_lung_shape(two_lungs()), THRESHOLDS) == []
    one = two_lungs(right=slice(0, 0))
    assert measure_lung_shape(one).paired == 0
    for mask, way_out in ((one, "send the whole radiograph"), (np.zeros((100, 100), np.bool_), "black borders")):
        (finding,) = judge_lungs(measure_lung_shape(mask), THRESHOLDS)
        assert finding.code == "lungs"
        assert way_out in finding.sentence


def test_a_value_just_beyond_a_limit_does_not_read_as_the_limit() -> None:
    shape = replace(measure_lung_shape(two_lungs()), area=0.504)
    (finding,) = judge_lungs(shape, THRESHOLDS)
    assert "0.504, and one of 0.100 to 0.500 is expected" in finding.sentence


def test_mirrored_and_cropped_are_warnings() -> None:
    cropped = two_lungs(left=slice(0, 30))
    shape = measure_lung_shape(cropped)
    assert shape.cut == pytest.approx(0.6)
    codes = [finding.code for finding in warn_of(answer(mirrored=0.8, frontal=1.0), shape, THRESHOLDS)]
    assert codes == ["mirrored", "cropped"]
    assert warn_of(answer(frontal=1.0), measure_lung_shape(two_lungs()), THRESHOLDS) == []


@pytest.mark.parametrize(("row", "column", "outside"), [(5, 2, False), (5, 5, False), (0, 0, True), (9, 9, True)])
def test_where_a_model_is_most_active(row: int, column: int, outside: bool) -> None:
    """Between the lungs is inside: hilum and mediastinum; the corners, with their markers, are not."""
    heat = np.full((10, 10), 0.2, np.float32)
    heat[row, column] = 1
    assert is_active_outside(heat, outlines(two_lungs())) is outside


def test_no_heat_and_no_lungs_say_nothing() -> None:
    assert not is_active_outside(np.zeros((5, 5), np.float32), outlines(two_lungs()))
    assert not is_active_outside(np.ones((5, 5), np.float32), outlines(np.zeros((20, 20), np.bool_)))


@pytest.mark.parametrize(
    ("term", "part"),
    [
        *(
            (term, "chest")
            for term in ("CHEST", "Chest portable", "TÓRAX", "THX", "CXR", "PORT CXR", "PECHO", "POLMONI")
        ),
        *(
            (term, "chest")
            for term in ("T-D3000", "POLMONI", "胸部", "грудь", "CHEST_PA", "CXR1V", "RIBS", "BRUST", "흉부")
        ),
        *((term, "other") for term in ("THORACIC SPINE", "TSPINE THORAX", "THORACOLUMBAR", "BRUSTWIRBELSAEULE")),
        *((term, "other") for term in ("BRUSTWIRBELSÄULE", "BRUSTWS", "BRUSTDRUESE", "NOT CHEST", "胸椎", "CSPINE")),
        *((term, "other") for term in ("HAND", "KNEE", "SKULL", "ABDOMEN", "BREAST", "Schädel")),
        *((term, "unknown") for term in ("GRIBS", "ZZZ", "CHESTNUT")),
        *((term, "unspecific") for term in ("", "Unknown")),
    ],
)
def test_which_part_of_the_body_a_term_names(term: str, part: str) -> None:
    assert body_part_of(term) == part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, "other") for name in ("Hand", "Foot", "Knee", "Skull", "Abdomen", "Pelvis", "Breast", "Shoulder")),
        *((name, "other") for name in ("ThoracicSpine", "Clavicle", "Humerus", "Finger", "HipJoint", "Mandible")),
        *((name, "chest") for name in ("Chest", "Rib", "Mediastinum", "ApexOfLung")),
        *((name, "unknown") for name in ("Heart", "Sternum", "Trachea")),
    ],
)
def test_a_bare_code_is_known_as_the_standard_has_it(name: str, part: str) -> None:
    """The authority is pydicom's copy of PS3.16 (CID 4031) and its map of SNOMED RT to CT."""
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["SCT"]
    retired = pytest.importorskip("pydicom.sr._snomed_dict").mapping["SRT"]
    codes = {str(code) for code in concepts[name]}
    codes |= {old for old, new in retired.items() if new in codes}
    assert {body_part_of(code) for code in codes} == {part}


@pytest.mark.parametrize("term", ["HEART", "Herz", "STERNUM"])
def test_a_part_inside_the_chest_is_a_warning_and_the_pixels_decide(term: str) -> None:
    assert judge_facts({"body_part": term}, ADULTS) == []
    (finding,) = warn_of_facts({"body_part": term})
    assert finding.code == "body-part"


def test_an_unknown_body_part_is_a_warning() -> None:
    assert judge_facts({"body_part": "GRIBS"}, ADULTS) == []
    (finding,) = warn_of_facts({"body_part": "GRIBS"})
    assert finding.code == "body-part" and "GRIBS" in finding.sentence
    assert warn_of_facts({"body_part": "CHEST"}) == []


@pytest.mark.parametrize("view", ["RAO", "LAO", "LLO", "RPO", "LPO", "OBL", "LLD", "RLD"])
def test_oblique_and_decubitus_views_are_refused(view: str) -> None:
    (finding,) = judge_facts({"view": view}, ADULTS)
    assert finding.code == "view" and view in finding.sentence
    assert judge_facts({"view": view}, Population(views={"PA": 9, view: 5}, ages={})) == []


@pytest.mark.parametrize("view", ["", "XX", "UNKNOWN", "PA", "AP"])
def test_other_views_say_nothing(view: str) -> None:
    assert judge_facts({"view": view}, ADULTS) == []


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (18 / 12, "18 months"),
        (7 / 12, "7 months"),
        (3 / 365.25, "less than a month"),
        (1 / 12, "1 month,"),
        (2.0, "2 years"),
        (17.9, "17 years"),
    ],
)
def test_the_age_of_a_child_is_never_rounded_up(age: float, words: str) -> None:
    (finding,) = judge_facts({"age": age}, ADULTS)
    assert f"an age of {words}" in finding.sentence
