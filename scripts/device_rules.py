"""Prints what the browser needs to judge an image as Python does: limits and tables of terms, from their code."""

import json

from pneumoscope.bundle import body_parts, chest_layout, frame, lung_parts, lung_shape, screening
from pneumoscope.core.labels import ADULT_AGE, DISCLAIMER
from pneumoscope.imaging import border, colour, proportions, read
from pneumoscope.imaging.dicom import decode, tags


def constants(module: object, *names: str) -> dict[str, object]:
    """Return constants of a module by their names without the underscore; sets become sorted lists."""
    values = {name.lstrip("_").lower(): getattr(module, name) for name in names}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}


axes = chest_layout._AXES
rules = {
    "disclaimer": DISCLAIMER,
    "border": constants(
        border, "_FLAT", "_DUST", "_PLACES", "_BLACK", "_LEAST", "_LEAST_INSIDE", "_BLOCK", "_RING", "_RING_SHARE"
    ),
    "colour": constants(colour, "_CELLS", "_COLOURED"),
    "frame": constants(frame, "_ONE_GREY", "_DUST", "_PLACES", "_FRAME", "_LOPSIDED", "_CORNER", "_DEGREES", "_SMALL"),
    "parts": constants(lung_parts, "_LEAST_PART"),
    "shape": constants(lung_shape, "_GAP"),
    "layout": {
        "axes": [axes.start, axes.stop],
        **constants(
            chest_layout,
            *("GAP", "RUN", "NARROW_RUN", "STACKED", "STACKED_IN_DOUBT", "CROSSED", "TWO_CHESTS", "LATERAL_BESIDE"),
            *("ONE_SIDED", "LIKENESS", "LIKENESS_IN_DOUBT", "HEART_OFFSET", "HEART_OFFSET_IN_DOUBT", "HEART"),
            *("BALANCE_IN_DOUBT", "BLACK", "UPPER_EDGE", "LOWER_EDGE", "BOTH_SIDES", "TURN", "TURN_BETWEEN"),
            *("AXES_UPRIGHT", "BETWEEN_UPRIGHT", "DOUBT", "STRONG_DOUBT", "_CELLS", "_DARK", "_LEAST_LUNG"),
        ),
    },
    "screening": {
        "words": list(screening._WORDS),
        "noChest": sorted(screening._NO_CHEST_MODALITIES),
        "uprightAgain": screening._UPRIGHT_AGAIN,
        "adultAge": ADULT_AGE,
        **constants(proportions, "LONGEST", "STRIP", "SHORT"),
        **constants(screening, "_LATERAL", "_FRONTAL", "_OBLIQUE", "_DECUBITUS", "_MAY_BE_FRAMED", "_MAY_BE_TURNED"),
    },
    "bodyParts": constants(
        body_parts,
        *("_UNSPECIFIC", "_CHEST", "_SPINE_OR_BREAST", "_OTHER", "_NEGATION", "_CHEST_CODES", "_OTHER_CODES"),
    ),
    "dicom": {
        "modalities": sorted(decode.RADIOGRAPHS),
        "classes": sorted(decode._CLASSES),
        "forProcessing": sorted(decode._FOR_PROCESSING),
        "otherKinds": sorted(decode._OTHER_KINDS),
        "colours": sorted(decode._COLOURS),
        "viewCodes": tags._VIEW_CODES,
        "viewTerms": tags._VIEW_TERMS,
    },
    "maxPixels": read.MAX_PIXELS,
    "maxBytes": read.MAX_BYTES,
}
print(json.dumps(rules, ensure_ascii=False, indent=2))
