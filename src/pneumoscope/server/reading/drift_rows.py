"""The rows that the monitor looks at: of each week one image of each patient, and one pair of read and answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from pneumoscope.server.reading.figures import Target
from pneumoscope.server.reading.period import Period
from pneumoscope.server.reading.queries import read_rows
from pneumoscope.server.storage.tables import StoredPrediction, Study

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from pneumoscope.server.storage.crypto import Secret


@dataclass(frozen=True, slots=True)
class WeekRows:
    """What a model and readers said in a week.

    Attributes:
        refused: [P] whether the model refused, one image of each patient.
        scores: Primary label's probability of the answered ones.
        ood: Out-of-distribution scores, of those on which the model ran.
        agreeing: [R] whether an unaided read and the model's answer say the same, one study of each patient.
    """

    refused: list[bool]
    scores: list[float]
    ood: list[float]
    agreeing: list[bool]


def read_week(session: Session, secret: Secret, model: str, target: Target, period: Period) -> WeekRows:
    """Return the rows of one week.

    Args:
        session: A session to read with.
        secret: Makes the readers' pseudonyms.
        model: Identity, whole.
        target: What counts as positive.
        period: The week, by receipt.
    """
    studies = period.studies()
    query = (
        select(Study.patient, Study.id, StoredPrediction.result)
        .join(StoredPrediction, StoredPrediction.study == Study.id)
        .where(
            StoredPrediction.model == model,
            StoredPrediction.state == "done",
            Study.id.in_(studies.with_only_columns(Study.id)),
        )
        .order_by(Study.received, StoredPrediction.asked, StoredPrediction.id)
    )
    first: dict[str, dict[str, Any]] = {}
    for patient, study, result in session.execute(query):
        first.setdefault(patient or study, result or {})
    answered = [result for result in first.values() if not result.get("refused")]
    rows = read_rows(session, secret, model, studies)
    pairs: dict[str, bool] = {}
    for row in rows.reads:
        answer = rows.answers.get(row.study)
        if answer is not None and row.unaided is not None:
            pairs.setdefault(row.group, target.is_positive(row.unaided) == target.is_positive(answer))
    return WeekRows(
        refused=[bool(result.get("refused")) for result in first.values()],
        scores=[result["probabilities"][target.primary] for result in answered],
        ood=[result["ood"] for result in first.values() if result.get("ood") is not None],
        agreeing=list(pairs.values()),
    )
