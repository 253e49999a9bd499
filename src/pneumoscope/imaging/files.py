"""Which files are images: one table of endings and magic bytes, for `predict`, for imports and for the server.

A name says what is worth opening; the first bytes say what it is.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pneumoscope.core.errors import UsageError
from pneumoscope.imaging.remote import address_of, list_files

IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".dcm", ".dicom", ".dic"})
"""Endings of names that are worth opening. A file with another ending counts if its first bytes are DICOM's."""

BROKEN_LINK = "a symbolic link to a file that is not there"

MAGIC_BYTES = 132
"""Bytes from the start of a file that `format_of` needs."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Files to read.

    Attributes:
        files: Their paths, in a fixed order.
        passed_over: Kind of file or folder -> how many were passed over in folders.
    """

    files: list[str]
    passed_over: dict[str, int]


def format_of(start: bytes) -> str | None:
    """Return "png", "jpeg", "webp", "tiff" or "dicom" by a file's first `MAGIC_BYTES` bytes; None for others."""
    # DICOM comes first, since the 128 bytes before its magic are free and may imitate another format (PS3.10 7.1).
    if start[128:132] == b"DICM":
        return "dicom"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "webp"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tiff"
    return None


def is_broken_link(path: str | Path) -> bool:
    """Return whether a path is a symbolic link whose target is not there."""
    return Path(path).is_symlink() and not Path(path).exists()


def why_not_image(path: str | Path) -> str | None:
    """Return in a few words why a file is not worth opening as an image; None if it is."""
    path = Path(path)
    if path.name.startswith("."):
        return "hidden file"
    if is_broken_link(path):
        return BROKEN_LINK
    return None if _looks_like_image(path) else f"not an image by its name ({_ending_of(path)})"


def find_images(paths: Iterable[str | Path]) -> ImageFiles:
    """Return the files that ``paths`` name, with all images in the folders among them, in a fixed order.

    A file that is named is always returned, so that reading it can say what is wrong. In a folder, hidden files and
    folders, links to folders, broken links and files that are no images (`why_not_image`) are passed over and counted.

    Args:
        paths: Files and folders, or their addresses as texts (`imaging.remote`); at an address the ending alone says
            which files of a folder are images.

    Raises:
        UsageError: There is no file to read, or an address cannot be listed.
    """
    files: list[str] = []
    passed_over: Counter[str] = Counter()
    names = [os.fspath(path) for path in paths]
    for name in names:
        if (address := address_of(name)) is not None:
            files.extend(_images_at(address, passed_over))
        elif Path(name).is_dir():
            files.extend(_images_in(name, passed_over))
        else:
            files.append(name)
    if not files:
        others = f" Passed over: {describe_passed_over(passed_over)}." if passed_over else ""
        raise UsageError(
            ", ".join(names) or "no path",
            f"holds no radiograph: no file ends with {', '.join(sorted(IMAGE_ENDINGS))} or is DICOM by its magic."
            + others,
            "Name a folder with radiographs, or the files themselves.",
        )
    return ImageFiles(files, dict(passed_over))


def describe_passed_over(passed_over: dict[str, int]) -> str:
    """Return the counts in words: ``3 hidden, 2 .csv``."""
    ordered = sorted(passed_over.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {kind}" for kind, count in ordered)


def _images_in(folder: str, passed_over: Counter[str]) -> Iterator[str]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        yield folder  # reading it says why it cannot be listed
        return
    for entry in entries:
        if entry.name.startswith("."):
            passed_over["hidden"] += 1
        elif entry.is_dir():
            if entry.is_symlink():
                passed_over["linked folders"] += 1
            else:
                yield from _images_in(entry.path, passed_over)
        elif entry.is_symlink() and is_broken_link(entry.path):
            passed_over["broken symbolic links"] += 1
        elif entry.is_file() and _looks_like_image(Path(entry.path)):
            yield entry.path
        else:
            passed_over[Path(entry.name).suffix.lower() or "without an ending"] += 1


def _images_at(address: str, passed_over: Counter[str]) -> Iterator[str]:
    files = list_files(address)
    if files is None:
        yield address
        return
    for file in files:
        inner = file[len(address.rstrip("/")) :].split("/")
        if any(part.startswith(".") for part in inner):
            passed_over["hidden"] += 1
        elif (ending := PurePosixPath(file).suffix.lower()) in IMAGE_ENDINGS:
            yield file
        else:
            passed_over[ending or "without an ending"] += 1


def _looks_like_image(path: Path) -> bool:
    ending = path.suffix.lower()
    if ending in IMAGE_ENDINGS:
        return True
    # A DICOMDIR has DICOM's magic too and holds no image (PS3.10 8.6).
    if path.name.upper() == "DICOMDIR":
        return False
    try:
        with path.open("rb") as file:
            found = format_of(file.read(MAGIC_BYTES))
    except PermissionError:
        return True  # it may be DICOM under any name; reading it says why it cannot be read
    except OSError:
        return False
    return found is not None if not ending else found == "dicom"


def _ending_of(path: Path) -> str:
    return f"*{path.suffix}" if path.suffix else "no ending"
