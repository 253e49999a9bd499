"""The dashboard: a site's figures, as far as the user who asks may know them, and how the server runs.

A sum over studies tells the answer about one of them, if only by asking twice with another period. So a study counts
for a reader only once no answer can influence them any more: their own unaided read is final, or (where answers are
shown freely) an answer has been shown to them. An admin may ask for all studies. The server then records this as a
display of the answers, and the admin can no longer read these studies unaided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy import func, literal, or_, select

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.errors import ForbiddenError
from pneumoscope.server.inference.models import SHORT, Catalogue
from pneumoscope.server.reading.agreement import compute_figures
from pneumoscope.server.reading.figures import ModelCount, SiteFigures
from pneumoscope.server.reading.queries import Period, count_answers, find_target, read_rows
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Display, Image, Read, Reference, StoredPrediction, Study, table_of
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index

if TYPE_CHECKING:
    from pneumoscope.server.reading.queries import Studies

Scope = Literal["own", "all"]
SEED = 1
"""Seed of the bootstrap: the same reads give the same interval, here and in the report."""
_DAY, _EPOCH = 86_400.0, date(1970, 1, 1)
"""Seconds of a day, and the day (UTC) from which they count."""
_AT_ONCE = 2_000
"""Answers whose display one transaction records."""
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
    operating_point: str | None
    models: list[ModelCount]
    operations: Operations
    refused: Estimate | None
    figures: SiteFigures | None


def build_dashboard(
    store: Store,
    session: Transaction,
    catalogue: Catalogue,
    user: Principal,
    model: str | None,
    period: Period,
    scope: Scope,
) -> Dashboard:
    """Return the dashboard.

    Args:
        store: The server's store.
        session: A session of it to read with, begun after `record_scope`.
        catalogue: The models of the server.
        user: The user who asks.
        model: The model's name as it was sent; None: the model with the most answers in the period.
        period: When the studies were received.
        scope: "own", or for admins "all".

    Raises:
        ForbiddenError: A user who is no admin asks for "all".
        NotFoundError: The model is unknown.
    """
    _check_scope(user, scope)
    studies = period.studies()
    answers = count_answers(session, studies)
    chosen = choose_model(catalogue, answers, model)
    counting = select_countable(studies, store.settings, user.id, everything_shown=scope == "all")
    counted = _count(session, counting)
    figures, refused_share = None, None
    if chosen is not None:
        rows = read_rows(session, store.secret, chosen, counting)
        figures = compute_figures(
            rows.reads,
            rows.answers,
            rows.references,
            find_target(catalogue, chosen, session),
            rng=np.random.default_rng(SEED),
            single_readers=user.is_admin,
        )
        refused_share = compute_refused_share(session, chosen, counting)
    return Dashboard(
        disclaimer=DISCLAIMER,
        scope=scope,
        scope_words=_SCOPE_SENTENCES["all" if scope == "all" else scope_kind(store.settings)],
        counted=counted,
        not_counted=_count(session, studies) - counted,
        model=None if chosen is None else describe_model(catalogue, chosen, answers.get(chosen, 0)),
        operating_point=None if chosen is None else operating_point(catalogue, chosen),
        models=[describe_model(catalogue, identity, number) for identity, number in answers.items()],
        operations=measure_operations(session, chosen, studies),
        refused=refused_share,
        figures=figures,
    )


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


def select_countable(studies: Studies, settings: Settings, reader: str, *, everything_shown: bool = False) -> Studies:
    """Return the query for those of ``studies`` about which no answer can influence a reader any more."""
    own_reads = select(Read.study).where(Read.reader == reader)
    conditions = [Study.id.in_(own_reads.where(Read.stage == "unaided", Read.state == "final"))]
    if everything_shown or not settings.reads_come_first:
        # A reader who has been shown an answer, or began an aided read, can't read unaided (`reads.add_version`).
        conditions += [Study.id.in_(select(Display.study).where(Display.reader == reader))]
        conditions += [Study.id.in_(own_reads.where(Read.stage == "aided"))]
    return studies.where(or_(*conditions))


def record_all_shown(store: Store, studies: Studies, model: str, reader: str) -> None:
    """Record that all answers of a model are shown in sum, each once; do this before they are shown.

    Args:
        store: The server's store. Many answers are recorded in several transactions, so that no other change waits.
        studies: The query for the studies that count.
        model: Identity, whole.
        reader: Account that is shown the sum.
    """
    columns = (StoredPrediction.study, StoredPrediction.id, literal(reader), literal("dashboard"), literal(now()))
    answers = (
        StoredPrediction.model == model,
        StoredPrediction.state == "done",
        StoredPrediction.study.in_(studies.with_only_columns(Study.id)),
    )
    # An index of all that a reader was shown would be searched once for each answer: the sum hides the column from it.
    displayed = select(Display.id).where(Display.prediction == StoredPrediction.id, Display.reader + "" == reader)
    with store.read() as session:
        numbers = list(session.scalars(select(StoredPrediction.id).where(*answers, ~displayed.exists())))

    def record(few: Sequence[str], session: Transaction) -> None:
        query = select(*columns).where(StoredPrediction.id.in_(few), ~displayed.exists())
        insert = table_of(Display).insert().from_select(["study", "prediction", "reader", "what", "at"], query)
        session.connection().execute(insert)

    for start in range(0, len(numbers), _AT_ONCE):
        store.commit(partial(record, numbers[start : start + _AT_ONCE]))


def record_scope(
    store: Store, catalogue: Catalogue, user: Principal, model: str | None, period: Period, scope: Scope
) -> None:
    """Record what `build_dashboard` is going to show, where that counts as having been shown answers.

    Args:
        store: As for `build_dashboard`.
        catalogue: As for `build_dashboard`.
        user: As for `build_dashboard`.
        model: As for `build_dashboard`.
        period: As for `build_dashboard`.
        scope: As for `build_dashboard`.

    Raises:
        ForbiddenError: A user who is no admin asks for "all".
        NotFoundError: The model is unknown.
    """
    if scope != "all":
        return
    _check_scope(user, scope)
    with store.read() as session:
        chosen = choose_model(catalogue, count_answers(session, period.studies()), model)
    if chosen is not None:
        record_all_shown(store, period.studies(), chosen, user.id)


def _check_scope(user: Principal, scope: Scope) -> None:
    if scope == "all" and not user.is_admin:
        raise ForbiddenError(
            "the figures of all studies", "are for admins.", 'Ask with "scope=own".', code="admins-only"
        )


def measure_operations(session: Transaction, model: str | None, studies: Studies) -> Operations:
    """Return how the server ran in a period."""
    numbers = studies.with_only_columns(Study.id)
    received = np.fromiter(session.connection().execute(_received(studies)).scalars(), dtype=np.float64)
    whole_days, counts = np.unique(np.floor(received / _DAY).astype(np.int64), return_counts=True)
    days = {_EPOCH + timedelta(days=int(day)): int(count) for day, count in zip(whole_days, counts, strict=True)}
    states: dict[str, int] = {}
    seconds: list[float] = []
    if model is not None:
        own = (StoredPrediction.model == model, StoredPrediction.study.in_(numbers))
        count = select(StoredPrediction.state, func.count()).where(*own).group_by(StoredPrediction.state)
        states = dict(sorted((state, number) for state, number in session.execute(count)))
        durations = select(StoredPrediction.result["seconds"].as_float()).where(*own, StoredPrediction.state == "done")
        newest = session.scalars(durations.order_by(StoredPrediction.asked.desc()).limit(_TIMED_ANSWERS))
        seconds = [value for value in newest if value is not None]
    return Operations(
        studies=sum(days.values()),
        images=session.scalar(select(func.count()).select_from(Image).where(Image.study.in_(numbers))) or 0,
        days=[DayCount(day=day, studies=number) for day, number in sorted(days.items())],
        predictions=states,
        median_seconds=float(np.median(seconds)) if seconds else None,
        slowest_seconds=float(np.quantile(seconds, 0.95)) if seconds else None,
        references=session.scalar(select(func.count()).select_from(Reference).where(Reference.study.in_(numbers))) or 0,
    )


def compute_refused_share(session: Transaction, model: str, studies: Studies) -> Estimate:
    """Return the share of answers that a model refused; two answers about one image count twice."""
    rows = session.execute(
        select(Study.patient, Study.id, StoredPrediction.result["refused"].as_boolean())
        .join(StoredPrediction, StoredPrediction.study == Study.id)
        .where(
            StoredPrediction.model == model,
            StoredPrediction.state == "done",
            Study.id.in_(studies.with_only_columns(Study.id)),
        )
    ).all()
    refusals = np.array([bool(refused) for _, _, refused in rows], dtype=np.bool_)
    return estimate_proportion(
        refusals, group_index([patient or study for patient, study, _ in rows]), what="set of answers"
    )


def describe_model(catalogue: Catalogue, identity: str, answers: int) -> ModelCount:
    """Return a model with its number of answers."""
    model = catalogue.list_models().get(identity)
    name, version = (None, None) if model is None else (model.card.name, model.card.version)
    return ModelCount(id=identity[:SHORT], name=name, version=version, answers=answers)


def operating_point(catalogue: Catalogue, identity: str) -> str | None:
    """Return the name of the operating point at which a model decides; None where its bundle is gone."""
    model = catalogue.list_models().get(identity)
    return None if model is None else model.card.operating_point.name


def _received(studies: Studies) -> Any:
    return studies.with_only_columns(Study.received)


def _count(session: Transaction, studies: Studies) -> int:
    return session.scalar(select(func.count()).select_from(studies.subquery())) or 0
