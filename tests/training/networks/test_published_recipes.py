"""The published systems: sizes worked by hand, layers in their order, the figures that the sources state."""

from __future__ import annotations

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pneumoscope.core.errors import RecipeError, UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe, recipe_names, with_changes  # noqa: E402
from pneumoscope.training.networks.build import build, count_parameters  # noqa: E402
from pneumoscope.training.networks.summary import Layer, build_unweighted, layers  # noqa: E402
from pneumoscope.training.plan import make_plan  # noqa: E402

FOUR = ("covid-19", "normal", "viral-pneumonia", "lung-opacity")


def conv(before: int, after: int, side: int = 3, *, bias: bool = True) -> int:
    return before * after * side * side + after * bias


def dense(*sizes: int) -> int:
    return sum(a * b + b for a, b in pairwise(sizes))


def vgg(*blocks: int) -> int:
    """Convolutions of a VGG whose five blocks have so many of them."""
    widths = (64, 128, 256, 512, 512)
    chain = [3, *(width for width, count in zip(widths, blocks, strict=True) for _ in range(count))]
    return sum(conv(a, b) for a, b in pairwise(chain))


def resnet18() -> int:
    """He et al., CVPR 2016, table 1: two blocks of two 3x3 convolutions a stage, a projection where the width grows."""
    total = conv(3, 64, 7, bias=False) + 2 * 64
    for before, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
        total += conv(before, width, bias=False) + 3 * conv(width, width, bias=False) + 4 * 2 * width
        total += conv(before, width, 1, bias=False) + 2 * width if before != width else 0
    return total


