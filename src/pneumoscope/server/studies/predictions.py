"""Asking models about studies that are stored already."""

from __future__ import annotations

from collections.abc import Sequence

from pneumoscope.server.inference import queue
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import StoredPrediction
from pneumoscope.server.studies import lookup
from pneumoscope.server.studies.priors import check_not_prior


def request_predictions(store: Store, study: str, models: Sequence[str], user: str) -> list[StoredPrediction]:
    """Queue a prediction for each image of a study and each model, or none at all; return the new rows.

    Args:
        store: The store.
        study: Number of the study.
        models: Identities, whole; one that is named twice is asked once.
        user: Id of the account that asks.

    Raises:
        NotFoundError: There is no such study.
        BusyError: The queue is full.
        ConflictError: A model is switched off, or the study was fetched for comparison alone.
    """
    with store.write() as session:
        store.lock_exclusive(session)
        check_not_prior(lookup.get_study(session, study), "a question to a model")
        images = [(study, image.id) for image in lookup.images_of(session, [study])[study]]
        return queue.enqueue(store, session, images, list(dict.fromkeys(models)), user)
