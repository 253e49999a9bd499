"""Processes that decode and store what is uploaded: a file that brings down a decoder brings down nothing else.

The server speaks HTTP and knows the database, all under one lock of Python's; the work on the pixels is done here, on
the other cores. A decoder gets the bytes of a file and a number. It decodes, writes the pixels to the disk under that
number, synced, and sends back what is known of the file: pixels never travel back. Where the sender waits for answers
of models, the decoder runs them on the decoded pixels while the disk is busy, so that no worker need read them again.
It knows no database and no key.

The system holds each decoder to a limit of memory and of computing time. A decoder that dies is replaced, and its file
tried once more, without models; a file that ends a second decoder is refused.

Accounts take turns, file by file. A file that is not decoded within a few seconds is tried again by a decoder of its
own for slow files, one at a time and for longer, so that slow files wait for each other and nobody waits for them. An
account that has used up its time for slow files gets none for a while.
"""

from __future__ import annotations

import logging
import threading
import time
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
from pneumoscope.server.uploads.headers import HeaderCheck
from pneumoscope.server.uploads.turns import FairTurns, TimeBudget, stopping

LONGEST = 120.0
"""Seconds that one file may take; a decoder that is busy with one for longer hangs, and is killed."""
_SLOTS = 2
"""Files that a decoder holds at once: the one that it decodes, and the next."""
_STOP_SECONDS = 2.0
"""Seconds that decoders get for their files when the server stops."""
_SLOW_SECONDS, _SLOW_PERIOD = 90.0, 600.0
"""Seconds for slow files that an account gets in how many seconds."""
_WAY_OUT = "If it is a good radiograph, save it in another way."


class SlowFileError(Exception):
    """A file was not decoded in the computing time that it got."""


