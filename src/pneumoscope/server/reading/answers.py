"""Showing models' answers to a reader: what the reader may not see yet is withheld, and what is shown is recorded.

Each function records in the transaction that reads; its caller commits before anything leaves the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from pneumoscope.bundle.verdict import UNLIKE
from pneumoscope.server.errors import ConflictError, ForbiddenError, NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.reading import reads, shown
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image, StoredPrediction
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies import lookup


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction as one reader may see it."""

    row: StoredPrediction | Row[Any]
    """Its ``result`` is for `result` to show."""
    model_off: bool
    """The model has been switched off since."""
    withheld: str | None
    """Why there is a result that the reader may not see; None where there is none, or it is shown."""
    result: dict[str, Any] | None
    """The result, where there is one and the reader may see it."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Where a model looked."""

    labels: Sequence[str]
    values: NDArray[np.float32]
    """[C, h, w] in 0..1, one map a label; row 0 = head."""


def find_refusal(result: Mapping[str, Any] | None, *, withheld: bool) -> str | None:
    """Return the code of the first reason why a model gave no answer; None where it gave one.

    Before the reader's own read, only reasons that lie in the picture are given: that an image is unlike the training
    images is a score of the model.

    Args:
        result: A stored result; None where there is none yet.
        withheld: Whether the reader may not see the answer yet.
    """
    if result is None or not result.get("refused"):
        return None
    code: str = next(iter(result.get("codes", ())), UNLIKE)  # older results have no codes, and only this reason
    return None if withheld and code == UNLIKE else code


def show_predictions(
    session: Transaction, settings: Settings, rows: Sequence[StoredPrediction | Row[Any]], reader: str
) -> list[Answer]:
    """Return predictions as a reader may see them, and record those that are shown."""
    withheld = {study: reads.withheld_reason(session, settings, study, reader) for study in {r.study for r in rows}}
    shown.record_display(session, [row for row in rows if withheld[row.study] is None], reader, "result")
    off = {model: queue.is_switched_off(session, model) for model in {row.model for row in rows}}
    return [
        Answer(
            row=row,
            model_off=off[row.model],
            withheld=withheld[row.study] if row.result is not None else None,
            result=row.result if withheld[row.study] is None else None,
        )
        for row in rows
    ]


def show_study(session: Transaction, settings: Settings, study: str, reader: str) -> list[Answer]:
    """Return all predictions about a study, the oldest first, as a reader may see them; record those that are shown.

    Raises:
        NotFoundError: There is no such study.
    """
    rows = lookup.predictions_of(session, [study])[study]
    if not rows:
        lookup.get_study(session, study)
    return show_predictions(session, settings, rows, reader)


def show_prediction(session: Transaction, settings: Settings, prediction: str, reader: str) -> Answer:
    """Return one prediction as a reader may see it, and record that it is shown.

    Raises:
        NotFoundError: There is no such prediction.
    """
    row = session.get(StoredPrediction, prediction)
    if row is None:
        raise NotFoundError("prediction")
    return show_predictions(session, settings, [row], reader)[0]


def show_heatmap(store: Store, prediction: str, reader: str) -> Heatmap:
    """Return the heatmap of a prediction, and record that it is shown.

    Raises:
        NotFoundError: There is no such prediction, or it has no heatmap.
        ForbiddenError: The reader may not see the answer yet.
    """
    with store.write() as session:
        row = session.get(StoredPrediction, prediction)
        if row is None or row.result is None or row.heatmap is None:
            raise NotFoundError("heatmap")
        if why := reads.withheld_reason(session, store.settings, row.study, reader):
            raise ForbiddenError("the heatmap", f"is withheld: {why}.", code="withheld")
        shown.record_display(session, [row], reader, "heatmap")
        values = np.frombuffer(row.heatmap, "<f4").reshape(row.result["heatmap_shape"])
        return Heatmap(row.result["labels"], values)


def get_answered_image(session: Transaction, settings: Settings, prediction: str, reader: str) -> Image:
    """Return the image that a finished prediction is about.

    Raises:
        NotFoundError, ForbiddenError, ConflictError: See `get_answer`.
    """
    row, _ = get_answer(session, settings, prediction, reader)
    return session.get_one(Image, row.image)


def get_answer(
    session: Transaction, settings: Settings, prediction: str, reader: str
) -> tuple[StoredPrediction, dict[str, Any]]:
    """Return a finished prediction and its result, for a question that goes on from it; nothing is recorded.

    Raises:
        NotFoundError: There is no such answer.
        ForbiddenError: The reader may not see it yet.
        ConflictError: The model is switched off.
    """
    row = session.get(StoredPrediction, prediction)
    if row is None or row.state != "done" or row.result is None:
        raise NotFoundError("answer")
    if why := reads.withheld_reason(session, settings, row.study, reader):
        raise ForbiddenError("the answer", f"is withheld: {why}.", code="withheld")
    if queue.is_switched_off(session, row.model):
        raise ConflictError(
            "this model", "was switched off on this server.", "Do not rely on its answer.", code="model-off"
        )
    return row, row.result
