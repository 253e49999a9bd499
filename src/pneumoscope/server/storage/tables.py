"""The tables of the database: one class for each.

Times are seconds since 1970 (UTC). Identifiers are random and opaque. What names a person is in `Identity` and
`ExamIdentity` only, sealed; every other table shows medical findings without a name. Predictions, reads and references
are only ever added: a new answer is a new row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite numbers rows by itself only where the key is INTEGER.
Counter = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {str: String(64), dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class StoreSetting(Base):
    """A value for the whole store: its number, the fingerprint of its secret, the last look of the retention."""

    __tablename__ = "facts"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Account(Base):
    """Someone who may log in."""

    __tablename__ = "accounts"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str] = mapped_column(Text)
    role: Mapped[str]
    sees_names: Mapped[bool]
    disabled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[float]
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[float] = mapped_column(default=0.0)


class Login(Base):
    """A session; the cookie's value is stored as a hash only."""

    __tablename__ = "logins"
    token: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    csrf: Mapped[str]
    created: Mapped[float]
    seen: Mapped[float]


class LoginAttempt(Base):
    """Logins of one account from one address."""

    __tablename__ = "login_attempts"
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    """Since the last right password or the last lock."""
    locked_until: Mapped[float] = mapped_column(default=0.0)
    known: Mapped[bool] = mapped_column(default=False)
    """The right password once came from this address."""


class Token(Base):
    """A token for programs; it is stored as a hash only."""

    __tablename__ = "tokens"
    id: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    label: Mapped[str]
    created: Mapped[float]
    expires: Mapped[float]


