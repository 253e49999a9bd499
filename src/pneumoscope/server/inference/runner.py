"""The one way in which the server runs a model: an image's pixels and a model give the result that is stored.

Three callers use it, each in a process of its own kind: a worker on stored pixels, a decoder on the pixels that it has
just stored, and a worker on pixels of which a reader has covered a part (`occlusion`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.heart_shape import find_heart
from pneumoscope.bundle.lungs import LungOutlines
from pneumoscope.bundle.outputs import shortest_decimal
from pneumoscope.bundle.prediction import OUTSIDE_LUNGS, Output, band_of, split_decision
from pneumoscope.bundle.runtime import Model, load
from pneumoscope.bundle.screening import Screening, builtin_companions
from pneumoscope.bundle.verdict import judge
from pneumoscope.core.errors import BundleError, ImageError, PneumoscopeError
from pneumoscope.imaging.border import NO_BORDER, Border
from pneumoscope.imaging.plane import Metadata
from pneumoscope.server.inference.models import Catalogue, InstalledModel

MODELS_IN_MEMORY = 4
"""Models that a process keeps loaded."""

Pixels = NDArray[np.float32]


class Result(NamedTuple):
    """What a model says about an image, in the form that is stored."""

    values: dict[str, Any]
    """Plain values by name; the member ``error`` where the model failed."""
    heatmap: bytes | None
    """[C, h, w] little-endian float32; the shape is ``heatmap_shape`` of the values."""


class InferenceRunner:
    """Runs the models of a catalogue and keeps the latest few loaded; safe for several threads."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()

    def run(
        self, model: str, pixels: Pixels, facts: Metadata = MappingProxyType({}), original: Pixels | None = None
    ) -> Result:
        """Run gatekeeper, lungs and a model on an image, in this order; an image that is refused ends there.

        Args:
            model: Its identity, whole.
            pixels: [H, W] in 0..1, 0 = black, row 0 = head.
            facts: What is stored of its file's metadata; none where there are none.
            original: The pixels that gatekeeper and lungs see, where a reader has covered a part of ``pixels``.

        Raises:
            NotFoundError: The model is not on this server.
            BundleError: The model can't be run on this image.
        """
        loaded = self._load(self._catalogue.get(model))
        whole = pixels if original is None else original
        screening = loaded.screen(whole, facts)
        if screening is not None and screening.refusals:
            return make_result(loaded, None, screening)
        outlines, border = None if screening is None else screening.outlines, loaded.find_border(whole, screening)
        return make_result(loaded, loaded.run(pixels, outlines, border), screening, border)

    def predict(
        self, model: str, read: Callable[[], Pixels], image: str, facts: Metadata = MappingProxyType({})
    ) -> Result:
        """Run a model on an image; a failure is a result too, in words that name no path.

        Args:
            model: Its identity, whole.
            read: Returns the stored pixels, [H, W] in 0..1.
            image: The image's number, for the log.
            facts: What is stored of its file's metadata.
        """
        start = time.perf_counter()
        try:
            result = self._run_on_stored(model, read, facts)
        except (BundleError, ImageError):
            result = _failure("the model can't be run on this image")
        except PneumoscopeError:
            result = _failure("the model is no longer on this server")
        except Exception as error:  # one image must not end the process
            logging.getLogger(__name__).error("prediction about %s: %s", image, type(error).__name__)
            result = _failure(f"an unexpected error ({type(error).__name__})")
        result.values["seconds"] = round(time.perf_counter() - start, 6)
        return result

    def _run_on_stored(self, model: str, read: Callable[[], Pixels], facts: Metadata) -> Result:
        try:
            pixels = read()
        except ImageError:
            result = _failure("the stored pixels can't be read, or are not those that were stored")
            result.values["codes"] = ["image-altered"]
            return result
        return self.run(model, pixels, facts)

    def _load(self, model: InstalledModel) -> Model:
        with self._lock:
            if model.identity not in self._loaded:
                loaded = load(model.folder)
                if loaded.identity != model.identity:  # exchanged after the catalogue had checked it
                    raise BundleError("the model", "is no longer the one that was asked for.", "Ask again.")
                self._loaded[model.identity] = loaded
                if len(self._loaded) > MODELS_IN_MEMORY:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(model.identity)
            return self._loaded[model.identity]


