"""Processes that decode and store what is uploaded: a file that brings down a decoder brings down nothing else.

The server speaks HTTP and knows the database, all under one lock of Python's; the work on the pixels is done here, on
the other cores. A decoder gets the bytes of a file and a number. It decodes, writes the pixels to the disk under that
number, synced, and sends back what is known of the file: pixels never travel back. Where the sender waits for answers
of models, the decoder runs them on the decoded pixels while the disk is busy, so that no worker need read them again.
It knows no database and no key.

The system holds each decoder to a limit of memory and of computing time. A decoder that dies is replaced, and its file
tried once more, without models; a file that ends a second decoder is refused.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from pneumoscope.core.errors import ImageError, PneumoscopeError
from pneumoscope.imaging.read import MAX_BYTES
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.runner import InferenceRunner
from pneumoscope.server.process_limits import OUT_OF_TIME, limit_computing_time, limit_memory
from pneumoscope.server.processes import start
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.png_codec import to_pixels
from pneumoscope.server.uploads.deidentify import DecodedUpload, deidentify

LONGEST = 120.0
"""Seconds that one file may take; a decoder that is busy with one for longer hangs, and is killed."""
_SLOTS = 2
"""Files that a decoder holds at once: the one that it decodes, and the next."""
_WAY_OUT = "If it is a good radiograph, save it in another way."


class DecoderProtocol(Protocol):
    """What decodes and stores, in this process or in another; see `Decoder`."""

    def decode(
        self, data: bytes, name: str, image: str, models: Sequence[str] = (), depth: int | None = None
    ) -> DecodedUpload:
        """Decode a file and store its pixels."""


class Decoder:
    """Decodes and stores in this process."""

    def __init__(
        self,
        files: Path,
        max_pixels: int,
        catalogue: Catalogue,
        max_bytes: int = MAX_BYTES,
        before_models: Callable[[], object] | None = None,
    ) -> None:
        """Create a decoder.

        Args:
            files: Folder of the pixels.
            max_pixels: Pixels of the largest image that is decoded.
            catalogue: The models that may be asked at once.
            max_bytes: Largest size of a file, and to which a deflated one may inflate.
            before_models: Called when a file is decoded and models are to be asked.
        """
        self._files = files
        self._before_models = before_models
        self._max_pixels = max_pixels
        self._max_bytes = max_bytes
        self._runner = InferenceRunner(catalogue)
        self._disk = ThreadPoolExecutor(1)

    def decode(
        self, data: bytes, name: str, image: str, models: Sequence[str] = (), depth: int | None = None
    ) -> DecodedUpload:
        """Decode a file and store its pixels; they are durable when this returns.

        Args:
            data: The file.
            name: An opaque name for errors.
            image: The number to store the pixels under.
            models: Identities of models that are to answer about it at once.
            depth: Bits in use in a 16-bit file, see `imaging.read.read`.

        Raises:
            ImageError: It is no readable radiograph, or one that may not be stored; nothing was.
            OSError: The disk refused the file.
        """
        decoded, png, samples = deidentify(data, name, self._max_pixels, depth, self._max_bytes)
        if not models:
            blobs.write_pixels(self._files, image, png)
            return decoded
        if self._before_models is not None:
            self._before_models()
        write = self._disk.submit(blobs.write_pixels, self._files, image, png)
        answers = {
            model: self._runner.predict(model, lambda: to_pixels(samples), image, decoded.facts) for model in models
        }
        write.result()
        return replace(decoded, answers=answers)


class DecoderProcess:
    """A `Decoder` in a process of its own.

    It may be given the next file while it decodes one, and begins with that without waiting for anybody. Files are sent
    under one lock and their outcomes received under another, which is taken before the first is given back: so
    outcomes are received in the order of sending.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._start()

    def _start(self) -> None:
        self._process, self._connection = start(_work, self._settings)

    def decode(
        self, data: bytes, name: str, image: str, models: Sequence[str] = (), depth: int | None = None
    ) -> DecodedUpload:
        """Decode a file and store its pixels; see `Decoder.decode`."""
        for model_names in (models, ()):  # it may have died of something else than the file, such as a lack of memory
            outcome = self._exchange(data, name, image, model_names, depth)
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is not None:
                return outcome
            blobs.delete(self._settings.files, image)  # what it may have begun to write
        raise ImageError(name, "ends the program that decodes it.", _WAY_OUT, code="kills-decoder")

    def _exchange(
        self, data: bytes, name: str, image: str, models: Sequence[str], depth: int | None
    ) -> DecodedUpload | Exception | None:
        """Send a file and return its outcome; None where the process died while it decoded the file."""
        while True:
            with self._sending:
                connection = self._connection
                with suppress(OSError):  # it is dead, as receiving will show
                    connection.send((name, image, models, depth))
                    connection.send_bytes(data)
                self._receiving.acquire()
            try:
                if connection is not self._connection:
                    continue  # it died at the file before this one
                if not connection.poll(LONGEST):
                    self._replace("hung")
                    problem = f"takes more than {LONGEST:.0f} seconds to decode."
                    return ImageError(name, problem, _WAY_OUT, code="takes-too-long")
                outcome: DecodedUpload | Exception = connection.recv()
                return outcome
            except (EOFError, OSError):
                exit_code = self._replace("died")
                if exit_code == OUT_OF_TIME:
                    problem = f"takes more than {self._settings.decoder_seconds:.0f} seconds to decode."
                    return ImageError(name, problem, _WAY_OUT, code="takes-too-long")
                return None
            finally:
                self._receiving.release()

    def _replace(self, how: str) -> int | None:
        """Start another process in place of this one; return the exit code of this one."""
        self.stop()
        exit_code = self._process.exitcode
        logging.getLogger(__name__).error("a decoder %s at a file (code %s); another takes its place", how, exit_code)
        self._start()
        return exit_code

    def stop(self) -> None:
        """End the process; the file that it decodes is not stored."""
        self._process.kill()
        self._process.join()


