"""A head learns the same from stored feature maps as through the backbone; the store is bounded and cleans up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


from pneumoscope.core.callbacks import Callbacks  # noqa: E402
from pneumoscope.core.errors import UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest, write_manifest  # noqa: E402
from pneumoscope.recipes.recipe import Recipe, load_recipe, parse_recipe, with_changes  # noqa: E402
from pneumoscope.training.features import SEEN, DoesNotFitError, FeatureStore  # noqa: E402
from pneumoscope.training.input.dataset import Batch  # noqa: E402
from pneumoscope.training.loop import fit as fit_module  # noqa: E402
from pneumoscope.training.loop.fit import FittedRun, fit  # noqa: E402
from pneumoscope.training.loop.module import Learner  # noqa: E402
from pneumoscope.training.networks.build import build  # noqa: E402
from pneumoscope.training.networks.weights import save_tensors  # noqa: E402
from pneumoscope.training.plan import Plan, make_plan  # noqa: E402


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of backbone weights with batch-norm statistics unlike those of the test images."""
    import timm

    torch.manual_seed(7)
    model = timm.create_model("mobilenetv2_035", pretrained=False)
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_tensors(model, path)
    return path


def frozen(weights: Path, *more: str) -> Recipe:
    """Return a small recipe with a frozen backbone and the head of the transfer recipes."""
    recipe = load_recipe("transfer-mobilenetv2").model_dump(mode="json")
    recipe["task"] = {"kind": "multiclass", "classes": ["covid-19", "normal", "viral-pneumonia"]}
    recipe |= {"name": "small", "split": None, "expects": None}
    recipe["network"] |= {
        "name": "mobilenetv2_035",
        "pretrained": {"file": str(weights), "mean": [0.5] * 3, "std": [0.5] * 3, "padding": "symmetric"},
    }
    recipe["input"]["size"] = 64
    recipe["head"] = {"kind": "flatten-mlp", "hidden": [16], "dropout": 0.3}
    recipe["training"] |= {"epochs": 3, "batch_size": 8}
    return with_changes(parse_recipe(recipe, "small"), more)


