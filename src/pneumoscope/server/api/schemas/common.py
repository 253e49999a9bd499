"""What goes over the wire, in both directions; the OpenAPI description is generated from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic reads typing's own from Python 3.12 on only

from pneumoscope.server.inference.models import AuditStatus
from pneumoscope.server.reading.reads import Progress
from pneumoscope.server.security.tokens import DEFAULT_DAYS, LONGEST_DAYS
from pneumoscope.server.studies.erasure import Erasure
from pneumoscope.server.studies.patients import SameNumberNote
from pneumoscope.server.uploads.outcome import FileOutcome

Probability = Annotated[float, Field(ge=0, le=1)]
State = Literal["queued", "running", "done", "failed"]
Values = dict[str, str | int | float]
ID = Field(description="opaque; random")


class Sent(BaseModel):
    """Base of what a client sends: an unknown member is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Facts(TypedDict, total=False):
    """What is stored of a file's metadata, in known terms; what the file does not say in them is absent."""

    view: str
    modality: str
    body_part: str
    laterality: str
    sex: str
    age: Annotated[float, Field(description="years, at most 90")]
    manufacturer: str
    pixel_spacing_row: Annotated[float, Field(description="mm between the centres of rows")]
    pixel_spacing_col: Annotated[float, Field(description="mm between the centres of columns")]
    pixel_spacing_kind: Annotated[
        Literal["patient", "detector"], Field(description="where the mm hold; at the detector the chest is magnified")
    ]
    pixel_aspect_row: Annotated[float, Field(description="height of a pixel in any unit, where no mm are known")]
    pixel_aspect_col: Annotated[float, Field(description="width of a pixel in the same unit")]
    orientation: Annotated[Literal["stated"], Field(description="the file says where the patient's sides are")]
    largest_value: Annotated[int, Field(description="of a 16-bit PNG or TIFF, at most 4,095: nearly black")]
    depth: Annotated[int, Field(description="bits in use in a 16-bit PNG or TIFF, as the sender declared them")]
    window: Annotated[Literal["ignored"], Field(description="the file's window is none that the standard allows")]
    rescale: Annotated[Literal["ignored"], Field(description="the file's slope is 0, or slope or intercept is absent")]
    lut_bits: Annotated[int, Field(description="depth of the file's table, where it is less than declared")]
    lut_bits_declared: int
    exif: Annotated[Literal["damaged"], Field(description="if the image has to be turned, nobody knows")]
    colour_share: Annotated[float, Field(description="share of the picture that has a colour, above 0")]
    portable: Annotated[Literal[True], Field(description="the file says that the image was taken at the bed")]
    burned_in: Annotated[Literal["NO", "unknown"], Field(description="names in the pixels; DICOM only")]


class ImageOut(BaseModel):
    """One radiograph."""

    id: str = ID
    format: str = Field(description="of the file as it came")
    bits: int
    width: int
    height: int
    facts: Facts = Field(description="never a name, number or date")


class PredictionState(BaseModel):
    """The state of a prediction."""

    id: str = ID
    image: str
    model: str = Field(description="first 12 digits of the bundle's identity")
    state: State
    refusal: str | None = Field(
        default=None,
        description="code of the first reason why the model gave no answer; null where it gave one, and, before your "
        "own read, where the reason is the model's score",
    )
    decision: str | None = Field(
        default=None,
        description="in lists: of an answer that was shown to you, once your report is final; a label, or the findings "
        'of a multi-label model, joined by "; "',
    )


class LabelOut(BaseModel):
    """One's own label of a study."""

    key: str = Field(description="the same for all studies with this label, whatever its case")
    text: str


class StudyOut(BaseModel):
    """One examination."""

    id: str = ID
    patient: str | None = Field(description="pseudonym; null where the files name no patient")
    patient_note: SameNumberNote | None = Field(
        default=None,
        description="another patient here has the same PatientID; only for accounts that see names",
    )
    file: str | None = Field(
        default=None, description="name of the file; for its sender alone, of a study whose file names no patient"
    )
    label: LabelOut | None = Field(default=None, description="the asker's own")
    received: datetime
    images: list[ImageOut]
    predictions: list[PredictionState]
    own_read: Progress = Field(
        description="the asker's own report: a draft, the unaided read locked, final; shown: an answer, and no report"
    )
    prior: bool = Field(
        default=False,
        description="it was fetched from an archive for comparison: no model is asked, and nobody reads it",
    )


