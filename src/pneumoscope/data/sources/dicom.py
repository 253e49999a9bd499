"""A tree of DICOM files, labelled by a CSV file that names them by their SOP Instance UID.

Such a tree comes from an archive without any preparation: any names, several modalities, lateral views, a directory
record. The source keeps chest radiographs with a label and lists everything else. Keyed hashes replace the numbers of
patients and studies: a manifest travels, and a patient's number or name must not travel with it. Sections are those of
PS3.3.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import ImageError, ManifestError, MissingExtraError, UsageError
from pneumoscope.data.cells import MAX_AGE, CellReader, view_of_tag
from pneumoscope.data.label_terms import LabelTerms
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import read_table
from pneumoscope.imaging.dicom.tags import Tags, metadata
from pneumoscope.imaging.files import BROKEN_LINK, is_broken_link
from pneumoscope.imaging.plane import suppress_warnings

MODALITIES = ("CR", "DX", "DR", "RG")
"""Modalities that are kept by default (C.7.3.1.1.1): computed and digital radiography, and two older names."""
ON_REQUEST = ("OT", "HC", "XC", "SC")
"""Modalities that may hold a radiograph (film, hard copy, photograph, secondary capture): with ``--modality``."""
BODY_PARTS = ("CHEST", "THORAX", "LUNG")
"""Values of BodyPartExamined (PS3.16 Annex L) that are a chest radiograph; an absent one says nothing against it."""
COLUMNS = ("image", "label")
"""Columns of the table that an option may name."""

_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_READ = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "PatientID", "IssuerOfPatientID", "Modality",
    "BodyPartExamined", "ViewPosition", "ViewCodeSequence", "PatientSex", "PatientAge", "PresentationIntentType",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one file. ``patient`` and ``study`` are the true numbers: they never leave this module."""

    file: str
    uid: str
    sop_class: str
    modality: str
    body_part: str
    view: str
    age: float | None
    intent: str
    patient: str
    study: str


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the chest radiographs in ``folder`` that the table ``options.table`` labels."""
    if options.table is None:
        raise UsageError("dicom", "needs the table of labels.", "Give `table='labels.csv'`.")
    if extra := sorted(set(options.columns) - set(COLUMNS)):
        raise UsageError(
            argument("columns", {extra[0]: options.columns[extra[0]]}),
            "means nothing to the source 'dicom': the file's tags say it.",
        )
    wanted = _modalities(options)
    labels = LabelTerms(options.mapping, options.vocabulary, keep=options.keep_terms)
    table = read_labels(options.table, options)
    terms, reader = table.terms, CellReader(options.lenient_columns)
    listing, seen, key_parts = Listing(root=folder, notes=table.notes), dict[str, str](), []
    usable: list[tuple[Header, str, str]] = []
    for header in _headers(folder, options.table, listing):
        key_parts.append(header.uid)
        reason = _why_dropped(header, wanted, options)
        if reason is None:
            if header.uid in seen:
                raise ManifestError(
                    header.file, f"has the SOPInstanceUID of {seen[header.uid]}: {header.uid}.", "Keep one of the two."
                )
            seen[header.uid] = header.file
            term = terms.pop(header.uid, None)
            if term is None:
                reason = f"no row in {options.table.name}"
            elif (label := labels.use(term)) is None:
                reason = f"label {quote(term)} is not mapped" if term else "its label is blank"
            else:
                usable.append((header, term, label))
                # With lenient ages the import, which takes them from the files, leaves them out and says so.
                if header.age is not None and header.age > MAX_AGE and "age" not in options.lenient_columns:
                    reader.add_bad("age", f"{header.age:g} years", header.file)
        else:
            terms.pop(header.uid, None)
        if reason is not None:
            listing.drop(header.file, reason)
    if labels.unknown and not options.drop_unmapped:
        raise labels.refuse(str(options.table), "images")
    listing.notes += [*reader.finish(), *labels.notes()]
    listing.labels = labels.labels
    for uid in terms:
        listing.drop(uid, "no DICOM file has this SOPInstanceUID")
    # Without a user's key the set is its own key: the same files give the same numbers, and nobody without the files
    # can try all patient numbers, as with a plain hash.
    key = options.key or hashlib.sha256("\n".join(sorted(key_parts)).encode()).digest()
    listing.rows += [_row(header, term, label, key, options) for header, term, label in usable]
    listing.notes.append(
        "patient_id and study_id are keyed hashes of the tags"
        + ("" if options.key else "; without a key they fit no other import: the same patient has another number there")
    )
    return listing


class LabelTable(NamedTuple):
    """The table of labels: SOPInstanceUID -> term, verbatim but for outer blanks, and notes about its reading."""

    terms: dict[str, str]
    notes: list[str]


def read_labels(path: Path, options: ImportOptions) -> LabelTable:
    """Read the table of labels.

    Raises:
        UsageError: The table lacks a column.
        ManifestError: A UID stands in two rows.
    """
    if not path.is_file():
        raise UsageError(argument("table", path), "there is no such file.")
    table = read_table(path, options.encoding)
    columns = {"image": "SOPInstanceUID", "label": "label", **options.columns}
    cells = {field: table.cells(name, argument("columns", {field: name})) for field, name in columns.items()}
    terms: dict[str, str] = {}
    rows: dict[str, int] = {}
    for place, (uid, term) in enumerate(zip(cells["image"], cells["label"], strict=True)):
        uid, term = uid.strip(), term.strip()
        if uid in terms:
            raise ManifestError(
                table.where(place), f"names {quote(uid)} again; row {rows[uid]} did.", "One row per image."
            )
        terms[uid], rows[uid] = term, table.numbers[place]
    return LabelTable(terms, list(table.notes))


def _modalities(options: ImportOptions) -> tuple[str, ...]:
    allowed = (*MODALITIES, *ON_REQUEST)
    for modality in options.modalities:
        if modality not in allowed:
            raise UsageError(
                argument("modalities", modality),
                "is not one of projection radiographs.",
                f"There are: {', '.join(allowed)}.",
            )
    return options.modalities or MODALITIES


def _headers(folder: Path, table: Path, listing: Listing) -> Iterator[Header]:
    """Yield the header of each DICOM file, and list the other files."""
    try:
        import pydicom
    except ImportError as error:
        raise MissingExtraError("reading DICOM files", "dicom") from error
    for path in [folder] if folder.is_file() else files_under(folder, listing):
        name = path.name if folder.is_file() else relative_name(path, folder)
        if path.resolve() == table.resolve():
            continue
        if is_broken_link(path):
            listing.drop(name, BROKEN_LINK)
            continue
        try:
            with path.open("rb") as file:
                start = file.read(132)
        except OSError as error:
            listing.drop(name, f"cannot be read: {error.strerror}")
            continue
        if start[128:] != b"DICM":  # PS3.10 7.1
            listing.drop(name, "not a DICOM file")
            continue
        try:
            with suppress_warnings():
                tags = Tags(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_READ]), name)
                header = _header(tags)
        except Exception as error:  # pydicom fails in many ways on damaged files; its words may quote a patient
            listing.drop(name, error.problem if isinstance(error, ImageError) else "its DICOM header is damaged")
            continue
        if header.sop_class == _MEDIA_DIRECTORY:
            listing.drop(name, "a directory record (DICOMDIR), no image")
        else:
            yield header


def _header(tags: Tags) -> Header:
    facts = metadata(tags, swapped=False)
    return Header(
        file=tags.name,
        uid=tags.text("SOPInstanceUID"),
        sop_class=tags.text("SOPClassUID"),
        modality=tags.text("Modality"),
        body_part=tags.text("BodyPartExamined"),
        view=str(facts["view"] or ""),
        age=float(facts["age"]) if facts["age"] is not None else None,
        intent=tags.text("PresentationIntentType"),
        # A number is unique only together with its issuer (C.7.1.1).
        patient=f"{tags.text('IssuerOfPatientID')}|{number}" if (number := tags.text("PatientID")) else "",
        study=tags.text("StudyInstanceUID"),
    )


def _why_dropped(header: Header, modalities: tuple[str, ...], options: ImportOptions) -> str | None:
    """Return why a file is no frontal chest radiograph meant for display, or None."""
    if header.modality not in modalities:
        return f"modality {header.modality or 'missing'}, not {' or '.join(modalities)}"
    if header.intent == "FOR PROCESSING":  # C.8.11.1
        return "FOR PROCESSING: raw detector values, not made for the eye"
    known = {*BODY_PARTS, *(part.upper() for part in options.body_parts)}
    if header.body_part and header.body_part not in known:
        return f"body part {header.body_part!r}, not known as the chest"
    if not header.uid:
        return "it has no SOPInstanceUID"
    if header.view and view_of_tag(header.view) not in {"PA", "AP", "AP Supine", *options.views}:
        return f"view {quote(header.view)}, not frontal"
    return None


def _row(header: Header, term: str, label: str, key: bytes, options: ImportOptions) -> Row:
    table = options.table.name if options.table else ""
    return Row(
        image=header.file,
        label=label,
        raw_label=term,
        patient_id=make_pseudonym(key, "patient", header.patient),
        study_id=make_pseudonym(key, "study", header.study),
        view=view_of_tag(header.view),
        license=options.license,
        label_provenance=options.provenance or f"column {options.columns.get('label', 'label')!r} of {table}",
    )


def make_pseudonym(key: bytes, kind: str, number: str) -> str | None:
    """Return 16 hexadecimal digits of HMAC-SHA256 that stand for a number, None for an empty one.

    Args:
        key: Secret.
        kind: ``patient`` or ``study``: the same number in both gives two pseudonyms.
        number: As the tag says.
    """
    if not number:
        return None
    return hmac.new(key, f"{kind}|{number}".encode(), hashlib.sha256).hexdigest()[:16]


SOURCE = Source(
    "dicom",
    "a tree of DICOM files, with --labels CSV by SOPInstanceUID",
    scan,
    options=frozenset(
        {"mapping", "columns", "drop_unmapped", "modalities", "table", "body_parts", "key", "encoding", "keep_terms"}
    ),
)
