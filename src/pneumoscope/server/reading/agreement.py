"""The figures of a site: agreement, changed conclusions, sensitivity and specificity of reads and answers.

The functions are pure: plain rows in, a frozen result out. A study counts, not an image. Accuracy is measured against
an entered reference standard and nothing else: neither is a reader the reference for a model, nor a model for a reader.
The verified studies are a selection, so the figures come with the share of verified studies, in all and by answer
(partial verification bias: Begg & Greenes, Biometrics 1983).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.prediction import split_decision
from pneumoscope.core.labels import absent_name
from pneumoscope.server.reading.caveats import write_caveats
from pneumoscope.server.reading.figures import (
    STANDARDS,
    Accuracy,
    Changes,
    Counts,
    FindingCount,
    ReaderFigures,
    ReaderLikelihoods,
    ReadRow,
    ReferenceRow,
    SiteFigures,
    Target,
    Verification,
    VerifiedShare,
)
from pneumoscope.stats.agreement import Agreement, estimate_agreement
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.comparison.paired import Paired, Scores, compare_paired
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index
from pneumoscope.stats.reader_study import ReaderStudy, compare_modes

MOST_READERS = 20
"""In the comparison over readers and cases, whose cost grows with the square of their number."""


def compute_figures(
    reads: Sequence[ReadRow],
    answers: Mapping[str, str | None],
    references: Iterable[ReferenceRow],
    target: Target,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    single_readers: bool = True,
) -> SiteFigures:
    """Compute the figures of a site.

    Args:
        reads: Final reads, one row a reader and study.
        answers: Study -> the model's decision, None where it refused. A study without an answer is not in it.
        references: All reference results, also superseded ones.
        target: What counts as positive.
        rng: The generator of the bootstrap.
        resamples: Number of bootstrap resamples.
        single_readers: Whether to compute each reader's own figures too.
    """
    groups = {row.study: row.group for row in reads}
    newest = find_newest(row for row in references if row.study in groups)
    truth, conflicting = find_truth(newest, target)
    compare = _PairComparison(target, rng, resamples)
    counts = _count(reads, answers)
    verification = _compute_verification(groups, answers, newest, truth, conflicting, target)
    changes = _compute_changes(reads, answers, truth, compare)
    model = [(study, group, answers[study]) for study, group in groups.items() if study in answers]
    accuracy = {
        "model": _compute_accuracy([row for row in model if row[2] is not None], truth, target),
        "model_refused_negative": _compute_accuracy(model, truth, target),
        "unaided": _compute_accuracy(_unaided(reads), truth, target),
        "aided": _compute_accuracy(_aided(reads), truth, target),
    }
    pairs = _reader_pairs(reads)
    study = compare_readers(reads, truth, target.primary)
    if study is not None and not single_readers:
        study = study.model_copy(update={"by_reader": ()})
    return SiteFigures(
        primary=target.primary,
        counts=counts,
        verification=verification,
        model_and_unaided=compare.binary(_with_model(reads, answers)),
        model_and_unaided_labels=compare.by_label(_with_model(reads, answers)),
        unaided_and_aided=compare.binary(_both(reads)),
        unaided_and_aided_labels=compare.by_label(_both(reads)),
        between_readers=compare.binary([row[:3] for row in pairs], [row[3] for row in pairs]),
        reader_pairs=len({row[3] for row in pairs}),
        changes=changes,
        by_finding=tuple(_count_finding(label, reads, answers, newest) for label in target.findings),
        accuracy=accuracy,
        reader_study=study,
        by_reader=tuple(
            ReaderFigures(
                reader=reader,
                counts=_count(own, answers),
                with_model=compare.binary(_with_model(own, answers)),
                unaided=_compute_accuracy(_unaided(own), truth, target),
                aided=_compute_accuracy(_aided(own), truth, target),
            )
            for reader, own in (_by_reader(reads) if single_readers else {}).items()
        ),
        warnings=write_caveats(counts, verification, target.primary, sum(s != g for s, g in groups.items()), study),
    )


def compare_readers(reads: Sequence[ReadRow], truth: Mapping[str, bool], primary: str) -> ReaderStudy | None:
    """Compare the readers' likelihoods before and after the model's answer, over readers and cases.

    The analysis needs every case read by every reader both times. Of the readers, those with the most such reads are
    taken as long as readers times common cases grows.

    Args:
        reads: Final reads.
        truth: Study -> whether it is positive by reference.
        primary: The model's primary label.

    Returns:
        The comparison; None where no verified case of either class was rated both times.
    """
    ratings = _choose_ratings(reads, truth, primary)
    return None if ratings is None else compare_modes(ratings.scores, ratings.positive, ratings.groups)


def measure_likelihoods(
    reads: Sequence[ReadRow], references: Iterable[ReferenceRow], target: Target
) -> tuple[ReaderLikelihoods, ...]:
    """Return the AUROC of each reader whom `compare_readers` compares, unaided and aided, with its own interval.

    Args:
        reads: Final reads.
        references: All reference results, also superseded ones.
        target: What counts as positive.
    """
    studies = {row.study for row in reads}
    truth, _ = find_truth(find_newest(row for row in references if row.study in studies), target)
    ratings = _choose_ratings(reads, truth, target.primary)
    if ratings is None:
        return ()
    group = group_index(ratings.groups)
    return tuple(
        ReaderLikelihoods(
            reader=reader,
            unaided=estimate_auroc(unaided, ratings.positive, group),
            aided=estimate_auroc(aided, ratings.positive, group),
        )
        for reader, unaided, aided in zip(ratings.readers, *ratings.scores, strict=True)
    )


class _Ratings(NamedTuple):
    """Likelihoods of verified cases that the same readers rated both times."""

    readers: list[str]
    scores: NDArray[np.float64]
    """[2, R, N], unaided and aided."""
    positive: NDArray[np.bool_]
    """[N]"""
    groups: list[str]
    """[N]"""


def _choose_ratings(reads: Sequence[ReadRow], truth: Mapping[str, bool], primary: str) -> _Ratings | None:
    """Return the ratings of the readers and cases that `compare_readers` takes; None where there are none."""
    rated: dict[str, dict[str, tuple[float, float]]] = {}
    groups: dict[str, str] = {}
    for row in reads:
        if row.study in truth and primary in row.unaided_likelihoods and primary in row.aided_likelihoods:
            pair = row.unaided_likelihoods[primary], row.aided_likelihoods[primary]
            rated.setdefault(row.reader, {})[row.study] = pair
            groups[row.study] = row.group
    readers = sorted(rated, key=lambda reader: (-len(rated[reader]), reader))[:MOST_READERS]
    best: tuple[int, list[str], list[str]] = (0, [], [])
    for number in range(1, len(readers) + 1):
        common = sorted(set.intersection(*(set(rated[reader]) for reader in readers[:number])))
        if len({truth[study] for study in common}) == 2 and number * len(common) > best[0]:
            best = number * len(common), readers[:number], common
    _, chosen, cases = best
    if not chosen:
        return None
    scores = [[[rated[reader][case][mode] for case in cases] for reader in chosen] for mode in (0, 1)]
    return _Ratings(
        chosen, np.array(scores), np.array([truth[case] for case in cases]), [groups[case] for case in cases]
    )


def find_newest(references: Iterable[ReferenceRow]) -> dict[str, dict[str, ReferenceRow]]:
    """Return study -> standard -> its newest result: a correction is entered beside the result that it corrects."""
    newest: dict[str, dict[str, ReferenceRow]] = {}
    for row in sorted(references, key=lambda row: row.at):
        newest.setdefault(row.study, {})[row.standard] = row
    return newest


def find_truth(
    newest: Mapping[str, Mapping[str, ReferenceRow]], target: Target
) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Return study -> whether it is positive by reference, and the studies whose references contradict each other."""
    states = {study: {target.is_positive(row.label) for row in rows.values()} for study, rows in newest.items()}
    truth = {study: next(iter(of_study)) for study, of_study in states.items() if len(of_study) == 1}
    return truth, tuple(sorted(study for study, of_study in states.items() if len(of_study) > 1))


