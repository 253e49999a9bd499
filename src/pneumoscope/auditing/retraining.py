"""Leave one site out: learn from all others, measure on it.

It needs torch. The quick way, which an audit takes, does not train the network: the recipe's backbone with its starting
weights looks at each image once, and a logistic regression on its features is fitted without each site in turn. That is
the question and the data of the model, not the model itself. A fine-tuned network fits its sites more closely.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pneumoscope.auditing.logistic import fit_logistic, predict_logistic, reduce_dimensions, standardise
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import atomic_path
from pneumoscope.data.manifest import Manifest
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.training.input.cache import open_cache
from pneumoscope.training.networks.build import build

Names = NDArray[np.str_]

IMAGES_OF_A_SITE = 150
"""Most images of one site and class: a large archive should not drown the others."""
_COMPONENTS = 256
_PENALTY = 100.0
_BATCH = 16


def leave_one_site_out(features: Floats, positive: Bools, group: Ints, site: Names) -> dict[str, Estimate]:
    """Return the AUROC at each site of a regression that learnt from all others.

    A group that has an image at the site is not learnt from either: the same picture or patient may be in two archives.

    Args:
        features: [N, D].
        positive: [N].
        group: [N].
        site: [N] names.

    Returns:
        Site -> AUROC there; without a value where the site or the rest lacks a class.
    """
    values = reduce_dimensions(features, _COMPONENTS)
    found = {}
    for name in np.unique(site):
        inside = site == name
        train = ~inside & ~np.isin(group, np.unique(group[inside]))
        classes = [len(np.unique(group[inside & side])) for side in (positive, ~positive)]
        if min(classes) < FEWEST_GROUPS:
            found[str(name)] = Estimate(value=None, note=f"{classes[0]} and {classes[1]} groups of the two classes")
        elif not positive[train].any() or positive[train].all():
            found[str(name)] = Estimate(value=None, note="without it, one class is left")
        else:
            scaled = standardise(values, train)
            weights = fit_logistic(scaled[train], positive[train].astype(np.float64), _PENALTY)
            found[str(name)] = estimate_auroc(
                predict_logistic(weights, scaled[inside]), positive[inside], group[inside]
            )
    return found


def even_out_sites(rows: Manifest, positive: Bools, site: Names, seed: int) -> Bools:
    """Return [N] which rows to use: at most so many of each site and class, never of the part test."""
    rng = np.random.default_rng(seed)
    usable = (rows.table["split"] != "test").to_numpy(dtype=np.bool_)
    chosen = np.zeros(len(rows), np.bool_)
    for name in np.unique(site):
        for side in (positive, ~positive):
            here = np.flatnonzero(usable & side & (site == name))
            chosen[rng.permutation(here)[:IMAGES_OF_A_SITE]] = True
    return chosen


def check_recipe(recipe: Recipe) -> None:
    """Check that the recipe's backbone knows something before it is trained.

    Raises:
        UsageError: The recipe starts from random weights.
    """
    if recipe.network.pretrained is None:
        raise UsageError(
            f"recipe {recipe.name}",
            "starts from random weights, so that features without training say nothing.",
            "Leave `retrain` out, or train the recipe without each source.",
        )


def pooled_features(recipe: Recipe, rows: Manifest, folder: Path | None, advance: Callable[[int], None]) -> Floats:
    """Return [N, D]: the last feature map of the recipe's backbone, with its starting weights, averaged over places.

    Args:
        recipe: Of the model.
        rows: The images.
        folder: Where the features are kept; None keeps none.
        advance: Called with the number of images that are done.

    Raises:
        UsageError: See `check_recipe`.
    """
    check_recipe(recipe)
    hashes = rows.table["sha256"].tolist()
    key = hashlib.sha256(f"{recipe.network} {recipe.input} inside borders {' '.join(hashes)}".encode()).hexdigest()[:16]
    path = None if folder is None else folder / f"features-{key}.npy"
    if path is not None and path.is_file():
        advance(len(rows))
        kept: Floats = np.load(path)
        return kept
    images = open_cache(rows.paths(), hashes, recipe.input.size, depths=rows.depths())
    network = build(recipe).eval()
    features = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            some = range(start, min(start + _BATCH, len(rows)))
            features.append(network.features(images.take(some).float() / 255).mean(dim=(2, 3)).double().numpy())
            advance(len(some))
    result: Floats = np.concatenate(features)
    if path is not None:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, result)
    return result
