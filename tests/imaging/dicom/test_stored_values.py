"""Stored values: unused bits, truncated streams, offset tables and JP2 wrappers, against dcmtk and GDCM."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from authorities import compress_with_dcmtk, render_with_dcmtk, stored_values_with_gdcm
from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files import encode, make
from pneumoscope.imaging.golden_files.encode import dicom
from pneumoscope.imaging.read import decode

pydicom = pytest.importorskip("pydicom")
P12 = make.pattern(12)
LARGE = P12.repeat(2, axis=0).repeat(2, axis=1)  # JPEG 2000 halves an image five times
OVERLAY = np.where(P12 % 3 == 0, 0x8000, 0)  # a plane in bit 15
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
# dcmtk scales 12 bits to 16 by a factor of 16 and a bit; its rounding is within one step of 12 bits.
DCMTK_STEP = 1 / 4095


def declare(data: bytes, **tags: Any) -> bytes:
    """Return a file with other values of some tags, its pixel data unchanged; None removes one."""
    dataset = pydicom.dcmread(BytesIO(data))
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def frame_of(data: bytes) -> bytes:
    """Return the compressed stream in a file of one fragment."""
    from pydicom.encaps import get_frame

    return get_frame(pydicom.dcmread(BytesIO(data)).PixelData, 0, number_of_frames=1)


def compressed(samples: NDArray[np.int64], bits: int, coder: str, folder: Path, **tags: Any) -> bytes:
    """Return a file of ``samples`` in a lossless coding: by pydicom's plug-ins, or JPEG by dcmtk's encoder."""
    codings = {"jpeg-ls": encode.JPEG_LS, "jpeg-2000": encode.JPEG_2000, "rle": encode.RLE}
    if coder in codings:
        return dicom(samples, bits, tags, syntax=codings[coder])
    (folder / "native.dcm").write_bytes(dicom(samples, bits, tags))
    return compress_with_dcmtk(folder / "native.dcm", "dcmcjpeg", coder).read_bytes()


@pytest.mark.parametrize("coder", ["jpeg-ls", "jpeg-2000", "rle", "+e1", "+el"])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_bits_stored_are_no_part_of_a_value(coder: str, signed: bool, tmp_path: Path) -> None:
    """An old overlay plane lies in bit 15. Nothing may be assumed of unused bits (PS3.5 8.1.1)."""
    values = LARGE - 2048 if signed else LARGE
    overlay = OVERLAY.repeat(2, axis=0).repeat(2, axis=1)
    data = compressed((values & 4095) | overlay, 16, coder, tmp_path)
    data = declare(data, BitsStored=12, HighBit=11, PixelRepresentation=int(signed))
    np.testing.assert_allclose(decode(data, "x").pixels, LARGE / 4095, atol=1e-6)


@pytest.mark.parametrize("coder", ["jpeg-ls", "rle", "+e1", "+el"])
def test_dcmtk_masks_the_same_bits(coder: str, tmp_path: Path) -> None:
    data = declare(compressed(P12 | OVERLAY, 16, coder, tmp_path), BitsStored=12, HighBit=11)
    (tmp_path / "x.dcm").write_bytes(data)
    np.testing.assert_allclose(decode(data, "x").pixels, render_with_dcmtk(tmp_path / "x.dcm"), atol=DCMTK_STEP)


@pytest.mark.parametrize("coder", ["native", "jpeg-ls", "rle", "+e1", "+el"])
@pytest.mark.parametrize("high", [11, 12, 15])
@pytest.mark.parametrize("signed", [False, True])
def test_a_value_ends_at_its_high_bit(coder: str, high: int, signed: bool, tmp_path: Path) -> None:
    """12 bits may lie in the upper 12 of 16 (PS3.5 8.1.1 before 2007); the others are no part of a value."""
    low, rest = high - 11, np.where(P12 % 3 == 0, 2 ** (high - 11) - 1, 0)
    samples = (((P12 - 2048 if signed else P12) & 4095) << low) | rest
    data = dicom(samples, 16) if coder == "native" else compressed(samples, 16, coder, tmp_path)
    data = declare(data, BitsStored=12, HighBit=high, PixelRepresentation=int(signed))
    (tmp_path / "x.dcm").write_bytes(data)
    np.testing.assert_allclose(decode(data, "x").pixels, P12 / 4095, atol=1e-6)
    np.testing.assert_allclose(decode(data, "x").pixels, render_with_dcmtk(tmp_path / "x.dcm"), atol=DCMTK_STEP)


def test_dcmtk_takes_a_high_bit_of_0_for_an_absent_one(tmp_path: Path) -> None:
    data = declare(dicom(P12, 12), HighBit=0)
    (tmp_path / "x.dcm").write_bytes(data)
    np.testing.assert_allclose(decode(data, "x").pixels, render_with_dcmtk(tmp_path / "x.dcm"), atol=DCMTK_STEP)


@pytest.mark.parametrize("coder", ["jpeg-ls", "jpeg-2000"])
def test_a_high_bit_that_a_stream_does_not_have_is_an_error(coder: str, tmp_path: Path) -> None:
    data = declare(compressed(LARGE, 12, coder, tmp_path), HighBit=15)
    with pytest.raises(ImageError, match=r"HighBit .* is 15, but the samples .* have 12 bits") as error_info:
        decode(data, "x")
    assert error_info.value.code == "damaged"


def test_colours_are_masked_too() -> None:
    """A colour of 8 bits lies in 16 allocated bits, with other bits above it."""
    colours = make.colours(8)
    tags = {"BitsStored": 8, "HighBit": 7, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}
    data = declare(dicom(colours | 0x4000, 16), **tags)
    np.testing.assert_allclose(decode(data, "x").pixels, make.grey_of(colours, 8), atol=1e-6)


def test_an_overlay_is_masked_in_a_near_lossless_syntax_too(tmp_path: Path) -> None:
    """The JPEG-LS syntax for near-lossless streams also holds lossless ones (NEAR is 0)."""
    data = declare(compressed(P12 | OVERLAY, 16, "jpeg-ls", tmp_path), BitsStored=12, HighBit=11)
    data = data.replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.81")
    np.testing.assert_allclose(decode(data, "x").pixels, P12 / 4095, atol=1e-6)


@pytest.mark.parametrize("coder", ["jpeg-ls", "jpeg-2000", "rle", "+e1"])
def test_compressed_data_cut_short_are_truncated(coder: str, tmp_path: Path) -> None:
    data = compressed(LARGE, 12, coder, tmp_path)
    start = data.index(b"\xe0\x7f\x10\x00OB")
    stream = frame_of(data)
    end = data.index(stream[-16:]) + 16
    rle_header = 100 if coder == "rle" else 0
    for cut in (start + 5, start + 13, start + 30, start + 60 + rle_header, start + (end - start) // 2, end - 3):
        with pytest.raises(ImageError, match="truncated") as error_info:
            decode(data[:cut], "x")
        assert error_info.value.code == "damaged"


@pytest.mark.parametrize("coder", ["jpeg-ls", "jpeg-2000", "rle", "+e1"])
def test_a_stream_cut_short_in_a_complete_element_is_truncated(coder: str, tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate

    data = compressed(LARGE, 12, coder, tmp_path)
    data = declare(data, PixelData=encapsulate([frame_of(data)[:-200]]))
    with pytest.raises(ImageError, match="truncated") as error_info:
        decode(data, "x")
    assert error_info.value.code == "damaged"


def test_native_data_and_headers_cut_short_are_truncated() -> None:
    data = dicom(P12, 12)
    for cut in (len(data) - 1, len(data) - 400, data.index(b"\xe0\x7f\x10\x00OW") + 3, 700, 600, 500):
        with pytest.raises(ImageError, match="truncated") as error_info:
            decode(data[:cut], "x")
        assert error_info.value.code == "damaged"


@pytest.mark.parametrize("coder", ["jpeg-ls", "jpeg-2000", "rle", "+e1"])
@pytest.mark.parametrize("lost", [1, 4, 8])
def test_a_missing_closing_delimiter_does_not_matter(coder: str, lost: int, tmp_path: Path) -> None:
    data = compressed(LARGE, 12, coder, tmp_path)
    assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    np.testing.assert_allclose(decode(data[:-lost], "x").pixels, LARGE / 4095, atol=1e-6)


def test_gdcm_reads_pixels_without_their_closing_delimiter(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(dicom(P12, 12, syntax=encode.JPEG_LS)[:-8])
    np.testing.assert_array_equal(stored_values_with_gdcm(tmp_path / "x.dcm"), P12)


def with_items(data: bytes, table: list[int], fragments: list[bytes], **tags: Any) -> bytes:
    """Return a file whose pixel data are an offset table and fragments."""
    items = [struct.pack(f"<{len(table)}I", *table), *fragments]
    value = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in items)
    return declare(data, PixelData=value, **tags)


def split(stream: bytes, count: int) -> list[bytes]:
    size = -(-len(stream) // count // 2) * 2
    return [stream[start : start + size] for start in range(0, len(stream), size)]


@pytest.mark.parametrize("coder", ["jpeg-ls", "jpeg-2000", "+e1"])
@pytest.mark.parametrize("frames", [None, 0, 1])
def test_the_number_of_frames_is_the_authority_not_an_offset_table(
    coder: str, frames: int | None, tmp_path: Path
) -> None:
    data = compressed(LARGE, 12, coder, tmp_path)
    stream = frame_of(data)
    pieces = split(stream, 3)
    offsets = [sum(len(piece) + 8 for piece in pieces[:place]) for place in range(3)]
    tags = {} if frames is None else {"NumberOfFrames": frames}
    for name, table, fragments in (
        ("an entry too many", [0, len(stream) + 8], [stream]),
        ("an entry a fragment", offsets, pieces),
        ("an empty table", [], pieces),
        ("a table of another frame", [0, 77, 12], [stream]),
        ("a second stream", [0, len(stream) + 8], [stream, stream]),
        ("a second, broken stream", [0, len(stream) + 8], [stream, stream[:40]]),
    ):
        path = tmp_path / "x.dcm"
        path.write_bytes(with_items(data, table, fragments, **tags))
        np.testing.assert_allclose(decode(path.read_bytes(), name).pixels, LARGE / 4095, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("table", [[], [0, 4000], [0, 300]])
def test_dcmtk_and_gdcm_read_one_frame_with_such_tables(table: list[int], tmp_path: Path) -> None:
    data = dicom(P12, 12, {"NumberOfFrames": 1}, syntax=encode.JPEG_LS)
    path = tmp_path / "x.dcm"
    path.write_bytes(with_items(data, table, [frame_of(data)]))
    np.testing.assert_array_equal(stored_values_with_gdcm(path), P12)
    np.testing.assert_allclose(decode(path.read_bytes(), "x").pixels, render_with_dcmtk(path), atol=DCMTK_STEP)


def test_native_pixels_of_zero_frames_are_one_frame() -> None:
    np.testing.assert_allclose(decode(dicom(P12, 12, {"NumberOfFrames": 0}), "x").pixels, P12 / 4095, atol=1e-6)


def test_several_stated_frames_are_refused_whatever_the_table_says() -> None:
    data = dicom(P12, 12, syntax=encode.JPEG_LS)
    with pytest.raises(ImageError, match="holds 2 frames"):
        decode(with_items(data, [0], [frame_of(data)], NumberOfFrames=2), "x")


def box(kind: bytes, content: bytes, *, large: bool = False) -> bytes:
    """Return a box of a JP2 file (ISO/IEC 15444-1 I.4)."""
    if large:
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


def jp2(codestream: bytes, extra: bytes, *, last: bool, large: bool) -> bytes:
    """Return a JP2 file with ``extra`` boxes before its codestream; the last box may leave its length open."""
    rows, columns = LARGE.shape
    header = box(b"ihdr", struct.pack(">2IH4B", rows, columns, 1, 11, 7, 0, 0))
    header += box(b"colr", struct.pack(">3BI", 1, 0, 0, 17))
    code = struct.pack(">I4s", 0, b"jp2c") + codestream if last else box(b"jp2c", codestream, large=large)
    brand = box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return box(b"jP  ", b"\r\n\x87\n") + brand + box(b"jp2h", header) + extra + code


@pytest.mark.parametrize(("last", "large"), [(True, False), (False, False), (False, True)])
@pytest.mark.parametrize("size", [0, 900, 1100, 70_000])
def test_the_codestream_is_found_behind_boxes_of_any_length(size: int, last: bool, large: bool) -> None:
    from pydicom.encaps import encapsulate

    data = dicom(LARGE, 12, syntax=encode.JPEG_2000)
    # The free box holds what a search for the codestream's first bytes would find.
    extra = box(b"free", b"\xff\x4f\xff\x51" + bytes(size)) if size else b""
    wrapped = jp2(frame_of(data).rstrip(b"\0"), extra, last=last, large=large)
    data = declare(data, PixelData=encapsulate([wrapped + bytes(len(wrapped) % 2)]))
    np.testing.assert_allclose(decode(data, "x").pixels, LARGE / 4095, atol=1e-6)


def test_openjpeg_and_pillow_read_the_same_boxes() -> None:
    """Compare with Pillow's JP2 reader, which leaves the boxes to OpenJPEG."""
    from PIL import Image, features

    if not features.check("jpg_2000"):
        pytest.skip("Pillow has no OpenJPEG here")
    codestream = frame_of(dicom(LARGE, 12, syntax=encode.JPEG_2000))
    wrapped = jp2(codestream, box(b"free", bytes(70_000)), last=True, large=False)
    with Image.open(BytesIO(wrapped)) as image:
        assert image.size == LARGE.shape[::-1]
        # Pillow widens 12 bits to 16.
        np.testing.assert_array_equal(np.asarray(image).astype(int) >> 4, LARGE)


