"""Which received objects a model may ever see, and their kept headers as data sets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import suppress_warnings
from pneumoscope.server.uploads.headers import ObjectHeader

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

ANALYSED = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image Storage - For Presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray Image Storage - For Processing",
}
"""SOP classes that are taken and analysed, by UID (PS3.4 B.5)."""
SERIES = "AI RESEARCH - NOT FOR DIAGNOSIS"
"""SeriesDescription of everything that this program writes: no object of such a series is analysed."""
NO_IDENTITY, NEVER_ANALYSED, OTHER_STUDY = "no-identity", "never-analysed", "other-study"
UNEXPECTED = "unexpected"
"""Codes of the errors of `check_object` and `check_prior`."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_SOP_INSTANCE = 0x00080018
_PREAMBLE = 132
_META = 64 * 1024
"""Bytes in which the file meta information ends."""
_HEAD_BYTES = 2**16
"""Bytes in which a data set has its SOP class and instance: few elements may come before them (PS3.6)."""


def check_object(header: ObjectHeader, study_uid: str = "") -> None:
    """Check that an object can be referred to and that a model may see it; a decoder asks before it reads the pixels.

    Args:
        header: Of the object.
        study_uid: The study that it has to belong to; empty: any.

    Raises:
        ImageError: It can't, or no model may, or it belongs to another study.
    """
    if (problem := find_missing_uid(header)) is not None:
        raise ImageError("the object", problem, code=NO_IDENTITY)
    if (problem := find_unsuitability(header)) is not None:
        raise ImageError("the object", f"It {problem}", code=NEVER_ANALYSED)
    if study_uid and header.study_uid != study_uid:
        raise ImageError("the object", "It belongs to another study than the address says.", code=OTHER_STUDY)


def check_prior(header: ObjectHeader, study_uid: str, series_uids: Sequence[str]) -> None:
    """Check that an object is one that an archive was asked for, as `check_object` does for what peers send.

    Args:
        header: Of the object.
        study_uid: The study that was asked for.
        series_uids: Its series that were asked for.

    Raises:
        ImageError: It is not.
    """
    if header.study_uid != study_uid or header.series_uid not in series_uids:
        raise ImageError("the object", "It belongs to no series that was asked for.", code=UNEXPECTED)
    check_object(header)


def find_missing_uid(header: ObjectHeader) -> str | None:
    """Say which UID is missing or none, since nothing could refer to this object; None where all are there.

    A UID has digits and points, at most 64 (PS3.5 9.1); leading zeros, which it must not have, are common.
    """
    uids = {
        "SOPInstanceUID (0008,0018)": header.sop_uid,
        "StudyInstanceUID (0020,000D)": header.study_uid,
        "SeriesInstanceUID (0020,000E)": header.series_uid,
    }
    for name, uid in uids.items():
        if not uid:
            return f"It has no {name}."
        if not is_uid(uid):
            return f"Its {name} is no UID."
    return None


def is_uid(text: str) -> bool:
    """Return whether a text is a UID; leading zeros, which it must not have, are common (PS3.5 9.1)."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def find_unsuitability(header: ObjectHeader) -> str | None:
    """Say why no model ever sees this object; None where one may.

    A result that comes back, and a picture that was derived after the examination, would feed models with
    their own output. DERIVED alone says little: every image that is processed or compressed with loss has it, and
    stays PRIMARY where it is the examination's own (PS3.3 C.7.6.1.1.2).
    """
    if header.sop_class not in ANALYSED:
        return "is of no SOP class that is analysed."
    if header.series_description.strip().upper() == SERIES:
        return f"belongs to a series '{SERIES}': it is a result."
    kind = [value.strip().upper() for value in (*header.image_type, "", "")]
    if kind[1] == "SECONDARY" or (kind[0] == "DERIVED" and kind[1] != "PRIMARY"):
        return "is DERIVED and not PRIMARY (ImageType, 0008,0008): it was made after the examination."
    if header.modality.strip().upper() == "OT":
        return "has modality OT (0008,0060): it is no radiograph."
    return None


def find_mismatch(data: memoryview, syntax: UID, sop_class: str, sop_uid: str) -> str | None:
    """Say what of a data set is another than its sender announced (PS3.4 B.2.3); None where nothing is.

    No more is read than the head of the data set, so that one that is a bomb costs nothing here.

    Args:
        data: A data set without file meta information.
        syntax: Its transfer syntax.
        sop_class: The announced SOP class.
        sop_uid: The announced SOP instance.
    """
    from pydicom.filereader import read_dataset

    try:
        with suppress_warnings():
            head = read_dataset(
                BytesIO(data[:_HEAD_BYTES]),
                syntax.is_implicit_VR,
                syntax.is_little_endian,
                stop_when=lambda tag, _, __: tag > _SOP_INSTANCE,
            )
            found = str(head.get("SOPClassUID", "")), str(head.get("SOPInstanceUID", ""))
    except Exception:  # pydicom raises errors of many kinds
        return "It has no SOP class and instance that can be read."
    if found[0] != sop_class:
        return "Its SOP class (0008,0016) is not the announced one."
    return None if found[1] == sop_uid else "Its SOPInstanceUID (0008,0018) is not the announced one."


def read_meta(data: bytes) -> Dataset:
    """Return the file meta information of an object (PS3.10 7.1); no more of it is read.

    Raises:
        Exception: It can't be read; pydicom raises errors of many kinds.
    """
    from pydicom.filereader import read_dataset

    with suppress_warnings():
        return read_dataset(BytesIO(data[_PREAMBLE:_META]), False, True, stop_when=lambda tag, _, __: tag >> 16 != 2)


def load_header(text: str) -> Dataset:
    """Return a kept header as a data set."""
    from pydicom import Dataset

    with suppress_warnings():
        return Dataset.from_json(text)
