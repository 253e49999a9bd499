"""The JSRT set with the SCR masks: adults with a lung nodule or none, PA, masks of lungs and heart.

Shiraishi et al., Development of a Digital Image Database for Chest Radiographs With and Without a Lung Nodule, AJR
2000; masks by van Ginneken et al., Medical Image Analysis 2006. Layout: images named ``JPCLNnnn`` (with a nodule) or
``JPCNNnnn`` (without) in any folders, as PNG, JPEG or TIFF (the publishers' raw ``.IMG`` must be converted first). A
mask has its image's name and lies in a folder called ``lungs`` or ``heart``, or whose name holds ``mask`` and one of
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

LICENSE = "research use; cite Shiraishi 2000 and van Ginneken 2006"
PROVENANCE = "CT for every nodule, three radiologists for every normal image (Shiraishi 2000); the file name"

_NAME = re.compile(r"JPC(LN|NN)(\d{3})", re.IGNORECASE)
_LABELS = {"LN": ("other", "nodule"), "NN": ("normal", "normal")}
_WHOLE = re.compile(r"(?:(lung|heart)s?|.*(lung|heart).*mask.*|.*mask.*(lung|heart).*)", re.IGNORECASE)
_HALF = re.compile(r"(left|right)[ _-]*lung|lung[ _-]*(left|right)", re.IGNORECASE)


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in ``folder`` and below, each with its masks."""
    listing = Listing(root=folder)
    images: list[tuple[str, Path]] = []
    masks: dict[str, dict[str, Path]] = {"lung": {}, "heart": {}}
    for path in files_under(folder, listing):
        name, places = relative_name(path, folder), path.relative_to(folder).parts[:-1]
        match = _NAME.fullmatch(path.stem)
        if match is None or (reason := why_not_image(path)) is not None:
            listing.drop(name, "its name is not JPCLNnnn or JPCNNnnn" if match is None else reason or "")
        elif any(_HALF.search(place) or "clavicle" in place.lower() for place in places):
            listing.drop(name, "the mask of one side or of a clavicle; join both lungs in lung_masks/")
        elif kind := _mask_kind(places):
            masks[kind][path.stem.upper()] = path
        else:
            images.append((path.stem.upper(), path))
    for key, path in images:
        label, raw_label = _LABELS[key[3:5]]
        lungs, heart = (
            None if (mask := masks[kind].pop(key, None)) is None else relative_name(mask, folder) for kind in masks
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
    for mask in (mask for kind in masks.values() for mask in kind.values()):
        listing.drop(relative_name(mask, folder), "the mask of an image that is not there")
    return listing


def _mask_kind(places: Sequence[str]) -> str | None:
    """Return ``lung`` or ``heart`` if one of the folders below the root is one of masks."""
    for place in places:
        if match := _WHOLE.fullmatch(place):
            return next(kind.lower() for kind in match.groups() if kind)
    if any("mask" in place.lower() for place in places):  # masks/lungs/ and the like match above
        return next((kind for kind in ("lung", "heart") if any(kind in place.lower() for place in places)), None)
    return None


SOURCE = Source("jsrt", "JSRT, Shiraishi 2000: lung nodule or normal, PA, with masks of lungs and heart (SCR)", scan)