class DecoderPool:
    """As many decoders as may work at once. Until the pool is started they work in this process."""

    def __init__(self, settings: Settings, catalogue: Catalogue, count: int) -> None:
        """Create the pool.

        Args:
            settings: Name the folder of the pixels and the limits.
            catalogue: The models that may be asked at once.
            count: Decoders that work at once.
        """
        self._settings = settings
        self._count = count
        self._idle: queue.SimpleQueue[DecoderProtocol] = queue.SimpleQueue()
        self._processes: list[DecoderProcess] = []
        for _ in range(count):
            self._idle.put(Decoder(settings.files, settings.max_pixels, catalogue, settings.max_file_bytes))

    def start(self) -> None:
        """Start the processes; from now on they do the work."""
        for _ in range(self._count):
            self._idle.get()
        self._processes = [DecoderProcess(self._settings) for _ in range(self._count)]
        for process in self._processes * _SLOTS:
            self._idle.put(process)

    def stop(self) -> None:
        """End the processes when they have decoded the files that they hold."""
        for _ in self._processes * _SLOTS:
            self._idle.get()
        for process in self._processes:
            process.stop()

    @contextmanager
    def borrow(self) -> Iterator[DecoderProtocol]:
        """Lend a decoder as soon as one is free."""
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)


def _work(settings: Settings, server: Connection[Any, Any]) -> None:
    """Decode what the server sends until the server is gone."""
    decoder = Decoder(
        settings.files,
        settings.max_pixels,
        Catalogue(settings.models),
        settings.max_file_bytes,
        before_models=_lift_limits,  # models are the keeper's own, and take what they take
    )
    _import_libraries()
    while True:
        name, image, models, depth = server.recv()
        data = server.recv_bytes()
        limit_memory(settings.decoder_memory)
        limit_computing_time(settings.decoder_seconds)
        try:
            outcome: DecodedUpload | Exception = decoder.decode(data, name, image, models, depth)
        except (PneumoscopeError, OSError, MemoryError) as error:
            outcome = error
        except Exception as error:  # one file must not end the decoder
            logging.getLogger(__name__).error("decoding: %s", type(error).__name__)
            outcome = RuntimeError(type(error).__name__)
        server.send(outcome)


def _import_libraries() -> None:
    """Import what decoding and asking models need: what libraries map counts as memory, and is hardly used."""
    for module in ("onnxruntime", "pydicom", "pydicom.pixels", "PIL.Image"):
        with suppress(ImportError):
            import_module(module)


def _lift_limits() -> None:
    limit_memory(None)
    limit_computing_time(None)
