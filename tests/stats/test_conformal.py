"""Prediction sets: their guarantee by enumeration and by simulation, for any model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pneumoscope.stats import conformal


def test_the_guarantee_is_exact_over_all_orders():
    # Of n + 1 exchangeable scores each is the new one equally often. The others set the threshold.
    for n in (5, 18, 19, 20, 39, 57, 100):
        for alpha in (0.05, 0.1, 0.2):
            scores = np.linspace(0.1, 0.9, n + 1)
            covered = sum(scores[i] >= conformal.threshold(np.delete(scores, i), alpha) for i in range(n + 1))
            missed = (n + 1) - covered
            assert missed == int(round(alpha * (n + 1) * 1000) // 1000)
            assert covered / (n + 1) >= 1 - alpha
    # .05 of 20 is 1 despite rounding errors; 18 images cannot rule anything out at .05.
    assert conformal.threshold(np.linspace(0.1, 0.9, 19), 0.05) == pytest.approx(0.1)
    assert conformal.threshold(np.linspace(0.1, 0.9, 18), 0.05) == 0.0


def test_a_threshold_includes_scores_that_equal_it_also_as_float32():
    scores = np.float32([0.3, 0.3, 0.3] + [0.9] * 20)
    limit = conformal.threshold(scores, 0.05)
    assert np.float32(0.3) >= limit > 0.2999


def draw_study(groups, rng, shift=None):
    """Return a poor model's probabilities [N, 3], labels and groups of 1 to 6 correlated images of one class."""
    truth_of = rng.choice(3, size=groups, p=[0.2, 0.5, 0.3] if shift is None else shift)
    group = np.repeat(np.arange(groups), rng.integers(1, 7, size=groups))
    truth = truth_of[group]
    logits = 1.2 * np.eye(3)[truth] + rng.normal(size=(groups, 3))[group] + 0.5 * rng.normal(size=(len(group), 3))
    p = np.exp(3 * logits)  # over-confident: the guarantee does not require calibration
    return p / p.sum(axis=1, keepdims=True), truth, group


def test_simulated_coverage_of_each_label_holds_at_another_prevalence():
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    covered = {name: [] for name in names}
    for _ in range(400):
        p, truth, group = draw_study(200, rng)
        sets = conformal.fit(p, truth, group, names, rng, alpha=0.1)
        new_p, new_truth, new_group = draw_study(60, rng, shift=[0.6, 0.2, 0.2])
        one = conformal.one_image_a_group(new_group, rng)
        inside = conformal.members(new_p[one], [sets.thresholds[name] for name in names])
        for k, name in enumerate(names):
            of_class = new_truth[one] == k
            covered[name].append(inside[of_class, k])
    for name in names:
        each = np.concatenate(covered[name])
        # Coverage is between 1 - alpha and 1 - alpha + 1 / (n + 1), within four standard errors of 400 calibrations.
        error = np.std([h.mean() for h in covered[name]]) / 20
        assert 0.9 - 4 * error <= each.mean() <= 0.9 + 1 / 25 + 4 * error


def test_the_spread_agrees_with_simulated_thresholds():
    rng = np.random.default_rng(1)
    coverage = [1 - conformal.threshold(rng.uniform(size=99), 0.05) for _ in range(4000)]
    low, high = conformal.spread(99, 0.05)
    assert np.quantile(coverage, [0.025, 0.975]) == pytest.approx([low, high], abs=0.005)
    assert conformal.spread(18, 0.05) == (1.0, 1.0)


def test_each_image_of_a_group_is_drawn_equally_often():
    group = np.array([4, 4, 4, 9, 2, 2])
    rng = np.random.default_rng(2)
    chosen = np.array([conformal.one_image_a_group(group, rng) for _ in range(3000)])
    assert all(sorted(group[row]) == [2, 4, 9] for row in chosen)
    share = np.bincount(chosen.ravel(), minlength=6) / 3000
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 1 / 3, 1, 1 / 2, 1 / 2], atol=0.03)


def test_measured_coverage_agrees_with_a_count_by_hand():
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.05, 0.95]] * 10)
    truth = np.array([0, 1, 1, 0] * 10)
    measured = conformal.measure(p, truth, np.arange(40), ("x", "y"), {"x": 0.1, "y": 0.5}, 0.1)
    # Sets: {x}, {x}, {x, y}, {y}: the second and the fourth miss.
    assert measured.coverage["x"].value == 0.5
    assert measured.coverage["y"].value == 0.5
    assert measured.coverage["x"].low < 0.5 < measured.coverage["x"].high
    assert measured.mean_size == pytest.approx(1.25)
    assert measured.sizes == (0, 30, 10)


def test_a_label_with_few_groups_or_none_is_never_ruled_out():
    few = conformal.fit([[0.5, 0.5]] * 30, [0] * 25 + [1] * 5, np.arange(30), ("x", "y"), np.random.default_rng(0))
    assert few.thresholds["x"] == pytest.approx(0.5)
    assert few.thresholds["y"] == 0.0
    assert few.groups == {"x": 25, "y": 5}
    none = conformal.fit([[0.5, 0.5]] * 30, [0] * 30, np.arange(30), ("x", "y"), np.random.default_rng(0))
    assert (none.thresholds["y"], none.groups["y"], none.expected["y"]) == (0.0, 0, (1.0, 1.0))


def uneven(rng, groups):
    """Return scores and groups where patients with more images (1 to 10) have the lower scores."""
    size = rng.integers(1, 11, groups)
    group = np.repeat(np.arange(groups), size)
    return rng.normal(size=len(group)) * 0.5 + rng.normal(size=groups)[group] - 0.2 * size[group], group


def test_sets_hold_per_patient_and_others_per_image_where_sicker_patients_have_more_images():
    rng = np.random.default_rng(3)
    patient, image, per_image_of_patient = [], [], []
    for _ in range(250):
        (own, group), (new, new_group) = uneven(rng, 150), uneven(rng, 1500)
        own, new = expit(own), expit(new)
        limit = conformal.threshold(own[conformal.one_image_a_group(group, rng)], 0.05)
        covered = new >= limit
        by_hand = np.bincount(new_group, weights=covered) / np.bincount(new_group)
        patient.append(by_hand.mean())
        per_image_of_patient.append(covered.mean())
        image.append((new >= conformal.image_threshold(own, group, 0.05)).mean())
        assert conformal.mean_of_groups(covered, new_group).value == pytest.approx(by_hand.mean())
    assert 0.945 < np.mean(patient) < 0.96
    assert np.mean(per_image_of_patient) < 0.94
    assert 0.95 <= np.mean(image) < 0.975


def test_a_card_offers_both_kinds_of_sets():
    rng = np.random.default_rng(4)
    scores, group = uneven(rng, 200)
    p = expit(scores)
    sets = conformal.fit(np.column_stack([p, 1 - p]), np.zeros(len(p), int), group, ("x", "y"), rng)
    assert sets.image_thresholds["x"] < sets.thresholds["x"]
    between = (sets.image_thresholds["x"] + sets.thresholds["x"]) / 2
    assert sets.of({"x": between, "y": 0.0}) == ["y"]
    assert sets.of({"x": between, "y": 0.0}, per="image") == ["x", "y"]
    with pytest.raises(ValueError, match="per image"):
        sets.model_copy(update={"image_thresholds": {}}).of({"x": 0.5, "y": 0.5}, per="image")
    few = conformal.image_threshold(np.linspace(0, 1, 100), np.arange(100) // 10, 0.05)
    assert few == 0.0  # a group of ten more could all be left out
