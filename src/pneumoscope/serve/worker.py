"""A worker: claims one prediction at a time, runs it on one thread, writes the answer down.

It runs as a process of its own, so that an image that brings down a decoder brings down nothing else, and ends by
itself when the server that started it is gone. `step` is all it does; the rest is waiting.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from pneumoscope.card import Card
from pneumoscope.errors import BundleError, ImageError, PneumoscopeError
from pneumoscope.infer import Model, Output, band_of, decide, load
from pneumoscope.serve import blobs, queue
from pneumoscope.serve.catalogue import Catalogue
from pneumoscope.serve.secret import new_id
from pneumoscope.serve.settings import Settings
from pneumoscope.serve.store import Store, open_store

MODELS_AT_HAND = 4
"""Sessions that a worker keeps loaded."""
_IDLE = 0.2
"""Seconds between two looks at an empty queue."""


class Worker:
    """Makes predictions, one at a time."""

    def __init__(self, store: Store, catalogue: Catalogue, name: str | None = None) -> None:
        self.name = name or new_id()
        self._store = store
        self._catalogue = catalogue
        self._models: OrderedDict[str, Model] = OrderedDict()

    def step(self) -> bool:
        """Make the next prediction; return False where none waits."""
        claimed = queue.claim(self._store, self.name)
        if claimed is None:
            return False
        start = time.perf_counter()
        result, heatmap = self._answer(claimed)
        result["seconds"] = round(time.perf_counter() - start, 6)
        queue.finish(self._store, self.name, claimed, result, heatmap)
        return True

    def _answer(self, claimed: queue.Claim) -> tuple[dict[str, Any], bytes | None]:
        """Return the result and the heatmap's bytes; a failure is a result too, in words that name no path."""
        try:
            model = self._model(claimed.model)
            output = model.run(self._pixels(claimed.image))
        except ImageError:
            return {"error": "the stored pixels can't be read, or are not those that were stored"}, None
        except BundleError:
            return {"error": "the model can't be run on this image"}, None
        except PneumoscopeError:
            return {"error": "the model is no longer on this server"}, None
        except Exception as error:  # one image must not end the worker
            logging.getLogger(__name__).error("prediction %s: %s", claimed.prediction, type(error).__name__)
            return {"error": f"an unexpected error ({type(error).__name__})"}, None
        return result_of(model, output)

    def _pixels(self, image: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        return blobs.read_pixels(self._store.settings.files, image, queue.image_sha256(self._store, image) or "")

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


def work(settings: Settings, name: str) -> None:
    """Run a worker until its server is gone; the target of a process."""
    store = open_store(settings)
    worker = Worker(store, Catalogue(settings.models), name)
    threading.Thread(target=_beat, args=(store, name), daemon=True).start()
    while True:
        try:
            busy = worker.step()
        except Exception as error:  # a database that is away for a while
            logging.getLogger(__name__).error("worker %s: %s", name, type(error).__name__)
            time.sleep(1.0)
            continue
        if not busy:
            time.sleep(_IDLE)


def _beat(store: Store, name: str) -> None:
    """Renew the leases of a worker, and end it when the server that started it has ended, however it ended."""
    parent = multiprocessing.parent_process()
    while True:
        if parent is None:
            time.sleep(store.settings.lease / 3)
        else:
            parent.join(store.settings.lease / 3)
            if not parent.is_alive():
                os._exit(0)  # what it held is taken over when its lease runs out
        try:
            queue.renew(store, name)
        except Exception as error:  # the next beat may reach the database again
            logging.getLogger(__name__).error("worker %s, lease: %s", name, type(error).__name__)


def _shortest(value: float) -> float:
    """Return the shortest decimal that is the same float32, as tables of predictions have it."""
    return float(str(np.float32(value)))
