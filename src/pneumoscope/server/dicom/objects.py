"""The header of a received object: what it is, whether a model may ever see it, and what of it is kept.

Results go back to where an object came from, with the patient's and the study's own tags. So the header is kept, sealed
like every identity: without pixels, private tags, overlays and icons.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pneumoscope.imaging.dicom.file import parse
from pneumoscope.imaging.plane import suppress_warnings

if TYPE_CHECKING:
    from pydicom import Dataset

ANALYSED = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image Storage - For Presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray Image Storage - For Processing",
}
"""SOP classes that are taken and analysed, by UID (PS3.4 B.5)."""
SERIES = "AI RESEARCH - NOT FOR DIAGNOSIS"
"""SeriesDescription of everything that this program writes: no object of such a series is analysed."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_LONGEST_HEADER = 256 * 1024
"""Characters of a kept header; a radiograph's has some 10,000."""
_LEFT_OUT = (0x7FE0, 0x5400)
"""Groups that are not kept, beside private ones and overlays: pixels, waveforms."""
_ICON = 0x00880200


@dataclass(frozen=True, slots=True)
class ObjectHeader:
    """What the header of an object says."""

    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    modality: str
    image_type: tuple[str, ...]
    series_description: str
    json: str
    """The header as DICOM JSON (PS3.18 F), less what is not kept."""

    def find_missing_uid(self) -> str | None:
        """Say which UID is missing or none, since nothing could refer to this object; None where all are there.

        A UID has digits and points, at most 64 (PS3.5 9.1); leading zeros, which it must not have, are common.
        """
        uids = {
            "SOPInstanceUID (0008,0018)": self.sop_uid,
            "StudyInstanceUID (0020,000D)": self.study_uid,
            "SeriesInstanceUID (0020,000E)": self.series_uid,
        }
        for name, uid in uids.items():
            if not uid:
                return f"It has no {name}."
            if len(uid) > _LONGEST_UID or not _UID.fullmatch(uid):
                return f"Its {name} is no UID."
        return None

    def find_unsuitability(self) -> str | None:
        """Say why no model ever sees this object; None where one may.

        A result that comes back, and a picture that was derived after the examination, would feed models with
        their own output. DERIVED alone says little: every image that is processed or compressed with loss has it, and
        stays PRIMARY where it is the examination's own (PS3.3 C.7.6.1.1.2).
        """
        if self.sop_class not in ANALYSED:
            return "is of no SOP class that is analysed."
        if self.series_description.strip().upper() == SERIES:
            return f"belongs to a series '{SERIES}': it is a result."
        kind = [value.strip().upper() for value in (*self.image_type, "", "")]
        if kind[1] == "SECONDARY" or (kind[0] == "DERIVED" and kind[1] != "PRIMARY"):
            return "is DERIVED and not PRIMARY (ImageType, 0008,0008): it was made after the examination."
        if self.modality.strip().upper() == "OT":
            return "has modality OT (0008,0060): it is no radiograph."
        return None


def read_header(data: bytes, name: str, max_bytes: int) -> ObjectHeader:
    """Return what the header of an object says.

    Args:
        data: The object as a file (PS3.10).
        name: An opaque name for errors.
        max_bytes: Largest size to which a deflated file may inflate.

    Raises:
        ImageError: It inflates beyond the limit.
    """
    with suppress_warnings():
        tags = parse(data, name, max_bytes).tags.dataset
        return ObjectHeader(
            sop_class=_text(tags, "SOPClassUID"),
            sop_uid=_text(tags, "SOPInstanceUID"),
            series_uid=_text(tags, "SeriesInstanceUID"),
            study_uid=_text(tags, "StudyInstanceUID"),
            modality=_text(tags, "Modality"),
            image_type=_texts(tags, "ImageType"),
            series_description=_text(tags, "SeriesDescription"),
            json=_keep(tags),
        )


def load_header(text: str) -> Dataset:
    """Return a kept header as a data set."""
    from pydicom import Dataset

    with suppress_warnings():
        return Dataset.from_json(text)


def _keep(tags: Dataset) -> str:
    """Return a header as DICOM JSON; an element that can't be written is left out, a huge header whole."""
    kept: dict[str, Any] = {}
    for tag in list(tags.keys()):
        if tag.is_private or tag.group in _LEFT_OUT or 0x6000 <= tag.group <= 0x60FF or tag == _ICON:
            continue
        try:
            element = tags[tag]
            value = element.to_json_dict(bulk_data_element_handler=None, bulk_data_threshold=_LONGEST_HEADER)
            json.dumps(value)
        except Exception:  # pydicom converts on access, and a malformed value can fail in many ways
            continue
        kept[f"{int(tag):08X}"] = value
    text = json.dumps(kept)
    return text if len(text) <= _LONGEST_HEADER else "{}"


def _text(tags: Dataset, keyword: str) -> str:
    try:
        return str(tags.get(keyword) or "").strip(" \0")
    except Exception:  # as above: a malformed value says nothing
        return ""


def _texts(tags: Dataset, keyword: str) -> tuple[str, ...]:
    try:
        value = tags.get(keyword)
    except Exception:  # as above
        return ()
    return (str(value),) if isinstance(value, str) else tuple(str(one) for one in value or ())
