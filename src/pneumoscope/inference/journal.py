"""The journal of an unfinished table: each row is on disk as soon as it is known, so that a killed run can continue.

JSON lines beside the output: a header (which model, which settings), then one line a file in the files' order, with the
file's size and time of change. The next run reuses a row only while all of these still agree; it predicts the first row
that does not, and all later rows, again. It drops a line that the kill cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from pneumoscope.bundle.gatekeeper import builtin_gatekeeper
from pneumoscope.bundle.prediction import printable
from pneumoscope.bundle.runtime import Model
from pneumoscope.bundle.session import ONNX_RUNTIME
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import lock_file
from pneumoscope.imaging.remote import address_of, stamp_of

JOURNAL_VERSION = 2


class Journal:
    """The journal beside one output; use as a context manager, `resume` first, then `append`.

    Attributes:
        path: The journal's file: the output's name and ``.partial``.
        note: After `resume`: a sentence for the user about the journal; empty if there was none.
    """

    def __init__(
        self,
        output: Path,
        model: Model,
        heatmaps: Path | None,
        depth: int | None = None,
        *,
        score_refused: bool = False,
    ) -> None:
        self.path = output.with_name(output.name + ".partial")
        self.note = ""
        self._header = {
            "journal": JOURNAL_VERSION,
            "model": model.identity,
            "heatmaps": None if heatmaps is None else str(heatmaps),
            "gatekeeper": builtin_gatekeeper().identity if model.screened else None,
            **({} if depth is None else {"depth": depth}),
            **({"score_refused": True} if score_refused else {}),
            **({} if model.runtime == ONNX_RUNTIME else {"runtime": model.runtime}),
            **({} if model.place is None else {"finding": model.labels[0]}),  # `Model.about`
        }
        self._file: BinaryIO

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        if not lock_file(self._file):
            self._file.close()
            raise UsageError(str(self.path), "is being written by another run.", "Wait for it, or name another output.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def resume(self, files: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the rows that still hold, prepare the journal for further rows, and set ``note``."""
        self._file.seek(0)
        first = self._file.readline()
        problem = self._problem_with(_parse(first)) if first else ""
        if problem or not first:
            self.note = f"{self.path.name} {problem}: starting again." if problem else ""
            self._file.truncate(0)
            self._write(self._header)
            return
        done, good = 0, self._file.tell()
        for path in files:
            entry = _parse(self._file.readline())
            if entry is None or "row" not in entry:
                break
            row: dict[str, Any] = entry["row"]
            if row["path"] != printable(path) or entry["stamp"] != stamp(path):
                problem = f"; from {row['path']} on the files are others or were changed, so these are predicted again"
                break
            done, good = done + 1, self._file.tell()
            yield row
        self._file.truncate(good)
        if done or problem:
            self.note = f"Continuing {self.path.name}: {done} of {len(files)} files were done{problem}."

    def append(self, row: dict[str, Any], stamp: list[Any] | None) -> None:
        """Add the row of a file with the file's `stamp`."""
        self._write({"row": row, "stamp": stamp})

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield all rows."""
        with self.path.open("rb") as file:
            file.readline()
            for line in file:
                yield json.loads(line)["row"]

    def remove(self) -> None:
        """Delete the journal, once the table exists."""
        self.path.unlink()

    def _write(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value, allow_nan=False).encode() + b"\n")
        self._file.flush()  # to the system, where it survives the end of this process

    def _problem_with(self, header: dict[str, Any] | None) -> str:
        if header is None or header.get("journal") != JOURNAL_VERSION:
            return "is not a journal of this version"
        if header["model"] != self._header["model"]:
            return f"was made by another model ({header['model'][:12]})"
        for name in {**self._header, **header}:
            if header.get(name) != self._header.get(name):
                return f"was made with another `{name}`" + (", or without one" if name == "gatekeeper" else "")
        return ""


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the header or entry on a whole line; None for a line that was cut off or is neither."""
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and ("journal" in value or {"row", "stamp"} <= value.keys()) else None


def stamp(path: str) -> list[Any] | None:
    """Return size in bytes and time of change in ns, cheap for 100,000 files; None if the file is not there."""
    if (address := address_of(path)) is not None:
        return stamp_of(address)
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]
