"""The page of an audit: the verdict and its reason, the sentence about a new site, and every test with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pneumoscope.auditing.result import Audit, AuditTest
from pneumoscope.core.labels import display_name
from pneumoscope.reporting.charts.gauges import render_interval_gauge
from pneumoscope.reporting.pages.base import load_templates

_SCALES: Mapping[bool, tuple[float, float]] = {True: (-0.5, 0.5), False: (0.0, 1.0)}


@dataclass(frozen=True, slots=True)
class AuditPicture:
    """A picture for a person: one image as it is and as it was changed.

    Args:
        title: What it shows.
        data: ``data:`` address of a PNG.
        score: The primary label's probability.
    """

    title: str
    data: str
    score: float


def render_audit_page(audit: Audit, pictures: Sequence[Sequence[AuditPicture]] = ()) -> str:
    """Return the self-contained HTML page of an audit.

    Args:
        audit: What was found.
        pictures: For some images, the image and its changes; they are patients' radiographs.
    """
    page: str = load_templates().get_template("audit.html").render(
        title=f"Audit of {audit.model}: {audit.verdict}",
        a=audit,
        target=display_name(audit.classes[0]),
        others=", ".join(display_name(name) for name in audit.classes[1:]),
        gauge_of=_gauge,
        pictures=pictures,
    )  # fmt: skip
    return page


def _gauge(test: AuditTest) -> Markup:
    """Return the effect on a scale: of a change -0.5 to 0.5, of a share or an area 0 to 1; none for ratios."""
    if test.effect.high is not None and test.effect.high > 1:
        return Markup("")
    low, high = _SCALES[test.chance == 0.0]
    return render_interval_gauge(test.effect, low, high)
