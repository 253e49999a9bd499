"""Parts consist of whole groups, in the right shares of every label and source, the same on every machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pneumoscope.core.errors import CheckRefusedError, UsageError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import (
    assign_parts,
    balance_train,
    deal_rows,
    nested_subsets,
    parse_balance,
    parse_ratio,
    shares,
)
from pneumoscope.workflows.datasets import split

FRACTIONS = {"test": 0.2, "validation": 0.1, "calibration": 0.1}


def test_every_group_is_in_one_part_and_every_row_has_a_part(cohort: Manifest) -> None:
    table = assign_parts(cohort, FRACTIONS, seed=0).table
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert table["split"].notna().all()


def test_every_label_of_every_source_is_divided_in_the_shares(cohort: Manifest) -> None:
    table = assign_parts(cohort, FRACTIONS, seed=0).table
    counts = pd.crosstab(table.source + " " + table.label, table["split"])
    expected = pd.DataFrame({name: counts.sum(axis=1) * share for name, share in shares(FRACTIONS).items()})
    # Whole groups (here up to 4 images) cannot be assigned more exactly.
    assert (counts - expected[counts.columns]).abs().to_numpy().max() <= 2
    assert (counts.sum() - expected.sum()[counts.columns]).abs().max() <= 2


def test_the_shares_of_single_images_are_rounded_to_whole_images(
    make_row: Callable[..., dict[str, Any]],
) -> None:
    manifest = Manifest.from_rows([make_row(number) for number in range(10)], {})
    counts = assign_parts(manifest, FRACTIONS, seed=3).table["split"].value_counts().to_dict()
    assert counts == {"train": 6, "test": 2, "validation": 1, "calibration": 1}


def test_the_order_of_rows_does_not_matter_and_the_seed_does(cohort: Manifest) -> None:
    shuffled = Manifest(cohort.table.sample(frac=1, random_state=1).reset_index(drop=True))
    first = assign_parts(cohort, FRACTIONS, seed=0).split_hash()
    assert assign_parts(shuffled, FRACTIONS, seed=0).split_hash() == first
    assert assign_parts(cohort, FRACTIONS, seed=1).split_hash() != first


def test_a_known_split_does_not_change(make_row: Callable[..., dict[str, Any]]) -> None:
    # Results are compared across versions: another order of assignment would be another experiment.
    manifest = Manifest.from_rows([make_row(number) for number in range(8)], {})
    assert assign_parts(manifest, {"test": 0.25}, seed=0).table["split"].tolist() == [
        "train",
        "train",
        "test",
        "train",
        "train",
        "train",
        "train",
        "test",
    ]


def test_a_part_without_a_share_has_no_rows(cohort: Manifest) -> None:
    assert assign_parts(cohort, {"test": 0.2}, seed=0).parts_present == ("train", "test")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("80/20", {"test": 0.2}), ("70/15/15", {"validation": 0.15, "test": 0.15}), ("0.8/0.2", {"test": 0.2})],
)
def test_a_ratio_is_parsed(text: str, expected: dict[str, float]) -> None:
    assert parse_ratio(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["80", "80/30", "a/b", "50/20/20/10", "100/0"])
def test_an_invalid_ratio_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="must be train/test"):
        parse_ratio(text)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"tset": 0.2}, "is unknown. Did you mean 'test'"),
        ({"test": 1.2}, "at least 0 and under 1"),
        ({"test": 0.6, "validation": 0.4}, "leave something for train"),
        ({"train": 0.9, "test": 0.2}, "must sum to 1"),
    ],
)
def test_impossible_shares_are_refused(fractions: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        shares(fractions)


def test_balancing_removes_whole_groups_from_train_only(cohort: Manifest) -> None:
    divided = assign_parts(cohort, FRACTIONS, seed=0)
    balanced, left = balance_train(divided, {"covid-19": 1, "normal": 1}, seed=0)
    before, after = (m.part("train").table.label.value_counts() for m in (divided, balanced))
    assert after["covid-19"] == before["covid-19"] < before["normal"]
    assert abs(after["normal"] - after["covid-19"]) <= 3
    assert after["pneumonia"] == before["pneumonia"]
    assert left == {"covid-19": 0, "normal": before["normal"] - after["normal"]}
    others = divided.table["split"] != "train"
    pd.testing.assert_series_equal(divided.table["split"][others], balanced.table["split"][others])
    # A group that is left out is in no part at all.
    out = balanced.table["split"].isna()
    assert not set(balanced.table.group[out]) & set(balanced.table.group[~out])
    assert len(balanced) == len(divided)


def test_a_balance_is_parsed() -> None:
    labels = ["covid-19", "normal"]
    assert parse_balance("1:1", labels) == {"covid-19": 1, "normal": 1}
    assert parse_balance("covid-19=1,normal=2", labels) == {"covid-19": 1, "normal": 2}


@pytest.mark.parametrize("text", ["1:2", "1", "covid-19=x", "covid-19=0", "covid-19"])
def test_an_invalid_balance_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="must be 1:1"):
        parse_balance(text, ["covid-19", "normal"])


def test_shares_are_similar_for_every_seed(cohort: Manifest) -> None:
    sizes = [assign_parts(cohort, FRACTIONS, seed).table["split"].value_counts()["test"] for seed in range(3)]
    assert np.ptp(sizes) <= 4


@pytest.mark.parametrize(
    ("groups", "messages"),
    [
        (
            ["A"] * 20,
            ["test has no image.", "The group 'A' holds 20 of 20", "'A'): validation, calibration, test have"],
        ),
        (
            ["A"] * 10 + [f"g{number}" for number in range(10)],
            ["covid-19 has 10 images in one group ('A'): validation, calibration, test have none of them."],
        ),
        ([f"g{number}" for number in range(20)], []),
    ],
    ids=["one patient holds everything", "a class has one group", "enough groups"],
)
def test_a_degenerate_division_is_described(
    make_row: Callable[..., dict[str, Any]], groups: list[str], messages: list[str]
) -> None:
    labels = ["covid-19"] * 10 + ["normal"] * 10
    rows = [make_row(number, group=group, label=labels[number]) for number, group in enumerate(groups)]
    manifest, report = split(Manifest.from_rows(rows, {}))
    assert bool(report.warnings) == bool(messages)
    for message in messages:
        assert message in " ".join(report.warnings)
    for warning in report.warnings:  # every sentence is true of the division
        for part in ("test", "validation", "calibration"):
            if warning == f"{part} has no image.":
                assert part not in manifest.parts_present


def test_a_strict_split_refuses_and_writes_nothing(tmp_path: Path, make_row: Callable[..., dict[str, Any]]) -> None:
    rows = [make_row(number, group="patient:here/ANONYMOUS") for number in range(20)]
    Manifest.from_rows(rows, {}).write(tmp_path / "m.parquet")
    before = (tmp_path / "m.parquet").read_bytes()
    with pytest.raises(CheckRefusedError, match=r"test has no image\..*ANONYMOUS' holds 20 of 20"):
        split(tmp_path / "m.parquet", tmp_path / "m.parquet", strict=True)
    assert (tmp_path / "m.parquet").read_bytes() == before


@pytest.mark.parametrize(("ratio", "share"), [("80/20", "test"), ("70/15/15", "validation")])
def test_a_share_is_stated_once(cohort: Manifest, ratio: str, share: str) -> None:
    with pytest.raises(UsageError, match=f"`ratio='{ratio}'`: and `{share}=0.3` both state one share"):
        split(cohort, ratio=ratio, **{share: 0.3})  # type: ignore[arg-type]
    divided, _ = split(cohort, ratio=ratio, calibration=0.0)
    assert divided.part("test").table.shape[0] / len(cohort) == pytest.approx(
        0.2 if share == "test" else 0.15, abs=0.01
    )
    assert "calibration" not in divided.parts_present


def test_each_row_is_dealt_into_one_fold_and_each_group_with_it(cohort: Manifest) -> None:
    folds = deal_rows(cohort, 4, seed=0)
    assert sorted(np.concatenate(folds)) == list(range(len(cohort)))
    groups = [set(cohort.table.group.iloc[rows]) for rows in folds]
    assert sum(map(len, groups)) == cohort.table.group.nunique()
    assert [list(rows) for rows in deal_rows(cohort, 4, seed=1)] != [list(rows) for rows in folds]


def test_subsets_grow_by_whole_groups_of_every_kind_and_leave_the_other_parts(cohort: Manifest) -> None:
    parts = assign_parts(cohort, FRACTIONS, seed=0)
    table, train = parts.table, (parts.table["split"] == "train").to_numpy()
    half, most, every = nested_subsets(parts, [0.5, 0.8, 1.0], seed=2)
    assert every.all()
    assert half[~train].all()
    assert (half <= most).all()
    assert half.sum() < most.sum() < len(table)
    assert not set(table.group[half & train]) & set(table.group[~half])
    kinds = table.label + " " + table.source
    assert set(kinds[half & train]) == set(kinds[train])


def make_cohort_of_findings(make_row: Callable[..., dict[str, Any]], groups: int = 400) -> Manifest:
    """Return patients with 1 to 4 images and findings from 1 of 40 patients to 1 of 3, which come together."""
    rng = np.random.default_rng(5)
    rates = {"hernia": 0.025, "mass": 0.05, "edema": 0.05, "pleural-effusion": 0.15, "infiltration": 0.33}
    rows = []
    for patient in range(groups):
        ill = rng.random() < 0.5
        for _ in range(rng.integers(1, 5)):
            found = {name: bool(ill and rng.random() < 2 * rate) for name, rate in rates.items()}
            if patient % 3 == 0:
                del found["mass"]  # nobody looked for it
            row = make_row(len(rows), patient_id=f"p{patient}", findings=json.dumps(found))
            present = [name for name, value in found.items() if value]
            row["label"] = "normal" if not present else present[0] if len(present) == 1 else "other"
            rows.append(row)
    return Manifest.from_rows(rows, {})


def distribution_error(parts: pd.Series[str], present: pd.DataFrame) -> float:
    """Return LD of Sechidis 2011, equation 4: how far the odds of each finding in a part are from those of all."""
    odds = present.mean() / (1 - present.mean())
    in_part = present.groupby(parts.to_numpy()).mean()
    return float(((in_part / (1 - in_part)) - odds).abs().mean().mean())


def test_rare_findings_are_divided_in_the_shares(make_row: Callable[..., dict[str, Any]]) -> None:
    manifest = make_cohort_of_findings(make_row)
    stated = pd.DataFrame([json.loads(text) for text in manifest.table.findings])
    errors = []
    for seed in range(3):
        table = assign_parts(manifest, FRACTIONS, seed).table
        assert (table.groupby("group")["split"].nunique() == 1).all()
        for state in (True, False):
            counts = stated.eq(state).groupby(table["split"].to_numpy()).sum()
            for part, share in shares(FRACTIONS).items():
                assert (counts.loc[part] - share * counts.sum()).abs().max() <= 6  # a group has up to 4 images
        by_label = assign_parts(Manifest.from_rows([*map(without_findings, rows_of(manifest))], {}), FRACTIONS, seed)
        present = stated.eq(True)
        errors.append([distribution_error(each["split"], present) for each in (table, by_label.table)])
    by_finding, one_pass = np.mean(errors, axis=0)
    assert by_finding < 0.75 * one_pass


def rows_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the rows of a manifest as its maker gave them."""
    return manifest.table.drop(columns=["split"]).to_dict("records")


def without_findings(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row that has its label alone."""
    return row | {"findings": None}


def test_a_finding_that_a_part_lacks_is_named(make_row: Callable[..., dict[str, Any]]) -> None:
    rows = [
        make_row(number, label="other", findings=json.dumps({"hernia": number < 2, "mass": True, "nodule": True}))
        for number in range(20)
    ]
    _, report = split(Manifest.from_rows(rows, {}))
    (warning,) = report.warnings
    assert warning.startswith("hernia has 2 images in 2 groups: ")
    with pytest.raises(CheckRefusedError, match="hernia"):
        split(Manifest.from_rows(rows, {}), strict=True)
