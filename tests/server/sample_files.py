"""Files to upload: grey squares whose answers are known, with whatever else a test needs in them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image


def png(value: float, side: int = 40, **options: Any) -> bytes:
    """An 8-bit grey square of one brightness; its number of pixels may tell it from others."""
    buffer = BytesIO()
    Image.fromarray(np.full((side, side), round(value * 255), np.uint8)).save(buffer, "PNG", **options)
    return buffer.getvalue()


def dicom(tags: Mapping[str, Any] | None = None, value: int = 2000) -> bytes:
    """A 12-bit DICOM radiograph of Jane Doe, number 4711."""
    from pneumoscope.imaging.golden_files.encode import dicom as encode

    samples = np.full((32, 24), value, np.uint16)
    samples[0, 0] = 4095
    named = {"PatientName": "Doe^Jane", "PatientID": "4711", "PatientBirthDate": "19300102", "PatientAge": "095Y"}
    return encode(samples, 12, {**named, "StudyDate": "20240506", "BurnedInAnnotation": "NO", **(tags or {})})


def archive(files: Mapping[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive_file:
        for name, data in files.items():
            archive_file.writestr(name, data)
    return buffer.getvalue()
