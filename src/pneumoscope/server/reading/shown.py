"""The record of the answers that each reader has been shown.

An answer that is shown by itself has a row (`tables.Display`). A sum shows many at once and has one row for all of them
(`tables.SumDisplay`), which names them by a rule: the answers of one model about the studies received in a period, up
to the newest that was finished. Answers and times of receipt never change, and what is finished later is newer, so the
rule always names the same answers, less those that were erased. Where clocks differ or are set back, it may name an
answer besides that was finished after the sum: its reader can't read that study unaided. It never names one too few.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, and_, exists, func, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from pneumoscope.server.reading.period import Period, is_among
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Display, StoredPrediction, Study, SumDisplay
from pneumoscope.server.storage.transaction import Transaction

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, CompoundSelect
    from sqlalchemy.orm import InstrumentedAttribute


def record_display(session: Transaction, rows: Sequence[StoredPrediction | Row[Any]], reader: str, what: str) -> None:
    """Write down that answers are shown; the caller commits this before it shows them."""
    time = now()
    for row in rows:
        if row.result is not None:
            session.append(
                Display, {"study": row.study, "prediction": row.id, "reader": reader, "what": what, "at": time}
            )


def record_sum(store: Store, period: Period, model: str, reader: str) -> None:
    """Write down that all answers of a model in a period are shown in sum.

    Call this after the sum was read and before it leaves the server: what was in it is then among the answers that this
    function finds.

    Args:
        store: The server's store.
        period: When the studies were received.
        model: Identity, whole.
        reader: Account that is shown the sum.
    """
    newest = select(func.max(StoredPrediction.finished)).where(
        StoredPrediction.model == model,
        StoredPrediction.state == "done",
        is_among(StoredPrediction.study, period.studies()),
    )
    values = {"reader": reader, "model": model, "start": period.start, "end": period.end}
    same = select(SumDisplay.id).filter_by(**values)
    with store.read() as session:
        through = session.scalar(newest)
        if through is None or session.scalar(same.where(SumDisplay.through >= through).limit(1)) is not None:
            return
    store.commit(lambda session: session.append(SumDisplay, {**values, "through": through, "at": now()}))


def find_displayed(session: Transaction, study: str, reader: str) -> list[str]:
    """Return the predictions about a study that a reader has been shown."""
    session.write_appended()
    return sorted(find_shown(session, [study], reader))


def find_shown(session: Session, studies: Collection[str], reader: str) -> set[str]:
    """Return the predictions about some studies that a reader has been shown.

    Args:
        session: A session to read with.
        studies: Numbers of studies.
        reader: Id of the reader.
    """
    return (
        {row.prediction for row in session.execute(_select_shown(studies=studies, reader=reader))} if studies else set()
    )


def find_shown_studies(session: Session, studies: Collection[str], reader: str) -> set[str]:
    """Return those of some studies about which a reader has been shown an answer; the arguments are `find_shown`'s."""
    return {row.study for row in session.execute(_select_shown(studies=studies, reader=reader))} if studies else set()


def find_readers(session: Session, predictions: Collection[str]) -> dict[str, set[str]]:
    """Return who has been shown some predictions: prediction -> readers."""
    readers: dict[str, set[str]] = {}
    for row in session.execute(_select_shown(predictions=predictions)) if predictions else ():
        readers.setdefault(row.prediction, set()).add(row.reader)
    return readers


def find_first_shown(session: Session, studies: Collection[str]) -> dict[tuple[str, str], float]:
    """Return when an answer was first shown: (study, reader) -> time.

    Args:
        session: A session to read with.
        studies: Numbers of studies.
    """
    shown = _select_shown(studies=studies).subquery()
    first = select(shown.c.study, shown.c.reader, func.min(shown.c.at)).group_by(shown.c.study, shown.c.reader)
    return {(study, reader): at for study, reader, at in session.execute(first)}


def was_shown(reader: str) -> ColumnElement[bool]:
    """Return the condition on a `Study` that a reader has been shown an answer about it."""
    # Of the same sum at several times the latest names all answers of the others.
    columns = SumDisplay.model, SumDisplay.start, SumDisplay.end
    sums = select(*columns, func.max(SumDisplay.through).label("through")).where(SumDisplay.reader == reader)
    latest = sums.group_by(*columns).subquery()
    # A query that says nothing of the outer row runs once, which 100,000 looks into an index outlast in PostgreSQL.
    answered = aliased(Study)
    in_sum = select(answered.id).join(StoredPrediction, StoredPrediction.study == answered.id)
    in_sum = in_sum.where(exists().where(_names(latest.c, answered.received)))
    alone = select(Display.study).where(Display.reader == reader)
    return or_(Study.id.in_(alone), Study.id.in_(in_sum))


def _select_shown(
    *, studies: Collection[str] | None = None, predictions: Collection[str] | None = None, reader: str | None = None
) -> CompoundSelect[str, str, str, float]:
    """Return the query for (study, prediction, reader, at), one row or more each; None: no matter which."""
    alone = select(Display.study, Display.prediction, Display.reader, Display.at)
    in_sum = (
        select(StoredPrediction.study, StoredPrediction.id, SumDisplay.reader, SumDisplay.at)
        .join(Study, Study.id == StoredPrediction.study)
        .join(SumDisplay, _names(SumDisplay, Study.received))
    )
    if studies is not None:
        alone, in_sum = alone.where(Display.study.in_(studies)), in_sum.where(StoredPrediction.study.in_(studies))
    if predictions is not None:
        alone = alone.where(Display.prediction.in_(predictions))
        in_sum = in_sum.where(StoredPrediction.id.in_(predictions))
    if reader is not None:
        alone, in_sum = alone.where(Display.reader == reader), in_sum.where(SumDisplay.reader == reader)
    return union_all(alone, in_sum)


def _names(sums: Any, received: InstrumentedAttribute[float]) -> ColumnElement[bool]:
    """Return the condition that a sum names a prediction.

    Args:
        sums: The columns of `SumDisplay`.
        received: When the study of the prediction was received.
    """
    return and_(
        sums.model == StoredPrediction.model,
        sums.through >= StoredPrediction.finished,
        StoredPrediction.state == "done",
        or_(sums.start.is_(None), sums.start <= received),
        or_(sums.end.is_(None), sums.end > received),
    )
