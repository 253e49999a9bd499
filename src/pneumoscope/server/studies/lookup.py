"""Listing and showing studies: pages of the list, one study, its images, its predictions, its thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select, tuple_
from sqlalchemy.orm import Session

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import DamagedError, NotFoundError
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image, Read, ReaderLabel, StoredPrediction, Study, table_of

_PREDICTIONS = table_of(StoredPrediction)
# Built once: building a statement takes longer than running it.
_BY_STUDY = (
    select(*(column for column in _PREDICTIONS.c if column.name != "heatmap"))
    .where(_PREDICTIONS.c.study.in_(bindparam("studies", expanding=True)))
    .order_by(_PREDICTIONS.c.asked, _PREDICTIONS.c.id)
)


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Which studies are listed; None: all."""

    patient: str | None = None
    """Pseudonym, or its beginning."""
    model: str | None = None
    """Identity of a model that was asked, whole."""
    state: str | None = None
    """State of one of its predictions."""
    received_from: float | None = None
    received_to: float | None = None
    """Seconds since 1970; the end is not included."""
    unread_by: str | None = None
    """Id of a reader whose report is not final."""
    label: tuple[str, str] | None = None
    """A reader and the key of this reader's own label."""
    priors: bool = False
    """Earlier studies too that were fetched for comparison, see `studies.priors`."""


COUNT_LIMIT = 10_000
"""`count_studies` counts no further."""
_PSEUDONYM_LENGTH = 16
"""A shorter text is the beginning of a pseudonym."""


def list_page(
    session: Session,
    wanted: StudyFilter,
    limit: int,
    after: tuple[float, str] | None,
    *,
    oldest_first: bool = False,
) -> list[Study]:
    """Return at most ``limit`` studies by time of receipt.

    Args:
        session: A session to read with.
        wanted: Which studies.
        limit: Number of studies, at most.
        after: Time of receipt and number of the study before the first one; None: from the start.
        oldest_first: Instead of the newest.
    """
    columns = (Study.received, Study.id)
    query = _filter(select(Study), wanted).limit(limit)
    query = query.order_by(*(column if oldest_first else column.desc() for column in columns))
    if after is not None:
        query = query.where(tuple_(*columns) > after if oldest_first else tuple_(*columns) < after)
    return list(session.scalars(query))


def search_pseudonyms(session: Session, beginning: str, limit: int) -> list[str]:
    """Return the pseudonyms that begin with a text, at most ``limit``."""
    patient = Study.patient
    query = select(patient).where(patient.startswith(beginning, autoescape=True)).distinct().order_by(patient)
    return [found for found in session.scalars(query.limit(limit)) if found is not None]


def count_studies(session: Session, wanted: StudyFilter) -> int:
    """Return the number of studies, at most `COUNT_LIMIT`.

    Args:
        session: A session to read with.
        wanted: Which studies.
    """
    some = _filter(select(Study.id), wanted).limit(COUNT_LIMIT).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _filter(query: Select[Any], wanted: StudyFilter) -> Select[Any]:
    if wanted.patient is not None and len(wanted.patient) < _PSEUDONYM_LENGTH:
        query = query.where(Study.patient.startswith(wanted.patient, autoescape=True))
    elif wanted.patient is not None:
        query = query.where(Study.patient == wanted.patient)
    if not wanted.priors:
        query = query.where(Study.prior.is_(False))
    if wanted.unread_by is not None:
        final = select(Read.id).where(
            Read.study == Study.id, Read.reader == wanted.unread_by, Read.stage == "aided", Read.state == "final"
        )
        query = query.where(~final.exists())
    if wanted.label is not None:
        reader, key = wanted.label
        labelled = select(ReaderLabel.study).where(ReaderLabel.reader == reader, ReaderLabel.key == key)
        query = query.where(Study.id.in_(labelled))
    if wanted.received_from is not None:
        query = query.where(Study.received >= wanted.received_from)
    if wanted.received_to is not None:
        query = query.where(Study.received < wanted.received_to)
    if wanted.model is not None or wanted.state is not None:
        # Most predictions are done, so that the newest studies are tried one by one. Other states are rare, so that
        # all their studies are looked up first. The index that names the study is the only good one for the first.
        common = wanted.state in (None, "done")
        inner = select(StoredPrediction.study)
        if common:
            inner = inner.where(StoredPrediction.study == Study.id)
        if wanted.model is not None:
            inner = inner.where(StoredPrediction.model == wanted.model)
        if wanted.state is not None:
            inner = inner.where(StoredPrediction.state == wanted.state)
        query = query.where(inner.exists() if common else Study.id.in_(inner))
    return query


def get_study(session: Session, study: str) -> Study:
    """Return a study.

    Raises:
        NotFoundError: There is no such study.
    """
    row = session.get(Study, study)
    if row is None:
        raise NotFoundError("study")
    return row


def find_present(session: Session, studies: Sequence[str]) -> list[str]:
    """Return those of some numbers that are studies here."""
    return list(session.scalars(select(Study.id).where(Study.id.in_(studies))))


def has_studies(store: Store) -> bool:
    """Return whether a store has any study."""
    with store.read() as session:
        return session.scalar(select(Study.id).limit(1)) is not None


def images_of(session: Session, studies: Sequence[str]) -> dict[str, list[Image]]:
    """Return the images of studies, by study, in the order of their arrival."""
    images: dict[str, list[Image]] = {study: [] for study in studies}
    for image in session.scalars(select(Image).where(Image.study.in_(studies)).order_by(Image.received, Image.id)):
        images[image.study].append(image)
    return images


def predictions_of(session: Session, studies: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Return the predictions of studies, by study, the oldest first: rows with all columns but the heatmap."""
    predictions: dict[str, list[Row[Any]]] = {study: [] for study in studies}
    for row in session.connection().execute(_BY_STUDY, {"studies": studies}):
        predictions[row.study].append(row)
    return predictions


def read_pixels(store: Store, image: str) -> bytes:
    """Return an image's stored pixels, a PNG, after they were checked against their hash.

    Raises:
        NotFoundError: There is no such image.
        DamagedError: Its pixels are gone, or not those that were stored.
    """
    row = _get_image(store, image)
    try:
        return blobs.read_content(store.settings.files, image, row.sha256)
    except ImageError as error:
        raise DamagedError from error


def read_thumbnail(store: Store, image: str) -> bytes:
    """Return an image's thumbnail, a PNG, which is drawn now if there is none that this server has drawn.

    Raises:
        NotFoundError: There is no such image.
        DamagedError: Its pixels are gone, or not those that were stored.
    """
    folder = store.settings.files
    row = _get_image(store, image)

    def sign(picture: bytes) -> bytes:
        return store.secret.lookup_key("thumbnail", image, row.sha256, picture).encode()

    try:
        picture = blobs.read_thumbnail(folder, image, row.sha256, sign)
    except ImageError as error:
        raise DamagedError from error
    with store.read() as session:
        if session.get(Image, image) is None:  # erased in between: no picture may outlive that
            blobs.delete(folder, image)
            raise NotFoundError("image")
    return picture


def _get_image(store: Store, image: str) -> Image:
    with store.read() as session:
        row = session.get(Image, image)
    if row is None:
        raise NotFoundError("image")
    return row
