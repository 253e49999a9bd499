"""Verify that a bundle keeps its promises: the checks of `pneumoscope models verify` beyond those of loading."""

from __future__ import annotations

import math
import re

import numpy as np

from pneumoscope.bundle import evidence
from pneumoscope.bundle.companion_differences import NEVER_SCREENED, compare_companions
from pneumoscope.bundle.prediction import Output
from pneumoscope.bundle.runtime import BUILTIN, Model, ModelInput, model_of
from pneumoscope.bundle.screening import builtin_companions
from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.errors import BundleError
from pneumoscope.core.files import sha256_of
from pneumoscope.recipes.recipe import load_recipe

SIZES = ((64, 64), (256, 256), (299, 299), (1000, 720), (331, 1024))
"""Rows and columns of the drawn images that the graph is run on."""

_IDENTITY = re.compile(r"SHA-256 of card\.json\) \| `([0-9a-f]{64})`")
"""The line of CARD.md that names its bundle."""

EXPORT_AGAIN = "Export or fetch the bundle again."


@check_arguments
def verify(model: ModelInput = BUILTIN) -> list[str]:
    """Check a bundle: hashes, schema, graph, recipe, companions and evidence.

    Args:
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package.

    Returns:
        What holds, one sentence a fact.

    Raises:
        BundleError: The bundle is incomplete or altered, or its graph does not give what the card promises.

    Example:
        >>> ps.verify("runs/flagship")
    """
    # Loading checks the hashes and the names of the graph's inputs and outputs.
    model = model_of(model)
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
    text = model.folder / "CARD.md"
    if text.is_file():
        line = _IDENTITY.search(text.read_text(encoding="utf-8", errors="replace"))
        if line and line[1] != model.identity:
            raise BundleError(
                str(text),
                f"describes the bundle {line[1][:12]}, and this is {model.identity[:12]}.",
                f"Do not read it. {EXPORT_AGAIN}",
            )
        if line:
            sentences.append("CARD.md names this bundle; no hash covers its other words.")
    recipe = model.folder / "recipe.yaml"
    if recipe.is_file():
        digest = load_recipe(str(recipe)).hash()
        # A recipe of an earlier version lacks keys that have come since, so that it is written otherwise today.
        if model.card.recipe_hash not in (digest, sha256_of(recipe)):
            raise BundleError(
                str(recipe),
                f"has hash {digest[:12]}, the card names {model.card.recipe_hash[:12]}: it is not this model's recipe.",
                EXPORT_AGAIN,
            )
        sentences.append("recipe.yaml is the recipe that the card names.")
    if model.card.companions.get("gatekeeper") == NEVER_SCREENED:
        sentences.append("The card says that this model is never screened: it answers about any picture.")
    else:
        companions = builtin_companions()  # loading checks their hashes, too
        names = [f"gatekeeper ({companions.gatekeeper.identity[:12]})"]
        if companions.lungs is not None:
            names.append(f"lungs graph ({companions.lungs.identity[:12]})")
        differences = compare_companions(model.card.companions)
        named = "" if differences or not model.card.companions else ", as the card names them"
        sentences.append(f"The companions of the package match their hashes: {' and '.join(names)}{named}.")
        sentences += differences
    facts = evidence.read(model.folder, model.identity)
    if facts:
        sentences.append(
            f"Evidence about this bundle: {', '.join(f'{path.stem} ({fact.signed})' for path, fact in facts)}."
        )
    return sentences


def _problems(model: Model, output: Output) -> list[str]:
    shape, heat = model.card.heatmap_size, output.heatmap
    problems = []
    probabilities = output.probabilities
    # Written so that NaN fails too.
    if probabilities.shape != (len(model.labels),) or not ((probabilities >= 0) & (probabilities <= 1 + 1e-6)).all():
        problems.append("something else than one probability for each label")
    if not model.card.multilabel and not math.isclose(float(probabilities.sum()), 1, abs_tol=1e-4):
        problems.append("probabilities that do not add up to 1")
    if not math.isfinite(output.ood) or not np.isfinite(output.embedding).all():
        problems.append("an out-of-distribution score or embedding that is not a number")
    if shape is not None and (heat is None or heat.shape[1:] != shape or heat.min() < 0 or heat.max() > 1 + 1e-6):
        problems.append(f"a heatmap that is not {shape[0]} x {shape[1]} values from 0 to 1")
    return problems
