"""The figures of an evaluation show their numbers at the right places."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from pneumoscope.reporting.charts.figure import to_svg
from pneumoscope.reporting.charts.performance import (
    draw_net_benefit,
    draw_reliability,
    draw_risk_coverage,
    draw_roc,
    draw_score_bands,
    draw_score_histogram,
)
from pneumoscope.reporting.charts.training_curves import draw_training_curve
from pneumoscope.stats.curve_points import Band, ScoreBand
from pneumoscope.stats.decision import DecisionCurve, NetBenefit
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.selective import AnsweredShare, RiskCoverage


def notes(figure: Figure) -> dict[str, object]:
    """Return note -> the artist that has it."""
    [axes] = figure.axes
    artists = [*axes.lines, *axes.patches, *axes.texts]
    return {str(a.get_gid()).removeprefix("note:"): a for a in artists if a.get_gid()}


def test_an_operating_point_is_on_the_roc_with_both_intervals():
    sensitivity = Estimate(value=0.9, low=0.8, high=0.95)
    specificity = Estimate(value=0.7, low=0.6, high=0.75)
    figure = draw_roc([(0, 0), (0.3, 0.9), (1, 1)], {"default": (sensitivity, specificity)})
    assert notes(figure)["default"].get_xydata() == pytest.approx(np.array([[0.3, 0.9]]))
    upright, level = figure.axes[0].lines[2:4]
    assert upright.get_xydata() == pytest.approx(np.array([[0.3, 0.8], [0.3, 0.95]]))
    assert level.get_xydata() == pytest.approx(np.array([[0.25, 0.9], [0.4, 0.9]]))


def test_a_dot_of_the_reliability_diagram_grows_with_its_images():
    bands = [Band(stated=s, observed=Estimate(value=s / 2), images=n) for s, n in ((0.2, 4), (0.8, 16))]
    small, large = (notes(draw_reliability(bands))[f"{b.images} images: stated {b.stated:.3f}, observed {b.observed}"]
                    for b in bands)  # fmt: skip
    assert small.get_xydata() == pytest.approx(np.array([[0.2, 0.1]]))
    assert (small.get_markersize(), large.get_markersize()) == (8, 11)


def test_each_strip_of_the_histogram_has_its_own_scale():
    figure = draw_score_histogram({"A": [4, 0, 2, 0], "B": [0, 0, 0, 100]}, {"point": 0.25})
    bars = {name: artist for name, artist in notes(figure).items() if "images from" in name}
    assert list(bars) == ["4 images from 0.00 to 0.25", "2 images from 0.50 to 0.75", "100 images from 0.75 to 1.00"]
    four, two, hundred = (bar.get_height() for bar in bars.values())
    assert four == pytest.approx(2 * two)
    assert four == pytest.approx(hundred)
    assert notes(figure)["point"].get_xdata() == pytest.approx([0.25, 0.25])


def test_a_band_has_a_box_for_the_stated_rate_and_a_dot_for_the_observed_rate():
    half = Estimate(value=0.5, low=0.25, high=0.75)
    band = ScoreBand(low=0.2, high=0.6, promised=half, stated=0.4, observed=Estimate(value=0.75), images=8)
    figure = draw_score_bands([band])
    box = notes(figure)[f"promised: {half}"]
    assert (box.get_y(), box.get_height()) == pytest.approx((0.25, 0.5))
    dot = notes(figure)["8 images: observed 0.750 [interval not estimable]"]
    assert dot.get_xydata() == pytest.approx(np.array([[0.5, 0.75]]))  # .75: the top of the box
    assert ">0.20 to 0.60<" in to_svg(figure)


def test_the_curve_of_acting_on_everyone_ends_at_the_edge_of_the_picture():
    prevalence = 0.2
    points = tuple(
        NetBenefit(threshold=t, model=Estimate(value=0.15), treat_all=prevalence - t / (1 - t) * (1 - prevalence))
        for t in (0.01, 0.1, 0.2, 0.5, 0.9)
    )
    figure = draw_net_benefit(DecisionCurve(prevalence=prevalence, stated=True, points=points))
    bottom, top = figure.axes[0].get_ylim()
    assert (bottom, top) == pytest.approx((-0.25 * prevalence, 1.08 * prevalence))
    x, y = notes(figure)["acting on everyone"].get_xydata()[-1]
    assert y == bottom
    # treat_all(t) = y0 has its root at (prevalence - y0) / (1 - y0).
    assert x == pytest.approx((prevalence + 0.25 * prevalence) / (1 + 0.25 * prevalence))


def test_risk_is_drawn_for_every_order():
    points = tuple(
        AnsweredShare(share=s, images=int(100 * s), limit=0.5, risk=Estimate(value=r, low=r / 2, high=2 * r))
        for s, r in ((1.0, 0.1), (0.5, 0.02))
    )
    both = [
        RiskCoverage(by=by, points=points, area=Estimate(value=0.05), best_area=0.01) for by in ("confidence", "ood")
    ]
    figure = draw_risk_coverage(both)
    first, second = notes(figure)["confidence"], notes(figure)["ood"]
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
    assert len(figure.axes[0].lines) == 2 + 2  # the first order has its intervals


def test_curves_mark_the_kept_epoch_and_leave_out_unknown_values():
    rows = [{"epoch": 1.0, "train_loss": 1.0, "validation_loss": 0.8}, {"epoch": 2.0, "train_loss": float("nan")}]
    figure = draw_training_curve(rows, "loss", "Loss", 2)
    assert list(notes(figure)["kept: epoch 2"].get_xdata()) == [2, 2]
    dots = [name for name in notes(figure) if ", epoch " in name]
    assert dots == ["validation, epoch 1: 0.8000", "train, epoch 1: 1.0000"]
    assert draw_training_curve(rows, "auroc", "AUROC", None) is None
