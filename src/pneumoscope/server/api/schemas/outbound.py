"""What the routes of the outbound queue take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pneumoscope.server.api.schemas.common import ID, Sent
from pneumoscope.server.dicom.calling.unsent import MOST_STUDIES

OutboundState = Literal["queued", "sending", "sent", "committed", "dead", "withdrawn"]


class DestinationOut(BaseModel):
    """An archive that results go to."""

    name: str
    title: str = Field(description="its AE title")
    host: str
    port: int
    encrypted: bool
    commit: bool = Field(description="it is asked for storage commitment")
    kind: Literal["research", "clinical"]
    legal_basis: str
    approver: str
    date: str | None = Field(description="of the approval")
    counts: dict[OutboundState, int] = Field(description="results in each state")


class RuleOut(BaseModel):
    """A routing rule."""

    name: str
    when: dict[str, list[str]] = Field(description="what it asks for; empty: nothing")
    kinds: list[str]
    to: list[str]


class RoutesOut(BaseModel):
    """Where results go."""

    sends: bool = Field(description="this server has a file of routes")
    match: Literal["all", "first"]
    destinations: list[DestinationOut]
    rules: list[RuleOut]


class OutboundItemOut(BaseModel):
    """A result that goes, or went, to a destination."""

    id: str = ID
    study: str = ID
    sop_uid: str
    kind: str
    model: str = Field(description="identity; empty where no model made it")
    destination: str
    rule: str
    state: OutboundState
    attempts: int
    next_attempt: datetime | None = Field(description="of one that is queued")
    last_error: str
    queued: datetime
    sent: datetime | None


class DryRunIn(Sent):
    """The study whose results are routed on trial."""

    study: str = Field(max_length=64, description="its number, or its StudyInstanceUID")


class RuleDecisionOut(BaseModel):
    """What a rule says about a result."""

    model_config = ConfigDict(from_attributes=True)

    rule: str
    matches: bool
    reasons: list[str]
    destinations: list[str] = Field(description="empty where it does not match")


class DryRunOut(BaseModel):
    """What the rules say about one result that a study has or may get."""

    kind: str
    model: str = Field(description="name; empty where no model makes it")
    destinations: list[str]
    decisions: list[RuleDecisionOut]


class UnsentOut(BaseModel):
    """A result that the rules would send to a destination, and that was never queued for it."""

    model_config = ConfigDict(from_attributes=True)

    study: str = ID
    kind: str
    model: str = Field(description="name; empty where no model made it")
    sop_uid: str
    destination: str
    rule: str = Field(description="the first one that sends it there")


class UnsentPartOut(BaseModel):
    """What was found in one part of the studies."""

    model_config = ConfigDict(from_attributes=True)

    results: list[UnsentOut]
    last: str | None = Field(description="give it as `after` to go on; null: no study is left")


class UnsentIn(Sent):
    """The studies of which results are queued."""

    studies: list[Annotated[str, Field(pattern="^[0-9a-z]{1,64}$")]] = Field(
        min_length=1, max_length=MOST_STUDIES, description="their numbers"
    )


class QueuedOut(BaseModel):
    """How many results were queued."""

    queued: int = Field(description="counted for each destination")
