"""The sound files that `malformed_files.py` mutates: some of a folder, and copies of them in every other form."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from malformed_tables import make_zip
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.core.errors import ImageError
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.imaging.files import format_of
from pneumoscope.imaging.golden_files import encode
from pneumoscope.imaging.golden_files.encode import chunk, dicom, pillow, png, tiff
from pneumoscope.imaging.read import Radiograph, read

MARKER = "Qxmarker7Zv"
"""The patient's name in every DICOM file that is written here."""
IMAGES = "images"
"""Folder, beside the files, of empty files with the names that the tables and annotations give."""
_EACH = 40  # files of one format that are taken from a folder
_LARGEST = 3 * 2**20
_ROWS = 60
_JPEG_LOSSLESS, _JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.91"


def write_seeds(folder: Path | None, target: Path, seed: int) -> dict[str, list[Path]]:
    """Write the files into a folder; return them by format, the same for one seed.

    Args:
        folder: Files of the user's; None draws phantoms.
        target: The folder, which is created.
        seed: Another chooses other files.
    """
    draw = random.Random(seed)
    phantoms = target / "phantoms"
    write_set(phantoms, 2, ("covid-19", "normal"), seed, formats=("png", "dicom"))
    seeds: dict[str, list[Path]] = {name: [] for name in ("png", "jpeg", "dicom", "tiff", "webp", "other")}
    tables, annotations = list[Path](), list[Path]()
    files = sorted(path for path in (folder or phantoms).rglob("*") if path.is_file())
    draw.shuffle(files)
    for path in files:
        if path.suffix == ".csv":
            tables.append(path)
        elif path.suffix == ".json" and len(annotations) < _EACH and folder is not None:
            annotations.append(path)
        elif path.stat().st_size <= _LARGEST:
            with path.open("rb") as file:
                form = format_of(file.read(132))
            if form is not None and len(seeds[form]) < _EACH:
                seeds[form].append(path)
    images = [radiograph for path in [*seeds["png"][:8], *seeds["jpeg"][:4]] if (radiograph := _readable(path))]
    for number, radiograph in enumerate(images):
        for name, data in _forms(radiograph, draw).items():
            form = format_of(data[:132]) or "other"
            path = target / f"{number} {name}"
            path.write_bytes(data)
            seeds[form].append(path)
    seeds["csv"] = _write_tables(tables, images, target)
    seeds["parquet"] = [phantoms / "manifest.parquet"]
    seeds["json"] = annotations or [_write_annotation(target)]
    _write_images([*seeds["csv"], *seeds["json"]], target / IMAGES)
    return {form: paths for form, paths in seeds.items() if paths}


def _readable(path: Path) -> Radiograph | None:
    try:
        return read(path)
    except ImageError:
        return None


