"""Results that rules would send and that were never queued, such as those made before a rule was written.

Rules are asked when a study is complete. What they say about older results is found here, one part of the studies
after the other, and queued when an administrator asks for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import exists, select

from pneumoscope.server.dicom.calling import outbound_queue
from pneumoscope.server.dicom.calling.outbound_queue import QueuedResult
from pneumoscope.server.dicom.routing.dry_run import OF_MODELS, StudyFacts, read_facts
from pneumoscope.server.dicom.routing.routes import Routes, decide
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import Catalogue, InstalledModel
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ArchivedObject, ArrivingObject, OutboundItem, ResultObject
from pneumoscope.server.storage.transaction import Transaction

MOST_STUDIES = 200
"""Studies that are looked at in one go: about a second."""
_STUDIES_OF_ONE_WRITE = 25
_PAUSE = 0.05
"""Seconds between two writes: SQLite gives its lock to writers in no order, and the server's must come in between."""


@dataclass(frozen=True, slots=True)
class UnsentResult:
    """A result that rules would send to a destination, and that was never queued for it."""

    study: str
    """Number of the study."""
    kind: str
    model: str
    """Its name; empty: no model made it."""
    sop_uid: str
    destination: str
    rule: str
    """Name of the first rule that sends it there."""


@dataclass(frozen=True, slots=True)
class UnsentPart:
    """What was found in one part of the studies."""

    results: tuple[UnsentResult, ...]
    last: str | None
    """Number of the last study that was looked at; None: no study is left."""


def route_result(
    routes: Routes, facts: StudyFacts, row: ResultObject, model: InstalledModel | None
) -> Iterable[QueuedResult]:
    """Yield where rules send a result, the first rule of each destination first.

    Args:
        routes: Destinations and rules.
        facts: Of the result's study.
        row: The result.
        model: That made it; None: no model did.
    """
    for decision in decide(routes, facts.of(row.kind, model)):
        for name in decision.destinations:
            yield QueuedResult(row.sop_uid, name, decision.rule, routes.destinations[name].commit)


def find_unsent(store: Store, catalogue: Catalogue, routes: Routes, after: str = "") -> UnsentPart:
    """Find what rules would send of the next studies; nothing is queued.

    Studies whose results are handed on anyway, since an object or an answer is new, are left out. So are results of
    models that are switched off or no longer here, and those that were superseded or retracted.

    Args:
        store: The store.
        catalogue: The models of this server.
        routes: Destinations and rules.
        after: Only studies with higher numbers: `UnsentPart.last` of the part before.
    """
    with store.read() as session:
        query = select(ResultObject.study).where(ResultObject.state == "current", ResultObject.study > after).distinct()
        studies = list(session.scalars(query.order_by(ResultObject.study).limit(MOST_STUDIES)))
        found = _find(session, catalogue, routes, studies)
    return UnsentPart(tuple(each for each, _ in found), studies[-1] if len(studies) == MOST_STUDIES else None)


def queue_unsent(
    store: Store,
    catalogue: Catalogue,
    routes: Routes,
    studies: Sequence[str],
    entry: Callable[[str], AuditEntry],
) -> int:
    """Queue what rules would send of some studies; return how many results, counted for each destination.

    What is queued for a destination, was sent there or failed there stays as it is.

    Args:
        store: The store.
        catalogue: The models of this server.
        routes: Destinations and rules.
        studies: Their numbers, at most `MOST_STUDIES`; one that is not there is passed over.
        entry: Returns the line of the audit log for a study of which something is queued.
    """
    with store.read() as session:  # the rules are asked here, where no writer waits
        found = _find(session, catalogue, routes, studies)

    def write(session: Transaction) -> int:
        # Meanwhile a result may have been superseded, retracted, erased or queued by another command.
        uids = {result.sop_uid for result, _ in found}
        current = set(
            session.scalars(
                select(ResultObject.sop_uid).where(ResultObject.sop_uid.in_(uids), ResultObject.state == "current")
            )
        )
        known = _known(session, uids)
        left = [
            (result, queued)
            for result, queued in found
            if queued.sop_uid in current and (queued.sop_uid, queued.destination) not in known
        ]
        for study in dict.fromkeys(result.study for result, _ in left):
            audit_log.record(session, entry(study))
        return outbound_queue.enqueue(session, [queued for _, queued in left]) if left else 0

    return store.commit(write, exclusive=True) if found else 0


def find_all_unsent(store: Store, catalogue: Catalogue, routes: Routes) -> list[UnsentResult]:
    """Return what rules would send of all studies; see `find_unsent`."""
    return [result for part in _parts(store, catalogue, routes) for result in part.results]


def queue_all_unsent(store: Store, catalogue: Catalogue, routes: Routes, entry: Callable[[str], AuditEntry]) -> int:
    """Queue what rules would send of all studies, one part after the other; see `queue_unsent`."""
    count = 0
    for part in _parts(store, catalogue, routes):
        studies = list(dict.fromkeys(result.study for result in part.results))
        for first in range(0, len(studies), _STUDIES_OF_ONE_WRITE):
            count += queue_unsent(store, catalogue, routes, studies[first : first + _STUDIES_OF_ONE_WRITE], entry)
            time.sleep(_PAUSE)
    return count


def _parts(store: Store, catalogue: Catalogue, routes: Routes) -> Iterator[UnsentPart]:
    last: str | None = ""
    while last is not None:
        part = find_unsent(store, catalogue, routes, last)
        yield part
        last = part.last


def _find(
    session: Transaction, catalogue: Catalogue, routes: Routes, studies: Sequence[str]
) -> list[tuple[UnsentResult, QueuedResult]]:
    """Return what rules would send of some studies, in the order of their numbers."""
    # Results go back to where images came from; a study that an account uploaded came from no archive.
    came = exists().where(ArchivedObject.study == ResultObject.study)
    arrives = exists().where(ArrivingObject.study == ResultObject.study)
    rows = session.scalars(
        select(ResultObject)
        .where(ResultObject.study.in_(studies), ResultObject.state == "current", came, ~arrives)
        .order_by(ResultObject.study, ResultObject.made, ResultObject.sop_uid)
    ).all()
    known = _known(session, {row.sop_uid for row in rows})
    models = catalogue.list_models()
    speaks = {model: not queue.is_switched_off(session, model) for model in {row.model for row in rows} & set(models)}
    found = []
    for study, of_study in groupby(rows, key=lambda row: row.study):
        facts = read_facts(session, study)
        for row in of_study:
            model = models.get(row.model) if row.kind in OF_MODELS else None
            if row.kind in OF_MODELS and not speaks.get(row.model, False):
                continue
            for queued in route_result(routes, facts, row, model):
                if (queued.sop_uid, queued.destination) not in known:
                    known.add((queued.sop_uid, queued.destination))
                    name = "" if model is None else model.card.name
                    result = UnsentResult(study, row.kind, name, row.sop_uid, queued.destination, queued.rule)
                    found.append((result, queued))
    return found


def _known(session: Transaction, sop_uids: Collection[str]) -> set[tuple[str, str]]:
    """Return the results that were queued, each with its destination."""
    items = select(OutboundItem.sop_uid, OutboundItem.destination).where(OutboundItem.sop_uid.in_(sop_uids))
    return {(sop_uid, destination) for sop_uid, destination in session.execute(items)}
