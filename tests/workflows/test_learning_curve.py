"""A learning curve on phantoms: one validation part for all sizes, subsets inside each other, and it resumes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import pyarrow.parquet as pq  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from pneumoscope.comparison.learning_curve import LearningCurve  # noqa: E402
from pneumoscope.core.errors import UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.data.phantoms.dataset import write_set  # noqa: E402
from pneumoscope.data.splits import assign_parts  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe  # noqa: E402
from pneumoscope.workflows.learning_curve import learning_curve  # noqa: E402

SMALL = [
    "input.size=32", "head.hidden=[8]", "training.epochs=1", "training.batch_size=8", "task.map={}",
    "task.classes=[covid-19, normal]", "task.sigmoid_of=covid-19",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    manifest = write_set(tmp_path_factory.mktemp("set"), 34, ("covid-19", "normal"), seed=1, size=64)
    return assign_parts(manifest, {"validation": 0.35, "calibration": 0.25, "test": 0.1}, seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def result(data: Manifest, folder: Path) -> LearningCurve:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PNEUMOSCOPE_CACHE", str(folder / "cache"))
        recipe = load_recipe("cnn-150", SMALL)
        return learning_curve(recipe, data, folder / "curve", sizes=[0.4, 0.6, 0.8, 1.0], device="cpu")


def test_the_figure_of_a_size_is_that_of_its_run_on_the_whole_validation_part(
    result: LearningCurve, data: Manifest, folder: Path
) -> None:
    truth = (data.part("validation").table["label"] == "covid-19").to_numpy()
    for point in result.points:
        path = folder / "curve" / "runs" / f"share-{point.share:g}-repeat-1" / "predictions.parquet"
        scores = pq.read_table(path).column("p_covid-19").to_numpy()
        assert point.figure.value == pytest.approx(roc_auc_score(truth, scores))


def test_the_training_parts_grow_and_hold_the_smaller_ones_and_no_other_part_changes(
    result: LearningCurve, data: Manifest, folder: Path
) -> None:
    smaller: set[str] = set()
    for point in result.points:
        used = Manifest.read(folder / "curve" / "runs" / f"share-{point.share:g}-repeat-1" / "manifest.parquet")
        train = set(used.part("train").table.sha256)
        assert smaller < train
        assert used.part("train").table.group.nunique() == point.patients
        for part in ("validation", "calibration"):
            assert used.part(part).rows_hash() == data.part(part).rows_hash()
        smaller = train
    assert smaller == set(data.part("train").table.sha256)


def test_the_curve_is_asked_about_twice_the_patients_and_the_page_draws_it(result: LearningCurve, folder: Path) -> None:
    (twice,) = result.forecasts
    assert twice.patients == 2 * result.points[-1].patients
    assert twice.figure.value is not None
    page = (folder / "curve" / "learning-curve.html").read_text()
    assert "<svg" in page
    assert "With 2 times the patients" in page
    assert result.curve is not None
    sentence, last = result.sentences()[0], result.points[-1]
    before = result.curve.at(last.patients)
    assert twice.gain.value == pytest.approx(twice.figure.value - before)
    assert f"the curve's own {before:.3f} at {last.patients} patients, where {last.figure.value:.3f} was" in sentence


def test_three_times_is_refused_before_anything_is_read(data: Manifest, folder: Path) -> None:
    with pytest.raises(UsageError, match="at most 2"):
        learning_curve("cnn-150", data, folder / "far", times=[3.0])
    assert not (folder / "far").exists()
