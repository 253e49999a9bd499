"""The lungs of an image as a DICOM segmentation (PS3.3 A.51): one binary segment, by a named algorithm.

Lungs are all that is segmented. A heatmap says where a network was active; as a segment it would be taken for a finding
with edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pneumoscope import __version__
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.server.dicom.outlines import draw_mask, graph_of
from pneumoscope.server.dicom.place import MANUFACTURER, Place
from pneumoscope.server.dicom.sources import ImageAnswer

if TYPE_CHECKING:
    from pydicom import Dataset

ALGORITHM = "Pneumoscope lungs"
_SHORT = 12
_COLOUR = (70.0, -40.0, -15.0)
"""CIELab, as the lungs are coloured in the viewer."""


def write_segmentation(answer: ImageAnswer, square: NDArray[np.bool_], place: Place) -> Dataset:
    """Return the lungs of an image as a segmentation, without what all objects share.

    Args:
        answer: What a model said about the image.
        square: [S, S] bool, see `outlines.find_lungs`.
        place: Where the segmentation stands.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        from highdicom import AlgorithmIdentificationSequence
        from highdicom.color import CIELabColor
        from highdicom.seg import Segmentation, SegmentDescription
    except ImportError as error:
        raise MissingExtraError("a DICOM segmentation", "pacs") from error
    from pydicom.sr.codedict import codes

    source, graph, evidence = answer.source, graph_of(answer), answer.source.evidence
    segment = SegmentDescription(
        segment_number=1,
        segment_label="Lungs",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Lung,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=ALGORITHM,
            family=codes.DCM.ArtificialIntelligence,
            version=graph[:_SHORT],
            source=MANUFACTURER,
            parameters={"sha256": graph},
        ),
        display_color=CIELabColor(*_COLOUR),
    )
    segmentation = Segmentation(
        source_images=[evidence],
        pixel_array=draw_mask(square, source.height, source.width),
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=place.series_uid,
        series_number=place.series_number,
        sop_instance_uid=place.sop_uid,
        instance_number=place.number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=ALGORITHM,
        software_versions=__version__,
        device_serial_number=graph[:_SHORT],
        content_label="LUNGS",
        content_description="Outlined by an algorithm, not checked",
    )
    # A projection has no position in space, so that its own orientation is asked for (PS3.3 C.7.6.1).
    segmentation.PatientOrientation = evidence.get("PatientOrientation", "")
    return segmentation
