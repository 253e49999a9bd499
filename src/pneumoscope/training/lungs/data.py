"""Pictures and masks of a manifest, resized to the network's square once and kept in memory (37 KB a picture)."""

from __future__ import annotations

import numpy as np
import torch

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import ManifestError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.masks import read_mask
from pneumoscope.data.structures import LUNG_DEFINITIONS, STRUCTURES
from pneumoscope.training.input.cache import open_cache, resize_square
from pneumoscope.training.lungs.fit import Outlined
from pneumoscope.training.lungs.network import SIDE


def read_outlined(manifest: Manifest, *, callbacks: Callbacks = SILENT) -> Outlined:
    """Return the images of a manifest that have a mask of lungs or heart, with their masks.

    Args:
        manifest: With ``lung_mask`` and ``lung_definition``, or ``heart_mask``.
        callbacks: Receive progress, and how many masks of no stated definition are left out.

    Raises:
        ManifestError: No image has a mask whose definition is stated.
        ImageError: An image or a mask cannot be read.
    """
    table = manifest.table
    lungs, hearts = table.lung_mask.notna() & table.lung_definition.notna(), table.heart_mask.notna()
    unstated = int((table.lung_mask.notna() & table.lung_definition.isna()).sum())
    if unstated:
        callbacks.message(f"note: {unstated} lung masks are left out: lung_definition does not say what they show")
    chosen = manifest.where(np.asarray(lungs | hearts))
    if not len(chosen):
        raise ManifestError(
            "manifest",
            "has no image with a mask of lungs or heart whose definition is stated.",
            f"lung_definition must be {' or '.join(LUNG_DEFINITIONS)}, as shenzhen, jsrt and darwin state it.",
        )
    names = list(STRUCTURES)
    masks = np.zeros((len(chosen), len(names), SIDE, SIDE), np.bool_)
    drawn = np.zeros((len(chosen), len(names)), np.bool_)
    with callbacks.counting("images", len(chosen)) as advance:
        hashes = chosen.table.sha256.tolist()
        images = open_cache(chosen.paths(), hashes, SIDE, depths=chosen.depths(), cut_borders=False, advance=advance)
    paths = {column: chosen.mask_paths(column) for column in ("lung_mask", "heart_mask")}
    definitions = chosen.table.lung_definition
    with callbacks.counting("masks", len(chosen)) as advance:
        for row in range(len(chosen)):
            for column, structure in (("lung_mask", definitions.iloc[row]), ("heart_mask", "heart")):
                path = paths[column][row]
                if path is not None and structure in names:
                    mask = torch.from_numpy(read_mask(path).astype(np.float32))[None, None]
                    masks[row, names.index(structure)] = (resize_square(mask, SIDE)[0, 0] >= 0.5).numpy()
                    drawn[row, names.index(structure)] = True
            advance(1)
    pictures = images.take(range(len(chosen)))[:, 0].numpy()
    return Outlined(pictures, masks, drawn, chosen.table.group.to_numpy(str), chosen.table.source.to_numpy(str))
