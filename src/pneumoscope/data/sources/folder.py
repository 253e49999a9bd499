"""Any folder of class folders: ``DIR/NAME/**/image``, with a mapping ``{NAME: label}`` for each name.

A name that means a label of the vocabulary in any spelling or language that it knows needs no mapping. A part of a name
never decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import LabelError
from pneumoscope.core.label_rules import fold_term
from pneumoscope.core.registry import suggestion
from pneumoscope.data.label_terms import LabelTerms
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

_NO_CLASSES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "calibration", "images"})
"""Folder names that usual layouts put above or below the class folders."""


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in the class folders of ``folder``; the folder nearest to the file that has a label decides."""
    terms, listing = LabelTerms(options.mapping, options.vocabulary, keep=options.keep_terms), Listing(root=folder)
    unlabelled: list[tuple[str, tuple[str, ...]]] = []
    for path in files_under(folder, listing):
        name, reason = relative_name(path, folder), why_not_image(path)
        if reason is not None:
            listing.drop(name, reason)
            continue
        places = path.relative_to(folder).parts[:-1]
        term = next((place for place in reversed(places) if terms.find(place) is not None), None)
        label = None if term is None else terms.use(term)
        if term is None or label is None:
            unlabelled.append((name, places))
            continue
        listing.rows.append(_row(name, label, term, options))
    above = _common_folders([places for _, places in unlabelled])
    for name, places in unlabelled:
        place = _class_folder(places, above)
        label = terms.use(place)
        if label is not None:
            listing.rows.append(_row(name, label, place, options))
        elif options.drop_unmapped:
            listing.drop(name, f"folder {place!r} has no label")
    if unused := terms.unused:
        hint = suggestion(unused[0], terms.unknown)
        name = argument("mapping", {unused[0]: terms.mapping[unused[0]]})
        raise LabelError(name, f"there is no folder of that name with images.{hint}")
    if terms.unknown and not options.drop_unmapped:
        raise terms.refuse(str(folder), "images")
    listing.notes += terms.notes()
    listing.labels = terms.labels
    return listing


def _row(image: str, label: str, term: str, options: ImportOptions) -> Row:
    return Row(
        image=image,
        label=label,
        raw_label=term,
        license=options.license,
        label_provenance=options.provenance or f"class folder {term!r}",
    )


def _common_folders(folders: Sequence[tuple[str, ...]]) -> int:
    """Return how many outer folders all images without a label share, where there is something below them."""
    shared = 0
    while folders and all(len(places) > shared + 1 and places[shared] == folders[0][shared] for places in folders):
        shared += 1
    return shared


def _class_folder(places: tuple[str, ...], above: int) -> str:
    """Return the folder that most likely names an image's class; ``.`` where it lies in none."""
    inner = places[above:] or places
    return next((place for place in inner if fold_term(place) not in _NO_CLASSES), inner[0] if inner else ".")


SOURCE = Source(
    "folder",
    "class folders of your own, with --map NAME=label",
    scan,
    options=frozenset({"mapping", "drop_unmapped", "keep_terms"}),
)
