"""One figure serves light, dark and print, has a description, and gives the same bytes each time."""

from __future__ import annotations

import io
import re
import sys

import matplotlib
import pytest
from PIL import Image

from pneumoscope.reporting.charts.figure import (
    ACCENT,
    SERIES,
    add_interval,
    add_mark,
    add_note,
    new_figure,
    set_range,
    set_whole_number_ticks,
    styled,
    to_png,
    to_svg,
)
from pneumoscope.stats.estimates import Estimate


@styled
def example():
    figure, [axes] = new_figure("A figure of <three> & more")
    set_range(axes, x=(0, 10), y=(-1, 1))
    [line] = axes.plot([0, 5, 10], [-1, 0, 1], color=ACCENT)
    add_note(line, "a line <b> & more")
    add_mark(axes, 5, 0, "a mark", size=8)
    axes.set(xlabel="Costs $1 or $2", ylabel="肺")
    return figure


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.04, 0.3, [0, 0.1, 0.2, 0.3]),
        (0.45, 1.02, [0.6, 0.8, 1.0]),
        (1, 12, [5, 10]),
        (0.81, 0.99, [0.85, 0.9, 0.95]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    figure, [axes] = new_figure("ticks")
    set_range(axes, y=(low, high))
    texts = [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", to_svg(figure)) if text]
    assert [float(text) for text in texts[-len(expected) :]] == pytest.approx(expected)
    assert [tick for tick in axes.get_yticks() if low <= tick <= high + 1e-9] == pytest.approx(expected)


def test_a_value_is_at_its_place_on_the_axis():
    drawing = to_svg(example())
    [circle] = re.findall(r'<circle[^>]*cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', drawing)
    # Margins 56, 14, 12, 44 in 370 x 266: the middle of a panel of 300 x 210.
    assert [float(n) for n in circle] == pytest.approx([206, 117, 4])
    [line] = re.findall(r"<title>a line[^<]*</title><path[^>]* d=\"([^\"]+)\"", drawing)
    assert line == "M56 222L206 117L356 12"


def test_svg_takes_its_colours_from_the_page_and_refers_to_nothing():
    drawing = str(to_svg(example()))
    assert "stroke:var(--accent)" in drawing
    assert "fill:var(--mark)" in drawing
    assert not re.search(r"#[0-9a-f]{6}", drawing)
    for forbidden in ("url(", "href", " id=", "<defs", "<style", "<metadata", "font-family", "xmlns", "<script"):
        assert forbidden not in drawing


def test_svg_keeps_text_as_text_and_escapes_it():
    drawing = str(to_svg(example()))
    assert ">Costs $1 or $2</text>" in drawing
    assert ">肺</text>" in drawing  # matplotlib's own font lacks it; warnings are errors here
    assert 'aria-label="A figure of &lt;three&gt; &amp; more"' in drawing
    assert "<title>a line &lt;b&gt; &amp; more</title>" in drawing


def test_the_same_figure_gives_the_same_bytes():
    assert to_svg(example()) == to_svg(example())
    figure, _ = new_figure("empty")
    assert to_png(figure) == to_png(figure)


def test_png_is_on_white_and_in_the_colours_of_the_light_theme():
    figure = example()
    figure.axes[0].set_ylabel("y")
    to_svg(figure)  # the SVG of a figure leaves its PNG as it is
    with Image.open(io.BytesIO(to_png(figure, dpi=72))) as picture:
        pixels = picture.convert("RGB")
        assert pixels.size == (370, 266)
        assert pixels.getpixel((1, 1)) == (255, 255, 255)
        assert tuple(bytes.fromhex(ACCENT[1:])) in {colour for _, colour in pixels.getcolors(100_000)}


def test_an_interval_that_is_not_estimable_is_not_drawn():
    _, [axes] = new_figure("intervals")
    add_interval(axes, 1, Estimate(value=0.5))
    assert list(axes.lines) == []
    add_interval(axes, 1, Estimate(value=0.5, low=0.25, high=0.75))
    add_interval(axes, 2, Estimate(value=0.5, low=0.25, high=0.75), across=True)
    assert [list(zip(*line.get_data(), strict=True)) for line in axes.lines] == [
        [(1, 0.25), (1, 0.75)],
        [(0.25, 2), (0.75, 2)],
    ]


def test_ticks_of_epochs_are_whole_numbers():
    figure, [axes] = new_figure("epochs")
    axes.set_xlim(1, 2)
    set_whole_number_ticks(axes)
    to_svg(figure)
    assert [tick for tick in axes.get_xticks() if 1 <= tick <= 2] == [1, 2]


def test_drawing_leaves_the_settings_of_matplotlib_unchanged(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it raises: no figure is kept globally
    settings = ("svg.fonttype", "axes.grid", "text.color", "text.parse_math")
    before = [matplotlib.rcParams[name] for name in settings]
    to_svg(example())
    assert [matplotlib.rcParams[name] for name in settings] == before
    assert before[0] == "path"


def test_the_style_sheet_has_each_colour_in_light_and_dark():
    from importlib.resources import files

    style = files("pneumoscope.reporting").joinpath("templates", "style.css").read_text(encoding="utf-8")
    light = style[: style.index("@media")]
    for number, colour in enumerate(SERIES):
        assert f"--series-{number}: {colour};" in light
        assert len(re.findall(rf"--series-{number}:", style)) == 3  # light, dark, print
    assert f"--accent: {ACCENT};" in light
