"""Processes that decode and store what is uploaded: a file that brings down a decoder brings down nothing else.

The server speaks HTTP and knows the database, all under one lock of Python's; the work on the pixels is done here, on
the other cores. A decoder is given the bytes of a file and a number, decodes, writes the pixels to the disk under that
number, synced, and hands back what is known of the file: pixels never travel back. It knows no database and no key. One
that dies is replaced, and its file tried once more; a file that ends a second one, or takes minutes, is refused.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pneumoscope.errors import ImageError, PneumoscopeError
from pneumoscope.serve import blobs
from pneumoscope.serve.intake import Taken, take
from pneumoscope.serve.process import start
from pneumoscope.serve.settings import Settings

LONGEST = 120.0
"""Seconds that one file may take; a decoder that is at one for longer hangs, and is killed."""
_TRIES = 2
_WAY_OUT = "If it is a good radiograph, save it in another way."


class Decoder:
    """Decodes and stores in this process."""

    def __init__(self, files: Path, max_pixels: int) -> None:
        self._files = files
        self._max_pixels = max_pixels

    def take(self, data: bytes, name: str, image: str) -> Taken:
        """Store the pixels of a file; they are durable when this returns.

        Args:
            data: The file.
            name: An opaque name for errors.
            image: The number to store them under.

        Raises:
            ImageError: It is no readable radiograph, or one that may not be stored; nothing was.
            OSError: The disk took it not.
        """
        taken, png = take(data, name, self._max_pixels)
        blobs.keep(self._files, image, png)
        return taken


class _Far(Decoder):
    """Has it done by a process of its own."""

    def __init__(self, files: Path, max_pixels: int) -> None:
        super().__init__(files, max_pixels)
        self._start()

    def _start(self) -> None:
        self._process, self._connection = start(_work, self._files, self._max_pixels)

    def take(self, data: bytes, name: str, image: str) -> Taken:
        for _ in range(_TRIES):  # it may have died of something else than the file, such as the system's lack of memory
            try:
                outcome = self._outcome(data, name, image)
            except TimeoutError:
                self._replace("hung")
                raise ImageError(name, f"takes more than {LONGEST:.0f} seconds to decode.", _WAY_OUT) from None
            except (EOFError, OSError):
                self._replace("died")
                blobs.erase(self._files, image)  # what it may have begun to write
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        raise ImageError(name, "ends the program that decodes it.", _WAY_OUT)

    def _outcome(self, data: bytes, name: str, image: str) -> Taken | Exception:
        self._connection.send((name, image))
        self._connection.send_bytes(data)
        if not self._connection.poll(LONGEST):
            raise TimeoutError
        outcome: Taken | Exception = self._connection.recv()
        return outcome

    def _replace(self, why: str) -> None:
        self.stop()
        logging.getLogger(__name__).error("a decoder %s at a file; another takes its place", why)
        self._start()

    def stop(self) -> None:
        """End the process; what it was at is not stored."""
        self._process.kill()
        self._process.join()
        self._connection.close()


class Decoders:
    """As many as may decode at once. Until it is started the work is done in this process."""

    def __init__(self, settings: Settings, count: int) -> None:
        """Take what to decode for, and how many at once."""
        self._made = (settings.files, settings.max_pixels)
        self._count = count
        self._idle: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        self._far: list[_Far] = []
        for _ in range(count):
            self._idle.put(Decoder(*self._made))

    def start(self) -> None:
        """Start the processes; from now on they do the work."""
        for _ in range(self._count):
            self._idle.get()
            self._far.append(_Far(*self._made))
            self._idle.put(self._far[-1])

    def stop(self) -> None:
        """End the processes when they have done what they are at."""
        for _ in range(self._count):
            self._idle.get()
        for far in self._far:
            far.stop()

    @contextmanager
    def one(self) -> Iterator[Decoder]:
        """Lend a decoder as soon as one is free."""
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)


def _work(files: Path, max_pixels: int, server: Connection[Any, Any]) -> None:
    """Decode what the server sends until it is gone."""
    decoder = Decoder(files, max_pixels)
    while True:
        name, image = server.recv()
        data = server.recv_bytes()
        try:
            outcome: Taken | Exception = decoder.take(data, name, image)
        except (PneumoscopeError, OSError, MemoryError) as error:
            outcome = error
        except Exception as error:  # one file must not end the decoder
            logging.getLogger(__name__).error("decoding: %s", type(error).__name__)
            outcome = RuntimeError(type(error).__name__)
        server.send(outcome)
