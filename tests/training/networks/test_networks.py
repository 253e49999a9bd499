"""Networks: layer counts against the sources, gradients against autograd, weights that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pneumoscope.core.errors import RecipeError, UsageError, WeightsError  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe, recipe_names, with_changes  # noqa: E402
from pneumoscope.recipes.settings import Head  # noqa: E402
from pneumoscope.training.networks.build import build, count_parameters  # noqa: E402
from pneumoscope.training.networks.heads import ClassifierHead  # noqa: E402
from pneumoscope.training.networks.weights import load_into  # noqa: E402

FLAGSHIP_BARE = ["network.pretrained=null"]


@pytest.mark.parametrize("name", recipe_names())
def test_the_number_of_parameters_is_the_one_that_the_source_states(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.expects is not None
    bare = recipe.model_copy(update={"network": recipe.network.model_copy(update={"pretrained": None})})
    with torch.device("meta"):  # shapes without numbers: 80 million parameters take no memory
        model = build(bare)
    assert count_parameters(model, recipe.expects.counting) == recipe.expects.parameters


def test_cnn_150_has_the_layers_of_its_source() -> None:
    """Keras's summary of the source: 640 + 128 + 18,496 ... worked by hand from the layer sizes of the design."""
    convolutions = 320 + 18_496 + 36_928 + 73_856 + 295_168
    norms = 4 * (32 + 64 + 64 + 128 + 256)
    dense = (6_400 * 128 + 128) + (128 + 1)
    model = build(load_recipe("cnn-150"))
    assert count_parameters(model, "keras") == convolutions + norms + dense == 1_246_401
    assert count_parameters(model, "keras") - count_parameters(model, "torch") == 1_088


@pytest.mark.parametrize(
    "recipe",
    [
        Head(kind="linear"),
        Head(kind="mlp", hidden=(7, 5)),
        Head(kind="flatten-mlp", hidden=(7, 5)),
        Head(kind="linear", pool="mean-max", standardise=True),
        Head(kind="mlp", hidden=(7,), pool="mean-max", standardise=True),
    ],
)
def test_what_each_place_adds_equals_autograd(recipe: Head) -> None:
    torch.manual_seed(0)
    head = ClassifierHead(recipe, (6, 3, 4), 3)
    if head.standardisation is not None:
        head(3 * torch.randn(20, 6, 3, 4) + 1)  # gives it statistics
    head.eval()
    features = torch.randn(2, 6, 3, 4, requires_grad=True)
    scores = head(features)
    expected = torch.stack(
        [(torch.autograd.grad(scores[:, k].sum(), features, retain_graph=True)[0] * features).sum(1) for k in range(3)],
        1,
    )
    torch.testing.assert_close(head.attribute(features.detach()), expected.detach())


def test_a_symmetric_network_cannot_tell_an_image_from_its_mirror_image() -> None:
    recipe = with_changes(load_recipe("cnn-150"), ["input.size=40", "network.symmetric=true"])
    model = build(recipe).eval()
    image = torch.rand(2, 1, 40, 40)
    with torch.no_grad():
        here, mirrored = model.features(image), model.features(image.flip(3))
    torch.testing.assert_close(mirrored.flip(3), here)
    assert not torch.allclose(mirrored, here)


def test_binary_logits_give_the_sigmoid_of_the_named_class() -> None:
    recipe = with_changes(load_recipe("cnn-150"), ["input.size=40"])
    model = build(recipe).eval()
    image = torch.rand(3, 1, 40, 40)
    z = model.head(model.features(image))[:, 0]
    probability = model(image).softmax(1)
    torch.testing.assert_close(probability[:, recipe.task.classes.index("normal")], torch.sigmoid(z))


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_any_timm_backbone_gives_a_map(name: str) -> None:
    recipe = with_changes(load_recipe("mobilenetv2-flagship"), [*FLAGSHIP_BARE, f"network.name={name}"])
    model = build(recipe).eval()
    with torch.inference_mode():
        features = model.features(torch.rand(1, 1, 224, 224))
        assert features.dim() == 4
        assert features.shape[2] == features.shape[3]
        assert model(torch.rand(2, 1, 224, 224)).shape == (2, 3)


def test_a_frozen_trunk_neither_learns_nor_updates_its_statistics() -> None:
    recipe = with_changes(load_recipe("cnn-150"), ["input.size=40", "network.frozen=true"])
    model = build(recipe).train()
    before = {key: value.clone() for key, value in model.trunk.state_dict().items()}
    model(torch.rand(4, 1, 40, 40)).sum().backward()
    assert all(parameter.grad is None for parameter in model.trunk.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.trunk.state_dict().items())


def test_an_unknown_backbone_suggests_the_nearest() -> None:
    recipe = with_changes(load_recipe("mobilenetv2-flagship"), [*FLAGSHIP_BARE, "network.name=resnet_18"])
    with pytest.raises(UsageError, match="Did you mean"):
        build(recipe)


def test_an_impossible_size_is_an_error_before_training() -> None:
    recipe = with_changes(load_recipe("cnn-150"), ["network.name=vgg11", "input.size=16"])
    with pytest.raises(RecipeError, match="16 x 16"):
        build(recipe)


def test_weights_that_do_not_fit_list_the_keys(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"conv_stem.weight": torch.zeros(8, 3, 3, 3), "stray": torch.zeros(1)}, path)
    pretrained = f"network.pretrained={{file: {path}}}"
    recipe = with_changes(load_recipe("mobilenetv2-flagship"), [pretrained])
    with pytest.raises(WeightsError) as caught:
        build(recipe)
    for word in ("missing", "left over: stray", "conv_stem.weight (8, 3, 3, 3) instead of (32, 3, 3, 3)"):
        assert word in str(caught.value)


def test_absent_weights_are_never_replaced_by_random_ones() -> None:
    recipe = with_changes(load_recipe("mobilenetv2-flagship"), ["network.pretrained.file=absent.safetensors"])
    with pytest.raises(WeightsError, match=r"absent\.safetensors.*not found"):
        build(recipe)


@pytest.mark.parametrize(
    "pretrained", ["{file: absent.safetensors, mean: [0.5], std: [0.5], padding: same}", "imagenet"]
)
def test_trained_weights_need_no_starting_weights(pretrained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate runs a bundle's own weights in torch, also where those are absent that its training began with."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    recipe = with_changes(load_recipe("mobilenetv2-flagship"), [f"network.pretrained={pretrained}"])
    one, other = build(recipe, starts=False).eval(), build(recipe, starts=False).eval()
    image = torch.rand(1, 1, 224, 224)
    assert not torch.equal(one(image), other(image))
    load_into(other, one.state_dict(), "trained")
    torch.testing.assert_close(one(image), other(image))
    assert (type(one.trunk.model.conv_stem).__name__ == "Conv2dSame") == (pretrained != "imagenet")


def test_local_imagenet_weights_bring_their_normalisation_and_padding(shared: Path) -> None:
    file = shared / "weights" / "mobilenetv2_100.imagenet.safetensors"
    model = build(with_changes(load_recipe("mobilenetv2-flagship"), [f"network.pretrained.file={file}"])).eval()
    from pneumoscope.training.networks.weights import load_tensors

    stem = dict(model.trunk.named_parameters())["model.conv_stem.weight"]
    torch.testing.assert_close(stem, load_tensors(file)["conv_stem.weight"])
    assert model.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    # TensorFlow's "same" at stride 2 pads the far side only: 224 -> 112 with nothing added at the near side.
    assert type(model.trunk.model.conv_stem).__name__ == "Conv2dSame"
