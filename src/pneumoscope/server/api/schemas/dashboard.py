"""Schemas of the dashboard."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, Field

from pneumoscope.server.reading.figures import SiteFigures
from pneumoscope.stats.estimates import Estimate


class ModelCountOut(BaseModel):
    """A model and how often it answered in the period."""

    id: str = Field(description="first 12 digits of the identity")
    name: str | None = Field(description="null where the bundle is no longer on this server")
    version: str | None
    answers: int


class DayOut(BaseModel):
    """One day, UTC."""

    day: date
    studies: int = Field(description="received")


class OperationsOut(BaseModel):
    """How the server runs; no answer can be told from it."""

    studies: int
    images: int
    days: list[DayOut] = Field(description="days with at least one study, in order")
    predictions: dict[str, int] = Field(description="by state: queued, running, done, failed; of the model shown")
    median_seconds: float | None = Field(description="an answer's computing time")
    slowest_seconds: float | None = Field(description="95th percentile")
    references: int = Field(description="reference results entered, superseded ones too")


class DashboardOut(BaseModel):
    """What reads, answers and references come to, and how the server runs."""

    disclaimer: str
    scope: Literal["own", "all"] = Field(
        description="own: figures of the studies whose answers the asker may not be influenced by any more"
    )
    scope_words: str = Field(description="which studies count, as a sentence")
    counted: int = Field(description="studies that count")
    not_counted: int = Field(description="studies of the period that do not, since the asker has yet to read them")
    model: ModelCountOut | None = Field(description="the one that the figures are about; null where none answered")
    findings: tuple[str, ...] = Field(description="of a multi-label model: what `finding` may ask about; else empty")
    operating_point: str | None = Field(description="at which its decisions are made, as its card names it")
    models: list[ModelCountOut]
    operations: OperationsOut
    refused: Estimate | None = Field(description="share of the answered images that the model refused, as counted")
    figures: SiteFigures | None = Field(description="by_reader is empty but for admins")
