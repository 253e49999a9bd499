"""What the routes of the outbound queue take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pneumoscope.server.api.schemas.common import ID, Sent

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
