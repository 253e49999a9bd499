"""A file of two sources becomes one row with the facts of both; other rows do not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.core.files import sha256_of
from pneumoscope.data.conflicts import find_conflicts
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.masks import write_mask
from pneumoscope.data.merge import join_same_files, merge
from pneumoscope.data.similarity import Pair

Draw = Callable[..., Path]
MakeRow = Callable[..., dict[str, Any]]
ROOTS = {"a": Path("/a"), "b": Path("/b"), "b-masks": Path("/m")}


def _table(make_row: MakeRow, *rows: dict[str, Any]) -> pd.DataFrame:
    rows_of_manifest = [make_row(number, **values) for number, values in enumerate(rows)]
    return Manifest.from_rows(rows_of_manifest, ROOTS).table


def test_the_first_row_stays_and_gets_the_facts_of_the_second(make_row: MakeRow) -> None:
    one = "1" * 64
    table = _table(
        make_row,
        {"source": "a", "sha256": one, "view": "PA", "patient_id": None},
        {"source": "a"},
        {"source": "b", "sha256": one, "view": "AP", "age": 19.0, "patient_id": "7", "lung_mask": "b-masks:lung/x.png"},
        {"source": "b", "ignore_mask": "masks/y.png"},
    )
    joined, account = join_same_files(table, [0, 0, 1, 1], ROOTS)
    assert joined.index.tolist() == [0, 1, 3]
    first = joined.loc[0]
    assert (first.source, first["view"], first.age, first.lung_mask) == ("a", "PA", 19.0, "b-masks:lung/x.png")
    assert pd.isna(first.patient_id)  # patient numbers of b are not those of a
    assert account.images == ("b/a/2.png, as a/a/0.png",)
    assert account.filled == {"age": 1, "lung_mask": 1}
    assert account.disagreements == ("a/a/0.png: view PA, b says AP",)
    assert joined.loc[3].ignore_mask == "masks/y.png"


def test_a_mask_in_the_folder_of_the_other_source_keeps_its_root(make_row: MakeRow) -> None:
    same = {"sha256": "1" * 64}
    table = _table(make_row, {"source": "a", **same}, {"source": "b", "lung_mask": "masks/x.png", **same})
    joined, _ = join_same_files(table, [0, 1], ROOTS)
    assert Manifest(joined, ROOTS).table.lung_mask.tolist() == ["b:masks/x.png"]


@pytest.mark.parametrize("mask", ["/x.png", "b:/x.png", "C:/x.png", "b:../x.png", "b:m/../../x.png"])
def test_a_mask_cannot_leave_its_root(make_row: MakeRow, mask: str) -> None:
    with pytest.raises(ManifestError, match=r"lung_mask = .*must be a relative path"):
        _table(make_row, {"lung_mask": mask})


def test_copies_in_one_source_and_conflicts_are_not_joined(make_row: MakeRow) -> None:
    same = {"sha256": "1" * 64}
    table = _table(
        make_row,
        {"source": "a", **same},
        {"source": "a", **same},
        {"source": "b", "label": "covid-19", **same},
    )
    joined, account = join_same_files(table, [0, 0, 1], ROOTS)
    assert len(joined) == 3
    assert account.images == ()


def test_contradicting_findings_are_a_conflict_and_are_not_joined(make_row: MakeRow) -> None:
    same = {"sha256": "1" * 64, "label": "pneumonia"}
    present, absent = (f'{{"nodule":{word},"pneumonia":true}}' for word in ("true", "false"))
    table = _table(
        make_row,
        {"source": "a", **same},  # states nothing of nodules
        {"source": "b", "findings": present, **same},
        {"source": "b-masks", "findings": absent, **same},
    )
    joined, account = join_same_files(table, [0, 1, 2], ROOTS)
    assert len(joined) == 3
    assert account.images == ()
    conflicts = find_conflicts(Manifest(joined, ROOTS), [Pair(0, 1, 1.0), Pair(0, 2, 1.0), Pair(1, 2, 1.0)])
    assert conflicts.rows == {1, 2}
    assert "'nodule' present in one, absent in the other" in conflicts.sentences[0]
    assert len(join_same_files(table, [0, 1, 1], ROOTS)[0]) == 3
    assert len(join_same_files(table[:2], [0, 1], ROOTS)[0]) == 1


def test_a_merge_has_one_row_for_each_file_with_its_mask(tmp_path: Path, make_row: MakeRow, draw: Draw) -> None:
    file = draw(tmp_path / "set/0.png", 0)
    facts = {"image": "0.png", "sha256": sha256_of(file)}
    write_mask(tmp_path / "set/masks/0.png", np.zeros((4, 4), np.bool_))
    plain = Manifest.from_rows([make_row(0, source="a", patient_id="1", **facts)], {"a": tmp_path / "set"})
    with_mask = Manifest.from_rows(
        [make_row(0, source="b", patient_id="2", group="p", lung_mask="masks/0.png", **facts)], {"b": tmp_path / "set"}
    )
    merged, report = merge([plain, with_mask])
    assert len(merged) == 1
    assert merged.table.source[0] == "a"
    assert merged.mask_paths("lung_mask") == [tmp_path / "set/masks/0.png"]
    assert report.same == ("b/0.png, as a/0.png",)
    assert "1 images are the same file in two sources: one row each; filled in from the other: lung_mask 1" in " ".join(
        merged.notes
    )
