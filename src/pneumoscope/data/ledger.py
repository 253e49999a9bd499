"""The ledger of openings: which images have served as a test, when, and for what.

A test part has its worth once. Each evaluation on it appends one line here, beside the manifest, and no line is ever
removed. The next evaluation counts the earlier openings that share an image with it, whatever the name of the split. A
renamed or newly split manifest in the same folder does not start at zero: all ledgers there count. Nor does one in
another folder: each opening is also written to the user's data folder. Images are known by their pixels, not by their
files alone (``opened_images.py``). Where both ledgers are gone, the openings in the evidence of the bundle still count.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pneumoscope.core.errors import ManifestError
from pneumoscope.core.files import data_folder
from pneumoscope.data.opened_images import OpenedImages

SUFFIX = ".ledger.jsonl"
_IDENTITY = re.compile("[0-9a-f]{64}")
_WRITING = 2.0
"""Seconds that another process has to finish its line; a line that still has no end was cut off."""


def own_ledger() -> Path:
    """Return the ledger of all manifests of this user, which exists beside each manifest's own ledger."""
    return data_folder() / f"openings{SUFFIX}"


def ledger_path(manifest_path: Path | str) -> Path:
    """Return the ledger of a manifest's test part."""
    path = Path(manifest_path)
    return path.with_name(path.stem + SUFFIX)


@dataclass(frozen=True, slots=True)
class KnownOpening:
    """An opening that stands in a ledger, or elsewhere: in the evidence of the bundle that was measured.

    Args:
        number: Its random number, which the ledger's line holds too; "" where it was written before there was one.
        images: The images that were opened.
        time: UTC, ISO 8601; "" where it is not known.
        by: What was measured: the identity of a bundle, or a comparison.
        command: The command line.
        claim: What was to be shown, stated with the opening; "" where nothing was.
    """

    number: str
    images: OpenedImages
    time: str = ""
    by: str = ""
    command: str = ""
    claim: str = ""

    def __str__(self) -> str:
        when = f"{self.time[:16].replace('T', ' ')} UTC" if self.time else "at an unknown time"
        who = f"model {self.by[:12]}" if _IDENTITY.fullmatch(self.by) else self.by or "an unknown model"
        return f"{when} by {who}"


def new_number() -> str:
    """Return a random number for an opening, under which ledgers and evidence know it."""
    return uuid.uuid4().hex


def find_openings(
    manifest_path: Path | str, images: OpenedImages | Iterable[str], known: Iterable[KnownOpening] = ()
) -> list[KnownOpening]:
    """Return the earlier openings that share images with these, oldest first.

    Args:
        manifest_path: The manifest; all ledgers beside it and the user's own count.
        images: The images, or the SHA-256 of their files.
        known: Openings in the bundle's evidence; one that a ledger has too counts once.

    Raises:
        ManifestError: A ledger has an unreadable line.
    """
    wanted = images if isinstance(images, OpenedImages) else OpenedImages.of(images)
    beside = _ledgers_in(Path(manifest_path).resolve().parent)
    own = [own_ledger()] if own_ledger().is_file() else []
    # An opening stands in both kinds of ledger with the same words; it counts once.
    entries = dict(entry for ledger in (*beside, *own) for entry in _read(ledger))
    numbers = {entry.number for entry in entries.values()}
    elsewhere = [opening for opening in known if not opening.number or opening.number not in numbers]
    found = [entry for entry in (*entries.values(), *elsewhere) if wanted.overlaps(entry.images)]
    return sorted(found, key=lambda opening: opening.time)


def _ledgers_in(folder: Path) -> list[Path]:
    """Return the ledgers of a folder; `Path.glob` would find none in one that must not be listed."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        problem = f"cannot be listed: {error.strerror}. Earlier openings of its test images would not count."
        raise ManifestError(str(folder), problem, "Allow reading that folder.") from error


def openings_without(
    manifest_path: Path | str, images: OpenedImages, claim: str, known: Iterable[KnownOpening] = ()
) -> int:
    """Return how many earlier openings share images with these and did not state a claim: it may be an afterthought.

    Args:
        manifest_path: The manifest; all ledgers beside it and the user's own count.
        images: The images.
        claim: What is to be shown.
        known: Openings in the bundle's evidence.

    Raises:
        ManifestError: A ledger has an unreadable line.
    """
    return sum(opening.claim != claim for opening in find_openings(manifest_path, images, known))


def record_opening(
    manifest_path: Path | str,
    images: OpenedImages | Iterable[str],
    by: str,
    command: str,
    *,
    known: Iterable[KnownOpening] = (),
    number: str = "",
    claim: str = "",
    reference: str = "",
) -> list[KnownOpening]:
    """Append an opening and return the earlier ones that share images with it, oldest first.

    Args:
        manifest_path: The manifest; its ledger lies beside it.
        images: The opened images, or the SHA-256 of their files.
        by: Identity of the bundle that is measured.
        command: The command line, for a later reader.
        known: Openings in the bundle's evidence.
        number: The opening's random number, for the evidence to name.
        claim: What is to be shown on these images, with its margin; stated before the first one is measured.
        reference: Identity of the bundle that is measured beside it in the same opening.
    """
    opened = images if isinstance(images, OpenedImages) else OpenedImages.of(images)
    earlier = find_openings(manifest_path, opened, known)
    entry: dict[str, object] = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": by,
        "command": command,
        "earlier_openings": len(earlier),
        "images": sorted(opened.files),
    }
    if number:
        entry["opening"] = number
    if claim:
        entry["claim"] = claim
    if reference:
        entry["reference"] = reference
    if opened.pixels:
        entry |= {"pixels": sorted(opened.pixels), "fingerprints": sorted(opened.fingerprints)}
    line = (json.dumps(entry) + "\n").encode()
    try:
        _append(ledger_path(manifest_path), line)
    except OSError as error:
        raise ManifestError(
            str(ledger_path(manifest_path)),
            f"cannot be written: {error.strerror}. Each opening of test images is written there.",
            "Make room there, or allow writing; or copy the manifest into a folder of your own, with its ledgers.",
        ) from error
    own_ledger().parent.mkdir(parents=True, exist_ok=True)
    _append(own_ledger(), line)
    return earlier


def _append(path: Path, line: bytes) -> None:
    # One write to a file that is open for appending: two processes cannot cut each other's line.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        written = os.write(handle, line)
        if written < len(line):  # the disk is full: a part of a line would be a damaged ledger
            end = os.lseek(handle, 0, os.SEEK_CUR)
            if os.fstat(handle).st_size == end:
                os.ftruncate(handle, end - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(handle)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(handle)


def _read(path: Path) -> Iterable[tuple[str, KnownOpening]]:
    """Yield each opening's line and what it says."""
    for number, line in enumerate(_whole(path).splitlines(), start=1):
        try:
            entry = json.loads(line)
            images = OpenedImages.of(entry["images"], entry.get("pixels", ()), entry.get("fingerprints", ()))
            said = {key: str(entry.get(key, "")) for key in ("claim", "time", "by", "command")}
            opening = KnownOpening(str(entry.get("opening", "")), images, **said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestError(
                f"{path}, line {number}",
                f"is not an opening: {error}.",
                "The ledger is only ever appended to: restore the line from a backup, or write down why it is lost.",
            ) from error
        yield line, opening


def _whole(path: Path) -> str:
    """Return a ledger's text once its last line is complete: another process's write becomes visible page by page."""
    until = time.monotonic() + _WRITING
    while True:
        text = path.read_text(encoding="utf-8")
        if not text or text.endswith("\n") or time.monotonic() > until:
            return text
        time.sleep(0.01)
