"""The templates, style, disclaimer and escaping that all pages share.

A page is one file with its style and pictures inside. It has no script and loads nothing; a content security policy
holds the browser to that. It follows the reader's light or dark theme and reads well on a phone and on paper. The
template engine escapes all text. The disclaimer comes first and stays in sight.
"""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from pneumoscope import __version__
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts.gauges import render_interval_gauge
from pneumoscope.stats.plain_language import SCORES_UNKNOWN

if TYPE_CHECKING:
    import jinja2


@cache
def load_templates() -> jinja2.Environment:
    """Return the template environment with the style, the disclaimer and the formatting functions of every page.

    Its templates are compiled once in a process.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pneumoscope.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("pneumoscope.reporting").joinpath("templates", "style.css").read_text(encoding="utf-8")
    environment.globals.update(style=Markup(style), disclaimer=DISCLAIMER, program=f"Pneumoscope {__version__}")
    environment.globals.update(
        value=formatting.format_value,
        interval=formatting.format_interval,
        inline=formatting.format_estimate,
        percent=partial(formatting.format_estimate, percent=True),
        describe_changes=formatting.describe_changes,
        name_figure=formatting.name_figure,
        name_point=formatting.name_point,
        gauge=render_interval_gauge,
        display=display_name,
        when=formatting.format_time,
        scores_unknown=SCORES_UNKNOWN,
    )
    return environment
