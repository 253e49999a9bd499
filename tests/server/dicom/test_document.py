"""What stands around a structured report's contents, against highdicom's own class."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pydicom
import pytest

from pneumoscope.server.dicom.objects.place import MANUFACTURER, Place, finish, refer_to
from pneumoscope.server.dicom.objects.sop_classes import ENHANCED_SR
from pneumoscope.server.dicom.results.document import write_document
from pneumoscope.server.dicom.results.sources import SourceImage
from server.sample_files import dicom

highdicom = pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

ROOT = "1.2.826.0.1.3680043.8.498.1"
FIRST = {"StudyInstanceUID": ROOT, "SeriesInstanceUID": f"{ROOT}.1", "SOPInstanceUID": f"{ROOT}.1.1"}
SECOND = {**FIRST, "SOPInstanceUID": f"{ROOT}.1.2"}
THIRD = {**FIRST, "SeriesInstanceUID": f"{ROOT}.2", "SOPInstanceUID": f"{ROOT}.2.1"}
WITH_MACHINE = {"Manufacturer": "Maker", "ManufacturerModelName": "Machine", "DeviceSerialNumber": "7"}


def source_of(tags: Mapping[str, Any]) -> SourceImage:
    """An image as the store has it."""
    header = pydicom.dcmread(BytesIO(dicom(tags)))
    return SourceImage(header.SOPInstanceUID, header, "", "", header.Columns, header.Rows)


def build_content() -> pydicom.Dataset:
    """A tree with one text."""
    from pydicom.sr.codedict import codes

    root = highdicom.sr.ContainerContentItem(name=codes.DCM.ImagingMeasurementReport, template_id="1500")
    text = highdicom.sr.TextContentItem(
        name=codes.DCM.Comment, value="Nothing of note", relationship_type=highdicom.sr.RelationshipTypeValues.CONTAINS
    )
    root.ContentSequence = highdicom.sr.ContentSequence([text])
    return root


def read_finished(made: pydicom.Dataset, source: SourceImage) -> pydicom.Dataset:
    """An object as it is sent, without the time of its making that highdicom takes from the clock."""
    read = pydicom.dcmread(BytesIO(finish(made, source.header, "model", 1_790_000_000)))
    for equipment in read.ContributingEquipmentSequence:
        equipment.pop("ContributionDateTime", None)
    return read


@pytest.mark.parametrize("is_final", [True, False])
@pytest.mark.parametrize("machine", [{"Manufacturer": None}, WITH_MACHINE], ids=["unknown", "known"])
@pytest.mark.parametrize("earlier", [None, refer_to(ENHANCED_SR, "1.2.3.4", "1.2.3", ROOT)], ids=["first", "later"])
def test_a_document_is_what_highdicom_makes(
    is_final: bool, machine: Mapping[str, Any], earlier: pydicom.Dataset | None
) -> None:
    sources = [source_of({**tags, **machine}) for tags in (FIRST, SECOND, THIRD)]
    place = Place("1.2.3.5", "1.2.3", 9900, 2, earlier)
    expected = highdicom.sr.EnhancedSR(
        evidence=[source.evidence for source in sources],
        content=build_content(),
        series_instance_uid=place.series_uid,
        series_number=place.series_number,
        sop_instance_uid=place.sop_uid,
        instance_number=place.number,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=is_final,
        is_verified=False,
        previous_versions=None if earlier is None else [earlier],
    )
    made = write_document(build_content(), sources, place, is_final=is_final)
    assert read_finished(made, sources[0]) == read_finished(expected, sources[0])
