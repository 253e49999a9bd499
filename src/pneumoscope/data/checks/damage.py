"""Unusable files: unreadable ones, files that changed since the import, and files without a picture."""

from __future__ import annotations

from pneumoscope.core.counts import format_count
from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Case, Clear, Finding

UNIFORM = 0.995
"""Share of pixels of one grey from which an image holds no picture. A radiograph in a wide black border has less."""


def find_unreadable(context: CheckContext) -> Finding | Clear:
    """Find files that are no readable radiograph."""
    errors = context.facts.error
    rows = [row for row, error in enumerate(errors) if error]
    if not rows:
        return Clear(name="unreadable", sentence=f"All {format_count(len(context), 'file')} are readable radiographs.")
    names = context.names
    return Finding(
        name="unreadable",
        severity="block",
        sentence=f"{len(rows):,} of {len(context):,} files cannot be read as a radiograph.",
        what_to_do="Repair or replace them, or import again with --drop-unreadable.",
        cases=tuple(Case(rows=(row,), images=(names[row],), says=errors.iloc[row]) for row in rows),
    )


def find_altered(context: CheckContext) -> Finding | Clear:
    """Find files whose bytes are not those that were imported."""
    now, then = context.facts.sha256.tolist(), context.table.sha256.tolist()
    rows = [row for row in range(len(context)) if now[row] and now[row] != then[row]]
    if not rows:
        return Clear(name="altered", sentence="Every file that was read is the one that was imported, by SHA-256.")
    names = context.names
    return Finding(
        name="altered",
        severity="block",
        sentence=f"{format_count(len(rows), 'file differs', 'files differ')} by SHA-256 from what was imported.",
        what_to_do="Restore them, or import the source again; its groups and parts rest on the old pictures.",
        cases=tuple(
            Case(rows=(row,), images=(names[row],), says=f"SHA-256 {now[row][:12]}, at import {then[row][:12]}")
            for row in rows
        ),
    )


def find_blank(context: CheckContext) -> Finding | Clear:
    """Find images that have one grey nearly everywhere."""
    share = context.facts.commonest.to_numpy()
    rows = [int(row) for row in (share >= UNIFORM).nonzero()[0]]
    if not rows:
        return Clear(name="constant", sentence="No image is blank: none has one grey nearly everywhere.")
    names = context.names
    return Finding(
        name="constant",
        severity="block",
        sentence=f"{format_count(len(rows), 'image is', 'images are')} blank: {UNIFORM:.1%} of the pixels or more have "
        "one grey.",
        what_to_do="Take them out: a damaged or empty export carries its label without a picture.",
        cases=tuple(
            Case(rows=(row,), images=(names[row],), says=f"{share[row]:.2%} of the pixels have one grey")
            for row in rows
        ),
    )
