"""Studies: adding, listing, showing and erasing them.

An upload is one transaction. Its files are synced before the rows that name them are committed, and the rows are
committed before the upload is answered: what was accepted is there after any crash, and what a crash left over is
files that no row names, which the next start removes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, delete, func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.storage import blobs, export_ledger
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Event, ExamIdentity, Identity, Image, Prediction, Study, table_of
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.uploads.decoder_pool import Takes
from pneumoscope.server.uploads.deidentify import Exam, Taken

_IMAGES = table_of(Image)
_BY_SOURCE = select(_IMAGES.c.source, _IMAGES.c.id, _IMAGES.c.study).where(
    _IMAGES.c.source.in_(bindparam("sources", expanding=True))
)
_PREDICTIONS = table_of(Prediction)
_BY_STUDY = (
    select(*(column for column in _PREDICTIONS.c if column.name != "heatmap"))
    .where(_PREDICTIONS.c.study.in_(bindparam("studies", expanding=True)))
    .order_by(_PREDICTIONS.c.asked, _PREDICTIONS.c.id)
)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one file."""

    name: str
    study: str
    image: str
    duplicate: bool
    predictions: tuple[Prediction, ...]
    """That were added for it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which studies are listed; None: all."""

    patient: str | None = None
    model: str | None = None
    state: str | None = None
    received_from: float | None = None
    received_to: float | None = None


class _File(NamedTuple):
    """A file on the disk."""

    taken: Taken
    number: str
    """Under which its pixels lie."""
    source: str
    """HMAC of the file as it came."""


