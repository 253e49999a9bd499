"""The dashboard: a site's figures, as far as whoever asks may know them, and how the server runs.

The reader first: a sum over studies tells the answer about one of them, if only by asking twice with another period.
So a study counts for someone only once no answer can sway them any more: their own unaided read is final, or (where
answers are shown freely) an answer has been shown to them. An admin may ask for all studies; then that is written down
as an answer shown, and an unaided read of these studies is no longer possible for them.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy import func, or_, select

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.api.dependencies import Context
from pneumoscope.server.api.schemas.dashboard import DashboardOut, DayOut, ModelCountOut, OperationsOut
from pneumoscope.server.errors import ForbiddenError
from pneumoscope.server.inference.models import SHORT, Catalogue
from pneumoscope.server.reading import reads
from pneumoscope.server.reading.agreement import site_figures
from pneumoscope.server.reading.queries import Period, models_that_answered, rows_of, target_of
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import Display, Image, Prediction, Read, Reference, Study
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import proportion
from pneumoscope.stats.metrics import group_index

if TYPE_CHECKING:
    from pneumoscope.server.reading.queries import Studies

Scope = Literal["own", "all"]
SEED = 1
"""Of the bootstrap: the same reads give the same interval, here and in the report."""
_TIMED = 10_000
"""Newest answers whose computing time is looked at."""

_WORDS = {
    "own-first": "Studies whose unaided read by you is final.",
    "own-free": "Studies that you have read, or whose answer you have been shown.",
    "all": "All studies that this model answered, and those that you have read. Asking for them counts as having been "
    "shown their answers: you can't read them unaided any more.",
}


def dashboard(
    context: Context, session: Transaction, user: Principal, model: str | None, period: Period, scope: Scope
) -> DashboardOut:
    """Return the dashboard.

    Args:
        context: Of the server.
        session: To write with where ``scope`` is "all": what is shown is written down first.
        user: Asks.
        model: As it was named; None: the one with the most answers in the period.
        period: When the studies were received.
        scope: "own", or for admins "all".

    Raises:
        ForbiddenError: "all" by someone who is no admin.
        NotFoundError: An unknown model.
    """
    if scope == "all" and not user.is_admin:
        raise ForbiddenError(
            "the figures of all studies", "are for admins.", 'Ask with "scope=own".', code="admins-only"
        )
    studies = period.studies()
    answered = models_that_answered(session, studies)
    chosen = chosen_model(context.catalogue, answered, model)
    if scope == "all" and chosen is not None:
        _show_all(session, studies, chosen, user.id)
    counting = countable(studies, context.settings, user.id, everything_shown=scope == "all")
    counted = _count(session, counting)
    figures, refused = None, None
    if chosen is not None:
        rows = rows_of(session, context.store.secret, chosen, counting)
        figures = site_figures(
            rows.reads,
            rows.answers,
            rows.references,
            target_of(context.catalogue, chosen, session),
            rng=np.random.default_rng(SEED),
            single_readers=user.is_admin,
        )
        refused = refused_share(session, chosen, counting)
    return DashboardOut(
        disclaimer=DISCLAIMER,
        scope=scope,
        scope_words=_WORDS["all" if scope == "all" else scope_kind(context.settings)],
        counted=counted,
        not_counted=_count(session, studies) - counted,
        model=None if chosen is None else model_out(context.catalogue, chosen, answered.get(chosen, 0)),
        operating_point=None if chosen is None else operating_point(context.catalogue, chosen),
        models=[model_out(context.catalogue, name, answers) for name, answers in answered.items()],
        operations=operations(session, chosen, studies),
        refused=refused,
        figures=figures,
    )


def chosen_model(catalogue: Catalogue, answered: dict[str, int], name: str | None) -> str | None:
    """Return the identity of the model that the figures are about.

    Raises:
        NotFoundError: ``name`` is neither on the server nor did it answer.
    """
    if name is None:
        return next(iter(answered), None)
    found = [identity for identity in answered if len(name) >= SHORT and identity.startswith(name)]
    return found[0] if len(found) == 1 else catalogue.get(name).identity


def scope_kind(settings: Settings) -> str:
    """Return which rule says what counts for a reader."""
    return "own-first" if settings.reads_come_first else "own-free"


def countable(studies: Studies, settings: Settings, reader: str, *, everything_shown: bool = False) -> Studies:
    """Return those of ``studies`` about which a reader can't be swayed any more."""
    mine = select(Read.study).where(Read.reader == reader)
    ways = [Study.id.in_(mine.where(Read.stage == "unaided", Read.state == "final"))]
    if everything_shown or not settings.reads_come_first:
        # Whoever has been shown an answer, or began an aided read, can't read unaided any more (`reads.add`).
        ways += [Study.id.in_(select(Display.study).where(Display.reader == reader))]
        ways += [Study.id.in_(mine.where(Read.stage == "aided"))]
    return studies.where(or_(*ways))


