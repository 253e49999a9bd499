"""Verify that a bundle keeps its promises: the checks of `pneumoscope models verify` beyond those of loading."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from pneumoscope.bundle import evidence
from pneumoscope.bundle.prediction import Output
from pneumoscope.bundle.runtime import Model, load
from pneumoscope.core.errors import BundleError
from pneumoscope.recipes.recipe import load_recipe

SIZES = ((64, 64), (256, 256), (299, 299), (1000, 720), (331, 1024))
"""Rows and columns of the drawn images that the graph is run on."""

EXPORT_AGAIN = "Export or fetch the bundle again."


def verify(bundle: Model | str | Path | None = None) -> list[str]:
    """Check a bundle: hashes, schema, graph, recipe and evidence.

    Args:
        bundle: A loaded model, or the folder of a bundle or of a run. None or "builtin": the model that ships with the
            package.

    Returns:
        What holds, one sentence a fact.

    Raises:
        BundleError: The bundle is incomplete or altered, or its graph does not give what the card promises.

    Example:
        >>> ps.verify("runs/flagship")
    """
    # Loading checks the hashes and the names of the graph's inputs and outputs.
    model = bundle if isinstance(bundle, Model) else load(bundle)
    for rows, columns in SIZES:
        pixels = np.outer(np.linspace(0, 1, rows), np.linspace(0.2, 1, columns)).astype(np.float32)
        for problem in _problems(model, model.run(pixels)):
            raise BundleError(
                str(model.folder), f"its graph gives {problem} for an image of {rows} x {columns}.", EXPORT_AGAIN
            )
    sentences = [
        f"card.json follows the schema, and model.onnx is the graph it was written for "
        f"({model.card.model_sha256[:12]}).",
        f"The graph runs on images of {len(SIZES)} sizes, and its answers are what the card promises.",
    ]
    recipe = model.folder / "recipe.yaml"
    if recipe.is_file():
        found = load_recipe(str(recipe)).hash()
        if found != model.card.recipe_hash:
            raise BundleError(
                str(recipe),
                f"has hash {found[:12]}, the card names {model.card.recipe_hash[:12]}: it is not this model's recipe.",
                EXPORT_AGAIN,
            )
        sentences.append("recipe.yaml is the recipe that the card names.")
    facts = evidence.read(model.folder, model.identity)
    if facts:
        sentences.append(f"Evidence about this bundle: {', '.join(path.stem for path, _ in facts)}.")
    return sentences


def _problems(model: Model, output: Output) -> list[str]:
    shape, heat = model.card.heatmap_size, output.heatmap
    found = []
    if output.probabilities.shape != (len(model.labels),) or output.probabilities.min() < 0:
        found.append("something else than one probability for each label")
    if not math.isclose(float(output.probabilities.sum()), 1, abs_tol=1e-4):
        found.append("probabilities that do not add up to 1")
    if not math.isfinite(output.ood) or not np.isfinite(output.embedding).all():
        found.append("an out-of-distribution score or embedding that is not a number")
    if shape is not None and (heat is None or heat.shape[1:] != shape or heat.min() < 0 or heat.max() > 1 + 1e-6):
        found.append(f"a heatmap that is not {shape[0]} x {shape[1]} values from 0 to 1")
    return found
