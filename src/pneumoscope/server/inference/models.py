"""Which models a server has: the built-in one and the bundles of a folder, each checked against its own hashes.

The folder is looked at again whenever the list is asked for, so that a bundle that is put there appears without a
restart; one that was checked is not hashed again until a file of it changes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.bundle import evidence
from pneumoscope.bundle.card import Card, read_card
from pneumoscope.bundle.runtime import BUILTIN, bundle_folder
from pneumoscope.core.errors import BundleError
from pneumoscope.server.api.schemas.common import Audit
from pneumoscope.server.errors import NotFoundError

_LOG = logging.getLogger(__name__)
SHORT = 12
"""Digits of an identity that name a model."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that can be asked."""

    identity: str
    folder: Path
    card: Card
    builtin: bool

    @property
    def id(self) -> str:
        """The name under which it is asked: the first digits of its identity."""
        return self.identity[:SHORT]


Stamp = tuple[tuple[int, int], ...]


class Catalogue:
    """The models of a folder and the built-in one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._checked: dict[Path, tuple[Stamp, Entry | None]] = {}
        self._lock = threading.Lock()

    def entries(self) -> dict[str, Entry]:
        """Return the models that are what they say, by identity; the built-in one first."""
        with self._lock:
            found = [entry for folder, own in self._folders() if (entry := self._entry(folder, own)) is not None]
        entries: dict[str, Entry] = {}
        for entry in found:
            entries.setdefault(entry.identity, entry)
        return entries

    def get(self, name: str) -> Entry:
        """Return the model that ``name`` means: ``builtin``, an identity or its first 12 digits.

        Raises:
            NotFoundError: There is none.
        """
        for identity, entry in self.entries().items():
            if name in (identity, entry.id) or (name == BUILTIN and entry.builtin):
                return entry
        raise NotFoundError("model", "is not on this server.", "GET /api/models lists those that are.")

    def _folders(self) -> list[tuple[Path, bool]]:
        folders: list[tuple[Path, bool]] = []
        with suppress(BundleError):  # an installation without one
            folders.append((bundle_folder(BUILTIN), True))
        if self._folder is not None and self._folder.is_dir():
            folders += [(card.parent, False) for card in sorted(self._folder.rglob("card.json"))]
        return folders

    def _entry(self, folder: Path, builtin: bool) -> Entry | None:
        try:
            stamp = tuple(
                (status.st_mtime_ns, status.st_size)
                for status in (path.stat() for path in (folder / "card.json", folder / "model.onnx"))
            )
        except OSError:
            return None
        known = self._checked.get(folder)
        if known is None or known[0] != stamp:
            try:
                card, identity = read_card(folder)
                known = stamp, Entry(identity, folder, card, builtin)
            except BundleError as error:
                _LOG.warning("left out: %s %s", error.thing, error.problem)  # of the operator's folder, not a patient's
                known = stamp, None
            self._checked[folder] = known
        return known[1]


def files_of(entry: Entry) -> Mapping[str, Path]:
    """Return the files of a bundle that may be fetched, by name: what is listed here, and nothing beside it."""
    named = [entry.folder / name for name in ("card.json", "CARD.md", "recipe.yaml", "model.onnx")]
    figures = sorted(
        path
        for path in (entry.folder / "figures").glob("*")
        if path.suffix in (".png", ".svg") and not path.is_symlink()
    )
    return {path.relative_to(entry.folder).as_posix(): path for path in [*named, *figures] if path.is_file()}


def facts_of(entry: Entry) -> list[evidence.Fact]:
    """Return what became known of a model after it was made (audits, acceptances, openings), oldest first."""
    return [fact for _, fact in evidence.read(entry.folder, entry.identity)]


def audit_of(entry: Entry) -> Audit:
    """Return the verdict of a model's newest audit; one without a plain verdict is none.

    Altered evidence could have been a failure, so it is no "not audited"; and it must not hide the other models.
    """
    try:
        return audit_in(facts_of(entry))
    except BundleError as error:
        _LOG.warning("%s %s", error.thing, error.problem)
        return "unreadable"


def audit_in(facts: Iterable[evidence.Fact]) -> Audit:
    """Return the verdict of the newest audit among facts: those of kind ``audit`` say ``time`` and ``passed``."""
    said = [fact.model_extra or {} for fact in facts if fact.kind == "audit"]
    verdicts = [(str(each.get("time", "")), each["passed"]) for each in said if isinstance(each.get("passed"), bool)]
    if not verdicts:
        return "not audited"
    newest = max(time for time, _ in verdicts)
    # Two in one second: a failure counts.
    return "passed" if all(passed for time, passed in verdicts if time == newest) else "failed"