_Judgement = tuple[str, str, str | None]  # study, group, label
_Pair = tuple[str, str, str]  # group, first label, second label


def _unaided(reads: Sequence[ReadRow]) -> list[_Judgement]:
    return [(row.study, row.group, row.unaided) for row in reads if row.unaided is not None]


def _aided(reads: Sequence[ReadRow]) -> list[_Judgement]:
    return [(row.study, row.group, row.aided) for row in reads if row.aided is not None]


def _both(reads: Sequence[ReadRow]) -> list[_Pair]:
    return [(row.group, row.unaided, row.aided) for row in reads if row.unaided is not None and row.aided is not None]


def _with_model(reads: Sequence[ReadRow], answers: Mapping[str, str | None]) -> list[_Pair]:
    rows = [(row.group, answers.get(row.study), row.unaided) for row in reads]
    return [(group, answer, read) for group, answer, read in rows if answer is not None and read is not None]


def _by_reader(reads: Sequence[ReadRow]) -> dict[str, list[ReadRow]]:
    by_reader: dict[str, list[ReadRow]] = {}
    for row in sorted(reads, key=lambda row: row.reader):
        by_reader.setdefault(row.reader, []).append(row)
    return by_reader


def _reader_pairs(reads: Sequence[ReadRow]) -> list[tuple[str, str, str, str]]:
    """Return (group, first label, second label, names of the two) of all pairs of unaided reads of one study."""
    studies: dict[str, list[ReadRow]] = {}
    for row in sorted(reads, key=lambda row: row.reader):
        if row.unaided is not None:
            studies.setdefault(row.study, []).append(row)
    return [
        (one.group, str(one.unaided), str(other.unaided), f"{one.reader} {other.reader}")
        for rows in studies.values()
        for one, other in combinations(rows, 2)
    ]


