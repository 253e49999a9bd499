"""What objects a study's answers ask for, by kind, and what the UID of each follows from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from pneumoscope.server.dicom.objects.place import Place
from pneumoscope.server.dicom.objects.sop_classes import CAPTURE, ENHANCED_SR, PDF, PRESENTATION, SEGMENTATION
from pneumoscope.server.dicom.results.capture import write_capture
from pneumoscope.server.dicom.results.final_pdf import can_draw, list_lines, write_final_pdf
from pneumoscope.server.dicom.results.final_read import NAME, write_final_read
from pneumoscope.server.dicom.results.outlines import Outline, find_outlines, graph_of
from pneumoscope.server.dicom.results.presentation import write_presentation
from pneumoscope.server.dicom.results.report import write_report
from pneumoscope.server.dicom.results.segmentation import ALGORITHM, write_segmentation
from pneumoscope.server.dicom.results.sources import ImageAnswer, SignedRead, StudyAnswers
from pneumoscope.server.settings import DicomSettings

if TYPE_CHECKING:
    from pydicom import Dataset

ResultKind = Literal["report", "segmentation", "presentation", "capture", "final-read", "final-pdf"]
"""``report``: a model's answers about a study (SR). ``segmentation``: lungs and heart of an image (SEG).
``presentation``: their outlines (GSPS). ``capture``: an answer as a picture (secondary capture), only where the server
is set to. ``final-read`` and ``final-pdf``: a reader's final report (SR and PDF)."""


@dataclass(frozen=True, slots=True)
class PlannedObject:
    """An object that a study's results ask for."""

    kind: ResultKind
    sop_class: str
    series_number: int
    """Far from those that modalities give."""
    model: str
    subject: str
    says: tuple[str, ...]
    """What its UID follows from."""
    header: Dataset
    """Of an image that it is about."""
    name: str
    """Of what made it, for people."""
    finished: float
    """When its contents were there."""
    write: Callable[[Place], Dataset]

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID."""
        return str(self.header.StudyInstanceUID)


def kinds_of(settings: DicomSettings) -> tuple[ResultKind, ...]:
    """Return what is made of a complete study."""
    kinds: tuple[ResultKind, ...] = ("report", "segmentation", "presentation", "final-read", "final-pdf")
    return (*kinds, "capture") if settings.capture else kinds


def plan_reports(answers: StudyAnswers) -> Iterable[PlannedObject]:
    """Plan a structured report for each model."""
    for identity, said in answers.answers.items():
        model = answers.models[identity]
        yield PlannedObject(
            kind="report",
            sop_class=ENHANCED_SR,
            series_number=9900,
            model=identity,
            subject="",
            says=(*(answer.digest for answer in said), identity, "writer 4"),
            header=said[0].source.header,
            name=model.card.name,
            finished=max(answer.finished for answer in said),
            write=partial(write_report, said, model),
        )


def _plan_segmentations(answers: StudyAnswers) -> Iterable[PlannedObject]:
    return _plan_outlines(answers, "segmentation", SEGMENTATION, 9901, write_segmentation)


def _plan_presentations(answers: StudyAnswers) -> Iterable[PlannedObject]:
    return _plan_outlines(answers, "presentation", PRESENTATION, 9902, write_presentation)


def _plan_captures(answers: StudyAnswers) -> Iterable[PlannedObject]:
    """Plan a picture of each answer."""
    for identity, said in answers.answers.items():
        model = answers.models[identity]
        for answer in said:
            yield PlannedObject(
                kind="capture",
                sop_class=CAPTURE,
                series_number=9903,
                model=identity,
                subject=answer.source.image,
                says=(answer.digest, identity, "writer 2"),
                header=answer.source.header,
                name=model.card.name,
                finished=answer.finished,
                write=partial(write_capture, answers.files, answer, model),
            )


def _plan_final_reads(answers: StudyAnswers) -> Iterable[PlannedObject]:
    for read in answers.reads:
        write = partial(write_final_read, answers.sources, read)
        yield _plan_read(answers, read, "final-read", ENHANCED_SR, 9904, write)


def _plan_final_pdfs(answers: StudyAnswers) -> Iterable[PlannedObject]:
    """Plan a page of each final report whose letters the font has; the others are structured reports only."""
    for read in answers.reads:
        lines = list_lines(read, answers.sources[0].header)
        if can_draw(lines):
            write = partial(write_final_pdf, answers.sources, read, lines)
            yield _plan_read(answers, read, "final-pdf", PDF, 9905, write)


def _plan_read(
    answers: StudyAnswers,
    read: SignedRead,
    kind: ResultKind,
    sop_class: str,
    series_number: int,
    write: Callable[[Place], Dataset],
) -> PlannedObject:
    return PlannedObject(
        kind=kind,
        sop_class=sop_class,
        series_number=series_number,
        model="",
        subject=read.reader,
        says=(*(source.digest for source in answers.sources), read.digest, "writer 1"),
        header=answers.sources[0].header,
        name=NAME,
        finished=read.finished,
        write=write,
    )


def _plan_outlines(
    answers: StudyAnswers,
    kind: ResultKind,
    sop_class: str,
    series_number: int,
    write: Callable[[ImageAnswer, tuple[Outline, ...], Place], Dataset],
) -> Iterable[PlannedObject]:
    """Plan an object for lungs and heart of each image, as each model's answer has them."""
    for identity, said in answers.answers.items():
        for answer in said:
            if outlines := find_outlines(answer):
                drawn = [hashlib.sha256(np.packbits(one.square).tobytes()).hexdigest() for one in outlines]
                yield PlannedObject(
                    kind=kind,
                    sop_class=sop_class,
                    series_number=series_number,
                    model=identity,
                    subject=answer.source.image,
                    says=(answer.source.digest, *drawn, graph_of(answer), identity, "writer 2"),
                    header=answer.source.header,
                    name=ALGORITHM,
                    finished=answer.finished,
                    write=partial(write, answer, outlines),
                )


PLANS: Mapping[ResultKind, Callable[[StudyAnswers], Iterable[PlannedObject]]] = MappingProxyType(
    {
        "report": plan_reports,
        "segmentation": _plan_segmentations,
        "presentation": _plan_presentations,
        "capture": _plan_captures,
        "final-read": _plan_final_reads,
        "final-pdf": _plan_final_pdfs,
    }
)
