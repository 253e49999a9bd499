"""A source: one row for each image that it keeps, and a reason for each file or row that it drops.

A source knows one layout and nothing else: it lists files and translates labels by an explicit table. Reading, hashing
and grouping are the same for all sources and happen in ``data/importing.py``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pneumoscope.core.arguments import argument
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.labels import VIEWS, LabelSet
from pneumoscope.core.registry import several, suggestion
from pneumoscope.data.polygons import Outlines
from pneumoscope.imaging.files import is_broken_link
from pneumoscope.imaging.remote import address_of
from pneumoscope.stats.design import Design


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of a source about one image; names and vocabularies are those of the manifest."""

    image: str
    label: str
    raw_label: str
    patient_id: str | None = None
    study_id: str | None = None
    view: str | None = None
    sex: str | None = None
    age: float | None = None
    manufacturer: str | None = None
    lung_mask: str | None = None
    ignore_mask: str | None = None
    heart_mask: str | None = None
    lung_definition: str | None = None
    boxes: str | None = None
    findings: str | None = None
    license: str | None = None
    label_provenance: str | None = None


@dataclass(frozen=True, slots=True)
class DroppedFile:
    """A file or a row of the source's table that is left out, and why."""

    file: str
    reason: str


@dataclass
class Listing:
    """The content of a source.

    Args:
        root: Folder of the images.
        rows: Of the images that it keeps.
        dropped: The files and rows that it leaves out.
        notes: Remarks for the manifest's notes.
        outlines: Image -> outlines that masks are drawn from.
        mask_parts: Image -> masks of its single lungs, which are joined to one.
        labels: The vocabulary.
    """

    root: Path
    rows: list[Row] = field(default_factory=list)
    dropped: list[DroppedFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outlines: dict[str, Outlines] = field(default_factory=dict)
    mask_parts: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    labels: LabelSet = field(default_factory=LabelSet.builtin)

    def drop(self, file: str, reason: str) -> None:
        """Record a file or row that is left out."""
        self.dropped.append(DroppedFile(file, reason))


@dataclass(frozen=True)
class ImportOptions:
    """The user's options of an import. Each source names those that it accepts (``Source.options``).

    Args:
        source_name: Name in the manifest's ``source`` column; the source's own if None.
        mapping: Verbatim term -> label.
        vocabulary: The labels that terms can mean.
        keep_terms: Make a term that means no label a label of its own, in its own words.
        images: Folder of the images, where it is not the table's own.
        columns: Manifest column -> the table's column that holds it.
        license: Licence of the images.
        provenance: How the labels were made.
        drop_unmapped: List rows whose term no table maps as dropped, instead of refusing.
        drop_missing: List rows whose image is absent as dropped, instead of refusing.
        labels: Keep only these labels of the vocabulary; empty keeps all.
        views: Keep only these views; empty keeps what the source keeps by itself.
        findings: Keep only these verbatim terms; empty keeps all that have a label.
        modalities: Keep only these modalities; empty keeps what the source keeps by itself.
        min_side: Least shorter side of an image, in pixels.
        masks: Folder that masks drawn from outlines, or joined from single lungs, are written to.
        table: CSV file with the labels, where the images lie in a tree of their own.
        body_parts: Names of the chest beside those that the source knows.
        key: Secret that makes patient numbers unguessable; the same key gives the same numbers.
        encoding: Encoding of the table; None finds it.
        depth: Bits in use in 16-bit PNG and TIFF files, see `imaging.read.read`.
        lenient_columns: Columns (``age``, ``sex``, ``view``) whose bad values count as unknown, without an error.
        design: Of the study, case-control or cohort; None where nobody states it.
        uncertain: What findings that a source calls uncertain count as, one of `UNCERTAIN`; None: unknown.
        readers: How the findings of several readers of one image become one, one of `READER_RULES`; None: majority.
    """

    source_name: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    vocabulary: LabelSet = field(default_factory=LabelSet.builtin)
    keep_terms: bool = False
    images: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    license: str | None = None
    provenance: str | None = None
    drop_unmapped: bool = False
    drop_missing: bool = False
    labels: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    min_side: int = 0
    masks: Path | None = None
    table: Path | None = None
    body_parts: tuple[str, ...] = ()
    key: bytes = b""
    encoding: str | None = None
    depth: int | None = None
    lenient_columns: frozenset[str] = frozenset()
    design: Design | None = None
    uncertain: str | None = None
    readers: str | None = None


UNCERTAIN = ("ignore", "zeros", "ones")
"""What an uncertain finding counts as: unknown, absent or present. Irvin 2019 calls them U-Ignore, -Zeros and -Ones."""

READER_RULES = ("majority", "any", "unanimous")
"""When a finding counts as present where several read an image, see `reader_votes.combine_readings`."""

_SOME_SOURCES = (
    "mapping", "images", "columns", "drop_unmapped", "drop_missing", "findings", "modalities", "masks", "table",
    "body_parts", "key", "encoding", "keep_terms", "uncertain", "readers",
)  # fmt: skip
"""Fields that not every source accepts."""


@dataclass(frozen=True)
class Source:
    """A layout that can be imported.

    Args:
        name: As the user calls it.
        summary: One line for the help.
        scan: Lists a folder (or table).
        options: Names of the ``ImportOptions`` fields that it accepts.
    """

    name: str
    summary: str
    scan: Callable[[Path, ImportOptions], Listing]
    options: frozenset[str] = frozenset()

    def list_images(self, path: Path, options: ImportOptions) -> Listing:
        """List the images under ``path``.

        Raises:
            UsageError: The path is absent, or the source does not accept an option.
            ManifestError: The path has no usable image.
            LabelError: A name has no label.
        """
        for place in (path, options.images, options.table, options.masks):
            if place is not None and (address := address_of(place)):
                raise UsageError(
                    address,
                    "is an address; an import takes folders and files of this machine.",
                    "Copy the data set to a folder and import that. What reads the manifest takes its images from the "
                    f"address then: {argument('roots', {options.source_name or self.name: address})}.",
                )
        if not path.exists():
            raise UsageError(str(path), "there is no such folder or file.", "Name the folder of the data set.")
        for name in _SOME_SOURCES:
            if getattr(options, name) and name not in self.options:
                raise UsageError(f"`{name}`", f"means nothing to the source {self.name!r}.")
        if options.vocabulary.own and "mapping" not in self.options:
            raise UsageError("`vocabulary`", f"means nothing to the source {self.name!r}, whose labels are fixed.")
        for name, choices in (("uncertain", UNCERTAIN), ("readers", READER_RULES)):
            value = getattr(options, name)
            if value is not None and value not in choices:
                raise UsageError(
                    argument(name, value),
                    f"is unknown.{suggestion(value, choices)}",
                    f"Say one of {', '.join(choices)}.",
                )
        for view in options.views:
            if view not in VIEWS:
                raise UsageError(
                    argument("views", view), f"is unknown.{suggestion(view, VIEWS)}", f"Views: {', '.join(VIEWS)}."
                )
        listing = self.scan(path, options)
        for label in options.labels:
            listing.labels.check(label, argument("labels", label))
        listing = _select(listing, options)
        if not listing.rows:
            reasons = Counter(dropped.reason for dropped in listing.dropped).most_common(3)
            why = "".join(f"; {count:,}: {reason}" for reason, count in reasons)
            raise ManifestError(
                str(path),
                f"no image of the layout {self.name!r} was found ({len(listing.dropped):,} files or rows did not fit"
                f"{why}).",
                "Name the folder that the layout starts in: see docs/guides/data.md.",
            )
        _check_names(listing)
        return listing


def _select(listing: Listing, options: ImportOptions) -> Listing:
    """Drop the rows whose label or view is not among the requested ones."""
    rows, listing.rows = listing.rows, []
    for row in rows:
        if options.labels and row.label not in options.labels:
            listing.drop(row.image, f"label {row.label}, not among those asked for")
        elif options.views and row.view not in options.views:
            listing.drop(row.image, f"view {row.view or 'unknown'}, not among those asked for")
        else:
            listing.rows.append(row)
    return listing


def _check_names(listing: Listing) -> None:
    """Refuse names that a manifest cannot hold, before any image is read."""
    from pneumoscope.data.columns import is_inside_root

    bad = [row.image for row in listing.rows if not is_inside_root(row.image) or not _is_unicode(row.image)]
    if bad:
        raise ManifestError(
            str(listing.root),
            f"{format_count(len(bad), 'name')} of files cannot be in a manifest: {several(bad)}.",
            "Rename them: without a backslash, a colon after the first letter, or letters that are not UTF-8.",
        )


def _is_unicode(name: str) -> bool:
    """Return whether a name is text: Linux lets a name be any bytes, which Python shows as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def files_under(folder: Path, listing: Listing | None = None) -> Iterator[Path]:
    """Yield every file and every broken link under ``folder``, in the order of their names on every machine.

    Hidden folders and links to folders are not entered.

    Args:
        folder: The folder.
        listing: Records the folders that are not entered, and what cannot be looked at, as dropped.

    Raises:
        ManifestError: The folder cannot be listed; without a listing, neither can one inside it.
    """

    def refuse(name: Path, error: OSError) -> None:
        if listing is None or name == folder:
            raise ManifestError(str(name), f"cannot be listed: {error.strerror}.", "Allow reading it.") from error
        listing.drop(relative_name(name, folder), f"cannot be looked at: {error.strerror}")

    def pass_over(name: Path, reason: str) -> None:
        if listing is not None:
            listing.drop(relative_name(name, folder), reason)

    files: list[Path] = []
    for place, inner, names in os.walk(folder, onerror=lambda error: refuse(Path(error.filename), error)):
        entered = []
        for name in sorted(inner):
            path = Path(place, name)
            if name.startswith("."):
                pass_over(path, "hidden folder")
            elif path.is_symlink():
                pass_over(path, "a symbolic link to a folder, which is not followed")
            else:
                entered.append(name)
        inner[:] = entered
        for name in names:
            path = Path(place, name)
            try:
                if path.is_file() or is_broken_link(path):
                    files.append(path)
            except OSError as error:
                refuse(path, error)
    yield from sorted(files)


def relative_name(path: Path, root: Path) -> str:
    """Return ``path`` relative to ``root``, with forward slashes."""
    return path.relative_to(root).as_posix()
