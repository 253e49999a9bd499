"""The monitor: weeks of a server against the acceptance or the card, and its false-alarm rate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from bundles import card as tiny_card
from pneumoscope.bundle import evidence
from pneumoscope.cli.main import app
from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.drift_rows import WeekRows, read_week
from pneumoscope.server.reading.figures import Target
from pneumoscope.server.reading.monitor import (
    Baseline,
    baseline_of_acceptance,
    baseline_of_card,
    judge_week,
    list_mondays,
    render_monitor_lines,
    watch,
)
from pneumoscope.server.reading.period import Period
from pneumoscope.server.security.accounts import Accounts
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, open_store
from pneumoscope.server.storage.tables import Study
from pneumoscope.stats.drift import level_of_a_test
from pneumoscope.stats.estimates import Estimate
from server.client import Client, serve_client
from server.reading.test_dashboard import PASSWORD, read, tiny, upload

MONDAY = date(2026, 1, 5)


def acceptance(identity: str, refused: int = 2) -> evidence.AcceptanceFact:
    """Return an acceptance on 200 patients whose scores are evenly spread."""
    spread = tuple(float(value) for value in np.linspace(0, 1, 198))
    return evidence.AcceptanceFact(
        bundle=identity, time="2026-01-01T00:00:00+00:00", plan="1", verdict="go", passed=True, reason="",
        sampling="consecutive", reference="RT-PCR", window_days=3,
        minima=evidence.AcceptanceMinima(sensitivity=0.8, specificity=0.8, auroc=0.8), figures={}, threshold=0.4,
        refused=Estimate(value=0.01), earlier_plans=0, data="", images=200, patients_with=100, patients_without=100,
        baseline=evidence.MonitorBaseline(
            images=200, refused=refused, scores=spread, ood=spread, answered=198, agreeing=180
        ),
        command="",
    )  # fmt: skip


def rows(patients: int, refused: int = 0, low: float = 0.0, high: float = 1.0, agreeing: int = 0) -> WeekRows:
    values = [float(value) for value in np.linspace(low, high, patients)]
    return WeekRows([True] * refused + [False] * (patients - refused), values, values, [True] * agreeing)


@pytest.fixture
def baseline() -> Baseline:
    return baseline_of_acceptance(acceptance("a" * 64))


def test_a_week_like_the_acceptance_has_no_alarm(baseline: Baseline) -> None:
    week = judge_week(MONDAY, rows(50, refused=1, agreeing=45), baseline, level_of_a_test(1, 4))
    assert [measure.name for measure in week.measures] == ["refusals", "scores", "ood", "agreement"]
    assert not week.alarms


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        (rows(50, refused=10), "refusals"),
        (replace(rows(50), scores=[0.9] * 50), "scores"),
        (replace(rows(50), ood=[3.0] * 50), "ood"),
        (replace(rows(50), agreeing=[False] * 20 + [True] * 20), "agreement"),
    ],
)
def test_each_change_has_its_alarm(baseline: Baseline, changed: WeekRows, name: str) -> None:
    week = judge_week(MONDAY, changed, baseline, level_of_a_test(1, 4))
    assert [measure.name for measure in week.alarms] == [name]


def test_a_week_of_few_patients_is_not_tested(baseline: Baseline) -> None:
    week = judge_week(MONDAY, rows(9, refused=9), baseline, 0.9)
    assert not week.alarms
    assert all("fewer than 10" in measure.note for measure in week.measures)


def test_false_alarms_are_as_many_as_are_stated() -> None:
    """800 pairs of acceptance and week in which nothing changes, at 5 in 52; benchmarks have 10,000 at 1 in 52."""
    rng = np.random.default_rng(7)
    level, alarms = level_of_a_test(5, 4), 0

    def draw(patients: int) -> WeekRows:
        score = rng.beta(1, 3, patients)
        refused, agreeing = rng.random(patients) < 0.05, rng.random(patients) < 0.85
        return WeekRows(refused.tolist(), score.tolist(), (score + rng.random(patients)).tolist(), agreeing.tolist())

    for _ in range(800):
        before = draw(150)
        drawn = Baseline(
            "acceptance",
            "",
            {"refusals": (sum(before.refused), 150), "agreement": (sum(before.agreeing), 150)},
            {"scores": tuple(before.scores), "ood": tuple(before.ood)},
            None,
            {},
        )
        alarms += bool(judge_week(MONDAY, draw(40), drawn, level).alarms)
    stated = 5 / 52
    assert 0.02 < alarms / 800 <= stated + 3 * (stated * (1 - stated) / 800) ** 0.5


def test_a_card_stands_in_where_no_site_has_accepted_the_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    plain = tiny_card(path, ("covid-19", "normal"))
    images = {"calibration": 100}
    card = plain.model_copy(
        update={"labels": tuple(label.model_copy(update={"images": images}) for label in plain.labels)}
    )
    baseline = baseline_of_card(card)
    assert baseline.shares == {"refusals": (2, 200), "agreement": (190, 200)}
    one_band = {"low": 0.0, "high": 1.0, "rate": 0.5, "rate_low": 0.3, "rate_high": 0.7, "n": 34}
    few = baseline_of_card(card.model_copy(update={"score_bands": (one_band,)}))
    assert few.bands is None
    assert "no change" in few.missing["scores"]
    assert baseline.bands == ((0.0, 0.5, 1.0), (40, 20))
    assert list(baseline.missing) == ["ood"]
    week = judge_week(MONDAY, replace(rows(50), scores=[0.9] * 50), baseline, level_of_a_test(1, 3))
    assert [measure.name for measure in week.alarms] == ["scores"]
    assert baseline_of_card(plain).measures == ("scores",)


@pytest.fixture
def served(settings: Settings) -> Iterator[Client]:
    with serve_client(replace(settings, read_first=True)) as client:
        yield client


def move(store: Store, studies: list[str], day: str) -> None:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    with store.write() as session:
        session.execute(update(Study).where(Study.id.in_(studies)).values(received=at))


def test_it_reads_the_weeks_of_a_server(served: Client, settings: Settings) -> None:
    """12 bright images in one week, one of them refused and one read; 2 in the week before, 1 in the running week."""
    bright = upload(served, *np.linspace(0.7, 0.9, 11).tolist(), 1.0)
    before, running = upload(served, 0.2, 0.3), upload(served, 0.4)
    assert read(served, bright[0], "covid-19") == 201
    model, catalogue = tiny(served), Catalogue(settings.models)
    target = Target("covid-19", {})
    week_period = Period(datetime(2026, 1, 5, tzinfo=UTC).timestamp(), datetime(2026, 1, 12, tzinfo=UTC).timestamp())
    store = open_store(settings)
    try:
        move(store, bright, "2026-01-07")
        move(store, before, "2026-01-04")  # a Sunday
        move(store, running, "2026-01-12")
        with store.read() as session:
            week = read_week(session, store.secret, catalogue.get(model).identity, target, week_period)
        report = watch(store, catalogue, model, weeks=2, today=date(2026, 1, 14))
    finally:
        store.close()
    assert (sum(week.refused), len(week.scores), len(week.ood), week.agreeing) == (1, 11, 12, [True])
    assert (report.baseline, report.model.id) == ("card", model)
    assert [(week.first_day, week.patients) for week in report.weeks] == [(date(2025, 12, 29), 2), (MONDAY, 12)]
    assert report.weeks[0].measures[0].note.startswith("not tested: 2 patients")
    [scores] = report.weeks[1].measures
    assert (scores.name, scores.patients, scores.alarm) == ("scores", 11, True)
    assert report.alarm
    lines = "\n".join(render_monitor_lines(report))
    assert "ALARM score" in lines
    assert "at most 1 of 52 weeks" in lines
    assert "no acceptance at this site" in lines
    assert "Alarms in the newest complete week: score (median)." in lines
    two = report.model_copy(update={"weeks": report.weeks[::-1], "alarm": False})
    lines = "\n".join(render_monitor_lines(two))
    assert "The newest complete week is not tested: each measure has fewer than 10 patients." in lines
    assert "The last alarm is of the week of 2026-01-05: score (median)." in lines
    quiet = report.weeks[1].measures[0].model_copy(update={"alarm": False})
    calm = report.weeks[1].model_copy(update={"measures": (quiet,)})
    lines = "\n".join(render_monitor_lines(report.model_copy(update={"weeks": (calm,), "alarm": False})))
    assert "No alarm in the newest complete week." in lines
    assert "last alarm" not in lines
    options = ["--home", str(settings.home), "--models", str(settings.models), "--weeks", "1", "--json"]
    run = CliRunner().invoke(app, ["monitor", "--model", model, *options])
    assert run.exit_code == 0, run.output
    assert json.loads(run.output)["alarm"] is False


def test_what_can_not_be_watched_is_said(store: Store, settings: Settings) -> None:
    catalogue = Catalogue(settings.models)
    with pytest.raises(RunError, match="no model has answered yet"):
        watch(store, catalogue, None)
    with pytest.raises(UsageError, match="not from 1 to 520"):
        watch(store, catalogue, None, weeks=0)
    with pytest.raises(UsageError, match="above 0 and at most 26"):
        watch(store, catalogue, None, false_alarms=0.0)


def test_over_http_it_is_for_admins_and_counts_as_a_display(settings: Settings) -> None:
    """A study of last week: after the monitor was asked for, its unaided read is refused."""
    strict = replace(settings, accounts=True)
    store = open_store(strict)
    accounts = Accounts(store)
    accounts.add("chief", PASSWORD, "admin", sees_names=False)
    accounts.add("reader", PASSWORD, "reader", sees_names=False)
    store.close()
    with serve_client(strict) as client:
        client.login("reader", PASSWORD)
        (study,) = upload(client, 0.8)
        model = tiny(client)
        assert client("GET", f"/api/monitor/{model}").status_code == 403
        client.login("chief", PASSWORD)
        store = open_store(strict)
        move(store, [study], (list_mondays(1)[0]).isoformat())
        store.close()
        assert client("GET", f"/api/monitor/{model}?weeks=0").status_code == 422
        report = client.get(f"/api/monitor/{model}?weeks=2")
        assert (report["baseline"], report["alarm"], report["level"]) == ("card", False, pytest.approx(1 / 52))
        assert [week["patients"] for week in report["weeks"]] == [0, 1]
        assert read(client, study, "covid-19") == 409
