"""No training starts on data that leak, and the card keeps the findings of the data checks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.lab


from pneumoscope.core.errors import CheckRefusedError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.export.card_builder import summarise_checks  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe  # noqa: E402
from pneumoscope.training.plan import Plan, plan  # noqa: E402
from pneumoscope.workflows import train as running  # noqa: E402
from pneumoscope.workflows.data_checks import check_plan  # noqa: E402


@pytest.fixture
def leaking(phantom_set: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A test patient whose picture, under another name and number, is in train too."""
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))
    rows: list[dict[Any, Any]] = phantom_set.table.to_dict("records")
    tested = next(row for row in rows if row["split"] == "test")
    root = phantom_set.roots[tested["source"]]
    copied = [dict(row) for row in rows]
    folder = tmp_path / "images"
    for row in copied:
        (folder / row["image"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / row["image"], folder / row["image"])
    shutil.copyfile(root / tested["image"], folder / "again.png")
    copied.append({**tested, "image": "again.png", "split": "train", "group": "somebody", "patient_id": "somebody"})
    manifest = Manifest.from_rows(copied, dict.fromkeys(phantom_set.roots, folder))
    return plan(load_recipe("lenet-128", ["task.classes=[covid-19, normal, viral-pneumonia]"]), manifest)


def test_nothing_is_trained_where_a_test_image_is_in_train(
    leaking: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a training was started")

    monkeypatch.setattr(running, "fit", never)
    with pytest.raises(CheckRefusedError, match="duplicates-across-parts"):
        running.train(leaking.recipe, leaking.manifest, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_allowed_is_on_the_card_with_its_reason(leaking: Plan) -> None:
    report = check_plan(leaking, allowed={"duplicates-across-parts": "to show the leak"})
    summary = summarise_checks(report)
    assert {note.name: note.because for note in summary.findings}["duplicates-across-parts"] == "to show the leak"
    assert summary.data == leaking.manifest.rows_hash()
