"""Studies: adding, listing, showing and erasing them.

An upload is one transaction. Its files are synced before the rows that name them are committed, and the rows are
committed before the upload is answered: what was accepted is there after any crash, and what a crash left over is
files that no row names, which the next start removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from pneumoscope.serve import blobs, exports, queue
from pneumoscope.serve.intake import Taken
from pneumoscope.serve.problems import not_found
from pneumoscope.serve.secret import new_id
from pneumoscope.serve.store import Store, now
from pneumoscope.serve.stored import stored_sha256
from pneumoscope.serve.tables import Event, ExamIdentity, Identity, Image, Prediction, Study


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one file."""

    name: str
    study: str
    image: str
    duplicate: bool
    predictions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which studies are listed; None: all."""

    patient: str | None = None
    model: str | None = None
    state: str | None = None
    received_from: float | None = None
    received_to: float | None = None


def add(store: Store, taken: Sequence[Taken], models: Sequence[str], who: str) -> list[Added]:
    """Store files and queue their predictions, all or nothing; durable when this returns.

    The same file twice is one image, and a model that has answered it or is about to is not asked again: who sends an
    upload again because the answer was lost gets the answer, not a second study.

    Args:
        store: Where to.
        taken: Files.
        models: Identities, whole, of the models to ask.
        who: Sends them.
    """
    folder, written = store.settings.files, []
    sources = [store.secret.key("source", bytes.fromhex(file.data_sha256)) for file in taken]
    with store.reading() as session:
        known = set(session.scalars(select(Image.source).where(Image.source.in_(sources))))
    try:
        numbers: dict[str, str] = {}
        for file, source in zip(taken, sources, strict=True):
            if source in known or source in numbers:
                continue
            numbers[source] = number = new_id()
            written.append(number)
            blobs.keep(folder, number, file.png)
        with store.writing() as session:
            store.alone(session)
            added, used = _add_rows(store, session, taken, sources, numbers, models, who)
    except BaseException:
        for number in written:
            blobs.erase(folder, number)
        raise
    for number in set(written) - used:  # another upload of the same file was quicker
        blobs.erase(folder, number)
    return added


def _add_rows(
    store: Store,
    session: Session,
    taken: Sequence[Taken],
    sources: Sequence[str],
    numbers: dict[str, str],
    models: Sequence[str],
    who: str,
) -> tuple[list[Added], set[str]]:
    rows: list[tuple[Taken, Image, bool]] = []
    used: set[str] = set()
    for file, source in zip(taken, sources, strict=True):
        image = session.scalar(select(Image).where(Image.source == source))
        duplicate = image is not None
        if image is None:
            number = numbers.get(source)
            if number is None:  # it was here a moment ago, and was erased meanwhile
                raise not_found("file's earlier copy")
            image = _new_image(store, session, file, source, number, who)
            used.add(number)
        rows.append((file, image, duplicate))
    wanted: dict[str, list[str]] = {model: [] for model in models}
    for model in models:
        asked = set(
            session.scalars(
                select(Prediction.image).where(
                    Prediction.image.in_([image.id for _, image, _ in rows]),
                    Prediction.model == model,
                    Prediction.state != "failed",
                )
            )
        )
        wanted[model] = [image for image in dict.fromkeys(image.id for _, image, _ in rows) if image not in asked]
    study_of = {image.id: image.study for _, image, _ in rows}
    made: list[Prediction] = []
    for model, images in wanted.items():
        made += queue.enqueue(store, session, [(study_of[image], image) for image in images], [model], who)
        session.flush()
    by_image: dict[str, list[str]] = {}
    for row in made:
        by_image.setdefault(row.image, []).append(row.id)
    added = [
        Added(file.name, image.study, image.id, duplicate, tuple(by_image.pop(image.id, ())))
        for file, image, duplicate in rows
    ]
    return added, used


def _new_image(store: Store, session: Session, file: Taken, source: str, number: str, who: str) -> Image:
    time = now()
    key = store.secret.key("study", file.exam.study_uid) if file.exam and file.exam.study_uid else None
    study = session.scalar(select(Study).where(Study.key == key)) if key else None
    if study is None:
        study = Study(id=new_id(), key=key, patient=_patient(store, session, file), received=time, received_by=who)
        session.add(study)
        session.flush()
        if file.exam is not None:
            sealed = store.secret.seal(file.exam.examination(), study.id)
            session.add(ExamIdentity(study=study.id, sealed=sealed))
        session.add(Event(kind="study", study=study.id, subject=study.id, state="received", at=time))
    image = Image(
        id=number, study=study.id, source=source, sha256=stored_sha256(file.png), format=file.format, bits=file.bits,
        width=file.width, height=file.height, facts=file.facts, received=time,
    )  # fmt: skip
    session.add(image)
    session.flush()
    return image


def _patient(store: Store, session: Session, file: Taken) -> str | None:
    """Return the pseudonym of the patient in a file, a new one for a new patient; None where it names none."""
    if file.exam is None or not file.exam.patient_id:
        return None
    key = patient_key(store, file.exam.issuer, file.exam.patient_id)
    known = session.get(Identity, key)
    if known is None:
        known = Identity(key=key, patient="p" + new_id(), sealed=store.secret.seal(file.exam.person(), key))
        session.add(known)
        session.flush()
    return known.patient


def patient_key(store: Store, issuer: str, patient_id: str) -> str:
    """Return the key of a patient: PatientID is unique under its issuer only (PS3.3 C.7.1.1)."""
    return store.secret.key("patient", issuer, patient_id)


def page(session: Session, wanted: Filter, limit: int, after: tuple[float, str] | None) -> list[Study]:
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


def get(session: Session, study: str) -> Study:
    """Return a study.

    Raises:
        ProblemError: There is none (404).
    """
    found = session.get(Study, study)
    if found is None:
        raise not_found("study")
    return found


def images_of(session: Session, studies: Sequence[str]) -> dict[str, list[Image]]:
    """Return the images of studies, by study, in the order of their arrival."""
    found: dict[str, list[Image]] = {study: [] for study in studies}
    for image in session.scalars(select(Image).where(Image.study.in_(studies)).order_by(Image.received, Image.id)):
        found[image.study].append(image)
    return found


def predictions_of(session: Session, studies: Sequence[str]) -> dict[str, list[Prediction]]:
    """Return the predictions of studies, by study, oldest first."""
    found: dict[str, list[Prediction]] = {study: [] for study in studies}
    query = select(Prediction).where(Prediction.study.in_(studies)).order_by(Prediction.asked, Prediction.id)
    for row in session.scalars(query):
        found[row.study].append(row)
    return found


def thumbnail(store: Store, image: str) -> Path:
    """Return the thumbnail of an image, made now if there is none yet.

    Raises:
        ProblemError: There is no such image (404).
        ImageError: Its pixels are gone, or not those that were stored.
    """
    folder = store.settings.files
    with store.reading() as session:
        known = session.get(Image, image)
    if known is None:
        raise not_found("image")
    path = blobs.make_thumbnail(folder, image, known.sha256)
    with store.reading() as session:
        if session.get(Image, image) is None:  # erased meanwhile: no picture may outlive that
            blobs.erase(folder, image)
            raise not_found("image")
    return path


def erase(store: Store, studies: Sequence[str]) -> dict[str, Any]:
    """Erase studies with their images, predictions, heatmaps, reads and identities; return what was erased.

    A patient without a further study is forgotten too, and exports that can be reached lose their copies. The audit log
    keeps the opaque numbers.
    """
    with store.writing() as session:
        store.alone(session)
        images = list(session.scalars(select(Image.id).where(Image.study.in_(studies))))
        predictions = session.scalar(select(func.count()).select_from(Prediction).where(Prediction.study.in_(studies)))
        patients = set(session.scalars(select(Study.patient).where(Study.id.in_(studies)))) - {None}
        session.execute(delete(Event).where(Event.study.in_(studies)))
        exports.mark(session, studies)
        session.execute(delete(Study).where(Study.id.in_(studies)))
        left = set(session.scalars(select(Study.patient).where(Study.patient.in_(patients))))
        session.execute(delete(Identity).where(Identity.patient.in_(patients - left)))
        session.add_all(Event(kind="study", study=study, subject=study, state="erased", at=now()) for study in studies)
    for image in images:
        blobs.erase(store.settings.files, image)
    cleared = exports.clear(store)
    return {
        "studies": len(studies),
        "images": len(images),
        "predictions": predictions or 0,
        "exports_cleared": list(cleared.reached),
        "exports_unreached": list(cleared.unreached),
    }


def sweep(store: Store) -> int:
    """Remove files that no row names, and what exports still hold of erased studies; return how many files."""
    exports.clear(store)

    def known(image: str) -> bool:
        with store.reading() as session:
            return session.get(Image, image) is not None

    return blobs.sweep(store.settings.files, known)
