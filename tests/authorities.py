"""Other programs and libraries that read radiographs, as authorities for the pixel tests.

dcmtk's programs come from Debian (scripts/system), GDCM and tifffile from PyPI (the extra ``dev``). A test whose
authority is not installed skips and says so.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

JPEG_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "57", "70"))
JPEG_LS_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("80", "81"))


def dcmtk(program: str) -> str:
    """Return the path of one of dcmtk's programs; the test skips without it."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"dcmtk's {program} is not installed (scripts/system installs it)")
    return path


def render_with_dcmtk(file: Path, *options: str, bits: int = 16) -> NDArray[np.float64]:
    """Return how dcmtk renders a DICOM file: [H, W] in 0..1.

    Args:
        file: The file.
        options: Of dcm2pnm, such as ``+Wi 1``.
        bits: Depth of the output.
    """
    syntax = _syntax(file)
    program = "dcmj2pnm" if syntax in JPEG_SYNTAXES else "dcml2pnm" if syntax in JPEG_LS_SYNTAXES else "dcm2pnm"
    command = [dcmtk(program), "--quiet", *options, "+opn", str(bits), str(file)]
    result = subprocess.run(command, capture_output=True, check=True)
    words = result.stdout.split()
    assert words[0] == b"P2", result.stderr
    width, height, white = (int(word) for word in words[1:4])
    return np.array(words[4:], np.float64).reshape(height, width) / white


def compress_with_dcmtk(file: Path, program: str, *options: str) -> Path:
    """Return a DICOM file next to ``file`` that one of dcmtk's encoders wrote."""
    target = file.with_name(f"{file.stem}-{program}{''.join(options)}.dcm")
    subprocess.run([dcmtk(program), "--quiet", *options, str(file), str(target)], check=True, capture_output=True)
    return target


def stored_values_with_gdcm(file: Path) -> NDArray[np.int64]:
    """Return the stored values that GDCM decodes, [H, W]; the test skips without GDCM."""
    gdcm: Any = pytest.importorskip("gdcm", reason="GDCM is not installed (PyPI: python-gdcm)")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    assert reader.Read()
    image = reader.GetImage()
    form = image.GetPixelFormat()
    kind = np.dtype(f"<{'i' if form.GetPixelRepresentation() else 'u'}{form.GetBitsAllocated() // 8}")
    buffer = image.GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(buffer, kind).reshape(image.GetRows(), image.GetColumns()).astype(np.int64)


class _PngImage(ctypes.Structure):
    """``png_image`` of libpng's simplified API (png.h of libpng 1.6)."""

    _fields_ = (
        ("opaque", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("version", "width", "height", "format", "flags", "colours", "problem")),
        ("message", ctypes.c_char * 64),
    )


def decode_with_libpng(data: bytes) -> NDArray[np.uint8]:
    """Return the samples of an 8-bit grey PNG that libpng decodes, [H, W]; the test skips without libpng."""
    name = ctypes.util.find_library("png16")
    if name is None:
        pytest.skip("libpng is not installed (dcmtk brings it)")
    library, image = ctypes.CDLL(name), _PngImage(version=1)
    assert library.png_image_begin_read_from_memory(ctypes.byref(image), data, ctypes.c_size_t(len(data)))
    image.format = 0  # PNG_FORMAT_GRAY
    samples = np.zeros((image.height, image.width), np.uint8)
    pointer = ctypes.c_void_p(samples.ctypes.data)
    assert library.png_image_finish_read(ctypes.byref(image), None, pointer, 0, None), image.message
    return samples


def decode_with_tifffile(data: bytes) -> NDArray[Any]:
    """Return the samples that tifffile decodes; the test skips without tifffile."""
    tifffile: Any = pytest.importorskip("tifffile", reason="tifffile is not installed (PyPI: tifffile)")
    samples: NDArray[Any] = tifffile.imread(BytesIO(data))
    return samples


def _syntax(file: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(file, specific_tags=["Rows"], stop_before_pixels=True).file_meta.TransferSyntaxUID)
