"""Read DICOM tags as plain values, with errors that name the tag, and the facts that may leave a file as metadata.

Sections are those of PS3.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableSequence
from datetime import date
from typing import TYPE_CHECKING, Any

from pneumoscope.core.errors import ImageError
from pneumoscope.core.labels import VIEWS
from pneumoscope.imaging.plane import Metadata

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

_DAYS_PER_YEAR = 365.25
_OLDEST_AGE = 130  # a date of birth before that is a mistake or stands for an unknown one
_AGE_UNITS = {"D": 1 / _DAYS_PER_YEAR, "W": 7 / _DAYS_PER_YEAR, "M": 1 / 12, "Y": 1.0}  # PS3.5 6.2, AS

# View Code Sequence, context group 4010 (PS3.16), in SNOMED CT and in the older SRT codes.
_VIEW_CODES = {
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "399348003": "AP",
    "R-10206": "AP",
    "399173006": "LL",
    "R-10236": "LL",
    "399198007": "RL",
    "R-10232": "RL",
    "399067008": "LATERAL",
}

# A data set's text is compared in capitals; our own terms are of mixed case, and some writers use an underscore.
_VIEW_TERMS = {term.upper().replace(" ", blank): term for term in VIEWS for blank in (" ", "_")}

_DESCRIPTIONS = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription",
    "PerformedProcedureStepDescription", "AcquisitionDeviceProcessingDescription",
)  # fmt: skip
# Not "port" (a catheter's), nor "mobile" (a screening van's).
_PORTABLE = re.compile(r"(?<!NON-)(?<!NON )(?<!NOT )\b(PORTABLE|BEDSIDE)\b")


class Tags:
    """Typed access to one data set.

    Args:
        dataset: The parsed file, or an item of a sequence in it.
        name: The file, for errors.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.dataset = dataset
        self.name = name

    def wrong(
        self, keyword: str, problem: str, way_out: str = "Correct the tag at its source.", *, code: str = "damaged"
    ) -> ImageError:
        """Return the error that a tag is wrong. ``problem`` must not quote a value that could identify someone."""
        from pydicom.datadict import tag_for_keyword

        tag = tag_for_keyword(keyword) or 0
        where = f"its DICOM tag {keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})"
        return ImageError(self.name, f"{where} {problem}", way_out, code=code)

    def values(self, keyword: str) -> list[Any]:
        """Return the tag's values; none if it is absent or empty."""
        try:
            value = self.dataset.get(keyword)
        except Exception as error:  # pydicom converts on access, and a malformed value can fail in many ways
            raise self.wrong(keyword, "is malformed.") from error
        values = list(value) if isinstance(value, MutableSequence) else [value]  # pydicom's lists and sequences
        return [] if all(item is None or item == "" for item in values) else values

    def has_value(self, keyword: str) -> bool:
        """Return whether the tag is there with any value, malformed or not."""
        try:
            return bool(self.values(keyword))
        except ImageError:
            return True

    def texts(self, keyword: str) -> list[str]:
        """Return the tag's values as text, in capitals and without padding."""
        return [str(value).strip().upper() for value in self.values(keyword)]

    def text(self, keyword: str) -> str:
        """Return the tag's first value as text, in capitals; empty if it is absent."""
        return next(iter(self.texts(keyword)), "")

    def numbers(self, keyword: str) -> list[float]:
        """Return the tag's values as finite numbers."""
        try:
            numbers = [float(value) for value in self.values(keyword)]
        except (TypeError, ValueError) as error:
            raise self.wrong(keyword, "is not a number.") from error
        if not all(map(math.isfinite, numbers)):
            raise self.wrong(keyword, "is not a finite number.")
        return numbers

    def number(self, keyword: str) -> float | None:
        """Return the tag's first value as a number, or None if it is absent."""
        return next(iter(self.numbers(keyword)), None)

    def integer(self, keyword: str) -> int | None:
        """Return the tag's first value as a whole number, or None if it is absent."""
        number = self.number(keyword)
        if number is not None and number != int(number):
            raise self.wrong(keyword, "is not a whole number.")
        return None if number is None else int(number)

    def required(self, keyword: str) -> int:
        """Return the tag's first value as a whole number; its absence is an error."""
        value = self.integer(keyword)
        if value is None:
            raise self.wrong(keyword, "is missing, and the pixels cannot be read without it.")
        return value

    def items(self, keyword: str) -> list[Tags]:
        """Return the items of a sequence; none if it is absent."""
        from pydicom import Dataset

        items = self.values(keyword)
        if not all(isinstance(item, Dataset) for item in items):  # a sequence that is written in another VR
            raise self.wrong(keyword, "is not a sequence.")
        return [Tags(item, self.name) for item in items]