def test_the_limit_of_inflating_holds_whatever_stands_before_the_transfer_syntax() -> None:
    """An element of another VR with a long length precedes TransferSyntaxUID; every parser must see the same file."""
    import zlib

    from pneumoscope.imaging.dicom import decode as module

    small = (make.FOLDER / "dicom-deflated.dcm").read_bytes()
    start = 132 + 12 + int.from_bytes(small[140:144], "little")
    odd = b"\x02\x00\x0f\x00UC\0\0" + struct.pack("<I", 6) + b"ODD   "
    group = b"\x02\x00\x00\x00UL\x04\0" + struct.pack("<I", start - 144 + len(odd))
    meta = small[:132] + group + odd + small[144:start]
    np.testing.assert_allclose(decode(meta + small[start:], "x").pixels, P12 / 4095, atol=1e-6)
    with pytest.raises(ImageError, match="inflates to more than 20 MiB"):
        module.decode(meta + zlib.compress(bytes(30 * 2**20))[2:-4], "x", 10**8, 20 * 2**20)


@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_the_vr_decides_the_order_of_bytes_in_a_big_endian_file(vr: str, tmp_path: Path) -> None:
    """Two samples of 8 bits are one word of OW, whose bytes are swapped in big endian; OB has no byte order (8.2)."""
    values = make.pattern(8)
    data = dicom(values, 8, syntax=encode.BIG)
    if vr == "OW":
        swapped = values.astype(np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
        data = data.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10OW")
        data = data.replace(values.astype(np.uint8).tobytes(), swapped)
    np.testing.assert_allclose(decode(data, "x").pixels, values / 255, atol=1e-6)
    (tmp_path / "x.dcm").write_bytes(data)
    np.testing.assert_allclose(values / 255, render_with_dcmtk(tmp_path / "x.dcm"), atol=1 / 255)


def test_gdcm_never_decodes_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """On damaged data GDCM ends the whole process; pydicom prefers it wherever it is installed."""
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {"gdcm": None})
    with pytest.raises(ImageError, match="no decoder for it is installed"):
        decode(dicom(P12, 12, syntax=encode.JPEG_LS), "x")
