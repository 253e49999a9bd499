"""Each check on rows with a known answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pneumoscope.data.checks.ages import compare_ages
from pneumoscope.data.checks.ancestors import ANCESTORS, DISPLAY, find_common_ancestry
from pneumoscope.data.checks.catalogue import CHECKS
from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.damage import find_altered, find_blank, find_unreadable
from pneumoscope.data.checks.empty_parts import find_empty_parts
from pneumoscope.data.checks.findings import CHECK_NAMES, Clear, Finding
from pneumoscope.data.checks.label_probe import Guess
from pneumoscope.data.checks.leaks import (
    find_copies_within,
    find_duplicates_across_parts,
    find_label_conflicts,
    find_mirrored_conflicts,
    find_patients_across_parts,
)
from pneumoscope.data.checks.metadata import _verdict, guess_label_from_metadata
from pneumoscope.data.checks.shared_sources import find_known_ancestors, find_one_source_labels, find_shared_images
from pneumoscope.data.known_names import patient_in_name
from pneumoscope.stats.estimates import Estimate

Build = Callable[..., CheckContext]
PLAIN: list[dict[str, Any]] = [{}, {}, {}]


def _expect_finding(outcome: Finding | Clear) -> Finding:
    assert isinstance(outcome, Finding), outcome.sentence
    return outcome


def _expect_clear(outcome: Finding | Clear) -> Clear:
    assert isinstance(outcome, Clear), outcome.sentence
    return outcome


def test_damage_names_the_rows(context: Build) -> None:
    undamaged = context(PLAIN)
    assert all(_expect_clear(check(undamaged)).applicable for check in (find_unreadable, find_altered, find_blank))
    damaged = context(
        PLAIN, facts=[{"error": "is empty (0 bytes).", "sha256": ""}, {"sha256": "0" * 64}, {"commonest": 0.999}]
    )
    for row, check in enumerate((find_unreadable, find_altered, find_blank)):
        finding = _expect_finding(check(damaged))
        assert finding.severity == "block"
        assert finding.rows == (row,)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            ["train", "validation", "calibration", None],
            r"part test has no image \(train 1, validation 1, calibration 1\)",
        ),
        (["train", "test", "test"], "parts validation and calibration have no image"),
        (["validation", "calibration", "test"], "part train has no image"),
    ],
)
def test_a_part_without_an_image_is_a_warning(context: Build, parts: list[str | None], words: str) -> None:
    finding = _expect_finding(find_empty_parts(context([{"split": part} for part in parts])))
    assert finding.severity == "warn"
    assert re.search(words, finding.sentence)


def test_one_part_alone_or_none_is_no_empty_part(context: Build) -> None:
    full = [{"split": part} for part in ("train", "validation", "calibration", "test", "test")]
    assert _expect_clear(find_empty_parts(context(full))).applicable
    for rows in ([{"split": "test"}] * 3, PLAIN):
        assert not _expect_clear(find_empty_parts(context(rows))).applicable


def test_a_copy_in_two_parts_blocks(context: Build) -> None:
    rows = [{"split": "train"}, {"split": "test"}, {"split": "train"}]
    finding = _expect_finding(find_duplicates_across_parts(context(rows, [(0, 1, 0.9), (0, 2, 1.0)])))
    assert (finding.severity, finding.rows) == ("block", (0, 1))
    assert "1 pair of pictures is" in finding.sentence
    _expect_clear(find_duplicates_across_parts(context(rows, [(0, 2, 1.0)])))


def test_without_parts_nothing_can_leak(context: Build) -> None:
    for check in (find_duplicates_across_parts, find_patients_across_parts):
        outcome = _expect_clear(check(context(PLAIN, [(0, 1, 1.0)])))
        assert not outcome.applicable


def test_a_row_without_a_part_does_not_leak(context: Build) -> None:
    _expect_clear(
        find_duplicates_across_parts(context([{"split": "train"}, {}, {"split": "test"}], [(0, 1, 1.0), (1, 2, 1.0)]))
    )


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"patient_id": "7", "source": "a"}, {"patient_id": "7", "source": "a"}, "patient 7 of a"),
        ({"image": "x/person12_virus_3.jpeg"}, {"image": "person12_bacteria_9.png", "source": "b"}, "Kaggle person 12"),
        ({"image": "00000165_001.png"}, {"image": "n/00000165_004.png", "source": "b"}, "NIH patient 165"),
        ({"image": "v/16745_6_1.jpg", "source": "mine"}, {"image": "16745_6_1.png", "source": "ieee8023"}, "16745_6_1"),
    ],
    ids=["number", "Kaggle", "NIH", "ieee8023"],
)
def test_a_patient_in_two_parts_is_found_by_number_or_file_name(
    context: Build, one: dict[str, str], other: dict[str, str], why: str
) -> None:
    rows = [{**one, "split": "train"}, {**other, "split": "validation"}, {"split": "test"}]
    finding = _expect_finding(find_patients_across_parts(context(rows)))
    assert finding.severity == "block"
    assert [case.rows for case in finding.cases] == [(0, 1)]
    assert why in finding.cases[0].says


def test_a_patient_in_two_parts_is_found_by_a_shared_picture(context: Build) -> None:
    """Row 0 has no patient number. It is a copy of row 1, whose patient has another picture in test."""
    rows = [
        {"split": "train", "source": "radiography"},
        {"source": "kaggle", "patient_id": "person1"},
        {"split": "test", "source": "kaggle", "patient_id": "person1"},
    ]
    finding = _expect_finding(find_patients_across_parts(context(rows, [(0, 1, 0.95)])))
    assert finding.rows == (0, 2)


@pytest.mark.parametrize("name", ["IM-0001-0001.jpeg", "20200312_001.png", "person.png", "xperson1_virus_2.png"])
def test_common_file_names_name_no_patient(name: str) -> None:
    assert patient_in_name(name) is None


def test_one_exposure_with_two_labels_blocks(context: Build) -> None:
    rows = [{"label": "normal"}, {"label": "pneumonia"}, {"label": "covid-19"}]
    finding = _expect_finding(find_label_conflicts(context(rows, [(0, 1, 0.97), (0, 2, 0.7)])))
    assert (finding.severity, finding.rows) == (
        "block",
        (0, 1),
    )  # row 2 is similar but not the same exposure: two studies may differ in label
    _expect_clear(find_label_conflicts(context(rows, [(0, 2, 0.7)])))


def test_one_exposure_with_a_finding_present_and_absent_blocks(context: Build) -> None:
    rows = [
        {"label": "pneumonia", "findings": f'{{"nodule":{word},"pneumonia":true}}'}
        for word in ("true", "false", "true")
    ]
    finding = _expect_finding(find_label_conflicts(context(rows, [(0, 1, 0.97), (0, 2, 0.97)])))
    assert (finding.severity, finding.rows) == ("block", (0, 1))
    assert finding.cases[0].says.endswith("similarity 0.97; 'nodule' present in one, absent in the other")
    assert "under two labels or contradicting findings (2 images)" in finding.sentence


def test_shared_images_are_measured_and_the_common_ancestors_named(context: Build) -> None:
    rows = [
        {"source": "radiography", "label": "viral-pneumonia"},
        {"source": "kaggle-pneumonia", "label": "viral-pneumonia"},
        {"source": "kaggle-pneumonia", "label": "viral-pneumonia"},
    ]
    finding = _expect_finding(find_shared_images(context(rows, [(0, 1, 0.9)])))
    assert "measured" in finding.sentence
    assert "Chowdhury" in finding.sentence
    assert finding.numbers["kaggle-pneumonia, Viral pneumonia: also in radiography"].value == 0.5
    unknown = _expect_finding(find_shared_images(context([{"source": "a"}, {"source": "b"}], [(0, 1, 0.9)])))
    assert "no common ancestor" in unknown.sentence


def test_absent_ancestors_are_inferred(context: Build) -> None:
    finding = _expect_finding(
        find_known_ancestors(context([{"source": "radiography", "label": "covid-19"}, {"source": "mine"}]))
    )
    assert finding.severity == "note"
    assert finding.sentence.startswith("Inferred")
    assert "covid-chestxray-dataset" in finding.sentence
    assert "children" not in finding.sentence  # there is no viral pneumonia in the data
    assert finding.rows == (0,)
    _expect_clear(find_known_ancestors(context([{"source": "mine"}])))


def test_common_ancestry_may_go_through_an_absent_set() -> None:
    assert [(step.child, step.parent) for step in find_common_ancestry("radiography", "nih")] == [
        ("radiography", "rsna"),
        ("rsna", "nih"),
    ]
    assert {step.parent for step in find_common_ancestry("darwin", "ieee8023")} == {"ieee8023"}
    assert find_common_ancestry("nih", "ieee8023") == []
    assert {name for step in ANCESTORS for name in (step.child, step.parent)} <= DISPLAY.keys()


def test_a_label_from_one_source_is_not_identifiable(context: Build) -> None:
    rows = [
        {"source": "a", "label": "covid-19"},
        {"source": "b", "label": "normal"},
        {"source": "b", "label": "pneumonia"},
        {"source": "a", "label": "pneumonia"},
    ]
    finding = _expect_finding(find_one_source_labels(context(rows)))
    assert finding.confounds
    assert "COVID-19 only from a; Normal only from b" in finding.sentence
    assert "COVID-19 and Normal share no source" in finding.sentence
    assert "Pneumonia share" not in finding.sentence
    _expect_clear(find_one_source_labels(context([{"source": "a"}, {"source": "b"}])))


def _cohort(dependent_share: float, size: int = 240) -> list[dict[str, Any]]:
    """Return rows of two labels and two sources; the source follows from the label in ``dependent_share`` of them."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(size):
        label = number % 2
        source = label if random.random() < dependent_share else random.integers(2)
        rows.append({"source": "ab"[source], "label": ("normal", "covid-19")[label], "bits": 8 + 8 * (number % 3 == 0)})
    return rows


