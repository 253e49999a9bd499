"""Searching, and a reader's own labels, over the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pneumoscope.server.api.schemas.common import LabelOut, Sent


class LabelIn(Sent):
    """One's own label of a study."""

    text: Annotated[str, Field(max_length=64, description="empty: takes the label away")]


class OwnLabelOut(LabelOut):
    """One's own label, with the studies that have it."""

    studies: int


class SearchText(Sent):
    """What is searched for."""

    text: Annotated[str, Field(min_length=2, max_length=256)]


class MatchOut(BaseModel):
    """Something that was searched for: which of the numbers is there depends on what it is."""

    kind: Literal["patient", "accession", "study-uid", "file", "label"]
    text: str = Field(description="the patient's name, the study's number, the file's name or the label")
    patient: str | None = Field(default=None, description="pseudonym, to filter the list by")
    study: str | None = None
    label: str | None = Field(default=None, description="key of the label, to filter the list by")
