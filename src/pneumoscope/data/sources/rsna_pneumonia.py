"""RSNA Pneumonia Detection Challenge: opacity that may be pneumonia, normal or another finding, with boxes.

Shih et al., Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert Annotations of Possible
Pneumonia, Radiology: Artificial Intelligence 2019. Layout: ``stage_2_train_labels.csv`` (``patientId``, ``x``, ``y``,
``width``, ``height``, ``Target``: one row a box, in pixels of the published 1024 x 1024),
``stage_2_detailed_class_info.csv`` (``patientId``, ``class``) and the images ``stage_2_train_images/PATIENTID.dcm``, or
PNG or JPEG of that name in any folders. All images are NIH ChestX-ray14's. ``patientId`` numbers images, not patients:
NIH's patients have several, so that it is no patient number here.
"""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.finding_rows import PixelBoxes
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import read_table
from pneumoscope.data.sources.nih import RSNA_CLASSES, RSNA_PROVENANCE
from pneumoscope.imaging.files import why_not_image

LICENSE = "RSNA Pneumonia Detection Challenge, terms of use; cite Wang 2017 and Shih 2019"
CLASSES, BOXES = "stage_2_detailed_class_info.csv", "stage_2_train_labels.csv"
_SIDE = 1024  # pixels of the published images, which the boxes count in
_CORNERS = ("x", "y", "width", "height")
_OPACITY = "Lung Opacity"


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images that have a class, each with its boxes.

    "No Lung Opacity / Not Normal" states no absent opacity: atelectasis, nodules and others are among these images.
    """
    for name in (CLASSES, BOXES):
        if not (folder / name).is_file():
            raise ManifestError(str(folder), f"has no {name}.", "Name the folder with both tables and the images.")
    classes, boxes = _read_classes(folder / CLASSES), _read_boxes(folder / BOXES)
    listing = Listing(root=folder)
    index = ImageIndex(folder, files_under(folder, listing))
    listed: set[Path | None] = set()
    for name, (term, where) in classes.items():
        file = index.with_ending(name)
        image = None if file is None else index.find(file, where)
        listed.add(image)
        if boxes.has_boxes(name) != (term == _OPACITY):
            has = "boxes" if boxes.has_boxes(name) else "no box"
            raise ManifestError(
                where,
                f"has the class {quote(term)}, but {BOXES} has {has} for {quote(name)}.",
                f"Take both tables from one version of the set: {_OPACITY} has boxes, the other classes have none.",
            )
        if image is None:
            listing.drop(name, "its image is not here")
            continue
        listing.rows.append(
            Row(
                image=relative_name(image, folder),
                label=RSNA_CLASSES[term],
                raw_label=term,
                study_id=name,
                boxes=boxes.cell(name, _SIDE, _SIDE),
                license=options.license or LICENSE,
                label_provenance=options.provenance or RSNA_PROVENANCE,
            )
        )
    listing.notes += boxes.notes(BOXES, classes)
    for path in index.files:
        if path not in listed and path not in (folder / CLASSES, folder / BOXES):
            listing.drop(relative_name(path, folder), why_not_image(path) or f"no row in {CLASSES}")
    return listing


def _read_classes(path: Path) -> dict[str, tuple[str, str]]:
    """Return the class of each image and where it stands; an image has one row for each box."""
    table = read_table(path)
    names, terms = (table.cells(name, f"column {name!r}") for name in ("patientId", "class"))
    classes: dict[str, tuple[str, str]] = {}
    for place, (name, term) in enumerate(zip(map(str.strip, names), map(str.strip, terms), strict=True)):
        where = table.where(place)
        if term not in RSNA_CLASSES:
            raise ManifestError(
                f"{where}, column 'class'",
                f"has {quote(term)}.{suggestion(term, RSNA_CLASSES)}",
                f"Classes: {', '.join(RSNA_CLASSES)}.",
            )
        first, before = classes.setdefault(name, (term, where))
        if first != term:
            raise ManifestError(where, f"has {quote(term)}; {before} has {quote(first)} for it.", "Keep one class.")
    return classes


def _read_boxes(path: Path) -> PixelBoxes:
    """Return the boxes by image; an image whose ``Target`` is 0 was looked at and has none."""
    table, boxes = read_table(path), PixelBoxes()
    names, targets, *corners = (table.cells(name, f"column {name!r}") for name in ("patientId", "Target", *_CORNERS))
    for place, (name, target) in enumerate(zip(map(str.strip, names), map(str.strip, targets), strict=True)):
        where = table.where(place)
        if target not in ("0", "1"):
            raise ManifestError(f"{where}, column 'Target'", f"has {quote(target)}.", "Write 0 or 1.")
        boxes.look(name)
        if target == "1":
            left, top, width, height = (column[place] for column in corners)
            boxes.add(name, (left, top, width, height), where)
    return boxes


SOURCE = Source("rsna-pneumonia", "RSNA Pneumonia Challenge: opacity, normal or other, with boxes", scan)
