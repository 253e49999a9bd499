"""A network that is not traced again has the graph that the exporter gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import onnx  # noqa: E402

from exports import reuse_exports  # noqa: E402
from pneumoscope.export.graph import BundleGraph, fit_feature_space  # noqa: E402
from pneumoscope.export.onnx import export_onnx  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe, parse_recipe  # noqa: E402
from pneumoscope.stats.calibration import Scaling  # noqa: E402
from pneumoscope.training.networks.build import build  # noqa: E402


def make_graph(seed: int) -> BundleGraph:
    """Return a network with weights of its own, and statistics of batches that are not those it begins with."""
    data = load_recipe("resnet18-scratch").model_dump(mode="json") | {"name": "small", "expects": None}
    data["input"]["size"] = 32
    torch.manual_seed(seed)
    model = build(parse_recipe(data, "small")).train()
    features = model.features(torch.rand(16, 1, 32, 32))
    classes = len(data["task"]["classes"])
    space = fit_feature_space(features.mean((2, 3)).detach().numpy(), np.arange(16) % classes, classes)
    return BundleGraph(model.eval(), 32, [Scaling(1.0 + seed, (0.1 * seed,) * classes)], space).eval()


def content(path: Path) -> list[Any]:
    """Return the operators and the constants, without the names that the optimiser invents."""
    graph = onnx.load(path).graph
    nodes = [(node.op_type, len(node.input), [str(each) for each in node.attribute]) for node in graph.node]
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer]
    return [nodes, sorted((array.dtype.str, array.shape, array.tobytes()) for array in arrays)]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what was traced while a test runs."""
    monkeypatch.setattr(torch.onnx, "export", torch.onnx.export)  # puts it back afterwards
    reuse_exports(tmp_path)
    return tmp_path / "exports"


def test_a_second_network_has_its_own_weights_in_the_graph_of_the_first(tmp_path: Path, kept: Path) -> None:
    """The optimiser folds the batch-norms into the convolutions: that happens after the weights are in."""
    first, second = make_graph(1), make_graph(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", torch.onnx.export.__wrapped__)
        export_onnx(second, tmp_path / "traced.onnx")
    export_onnx(first, tmp_path / "first.onnx")
    (trace,) = kept.iterdir()
    written = trace.stat().st_mtime_ns
    export_onnx(second, tmp_path / "second.onnx")
    assert [(each, each.stat().st_mtime_ns) for each in kept.iterdir()] == [(trace, written)]
    assert content(tmp_path / "second.onnx") == content(tmp_path / "traced.onnx")
    assert content(tmp_path / "first.onnx")[1] != content(tmp_path / "second.onnx")[1]


class Scaled(torch.nn.Module):
    """A number that is no weight."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the image, brighter."""
        return image * self.scale


def test_a_network_that_differs_in_a_number_is_traced_again(tmp_path: Path, kept: Path) -> None:
    for scale in (2.0, 3.0, 2.0):
        export_onnx(Scaled(scale), tmp_path / "model.onnx", ("brighter",))
        (constant,) = onnx.load(tmp_path / "model.onnx").graph.initializer
        assert onnx.numpy_helper.to_array(constant) == scale
    assert len(list(kept.iterdir())) == 2
