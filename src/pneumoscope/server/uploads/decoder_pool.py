"""Processes that decode and store what is uploaded: a file that brings down a decoder brings down nothing else.

The server speaks HTTP and knows the database, all under one lock of Python's; the work on the pixels is done here, on
the other cores. A decoder is given the bytes of a file and a number, decodes, writes the pixels to the disk under that
number, synced, and hands back what is known of the file: pixels never travel back. Where the sender waits for answers
of models, it runs them while the disk is busy, on the pixels at hand, so that no worker need read them again. It knows
no database and no key. One that dies is replaced, and its file tried once more, without models; a file that ends a
second one, or takes minutes, is refused.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from pneumoscope.core.errors import ImageError, PneumoscopeError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.runner import InferenceRunner
from pneumoscope.server.processes import start
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.png_codec import pixels_of
from pneumoscope.server.uploads.deidentify import Taken, take

LONGEST = 120.0
"""Seconds that one file may take; a decoder that is at one for longer hangs, and is killed."""
_PLACES = 2
"""Files that a decoder is given: the one that it is at, and the next."""
_WAY_OUT = "If it is a good radiograph, save it in another way."


class Takes(Protocol):
    """What decodes and stores, here or elsewhere; see `Decoder`."""

    def take(self, data: bytes, name: str, image: str, models: Sequence[str] = ()) -> Taken:
        """Store the pixels of a file."""


class Decoder:
    """Decodes and stores in this process."""

    def __init__(self, files: Path, max_pixels: int, catalogue: Catalogue) -> None:
        self._files = files
        self._max_pixels = max_pixels
        self._runner = InferenceRunner(catalogue)
        self._disk = ThreadPoolExecutor(1)

    def take(self, data: bytes, name: str, image: str, models: Sequence[str] = ()) -> Taken:
        """Store the pixels of a file; they are durable when this returns.

        Args:
            data: The file.
            name: An opaque name for errors.
            image: The number to store them under.
            models: Identities of models that are to answer about it at once.

        Raises:
            ImageError: It is no readable radiograph, or one that may not be stored; nothing was.
            OSError: The disk took it not.
        """
        taken, png, samples = take(data, name, self._max_pixels)
        if not models:
            blobs.keep(self._files, image, png)
            return taken
        kept = self._disk.submit(blobs.keep, self._files, image, png)
        answers = {model: self._runner.predict(model, lambda: pixels_of(samples), image) for model in models}
        kept.result()
        return replace(taken, answers=answers)


class _Far:
    """Has it done by a process of its own; what `Decoder` is.

    It may be given the next file while it is at one, and begins with that without waiting for anybody. Files are sent
    under one lock and their outcomes received under another, which is taken before the first is given back: so
    outcomes are received in the order of sending.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._start()

    def _start(self) -> None:
        self._process, self._connection = start(_work, self._settings)

    def take(self, data: bytes, name: str, image: str, models: Sequence[str] = ()) -> Taken:
        for asked in (models, ()):  # it may have died of something else than the file, such as a lack of memory
            outcome = self._outcome(data, name, image, asked)
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is not None:
                return outcome
            blobs.erase(self._settings.files, image)  # what it may have begun to write
        raise ImageError(name, "ends the program that decodes it.", _WAY_OUT, code="kills-decoder")

    def _outcome(self, data: bytes, name: str, image: str, models: Sequence[str]) -> Taken | Exception | None:
        """Return what came of a file; None where the process died at it."""
        while True:
            with self._sending:
                connection = self._connection
                with suppress(OSError):  # it is dead, as receiving will show
                    connection.send((name, image, models))
                    connection.send_bytes(data)
                self._receiving.acquire()
            try:
                if connection is not self._connection:
                    continue  # it died at the file before this one
                if not connection.poll(LONGEST):
                    self._replace("hung")
                    problem = f"takes more than {LONGEST:.0f} seconds to decode."
                    return ImageError(name, problem, _WAY_OUT, code="takes-too-long")
                outcome: Taken | Exception = connection.recv()
                return outcome
            except (EOFError, OSError):
                self._replace("died")
                return None
            finally:
                self._receiving.release()

    def _replace(self, why: str) -> None:
        self.stop()
        logging.getLogger(__name__).error("a decoder %s at a file; another takes its place", why)
        self._start()

    def stop(self) -> None:
        """End the process; what it was at is not stored."""
        self._process.kill()
        self._process.join()


class Decoders:
    """As many as may decode at once. Until it is started the work is done in this process."""

    def __init__(self, settings: Settings, catalogue: Catalogue, count: int) -> None:
        """Take what to decode for, with which models, and how many at once."""
        self._settings = settings
        self._count = count
        self._idle: queue.SimpleQueue[Takes] = queue.SimpleQueue()
        self._far: list[_Far] = []
        for _ in range(count):
            self._idle.put(Decoder(settings.files, settings.max_pixels, catalogue))

    def start(self) -> None:
        """Start the processes; from now on they do the work."""
        for _ in range(self._count):
            self._idle.get()
        self._far = [_Far(self._settings) for _ in range(self._count)]
        for far in self._far * _PLACES:
            self._idle.put(far)

    def stop(self) -> None:
        """End the processes when they have done what they are at."""
        for _ in self._far * _PLACES:
            self._idle.get()
        for far in self._far:
            far.stop()

    @contextmanager
    def one(self) -> Iterator[Takes]:
        """Lend a decoder as soon as one is free."""
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)


def _work(settings: Settings, server: Connection[Any, Any]) -> None:
    """Decode what the server sends until it is gone."""
    decoder = Decoder(settings.files, settings.max_pixels, Catalogue(settings.models))
    while True:
        name, image, models = server.recv()
        data = server.recv_bytes()
        try:
            outcome: Taken | Exception = decoder.take(data, name, image, models)
        except (PneumoscopeError, OSError, MemoryError) as error:
            outcome = error
        except Exception as error:  # one file must not end the decoder
            logging.getLogger(__name__).error("decoding: %s", type(error).__name__)
            outcome = RuntimeError(type(error).__name__)
        server.send(outcome)