class StudyPage(BaseModel):
    """A page of studies, by time of receipt."""

    studies: list[StudyOut]
    total: int | None = Field(
        default=None, description="studies on all pages, counted up to 10,000; only on the first page"
    )
    next: str | None = Field(description="cursor of the next page; null on the last")


class FileOut(BaseModel):
    """What became of one file of an upload."""

    file: str = Field(description="by its place in the upload, never by its name")
    status: Literal["accepted", "duplicate", "refused"]
    study: str | None = None
    image: str | None = None
    predictions: list[str] = []
    problem: str | None = Field(default=None, description="why it was refused, in English")
    code: str | None = Field(default=None, description="the same as a code; docs/operations/server.md lists the codes")
    values: Values | None = Field(default=None, description="what those words need")

    @classmethod
    def of(cls, outcome: FileOutcome) -> FileOut:
        """Return an outcome as it is sent."""
        refusal, image = outcome.refusal, outcome.image
        if refusal is not None:
            problem = f"{refusal.problem} {refusal.way_out}".strip()
            code, values = (refusal.code, refusal.values) if refusal.code else (None, None)
            return cls(file=outcome.file, status=outcome.status, problem=problem, code=code, values=values)
        if image is None:
            return cls(file=outcome.file, status=outcome.status)
        predictions = [row.id for row in image.predictions]
        return cls(
            file=outcome.file, status=outcome.status, study=image.study, image=image.image, predictions=predictions
        )


class PredictionOut(PredictionState):
    """A prediction, with its result where this reader may see it."""

    study: str
    asked: datetime
    finished: datetime | None
    model_off: bool = Field(description="the model was switched off since: do not rely on this answer")
    withheld: str | None = Field(default=None, description="why the result is not shown; null where it is")
    withheld_code: Literal["read-first"] | None = Field(
        default=None, description="the same as a code, for other languages"
    )
    result: dict[str, Any] | None = None


class UploadOut(BaseModel):
    """What became of an upload."""

    files: list[FileOut]
    answers: list[PredictionOut] | None = Field(
        default=None, description="of the models asked; only with `Prefer: wait`"
    )


class Ask(Sent):
    """Which models to ask about all images of a study."""

    models: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1, max_length=20)


class HeatmapOut(BaseModel):
    """Where a model looked: row 0 = head. It is not a localisation."""

    labels: list[str]
    rows: int
    columns: int
    values: list[list[list[float]]] = Field(description="[label][row][column] in 0..1")

    @classmethod
    def of(cls, labels: Sequence[str], values: NDArray[np.float32]) -> HeatmapOut:
        """Return heatmaps [C, h, w], rounded to what a screen can show."""
        _, rows, columns = values.shape
        rounded = np.round(values.astype(float), 4).tolist()
        return cls(labels=list(labels), rows=rows, columns=columns, values=rounded)


class SameNumberOut(BaseModel):
    """Another patient with the same PatientID under the same issuer."""

    patient: str = Field(description="pseudonym")
    other_name: bool = Field(description="name or birth date differ; else only an account without names sent the files")


class IdentityOut(BaseModel):
    """Who was examined, and when; as the file says it."""

    patient: dict[str, str] | None
    examination: dict[str, str] | None
    same_number: list[SameNumberOut] = []


class ModelOut(BaseModel):
    """A model in the list."""

    id: str = Field(description="first 12 digits of the identity")
    identity: str
    name: str
    version: str
    summary: str
    kind: Literal["binary", "multiclass", "multilabel"] = Field(
        description="multilabel: it answers about each label by itself"
    )
    labels: list[str]
    label_names: dict[str, dict[str, str]] = Field(
        description="label -> language -> name on screen, of labels that the app does not bring"
    )
    not_looked_for: list[str]
    synthetic: bool
    stamps: list[str]
    builtin: bool
    on: bool
    audit: AuditStatus = Field(
        description="the newest audit's verdict; unreadable: altered. Neither of the last two answers a posterior"
    )