@dataclass(frozen=True, slots=True)
class _PairComparison:
    """Compares pairs of labels: positive against not positive, and class by class."""

    target: Target
    rng: np.random.Generator
    resamples: int

    def binary(self, rows: Sequence[_Pair], pairs: Sequence[str] | None = None) -> Agreement:
        names = (self.target.primary, absent_name(self.target.primary))

        def name(label: str) -> str:
            return names[0] if self.target.is_positive(label) else names[1]

        several = pairs if pairs is not None and len(set(pairs)) > 1 else None
        return self._agreement([(group, name(one), name(other)) for group, one, other in rows], names, several)

    def by_label(self, rows: Sequence[_Pair]) -> Agreement:
        mapped = [(group, self.target.class_of(one), self.target.class_of(other)) for group, one, other in rows]
        others = {label for _, one, other in mapped for label in (one, other)} - {self.target.primary}
        return self._agreement(mapped, (self.target.primary, *sorted(others)), None)

    def before_and_after(self, rows: Sequence[ReadRow], truth: Mapping[str, bool], metric: str) -> Paired:
        """Return aided minus unaided of verified reads."""
        diseased = np.array([truth[row.study] for row in rows], dtype=np.bool_)
        if not (diseased if metric == "sensitivity" else ~diseased).any():
            return Paired(metric=metric, difference=Estimate(value=None, note="nothing to compare"))
        before, after = (
            Scores(np.array([[called, not called] for called in calls], dtype=np.float64), 0.5)
            for calls in (
                [self.target.is_positive(row.unaided) for row in rows],
                [self.target.is_positive(row.aided) for row in rows],
            )
        )
        groups = [row.group for row in rows]
        return compare_paired(
            after, before, np.where(diseased, 0, 1), groups, metric, rng=self.rng, resamples=self.resamples
        )

    def _agreement(self, rows: Sequence[_Pair], names: Sequence[str], pairs: Sequence[str] | None) -> Agreement:
        group, first, second = ([row[k] for row in rows] for k in range(3))
        return estimate_agreement(first, second, group, names, rng=self.rng, pairs=pairs, resamples=self.resamples)


def _count(reads: Sequence[ReadRow], answers: Mapping[str, str | None]) -> Counts:
    studies = {row.study for row in reads}
    decisions = [answers[study] for study in studies if study in answers]
    return Counts(
        studies=len(studies),
        patients=len({row.group for row in reads}),
        readers=len({row.reader for row in reads}),
        reads=len(reads),
        unaided=len(_unaided(reads)),
        aided=len(_aided(reads)),
        answered=sum(label is not None for label in decisions),
        refused=sum(label is None for label in decisions),
    )


