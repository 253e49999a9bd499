"""The outlines of lungs and heart as a softcopy presentation state (PS3.3 A.33.1): lines that a viewer draws.

Each structure has a layer of its own, so that a viewer can hide one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pneumoscope import __version__
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.server.dicom.objects.analysed import SERIES
from pneumoscope.server.dicom.objects.place import MANUFACTURER, Place
from pneumoscope.server.dicom.results.outlines import Outline, graph_of, trace_lines
from pneumoscope.server.dicom.results.segmentation import ALGORITHM, COLOURS, label_of
from pneumoscope.server.dicom.results.sources import ImageAnswer, SourceImage

if TYPE_CHECKING:
    from highdicom.pr import GraphicAnnotation, GraphicLayer
    from pydicom import Dataset

_SHORT = 12


def write_presentation(answer: ImageAnswer, outlines: Sequence[Outline], place: Place) -> Dataset:
    """Return the outlines on an image as a presentation state, without what all objects share.

    Args:
        answer: What a model said about the image.
        outlines: See `outlines.find_outlines`; one layer for each, in this order.
        place: Where the presentation state stands.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        from highdicom import PresentationLUTTransformation
        from highdicom.color import CIELabColor
        from highdicom.pr import GraphicLayer, GrayscaleSoftcopyPresentationState
    except ImportError as error:
        raise MissingExtraError("a DICOM presentation state", "pacs") from error
    source, evidence = answer.source, answer.source.evidence
    layers = [
        GraphicLayer(
            layer_name=f"AI {outline.structure.upper()}",
            order=order,
            description=SERIES,
            display_color=CIELabColor(*COLOURS[outline.structure]),
        )
        for order, outline in enumerate(outlines, 1)
    ]
    words = f"{SERIES}: {' and '.join(outline.structure for outline in outlines)} by {ALGORITHM}"
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
        content_label=label_of(outlines),
        content_description="Outlined by an algorithm, not checked",
        # The words stand on the first layer, which is always there.
        graphic_annotations=[
            _draw(source, outline, layer, words if layer is layers[0] else "")
            for outline, layer in zip(outlines, layers, strict=True)
        ],
        graphic_layers=layers,
        # The state's shape stands in place of the image's own interpretation (PS3.4 N.2.1.3).
        presentation_lut_transformation=PresentationLUTTransformation("INVERSE" if inverted else "IDENTITY"),
    )
    state.BodyPartExamined = "CHEST"  # is not paired, so that the series needs no Laterality (PS3.3 C.7.3.1)
    return state


def _draw(source: SourceImage, outline: Outline, layer: GraphicLayer, words: str) -> GraphicAnnotation:
    """Return the lines of a structure on its layer, with words at the picture's upper edge where there are some."""
    from highdicom.pr import GraphicAnnotation, GraphicObject, TextObject

    text = TextObject(
        text_value=words or outline.structure,
        units="DISPLAY",
        bounding_box=(0.02, 0.02, 0.7, 0.06),
        text_justification="LEFT",
    )
    return GraphicAnnotation(
        referenced_images=[source.evidence],
        graphic_layer=layer,
        graphic_objects=[
            GraphicObject(graphic_type="POLYLINE", graphic_data=line, units="PIXEL")
            for line in trace_lines(outline.square, source.height, source.width)
        ],
        text_objects=[text] if words else None,
    )