def densenet121() -> int:
    """Huang et al., CVPR 2017, table 1: blocks of 6, 12, 24 and 16 layers that each add 32 channels."""
    total, width = conv(3, 64, 7, bias=False) + 2 * 64, 64
    for place, count in enumerate((6, 12, 24, 16)):
        for _ in range(count):
            total += 2 * width + conv(width, 128, 1, bias=False) + 2 * 128 + conv(128, 32, bias=False)
            width += 32
        if place < 3:
            total += 2 * width + conv(width, width // 2, 1, bias=False)
            width //= 2
    return total + 2 * width


def test_chexnet_is_a_densenet_with_a_score_for_each_finding() -> None:
    recipe = load_recipe("densenet121-chexnet")
    assert recipe.expects is not None
    assert recipe.expects.parameters == densenet121() + dense(1024, 14)
    assert set(recipe.reported["auroc"]) == set(recipe.task.classes)


VALID = conv(3, 32) + conv(32, 64) + conv(64, 128)


@pytest.mark.parametrize(
    ("name", "by_hand", "stated"),
    [
        ("vgg16-binary", vgg(2, 2, 3, 3, 3) + dense(8 * 8 * 512, 1024, 512, 1), 48_795_457),
        ("cnn-224", VALID + dense(26 * 26 * 128, 64, 1), 5_631_169),
        # Keras counts four numbers a channel of batch-norm, two of them statistics.
        ("cnn-299", 4 * 3 + VALID + dense(35 * 35 * 128, 256, 4), 40_235_344),
        ("lenet-128", conv(3, 6, 5) + conv(6, 16, 5) + dense(16, 100, 50, 4), 9_826),
        ("lenet-128-augmented", conv(3, 6, 5) + conv(6, 16, 5) + dense(16, 100, 50, 4), 9_826),
        ("resnet18-pretrained", resnet18() + dense(512, 4), 11_178_564),
        ("resnet18-scratch", resnet18() + dense(512, 4), 11_178_564),
    ],
)
def test_the_size_by_hand_is_the_one_that_the_source_states(name: str, by_hand: int, stated: int) -> None:
    expects = load_recipe(name).expects
    assert expects is not None  # that the network built has this size is tested in test_networks.py
    assert by_hand == stated == expects.parameters


# Parameters of keras.applications (include_top=False, from model.summary()), those that timm's has beyond them, and
# the last feature map at 299 x 299. Keras's Inceptions have no batch-norm scales; its ResNet-50 has idle biases.
BACKBONES = {
    "vgg16": (14_714_688, 0, 9 * 9 * 512),
    "vgg19": (20_024_384, 0, 9 * 9 * 512),
    "mobilenetv2": (2_257_984, 0, 10 * 10 * 1280),
    "densenet169": (12_642_880, 0, 9 * 9 * 1664),
    "densenet201": (18_321_984, 0, 9 * 9 * 1920),
    "inception-v3": (21_802_784, 17_216, 8 * 8 * 2048),
    "inception-resnet-v2": (54_336_736, 30_272, 8 * 8 * 1536),
    "resnet50": (23_587_712, -26_560, 10 * 10 * 2048),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_transfer_size_is_backbone_and_head(name: str) -> None:
    keras, beyond, flat = BACKBONES[name]
    recipe = load_recipe(f"transfer-{name}")
    assert recipe.expects is not None
    assert recipe.expects.parameters == keras + beyond + dense(flat, 256, 256, 4)
    if beyond:
        assert any(f"{abs(beyond):,} parameters" in " ".join(note.split()) for note in recipe.notes)


def test_vgg_by_hand_is_keras_vgg() -> None:
    assert vgg(2, 2, 3, 3, 3) == BACKBONES["vgg16"][0]
    assert vgg(2, 2, 4, 4, 4) == BACKBONES["vgg19"][0]


def rows(name: str) -> list[Layer]:
    recipe = load_recipe(name)
    assert recipe.expects is not None
    return layers(build_unweighted(recipe), recipe.input.size, recipe.expects.counting)


def test_cnn_224_layer_by_layer() -> None:
    assert [(row.kind, row.shape) for row in rows("cnn-224")] == [
        ("conv 3x3, 3 to 32", (32, 222, 222)),
        ("ReLU", (32, 222, 222)),
        ("max-pool 2", (32, 111, 111)),
        ("dropout 0.3", (32, 111, 111)),
        ("conv 3x3, 32 to 64", (64, 109, 109)),
        ("ReLU", (64, 109, 109)),
        ("max-pool 2", (64, 54, 54)),
        ("dropout 0.3", (64, 54, 54)),
        ("conv 3x3, 64 to 128", (128, 52, 52)),
        ("ReLU", (128, 52, 52)),
        ("max-pool 2", (128, 26, 26)),
        ("dropout 0.3", (128, 26, 26)),
        ("flatten", (86_528,)),
        ("dense 86,528 to 64", (64,)),
        ("ReLU", (64,)),
        ("dropout 0.3", (64,)),
        ("dense 64 to 1", (1,)),
        ("sigmoid", (1,)),
    ]


def test_cnn_299_layer_by_layer() -> None:
    found = rows("cnn-299")
    assert [row.kind for row in found] == [
        *("batch-norm", "conv 3x3, 3 to 32", "ReLU", "max-pool 2"),
        *("conv 3x3, 32 to 64", "ReLU", "max-pool 2", "conv 3x3, 64 to 128", "ReLU", "max-pool 2"),
        *("dropout 0.3", "flatten", "dropout 0.2", "dense 156,800 to 256", "ReLU", "dropout 0.15"),
        *("dense 256 to 4", "softmax"),
    ]
    assert [row.shape for row in found if row.kind == "max-pool 2"] == [(32, 148, 148), (64, 73, 73), (128, 35, 35)]
    assert found[0].parameters == 12


def test_lenet_128_layer_by_layer() -> None:
    found = rows("lenet-128")
    assert [row.shape for row in found if row.kind == "max-pool 8"] == [(6, 15, 15), (16, 1, 1)]
    assert [row.parameters for row in found if row.parameters] == [456, 2_416, 1_700, 5_050, 204]


@pytest.mark.parametrize("name", ["vgg16-binary", "cnn-150", "cnn-299", "resnet18-scratch", "transfer-mobilenetv2"])
def test_the_rows_of_the_table_add_up(name: str) -> None:
    expects = load_recipe(name).expects
    assert expects is not None
    assert sum(row.parameters for row in rows(name)) == expects.parameters


def test_a_transformers_rows_add_up_too() -> None:
    changes = ["network.pretrained=null", "network.name=vit_tiny_patch16_224"]
    model = build_unweighted(with_changes(load_recipe("mobilenetv2-flagship"), changes))
    assert sum(row.parameters for row in layers(model, 224, "torch")) == count_parameters(model, "torch")


# Design, section 4: side, channels, epochs, optimizer, learning rate, what the source reports and on which part.
UNSTATED = "held-out 20%, validation and test in one"
TABLE = {
    "vgg16-binary": (256, 3, 20, "sgd", 0.01, {"accuracy": 0.95, "part": "validation"}),
    "cnn-224": (224, 3, 20, "adam", 1e-3, {"precision": 0.69, "recall": 0.98, "part": "test"}),
    "cnn-299": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.8603, "loss": 0.5499, "part": UNSTATED}),
    "transfer-vgg16": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.9231, "seconds": 831, "part": UNSTATED}),
    "transfer-mobilenetv2": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.9223, "seconds": 675, "part": UNSTATED}),
    "transfer-densenet169": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.9134, "seconds": 929, "part": UNSTATED}),
    "transfer-inception-resnet-v2": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.9112, "seconds": 952, "part": UNSTATED}),
    "transfer-densenet201": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.9093, "seconds": 1031, "part": UNSTATED}),
    "transfer-inception-v3": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.9025, "seconds": 770, "part": UNSTATED}),
    "transfer-vgg19": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.8987, "seconds": 880, "part": UNSTATED}),
    "transfer-resnet50": (299, 3, 30, "adam", 1e-3, {"accuracy": 0.7431, "seconds": 756, "part": UNSTATED}),
    "lenet-128": (128, 3, 10, "sgd", 0.01, {"accuracy": 0.8, "part": "not stated"}),
    "lenet-128-augmented": (128, 3, 10, "sgd", 0.01, {"accuracy": 0.78, "part": "not stated"}),
    "resnet18-pretrained": (128, 3, 10, "adam", 3e-5, {"accuracy": 0.95, "part": "not stated"}),
    "resnet18-scratch": (128, 3, 10, "adam", 3e-5, {"accuracy": 0.84, "part": "not stated"}),
    "cnn-150": (150, 1, 12, "rmsprop", 1e-3, {"accuracy": 0.899, "loss": 0.2713, "part": "test"}),
}