class ModelDetail(ModelOut):
    """A model with its card, its evidence and its switches."""

    card: dict[str, Any]
    evidence: list[dict[str, Any]]
    files: list[str]
    switches: list[SwitchOut]


class SwitchIn(Sent):
    """Switch a model off, or on again."""

    on: bool
    reason: Annotated[str, Field(min_length=3, max_length=1000)]


class SwitchOut(BaseModel):
    """A model was switched."""

    on: bool
    reason: str
    by: str
    at: datetime


class AnsweredOut(BaseModel):
    """One answer of a model: the patient, and the readers who saw it."""

    study: str
    patient: str | None
    prediction: str
    finished: datetime | None
    decision: str | None
    shown_to: list[str]


class Credentials(Sent):
    """A name and a password."""

    name: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=256)]


class PasswordIn(Sent):
    """One's own password, and the next one."""

    old: Annotated[str, Field(max_length=256)]
    new: Annotated[str, Field(min_length=12, max_length=256)]


class Me(BaseModel):
    """The account that asks."""

    id: str
    name: str
    role: Literal["reader", "admin"]
    sees_names: bool
    csrf: str | None = Field(description="send it as X-CSRF-Token with every change; null where none is needed")
    idle_seconds: float | None = Field(description="a session ends after so long without use")


class TokenIn(Sent):
    """A token for a program."""

    label: Annotated[str, Field(min_length=1, max_length=64)]
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS, description="how long it lives")] = DEFAULT_DAYS


class TokenOut(BaseModel):
    """A token for a program."""

    id: str = ID
    label: str
    created: datetime
    expires: datetime = Field(description="from then on it is refused")
    token: str | None = Field(default=None, description="shown once, when it is created")


class PatientNumber(Sent):
    """How a patient is numbered in DICOM."""

    patient_id: Annotated[str, Field(min_length=1, max_length=256)]
    issuer: Annotated[str, Field(max_length=256)] = ""


class PseudonymsOut(BaseModel):
    """The pseudonyms of a number."""

    patient: str = Field(description="the first")
    patients: list[str] = Field(description="all of them; more than one where files of one number differ in name")


class StudiesToErase(Sent):
    """Which studies to erase."""

    studies: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1, max_length=500)


class ErasedOut(BaseModel):
    """What was erased."""

    studies: int
    images: int
    predictions: int
    exports_cleared: list[str] = Field(description="exports from which copies were removed, by number")
    exports_unreached: list[str] = Field(
        description="exports whose folder is not there: `pneumoscope reads exports` says where it was, and tries again"
    )

    @classmethod
    def of(cls, erasure: Erasure) -> ErasedOut:
        """Return an erasure as it is sent."""
        return cls(
            studies=erasure.studies,
            images=erasure.images,
            predictions=erasure.predictions,
            exports_cleared=list(erasure.exports_cleared),
            exports_unreached=list(erasure.exports_unreached),
        )


class AccessOut(BaseModel):
    """One line of the audit log."""

    id: int
    at: datetime
    who: str
    address: str
    action: str
    subject: str
    status: int
    request: str


class AboutOut(BaseModel):
    """What this server is and which limits it has."""

    name: Literal["Pneumoscope"] = "Pneumoscope"
    version: str
    disclaimer: str
    accounts: bool
    reads_first: bool
    dicom: bool = Field(description="it is a node of a DICOM network")
    limits: dict[str, int]


class ProblemOut(BaseModel):
    """Why a request was refused (RFC 9457), in English; with a code, a page can say it in its own language."""

    type: str = Field(
        description="urn:pneumoscope:problem:CODE (docs/operations/server.md lists the codes), or about:blank"
    )
    title: str
    status: int
    detail: str
    instance: str
    values: Values | None = Field(default=None, description="what words for the code need; absent without a code")


def as_time(seconds: float) -> datetime:
    """Return a stored time as a date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


ModelDetail.model_rebuild()