class DecoderProtocol(Protocol):
    """What decodes and stores, in this process or in another; see `Decoder`."""

    def decode(
        self,
        data: bytes,
        name: str,
        image: str,
        models: Sequence[str] = (),
        depth: int | None = None,
        check: HeaderCheck | None = None,
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
        self,
        data: bytes,
        name: str,
        image: str,
        models: Sequence[str] = (),
        depth: int | None = None,
        check: HeaderCheck | None = None,
    ) -> DecodedUpload:
        """Decode a file and store its pixels; they are durable when this returns.

        Args:
            data: The file.
            name: An opaque name for errors.
            image: The number to store the pixels under.
            models: Identities of models that are to answer about it at once.
            depth: Bits in use in a 16-bit file, see `imaging.read.read`.
            check: See `deidentify`.

        Raises:
            ImageError: It is no readable radiograph, or one that may not be stored; nothing was.
            OSError: The disk refused the file.
        """
        decoded, png, samples = deidentify(data, name, self._max_pixels, depth, self._max_bytes, check)
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

    def __init__(self, settings: Settings, seconds: float) -> None:
        """Start the process.

        Args:
            settings: Name the folder of the pixels and the limits.
            seconds: Computing time that a file gets.
        """
        self._settings = settings
        self._seconds = seconds
        self._stopped = False
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._start()

    def _start(self) -> None:
        self._process, self._connection = start(_work, self._settings)

    def decode(
        self,
        data: bytes,
        name: str,
        image: str,
        models: Sequence[str] = (),
        depth: int | None = None,
        check: HeaderCheck | None = None,
    ) -> DecodedUpload:
        """Decode a file and store its pixels; see `Decoder.decode`.

        Raises:
            SlowFileError: The file was not decoded in the time that it gets here.
            UnavailableError: The server stops.
        """
        for model_names in (models, ()):  # it may have died of something else than the file, such as a lack of memory
            outcome = self._exchange(data, name, image, model_names, depth, check)
            if isinstance(outcome, SlowFileError):
                blobs.delete(self._settings.files, image)
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is not None:
                return outcome
            blobs.delete(self._settings.files, image)  # what it may have begun to write
        raise ImageError(name, "ends the program that decodes it.", _WAY_OUT, code="kills-decoder")

    def _exchange(
        self,
        data: bytes,
        name: str,
        image: str,
        models: Sequence[str],
        depth: int | None,
        check: HeaderCheck | None,
    ) -> DecodedUpload | Exception | None:
        """Send a file and return its outcome; None where the process died while it decoded the file."""
        while True:
            with self._sending:
                connection = self._connection
                with suppress(OSError):  # it is dead, as receiving will show
                    connection.send((name, image, models, depth, check, self._seconds))
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
                if self._stopped:
                    raise stopping() from None
                if self._replace("died") == OUT_OF_TIME:
                    return SlowFileError(name)
                return None
            finally:
                self._receiving.release()

    def _replace(self, how: str) -> int | None:
        """Start another process in place of this one; return the exit code of this one."""
        self._process.kill()
        self._process.join()
        exit_code = self._process.exitcode
        logging.getLogger(__name__).error("a decoder %s at a file (code %s); another takes its place", how, exit_code)
        self._start()
        return exit_code

    def stop(self) -> None:
        """End the process; the file that it decodes is not stored."""
        self._stopped = True
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
        self._processes: list[DecoderProcess] = []
        self._slow: DecoderProcess | None = None
        self._slow_time = TimeBudget(_SLOW_SECONDS, _SLOW_PERIOD)
        local = Decoder(settings.files, settings.max_pixels, catalogue, settings.max_file_bytes)
        self._turns: FairTurns[DecoderProtocol] = FairTurns([local] * count)
        self._slow_turns: FairTurns[object] = FairTurns([object()])

    def start(self) -> None:
        """Start the processes; from now on they do the work."""
        seconds = min(self._settings.decoder_quick_seconds, self._settings.decoder_seconds)
        self._processes = [DecoderProcess(self._settings, seconds) for _ in range(self._count)]
        self._turns = FairTurns(self._processes * _SLOTS)

    def stop(self) -> None:
        """End the processes. Files that are nearly decoded are finished; the others are not stored, nor answered so."""
        self._turns.close()
        self._slow_turns.close()
        self._turns.wait_until_idle(_STOP_SECONDS)
        for process in (*self._processes, *([self._slow] if self._slow else ())):
            process.stop()

    @contextmanager
    def borrow(self, account: str = "") -> Iterator[DecoderProtocol]:
        """Lend a decoder for one file, when it is the account's turn.

        Args:
            account: Number of the account that sends the file.

        Raises:
            UnavailableError: The server stops.
        """
        turn = _Turn(self, account, self._turns.take(account))
        try:
            yield turn
        finally:
            self.give_back(turn)

    def give_back(self, turn: _Turn) -> None:
        """Take a decoder back, once."""
        if turn.decoder is not None:
            decoder, turn.decoder = turn.decoder, None
            self._turns.give_back(turn.account, decoder)

    def decode_slowly(
        self, account: str, data: bytes, name: str, image: str, depth: int | None, check: HeaderCheck | None
    ) -> DecodedUpload:
        """Decode a file that takes long, when it is the account's turn; see `Decoder.decode`.

        Raises:
            ImageError: It takes too long, or the account has used up its time for such files.
        """
        place = self._slow_turns.take(account)
        try:
            if self._slow_time.is_spent(account):
                minutes = _SLOW_PERIOD / 60
                raise ImageError(
                    name,
                    "takes long to decode, and your account's other files have used up the time for such files.",
                    f"Send it again in {minutes:.0f} minutes. {_WAY_OUT}",
                    code="takes-too-long",
                )
            if self._slow is None:
                self._slow = DecoderProcess(self._settings, self._settings.decoder_seconds)
            began = time.monotonic()
            try:
                return self._slow.decode(data, name, image, (), depth, check)
            except SlowFileError as error:
                problem = f"takes more than {self._settings.decoder_seconds:.0f} seconds to decode."
                raise ImageError(name, problem, _WAY_OUT, code="takes-too-long") from error
            finally:
                self._slow_time.spend(account, time.monotonic() - began)
        finally:
            self._slow_turns.give_back(account, place)


class _Turn:
    """A decoder that is lent for one file."""

    def __init__(self, pool: DecoderPool, account: str, decoder: DecoderProtocol) -> None:
        self.account = account
        self.decoder: DecoderProtocol | None = decoder
        self._pool = pool

    def decode(
        self,
        data: bytes,
        name: str,
        image: str,
        models: Sequence[str] = (),
        depth: int | None = None,
        check: HeaderCheck | None = None,
    ) -> DecodedUpload:
        """Decode a file and store its pixels; see `Decoder.decode`."""
        assert self.decoder is not None
        try:
            return self.decoder.decode(data, name, image, models, depth, check)
        except SlowFileError:
            self._pool.give_back(self)  # the others need not wait
            return self._pool.decode_slowly(self.account, data, name, image, depth, check)


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
        name, image, models, depth, check, seconds = server.recv()
        data = server.recv_bytes()
        limit_memory(settings.decoder_memory)
        limit_computing_time(seconds)
        try:
            outcome: DecodedUpload | Exception = decoder.decode(data, name, image, models, depth, check)
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
