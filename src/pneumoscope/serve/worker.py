"""A worker: is handed one image after the other, runs the model that is asked on one thread, hands back the answer.

It runs as a process of its own, so that an image that brings down a decoder brings down nothing else. It knows files
and models, and no database: what it is handed was claimed for it, what it hands back is written down by the server that
started it (`supervisor`). It ends when that server is gone.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pneumoscope.card import Card
from pneumoscope.errors import BundleError, ImageError, PneumoscopeError
from pneumoscope.infer import Model, Output, band_of, decide, load
from pneumoscope.serve import blobs
from pneumoscope.serve.catalogue import Catalogue
from pneumoscope.serve.queue import Answer, Claim
from pneumoscope.serve.settings import Settings

MODELS_AT_HAND = 4
"""Sessions that a worker keeps loaded."""


class Worker:
    """Makes predictions, one at a time."""

    def __init__(self, files: Path, catalogue: Catalogue) -> None:
        self._files = files
        self._catalogue = catalogue
        self._models: OrderedDict[str, Model] = OrderedDict()

    def answer(self, claim: Claim) -> Answer:
        """Make a prediction; a failure is an answer too, in words that name no path."""
        start = time.perf_counter()
        result, heatmap = self._answer(claim)
        result["seconds"] = round(time.perf_counter() - start, 6)
        return Answer(claim, result, heatmap)

    def _answer(self, claim: Claim) -> tuple[dict[str, Any], bytes | None]:
        try:
            model = self._model(claim.model)
            output = model.run(blobs.read_pixels(self._files, claim.image, claim.sha256))
        except ImageError:
            return {"error": "the stored pixels can't be read, or are not those that were stored"}, None
        except BundleError:
            return {"error": "the model can't be run on this image"}, None
        except PneumoscopeError:
            return {"error": "the model is no longer on this server"}, None
        except Exception as error:  # one image must not end the worker
            logging.getLogger(__name__).error("prediction %s: %s", claim.prediction, type(error).__name__)
            return {"error": f"an unexpected error ({type(error).__name__})"}, None
        return result_of(model, output)

    def _model(self, identity: str) -> Model:
        if identity not in self._models:
            self._models[identity] = load(self._catalogue.get(identity).folder)
            if len(self._models) > MODELS_AT_HAND:
                self._models.popitem(last=False)
        self._models.move_to_end(identity)
        return self._models[identity]


def result_of(model: Model, output: Output) -> tuple[dict[str, Any], bytes | None]:
    """Return an output as it is stored: plain values by label, the score's band, the decision or why there is none."""
    card = model.card
    p = [_shortest(value) for value in output.probabilities]
    decision, reason = decide(card, p, output.ood)
    heatmap = None if output.heatmap is None else np.ascontiguousarray(output.heatmap, "<f4")
    return {
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
    }, None if heatmap is None else heatmap.tobytes()


def _set_of(card: Card, p: Sequence[float]) -> dict[str, Any] | None:
    """Return the labels that the card can't rule out, and how often such sets aim to hold the true one."""
    if (sets := card.prediction_sets) is None:
        return None
    return {"labels": sets.of(dict(zip(card.label_names, p, strict=True))), "coverage": 1 - sets.alpha}


def work(settings: Settings, server: Connection[Answer, Claim]) -> None:
    """Answer what the server asks until it is gone; the target of a process (`process.start`).

    Args:
        settings: Of the server.
        server: Its end of the pipe sends claims and gets answers.
    """
    worker = Worker(settings.files, Catalogue(settings.models))
    while True:  # when the server is gone, what was held waits in the queue again
        server.send(worker.answer(server.recv()))


def _shortest(value: float) -> float:
    """Return the shortest decimal that is the same float32, as tables of predictions have it."""
    return float(str(np.float32(value)))
