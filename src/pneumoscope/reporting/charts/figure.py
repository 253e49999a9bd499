"""The one plotting stack: figures by matplotlib, as SVG that follows a page's theme or as PNG.

Figures are drawn in the colours of the light theme. `to_svg` replaces these colours by the variables of ``style.css``,
so that one figure serves light, dark and print. Its text stays text, it has no ids, no script and no reference to
anything outside itself, and the same figure gives the same bytes. matplotlib's ``pyplot`` is not used: it would keep
every figure in global state.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from pneumoscope.stats.estimates import Estimate

P = ParamSpec("P")
R = TypeVar("R")

INK, SOFT, RULE, ACCENT, MARK = "#17212e", "#5a6675", "#dde2e8", "#0a5a9c", "#a8481a"
SERIES = ("#1767a8", "#b4531c", "#2b7a4b", "#a02c57", "#6a4fa3", "#7d6608", "#12797c", "#7a4a35", "#5c5f66", "#c0392b")
"""Colours of several networks or settings in one figure, the same as ``--series-0`` to ``--series-9`` of the style."""

_VARIABLES = {INK: "--ink", SOFT: "--soft", RULE: "--rule", ACCENT: "--accent", MARK: "--mark"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES)
}
DASHED, DOTTED = (0, (6, 4)), (0, (3, 4))
CHANCE: dict[str, Any] = {"color": SOFT, "linewidth": 1, "linestyle": DOTTED}
"""The look of a line that shows what chance, or doing the same for everyone, would give."""

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULE,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 12,
    "axes.spines.bottom": False,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "font.family": "sans-serif",
    "font.size": 11,
    "grid.color": RULE,
    "grid.linewidth": 1,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "lines.scale_dashes": False,
    "lines.solid_capstyle": "butt",
    "lines.solid_joinstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "pneumoscope",
    "text.color": SOFT,
    "text.parse_math": False,  # a name of a user's class may hold a dollar sign
    "xtick.bottom": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "ytick.left": False,
}

_NOTE = "note:"
_WIDE = 600  # pixels; a wider figure would be unreadable on a phone
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


def _page_style() -> AbstractContextManager[None]:
    style: Any = _STYLE  # matplotlib's stub wants a literal type of all its settings
    return matplotlib.rc_context(style)


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a function that draws under the style of all figures. Other users of matplotlib keep their own settings."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with _page_style():
            return draw(*args, **kwargs)

    return inside


def new_figure(
    label: str,
    size: tuple[float, float] = (370, 266),
    *,
    rows: int = 1,
    columns: int = 1,
    margins: tuple[float, float, float, float] = (56, 14, 12, 44),
    gaps: tuple[float, float] = (70, 60),
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, row by row.

    Args:
        label: What the figure shows, for people who can't see it.
        size: Width and height in the units of the SVG, about one CSS pixel each.
        rows: Panels above each other.
        columns: Panels beside each other.
        margins: Left, right, top and bottom of the panels, in the same units.
        gaps: Between panels, horizontal and vertical, in the same units.
    """
    (width, height), (left, right, top, bottom) = size, margins
    figure = Figure(figsize=(width / 72, height / 72), label=label)  # matplotlib counts in points, 72 an inch
    panel_width = (width - left - right - gaps[0] * (columns - 1)) / columns
    panel_height = (height - top - bottom - gaps[1] * (rows - 1)) / rows
    panels = []
    for row in range(rows):
        for column in range(columns):
            x = left + column * (panel_width + gaps[0])
            y = bottom + (rows - 1 - row) * (panel_height + gaps[1])
            axes = figure.add_axes((x / width, y / height, panel_width / width, panel_height / height))
            # A fixed place for the title: matplotlib would move it out of the figure beside long tick labels.
            axes.yaxis.set_label_coords((16 - left) / panel_width, 0.5)
            panels.append(axes)
    return figure, panels  # fmt: skip


def set_range(axes: Axes, *, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None) -> None:
    """Set what the axes span, with about five round ticks that lie inside; an axis of None keeps its own."""
    for axis, limits in ((axes.xaxis, x), (axes.yaxis, y)):
        if limits is not None:
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if x is not None:
        axes.set_xlim(*x)
    if y is not None:
        axes.set_ylim(*y)


