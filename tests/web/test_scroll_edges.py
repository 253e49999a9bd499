"""A table that is wider than a phone shows at its edge that there is more: in the reading room and on written pages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from PIL import Image

import pneumoscope

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

PACKAGE = Path(pneumoscope.__file__).parent
STYLES = PACKAGE.parents[1] / "web" / "src" / "styles"
"""Of the reading room; only in the repository."""
EDGE = 6
"""Columns of pixels at which an edge is looked at, inside the border."""


def read_style(where: str) -> str:
    if where == "written page":
        return (PACKAGE / "reporting" / "templates" / "style.css").read_text("utf-8")
    if not STYLES.is_dir():
        pytest.skip("not in the repository: no sources of the web app")
    return "".join((STYLES / name).read_text("utf-8") for name in ("tokens.css", "base.css", "frame.css"))


def marked_edges(box: Locator) -> tuple[bool, bool]:
    """Return whether the left and the right edge of a box look otherwise than its ground."""
    pixels = np.asarray(Image.open(io.BytesIO(box.screenshot())).convert("RGB"), np.int16)
    row = pixels[-6]  # under the text
    ground = row[len(row) // 2]
    left, right = (bool((np.abs(row[at] - ground) > 20).all()) for at in (EDGE, len(row) - 1 - EDGE))
    return left, right


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("where", ["reading room", "written page"])
@pytest.mark.parametrize("ground", ["sheet", ""])
def test_an_edge_is_marked_where_there_is_more_beyond_it(
    browser: Browser, where: str, theme: Literal["dark", "light"], ground: str
) -> None:
    # A written page follows the system, the reading room its own setting.
    context = browser.new_context(viewport={"width": 390, "height": 300}, color_scheme=theme)
    page = context.new_page()
    table = "<table><tr>" + "<td>0.95 to 0.99&emsp;</td>" * 20 + "</tr></table>"
    page.set_content(
        f"<html data-theme={theme}><style>{read_style(where)}</style>"
        f'<div id="wide" class="{ground} scroll">{table}</div><div id="narrow" class="{ground} scroll">One line</div>'
    )
    wide, narrow = page.locator("#wide"), page.locator("#narrow")
    assert marked_edges(narrow) == (False, False)
    assert marked_edges(wide) == (False, True)
    wide.evaluate("box => box.scrollTo(100, 0)")
    assert marked_edges(wide) == (True, True)
    wide.evaluate("box => box.scrollTo(box.scrollWidth, 0)")
    assert marked_edges(wide) == (True, False)
    context.close()
