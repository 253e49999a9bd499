"""The data gate as a page: what was asked of the data, what was found, what to do; one file, no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

from markupsafe import Markup

from pneumoscope.core.labels import display_name
from pneumoscope.data.checks.catalogue import CHECKS
from pneumoscope.data.checks.findings import Finding, GateReport
from pneumoscope.reporting import formatting
from pneumoscope.reporting.pages.base import environment
from pneumoscope.stats.estimates import Estimate

CASES = 12
"""Cases written out for a finding; JSON lists all."""

SEVERITY_NAMES: Mapping[str, str] = {"block": "Blocks training", "warn": "Warning", "note": "Note"}


def checks_page(report: GateReport, title: str, pictures: Path | None = None) -> str:
    """Return the page of a gate report.

    Args:
        report: The outcome.
        title: Of the page: the manifest's name.
        pictures: The folder of ``--pictures``; its sheets, which show patients' radiographs, are put into the page.
    """
    order = {"block": 0, "warn": 1, "note": 2}
    page: str = environment().get_template("checks.html").render(
        title=f"Data gate: {title}",
        r=report,
        verdict=verdict(report),
        findings=sorted(report.findings, key=lambda finding: order[finding.severity]),
        questions={name: known.question for name, known in CHECKS.items()},
        by_name={finding.name: finding for finding in report.findings},
        clear={outcome.name: outcome for outcome in report.clear},
        says=SEVERITY_NAMES,
        bars=bars,
        image=lambda finding: _image(finding, pictures),
        most=CASES,
        display=display_name,
        when=formatting.moment,
        group_words=formatting.group_words(report.group_kind),
    )  # fmt: skip
    return page


def verdict(report: GateReport) -> str:
    """Return the outcome in a sentence."""
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


def bars(finding: Finding) -> Markup:
    """Return the finding's numbers, 0 to 1, as bars with intervals and a line at chance."""
    numbers = {name: estimate for name, estimate in finding.numbers.items() if estimate.value is not None}
    if not numbers:
        return Markup("")
    left, width, step = 16 + 6 * max(map(len, numbers)), 300, 24  # letters are about 6 wide
    height = step * len(numbers) + 24
    body = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + tick * width
        body.append(f'<path class="grid" d="M{x:g} 4V{height - 20}"/>')
        body.append(f'<text x="{x:g}" y="{height - 6}" text-anchor="middle">{tick:.0%}</text>')
    for place, (name, estimate) in enumerate(numbers.items()):
        y = 6 + place * step
        body.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        body.append(_bar(estimate, left, width, y))
    if finding.chance:
        x = left + finding.chance * width
        body.append(f'<path class="chance" d="M{x:g} 2V{height - 20}"><title>chance</title></path>')
    total = left + width + 60
    return Markup(
        f'<svg class="plot wide" viewBox="0 0 {total} {height}" role="img" aria-label="{escape(finding.name)}">'
        f"{''.join(body)}</svg>"
    )


def _bar(estimate: Estimate, left: int, width: int, y: int) -> str:
    value = estimate.value or 0.0
    drawn = f'<rect class="bar" x="{left}" y="{y}" width="{value * width:.1f}" height="15"/>'
    if estimate.low is not None and estimate.high is not None:
        ends = f"M{left + estimate.low * width:.1f} {y + 7.5}H{left + estimate.high * width:.1f}"
        drawn += f'<path class="whisker" d="{ends}"/>'
    end = left + max(value, estimate.high or 0.0) * width
    hint = escape(f"{estimate}; {estimate.note}" if estimate.note else str(estimate))
    return f'{drawn}<text x="{end + 6:.1f}" y="{y + 12}">{value:.0%}<title>{hint}</title></text>'


def _image(finding: Finding, pictures: Path | None) -> str | None:
    """Return a finding's sheet as a data address; charts are drawn as SVG anyway."""
    if pictures is None or finding.picture is None or (finding.numbers and not _pairs(finding)):
        return None
    data = (pictures / finding.picture).read_bytes()
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _pairs(finding: Finding) -> bool:
    return any(len(case.rows) == 2 for case in finding.cases)