class Messages(Callbacks):
    """Callbacks that record each message."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def run(
    training_plan: Plan, folder: Path, *, features: FeatureStore | None = None, resume: bool = False
) -> tuple[FittedRun, str]:
    """Train and return the run and its messages."""
    messages = Messages()
    done = fit(training_plan, folder, device="cpu", callbacks=messages, features=features, resume=resume)
    return done, "\n".join(messages.lines)


def same(one: FittedRun, other: FittedRun) -> bool:
    """Return whether two runs have the same weights, bit for bit, and the same figures."""
    states = one.model.state_dict(), other.model.state_dict()
    texts = [(folder / "metrics.csv").read_text() for folder in (one.folder, other.folder)]
    return texts[0] == texts[1] and all(torch.equal(value, states[1][key]) for key, value in states[0].items())


LINEAR, FLAT = "{kind: linear}", "{kind: flatten-mlp, hidden: [16], dropout: 0.3}"


@pytest.mark.parametrize(("precision", "head"), [("32-true", FLAT), ("32-true", LINEAR), ("bf16-mixed", FLAT)])
def test_the_head_learns_the_same_from_stored_maps_as_through_the_backbone(
    phantom_set: Manifest, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, head: str
) -> None:
    """Compare weights within 1e-5 (float32) or 2e-3 (bfloat16): rounding may depend on the size of the batch."""
    monkeypatch.setattr(fit_module, "choose_precision", lambda _: precision)
    training_plan = make_plan(frozen(weights, f"head={head}"), phantom_set)
    stored, messages = run(training_plan, tmp_path / "stored")
    assert "ran once over" in messages
    with FeatureStore(limit_gb=0) as none:
        through, messages = run(training_plan, tmp_path / "through", features=none)
    assert "runs in each epoch" in messages
    assert "PNEUMOSCOPE_FEATURES_GB allows 0 GB" in messages
    tolerance = 1e-5 if precision == "32-true" else 2e-3
    for key, value in through.model.state_dict().items():
        torch.testing.assert_close(stored.model.state_dict()[key], value, rtol=0, atol=tolerance, msg=key)
    start = build(training_plan.recipe).head.dense[0].weight
    assert (
        float((stored.model.head.dense[0].weight - start).detach().abs().max()) > 10 * tolerance
    )  # the head has learned
    files = [{path.name.split(".")[0] for path in done.folder.iterdir()} for done in (stored, through)]
    assert files[0] - files[1] == {"features"}


def test_a_frozen_backbone_does_not_change_with_augmented_images(
    phantom_set: Manifest, weights: Path, tmp_path: Path
) -> None:
    """Check weights and batch-norm statistics: both are frozen."""
    training_plan = make_plan(frozen(weights, "augment.rotation=10", "training.epochs=1"), phantom_set)
    done, messages = run(training_plan, tmp_path / "run")
    assert "the recipe augments" in messages
    for key, value in build(training_plan.recipe).trunk.state_dict().items():
        assert torch.equal(done.model.trunk.state_dict()[key], value), key


class Stop(Exception):  # noqa: N818
    """An exception that stops the training like a power cut."""


def test_a_killed_run_resumes_to_the_same_weights(
    phantom_set: Manifest, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training_plan = make_plan(frozen(weights), phantom_set)
    whole, _ = run(training_plan, tmp_path / "whole")
    original = Learner.training_step

    def stop_in_the_third_epoch(self: Learner, batch: Batch, batch_idx: int) -> torch.Tensor:
        if self.current_epoch == 2 and batch_idx == 1:
            raise Stop
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patched, pytest.raises(Stop):
        patched.setattr(Learner, "training_step", stop_in_the_third_epoch)
        run(training_plan, tmp_path / "cut")
    resumed, _ = run(training_plan, tmp_path / "cut", resume=True)
    assert same(whole, resumed)


def computed(done: FittedRun) -> tuple[int, int]:
    """Return the number of images that a run sent through the backbone and the number with stored maps."""
    record = json.loads((done.folder / "features.json").read_text())
    return record["computed"], record["found"]


def test_exchanged_corners_add_two_copies_of_each_training_image(
    phantom_set: Manifest, weights: Path, tmp_path: Path
) -> None:
    two = ("task.classes=[covid-19, normal]", "training.epochs=1")
    plain = make_plan(frozen(weights, *two), phantom_set)
    exchanged = make_plan(frozen(weights, *two, "augment.exchange_corners=true"), phantom_set)
    train, validation = (len(plain.manifest.part(part)) for part in SEEN)
    with FeatureStore() as features:
        without, _ = run(plain, tmp_path / "plain", features=features)
        done, _ = run(exchanged, tmp_path / "exchanged", features=features)
    assert computed(without) == (train + validation, 0)
    assert computed(done) == (2 * train, train + validation)
    assert len(done.parts["train"]) == train  # what comes later measures the images themselves
    assert not same(without, done)


def test_runs_with_the_same_backbone_and_size_share_one_pass(
    phantom_set: Manifest, weights: Path, tmp_path: Path
) -> None:
    few = make_plan(frozen(weights, "task.classes=[covid-19, normal]", "training.epochs=1"), phantom_set)
    every = make_plan(frozen(weights, "training.epochs=1"), phantom_set)
    larger = make_plan(frozen(weights, "training.epochs=1", "input.size=96"), phantom_set)
    with FeatureStore() as features:
        first, _ = run(few, tmp_path / "few", features=features)
        second, _ = run(every, tmp_path / "every", features=features)
        third, _ = run(make_plan(frozen(weights), phantom_set), tmp_path / "longer", features=features)
        fourth, _ = run(larger, tmp_path / "larger", features=features)
    n = len(every.manifest.part("train")) + len(every.manifest.part("validation"))
    m = len(few.manifest.part("train")) + len(few.manifest.part("validation"))
    assert [computed(done) for done in (first, second, third, fourth)] == [(m, 0), (n - m, m), (0, n), (n, 0)]
    alone, _ = run(every, tmp_path / "alone")
    for key, value in alone.model.state_dict().items():  # its maps were computed in other batches
        torch.testing.assert_close(second.model.state_dict()[key], value, rtol=0, atol=2e-3, msg=key)


def request_maps(store: FeatureStore, key: str, images: int) -> torch.Tensor:
    """Request maps of 1,000 bytes that contain the number of their image, and return two of the numbers."""
    pixels = Numbers()
    names = [f"{key}-{n}" for n in range(images)]
    maps, *_ = store.maps(key, [(pixels, names)], lambda x: x.float().expand(-1, 250, 1, 1))
    return maps.take([images - 1, 0])[:, 0, 0, 0]


class Numbers:
    """Images of one pixel with the number of the image as value."""

    def take(self, indices: Sequence[int]) -> torch.Tensor:
        return torch.tensor(indices, dtype=torch.uint8).view(-1, 1, 1, 1)


def test_the_store_stays_within_its_limit_and_drops_the_oldest_maps_first(tmp_path: Path) -> None:
    with FeatureStore(limit_gb=100e-6, folder=tmp_path / "maps") as store:
        assert request_maps(store, "a", 40).tolist() == [39, 0]
        request_maps(store, "b", 40)
        request_maps(store, "a", 40)  # b is now the least recently used
        assert store.bytes == 80_000
        request_maps(store, "c", 60)
        assert store.bytes == 100_000
        assert store.missing("a", ["a-0"]) == store.missing("c", ["c-59"]) == 0
        assert store.missing("b", ["b-0"]) == 1
        with pytest.raises(DoesNotFitError, match=r"allows 0\.0001 GB"):
            request_maps(store, "d", 101)
        with pytest.raises(DoesNotFitError):
            request_maps(store, "c", 101)  # together with the 60 stored maps too many
        assert request_maps(store, "c", 60).tolist() == [59, 0]


def test_a_full_disk_is_detected_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FeatureStore(limit_gb=1e9, folder=tmp_path / "maps") as store:
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 999}))
        with pytest.raises(DoesNotFitError, match=r"1e-06 GB of feature maps.*free"):
            request_maps(store, "a", 1)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc to list mappings")
def test_the_store_leaves_no_files_and_no_mappings(tmp_path: Path) -> None:
    """Check files and memory maps: a mapping would keep the blocks of a deleted file."""
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / "left-by-a-killed-process.maps").write_bytes(b"x")
    with pytest.raises(KeyboardInterrupt), FeatureStore(folder=folder) as store:
        request_maps(store, "a", 3)
        assert str(folder) in Path("/proc/self/maps").read_text()
        assert list(folder.iterdir()) == []
        raise KeyboardInterrupt
    assert str(folder) not in Path("/proc/self/maps").read_text()
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="files in use keep their name there until the next store")
def test_a_process_killed_during_training_leaves_no_maps(phantom_set: Manifest, weights: Path, tmp_path: Path) -> None:
    manifest, recipe = tmp_path / "m.parquet", tmp_path / "r.yaml"
    write_manifest(phantom_set, manifest)
    recipe.write_text(frozen(weights, "training.epochs=500").to_yaml())
    code = (
        "import sys; from pathlib import Path; "
        "from pneumoscope.data.manifest import read_manifest; from pneumoscope.training.loop.fit import fit; "
        "from pneumoscope.training.plan import make_plan; from pneumoscope.recipes.recipe import load_recipe; "
        "recipe, data, out = sys.argv[1:]; training_plan = make_plan(load_recipe(recipe), read_manifest(Path(data))); "
        "fit(training_plan, Path(out), device='cpu')"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(recipe), str(manifest), str(tmp_path / "run")])
    deadline = time.monotonic() + 240
    while not (tmp_path / "run" / "best.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "run" / "features.json").is_file()
    assert list((tmp_path / "cache" / "features").iterdir()) == []


def test_a_limit_that_is_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_FEATURES_GB", "lots")
    with pytest.raises(UsageError, match="PNEUMOSCOPE_FEATURES_GB=lots"):
        FeatureStore()
