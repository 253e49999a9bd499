"""The page of an audit: the verdict and its reason, the sentence about a new site, and every test with its interval."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from PIL import Image

from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.perturbations import PERTURBATIONS, Pixels
from pneumoscope.auditing.result import Audit, AuditTest
from pneumoscope.bundle.runtime import Model
from pneumoscope.core.labels import display_name
from pneumoscope.reporting.charts.gauges import render_interval_gauge
from pneumoscope.reporting.pages.base import load_templates

_PICTURE_SIDE = 200
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


def draw_pictures(model: Model, images: AuditSet, number: int) -> list[list[AuditPicture]]:
    """Return some images of either class, each as it is and as it was changed, with the model's scores.

    Args:
        model: The loaded bundle.
        images: The images.
        number: Of either class.
    """
    rows = []
    for side in (images.positive, ~images.positive):
        for place in np.flatnonzero(side)[:number]:
            image = images.images[place]
            shown = {"as it is": image.pixels}
            for change in PERTURBATIONS.values():
                if image.lungs is not None or not change.needs_lungs:
                    shown[change.title] = change.apply(image)
            rows.append([_draw(model, title, pixels) for title, pixels in shown.items()])
    return rows


def _draw(model: Model, title: str, pixels: Pixels) -> AuditPicture:
    file = io.BytesIO()
    picture = Image.fromarray((pixels * 255).round().astype(np.uint8))
    picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
    picture.save(file, "PNG")
    address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return AuditPicture(title, address, float(model.probabilities(pixels)[0]))


def _gauge(test: AuditTest) -> Markup:
    """Return the effect on a scale: of a change -0.5 to 0.5, of a share or an area 0 to 1; none for ratios."""
    if test.effect.high is not None and test.effect.high > 1:
        return Markup("")
    low, high = _SCALES[test.chance == 0.0]
    return render_interval_gauge(test.effect, low, high)
