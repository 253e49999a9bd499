"""A process that reads images for an import: decoding, hashing and shrinking them keeps one core busy.

Threads of one process would wait for each other, since parsing DICOM and the steps between two calls of a library hold
Python's lock. The process is a plain subprocess on two pipes. So it needs nothing of the caller's main module, and it
ends with the import however that ends: reading from the pipe then fails.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from pneumoscope.core.errors import ImageError, PneumoscopeError, describe_unexpected
from pneumoscope.data.fingerprint import SIDE, perceptual_hash, thumbnail
from pneumoscope.data.thumbnails import to_integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pneumoscope.imaging.read import Radiograph

FACTS = ("view", "sex", "age", "manufacturer", "largest_value", "exif")
"""The facts that a file itself may state and an import uses; see `imaging.read.Radiograph.metadata`."""

_NUMBERS = ("age", "largest_value")


class FileToRead(NamedTuple):
    """A file, and the bits in use in it where it stores 16; see `imaging.read.read`."""

    path: str
    depth: int | None


class ScannedFile(NamedTuple):
    """What an import keeps of a file that could be read.

    Args:
        width: Columns, in pixels.
        height: Rows, in pixels.
        bits: Bits in use per sample: those stored, unless a depth was declared for a 16-bit file.
        sha256: Of the file's bytes.
        phash: 64-bit perceptual hash, 16 hexadecimal digits.
        facts: Values of `FACTS`, in their order: text or numbers; None where the file says nothing.
        stamp: Size in bytes and time of change in ns, before the file was read.
    """

    width: int
    height: int
    bits: int
    sha256: str
    phash: str
    facts: tuple[str | float | None, ...]
    stamp: tuple[int, int]


class ScannedChunk(NamedTuple):
    """The results for some files in their order, and their thumbnails [n, 64, 64] uint16, black for unreadable ones."""

    results: list[ScannedFile | ImageError]
    small: NDArray[np.uint16]


def stamp_of(path: str | Path) -> tuple[int, int] | None:
    """Return a file's size in bytes and its time of change in ns; None if it is not there."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def scan_chunk(files: Sequence[FileToRead]) -> ScannedChunk:
    """Read some files, one after another.

    Raises:
        MissingExtraError: One is DICOM, and the extra ``dicom`` is not installed.
    """
    from pneumoscope.imaging.read import read

    small = np.zeros((len(files), SIDE, SIDE), dtype=np.uint16)
    results: list[ScannedFile | ImageError] = []
    for place, (path, depth) in enumerate(files):
        # Taken before reading: a file that changes meanwhile has another stamp, and is read again.
        stamp = stamp_of(path) or (-1, -1)
        try:
            radiograph = read(path, depth=depth)
            picture = thumbnail(radiograph.pixels)
            results.append(_scanned(radiograph, picture, stamp))
            small[place] = to_integers(picture)
        except ImageError as error:
            results.append(error)
        except PneumoscopeError:
            raise
        except Exception as error:  # one file must not end an import of all others
            problem = f"cannot be used ({describe_unexpected(error)})."
            unforeseen = ImageError(str(path), problem, "Report it, and leave the file out meanwhile.")
            unforeseen.__cause__ = error
            results.append(unforeseen)
    return ScannedChunk(results, small)


def _scanned(radiograph: Radiograph, picture: NDArray[np.float32], stamp: tuple[int, int]) -> ScannedFile:
    bits = radiograph.metadata.get("depth")
    height, width = radiograph.pixels.shape
    return ScannedFile(
        width,
        height,
        bits if isinstance(bits, int) else radiograph.bits,
        radiograph.sha256,
        perceptual_hash(picture),
        _facts_of(radiograph.metadata),
        stamp,
    )


def _facts_of(metadata: Mapping[str, str | int | float | None]) -> tuple[str | float | None, ...]:
    facts: list[str | float | None] = []
    for name in FACTS:
        value = metadata.get(name)
        if name in _NUMBERS:
            facts.append(float(value) if isinstance(value, int | float) else None)
        else:
            facts.append(None if value is None else str(value).encode(errors="replace").decode())
    return tuple(facts)


class ScanWorker:
    """A process that reads chunks of files; use as a context manager. One thread may use it."""

    def __init__(self) -> None:
        program = "from pneumoscope.data.scan_worker import serve; serve()"
        # The same modules as here, wherever they were found; a terminal's Ctrl-C is for this process alone.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def __enter__(self) -> ScanWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def scan(self, files: Sequence[FileToRead]) -> ScannedChunk:
        """Read some files; see `scan_chunk`.

        Raises:
            ImageError: The process ended, since memory ran out or a library crashed on one of these files.
            MissingExtraError: One is DICOM, and the extra ``dicom`` is not installed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(list(files), self._process.stdin)
            self._process.stdin.flush()
            answer: Any = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            code = self._process.wait()
            raise ImageError(
                f"{files[0].path} to {files[-1].path}",
                f"the process that read these {len(files)} files ended (code {code}).",
                "Import them alone to find the one that does it, and see that there is memory for a large image.",
            ) from error
        if isinstance(answer, PneumoscopeError):
            raise answer
        chunk: ScannedChunk = answer
        return chunk


def serve() -> None:
    """Read chunks of files from standard input until it ends, and answer each on standard output."""
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    while True:
        try:
            files = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        answer: ScannedChunk | PneumoscopeError
        try:
            answer = scan_chunk(files)
        except PneumoscopeError as error:
            answer = error
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:
            return