def set_whole_number_ticks(axes: Axes) -> None:
    """Put the ticks of the horizontal axis at whole numbers: epochs and trials have no halves."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def add_note(artist: Artist, text: str) -> None:
    """Give an artist a text that a page shows while the pointer is over it."""
    artist.set_gid(_NOTE + text)


def add_mark(axes: Axes, x: float, y: float, text: str = "", *, size: float = 8, **look: Any) -> None:
    """Add a dot with a note; ``size`` is its diameter."""
    [mark] = axes.plot([x], [y], **{"marker": "o", "color": MARK, "markeredgewidth": 0, **look}, markersize=size)
    if text:
        add_note(mark, text)


def add_interval(axes: Axes, place: float, estimate: Estimate, *, across: bool = False, **look: Any) -> None:
    """Add a line from the lower to the upper limit of an interval; nothing where it is not estimable.

    Args:
        axes: Where to draw.
        place: The line's position on the other axis.
        estimate: The interval.
        across: The line is horizontal.
        look: Of the line, where it is not the usual one.
    """
    if estimate.low is None or estimate.high is None:
        return
    ends, both = [estimate.low, estimate.high], [place, place]
    axes.plot(*((ends, both) if across else (both, ends)), **{"color": MARK, "linewidth": 1.4, "alpha": 0.8, **look})


def to_png(figure: Figure, dpi: int = 144) -> bytes:
    """Return a figure as PNG on white."""
    data = io.BytesIO()
    with _page_style():
        figure.savefig(data, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return data.getvalue()


def to_svg(figure: Figure) -> Markup:
    """Return a figure as inline SVG in the colours of the page's theme.

    It is at most as wide as the figure, and at least as wide as it can be read: on a phone a wide one scrolls.

    Args:
        figure: Its label becomes the accessible name.
    """
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    text = io.StringIO()
    with _page_style(), warnings.catch_warnings():
        # The browser has glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawing = ElementTree.fromstring(text.getvalue())
    shapes = {element.get("id", ""): element for element in drawing.iter() if element.tag in (_SVG + "path",)}
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    root = ElementTree.Element(
        "svg",
        {
            "class": "plot wide" if width > _WIDE else "plot",
            "style": f"max-width:{width}px",
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "aria-label": str(figure.get_label()),
        },
    )
    for child in drawing:
        root.extend(_simplify(child, shapes))
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _simplify(element: ElementTree.Element, shapes: dict[str, ElementTree.Element]) -> list[ElementTree.Element]:
    """Return an element of matplotlib's SVG without its ids, definitions, clip paths, metadata and empty groups.

    A clip path would need an id, and would take half of a mark that lies on an edge; figures draw nothing outside.
    """
    name = element.tag.removeprefix(_SVG)
    if name in ("defs", "metadata"):
        return []
    if name == "use":
        return [_resolve_marker(element, shapes)]
    children = [new for child in element for new in _simplify(child, shapes)]
    label = element.get("id", "")
    note = label.removeprefix(_NOTE) if label.startswith(_NOTE) else None
    style = _map_style(element.get("style", ""))
    if name == "g" and note is None and not style:
        return children
    new = ElementTree.Element(name, {"style": style} if style else {})
    if note is not None:
        ElementTree.SubElement(new, "title").text = note
    for key in ("x", "y", "d", "transform"):
        value = element.get(key)
        if value is not None and not value.startswith("rotate(-0 "):
            new.set(key, _shorten_path(value))
    if name == "text":
        new.text = element.text
    new.extend(children)
    return [new]


def _resolve_marker(element: ElementTree.Element, shapes: dict[str, ElementTree.Element]) -> ElementTree.Element:
    """Return a marker as a shape of its own, in place of a reference to a definition by its id."""
    shape = shapes[element.get(_XLINK + "href", "").removeprefix("#")]
    outline, style = shape.get("d", ""), _map_style(element.get("style", ""))
    x, y = _shorten_path(element.get("x", "0")), _shorten_path(element.get("y", "0"))
    if "C" in outline:  # of the markers only the circle has curves; it begins at "M 0 radius"
        return ElementTree.Element("circle", {"style": style, "cx": x, "cy": y, "r": _shorten_path(outline.split()[2])})
    return ElementTree.Element(
        "path", {"style": style, "d": _shorten_path(outline), "transform": f"translate({x} {y})"}
    )  # fmt: skip


def _map_style(text: str) -> str:
    """Return a style with the page's colours and, for text, the page's font."""
    declarations = [part.strip().replace(": ", ":") for part in text.split(";")]
    style = ";".join(part for part in declarations if part and not part.startswith("font-family"))
    return re.sub("#[0-9a-f]{6}", lambda match: _map_colour(match[0]), style)


def _map_colour(colour: str) -> str:
    return f"var({_VARIABLES[colour]})" if colour in _VARIABLES else colour


def _shorten_path(path: str) -> str:
    """Return path data or a position with two decimals and no needless blanks."""
    rounded = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), path)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", rounded.strip()) if path[:1] == "M" else rounded


def spread(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return points as two lists, x and y, as matplotlib takes them."""
    return [x for x, _ in points], [y for _, y in points]