class Kept:
    """Files on the disk that no row names yet. Used in a ``with``: those that none names at its end are removed."""

    def __init__(self, store: Store) -> None:
        self.added: list[Added | ImageError] = []
        """What has been committed, or why a file was not, in the order of taking."""
        self._store = store
        self._files: list[_File] = []
        self._begun: list[str] = []

    def take(self, decoder: Takes, data: bytes, name: str, models: Sequence[str] = ()) -> None:
        """Decode a file and write its pixels; durable when this returns. See `Decoder.take`."""
        number = new_id()
        self._begun.append(number)
        taken = decoder.take(data, name, number, models)
        source = self._store.secret.key("source", bytes.fromhex(taken.data_sha256))
        self._files.append(_File(taken, number, source))

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what no row names. Only the database knows that where something went wrong; else the next start."""
        named = {each.image for each in self.added if isinstance(each, Added)}
        with suppress(SQLAlchemyError):
            if not self.added:
                with self._store.read() as session:
                    named = set(session.scalars(select(Image.id).where(Image.id.in_(self._begun))))
            for number in set(self._begun) - named:
                blobs.erase(self._store.settings.files, number)

    def __bool__(self) -> bool:
        """Whether there is any file."""
        return bool(self._files)

    @property
    def answered(self) -> bool:
        """Whether models that were asked at once have answered about every file."""
        return all(file.taken.answers for file in self._files)

    def add(self, session: Transaction, models: Sequence[str], who: str) -> list[Added | ImageError]:
        """Add rows for the files and queue their predictions, all or nothing; return what became of each file.

        The same file twice is one image, and a model that has answered it or is about to is not asked again: who sends
        an upload again because the answer was lost gets the answer, not a second study. A file that says it belongs to
        a study of another patient is not added, and its error says so.

        Args:
            session: Of a transaction that is alone (`Store.commit`); what it returns goes into ``added`` afterwards.
            models: Identities, whole, of the models to ask.
            who: Sends them.
        """
        found = session.connection().execute(_BY_SOURCE, {"sources": [file.source for file in self._files]})
        here = session.images
        here |= {source: (image, study) for source, image, study in found}
        rows: list[tuple[str, str, bool] | ImageError] = []
        for file in self._files:
            duplicate = file.source in here
            try:
                if not duplicate:
                    here[file.source] = file.number, _add_image(self._store, session, file, who)
            except ImageError as error:
                rows.append(error)
            else:
                rows.append((*here[file.source], duplicate))
        study_of = {row[0]: row[1] for row in rows if not isinstance(row, ImageError)}
        made = self._predict(session, study_of, models, who)
        return [
            row
            if isinstance(row, ImageError)
            else Added(file.taken.name, row[1], row[0], row[2], tuple(made.pop(row[0], ())))
            for file, row in zip(self._files, rows, strict=True)
        ]

    def _predict(
        self, session: Transaction, study_of: Mapping[str, str], models: Sequence[str], who: str
    ) -> dict[str, list[Prediction]]:
        """Queue the predictions of models about images, or write down those that are made already; by image.

        Args:
            session: Of the transaction.
            study_of: The study of each image.
            models: Identities, whole.
            who: Asks for them.
        """
        answers = {file.number: file.taken.answers for file in self._files}
        before = sorted(set(study_of) - set(answers))  # were here already
        asked = queue.find_requested(session, before, models) if before and models else set()
        made: dict[str, list[Prediction]] = {image: [] for image in study_of}
        for model in models:
            wanted = [(study, image) for image, study in study_of.items() if (image, model) not in asked]
            ready = {image: answers[image][model] for _, image in wanted if model in answers.get(image, ())}
            waits = [(study, image) for study, image in wanted if image not in ready]
            for row in queue.enqueue(self._store, session, waits, [model], who):
                made[row.image].append(row)
            for image, result in ready.items():
                made[image].append(queue.record(session, study_of[image], image, model, result, who))
        return made


def _add_image(store: Store, session: Transaction, file: _File, who: str) -> str:
    """Add an image, and its study if it is the first of it; return the study.

    Raises:
        ImageError: Its study is another patient's; nothing was added.
    """
    time, taken, exam = now(), file.taken, file.taken.exam
    key = store.secret.key("study", exam.study_uid) if exam and exam.study_uid else None
    person = patient_key(store, exam.issuer, exam.patient_id) if exam and exam.patient_id else None
    study = _study_here(session, taken, key, person) if key else None
    if study is None:
        study = new_id()
        patient = _patient(store, session, exam, person) if exam and person else None
        session.append(Study, {"id": study, "key": key, "patient": patient, "received": time, "received_by": who})
        session.append(Event, {"kind": "study", "study": study, "subject": study, "state": "received", "at": time})
        if exam is not None:
            session.append(ExamIdentity, {"study": study, "sealed": store.secret.seal(exam.examination(), study)})
        if key:
            session.studies[key] = study, person
    session.append(
        Image,
        {
            **{"id": file.number, "study": study, "source": file.source, "sha256": taken.png_sha256},
            **{"format": taken.format, "bits": taken.bits, "width": taken.width, "height": taken.height},
            **{"facts": taken.facts, "received": time},
        },
    )
    return study


def _study_here(session: Transaction, file: Taken, key: str, person: str | None) -> str | None:
    """Return the study that a file belongs to; None where it is the first of it.

    Raises:
        ImageError: The study is of another patient. A study has exactly one (PS3.3 A.1.2), so one of the two files is
            wrong about who was examined or when, and joining them would show one patient's image as another's.
    """
    studies = session.studies
    if key not in studies:
        query = select(Study.id, Identity.key).outerjoin(Identity, Identity.patient == Study.patient)
        row = session.execute(query.where(Study.key == key)).one_or_none()
        if row is None:
            return None
        studies[key] = row[0], row[1]
    study, examined = studies[key]
    if examined != person:
        raise ImageError(
            file.name,
            "its StudyInstanceUID (0020,000D) is that of a study here, but its PatientID (0010,0020) or "
            "IssuerOfPatientID (0010,0021) is another: a study has one patient.",
            "Correct the wrong one at its source.",
            code="other-patient",
        )
    return study


def _patient(store: Store, session: Transaction, exam: Exam, key: str) -> str:
    """Return the pseudonym of a patient, a new one for a new patient."""
    known = session.get(Identity, key)
    if known is None:
        known = Identity(key=key, patient="p" + new_id(), sealed=store.secret.seal(exam.person(), key))
        session.add(known)
        session.flush()
    return known.patient


def patient_key(store: Store, issuer: str, patient_id: str) -> str:
    """Return the key of a patient: PatientID is unique under its issuer only (PS3.3 C.7.1.1)."""
    return store.secret.key("patient", issuer, patient_id)


def page(session: Transaction, wanted: Filter, limit: int, after: tuple[float, str] | None) -> list[Study]:
    """Return studies, newest first, after the one with this time and id."""
    query = select(Study).order_by(Study.received.desc(), Study.id.desc()).limit(limit)
    if wanted.patient is not None:
        query = query.where(Study.patient == wanted.patient)
    if wanted.received_from is not None:
        query = query.where(Study.received >= wanted.received_from)
    if wanted.received_to is not None:
        query = query.where(Study.received < wanted.received_to)
    if wanted.model is not None or wanted.state is not None:
        inner = select(Prediction.id).where(Prediction.study == Study.id)
        if wanted.model is not None:
            inner = inner.where(Prediction.model == wanted.model)
        if wanted.state is not None:
            inner = inner.where(Prediction.state == wanted.state)
        query = query.where(inner.exists())
    if after is not None:
        query = query.where(tuple_(Study.received, Study.id) < after)
    return list(session.scalars(query))


def get(session: Transaction, study: str) -> Study:
    """Return a study.

    Raises:
        NotFoundError: There is none.
    """
    found = session.get(Study, study)
    if found is None:
        raise NotFoundError("study")
    return found


def images_of(session: Transaction, studies: Sequence[str]) -> dict[str, list[Image]]:
    """Return the images of studies, by study, in the order of their arrival."""
    found: dict[str, list[Image]] = {study: [] for study in studies}
    for image in session.scalars(select(Image).where(Image.study.in_(studies)).order_by(Image.received, Image.id)):
        found[image.study].append(image)
    return found


def predictions_of(session: Transaction, studies: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Return the predictions of studies, by study, oldest first: rows with all but the heatmap."""
    found: dict[str, list[Row[Any]]] = {study: [] for study in studies}
    for row in session.connection().execute(_BY_STUDY, {"studies": studies}):
        found[row.study].append(row)
    return found


