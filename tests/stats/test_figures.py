"""All figures: their names, their values against scikit-learn and their edge cases."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pneumoscope.stats.figures import BY_CLASS, OVERALL, Figures, evaluate_predictions

CLASSES = ("covid-19", "normal", "viral-pneumonia")


def study(n=240, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=n, p=[0.3, 0.4, 0.3])
    logits = rng.normal(size=(n, 3)) + 2 * np.eye(3)[truth]
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), truth


def measure(p, truth, groups=None, resamples=100, **options):
    groups = np.arange(len(truth)) if groups is None else groups
    rng = np.random.default_rng(1)
    return evaluate_predictions(p, truth, groups, CLASSES, rng=rng, resamples=resamples, **options)


def test_figures_agree_with_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    p, truth = study()
    figures = measure(p, truth, thresholds={"sensitivity-95": 0.2})
    decided = p.argmax(axis=1)
    assert tuple(figures.overall) == OVERALL
    assert figures.overall["accuracy"].value == pytest.approx(sk.accuracy_score(truth, decided))
    assert figures.overall["balanced_accuracy"].value == pytest.approx(sk.balanced_accuracy_score(truth, decided))
    assert figures.overall["log_loss"].value == pytest.approx(sk.log_loss(truth, p))
    assert figures.confusion == tuple(map(tuple, sk.confusion_matrix(truth, decided).tolist()))
    report = sk.classification_report(truth, decided, target_names=CLASSES, output_dict=True)
    for k, name in enumerate(CLASSES):
        class_figures = figures.by_class[name]
        assert tuple(class_figures) == BY_CLASS
        assert class_figures["auroc"].value == pytest.approx(sk.roc_auc_score(truth == k, p[:, k]))
        assert class_figures["auprc"].value == pytest.approx(sk.average_precision_score(truth == k, p[:, k]))
        for key, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert class_figures[key].value == pytest.approx(report[name][theirs])
    for name, estimate in figures.flat().items():
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.low < estimate.high, name
    point = figures.operating[0]
    assert point.sensitivity.value == pytest.approx(sk.recall_score(truth == 0, p[:, 0] >= 0.2))
    assert point.specificity.value == pytest.approx(sk.recall_score(truth != 0, p[:, 0] < 0.2))
    assert point.flagged == (p[:, 0] >= 0.2).sum()


def test_figures_survive_json_and_a_card():
    p, truth = study()
    figures = measure(p, truth, thresholds={"youden": 0.5})
    assert Figures.model_validate_json(figures.model_dump_json()) == figures
    json.loads(figures.model_dump_json())  # JSON has neither NaN nor infinity
    from pneumoscope.bundle.card import PartMetrics

    metrics = PartMetrics.of(figures, "validation", "f" * 64, "image")
    assert metrics.metrics["covid-19/auroc"] == figures.by_class["covid-19"]["auroc"]
    assert metrics.metrics["youden/sensitivity"] == figures.operating[0].sensitivity
    assert (metrics.images, metrics.groups) == (240, 240)


def test_a_class_with_few_groups_has_a_value_without_an_interval():
    p, truth = study()
    groups = np.where(truth == 2, np.arange(240) % 5 + 1000, np.arange(240))
    figures = measure(p, truth, groups)
    assert figures.class_groups["viral-pneumonia"] == 5
    for key in ("recall", "auroc", "auprc"):
        estimate = figures.by_class["viral-pneumonia"][key]
        assert estimate.value is not None
        assert estimate.low is None
        assert "5 groups" in estimate.note
    assert figures.by_class["covid-19"]["recall"].low is not None
    assert figures.overall["accuracy"].low is not None
    assert figures.overall["balanced_accuracy"].low is None


def test_figures_without_a_value_say_why():
    p, truth = study()
    only = measure(p[truth == 0], truth[truth == 0])
    assert only.by_class["covid-19"]["recall"].low is not None
    for name, key in (("covid-19", "auroc"), ("covid-19", "calibration_slope"), ("normal", "recall")):
        assert only.by_class[name][key].value is None
        assert only.by_class[name][key].note
    assert "over the 1 classes that occur; 2 do not" in only.overall["balanced_accuracy"].note
    none = measure(np.empty((0, 3)), np.empty(0, int))
    assert none.images == 0
    assert all(estimate.value is None for estimate in none.flat().values())


def test_without_resamples_figures_with_a_formula_keep_their_intervals():
    p, truth = study()
    figures = measure(p, truth, resamples=0)
    assert figures.by_class["covid-19"]["auroc"].low is not None
    assert figures.overall["log_loss"].low is not None
    assert figures.by_class["covid-19"]["auprc"].low is None
    assert "no resamples" in figures.by_class["covid-19"]["auprc"].note


def test_plots_cover_all_images_and_the_roc_curve_has_its_area():
    p, truth = study()
    figures = measure(p, truth)
    assert sum(figures.plots.histogram["covid-19"]) == (truth == 0).sum()
    assert sum(band.images for band in figures.plots.reliability) == 240
    x, y = np.array(figures.plots.roc).T
    assert np.trapezoid(y, x) == pytest.approx(figures.by_class["covid-19"]["auroc"].value, abs=1e-4)


@pytest.mark.parametrize(
    ("p", "truth", "message"),
    [
        ([[0.5, 0.5]], [0], "do not fit"),
        ([[0.5, 0.3, 0.1]], [0], "sum to 1"),
        ([[1.5, -0.5, 0.0]], [0], "negative"),
    ],
)
def test_invalid_probabilities_are_refused(p, truth, message):
    with pytest.raises(ValueError, match=message):
        measure(p, truth)


def make_card(**changes):
    """Return the card of the shipped model with the classes of these tests."""
    from importlib.resources import files

    from pneumoscope.bundle.card import Card, LabelDefinition

    text = files("pneumoscope").joinpath("builtin", "opacity", "card.json").read_text(encoding="utf-8")
    labels = tuple(LabelDefinition(name=name, members=(name,), reference_standard="drawn") for name in CLASSES)
    bands = ({"low": 0.0, "high": 0.5, "rate": 0.1, "rate_low": 0.05, "rate_high": 0.2, "n": 90.0, "groups": 90.0},)
    changes = {"labels": labels, "class_prior": (0.3, 0.4, 0.3), "score_bands": bands, **changes}
    return Card.model_validate_json(text).model_copy(update=changes)


def test_the_promises_of_a_card_are_measured():
    from pneumoscope.stats.estimates import PredictionSets

    p, truth = study()
    sets = PredictionSets(alpha=0.1, thresholds=dict.fromkeys(CLASSES, 0.2), groups={}, expected={}, method="")
    card = make_card(prediction_sets=sets)
    ood = np.arange(240.0)
    figures = measure(p, truth, promises=card.promises, ood=ood, thresholds={"sensitivity-95": 0.2})
    inside = p >= 0.2
    assert figures.prediction_sets.coverage["normal"].value == pytest.approx(inside[truth == 1, 1].mean())
    assert figures.prediction_sets.mean_size == pytest.approx(inside.sum(axis=1).mean())
    (band,) = figures.score_bands
    low = p[:, 0] < 0.5
    assert (band.images, band.promised.value) == (low.sum(), 0.1)
    assert band.observed.value == pytest.approx((truth[low] == 0).mean())
    assert band.stated == pytest.approx(p[low, 0].mean())
    confidence, distance = figures.risk_coverage
    assert (confidence.by, distance.by) == ("confidence", "ood")
    assert confidence.area.low < confidence.area.value < confidence.area.high
    wrong = p.argmax(axis=1) != truth
    assert distance.points[-1].risk.value == pytest.approx(wrong[:120].mean())  # the half with the smaller distances
    own, *stated = figures.decision_curves
    assert own.prevalence == pytest.approx((truth == 0).mean())
    assert [curve.prevalence for curve in stated] == [0.01, 0.05, 0.2]
    assert all(curve.stated for curve in stated)
    # At a prevalence of 1 in 100 few probabilities reach .5.
    flagged = {c.prevalence: next(q for q in c.points if q.threshold == 0.5).model.value for c in stated}
    assert flagged[0.01] < flagged[0.05] < flagged[0.2]
    assert [v.prevalence for v in figures.operating[0].predictive] == [0.01, 0.05, 0.2]
    assert len(figures.warnings) == 1
    assert "Fewer than 100 groups" in figures.warnings[0]
    assert Figures.model_validate_json(figures.model_dump_json()) == figures


def test_an_older_evaluation_can_be_read():
    p, truth = study()
    figures = measure(p, truth, thresholds={"sensitivity-95": 0.2})
    old = json.loads(figures.model_dump_json())
    for name in ("score_bands", "decision_curves", "risk_coverage", "prediction_sets", "warnings"):
        del old[name]
    del old["operating"][0]["predictive"]
    read = Figures.model_validate(old)
    assert read.overall == figures.overall
    assert read.prediction_sets is None


def test_a_threshold_is_put_into_words():
    from pneumoscope.stats.estimates import Estimate
    from pneumoscope.stats.plain_language import above_threshold, few_groups

    sensitivity = Estimate(value=0.952, low=0.913, high=0.998)
    specificity = Estimate(value=0.91, low=0.88, high=0.9994)
    sentence = above_threshold(
        "the development data", ["a", "b", "c"], "covid-19", (210, 400), sensitivity, specificity
    )  # fmt: skip
    assert sentence == (
        "In the development data, 610 images of a, b and c, 95 of 100 [91 to more than 99] images labelled COVID-19 "
        "(of 210) and 9 of 100 [fewer than 1 to 12] others (of 400) were above this threshold; not measured at your "
        "site."
    )
    assert few_groups({"covid-19": 99, "normal": 100}, "the validation part") == (
        "Fewer than 100 groups in the validation part of COVID-19 (99): the figures of these classes are rough.",
    )
