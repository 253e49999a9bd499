"""From the bytes of a file to what is stored: pixels without a patient, facts from a fixed list, the identity apart.

De-identification by construction rather than by removal: nothing of a file is kept but its decoded pixels, written as
a new greyscale PNG without any chunk of the old one (so no EXIF, no overlay, no private tag), and the facts below. By
PS3.15 Annex E that is the Basic Application Level Confidentiality Profile with two options: Retain Patient
Characteristics (E.3.7: sex; age, topped at 90) and Retain Device Identity (E.3.8: the manufacturer alone). A sender
can write anything into a text, a name too, so texts are stored where they are known terms; as they were sent they are
sealed with the identity. Names in the pixels themselves are the sender's to declare: BurnedInAnnotation YES is refused,
its absence is noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pneumoscope.bundle.body_parts import known_part
from pneumoscope.bundle.screening import KNOWN_VIEWS
from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import Metadata, suppress_warnings
from pneumoscope.imaging.read import MAX_BYTES, decode, sniff
from pneumoscope.server.inference.runner import Result
from pneumoscope.server.storage.png_codec import Samples, encode_png, sha256_of, to_samples
from pneumoscope.server.studies.patients import Person
from pneumoscope.server.uploads.headers import HeaderCheck, ObjectHeader, read_header

OLDEST = 90.0
"""Years; ages above are stored as this: the very old are few enough to be known by their age."""
_ALLOWED = (
    "view", "modality", "body_part", "laterality", "sex", "age", "manufacturer",
    "pixel_spacing_row", "pixel_spacing_col", "pixel_spacing_kind", "pixel_aspect_row", "pixel_aspect_col",
    "orientation", "largest_value", "portable", "depth", "window", "rescale", "lut_bits", "lut_bits_declared", "exif",
    "colour_share",
)  # fmt: skip
_SEALED = ("view", "modality", "body_part", "laterality", "manufacturer", "model")
"""Facts that are sealed as they were sent."""
MODALITIES = frozenset({"CR", "DX", "DR", "RF", "XA", "XC", "MG", "IO", "PX", "RG", "OT"})
"""Known terms that are stored."""
_LATERALITIES = frozenset({"L", "R", "U", "B"})
_MANUFACTURERS = {
    "AGFA": "Agfa", "CANON": "Canon", "CARESTREAM": "Carestream", "DRGEM": "DRGEM", "DRTECH": "DRTECH",
    "FUJI": "Fujifilm", "FUJIFILM": "Fujifilm", "FUJIPHOTO": "Fujifilm", "GE": "GE", "GENERAL ELECTRIC": "GE",
    "HOLOGIC": "Hologic", "KODAK": "Kodak", "KONICA": "Konica Minolta", "LISTEM": "Listem", "MINDRAY": "Mindray",
    "PHILIPS": "Philips", "RAYENCE": "Rayence", "SAMSUNG": "Samsung", "SHIMADZU": "Shimadzu", "SIEMENS": "Siemens",
    "SWISSRAY": "Swissray", "TOSHIBA": "Toshiba", "TRIXELL": "Trixell", "UNITED IMAGING": "United Imaging",
    "VAREX": "Varex", "VIEWORKS": "Vieworks",
}  # fmt: skip
"""First words of a manufacturer's name, in capitals, and the name that is stored for it."""
_UNDECODED = "\N{REPLACEMENT CHARACTER}"
_LONGEST_SEALED = 256
"""Characters of a sealed text."""


@dataclass(frozen=True, slots=True)
class Exam:
    """What a DICOM file says about who was examined and when; empty texts where it says nothing."""

    issuer: str
    patient_id: str
    patient_name: str
    birth_date: str
    study_uid: str
    accession: str
    date: str
    time: str
    issuer_bytes: bytes = b""
    patient_id_bytes: bytes = b""
    study_uid_bytes: bytes = b""
    patient_name_bytes: bytes = b""
    """These four as they were sent, without the blanks around them."""
    device: Mapping[str, str] = field(default_factory=dict)
    """The facts of `_SEALED` as they were sent."""

    def person(self) -> Person | None:
        """Return who was examined; None where the file has no PatientID."""
        if not self.patient_id_bytes:
            return None
        identity = {name: getattr(self, name) for name in ("issuer", "patient_id", "patient_name", "birth_date")}
        if _UNDECODED in self.patient_name:
            identity["patient_name_bytes"] = self.patient_name_bytes.hex()
        return Person(self.issuer_bytes, self.patient_id_bytes, identity)

    def exam_identity(self) -> dict[str, Any]:
        """Return what is sealed with the study."""
        return {name: getattr(self, name) for name in ("study_uid", "accession", "date", "time")} | dict(self.device)


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    """What is known of a file that can be stored; its pixels are elsewhere."""

    name: str
    """The file by an opaque name."""
    data_sha256: str
    """Of the file as it came."""
    png_sha256: str
    """Of the pixels as they are stored."""
    format: str
    bits: int
    width: int
    height: int
    facts: dict[str, Any]
    """See `allowed_facts`."""
    exam: Exam | None
    """None: the file is no DICOM file."""
    depth: int | None = None
    """Bits in use that the sender declared, where they decided about the pixels."""
    header: ObjectHeader | None = None
    """None: the file is no DICOM file."""
    answers: Mapping[str, Result] = field(default_factory=dict)
    """Answers of the models that were asked at once, by identity."""


