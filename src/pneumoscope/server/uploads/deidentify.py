"""From the bytes of a file to what is stored: pixels without a patient, facts from a fixed list, an identity apart.

De-identification by construction rather than by removal: of a file nothing is kept but its decoded pixels, written as
a new greyscale PNG without any chunk of the old one (so no EXIF, no overlay, no private tag), and the facts below. By
PS3.15 Annex E that is the Basic Application Level Confidentiality Profile with two options: Retain Patient
Characteristics (E.3.7: sex; age, topped at 90) and Retain Device Identity (E.3.8: manufacturer and model alone). Names
in the pixels themselves are the sender's to declare: BurnedInAnnotation YES is refused, its absence is noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import Metadata, suppress_warnings
from pneumoscope.imaging.read import decode
from pneumoscope.server.inference.runner import Result
from pneumoscope.server.storage.png_codec import Samples, pack, samples_of, stored_sha256

OLDEST = 90.0
"""Ages above are kept as this: the very old are few enough to be known by their age."""
_KEPT = (
    "view", "modality", "body_part", "laterality", "sex", "age", "manufacturer", "model",
    "pixel_spacing_row", "pixel_spacing_col", "pixel_spacing_kind", "portable",
)  # fmt: skip
_LONGEST_FACT = 64


@dataclass(frozen=True, slots=True)
class Exam:
    """What a DICOM file says about who and when; empty where it says nothing."""

    issuer: str
    patient_id: str
    patient_name: str
    birth_date: str
    study_uid: str
    accession: str
    date: str
    time: str

    def person(self) -> dict[str, Any]:
        """Return what is sealed with the patient."""
        return {
            key: value
            for key, value in asdict(self).items()
            if key in ("issuer", "patient_id", "patient_name", "birth_date")
        }

    def examination(self) -> dict[str, Any]:
        """Return what is sealed with the study."""
        return {key: value for key, value in asdict(self).items() if key in ("study_uid", "accession", "date", "time")}


@dataclass(frozen=True, slots=True)
class Taken:
    """What is known of a file that can be stored."""

    name: str
    data_sha256: str
    """Of the file as it came."""
    png_sha256: str
    """Of the pixels as they are stored."""
    format: str
    bits: int
    width: int
    height: int
    facts: dict[str, Any]
    exam: Exam | None
    answers: Mapping[str, Result] = field(default_factory=dict)
    """Of the models that were asked at once, by identity."""


def take(data: bytes, name: str, max_pixels: int) -> tuple[Taken, bytes, Samples]:
    """Return what is known of a file, and its pixels [H, W] as they are to be stored: as a PNG, and as they are in it.

    Args:
        data: The file.
        name: An opaque name for errors.
        max_pixels: Largest image that is decoded.

    Raises:
        ImageError: It is no readable radiograph, or declares names in its pixels.
    """
    radiograph = decode(data, name, max_pixels=max_pixels)
    facts = kept_facts(radiograph.metadata)
    exam = None
    if radiograph.format == "dicom":
        exam, facts["burned_in"] = _dicom(data, name)
    height, width = radiograph.pixels.shape
    samples = samples_of(radiograph.pixels)
    png = pack(samples)
    taken = Taken(
        name=name,
        data_sha256=radiograph.sha256,
        png_sha256=stored_sha256(png),
        format=radiograph.format,
        bits=radiograph.bits,
        width=width,
        height=height,
        facts=facts,
        exam=exam,
    )
    return taken, png, samples


def kept_facts(metadata: Metadata) -> dict[str, Any]:
    """Return the facts that may stay beside the pixels: a fixed list, short texts, no age above 90."""
    facts: dict[str, Any] = {}
    for key in _KEPT:
        value = metadata.get(key)
        if isinstance(value, str):
            value = "".join(letter for letter in value if letter.isprintable())[:_LONGEST_FACT]
        if value not in (None, ""):
            facts[key] = value
    if "age" in facts:
        facts["age"] = min(float(facts["age"]), OLDEST)
    return facts


def _dicom(data: bytes, name: str) -> tuple[Exam, str]:
    """Return the identity in a DICOM file and what it says about names in its pixels (PS3.3 C.7.6.1)."""
    import pydicom

    with suppress_warnings():
        tags = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)

        def text(keyword: str) -> str:
            try:
                return str(tags.get(keyword) or "").strip()[:256]
            except Exception as error:  # pydicom converts on access, and a malformed value can fail in many ways
                problem = f"its DICOM tag {keyword} is malformed."
                raise ImageError(name, problem, "Correct it at its source.", code="damaged") from error

        burned = text("BurnedInAnnotation").upper()
        exam = Exam(
            issuer=text("IssuerOfPatientID"),
            patient_id=text("PatientID"),
            patient_name=text("PatientName"),
            birth_date=text("PatientBirthDate"),
            study_uid=text("StudyInstanceUID"),
            accession=text("AccessionNumber"),
            date=text("AcquisitionDate") or text("StudyDate"),
            time=text("AcquisitionTime") or text("StudyTime"),
        )
    if burned == "YES":
        raise ImageError(
            name,
            "its DICOM tag BurnedInAnnotation (0028,0301) says that the pixels show who the patient is.",
            "Mask the text and set the tag to NO at its source.",
            code="burned-in",
        )
    return exam, "NO" if burned == "NO" else "unknown"
