"""Golden arrays: small synthetic files of every format, and the exact pixels that any decoder must give.

    python -m pneumoscope.imaging.golden_files.make [FOLDER]

The expected arrays come from the drawn pattern and the standards, not from this package's decoder, so that an error in
one does not hide in the other. `golden/manifest.json` lists the cases; `docs/concepts/pixels.md` tells how
to use them elsewhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.files import atomic_path, write_json
from pneumoscope.imaging.golden_files import encode
from pneumoscope.imaging.golden_files.encode import chunk, dicom, exif, pillow, png, tiff

FOLDER = Path(__file__).parents[1] / "golden"
ABOUT = (
    "Synthetic files drawn by code, with no patient behind them. A decoder of Pneumoscope must turn each file into "
    "its expected array (float32, little endian, row by row; 0 = black, 1 = white; row 0 = head, column 0 = patient's "
    "right) within the tolerance, or refuse it."
)
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GoldenCase:
    """One golden file.

    Attributes:
        file: Its name.
        about: What it tests.
        data: Its bytes.
        expected: [H, W] grey in 0..1, or None: every decoder must refuse it.
        bits: Bits stored per sample.
        tolerance: Largest difference allowed, in grey.
        depth: Bits declared by the caller, if any.
    """

    file: str
    about: str
    data: bytes
    expected: Array | None
    bits: int = 8
    tolerance: float = 1e-6
    depth: int | None = None


def pattern(bits: int) -> NDArray[np.int64]:
    """Return [24, 20] values of the given depth: uneven slopes, one bright and one dark patch, no symmetry at all."""
    y, x = np.mgrid[0:24, 0:20]
    fine = (y * 7 + x * 3 + y * x % 11) * 256 + (y * 31 + x * 17) % 256
    fine[2:6, 13:18] = 64_000
    fine[17:21, 2:5] = 900
    fine[23, 19], fine[0, 0] = 65_535, 0
    return np.asarray(fine >> (16 - bits), np.int64)


def colours(bits: int) -> NDArray[np.int64]:
    """Return [24, 20, 3] colours whose three channels differ."""
    grey = pattern(bits)
    return np.stack([grey, grey[::-1], grey[:, ::-1]], axis=-1)


def grey_of(colour: NDArray[np.int64], bits: int) -> Array:
    """Return the Rec. 601 luma, rounded to whole sample values (fixed point, 16 bits), as a share of white."""
    red, green, blue = np.moveaxis(colour, -1, 0)
    return np.asarray(((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16) / (2**bits - 1))


def blocks() -> NDArray[np.int64]:
    """Return [24, 16] of flat 8 x 8 blocks: JPEG at quality 100 keeps them exactly."""
    return np.array([[20, 200], [90, 140], [250, 60]], np.int64).repeat(8, axis=0).repeat(8, axis=1)


def png_cases() -> Iterator[GoldenCase]:
    """Every colour type and depth of PNG."""
    p8, p16 = pattern(8), pattern(16)
    plain, alpha = p8 / 255, p8[::-1, ::-1]
    for bits in (1, 2, 4, 8, 16):
        values = pattern(bits)
        yield GoldenCase(f"png-grey{bits}.png", f"{bits}-bit grey", png(values, bits, 0), values / (2**bits - 1), bits)
    yield GoldenCase("png-depth12.png", "12 bits in 16", png(pattern(12), 16, 0), pattern(12) / 4095, 16, depth=12)
    keyed = np.where(pattern(4) == 9, 0, pattern(4) / 15)
    yield GoldenCase(
        "png-grey4-key.png", "grey 9 is transparent", png(pattern(4), 4, 0, [chunk(b"tRNS", b"\0\x09")]), keyed, 4
    )
    yield GoldenCase("png-grey-alpha8.png", "over black", png(np.stack([p8, alpha], -1), 8, 4), plain * (alpha / 255))
    alpha16 = p16[::-1, ::-1]
    both = np.stack([p16, alpha16], -1)
    yield GoldenCase(
        "png-grey-alpha16.png", "16 bits, over black", png(both, 16, 4), p16 / 65535 * (alpha16 / 65535), 16, 2e-6
    )
    for bits in (8, 16):
        colour = colours(bits)
        grey, white = grey_of(colour, bits), 2**bits - 1
        yield GoldenCase(f"png-rgb{bits}.png", "luma; all row filters", png(colour, bits, 2, filtered=True), grey, bits)
        veil = pattern(bits)[::-1, ::-1]
        rgba = np.concatenate([colour, veil[..., np.newaxis]], axis=-1)
        about = "luma, then over black"
        yield GoldenCase(
            f"png-rgba{bits}.png", about, png(rgba, bits, 6, filtered=True), grey * (veil / white), bits, 2e-6
        )
    palette = np.stack([np.arange(256), np.arange(256)[::-1], np.arange(256) // 2], axis=-1)
    chunks = [chunk(b"PLTE", palette.astype(np.uint8).tobytes())]
    yield GoldenCase("png-palette.png", "256 colours, luma", png(p8, 8, 3, chunks), grey_of(palette[p8], 8))
    chunks.append(chunk(b"tRNS", bytes(range(255, 55, -1))))
    veil = np.concatenate([np.arange(255, 55, -1), np.full(56, 255)])
    shown = grey_of(palette[p8], 8) * (veil[p8] / 255)
    yield GoldenCase("png-palette-alpha.png", "transparent palette entries", png(p8, 8, 3, chunks), shown)
    yield GoldenCase(
        "png-exif6.png", "Exif orientation 6", png(p8, 8, 0, [chunk(b"eXIf", exif(6))]), np.rot90(plain, -1)
    )
    whole = png(p8, 8, 0)
    yield GoldenCase("refused-truncated.png", "the end is missing", whole[:-20], None)
    broken = whole.replace(b"IDAT", b"IDAT\xff", 1)
    yield GoldenCase(
        "refused-checksum.png", "a checksum is wrong", broken[:60] + bytes([broken[60] ^ 1]) + broken[61:], None
    )
    animation = chunk(b"acTL", (3).to_bytes(4, "big") + bytes(4))
    yield GoldenCase("refused-animated.png", "3 frames", png(p8, 8, 0, [animation]), None)


def jpeg_webp_cases() -> Iterator[GoldenCase]:
    """JPEG with every Exif orientation; WebP."""
    values = blocks()
    plain = values / 255
    turned = {
        1: plain,
        2: plain[:, ::-1],
        3: np.rot90(plain, 2),
        4: plain[::-1],
        5: plain.T,
        6: np.rot90(plain, -1),
        7: np.rot90(plain, 2).T,
        8: np.rot90(plain),
    }
    for orientation, upright in turned.items():
        tag = b"Exif\0\0" + exif(orientation)
        about = f"grey, Exif orientation {orientation}"
        data = pillow(values, "JPEG", quality=100, exif=tag)
        yield GoldenCase(f"jpeg-exif{orientation}.jpg", about, data, upright, tolerance=0.5 / 255)
    whole = pillow(values, "JPEG", quality=100, progressive=True)
    yield GoldenCase("jpeg-progressive.jpg", "progressive", whole, plain, tolerance=0.5 / 255)
    colour = np.stack([values, values[::-1], values[:, ::-1]], axis=-1)
    data = pillow(colour, "JPEG", quality=100, subsampling=0)
    yield GoldenCase("jpeg-rgb.jpg", "colour, luma", data, grey_of(colour, 8), tolerance=2 / 255)
    yield GoldenCase("refused-truncated.jpg", "the end is missing", whole[:-30], None)
    colour = colours(8)
    grey, alpha = grey_of(colour, 8), np.maximum(pattern(8)[::-1, ::-1], 1)
    yield GoldenCase("webp-lossless.webp", "colour, luma", pillow(colour, "WEBP", lossless=True), grey)
    rgba = np.concatenate([colour, alpha[..., np.newaxis]], axis=-1)
    data = pillow(rgba, "WEBP", lossless=True, exact=True)
    yield GoldenCase("webp-alpha.webp", "luma, then over black", data, grey * (alpha / 255))


def tiff_cases() -> Iterator[GoldenCase]:
    """Byte orders, depths, white-is-zero, colour, compression, orientation."""
    p1, p8, p16 = pattern(1), pattern(8), pattern(16)
    yield GoldenCase("tiff-grey1.tif", "1-bit grey", tiff(p1, 1, 1), p1 / 1.0, 1)
    yield GoldenCase("tiff-grey8.tif", "8-bit grey", tiff(p8, 8, 1), p8 / 255)
    yield GoldenCase("tiff-grey8-inverse.tif", "WhiteIsZero", tiff(p8, 8, 0), 1 - p8 / 255)
    yield GoldenCase("tiff-grey12.tif", "12-bit grey", tiff(pattern(12), 12, 1), pattern(12) / 4095, 12)
    yield GoldenCase("tiff-grey16-le.tif", "little endian", tiff(p16, 16, 1), p16 / 65535, 16)
    yield GoldenCase("tiff-grey16-be.tif", "big endian", tiff(p16, 16, 1, order=">"), p16 / 65535, 16)
    yield GoldenCase("tiff-grey16-inverse.tif", "WhiteIsZero, 16 bits", tiff(p16, 16, 0), 1 - p16 / 65535, 16)
    yield GoldenCase("tiff-rgb8.tif", "colour, luma", tiff(colours(8), 8, 2), grey_of(colours(8), 8))
    veil = pattern(8)[::-1, ::-1]
    rgba = np.concatenate([colours(8), veil[..., np.newaxis]], axis=-1)
    data = tiff(rgba, 8, 2, tags={338: [2]})
    yield GoldenCase("tiff-rgba8.tif", "unassociated alpha, over black", data, grey_of(colours(8), 8) * (veil / 255))
    palette = np.stack([np.arange(256), np.arange(256)[::-1], np.arange(256) // 2])
    data = tiff(p8, 8, 3, tags={320: (palette * 257).ravel().tolist()})
    yield GoldenCase("tiff-palette.tif", "256 colours, luma", data, grey_of(palette.T[p8], 8))
    yield GoldenCase("tiff-orientation8.tif", "orientation 8", tiff(p8, 8, 1, tags={274: [8]}), np.rot90(p8 / 255))
    yield GoldenCase("tiff-lzw.tif", "LZW", pillow(p8, "TIFF", compression="tiff_lzw"), p8 / 255)
    yield GoldenCase("tiff-deflate.tif", "deflate", pillow(p8, "TIFF", compression="tiff_adobe_deflate"), p8 / 255)
    yield GoldenCase("refused-pages.tif", "2 pages", tiff(p8, 8, 1, pages=2), None)
    yield GoldenCase("refused-colour16.tif", "16-bit colour", tiff(colours(16), 16, 2), None)


def dicom_cases() -> Iterator[GoldenCase]:
    """Transfer syntaxes, the greyscale chain of PS3.4 N.2, orientation, and what is refused."""
    p8, p12, p15, p16 = pattern(8), pattern(12), pattern(15), pattern(16)
    plain = p12 / 4095

    def case(
        name: str,
        about: str,
        expected: Array | None,
        tags: Mapping[str, Any] | None = None,
        *,
        values: NDArray[np.int64] = p12,
        bits: int = 12,
        syntax: str = encode.EXPLICIT,
    ) -> GoldenCase:
        file = f"{'refused' if expected is None else 'dicom'}-{name}.dcm"
        return GoldenCase(file, about, dicom(values, bits, tags, syntax=syntax), expected, bits)

    yield case("explicit", "explicit VR little endian; no window: the range of BitsStored", plain)
    yield case("implicit", "implicit VR little endian", plain, syntax=encode.IMPLICIT)
    yield case("big-endian", "explicit VR big endian", plain, syntax=encode.BIG)
    yield case("deflated", "deflated", plain, syntax=encode.DEFLATED)
    yield case("rle", "RLE", plain, syntax=encode.RLE)
    yield case("jpeg-ls", "JPEG-LS, lossless", plain, syntax=encode.JPEG_LS)
    double = p12.repeat(2, axis=0).repeat(2, axis=1)  # JPEG 2000 halves an image five times: not with 20 columns
    data = dicom(double, 12, syntax=encode.JPEG_2000)
    yield GoldenCase("dicom-jpeg-2000.dcm", "JPEG 2000, lossless", data, double / 4095, 12)
    data = dicom(blocks(), 8, syntax=encode.JPEG_BASELINE, frame=pillow(blocks(), "JPEG", quality=100))
    yield GoldenCase("dicom-jpeg.dcm", "JPEG baseline", data, blocks() / 255, 8, 0.5 / 255)
    one, inverse = {"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}
    yield case("8bit", "8 bits", p8 / 255, values=p8, bits=8)
    yield case("15bit", "15 bits, MONOCHROME1", 1 - p15 / 32767, one, values=p15, bits=15)
    yield case("16bit", "16 bits", p16 / 65535, values=p16, bits=16)
    yield case("signed", "12 bits, two's complement", plain, {"PixelRepresentation": 1}, values=p12 - 2048)
    yield case("unused-bits", "bits above BitsStored are no part of the value", plain, values=p12 | (p12 % 3 << 12))
    yield case("high-bit", "12 bits in the upper 12 of 16", plain, {"HighBit": 15}, values=p12 << 4 | p12 % 3)
    capture = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}
    yield case("rgb", "secondary capture, luma", grey_of(colours(8), 8), capture, values=colours(8), bits=8)

    yield case("monochrome1", "the lowest value shows white", 1 - plain, one)
    yield case("monochrome1-inverse", "MONOCHROME1 and INVERSE: one inversion, not two", 1 - plain, one | inverse)
    yield case("monochrome2-inverse", "INVERSE alone", 1 - plain, inverse)

    window = {"WindowCenter": [2000, 100], "WindowWidth": [1001, 5]}
    linear = np.clip((p12 - 1999.5) / 1000 + 0.5, 0, 1)
    yield case("window", "the first window, LINEAR", linear, window)
    yield case("window-monochrome1", "inverted after the window", 1 - linear, window | one)
    exact = np.clip((p12 - 2000) / 1001 + 0.5, 0, 1)
    yield case("window-exact", "LINEAR_EXACT", exact, window | {"VOILUTFunction": "LINEAR_EXACT"})
    sigmoid = 1 / (1 + np.exp(-4 * (p12 - 2000) / 1001))
    yield case("window-sigmoid", "SIGMOID", sigmoid, window | {"VOILUTFunction": "SIGMOID"})
    step = {"WindowCenter": 2000, "WindowWidth": 1}
    yield case("window-step", "a window of width 1 is a step", (p12 > 1999.5) / 1.0, step)
    yield case("window-width", "a window narrower than 1 is no window", plain, {"WindowCenter": 5, "WindowWidth": 0})
    rescale = {"RescaleSlope": 2, "RescaleIntercept": -1000}
    rescaled = np.clip((2 * p12 - 1000 - 1999.5) / 1000 + 0.5, 0, 1)
    yield case("rescale-window", "the window applies to rescaled values", rescaled, rescale | window)
    negative = {"RescaleSlope": -10, "RescaleIntercept": 3000}
    yield case("rescale-negative", "a negative slope, no window", 1 - plain, negative)
    squares = np.arange(1000) ** 2 // 1000
    voi = {"VOILUTSequence": [table([1000, 1500, 10], squares.tolist())]}
    looked_up = squares[np.clip(p12 - 1500, 0, 999)] / 1023
    yield case("voi-lut", "a VOI table comes before a window", looked_up, window | voi)
    modality = {"ModalityLUTSequence": [table([4096, 0, 16], (65535 - 16 * np.arange(4096)).tolist())]}
    yield case("modality-lut", "a modality table, no window", (65535 - 16 * p12) / 65535, modality)
    padding = {"PixelPaddingValue": 700, "PixelPaddingRangeLimit": 240}
    padded = np.where((p12 >= 240) & (p12 <= 700), 0, linear)
    yield case("padding", "padding shows black", padded, window | padding)
    padded = np.where(p12 == 0, 0, 1 - plain)
    yield case("padding-monochrome1", "also where the lowest value shows white", padded, one | {"PixelPaddingValue": 0})

    for along, down, upright in (
        ("R", "F", plain[:, ::-1]),
        ("L", "H", plain[::-1]),
        ("R", "H", plain[::-1, ::-1]),
        ("F", "L", plain.T),
        ("F", "R", plain.T[:, ::-1]),
        ("H", "L", plain.T[::-1]),
        ("H", "R", plain.T[::-1, ::-1]),
        ("LF", "FR", plain),
        ("P", "H", plain[::-1]),
    ):
        about = f"PatientOrientation {along}\\{down}"
        yield case(f"orientation-{along}-{down}".lower(), about, upright, {"PatientOrientation": [along, down]})

    yield case("ct", "a CT slice", None, {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"})
    yield case("for-processing", "raw detector values", None, {"PresentationIntentType": "FOR PROCESSING"})
    yield case("frames", "2 frames", None, {"Rows": 12, "NumberOfFrames": 2})
    yield case("short", "fewer pixels than declared", None, {"Rows": 25})
    yield case("long", "more pixels than declared", None, {"Rows": 20})
    yield case("axial", "an orientation without a head", None, {"PatientOrientation": ["L", "P"]})
    yield case("high-bit", "a value that cannot end at its HighBit", None, {"HighBit": 10})


def table(descriptor: list[int], entries: list[int]) -> Any:
    """Return a sequence item with a look-up table."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.LUTDescriptor = descriptor
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def cases() -> list[GoldenCase]:
    """Return every golden case."""
    return [*png_cases(), *jpeg_webp_cases(), *tiff_cases(), *dicom_cases()]


def write(folder: Path) -> None:
    """Write every file, its expected array (once for all files that share it) and the manifest."""
    written: dict[bytes, str] = {}
    entries: list[dict[str, Any]] = []
    for case in cases():
        _write(folder / case.file, case.data)
        if case.expected is None:
            entries.append({"file": case.file, "about": case.about, "refused": True})
            continue
        array = np.ascontiguousarray(case.expected, "<f4")
        key = str(array.shape).encode() + array.tobytes()
        if key not in written:
            written[key] = f"{Path(case.file).stem}.f32"
            _write(folder / written[key], array.tobytes())
        entry = {
            "file": case.file,
            "about": case.about,
            "bits": case.bits,
            "shape": list(array.shape),
            "expected": written[key],
            "tolerance": case.tolerance,
        }
        entries.append(entry if case.depth is None else {**entry, "depth": case.depth})
    write_json(folder / "manifest.json", {"about": ABOUT, "cases": entries})


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    write(target)
    count = len(json.loads((target / "manifest.json").read_text(encoding="utf-8"))["cases"])
    print(f"{count} golden files in {target}")
