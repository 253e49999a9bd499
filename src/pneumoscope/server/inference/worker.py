"""A worker process: it gets one task after the other, runs the model on one thread, and sends the outcome back.

It runs as a process of its own, so that an image that brings down a model brings down nothing else. It knows files and
models, and no database: the server that started it (`worker_pool`) has claimed the predictions for it, and writes down
what it sends back. It ends when that server is gone.
"""

from __future__ import annotations

import logging
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from pneumoscope.core.errors import PneumoscopeError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.occlusion import Occlusion, OcclusionAnswer, answer_occlusion
from pneumoscope.server.inference.queue import Claim, FinishedClaim
from pneumoscope.server.inference.runner import InferenceRunner, Pixels
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs

Task = Claim | Occlusion


class TaskStart(NamedTuple):
    """A worker begins with its next task; from here on, its end is held against the task."""


Reply = TaskStart | FinishedClaim | OcclusionAnswer | PneumoscopeError
"""Of each task its start and its outcome. A claim is always finished; an occlusion can also be refused."""


class Worker:
    """Runs models on stored images, one at a time."""

    def __init__(self, files: Path, catalogue: Catalogue) -> None:
        self._files = files
        self._runner = InferenceRunner(catalogue)

    def predict(self, claim: Claim) -> FinishedClaim:
        """Make a prediction; a failure is a result too."""

        def read() -> Pixels:
            return blobs.read_pixels(self._files, claim.image, claim.sha256)

        return FinishedClaim(claim, self._runner.predict(claim.model, read, claim.image, claim.facts))

    def occlude(self, question: Occlusion) -> OcclusionAnswer:
        """Answer a question about an image of which a part is covered; see `answer_occlusion` for the errors."""
        return answer_occlusion(question, self._files, self._runner)

    def handle(self, task: Task) -> FinishedClaim | OcclusionAnswer | PneumoscopeError:
        """Do a task that the server sent; one task must not end the process."""
        if isinstance(task, Claim):
            return self.predict(task)
        try:
            return self.occlude(task)
        except PneumoscopeError as error:
            return error
        except Exception as error:
            logging.getLogger(__name__).error("occlusion of %s: %s", task.image, type(error).__name__)
            return PneumoscopeError("the model", f"failed ({type(error).__name__}).")


def run_worker(settings: Settings, server: Connection[Reply, Task]) -> None:
    """Do the server's tasks until the server is gone; the target of a process (`processes.start`).

    Args:
        settings: The server's settings.
        server: The worker's end of the pipe to it.
    """
    worker = Worker(settings.files, Catalogue(settings.models))
    while True:  # when the server is gone, the claims that this worker held wait in the queue again
        task = server.recv()
        server.send(TaskStart())
        server.send(worker.handle(task))
