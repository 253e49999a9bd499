"""The ledger of exports: a study that is erased here is erased in the folders to which it was exported, too.

A study that is erased is marked in the ledger in the same transaction, then removed from each folder, and only then
removed from the ledger. A folder that is not there (moved, unmounted, on another machine) keeps its mark and is named;
every erasure, every start and `pneumoscope reads exports` try again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.files import write_json
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Export, ExportedStudy, Study

SOURCE = "reads"
"""Source of the images in an export's manifest."""
ABOUT = "export.json"
"""File in an export's folder that says what is in it."""
IMAGES = "images"
"""Folder of an export's images."""
_MANIFEST_KEY = b"pneumoscope"
"""Key in the metadata of every manifest's file."""


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One export in the ledger."""

    id: str
    folder: Path
    made: float
    """Seconds since 1970."""
    studies: int
    """Studies that the folder holds."""
    waiting: int
    """Studies that were erased on the server and are still in the folder."""


@dataclass(frozen=True, slots=True)
class ClearedExports:
    """Which exports lost their copies of erased studies, and which could not be reached; by number."""

    reached: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()


def register(store: Store, export: str, folder: Path, studies: Sequence[str]) -> set[str]:
    """Enter an export into the ledger before its folder appears; return its studies that were erased during the export.

    Where there are any, nothing is entered, since the folder may not hold them.
    """
    with store.write() as session:
        store.lock_exclusive(session)
        erased = set(studies) - set(session.scalars(select(Study.id)))
        if not erased:
            session.add(Export(id=export, folder=str(folder.absolute()), made=now()))
            session.flush()
            session.add_all(ExportedStudy(export=export, study=study) for study in studies)
    return erased


def withdraw(store: Store, export: str) -> None:
    """Remove an export from the ledger whose folder did not appear, or is gone.

    Raises:
        UsageError: The ledger has no such export.
    """
    with store.write() as session:
        row = session.get(Export, export)
        if row is None:
            raise UsageError(
                f"the export {export}", "is not in the ledger.", "`pneumoscope.server.list_site_exports` lists them."
            )
        session.delete(row)


def mark_erased(session: Session, studies: Sequence[str]) -> None:
    """Mark studies as erased, in the same transaction that erases them."""
    session.execute(update(ExportedStudy).where(ExportedStudy.study.in_(studies)).values(erased=True))


def clear(store: Store) -> ClearedExports:
    """Remove erased studies from the exports; what can't be reached stays marked."""
    with store.read() as session:  # nearly always there is nothing to do, and no lock is needed
        if session.scalar(select(ExportedStudy.study).where(ExportedStudy.erased).limit(1)) is None:
            return ClearedExports()
    reached, unreached = [], []
    with store.write() as session:
        store.lock_exclusive(
            session
        )  # two that rewrite one folder at once would each bring back what the other removed
        waiting: dict[str, set[str]] = {}
        for export, study in session.execute(
            select(ExportedStudy.export, ExportedStudy.study).where(ExportedStudy.erased)
        ):
            waiting.setdefault(export, set()).add(study)
        for row in session.scalars(select(Export).where(Export.id.in_(waiting)).order_by(Export.made)):
            try:
                remove_from_folder(Path(row.folder), row.id, waiting[row.id])
            except (OSError, ValueError, KeyError, TypeError, ManifestError):
                unreached.append(row.id)
                continue
            reached.append(row.id)
            session.execute(delete(ExportedStudy).where(ExportedStudy.export == row.id, ExportedStudy.erased))
    return ClearedExports(tuple(reached), tuple(unreached))


def remove_from_folder(folder: Path, export: str, studies: set[str]) -> None:
    """Remove studies from an export's folder: files, rows of every manifest, and their numbers in `ABOUT`.

    Args:
        folder: The export's folder.
        export: The export's number, which the folder must carry.
        studies: Numbers of the studies.

    Raises:
        OSError, ValueError, KeyError, TypeError, ManifestError: It is not there, not this export, or can't be written.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    if about["export"] != export:
        raise ValueError("another export lies there")
    for path in sorted(folder.glob("*.parquet")):
        _remove_rows(path, studies)
    present = studies & set(about["studies"])
    names = [Path(image).name for study in sorted(present) for image in about["studies"][study]]
    for name in names:
        (folder / IMAGES / name).unlink(missing_ok=True)
    about["erased"] += len(present)
    about["label_conflicts"] = [
        conflict for conflict in about["label_conflicts"] if not any(name in conflict for name in names)
    ]
    about["studies"] = {study: images for study, images in about["studies"].items() if study not in studies}
    about["left_out"] = [row for row in about["left_out"] if row["study"] not in studies]
    write_json(folder / ABOUT, about)  # last: what is listed there can still be found and removed


def list_exports(session: Session) -> list[ExportRecord]:
    """Return all exports of the ledger, the oldest first."""
    counts = select(ExportedStudy.export, ExportedStudy.erased, func.count())
    states: dict[str, dict[bool, int]] = {}
    for export, erased, count in session.execute(counts.group_by(ExportedStudy.export, ExportedStudy.erased)):
        states.setdefault(export, {})[bool(erased)] = count
    return [
        ExportRecord(
            row.id,
            Path(row.folder),
            row.made,
            states.get(row.id, {}).get(False, 0),
            states.get(row.id, {}).get(True, 0),
        )
        for row in session.scalars(select(Export).order_by(Export.made, Export.id))
    ]


def _remove_rows(path: Path, studies: set[str]) -> None:
    """Remove the rows of studies from a manifest; delete one that would be empty. Other tables stay as they are."""
    import pyarrow.parquet

    from pneumoscope.data.manifest import read_manifest, write_manifest

    if _MANIFEST_KEY not in (pyarrow.parquet.read_schema(path).metadata or {}):
        return
    manifest = read_manifest(path)
    keep = ~((manifest.table["source"] == SOURCE) & manifest.table["study_id"].isin(studies)).to_numpy()
    if not keep.any():
        path.unlink()
    elif not keep.all():
        write_manifest(manifest.where(keep), path)
