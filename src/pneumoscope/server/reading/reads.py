"""The reader's own report, and what was shown to whom.

The rules, so that a read can later be told from an echo of the model: an unaided read can only be written by someone to
whom no answer about the study has been shown, and is locked when it is final; whatever is shown is written down before
it is shown; a version is never changed, a later one stands beside it; after the final report there are only addenda.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Row, func, select

from pneumoscope.server.api.schemas.common import OwnRead
from pneumoscope.server.api.schemas.reads import ReadIn
from pneumoscope.server.errors import ConflictError
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Display, Event, Prediction, Read
from pneumoscope.server.storage.transaction import Transaction

WITHHELD = "lock your own unaided read first"
"""The one reason that there is; in an answer its code, `READ_FIRST`, stands beside it."""
READ_FIRST: Literal["read-first"] = "read-first"


def has_locked(session: Transaction, study: str, reader: str) -> bool:
    """Return whether a reader's unaided read is final."""
    query = select(Read.id).where(
        Read.study == study, Read.reader == reader, Read.stage == "unaided", Read.state == "final"
    )
    return session.scalar(query.limit(1)) is not None


def own(session: Transaction, studies: Sequence[str], reader: str) -> dict[str, OwnRead]:
    """Return how far a reader's own reports of studies are."""
    steps: dict[str, set[tuple[str, str]]] = {study: set() for study in studies}
    query = select(Read.study, Read.stage, Read.state).where(Read.study.in_(studies), Read.reader == reader)
    for study, stage, state in session.execute(query):
        steps[study].add((stage, state))
    unread = [study for study, taken in steps.items() if not taken]
    seen = select(Display.study).where(Display.study.in_(unread), Display.reader == reader).distinct()
    shown: dict[str, OwnRead] = dict.fromkeys(session.scalars(seen) if unread else (), "shown")
    return {study: _furthest(taken) for study, taken in steps.items()} | shown


def _furthest(taken: set[tuple[str, str]]) -> OwnRead:
    if ("aided", "final") in taken:
        return "final"
    if ("unaided", "final") in taken:
        return "unaided"
    return "draft" if taken else "none"


def why_withheld(session: Transaction, settings: Settings, study: str, reader: str) -> str | None:
    """Return why a reader may not see answers and others' findings about a study yet; None where they may."""
    if settings.reads_come_first and not has_locked(session, study, reader):
        return WITHHELD
    return None


def show(session: Transaction, rows: Sequence[Prediction | Row[Any]], reader: str, what: str) -> None:
    """Write down that answers are shown; to be committed before they are."""
    time = now()
    for row in rows:
        if row.result is not None:
            session.append(
                Display, {"study": row.study, "prediction": row.id, "reader": reader, "what": what, "at": time}
            )


def shown_to(session: Transaction, study: str, reader: str) -> list[str]:
    """Return the predictions about a study that a reader has been shown."""
    session.write_appended()
    query = select(Display.prediction).where(Display.study == study, Display.reader == reader).distinct()
    return sorted(session.scalars(query))


def add(store: Store, session: Transaction, study: str, who: Principal, sent: ReadIn) -> Read:
    """Add a version of a report.

    Raises:
        ConflictError: It would break one of the rules above.
    """
    store.lock_exclusive(session)
    earlier = list(session.scalars(select(Read).where(Read.study == study, Read.reader == who.id)))
    displayed = shown_to(session, study, who.id)
    _check(sent, earlier, displayed, reads_first=store.settings.reads_come_first)
    last = session.scalar(select(func.max(Read.version)).where(Read.study == study, Read.reader == who.id))
    row = Read(
        id=new_id(),
        study=study,
        reader=who.id,
        version=(last or 0) + 1,
        stage=sent.stage,
        state=sent.state,
        content={"likelihoods": sent.likelihoods, "conclusion": sent.conclusion, "text": sent.text},
        displayed=displayed,
        at=now(),
    )
    session.add(row)
    session.add(Event(kind="read", study=study, subject=row.id, state=row.state, at=row.at))
    return row


def _check(sent: ReadIn, earlier: Sequence[Read], displayed: Sequence[str], *, reads_first: bool) -> None:
    final = {row.stage for row in earlier if row.state == "final"}
    if sent.stage == "unaided":
        if displayed:
            raise _conflict(
                "shown", "an unaided read is no longer possible: a model's answer has been shown to you.", "aided"
            )
        if "unaided" in final or any(row.stage == "aided" for row in earlier):
            raise _conflict("locked", "your unaided read is locked.", "aided")
        if sent.state == "addendum":
            raise _conflict("no-addendum", "an unaided read has no addendum.", "aided")
    elif sent.state == "addendum":
        if "aided" not in final:
            raise _conflict("no-report", "there is no final report that it could be added to.", "aided")
    elif "aided" in final:
        raise _conflict("final", "your report is final; it can have addenda.", "aided")
    elif reads_first and "unaided" not in final:
        raise _conflict("first", "your own unaided read comes first.", "unaided")


def _conflict(reason: str, problem: str, stage: str) -> ConflictError:
    way_out = f'Send one with "stage": "{stage}".'
    values = {"reason": reason}
    return ConflictError("this read", f"can't be taken: {problem}", way_out, code="read-order", values=values)