def make_result(
    model: Model, output: Output | None, screening: Screening | None = None, border: Border = NO_BORDER
) -> Result:
    """Return a model's output in the form that is stored.

    The values are plain numbers by label, the score's band, and the decision or the reason for its absence. A
    multi-label model has threshold, band and prediction set of each finding in ``findings``, and none of its own; its
    decision is that of tables of predictions: the findings that it names, joined by "; ".

    Args:
        model: The model.
        output: What its graph gave; None where the gatekeeper refused the image, which then has no probabilities.
        screening: What gatekeeper and lungs graph said; None where the model is not screened.
        border: What was cut off before the model looked, in pixels.
    """
    card = model.card
    p = [] if output is None else [shortest_decimal(value) for value in output.probabilities]
    ood = float("nan") if output is None else output.ood
    verdict = judge(card, p, ood, screening, output, border)
    heatmap = None if output is None or output.heatmap is None else np.ascontiguousarray(output.heatmap, "<f4")
    outlines = None if screening is None else screening.outlines
    # Outlines of what is no frontal chest have widths too, which mean nothing.
    measured = None if screening is None or screening.refusals else outlines
    heart = None if measured is None else find_heart(measured)
    values = {
        "labels": list(card.label_names),
        "probabilities": dict(zip(card.label_names, p, strict=False)),
        "decision": verdict.decision,
        "refused": verdict.refused,
        "reason": verdict.reason,
        "warnings": [finding.sentence for finding in verdict.warnings],
        "codes": list(verdict.codes),
        "border": None if border == NO_BORDER else border._asdict(),
        "screened": model.screened,
        "outside_lungs": OUTSIDE_LUNGS in verdict.codes,
        "audit": model.audit,
        "lungs": None if outlines is None else _encode_mask(outlines.square("lungs")),
        "heart": None if heart is None else _encode_mask(heart),
        "cardiothoracic": None if measured is None else _encode_widths(measured),
        "ood": shortest_decimal(ood) if np.isfinite(ood) else None,
        **(_NO_SCORE if card.multilabel else _score_values(card, p, refused=verdict.refused)),
        "heatmap_shape": None if heatmap is None else list(heatmap.shape),
    }
    if card.multilabel:
        named = () if verdict.decision is None else split_decision(verdict.decision)
        values["findings"] = [
            {
                "label": label,
                "probability": score,
                "named": label in named,
                **_score_values(card.view(label), (score, 1 - score), refused=verdict.refused),
            }
            for label, score in zip(card.label_names, p, strict=False)
        ]
    return Result(values, None if heatmap is None else heatmap.tobytes())


_NO_SCORE: Mapping[str, None] = MappingProxyType({"band": None, "prediction_set": None, "operating_point": None})
"""What `_score_values` says of one score, where there are several."""


def _score_values(card: Card, p: Sequence[float], *, refused: bool) -> dict[str, Any]:
    """Return what a card says of the primary label's score: its band, the prediction set and the threshold."""
    point = card.operating_point
    # A band's observed rate holds for images like those of the calibration; a refused image is not one of them.
    band = None if refused else band_of(card, p[0])
    return {
        "band": None if band is None else dict(band),
        "prediction_set": None if refused else _prediction_set(card, p),
        "operating_point": {"name": point.name, "threshold": point.threshold},
    }


def _encode_mask(square: NDArray[np.bool_]) -> dict[str, Any]:
    """Return where lungs or heart are as runs: for each row of a square, the first column and the one after the last.

    With them stands the identity of the graph that outlined them.
    """
    steps = np.diff(np.pad(square, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lungs = builtin_companions().identities["lungs"]
    return {"side": len(square), "rows": [np.flatnonzero(row).tolist() for row in steps], "graph": lungs}


def _encode_widths(outlines: LungOutlines) -> dict[str, list[float]] | None:
    """Return where the widths of heart and chest lie: start, end and row as shares of the image."""
    widths = outlines.cardiothoracic_widths
    if widths is None:
        return None
    return {name: [round(share, 4) for share in width] for name, width in zip(("heart", "chest"), widths, strict=True)}


def _failure(problem: str) -> Result:
    return Result({"error": problem}, None)


def _prediction_set(card: Card, p: Sequence[float]) -> dict[str, Any] | None:
    """Return the labels that the card can't rule out, and how often such sets aim to hold the true one."""
    if (sets := card.prediction_sets) is None:
        return None
    return {"labels": sets.of(dict(zip(card.label_names, p, strict=True))), "coverage": 1 - sets.alpha}
