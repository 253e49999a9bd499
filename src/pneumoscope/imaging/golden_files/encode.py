"""Encode small drawn images, one for each feature of a format, for the golden arrays and the tests.

This module writes PNG and TIFF itself, since Pillow writes few of the kinds that it reads; pydicom writes DICOM.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[np.integer]

_ROOT = "2.25.1337"  # identifiers derived from a number (PS3.5 B.2), the same in every build
CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"
IMPLICIT, EXPLICIT, DEFLATED, BIG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
JPEG_BASELINE, JPEG_LS, JPEG_2000, RLE = (f"1.2.840.10008.1.2.{end}" for end in ("4.50", "4.80", "4.90", "5"))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    samples: Samples, bits: int, colour_type: int, chunks: Sequence[bytes] = (), *, filtered: bool = False
) -> bytes:
    """Return a PNG of [H, W] or [H, W, S] samples; ``filtered`` goes through all five row filters in turn."""
    height, width = samples.shape[:2]
    rows = _pack(samples, bits, ">")
    step = max(1, bits * (samples.size // (height * width)) // 8)
    lines = []
    for y in range(height):
        kind = y % 5 if filtered else 0
        above = rows[y - 1].astype(np.int16) if y else np.zeros_like(rows[y], np.int16)
        here = rows[y].astype(np.int16)
        left, corner = (np.concatenate([np.zeros(step, np.int16), line[:-step]]) for line in (here, above))
        guess = left + above - corner
        far = np.abs(np.stack([left, above, corner]) - guess)
        paeth = np.take_along_axis(np.stack([left, above, corner]), far.argmin(axis=0)[np.newaxis], axis=0)[0]
        predicted = [np.zeros_like(here), left, above, (left + above) // 2, paeth][kind]
        lines.append(bytes([kind]) + ((here - predicted) & 255).astype(np.uint8).tobytes())
    header = struct.pack(">2I5B", width, height, bits, colour_type, 0, 0, 0)
    image = chunk(b"IDAT", zlib.compress(b"".join(lines), 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + image + chunk(b"IEND", b"")


def tiff(
    samples: Samples,
    bits: int,
    photometric: int,
    *,
    order: str = "<",
    tags: dict[int, Sequence[int]] | None = None,
    pages: int = 1,
) -> bytes:
    """Return an uncompressed TIFF of [H, W] or [H, W, S] samples; ``order`` is the byte order, ``tags`` come on top."""
    height, width = samples.shape[:2]
    count = samples.size // (height * width)
    strip = _pack(samples, bits, order).tobytes()
    strip += b"\x00" * (len(strip) % 2)
    fields: dict[int, Sequence[int]] = {
        256: [width],
        257: [height],
        258: [bits] * count,
        259: [1],
        262: [photometric],
        273: [8],
        277: [count],
        278: [height],
        279: [height * (-(-width * count * bits // 8))],
        **(tags or {}),
    }
    out = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(strip)) + strip
    for page in range(pages):
        start, extra = len(out), b""
        directory = struct.pack(f"{order}H", len(fields))
        after = start + 2 + 12 * len(fields) + 4
        for tag, values in sorted(fields.items()):
            short = tag != 273
            packed = struct.pack(f"{order}{len(values)}{'H' if short else 'I'}", *values)
            if len(packed) > 4:
                packed, extra = struct.pack(f"{order}I", after + len(extra)), extra + packed
            directory += struct.pack(f"{order}HHI", tag, 3 if short else 4, len(values)) + packed.ljust(4, b"\x00")
        following = after + len(extra) if page + 1 < pages else 0
        out += directory + struct.pack(f"{order}I", following) + extra
    return out


def pillow(samples: Samples, kind: str, **options: Any) -> bytes:
    """Return 8-bit [H, W] or [H, W, S] samples as Pillow writes them in the format ``kind``."""
    buffer = BytesIO()
    Image.fromarray(samples.astype(np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    """Return an Exif block (big endian TIFF) that holds nothing but an orientation."""
    return b"MM\x00*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def dicom(
    samples: Samples, bits: int, tags: Mapping[str, Any] | None = None, *, syntax: str = EXPLICIT, frame: bytes = b""
) -> bytes:
    """Return a DICOM file of [H, W] or [H, W, 3] samples.

    Args:
        samples: Stored values.
        bits: BitsStored; 16 bits are allocated above 8.
        tags: Further tags by keyword; None removes one.
        syntax: Transfer syntax; JPEG-LS, JPEG 2000 and RLE are compressed by pydicom's plug-ins.
        frame: A compressed frame that is stored unchanged.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT if syntax in (JPEG_LS, JPEG_2000, RLE) else syntax)
    values: dict[str, Any] = {
        "SOPClassUID": CR_STORAGE,
        "SOPInstanceUID": f"{_ROOT}.3",
        "StudyInstanceUID": f"{_ROOT}.1",
        "SeriesInstanceUID": f"{_ROOT}.2",
        "Modality": "CR",
        "Manufacturer": "Pneumoscope (synthetic)",
        "PatientName": "Synthetic^Pattern",
        "PatientID": "SYNTHETIC-0001",
        "PatientAge": "045Y",
        "PatientSex": "F",
        "ViewPosition": "PA",
        "BodyPartExamined": "CHEST",
        "SamplesPerPixel": 3 if samples.ndim == 3 else 1,
        "PhotometricInterpretation": "RGB" if samples.ndim == 3 else "MONOCHROME2",
        "Rows": samples.shape[0],
        "Columns": samples.shape[1],
        "BitsAllocated": 8 if bits <= 8 else 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelSpacing": [0.2, 0.1],
        "PlanarConfiguration": 0 if samples.ndim == 3 else None,
        **(tags or {}),
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    order = ">" if syntax == BIG else "<"
    kind = "i" if dataset.PixelRepresentation else "u"
    native = samples.astype(np.dtype(f"{order}{kind}{dataset.BitsAllocated // 8}")).tobytes()
    dataset.PixelData = encapsulate([frame]) if frame else native + b"\x00" * (len(native) % 2)
    dataset["PixelData"].VR = "OB" if frame or bits <= 8 else "OW"
    if dataset.file_meta.TransferSyntaxUID != syntax:
        dataset.compress(UID(syntax), generate_instance_uid=False)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _pack(samples: Samples, bits: int, order: str) -> NDArray[np.uint8]:
    """Return [H, bytes per row]: the samples of each row side by side, the highest bit first."""
    height = samples.shape[0]
    if bits == 16:
        return samples.astype(np.dtype(f"{order}u2")).reshape(height, -1).view(np.uint8)
    rows = samples.astype(np.uint16).reshape(height, -1)
    single = (rows[:, :, np.newaxis] >> np.arange(bits - 1, -1, -1, dtype=np.uint16)) & 1
    return np.packbits(single.astype(np.uint8).reshape(height, -1), axis=1)
