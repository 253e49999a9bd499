"""What makes an acceptance impossible and shows before any image is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.evidence import AcceptanceMinima
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UnusableManifestError, UsageError
from pneumoscope.core.labels import display_name
from pneumoscope.core.registry import suggestion
from pneumoscope.data.manifest import Manifest
from pneumoscope.stats.intervals import FEWEST_GROUPS
from pneumoscope.stats.kernels import Bools

SAMPLINGS = {
    "consecutive": "every patient who came in a stated time, whatever the disease",
    "enriched": "somebody chose how many patients have the disease",
}
LONGEST_WINDOW = 3650
LONGEST_REFERENCE = 500


def check_declarations(sampling: str, reference: str, window_days: int, out: Path | None) -> None:
    """Check what a department declares about its cases.

    Raises:
        UsageError: An unknown sampling, an empty or endless reference standard, an impossible window, or ``out`` is a
            file.
    """
    if sampling not in SAMPLINGS:
        ways = " ".join(f"{name}: {meaning}." for name, meaning in SAMPLINGS.items())
        raise UsageError(argument("sampling", sampling), f"is unknown.{suggestion(sampling, SAMPLINGS)}", ways)
    example = "Say how the disease was established, such as `reference='RT-PCR'`."
    if not reference.strip():
        raise UsageError(argument("reference", reference), "is empty; the page prints the reference standard.", example)
    if len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        problem = f"has {len(reference)} characters; one line of at most {LONGEST_REFERENCE} printable ones is printed."
        raise UsageError(argument("reference", reference), problem, example)
    if not 0 <= window_days <= LONGEST_WINDOW:
        raise UsageError(
            argument("window_days", window_days),
            f"is not between 0 and {LONGEST_WINDOW} days.",
            "It is the most days between the radiograph and the reference; 0: the same day.",
        )
    if out is not None and out.is_file():
        raise UsageError(argument("out", str(out)), "is a file, not a folder.", "Choose another `out`.")


def check_minima(minima: AcceptanceMinima, target_sensitivity: float) -> None:
    """Check the minima and the sensitivity that the threshold aims at.

    Raises:
        UsageError: One is out of range, or the aim is not above the minimum, so that no cases could reach it.
    """
    ranges = {
        "min_sensitivity": (minima.sensitivity, 0.0, "0 asks nothing"),
        "min_specificity": (minima.specificity, 0.0, "0 asks nothing"),
        "min_auroc": (minima.auroc, 0.5, "0.5 is chance"),
    }
    for name, (value, least, words) in ranges.items():
        if not (math.isfinite(value) and least <= value < 1):
            raise UsageError(
                argument(name, value), f"is not from {least:g} to below 1.", f"Give a share such as 0.8; {words}."
            )
    if not 0.5 <= target_sensitivity < 1:
        raise UsageError(
            argument("target_sensitivity", target_sensitivity),
            "is not from 0.5 to below 1.",
            "Give a share such as 0.95.",
        )
    if target_sensitivity <= minima.sensitivity:
        raise UsageError(
            argument("target_sensitivity", target_sensitivity),
            f"is not above the minimum of {minima.sensitivity:g}: no lower limit can reach it.",
            "Aim higher with `target_sensitivity`, or ask less with `min_sensitivity`.",
        )


def check_parts(manifest: Manifest, part: str) -> None:
    """Check that no image of the chosen part was for learning or for the last look.

    Raises:
        UsageError: The part is ``train`` or ``test``, or ``all`` holds such images.
    """
    way_out = "Import the department's cases without a split, or name validation or calibration as `part`."
    if part in ("train", "test"):
        raise UsageError(argument("part", part), _WHY[part], way_out)
    if part != "all":
        return
    for name in ("train", "test"):
        if count := int((manifest.table["split"] == name).sum()):
            raise UsageError(argument("part", part), f"holds {count} images of the part {name}: {_WHY[name]}", way_out)


_WHY = {
    "train": "a model looks better on patients that it learnt from.",
    "test": "an acceptance sets a threshold on its images, and the part test must set none.",
}


def check_patients(rows: Manifest, card: Card, positive: Bools) -> None:
    """Check that either class has the groups that an interval needs.

    Raises:
        UnusableManifestError: One has none, or fewer.
    """
    name = display_name(card.primary)
    others = ", ".join(display_name(label.name) for label in card.labels[1:])
    for side, images in ((f"with {name}", positive), (f"without it ({others})", ~positive)):
        groups = int(rows.table["group"][images].nunique())
        if groups < FEWEST_GROUPS:
            known: dict[Any, int] = rows.table["label"].value_counts().to_dict()
            raise UnusableManifestError(
                f"patients {side}",
                f"are {groups}; an acceptance needs {FEWEST_GROUPS} of either kind for any interval, and 100 for a go. "
                f"Labels here: {', '.join(f'{label} {count}' for label, count in known.items())}.",
                "Add cases, or say with `pneumoscope.import_data` and `mapping` which label a term of yours means.",
            )
