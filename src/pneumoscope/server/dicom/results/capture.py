"""An answer as a picture for viewers that show nothing else: a secondary capture (PS3.3 A.8.1), only where asked for.

The words that it is research are burnt into bands above and below the picture, so that they go wherever the picture
goes. The picture shows the outline of the lungs and never a heatmap.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import MissingExtraError
from pneumoscope.server.dicom.objects.analysed import SERIES
from pneumoscope.server.dicom.objects.place import MANUFACTURER, Place, refer_to_instance
from pneumoscope.server.dicom.results.outlines import find_lungs, trace_lines
from pneumoscope.server.dicom.results.report import list_evaluations
from pneumoscope.server.dicom.results.sources import ImageAnswer
from pneumoscope.server.inference.models import InstalledModel
from pneumoscope.server.storage import blobs

if TYPE_CHECKING:
    from PIL import ImageFont
    from pydicom import Dataset

LONGEST_SIDE = 1024
"""Pixels of the picture's longer side, without bands."""
_UNPAIRED = frozenset({"CHEST", "THORAX", "ABDOMEN", "PELVIS", "HEAD", "SKULL", "NECK", "CSPINE", "TSPINE", "LSPINE"})
_NARROWEST = 640
"""Pixels of the bands' width at least, so that the words fit."""
_TEXT = 18
"""Pixels of a letter's height."""
_LINE = 26
"""Pixels from a line of words to the next."""


def write_capture(files: Path, answer: ImageAnswer, model: InstalledModel, place: Place) -> Dataset:
    """Return an answer as a secondary capture, without what all objects share.

    Args:
        files: Folder of the stored pixels.
        answer: What a model said about an image.
        model: The model.
        place: Where the capture stands.

    Raises:
        MissingExtraError: highdicom is not installed.
        ImageError: The stored pixels are gone or altered.
    """
    try:
        from highdicom.sc import SCImage
    except ImportError as error:
        raise MissingExtraError("a secondary capture", "pacs") from error
    source, evidence = answer.source, answer.source.evidence
    pixels = blobs.read_pixels(files, source.image, source.sha256)
    capture = SCImage(
        pixel_array=draw_capture(pixels, answer, model),
        photometric_interpretation="MONOCHROME2",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=str(evidence.StudyInstanceUID),
        series_instance_uid=place.series_uid,
        series_number=place.series_number,
        sop_instance_uid=place.sop_uid,
        instance_number=place.number,
        manufacturer=MANUFACTURER,
        patient_orientation=("L", "F"),  # the library wants one; what is known follows
    )
    capture.PatientOrientation = evidence.get("PatientOrientation", "")
    part = str(source.header.get("BodyPartExamined", "")).strip().upper()
    if part:
        capture.BodyPartExamined = part
    if part not in _UNPAIRED:  # PS3.3 C.7.3.1: of paired parts, empty where it is not known
        capture.Laterality = source.header.get("Laterality", "")
    capture.ConversionType = "WSD"  # a workstation made it (PS3.3 C.8.6.1)
    capture.SourceImageSequence = [refer_to_instance(evidence)]
    # Whether words in the picture name the patient (PS3.3 C.7.6.1.1.3): ours do not, so that the source's word stands.
    # Sources that say YES were refused; where one says nothing, nothing is said.
    if str(source.header.get("BurnedInAnnotation", "")).strip().upper() == "NO":
        capture.BurnedInAnnotation = "NO"
    return capture


def draw_capture(pixels: NDArray[np.float32], answer: ImageAnswer, model: InstalledModel) -> NDArray[np.uint8]:
    """Return the picture with its bands.

    Args:
        pixels: [H, W] in 0..1, 0 = black, row 0 = head.
        answer: What the model said about the image.
        model: The model.

    Returns:
        [H, W] uint8, 255 = white.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = pixels.shape
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(np.round(pixels * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    square = find_lungs(answer)
    if square is not None:
        draw = ImageDraw.Draw(picture)
        for points in trace_lines(square, size[1], size[0]):
            draw.line([(float(x), float(y)) for x, y in points], fill=255, width=2)
    card, across = model.card, max(size[0], _NARROWEST)
    words = [SERIES, f"{card.name}, version {card.version}"]
    words += [f"{name}: {text}" if text == code else text for (_, name), code, text in list_evaluations(answer.result)]
    font = ImageFont.truetype(_font_file(), _TEXT)
    lines = [line for sentence in words for line in _wrap(sentence, font, across - 2 * _LINE)]
    top = _LINE * (len(lines) + 1)
    whole = Image.new("L", (across, top + size[1] + 2 * _LINE))
    whole.paste(picture, ((across - size[0]) // 2, top))
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        draw.text((_LINE, _LINE // 2 + _LINE * number), line, fill=255, font=font)
    draw.text((_LINE, top + size[1] + _LINE // 2), SERIES, fill=255, font=font)
    return np.asarray(whole)


def _wrap(sentence: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return a sentence as lines that are no wider than a number of pixels."""
    characters = max(1, int(width / (font.getlength(sentence) / len(sentence)))) if sentence else 1
    return textwrap.wrap(sentence, characters)


def _font_file() -> Path:
    """Return a font with Latin, Greek and Cyrillic letters, which comes with matplotlib (DejaVu Sans)."""
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
