"""A reader's own report, and what it withholds until it is locked.

The rules keep reads apart from echoes of the model. Only a reader who has seen no answer about the study can write an
unaided read, and it is locked when it is final. What is shown is written down before it is shown. A
version is never changed: a later one stands beside it. After the final report there are only addenda.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import func, select

from pneumoscope.server.errors import ConflictError
from pneumoscope.server.reading.shown import find_displayed, find_shown_studies
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ArchivedObject, ArrivingObject, Event, Read
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies.lookup import get_study
from pneumoscope.server.studies.priors import check_not_prior

WITHHELD = "lock your own unaided read first"
"""The only reason for withholding an answer; its code is `READ_FIRST`."""
READ_FIRST: Literal["read-first"] = "read-first"


Stage = Literal["unaided", "aided"]
ReadState = Literal["draft", "final", "addendum"]
Progress = Literal["none", "shown", "draft", "unaided", "final"]
"""How far a reader's own report is: none, an answer was shown but there is no report, a draft, the unaided read is
locked, final."""


@dataclass(frozen=True, slots=True)
class NewRead:
    """A version of a report as its reader sends it."""

    stage: Stage
    state: ReadState
    likelihoods: Mapping[str, float] = field(default_factory=dict)
    """Label -> how likely the reader finds it, 0..1."""
    conclusion: str | None = None
    """A label, or several findings joined by "; "."""
    text: str = ""


def has_locked(session: Transaction, study: str, reader: str) -> bool:
    """Return whether a reader's unaided read is final."""
    query = select(Read.id).where(
        Read.study == study, Read.reader == reader, Read.stage == "unaided", Read.state == "final"
    )
    return session.scalar(query.limit(1)) is not None


def find_progress(session: Transaction, studies: Sequence[str], reader: str) -> dict[str, Progress]:
    """Return how far a reader's own reports are, by study."""
    steps: dict[str, set[tuple[str, str]]] = {study: set() for study in studies}
    query = select(Read.study, Read.stage, Read.state).where(Read.study.in_(studies), Read.reader == reader)
    for study, stage, state in session.execute(query):
        steps[study].add((stage, state))
    unread = [study for study, of_study in steps.items() if not of_study]
    progress: dict[str, Progress] = dict.fromkeys(find_shown_studies(session, unread, reader), "shown")
    return {study: _furthest(of_study) for study, of_study in steps.items()} | progress


def _furthest(steps: set[tuple[str, str]]) -> Progress:
    if ("aided", "final") in steps:
        return "final"
    if ("unaided", "final") in steps:
        return "unaided"
    return "draft" if steps else "none"


def withheld_reason(session: Transaction, settings: Settings, study: str, reader: str) -> str | None:
    """Return why a reader may not see answers and others' findings about a study yet; None where they may."""
    if settings.reads_come_first and not has_locked(session, study, reader):
        return WITHHELD
    return None


def list_versions(store: Store, study: str, reader: str) -> list[Read]:
    """Return the versions of a reader's own report; those of others too once the own unaided read is locked.

    Others' drafts are never among them: a draft is its reader's alone until it is final.

    Args:
        store: The store.
        study: Number of the study.
        reader: Id of the reader.

    Raises:
        NotFoundError: There is no such study.
    """
    with store.read() as session:
        get_study(session, study)
        query = select(Read).where(Read.study == study).order_by(Read.at, Read.version)
        if withheld_reason(session, store.settings, study, reader) is not None:
            query = query.where(Read.reader == reader)
        else:
            query = query.where((Read.reader == reader) | (Read.state != "draft"))
        return list(session.scalars(query))


def add_version(store: Store, session: Transaction, study: str, reader: str, sent: NewRead) -> Read:
    """Add a version of a reader's report.

    Args:
        store: The store of the session.
        session: The transaction.
        study: Number of the study.
        reader: Id of the reader.
        sent: The new version.

    Raises:
        ConflictError: It would break one of the rules above, or the study was fetched for comparison alone.
    """
    store.lock_exclusive(session)
    check_not_prior(get_study(session, study), "a report")
    earlier = list(session.scalars(select(Read).where(Read.study == study, Read.reader == reader)))
    displayed = find_displayed(session, study, reader)
    _check(sent, earlier, displayed, reads_first=store.settings.reads_come_first)
    last = session.scalar(select(func.max(Read.version)).where(Read.study == study, Read.reader == reader))
    row = Read(
        id=new_id(),
        study=study,
        reader=reader,
        version=(last or 0) + 1,
        stage=sent.stage,
        state=sent.state,
        content={"likelihoods": dict(sent.likelihoods), "conclusion": sent.conclusion, "text": sent.text},
        displayed=displayed,
        at=now(),
    )
    session.add(row)
    session.add(Event(kind="read", study=study, subject=row.id, state=row.state, at=row.at))
    if store.settings.dicom is not None and row.stage == "aided" and row.state != "draft":
        _announce(session, row)
    return row


def _announce(session: Transaction, row: Read) -> None:
    """Let the results of a study that came from a DICOM network be handed on again, with this report among them."""
    came = select(ArchivedObject.key).where(ArchivedObject.study == row.study)
    if session.scalar(came.limit(1)) is not None:
        session.add(ArrivingObject(key=f"read-{row.id}", study=row.study, received=row.at))


def _check(sent: NewRead, earlier: Sequence[Read], displayed: Sequence[str], *, reads_first: bool) -> None:
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
