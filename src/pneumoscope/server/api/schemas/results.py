"""Shapes of the answers about DICOM objects."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, cast

from pydantic import BaseModel, Field

from pneumoscope.server.api.schemas.common import as_time
from pneumoscope.server.dicom.results.plans import ResultKind
from pneumoscope.server.inference.models import SHORT
from pneumoscope.server.storage.tables import ResultObject

ResultState = Literal["current", "superseded", "retracted"]
KeptKind = ResultKind | Literal["rejection"]
"""What is made of a study, and the notes that retract it."""


class ResultOut(BaseModel):
    """A DICOM object that was made of a study's results."""

    sop_uid: str = Field(description="SOPInstanceUID")
    sop_class: str = Field(description="SOPClassUID")
    kind: KeptKind
    model: str | None = Field(description="short identity of the model; null where none is concerned")
    image: str | None = Field(description="the image that it is about; null where it is about the whole study")
    state: ResultState
    predecessor: str | None = Field(description="SOPInstanceUID of the object that it supersedes")
    made: datetime

    @classmethod
    def of(cls, row: ResultObject) -> ResultOut:
        """Return an object as it is sent."""
        return cls(
            sop_uid=row.sop_uid,
            sop_class=row.sop_class,
            kind=cast(KeptKind, row.kind),
            model=row.model[:SHORT] or None,
            image=None if row.kind.startswith("final") else row.subject or None,
            state=cast(ResultState, row.state),
            predecessor=row.predecessor,
            made=as_time(row.made),
        )
