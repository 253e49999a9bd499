"""The COVID-19 Radiography Database: one folder per class, each with ``images/`` and, in full, ``masks/``.

Chowdhury et al., Can AI Help in Screening Viral and COVID-19 Pneumonia?, IEEE Access 2020; Rahman et al., Exploring the
Effect of Image Enhancement Techniques, Computers in Biology and Medicine 2021. It has no patient numbers, and it is
compiled from other sets: its viral pneumonias are the children of Kermany's set, some of its COVID-19 images are in
ieee8023, some of its normal ones in NIH. A model trained on it alone has seen no adult with another lung disease.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.errors import LabelError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import IMAGE_ENDINGS, why_not_image

FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "COVID": "covid-19",
        "Normal": "normal",
        "Viral Pneumonia": "viral-pneumonia",
        "Lung_Opacity": "lung-opacity",
    }
)
LICENSE = "research use; cite Chowdhury 2020 and Rahman 2021"
PROVENANCE = "class folder of the publishers, compiled from other sets and published cases; no standard per image"


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images of the three or four class folders in ``folder`` (or in the set's own folder inside it)."""
    inner = folder / "COVID-19_Radiography_Dataset"
    base = inner if inner.is_dir() else folder
    listing = Listing(root=folder)
    for path in sorted(base.iterdir()):
        if path.is_file():
            listing.drop(relative_name(path, folder), "not in a class folder")
        elif path.name in FOLDERS:
            _scan_class(path, listing, options)
        elif any(file.suffix.lower() in IMAGE_ENDINGS for file in files_under(path)):
            raise LabelError(
                relative_name(path, folder),
                f"is not a class folder of this set.{suggestion(path.name, FOLDERS)}",
                f"Class folders: {', '.join(FOLDERS)}. For other names use the source 'folder' with `mapping`.",
            )
    return listing


def _scan_class(folder: Path, listing: Listing, options: ImportOptions) -> None:
    """List one class: images in ``images/`` or in the folder itself, masks of the same name in ``masks/``."""
    images = folder / "images" if (folder / "images").is_dir() else folder
    masks = {path.name: path for path in (folder / "masks").glob("*")}
    unmasked = 0
    for path in files_under(folder):
        name, reason = relative_name(path, listing.root), why_not_image(path)
        if path.parent == folder / "masks" and (images / path.name).is_file():
            continue  # it is imported as the lung mask of its image
        if reason is not None or path.parent != images:
            listing.drop(name, reason or "not in images/, nor the mask of an image")
            continue
        mask = masks.get(path.name)
        unmasked += mask is None
        listing.rows.append(
            Row(
                image=name,
                label=FOLDERS[folder.name],
                raw_label=folder.name,
                lung_mask=None if mask is None else relative_name(mask, listing.root),
                license=options.license or LICENSE,
                label_provenance=options.provenance or PROVENANCE,
            )
        )
    if masks and unmasked:
        listing.notes.append(f"{folder.name}: {unmasked} images have no lung mask")


SOURCE = Source("radiography", "COVID-19 Radiography Database: class folders with images/ and masks/", scan)
