"""Several findings an image: what is stated, what follows from it, and what stays unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.describe import describe
from pneumoscope.data.findings import (
    finding_targets,
    label_of,
    list_findings,
    parse_findings,
    stated_findings,
    write_findings,
)
from pneumoscope.data.manifest import Manifest, read_manifest, write_manifest
from pneumoscope.workflows.datasets import import_data

LABELS = LabelSet.builtin()


def test_a_list_states_presence_and_absence() -> None:
    findings = list_findings(["mass"], ["nodule", "mass"])
    assert findings == {"nodule": False, "mass": True}
    assert parse_findings(write_findings(findings), "row 1", LABELS) == findings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "Write JSON"),
        ("[]", "Write JSON"),
        ('{"mass": 1}', "present or absent"),
        ('{"normal": true}', "has the finding 'normal'"),
        ('{"other": true}', "has the finding 'other'"),
        ('{"mass": true, "mass": false}', "Write JSON"),
        ('{"effusionn": true}', "Did you mean"),
    ],
)
def test_a_broken_cell_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem):
        parse_findings(text, "row 1", LABELS)


@pytest.mark.parametrize(
    ("findings", "label"),
    [
        ({"mass": True, "nodule": False}, "mass"),
        ({"mass": True, "nodule": True}, "other"),
        ({"viral-pneumonia": True, "pneumonia": True, "lung-opacity": True}, "viral-pneumonia"),
        ({"mass": False}, "normal"),
        ({}, None),
    ],
)
def test_the_one_label_of_findings(findings: dict[str, bool], label: str | None) -> None:
    assert label_of(findings, LABELS) == label


def test_wider_labels_follow_from_narrower_ones() -> None:
    stated = stated_findings("viral-pneumonia", None, LABELS)
    assert stated == {"viral-pneumonia": True, "pneumonia": True, "lung-opacity": True}
    absent = stated_findings("other", {"pneumonia": False}, LABELS)
    assert absent == {"pneumonia": False, "viral-pneumonia": False, "bacterial-pneumonia": False}
    assert not any(stated_findings("normal", None, LABELS).values())
    assert stated_findings("other", None, LABELS) == {}
    # Where they contradict each other, the narrower statement counts.
    both = stated_findings("other", {"pneumonia": True, "lung-opacity": False}, LABELS)
    assert both["lung-opacity"] is True
    assert both["pneumonia"] is True


def test_targets_are_present_absent_or_unknown() -> None:
    rows = [("mass", None), ("normal", None), ("other", '{"mass":false,"nodule":true}')]
    targets = finding_targets(rows, ["mass", "nodule"], LABELS)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, [[1, np.nan], [0, 0], [0, 1]])


def test_findings_are_counted(make_row: Callable[..., dict[str, Any]]) -> None:
    cells = ['{"mass":true,"nodule":false}', '{"mass":true,"nodule":false}', '{"nodule":true}', None]
    rows = [make_row(number, label="other" if cell else "normal", findings=cell) for number, cell in enumerate(cells)]
    assert describe(Manifest.from_rows(rows, {}))["findings"] == {
        "nodule": {"present": 1, "absent": 2},
        "mass": {"present": 2, "absent": 0},
    }


def test_findings_travel_with_the_manifest(tmp_path: Path, make_row: Callable[..., dict[str, Any]]) -> None:
    rows = [make_row(1, label="mass", findings='{"mass":true,"nodule":false}'), make_row(2)]
    write_manifest(Manifest.from_rows(rows, {"here": tmp_path}), tmp_path / "m.parquet")
    manifest = read_manifest(tmp_path / "m.parquet")
    assert manifest.table.findings[0] == rows[0]["findings"]
    assert manifest.table.findings.isna().tolist() == [False, True]
    assert manifest.rows_hash() != Manifest.from_rows([make_row(1, label="mass"), make_row(2)], {}).rows_hash()
    with pytest.raises(ManifestError, match=r"row 0, findings = .*must be JSON"):
        Manifest.from_rows([make_row(1, findings='{"mass": "yes"}')], {})


@pytest.mark.parametrize(
    ("label", "findings"),
    [
        ("normal", '{"nodule":true}'),
        ("covid-19", '{"covid-19":false,"nodule":true}'),
        ("viral-pneumonia", '{"pneumonia":false}'),
        ("viral-pneumonia", '{"lung-opacity":false}'),  # the parent's parent
    ],
)
def test_a_label_and_its_findings_must_agree(
    label: str, findings: str, make_row: Callable[..., dict[str, Any]]
) -> None:
    rows = [make_row(0), make_row(1, label=label, findings=findings)]
    with pytest.raises(ManifestError, match=f"row 1, label {label}, findings .* must agree"):
        Manifest.from_rows(rows, {})


def test_a_table_of_ones_own_states_several_findings(tmp_path: Path) -> None:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (90, 80), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    table = tmp_path / "table.csv"
    rows = [
        '0.png,normal,"{""nodule"": false}"',
        '1.png,other,"{""nodule"": true, ""mass"": true}"',
        "2.png,pneumonia,",
    ]
    table.write_text("\n".join(["image,label,found", *rows]))
    manifest, _ = import_data("csv", table, columns={"findings": "found"})
    assert manifest.table.findings.fillna("").tolist() == ['{"nodule":false}', '{"mass":true,"nodule":true}', ""]
    table.write_text("\n".join(["image,label,found", rows[0], '1.png,other,"{""mas"": true}"']))
    with pytest.raises(ManifestError, match="Did you mean 'mass'"):
        import_data("csv", table, columns={"findings": "found"})


@pytest.mark.parametrize(
    ("label", "findings", "problem"),
    [
        ("viral-pneumonia", {"pneumonia": False}, "who has viral-pneumonia has pneumonia, which is absent"),
        ("viral-pneumonia", {"lung-opacity": False}, "who has viral-pneumonia has lung-opacity, which is absent"),
        ("pneumonia", {"pneumonia": False}, "pneumonia is absent"),
        ("normal", {"pneumonia": True}, "pneumonia is present, so the image is not normal"),
        ("pneumonia", {"viral-pneumonia": False}, None),
        ("viral-pneumonia", {"pneumonia": True, "nodule": False}, None),
        ("other", {"pneumonia": False}, None),
    ],
)
def test_a_row_whose_label_and_findings_contradict_each_other_is_named(
    tmp_path: Path, label: str, findings: dict[str, bool], problem: str | None
) -> None:
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (90, 80), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    table = tmp_path / "table.csv"
    cell = write_findings(findings).replace('"', '""')
    table.write_text(f'image,label,found\n0.png,normal,\n1.png,{label},"{cell}"\n')
    if problem is None:
        manifest, _ = import_data("csv", table, columns={"findings": "found"})
        assert manifest.table.findings[1] == write_findings(findings)
        return
    with pytest.raises(ManifestError, match=rf"^table\.csv, row 3: .*{label}.*: {problem}\. .*correct one of them"):
        import_data("csv", table, columns={"findings": "found"})
