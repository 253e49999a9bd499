"""The arithmetic of an audit beside scikit-learn, beside simulation, and beside cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from pneumoscope.auditing.effects import ratio_of_sums
from pneumoscope.auditing.logistic import cross_fit, fit_logistic, predict_logistic, reduce_dimensions
from pneumoscope.auditing.result import AuditTest, AuditVerdict
from pneumoscope.auditing.sites import logit_scale, predict_from, predict_new_site
from pneumoscope.auditing.verdicts import conclude, judge_change, judge_decisions, judge_remaining
from pneumoscope.stats.comparison.unpaired import compare_subsets
from pneumoscope.stats.estimates import Estimate


def interval(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("remaining", "change", "verdict"),
    [
        (interval(0.40, 0.60), interval(-0.5, -0.3), "pass"),
        (interval(0.55, 0.75), interval(-0.4, -0.2), "caution"),
        (interval(0.70, 0.90), interval(-0.2, -0.1), "fail"),
        (interval(0.52, 0.64), interval(-0.04, 0.02), "fail"),  # nothing is lost without the lungs
        (Estimate(value=0.9), interval(-0.1, 0.1), "not identifiable"),
    ],
)
def test_what_remains_is_judged_by_its_whole_interval(
    remaining: Estimate, change: Estimate, verdict: AuditVerdict
) -> None:
    assert judge_remaining(remaining, change, 0.15, decisive=True) == verdict
    softened = "caution" if verdict == "fail" else verdict
    assert judge_remaining(remaining, change, 0.15, decisive=False) == softened


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (interval(-0.04, 0.02), "pass"),
        (interval(0.01, 0.2), "pass"),
        (interval(-0.10, 0.02), "caution"),
        (interval(-0.30, -0.06), "fail"),
        (Estimate(value=-0.3), "not identifiable"),
    ],
)
def test_a_loss_is_judged_by_its_whole_interval(change: Estimate, verdict: AuditVerdict) -> None:
    assert judge_change(change, 0.05, decisive=True) == verdict


def test_changed_decisions_are_judged_by_the_upper_limit() -> None:
    verdicts = [judge_decisions(interval(low, high), 0.10) for low, high in ((0.02, 0.09), (0.02, 0.12), (0.3, 0.4))]
    assert verdicts == ["pass", "caution", "caution"]
    assert judge_decisions(Estimate(value=0.0), 0.10) == "not identifiable"


def one_test(name: str, verdict: AuditVerdict) -> AuditTest:
    return AuditTest(
        name=name, title=name.title(), question="?", effect_name="x", effect=interval(0, 1), chance=0.5, rule="",
        verdict=verdict, sentence=f"{name} was seen.", images=1, groups=1,
    )  # fmt: skip


def test_one_failed_test_fails_the_model_and_the_first_one_is_the_reason() -> None:
    tests = [one_test("a", "pass"), one_test("b", "fail"), one_test("c", "fail"), one_test("d", "caution")]
    assert conclude(tests, interval(0.8, 0.9)) == ("fail", "b was seen. (1 more test failed.)")
    assert conclude(tests[:1], interval(0.8, 0.9))[0] == "pass"
    assert conclude([tests[0], tests[3]], interval(0.8, 0.9))[0] == "caution"
    assert conclude([tests[0], one_test("e", "not identifiable")], interval(0.8, 0.9))[0] == "caution"


def test_a_model_at_chance_cannot_be_audited() -> None:
    verdict, reason = conclude([one_test("a", "caution")], interval(0.45, 0.6))
    assert verdict == "not identifiable"
    assert "beat chance" in reason


def test_the_logistic_regression_is_that_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 7))
    target = (values[:, 0] + rng.normal(size=120) > 0.3).astype(float)
    for penalty in (0.1, 1.0, 10.0):
        ours = fit_logistic(values, target, penalty)
        theirs = linear_model.LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000).fit(values, target)
        assert ours[:-1] == pytest.approx(theirs.coef_[0], abs=1e-5)
        assert ours[-1] == pytest.approx(theirs.intercept_[0], abs=1e-5)
        assert predict_logistic(ours, values) == pytest.approx(theirs.predict_proba(values)[:, 1], abs=1e-5)


def test_separated_classes_do_not_break_the_regression() -> None:
    values = np.linspace(-1, 1, 20)[:, None]
    weights = fit_logistic(values, (values[:, 0] > 0).astype(float), 0.01)
    assert np.isfinite(weights).all()
    assert weights[0] > 5


def test_a_cross_fitted_score_never_saw_its_fold() -> None:
    """A number that names the image tells its label only to a regression that saw it."""
    rng = np.random.default_rng(1)
    target = rng.random(60) < 0.5
    values = np.eye(60)
    fold = np.arange(60) % 5
    own = cross_fit(values, target, fold, 0.1)
    changed = target.copy()
    changed[fold == 2] = ~changed[fold == 2]
    assert np.array_equal(cross_fit(values, changed, fold, 0.1)[fold == 2], own[fold == 2])


def test_components_keep_distances() -> None:
    values = np.random.default_rng(2).normal(size=(30, 5))
    scaled = (values - values.mean(0)) / values.std(0)
    kept = reduce_dimensions(values, 5)
    assert kept @ kept.T == pytest.approx(scaled @ scaled.T, abs=1e-9)


def test_the_ratio_of_sums_holds_the_truth_as_often_as_it_says() -> None:
    """Lognormal heat over a fixed area: 95 of 100 intervals, within what 200 trials allow (standard error .015)."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        area = rng.uniform(0.2, 0.4, 40)
        mass = area * 1.5 * rng.lognormal(-0.08, 0.4, 40)  # mean of the factor: exp(-0.08 + 0.4^2 / 2) = 1
        estimate = ratio_of_sums(mass, area, np.arange(40))
        assert estimate.low is not None
        assert estimate.high is not None
        held += estimate.low <= 1.5 <= estimate.high
    assert 0.90 <= held / 200 <= 0.99


