"""The journal of an unfinished import: what was read of each file, in shards of the cache folder.

A shard holds some hundred files: a table of what is known of them, and their thumbnails beside it. It appears whole or
not at all. An import that is interrupted, killed or refused goes on from its shards. A file's entry holds while its
path, its size, its time of change and its declared depth are the same; any other file is read. An import that ends well
deletes its shards.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pneumoscope import __version__
from pneumoscope.core.files import atomic_path, cache_folder, lock_file
from pneumoscope.data.fingerprint import SIDE
from pneumoscope.data.scan_worker import FACTS, FileToRead, ScannedFile

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow
    from numpy.typing import NDArray

    from pneumoscope.data.thumbnails import Thumbnails

VERSION = 2
"""Of the shards: raise it when decoding, hashes or thumbnails change."""

FOLDER = "imports"
"""In the cache folder."""

MOST_FILES = 512
"""Of a shard."""

_SECONDS = 20.0  # after which a shard is written even if it is smaller
_ABANDONED = 30 * 24 * 3600.0  # seconds after which shards are deleted that no import went on with
_NONE = -1  # no depth is declared, or there is no such file

_IDENTITY = ("path", "depth", "size", "changed")


class ScanShards:
    """The shards in one folder.

    Args:
        folder: Of this import alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: list[tuple[Any, ...]] = []
        self._small: list[NDArray[np.uint16]] = []
        self._written = time.monotonic()

    def add(self, file: FileToRead, result: ScannedFile, small: NDArray[np.uint16]) -> None:
        """Keep what was read of a file, with its thumbnail [64, 64]; on disk once a shard is full, or after 20 s."""
        depth = _NONE if file.depth is None else file.depth
        self._rows.append((_text(file.path), depth, *result.stamp, *result[:5], *result.facts))
        self._small.append(small)
        if len(self._rows) >= MOST_FILES or time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the entries that are not on disk yet.

        Raises:
            OSError: The disk is full or read-only.
        """
        self._written = time.monotonic()
        if not self._rows:
            return
        import pyarrow
        import pyarrow.parquet

        schema = _schema()
        columns = zip(*self._rows, strict=True)
        table = pyarrow.table(dict(zip(schema.names, map(list, columns), strict=True)), schema)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        with atomic_path(self.folder / f"{name}.npy") as temporary:
            np.save(temporary, np.stack(self._small))
        # The table comes last: a shard counts once it is there.
        with atomic_path(self.folder / f"{name}.parquet") as temporary:
            pyarrow.parquet.write_table(table, temporary)
        self._rows, self._small = [], []

    def collect(
        self, files: Sequence[FileToRead], stamps: Sequence[tuple[int, int] | None]
    ) -> tuple[pd.DataFrame, list[Path]]:
        """Return what was read of each file.

        Args:
            files: The files.
            stamps: [N] size and time of change of each; None where there is no such file.

        Returns:
            [N] rows, null where a file has no entry that holds, with columns as in `ScannedFile`, the facts by name;
            ``shard`` (-1: no entry) and ``row`` of its thumbnail; and the files of the thumbnails by ``shard``.
        """
        import pandas as pd
        import pyarrow

        shards = self._read()
        names = [path.with_suffix(".npy") for path, _ in shards]
        joined = pyarrow.concat_tables([_schema().empty_table(), *(table for _, table in shards)]).to_pandas()
        sizes = np.array([len(table) for _, table in shards], dtype=np.int64)
        joined["shard"] = np.repeat(np.arange(len(sizes)), sizes)
        joined["row"] = np.arange(len(joined)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        joined = joined.drop_duplicates(list(_IDENTITY), keep="last")
        present = [(_NONE, _NONE) if stamp is None else stamp for stamp in stamps]
        wanted = pd.DataFrame(
            {
                "path": pd.array([_text(file.path) for file in files], dtype=joined["path"].dtype),
                "depth": np.array([_NONE if file.depth is None else file.depth for file in files], dtype=np.int64),
                "size": np.array([size for size, _ in present], dtype=np.int64),
                "changed": np.array([changed for _, changed in present], dtype=np.int64),
            }
        )
        found = wanted.merge(joined, how="left", on=list(_IDENTITY)).drop(columns=list(_IDENTITY))
        return found.assign(shard=found["shard"].fillna(_NONE).astype(np.int64)), names

    def _read(self) -> list[tuple[Path, pyarrow.Table]]:
        """Return the whole shards, oldest first; a damaged one is left out, and its files are read again."""
        import pyarrow
        import pyarrow.parquet

        shards = []
        for path in sorted(self.folder.glob("[!.]*.parquet")):
            try:
                table = pyarrow.parquet.read_table(path, schema=_schema())
                shape = np.load(path.with_suffix(".npy"), mmap_mode="r").shape
            except (pyarrow.ArrowException, OSError, ValueError):
                continue
            if shape == (len(table), SIDE, SIDE):
                shards.append((path, table))
        return shards


def _text(path: str) -> str:
    """Return a path as text: on Linux a name may be any bytes, which Python shows as lone surrogates."""
    return path.encode(errors="backslashreplace").decode()


def _schema() -> pyarrow.Schema:
    import pyarrow

    text, number = pyarrow.string(), pyarrow.int64()
    fields: dict[str, pyarrow.DataType] = {
        "path": text, "depth": number, "size": number, "changed": number,
        "width": number, "height": number, "bits": number, "sha256": text, "phash": text,
        "view": text, "sex": text, "age": pyarrow.float64(), "manufacturer": text,
        "largest_value": pyarrow.float64(), "exif": text,
    }  # fmt: skip
    assert tuple(fields)[-len(FACTS) :] == FACTS
    return pyarrow.schema(list(fields.items()))


def copy_thumbnails(
    names: Sequence[Path], shard: NDArray[np.int64], row: NDArray[np.int64], into: Thumbnails, start: int = 0
) -> None:
    """Copy thumbnails of shards to places ``start``, ``start`` + 1, ... of a set.

    Args:
        names: Files of the thumbnails, as `ScanShards.collect` returns them.
        shard: [n] which of these.
        row: [n] which row there.
        into: The set.
        start: The first place.
    """
    order = np.argsort(shard, kind="stable")
    bounds = np.searchsorted(shard[order], np.arange(len(names) + 1))
    for number, name in enumerate(names):
        places = order[bounds[number] : bounds[number + 1]]
        if len(places):
            into.put(places + start, np.load(name)[row[places]])


@contextmanager
def resumable_shards(*purpose: str) -> Iterator[ScanShards]:
    """Yield the shards of an import, with those that an interrupted one left; without an error they are deleted.

    A second import of the same purpose at the same time has shards of its own, which are deleted in any case. So has
    one whose cache folder cannot be written.

    Args:
        purpose: What tells this import from others: its kind, and the folders it reads.
    """
    key = hashlib.sha256("\n".join((str(VERSION), __version__, *purpose)).encode(errors="surrogateescape")).hexdigest()
    folder = cache_folder() / FOLDER / key[:32]
    with ExitStack() as stack:
        locked = False
        with suppress(OSError):
            _delete_abandoned(folder.parent)
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / ".lock").open("w"))
            os.utime(lock.fileno())
            locked = lock_file(lock)
        yield ScanShards(folder) if locked else stack.enter_context(temporary_shards())
        if locked:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_shards() -> Iterator[ScanShards]:
    """Yield shards that are deleted at the end in any case."""
    with tempfile.TemporaryDirectory(prefix="pneumoscope-import-") as name:
        yield ScanShards(Path(name))


def _delete_abandoned(folder: Path) -> None:
    for path in folder.glob("*/.lock"):
        if time.time() - path.stat().st_mtime > _ABANDONED:
            shutil.rmtree(path.parent, ignore_errors=True)
