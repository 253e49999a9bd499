"""The pixels of a kept object as WADO-RS gives them: the bytes of its frame, as they lie in the file.

Nothing is decoded or coded again here. Media types are those of PS3.18 tables 8.7.3-3 to 8.7.3-5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

from pneumoscope.imaging.plane import suppress_warnings
from pneumoscope.server.errors import NotFoundError

OCTETS = "application/octet-stream"
LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_IMPLICIT = "1.2.840.10008.1.2"
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        _IMPLICIT: OCTETS,
        LITTLE_ENDIAN: OCTETS,
        "1.2.840.10008.1.2.4.50": "image/jpeg",
        "1.2.840.10008.1.2.4.51": "image/jpeg",
        "1.2.840.10008.1.2.4.57": "image/jpeg",
        "1.2.840.10008.1.2.4.70": "image/jpeg",
        "1.2.840.10008.1.2.4.80": "image/jls",
        "1.2.840.10008.1.2.4.81": "image/jls",
        "1.2.840.10008.1.2.4.90": "image/jp2",
        "1.2.840.10008.1.2.4.91": "image/jp2",
        "1.2.840.10008.1.2.5": "image/dicom-rle",
    }
)
"""Of a frame, by the transfer syntax of its file: of all that a peer may send."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels of an object."""

    content: bytes
    kind: str
    """Media type."""
    syntax: str
    """UID of the transfer syntax that the bytes have."""


def read_frame(data: bytes, syntax: str) -> Frame:
    """Return the only frame of an object.

    Args:
        data: The object as a file (PS3.10); a decoder read it when it came.
        syntax: UID of its transfer syntax.

    Raises:
        NotFoundError: It has no pixels that can be told apart, or more than one frame.
    """
    from pydicom import dcmread
    from pydicom.encaps import get_frame

    wanted = ["PixelData", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated"]
    with suppress_warnings():
        read = dcmread(BytesIO(data), specific_tags=wanted)
        pixels = read.get("PixelData")
        if not pixels or int(read.get("NumberOfFrames") or 1) != 1 or syntax not in MEDIA_TYPES:
            raise NotFoundError("frame", "can't be given by itself.", "Retrieve the object.")
        if MEDIA_TYPES[syntax] != OCTETS:
            return Frame(get_frame(pixels, 0, number_of_frames=1), MEDIA_TYPES[syntax], syntax)
    samples = int(read.Rows) * int(read.Columns) * int(read.get("SamplesPerPixel") or 1)
    # Without the byte that makes an odd length even. Pixels are the same bytes in either little endian syntax.
    return Frame(pixels[: (samples * int(read.BitsAllocated) + 7) // 8], OCTETS, LITTLE_ENDIAN)
