"""Training on phantoms: a killed run resumes to the same weights, and contradictions stop before the first step."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


from pneumoscope.core.errors import ImageError, RecipeError, RunError, UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest, write_manifest  # noqa: E402
from pneumoscope.recipes.recipe import Recipe, load_recipe  # noqa: E402
from pneumoscope.training.input.cache import open_cache, resize_square  # noqa: E402
from pneumoscope.training.input.dataset import CountedSampler  # noqa: E402
from pneumoscope.training.loop.fit import FittedRun, fit  # noqa: E402
from pneumoscope.training.machine import choose_device  # noqa: E402
from pneumoscope.training.plan import make_plan  # noqa: E402


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))


def small(*more: str) -> Recipe:
    """cnn-150 on 32 pixels with three classes; the head must be consistent at every single change."""
    recipe = load_recipe("cnn-150").model_dump(mode="json")
    from pneumoscope.recipes.recipe import parse_recipe, with_changes

    recipe["task"] = {"kind": "multiclass", "classes": ["covid-19", "normal", "viral-pneumonia"]}
    recipe |= {"name": "small", "split": None, "expects": None, "selection": {"metric": "validation_loss"}}
    recipe["loss"]["kind"] = "cross-entropy"
    recipe["input"]["size"] = 32
    recipe["head"]["hidden"] = [16]
    recipe["training"] |= {"epochs": 3, "batch_size": 8}
    recipe["schedule"] |= {"monitor": "validation_loss", "patience": 1}
    return with_changes(parse_recipe(recipe, "small"), more)


def weights(run: FittedRun) -> dict[str, torch.Tensor]:
    return run.model.state_dict()


class Stop(Exception):  # noqa: N818
    """An exception that stops the training like a power cut."""


def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(
    phantom_set: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training_plan = make_plan(small(), phantom_set)
    whole = fit(training_plan, tmp_path / "whole", device="cpu")

    from pneumoscope.training.loop.module import Learner

    original = Learner.training_step

    def stop_in_the_third_epoch(self: Learner, batch: object, batch_idx: int) -> object:
        if self.current_epoch == 2 and batch_idx == 1:
            raise Stop
        return original(self, batch, batch_idx)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "training_step", stop_in_the_third_epoch)
    with pytest.raises(Stop):
        fit(training_plan, tmp_path / "cut", device="cpu")
    monkeypatch.setattr(Learner, "training_step", original)
    resumed = fit(training_plan, tmp_path / "cut", device="cpu", resume=True)

    assert resumed.kept_epoch == whole.kept_epoch
    assert (tmp_path / "cut" / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
    for key, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[key]), key


@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_leaves_a_run_that_can_be_resumed(
    phantom_set: Manifest, tmp_path: Path, number: signal.Signals, code: int, words: str
) -> None:
    manifest, recipe = tmp_path / "m.parquet", tmp_path / "r.yaml"
    write_manifest(phantom_set, manifest)
    recipe.write_text(small("training.epochs=200").to_yaml())
    # A process that was started in the background may have Ctrl-C ignored, and its children inherit that.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from pneumoscope.cli.main import run; run()"
    command = [sys.executable, "-c", program, "train", str(recipe)]
    command += ["--data", str(manifest), "--out", str(tmp_path / "run"), "--device", "cpu"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "best.ckpt").exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert words in errors and "--resume" in errors
    assert "Traceback" not in errors


def test_a_run_is_not_overwritten_nor_resumed_with_another_recipe(phantom_set: Manifest, tmp_path: Path) -> None:
    fit(make_plan(small("training.epochs=1"), phantom_set), tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match="`resume=True`"):
        fit(make_plan(small("training.epochs=1"), phantom_set), tmp_path / "run", device="cpu")
    other = make_plan(small("training.epochs=1", "optimizer.lr=0.5"), phantom_set)
    with pytest.raises(RunError, match=r"optimizer.lr was 0.001, is 0.5"):
        fit(other, tmp_path / "run", device="cpu", resume=True)


def test_early_stopping_waits_for_its_patience(phantom_set: Manifest, tmp_path: Path) -> None:
    recipe = small("training.epochs=40", "training.early_stopping={patience: 2}", "optimizer.lr=0.05")
    run = fit(make_plan(recipe, phantom_set), tmp_path / "run", device="cpu")
    epochs = len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) - 1
    assert epochs == run.kept_epoch + 2 < 40


def test_extra_and_missing_classes_are_errors_that_name_the_way_out(phantom_set: Manifest) -> None:
    two = small().model_copy(update={"task": small().task.model_copy(update={"classes": ("covid-19", "normal")})})
    with pytest.raises(RecipeError, match=r"viral-pneumonia \(\d+\).*task.ignore"):
        make_plan(two, phantom_set)
    with pytest.raises(RecipeError, match=r"no image of Lung opacity"):
        make_plan(small("task.classes=[covid-19, normal, viral-pneumonia, lung-opacity]"), phantom_set)


def test_set_classes_re_derives_the_head_and_says_what_is_left_out(phantom_set: Manifest) -> None:
    training_plan = make_plan(small("task.classes=[covid-19, normal]"), phantom_set)
    assert training_plan.recipe.outputs == 2
    assert "viral-pneumonia" in training_plan.notes[0]
    assert set(training_plan.manifest.table["label"]) == {"covid-19", "normal"}


def test_an_optional_class_joins_when_the_data_have_it(phantom_set: Manifest) -> None:
    recipe = load_recipe("mobilenetv2-flagship")
    table = phantom_set.table.copy()
    table.loc[table["label"] == "viral-pneumonia", "label"] = "lung-opacity"
    replaced = make_plan(recipe, Manifest(table, phantom_set.roots)).recipe
    assert replaced.task.classes == ("covid-19", "normal", "lung-opacity")
    assert [change.split()[:3] for change in replaced.changes] == [
        ["optional", "class", "lung-opacity"],
        ["class", "viral-pneumonia", "left"],
    ]
    both = phantom_set.table.copy()
    some = both.groupby("split")["group"].transform("first") == both["group"]
    both.loc[some, "label"] = "lung-opacity"
    training_plan = make_plan(recipe, Manifest(both, phantom_set.roots))
    assert training_plan.recipe.task.classes == ("covid-19", "normal", "viral-pneumonia", "lung-opacity")


def test_too_little_calibration_is_an_error_before_training(phantom_set: Manifest) -> None:
    """All calibration images in groups of the half that is kept for prediction sets: nothing chooses thresholds."""
    from pneumoscope.stats.calibration import select_first_half

    kept = next(name for name in (f"g{n}" for n in range(99)) if not select_first_half([name])[0])
    table = phantom_set.table.copy()
    table.loc[table["split"] == "calibration", "group"] = kept
    with pytest.raises(RunError, match="chooses thresholds"):
        make_plan(small(), Manifest(table, phantom_set.roots))


def test_the_test_part_is_never_decoded(phantom_set: Manifest, tmp_path: Path) -> None:
    """Its files may be anything: here their rows point to nothing."""
    table = phantom_set.table.copy()
    table.loc[table["split"] == "test", "image"] = [f"gone/{n}.png" for n in range((table["split"] == "test").sum())]
    fit(
        make_plan(small("training.epochs=1"), Manifest(table, phantom_set.roots)),
        tmp_path / "r",
        device="cpu",
    )


def test_the_cache_contains_the_input_of_the_graph(phantom_set: Manifest, tmp_path: Path) -> None:
    from pneumoscope.imaging.read import read

    paths, hashes = phantom_set.paths()[:5], phantom_set.table["sha256"].tolist()[:5]
    seen: list[int] = []
    images = open_cache(paths, hashes, 32, folder=tmp_path, advance=seen.append)
    assert sum(seen) == 5
    expected = resize_square(torch.from_numpy(read(paths[3]).pixels)[None, None], 32)
    assert float((images.take([3]).float() / 255 - expected).abs().max()) <= 0.5 / 255 + 1e-6
    again = open_cache([Path("gone")] * 5, hashes, 32, folder=tmp_path)  # found by content, not by path
    assert torch.equal(again.take([3, 0]), images.take([3, 0]))


def test_a_file_that_changed_since_the_import_is_an_error(phantom_set: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="changed since the import"):
        open_cache(phantom_set.paths()[:1], ["0" * 64], 32, folder=tmp_path)


def test_each_image_comes_once_an_epoch_in_an_order_of_the_epoch() -> None:
    orders = []
    for epoch in (4, 5):
        sampler = CountedSampler(np.zeros(11, np.int64), 5, False)
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(11))
    assert orders[0] != orders[1]


def test_balanced_sampling_draws_classes_equally_often() -> None:
    targets = np.repeat([0, 1], [900, 100])
    sample = targets[list(CountedSampler(targets, 0, True))]
    assert 0.44 < sample.mean() < 0.56  # 1,000 draws at one half: sd .016


def test_an_absent_device_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UsageError, match="not available"):
        choose_device("cuda")
