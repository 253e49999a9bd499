"""A bundle's probabilities by torch: from its weights where it has them, else from the nodes of its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.runtime import Model
from pneumoscope.recipes.recipe import load_recipe

Runner = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], float | None]]


def open_torch(model: Model) -> tuple[str, Runner, bool]:
    """Return what runs a bundle in torch, and how.

    Args:
        model: The bundle.

    Returns:
        What runs, in words; a function from pixels [H, W] to probabilities [C] and the out-of-distribution score (None
        where it is not computed); and whether torch has float32 weights where the graph stores float16.
    """
    import torch

    torch.set_num_threads(1)  # as the other engines: the times of one image are compared
    recipe = model.folder / "recipe.yaml"
    if (model.folder / "weights.safetensors").is_file() and recipe.is_file():
        run, halved = _from_weights(model)
        return f"torch {torch.__version__}, the network with weights.safetensors", run, halved
    about = f"torch {torch.__version__}, the graph's nodes (the bundle has no weights.safetensors)"
    return about, _from_graph(model), False


def _from_weights(model: Model) -> tuple[Runner, bool]:
    import torch

    from pneumoscope.training.input.cache import resize_square
    from pneumoscope.training.networks.build import build
    from pneumoscope.training.networks.weights import load_into, load_tensors

    recipe, card = load_recipe(str(model.folder / "recipe.yaml")), model.card
    network: Any = build(recipe, starts=False)
    load_into(network, load_tensors(model.folder / "weights.safetensors"), str(model.folder))
    network.eval()
    if card.multilabel:
        temperature = torch.tensor([one.temperature for one in card.findings])
        bias = torch.tensor([one.bias for one in card.findings])
    else:
        temperature, bias = torch.tensor([card.temperature]), torch.tensor(card.class_bias)

    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], float | None]:
        with torch.inference_mode():
            image = torch.from_numpy(pixels)[None, None]
            logits = network.to_logits(network.head(network.features(resize_square(image, card.input_size))))
            scaled = logits / temperature + bias
            p = torch.sigmoid(scaled) if card.multilabel else torch.softmax(scaled, dim=1)
            return p[0].numpy(), None

    return run, recipe.network.stored == "float16"


def _from_graph(model: Model) -> Runner:
    import onnx
    import torch

    from pneumoscope.export.torch_graph import TorchGraph

    graph = TorchGraph(onnx.load(model.folder / "model.onnx"), str(model.folder), ("probabilities", "ood"))

    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], float | None]:
        inputs = {name: torch.from_numpy(value) for name, value in model.graph_inputs(pixels).items()}
        with torch.inference_mode():
            probabilities, ood = graph(inputs.pop("image"), inputs)
        return probabilities[0].numpy(), float(ood[0])

    return run
