"""The exported bundle: the graph agrees with torch at any size, and changes to its files are detected."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


import pyarrow.parquet as pq  # noqa: E402

from pneumoscope.bundle.card import OUTPUTS, read_card  # noqa: E402
from pneumoscope.bundle.runtime import load  # noqa: E402
from pneumoscope.core.errors import BundleError, ParityError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.export.graph import BundleGraph, fit_feature_space  # noqa: E402
from pneumoscope.export.onnx import (  # noqa: E402
    HALVED_TOLERANCE,
    check_parity,
    export_onnx,
    halve_weights,
    mixed_sizes,
)
from pneumoscope.inference.evaluate import evaluate  # noqa: E402
from pneumoscope.inference.evaluation import Evaluation  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe, with_changes  # noqa: E402
from pneumoscope.stats.calibration import Scaling, select_first_half  # noqa: E402
from pneumoscope.training.loop.fit import FittedRun, fit, read_run_manifest  # noqa: E402
from pneumoscope.training.plan import make_plan  # noqa: E402
from pneumoscope.workflows.train import Run, train_plan  # noqa: E402

BINARY = [
    "task.classes=[viral-pneumonia, normal]", "input.size=32", "head.hidden=[16]", "training.epochs=2",
    "training.batch_size=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted_run(phantom_set: Manifest, tmp_path_factory: pytest.TempPathFactory) -> FittedRun:
    """A binary run, so that the tests cover the single sigmoid output."""
    folder = tmp_path_factory.mktemp("run")
    os.environ.setdefault("PNEUMOSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
    recipe = load_recipe("cnn-150")
    task = recipe.task.model_copy(update={"map": {}, "classes": ("viral-pneumonia", "normal")})
    recipe = with_changes(recipe.model_copy(update={"task": task}), BINARY)
    return fit(make_plan(recipe, phantom_set), folder / "run", device="cpu")


@pytest.fixture(scope="module")
def run(fitted_run: FittedRun) -> Run:
    """The same run with its bundle: the training is fitted_run, so that only the later steps are left."""
    return train_plan(fitted_run.plan, None, fitted_run.folder, device="cpu", resume=True)


@pytest.fixture(scope="module")
def bundle(run: Run) -> Path:
    return run.bundle


def test_the_bundle_agrees_with_torch_on_new_sizes(fitted_run: FittedRun, bundle: Path) -> None:
    model = load(bundle)
    generator = np.random.default_rng(7)
    for height, width in ((53, 500), (600, 64), (32, 32)):
        image = generator.random((height, width), dtype=np.float32)
        resized = torch.nn.functional.interpolate(
            torch.from_numpy(image)[None, None], size=(32, 32), mode="bilinear", antialias=True
        )
        with torch.inference_mode():
            expected = fitted_run.model(resized)[0].numpy()
        output = model.run(image)
        np.testing.assert_allclose(output.logits, expected, atol=1e-4)
        z = expected / model.card.temperature + np.array(model.card.class_bias)
        np.testing.assert_allclose(output.probabilities, np.exp(z) / np.exp(z).sum(), atol=1e-4)


def test_a_batch_has_the_outputs_of_single_images(bundle: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == list(OUTPUTS)
    batch = np.random.default_rng(1).random((3, 1, 50, 40), dtype=np.float32)
    together = session.run(None, {"image": batch})
    for index in range(3):
        for whole, single in zip(together, session.run(None, {"image": batch[index : index + 1]}), strict=True):
            np.testing.assert_allclose(whole[index], single[0], atol=2e-4)


def test_the_graph_contains_no_paths_of_the_exporting_machine(bundle: Path) -> None:
    raw = (bundle / "model.onnx").read_bytes()
    assert b".py" not in raw
    assert str(Path(__file__).parents[2]).encode() not in raw


def test_the_heatmap_agrees_with_grad_cam_by_autograd(fitted_run: FittedRun, bundle: Path) -> None:
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    features = fitted_run.model.features(image).detach().requires_grad_()
    z = fitted_run.model.to_logits(fitted_run.model.head(features))
    # The first class is not the class of the sigmoid: a lower z is evidence for it.
    gradient = torch.autograd.grad((z[0, 0] - z[0, 1]), features)[0].mean((2, 3))
    cam = torch.relu((gradient[0, :, None, None] * features[0]).sum(0)).detach()
    expected = cam / cam.max().clamp_min(1e-12)
    heatmap = load(bundle).run(image[0, 0].numpy()).heatmap
    assert heatmap is not None
    np.testing.assert_allclose(heatmap[0], expected.numpy(), atol=1e-3)


def test_the_distance_of_unreduced_features_is_the_mahalanobis_distance() -> None:
    from scipy.spatial.distance import mahalanobis

    generator = np.random.default_rng(0)
    targets = np.repeat([0, 1], 200)
    features = (generator.normal(size=(400, 5)) @ generator.normal(size=(5, 5)) + targets[:, None]).astype(np.float32)
    space = fit_feature_space(features, targets, 2)
    within = features - np.stack([features[targets == k].mean(0) for k in (0, 1)])[targets]
    covariance = within.T @ within / 400
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / 5 * np.eye(5)
    inverse = np.linalg.inv(covariance)
    embedding = (torch.from_numpy(features[:1]) - space.centre) @ space.directions
    distance = ((embedding - space.means[1]) ** 2).sum().item()
    expected = mahalanobis(features[0], features[targets == 1].mean(0), inverse) ** 2
    assert distance == pytest.approx(expected, rel=1e-3)


def test_export_refuses_a_graph_that_differs(fitted_run: FittedRun, tmp_path: Path) -> None:
    space = fit_feature_space(np.eye(256, dtype=np.float32)[:6], np.array([0, 1] * 3), 2)
    graph = BundleGraph(fitted_run.model, 32, [Scaling(1.0, (0.0, 0.0))], space).eval()
    export_onnx(graph, tmp_path / "model.onnx")
    images = mixed_sizes([np.random.default_rng(0).random((60, 50), dtype=np.float32)])
    assert len({image.shape for image in images}) == 32
    assert check_parity(graph, tmp_path / "model.onnx", images)["probabilities"] < 1e-4
    graph.temperature = torch.tensor([0.5])  # the torch model now differs from the exported graph
    with pytest.raises(ParityError, match="differ by"):
        check_parity(graph, tmp_path / "model.onnx", images)


def test_halved_weights_take_half_the_place_and_answer_alike(fitted_run: FittedRun, tmp_path: Path) -> None:
    space = fit_feature_space(np.eye(256, dtype=np.float32)[:6], np.array([0, 1] * 3), 2)
    graph = BundleGraph(fitted_run.model, 32, [Scaling(1.0, (0.0, 0.0))], space).eval()
    path = tmp_path / "model.onnx"
    export_onnx(graph, path)
    before = path.stat().st_size
    halve_weights(path)
    assert path.stat().st_size < 0.75 * before  # the head's weights stay as they are
    images = mixed_sizes([np.random.default_rng(0).random((60, 50), dtype=np.float32)])
    assert 0 < check_parity(graph, path, images, HALVED_TOLERANCE)["probabilities"] <= HALVED_TOLERANCE


def test_a_changed_graph_or_card_is_detected(bundle: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    identity = read_card(copy)[1]
    card = copy / "card.json"
    card.write_text(card.read_text().replace('"version": "1"', '"version": "2"'))
    assert read_card(copy)[1] != identity
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        read_card(copy)


def test_the_card_names_its_data_and_network(bundle: Path, fitted_run: FittedRun) -> None:
    card, _ = read_card(bundle)
    assert card.label_names == ("viral-pneumonia", "normal")
    assert card.synthetic
    assert (
        card.parameters
        == fitted_run.plan.recipe.outputs
        + 16
        + sum(p.numel() for p in [*fitted_run.model.trunk.parameters(), fitted_run.model.head.dense[0].weight])
        + 16
    )
    assert card.metrics[0].part == "validation"
    assert card.data_hash == fitted_run.plan.manifest.rows_hash()
    assert any(
        "One source only" in text or "come from one source" in text or "Trained on" in text for text in card.limits
    )


def test_a_run_writes_a_report_and_predictions(run: Run, fitted_run: FittedRun) -> None:
    import pandas as pd

    evaluation = run.evaluation
    table = pd.read_parquet(fitted_run.folder / "predictions.parquet")
    validation = fitted_run.plan.manifest.part("validation")
    assert len(table) == len(validation) == evaluation.figures.images
    truth = (validation.table["label"] == "normal").to_numpy().astype(int)
    decided = table[["p_viral-pneumonia", "p_normal"]].to_numpy().argmax(1)
    assert evaluation.figures.overall["accuracy"].value == pytest.approx((truth == decided).mean())
    page = (fitted_run.folder / "report.html").read_text()
    assert "Not a medical device" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_card_evaluation_and_predictions_have_the_same_figures_of_the_same_graph(run: Run, bundle: Path) -> None:
    """Check that all contain one measurement and that a second evaluation of the bundle repeats it."""
    card, identity = read_card(bundle)
    evaluation = Evaluation.model_validate_json((run.folder / "evaluation.json").read_text())
    assert evaluation == run.evaluation
    assert evaluation.identity == identity
    assert card.metrics[0].metrics == evaluation.figures.flat()
    repeated = evaluate(load(bundle), read_run_manifest(run.folder))
    assert repeated.figures == evaluation.figures
    model = pq.read_table(run.folder / "predictions.parquet").column("model").to_pylist()
    assert set(model) == {identity[:12]}


def test_the_card_states_facts_of_the_run(bundle: Path) -> None:
    """Check the summary against the run: the recipe's summary is about other classes and another size."""
    card, _ = read_card(bundle)
    assert f"{card.parameters:,} parameters" in card.summary
    assert "Viral pneumonia and Normal" in card.summary
    assert load_recipe("cnn-150").summary not in card.summary
    assert "viral pneumonia" not in card.not_looked_for
    assert {"COVID-19", "bacterial pneumonia", "lung opacity", "pneumothorax"} <= set(card.not_looked_for)
    assert not any("ormal" in name for name in card.not_looked_for)


def test_the_card_has_prediction_sets_of_the_half_without_calibration(bundle: Path, fitted_run: FittedRun) -> None:
    card, _ = read_card(bundle)
    sets = card.prediction_sets
    assert sets is not None
    assert sets.alpha == 0.05
    calibration = fitted_run.plan.manifest.part("calibration")
    groups = calibration.table["group"].to_numpy()
    second = ~select_first_half(groups)
    truth = fitted_run.plan.targets("calibration")
    assert sets.groups == {name: len(set(groups[second & (truth == k)])) for k, name in enumerate(card.label_names)}
    # Fewer than 19 groups cannot rule anything out at .05: every set holds every label.
    assert set(sets.thresholds.values()) == {0.0}
    assert sets.mean_size == 2.0
    assert all(estimate.value == 1.0 for estimate in sets.coverage.values())
    for point in card.operating_points:
        assert point.meaning.startswith("In the development data (validation part), ")
        assert point.meaning.endswith("not measured at your site.")
    assert any("Fewer than 100 groups in the calibration part" in text for text in card.limits)
