"""A model's answers about a study as a DICOM structured report by TID 1500, which viewers and archives read (PS3.16).

The report is preliminary and unverified, in a series of its own whose description says what it is. It names the
algorithm with version and hash (TID 4019), refers to each image, and carries the patient's and the study's own tags. A
refusal is a result too: it has the reason in place of scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pneumoscope.bundle.prediction import split_decision
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.core.labels import DISCLAIMER, display_name, inside_sentence, is_none_label, result_phrase
from pneumoscope.server.dicom.objects.place import LONGEST_MEANING, MANUFACTURER, Place, derive_uid
from pneumoscope.server.dicom.results.document import write_document
from pneumoscope.server.dicom.results.sources import ImageAnswer
from pneumoscope.server.inference.models import InstalledModel

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept, MeasurementReport, MeasurementsAndQualitativeEvaluations
    from pydicom import Dataset

    from pneumoscope.bundle.card import Card

SCHEME = "99PNEUMOSCOPE"
"""Private coding scheme of labels, decisions and reasons (PS3.16 8.2)."""
_NONE = "no-pattern"
"""The code for "none of these". It is not the label `normal`, since it does not say that a chest is normal."""
_DECISION = ("decision", "Decision")
_LONGEST_VALUE = 16
"""Characters of a code's value (SH)."""


def write_report(answers: Sequence[ImageAnswer], model: InstalledModel, place: Place) -> Dataset:
    """Return a model's answers about the images of a study as a structured report, without what all objects share.

    Args:
        answers: One for each image, at least one.
        model: The model.
        place: Where the report stands.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        content = _build_content(answers, model.card, model.identity)[0]
    except ImportError as error:
        raise MissingExtraError("a DICOM report", "pacs") from error
    return write_document(content, [answer.source for answer in answers], place, is_final=False)


def _build_content(answers: Sequence[ImageAnswer], card: Card, identity: str) -> MeasurementReport:
    """Return the report's tree (TID 1500): a measurement group for each image."""
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    device = DeviceObserverIdentifyingAttributes(
        uid=derive_uid(identity), name=card.name[:LONGEST_MEANING], manufacturer_name=MANUFACTURER
    )
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=Code("363680008", "SCT", "Radiographic imaging procedure"),
        imaging_measurements=[_build_group(answer, card, identity) for answer in answers],
        title=codes.DCM.ImagingMeasurementReport,
    )


def _build_group(answer: ImageAnswer, card: Card, identity: str) -> MeasurementsAndQualitativeEvaluations:
    """Return what is said about one image (TID 1501)."""
    from highdicom.sr import (
        AlgorithmIdentification,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        SourceImageForMeasurementGroup,
        TextContentItem,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes

    source = answer.source.header
    said = list_evaluations(answer.result)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive_uid(answer.digest, identity, "group"), identifier="Whole image"
        ),
        algorithm_id=AlgorithmIdentification(
            name=card.name, version=str(card.version), parameters=[f"sha256 {identity}", DISCLAIMER]
        ),
        measurements=[
            Measurement(name=private_code(*_name_score(label)), value=value, unit=codes.UCUM.NoUnits)
            for label, value in (answer.result.get("probabilities") or {}).items()
        ],
        qualitative_evaluations=[
            QualitativeEvaluation(name=private_code(*name), value=private_code(code, _meaning(name, code, sentence)))
            for name, code, sentence in said
        ],
        source_images=[
            SourceImageForMeasurementGroup(
                referenced_sop_class_uid=str(source.SOPClassUID),
                referenced_sop_instance_uid=str(source.SOPInstanceUID),
            )
        ],
    )
    # A code's meaning has 64 characters; the sentences stand beside the codes, whole.
    for name, code, sentence in said:
        if sentence != _meaning(name, code, sentence):
            text = TextContentItem(name=private_code(*name), value=sentence, relationship_type="CONTAINS")
            group[0].ContentSequence.append(text)
    return group


def list_evaluations(result: Mapping[str, Any]) -> list[tuple[tuple[str, str], str, str]]:
    """Return what is said beside the scores: value and meaning of a name, the code of what it is, the sentence."""
    codes: Sequence[str] = result.get("codes") or ()
    said = []
    reason, warning = ("no-answer", "Reason for no answer"), ("warning", "Warning")
    if result.get("error"):
        said.append((reason, "failed", str(result["error"])))
    elif result.get("refused"):
        code = codes[0] if codes else "unlike"
        said.append((reason, code, str(result.get("reason") or code)))
    elif result.get("decision"):
        label = str(result["decision"])
        if is_none_label(label):
            said.append((_DECISION, _NONE, result_phrase(label)))
        else:
            patterns = ", ".join(display_name(one) for one in split_decision(label))
            said.append((_DECISION, label, f"Pattern: {patterns}"))
        said += _list_thresholds(result)
    for place, sentence in enumerate(result.get("warnings") or ()):
        code = codes[place] if not result.get("refused") and place < len(codes) else "warning"
        said.append((warning, code, str(sentence)))
    audit = str(result.get("audit") or "none")
    return [*said, (("audit", "Audit of the model"), audit, audit)]


def _list_thresholds(result: Mapping[str, Any]) -> list[tuple[tuple[str, str], str, str]]:
    """Return the threshold that decided, of a multi-label model that of each finding: a score alone decides nothing."""
    scores: Mapping[str, float] = result.get("probabilities") or {}
    decided = [(one["label"], one["probability"], one["operating_point"]) for one in result.get("findings") or ()]
    if not decided and scores and result.get("operating_point"):
        primary = next(iter(scores))
        decided = [(primary, scores[primary], result["operating_point"])]
    return [
        (
            (f"threshold-{label}", f"Threshold of {label}"),
            str(point["name"]),
            f"Score of {display_name(label)}: {score:.3g}, {'below' if score < point['threshold'] else 'at or above'} "
            f"the threshold of {point['threshold']:.3g} ({point['name']})",
        )
        for label, score, point in decided
        if point
    ]


def _name_score(label: str) -> tuple[str, str]:
    """Return value and meaning of a score's name."""
    if is_none_label(label):
        return _NONE, f"Score of {inside_sentence(result_phrase(label))}"
    return label, f"Score of {display_name(label)}"


def _meaning(name: tuple[str, str], code: str, sentence: str) -> str:
    """Return what viewers show of a code. One code has one meaning, so that it is the sentence of decisions alone."""
    return sentence if name == _DECISION and len(sentence) <= LONGEST_MEANING else code


def private_code(value: str, meaning: str) -> CodedConcept:
    """Return a code of the private scheme; a long value, or one of other letters, becomes a digest of itself."""
    from highdicom.sr import CodedConcept

    if len(value) > _LONGEST_VALUE or not value.isascii() or not value.strip():
        value = hashlib.sha256(value.encode()).hexdigest()[:12]
    return CodedConcept(value=value, scheme_designator=SCHEME, meaning=(meaning or value)[:LONGEST_MEANING])
