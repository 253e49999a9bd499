"""The upload service: it owns an upload from bytes to rows.

First `UploadService.stage` unpacks the files, has them decoded and their pixels written; this takes long, holds no
transaction and needs no lock. Then the rows are written in one transaction, which is short. Routes and the demo do the
same two steps; nothing else stores an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO

from sqlalchemy import Row

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import TooLargeError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import StoredPrediction
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies import lookup
from pneumoscope.server.uploads.archive import is_archive, read_files
from pneumoscope.server.uploads.decoder_pool import DecoderPool
from pneumoscope.server.uploads.deidentify import DecodedUpload
from pneumoscope.server.uploads.headers import HeaderCheck
from pneumoscope.server.uploads.outcome import AddedImage, FileOutcome, NothingStoredError
from pneumoscope.server.uploads.rows import UploadRows
from pneumoscope.server.uploads.staging import StagedUpload

_MOST_SLOW = 3
"""Files of an upload that may take too long; the files after them are not tried."""


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An upload whose rows are in the database."""

    models: Sequence[str]
    """Identities of the models that were asked."""
    outcomes: Sequence[FileOutcome]
    """What became of each file, in the order of the upload; at least one was stored."""
    answered_at_once: bool
    """The models answered while the files were stored, so that no prediction of this upload waits."""

    @property
    def images(self) -> list[AddedImage]:
        """The images of the files that were not refused."""
        return [outcome.image for outcome in self.outcomes if outcome.image is not None]

    @property
    def study(self) -> str:
        """The study of the first image."""
        return self.images[0].study

    def ready_answers(self) -> list[StoredPrediction] | None:
        """Return all answers that were asked for; None where some are still to come, or were given before."""
        if not self.answered_at_once or any(image.duplicate for image in self.images):
            return None
        return [row for image in self.images for row in image.predictions]

    def asked_predictions(self, session: Transaction) -> list[Row[Any]]:
        """Return the predictions of the models that were asked about the images of this upload, finished or not."""
        images = {image.image for image in self.images}
        studies = list(dict.fromkeys(image.study for image in self.images))
        by_study = lookup.predictions_of(session, studies)
        return [row for rows in by_study.values() for row in rows if row.image in images and row.model in self.models]


class PendingUpload:
    """An upload whose pixels are on the disk and whose rows are not yet written.

    Used in a ``with``: at its end the pixels that no row names are deleted again.
    """

    def __init__(
        self, store: Store, models: Sequence[str], outcomes: Sequence[FileOutcome], staged: StagedUpload
    ) -> None:
        self._store = store
        self._models = models
        self._outcomes = outcomes
        self._staged = staged

    @property
    def pixel_hashes(self) -> list[str]:
        """SHA-256 of the pixels of each file that can be stored, as they are stored."""
        return [file.decoded.png_sha256 for file in self._staged.files]

    @property
    def decoded(self) -> list[DecodedUpload]:
        """What is known of each file that can be stored."""
        return [file.decoded for file in self._staged.files]

    @property
    def models(self) -> Sequence[str]:
        """Identities of the models that are asked."""
        return self._models

    def write_rows(
        self, session: Transaction, account: str, scope: str = "", *, keeps_headers: bool = True, prior: bool = False
    ) -> StoredUpload:
        """Write the rows. When the transaction is committed, give what this returned to `confirm`.

        Args:
            session: A transaction that is exclusive (`Store.commit`); it may be undone and this called again.
            account: Number of the account that sends the upload.
            scope: The same where that account may not see names, see `studies.patients`.
            keeps_headers: See `UploadRows`.
            prior: See `UploadRows`.

        Raises:
            NothingStoredError: No file can be stored.
            BusyError: The queue is full.
            ConflictError: A model is switched off.
        """
        files = self._staged.files
        added = iter(UploadRows(self._store, session, self._models, account, scope, keeps_headers, prior).add(files))
        outcomes = [
            outcome if outcome.refusal is not None else _outcome_of(outcome.file, next(added))
            for outcome in self._outcomes
        ]
        if all(outcome.image is None for outcome in outcomes):
            raise NothingStoredError(outcomes)
        return StoredUpload(self._models, outcomes, all(file.decoded.answers for file in files))

    def confirm(self, stored: StoredUpload) -> None:
        """Note that the rows are committed, so that their pixels stay."""
        self._staged.named = {image.image for image in stored.images}

    def __enter__(self) -> PendingUpload:
        return self

    def __exit__(self, *_: object) -> None:
        self._staged.__exit__()


