"""What the package keeps outside the folders that a user names: caches that may go, and records that must stay.

Caches only save time: decoded training images, feature maps of a running training, what an unfinished import has read,
reports of the data checks. They lie in the cache folder (``PNEUMOSCOPE_CACHE`` moves it). Records lie in the data
folder (``PNEUMOSCOPE_HOME`` moves it): evidence about bundles that must not be written, the ledger of test images, and
a server's data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.core.arguments import as_tuple, check_arguments
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import cache_folder, data_folder
from pneumoscope.core.registry import suggestion


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One kind of stored files.

    Args:
        name: What `clear_cache` takes.
        contents: What the files hold.
        folder: Where they lie.
        files: Their number.
        bytes: Their size together.
        clearable: Whether they may be deleted without a loss but of time.
    """

    name: str
    contents: str
    folder: Path
    files: int
    bytes: int
    clearable: bool


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    contents: str
    folder: Path
    patterns: tuple[str, ...]
    clearable: bool = True

    def files(self) -> Iterator[Path]:
        for pattern in self.patterns:
            yield from (path for path in self.folder.glob(pattern) if path.is_file())


def _kinds() -> tuple[_Kind, ...]:
    cache, data = cache_folder(), data_folder()
    return (
        _Kind("images", "decoded training images", cache, ("*.npy", ".*.tmp.npy")),
        _Kind("features", "feature maps of trainings that run or were killed", cache / "features", ("*.maps",)),
        _Kind("imports", "what unfinished imports and merges have read", cache / "imports", ("*/*",)),
        _Kind("checks", "measurements and reports of the data checks", cache / "checks", ("*.npz", "*.json")),
        _Kind("evidence", "evidence about bundles that must not be written", data / "evidence", ("**/*",), False),
        _Kind("ledger", "openings of test images", data, ("*.jsonl",), False),
        _Kind("server", "a server's studies and accounts", data / "serve", ("**/*",), False),
    )


def list_cache() -> list[CacheEntry]:
    """List what the package keeps outside the folders that a user names, with sizes.

    Returns:
        One entry for each kind of files: caches first, then records, which `clear_cache` never deletes.

    Example:
        >>> {entry.name: entry.bytes for entry in ps.list_cache()}
    """
    entries = []
    for kind in _kinds():
        sizes = [path.stat().st_size for path in kind.files()]
        entries.append(CacheEntry(kind.name, kind.contents, kind.folder, len(sizes), sum(sizes), kind.clearable))
    return entries


@check_arguments
def clear_cache(names: Sequence[str] = ()) -> int:
    """Delete caches; the next training or data check takes longer, and nothing else changes.

    Don't clear "images" while a training runs, nor "imports" while an import or a merge does: they read them.

    Args:
        names: "images", "features", "imports" or "checks"; empty clears all.

    Returns:
        The number of bytes that were freed.

    Raises:
        UsageError: A name is unknown, or names records, which are never deleted here.

    Example:
        >>> ps.clear_cache(["checks"])
    """
    caches = {kind.name: kind for kind in _kinds()}
    freed = 0
    for name in check_cache_names(as_tuple(names)):
        for path in caches[name].files():
            freed += path.stat().st_size
            path.unlink()
    return freed


def check_cache_names(names: Sequence[str]) -> list[str]:
    """Return the names of caches that may be cleared; all of them where none is named.

    Raises:
        UsageError: A name is unknown, or names records, which are never deleted here.
    """
    caches = [kind.name for kind in _kinds() if kind.clearable]
    for name in names:
        if name not in caches:
            raise UsageError(
                name, f"is no cache.{suggestion(name, caches)}", f"Caches that can be cleared: {', '.join(caches)}."
            )
    return list(names) or caches