def show_term(term: str) -> str:
    """Return a term of the standard for a message: 16 characters (PS3.5 6.2, CS), those of a damaged one as ``?``."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in term[:16])


def show_uid(uid: UID) -> str:
    """Return the name of a transfer syntax or class for a message; of an unknown one, its digits."""
    name = str(uid.name)
    return name if name != str(uid) else "".join(letter if letter in "0123456789." else "?" for letter in name[:64])


def metadata(tags: Tags, *, swapped: bool) -> Metadata:
    """Return the facts about an exposure that may be kept: none of them is the patient's name, number or date.

    Args:
        tags: The file.
        swapped: Rows and columns were exchanged to bring the image upright; the spacings follow.
    """
    row, column, kind = _calibrated_spacing(tags)
    height, width = _aspect(tags) if kind is None else (None, None)
    codes = [_VIEW_CODES.get(code.text("CodeValue"), "") for code in tags.items("ViewCodeSequence")]
    return {
        "view": _VIEW_TERMS.get(view := tags.text("ViewPosition"), view) or next(filter(None, codes), None),
        "modality": tags.text("Modality") or None,
        "body_part": tags.text("BodyPartExamined") or None,
        "laterality": tags.text("ImageLaterality") or tags.text("Laterality") or None,
        "sex": sex if (sex := tags.text("PatientSex")) in ("M", "F", "O") else None,
        "age": _age(tags),
        "manufacturer": next(iter(map(str, tags.values("Manufacturer"))), "").strip() or None,
        "model": next(iter(map(str, tags.values("ManufacturerModelName"))), "").strip() or None,
        "pixel_spacing_row": column if swapped else row,
        "pixel_spacing_col": row if swapped else column,
        "pixel_spacing_kind": kind,
        "pixel_aspect_row": width if swapped else height,
        "pixel_aspect_col": height if swapped else width,
        "portable": _is_portable(tags) or None,
        "photometric_interpretation": tags.text("PhotometricInterpretation") or None,
        "presentation_lut_shape": tags.text("PresentationLUTShape") or None,
    }


def _calibrated_spacing(tags: Tags) -> tuple[float | None, float | None, str | None]:
    """Return the distance of rows and of columns in mm, and where it holds: in the patient or at the detector.

    An uncalibrated PixelSpacing repeats ImagerPixelSpacing; a different one was corrected for magnification. Where
    neither a type nor ImagerPixelSpacing is present, its definition holds (PS3.3 10.7.1.1).
    """
    patient, detector = _spacing(tags, "PixelSpacing"), _spacing(tags, "ImagerPixelSpacing")
    if patient is None:
        return (None, None, None) if detector is None else (*detector, "detector")
    declared = _text(tags, "PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL")  # PS3.3 10.7.1.2
    same = detector is not None and all(
        math.isclose(a, b, rel_tol=1e-3) for a, b in zip(patient, detector, strict=True)
    )
    return (*patient, "detector" if same and not declared else "patient")


def _aspect(tags: Tags) -> tuple[float, float] | tuple[None, None]:
    """Return height and width of a pixel in any unit (C.7.6.3.1.7), or None: both positive, and not the same."""
    height, width = _spacing(tags, "PixelAspectRatio") or (1.0, 1.0)
    return (height, width) if height != width else (None, None)


def _is_portable(tags: Tags) -> bool:
    """Return whether a description says that the image was taken at the bed; nothing else of it is kept."""
    return any(_PORTABLE.search(_text(tags, keyword)) for keyword in _DESCRIPTIONS)


def _text(tags: Tags, keyword: str) -> str:
    """Return a tag that the pixels do not depend on as text; empty if it is malformed."""
    try:
        return tags.text(keyword)
    except ImageError:
        return ""


def _spacing(tags: Tags, keyword: str) -> tuple[float, float] | None:
    """Return the distance of rows and of columns in mm, or None: both positive (PS3.3 10.7.1.3); some files say 0."""
    try:
        row, column = tags.numbers(keyword)
    except (ImageError, ValueError):
        return None
    return (row, column) if min(row, column) > 0 else None


def _age(tags: Tags) -> float | None:
    """Return the age in years by PatientAge, or else from birth to study; no date of them is kept."""
    stated = _years(tags.text("PatientAge"))
    if stated is not None:
        return stated
    birth, study = (_date(_text(tags, keyword)) for keyword in ("PatientBirthDate", "StudyDate"))
    if birth is None or study is None or not birth <= study:
        return None
    years = study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))
    if years < 2:
        return (study - birth).days / _DAYS_PER_YEAR
    return float(years) if years <= _OLDEST_AGE else None


def _date(text: str) -> date | None:
    """Return a date of the standard (PS3.5 6.2, DA: 20261128) or of its old form 2026.11.28; None if it is none."""
    digits = text.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) if len(digits) == 8 else None
    except ValueError:
        return None


def _years(age: str) -> float | None:
    """Return an age string such as 045Y or 018M in years, or None if it is none."""
    if len(age) != 4 or not age[:3].isdigit() or age[3] not in _AGE_UNITS:
        return None
    return int(age[:3]) * _AGE_UNITS[age[3]]
