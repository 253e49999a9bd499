"""What a browser answered, from the file that its run wrote.

The file is JSON::

    {
      "schema": "pneumoscope-browser-run/1",
      "bundle": "<identity of the bundle: SHA-256 of card.json>",
      "about": "onnxruntime-web 1.31.1, WebAssembly, 1 thread; Chromium 141",
      "labels": ["lung-opacity", "normal"],
      "images": [
        {"sha256": "<SHA-256 of the image file>", "probabilities": [0.93, 0.07], "ood": 0.61, "milliseconds": 31.5}
      ]
    }

``labels`` are the card's, in its order; ``ood`` and ``milliseconds`` may be left out. Images are found again by the
hash of their file, so that a browser, which sees no paths, can name them; each occurs once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pneumoscope.certification.differences import Answers
from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen

WRITE_AGAIN = "Let the browser write it again for this bundle and these images."
ROUNDING = 1e-6
"""How far float32 may carry a probability past 0 or 1."""


class BrowserImage(Frozen):
    """The answer to one image."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    probabilities: tuple[float, ...]
    ood: float | None = None
    milliseconds: float | None = None


class BrowserRun(Frozen):
    """The answers of a browser to several images."""

    schema_name: Literal["pneumoscope-browser-run/1"] = Field(alias="schema")
    bundle: str
    about: str
    labels: tuple[str, ...]
    images: tuple[BrowserImage, ...]


def read_browser_run(path: Path, identity: str, labels: tuple[str, ...]) -> BrowserRun:
    """Read the file of a browser's run.

    Args:
        path: The file.
        identity: Of the bundle.
        labels: Of its card.

    Raises:
        UsageError: There is no such file, it is no such record, is about another bundle, names an image twice, or has
            a number that cannot be: a probability outside 0 to 1, a score or a time that is not finite.
    """
    if not path.is_file():
        raise UsageError(str(path), "there is no such file.", WRITE_AGAIN)
    try:
        run = BrowserRun.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        problem = f"{where}: {first['msg']}" if where else first["msg"]
        raise UsageError(str(path), f"is no record of a browser's run: {problem}.", WRITE_AGAIN) from error
    if run.bundle != identity:
        raise UsageError(str(path), f"is about the bundle {run.bundle[:12]}, not about {identity[:12]}.", WRITE_AGAIN)
    if run.labels != labels:
        raise UsageError(
            str(path), f"has the labels {', '.join(run.labels)}; the card has {', '.join(labels)}.", WRITE_AGAIN
        )
    seen: set[str] = set()
    for one in run.images:
        wrong = _problem_of(one, labels)
        if wrong is not None:
            raise UsageError(str(path), f"the image {one.sha256[:12]} has {wrong}.", WRITE_AGAIN)
        if one.sha256 in seen:
            raise UsageError(
                str(path),
                f"has the image {one.sha256[:12]} twice; each image is answered once.",
                "Choose each file once, also where two have the same content, and let the browser write it again.",
            )
        seen.add(one.sha256)
    return run


def _problem_of(image: BrowserImage, labels: tuple[str, ...]) -> str | None:
    """Return what is wrong with the numbers of an image, and the rule; None where they can be."""
    given = image.probabilities
    if len(given) != len(labels):
        return f"{len(given)} probabilities; there are {len(labels)} labels"
    for label, probability in zip(labels, given, strict=True):
        if not -ROUNDING <= probability <= 1 + ROUNDING:  # written so that NaN fails too
            return f"the probability {probability:.9g} of {label}; a probability is between 0 and 1"
    if image.ood is not None and not math.isfinite(image.ood):
        return f"the out-of-distribution score (ood) {image.ood:g}; it is a finite number, or left out"
    time = image.milliseconds
    if time is not None and not (math.isfinite(time) and time >= 0):
        return f"the time {time:g} (milliseconds); it is a finite number from 0 on, or left out"
    return None


def match_images(run: BrowserRun, hashes: list[str], path: Path, least: int) -> tuple[NDArray[np.bool_], Answers]:
    """Return which images the browser answered, and its answers to them in their order.

    Args:
        run: Of the browser.
        hashes: SHA-256 of each image's file.
        path: Of the run, for the error.
        least: Fewest images in common.

    Raises:
        UsageError: It answered fewer of these images.
    """
    known = {one.sha256: one for one in run.images}
    found = [known[sha256] for sha256 in hashes if sha256 in known]
    if len(found) < least:
        raise UsageError(
            str(path),
            f"has {len(found)} of the {len(hashes)} images of this certificate; {least} or more are needed.",
            "Run the browser on the files of images.csv, which this command writes with `out`.",
        )
    ood = None
    if all(one.ood is not None for one in found):
        ood = np.array([one.ood for one in found], np.float64)
    answers = Answers(np.array([one.probabilities for one in found], np.float64), ood)
    return np.array([sha256 in known for sha256 in hashes], np.bool_), answers
