"""A stored answer as a DICOM object: a structured report by TID 1500, which viewers and archives read (PS3.16).

The report is preliminary and unverified, in a series of its own whose description says what it is. It names the
algorithm with version and hash (TID 4019), refers to the image, and carries the patient's and the study's own tags. A
refusal is a result too: it has the reason in place of scores. Its UIDs follow from what it says, so that the same
answer is the same object however often it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pneumoscope import __version__
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.dicom.objects import SERIES

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept, MeasurementReport
    from pydicom import Dataset

    from pneumoscope.bundle.card import Card

WRITER = 1
"""Version of what this module writes: another one is another object."""
SCHEME = "99PNEUMOSCOPE"
"""Private coding scheme of labels, decisions and reasons (PS3.16 8.2)."""
MANUFACTURER = "Pneumoscope"
_SERIES_NUMBER = 9900
"""Far from those that modalities give."""
_LONGEST_VALUE, _LONGEST_MEANING = 16, 64
"""Characters of a code's value (SH) and meaning (LO)."""


def derive_uid(*parts: str) -> str:
    """Return a UID that follows from texts: 2.25 and the first 128 bits of their SHA-256 (PS3.5 B.2)."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_report(
    source: Dataset, card: Card, identity: str, result: Mapping[str, Any], pixels: str, finished: float
) -> bytes:
    """Return an answer as a DICOM file.

    Args:
        source: Header of the image, with the patient's and the study's tags.
        card: Of the model.
        identity: Of the model, whole.
        result: The stored answer, see `inference.runner.make_result`.
        pixels: SHA-256 of the stored pixels.
        finished: When the answer was made, in seconds since 1970: the report's own time.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        from highdicom.sr import EnhancedSR
    except ImportError as error:
        raise MissingExtraError("a DICOM report", "pacs") from error
    about = (str(source.SOPInstanceUID), pixels, identity)
    report = EnhancedSR(
        evidence=[_complete(source)],
        content=_build_content(source, card, identity, result, about)[0],
        series_instance_uid=derive_uid(str(source.StudyInstanceUID), identity, "series", str(WRITER)),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=derive_uid(*about, "report", str(WRITER)),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    report.SeriesDescription = SERIES
    report.ManufacturerModelName = card.name[:_LONGEST_MEANING]
    report.SoftwareVersions = __version__
    made = datetime.fromtimestamp(finished, UTC)
    for what in ("InstanceCreation", "Content"):
        setattr(report, f"{what}Date", made.strftime("%Y%m%d"))
        setattr(report, f"{what}Time", made.strftime("%H%M%S"))
    for equipment in report.get("ContributingEquipmentSequence") or ():
        equipment.ContributionDateTime = made.strftime("%Y%m%d%H%M%S+0000")
    buffer = BytesIO()
    report.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _build_content(
    source: Dataset, card: Card, identity: str, result: Mapping[str, Any], about: Sequence[str]
) -> MeasurementReport:
    """Return the report's tree (TID 1500)."""
    from highdicom.sr import (
        AlgorithmIdentification,
        DeviceObserverIdentifyingAttributes,
        Measurement,
        MeasurementReport,
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        ObserverContext,
        QualitativeEvaluation,
        RelationshipTypeValues,
        SourceImageForMeasurementGroup,
        TextContentItem,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    device = DeviceObserverIdentifyingAttributes(
        uid=derive_uid(identity), name=card.name[:_LONGEST_MEANING], manufacturer_name=MANUFACTURER
    )
    scores = [
        Measurement(name=_code(label, f"Score of {label}"), value=value, unit=codes.UCUM.NoUnits)
        for label, value in (result.get("probabilities") or {}).items()
    ]
    said = _list_evaluations(result)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=derive_uid(*about, "group"), identifier="Whole image"),
        algorithm_id=AlgorithmIdentification(
            name=card.name, version=str(card.version), parameters=[f"sha256 {identity}", DISCLAIMER]
        ),
        measurements=scores,
        qualitative_evaluations=[
            QualitativeEvaluation(name=_code(*name), value=_code(code, code)) for name, code, _ in said
        ],
        source_images=[
            SourceImageForMeasurementGroup(
                referenced_sop_class_uid=str(source.SOPClassUID), referenced_sop_instance_uid=about[0]
            )
        ],
    )
    # A code's meaning has 64 characters; the sentences stand beside the codes, whole.
    for name, code, sentence in said:
        if sentence != code:
            text = TextContentItem(name=_code(*name), value=sentence, relationship_type=RelationshipTypeValues.CONTAINS)
            group[0].ContentSequence.append(text)
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=Code("363680008", "SCT", "Radiographic imaging procedure"),
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )


def _list_evaluations(result: Mapping[str, Any]) -> list[tuple[tuple[str, str], str, str]]:
    """Return what is said beside the scores: value and meaning of a name, the code of what it is, the sentence."""
    codes: Sequence[str] = result.get("codes") or ()
    said = []
    reason, decision, warning = ("no-answer", "Reason for no answer"), ("decision", "Decision"), ("warning", "Warning")
    if result.get("error"):
        said.append((reason, "failed", str(result["error"])))
    elif result.get("refused"):
        code = codes[0] if codes else "unlike"
        said.append((reason, code, str(result.get("reason") or code)))
    elif result.get("decision"):
        label = str(result["decision"])
        words = "No pattern that this model looks for" if label == "normal" else f"Pattern: {label}"
        said.append((decision, label, words))
    for place, sentence in enumerate(result.get("warnings") or ()):
        code = codes[place] if not result.get("refused") and place < len(codes) else "warning"
        said.append((warning, code, str(sentence)))
    audit = str(result.get("audit") or "none")
    return [*said, (("audit", "Audit of the model"), audit, audit)]


def _code(value: str, meaning: str) -> CodedConcept:
    """Return a code of the private scheme; a long value, or one of other letters, becomes a digest of itself."""
    from highdicom.sr import CodedConcept

    if len(value) > _LONGEST_VALUE or not value.isascii() or not value.strip():
        value = hashlib.sha256(value.encode()).hexdigest()[:12]
    return CodedConcept(value=value, scheme_designator=SCHEME, meaning=(meaning or value)[:_LONGEST_MEANING])


def _complete(source: Dataset) -> Dataset:
    """Return a header with the tags that every object has to have, empty where its sender left them out.

    Its texts were decoded when it was kept, so that the sender's character sets, which may be none, are not needed.
    """
    from pydicom import Dataset

    complete = Dataset()
    complete.update(source)
    complete.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (
        *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
        *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    ):
        if keyword not in complete:
            setattr(complete, keyword, "")
    return complete