@pytest.mark.parametrize("name", TABLE)
def test_settings_and_figures_are_those_of_the_table(name: str) -> None:
    size, channels, epochs, optimizer, rate, reported = TABLE[name]
    recipe = load_recipe(name)
    assert (recipe.input.size, recipe.input.channels, recipe.training.epochs) == (size, channels, epochs)
    assert (recipe.optimizer.kind, recipe.optimizer.lr) == (optimizer, rate)
    assert {key: recipe.reported[key] for key in reported} == reported
    assert recipe.source
    assert recipe.assumed
    assert recipe.split is not None
    assert recipe.split["calibration"] > 0


def test_every_published_system_has_a_recipe() -> None:
    assert set(recipe_names()) == {
        *TABLE,
        "densenet121-chexnet",
        "mobilenetv2-findings",
        "mobilenetv2-flagship",
        "mobilenetv2-opacity",
        "mobilenetv2-covid",
        "mobilenetv2-tb",
    }


def test_the_split_of_lenet_is_of_whole_classes() -> None:
    images = dict(load_recipe("lenet-128").reported["images"])
    assert images.pop("part") == ["train", "validation", "test"]
    assert {label: sum(counts) for label, counts in images.items()} == {
        "normal": 10_192,
        "covid-19": 3_616,
        "viral-pneumonia": 1_345,
        "lung-opacity": 6_012,
    }
    for train, validation, test in images.values():
        assert validation == test == pytest.approx(0.15 * (train + validation + test), abs=1)


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith(("transfer", "resnet", "vgg"))])
def test_the_recorded_normalisation_is_that_of_the_weights(name: str) -> None:
    import timm

    recipe = load_recipe(name)
    if recipe.network.pretrained == "imagenet":
        config = timm.get_pretrained_cfg(recipe.network.name)
        assert config is not None
        assert (recipe.input.mean, recipe.input.std) == (config.mean, config.std)
        assert config.hf_hub_id
    elif recipe.network.pretrained is not None:
        assert recipe.input.mean == recipe.network.pretrained.mean
        assert recipe.input.std == recipe.network.pretrained.std


