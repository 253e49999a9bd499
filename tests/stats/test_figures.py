"""The figures together: their names, their values from scikit-learn, their behaviour at the edges."""

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
    found = measure(p, truth, thresholds={"sensitivity-95": 0.2})
    decided = p.argmax(axis=1)
    assert tuple(found.overall) == OVERALL
    assert found.overall["accuracy"].value == pytest.approx(sk.accuracy_score(truth, decided))
    assert found.overall["balanced_accuracy"].value == pytest.approx(sk.balanced_accuracy_score(truth, decided))
    assert found.overall["log_loss"].value == pytest.approx(sk.log_loss(truth, p))
    assert found.confusion == tuple(map(tuple, sk.confusion_matrix(truth, decided).tolist()))
    report = sk.classification_report(truth, decided, target_names=CLASSES, output_dict=True)
    for k, name in enumerate(CLASSES):
        figures = found.by_class[name]
        assert tuple(figures) == BY_CLASS
        assert figures["auroc"].value == pytest.approx(sk.roc_auc_score(truth == k, p[:, k]))
        assert figures["auprc"].value == pytest.approx(sk.average_precision_score(truth == k, p[:, k]))
        for key, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert figures[key].value == pytest.approx(report[name][theirs])
    for name, estimate in found.flat().items():
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.low < estimate.high, name
    point = found.operating[0]
    assert point.sensitivity.value == pytest.approx(sk.recall_score(truth == 0, p[:, 0] >= 0.2))
    assert point.specificity.value == pytest.approx(sk.recall_score(truth != 0, p[:, 0] < 0.2))
    assert point.flagged == (p[:, 0] >= 0.2).sum()


def test_figures_survive_json_and_a_card():
    p, truth = study()
    found = measure(p, truth, thresholds={"youden": 0.5})
    assert Figures.model_validate_json(found.model_dump_json()) == found
    json.loads(found.model_dump_json())  # neither NaN nor infinity, which JSON has not
    from pneumoscope.bundle.card import PartMetrics

    metrics = PartMetrics.of(found, "validation", "f" * 64, "image")
    assert metrics.metrics["covid-19/auroc"] == found.by_class["covid-19"]["auroc"]
    assert metrics.metrics["youden/sensitivity"] == found.operating[0].sensitivity
    assert (metrics.images, metrics.groups) == (240, 240)


def test_a_class_with_few_groups_keeps_its_value_without_interval():
    p, truth = study()
    groups = np.where(truth == 2, np.arange(240) % 5 + 1000, np.arange(240))
    found = measure(p, truth, groups)
    assert found.class_groups["viral-pneumonia"] == 5
    for key in ("recall", "auroc", "auprc"):
        estimate = found.by_class["viral-pneumonia"][key]
        assert estimate.value is not None
        assert estimate.low is None
        assert "5 groups" in estimate.note
    assert found.by_class["covid-19"]["recall"].low is not None
    assert found.overall["accuracy"].low is not None
    assert found.overall["balanced_accuracy"].low is None


def test_one_class_only_and_no_image_at_all():
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


def test_without_resamples_the_closed_intervals_remain():
    p, truth = study()
    found = measure(p, truth, resamples=0)
    assert found.by_class["covid-19"]["auroc"].low is not None
    assert found.overall["log_loss"].low is not None
    assert found.by_class["covid-19"]["auprc"].low is None
    assert "no resamples" in found.by_class["covid-19"]["auprc"].note


def test_the_pictures_hold_all_images_and_the_curve_its_area():
    p, truth = study()
    found = measure(p, truth)
    assert sum(found.plots.histogram["covid-19"]) == (truth == 0).sum()
    assert sum(band.images for band in found.plots.reliability) == 240
    x, y = np.array(found.plots.roc).T
    assert np.trapezoid(y, x) == pytest.approx(found.by_class["covid-19"]["auroc"].value, abs=1e-4)


@pytest.mark.parametrize(
    ("p", "truth", "message"),
    [
        ([[0.5, 0.5]], [0], "do not fit"),
        ([[0.5, 0.3, 0.1]], [0], "sum to 1"),
        ([[1.5, -0.5, 0.0]], [0], "negative"),
    ],
)
def test_what_are_not_probabilities_is_refused(p, truth, message):
    with pytest.raises(ValueError, match=message):
        measure(p, truth)