def test_a_source_that_predicts_the_label_confounds(context: Build) -> None:
    finding = _expect_finding(guess_label_from_metadata(context(_cohort(0.8))))
    assert finding.confounds
    assert finding.severity == "warn"
    assert finding.chance == 0.5
    source = finding.numbers["source"]
    table = [(row["source"] == "a") == (row["label"] == "normal") for row in _cohort(0.8)]
    assert source.value == pytest.approx(np.mean(table), abs=0.01)
    assert source.value is not None
    assert source.low is not None
    assert source.low < source.value
    assert "p ≤ 0.005" in source.note


def test_a_source_that_does_not_predict_the_label_is_clear(context: Build) -> None:
    outcome = _expect_clear(guess_label_from_metadata(context(_cohort(0.0))))
    assert outcome.applicable


def test_fewer_hits_than_by_chance_are_explained() -> None:
    guess = Guess(hits=np.zeros(4, np.bool_), balanced=0.4, p=1.0)
    for high, words in ((0.42, "(p > 0.01); fewer hits than by chance tell no label either"), (0.55, "(p > 0.01).")):
        numbers = {name: Estimate(value=0.4, low=0.37, high=high) for name in ("all", "borders")}
        outcome = _verdict({"all": guess, "borders": guess}, numbers, 0.5, 566)
        assert f"No better than chance {words}" in _expect_clear(outcome).sentence


