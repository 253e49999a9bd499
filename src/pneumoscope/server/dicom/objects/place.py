"""Where an object of this program stands: its UIDs, its series, what it supersedes; and the tags that all share.

UIDs follow from what an object says (2.25 and a hash, PS3.5 B.2), so that the same results are the same object however
often they are made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

from pneumoscope import __version__
from pneumoscope.imaging.plane import suppress_warnings
from pneumoscope.server.dicom.objects.analysed import SERIES
from pneumoscope.server.dicom.objects.headers import copy_patient_and_study, offset_of

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = "Pneumoscope"
LONGEST_MEANING = 64
"""Characters of a code's meaning, and of a name (LO)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands."""

    sop_uid: str
    series_uid: str
    series_number: int
    number: int
    """Of the object in its series."""
    predecessor: Dataset | None
    """SOP class, SOP instance, series and study of the object in whose place it stands."""


def derive_uid(*parts: str) -> str:
    """Return a UID that follows from texts: 2.25 and the first 128 bits of their SHA-256 (PS3.5 B.2)."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def refer_to(sop_class: str, sop_uid: str, series_uid: str, study_uid: str) -> Dataset:
    """Return what a reference to an object is made of."""
    from pydicom import Dataset

    reference = Dataset()
    reference.SOPClassUID, reference.SOPInstanceUID = sop_class, sop_uid
    reference.SeriesInstanceUID, reference.StudyInstanceUID = series_uid, study_uid
    return reference


def refer_to_instance(header: Dataset) -> Dataset:
    """Return a reference to an image (PS3.3 10-11, SOP Instance Reference Macro)."""
    from pydicom import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return reference


def finish(made: Dataset, header: Dataset, model_name: str, at: float) -> bytes:
    """Set the tags that all objects share, and return the object as a file (PS3.10).

    Args:
        made: The object; changed.
        header: Of an image that it is about: patient and study are the same.
        model_name: Of the model, or another name of what made it.
        at: When its contents were there, in seconds since 1970: the object's own time.
    """
    copy_patient_and_study(header, made)
    made.SeriesDescription = SERIES
    made.Manufacturer = MANUFACTURER
    made.ManufacturerModelName = model_name[:LONGEST_MEANING]
    made.SoftwareVersions = __version__
    time = datetime.fromtimestamp(at).astimezone()  # the hospital's own, as the study's times are
    if (offset := offset_of(header)) is not None:
        made.TimezoneOffsetFromUTC = offset
        time = time.astimezone(datetime.strptime(offset, "%z").tzinfo)
    for what in ("InstanceCreation", "Content", "PresentationCreation"):
        if what == "InstanceCreation" or f"{what}Date" in made:
            setattr(made, f"{what}Date", time.strftime("%Y%m%d"))
            setattr(made, f"{what}Time", time.strftime("%H%M%S"))
    for equipment in made.get("ContributingEquipmentSequence") or ():
        equipment.ContributionDateTime = time.strftime("%Y%m%d%H%M%S")
    buffer = BytesIO()
    with suppress_warnings():
        made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
