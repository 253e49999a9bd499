"""Pixels into what is stored as an answer: the models at hand, and a result in plain values.

Used wherever a model runs: by workers on stored pixels, by decoders on what they have just stored, for what-ifs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.prediction import Output, band_of, decide
from pneumoscope.bundle.runtime import Model, load
from pneumoscope.core.errors import BundleError, ImageError, PneumoscopeError
from pneumoscope.server.inference.models import Catalogue, Entry

MODELS_AT_HAND = 4
"""Sessions that a process keeps loaded."""


class Result(NamedTuple):
    """What a model said of an image, with the member ``error`` where it failed; and the heatmap's bytes."""

    values: dict[str, Any]
    heatmap: bytes | None


class Models:
    """Loaded models, a few at a time; for several threads."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, entry: Entry) -> Model:
        """Return a model, loaded and checked."""
        with self._lock:
            if entry.identity not in self._loaded:
                self._loaded[entry.identity] = load(entry.folder)
                if len(self._loaded) > MODELS_AT_HAND:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(entry.identity)
            return self._loaded[entry.identity]


class Answerer:
    """Runs the models of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._models = Models()

    def answer(self, model: str, pixels: Callable[[], NDArray[np.float32]], number: str) -> Result:
        """Run a model; a failure is a result too, in words that name no path.

        Args:
            model: Its identity, whole.
            pixels: Gives the stored pixels, [H, W] in 0..1.
            number: Of what is answered, for the log.
        """
        start = time.perf_counter()
        result = self._answer(model, pixels, number)
        result.values["seconds"] = round(time.perf_counter() - start, 6)
        return result

    def _answer(self, identity: str, pixels: Callable[[], NDArray[np.float32]], number: str) -> Result:
        try:
            model = self._models.get(self._catalogue.get(identity))
            output = model.run(pixels())
        except ImageError:
            return Result({"error": "the stored pixels can't be read, or are not those that were stored"}, None)
        except BundleError:
            return Result({"error": "the model can't be run on this image"}, None)
        except PneumoscopeError:
            return Result({"error": "the model is no longer on this server"}, None)
        except Exception as error:  # one image must not end the process
            logging.getLogger(__name__).error("prediction about %s: %s", number, type(error).__name__)
            return Result({"error": f"an unexpected error ({type(error).__name__})"}, None)
        return result_of(model, output)


def result_of(model: Model, output: Output) -> Result:
    """Return an output as it is stored: plain values by label, the score's band, the decision or why there is none."""
    card = model.card
    p = [_shortest(value) for value in output.probabilities]
    decision, reason = decide(card, p, output.ood)
    heatmap = None if output.heatmap is None else np.ascontiguousarray(output.heatmap, "<f4")
    values = {
        "labels": list(card.label_names),
        "probabilities": dict(zip(card.label_names, p, strict=True)),
        "decision": decision,
        "refused": bool(reason),
        "reason": reason,
        "ood": _shortest(output.ood) if np.isfinite(output.ood) else None,
        # What was observed in a band was observed on images like those of the calibration: a refused one is none.
        "band": dict(band) if not reason and (band := band_of(card, p[0])) is not None else None,
        "prediction_set": _set_of(card, p) if not reason else None,
        "operating_point": {"name": card.operating_point.name, "threshold": card.operating_point.threshold},
        "heatmap_shape": None if heatmap is None else list(heatmap.shape),
    }
    return Result(values, None if heatmap is None else heatmap.tobytes())


def _set_of(card: Card, p: Sequence[float]) -> dict[str, Any] | None:
    """Return the labels that the card can't rule out, and how often such sets aim to hold the true one."""
    if (sets := card.prediction_sets) is None:
        return None
    return {"labels": sets.of(dict(zip(card.label_names, p, strict=True))), "coverage": 1 - sets.alpha}


def _shortest(value: float) -> float:
    """Return the shortest decimal that is the same float32, as tables of predictions have it."""
    return float(str(np.float32(value)))