def test_extending_keeps_what_is_not_stated_again() -> None:
    plain, augmented = load_recipe("lenet-128"), load_recipe("lenet-128-augmented")
    assert plain.augment.off
    assert (augmented.augment.rotation, augmented.augment.horizontal_flip) == (10, 0.5)
    assert augmented.reported["images"] == plain.reported["images"]
    pretrained, scratch = load_recipe("resnet18-pretrained"), load_recipe("resnet18-scratch")
    assert scratch.network.pretrained is None
    assert pretrained.optimizer == scratch.optimizer
    assert pretrained.optimizer.momentum == 0
    assert all(load_recipe(f"transfer-{name}").network.frozen for name in BACKBONES)


def test_four_classes_on_data_with_three_get_a_head_of_three(phantom_set: Manifest) -> None:
    recipe = load_recipe("lenet-128")
    assert recipe.task.classes == FOUR
    fitted = make_plan(recipe, phantom_set).recipe
    assert set(fitted.task.classes) == {"covid-19", "normal", "viral-pneumonia"}
    assert fitted.changes == ("class lung-opacity left out: the data have no image of it",)
    assert build(fitted).head.dense[-1].out_features == 3


def test_cnn_224_leaves_out_the_classes_of_its_source_and_reports_it(phantom_set: Manifest) -> None:
    training_plan = make_plan(load_recipe("cnn-224"), phantom_set)
    left_out = int((phantom_set.table.label == "viral-pneumonia").sum())
    assert f"left out by the recipe: viral-pneumonia ({left_out})" in training_plan.notes
    with pytest.raises(RecipeError, match="does not know: viral-pneumonia"):
        make_plan(load_recipe("vgg16-binary"), phantom_set)


def test_trunk_dropout_can_be_set_layer_by_layer() -> None:
    changed = with_changes(load_recipe("cnn-224"), ["network.dropout=[0.2, 0.4, 0.5]"])
    kinds = [row.kind for row in layers(build_unweighted(changed), 224, "keras")]
    assert [kind for kind in kinds if kind.startswith("dropout")] == [
        "dropout 0.2",
        "dropout 0.4",
        "dropout 0.5",
        "dropout 0.3",
    ]


def test_too_few_dropout_rates_name_the_rule() -> None:
    with pytest.raises(RecipeError, match="cnn-224 has 3 dropout layers"):
        build_unweighted(with_changes(load_recipe("cnn-224"), ["network.dropout=[0.2]"]))


def test_trunk_dropout_is_not_for_backbones() -> None:
    with pytest.raises(RecipeError, match=r"resnet18 is timm's.*head\.dropout"):
        build_unweighted(with_changes(load_recipe("resnet18-scratch"), ["network.dropout=[0.2]"]))


def test_recipes_without_trunk_dropout_are_written_as_before() -> None:
    """A run that was started before the setting existed compares equal on --resume."""
    assert "dropout" not in load_recipe("mobilenetv2-flagship").model_dump(mode="json")["network"]
    assert load_recipe("cnn-299").model_dump(mode="json")["network"]["dropout"] == [0.3]


def test_an_unknown_set_of_weights_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'resnet18\.tv_in1k'"):
        build_unweighted(with_changes(load_recipe("resnet18-scratch"), ["network.name=resnet18.tv1_in1k"]))


def test_the_dense_layers_after_the_map_of_vgg_are_removed() -> None:
    model = build_unweighted(load_recipe("transfer-vgg16"))
    assert count_parameters(model.trunk, "torch") == BACKBONES["vgg16"][0]
    assert not any(parameter.requires_grad for parameter in model.trunk.parameters())
