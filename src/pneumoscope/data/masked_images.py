"""Images and their masks, where a set's file names say which mask belongs to which image.

The sets of this kind have one image for each patient, PA, from one hospital.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pneumoscope.data.source import ImportOptions, Listing, Row, relative_name

Structure = Literal["lung", "heart"]
Side = Literal["left", "right"]


@dataclass
class MaskedImages:
    """The files of a set by the key that an image and its masks share.

    Args:
        images: Key -> image, in the order of the listing; several files may have one key.
        masks: Structure -> key -> mask.
        halves: Side of the patient -> key -> mask of the lung on that side. Both are joined where the image has no
            mask of both lungs.
    """

    images: list[tuple[str, Path]] = field(default_factory=list)
    masks: dict[Structure, dict[str, Path]] = field(default_factory=lambda: {"lung": {}, "heart": {}})
    halves: dict[Side, dict[str, Path]] = field(default_factory=lambda: {"left": {}, "right": {}})

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
        halves = {side: dict(paths) for side, paths in self.halves.items()}
        for (key, path), row in zip(self.images, facts, strict=True):
            lungs, heart = (
                None if (mask := masks[structure].pop(key, None)) is None else relative_name(mask, listing.root)
                for structure in ("lung", "heart")
            )
            name = relative_name(path, listing.root)
            sides = [mask for paths in halves.values() if (mask := paths.pop(key, None)) is not None]
            if reason := _why_not_joined(sides, lungs, options):
                for mask in sides:
                    listing.drop(relative_name(mask, listing.root), reason)
            elif sides:
                listing.mask_parts[name] = tuple(sides)
            listing.rows.append(
                replace(
                    row,
                    image=name,
                    view="PA",
                    lung_mask=lungs,
                    lung_definition=None if lungs is None and name not in listing.mask_parts else "lungs",
                    heart_mask=heart,
                    license=options.license or license,
                    label_provenance=options.provenance or provenance,
                )
            )
        for mask in (mask for paths in (*masks.values(), *halves.values()) for mask in paths.values()):
            listing.drop(relative_name(mask, listing.root), "the mask of an image that is not there")


def _why_not_joined(sides: Sequence[Path], lungs: str | None, options: ImportOptions) -> str | None:
    """Return why the masks of an image's single lungs are left out; None where they are joined, or there is none."""
    if len(sides) == 1:
        return "the mask of one lung, without that of the other"
    if sides and lungs is not None:
        return "the mask of one lung: the image has a mask of both"
    return "the mask of one lung: no folder is named for joined masks" if sides and options.masks is None else None
