"""The JSRT set with the SCR masks: adults with a lung nodule or none, PA, masks of lungs and heart.

Shiraishi et al., Development of a Digital Image Database for Chest Radiographs With and Without a Lung Nodule, AJR
2000; masks by van Ginneken et al., Medical Image Analysis 2006. Layout: images named ``JPCLNnnn`` (with a nodule) or
``JPCNNnnn`` (without) in any folders, as PNG, JPEG or TIFF (the publishers' raw ``.IMG`` must be converted first). A
mask has its image's name and lies in a folder called ``lungs`` or ``heart``, or whose name holds ``mask`` and one of
them. The publishers' masks of one lung (``left lung``, ``right lung``, as GIF or any image) are joined.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pneumoscope.data.masked_images import MaskedImages, Side, Structure
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

LICENSE = "research use; cite Shiraishi 2000 and van Ginneken 2006"
PROVENANCE = "CT for every nodule, three radiologists for every normal image (Shiraishi 2000); the file name"

_NAME = re.compile(r"JPC(LN|NN)(\d{3})", re.IGNORECASE)
_LABELS = {"LN": ("nodule", "nodule"), "NN": ("normal", "normal")}
_WHOLE = re.compile(r"(?:(lung|heart)s?|.*(lung|heart).*mask.*|.*mask.*(lung|heart).*)", re.IGNORECASE)
_HALF = re.compile(r"(left|right)[ _-]*lung|lung[ _-]*(left|right)", re.IGNORECASE)


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in ``folder`` and below, each with its masks."""
    listing = Listing(root=folder)
    files = MaskedImages()
    for path in files_under(folder, listing):
        name, places = relative_name(path, folder), path.relative_to(folder).parts[:-1]
        side = _side(places)
        if _NAME.fullmatch(path.stem) is None:
            listing.drop(name, "its name is not JPCLNnnn or JPCNNnnn")
        elif any("clavicle" in place.lower() for place in places):
            listing.drop(name, "the mask of a clavicle")
        elif (reason := why_not_image(path)) and not (side and path.suffix.lower() == ".gif"):
            listing.drop(name, reason)
        elif side:
            files.halves[side][path.stem.upper()] = path
        elif kind := _mask_kind(places):
            files.masks[kind][path.stem.upper()] = path
        else:
            files.images.append((path.stem.upper(), path))
    rows = (_facts(key) for key, _ in files.images)
    files.add_rows(listing, rows, options, license=LICENSE, provenance=PROVENANCE)
    return listing


def _facts(key: str) -> Row:
    """Return what the file name says about an image."""
    label, raw_label = _LABELS[key[3:5]]
    return Row(image="", label=label, raw_label=raw_label, patient_id=key)  # one image for each patient


def _side(places: Sequence[str]) -> Side | None:
    """Return whose lung a folder below the root holds masks of."""
    for place in places:
        if match := _HALF.search(place):
            return "left" if (match[1] or match[2]).lower() == "left" else "right"
    return None


def _mask_kind(places: Sequence[str]) -> Structure | None:
    """Return ``lung`` or ``heart`` if one of the folders below the root is one of masks."""
    for place in places:
        if match := _WHOLE.fullmatch(place):
            return _structure(next(kind for kind in match.groups() if kind))
    if any("mask" in place.lower() for place in places):  # masks/lungs/ and the like match above
        return _structure(" ".join(places))
    return None


def _structure(text: str) -> Structure | None:
    """Return the structure that a folder's name holds; the lungs come first."""
    lower = text.lower()
    return "lung" if "lung" in lower else "heart" if "heart" in lower else None


SOURCE = Source(
    "jsrt",
    "JSRT, Shiraishi 2000: lung nodule or normal, PA, with masks of lungs and heart (SCR)",
    scan,
    options=frozenset({"masks"}),
)
