"""The monitor: week by week, does a model still meet what it met at its acceptance?

Four measures: refusals, scores, the out-of-distribution score (a server stores no embeddings, and this distance is made
from them), and agreement of unaided reads with the answers. Each is tested against the newest acceptance at this site,
or, where there is none, against what the bundle's card says of its calibration. The level of the tests is that of a
stated number of false alarms in a year.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.evidence import AcceptanceFact, acceptances, read
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.dashboard import choose_model, describe_model
from pneumoscope.server.reading.drift_rows import WeekRows, read_week
from pneumoscope.server.reading.figures import ModelCount
from pneumoscope.server.reading.period import Period
from pneumoscope.server.reading.queries import count_answers, make_target
from pneumoscope.server.security.audit_log import record_command
from pneumoscope.server.storage.database import Store
from pneumoscope.stats.drift import compare_bands, compare_samples, compare_shares, level_of_a_test

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from pneumoscope.server.storage.crypto import Secret

LEAST_PATIENTS = 10
"""A week with fewer patients is not tested: nothing could show."""
MOST_WEEKS = 520
MOST_FALSE_ALARMS = 26.0
FALSE_ALARMS = 1.0
WEEKS = 12

TITLES = {
    "refusals": "share refused",
    "scores": "score (median)",
    "ood": "out-of-distribution score (median)",
    "agreement": "share of unaided reads that agree with the model",
}


class MonitorMeasure(Frozen):
    """One measure in one week."""

    name: str
    title: str
    now: float | None = Field(description="share, or median; None where the week has nobody")
    before: float = Field(description="of the baseline")
    patients: int
    baseline_patients: int
    p_value: float | None = Field(description="of no change; None: not tested")
    alarm: bool
    note: str = Field(default="", description="why it is not tested")


class MonitorWeek(Frozen):
    """One week, Monday to Sunday, UTC, by receipt."""

    first_day: date
    patients: int = Field(description="with an answer; one image of each counts")
    measures: tuple[MonitorMeasure, ...]

    @property
    def alarms(self) -> tuple[MonitorMeasure, ...]:
        """The measures that changed."""
        return tuple(measure for measure in self.measures if measure.alarm)


class MonitorReport(Frozen):
    """The weeks of one model at this site."""

    disclaimer: str = DISCLAIMER
    made: str = Field(description="UTC, ISO 8601")
    model: ModelCount
    findings: tuple[str, ...] = Field(default=(), description="of a multi-label model: those that may be watched")
    finding: str | None = Field(default=None, description="of a multi-label model: the one watched here")
    baseline: str = Field(description="acceptance or card")
    baseline_words: str
    not_measured: dict[str, str] = Field(description="measure -> why the baseline has none")
    false_alarms_per_year: float = Field(description="expected weeks with a false alarm in 52, at most")
    level: float = Field(description="of each test")
    weeks: tuple[MonitorWeek, ...] = Field(description="complete weeks, oldest first")
    alarm: bool = Field(description="whether the newest complete week has an alarm")


@dataclass(frozen=True)
class Baseline:
    """What weeks are compared with.

    Attributes:
        kind: acceptance or card.
        words: Where it comes from.
        shares: Measure -> hits and patients.
        samples: Measure -> values.
        bands: Edges and counts of the scores, where only these are known; else None.
        missing: Measure -> why there is none.
    """

    kind: str
    words: str
    shares: dict[str, tuple[int, int]]
    samples: dict[str, tuple[float, ...]]
    bands: tuple[tuple[float, ...], tuple[int, ...]] | None
    missing: dict[str, str]

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that it has, in their order."""
        there = {*self.shares, *self.samples, *(["scores"] if self.bands else [])}
        return tuple(name for name in TITLES if name in there)


def baseline_of_acceptance(fact: AcceptanceFact) -> Baseline:
    """Return the baseline of a site's acceptance.

    Args:
        fact: The acceptance.
    """
    base = fact.baseline
    shares = {"refusals": (base.refused, base.images), "agreement": (base.agreeing, base.answered)}
    samples = {"scores": base.scores, "ood": base.ood}
    return Baseline(
        "acceptance",
        f"this site's acceptance of {fact.time[:10]} ({fact.verdict}, {base.images} patients); readers are compared "
        "with its reference standard",
        {name: share for name, share in shares.items() if share[1]},
        {name: values for name, values in samples.items() if values},
        None,
        {name: "no image was answered at the acceptance" for name in ("scores", "agreement") if not base.answered},
    )


