"""A cross-validation on phantoms: held-out images teach nothing, figures agree with scikit-learn, and it resumes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from sklearn.metrics import roc_auc_score  # noqa: E402

from pneumoscope.comparison.cross_validation import CrossValidation  # noqa: E402
from pneumoscope.core.callbacks import Callbacks  # noqa: E402
from pneumoscope.core.errors import UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.data.phantoms.dataset import write_set  # noqa: E402
from pneumoscope.data.splits import assign_parts  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe  # noqa: E402
from pneumoscope.workflows.cross_validate import cross_validate  # noqa: E402

SMALL = ["input.size=32", "head.hidden=[8]", "training.epochs=1", "training.batch_size=8", "task.map={}"]


class Messages(Callbacks):
    """Keeps every line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    manifest = write_set(tmp_path_factory.mktemp("set"), 30, ("covid-19", "normal"), seed=1, size=64)
    return assign_parts(manifest, {"test": 0.1}, seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


def run(data: Manifest, folder: Path, seed: int = 0) -> tuple[CrossValidation, list[str]]:
    first = load_recipe("cnn-150", [*SMALL, "task.classes=[covid-19, normal]", "task.sigmoid_of=covid-19"])
    second = first.model_copy(update={"name": "other"})
    said = Messages()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PNEUMOSCOPE_CACHE", str(folder / "cache"))
        result = cross_validate(
            [first, second], data, folder / "cv", folds=2, repeats=1, seed=seed, device="cpu", callbacks=said
        )
    return result, said.lines


@pytest.fixture(scope="module")
def result(data: Manifest, folder: Path) -> CrossValidation:
    return run(data, folder)[0]


def test_each_image_outside_the_test_part_is_held_out_once_and_teaches_nothing_then(
    result: CrossValidation, data: Manifest, folder: Path
) -> None:
    open_rows = data.table[data.table["split"] != "test"]
    held: list[str] = []
    for fold in result.recipes[0].folds:
        dealt = Manifest.read(folder / "cv" / fold.run / "manifest.parquet").table
        out = dealt[dealt["split"] == "test"]
        assert not set(out.group) & set(dealt[dealt["split"] != "test"].group)
        assert len(out) == fold.images
        held += out.sha256.tolist()
    assert sorted(held) == sorted(open_rows.sha256)
    assert result.closed == len(data) - len(open_rows)


def test_the_figure_of_a_fold_is_that_of_the_answers_to_its_held_out_images(
    result: CrossValidation, folder: Path
) -> None:
    for fold in result.recipes[0].folds:
        run_folder = folder / "cv" / fold.run
        dealt = Manifest.read(run_folder / "manifest.parquet").part("test").table
        scores = np.array(json.loads((run_folder / "held-out.json").read_text())["probabilities"])[:, 0]
        assert fold.figures["auroc"] == pytest.approx(roc_auc_score(dealt.label == "covid-19", scores))


def test_the_mean_is_over_folds_and_the_page_names_both_recipes(result: CrossValidation, folder: Path) -> None:
    for one in result.recipes:
        assert one.figures["auroc"].value == pytest.approx(np.mean([fold.figures["auroc"] for fold in one.folds]))
    assert result.recipes[0].versus_best is None
    page = (folder / "cv" / "cross-validation.html").read_text()
    assert "other" in page
    assert "Nadeau and Bengio" in page


def test_the_same_call_trains_nothing_again(result: CrossValidation, data: Manifest, folder: Path) -> None:
    again, lines = run(data, folder)
    assert sum("finished before" in line for line in lines) == 4
    assert again.recipes == result.recipes


def test_another_seed_is_refused_in_the_same_folder(result: CrossValidation, data: Manifest, folder: Path) -> None:
    with pytest.raises(UsageError, match="another seed"):
        run(data, folder, seed=5)
