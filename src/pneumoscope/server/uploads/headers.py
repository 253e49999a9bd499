"""The header of a DICOM file: what it is, and what of it is kept.

Results go back to where an object came from, with the patient's and the study's own tags. So the header is kept, sealed
like every identity: without pixels, private tags, overlays and icons. It is read by a decoder, under its limits of
memory and time: a header can be a bomb as pixels can.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from pneumoscope.core.errors import ImageError, MissingExtraError, PneumoscopeError
from pneumoscope.imaging.dicom.file import parse
from pneumoscope.imaging.plane import suppress_warnings

if TYPE_CHECKING:
    from pydicom import Dataset

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
    """The header as DICOM JSON (PS3.18 F), less what is not kept; an empty object where it is too long."""


HeaderCheck: TypeAlias = Callable[[ObjectHeader], None]
"""Raises an `ImageError` where an object is not to be decoded. It goes to a decoder by name: a module's function."""


def read_header(data: bytes, name: str, max_bytes: int) -> ObjectHeader:
    """Return what the header of an object says.

    Args:
        data: The object as a file (PS3.10).
        name: An opaque name for errors.
        max_bytes: Largest size to which a deflated file may inflate.

    Raises:
        ImageError: It inflates beyond the limit, needs too much memory, or is damaged.
        MissingExtraError: The extra ``dicom`` is not installed.
    """
    if find_spec("pydicom") is None:
        raise MissingExtraError("reading DICOM files", "dicom")
    try:
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
    except PneumoscopeError:
        raise
    except MemoryError as error:
        problem = "needs more memory than this program may use."
        raise ImageError(name, problem, "Send it without its private tags.", code="kills-decoder") from error
    except Exception as error:  # such as a RecursionError: sequences in sequences
        problem = "is a damaged or unsupported DICOM file."
        raise ImageError(
            name, problem, "Get an undamaged copy, or save it as an 8- or 16-bit greyscale PNG.", code="damaged"
        ) from error


def _keep(tags: Dataset) -> str:
    """Return a header as DICOM JSON; an element that can't be written is left out, a huge header whole."""
    kept: dict[str, Any] = {}
    length = 0
    for tag in list(tags.keys()):
        if tag.is_private or tag.group in _LEFT_OUT or 0x6000 <= tag.group <= 0x60FF or tag == _ICON:
            continue
        try:
            element = tags[tag]
            value = element.to_json_dict(bulk_data_element_handler=None, bulk_data_threshold=_LONGEST_HEADER)
            length += len(json.dumps(value))
        except Exception:  # pydicom converts on access, and a malformed value can fail in many ways
            continue
        if length > _LONGEST_HEADER:
            return "{}"
        kept[f"{int(tag):08X}"] = value
    return json.dumps(kept)


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
