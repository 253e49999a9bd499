"""Pictures show their numbers where they belong."""

from __future__ import annotations

import re

import pytest

from pneumoscope.reporting.charts.plots import Axes, curves, net_benefit, risk_coverage, score_bands, ticks
from pneumoscope.stats.curve_points import ScoreBand
from pneumoscope.stats.decision import DecisionCurve, NetBenefit
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.selective import Answered, RiskCoverage


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.04, 0.3, [0, 0.1, 0.2, 0.3]),
        (0.45, 1.02, [0.6, 0.8, 1.0]),
        (1, 12, [5, 10]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_value_stands_where_its_axis_says():
    axes = Axes(0, 10, -1, 1, width=100, height=50)
    assert (axes.x(0), axes.x(10), axes.x(5)) == (50, 150, 100)
    assert (axes.y(1), axes.y(-1), axes.y(0)) == (12, 62, 37)
    assert axes.x(99) == 150


def test_a_band_is_a_box_of_its_promise_and_a_dot_of_what_was_observed():
    half = Estimate(value=0.5, low=0.25, high=0.75)
    band = ScoreBand(low=0.2, high=0.6, promised=half, stated=0.4, observed=Estimate(value=0.75), images=8)
    drawn = score_bands([band])
    height = Axes(0, 1, 0, 1).height
    [(y, box)] = re.findall(r'class="promised" x="[\d.]+" y="([\d.]+)" width="[\d.]+"\s*height="([\d.]+)"', drawn)
    assert float(box) == pytest.approx(height / 2)
    assert re.search(r'<circle class="mark" cx="[\d.]+" cy="([\d.]+)"', drawn)[1] == y  # .75: the top of the box
    assert "8 images: observed 0.750" in drawn
    assert ">0.20 to 0.60<" in drawn


def test_the_curve_of_acting_on_everyone_ends_at_the_edge_of_the_picture():
    prevalence = 0.2
    points = tuple(
        NetBenefit(threshold=t, model=Estimate(value=0.15), treat_all=prevalence - t / (1 - t) * (1 - prevalence))
        for t in (0.01, 0.1, 0.2, 0.5, 0.9)
    )
    drawn = net_benefit(DecisionCurve(prevalence=prevalence, stated=True, points=points))
    [path] = re.findall(r'class="chance" d="M([^"]+)"', drawn)
    x, y = (float(n) for n in path.split("L")[-1].split())
    axes = Axes(0, 1, -0.25 * prevalence, 1.08 * prevalence)
    assert y == axes.y(axes.y0)
    # treat_all(t) = y0 has its root at (prevalence - y0) / (1 - y0).
    assert x == pytest.approx(axes.x((prevalence + 0.25 * prevalence) / (1 + 0.25 * prevalence)), abs=0.01)


def test_risk_is_drawn_for_every_order():
    points = tuple(
        Answered(share=s, images=int(100 * s), limit=0.5, risk=Estimate(value=r, low=r / 2, high=2 * r))
        for s, r in ((1.0, 0.1), (0.5, 0.02))
    )
    both = [
        RiskCoverage(by=by, points=points, area=Estimate(value=0.05), best_area=0.01) for by in ("confidence", "ood")
    ]
    drawn = risk_coverage(both)
    assert drawn.count('class="line"') == 1
    assert drawn.count('class="line second"') == 1
    assert drawn.count('class="whisker"') == 2


def test_curves_mark_the_kept_epoch_and_leave_out_what_is_unknown():
    rows = [{"epoch": 1.0, "train_loss": 1.0, "validation_loss": 0.8}, {"epoch": 2.0, "train_loss": float("nan")}]
    drawn = curves(rows, "loss", "Loss", 2)
    assert "kept: epoch 2" in drawn
    assert drawn.count('class="dot"') == 2
    assert curves(rows, "auroc", "AUROC", None) == ""