def _show_all(session: Transaction, studies: Studies, model: str, reader: str) -> None:
    """Write down that all answers of a model are shown in sum; each once."""
    seen = select(Display.prediction).where(Display.reader == reader)
    query = select(Prediction).where(
        Prediction.model == model,
        Prediction.state == "done",
        Prediction.study.in_(studies.with_only_columns(Study.id)),
        Prediction.id.not_in(seen),
    )
    reads.show(session, session.scalars(query).all(), reader, "dashboard")
    session.write_appended()  # what follows asks what was shown


def operations(session: Transaction, model: str | None, studies: Studies) -> OperationsOut:
    """Return how the server ran in a period; nothing in it depends on what was answered."""
    numbers = studies.with_only_columns(Study.id)
    days = Counter(
        datetime.fromtimestamp(received, UTC).date() for received in session.scalars(_received(studies)).all()
    )
    states: dict[str, int] = {}
    seconds: list[float] = []
    if model is not None:
        mine = (Prediction.model == model, Prediction.study.in_(numbers))
        count = select(Prediction.state, func.count()).where(*mine).group_by(Prediction.state)
        states = dict(sorted((state, number) for state, number in session.execute(count)))
        took = select(Prediction.result["seconds"].as_float()).where(*mine, Prediction.state == "done")
        newest = session.scalars(took.order_by(Prediction.finished.desc()).limit(_TIMED))
        seconds = [value for value in newest if value is not None]
    return OperationsOut(
        studies=sum(days.values()),
        images=session.scalar(select(func.count()).select_from(Image).where(Image.study.in_(numbers))) or 0,
        days=[DayOut(day=day, studies=number) for day, number in sorted(days.items())],
        predictions=states,
        median_seconds=float(np.median(seconds)) if seconds else None,
        slowest_seconds=float(np.quantile(seconds, 0.95)) if seconds else None,
        references=session.scalar(select(func.count()).select_from(Reference).where(Reference.study.in_(numbers))) or 0,
    )


def refused_share(session: Transaction, model: str, studies: Studies) -> Estimate:
    """Return the share of answers in which a model kept silent; asked again about an image, it is counted again."""
    rows = session.execute(
        select(Study.patient, Study.id, Prediction.result["refused"].as_boolean())
        .join(Prediction, Prediction.study == Study.id)
        .where(
            Prediction.model == model,
            Prediction.state == "done",
            Study.id.in_(studies.with_only_columns(Study.id)),
        )
    ).all()
    silent = np.array([bool(refused) for _, _, refused in rows], dtype=np.bool_)
    return proportion(silent, group_index([patient or study for patient, study, _ in rows]), what="set of answers")


def model_out(catalogue: Catalogue, identity: str, answers: int) -> ModelCountOut:
    """Return a model as it is listed."""
    entry = catalogue.list_models().get(identity)
    name, version = (None, None) if entry is None else (entry.card.name, entry.card.version)
    return ModelCountOut(id=identity[:SHORT], name=name, version=version, answers=answers)


def operating_point(catalogue: Catalogue, identity: str) -> str | None:
    """Return the name of the operating point at which a model decides; None where its card is gone."""
    entry = catalogue.list_models().get(identity)
    return None if entry is None else entry.card.operating_point.name


def _received(studies: Studies) -> Any:
    return studies.with_only_columns(Study.received)


def _count(session: Transaction, studies: Studies) -> int:
    return session.scalar(select(func.count()).select_from(studies.subquery())) or 0
