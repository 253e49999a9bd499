"""The header of an image as a source of other objects: what a library may read of it, and what is copied as it is.

Archives find the patient and the study of an object by its tags. So those are copied as they came, even where they
break the standard: a StudyTime of 10:11:12 is common, and a corrected one would be another. A library that writes
objects would refuse them; it gets a header without them, with the few other tags that it needs.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from pneumoscope.imaging.plane import suppress_warnings

if TYPE_CHECKING:
    from pydicom import Dataset

ALWAYS = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""Tags of patient and study that every object has, empty where nothing is known (type 2)."""
PATIENT_AND_STUDY = (
    *ALWAYS,
    # Patient (PS3.3 C.7.1.1)
    *("IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientBirthTime"),
    *("OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "EthnicGroup", "PatientComments"),
    *("QualityControlSubject", "ReferencedPatientSequence", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization"),
    # General Study (C.7.2.1)
    *("StudyInstanceUID", "StudyDescription", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy"),
    *("ReferringPhysicianIdentificationSequence", "ConsultingPhysicianName", "IssuerOfAccessionNumberSequence"),
    *("ReferencedStudySequence", "ProcedureCodeSequence", "RequestingServiceCodeSequence"),
    # Patient Study (C.7.2.2)
    *("AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize", "PatientWeight"),
    *("Occupation", "AdditionalPatientHistory", "AdmissionID", "IssuerOfAdmissionIDSequence", "ServiceEpisodeID"),
    *("PregnancyStatus", "SmokingStatus", "MedicalAlerts", "Allergies", "PatientSexNeutered"),
)
"""Tags that are copied from an image to each result about it."""
_READ = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Rows", "Columns"),
    *("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
    *("PhotometricInterpretation", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PatientOrientation", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"),
    *("VOILUTFunction", "VOILUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""Tags that a library may read of an image.

PixelSpacing is not among them: a segmentation refers to the image's own pixels, and highdicom reads none back that has
a spacing without a slice's thickness.
"""
_TOGETHER = (("WindowCenter", "WindowWidth"), ("RescaleSlope", "RescaleIntercept"))
_OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")


def as_evidence(header: Dataset) -> Dataset:
    """Return what a library may read of an image, without values that have no meaning."""
    from pydicom import Dataset

    evidence = Dataset()
    with suppress_warnings():
        for keyword in _READ:
            if keyword in header:
                evidence[keyword] = header[keyword]
        for keyword in ALWAYS:
            setattr(evidence, keyword, "")
        for pair in _TOGETHER:
            if not all(_numbers(evidence, keyword) for keyword in pair):
                _remove(evidence, *pair)
        if any(width <= 0 for width in _numbers(evidence, "WindowWidth")):
            _remove(evidence, "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")
        if len(evidence.get("PatientOrientation") or ()) != 2:
            _remove(evidence, "PatientOrientation")
        evidence.SpecificCharacterSet = "ISO_IR 192"
    return evidence


def copy_patient_and_study(header: Dataset, made: Dataset) -> None:
    """Copy the tags of patient and study to an object, as they are.

    The header's texts were decoded when it was kept, so that the sender's character sets, which may be none, are not
    needed; the object has them in UTF-8.

    Args:
        header: Of an image.
        made: The object; changed.
    """
    with suppress_warnings():
        for keyword in PATIENT_AND_STUDY:
            if keyword not in header:
                if keyword in ALWAYS:
                    setattr(made, keyword, "")
            elif header[keyword].VR != "SQ" or header[keyword].value:
                made[keyword] = header[keyword]
        made.SpecificCharacterSet = "ISO_IR 192"


def offset_of(header: Dataset) -> str | None:
    """Return the offset from UTC that an image's times have, as +0900; None where it does not say."""
    offset = str(header.get("TimezoneOffsetFromUTC") or "").strip()
    return offset if _OFFSET.fullmatch(offset) else None


def _numbers(tags: Dataset, keyword: str) -> list[float]:
    """Return the values of a tag; nothing where one of them is no finite number."""
    from pydicom.multival import MultiValue

    value = tags.get(keyword)
    values = list(value) if isinstance(value, MultiValue) else [value]
    try:
        numbers = [float(one) for one in values]
    except (TypeError, ValueError):
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def _remove(tags: Dataset, *keywords: str) -> None:
    for keyword in keywords:
        if keyword in tags:
            delattr(tags, keyword)
