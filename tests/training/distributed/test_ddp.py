"""Two processes under torchrun (gloo, CPU) against one: the same figures, every image once, and both stop at Ctrl-C."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


from pneumoscope.core.errors import RunError, UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest, write_manifest  # noqa: E402
from pneumoscope.recipes.recipe import Recipe, load_recipe, parse_recipe  # noqa: E402
from pneumoscope.training.distributed.ranks import Ranks, together  # noqa: E402
from pneumoscope.training.distributed.strategy import check_batches, unused_parameters  # noqa: E402
from pneumoscope.training.input.dataset import CountedSampler, SharedBatches  # noqa: E402
from pneumoscope.training.loop import fit  # noqa: E402
from pneumoscope.training.loop.module import Learner  # noqa: E402
from pneumoscope.training.plan import make_plan  # noqa: E402

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def small(**training: object) -> Recipe:
    """cnn-150 (five batch-norms) on 32 pixels, augmented, without dropout: its draws are the processes' own."""
    recipe = load_recipe("cnn-150").model_dump(mode="json")
    recipe["task"] = {"kind": "multiclass", "classes": ["covid-19", "normal", "viral-pneumonia"]}
    recipe |= {"name": "small", "split": None, "expects": None, "selection": {"metric": "validation_loss"}}
    recipe["loss"] |= {"kind": "cross-entropy", "class_weights": [1, 2, 0.5], "label_smoothing": 0.1}
    recipe["input"]["size"] = 32
    recipe["network"]["dropout"] = [0, 0, 0]
    recipe["head"] |= {"hidden": [16], "dropout": 0.0}
    recipe["optimizer"] = {"kind": "adam", "lr": 1e-4}  # faster, and rounding errors grow
    # Nine images: five and four; the last batch of the epoch is smaller still.
    recipe["training"] |= {"epochs": 3, "batch_size": 9} | training
    recipe["schedule"] = {"kind": "cosine", "warmup_epochs": 1}
    return parse_recipe(recipe, "small")


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def gradient_keeper(path: Path) -> Callable[[Learner, object], None]:
    """A hook that writes the gradient of the first step."""

    def keep(self: Learner, optimizer: object) -> None:
        if not path.exists():
            torch.save({name: p.grad for name, p in self.named_parameters()}, path)

    return keep


