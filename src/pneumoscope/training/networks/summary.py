"""A network as a table that a person can read: layers in the order in which an image meets them, shapes, parameters.

Small networks are shown layer by layer. A large backbone is shown by its blocks, as deep as fits on about a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn

from pneumoscope.recipes.pretrained import Pretrained
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.networks.build import Classifier, build, count_parameters

PAGE = 40
"""Most rows for a trunk, if it can be cut so coarse."""


@dataclass(frozen=True)
class Layer:
    """One row: ``shape`` is the output's without the batch, ``parameters`` by the recipe's way of counting."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def build_unweighted(recipe: Recipe) -> Classifier:
    """Build the network of a recipe without its weights and without memory, for shapes and counts only."""
    bare = recipe.model_copy(update={"network": recipe.network.model_copy(update={"pretrained": None})})
    with torch.device("meta"):
        return build(bare)


def summarize(recipe: Recipe, model: Classifier) -> dict[str, Any]:
    """Return the facts of a recipe and its network.

    Returns:
        ``name``, ``summary``, ``network``, ``classes``, ``size`` and ``channels`` of the input, ``epochs``,
        ``parameters`` as ``counting`` counts (``keras`` or ``torch``), ``trainable``, and ``buffers``, the batch-norm
        statistics.
    """
    counting = recipe.expects.counting if recipe.expects else "torch"
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "network": recipe.network.name,
        "classes": list(recipe.task.classes),
        "size": recipe.input.size,
        "channels": recipe.input.channels,
        "epochs": recipe.training.epochs,
        "parameters": count_parameters(model, counting),
        "counting": counting,
        "trainable": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "buffers": count_parameters(model, "keras") - count_parameters(model, "torch"),
    }


def starting_normalisation(recipe: Recipe) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the input, 0 to 1, by channel: those of the weights, else the recipe's."""
    weights = recipe.network.pretrained
    if isinstance(weights, Pretrained):
        return tuple(weights.mean), tuple(weights.std)
    config = timm.get_pretrained_cfg(recipe.network.name) if weights == "imagenet" else None
    return (tuple(recipe.input.mean), tuple(recipe.input.std)) if config is None else (config.mean, config.std)


def layers(model: Classifier, size: int, counting: str) -> list[Layer]:
    """Return the layers of a network for images of ``size`` squared; their parameters add up to the network's."""
    shapes = _shapes_in_order(model, size)
    trunk = [
        Layer(name, kind_of(module), shapes[module], count_parameters(module, counting))
        for name, module in _blocks(model.trunk, shapes)
    ]
    rest = count_parameters(model.trunk, counting) - sum(layer.parameters for layer in trunk)
    if rest:  # tokens and position embeddings, which belong to no layer
        trunk.append(Layer("", "tokens, positions", (), rest))
    return [*trunk, *_head(model, counting)]


def _shapes_in_order(model: Classifier, size: int) -> dict[nn.Module, tuple[int, ...]]:
    """Return the output shape of each module that an image meets, in order of the first meeting."""
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes.setdefault(module, tuple(output.shape[1:]))

    handles = [module.register_forward_hook(note) for module in model.trunk.modules()]
    with torch.no_grad():
        model.eval().features(torch.zeros(1, 1, size, size, device=next(model.parameters()).device))
    for handle in handles:
        handle.remove()
    return shapes


def _blocks(trunk: nn.Module, shapes: dict[nn.Module, tuple[int, ...]]) -> list[tuple[str, nn.Module]]:
    """Return a trunk's layers or blocks by name: the finest cut that fits on a page, else the coarsest."""
    root = getattr(trunk, "model", trunk)

    def cut(module: nn.Module, name: str, depth: int) -> Iterator[tuple[str, nn.Module]]:
        children = list(module.named_children())
        whole = not children or depth == 0 or any(True for _ in module.parameters(recurse=False))
        if module is root or not whole:
            for key, child in children:
                yield from cut(child, f"{name}.{key}" if name else key, depth - 1)
        elif module in shapes and not _does_nothing(module):
            yield name, module

    for depth in (4, 3, 2, 1):
        parts = list(cut(root, "", depth))
        if len(parts) <= PAGE:
            break
    order = {module: number for number, module in enumerate(shapes)}
    return sorted(parts, key=lambda pair: order[pair[1]])


def _does_nothing(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and module.p == 0)


def _head(model: Classifier, counting: str) -> Iterator[Layer]:
    """Yield the head's layers, with those that are functions and no modules (flattening, ReLU)."""
    head = model.head
    width = head.dense[0].in_features if isinstance(head.dense[0], nn.Linear) else 0
    pooling = "mean and largest value of the map" if head.maximum else "mean of the map"
    yield Layer("head", "flatten" if head.flat else pooling, (width,), 0)
    if head.standardisation is not None:
        yield Layer("head.standardisation", "standardisation", (width,), 0)
    last = len(head.dense) - 1
    for index, (dropout, dense) in enumerate(zip(head.dropout, head.dense, strict=True)):
        if not _does_nothing(dropout):
            yield Layer(f"head.dropout.{index}", kind_of(dropout), (width,), 0)
        if isinstance(dense, nn.Linear):
            width = dense.out_features
        yield Layer(f"head.dense.{index}", kind_of(dense), (width,), count_parameters(dense, counting))
        if index < last:
            yield Layer("", "ReLU", (width,), 0)
    yield Layer("", "sigmoid" if model.multilabel or model.unit_of is not None else "softmax", (width,), 0)


def kind_of(module: nn.Module) -> str:
    """Return what a layer is, with the numbers that define it."""
    match module:
        case nn.Conv2d():
            rows, columns = module.kernel_size
            groups = f", {module.groups} groups" if module.groups > 1 else ""
            return f"conv {rows}x{columns}, {module.in_channels} to {module.out_channels}{groups}"
        case nn.Linear():
            return f"dense {module.in_features:,} to {module.out_features:,}"
        case nn.MaxPool2d():
            return f"max-pool {module.kernel_size}"
        case nn.Dropout():
            return f"dropout {module.p:g}"
        case nn.BatchNorm2d():
            return "batch-norm"
        case nn.Sequential() if len({type(child) for child in module}) == 1:
            return f"{len(module)} x {type(module[0]).__name__}"
        case _:
            return type(module).__name__
