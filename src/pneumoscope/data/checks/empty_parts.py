"""Parts without an image: a figure that nobody can measure, or a training that cannot start."""

from __future__ import annotations

from pneumoscope.core.counts import format_count
from pneumoscope.core.labels import PARTS
from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Clear, Finding


def find_empty_parts(context: CheckContext) -> Finding | Clear:
    """Find the parts that hold no image where the manifest is divided.

    Everything in one part is a set for evaluation, and no finding. A set without a test part may be meant as well, so
    that this is a warning; training itself refuses what it cannot do without.
    """
    name = "empty-parts"
    counts = {part: context.parts.count(part) for part in PARTS}
    present = [part for part in PARTS if counts[part]]
    if not present:
        return Clear(name=name, sentence="The manifest has no parts yet.", applicable=False)
    if len(present) == 1:
        sentence = f"All images that are in a part are in {present[0]}: the manifest is not divided."
        return Clear(name=name, sentence=sentence, applicable=False)
    empty = [part for part in PARTS if not counts[part]]
    if not empty:
        smallest = min(PARTS, key=lambda part: counts[part])
        number = format_count(counts[smallest], "image")
        return Clear(name=name, sentence=f"Every part has images; the smallest is {smallest} with {number}.")
    subject = f"part {empty[0]} has" if len(empty) == 1 else f"parts {' and '.join(empty)} have"
    kept = ", ".join(f"{part} {counts[part]:,}" for part in present)
    return Finding(
        name=name,
        severity="warn",
        sentence=f"The {subject} no image ({kept}): nothing can be {_purposes(empty)} there.",
        what_to_do="Divide the images again: pneumoscope data split --again. One patient or cluster that holds most "
        "images fills one part alone.",
    )


def _purposes(parts: list[str]) -> str:
    verbs = {"train": "learned", "validation": "chosen", "calibration": "calibrated", "test": "measured"}
    return " or ".join(verbs[part] for part in parts)