def baseline_of_card(card: Card) -> Baseline:
    """Return what a card says of its calibration, for a model that no site has accepted.

    Args:
        card: Of the model.
    """
    images = [sum(label.images.get("calibration", 0) for label in side) for side in (card.labels[:1], card.labels[1:])]
    total = sum(images)
    shares, missing = {}, {"ood": "the card holds one quantile of it, which the refusals show"}
    if total:
        refusal = card.refusal
        if refusal.images is not None and refusal.kept is not None:
            shares["refusals"] = (refusal.images - refusal.kept, refusal.images)
        else:
            shares["refusals"] = (round((1 - refusal.ood_quantile) * total), total)
        point = card.operating_point
        if point.sensitivity.value is not None and point.specificity.value is not None:
            right = point.sensitivity.value * images[0] + point.specificity.value * images[1]
            shares["agreement"] = (round(right), total)
    for name in ("refusals", "agreement"):
        if name not in shares:
            missing[name] = "the card names no calibration images"
    bands = None
    if card.one_band:
        missing["scores"] = "the card has one band for all scores, in which no change of theirs shows"
    elif card.score_bands:
        edges = (card.score_bands[0]["low"], *(band["high"] for band in card.score_bands))
        bands = edges, tuple(round(band["n"]) for band in card.score_bands)
    else:
        missing["scores"] = "the card has no score bands"
    return Baseline(
        "card",
        "the card's calibration images, since this model has no acceptance at this site: other patients and other "
        "machines, so that an alarm may only say that your site differs",
        shares,
        {},
        bands,
        missing,
    )


def watch(
    store: Store,
    catalogue: Catalogue,
    model: str | None,
    *,
    weeks: int = WEEKS,
    false_alarms: float = FALSE_ALARMS,
    today: date | None = None,
    finding: str | None = None,
) -> MonitorReport:
    """Return the last complete weeks of a model, asked for at the machine itself.

    Args:
        store: The server's store.
        catalogue: The server's models.
        model: Name of a model; None: the model with the most answers.
        weeks: Number of weeks.
        false_alarms: Weeks with a false alarm in a year, at most, over all measures.
        today: None: today, UTC.
        finding: Which of a multi-label model's findings; None: its first.

    Raises:
        UsageError: ``weeks`` or ``false_alarms`` is out of range, or the model has no such finding.
        RunError: No model has answered yet, or the model's bundle is no longer here.
        NotFoundError: The model is not here.
        BundleError: Its evidence was altered.
    """
    check_monitor(weeks, false_alarms)
    record_command(store, "monitor")
    with store.read() as session:
        answers = count_answers(session, Period().studies())
        chosen = choose_model(catalogue, answers, model)
        if chosen is None:
            raise RunError("the monitor", "has nothing to watch: no model has answered yet.", "Upload studies first.")
        return build_monitor(
            session,
            store.secret,
            catalogue,
            chosen,
            answers.get(chosen, 0),
            list_mondays(weeks, today),
            false_alarms,
            finding,
        )


def list_mondays(weeks: int, today: date | None = None) -> list[date]:
    """Return the first days of the last complete weeks, oldest first.

    Args:
        weeks: Number of weeks.
        today: None: today, UTC.
    """
    today = today or datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday())
    return [monday - timedelta(weeks=back) for back in range(weeks, 0, -1)]


def build_monitor(
    session: Session,
    secret: Secret,
    catalogue: Catalogue,
    model: str,
    answers: int,
    mondays: Sequence[date],
    false_alarms: float,
    finding: str | None = None,
) -> MonitorReport:
    """Return some weeks of a model.

    Args:
        session: A session to read with.
        secret: Makes the readers' pseudonyms.
        catalogue: The server's models.
        model: Identity, whole.
        answers: Number of its answers.
        mondays: First days of the weeks, oldest first.
        false_alarms: Weeks with a false alarm in a year, at most, over all measures.
        finding: Which of a multi-label model's findings; None: its first.

    Raises:
        RunError: The model's bundle is no longer here.
        BundleError: Its evidence was altered.
        UsageError: The model has no such finding.
    """
    installed = catalogue.list_models().get(model)
    if installed is None:
        raise RunError(
            f"model {model[:12]}",
            "is no longer on this server, so that there is no baseline.",
            "Put its bundle back, or name another model.",
        )
    target = make_target(installed.card, finding)
    facts = acceptances(read(installed.folder, installed.identity))
    card = installed.card.view(target.primary) if target.findings else installed.card
    # A site accepts a model by one label's scores, which are not those of another finding.
    baseline = baseline_of_acceptance(facts[-1]) if facts and not target.findings else baseline_of_card(card)
    level = level_of_a_test(false_alarms, max(1, len(baseline.measures)))
    weeks = tuple(
        judge_week(day, read_week(session, secret, model, target, period_of_week(day)), baseline, level)
        for day in mondays
    )
    return MonitorReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        model=describe_model(catalogue, model, answers),
        findings=target.findings,
        finding=target.primary if target.findings else None,
        baseline=baseline.kind,
        baseline_words=baseline.words,
        not_measured=baseline.missing,
        false_alarms_per_year=false_alarms,
        level=level,
        weeks=weeks,
        alarm=bool(weeks and weeks[-1].alarms),
    )


