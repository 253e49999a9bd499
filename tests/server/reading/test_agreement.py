"""The figures of a site against a plant small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pneumoscope.server.reading.agreement import (
    compare_readers,
    compute_figures,
    find_newest,
    find_truth,
    measure_likelihoods,
)
from pneumoscope.server.reading.figures import Accuracy, ModelCount, ReadRow, ReferenceRow, SiteFigures, Target
from pneumoscope.server.reading.queries import combine_decisions
from pneumoscope.server.reading.report import SiteReport, render_lines, render_page
from pneumoscope.stats.estimates import Estimate

COVID, NORMAL, VIRAL = "covid-19", "normal", "viral-pneumonia"
TARGET = Target(COVID, {COVID: COVID, NORMAL: NORMAL, VIRAL: VIRAL})

READS = [
    ReadRow("s1", "p1", "a", COVID, COVID),
    ReadRow("s2", "p2", "a", NORMAL, COVID),  # turned to the model, rightly
    ReadRow("s3", "p3", "a", NORMAL, COVID),  # turned to the model, wrongly
    ReadRow("s4", "p4", "a", COVID, NORMAL),  # turned to the model, rightly
    ReadRow("s5", "p5", "a", NORMAL, NORMAL),
    ReadRow("s6", "p6", "a", VIRAL, NORMAL),  # another label, but not as to COVID-19
    ReadRow("s7", "p7", "a", COVID, COVID),
    ReadRow("s8", "p8", "a", NORMAL, None),
    ReadRow("s9", "p9", "a", COVID, COVID),
    ReadRow("s1", "p1", "b", NORMAL, None),
    ReadRow("s10", "p1", "b", NORMAL, COVID),  # turned away from the model, unverified
    ReadRow("s11", "p11", "b", None, None),  # final, but concludes nothing
]
ANSWERS = {
    **dict.fromkeys(("s1", "s2", "s3", "s5", "s9"), COVID), **dict.fromkeys(("s4", "s6", "s8", "s10"), NORMAL),
    "s7": None, "unread": COVID,
}  # fmt: skip
REFERENCES = [
    ReferenceRow("s1", "rt-pcr", COVID, 1, after_answer=True),
    ReferenceRow("s2", "rt-pcr", COVID, 1),
    ReferenceRow("s3", "rt-pcr", NORMAL, 1),
    ReferenceRow("s4", "ct", NORMAL, 1),
    ReferenceRow("s6", "follow-up", VIRAL, 1),
    ReferenceRow("s7", "rt-pcr", COVID, 1),
    ReferenceRow("s8", "rt-pcr", NORMAL, 9),  # corrects the next
    ReferenceRow("s8", "rt-pcr", COVID, 2),
    ReferenceRow("s9", "rt-pcr", COVID, 1),
    ReferenceRow("s9", "ct", NORMAL, 1),  # contradicts
    ReferenceRow("unread", "rt-pcr", COVID, 1),
]


@pytest.fixture(scope="module")
def figures() -> SiteFigures:
    return compute_figures(READS, ANSWERS, REFERENCES, TARGET, rng=np.random.default_rng(0), resamples=200)


def count_calls(accuracy: Accuracy) -> tuple[int, int, int, int]:
    return accuracy.hits, accuracy.positives, accuracy.false_alarms, accuracy.negatives


def test_counts(figures: SiteFigures) -> None:
    assert figures.counts.model_dump() == {
        "studies": 11, "patients": 10, "readers": 2, "reads": 12, "unaided": 11, "aided": 9,
        "answered": 9, "refused": 1,
    }  # fmt: skip


def test_accuracy_rests_on_the_reference_alone(figures: SiteFigures) -> None:
    # By reference positive: s1, s2, s7; negative: s3, s4, s6, s8; s9 contradicts itself.
    assert count_calls(figures.accuracy["model"]) == (2, 2, 1, 4)  # s7 was refused
    assert count_calls(figures.accuracy["model_refused_negative"]) == (2, 3, 1, 4)
    assert count_calls(figures.accuracy["unaided"]) == (2, 4, 1, 4)  # s1 by two readers
    assert count_calls(figures.accuracy["aided"]) == (3, 3, 1, 3)
    assert figures.accuracy["model_refused_negative"].sensitivity.value == pytest.approx(2 / 3)
    assert figures.accuracy["model"].sensitivity.low is None
    assert "fewer than 10" in figures.accuracy["model"].sensitivity.note


def test_which_studies_are_verified_and_among_whom(figures: SiteFigures) -> None:
    verification = figures.verification
    assert (verification.verified, verification.share.value) == (8, pytest.approx(8 / 11))
    assert verification.by_standard == {"rt-pcr": 6, "ct": 2, "follow-up": 1}
    assert {kind: (s.verified, s.studies) for kind, s in verification.by_answer.items()} == {
        "positive": (4, 5), "not positive": (3, 4), "refused": (1, 1),
    }  # fmt: skip
    assert verification.conflicting == ("s9",)
    assert verification.after_answer == 1


def test_agreement_is_counted_by_what_the_model_looks_for(figures: SiteFigures) -> None:
    # Model covid: s1 (a covid, b normal), s2, s3, s5 normal, s9 covid; model normal: s4 covid; s6, s8, s10 not.
    assert figures.model_and_unaided.table == ((2, 4), (1, 3))
    assert figures.model_and_unaided.groups == 8
    # Observed 5/10, chance 6/10 * 3/10 + 4/10 * 7/10 = .46.
    assert figures.model_and_unaided.kappa.value == pytest.approx((0.5 - 0.46) / 0.54)
    assert figures.model_and_unaided_labels.labels == (COVID, NORMAL, VIRAL)
    assert figures.model_and_unaided_labels.table == ((2, 4, 0), (1, 2, 1), (0, 0, 0))
    assert figures.unaided_and_aided.table == ((3, 1), (3, 2))
    assert (figures.reader_pairs, figures.between_readers.table) == (1, ((0, 1), (0, 0)))


def test_what_seeing_the_model_changed(figures: SiteFigures) -> None:
    changes = figures.changes
    assert (changes.pairs, changes.changed_label, changes.changed_target) == (9, 5, 4)
    assert (changes.towards, changes.away) == (3, 1)
    assert (changes.verified, changes.better, changes.worse) == (3, 2, 1)
    # The same verified reads before and after: positive s1, s2, s7; negative s3, s4, s6.
    assert changes.verified_pairs == 6
    assert changes.sensitivity.difference.value == pytest.approx(3 / 3 - 2 / 3)
    assert changes.specificity.difference.value == pytest.approx(2 / 3 - 2 / 3)


def test_one_reader_apart(figures: SiteFigures) -> None:
    a, b = figures.by_reader
    assert (a.reader, a.counts.reads, count_calls(a.unaided)) == ("a", 9, (2, 3, 1, 4))
    assert (b.reader, b.with_model.pairs, count_calls(b.aided)) == ("b", 2, (0, 0, 0, 0))


def test_the_warnings_say_what_the_figures_hide(figures: SiteFigures) -> None:
    words = " ".join(figures.warnings)
    for part in ("8 of 11 studies read (73%)", "partial verification bias", "positive 4 of 5", "1 study contradict",
                 "review bias", "kept silent on 1 study", "no second opinion", "other readers are not"):  # fmt: skip
        assert part in words
    assert "patient of" not in words  # each is known


def test_without_a_reference_there_is_no_accuracy() -> None:
    alone = compute_figures(READS, ANSWERS, [], TARGET, rng=np.random.default_rng(0), resamples=200)
    assert all(count_calls(found) == (0, 0, 0, 0) for found in alone.accuracy.values())
    assert all(found.sensitivity.value is None for found in alone.accuracy.values())
    assert "Agreement is not accuracy" in alone.warnings[0]


def test_nothing_at_all_is_no_error() -> None:
    empty = compute_figures([], {}, [], TARGET, rng=np.random.default_rng(0), resamples=200)
    assert empty.counts.studies == 0
    assert empty.warnings == ("No study has a final read yet.",)


def test_patients_not_reads_make_the_interval() -> None:
    """Ten patients with two reads of each of two studies are worth ten where all reads of a patient are alike."""
    rows = [
        ReadRow(f"s{n}-{study}", f"p{n}", reader, COVID, None)
        for n in range(12) for study in range(2) for reader in "ab"
    ]  # fmt: skip
    references = [ReferenceRow(row.study, "rt-pcr", COVID, 1) for row in rows]
    figures = compute_figures(rows, {}, references, TARGET, rng=np.random.default_rng(0), resamples=200)
    single = [replace(row, study=row.group) for row in rows[::4]]
    references = [ReferenceRow(row.study, "rt-pcr", COVID, 1) for row in single]
    alone = compute_figures(single, {}, references, TARGET, rng=np.random.default_rng(0), resamples=200)
    clustered, plain = figures.accuracy["unaided"].sensitivity, alone.accuracy["unaided"].sensitivity
    assert (figures.accuracy["unaided"].positives, alone.accuracy["unaided"].positives) == (48, 12)
    assert clustered.low is not None
    assert plain.low is not None
    assert clustered.low <= plain.low


def test_a_merged_class_is_known_by_its_members() -> None:
    target = Target("pneumonia", {VIRAL: "pneumonia", "bacterial-pneumonia": "pneumonia", NORMAL: NORMAL})
    newest = find_newest([ReferenceRow("s", "ct", VIRAL, 1), ReferenceRow("s", "rt-pcr", "pneumonia", 1)])
    assert find_truth(newest, target) == ({"s": True}, ())


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([(NORMAL, 0.9), (COVID, 0.4)], COVID),  # any image that is called positive
        ([(NORMAL, 0.6), (VIRAL, 0.8)], VIRAL),  # else the likeliest decision
        ([(None, 0.0), (NORMAL, 0.6)], NORMAL),
        ([(None, 0.0)], None),
    ],
)
def test_a_study_of_several_images_has_one_answer(decisions: list[tuple[str | None, float]], expected: str) -> None:
    results = [
        {"labels": [COVID, NORMAL, VIRAL], "decision": label, "probabilities": {label: p}} for label, p in decisions
    ]
    assert combine_decisions(results) == expected


def test_agreement_by_class_merges_labels_as_the_card_does() -> None:
    merged = Target(COVID, {COVID: COVID, NORMAL: NORMAL, VIRAL: "pneumonia", "bacterial-pneumonia": "pneumonia"})
    before = [VIRAL, "bacterial-pneumonia", NORMAL, COVID, VIRAL, NORMAL] * 2
    after = ["bacterial-pneumonia", "pneumonia", NORMAL, VIRAL, COVID, VIRAL] * 2
    reads = [ReadRow(f"s{n}", f"p{n}", "a", *pair) for n, pair in enumerate(zip(before, after, strict=True))]
    answers = {read.study: COVID for read in reads}
    figures = compute_figures(reads, answers, [], merged, rng=np.random.default_rng(0), resamples=200)
    classes = [[merged.class_of(label) for label in labels] for labels in (before, after)]
    assert figures.unaided_and_aided_labels.kappa.value == pytest.approx(cohen_kappa_score(*classes))
    assert figures.unaided_and_aided_labels.kappa.value != pytest.approx(cohen_kappa_score(before, after))


def _rated(study: int, reader: str, before: float, after: float) -> ReadRow:
    return ReadRow(f"s{study}", f"p{study}", reader, COVID, COVID, {COVID: before}, {COVID: after})


def test_the_report_gives_each_readers_auroc_and_says_which_intervals_allow_for_other_readers() -> None:
    rng = np.random.default_rng(0)
    rows = [
        _rated(number, reader, 0.4 * (number % 2 == 0) + rng.random(), 0.6 * (number % 2 == 0) + rng.random())
        for reader in ("a", "b", "c")
        for number in range(40)
    ]
    references = [ReferenceRow(f"s{number}", "ct", COVID if number % 2 == 0 else NORMAL, 1) for number in range(40)]
    figures = compute_figures(rows, {}, references, TARGET, rng=np.random.default_rng(0), resamples=200)
    areas = measure_likelihoods(rows, references, TARGET)
    model = ModelCount(id="0" * 12, name="small", version="1", answers=0)
    report = SiteReport(
        made="2026-05-05T00:00:00+00:00",
        model=model,
        operating_point=None,
        models=(model,),
        refused=Estimate(value=None),
        figures=figures,
        reader_areas=areas,
    )
    assert figures.reader_study is not None
    assert [(one.unaided.value, one.aided.value) for one in areas] == [
        pytest.approx((one.first, one.second)) for one in figures.reader_study.by_reader
    ]
    assert sorted(one.reader for one in areas) == ["a", "b", "c"]
    for text in ("\n".join(render_lines(report)), render_page(report)):
        for one in areas:
            for area in (one.unaided, one.aided):
                assert area.low is not None
                assert f"{area.value:.3f}" in text
                assert f"{area.low:.3f}" in text
        assert f"degrees of freedom {figures.reader_study.freedom:.1f}" in text
        assert "Intervals of agreement, changes, sensitivity and specificity hold for these 3 readers" in text
        assert "The comparison of likelihoods allows for other readers too." in text
    assert measure_likelihoods(rows[:1], references, TARGET) == ()


def test_readers_are_compared_on_the_studies_that_all_of_them_rated_twice() -> None:
    truth = {f"s{number}": number % 2 == 0 for number in range(24)}
    rng = np.random.default_rng(0)
    rows = [
        _rated(number, reader, rng.random(), 0.5 * truth[f"s{number}"] + rng.random())
        for reader in ("a", "b", "c")
        for number in range(24)
    ]
    rows.append(_rated(0, "newcomer", 0.5, 0.5))  # with this reader one study would be left
    rows.append(ReadRow("s99", "p99", "a", COVID, COVID, {COVID: 0.1}, {COVID: 0.1}))  # not verified
    study = compare_readers(rows, truth, COVID)
    assert study is not None
    assert (study.readers, study.cases, study.positives) == (3, 24, 12)
    assert study.difference.value is not None
    assert study.difference.value > 0
    assert study.p_value is not None
    assert compare_readers(rows[:1], truth, COVID) is None
    assert compare_readers(rows, truth, NORMAL) is None
