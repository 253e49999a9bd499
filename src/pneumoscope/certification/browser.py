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
hash of their file, so that a browser, which sees no paths, can name them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from pneumoscope.certification.differences import Answers
from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen

WRITE_AGAIN = "Let the browser write it again for this bundle and these images."


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
        UsageError: There is no such file, it is no such record, or is about another bundle.
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
    wrong = next((one for one in run.images if len(one.probabilities) != len(labels)), None)
    if wrong is not None:
        raise UsageError(
            str(path),
            f"has {len(wrong.probabilities)} probabilities for the image {wrong.sha256[:12]}; there are {len(labels)} "
            "labels.",
            WRITE_AGAIN,
        )
    return run


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
