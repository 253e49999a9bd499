"""Find the image that a table names: by path or by name, in any Unicode form, with either slash."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.imaging.files import IMAGE_ENDINGS


class ImageIndex:
    """The files of a folder, by relative path and, for tables that only give names, by name.

    Args:
        folder: The folder of the images.
        files: Every file under it.
        table: The table that names them: a path may also be relative to its folder.
    """

    def __init__(self, folder: Path, files: Iterable[Path], table: Path | None = None) -> None:
        self.folder, self.files = folder, tuple(files)
        self.other_case = 0
        """Files that were found only without regard to case."""
        self._exact: dict[str, list[Path]] = {}
        self._folded: dict[str, list[Path]] = {}
        self._trimmed: dict[str, list[Path]] = {}
        self._stems: dict[str, Path] = {}
        for path in self.files:
            name = path.relative_to(folder).as_posix()
            for key in {name, path.name}:
                self._exact.setdefault(_normal(key), []).append(path)
                self._folded.setdefault(_normal(key).casefold(), []).append(path)
                if key != key.strip():
                    self._trimmed.setdefault(_normal(key.strip()), []).append(path)
            stem = _normal(path.stem)
            known = self._stems.setdefault(stem, path)
            if path.suffix.lower() in IMAGE_ENDINGS and known.suffix.lower() not in IMAGE_ENDINGS:
                self._stems[stem] = path  # not the text or the tags beside it
        self._bases = tuple(dict.fromkeys(_normal(base.as_posix()) for base in (folder.absolute(), folder.resolve())))
        self._table_folder = None if table is None else _normal(table.resolve().parent.as_posix())

    def find(self, name: str, where: str) -> Path | None:
        """Return the one file that a table means, None if there is none.

        Args:
            name: As the table has it.
            where: The file and row, for a message.

        Raises:
            ManifestError: Several files have the name.
        """
        cleaned = _clean(name)
        keys = [cleaned, *self._below(cleaned)]
        if self._table_folder is not None and not is_foreign(cleaned):
            keys += self._below(posixpath.normpath(f"{self._table_folder}/{cleaned}"))
        for key in keys:
            if files := self._exact.get(key):
                return _only(files, name, where)
        for key in keys:
            if files := self._folded.get(key.casefold()):
                self.other_case += 1
                return _only(files, name, where)
        for key in keys:  # a blank before or after the name of a file, which no cell keeps
            if files := self._trimmed.get(key):
                return _only(files, name, where)
        return None

    def with_ending(self, name: str) -> str | None:
        """Return the name of a file that has ``name`` and an ending, None if there is none."""
        path = self._stems.get(_normal(name.strip()))
        return None if path is None else path.name

    def with_tail(self, name: str) -> str | None:
        """Return the one file whose path ends as ``name`` does, by as many folders as there are; None without one."""
        parts = _clean(name).split("/")
        for start in range(len(parts)):
            files = set(self._exact.get("/".join(parts[start:]), ()))
            if len(files) == 1:
                return files.pop().relative_to(self.folder).as_posix()
        return None

    def _below(self, path: str) -> list[str]:
        """Return an absolute path relative to the folder, as a list that is empty where it lies elsewhere."""
        return [path[len(base) + 1 :] for base in self._bases if path.casefold().startswith(f"{base}/".casefold())]


def _normal(name: str) -> str:
    """Return a name in one Unicode form: macOS keeps accents apart from their letters, most tables don't."""
    return unicodedata.normalize("NFC", name)


def _clean(name: str) -> str:
    """Return a path with forward slashes and without needless parts; ``file:///a%20b`` becomes ``/a b``."""
    name = _normal(name.strip()).replace("\\", "/")
    if name.casefold().startswith("file:"):
        name = _normal(unquote(name[5:])).removeprefix("//localhost").replace("///", "/", 1)
        name = name[1:] if name[2:3] == ":" else name  # file:///C:/a
    # A UNC path keeps its two slashes (POSIX leaves their meaning open).
    return posixpath.normpath(name)


def is_foreign(name: str) -> bool:
    """Return whether a name is an absolute path on any system, or the ``file:`` address of one."""
    name = name.strip().replace("\\", "/")
    drive = len(name) > 2 and name[0].isalpha() and name[1:3] == ":/"
    return name.startswith(("/", "~/")) or drive or name.casefold().startswith("file:")


def is_address(name: str) -> bool:
    """Return whether a name is an address in the web."""
    return name.strip().casefold().startswith(("http://", "https://", "ftp://", "s3://", "gs://"))


def _only(files: list[Path], name: str, where: str) -> Path:
    if len(files) > 1:
        raise ManifestError(
            where,
            f"{quote(name)} names {len(files)} files, among them {files[0]} and {files[1]}.",
            "Give the relative path.",
        )
    return files[0]
