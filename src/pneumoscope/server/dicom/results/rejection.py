"""Rejection notes (IHE Radiology, Imaging Object Change Management): read from others, and written about own results.

A note is a Key Object Selection whose title says why objects are rejected (PS3.16 CID 7011). It goes wherever the
rejected objects went, and archives then hide or delete them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING

from pneumoscope.core.errors import ImageError, MissingExtraError
from pneumoscope.imaging.plane import suppress_warnings
from pneumoscope.server.dicom.objects.headers import as_evidence
from pneumoscope.server.dicom.objects.place import MANUFACTURER, derive_uid, finish

if TYPE_CHECKING:
    from pydicom import Dataset

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "113001": "Rejected for Quality Reasons",
        "113037": "Rejected for Patient Safety Reasons",
        "113038": "Incorrect Modality Worklist Entry",
        "113039": "Data Retention Policy Expired",
    }
)
"""Titles of rejection notes, by code of the scheme DCM."""
INCORRECT_ENTRY = "113038"
_MOST_BYTES = 2**20
"""Of a note that is read: it has some hundred references at most."""
_SERIES_NUMBER = 9990


@dataclass(frozen=True, slots=True)
class RejectionNote:
    """What a note says."""

    code: str
    sop_uids: frozenset[str]
    """The objects that are rejected."""


def read_note(data: bytes) -> RejectionNote | None:
    """Return what a key object selection rejects; None where it is no rejection note.

    Args:
        data: A DICOM file.

    Raises:
        ImageError: It can't be read.
    """
    from pydicom import dcmread

    if len(data) > _MOST_BYTES:
        raise ImageError("the note", f"has more than {_MOST_BYTES} bytes.")
    try:
        with suppress_warnings():
            note = dcmread(BytesIO(data))
            title = note.ConceptNameCodeSequence[0]
            code = str(title.CodeValue)
            if str(title.CodingSchemeDesignator) != "DCM" or code not in TITLES:
                return None
            sop_uids = {
                str(item.ReferencedSOPInstanceUID)
                for study in note.CurrentRequestedProcedureEvidenceSequence
                for series in study.ReferencedSeriesSequence
                for item in series.ReferencedSOPSequence
            }
    except Exception as error:  # pydicom converts on access, and a malformed object can fail in many ways
        raise ImageError("the note", "is no key object selection that can be read.") from error
    return RejectionNote(code, frozenset(sop_uids))


@dataclass(frozen=True, slots=True)
class WrittenNote:
    """A note about own results, as a DICOM file."""

    sop_uid: str
    series_uid: str
    data: bytes


def write_note(code: str, results: Sequence[Dataset], at: float) -> WrittenNote:
    """Return a note that rejects own results of one study.

    Args:
        code: Why, of `TITLES`.
        results: The objects, at least one.
        at: When they were rejected, in seconds since 1970.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
        from highdicom.sr import CodedConcept
    except ImportError as error:
        raise MissingExtraError("a rejection note", "pacs") from error
    study = str(results[0].StudyInstanceUID)
    names = sorted(str(result.SOPInstanceUID) for result in results)
    sop_uid, series_uid = derive_uid("rejection", code, *names), derive_uid(study, "rejection", "series")
    evidence = [as_evidence(result) for result in results]
    document = KeyObjectSelectionDocument(
        evidence=evidence,
        content=KeyObjectSelection(CodedConcept(code, "DCM", TITLES[code]), evidence),
        series_instance_uid=series_uid,
        series_number=_SERIES_NUMBER,
        sop_instance_uid=sop_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
    )
    return WrittenNote(sop_uid, series_uid, finish(document, results[0], MANUFACTURER, at))
