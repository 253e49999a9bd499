"""Structured reports as documents: what stands around a tree of contents (Enhanced SR, PS3.3 A.35.2).

highdicom's own class copies and searches the whole tree several times, which takes longer than all else about a report.
A test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pneumoscope.server.dicom.objects.place import Place, refer_to_instance
from pneumoscope.server.dicom.objects.sop_classes import ENHANCED_SR
from pneumoscope.server.dicom.results.sources import SourceImage

if TYPE_CHECKING:
    from pydicom import Dataset


def write_document(content: Dataset, sources: Sequence[SourceImage], place: Place, *, is_final: bool) -> Dataset:
    """Return an unverified report, without what all objects share.

    Args:
        content: The root of the tree; it refers to no other images than the sources.
        sources: The images of one study that it is about, at least one.
        place: Where it stands.
        is_final: Whether it is the last word, and not preliminary.
    """
    from highdicom import ContributingEquipment
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = ENHANCED_SR, place.sop_uid
    made.Modality = "SR"
    made.SeriesInstanceUID, made.SeriesNumber = place.series_uid, place.series_number
    made.InstanceNumber = place.number
    made.ContentDate = made.ContentTime = ""  # `finish` sets them
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "UNVERIFIED"
    made.PreliminaryFlag = "FINAL" if is_final else "PRELIMINARY"
    made.PerformedProcedureCodeSequence = []
    made.ReferencedPerformedProcedureStepSequence = []
    headers = [source.header for source in sources]
    made.CurrentRequestedProcedureEvidenceSequence = [_refer_to_study(headers)]
    if (earlier := place.predecessor) is not None:
        made.PredecessorDocumentsSequence = [_refer_to_study([earlier])]
    made.ContributingEquipmentSequence = []
    with suppress(ValueError, TypeError, AttributeError):  # the image does not say what it was made with
        made.ContributingEquipmentSequence.append(ContributingEquipment.for_image_acquisition(sources[0].evidence))
    made.ContributingEquipmentSequence.append(ContributingEquipment.for_highdicom())
    for element in content:
        made.add(element)
    return made


def _refer_to_study(instances: Sequence[Dataset]) -> Dataset:
    """Return a reference to instances of one study (PS3.3 10-4, Hierarchical SOP Instance Reference Macro)."""
    from pydicom import Dataset

    by_series: dict[str, list[Dataset]] = {}
    for instance in instances:
        by_series.setdefault(str(instance.SeriesInstanceUID), []).append(refer_to_instance(instance))
    study = Dataset()
    study.StudyInstanceUID = instances[0].StudyInstanceUID
    study.ReferencedSeriesSequence = []
    for uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = uid, references
        study.ReferencedSeriesSequence.append(series)
    return study
