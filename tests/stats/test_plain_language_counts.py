"""A share of a handful of images is no share."""

from __future__ import annotations

from statsmodels.stats.proportion import proportion_confint

from pneumoscope.stats.plain_language import ENOUGH_FOR_SHARE, describe_share


def test_a_share_has_its_count_and_interval() -> None:
    low, high = proportion_confint(50, 100, method="wilson")
    assert describe_share(50, 100) == f"50 of 100 (50.0% [{low:.1%}, {high:.1%}])"
    low, _ = proportion_confint(294, 295, method="wilson")
    assert describe_share(294, 295).startswith("294 of 295 (99.7% [98.")
    assert abs(float(describe_share(294, 295).split("[")[1].split("%")[0]) - 100 * low) < 0.2  # modified near 1


def test_a_handful_has_none() -> None:
    assert describe_share(6, 6) == "6 of 6, too few for a share"
    assert "%" not in describe_share(ENOUGH_FOR_SHARE - 1, ENOUGH_FOR_SHARE - 1)
    assert "%" in describe_share(ENOUGH_FOR_SHARE, ENOUGH_FOR_SHARE)
