"""V7's COVID-19 X-ray annotations: lung and Ignore polygons and tags, one Darwin 1.0 JSON file per image.

V7 Labs, COVID-19 Chest X-Ray Dataset, 2020 (github.com/v7labs/covid-19-xray-dataset), CC BY 4.0. The images are those
of ieee8023 and of Kermany's children, and lie in a folder of their own (``--images``). From its README: the lungs
include most of the heart; laterals and CT slices have tags and no lungs; Ignore polygons cover pacemakers and
markings, which are more frequent in the sick; tubes thinner than 1 cm are not covered.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.registry import several
from pneumoscope.data.cells import VIEW_TERMS, CellReader, find_term
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.label_terms import check_mapping, refuse_terms
from pneumoscope.data.polygons import Outlines, Polygon
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.sources.kaggle_pneumonia import parse_name
from pneumoscope.imaging.files import BROKEN_LINK, is_broken_link, why_not_image

T = TypeVar("T")

DISEASES: Mapping[str, str] = MappingProxyType(
    {
        "COVID-19": "covid-19",
        "No Finding": "normal",
        "No Pneumonia (healthy)": "normal",
        **dict.fromkeys(("Viral Pneumonia", "Influenza", "SARS", "Varicella"), "viral-pneumonia"),
        **dict.fromkeys(
            ("Bacterial Pneumonia", "Chlamydophila", "E.Coli", "Klebsiella", "Legionella", "Mycoplasma"),
            "bacterial-pneumonia",
        ),
        "Streptococcus": "bacterial-pneumonia",
        **dict.fromkeys(
            ("Pneumonia", "Undefined Pneumonia", "Fungal Pneumonia", "Lipoid pneumonia", "Pneumocystis"), "pneumonia"
        ),
        "ARDS": "other",
    }
)
"""Tag, verbatim -> label."""

_SPECIFIC = ("other", "pneumonia")
"""Labels that say less than any other tag, the vaguest first: ARDS with Streptococcus is bacterial."""

MODALITIES = frozenset({"X-ray", "CT"})
FACTS = frozenset(
    {
        "View", "Sex", "Age", "PatientID",
        "location", "Temperature", "pO2_saturation", "Survival", "Intubation", "Intubation_present", "ICU_admission",
        "In_ICU_scan", "Needed_supplemental_O2", "Extubated", "Leukocyte_count", "Neutrophil_count",
        "Lymphocyte_count", "Lymphocyte_count_on_admission",
    }
)  # fmt: skip
"""Names of the tags ``NAME/VALUE`` and ``NAME:VALUE``; the first four become columns."""
_SLICES = frozenset({"Axial", "Coronal", "Sagittal"})
_REGIONS: Mapping[str, str] = MappingProxyType({"Lung": "lung", "Ignore": "ignore"})
_LARGEST_SIDE = 10**6  # pixels
PROVENANCE = "tag of V7 Labs' annotators (CC BY 4.0), who took it from the image's own source"


@dataclass
class Annotation:
    """One annotation file.

    Args:
        file: Its name.
        image: The image that it names.
        tags: Its tags, verbatim.
        outlines: Its polygons.
        unused: Names of annotations that are neither tag nor a polygon of lung or Ignore.
    """

    file: str
    image: str
    tags: list[str]
    outlines: Outlines
    unused: list[str] = field(default_factory=list)

    def fact(self, name: str) -> str | None:
        """Return the value of the tag ``NAME/VALUE`` or ``NAME:VALUE``, None if there is none.

        Raises:
            ManifestError: There are two different ones.
        """
        values = {tag[len(name) + 1 :] for tag in self.tags if tag.startswith((f"{name}/", f"{name}:"))}
        if name == "Age":
            values |= {tag for tag in self.tags if tag.isdigit()}  # one file has a bare ``19``
        if len(values) > 1:
            raise ManifestError(self.file, f"has {len(values)} tags {name}: {several(sorted(values))}.", "Keep one.")
        return next(iter(values), None)


def read_annotation(path: Path, name: str) -> Annotation:
    """Read a Darwin 1.0 file.

    Args:
        path: The file.
        name: Its name in an error message.

    Raises:
        ManifestError: It is no such file.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ManifestError(name, f"cannot be read: {error.strerror}.", "Allow reading it.") from error
    except UnicodeDecodeError as error:
        raise _not_darwin(name, f"byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        problem = f"it is not JSON at line {error.lineno}, column {error.colno}"
        raise _not_darwin(name, problem) from error
    except (ValueError, RecursionError) as error:  # a number of more than 4,300 digits, brackets in brackets
        raise _not_darwin(name, "a number or a nesting in it is too long") from error
    image = _value(content, "image", dict, name)
    width, height = (_whole(_value(image, side, int, name), side, name) for side in ("width", "height"))
    file = image.get("original_filename") or _value(image, "filename", str, name)
    if not isinstance(file, str):
        raise _not_darwin(name, "'original_filename' is not a text")
    polygons: dict[str, list[Polygon]] = {"lung": [], "ignore": []}
    tags, unused = [], []
    for item in _value(content, "annotations", list, name):
        term, rings = _value(item, "name", str, name), _rings(item, name)
        if "tag" in item:
            tags.append(term)
        elif rings is not None and term in _REGIONS:
            polygons[_REGIONS[term]].append(rings)
        else:
            unused.append(term)
    if min(width, height) < 1 or any(len(ring) < 3 for shapes in polygons.values() for one in shapes for ring in one):
        raise ManifestError(name, "has a polygon of fewer than 3 corners, or a size of 0.", "Correct the annotation.")
    lung, ignore = tuple(polygons["lung"]), tuple(polygons["ignore"])
    return Annotation(name, file, tags, Outlines(width, height, lung, ignore), unused)


_KINDS: Mapping[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a number"}


def _value(content: Any, key: str, kind: type[T], name: str) -> T:
    """Return a value of a JSON object, of the kind that Darwin 1.0 gives it."""
    if not isinstance(content, dict):
        raise _not_darwin(name, f"there is no object with the key {key!r}")
    if key not in content:
        raise _not_darwin(name, f"the key {key!r} is missing")
    value = content[key]
    fits = isinstance(value, int | float) if kind is int else isinstance(value, kind)
    if not fits or isinstance(value, bool):
        raise _not_darwin(name, f"{key!r} is not {_KINDS[kind]}")
    return cast(T, value)


def _whole(number: float, key: str, name: str) -> int:
    if not math.isfinite(number) or number > _LARGEST_SIDE:
        raise _not_darwin(name, f"{key!r} is no number of pixels")
    return int(number)


def _not_darwin(name: str, problem: str) -> ManifestError:
    return ManifestError(
        name,
        f"is not a Darwin 1.0 annotation file: {problem}.",
        "Export the data set as Darwin JSON 1.0: image.width, image.height, image.original_filename, annotations.",
    )


def _rings(item: Mapping[str, Any], name: str) -> Polygon | None:
    """Return the rings of a polygon (one) or a complex polygon (several: holes and pieces), None for other shapes."""
    if "complex_polygon" in item:
        paths = _value(_value(item, "complex_polygon", dict, name), "path", list, name)
    elif "polygon" in item:
        polygon = _value(item, "polygon", dict, name)
        more = _value({"additional_paths": [], **polygon}, "additional_paths", list, name)
        paths = [_value(polygon, "path", list, name), *more]
    else:
        return None
    rings = []
    for path in paths:
        if not isinstance(path, list):
            raise _not_darwin(name, "a path is not a list of points")
        points = [(_coordinate(point, "x", name), _coordinate(point, "y", name)) for point in path]
        rings.append(points)
    return rings


def _coordinate(point: Any, key: str, name: str) -> float:
    value = _value(point, key, int, name)
    if not abs(value) <= _LARGEST_SIDE:
        raise _not_darwin(name, f"{key!r} of a point is no coordinate in pixels")
    return float(value)


def label_from_tags(tags: Sequence[str], diseases: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the label that the tags state (None if they state none or two), and the tags that name a disease.

    COVID-19 wins, since V7 tags it beside Viral Pneumonia. Among the rest the more specific one counts.
    """
    disease_tags = [tag for tag in diseases if tag in tags]
    labels = {diseases[tag] for tag in disease_tags}
    if "covid-19" in labels:
        return "covid-19", ", ".join(disease_tags)
    for vague in _SPECIFIC:
        if len(labels) > 1:
            labels.discard(vague)
    return (labels.pop() if len(labels) == 1 else None), ", ".join(disease_tags)


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the frontal radiographs that the files in ``folder`` annotate; images lie under ``options.images``."""
    if options.images is None or not options.images.is_dir():
        given = argument("images", options.images) if options.images else "darwin"
        raise UsageError(given, "needs the folder of the images.", "Give `images='DIR'`.")
    images = options.images
    diseases = {**DISEASES, **check_mapping(options.mapping, options.vocabulary)}
    listing, reader = Listing(images, labels=options.vocabulary), CellReader(options.lenient_columns)
    index = ImageIndex(images, files_under(images, listing))
    annotated: dict[Path, str] = {}
    unknown: Counter[str] = Counter()
    unused: Counter[str] = Counter()
    for path in [folder] if folder.is_file() else files_under(folder, listing):
        name = path.name if folder.is_file() else relative_name(path, folder)
        if path.suffix.lower() != ".json":
            listing.drop(name, f"not an annotation by its name (*{path.suffix})")
            continue
        if is_broken_link(path):
            listing.drop(name, BROKEN_LINK)
            continue
        annotation = read_annotation(path, name)
        unused.update(annotation.unused)
        strange = [tag for tag in annotation.tags if not _known(tag, diseases)]
        unknown.update(strange)
        image = index.find(annotation.image, name)
        if image is not None:
            if image in annotated:
                raise ManifestError(
                    name, f"annotates {quote(annotation.image)} again; {annotated[image]} did.", "Keep one."
                )
            annotated[image] = name
        label, terms = label_from_tags(annotation.tags, diseases)
        reason = _why_dropped(annotation, label, terms, options)
        if reason is None and strange:
            reason = f"tag {quote(strange[0])} is not known"
        if reason is not None or image is None or label is None:
            listing.drop(name, reason or f"its image is not under {images}")
            continue
        listing.rows.append(_row(relative_name(image, images), annotation, label, terms, options, reader))
        listing.outlines[relative_name(image, images)] = annotation.outlines
    if unknown and not options.drop_unmapped:
        raise refuse_terms(str(folder), unknown, "tags", diseases, options.vocabulary)
    listing.notes += reader.finish()
    for file in index.files:
        if file not in annotated:
            listing.drop(relative_name(file, images), why_not_image(file) or "no annotation names it")
    listing.notes += _notes(listing, unused)
    return listing


def _known(tag: str, diseases: Mapping[str, str]) -> bool:
    name, *value = re.split("[/:]", tag, maxsplit=1)
    return tag in diseases or tag in MODALITIES or tag.isdigit() or (name in FACTS and bool(value))


def _why_dropped(annotation: Annotation, label: str | None, terms: str, options: ImportOptions) -> str | None:
    """Return why an annotated image is no frontal radiograph with one label, or None."""
    view = annotation.fact("View")
    if "CT" in annotation.tags or view in _SLICES:
        return f"CT slice (view {view})"
    if view is not None and find_term(view, VIEW_TERMS) == "L" and "L" not in options.views:
        return f"view {quote(view)}, a lateral"
    if view is None and not annotation.outlines.lung:
        return "neither a view nor a lung outline: perhaps a lateral, which has none"
    if label is None:
        return f"the tags {quote(terms)} state two labels" if terms else "no tag states a label"
    return None


def _row(image: str, annotation: Annotation, label: str, terms: str, options: ImportOptions, reader: CellReader) -> Row:
    # The children of Kermany's set have no PatientID: their file names state it.
    child = parse_name(Path(annotation.image).name)
    return Row(
        image=image,
        label=label,
        raw_label=terms,
        patient_id=annotation.fact("PatientID") or (child[0] if child else None),
        view=reader.view(annotation.fact("View") or "", annotation.file),
        sex=reader.sex(annotation.fact("Sex") or "", annotation.file),
        age=reader.age(annotation.fact("Age") or "", annotation.file),
        lung_definition="lungs-with-heart",  # the polygons include most of the heart
        license=options.license,
        label_provenance=options.provenance or PROVENANCE,
    )


def _notes(listing: Listing, unused: Counter[str]) -> list[str]:
    notes = [f"annotations {quote(name)} are not used: {count}" for name, count in unused.items()]
    notes.append("V7's lung outlines include most of the heart; its Ignore outlines leave out tubes thinner than 1 cm")
    if bare := sum(not outlines.lung for outlines in listing.outlines.values()):
        notes.append(f"{bare} images have no lung outline")
    return notes


SOURCE = Source(
    "darwin",
    "V7's COVID-19 annotations (Darwin JSON): polygons to masks, tags to columns; --images DIR",
    scan,
    options=frozenset({"mapping", "images", "drop_unmapped", "masks"}),
)
