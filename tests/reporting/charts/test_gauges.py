"""Gauges show their numbers at the right places, and leave out unknown ones."""

from __future__ import annotations

from pneumoscope.reporting.charts.gauges import render_interval_gauge, render_score_gauge
from pneumoscope.stats.estimates import Estimate


def test_an_interval_gauge_shows_value_and_limits_on_its_scale():
    drawing = render_interval_gauge(Estimate(value=0.5, low=0.25, high=2.0), -1.0, 1.0)
    assert 'style="--value:0.750;--low:0.625;--high:1.000"' in drawing
    assert 'aria-hidden="true"' in drawing


def test_without_an_interval_only_the_value_is_shown():
    drawing = render_interval_gauge(Estimate(value=0.5))
    assert 'style="--value:0.500"' in drawing
    assert 'class="point"' in drawing
    assert 'class="range"' not in drawing
    assert render_interval_gauge(Estimate(value=None)) == ""


def test_a_score_gauge_names_score_and_threshold_in_words():
    drawing = render_score_gauge(0.914, 0.25)
    assert 'aria-label="Score 0.91, threshold 0.25"' in drawing
    assert 'style="--value:0.914;--threshold:0.250"' in drawing
