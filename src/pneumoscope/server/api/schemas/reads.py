"""Schemas of what a reader sends and receives: reads, references, a prior, a what-if."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from pneumoscope.server.api.schemas.common import ID, HeatmapOut, Probability, Sent
from pneumoscope.server.inference.occlusion import Mode
from pneumoscope.server.reading.reads import NewRead, ReadState, Stage

LONGEST_CONCLUSION = 20 * 66
"""Characters: 20 labels."""
Coordinate = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
STROKES, POINTS = 200, 5000
"""Limits of one what-if: more than a hand paints, and few enough for a quick answer."""


class ReadIn(Sent):
    """A reader's own report."""

    stage: Stage
    state: ReadState
    likelihoods: dict[Annotated[str, Field(max_length=64)], Probability] = Field(
        default_factory=dict, max_length=20, description="label -> how likely the reader finds it"
    )
    conclusion: Annotated[str, Field(max_length=LONGEST_CONCLUSION)] | None = Field(
        default=None, description='a label, or several findings joined by "; "'
    )
    text: str = Field(default="", max_length=10_000)

    def to_version(self) -> NewRead:
        """Return the report as the version that the domain code adds."""
        return NewRead(self.stage, self.state, self.likelihoods, self.conclusion, self.text)


class ReadOut(BaseModel):
    """One version of a report."""

    id: str = ID
    reader: str
    version: int
    stage: Stage
    state: ReadState
    likelihoods: dict[str, float]
    conclusion: str | None = Field(description='a label, or several findings joined by "; "')
    text: str
    displayed: list[str] = Field(description="predictions that this reader had been shown when it was written")
    at: datetime


class ReferenceIn(Sent):
    """What a test other than the radiograph found."""

    standard: Literal["rt-pcr", "ct", "follow-up", "other"]
    label: Annotated[str, Field(max_length=LONGEST_CONCLUSION)] = Field(
        description='a label, or several findings joined by "; "'
    )
    date: date


class ReferenceOut(BaseModel):
    """A reference result; the date for those who may see dates."""

    id: str = ID
    standard: str
    label: str = Field(description='a label, or several findings joined by "; "')
    date: date | None
    by: str
    at: datetime


class PriorIn(Sent):
    """A pre-test probability and where it comes from; one, so that the same fact is not counted twice."""

    probability: Annotated[float, Field(gt=0, lt=1)]
    source: Annotated[str, Field(min_length=3, max_length=200)]
    finding: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="of a multi-label model: which of its findings the probability is about"
    )


class PosteriorOut(BaseModel):
    """What an answer makes of a pre-test probability."""

    label: str
    prior: float
    source: str
    probability: float = Field(description="by the likelihood ratio of the score's band")
    low: float | None
    high: float | None
    ratio: dict[str, Any]
    moved: dict[str, float] = Field(description="the model's probabilities moved to this prior")


class Stroke(Sent):
    """One stroke of a round brush over the stored image; whole numbers are the centres of pixels."""

    radius: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False, description="pixels")]
    points: list[tuple[Coordinate, Coordinate]] = Field(min_length=1, max_length=POINTS, description="[x, y]")


class WhatIfIn(Sent):
    """The part of an image that is covered for the model."""

    mode: Mode = Field(description="exclude: what is painted is covered; include: all that is not painted")
    strokes: list[Stroke] = Field(min_length=1, max_length=STROKES, description="5,000 points in all")

    @field_validator("strokes")
    @classmethod
    def _not_too_many(cls, strokes: list[Stroke]) -> list[Stroke]:
        if sum(len(stroke.points) for stroke in strokes) > POINTS:
            raise ValueError(f"more than {POINTS} points in all")
        return strokes


class WhatIfOut(BaseModel):
    """What a model would have answered with a part of the image covered: not a result, and not kept."""

    prediction: str = Field(description="the answer that it is compared with")
    mode: Mode
    covered: Probability = Field(description="share of the image's pixels")
    fill: str = Field(description="the fill of the covered part, in words")
    labels: list[str]
    probabilities: dict[str, float] = Field(description="by label, with the part covered")
    original: dict[str, float] = Field(description="by label, of the answer itself")
    decision: str | None = Field(
        description='a label, or the findings of a multi-label model, joined by "; "; null where it gives no answer'
    )
    refused: bool
    reason: str
    codes: list[str] = Field(description="a code for each reason of a refusal, or for each warning")
    ood: float | None
    heatmap: HeatmapOut | None
    note: str
