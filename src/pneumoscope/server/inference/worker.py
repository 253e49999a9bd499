"""A worker: is handed one image after the other, runs the model that is asked on one thread, hands back the answer.

It runs as a process of its own, so that an image that brings down a model brings down nothing else. It knows files
and models, and no database: what it is handed was claimed for it, what it hands back is written down by the server that
started it (`supervisor`). It ends when that server is gone.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.queue import Answer, Claim
from pneumoscope.server.inference.runner import Answerer
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs


class Worker:
    """Makes predictions, one at a time."""

    def __init__(self, files: Path, catalogue: Catalogue) -> None:
        self._files = files
        self._answerer = Answerer(catalogue)

    def answer(self, claim: Claim) -> Answer:
        """Make a prediction; a failure is an answer too."""

        def pixels() -> NDArray[np.float32]:
            return blobs.read_pixels(self._files, claim.image, claim.sha256)

        return Answer(claim, *self._answerer.answer(claim.model, pixels, claim.image))


def work(settings: Settings, server: Connection[Answer, Claim]) -> None:
    """Answer what the server asks until it is gone; the target of a process (`process.start`).

    Args:
        settings: Of the server.
        server: Its end of the pipe sends claims and gets answers.
    """
    worker = Worker(settings.files, Catalogue(settings.models))
    while True:  # when the server is gone, what was held waits in the queue again
        server.send(worker.answer(server.recv()))
