"""The input of the checks: the manifest, the facts of each file, and the pairs of near-duplicates.

Reading and comparing thousands of images takes most of a minute, and a training is often repeated on the same images.
The measurements are therefore cached, by the content and the times of the files. A file that changed since is measured
again.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pneumoscope.core.files import atomic_path, cache_folder
from pneumoscope.data.checks.file_facts import measure_all
from pneumoscope.data.grouping import plausible_pairs
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.similarity import SAME, Pair, find_mirrored, find_near_duplicates

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pneumoscope.data.image_scan import Progress

_KEPT = 64  # measurements and reports in the cache folder
VERSION = 4  # of the measurements: raise it when facts or similarity change


def silent(what: str, total: int) -> Callable[[int], None]:
    """Show no progress."""
    return lambda _: None


@dataclass(frozen=True)
class CheckContext:
    """The input of the checks, by row of the manifest.

    Args:
        manifest: The radiographs.
        labels: [N] the label, or the class that a recipe makes of it.
        facts: [N] rows with the columns of ``file_facts.FileFacts``.
        pairs: Near-duplicates, without those that patient numbers tell apart.
        mirrored: Pairs of which one picture is the other's mirror image.
        vectors: [N, D] what `pixel_facts` measures of each image; None: not measured.
        apart: Number of near-duplicates that patient numbers tell apart.
    """

    manifest: Manifest
    labels: tuple[str, ...]
    facts: pd.DataFrame
    pairs: tuple[Pair, ...]
    mirrored: tuple[Pair, ...] = ()
    vectors: NDArray[np.float32] | None = None
    apart: int = 0

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def table(self) -> pd.DataFrame:
        """The manifest's rows."""
        return self.manifest.table

    @cached_property
    def parts(self) -> list[str | None]:
        """[N] the part of each row; None where the row is in no part."""
        return [part if isinstance(part, str) else None for part in self.table["split"]]

    @cached_property
    def names(self) -> list[str]:
        """[N] ``source/image``."""
        return (self.table.source + "/" + self.table.image).tolist()

    @cached_property
    def exposures(self) -> tuple[Pair, ...]:
        """The pairs that show one exposure: the same file, or nearly the same picture."""
        return tuple(pair for pair in self.pairs if pair.similarity >= SAME)

    def split(self) -> bool:
        """Whether the rows are in two or more parts, so that something can leak from one to another."""
        return len(self.manifest.parts_present) > 1


def build_context(
    manifest: Manifest,
    classes: Mapping[str, str] | None = None,
    *,
    progress: Progress = silent,
    cache: Path | None = None,
) -> CheckContext:
    """Measure the files of a manifest, or take the measurements from the cache.

    Args:
        manifest: Any manifest.
        classes: Label -> class, where a recipe joins labels.
        progress: Shows how far it is.
        cache: Folder; the user's by default.

    Raises:
        ManifestError: The folder of a source is not there.
    """
    paths = manifest.paths()
    folder = cache or cache_folder() / "checks"
    files = file_identities(manifest)
    cached = _find(folder, files)
    if cached is None:
        facts, small, vectors = measure_all(paths, progress("reading images", len(paths)), manifest.depths())
        readable = np.flatnonzero(facts.error == "")
        pictures = small if len(readable) == len(small) else small.take(readable)
        alike = find_near_duplicates(pictures, progress("comparing images", len(readable)))
        mirrored = find_mirrored(pictures)
        measured = Measurements(facts, _at_rows(alike, readable), _at_rows(mirrored, readable), vectors)
        _save(folder, files, measured)
    else:
        measured = cached
    labels = manifest.table.label.tolist()
    mapped = tuple((classes or {}).get(label, label) for label in labels)
    pairs = tuple(plausible_pairs(manifest.table, measured.pairs))
    apart = len(measured.pairs) - len(pairs)
    return CheckContext(manifest, mapped, measured.facts, pairs, tuple(measured.mirrored), measured.vectors, apart)