def state(checkpoint: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["state_dict"]
    return weights


@pytest.fixture(scope="module")
def both(phantom_set: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A folder with the runs of one process (``one``) and of two (``whole``, and ``cut`` and resumed)."""
    folder = tmp_path_factory.mktemp("ddp")
    recipe, manifest = folder / "r.yaml", folder / "m.parquet"
    recipe.write_text(small().to_yaml())
    write_manifest(phantom_set, manifest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PNEUMOSCOPE_CACHE", str(folder / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(fit, "choose_precision", lambda device: "32-true")
        worker = Path(__file__).with_name("ddp_worker.py")
        command = [*TORCHRUN, str(worker), str(recipe), str(manifest), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        training_plan = make_plan(small(), phantom_set)
        patch.setattr(Learner, "on_before_optimizer_step", gradient_keeper(folder / "gradient.1.pt"))
        fit.fit(training_plan, folder / "one", device="cpu")
        fit.fit(training_plan, folder / "half", device="cpu", resume=True)
    return folder, phantom_set


def test_two_processes_learn_the_same_as_one(both: tuple[Path, Manifest]) -> None:
    folder, _ = both
    one, two = rows(folder / "one"), rows(folder / "whole")
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(a, abs=2e-4)  # float32 sums in another order
    assert abs(one[0]["train_loss"] - one[2]["train_loss"]) > 0.1  # something was learnt
    expected = state(folder / "one" / "last.ckpt")
    for key, value in state(folder / "whole" / "last.ckpt").items():
        torch.testing.assert_close(value, expected[key], atol=1e-4, rtol=1e-3)
    assert json.loads((folder / "whole" / "environment.json").read_text())["processes"] == 2


def test_the_gradient_of_two_is_that_of_the_whole_batch(both: tuple[Path, Manifest]) -> None:
    """Its size too, which Adam would hide; with class weights and unequal shares."""
    folder, _ = both
    one, two = (torch.load(folder / f"gradient.{n}.pt", weights_only=True) for n in (1, 2))
    for key, value in one.items():
        assert float((two[key] - value).norm() / value.norm()) < 1e-3, key


def test_every_image_comes_once_an_epoch_in_one_of_the_processes(both: tuple[Path, Manifest]) -> None:
    folder, manifest = both
    seen: dict[tuple[str, int], Counter[int]] = {}
    for rank in (0, 1):
        for name, epoch, keys in json.loads((folder / f"keys.{rank}.json").read_text()):
            seen.setdefault((name, epoch), Counter()).update(keys)
    for name, part in (("training", "train"), ("validation", "validation")):
        hashes = manifest.part(part).table["sha256"]
        every = Counter(int(np.uint64(int(text[:16], 16)).astype(np.int64)) for text in hashes)
        for epoch in range(3):
            assert seen[name, epoch] == every


def test_an_interrupted_run_of_two_resumes_to_the_same_bits(both: tuple[Path, Manifest]) -> None:
    folder, _ = both
    assert rows(folder / "cut") == rows(folder / "whole")
    expected = state(folder / "whole" / "last.ckpt")
    for key, value in state(folder / "cut" / "last.ckpt").items():
        assert torch.equal(value, expected[key]), key


def test_one_process_resumes_the_run_of_two(both: tuple[Path, Manifest]) -> None:
    folder, _ = both
    for a, b in zip(rows(folder / "half"), rows(folder / "whole"), strict=True):
        assert a == pytest.approx(b, abs=2e-4)


def test_batch_norm_uses_the_statistics_of_all_processes(both: tuple[Path, Manifest]) -> None:
    """Also where one has no image; the inputs lie about 700, where sums of squares lose all digits."""
    folder, _ = both
    for rank in (0, 1):
        assert max(json.loads((folder / f"norm.{rank}.json").read_text())) < 1e-3


def test_ctrl_c_ends_all_processes_with_one_message(
    phantom_set: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    manifest, recipe = tmp_path / "m.parquet", tmp_path / "r.yaml"
    write_manifest(phantom_set, manifest)
    recipe.write_text(small(epochs=500).to_yaml())
    command = [*TORCHRUN, "-m", "pneumoscope", "train", str(recipe), "--data", str(manifest)]
    command += ["--out", str(tmp_path / "run"), "--device", "cpu"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (tmp_path / "run" / "best.ckpt").exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # the pipe closes when the last process has ended
    assert errors.count("go on with --resume") == 1
    assert "Connection closed by peer" not in errors
    assert len(rows(tmp_path / "run")) >= 1


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("drop_last", [False, True])
def test_shares_of_a_batch_make_up_the_batch(world: int, drop_last: bool) -> None:
    """Eleven images in batches of five: the last has one, so that of three processes two have none."""
    whole = list(SharedBatches(CountedSampler(np.zeros(11, np.int64), 5, False), 5, drop_last, Ranks()))
    assert [len(batch) for batch in whole] == [5, 5] + [1] * (not drop_last)
    shares = [
        list(SharedBatches(CountedSampler(np.zeros(11, np.int64), 5, False), 5, drop_last, Ranks(rank, world)))
        for rank in range(world)
    ]
    assert {len(batches) for batches in shares} == {len(whole)}
    for step, batch in enumerate(whole):
        together_again = [index for batches in shares for index in batches[step]]
        assert sorted(together_again) == sorted(batch)


def test_parameters_without_a_gradient_are_found_before_the_training() -> None:
    changes = ["network.name=mobilenetv3_small_100", "network.pretrained=null", "input.size=64"]
    names = unused_parameters(load_recipe("mobilenetv2-flagship", changes))
    assert names == ["trunk.model.conv_head.weight", "trunk.model.conv_head.bias"]
    assert unused_parameters(load_recipe("cnn-150")) == []


def test_too_few_images_for_the_processes_are_an_error() -> None:
    with pytest.raises(RunError, match=r"training.batch_size: 2 images cannot be shared by 4"):
        check_batches(Ranks(0, 4, 0, 4), 2, 100)
    with pytest.raises(RunError, match="validation"):
        check_batches(Ranks(0, 4, 0, 4), 8, 3)


def test_the_variables_of_torchrun_are_read_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    assert Ranks.here() == Ranks()  # a scheduler's variables alone start nothing
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert Ranks.here() == Ranks(5, 8, 1, 4)
    assert Ranks.here().machines == 2
    with pytest.raises(UsageError, match="mps"), together("mps"):
        pass
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(RunError, match="evenly"), together("cpu"):
        pass
