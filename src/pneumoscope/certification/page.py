"""The page of a certificate: which engines agree, by how much, and what the limits are."""

from __future__ import annotations

from pneumoscope.certification.result import ENGINES, Certificate, describe_changed
from pneumoscope.core.labels import display_name
from pneumoscope.reporting.formatting import format_bytes
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.stats.comparison.paired import RANKED_ALIKE


def render_certificate_page(certificate: Certificate) -> str:
    """Return the self-contained HTML page of a certificate.

    Args:
        certificate: What was found.
    """
    page: str = load_templates().get_template("certificate.html").render(
        title=f"Certificate of {certificate.model}: {certificate.verdict}",
        c=certificate,
        names={"onnx": "ONNX Runtime, float32 (reference)", **ENGINES},
        target=display_name(certificate.auroc_of) if certificate.auroc_of else "",
        alike=RANKED_ALIKE,
        changed=describe_changed,
        size=lambda count: "–" if count is None else format_bytes(count),
    )  # fmt: skip
    return page
