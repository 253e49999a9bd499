"""A reader's final report as a structured report (TID 2000, Basic Diagnostic Imaging Report, PS3.16).

It is final, since its reader has locked it, and unverified: a login of this program is no signature by which a person
answers for a report. Its series says that it is research, as all others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pneumoscope.bundle.prediction import split_decision
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.server.dicom.objects.place import Place
from pneumoscope.server.dicom.results.document import write_document
from pneumoscope.server.dicom.results.report import private_code
from pneumoscope.server.dicom.results.sources import SignedRead, SourceImage

if TYPE_CHECKING:
    from highdicom.sr import ContainerContentItem, ContentItem
    from pydicom import Dataset
    from pydicom.sr.coding import Code

NAME = "Final read"
"""Stands where other objects name their model."""


def describe_likelihoods(read: SignedRead) -> list[str]:
    """Return how likely the reader found each label, in words."""
    return [f"{display_name(label)}: {value:.0%} likely" for label, value in read.labels.items()]


def describe_aid(read: SignedRead) -> str:
    """Return what the reader had seen when the report was written."""
    if not read.after:
        return "Written without a model's answer."
    return f"Written after answers of {', '.join(read.after)} were shown."


def write_final_read(sources: Sequence[SourceImage], read: SignedRead, place: Place) -> Dataset:
    """Return a final report as a structured report, without what all objects share.

    Args:
        sources: The images of the study, at least one.
        read: The report.
        place: Where the object stands.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    try:
        content = _build_content(read)
    except ImportError as error:
        raise MissingExtraError("a DICOM report", "pacs") from error
    return write_document(content, sources, place, is_final=True)


def _build_content(read: SignedRead) -> ContainerContentItem:
    """Return the report's tree: who read it, findings, impressions, addenda."""
    from highdicom.sr import (
        CodeContentItem,
        ContainerContentItem,
        ContentSequence,
        ObserverContext,
        PersonObserverIdentifyingAttributes,
        TextContentItem,
    )
    from pydicom.sr.codedict import codes

    def text(name: Code, value: str) -> TextContentItem:
        return TextContentItem(name=name, value=value, relationship_type="CONTAINS")

    def section(name: Code, items: Sequence[ContentItem]) -> ContainerContentItem:
        container = ContainerContentItem(name=name, is_content_continuous=False, relationship_type="CONTAINS")
        container.ContentSequence = ContentSequence(items)
        return container

    findings = [text(codes.DCM.Finding, read.text)] if read.text.strip() else []
    findings += [text(codes.DCM.Finding, words) for words in describe_likelihoods(read)]
    labels = split_decision(read.conclusion) if read.conclusion else ()
    impressions = [
        CodeContentItem(
            name=codes.DCM.Impression, value=private_code(label, display_name(label)), relationship_type="CONTAINS"
        )
        for label in labels
    ]
    observer = ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=_as_person(read.name)),
    )
    sections = [
        section(codes.LN.Findings, findings) if findings else None,
        section(codes.LN.Impressions, impressions) if impressions else None,
        section(
            codes.LN.CurrentProcedureDescriptions,
            [text(codes.DCM.ProcedureDescription, words) for words in (describe_aid(read), DISCLAIMER)],
        ),
        *(section(codes.LN.Addendum, [text(codes.DCM.Finding, words)]) for _, words in read.addenda),
    ]
    root = ContainerContentItem(name=codes.LN.XRayReport, is_content_continuous=False, template_id="2000")
    root.ContentSequence = ContentSequence([*observer, *(one for one in sections if one is not None)])
    return root


def _as_person(name: str) -> str:
    """Return the name of an account as a person's name (PN): all of it is the family name."""
    return name.translate(str.maketrans("\\=^", "   ")).strip() + "^"
