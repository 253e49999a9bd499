"""What a study's results are made of: the images that came as DICOM objects, and each model's newest answer about them.

An object that goes out must say the same for ever. So what is gathered here has digests: of the header as it
was kept, of the pixels, and of the answer. Where one of them changes, the result is another object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from pneumoscope.server.dicom.objects.analysed import load_header
from pneumoscope.server.dicom.objects.headers import as_evidence
from pneumoscope.server.errors import ConflictError, NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import SHORT, Catalogue, InstalledModel
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import (
    Account,
    ArchivedObject,
    Image,
    Read,
    RejectedObject,
    StoredPrediction,
    UploadedHeader,
)
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies import lookup

if TYPE_CHECKING:
    from pydicom import Dataset
    from sqlalchemy import Row

_REFERRED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
"""Without them nothing can refer to an object. Of objects of peers they were checked when they came."""


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image that came as a DICOM object."""

    image: str
    """Its number."""
    header: Dataset
    """With the patient's and the study's tags; texts are decoded, whatever the sender's character set was."""
    sha256: str
    """Of the stored pixels."""
    digest: str
    """Of the header and the stored pixels."""
    width: int
    height: int

    @property
    def evidence(self) -> Dataset:
        """What a library that writes objects may read of the header."""
        return as_evidence(self.header)


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """What a model said about an image."""

    source: SourceImage
    result: Mapping[str, Any]
    """See `inference.runner.make_result`."""
    finished: float
    """Seconds since 1970."""

    @property
    def digest(self) -> str:
        """Of the source and of what was said, without how long it took."""
        said = {name: value for name, value in self.result.items() if name != "seconds"}
        return _digest(self.source.digest, json.dumps(said, sort_keys=True))


@dataclass(frozen=True, slots=True)
class SignedRead:
    """A reader's final report, with its addenda."""

    reader: str
    """Id of the account."""
    name: str
    """Of the account."""
    labels: Mapping[str, float]
    """How likely the reader found each, 0..1."""
    conclusion: str | None
    text: str
    signed: float
    """Seconds since 1970."""
    addenda: tuple[tuple[float, str], ...]
    """When each was signed, and its words."""
    after: tuple[str, ...]
    """Names of the models whose answers were shown before it was written."""

    @property
    def finished(self) -> float:
        """When the newest part was signed."""
        return max([self.signed, *(at for at, _ in self.addenda)])

    @property
    def digest(self) -> str:
        """Of all that it says, and when."""
        said = self.reader, dict(self.labels), self.conclusion, self.text, self.signed, self.addenda
        return _digest(json.dumps(said, sort_keys=True))


@dataclass(frozen=True, slots=True)
class StudyAnswers:
    """The images of a study, in the order in which they came, and each model's answers about them in this order."""

    study: str
    sources: tuple[SourceImage, ...]
    answers: Mapping[str, tuple[ImageAnswer, ...]]
    """By the model's identity; only models that are here and not switched off."""
    models: Mapping[str, InstalledModel]
    reads: tuple[SignedRead, ...]
    """Final reports, one for a reader."""
    files: Path
    """Folder of the stored pixels."""


def gather(store: Store, catalogue: Catalogue, study: str) -> StudyAnswers:
    """Return what the results of a study are made of.

    Args:
        store: The store.
        catalogue: The models of this server.
        study: Number of the study.

    Raises:
        NotFoundError: There is no such study, or none of its images came as a DICOM object.
        ConflictError: A model's answer is not there yet.
    """
    with store.read() as session:
        lookup.get_study(session, study)
        rows = lookup.predictions_of(session, [study])[study]
        if any(row.result is None for row in rows):
            raise ConflictError("an answer about this study", "is not there yet.", "Ask again when it is.")
        sources = _list_sources(store, session, study)
        signed = _list_reads(session, catalogue, study)
        off = {model for model in {row.model for row in rows} if queue.is_switched_off(session, model)}
    if not sources:
        raise NotFoundError(
            "report",
            "needs the header of a DICOM object, with its UIDs.",
            "Earlier versions of this server kept none of uploaded files.",
        )
    models = {identity: model for identity, model in catalogue.list_models().items() if identity not in off}
    newest: dict[tuple[str, str], Row[Any]] = {(row.model, row.image): row for row in rows}  # the oldest come first
    answers = {
        identity: tuple(
            ImageAnswer(source, row.result, row.finished)
            for source in sources
            if (row := newest.get((identity, source.image))) is not None
        )
        for identity in dict.fromkeys(row.model for row in rows)
        if identity in models
    }
    answered = {identity: said for identity, said in answers.items() if said}
    return StudyAnswers(study, sources, answered, models, signed, store.settings.files)


def _list_sources(store: Store, session: Transaction, study: str) -> tuple[SourceImage, ...]:
    """Return the images of a study that came from peers; where none did, those that were uploaded as DICOM files.

    Results of a study that came from peers go to an archive, which may not have what someone uploaded beside it.
    """
    picture = (Image.id, Image.sha256, Image.width, Image.height)
    archived = (
        select(ArchivedObject.key.label("key"), ArchivedObject.sealed, *picture)
        .join(Image, Image.id == ArchivedObject.image)
        .where(ArchivedObject.study == study)
        .where(ArchivedObject.key.not_in(select(RejectedObject.key)))
        .order_by(ArchivedObject.received, ArchivedObject.key)
    )
    uploaded = (
        select(UploadedHeader.image.label("key"), UploadedHeader.sealed, *picture)
        .join(Image, Image.id == UploadedHeader.image)
        .where(Image.study == study, Image.study.not_in(select(ArchivedObject.study)))
        .order_by(Image.received, Image.id)
    )
    sources: dict[str, SourceImage] = {}
    for row in session.execute(archived).all() or session.execute(uploaded).all():
        text = store.secret.unseal_bytes(row.sealed, row.key).decode()
        header = load_header(text)
        if row.id not in sources and all(header.get(keyword) for keyword in _REFERRED):
            sources[row.id] = SourceImage(row.id, header, row.sha256, _digest(text, row.sha256), row.width, row.height)
    return tuple(sources.values())


def _list_reads(session: Transaction, catalogue: Catalogue, study: str) -> tuple[SignedRead, ...]:
    """Return the final reports about a study, the earliest first."""
    query = select(Read, Account.name).outerjoin(Account, Account.id == Read.reader)
    query = query.where(Read.study == study, Read.stage == "aided", Read.state != "draft")
    finals: dict[str, tuple[Read, str]] = {}
    addenda: dict[str, list[tuple[float, str]]] = {}
    for row, name in session.execute(query.order_by(Read.version)):
        if row.state == "final":
            finals[row.reader] = row, name or row.reader
        else:
            addenda.setdefault(row.reader, []).append((row.at, row.content["text"]))
    reads = [
        SignedRead(
            reader=reader,
            name=name,
            labels=row.content["likelihoods"],
            conclusion=row.content["conclusion"],
            text=row.content["text"],
            signed=row.at,
            addenda=tuple(addenda.get(reader, ())),
            after=_name_models(session, catalogue, row.displayed),
        )
        for reader, (row, name) in finals.items()
    ]
    return tuple(sorted(reads, key=lambda read: read.signed))


def _name_models(session: Transaction, catalogue: Catalogue, predictions: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the models that gave some answers."""
    asked = session.scalars(select(StoredPrediction.model).where(StoredPrediction.id.in_(predictions)).distinct())
    known = catalogue.list_models()
    return tuple(sorted(known[model].card.name if model in known else model[:SHORT] for model in asked))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