def _forms(radiograph: Radiograph, draw: random.Random) -> dict[str, bytes]:
    """Return one image in every form: name of a file -> its bytes."""
    step = max(1, max(radiograph.pixels.shape) // 250)
    pixels = radiograph.pixels[::step, ::step]
    grey, deep = (np.rint(pixels * white).astype(np.uint16) for white in (255, 65535))
    colour = np.stack([grey] * 3, axis=-1)
    transparent = np.concatenate([colour, np.full((*grey.shape, 1), 200, np.uint16)], axis=-1)
    notes = [chunk(b"eXIf", encode.exif(6)), chunk(b"tEXt", b"Comment\0a note")]
    forms = {
        "grey.png": png(grey, 8, 0, notes),
        "deep.png": png(deep, 16, 0),
        "deep colour.png": png(np.stack([deep] * 3, axis=-1), 16, 2, filtered=True),
        "palette.png": pillow(grey, "PNG") if draw.random() < 0.5 else _palette(grey),
        "progressive.jpg": pillow(colour, "JPEG", progressive=True),
        "grey.jpg": pillow(grey, "JPEG", exif=b"Exif\0\0" + encode.exif(3)),
        "lossy.webp": pillow(colour, "WEBP", quality=80),
        "lossless.webp": pillow(transparent, "WEBP", lossless=True),
        "little.tif": tiff(deep[:150, :150], 16, 1),
        "big.tif": tiff(deep[:150, :150], 16, 0, order=">"),
        "image.gif": pillow(grey, "GIF"),
        "image.bmp": pillow(grey, "BMP"),
        "image.zip": make_zip({"a.png": pillow(grey, "PNG")}),
        **{
            f"{kind}.tif": pillow(grey, "TIFF", compression=kind)
            for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
        },
        "jpeg.tif": pillow(colour, "TIFF", compression="jpeg"),
        "fax.tif": _bilevel(grey),
        "bigtiff.tif": pillow(grey, "TIFF", big_tiff=True),
        **_dicom_forms(pixels, colour),
    }
    with_tifffile = _tiled(deep)
    return forms if with_tifffile is None else {**forms, "tiled.tif": with_tifffile}


def _palette(grey: NDArray[np.uint16]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(grey.astype(np.uint8)).convert("P").save(buffer, "PNG", transparency=3)
    return buffer.getvalue()


def _bilevel(grey: NDArray[np.uint16]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(grey.astype(np.uint8)).convert("1").save(buffer, "TIFF", compression="group4")
    return buffer.getvalue()


def _tiled(deep: NDArray[np.uint16]) -> bytes | None:
    """Return a tiled TIFF with a predictor; None where tifffile or its codecs are not installed."""
    try:
        import tifffile

        buffer = BytesIO()
        tifffile.imwrite(buffer, deep, tile=(64, 64), compression="zlib", predictor=True, bigtiff=True)
    except (ImportError, ValueError):
        return None
    return buffer.getvalue()


def _dicom_forms(pixels: NDArray[np.float32], colour: NDArray[np.uint16]) -> dict[str, bytes]:
    """Return one image in the transfer syntaxes that can be written here."""
    samples = np.rint(pixels * 4095).astype(np.uint16)
    names: dict[str, Any] = {"PatientName": f"{MARKER}^A", "PatientID": MARKER, "InstitutionName": MARKER}
    window = {**names, "WindowCenter": 2048, "WindowWidth": 4096, "PatientOrientation": ["L", "F"]}
    syntaxes = {
        "explicit": encode.EXPLICIT,
        "implicit": encode.IMPLICIT,
        "deflated": encode.DEFLATED,
        "big": encode.BIG,
        "rle": encode.RLE,
        "jpegls": encode.JPEG_LS,
        "j2k": encode.JPEG_2000,
    }
    forms = {f"{name}.dcm": dicom(samples, 12, window, syntax=syntax) for name, syntax in syntaxes.items()}
    grey = np.rint(pixels * 255).astype(np.uint8)
    forms["jpeg.dcm"] = dicom(grey, 8, names, syntax=encode.JPEG_BASELINE, frame=pillow(grey, "JPEG"))
    buffer = BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG2000", irreversible=True, no_jp2=False)
    forms["lossy j2k.dcm"] = dicom(grey, 8, names, syntax=_JPEG_2000_LOSSY, frame=buffer.getvalue())
    forms["colour.dcm"] = dicom(colour, 8, {**names, "Modality": "OT"})
    signed = {**window, "PixelRepresentation": 1, "RescaleSlope": 1, "RescaleIntercept": 0, "PixelPaddingValue": -2048}
    forms["signed.dcm"] = dicom(samples.astype(np.int32) - 2048, 12, {**signed, "WindowCenter": 0})
    return forms


def _write_tables(paths: list[Path], images: list[Radiograph], target: Path) -> list[Path]:
    """Write the first rows of each table, with the columns that the mutations' reader asks for."""
    header = "image,label,patient_id,age,sex,view"
    terms = ("normal", "Pneumonia", "covid-19", "Lung Opacity")
    rows = [
        f"{number}.png,{terms[number % 4]},p{number // 2},{40 + number},{'MF'[number % 2]},{('PA', 'AP')[number % 2]}"
        for number in range(len(images))
    ]
    tables = [target / "labels.csv"]
    tables[0].write_text("\n".join((header, *rows)) + "\n")
    for number, path in enumerate(paths):
        lines = path.read_text("utf-8", "replace").splitlines()[: _ROWS + 1]
        lines[0] = ",".join((header.split(",") + lines[0].split(",")[6:])[: max(6, len(lines[0].split(",")))])
        tables.append(target / f"table {number}.csv")
        tables[-1].write_text("\n".join(lines) + "\n", "utf-8")
    return [tables[0]] * len(tables) + tables[1:]  # half of the mutations are of a table that is read


def _write_images(paths: list[Path], folder: Path) -> None:
    """Write an empty file for each name of an image in tables and annotations."""
    folder.mkdir()
    for path in paths:
        text = path.read_text("utf-8", "replace")
        names = re.findall(r'"original_filename": ?"([^"]+)"', text) or [row.split(",")[0] for row in text.split("\n")]
        for name in names:
            with suppress(OSError, ValueError):
                (folder / Path(name.strip('"')).name).touch()


def _write_annotation(target: Path) -> Path:
    path = target / "annotation.json"
    path.write_text(
        '{"image": {"width": 40, "height": 30, "filename": "a.png", "original_filename": "a.png"}, "annotations": ['
        '{"name": "COVID-19", "tag": {}}, {"name": "Age/50", "tag": {}}, {"name": "Lung", "polygon": {"path": ['
        '{"x": 1, "y": 2}, {"x": 20, "y": 2}, {"x": 9.5, "y": 25}]}}]}'
    )
    return path
