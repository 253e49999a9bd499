"""The ledger of openings: which images have served as a test, when, and for what.

A test part has its worth once. Each evaluation on it appends one line here, beside the manifest, and no line is ever
removed. The next evaluation counts the earlier openings that share an image with it, whatever the name of the split. A
renamed or newly split manifest in the same folder does not start at zero: all ledgers there count. Nor does one in
another folder: each opening is also written to the user's data folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pneumoscope.core.errors import ManifestError
from pneumoscope.core.files import data_folder

SUFFIX = ".ledger.jsonl"
_WRITING = 2.0
"""Seconds that another process has to finish its line; a line that still has no end was cut off."""


def own_ledger() -> Path:
    """Return the ledger of all manifests of this user, which exists beside each manifest's own ledger."""
    return data_folder() / f"openings{SUFFIX}"


def ledger_path(manifest_path: Path | str) -> Path:
    """Return the ledger of a manifest's test part."""
    path = Path(manifest_path)
    return path.with_name(path.stem + SUFFIX)


def openings(manifest_path: Path | str, hashes: Iterable[str]) -> int:
    """Return how many earlier openings share at least one image with ``hashes`` (SHA-256).

    Raises:
        ManifestError: A ledger has an unreadable line.
    """
    wanted = set(hashes)
    beside = sorted(Path(manifest_path).resolve().parent.glob(f"*{SUFFIX}"))
    own = [own_ledger()] if own_ledger().is_file() else []
    # An opening stands in both kinds of ledger with the same words; it counts once.
    entries = dict(entry for ledger in (*beside, *own) for entry in _read(ledger))
    return sum(not wanted.isdisjoint(images) for images in entries.values())


def record_opening(manifest_path: Path | str, hashes: Iterable[str], by: str, command: str) -> int:
    """Append an opening and return how many earlier ones share an image with it.

    Args:
        manifest_path: The manifest; its ledger lies beside it.
        hashes: SHA-256 of the opened images.
        by: Identity of the bundle that is measured.
        command: The command line, for a later reader.
    """
    images = sorted(set(hashes))
    earlier = openings(manifest_path, images)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": by,
        "command": command,
        "earlier_openings": earlier,
        "images": images,
    }
    line = (json.dumps(entry) + "\n").encode()
    _append(ledger_path(manifest_path), line)
    own_ledger().parent.mkdir(parents=True, exist_ok=True)
    _append(own_ledger(), line)
    return earlier


def _append(path: Path, line: bytes) -> None:
    # One write to a file that is open for appending: two processes cannot cut each other's line.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> Iterable[tuple[str, list[str]]]:
    """Yield each opening's line and images."""
    for number, line in enumerate(_whole(path).splitlines(), start=1):
        try:
            images = json.loads(line)["images"]
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(
                f"{path}, line {number}",
                f"is not an opening: {error}.",
                "The ledger is only ever appended to: restore the line from a backup, or write down why it is lost.",
            ) from error
        yield line, images


def _whole(path: Path) -> str:
    """Return a ledger's text once its last line is complete: another process's write becomes visible page by page."""
    until = time.monotonic() + _WRITING
    while True:
        text = path.read_text(encoding="utf-8")
        if not text or text.endswith("\n") or time.monotonic() > until:
            return text
        time.sleep(0.01)
