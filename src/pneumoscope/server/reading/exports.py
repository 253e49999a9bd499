"""Exports: the images of a site as a manifest to retrain from, with labels in which no model had a part.

The label of a study is that of its reference standard, else that of final unaided reads, written before any answer was
shown. A read that saw a model's answer is never a label: a model trained on its own echo learns nothing and looks
better. Where references or unaided readers contradict each other there is no label. Studies that are left out are
counted by reason, and listed.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pneumoscope import __version__
from pneumoscope.bundle.prediction import join_findings, split_decision
from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.core.files import write_json
from pneumoscope.core.labels import SEVERAL, VIEWS, LabelSet
from pneumoscope.server.reading.agreement import find_newest
from pneumoscope.server.reading.figures import STANDARDS, ReferenceRow
from pneumoscope.server.security.audit_log import record_command
from pneumoscope.server.storage import blobs, export_ledger
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image, Read, Reference, Study

if TYPE_CHECKING:
    from pneumoscope.data.manifest import Manifest

MANIFEST = "manifest.parquet"
LICENSE = "the site's own: not to be passed on"

NOTHING = "neither a reference standard nor a final read"
NO_CONCLUSION = "no reference standard, and no conclusion in a final unaided read"
AIDED = "no reference standard, and no final read but aided ones"
READERS = "unaided readers disagree"
REFERENCES = "reference results contradict each other"


@dataclass(frozen=True, slots=True)
class StudyLabel:
    """The label of a study, and where it comes from."""

    label: str
    """A label, or several findings joined by "; ", in the order of the alphabet."""
    provenance: str


@dataclass(frozen=True, slots=True)
class FinalReads:
    """The final reads of a study."""

    unaided: Sequence[str | None] = ()
    """Conclusions written before any answer was shown, one a reader."""
    aided: int = 0
    """Number of final reads whose authors could see answers."""


@dataclass(frozen=True, slots=True)
class ReadExport:
    """An export of reads."""

    export: str
    folder: Path
    images: int
    studies: int
    labels: Mapping[str, int]
    """Label -> number of studies."""
    provenance: Mapping[str, int]
    """Provenance of labels -> number of studies."""
    left_out: Mapping[str, int]
    """Reason -> number of studies."""
    label_conflicts: tuple[str, ...] = field(default=())


def choose_label(reads: FinalReads, references: Mapping[str, ReferenceRow]) -> StudyLabel | str:
    """Return the label of a study, or why it has none.

    Args:
        reads: Its final reads.
        references: Standard -> its newest result.
    """
    reference_labels = {_sort_findings(row.label) for row in references.values()}
    if len(reference_labels) > 1:
        return REFERENCES
    if reference_labels:
        standards = [standard for standard in STANDARDS if standard in references]
        return StudyLabel(reference_labels.pop(), f"reference: {' + '.join(standards)}")
    conclusions = [_sort_findings(label) for label in reads.unaided if label is not None]
    if len(set(conclusions)) > 1:
        return READERS
    if conclusions:
        return StudyLabel(
            conclusions[0], f"reader: unaided read, {len(conclusions)} reader{'s' * (len(conclusions) > 1)}"
        )
    if reads.unaided:
        return NO_CONCLUSION
    return AIDED if reads.aided else NOTHING


def _sort_findings(conclusion: str) -> str:
    """Return a conclusion as it is compared with others: the order in which findings were named says nothing."""
    return join_findings(sorted(split_decision(conclusion)))


def export_reads(store: Store, folder: Path) -> ReadExport:
    """Write images, manifest and account into a new folder, completely or not at all.

    Args:
        store: The server's store.
        folder: The new folder; it may exist if it is empty.

    Raises:
        UsageError: The folder holds something.
        RunError: No study has a label, a stored file is missing or altered, or a study was erased during the export.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(str(folder), "is not empty.", "Name a new folder: an export never replaces another.")
    number = new_id()
    record_command(store, "reads export", number)
    with store.read() as session:
        labels = decide_labels(session)
        labelled = {study: label for study, label in labels.items() if isinstance(label, StudyLabel)}
        images = _select_images(session, labelled)
    if not images:
        raise RunError(
            "the export", f"would be empty: none of {len(labels)} studies has a label.", "Enter reads or references."
        )
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        manifest, conflicts = _write_images(store, temporary, images, labelled)
        account = _make_account(number, images, labels, conflicts)
        write_json(temporary / export_ledger.ABOUT, account)
        # Entered before it appears: a crash in between leaves an entry without a folder, never the reverse.
        if erased := export_ledger.register(store, number, folder, sorted(labels)):
            problem = f"holds {len(erased)} studies that were erased during the export."
            raise RunError("the export", problem, "Export again.")
        try:
            if folder.exists():
                folder.rmdir()
            temporary.replace(folder)
        except OSError:
            export_ledger.withdraw(store, number)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    export_ledger.clear(store)  # what was erased between the entry and now
    return ReadExport(
        export=number,
        folder=folder,
        images=len(manifest),
        studies=len(account["studies"]),
        labels=account["when_made"]["labels"],
        provenance=account["when_made"]["label_provenance"],
        left_out=account["when_made"]["left_out"],
        label_conflicts=tuple(conflicts),
    )