def a_card(**changes):
    """The shipped model's card, with our classes."""
    from importlib.resources import files

    from pneumoscope.bundle.card import Card, LabelDefinition

    text = files("pneumoscope").joinpath("builtin", "card.json").read_text(encoding="utf-8")
    labels = tuple(LabelDefinition(name=name, members=(name,), reference_standard="drawn") for name in CLASSES)
    bands = ({"low": 0.0, "high": 0.5, "rate": 0.1, "rate_low": 0.05, "rate_high": 0.2, "n": 90.0, "groups": 90.0},)
    changes = {"labels": labels, "class_prior": (0.3, 0.4, 0.3), "score_bands": bands, **changes}
    return Card.model_validate_json(text).model_copy(update=changes)


def test_the_card_brings_what_judges_its_promises():
    from pneumoscope.stats.estimates import PredictionSets

    p, truth = study()
    sets = PredictionSets(alpha=0.1, thresholds=dict.fromkeys(CLASSES, 0.2), groups={}, expected={}, method="")
    card = a_card(prediction_sets=sets)
    ood = np.arange(240.0)
    found = measure(p, truth, promises=card.promises, ood=ood, thresholds={"sensitivity-95": 0.2})
    inside = p >= 0.2
    assert found.prediction_sets.coverage["normal"].value == pytest.approx(inside[truth == 1, 1].mean())
    assert found.prediction_sets.mean_size == pytest.approx(inside.sum(axis=1).mean())
    (band,) = found.score_bands
    low = p[:, 0] < 0.5
    assert (band.images, band.promised.value) == (low.sum(), 0.1)
    assert band.observed.value == pytest.approx((truth[low] == 0).mean())
    assert band.stated == pytest.approx(p[low, 0].mean())
    confidence, distance = found.risk_coverage
    assert (confidence.by, distance.by) == ("confidence", "ood")
    assert confidence.area.low < confidence.area.value < confidence.area.high
    wrong = p.argmax(axis=1) != truth
    assert distance.points[-1].risk.value == pytest.approx(wrong[:120].mean())  # the half that is nearest
    own, *stated = found.decision_curves
    assert own.prevalence == pytest.approx((truth == 0).mean())
    assert [curve.prevalence for curve in stated] == [0.01, 0.05, 0.2]
    assert all(curve.stated for curve in stated)
    # Where 1 of 100 has it, few moved probabilities reach .5.
    flagged = {c.prevalence: next(q for q in c.points if q.threshold == 0.5).model.value for c in stated}
    assert flagged[0.01] < flagged[0.05] < flagged[0.2]
    assert [v.prevalence for v in found.operating[0].predictive] == [0.01, 0.05, 0.2]
    assert len(found.warnings) == 1
    assert "Fewer than 100 groups" in found.warnings[0]
    assert Figures.model_validate_json(found.model_dump_json()) == found


def test_an_evaluation_of_before_still_reads():
    p, truth = study()
    found = measure(p, truth, thresholds={"sensitivity-95": 0.2})
    old = json.loads(found.model_dump_json())
    for name in ("score_bands", "decision_curves", "risk_coverage", "prediction_sets", "warnings"):
        del old[name]
    del old["operating"][0]["predictive"]
    read = Figures.model_validate(old)
    assert read.overall == found.overall
    assert read.prediction_sets is None


def test_a_threshold_in_words():
    from pneumoscope.stats.estimates import Estimate
    from pneumoscope.stats.plain_language import above_threshold, few_groups

    sensitivity = Estimate(value=0.952, low=0.913, high=0.998)
    specificity = Estimate(value=0.91, low=0.88, high=0.9994)
    said = above_threshold(
        "the development data", ["a", "b", "c"], "covid-19", (210, 400), sensitivity, specificity
    )  # fmt: skip
    assert said == (
        "In the development data, 610 images of a, b and c, 95 of 100 [91 to more than 99] images labelled COVID-19 "
        "(of 210) and 9 of 100 [fewer than 1 to 12] others (of 400) were above this threshold; not measured at your "
        "site."
    )
    assert few_groups({"covid-19": 99, "normal": 100}, "the validation part") == (
        "Fewer than 100 groups in the validation part of COVID-19 (99): the figures of these classes are rough.",
    )