class Identity(Base):
    """Who a patient is, sealed; found by the HMAC of (issuer, PatientID), which several may have."""

    __tablename__ = "identities"
    key: Mapped[str] = mapped_column(primary_key=True)
    patient: Mapped[str] = mapped_column(unique=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    number: Mapped[str] = mapped_column(index=True)
    """HMAC of (issuer, PatientID)."""
    scope: Mapped[str] = mapped_column(default="")
    """Account that sent the files, where it may not see names; empty for all others (see `studies.patients`)."""


class ExamIdentity(Base):
    """When an examination took place and under which numbers, or the name of a file that says neither, sealed."""

    __tablename__ = "exam_identities"
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ReaderLabel(Base):
    """A reader's own label of a study."""

    __tablename__ = "study_labels"
    __table_args__ = (Index("study_labels_by_key", "reader", "key"),)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    reader: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    """HMAC of reader and label: the same for equal labels of one reader."""
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[float]


class Study(Base):
    """One examination: one or more images."""

    __tablename__ = "studies"
    __table_args__ = (Index("studies_by_time", "received", "id"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str | None] = mapped_column(unique=True)
    """HMAC of the StudyInstanceUID; null where the file has none."""
    patient: Mapped[str | None] = mapped_column(index=True)
    received: Mapped[float]
    received_by: Mapped[str]
    prior: Mapped[bool] = mapped_column(default=False)
    """It was fetched from an archive for comparison with a later study (`PriorFetch`), and no model is asked about it.
    Such a study is in no list, sum or result; where somebody sends it, it becomes one like all others."""


class Image(Base):
    """One radiograph: its pixels lie in a file named by ``id``."""

    __tablename__ = "images"
    id: Mapped[str] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    source: Mapped[str] = mapped_column(unique=True)
    """HMAC of the uploaded bytes: the same file twice is one image."""
    sha256: Mapped[str]
    """Of the stored pixels."""
    format: Mapped[str]
    bits: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    facts: Mapped[dict[str, Any]]
    """What may be stored of the file's metadata, see `deidentify.allowed_facts`."""
    received: Mapped[float]


class StoredPrediction(Base):
    """One answer of one model about one image. Those that wait or run are the queue."""

    __tablename__ = "predictions"
    __table_args__ = (
        Index("predictions_by_state", "state", "asked"),
        Index("predictions_by_study", "study", "state", "model"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    image: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    model: Mapped[str] = mapped_column(index=True)
    """The bundle's identity, whole."""
    state: Mapped[str]
    """queued, running, done, failed."""
    asked: Mapped[float]
    asked_by: Mapped[str]
    worker: Mapped[str | None]
    lease: Mapped[float] = mapped_column(default=0.0)
    attempts: Mapped[int] = mapped_column(default=0)
    finished: Mapped[float | None]
    result: Mapped[dict[str, Any] | None]
    heatmap: Mapped[bytes | None] = mapped_column(LargeBinary)
    """float32, little endian; its shape [C, h, w] is in the result."""


class Switch(Base):
    """A model was switched off or on; the newest row of a model counts."""

    __tablename__ = "switches"
    id: Mapped[int] = mapped_column(Counter, primary_key=True)
    model: Mapped[str] = mapped_column(index=True)
    on: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str]
    at: Mapped[float]


class Read(Base):
    """One version of a reader's own report; never changed."""

    __tablename__ = "reads"
    __table_args__ = (UniqueConstraint("study", "reader", "version"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    reader: Mapped[str]
    version: Mapped[int]
    stage: Mapped[str]
    """unaided, aided."""
    state: Mapped[str]
    """draft, final, addendum."""
    content: Mapped[dict[str, Any]]
    displayed: Mapped[list[str]]
    """Predictions that had been shown to this reader when it was written."""
    at: Mapped[float]


class Display(Base):
    """A model's answer was shown to someone."""

    __tablename__ = "displays"
    id: Mapped[int] = mapped_column(Counter, primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    prediction: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), index=True)
    reader: Mapped[str] = mapped_column(index=True)
    what: Mapped[str]
    """result, heatmap, posterior, list."""
    at: Mapped[float]


class SumDisplay(Base):
    """A sum over a model's answers was shown to someone: which answers they are is said in `reading.shown`."""

    __tablename__ = "sum_displays"
    __table_args__ = (Index("sum_displays_by_reader", "reader", "model", "through"),)
    id: Mapped[int] = mapped_column(Counter, primary_key=True)
    reader: Mapped[str]
    model: Mapped[str]
    """The bundle's identity, whole."""
    start: Mapped[float | None]
    """Of the period in which the studies were received; null: no limit."""
    end: Mapped[float | None]
    """The first moment after it; null: no limit."""
    through: Mapped[float]
    """When the newest of the answers was finished."""
    at: Mapped[float]


class Reference(Base):
    """The finding of a test independent of the radiograph; a correction is a further row."""

    __tablename__ = "reference_results"
    id: Mapped[str] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    standard: Mapped[str]
    label: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    """The date of the test, sealed like all dates."""
    by: Mapped[str]
    at: Mapped[float]


class Event(Base):
    """Something changed; pages that watch read these rows."""

    __tablename__ = "events"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # a number never comes twice, even after clearing
    id: Mapped[int] = mapped_column(Counter, primary_key=True)
    kind: Mapped[str]
    study: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str]
    at: Mapped[float]


class Access(Base):
    """One line of the audit log: who did what to which thing. It stays when the thing itself is erased."""

    __tablename__ = "accesses"
    id: Mapped[int] = mapped_column(Counter, primary_key=True)
    at: Mapped[float] = mapped_column(index=True)
    who: Mapped[str] = mapped_column(index=True)
    address: Mapped[str]
    action: Mapped[str] = mapped_column(String(160))
    subject: Mapped[str] = mapped_column(index=True)
    status: Mapped[int]
    request: Mapped[str]


class ArchivedObject(Base):
    """An image that came as a DICOM object, with what its header said, sealed: results go back with those tags."""

    __tablename__ = "archived_objects"
    key: Mapped[str] = mapped_column(primary_key=True)
    """HMAC of the SOPInstanceUID: an object is one job, however often it is sent."""
    content: Mapped[str]
    """HMAC of the object as it came."""
    image: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    sender: Mapped[str]
    """The peer, as ``dicom:TITLE``."""
    received: Mapped[float]


class KeptFile(Base):
    """The file of an archived object as it came, where the server is set to keep files; its bytes lie sealed."""

    __tablename__ = "kept_files"
    key: Mapped[str] = mapped_column(ForeignKey("archived_objects.key", ondelete="CASCADE"), primary_key=True)
    """Of the object, see `ArchivedObject`."""
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    blob: Mapped[str] = mapped_column(index=True, unique=True)
    """Number of the sealed file."""
    syntax: Mapped[str]
    """UID of its transfer syntax."""


class UploadedHeader(Base):
    """The header of a DICOM file that was uploaded, sealed: it has the tags of patient and study for reports.

    An object of a peer has its header in `ArchivedObject`. Uploads have none there, since results go back by
    themselves to where an archived object came from, and an upload came from nowhere.
    """

    __tablename__ = "uploaded_headers"
    image: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class QuarantinedObject(Base):
    """An object with other pixels under the SOPInstanceUID of an object here; its bytes lie in a sealed file."""

    __tablename__ = "quarantined_objects"
    __table_args__ = (UniqueConstraint("key", "content"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    """Of the object that was here first, see `ArchivedObject`."""
    content: Mapped[str]
    """HMAC of the object as it came: sent again, it is kept once."""
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    """Of the object that was here first."""
    sender: Mapped[str]
    received: Mapped[float]


class ResultObject(Base):
    """A DICOM object that this server made of a study's results; its bytes never change once they are here."""

    __tablename__ = "result_objects"
    sop_uid: Mapped[str] = mapped_column(primary_key=True)
    """Follows from what the object says, see `dicom.results`."""
    sop_class: Mapped[str]
    series_uid: Mapped[str]
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    """See `dicom.results.ResultKind`."""
    model: Mapped[str]
    """The bundle's identity, whole; empty where none is concerned."""
    subject: Mapped[str]
    """Number of the image, or id of the reader, that it is about; empty where it is about the whole study."""
    predecessor: Mapped[str | None]
    """SOPInstanceUID of the object in whose place it stands."""
    state: Mapped[str]
    """current, superseded, retracted."""
    made: Mapped[float]
    blob: Mapped[str] = mapped_column(index=True, unique=True)
    """Number of the sealed file that holds the object as a DICOM file."""


class ArrivingObject(Base):
    """An object that came, or a final report that was signed, since the results of its study were last handed on."""

    __tablename__ = "arriving_objects"
    key: Mapped[str] = mapped_column(primary_key=True)
    """Of the object, see `ArchivedObject`; or of the report, ``read-`` and its number; ``again-``
    and a new one where results have to be made again."""
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    received: Mapped[float]


class OutboundItem(Base):
    """A result that goes, or went, to an archive: once to each."""

    __tablename__ = "outbound_items"
    __table_args__ = (
        UniqueConstraint("sop_uid", "destination"),
        Index("outbound_items_due", "destination", "state", "next_attempt"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    sop_uid: Mapped[str] = mapped_column(ForeignKey("result_objects.sop_uid", ondelete="CASCADE"))
    destination: Mapped[str]
    """Its name in the file of routes."""
    rule: Mapped[str] = mapped_column(Text)
    """Name of the rule that sends it."""
    state: Mapped[str]
    """queued, sending, sent, committed, dead, withdrawn."""
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt: Mapped[float]
    """Of those that are queued."""
    last_error: Mapped[str] = mapped_column(Text, default="")
    worker: Mapped[str | None]
    lease: Mapped[float] = mapped_column(default=0.0)
    """When another sender may take over what is being sent."""
    queued: Mapped[float]
    """When its time began to run, after which it is tried no more."""
    sent: Mapped[float | None]
    commit: Mapped[bool]
    """The archive is asked to commit itself to keeping it."""
    ask_at: Mapped[float | None]
    """When the archive is to be asked, or asked again."""
    request: Mapped[str | None] = mapped_column(index=True)
    """Transaction UID of the last such request."""


class PriorFetch(Base):
    """What an archive is asked for beside a study: which earlier studies its patient has, and each of these."""

    __tablename__ = "prior_fetches"
    __table_args__ = (UniqueConstraint("study", "key"), Index("prior_fetches_due", "state", "next_attempt"))
    id: Mapped[str] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    """The study that came."""
    key: Mapped[str] = mapped_column(index=True)
    """Of the earlier study, see `Study.key`; empty: the search for earlier studies."""
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The UIDs of what is fetched; null: the search."""
    state: Mapped[str]
    """queued, running, done, failed."""
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt: Mapped[float]
    """Of those that are queued."""
    last_error: Mapped[str] = mapped_column(Text, default="")
    worker: Mapped[str | None]
    lease: Mapped[float] = mapped_column(default=0.0)
    """When another server may take over what is running."""
    message: Mapped[int | None]
    """Message ID of the C-MOVE that runs: what it brings names it."""
    queued: Mapped[float]
    """When its time began to run, after which it has failed."""
    finished: Mapped[float | None]
    found: Mapped[int] = mapped_column(default=0)
    """Of a search: the studies that the archive named."""
    taken: Mapped[int] = mapped_column(default=0)
    """Images that came; of a search: earlier studies that are fetched or here."""
    dropped: Mapped[int] = mapped_column(default=0)
    """What came and was not what was asked for."""
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes of what came."""
    prior: Mapped[str | None] = mapped_column(ForeignKey("studies.id", ondelete="SET NULL"), index=True)
    """Number of the earlier study: it stays here as long as one of these rows names it."""


class RejectedObject(Base):
    """An image that was rejected after the examination; it is in no result any more."""

    __tablename__ = "rejected_objects"
    key: Mapped[str] = mapped_column(primary_key=True)
    """See `ArchivedObject`; the image need not have come yet."""
    code: Mapped[str]
    """Why, by PS3.16 CID 7011."""
    sender: Mapped[str]
    received: Mapped[float]


class Export(Base):
    """A folder to which images were exported, so that erasing a patient can reach it."""

    __tablename__ = "exports"
    id: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(Text)
    made: Mapped[float]


class ExportedStudy(Base):
    """A study in an export; the row outlasts the study until the folder has lost it too."""

    __tablename__ = "exported_studies"
    export: Mapped[str] = mapped_column(ForeignKey("exports.id", ondelete="CASCADE"), primary_key=True)
    study: Mapped[str] = mapped_column(primary_key=True, index=True)
    erased: Mapped[bool] = mapped_column(default=False)
    """The study was erased here, and is still to be removed from the folder."""


def table_of(kind: type[Base]) -> Table:
    """Return the table of a class, for statements that need no objects."""
    return Base.metadata.tables[kind.__tablename__]
