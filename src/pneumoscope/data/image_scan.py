"""Read every image of an import once: its size, its identity, and the fingerprint that recognises it again.

All cores read. What was read goes to shards on the disk at once (`scan_shards`), so that the memory holds little more
than the names, and an import can go on where it was stopped. The result does not depend on that, nor on the number of
processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.core.engine import Engine, default_workers
from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.core.registry import several
from pneumoscope.data.scan_shards import ScanShards, copy_thumbnails, temporary_shards
from pneumoscope.data.scan_worker import FileToRead, ScannedChunk, ScanWorker, scan_chunk, stamp_of
from pneumoscope.data.thumbnails import Thumbnails

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pneumoscope.data.manifest import Manifest

Progress = Callable[[str, int], Callable[[int], None]]
"""Opens a progress bar (what is done, how many in all) and returns the function that sets it."""

_CHUNK = 16  # files that a process reads at once
_FEW = 400  # files from which processes are started; below, threads are done before a process has its imports
_WAITING = 3  # chunks for each process that are under way or waiting to be kept


def silent(what: str, total: int) -> Callable[[int], None]:
    """Show no progress."""
    return lambda _: None


@dataclass(frozen=True, eq=False)
class Scan:
    """What was read of some files.

    Args:
        table: [N] rows with ``width``, ``height``, ``bits``, ``sha256``, ``phash`` and what the files themselves state
            (``view``, ``sex``, ``age``, ``largest_value``, ``exif``); null where a file could not be read.
        errors: Place -> why that file could not be read.
        shards: Files of the thumbnails.
    """

    table: pd.DataFrame
    errors: dict[int, ImageError]
    shards: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.table)

    def copy_thumbnails(self, into: Thumbnails, rows: NDArray[np.intp] | None = None, start: int = 0) -> None:
        """Copy the thumbnails of the readable files at ``rows`` [n] (None: all) to places of a set, from ``start``."""
        chosen = self.table[["shard", "row"]] if rows is None else self.table[["shard", "row"]].iloc[rows]
        shard, row = (chosen[name].to_numpy(dtype=np.int64) for name in ("shard", "row"))
        copy_thumbnails(self.shards, shard, row, into, start)

    def thumbnails(self, rows: NDArray[np.intp] | None = None) -> Thumbnails:
        """Return the thumbnails of the readable files at ``rows`` [n]; None: all."""
        small = Thumbnails(len(self) if rows is None else len(rows))
        self.copy_thumbnails(small, rows)
        return small


def scan_files(
    paths: Sequence[Path],
    tick: Callable[[int], None] = lambda _: None,
    depths: int | Sequence[int | None] | None = None,
    *,
    shards: ScanShards,
    workers: int | None = None,
    engine: Engine | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Scan:
    """Read many images; those that the shards hold already are not read again.

    Args:
        paths: The files.
        tick: Called with the number of files that are done.
        depths: Bits in use in 16-bit files, see `imaging.read.read`: one for all files, or one for each.
        shards: Where the results go, and where those of an interrupted scan are.
        workers: Processes that read; 0: threads of this one; None: a process for each core, threads for few files.
        engine: Reads in place of processes and threads here.
        say: Receives a sentence where an interrupted scan goes on.

    Raises:
        MissingExtraError: One is DICOM, and the extra ``dicom`` is not installed.
        OSError: The shards cannot be written.
    """
    each = depths if isinstance(depths, Sequence) else [depths] * len(paths)
    files = [FileToRead(str(path), depth) for path, depth in zip(paths, each, strict=True)]
    stamps = [stamp_of(file.path) for file in files]
    found, _ = shards.collect(files, stamps)
    missing = np.flatnonzero(found["shard"] < 0).tolist()
    resumed = len(files) - len(missing)
    del found
    if resumed:
        say(f"Going on where an earlier run stopped: it had read {resumed:,} of {len(files):,} images.")
        tick(resumed)
    errors: dict[int, ImageError] = {}
    if missing:
        chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
        done = resumed
        try:
            for places, chunk in _read(chunks, files, workers, engine):
                for place, result, small in zip(places, chunk.results, chunk.small, strict=True):
                    if isinstance(result, ImageError):
                        errors[place] = result
                    else:
                        stamps[place] = result.stamp
                        shards.add(files[place], result, small)
                done += len(places)
                tick(done)
        finally:
            shards.flush()  # Ctrl-C: the next import goes on from here
    table, names = shards.collect(files, stamps)
    lost = [place for place in np.flatnonzero(table["shard"] < 0).tolist() if place not in errors]
    if lost:
        raise OSError(f"{len(lost)} entries of {shards.folder} are gone. Another program seems to empty that folder.")
    return Scan(table, errors, tuple(names))


def _read(
    chunks: Sequence[list[int]], files: Sequence[FileToRead], workers: int | None, engine: Engine | None
) -> Iterator[tuple[list[int], ScannedChunk]]:
    """Yield the places of each chunk and what was read, in order; only some chunks are under way at any time."""
    if engine is not None:
        groups = ([files[place] for place in places] for places in chunks)
        with closing(engine.map(scan_chunk, groups)) as results:
            yield from zip(chunks, results, strict=True)
        return
    cores = default_workers()
    if workers is None:
        workers = cores if len(chunks) * _CHUNK >= _FEW and cores > 1 else 0
    with ExitStack() as stack:
        idle: SimpleQueue[Callable[[Sequence[FileToRead]], ScannedChunk]] = SimpleQueue()
        for _ in range(workers):
            idle.put(stack.enter_context(ScanWorker()).scan)
        for _ in range(0 if workers else cores):
            idle.put(scan_chunk)

        def read(places: list[int]) -> ScannedChunk:
            scan = idle.get()
            try:
                return scan([files[place] for place in places])
            finally:
                idle.put(scan)

        threads = workers or cores
        pool = ThreadPoolExecutor(threads)
        waiting: deque[tuple[list[int], Future[ScannedChunk]]] = deque()
        try:
            for places in chunks:
                waiting.append((places, pool.submit(read, places)))
                if len(waiting) >= _WAITING * threads:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def imported_thumbnails(
    manifests: Sequence[Manifest], progress: Progress = silent, shards: ScanShards | None = None
) -> Thumbnails:
    """Read the images of manifests again and return their thumbnails, in the order of the manifests and rows.

    Args:
        manifests: Any.
        progress: Shows how far it is.
        shards: Where the results go, and where those of an interrupted run are; None: nothing is kept.

    Raises:
        ManifestError: An image is absent or has another SHA-256 than at import.
    """
    if shards is None:
        with temporary_shards() as own:
            return imported_thumbnails(manifests, progress, own)
    small, start = Thumbnails(sum(map(len, manifests))), 0
    for manifest in manifests:
        sources = ", ".join(sorted(set(manifest.table.source)))
        paths = manifest.paths()
        scan = scan_files(paths, progress(f"reading {sources}", len(paths)), manifest.depths(), shards=shards)
        altered = np.flatnonzero((scan.table["sha256"] != manifest.table["sha256"]).to_numpy())
        if len(altered):
            problems = [
                f"{paths[row].name} "
                f"({scan.errors[row].problem if row in scan.errors else 'another SHA-256 than at import'})"
                for row in altered.tolist()
            ]
            raise ManifestError(
                f"{len(problems)} images of {sources}",
                f"are not as they were imported: {several(problems)}.",
                "Import the source again.",
            )
        scan.copy_thumbnails(small, start=start)
        start += len(manifest)
    return small
