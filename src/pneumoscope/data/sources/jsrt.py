"""The JSRT set with the SCR masks: adults with a lung nodule or none, PA, masks of lungs and heart.

Shiraishi et al., Development of a Digital Image Database for Chest Radiographs With and Without a Lung Nodule, AJR
2000; masks by van Ginneken et al., Medical Image Analysis 2006. Layout: images named ``JPCLNnnn`` (with a nodule) or
``JPCNNnnn`` (without) in any folders, as PNG, JPEG or TIFF (the publishers' raw ``.IMG`` must be converted first). A
mask has its image's name and lies in a folder whose name holds ``lung`` (both lungs in one mask) or ``heart``.
"""

from __future__ import annotations

import re
from pathlib import Path

from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

LICENSE = "research use; cite Shiraishi 2000 and van Ginneken 2006"
PROVENANCE = "CT for every nodule, three radiologists for every normal image (Shiraishi 2000); the file name"

_NAME = re.compile(r"JPC(LN|NN)(\d{3})", re.IGNORECASE)
_LABELS = {"LN": ("other", "nodule"), "NN": ("normal", "normal")}
_HALF = re.compile(r"(left|right)[ _-]*lung|lung[ _-]*(left|right)", re.IGNORECASE)


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in ``folder`` and below, each with its masks."""
    listing = Listing(root=folder)
    images: list[tuple[str, Path]] = []
    masks: dict[str, dict[str, Path]] = {"lung": {}, "heart": {}}
    for path in files_under(folder, listing):
        name, place = relative_name(path, folder), path.parent.name.lower()
        match = _NAME.fullmatch(path.stem)
        if match is None or (reason := why_not_image(path)) is not None:
            listing.drop(name, "its name is not JPCLNnnn or JPCNNnnn" if match is None else reason or "")
        elif _HALF.search(place) or "clavicle" in place:
            listing.drop(name, "the mask of one side or of a clavicle; join both lungs in lung_masks/")
        elif kind := next((kind for kind in masks if kind in place), None):
            masks[kind][path.stem.upper()] = path
        else:
            images.append((path.stem.upper(), path))
    for key, path in images:
        label, raw_label = _LABELS[key[3:5]]
        lungs, heart = (
            None if (mask := masks[kind].get(key)) is None else relative_name(mask, folder) for kind in masks
        )
        listing.rows.append(
            Row(
                image=relative_name(path, folder),
                label=label,
                raw_label=raw_label,
                patient_id=key,  # one image a patient
                view="PA",
                lung_mask=lungs,
                lung_definition=None if lungs is None else "lungs",
                heart_mask=heart,
                license=options.license or LICENSE,
                label_provenance=options.provenance or PROVENANCE,
            )
        )
    return listing


SOURCE = Source("jsrt", "JSRT, Shiraishi 2000: lung nodule or normal, PA, with masks of lungs and heart (SCR)", scan)
