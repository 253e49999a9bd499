"""The rows of an upload: images, their studies and patients, and the predictions that are asked for.

All of them are one transaction. The files are synced before the rows that name them are committed, and the rows are
committed before the upload is answered: what was accepted is there after any crash, and what a crash leaves over is
files that no row names, which the next start removes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select

from pneumoscope.core.errors import ImageError
from pneumoscope.server.inference import queue
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import (
    Event,
    ExamIdentity,
    Identity,
    Image,
    StoredPrediction,
    Study,
    UploadedHeader,
    table_of,
)
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies.patients import PersonMatch, join_person, match_person
from pneumoscope.server.studies.priors import promote
from pneumoscope.server.uploads.deidentify import DecodedUpload
from pneumoscope.server.uploads.outcome import AddedImage
from pneumoscope.server.uploads.staging import StagedFile

_IMAGES = table_of(Image)
# Built once: building a statement takes longer than running it.
_BY_SOURCE = select(_IMAGES.c.source, _IMAGES.c.id, _IMAGES.c.study).where(
    _IMAGES.c.source.in_(bindparam("sources", expanding=True))
)


@dataclass(frozen=True, slots=True)
class UploadRows:
    """Adds the rows of one upload to a transaction."""

    store: Store
    session: Transaction
    """A transaction that is exclusive (`Store.commit`)."""
    models: Sequence[str]
    """Identities, whole, of the models to ask."""
    account: str
    """Number of the account that sends the upload."""
    scope: str = ""
    """The same number where this account may not see names, see `studies.patients`; else empty."""
    keeps_headers: bool = True
    """Whether the header of a DICOM file is kept here; False: its receiver keeps it (`server.dicom.receiving`)."""
    prior: bool = False
    """Whether the files were fetched for comparison, see `studies.priors`."""
    known: set[str] = field(default_factory=set)
    """Studies of these files that were here before."""

    def add(self, files: Sequence[StagedFile]) -> list[AddedImage | ImageError]:
        """Add rows for the files and queue their predictions, all or nothing; return what became of each file.

        The same file twice is one image, and a model that has answered about it, or is about to, is not asked again: a
        client that sends an upload again because the answer was lost gets the answer, not a second study. A file that
        says it belongs to a study of another patient is not added, and its error says so.

        Raises:
            BusyError: The queue is full.
            ConflictError: A model is switched off.
        """
        sources = [self._source(file) for file in files]
        earlier = self.session.connection().execute(_BY_SOURCE, {"sources": sources})
        images = self.session.images
        for source, image, study in earlier:
            images[source] = image, study
            self.known.add(study)
        rows: list[tuple[str, str, bool] | ImageError] = []
        for file, source in zip(files, sources, strict=True):
            duplicate = source in images
            try:
                if not duplicate:
                    images[source] = file.image, self._add_image(file, source)
            except ImageError as error:
                rows.append(error)
            else:
                rows.append((*images[source], duplicate))
        study_of = {row[0]: row[1] for row in rows if not isinstance(row, ImageError)}
        if not self.prior and (known := set(study_of.values()) & self.known):
            promote(self.session, known, self.account)
        predictions = self._add_predictions(files, study_of)
        return [
            row
            if isinstance(row, ImageError)
            else AddedImage(row[1], row[0], row[2], tuple(predictions.pop(row[0], ())))
            for row in rows
        ]

    def _add_predictions(
        self, files: Sequence[StagedFile], study_of: Mapping[str, str]
    ) -> dict[str, list[StoredPrediction]]:
        """Queue the predictions of the models, or record those that the decoder made already; return them by image.

        Args:
            files: Hold the answers that were given while the files were stored.
            study_of: The study of each image.
        """
        answers = {file.image: file.decoded.answers for file in files}
        older = sorted(set(study_of) - set(answers))  # images that were here already
        requested = queue.find_requested(self.session, older, self.models) if older and self.models else set()
        predictions: dict[str, list[StoredPrediction]] = {image: [] for image in study_of}
        for model in self.models:
            missing = [(study, image) for image, study in study_of.items() if (image, model) not in requested]
            ready = {image: answers[image][model] for _, image in missing if model in answers.get(image, ())}
            waiting = [(study, image) for study, image in missing if image not in ready]
            for row in queue.enqueue(self.store, self.session, waiting, [model], self.account):
                predictions[row.image].append(row)
            for image, result in ready.items():
                row = queue.record(self.session, study_of[image], image, model, result, self.account)
                predictions[image].append(row)
        return predictions

    def _source(self, file: StagedFile) -> str:
        """Return the key of a file's bytes; with a scope a DICOM file is the same as the sender's own alone."""
        if not self.scope or file.decoded.exam is None:
            return file.source
        return self.store.secret.lookup_key("source-of", self.scope, file.source)

    def _add_image(self, file: StagedFile, source: str) -> str:
        """Add an image, and its study if it is the first of it; return the study.

        Raises:
            ImageError: Its study is another patient's; nothing was added.
        """
        time, decoded, exam = now(), file.decoded, file.decoded.exam
        secret, session = self.store.secret, self.session
        key, person = None, exam.person() if exam else None
        if exam and exam.study_uid_bytes:
            scope = ("study-of", self.scope) if self.scope else ("study",)
            key = secret.lookup_key(*scope, exam.study_uid_bytes)
        match = match_person(self.store, session, person, self.scope) if person else None
        study = self._known_study(decoded, key, match) if key else None
        patient = join_person(self.store, session, person, match, self.scope) if person and match else None
        if study is None:
            study = new_id()
            session.append(
                Study,
                {
                    **{"id": study, "key": key, "patient": patient, "received": time, "received_by": self.account},
                    "prior": self.prior,
                },
            )
            if not self.prior:
                event = {"kind": "study", "study": study, "subject": study, "state": "received", "at": time}
                session.append(Event, event)
            if exam is not None or file.sent_name:
                identity = {"file": file.sent_name} if exam is None else exam.exam_identity()
                session.append(ExamIdentity, {"study": study, "sealed": secret.seal(identity, study)})
            if key:
                session.studies[key] = study, match.key if match else None
        session.append(
            Image,
            {
                **{"id": file.image, "study": study, "source": source, "sha256": decoded.png_sha256},
                **{"format": decoded.format, "bits": decoded.bits, "width": decoded.width, "height": decoded.height},
                **{"facts": decoded.facts, "received": time},
            },
        )
        if self.keeps_headers and decoded.header is not None:
            sealed = secret.seal_bytes(decoded.header.json.encode(), file.image)
            session.append(UploadedHeader, {"image": file.image, "sealed": sealed})
        return study

    def _known_study(self, decoded: DecodedUpload, key: str, match: PersonMatch | None) -> str | None:
        """Return the study that a file belongs to; None where the file is the first of its study.

        Raises:
            ImageError: The study is of another patient. A study has exactly one (PS3.3 A.1.2), so one of the two files
                is wrong about who was examined or when, and joining them would show one patient's image as another's.
        """
        studies = self.session.studies
        if key not in studies:
            query = select(Study.id, Identity.key).outerjoin(Identity, Identity.patient == Study.patient)
            row = self.session.execute(query.where(Study.key == key)).one_or_none()
            if row is None:
                return None
            studies[key] = row[0], row[1]
        study, examined = studies[key]
        self.known.add(study)
        if examined != (match.key if match else None):
            raise ImageError(
                decoded.name,
                "its StudyInstanceUID (0020,000D) is that of a study here, but its PatientID (0010,0020), "
                "IssuerOfPatientID (0010,0021), PatientName (0010,0010) or PatientBirthDate (0010,0030) is another: "
                "a study has one patient.",
                "Correct the wrong one at its source.",
                code="other-patient",
            )
        return study
