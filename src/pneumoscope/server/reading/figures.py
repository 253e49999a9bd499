"""The figures of a site: the plain rows that they are computed from, and the results, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from pneumoscope.bundle.prediction import join_findings, split_decision
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import absent_name
from pneumoscope.stats.agreement import Agreement
from pneumoscope.stats.comparison.paired import Paired
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.reader_study import ReaderStudy

STANDARDS = ("rt-pcr", "ct", "follow-up", "other")
"""Kinds of reference standard; where several agree, the first of these names it."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One reader's final reads of one study."""

    study: str
    group: str
    """The patient, or the study where no patient is known."""
    reader: str
    """Pseudonym."""
    unaided: str | None
    """Conclusion, written before any answer was shown; None where there is none."""
    aided: str | None
    """Conclusion of the final report that saw this model's answer; None where there is none."""
    unaided_likelihoods: Mapping[str, float] = field(default_factory=dict)
    """Label -> how likely the reader found it, before any answer was shown."""
    aided_likelihoods: Mapping[str, float] = field(default_factory=dict)
    """The same in the final report that saw this model's answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """The label that a model looks for, and the model's class of each other label."""

    primary: str
    classes: Mapping[str, str]
    """Label -> the model's class that it belongs to; one that is missing stands for itself."""
    findings: tuple[str, ...] = ()
    """Of a multi-label model: all its findings. ``primary`` is the one that the figures are about."""

    def class_of(self, conclusion: str) -> str:
        """Return the model's class of a conclusion: a label, or several findings joined by "; "."""
        classes = dict.fromkeys(self.classes.get(label, label) for label in split_decision(conclusion))
        if self.primary in classes:
            return self.primary
        return absent_name(self.primary) if self.findings else join_findings(classes)

    def is_positive(self, conclusion: str | None) -> bool:
        """Return whether a conclusion names what the model looks for; none (a refused answer) does not."""
        return conclusion is not None and self.class_of(conclusion) == self.primary


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """One reference result of one study."""

    study: str
    standard: str
    label: str
    at: float
    """When it was entered."""
    after_answer: bool = False
    """Whether its author had been shown a model's answer about the study."""


class ModelCount(Frozen):
    """A model and how often it answered."""

    id: str = Field(description="first 12 digits of the identity")
    name: str | None = Field(description="null where the bundle is no longer on this server")
    version: str | None
    answers: int


class Counts(Frozen):
    """Numbers of studies, patients, readers, reads and answers."""

    studies: int = Field(description="with a final read")
    patients: int
    readers: int
    reads: int = Field(description="readers' final reads of a study, unaided and aided of one reader counted once")
    unaided: int = Field(description="final unaided reads with a conclusion")
    aided: int = Field(description="final reads with a conclusion that saw this model's answer")
    answered: int = Field(description="studies read that this model answered")
    refused: int = Field(description="studies read on which this model gave no answer")


class VerifiedShare(Frozen):
    """How many of some studies have a reference standard."""

    studies: int
    verified: int


class Verification(Frozen):
    """Which of the studies read have a reference standard."""

    share: Estimate = Field(description="studies with a reference standard, of the studies read")
    verified: int
    by_standard: dict[str, int]
    by_answer: dict[str, VerifiedShare] = Field(description="by what the model said: positive, not positive, refused")
    conflicting: tuple[str, ...] = Field(description="studies whose reference results contradict; in no accuracy")
    after_answer: int = Field(description="verified studies whose result was entered by someone who had seen an answer")


class Changes(Frozen):
    """How the model's answer changed reads: unaided against aided conclusions of one reader about one study."""

    pairs: int
    changed: Estimate = Field(description="share whose label changed")
    changed_label: int
    changed_target: int = Field(description="of them, changed as to what the model looks for")
    towards: int = Field(description="of these, to what the model said")
    away: int = Field(description="of these, away from it")
    verified: int = Field(description="of these, with a reference standard")
    better: int = Field(description="of the verified ones, from wrong to right")
    worse: int = Field(description="of the verified ones, from right to wrong")
    verified_pairs: int = Field(description="of all pairs, with a reference standard")
    sensitivity: Paired = Field(description="aided minus unaided, of the same verified reads")
    specificity: Paired


class Accuracy(Frozen):
    """Sensitivity and specificity against the reference standard."""

    positives: int = Field(description="judgements of studies that have the disease by reference")
    negatives: int
    hits: int = Field(description="positives that were called positive")
    false_alarms: int = Field(description="negatives that were called positive")
    sensitivity: Estimate
    specificity: Estimate


class FindingCount(Frozen):
    """In how many of the studies read a finding was named, by whom."""

    label: str
    answers: int = Field(description="studies in which the model named it")
    unaided: int = Field(description="unaided conclusions that name it")
    aided: int = Field(description="conclusions after the model's answer that name it")
    verified: int = Field(description="studies in which a reference result names it")


class ReaderFigures(Frozen):
    """The figures of one reader."""

    reader: str
    counts: Counts
    with_model: Agreement
    unaided: Accuracy
    aided: Accuracy


class ReaderLikelihoods(Frozen):
    """One reader's AUROC of the likelihoods, over the cases that all compared readers rated both times."""

    reader: str = Field(description="pseudonym")
    unaided: Estimate
    aided: Estimate


class SiteFigures(Frozen):
    """All figures. A read is positive where its conclusion is the model's primary label."""

    primary: str
    counts: Counts
    verification: Verification
    model_and_unaided: Agreement = Field(description="row = model, column = unaided read; refused answers left out")
    model_and_unaided_labels: Agreement = Field(description="the same by the model's classes")
    unaided_and_aided: Agreement = Field(description="row = unaided, column = aided, of the same reader")
    unaided_and_aided_labels: Agreement
    between_readers: Agreement = Field(description="unaided reads of the same study, in the order of pseudonyms")
    reader_pairs: int
    changes: Changes
    accuracy: dict[str, Accuracy] = Field(
        description="model (refused answers left out), model_refused_negative (counted as not positive), unaided, aided"
    )
    reader_study: ReaderStudy | None = Field(
        default=None,
        description="AUROC of the likelihoods of the primary label, unaided and aided, of the verified studies that "
        "the same readers rated both times (multi-reader multi-case); null where there are none of either class",
    )
    by_finding: tuple[FindingCount, ...] = Field(
        default=(), description="of a multi-label model: each of its findings; empty for any other model"
    )
    by_reader: tuple[ReaderFigures, ...]
    warnings: tuple[str, ...]