class Measurements(NamedTuple):
    """What is measured of all files, and cached; see `CheckContext`."""

    facts: pd.DataFrame
    pairs: list[Pair]
    mirrored: list[Pair]
    vectors: NDArray[np.float32]


def _at_rows(pairs: Iterable[Pair], rows: NDArray[np.intp]) -> list[Pair]:
    """Return pairs of places among ``rows`` as pairs of rows."""
    return [Pair(int(rows[pair.first]), int(rows[pair.second]), float(pair.similarity)) for pair in pairs]


def file_identities(manifest: Manifest) -> list[str]:
    """Return [N] the present identity of each file: content at import, path, size and time of change."""
    identities = []
    for path, sha256, depth in zip(manifest.paths(), manifest.table.sha256, manifest.depths(), strict=True):
        try:
            about = path.stat()
            now = f"{about.st_size} {about.st_mtime_ns}"
        except OSError as error:
            now = type(error).__name__
        text = f"{VERSION} {sha256} {path} {now}" + (f" {depth}" if depth else "")
        identities.append(hashlib.sha256(text.encode()).hexdigest()[:24])
    return identities


def _save(folder: Path, files: list[str], measured: Measurements) -> None:
    """Cache the measurements; the oldest of more than ``_KEPT`` are deleted.

    A cache only saves time: a full or read-only disk does not end a check that has its result.
    """
    table = io.BytesIO()
    measured.facts.to_parquet(table)
    arrays: dict[str, Any] = {
        "vectors": measured.vectors,
        "files": np.array(files, dtype="S24"),
        "facts": np.frombuffer(table.getvalue(), dtype=np.uint8),
    }
    for kind in ("pairs", "mirrored"):
        pairs: list[Pair] = getattr(measured, kind)
        arrays[kind] = np.array([(p.first, p.second) for p in pairs], dtype=np.int64).reshape(-1, 2)
        arrays[f"{kind}_similarity"] = np.array([p.similarity for p in pairs], dtype=np.float64)
    name = hashlib.sha256(" ".join(files).encode()).hexdigest()[:32]
    with suppress(OSError), atomic_path(folder / f"{name}.npz") as temporary:
        np.savez_compressed(temporary, **arrays)
    with suppress(OSError):
        for suffix in (".npz", ".json"):
            for old in _newest(folder, suffix)[_KEPT:]:
                old.unlink(missing_ok=True)


def _newest(folder: Path, suffix: str) -> list[Path]:
    """Return the files of a cache that end so, newest first; none of a folder that must not be read."""
    try:
        return sorted(folder.glob(f"*{suffix}"), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:  # another user's
        return []


def _find(folder: Path, files: list[str]) -> Measurements | None:
    """Return the cached measurements of these files, alone or among others: a recipe may leave out a label."""
    for path in _newest(folder, ".npz"):
        measurements = _load(path, files)
        if measurements is not None:
            return measurements
    return None


def _load(path: Path, files: list[str]) -> Measurements | None:
    """Return the rows of ``files`` from a cached measurement; None if one is missing, or the cache is unreadable."""
    import pandas as pd

    try:
        with np.load(path, allow_pickle=False) as archive:
            place = {name.decode(): number for number, name in enumerate(archive["files"].tolist())}
            if not place.keys() >= set(files):
                return None
            facts = pd.read_parquet(io.BytesIO(archive["facts"].tobytes()))
            vectors = archive["vectors"]
            stored = {
                kind: (archive[kind].tolist(), archive[f"{kind}_similarity"].tolist()) for kind in ("pairs", "mirrored")
            }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    row = {place[name]: number for number, name in enumerate(files)}
    pairs = {
        kind: [
            Pair(min(row[first], row[second]), max(row[first], row[second]), value)
            for (first, second), value in zip(places, values, strict=True)
            if first in row and second in row
        ]
        for kind, (places, values) in stored.items()
    }
    order = [place[name] for name in files]
    return Measurements(facts.iloc[order].reset_index(drop=True), pairs["pairs"], pairs["mirrored"], vectors[order])
