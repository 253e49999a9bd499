"""The page of the data checks: the questions, the findings, and what to do about them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from pneumoscope.core.labels import display_name
from pneumoscope.data.checks.catalogue import CHECKS
from pneumoscope.data.checks.findings import CheckReport, Finding
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts.checks import draw_finding_numbers, shows_pairs
from pneumoscope.reporting.charts.figure import to_svg
from pneumoscope.reporting.pages.base import load_templates

CASES = 12
"""Cases of a finding that the page lists; JSON lists all."""

SEVERITY_NAMES: Mapping[str, str] = {"block": "Blocks training", "warn": "Warning", "note": "Note"}


def render_checks_page(report: CheckReport, title: str, pictures: Path | None = None) -> str:
    """Return the self-contained HTML page of a report of the data checks.

    Args:
        report: The outcome of the checks.
        title: The name of the manifest.
        pictures: The folder of ``--pictures``. The page shows its sheets, which hold patients' radiographs.
    """
    order = {"block": 0, "warn": 1, "note": 2}
    page: str = load_templates().get_template("checks.html").render(
        title=f"Data checks: {title}",
        r=report,
        verdict=describe_outcome(report),
        findings=sorted(report.findings, key=lambda finding: order[finding.severity]),
        questions={name: check.question for name, check in CHECKS.items()},
        by_name={finding.name: finding for finding in report.findings},
        clear={outcome.name: outcome for outcome in report.clear},
        says=SEVERITY_NAMES,
        render_numbers_chart=render_numbers_chart,
        image=lambda finding: _image(finding, pictures),
        most=CASES,
        display=display_name,
        when=formatting.format_time,
        group_words=formatting.describe_groups(report.group_kind),
    )  # fmt: skip
    return page


def describe_outcome(report: CheckReport) -> str:
    """Return the outcome of the checks in a few sentences."""
    blocking = [f.name for f in report.standing()]
    warning = [f.name for f in report.standing(strict=True) if f.severity == "warn"]
    allowed = [f.name for f in report.findings if f.because is not None]
    parts = []
    if blocking:
        parts.append(f"A training on these data is refused: {', '.join(blocking)}.")
    if warning:
        parts.append(f"{'Also w' if blocking else 'W'}arned of: {', '.join(warning)}.")
    if report.confounded:
        parts.append("A model trained on them is stamped confounded.")
    if allowed:
        parts.append(f"Allowed by the user, with a reason: {', '.join(allowed)}.")
    return " ".join(parts) or "Nothing was found that blocks a training or confounds it."


def render_numbers_chart(finding: Finding) -> Markup:
    """Return the figure of a finding's numbers as inline SVG; empty where it has none."""
    figure = draw_finding_numbers(finding)
    return Markup("") if figure is None else to_svg(figure)


def _image(finding: Finding, pictures: Path | None) -> str | None:
    """Return the sheet of a finding's cases as a data URL; None where there is none or a chart shows the same."""
    if pictures is None or finding.picture is None or (finding.numbers and not shows_pairs(finding)):
        return None
    data = (pictures / finding.picture).read_bytes()
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
