"""Training does not start on leaking_plan data, and the card has the findings of the data checks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch


from pneumoscope.core.errors import CheckRefusedError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.export.card_builder import LEAKING, choose_stamps, summarise_checks  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe  # noqa: E402
from pneumoscope.training.plan import Plan, make_plan  # noqa: E402
from pneumoscope.workflows import train as running  # noqa: E402
from pneumoscope.workflows.data_checks import check_plan  # noqa: E402


@pytest.fixture
def leaking_plan(phantom_set: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan in which the picture of a test patient is also in train, under another name and number."""
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))
    rows: list[dict[Any, Any]] = phantom_set.table.to_dict("records")
    test_row = next(row for row in rows if row["split"] == "test")
    root = phantom_set.roots[test_row["source"]]
    copied_rows = [dict(row) for row in rows]
    folder = tmp_path / "images"
    for row in copied_rows:
        (folder / row["image"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / row["image"], folder / row["image"])
    shutil.copyfile(root / test_row["image"], folder / "again.png")
    copied_rows.append(
        {**test_row, "image": "again.png", "split": "train", "group": "somebody", "patient_id": "somebody"}
    )
    manifest = Manifest.from_rows(copied_rows, dict.fromkeys(phantom_set.roots, folder))
    return make_plan(load_recipe("lenet-128", ["task.classes=[covid-19, normal, viral-pneumonia]"]), manifest)


def test_no_training_starts_with_a_test_image_in_train(
    leaking_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_to_train(*_: Any, **__: Any) -> None:
        raise AssertionError("a training was started")

    monkeypatch.setattr(running, "fit", refuse_to_train)
    with pytest.raises(CheckRefusedError, match="duplicates-across-parts"):
        running.train(leaking_plan.recipe, leaking_plan.manifest, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_card_has_an_allowed_finding_with_its_reason(leaking_plan: Plan) -> None:
    report = check_plan(leaking_plan, allowed={"duplicates-across-parts": "to show the leak"})
    summary = summarise_checks(report)
    assert {note.name: note.because for note in summary.findings}["duplicates-across-parts"] == "to show the leak"
    assert summary.data == leaking_plan.manifest.rows_hash()
    # Every prediction, page and export of the model then says so.
    assert choose_stamps(report)[:2] == (LEAKING, "not audited")
