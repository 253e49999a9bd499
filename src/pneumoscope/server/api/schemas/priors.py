"""What the routes of earlier studies answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from pneumoscope.server.api.schemas.common import ID

PriorState = Literal["queued", "running", "done", "failed"]


class PriorRuleOut(BaseModel):
    """Which earlier studies are fetched from where."""

    title: str = Field(description="AE title of the archive")
    host: str
    port: int
    encrypted: bool
    retrieve: Literal["move", "get"]
    studies: int = Field(description="the newest so many")
    years: float = Field(description="no older ones")
    modalities: list[str]
    body_parts: list[str] = Field(description="none: any part")


class PriorsOut(BaseModel):
    """The rule, and how many searches and fetches are in which state."""

    rule: PriorRuleOut | None = Field(description="null: nothing is fetched")
    counts: dict[PriorState, int]


class PriorFetchOut(BaseModel):
    """A search for the earlier studies of a patient, or the fetch of one of them."""

    id: str = ID
    what: Literal["search", "fetch"]
    study: str = Field(description="number of the study that came")
    prior: str | None = Field(description="number of the earlier study, once an image of it is here")
    state: PriorState
    attempts: int
    next_attempt: datetime | None = Field(description="of one that is queued")
    last_error: str
    found: int = Field(description="of a search: earlier studies that the archive named")
    taken: int = Field(description="images; of a search: the earlier studies that are fetched or here")
    dropped: int = Field(description="what came and was not what was asked for")
    queued: datetime
    finished: datetime | None
