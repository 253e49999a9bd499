"""Malformed files from the package's synthetic golden files. Each one is certainly invalid.

    malformed_files(folder, count=200, seed=0) -> list of paths

Every file must make `pneumoscope.imaging.read.read` raise `ImageError`. A seed gives the same files each time. The
module needs no pydicom.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pneumoscope.imaging.golden_files import make
from pneumoscope.imaging.golden_files.encode import chunk

Rng = np.random.Generator
Maker = Callable[[Rng], tuple[str, bytes]]  # -> (file suffix, content)


def golden(name: str) -> bytes:
    """Return the bytes of a golden file."""
    return (make.FOLDER / name).read_bytes()


def _pick(rng: Rng, prefix: str, *suffixes: str) -> bytes:
    """Return the bytes of a random valid golden file."""
    names = sorted(p.name for p in make.FOLDER.glob(f"{prefix}*") if p.suffix in suffixes)
    return golden(names[int(rng.integers(len(names)))])


def _any(rng: Rng) -> tuple[str, bytes]:
    kinds = {"png-": ".png", "jpeg-": ".jpg", "webp-": ".webp", "tiff-": ".tif", "dicom-": ".dcm"}
    prefix = list(kinds)[int(rng.integers(len(kinds)))]
    return kinds[prefix], _pick(rng, prefix, kinds[prefix])


def _flip_bit(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def _empty(rng: Rng) -> tuple[str, bytes]:
    return _any(rng)[0], b""


def _wrong_magic(rng: Rng) -> tuple[str, bytes]:
    suffix, data = _any(rng)
    at = 128 if suffix == ".dcm" else 0
    return suffix, data[:at] + rng.bytes(4).replace(b"D", b"X") + data[at + 4 :]


def _text(rng: Rng) -> tuple[str, bytes]:
    words = ["lungs", "are", "clear", "no", "effusion", "überlagert"]
    return ".png", " ".join(rng.choice(words, 50)).encode()


def _noise(rng: Rng) -> tuple[str, bytes]:
    return ".jpg", b"\x01" + rng.bytes(int(rng.integers(1, 5000)))


def _other_format(rng: Rng) -> tuple[str, bytes]:
    magics = [b"GIF89a", b"%PDF-1.7\n", b"PK\x03\x04", b"\x1f\x8b\x08", b"BM", b"\x93NUMPY", b"<html><body>"]
    return ".png", magics[int(rng.integers(len(magics)))] + rng.bytes(400)


def _header_only(rng: Rng) -> tuple[str, bytes]:
    suffix, data = _any(rng)
    return suffix, data[: 132 if suffix == ".dcm" else 12]


def _png_cut(rng: Rng) -> tuple[str, bytes]:
    data = _pick(rng, "png-", ".png")
    return ".png", data[: int(rng.integers(1, len(data)))]


def _png_flip(rng: Rng) -> tuple[str, bytes]:
    data = _pick(rng, "png-", ".png")
    return ".png", _flip_bit(data, int(rng.integers(8, len(data))), int(rng.integers(8)))


def _png_bomb(rng: Rng) -> tuple[str, bytes]:
    side = int(rng.integers(20_000, 2**31 - 1))
    header = chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return ".png", b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def _png_few_rows(rng: Rng) -> tuple[str, bytes]:
    header = chunk(b"IHDR", struct.pack(">2I5B", 64, 64, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes(65 * int(rng.integers(0, 60))))
    return ".png", b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _golden_refused(*names: str) -> Maker:
    def make(rng: Rng) -> tuple[str, bytes]:
        name = names[int(rng.integers(len(names)))]
        return Path(name).suffix, golden(name)

    make.__name__ = Path(names[0]).stem
    return make


def _jpeg_cut(rng: Rng) -> tuple[str, bytes]:
    data = _pick(rng, "jpeg-", ".jpg")
    return ".jpg", data[: int(rng.integers(1, len(data)))]


def _jpeg_frame(rng: Rng) -> tuple[str, bytes]:
    """Declare an impossible or gigantic size."""
    data = golden("jpeg-exif1.jpg")
    at = data.index(b"\xff\xc0") + 5
    height, width = [(0, 16), (24, 0), (65_500, 65_500)][int(rng.integers(3))]
    return ".jpg", data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _jpeg_segment(rng: Rng) -> tuple[str, bytes]:
    """Remove a quantisation or start-of-scan segment."""
    data = golden("jpeg-exif1.jpg")
    at = data.index([b"\xff\xdb", b"\xff\xda"][int(rng.integers(2))])
    return ".jpg", data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def _webp_cut(rng: Rng) -> tuple[str, bytes]:
    data = _pick(rng, "webp-", ".webp")
    return ".webp", data[: int(rng.integers(13, len(data) - 8))]


def _webp_bomb(rng: Rng) -> tuple[str, bytes]:
    side = (int(rng.integers(20_000, 2**24 - 1)) - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + side + side
    return ".webp", b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff_cut(rng: Rng) -> tuple[str, bytes]:
    """Cut before the directory, which comes after the pixels."""
    data = golden("tiff-grey16-le.tif")
    return ".tif", data[: int(rng.integers(5, int.from_bytes(data[4:8], "little") + 30))]


def _tiff_size(rng: Rng) -> tuple[str, bytes]:
    """Declare a height of zero or a gigantic one."""
    data = golden("tiff-grey8.tif")
    at = data.index(struct.pack("<HHI", 257, 3, 1)) + 2
    height = int(rng.choice([0, 200_000_000]))
    return ".tif", data[:at] + struct.pack("<HII", 4, 1, height) + data[at + 10 :]


def _tiff_short(rng: Rng) -> tuple[str, bytes]:
    """Declare more rows than are stored."""
    data = golden("tiff-grey8.tif")
    at = data.index(struct.pack("<HHI", 257, 3, 1)) + 8
    return ".tif", data[:at] + struct.pack("<H", int(rng.integers(200, 60_000))) + data[at + 2 :]


def _dicom_cut(rng: Rng) -> tuple[str, bytes]:
    """Cut anywhere except in the last bytes, which may be only a delimiter after complete pixels."""
    data = _pick(rng, "dicom-", ".dcm")
    return ".dcm", data[: int(rng.integers(133, len(data) - 60))]


def _dicom_garbage(rng: Rng) -> tuple[str, bytes]:
    return ".dcm", bytes(128) + b"DICM" + rng.bytes(int(rng.integers(0, 3000)))


def _dicom_value(rng: Rng) -> tuple[str, bytes]:
    """Set a value of group 0028 that contradicts the pixels or the standard."""
    data = golden("dicom-explicit.dcm")
    wrong = {
        0x0002: [0, 2, 5],  # SamplesPerPixel
        0x0010: [0, 25, 65_535],  # Rows
        0x0011: [0, 21, 65_535],  # Columns
        0x0100: [0, 7, 32],  # BitsAllocated
        0x0101: [0, 17, 99],  # BitsStored
        0x0102: [1, 10, 16],  # HighBit
    }
    element = int(rng.choice(list(wrong)))
    at = data.index(struct.pack("<HH", 0x0028, element) + b"US\x02\x00") + 8
    return ".dcm", data[:at] + struct.pack("<H", int(rng.choice(wrong[element]))) + data[at + 2 :]


def _dicom_bomb(rng: Rng) -> tuple[str, bytes]:
    """Declare a gigantic size in the JPEG 2000 or the JPEG stream inside the data set."""
    huge = struct.pack(">II", 60_000, 60_000)
    if rng.integers(2):
        data = golden("dicom-jpeg-2000.dcm")
        at = data.index(b"\xff\x4f\xff\x51") + 8
        return ".dcm", data[:at] + huge + data[at + 8 :]
    data = golden("dicom-jpeg.dcm")
    at = data.index(b"\xff\xc0") + 5
    return ".dcm", data[:at] + struct.pack(">HH", 65_500, 65_500) + data[at + 4 :]


def _dicom_no_pixels(rng: Rng) -> tuple[str, bytes]:
    data = golden("dicom-explicit.dcm")
    return ".dcm", data[: data.index(struct.pack("<HH", 0x7FE0, 0x0010) + b"OW")]


MAKERS: tuple[Maker, ...] = (
    _empty,
    _wrong_magic,
    _text,
    _noise,
    _other_format,
    _header_only,
    _png_cut,
    _png_flip,
    _png_bomb,
    _png_few_rows,
    _jpeg_cut,
    _jpeg_frame,
    _jpeg_segment,
    _webp_cut,
    _webp_bomb,
    _tiff_cut,
    _tiff_size,
    _tiff_short,
    _dicom_cut,
    _dicom_garbage,
    _dicom_value,
    _dicom_bomb,
    _dicom_no_pixels,
    _golden_refused("refused-animated.png", "refused-checksum.png"),
    _golden_refused("refused-pages.tif", "refused-colour16.tif"),
    _golden_refused("refused-frames.dcm"),
    _golden_refused("refused-for-processing.dcm"),
    _golden_refused("refused-ct.dcm", "refused-axial.dcm", "refused-high-bit.dcm"),
)


def malformed_files(folder: Path, count: int = 200, seed: int = 0) -> list[Path]:
    """Write ``count`` malformed files into ``folder``, each kind about equally often, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        make = MAKERS[number % len(MAKERS)]
        suffix, data = make(np.random.default_rng([seed, number]))
        kind = make.__name__.strip("_")
        path = folder / f"{number:04d}-{kind}{suffix}"
        path.write_bytes(data)
        paths.append(path)
    return paths
