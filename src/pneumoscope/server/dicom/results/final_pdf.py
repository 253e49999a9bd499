"""A reader's final report as a page to print: an Encapsulated PDF (PS3.3 A.45.1)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pneumoscope.bundle.prediction import split_decision
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.server.dicom.objects.analysed import SERIES
from pneumoscope.server.dicom.objects.place import Place, refer_to_instance
from pneumoscope.server.dicom.objects.sop_classes import PDF
from pneumoscope.server.dicom.results.final_read import describe_aid, describe_likelihoods
from pneumoscope.server.dicom.results.sources import SignedRead, SourceImage

if TYPE_CHECKING:
    from pydicom import Dataset

TITLE = "Final read (research)"
_A4 = 8.27, 11.69
"""Width and height of a page, in inches."""
_WIDTH = 460.0
"""Points that a line may be wide; a page is 595 wide."""
_LINES = 62
"""Of a page."""
_SIZE = 10
"""Points of the font."""


def list_lines(read: SignedRead, header: Dataset) -> list[str]:
    """Return the words of the page, a paragraph a line.

    Args:
        read: The report.
        header: Of an image of the study.
    """
    # Of a name in several scripts, the alphabetic group comes first (PS3.5 6.2.1.2).
    name = str(header.get("PatientName") or "").partition("=")[0].replace("^", " ").strip()
    about = [
        *(("Patient", name), ("Patient ID", header.get("PatientID")), ("Born", header.get("PatientBirthDate"))),
        *(("Study of", header.get("StudyDate")), ("Accession number", header.get("AccessionNumber"))),
        *(("Read by", read.name), ("Signed", _show_time(read.signed))),
    ]
    lines = [SERIES, TITLE, ""]
    lines += [f"{what}: {value}" for what, value in about if value]
    if read.text.strip():
        lines += ["", "Findings", *read.text.splitlines()]
    if read.labels:
        lines += ["", *describe_likelihoods(read)]
    if read.conclusion:
        lines += ["", f"Conclusion: {', '.join(display_name(label) for label in split_decision(read.conclusion))}"]
    for at, words in read.addenda:
        lines += ["", f"Addendum, {_show_time(at)}", *words.splitlines()]
    return [*lines, "", describe_aid(read), *DISCLAIMER.splitlines()]


def can_draw(lines: Sequence[str]) -> bool:
    """Return whether the page's font has all letters: Latin, Greek and Cyrillic ones, not Chinese or Korean."""
    known = _font().get_charmap()
    return all(ord(letter) in known for line in lines for letter in line)


def wrap_line(line: str) -> list[str]:
    """Return a line as lines that fit on the page; capital letters need more room.

    Args:
        line: Of letters that the font has, see `can_draw`.
    """
    if not line.strip():
        return [""]
    font = _font()
    font.set_size(_SIZE, 72)
    font.set_text(line)
    width = max(font.get_width_height()[0] / 64, 1.0)  # in 64ths of a point
    return textwrap.wrap(line, max(1, int(_WIDTH * len(line) / width)))


def draw_pdf(lines: Sequence[str], at: float) -> bytes:
    """Return lines of words as a PDF.

    Args:
        lines: The words, a paragraph a line, of letters that the font has.
        at: The document's time, in seconds since 1970.
    """
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    font = FontProperties(fname=_font().fname, size=_SIZE)
    buffer, lines = BytesIO(), [part for line in lines for part in wrap_line(line)]
    about = {"Title": TITLE, "Creator": "Pneumoscope", "CreationDate": datetime.fromtimestamp(at).astimezone()}
    with PdfPages(buffer, metadata=about) as pages:
        for start in range(0, len(lines), _LINES):
            page = Figure(figsize=_A4)
            words = "\n".join(lines[start : start + _LINES])
            page.text(0.1, 0.95, words, fontproperties=font, va="top", linespacing=1.5, parse_math=False)
            pages.savefig(page)
    return buffer.getvalue()


def write_final_pdf(sources: Sequence[SourceImage], read: SignedRead, lines: Sequence[str], place: Place) -> Dataset:
    """Return a final report as an encapsulated PDF, without what all objects share.

    Args:
        sources: The images of the study, at least one.
        read: The report.
        lines: Its words, see `list_lines`.
        place: Where the object stands.
    """
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    document = draw_pdf(lines, read.finished)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = UID(PDF)
    made.file_meta.MediaStorageSOPInstanceUID = UID(place.sop_uid)
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = UID(PDF), UID(place.sop_uid)
    made.SeriesInstanceUID, made.SeriesNumber = place.series_uid, place.series_number
    made.InstanceNumber = place.number
    made.Modality, made.ConversionType = "DOC", "WSD"
    made.ContentDate = made.ContentTime = made.AcquisitionDateTime = ""
    made.BurnedInAnnotation = "YES"  # the page names the patient
    made.SourceInstanceSequence = [refer_to_instance(source.evidence) for source in sources]
    made.DocumentTitle = TITLE
    made.ConceptNameCodeSequence = []
    made.VerificationFlag = "UNVERIFIED"
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return made


def _show_time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M %z")


def _font() -> Any:
    """Return DejaVu Sans, which comes with matplotlib."""
    from matplotlib import get_data_path
    from matplotlib.font_manager import get_font

    return get_font(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf")
