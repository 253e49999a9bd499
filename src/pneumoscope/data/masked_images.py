"""Images and their masks, where a set's file names say which mask belongs to which image.

The sets of this kind have one image for each patient, PA, from one hospital.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pneumoscope.data.source import ImportOptions, Listing, Row, relative_name

Structure = Literal["lung", "heart"]


@dataclass
class MaskedImages:
    """The files of a set by the key that an image and its masks share.

    Args:
        images: Key -> image, in the order of the listing; several files may have one key.
        masks: Structure -> key -> mask.
    """

    images: list[tuple[str, Path]] = field(default_factory=list)
    masks: dict[Structure, dict[str, Path]] = field(default_factory=lambda: {"lung": {}, "heart": {}})

    def add_rows(
        self, listing: Listing, facts: Iterable[Row], options: ImportOptions, *, license: str, provenance: str
    ) -> None:
        """List every image with its masks, and drop the masks without an image.

        Args:
            listing: Receives the rows and the dropped files.
            facts: What the set says about each image, in the order of ``images``.
            options: Of the import; its licence and its provenance come first.
            license: Of the set.
            provenance: How the set's labels were made.
        """
        masks = {structure: dict(paths) for structure, paths in self.masks.items()}
        for (key, path), row in zip(self.images, facts, strict=True):
            lungs, heart = (
                None if (mask := masks[structure].pop(key, None)) is None else relative_name(mask, listing.root)
                for structure in ("lung", "heart")
            )
            listing.rows.append(
                replace(
                    row,
                    image=relative_name(path, listing.root),
                    view="PA",
                    lung_mask=lungs,
                    lung_definition=None if lungs is None else "lungs",
                    heart_mask=heart,
                    license=options.license or license,
                    label_provenance=options.provenance or provenance,
                )
            )
        for mask in (mask for paths in masks.values() for mask in paths.values()):
            listing.drop(relative_name(mask, listing.root), "the mask of an image that is not there")
