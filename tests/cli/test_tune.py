"""`pneumoscope tune`: what is refused before the first trial, and one small search from the door to the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("optuna")
pytestmark = pytest.mark.torch

from pneumoscope.cli.main import app  # noqa: E402
from pneumoscope.data.manifest import Manifest, write_manifest  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe  # noqa: E402

THREE = "task.classes=[covid-19, normal, viral-pneumonia]"


@pytest.fixture
def manifest(phantom_set: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "m.parquet"
    write_manifest(phantom_set, path)
    return path


def tune(manifest: Path, out: Path, *arguments: str) -> Any:
    fixed = ["tune", "lenet-128", "--data", str(manifest), "--out", str(out), "--set", THREE, "--device", "cpu"]
    return CliRunner().invoke(app, [*fixed, *arguments])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--split", "test"], 2, "not for choosing"),
        (["--split", "validation", "--folds", "3"], 2, "exclude each other"),
        (["--search", "genral"], 2, "Did you mean 'general'"),
        (["--objective", "aurco"], 2, "Did you mean 'auroc'"),
        (["--sampler", "grid"], 2, "has no step"),
        (["--nested", "2", "--repeats", "2"], 2, "answer the same question"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_trial(
    manifest: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = tune(manifest, tmp_path / "t", *arguments)
    assert done.exit_code == code
    assert words in done.stderr


def test_a_search_from_the_door_to_the_page(manifest: Path, tmp_path: Path) -> None:
    space = tmp_path / "mine.yaml"
    space.write_text("parameters:\n  optimizer.lr: [0.01, 0.1]\n")
    out = tmp_path / "t"
    arguments = ["--search", str(space), "--folds", "2", "--set", "training.epochs=1", "--json"]
    done = tune(manifest, out, *arguments)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [trial["state"] for trial in found["trials"]] == ["complete", "complete"]
    assert found["own"] == 1
    best = load_recipe(str(out / "best.yaml"))
    assert f"optimizer.lr={best.optimizer.lr}" in best.changes
    assert load_recipe(str(out / "best" / "recipe.yaml")).optimizer.lr == best.optimizer.lr
    assert (out / "best" / "bundle" / "model.onnx").is_file()
    assert "partly by chance" in (out / "study.html").read_text()

    refused = tune(manifest, out, *arguments)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
