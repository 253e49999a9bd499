"""Build the network that a recipe names: normalisation, trunk (any timm backbone or a classic one), head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pneumoscope.core.errors import RecipeError, UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.recipes.pretrained import XRV_NETWORK, XRV_OUTPUTS, XRV_SIZE, Pretrained
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.recipes.settings import Network
from pneumoscope.recipes.starting_weights import find_hub_file, find_weights, missing_hub_error, require_hub
from pneumoscope.training.networks import classic
from pneumoscope.training.networks.heads import ClassifierHead
from pneumoscope.training.networks.weights import load_into, load_tensors, load_xrv_tensors


class TimmTrunk(nn.Module):
    """A timm backbone without its classifier: [N, c, S, S] to its last feature map [N, D, h, w].

    Backbones that end in tokens (transformers) have their class token dropped and their patches laid out as a map.
    What a backbone keeps of its classifier behind that map (VGG's dense layers) is dropped too.
    """

    def __init__(self, model: Any, channels_last_map: bool) -> None:
        super().__init__()
        self.model = model
        self._forward_features: Callable[[Tensor], Tensor] = model.forward_features
        self.channels_last_map = channels_last_map
        self.prefix_tokens = int(getattr(model, "num_prefix_tokens", 0))
        if isinstance(getattr(model, "pre_logits", None), nn.Module):
            model.pre_logits = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the last feature map."""
        y: Tensor = self._forward_features(x)
        if y.dim() == 3:  # tokens [N, prefix + h * w, D]
            y = y[:, self.prefix_tokens :]
            side = int(y.shape[1] ** 0.5)
            return y.transpose(1, 2).reshape(y.shape[0], y.shape[2], side, y.shape[1] // side)
        return y.permute(0, 3, 1, 2) if self.channels_last_map else y


class Classifier(nn.Module):
    """Grey images to one logit a class.

    ``forward`` takes ``image`` [N, 1, S, S] float, 0 = black, 1 = white, and returns logits [N, C]. A binary recipe
    has one output unit z = logit of the class ``sigmoid_of``; its two logits are z for that class and 0 for the other,
    so that softmax gives sigmoid(z). The logits of a multi-label recipe are the findings', each for a sigmoid.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, trunk: nn.Module, head: ClassifierHead, mean: tuple[float, ...], std: tuple[float, ...], recipe: Recipe
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.channels = recipe.input.channels
        self.frozen = recipe.network.frozen
        self.symmetric = recipe.network.symmetric
        task = recipe.task
        self.multilabel = task.multilabel
        self.unit_of = task.classes.index(task.sigmoid_of or task.classes[0]) if task.kind == "binary" else None
        # Buffers that are not in the state: they belong to the recipe, and Keras-like counts must not see them.
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        if self.frozen:
            self.trunk.requires_grad_(False)
            self.trunk.eval()  # a new module is in training mode, and Lightning 2 does not call train()

    def train(self, mode: bool = True) -> Classifier:
        """Set the mode; a frozen trunk stays in evaluation mode (its statistics are part of what is frozen)."""
        super().train(mode)
        if self.frozen:
            self.trunk.eval()
        return self

    def features(self, image: Tensor) -> Tensor:
        """Return the last feature map [N, D, h, w] of ``image`` [N, 1, S, S]."""
        x = (image.expand(-1, self.channels, -1, -1) - self.mean) / self.std
        result: Tensor = self.trunk(x.contiguous(memory_format=torch.channels_last))
        if self.symmetric:
            mirrored: Tensor = self.trunk(x.flip(3).contiguous(memory_format=torch.channels_last))
            result = (result + mirrored.flip(3)) / 2
        return result

    def to_logits(self, scores: Tensor) -> Tensor:
        """Return logits [N, C] of the head's scores [N, units]."""
        if self.unit_of is None:
            return scores
        zeros = torch.zeros_like(scores)
        return torch.cat((scores, zeros) if self.unit_of == 0 else (zeros, scores), dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [N, C]."""
        return self.to_logits(self.head(self.features(image)))


def _timm_trunk(
    network: Network, size: int, channels: int, *, starts: bool
) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    """Return a timm trunk with its normalisation, which belongs to the weights, not to the recipe."""
    import timm

    base, _, tag = network.name.partition(".")  # `resnet18.tv_in1k`: timm's name for one of several sets of weights
    with_tags = timm.list_pretrained(f"{base}.*") if tag else []
    if network.name not in (with_tags if tag else timm.list_models()):
        names = [*classic.CLASSICS, *with_tags, *timm.list_models()]
        raise UsageError(
            network.name,
            f"neither a classic network nor a timm backbone.{suggestion(network.name, names)}",
            f"Classic ones: {', '.join(classic.CLASSICS)}; timm's: timm.list_models().",
        )
    pretrained = network.pretrained
    local = pretrained if isinstance(pretrained, Pretrained) else None
    options: dict[str, Any] = {"in_chans": channels}
    tagged = network.name
    if local is not None and local.layout == "xrv":
        _check_xrv(base, size, channels)
    if network.drop_path:
        options["drop_path_rate"] = network.drop_path
    if local is not None and local.padding == "same":
        options["pad_type"] = "same"
    fetches = starts and pretrained == "imagenet"
    if fetches:
        config = timm.get_pretrained_cfg(network.name)
        tagged = network.name if tag or config is None or not config.tag else f"{base}.{config.tag}"
        require_hub(tagged)
        if (file := find_hub_file(tagged)) is not None:
            options["pretrained_cfg_overlay"] = {"file": str(file)}
    model: Any = None
    grids: tuple[dict[str, Any], ...] = ({"img_size": size}, {})
    # Transformers fix their grid when they are built; convolutional networks do not take the option.
    for grid in grids:
        try:
            model = timm.create_model(network.name, pretrained=fetches, **options, **grid)
            break
        except TypeError:
            continue
        except (AssertionError, ValueError) as error:
            raise RecipeError(network.name, f"cannot be built for {size} x {size} pixels: {error}.") from error
        except Exception as error:  # the hub's client raises its own and requests' errors
            if fetches:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise missing_hub_error(tagged, reason) from error
            raise
    else:
        raise RecipeError(network.name, f"cannot be built with {options}.", "Choose another backbone.")
    config = model.pretrained_cfg
    mean, std = tuple(config["mean"]), tuple(config["std"])
    if local is not None and not starts:
        model.reset_classifier(0)
        mean, std = local.mean, local.std
    elif local is not None:
        classifier = config["classifier"]
        spare = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        path = find_weights(local)
        tensors = load_xrv_tensors(path, XRV_OUTPUTS) if local.layout == "xrv" else load_tensors(path)
        if channels == 1 and local.layout == "timm":  # the sum over colours of a grey image, as timm does it
            first = config["first_conv"] + ".weight"
            if first in tensors:
                tensors[first] = tensors[first].sum(1, keepdim=True)
        model.reset_classifier(0)
        load_into(model, tensors, local.file, spare=spare)
        mean, std = local.mean, local.std
    else:
        model.reset_classifier(0)
    if channels == 1:
        mean, std = mean[:1], std[:1]
    return TimmTrunk(model, getattr(model, "output_fmt", "NCHW") == "NHWC"), mean, std


def _check_xrv(base: str, size: int, channels: int) -> None:
    """Refuse a recipe whose network or input is not that of TorchXRayVision's weights, before they are looked for."""
    given, needed = (base, size, channels), (XRV_NETWORK, XRV_SIZE, 1)
    if given != needed:
        names = ("network.name", "input.size", "input.channels")
        pairs = [pair for pair in zip(names, given, needed, strict=True) if pair[1] != pair[2]]
        wrong = "; ".join(f"{name} is {value} and must be {right}" for name, value, right in pairs)
        raise RecipeError(
            "network.pretrained",
            f"weights of TorchXRayVision are those of a DenseNet-121 for {XRV_SIZE} x {XRV_SIZE} grey pixels: {wrong}.",
            "Set them in the recipe.",
        )


def build(recipe: Recipe, *, starts: bool = True) -> Classifier:
    """Build the network of a recipe, with its starting weights.

    Parameters are drawn from torch's generator: seed it first (`torch.manual_seed`).

    Args:
        recipe: The recipe.
        starts: Whether to load the starting weights; not where trained ones take their place.

    Raises:
        UsageError: No such network.
        RecipeError: The size is impossible for it.
        WeightsError: Its starting weights cannot be had or do not fit.
    """
    network, size, channels = recipe.network, recipe.input.size, recipe.input.channels
    if network.name in classic.CLASSICS:
        if network.pretrained is not None:
            raise RecipeError(network.name, "there are no pretrained weights for a classic network.")
        trunk: nn.Module = classic.CLASSICS.get(network.name)(channels, network.dropout).trunk
        mean, std = recipe.input.mean, tuple(float(value) for value in recipe.input.std)
    else:
        if network.dropout:
            raise RecipeError(
                f"network.dropout {list(network.dropout)}",
                f"is for classic networks; {network.name} is timm's.",
                "Use head.dropout, or network.drop_path.",
            )
        trunk, mean, std = _timm_trunk(network, size, channels, starts=starts)
        if network.pretrained is None:
            mean, std = recipe.input.mean, tuple(float(value) for value in recipe.input.std)
    try:
        features = classic.map_size(trunk, channels, size)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _impossible_size(network.name, size, error) from error
    head = ClassifierHead(recipe.head, features, recipe.outputs)
    model = Classifier(trunk, head, mean, std, recipe)
    if network.initialisation == "keras":
        classic.initialise_like_keras(model if network.pretrained is None else head)
    return model


def _impossible_size(name: str, size: int, error: Exception) -> RecipeError:
    """Return the error of a network that an image of the recipe's size cannot pass."""
    cannot, [text, *_] = f"cannot take {size} x {size} pixels", str(error).splitlines()
    if any(words in text for words in _TOO_SMALL):
        return RecipeError(name, f"{cannot}: they are too few for its layers.", "Choose a larger input.size.")
    return RecipeError(name, f"{cannot}: {text.rstrip('.')}.", "Choose another input.size.")


_TOO_SMALL = ("too small", "greater than actual input size")
"""In torch's texts where an image is used up before the last layer; they name a layer, which no user has named."""


def count_parameters(model: nn.Module, counting: str) -> int:
    """Return the number of parameters; ``keras`` counts batch-norm statistics too, ``torch`` does not."""
    total = sum(parameter.numel() for parameter in model.parameters())
    if counting == "keras":
        total += sum(
            layer.running_mean.numel() + layer.running_var.numel()
            for layer in model.modules()
            if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None
        )
    return total
