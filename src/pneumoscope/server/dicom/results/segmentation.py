"""Lungs and heart of an image as a DICOM segmentation (PS3.3 A.51): binary segments, by a named algorithm.

Nothing else is segmented. A heatmap says where a network was active; as a segment it would be taken for a finding with
edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope import __version__
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.server.dicom.objects.place import MANUFACTURER, Place
from pneumoscope.server.dicom.results.outlines import Outline, draw_mask, graph_of
from pneumoscope.server.dicom.results.sources import ImageAnswer

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset

ALGORITHM = "Pneumoscope lungs"
COLOURS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"lungs": (70.0, -40.0, -15.0), "heart": (70.0, 40.0, 60.0)}
)
"""CIELab, by structure: blue-green and orange, as in the viewer."""
_CODES: Mapping[str, str] = MappingProxyType({"lungs": "Lung", "heart": "Heart"})
"""Names of the codes in SNOMED CT, as pydicom has them."""
_DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "lungs": "Both lungs, where an algorithm sees them; not checked, and not made for measuring",
        "heart": "Shadow of the heart, where an algorithm sees it; not checked, and not made for measuring",
    }
)
_SHORT = 12


def write_segmentation(answer: ImageAnswer, outlines: Sequence[Outline], place: Place) -> Dataset:
    """Return the lungs of an image, and its heart, as a segmentation, without what all objects share.

    Args:
        answer: What a model said about the image.
        outlines: See `outlines.find_outlines`; one segment for each, in this order.
        place: Where the segmentation stands.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        from highdicom.seg import Segmentation
    except ImportError as error:
        raise MissingExtraError("a DICOM segmentation", "pacs") from error
    source, evidence = answer.source, answer.source.evidence
    masks = [draw_mask(outline.square, source.height, source.width) for outline in outlines]
    segmentation = Segmentation(
        source_images=[evidence],
        pixel_array=np.stack(masks, axis=-1)[None],  # [1, H, W, segments]
        segmentation_type="BINARY",
        segment_descriptions=[
            _describe(outline.structure, number, graph_of(answer)) for number, outline in enumerate(outlines, 1)
        ],
        series_instance_uid=place.series_uid,
        series_number=place.series_number,
        sop_instance_uid=place.sop_uid,
        instance_number=place.number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=ALGORITHM,
        software_versions=__version__,
        device_serial_number=graph_of(answer)[:_SHORT],
        content_label=label_of(outlines),
        content_description="Outlined by an algorithm, not checked",
    )
    # A projection has no position in space, so that its own orientation is asked for (PS3.3 C.7.6.1).
    segmentation.PatientOrientation = evidence.get("PatientOrientation", "")
    return segmentation


def label_of(outlines: Sequence[Outline]) -> str:
    """Return ContentLabel (CS): what is outlined."""
    return "_".join(outline.structure.upper() for outline in outlines)


def _describe(structure: str, number: int, graph: str) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    segment = SegmentDescription(
        segment_number=number,
        segment_label=structure.capitalize(),
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=getattr(codes.SCT, _CODES[structure]),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=ALGORITHM,
            family=codes.DCM.ArtificialIntelligence,
            version=graph[:_SHORT],
            source=MANUFACTURER,
            parameters={"sha256": graph},
        ),
        display_color=CIELabColor(*COLOURS[structure]),
    )
    segment.SegmentDescription = _DESCRIPTIONS[structure]
    return segment
