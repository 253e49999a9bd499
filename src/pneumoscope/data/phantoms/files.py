"""Phantoms as files: PNG and DICOM, each with a statement that it shows no patient.

DICOM is written as the Digital X-Ray IOD for presentation (PS3.3 A.26), uncompressed, so that any viewer and this
package's own decoder can be tried on it. UIDs are derived from the pixels: the same phantom has the same UIDs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pneumoscope import __version__
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.core.files import atomic_path
from pneumoscope.data.phantoms.source import WORD

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from pneumoscope.data.phantoms.phantom import Phantom

STATEMENT = f"{WORD} PHANTOM, drawn by pneumoscope {__version__}; shows no patient"
DICOM_BITS = 12

# View -> ViewPosition, and the code of PS3.16 CID 4010 (DX View).
_VIEWS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "PA": ("PA", "272479007", "postero-anterior"),
        "AP": ("AP", "399348003", "antero-posterior"),
        "AP Supine": ("AP", "399348003", "antero-posterior"),
    }
)


def to_stored_values(pixels: NDArray[np.float32], bits: int) -> NDArray[np.uint16]:
    """Return [H, W] 0..1 as whole numbers 0..2**bits - 1, rounded to the nearest."""
    values: NDArray[np.uint16] = np.rint(pixels * (2**bits - 1)).astype(np.uint16)
    return values


def write_png(path: Path, pixels: NDArray[np.float32], bits: int = 8) -> None:
    """Write an image [H, W], 0..1, as greyscale PNG of 8 or 16 bits, marked as synthetic."""
    values = to_stored_values(pixels, bits)
    image = Image.fromarray(values if bits == 16 else values.astype(np.uint8))
    about = PngInfo()
    for key, text in (("Description", STATEMENT), ("Copyright", "CC0-1.0"), ("Software", f"pneumoscope {__version__}")):
        about.add_text(key, text)
    with atomic_path(path) as temporary:
        image.save(temporary, pnginfo=about)


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask [H, W] as PNG: 255 inside, 0 outside; marked as synthetic."""
    write_png(path, mask.astype(np.float32))


def write_dicom(
    path: Path, phantom: Phantom, study: int, inverted: bool = False, tags: Mapping[str, str] | None = None
) -> None:
    """Write a phantom as DICOM, 12 bits in 16.

    Args:
        path: The file.
        phantom: What to write.
        study: Number of the patient's study, 1 or more.
        inverted: As MONOCHROME1, the lowest value showing white.
        tags: Keyword -> value of tags that replace those of every phantom.

    Raises:
        MissingExtraError: pydicom is not installed.
    """
    try:
        from pydicom import dcmwrite
    except ModuleNotFoundError as error:
        raise MissingExtraError("DICOM phantoms", "dicom") from error
    dataset = to_dataset(phantom, study, inverted)
    for keyword, value in (tags or {}).items():
        setattr(dataset, keyword, value)
    with atomic_path(path) as temporary:
        dcmwrite(temporary, dataset, enforce_file_format=True)


def to_dataset(phantom: Phantom, study: int, inverted: bool = False) -> Dataset:
    """Return a phantom as a DICOM data set: see ``write_dicom``."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    def uid(*parts: str) -> str:
        return str(generate_uid(entropy_srcs=["pneumoscope phantom", *parts]))

    values = to_stored_values(phantom.pixels, DICOM_BITS)
    identity = hashlib.sha256(values.tobytes()).hexdigest()
    position, view_code, view_meaning = _VIEWS[phantom.view]
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = uid(identity, "image", "inverted" if inverted else "plain")
    ds.StudyInstanceUID = uid(phantom.patient_id, str(study), identity, "study")
    ds.SeriesInstanceUID = uid(phantom.patient_id, str(study), identity, "series")

    ds.PatientName = f"{WORD}^PHANTOM"
    ds.PatientID = phantom.patient_id
    ds.PatientBirthDate = ""
    ds.PatientSex = phantom.sex
    ds.PatientAge = f"{phantom.age:03d}Y"
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = str(study), 1, 1
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyDescription = ds.SeriesDescription = f"{WORD} PHANTOM"
    ds.ImageComments = STATEMENT
    ds.InstitutionName = phantom.source
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "Pneumoscope", "Phantom", __version__

    ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.BodyPartExamined, ds.ImageLaterality = "CHEST", "U"
    ds.AnatomicRegionSequence = [_code("816094009", "Chest")]
    ds.ViewPosition = position
    ds.ViewCodeSequence = [_code(view_code, view_meaning)]
    if phantom.view == "AP Supine":
        ds.PatientOrientationCodeSequence = [_code("102538003", "recumbent")]  # PS3.16 CID 19
        ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [_code("40199007", "supine")]
    ds.PatientOrientation = ["L", "F"]  # columns run to the patient's left, rows to the feet (C.7.6.1.1.1)
    ds.BurnedInAnnotation = "NO"  # what is burned in (side marker, the word) identifies nobody (C.7.6.1.1.2)
    ds.LossyImageCompression = "00"
    ds.DetectorType, ds.AcquisitionContextSequence = "", []  # Type 2: must be there, may be empty
    ds.ImagerPixelSpacing = [round(400 / min(values.shape), 6)] * 2  # mm: the short side shows 40 cm

    ds.SamplesPerPixel, (ds.Rows, ds.Columns) = 1, values.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, DICOM_BITS, DICOM_BITS - 1, 0
    ds.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"  # must agree with it in DX (C.8.11.3.1.2)
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", 1 if inverted else -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    # LINEAR windows are half a value low and a value narrow: this one maps 0 to 0 and 4095 to 1 (C.11.2.1.2.1).
    ds.WindowCenter, ds.WindowWidth = 2 ** (DICOM_BITS - 1), 2**DICOM_BITS
    top = np.uint16(2**DICOM_BITS - 1)
    ds.PixelData = (top - values if inverted else values).astype("<u2").tobytes()
    return ds


def _code(value: str, meaning: str) -> Dataset:
    """Return one coded concept of SNOMED CT."""
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code
