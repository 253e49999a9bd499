"""The models that a server has: the built-in one and the bundles of a folder, each checked against its own hashes.

The folder is read again whenever the list is asked for, so that a new bundle appears without a restart. A bundle that
was checked is not hashed again until one of its files changes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pneumoscope.bundle import evidence
from pneumoscope.bundle.card import Card, read_card
from pneumoscope.bundle.graph_check import check_links
from pneumoscope.bundle.prediction import split_decision
from pneumoscope.bundle.runtime import BUILTIN, SHIPPED, bundle_folder
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import BundleError, LabelError, UsageError
from pneumoscope.core.labels import LabelSet
from pneumoscope.core.registry import suggestion
from pneumoscope.server.errors import NotFoundError

_LOG = logging.getLogger(__name__)
SHORT = 12
"""Digits of an identity that name a model."""

AuditStatus = Literal["not audited", "passed", "caution", "not identifiable", "failed", "unreadable"]
"""The verdict of a model's newest audit; ``unreadable``: its evidence was altered."""

_STATUS: Mapping[str, AuditStatus] = {
    "pass": "passed",
    "caution": "caution",
    "not identifiable": "not identifiable",
    "fail": "failed",
}
"""Verdict of an audit -> the word of this interface, the worst last."""

_Stamp = tuple[tuple[int, int, int], ...]
"""Times of writing and of change (which nobody can set) and size of each file that a check depends on."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One model of this server."""

    identity: str
    """Hash of model and card."""
    folder: Path
    card: Card
    builtin: bool

    @property
    def id(self) -> str:
        """The model's short name: the first digits of its identity."""
        return self.identity[:SHORT]


