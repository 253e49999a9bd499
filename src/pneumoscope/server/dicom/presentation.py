"""The outline of the lungs as a softcopy presentation state (PS3.3 A.33.1): lines that a viewer draws on the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pneumoscope import __version__
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.server.dicom.objects import SERIES
from pneumoscope.server.dicom.outlines import graph_of, trace_lines
from pneumoscope.server.dicom.place import MANUFACTURER, Place
from pneumoscope.server.dicom.segmentation import ALGORITHM
from pneumoscope.server.dicom.sources import ImageAnswer

if TYPE_CHECKING:
    from pydicom import Dataset

_SHORT = 12


def write_presentation(answer: ImageAnswer, square: NDArray[np.bool_], place: Place) -> Dataset:
    """Return the outline of an image's lungs as a presentation state, without what all objects share.

    Args:
        answer: What a model said about the image.
        square: [S, S] bool, see `outlines.find_lungs`.
        place: Where the presentation state stands.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        from highdicom import PresentationLUTTransformation
        from highdicom.pr import (
            GraphicAnnotation,
            GraphicLayer,
            GraphicObject,
            GrayscaleSoftcopyPresentationState,
            TextObject,
        )
    except ImportError as error:
        raise MissingExtraError("a DICOM presentation state", "pacs") from error
    source, evidence = answer.source, answer.source.evidence
    layer = GraphicLayer(layer_name="AI RESEARCH", order=1, description=SERIES)
    annotation = GraphicAnnotation(
        referenced_images=[evidence],
        graphic_layer=layer,
        graphic_objects=[
            GraphicObject(graphic_type="POLYLINE", graphic_data=line, units="PIXEL")
            for line in trace_lines(square, source.height, source.width)
        ],
        text_objects=[
            TextObject(
                text_value=f"{SERIES}: lungs by {ALGORITHM}",
                units="DISPLAY",
                bounding_box=(0.02, 0.02, 0.7, 0.06),
                text_justification="LEFT",
            )
        ],
    )
    inverted = str(evidence.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1"
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=[evidence],
        series_instance_uid=place.series_uid,
        series_number=place.series_number,
        sop_instance_uid=place.sop_uid,
        instance_number=place.number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=ALGORITHM,
        software_versions=__version__,
        device_serial_number=graph_of(answer)[:_SHORT],
        content_label="LUNGS",
        content_description="Lungs, outlined by an algorithm, not checked",
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        # The state's shape stands in place of the image's own interpretation (PS3.4 N.2.1.3).
        presentation_lut_transformation=PresentationLUTTransformation("INVERSE" if inverted else "IDENTITY"),
    )
    state.BodyPartExamined = "CHEST"  # is not paired, so that the series needs no Laterality (PS3.3 C.7.3.1)
    return state
