"""Weights of TorchXRayVision: the scaling of the input, the names and shapes of tensors, and what is refused.

The authority is torchvision's DenseNet-121, which has the same names of tensors: TorchXRayVision's is a copy of it with
one input channel and 18 outputs, and takes pixels as ``(2 * x - 1) * 1024``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import pneumoscope.training  # noqa: E402, F401 - makes torchvision importable
from pneumoscope.core.errors import ChangeError, RecipeError, WeightsError  # noqa: E402
from pneumoscope.core.files import sha256_of  # noqa: E402
from pneumoscope.recipes.pretrained import XRV_NAMES, Pretrained  # noqa: E402
from pneumoscope.recipes.recipe import Recipe, load_recipe, parse_recipe  # noqa: E402
from pneumoscope.recipes.starting_weights import find_weights  # noqa: E402
from pneumoscope.reporting.formatting import describe_start  # noqa: E402
from pneumoscope.training.networks.build import build  # noqa: E402

GREY = ["network.name=densenet121", "input.channels=1", "input.mean=[0.0]", "input.std=[1.0]"]


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    """A DenseNet-121 with drawn weights and statistics."""
    from torchvision.models import densenet121

    torch.manual_seed(1)
    model = densenet121(weights=None, num_classes=18)
    model.features.conv0 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    model.features.norm0.running_var.fill_(1024.0**2)  # as pixels to 1024 make it
    return model.eval()


def _recipe(weights: object, *sets: str) -> Recipe:
    return load_recipe("mobilenetv2-flagship", [*GREY, f"network.pretrained=xrv:{weights}", *sets])


def _state(reference: nn.Module) -> dict[str, torch.Tensor]:
    return {**reference.state_dict(), "op_threshs": torch.full((18,), torch.nan)}


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_features_are_those_of_the_reference(tmp_path: Path, reference: nn.Module, ending: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / f"drawn.{ending}"
    if ending == "pt":
        torch.save(_state(reference), path)
    else:
        save_file(_state(reference), path)
    model = build(_recipe(path)).eval()
    image = torch.rand(2, 1, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = functional.relu(reference.features((2 * image - 1) * 1024))
        features = model.features(image)
    assert float(expected.std()) > 0.05  # the maps say something
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


def test_a_recipe_keeps_the_weights_and_says_how_they_are_scaled(tmp_path: Path) -> None:
    recipe = _recipe("mine/drawn.pt")
    assert parse_recipe(recipe.model_dump(mode="json"), "again") == recipe
    assert isinstance(recipe.network.pretrained, Pretrained)
    assert "input scaled to -1024..1024; head at random" in describe_start(recipe)
    assert "Apache-2.0" in describe_start(recipe)


def test_a_name_is_a_file_of_the_weights_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_WEIGHTS", str(tmp_path))
    recipe = _recipe(XRV_NAMES[0])
    assert isinstance(recipe.network.pretrained, Pretrained)
    assert recipe.network.pretrained.file == "densenet121-res224-all.safetensors"
    message = r"(?s)not found in .*import torchxrayvision as xrv.*densenet121-res224-all.*into a weights folder"
    with pytest.raises(WeightsError, match=message):
        build(recipe)


def test_a_whole_pickled_model_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match=r"(?s)whole\.pt: is a whole pickled model.*import torchxrayvision as xrv"):
        build(_recipe(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nothing", None),
        ("an RGB network", r"1 of another shape: features\.conv0\.weight \(64, 3, 7, 7\) instead of \(64, 1, 7, 7\)"),
        ("14 findings", r"has a classifier of 14 findings; TorchXRayVision's DenseNet-121 has one of 18"),
        ("no classifier", r"has no classifier"),
        ("a layer less", r"1 missing: features\.denseblock4\.denselayer16\.conv2\.weight"),
        ("a layer more", r"1 left over: features\.denseblock5\.weight"),
        ("numbers beside tensors", r"holds something else than a state dict of tensors"),
        ("text", r"is a whole pickled model or damaged|cannot be read"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, reference: nn.Module, change: str, message: str | None) -> None:
    path, state = tmp_path / "drawn.pt", dict(_state(reference))
    match change:
        case "an RGB network":
            state["features.conv0.weight"] = torch.zeros(64, 3, 7, 7)
        case "14 findings":
            state["classifier.weight"] = torch.zeros(14, 1024)
        case "no classifier":
            del state["classifier.weight"]
        case "a layer less":
            del state["features.denseblock4.denselayer16.conv2.weight"]
        case "a layer more":
            state["features.denseblock5.weight"] = torch.zeros(1)
        case "numbers beside tensors":
            state["epoch"] = 3
    torch.save(state, path)
    if change == "text":
        path.write_text("weights")
    if message is None:
        build(_recipe(path))
    else:
        with pytest.raises(WeightsError, match=message):
            build(_recipe(path))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["network.name=densenet169"], r"network\.name is densenet169 and must be densenet121"),
        (["input.size=256"], r"input\.size is 256 and must be 224"),
        (["input.channels=3"], r"input\.channels is 3 and must be 1"),
    ],
)
def test_another_network_or_input_is_refused_before_the_file_is_looked_for(sets: list[str], message: str) -> None:
    recipe = _recipe("absent.pt", *sets)
    with pytest.raises(RecipeError, match=message):
        build(recipe)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("xrv:densenet121-res224-al", r"names no weights of TorchXRayVision\. Did you mean 'densenet121-res224-all'"),
        ("xrv:model.onnx", r"names no weights of TorchXRayVision.*the path of a file whose name ends in \.safetensors"),
        ("{file: a.pt, layout: xrv, mean: [0.4]}", r"bring their scaling and padding; leave out mean"),
    ],
)
def test_a_bad_name_is_refused(value: str, message: str) -> None:
    with pytest.raises(ChangeError, match=message):
        load_recipe("mobilenetv2-flagship", [*GREY, f"network.pretrained={value}"])


def test_another_file_of_the_name_is_refused(tmp_path: Path, reference: nn.Module) -> None:
    torch.save(_state(reference), tmp_path / "drawn.pt")
    named = f"network.pretrained={{file: {tmp_path / 'drawn.pt'}, layout: xrv, sha256: HASH}}"
    right, wrong = (named.replace("HASH", f"'{digest}'") for digest in (sha256_of(tmp_path / "drawn.pt"), "0" * 64))
    assert find_weights(_pretrained(right)) == tmp_path / "drawn.pt"
    with pytest.raises(WeightsError, match="SHA-256"):
        find_weights(_pretrained(wrong))


def _pretrained(change: str) -> Pretrained:
    weights = load_recipe("mobilenetv2-flagship", [*GREY, change]).network.pretrained
    assert isinstance(weights, Pretrained)
    return weights
