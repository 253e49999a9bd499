"""Run all checks on one manifest; reports are cached, so that a second training does not wait for them again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pneumoscope import __version__
from pneumoscope.core.files import cache_folder, write_text
from pneumoscope.data.checks.catalogue import CHECKS
from pneumoscope.data.checks.context import CheckContext, build_context, file_identities, silent
from pneumoscope.data.checks.findings import CheckReport, Clear, Finding
from pneumoscope.data.manifest import Manifest

if TYPE_CHECKING:
    from pneumoscope.data.image_scan import Progress


def check(
    manifest: Manifest,
    classes: Mapping[str, str] | None = None,
    *,
    progress: Progress = silent,
    cache: Path | None = None,
) -> CheckReport:
    """Run all checks; the report of the same rows, parts, classes and files comes from the cache.

    Args:
        manifest: Any manifest; without parts, nothing can leak between them, and the report says so.
        classes: Label -> class, where a recipe joins labels.
        progress: Shows how far it is.
        cache: Folder; the user's by default.

    Raises:
        ManifestError: The folder of a source is not there.
    """
    started = time.perf_counter()
    folder = cache or cache_folder() / "checks"
    cached_report = folder / f"{_key(manifest, classes)}.json"
    # One that is not there, of another version, cut off, or that must not be read: the checks run again.
    with suppress(OSError, ValidationError):
        return CheckReport.model_validate_json(cached_report.read_bytes())
    report = run_checks(build_context(manifest, classes, progress=progress, cache=folder), started)
    with suppress(OSError):  # a full or read-only disk only costs time: the report is at hand
        write_text(cached_report, report.model_dump_json())
    return report


def run_checks(
    context: CheckContext, started: float | None = None, names: Collection[str] = tuple(CHECKS)
) -> CheckReport:
    """Run checks on measured files.

    Args:
        context: The manifest with the facts of its files.
        started: When the measurement began (``time.perf_counter``); None: now.
        names: The checks to run; all by default.
    """
    start = time.perf_counter() if started is None else started
    outcomes = [check_entry.run(context) for name, check_entry in CHECKS.items() if name in names]
    table = context.table
    return CheckReport(
        checked=datetime.now(UTC).isoformat(timespec="seconds"),
        software=f"pneumoscope {__version__}",
        images=len(context),
        groups=int(table.group.nunique()),
        group_kind=context.manifest.group_kind,
        sources={str(name): int(count) for name, count in table.source.value_counts().items()},
        labels={str(name): int(count) for name, count in table.label.value_counts().items()},
        data_hash=context.manifest.rows_hash(),
        split_hash=context.manifest.split_hash() if context.manifest.parts_present else "",
        findings=tuple(outcome for outcome in outcomes if isinstance(outcome, Finding)),
        clear=tuple(outcome for outcome in outcomes if isinstance(outcome, Clear)),
        seconds=round(time.perf_counter() - start, 2),
    )


def _key(manifest: Manifest, classes: Mapping[str, str] | None) -> str:
    """Return the name of a cached report: a hash of the table, the files, the classes and the checks' own source."""
    text = manifest.table.to_csv(index=False)
    connected_components = " ".join(f"{label}={name}" for label, name in sorted((classes or {}).items()))
    checks = [file.read_text("utf-8") for file in sorted(Path(__file__).parent.glob("*.py"))]
    lines = (__version__, *checks, connected_components, " ".join(file_identities(manifest)), text)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
