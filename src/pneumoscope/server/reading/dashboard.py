"""The dashboard: a site's figures, as far as the user who asks may know them, and how the server runs.

A sum over studies tells the answer about one of them, if only by asking twice with another period. So a study counts
for a reader only once no answer can influence them any more: their own unaided read is final, or (where answers are
shown freely) an answer has been shown to them. An admin may ask for all studies. The server then records that their
answers were shown in sum, and the admin can no longer read these studies unaided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy import func, or_, select

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.errors import ForbiddenError
from pneumoscope.server.inference.models import SHORT, Catalogue
from pneumoscope.server.reading.agreement import compute_figures
from pneumoscope.server.reading.figures import ModelCount, SiteFigures
from pneumoscope.server.reading.period import Period, is_among
from pneumoscope.server.reading.queries import count_answers, find_target, read_rows
from pneumoscope.server.reading.shown import record_sum, was_shown
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image, Read, Reference, StoredPrediction, Study
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index

if TYPE_CHECKING:
    from pneumoscope.server.reading.period import Studies

Scope = Literal["own", "all"]
SEED = 1
"""Seed of the bootstrap: the same reads give the same interval, here and in the report."""
_DAY, _EPOCH = 86_400.0, date(1970, 1, 1)
"""Seconds of a day, and the day (UTC) from which they count."""
_TIMED_ANSWERS = 2_000
"""Newest answers whose computing time counts."""

_SCOPE_SENTENCES = {
    "own-first": "Studies whose unaided read by you is final.",
    "own-free": "Studies that you have read, or whose answer you have been shown.",
    "all": "All studies that this model answered, and those that you have read. Asking for them counts as having been "
    "shown their answers: you can't read them unaided any more.",
}


@dataclass(frozen=True, slots=True)
class DayCount:
    """The studies that were received on one day, UTC."""

    day: date
    studies: int


@dataclass(frozen=True, slots=True)
class Operations:
    """How the server ran; nothing in it depends on what was answered."""

    studies: int
    images: int
    days: list[DayCount]
    """Days with at least one study, in order."""
    predictions: Mapping[str, int]
    """State -> predictions of the model."""
    median_seconds: float | None
    """Computing time of an answer."""
    slowest_seconds: float | None
    """Its 95th percentile."""
    references: int


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What reads, answers and references come to, and how the server runs."""

    disclaimer: str
    scope: Scope
    scope_words: str
    counted: int
    not_counted: int
    model: ModelCount | None
    findings: tuple[str, ...]
    """Of a multi-label model: the findings that may be asked about."""
    operating_point: str | None
    models: list[ModelCount]
    operations: Operations
    refused: Estimate | None
    figures: SiteFigures | None


def show_dashboard(
    store: Store,
    catalogue: Catalogue,
    user: Principal,
    model: str | None,
    period: Period,
    scope: Scope,
    finding: str | None = None,
) -> Dashboard:
    """Return the dashboard; where it tells answers, it is recorded as a display of them.

    Args:
        store: The server's store.
        catalogue: The models of the server.
        user: The user who asks.
        model: The model's name as it was sent; None: the model with the most answers in the period.
        period: When the studies were received.
        scope: "own", or for admins "all".
        finding: Which of a multi-label model's findings the figures are about; None: its first.

    Raises:
        ForbiddenError: A user who is no admin asks for "all".
        NotFoundError: The model is unknown.
        UsageError: The model has no such finding.
    """
    _check_scope(user, scope)
    with store.read() as session:
        studies = period.studies()
        answers = count_answers(session, studies)
        chosen = choose_model(catalogue, answers, model)
        counting = select_countable(studies, store.settings, user.id, shown_model=chosen if scope == "all" else None)
        counted = _count(session, counting)
        figures, refused_share = None, None
        target = None if chosen is None else find_target(catalogue, chosen, session, finding)
        if chosen is not None and target is not None:
            rows = read_rows(session, store.secret, chosen, counting)
            figures = compute_figures(
                rows.reads,
                rows.answers,
                rows.references,
                target,
                rng=np.random.default_rng(SEED),
                single_readers=user.is_admin,
            )
            # Of the studies that the model answered, "all" leaves none out, and need not look at each.
            refused_share = compute_refused_share(session, chosen, studies if scope == "all" else counting)
        dashboard = Dashboard(
            disclaimer=DISCLAIMER,
            scope=scope,
            scope_words=_SCOPE_SENTENCES["all" if scope == "all" else scope_kind(store.settings)],
            counted=counted,
            not_counted=_count(session, studies) - counted,
            model=None if chosen is None else describe_model(catalogue, chosen, answers.get(chosen, 0)),
            findings=() if target is None else target.findings,
            operating_point=None if chosen is None else operating_point(catalogue, chosen),
            models=[describe_model(catalogue, identity, number) for identity, number in answers.items()],
            operations=measure_operations(session, chosen, studies),
            refused=refused_share,
            figures=figures,
        )
    if scope == "all" and chosen is not None:
        record_sum(store, period, chosen, user.id)
    return dashboard