class Catalogue:
    """The built-in models and the models of a folder."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise UsageError(argument("models", folder), "is not a folder.", "Name the folder of the bundles.")
        self._folder = folder
        self._checked: dict[Path, tuple[_Stamp, InstalledModel | None]] = {}
        self._lock = threading.Lock()

    def list_models(self) -> dict[str, InstalledModel]:
        """Return the models that match their own hashes, by identity; the built-in ones first."""
        models: dict[str, InstalledModel] = {}
        with self._lock:
            for folder, builtin in self._list_folders():
                if (model := self._check(folder, builtin)) is not None:
                    models.setdefault(model.identity, model)
        return models

    def check_label(self, label: str, where: str) -> None:
        """Check that a read or a reference may name a label: a built-in one, or a class of any model.

        Args:
            label: As it is sent.
            where: What an error calls the place that names it.

        Raises:
            LabelError: There is no such label.
        """
        # Classes are taken as the cards have them: no bundle, however it names them, may stand in the way of a read.
        classes = (name for model in self.list_models().values() for name in model.card.label_names)
        known = dict.fromkeys((*LabelSet.builtin(), *classes))
        if label not in known:
            raise LabelError(
                where,
                f"the label {label!r} is neither in the vocabulary nor a class of a model.{suggestion(label, known)}",
                f"Labels: {', '.join(known)}.",
            )

    def check_conclusion(self, conclusion: str, where: str) -> None:
        """Check that a read or a reference may conclude so: a label, or several findings joined by "; ".

        Args:
            conclusion: As it is sent.
            where: What an error calls the place that names it.

        Raises:
            LabelError: A label is unknown, is named twice, or excludes the others.
        """
        labels = split_decision(conclusion)
        for label in labels:
            self.check_label(label, where)
        if len(set(labels)) < len(labels):
            raise LabelError(where, f"the conclusion {conclusion!r} names a label twice.", "Name each once.")
        none = LabelSet.builtin().none_label
        if len(labels) > 1 and none in labels:
            raise LabelError(where, f"the conclusion {conclusion!r} names findings and {none!r}.", "Send one of both.")

    def get(self, name: str) -> InstalledModel:
        """Return the model that ``name`` means: a name such as ``opacity``, an identity or its first 12 digits.

        Raises:
            NotFoundError: No model of this server has that name.
        """
        for identity, model in self.list_models().items():
            if name in (identity, model.id) or (model.builtin and name in (BUILTIN, model.folder.name)):
                return model
        raise NotFoundError("model", "is not on this server.", "GET /api/models lists those that are.")

    def describe_models(self) -> str:
        """Return the names by which `get` finds the models, in a row: what an error about another name tells."""
        return ", ".join(model.folder.name if model.builtin else model.id for model in self.list_models().values())

    def _list_folders(self) -> list[tuple[Path, bool]]:
        """Return the folders of bundles, and for each whether it is a built-in one."""
        folders: list[tuple[Path, bool]] = []
        for name in SHIPPED:
            with suppress(BundleError):  # an installation without built-in models
                folders.append((bundle_folder(name), True))
        if self._folder is not None and self._folder.is_dir():
            folders += [(card.parent, False) for card in sorted(self._folder.rglob("card.json"))]
        return folders

    def _check(self, folder: Path, builtin: bool) -> InstalledModel | None:
        """Return the model of a folder; None where it is not what its hashes say."""
        try:
            stamp = tuple(
                (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
                for status in (path.stat() for path in (folder / "card.json", folder / "model.onnx"))
            )
        except OSError:
            return None
        entry = self._checked.get(folder)
        if entry is None or entry[0] != stamp:
            try:
                card, identity = read_card(folder)
                entry = stamp, InstalledModel(identity, folder, card, builtin)
            except BundleError as error:
                # The text names the operator's folder, not a patient's.
                _LOG.warning("left out: %s %s", error.thing, error.problem)
                entry = stamp, None
            self._checked[folder] = entry
        return entry[1]


def list_files(model: InstalledModel) -> Mapping[str, Path]:
    """Return the files of a bundle that may be fetched, by name; no other file of its folder can be."""
    try:
        check_links(model.folder)  # again: a link may have been made after the bundle was checked
    except BundleError as error:
        _LOG.warning("left out: %s %s", error.thing, error.problem)
        return {}
    named = [model.folder / name for name in ("card.json", "CARD.md", "recipe.yaml", "model.onnx")]
    figures = sorted(path for path in (model.folder / "figures").glob("*") if path.suffix in (".png", ".svg"))
    return {path.relative_to(model.folder).as_posix(): path for path in [*named, *figures] if path.is_file()}


def read_evidence(model: InstalledModel) -> list[evidence.Fact]:
    """Return what became known of a model after its export (audits, acceptances, openings), oldest first.

    Raises:
        BundleError: The evidence was altered.
    """
    return [fact for _, fact in evidence.read(model.folder, model.identity)]


def read_audit_status(model: InstalledModel) -> AuditStatus:
    """Return the verdict of a model's newest audit; an audit without a plain verdict does not count.

    Altered evidence may have been a failure, so it is not "not audited". It must not hide the other models either.
    """
    try:
        return find_audit_status(read_evidence(model))
    except BundleError as error:
        _LOG.warning("%s %s", error.thing, error.problem)
        return "unreadable"


def read_acceptance_verdict(model: InstalledModel) -> str | None:
    """Return the verdict of a model's newest acceptance at a site, go or no-go; None where it has none.

    Altered evidence has none that can be trusted; `read_audit_status` says that it was altered.
    """
    try:
        acceptance = evidence.latest_acceptance(model.folder, model.identity)
    except BundleError:
        return None
    return None if acceptance is None else acceptance.verdict


def find_audit_status(facts: Iterable[evidence.Fact]) -> AuditStatus:
    """Return the verdict of the newest audit among facts: those of kind ``audit`` hold ``time`` and ``passed``."""
    verdicts: list[tuple[str, AuditStatus]] = []
    for fact in facts:
        if isinstance(fact, evidence.AuditFact):
            verdicts.append((fact.time, _STATUS[fact.verdict]))
        elif fact.kind == "audit" and isinstance(passed := (fact.model_extra or {}).get("passed"), bool):
            verdicts.append((str((fact.model_extra or {}).get("time", "")), "passed" if passed else "failed"))
    if not verdicts:
        return "not audited"
    newest = max(time for time, _ in verdicts)
    # Where two audits have the same second, the worse one counts.
    return max((status for time, status in verdicts if time == newest), key=list(_STATUS.values()).index)