def test_mean_grey_is_reported_and_does_not_confound(context: Build) -> None:
    rows = _cohort(0.0)
    grey = [{"mean": 0.3 + 0.2 * (row["label"] == "normal")} for row in rows]
    outcome = guess_label_from_metadata(context(rows, facts=grey))
    assert not (isinstance(outcome, Finding) and outcome.confounds)


def test_stated_ages_are_counted_with_an_interval(context: Build) -> None:
    rows = [{"label": "normal", "age": 3.0 + 50 * (number % 10 == 0)} for number in range(40)]
    rows += [{"label": "covid-19", "age": 60.0} for _ in range(40)]
    finding = _expect_finding(compare_ages(context(rows)))
    assert finding.confounds
    assert finding.numbers["Normal"].value == 0.9
    assert finding.numbers["COVID-19"].value == 0.0
    assert len(finding.rows) == 36
    _expect_clear(compare_ages(context([{"label": row["label"], "age": 50.0} for row in rows])))
    assert not _expect_clear(compare_ages(context(PLAIN))).applicable


def test_ages_of_a_few_images_do_not_confound(context: Build) -> None:
    rows = [{"label": "normal", "age": 50.0} for _ in range(40)] + [{"label": "other", "age": 5.0} for _ in range(3)]
    assert "Other finding 100%" in _expect_clear(compare_ages(context(rows))).sentence


def test_ages_stated_by_a_publisher_are_inferred_and_have_no_interval(context: Build) -> None:
    rows = [{"source": "radiography", "label": label} for label in ("viral-pneumonia", "normal")]
    finding = _expect_finding(compare_ages(context(rows)))
    assert finding.sentence.startswith("Inferred")
    assert "Viral pneumonia all (inferred)" in finding.sentence
    assert finding.numbers == {}


def test_copies_in_one_part_are_only_noted(context: Build) -> None:
    rows = [{"split": "train"}, {"split": "train"}, {"split": "test"}]
    finding = _expect_finding(find_copies_within(context(rows, [(0, 1, 0.95), (0, 2, 0.95), (1, 2, 0.7)])))
    assert (finding.severity, finding.rows) == ("note", (0, 1))


def test_the_names_that_need_no_scipy_are_those_of_the_checks() -> None:
    assert tuple(CHECKS) == CHECK_NAMES


def test_a_set_without_pairs_does_not_count_them(context: Build) -> None:
    """No sentence says "none of 0 pairs"; one pair without a fault is counted in the singular."""
    rows = [{"split": "train"}, {"split": "test"}, {"split": "train"}]
    checks = (find_duplicates_across_parts, find_label_conflicts, find_mirrored_conflicts)
    sentences = [check(context(rows, [])).sentence for check in checks]
    assert sentences == [
        "No two are near-duplicates.",
        "No two are images of one exposure.",
        "No two are mirror images.",
    ]
    one = find_duplicates_across_parts(context(rows, [(0, 2, 0.9)]))
    assert one.sentence == "None of 1 pair of near-duplicates is in two different parts."
    apart = find_duplicates_across_parts(replace(context(rows, []), apart=3))
    assert apart.sentence == (
        "No two are near-duplicates. 3 pairs are alike too, but of different patients by the source's own numbers: not "
        "counted."
    )
