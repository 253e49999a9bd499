"""Parse a DICOM file (PS3.10): its header by pydicom, and its pixel data element here.

pydicom inflates a deflated file whole, drops the whole header of a file that ends too early, and takes the number of
frames from an offset table. This module inflates within a limit, and returns the pixel data element as it lies in the
file, so that the decoder can say what is missing. Sections are those of PS3.5.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.dicom.tags import Tags, show_uid

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag
    from pydicom.uid import UID

AGAIN = "Export it again from its source."
_ITEM, _DELIMITER = 0xFFFEE000, 0xFFFEE0DD  # 7.5: an item of a sequence; the end of the sequence
_UNDEFINED = 0xFFFFFFFF  # 7.1.1: a value that ends with a delimiter
_PIXEL_DATA = 0x7FE00010
_FIRST_PIXELS = 0x7FE00008  # FloatPixelData; DoubleFloatPixelData follows, then PixelData


class DicomFile(NamedTuple):
    """A parsed file.

    Attributes:
        tags: The elements before the pixel data.
        syntax: TransferSyntaxUID; an unknown one is empty.
        data: The bytes of the file; those of a deflated one are inflated.
        pixels_at: Where the pixel data element starts in ``data``; None if there is none.
        truncated: The header ends in the middle of an element.
    """

    tags: Tags
    syntax: UID
    data: bytes
    pixels_at: int | None
    truncated: bool


class PixelElement(NamedTuple):
    """The value of the pixel data element.

    Attributes:
        vr: OB or OW; it decides the byte order of 8-bit samples in a big-endian file (8.2).
        native: Uncompressed samples; empty where the data is encapsulated.
        fragments: The compressed fragments of the frame, without the offset table.
        encapsulated: The element holds fragments.
        complete: It holds as many bytes as it declares, or ends with its delimiter.
    """

    vr: str
    native: memoryview
    fragments: tuple[memoryview, ...]
    encapsulated: bool
    complete: bool


def parse(data: bytes, name: str, max_bytes: int) -> DicomFile:
    """Parse a file up to its pixel data.

    Args:
        data: The file's bytes.
        name: The file, for errors.
        max_bytes: Largest size to which a deflated file may inflate.

    Raises:
        ImageError: It inflates beyond the limit.
    """
    from pydicom import Dataset
    from pydicom.filereader import read_dataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian, PrivateTransferSyntaxes

    syntax, start = _read_syntax(data)
    if syntax == DeflatedExplicitVRLittleEndian:
        data, start = _inflate(memoryview(data)[start:], name, max_bytes), 0
    private = next((uid for uid in PrivateTransferSyntaxes if uid == syntax), syntax)
    known = private.is_transfer_syntax
    buffer = BytesIO(data)
    buffer.seek(start)
    try:
        dataset = read_dataset(
            buffer,
            is_implicit_VR=private.is_implicit_VR if known else False,
            is_little_endian=private.is_little_endian if known else True,
            stop_when=_is_pixel_data,
        )
    except struct.error:  # the file ends within the length of an element
        dataset = Dataset()
    at = buffer.tell()
    pixels_at = at if len(dataset) and len(data) - at >= 8 else None
    return DicomFile(Tags(dataset, name), syntax, data, pixels_at, pixels_at is None and _is_truncated(dataset))


def read_pixel_element(file: DicomFile) -> PixelElement:
    """Return the pixel data element, as far as the file holds it.

    Raises:
        ImageError: Its header is malformed.
    """
    assert file.pixels_at is not None
    view, at = memoryview(file.data), file.pixels_at
    little = bool(file.tags.dataset.original_encoding[1])
    order = "<" if little else ">"
    # A file may be explicit against its transfer syntax. The letters of a VR are never a length, which is even.
    explicit = file.data[at + 4 : at + 6].isalpha() and file.data[at + 4 : at + 6].isupper()
    vr = "OB" if explicit and file.data[at + 4 : at + 6] == b"OB" else "OW"  # implicit VR means OW (A.1)
    start = at + (12 if explicit else 8)
    if start > len(view):
        return PixelElement(vr, view[:0], (), file.syntax.is_encapsulated, complete=False)
    group, element = struct.unpack_from(f"{order}HH", view, at)
    (length,) = struct.unpack_from(f"{order}I", view, start - 4)
    if group << 16 | element != _PIXEL_DATA:
        problem = "holds floating-point pixel data."
        raise ImageError(file.tags.name, problem, "Export it as greyscale.", code="unsupported")
    if not file.syntax.is_encapsulated:
        if length == _UNDEFINED:
            raise file.tags.wrong(
                "PixelData", f"has no length, as only compressed pixel data may ({show_uid(file.syntax)})."
            )
        return PixelElement(vr, view[start : start + length], (), False, start + length <= len(view))
    end = len(view) if length == _UNDEFINED else min(len(view), start + length)
    fragments, closed = _read_fragments(view[start:end])
    return PixelElement(vr, view[:0], fragments, True, closed or (length != _UNDEFINED and start + length <= len(view)))


def _is_truncated(dataset: Dataset) -> bool:
    """Return whether a data set without pixel data has lost its end.

    pydicom returns the last element short, or none at all where an element without a length is cut.
    """
    from pydicom.dataelem import RawDataElement

    if not len(dataset) or "Rows" in dataset:
        return True
    last = dataset.get_item(max(dataset.keys()))
    return isinstance(last, RawDataElement) and len(last.value or b"") < last.length


def _read_syntax(data: bytes) -> tuple[UID, int]:
    """Return TransferSyntaxUID, and where the data set begins, by pydicom's parser of the file meta information."""
    from pydicom.filereader import read_dataset
    from pydicom.uid import UID

    buffer, syntax, start = BytesIO(data), UID(""), 132
    # The file meta information is in explicit VR little endian (PS3.10 7.1); some writers use implicit VR.
    for implicit in (False, True):
        buffer.seek(132)
        meta = read_dataset(buffer, implicit, True, stop_when=_is_after_file_meta)
        start = buffer.tell()
        try:
            syntax = UID(str(meta.get("TransferSyntaxUID") or ""))
        except NotImplementedError:  # a VR that does not exist
            continue
        if syntax:
            break
    return syntax, start


