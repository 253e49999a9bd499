"""SOP classes of what this program writes (PS3.4 B.5), with the modality that their objects have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"


class WrittenClass(NamedTuple):
    """A class of objects that this program writes."""

    name: str
    modality: str


WRITTEN: Mapping[str, WrittenClass] = MappingProxyType(
    {
        ENHANCED_SR: WrittenClass("Enhanced SR Storage", "SR"),
        SEGMENTATION: WrittenClass("Segmentation Storage", "SEG"),
        PRESENTATION: WrittenClass("Grayscale Softcopy Presentation State Storage", "PR"),
        CAPTURE: WrittenClass("Secondary Capture Image Storage", "OT"),
        PDF: WrittenClass("Encapsulated PDF Storage", "DOC"),
        KEY_OBJECTS: WrittenClass("Key Object Selection Document Storage", "KO"),
    }
)
"""By UID."""