def decide_labels(session: Session) -> dict[str, StudyLabel | str]:
    """Return study -> its label, or why it has none, of all studies."""
    references = find_newest(
        ReferenceRow(row.study, row.standard, row.label, row.at)
        for row in session.scalars(select(Reference).order_by(Reference.at, Reference.id))
    )
    unaided: dict[str, list[str | None]] = {}
    aided: Counter[str] = Counter()
    for row in session.scalars(select(Read).where(Read.state == "final").order_by(Read.at, Read.version)):
        if row.stage == "unaided" and not row.displayed:
            unaided.setdefault(row.study, []).append(row.content.get("conclusion"))
        else:
            aided[row.study] += 1
    studies = session.scalars(select(Study.id).where(Study.prior.is_(False)).order_by(Study.received, Study.id)).all()
    return {
        study: choose_label(FinalReads(unaided.get(study, ()), aided[study]), references.get(study, {}))
        for study in studies
    }


def _select_images(session: Session, labelled: Mapping[str, StudyLabel]) -> list[tuple[Image, str | None]]:
    """Return the images of labelled studies with their patients' pseudonyms."""
    rows = session.execute(
        select(Image, Study.patient).join(Study, Study.id == Image.study).order_by(Image.received, Image.id)
    )
    return [(image, patient) for image, patient in rows if image.study in labelled]


def _write_images(
    store: Store, folder: Path, images: Sequence[tuple[Image, str | None]], labels: Mapping[str, StudyLabel]
) -> tuple[Manifest, list[str]]:
    """Copy the pixels and write the manifest; return it, with pictures that stand under two labels, in words."""
    import pandas as pd

    from pneumoscope.data.conflicts import find_conflicts
    from pneumoscope.data.image_scan import scan_files, silent
    from pneumoscope.data.importing import build_manifest
    from pneumoscope.data.manifest import write_manifest
    from pneumoscope.data.scan_shards import temporary_shards

    (folder / export_ledger.IMAGES).mkdir(parents=True)
    folder.chmod(0o700)
    paths = [folder / export_ledger.IMAGES / f"{image.id}.png" for image, _ in images]
    for (image, _), path in zip(images, paths, strict=True):
        _copy(store, image, path)
    vocabulary = LabelSet.builtin().covering(name for label in labels.values() for name in split_decision(label.label))
    with temporary_shards() as shards:
        scan = scan_files(paths, shards=shards, workers=0)  # threads: the server's cores have other work
        for (image, _), sha256 in zip(images, scan.table["sha256"], strict=True):
            if sha256 != image.sha256:
                raise RunError(f"the image {image.id}", "was altered on the disk.", "Restore it from a backup.")
        small = scan.thumbnails()
    rows = []
    for (image, patient), path in zip(images, paths, strict=True):
        label = labels[image.study]
        named = (vocabulary.find(name) or name for name in split_decision(label.label))
        label = replace(label, label=join_findings(named))
        rows.append(_make_row(image, patient, label, path.relative_to(folder).as_posix()))
    measured = scan.table[["width", "height", "bits", "sha256", "phash"]]
    table = pd.concat([pd.DataFrame(rows), measured], axis="columns")
    together: list[str | None] = [image.study for image, _ in images]
    manifest, pairs = build_manifest(table, small, {export_ledger.SOURCE: folder}, together, silent, vocabulary)
    notes = (f"reads export: {len(rows)} images; labels by reference standard, else by unaided final reads",)
    manifest = replace(manifest, notes=notes)
    write_manifest(manifest, folder / MANIFEST)
    return manifest, list(find_conflicts(manifest, pairs).sentences)


def _copy(store: Store, image: Image, path: Path) -> None:
    try:
        shutil.copyfile(blobs.path_of(store.settings.files, image.id), path)
    except FileNotFoundError as error:
        raise RunError(
            f"the image {image.id}", "has no file: it was erased in between, or lost.", "Export again, or restore it."
        ) from error


def _make_row(image: Image, patient: str | None, label: StudyLabel, path: str) -> dict[str, Any]:
    """Return what a manifest says of an image beyond its pixels."""
    from pneumoscope.data.findings import write_findings

    facts = image.facts
    several = split_decision(label.label)
    return {
        "image": path,
        "source": export_ledger.SOURCE,
        # Nobody said of the other findings that they are absent.
        "label": label.label if len(several) == 1 else SEVERAL,
        "findings": None if len(several) == 1 else write_findings(dict.fromkeys(several, True)),
        "raw_label": label.label,
        "patient_id": patient,
        "study_id": image.study,
        "view": facts.get("view") if facts.get("view") in VIEWS else None,
        "sex": facts.get("sex") if facts.get("sex") in ("M", "F") else None,
        "age": facts.get("age"),
        "license": LICENSE,
        "label_provenance": label.provenance,
    }


def _make_account(
    number: str,
    images: Sequence[tuple[Image, str | None]],
    labels: Mapping[str, StudyLabel | str],
    conflicts: list[str],
) -> dict[str, Any]:
    """Return what is written beside the manifest."""
    studies: dict[str, list[str]] = {}
    for image, _ in images:
        studies.setdefault(image.study, []).append(f"{export_ledger.IMAGES}/{image.id}.png")
    left_out = [{"study": study, "reason": why} for study, why in labels.items() if isinstance(why, str)]
    return {
        "export": number,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"pneumoscope {__version__}",
        "rule": "labels: the reference standard; else final unaided reads, written before any answer was shown; a read "
        "that saw a model's answer is never a label",
        "when_made": {
            "labels": _count(label.label for label in labels.values() if isinstance(label, StudyLabel)),
            "label_provenance": _count(label.provenance for label in labels.values() if isinstance(label, StudyLabel)),
            "left_out": _count(row["reason"] for row in left_out),
        },
        "label_conflicts": conflicts,
        "erased": 0,
        "studies": studies,
        "left_out": left_out,
    }


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