def deidentify(
    data: bytes,
    name: str,
    max_pixels: int,
    depth: int | None = None,
    max_bytes: int = MAX_BYTES,
    check: HeaderCheck | None = None,
) -> tuple[DecodedUpload, bytes, Samples]:
    """Return what is known of a file, and its pixels as they are to be stored: as a PNG, and as its samples [H, W].

    Args:
        data: The file.
        name: An opaque name for errors.
        max_pixels: Pixels of the largest image that is decoded.
        depth: Bits in use in a 16-bit file, see `imaging.read.read`.
        max_bytes: Largest size to which a deflated file may inflate.
        check: Checks the header of a DICOM file before its pixels are decoded.

    Raises:
        ImageError: The file is no readable radiograph, or declares names in its pixels; or what `check` raises.
    """
    header = None
    if len(data) <= max_bytes and sniff(data, name) == "dicom":
        header = read_header(data, name, max_bytes)
        if check is not None:
            check(header)
    radiograph = decode(data, name, max_pixels=max_pixels, depth=depth, max_bytes=max_bytes)
    facts = allowed_facts(radiograph.metadata)
    exam = None
    if radiograph.format == "dicom":
        exam, facts["burned_in"] = _read_exam(data, name, max_bytes)
        sent = {key: str(radiograph.metadata.get(key) or "")[:_LONGEST_SEALED] for key in _SEALED}
        exam = replace(exam, device={key: text for key, text in sent.items() if text})
    height, width = radiograph.pixels.shape
    samples = to_samples(radiograph.pixels)
    png = encode_png(samples)
    decoded = DecodedUpload(
        name=name,
        data_sha256=radiograph.sha256,
        png_sha256=sha256_of(png),
        format=radiograph.format,
        bits=radiograph.bits,
        width=width,
        height=height,
        facts=facts,
        exam=exam,
        depth=depth if "depth" in radiograph.metadata else None,
        header=header,
    )
    return decoded, png, samples


def allowed_facts(metadata: Metadata) -> dict[str, Any]:
    """Return the facts that may be stored beside the pixels: a fixed list, known terms, no age above 90."""
    facts: dict[str, Any] = {}
    for key in _ALLOWED:
        value = metadata.get(key)
        if key in _SEALED:
            value = _known_term(key, str(value or "").strip())
        if value not in (None, ""):
            facts[key] = value
    if "age" in facts:
        facts["age"] = min(float(facts["age"]), OLDEST)
    return facts


def _known_term(key: str, text: str) -> str:
    """Return the known term for a text that a sender wrote; empty where it is none."""
    upper = text.upper()
    if key == "body_part":
        return known_part(text)
    if key == "manufacturer":
        words = upper.replace(",", " ").replace("_", " ").split()
        return _MANUFACTURERS.get(" ".join(words[:2])) or _MANUFACTURERS.get(" ".join(words[:1]), "")
    known = {"view": KNOWN_VIEWS, "modality": MODALITIES, "laterality": _LATERALITIES}[key]
    return text if upper in known else ""


def _read_exam(data: bytes, name: str, max_bytes: int) -> tuple[Exam, str]:
    """Return the identity in a DICOM file and what it says about names in its pixels (PS3.3 C.7.6.1).

    The parser is the one that the pixels came through: a second one could take another transfer syntax, or inflate
    without a limit.
    """
    from pydicom.multival import MultiValue

    from pneumoscope.imaging.dicom.file import parse

    with suppress_warnings():
        tags = parse(data, name, max_bytes).tags.dataset

        def text(keyword: str) -> str:
            try:
                value = tags.get(keyword) or ""
                several = isinstance(value, MultiValue)  # a backslash in a number parts it
                return ("\\".join(map(str, value)) if several else str(value)).strip()[:256]
            except Exception as error:  # pydicom converts on access, and a malformed value can fail in many ways
                problem = f"its DICOM tag {keyword} is malformed."
                raise ImageError(name, problem, "Correct it at its source.", code="damaged") from error

        def sent(keyword: str) -> bytes:
            """Return a value before it is decoded; read before `text`, which decodes it in place."""
            element = tags.get_item(keyword)
            value = None if element is None else element.value
            return (value if isinstance(value, bytes) else str(value or "").encode()).strip(b" \0\t\r\n")

        issuer_bytes, patient_id_bytes = sent("IssuerOfPatientID"), sent("PatientID")
        study_uid_bytes, patient_name_bytes = sent("StudyInstanceUID"), sent("PatientName")
        burned_in = text("BurnedInAnnotation").upper()
        exam = Exam(
            issuer=text("IssuerOfPatientID"),
            patient_id=text("PatientID"),
            patient_name=text("PatientName"),
            birth_date=text("PatientBirthDate"),
            study_uid=text("StudyInstanceUID"),
            accession=text("AccessionNumber"),
            date=text("AcquisitionDate") or text("StudyDate"),
            time=text("AcquisitionTime") or text("StudyTime"),
            issuer_bytes=issuer_bytes,
            patient_id_bytes=patient_id_bytes,
            study_uid_bytes=study_uid_bytes,
            patient_name_bytes=patient_name_bytes,
        )
    if burned_in == "YES":
        raise ImageError(
            name,
            "its DICOM tag BurnedInAnnotation (0028,0301) says that the pixels show who the patient is.",
            "Mask the text and set the tag to NO at its source.",
            code="burned-in",
        )
    return exam, "NO" if burned_in == "NO" else "unknown"
