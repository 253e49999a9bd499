"""The recommendation: the design's rule on hand-made comparisons, and the reasons against other candidates."""

from __future__ import annotations

import pytest

from pneumoscope.core.errors import UsageError
from pneumoscope.stats.comparison.paired import Paired
from pneumoscope.stats.comparison.recommendation import Candidate, Recommendation, recommend
from pneumoscope.stats.estimates import Estimate

MB = 1_000_000


def candidate(name, size, value=None, lower=None, upper=None, metric="auroc", sensitivity=0.95, latency=0.02, note=""):
    return Candidate(
        name,
        size,
        latency,
        None if sensitivity is None else Estimate(value=sensitivity, low=sensitivity - 0.04, high=sensitivity + 0.02),
        Paired(metric=metric, difference=Estimate(value=value), lower=lower, upper=upper, note=note),
    )


BEST = candidate("densenet", 50 * MB, 0.0)
GOOD = candidate("mobilenet", 9 * MB, -0.003, -0.0099, 0.002)
TINY = candidate("lenet", 40_000, -0.004, -0.0101, 0.002)
HUGE = candidate("vgg16", 200 * MB, -0.001, -0.004, 0.003)
NOT_ESTIMABLE = candidate("other", 1000, -0.001, note="interval not estimable: 9 groups")


def test_the_smallest_model_whose_lower_limit_exceeds_minus_the_margin_is_chosen():
    result = recommend([HUGE, BEST, TINY, GOOD, NOT_ESTIMABLE], best="densenet", metric="auroc")
    assert result.chosen == "mobilenet"
    assert list(result.why_not) == ["vgg16", "densenet", "lenet", "other"]
    assert result.why_not["lenet"].startswith(
        "may be worse than densenet by the margin of 0.01 or more: difference -0.0040"
    )
    assert result.why_not["vgg16"] == "good enough, but larger: 200.0 MB against 9.0 MB"
    assert result.why_not["densenet"] == "good enough, but larger: 50.0 MB against 9.0 MB"
    assert "9 groups" in result.why_not["other"]
    assert result.sentences[0] == "densenet has the best AUROC on these images."
    assert "lower limit -0.0099" in result.sentences[1]
    assert "measured once on test images" in result.sentences[-1]
    assert Recommendation.model_validate_json(result.model_dump_json()) == result
    assert recommend([BEST, TINY, GOOD], best="densenet", metric="auroc", margin=0.02).chosen == "lenet"
    assert recommend([BEST, TINY, GOOD], best="densenet", metric="auroc", margin=0.005).chosen == "densenet"
    # The limit must exceed minus the margin; equality is not enough.
    edge = candidate("edge", 10, -0.004, -0.01)
    assert recommend([BEST, edge], best="densenet", metric="auroc").chosen == "densenet"


def test_smaller_is_better_for_losses():
    best = candidate("densenet", 50 * MB, 0.0, metric="log_loss")
    good = candidate("mobilenet", 9 * MB, 0.003, -0.002, 0.0099, metric="log_loss")
    tiny = candidate("lenet", 40_000, 0.004, -0.002, 0.0101, metric="log_loss")
    result = recommend([best, good, tiny], best="densenet", metric="log_loss")
    assert result.chosen == "mobilenet"
    assert "upper limit +0.0101" in result.why_not["lenet"]
    assert "upper limit +0.0099" in result.sentences[1]
    twin = candidate("twin", 9 * MB, 0.001, -0.002, 0.009, metric="log_loss")
    result = recommend([best, good, twin], best="densenet", metric="log_loss")
    assert result.chosen == "twin"  # the same size and less loss
    assert result.why_not["mobilenet"] == "good enough, but as large: 9.0 MB against 9.0 MB"


def test_sensitivity_and_latency_limits_exclude_candidates():
    insensitive = candidate("mobilenet", 9 * MB, -0.003, -0.009, sensitivity=0.85)
    result = recommend([BEST, insensitive], best="densenet", metric="auroc", minimum_sensitivity=0.93)
    assert result.chosen == "densenet"
    assert result.why_not["mobilenet"] == "sensitivity 0.850 [0.810, 0.870], under 0.93"
    assert any("interval reaches below the 0.93" in sentence for sentence in result.sentences)
    slow = candidate("mobilenet", 9 * MB, -0.003, -0.009, latency=0.2)
    unknown = candidate("lenet", 9, -0.003, -0.009, latency=None, sensitivity=None)
    result = recommend([BEST, slow, unknown], best="densenet", metric="auroc", latency_budget=0.05)
    assert result.chosen == "densenet"
    assert result.why_not["mobilenet"] == "200 ms an image, over 50 ms"
    assert result.why_not["lenet"].startswith("latency not measured")
    # The limits also apply to the best model, which remains the reference of the others.
    result = recommend([BEST, GOOD], best="densenet", metric="auroc", latency_budget=0.01)
    assert result.chosen is None
    assert result.best == "densenet"
    assert "No model meets all" in result.sentences[1]
    fast = candidate("mobilenet", 9 * MB, -0.003, -0.009, latency=0.005)
    assert recommend([BEST, fast], best="densenet", metric="auroc", latency_budget=0.01).chosen == "mobilenet"


def test_without_an_estimable_comparison_nothing_is_recommended():
    result = recommend([BEST, NOT_ESTIMABLE], best="densenet", metric="auroc")
    assert result.chosen is None
    assert "No comparison was estimable" in result.sentences[1]
    assert set(result.why_not) == {"densenet", "other"}
    alone = recommend([BEST], best="densenet", metric="auroc")
    assert alone.chosen == "densenet"
    assert "nothing to compare" in alone.sentences[0]


def test_wrong_names_and_margins_are_refused():
    with pytest.raises(UsageError, match="Did you mean 'densenet'"):
        recommend([BEST, GOOD], best="densnet", metric="auroc")
    for margin in (0.0, -0.01, float("nan")):
        with pytest.raises(UsageError, match="not above 0"):
            recommend([BEST, GOOD], best="densenet", metric="auroc", margin=margin)
    with pytest.raises(ValueError, match="metric asked for is brier"):
        recommend([BEST, GOOD], best="densenet", metric="brier")
