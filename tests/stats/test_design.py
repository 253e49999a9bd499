"""Case-control studies and cohorts: intervals that hold for either, and the wider where nobody states the design."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pneumoscope.core.errors import UsageError
from pneumoscope.stats import bootstrap, decision, intervals, kernels, stratified
from pneumoscope.stats.design import DESIGNS, check_design
from pneumoscope.stats.estimates import with_limits
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.stats.loss_intervals import mean_of_losses


def cohort(rng, patients, prevalence=0.1):
    """Return the probabilities of a calibrated model, and whether each patient, who came by chance, has the disease."""
    positive = rng.random(patients) < prevalence
    score = rng.normal(size=patients) + 1.5 * positive
    return expit(1.5 * score - 1.125 + np.log(prevalence / (1 - prevalence))), positive


def test_intervals_of_a_cohort_hold_the_truth_where_those_of_a_case_control_study_do_not():
    rng = np.random.default_rng(0)
    p, positive = cohort(rng, 1_000_000)
    figures = {
        "accuracy": lambda p, y: (p >= 0.5) == y,
        "log-loss": lambda p, y: -np.log(np.where(y, p, 1 - p)),
        "Brier": lambda p, y: (p - y) ** 2,
    }
    truths = {name: figure(p, positive).mean() for name, figure in figures.items()}
    held = {(name, design): 0 for name in figures for design in DESIGNS}
    group = np.arange(300)
    for _ in range(500):
        p, positive = cohort(rng, 300)
        truth = np.where(positive, 0, 1)
        for design in DESIGNS:
            estimates = {
                "accuracy": stratified.estimate_accuracy((p >= 0.5) == positive, [positive, ~positive], group, design)
            } | {
                name: mean_of_losses(figures[name](p, positive), truth, group, 2, most=16.2, design=design)
                for name in ("log-loss", "Brier")
            }
            for name, e in estimates.items():
                held[name, design] += e.low <= truths[name] <= e.high
    for name in figures:
        assert 0.925 <= held[name, "cohort"] / 500 <= 0.985, name
        assert held[name, "case-control"] / 500 < 0.85, name


def test_the_calibration_intercept_of_a_cohort_has_the_interval_of_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    p, positive = cohort(np.random.default_rng(1), 800, 0.3)
    fit = sm.GLM(positive.astype(float), np.ones(800), family=sm.families.Binomial(), offset=kernels.logit(p)).fit()
    low, high = fit.conf_int()[0]
    widths = {}
    for design in DESIGNS:
        sample = bootstrap.resample(np.where(positive, 0, 1), np.arange(800), 2, np.random.default_rng(2), 1500, design)
        e = bootstrap.bootstrap(lambda w: kernels.calibration_intercept(p, positive, w), sample)
        assert e.value == pytest.approx(fit.params[0], abs=1e-6)
        widths[design] = (e.high - e.low) / (high - low)
    assert widths["cohort"] == pytest.approx(1.0, abs=0.08)
    assert widths["case-control"] < 0.8


def test_resamples_of_a_cohort_vary_in_their_classes_as_the_binomial_does():
    truth = np.repeat([0, 1], [40, 160])
    sample = bootstrap.resample(truth, np.arange(200), 2, np.random.default_rng(3), 2000, "cohort")
    share = np.concatenate(list(sample.blocks()))[:, :40].sum(axis=1) / 200
    assert share.mean() == pytest.approx(0.2, abs=0.003)
    assert share.std() == pytest.approx((0.2 * 0.8 / 199) ** 0.5, rel=0.06)


def test_a_figure_whose_design_nobody_states_has_the_wider_interval_and_every_figure_names_its_design():
    p, positive = cohort(np.random.default_rng(4), 250, 0.3)
    both = np.column_stack([p, 1 - p])
    result = {
        design: evaluate_predictions(
            both,
            np.where(positive, 0, 1),
            np.arange(250).astype(str),
            ("a", "b"),
            thresholds={"youden": 0.4},
            rng=np.random.default_rng(5),
            resamples=300,
            design=design,
        )
        for design in (*DESIGNS, None)
    }
    flat = {design: figures.flat() for design, figures in result.items()}
    for name, unstated in flat[None].items():
        widths = [flat[design][name].high - flat[design][name].low for design in DESIGNS]
        # The resamples of the second design are other ones than those of a stated design.
        assert unstated.high - unstated.low == pytest.approx(max(widths), rel=0.15), name
        assert "design" in unstated.method, name
        for design in DESIGNS:
            assert flat[design][name].value == unstated.value
            assert flat[design][name].method.endswith((f"; {design}", "; holds for either design")), name
    assert flat["cohort"]["accuracy"].method.endswith("; cohort")
    assert [figures.design for figures in result.values()] == ["case-control", "cohort", None]
    notes = [figures.operating[0].predictive[0].ppv.note for figures in result.values()]
    assert notes == ["case-control data: optimistic", "", "optimistic if the data are case-control"]


def test_net_benefit_of_a_cohort_has_the_interval_of_a_mean_over_patients():
    from scipy import stats

    p, positive = cohort(np.random.default_rng(6), 2000, 0.3)
    called = p >= 0.2
    each = np.where(called, np.where(positive, 1.0, -0.25), 0.0)
    low, high = stats.t.interval(0.95, 1999, loc=each.mean(), scale=stats.sem(each))
    e = decision.net_benefit(called, positive, np.arange(2000), None, 0.2, "cohort").model
    assert e.value == pytest.approx(each.mean())
    assert (e.low, e.high) == (
        pytest.approx(low, abs=0.05 * (high - low)),
        pytest.approx(high, abs=0.05 * (high - low)),
    )
    fixed = decision.net_benefit(called, positive, np.arange(2000), None, 0.2).model
    assert fixed.high - fixed.low < 0.8 * (e.high - e.low)


def test_an_unknown_design_is_named():
    assert [check_design(name) for name in (*DESIGNS, None)] == [*DESIGNS, None]
    with pytest.raises(UsageError, match=r"(?s)cohrot.*cohort"):
        check_design("cohrot")


@pytest.mark.parametrize("groups", [12, 40])
def test_a_proportion_of_strong_unequal_clusters_is_covered(groups):
    # 1 to 20 images a patient that share .9 of their variance: the truth is .8 by construction.
    rng, held = np.random.default_rng(groups), 0
    for _ in range(600):
        size = rng.integers(1, 21, groups)
        group = np.repeat(np.arange(groups), size)
        latent = rng.normal(scale=0.9**0.5, size=groups)[group] + rng.normal(scale=0.1**0.5, size=len(group))
        e = intervals.estimate_proportion(latent < 0.8416212, group)
        held += e.low <= 0.8 <= e.high
    assert 0.93 <= held / 600 <= 0.985


def test_the_variance_of_unequal_groups_is_the_jackknife():
    rng = np.random.default_rng(7)
    counts = rng.integers(1, 21, 15).astype(float)
    hits = rng.binomial(counts.astype(int), 0.4).astype(float)
    share = hits.sum() / counts.sum()
    left_out = (hits.sum() - hits) / (counts.sum() - counts)
    expected = 14 / 15 * ((left_out - share) ** 2).sum()
    assert intervals.jackknife_variance(hits - share * counts, counts) == pytest.approx(expected)
    assert intervals.effective_groups(np.full(9, 7.0)) == pytest.approx(9)
    assert intervals.effective_groups(np.array([100.0, 1, 1, 1]), 0.0) == pytest.approx(103**2 / 10003)


def test_a_bootstrap_that_a_few_large_groups_decide_says_so():
    rng = np.random.default_rng(10)
    for sizes, says in ((np.full(24, 7), False), (np.tile([20, 1, 1, 1, 1, 20], 4), True)):
        group = np.repeat(np.arange(24), sizes)
        truth = (group % 2).astype(np.intp)
        value = rng.normal(size=len(group))
        sample = bootstrap.resample(truth, group, 2, rng, 300)
        e = bootstrap.bootstrap(lambda w, value=value: kernels.mean(value, w), sample)
        assert "may be too short" in e.note
        # 20, 1, 1 x 4: (sum of squares)^2 / sum of fourth powers = 1608^2 / 640008 = 4.04
        assert ("12 groups in a class" in e.note) != says
        assert ("as much as 4 equal ones" in e.note) == says


def random_case(rng):
    """Return probabilities, truths and groups of a study: few or many patients, ties, constants, separated classes."""
    n = int(rng.choice([12, 25, 60, 150]))
    truth = rng.integers(0, 2, n)
    truth[:2] = 0, 1
    score = rng.normal(size=n) * rng.choice([0.0, 0.3, 1.0, 8.0]) + truth * rng.choice([-3.0, 0.0, 1.0, 20.0])
    p = expit(np.round(score, int(rng.choice([0, 1, 6]))))
    group = np.arange(n) if rng.random() < 0.5 else rng.integers(0, max(11, n // 4), n)
    return np.column_stack([p, 1 - p]), truth, group.astype(str)


@pytest.mark.parametrize("design", [*DESIGNS, None])
def test_no_interval_is_impossible(design):
    rng = np.random.default_rng(8)
    for _ in range(12):
        p, truth, groups = random_case(rng)
        figures = evaluate_predictions(
            p, truth, groups, ("a", "b"), thresholds={"youden": 0.5}, rng=rng, resamples=200, design=design
        )
        for name, e in figures.flat().items():
            assert e.value is None or np.isfinite(e.value)
            assert (e.low is None) == (e.high is None)
            if e.low is None:
                assert e.note, name
            else:
                assert e.low <= e.value <= e.high, name
                assert e.high - e.low > 1e-9, name


def test_constant_scores_are_not_estimable_and_nothing_is_called_separated():
    truth = np.repeat([0, 1], [30, 50])
    p = np.tile([0.5, 0.5], (80, 1))
    figures = evaluate_predictions(
        p, truth, np.arange(80).astype(str), ("a", "b"), rng=np.random.default_rng(9), resamples=300
    ).by_class["a"]
    assert figures["auroc"].value == 0.5
    for name in ("auroc", "auprc", "calibration_intercept", "calibration_error"):
        e = figures[name]
        assert (e.low, e.high) == (None, None), name
        assert "separated" not in e.note, name
    # One tied value at which the classes touch: no finite slope, but the classes are not separated.
    touching = np.where(np.arange(80) < 30, np.where(np.arange(80) < 10, 0.5, 0.8), 0.5)
    e = evaluate_predictions(
        np.column_stack([touching, 1 - touching]),
        truth,
        np.arange(80).astype(str),
        ("a", "b"),
        rng=np.random.default_rng(9),
        resamples=300,
    ).by_class["a"]
    assert "tied" in e["calibration_slope"].note
    assert "separated" not in e["auroc"].note


def test_limits_that_miss_their_figure_are_moved_to_it():
    assert with_limits(0.3, 0.35, 0.5, "m").low == 0.3
    assert with_limits(0.6, 0.35, 0.5, "m").high == 0.6
    assert with_limits(0.3, 0.3 - 1e-12, 0.3 + 1e-12, "m").low is None