def _count_finding(
    label: str,
    reads: Sequence[ReadRow],
    answers: Mapping[str, str | None],
    newest: Mapping[str, Mapping[str, ReferenceRow]],
) -> FindingCount:
    def count(conclusions: Iterable[str | None]) -> int:
        return sum(label in split_decision(conclusion) for conclusion in conclusions if conclusion is not None)

    studies = {row.study for row in reads}
    return FindingCount(
        label=label,
        answers=count(answers.get(study) for study in studies),
        unaided=count(row.unaided for row in reads),
        aided=count(row.aided for row in reads),
        verified=sum(count(row.label for row in rows.values()) > 0 for rows in newest.values()),
    )


def _compute_verification(
    groups: Mapping[str, str],
    answers: Mapping[str, str | None],
    newest: Mapping[str, Mapping[str, ReferenceRow]],
    truth: Mapping[str, bool],
    conflicting: tuple[str, ...],
    target: Target,
) -> Verification:
    kinds = {
        "positive": [study for study in groups if target.is_positive(answers.get(study))],
        "not positive": [study for study in groups if answers.get(study) and not target.is_positive(answers[study])],
        "refused": [study for study in groups if study in answers and answers[study] is None],
    }
    standards = [standard for rows in newest.values() for standard in rows]
    return Verification(
        share=_share([study in newest for study in groups], list(groups.values()), "set of studies read"),
        verified=len(newest),
        by_standard={standard: standards.count(standard) for standard in STANDARDS if standard in standards},
        by_answer={
            kind: VerifiedShare(studies=len(of), verified=sum(study in newest for study in of))
            for kind, of in kinds.items()
        },
        conflicting=conflicting,
        after_answer=sum(any(row.after_answer for row in newest[study].values()) for study in truth),
    )


def _compute_changes(
    reads: Sequence[ReadRow], answers: Mapping[str, str | None], truth: Mapping[str, bool], compare: _PairComparison
) -> Changes:
    is_positive = compare.target.is_positive
    both = [row for row in reads if row.unaided is not None and row.aided is not None]
    changed = [set(split_decision(str(row.unaided))) != set(split_decision(str(row.aided))) for row in both]
    turned = [row for row in both if is_positive(row.unaided) != is_positive(row.aided)]
    with_answer = [row for row in turned if answers.get(row.study) is not None]
    towards = sum(is_positive(row.aided) == is_positive(answers[row.study]) for row in with_answer)
    verified = [row for row in turned if row.study in truth]
    better = sum(is_positive(row.aided) == truth[row.study] for row in verified)
    with_reference = [row for row in both if row.study in truth]
    return Changes(
        pairs=len(both),
        changed=_share(changed, [row.group for row in both], "set of aided reads"),
        changed_label=sum(changed),
        changed_target=len(turned),
        towards=towards,
        away=len(with_answer) - towards,
        verified=len(verified),
        better=better,
        worse=len(verified) - better,
        verified_pairs=len(with_reference),
        sensitivity=compare.before_and_after(with_reference, truth, "sensitivity"),
        specificity=compare.before_and_after(with_reference, truth, "specificity"),
    )


def _compute_accuracy(rows: Sequence[_Judgement], truth: Mapping[str, bool], target: Target) -> Accuracy:
    """Return sensitivity and specificity of judgements of verified studies; no label counts as not positive."""
    diseased = [(group, target.is_positive(label)) for study, group, label in rows if truth.get(study) is True]
    healthy = [(group, target.is_positive(label)) for study, group, label in rows if truth.get(study) is False]
    return Accuracy(
        positives=len(diseased),
        negatives=len(healthy),
        hits=sum(called for _, called in diseased),
        false_alarms=sum(called for _, called in healthy),
        sensitivity=_share([called for _, called in diseased], [group for group, _ in diseased], "class by reference"),
        specificity=_share(
            [not called for _, called in healthy], [group for group, _ in healthy], "class by reference"
        ),
    )


def _share(success: Sequence[bool], groups: Sequence[str], what: str) -> Estimate:
    """Return the share of True with Wilson's interval, clustered by patient."""
    if not success:
        return Estimate(value=None, note=f"the {what} is empty")
    return estimate_proportion(np.array(success, dtype=np.bool_), group_index(groups), what=what)