def thumbnail(store: Store, image: str) -> Path:
    """Return the thumbnail of an image, made now if there is none yet.

    Raises:
        NotFoundError: There is no such image.
        ImageError: Its pixels are gone, or not those that were stored.
    """
    folder = store.settings.files
    with store.read() as session:
        known = session.get(Image, image)
    if known is None:
        raise NotFoundError("image")
    path = blobs.make_thumbnail(folder, image, known.sha256)
    with store.read() as session:
        if session.get(Image, image) is None:  # erased meanwhile: no picture may outlive that
            blobs.erase(folder, image)
            raise NotFoundError("image")
    return path


def erase(store: Store, studies: Sequence[str]) -> dict[str, Any]:
    """Erase studies with their images, predictions, heatmaps, reads and identities; return what was erased.

    A patient without a further study is forgotten too, and exports that can be reached lose their copies. The audit log
    keeps the opaque numbers.
    """
    with store.write() as session:
        store.lock_exclusive(session)
        images = list(session.scalars(select(Image.id).where(Image.study.in_(studies))))
        predictions = session.scalar(select(func.count()).select_from(Prediction).where(Prediction.study.in_(studies)))
        patients = set(session.scalars(select(Study.patient).where(Study.id.in_(studies)))) - {None}
        session.execute(delete(Event).where(Event.study.in_(studies)))
        export_ledger.mark(session, studies)
        session.execute(delete(Study).where(Study.id.in_(studies)))
        left = set(session.scalars(select(Study.patient).where(Study.patient.in_(patients))))
        session.execute(delete(Identity).where(Identity.patient.in_(patients - left)))
        session.add_all(Event(kind="study", study=study, subject=study, state="erased", at=now()) for study in studies)
    for image in images:
        blobs.erase(store.settings.files, image)
    cleared = export_ledger.clear(store)
    return {
        "studies": len(studies),
        "images": len(images),
        "predictions": predictions or 0,
        "exports_cleared": list(cleared.reached),
        "exports_unreached": list(cleared.unreached),
    }


def sweep(store: Store) -> int:
    """Remove files that no row names, and what exports still hold of erased studies; return how many files."""
    export_ledger.clear(store)

    def known(image: str) -> bool:
        with store.read() as session:
            return session.get(Image, image) is not None

    return blobs.sweep(store.settings.files, known)