def choose_model(catalogue: Catalogue, answers: Mapping[str, int], name: str | None) -> str | None:
    """Return the identity of the model that the figures are about; None where no model has answered.

    Args:
        catalogue: The models of the server.
        answers: Identity -> number of answers, the largest first.
        name: The model's name as it was sent; None: the model with the most answers.

    Raises:
        NotFoundError: ``name`` is neither a model of the server nor one that has answered.
    """
    if name is None:
        return next(iter(answers), None)
    matches = [identity for identity in answers if len(name) >= SHORT and identity.startswith(name)]
    return matches[0] if len(matches) == 1 else catalogue.get(name).identity


def scope_kind(settings: Settings) -> str:
    """Return which rule says what counts for a reader."""
    return "own-first" if settings.reads_come_first else "own-free"


def select_countable(studies: Studies, settings: Settings, reader: str, *, shown_model: str | None = None) -> Studies:
    """Return the query for those of ``studies`` about which no answer can influence a reader any more.

    Args:
        studies: The query for the studies to choose from.
        settings: The server's.
        reader: Id of the reader.
        shown_model: Identity of a model whose answers about these studies are about to be shown to the reader.
    """
    own_reads = select(Read.study).where(Read.reader == reader)
    locked = Study.id.in_(own_reads.where(Read.stage == "unaided", Read.state == "final"))
    if shown_model is None and settings.reads_come_first:
        return studies.where(locked)
    # A reader who has been shown an answer, or began an aided read, can't read unaided (`reads.add_version`).
    answers = select(StoredPrediction.study).where(
        StoredPrediction.model == shown_model, StoredPrediction.state == "done"
    )
    shown = was_shown(reader) if shown_model is None else Study.id.in_(answers)
    return studies.where(or_(locked, Study.id.in_(own_reads.where(Read.stage == "aided")), shown))


def _check_scope(user: Principal, scope: Scope) -> None:
    if scope == "all" and not user.is_admin:
        raise ForbiddenError(
            "the figures of all studies", "are for admins.", 'Ask with "scope=own".', code="admins-only"
        )


def measure_operations(session: Transaction, model: str | None, studies: Studies) -> Operations:
    """Return how the server ran in a period."""
    received = np.fromiter(session.connection().execute(_received(studies)).scalars(), dtype=np.float64)
    whole_days, counts = np.unique(np.floor(received / _DAY).astype(np.int64), return_counts=True)
    days = {_EPOCH + timedelta(days=int(day)): int(count) for day, count in zip(whole_days, counts, strict=True)}
    states: dict[str, int] = {}
    seconds: list[float] = []
    if model is not None:
        own = (StoredPrediction.model == model, is_among(StoredPrediction.study, studies))
        count = select(StoredPrediction.state, func.count()).where(*own).group_by(StoredPrediction.state)
        states = dict(sorted((state, number) for state, number in session.execute(count)))
        durations = select(StoredPrediction.result["seconds"].as_float()).where(*own, StoredPrediction.state == "done")
        newest = session.scalars(durations.order_by(StoredPrediction.asked.desc()).limit(_TIMED_ANSWERS))
        seconds = [value for value in newest if value is not None]
    return Operations(
        studies=sum(days.values()),
        images=_count_about(session, Image, studies.where(Study.prior.is_(False))),
        days=[DayCount(day=day, studies=number) for day, number in sorted(days.items())],
        predictions=states,
        median_seconds=float(np.median(seconds)) if seconds else None,
        slowest_seconds=float(np.quantile(seconds, 0.95)) if seconds else None,
        references=session.scalar(select(func.count()).select_from(Reference).where(is_among(Reference.study, studies)))
        or 0,
    )


def compute_refused_share(session: Transaction, model: str, studies: Studies) -> Estimate:
    """Return the share of answers that a model refused; two answers about one image count twice."""
    rows = session.execute(
        select(func.coalesce(Study.patient, Study.id), StoredPrediction.result["refused"].as_boolean())
        .join(StoredPrediction, StoredPrediction.study == Study.id)
        .where(
            StoredPrediction.model == model,
            StoredPrediction.state == "done",
            is_among(Study.id, studies),
        )
    ).all()
    refusals = np.array([bool(refused) for _, refused in rows], dtype=np.bool_)
    return estimate_proportion(refusals, group_index([group for group, _ in rows]), what="set of answers")


def describe_model(catalogue: Catalogue, identity: str, answers: int) -> ModelCount:
    """Return a model with its number of answers."""
    model = catalogue.list_models().get(identity)
    name, version = (None, None) if model is None else (model.card.name, model.card.version)
    return ModelCount(id=identity[:SHORT], name=name, version=version, answers=answers)


def operating_point(catalogue: Catalogue, identity: str) -> str | None:
    """Return the name of the operating point at which a model decides; None where its bundle is gone."""
    model = catalogue.list_models().get(identity)
    return None if model is None else model.card.default_operating_point


def _received(studies: Studies) -> Any:
    return studies.where(Study.prior.is_(False)).with_only_columns(Study.received)


def _count(session: Transaction, studies: Studies) -> int:
    counted = studies.where(Study.prior.is_(False)).subquery()
    return session.scalar(select(func.count()).select_from(counted)) or 0


def _count_about(session: Transaction, table: type[Image | Reference], studies: Studies) -> int:
    return session.scalar(select(func.count()).select_from(table).where(is_among(table.study, studies))) or 0