def check_monitor(weeks: int, false_alarms: float) -> None:
    """Check how many weeks and false alarms are asked for.

    Raises:
        UsageError: One is out of range.
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise UsageError(argument("weeks", weeks), f"is not from 1 to {MOST_WEEKS}.", "The default is 12.")
    if not (math.isfinite(false_alarms) and 0 < false_alarms <= MOST_FALSE_ALARMS):
        raise UsageError(
            argument("false_alarms", false_alarms),
            f"is not above 0 and at most {MOST_FALSE_ALARMS:g} in a year.",
            "1 is one week with a false alarm in a year.",
        )


def judge_week(first_day: date, rows: WeekRows, baseline: Baseline, level: float) -> MonitorWeek:
    """Return one week with its tests.

    Args:
        first_day: Its Monday.
        rows: What was said in it.
        baseline: What it is compared with.
        level: Of each test.
    """
    seen: dict[str, Sequence[float]] = {
        "refusals": rows.refused,
        "scores": rows.scores,
        "ood": rows.ood,
        "agreement": rows.agreeing,
    }
    measures = tuple(_measure(name, seen[name], baseline, level) for name in baseline.measures)
    return MonitorWeek(first_day=first_day, patients=len(rows.refused), measures=measures)


def _measure(name: str, values: Sequence[float], baseline: Baseline, level: float) -> MonitorMeasure:
    now = None if not values else float(np.mean(values) if name in baseline.shares else np.median(values))
    test: Callable[[], float]
    if name in baseline.shares:
        hits, total = baseline.shares[name]
        before = hits / total
        test = partial(compare_shares, int(sum(values)), len(values), hits, total)
    elif name in baseline.samples:
        sample = baseline.samples[name]
        total, before = len(sample), float(np.median(sample))
        test = partial(compare_samples, values, sample)
    else:
        assert baseline.bands is not None
        edges, counts = baseline.bands
        total = sum(counts)
        before = float(np.interp(total / 2, np.cumsum([0, *counts]), edges))
        test = partial(compare_bands, values, edges, counts)
    p_value, note = None, ""
    if len(values) < LEAST_PATIENTS:
        note = f"not tested: {len(values)} patients, fewer than {LEAST_PATIENTS}"
    else:
        p_value = test()
    return MonitorMeasure(
        name=name,
        title=TITLES[name],
        now=now,
        before=before,
        patients=len(values),
        baseline_patients=total,
        p_value=p_value,
        alarm=p_value is not None and p_value <= level,
        note=note,
    )


def period_of_week(first_day: date, weeks: int = 1) -> Period:
    """Return the period of weeks from a Monday on.

    Args:
        first_day: The Monday.
        weeks: Number of weeks.
    """
    start = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
    return Period(start.timestamp(), (start + timedelta(weeks=weeks)).timestamp())


def render_monitor_lines(report: MonitorReport) -> list[str]:
    """Return the report for a terminal.

    Args:
        report: To print.
    """
    name = f"{report.model.name} {report.model.version}" if report.model.name else "a model"
    about = "" if report.finding is None else f" Finding: {display_name(report.finding)}."
    lines = [
        f"Model {name} ({report.model.id}), {report.model.answers} answers.{about} Baseline: {report.baseline_words}.",
        f"An alarm is p <= {report.level:.2g} of a measure in a week. Where nothing changes, at most "
        f"{report.false_alarms_per_year:g} of 52 weeks have one, over all measures (Bonferroni); exact tests.",
    ]
    for week in report.weeks:
        lines += ["", f"Week of {week.first_day} (UTC): {week.patients} patients with an answer"]
        for measure in week.measures:
            now = "none" if measure.now is None else f"{measure.now:.3f}"
            p_value = measure.note if measure.p_value is None else f"p {measure.p_value:.2g}"
            flag = "ALARM " if measure.alarm else ""
            lines.append(
                f"  {flag}{measure.title}: {now} of {measure.patients}, before {measure.before:.3f} of "
                f"{measure.baseline_patients}; {p_value}"
            )
    lines += ["", *(f"! {TITLES[name]}: not watched, {why}" for name, why in report.not_measured.items())]
    return [*lines, *_conclude(report.weeks), report.disclaimer]


def _conclude(weeks: Sequence[MonitorWeek]) -> list[str]:
    """Return what the newest week says, and which earlier one had the last alarm where it has none itself."""
    newest = weeks[-1]
    if newest.alarms:
        return [f"Alarms in the newest complete week: {_name_alarms(newest)}."]
    if all(measure.p_value is None for measure in newest.measures):
        lines = [f"The newest complete week is not tested: each measure has fewer than {LEAST_PATIENTS} patients."]
    else:
        lines = [
            "No alarm in the newest complete week. That is no proof that nothing changed: small weeks show little."
        ]
    last = next((week for week in reversed(weeks) if week.alarms), None)
    return (
        lines if last is None else [*lines, f"The last alarm is of the week of {last.first_day}: {_name_alarms(last)}."]
    )


def _name_alarms(week: MonitorWeek) -> str:
    return ", ".join(measure.title for measure in week.alarms)