def _is_after_file_meta(tag: BaseTag, vr: str | None, length: int) -> bool:
    return bool(tag >> 16 != 2)


def _is_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:
    return _FIRST_PIXELS <= int(tag) <= _PIXEL_DATA


def _inflate(coded: memoryview, name: str, max_bytes: int) -> bytes:
    """Inflate a data set (A.5) within a limit; one that ends too early yields what it holds."""
    inflater, pieces, size = zlib.decompressobj(-zlib.MAX_WBITS), [], 0
    source = BytesIO(coded)
    while (piece := inflater.unconsumed_tail or source.read(2**16)) and not inflater.eof:
        pieces.append(inflater.decompress(piece, 2**20))
        size += len(pieces[-1])
        if size > max_bytes:
            limit = max_bytes // 2**20
            problem = f"inflates to more than {limit} MiB."
            way_out = "Give a plain radiograph (modality CR or DX)."
            raise ImageError(name, problem, way_out, code="too-large", values={"limit_mib": limit})
    return b"".join(pieces)


def _read_fragments(view: memoryview) -> tuple[tuple[memoryview, ...], bool]:
    """Return the fragments of encapsulated pixel data (A.4), and whether their delimiter closes them.

    The first item is the offset table. It is not used: a radiograph has one frame, whatever a table says.
    """
    items: list[memoryview] = []
    at, closed = 0, False
    while at + 8 <= len(view):
        group, element, length = struct.unpack_from("<HHI", view, at)
        if group << 16 | element != _ITEM or length == _UNDEFINED:
            closed = group << 16 | element == _DELIMITER
            break
        items.append(view[at + 8 : at + 8 + length])
        at += 8 + length
    return tuple(items[1:]), closed