class UploadService:
    """Stores uploads."""

    def __init__(self, store: Store, settings: Settings, catalogue: Catalogue, decoders: DecoderPool) -> None:
        self._store = store
        self._settings = settings
        self._catalogue = catalogue
        self._decoders = decoders

    def stage(
        self,
        files: Sequence[BinaryIO],
        models: Sequence[str],
        account: str,
        *,
        sent_names: Sequence[str] = (),
        depth: int | None = None,
        sender_waits: bool = False,
        check: HeaderCheck | None = None,
    ) -> PendingUpload:
        """Decode the files of an upload and write their pixels; durable when this returns.

        Args:
            files: Images, DICOM files or ZIP archives, each read from its start.
            models: Names of the models to ask about each image.
            account: Number of the account that sends the upload.
            sent_names: One for each file; none where they are not known.
            depth: Bits in use in 16-bit files, see `imaging.read.read`.
            sender_waits: Whether the sender waits for the answers.
            check: Checks the header of each DICOM file before its pixels are decoded.

        Raises:
            NotFoundError: There is no such model.
            TooLargeError: There are too many files, or an archive breaks a limit.
            InvalidRequestError: An archive is damaged or empty.
            NothingStoredError: No file can be stored.
            UnavailableError: The server stops.
        """
        limit = self._settings.max_files
        if len(files) > limit:
            raise _too_many(f"has {len(files)} files; at most {limit} are taken.", limit)
        identities = list(dict.fromkeys(self._catalogue.get(name).identity for name in models))
        # One image is answered soonest where it is decoded; several are better spread over the workers.
        at_once = identities if sender_waits and len(files) == 1 and not is_archive(files[0]) else ()
        outcomes: list[FileOutcome] = []
        slow = 0
        with ExitStack() as undo:
            staged = undo.enter_context(StagedUpload(self._store))
            for file in read_files(files, self._settings, sent_names):
                try:
                    if slow >= _MOST_SLOW:
                        raise _not_tried(file.name)
                    with self._decoders.borrow(account) as decoder:
                        staged.add(decoder, file, at_once, depth, check)
                    outcomes.append(FileOutcome(file.name))
                except ImageError as error:
                    slow += error.code == "takes-too-long"
                    # Its frames hold the file, and those of hundreds of refused files would pile up.
                    error.__traceback__ = error.__cause__ = error.__context__ = None
                    outcomes.append(FileOutcome(file.name, refusal=error))
                if len(outcomes) > limit:
                    raise _too_many(f"has more than {limit} files.", limit)
            if not staged.files:
                raise NothingStoredError(outcomes)
            undo.pop_all()
        return PendingUpload(self._store, identities, outcomes, staged)

    def store(
        self, files: Sequence[BinaryIO], models: Sequence[str], account: str, sent_names: Sequence[str] = ()
    ) -> Sequence[FileOutcome]:
        """Store an upload and queue the models that are asked; durable when this returns.

        Args:
            files: As for `stage`.
            models: As for `stage`.
            account: As for `stage`.
            sent_names: As for `stage`.

        Raises:
            RefusalError: As for `stage` and `PendingUpload.write_rows`.
        """
        with self.stage(files, models, account, sent_names=sent_names) as pending:
            stored_upload = self._store.commit(lambda session: pending.write_rows(session, account), exclusive=True)
            pending.confirm(stored_upload)
        return stored_upload.outcomes


def _outcome_of(file: str, added: AddedImage | ImageError) -> FileOutcome:
    return FileOutcome(file, refusal=added) if isinstance(added, ImageError) else FileOutcome(file, added)


def _not_tried(name: str) -> ImageError:
    problem = f"was not tried: {_MOST_SLOW} files of this upload take too long to decode."
    return ImageError(name, problem, "Send it without them.", code="takes-too-long")


def _too_many(problem: str, limit: int) -> TooLargeError:
    return TooLargeError("the upload", problem, "Send several.", code="too-many", values={"limit": limit})