def test_the_difference_between_subgroups_by_hand() -> None:
    """Perfect order inside, reversed order outside: 1 - 0."""
    score = np.concatenate([np.linspace(0, 1, 40), np.linspace(1, 0, 40)])
    positive = np.tile(np.arange(40) >= 20, 2)
    one, other, gap, _ = compare_subsets(score, positive, np.arange(80), np.arange(80) < 40)
    assert (one.value, other.value, gap.value) == (1, 0, 1)
    assert gap.low is not None
    assert gap.low > 0.6


def test_many_exact_sites_give_the_normal_interval() -> None:
    """200 sites measured without error: mean +- 1.96 spreads, as in Higgins 2009 where k is large."""
    rng = np.random.default_rng(4)
    values = rng.normal(1.2, 0.5, 200)
    low, high, middle, spread = predict_new_site(values.tolist(), [1e-3] * 200)
    mean, deviation = values.mean(), values.std(ddof=1)
    assert spread == pytest.approx(deviation, abs=0.03)
    assert middle == pytest.approx(expit(mean), abs=0.01)
    assert low == pytest.approx(expit(mean - 1.96 * deviation), abs=0.02)
    assert high == pytest.approx(expit(mean + 1.96 * deviation), abs=0.02)


@pytest.mark.parametrize("sites", [1, 3, 6])
def test_the_interval_holds_a_new_site_at_least_as_often_as_it_says(sites: int) -> None:
    """Simulated hospitals, 120 times: spread 0.6, errors 0.25. Few sites make it wide, never short."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(120):
        truth = rng.normal(1.0, 0.6, sites + 1)
        seen = truth[:sites] + rng.normal(0, 0.25, sites)
        low, high, _, _ = predict_new_site(seen.tolist(), [0.25] * sites)
        held += low <= expit(truth[-1]) <= high
    assert held / 120 >= 0.9


def test_without_a_site_nothing_is_known() -> None:
    low, high, middle, _ = predict_new_site([], [])
    assert low < 0.05
    assert high > 0.95
    assert middle == pytest.approx(0.5, abs=0.01)


def test_the_error_of_a_site_is_that_of_its_wider_side() -> None:
    value, error = logit_scale(Estimate(value=0.8, low=0.7, high=0.85))
    assert value == pytest.approx(logit(0.8))
    assert error == pytest.approx((logit(0.8) - logit(0.7)) / 1.96, abs=1e-4)


def test_a_prediction_names_what_it_rests_on() -> None:
    sites = {"a": interval(0.6, 0.9), "b": Estimate(value=None, note="one class"), "c": Estimate(value=0.9)}
    prediction = predict_from(sites, "Measured.")
    assert prediction is not None
    assert tuple(prediction.sites) == ("a",)
    assert prediction.without_both_classes == ("b", "c")
    assert "1 site" in prediction.sentence
    assert "Chance (0.5) is not ruled out" in prediction.sentence
    assert predict_from({"b": sites["b"]}, "Measured.") is None
