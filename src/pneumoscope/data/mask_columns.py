"""Masks that a table names beside its images: found as images are, and read once, so that a bad one shows at import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pneumoscope.core.arguments import quote, shorten
from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.data.cells import cell_text
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.masks import check_mask
from pneumoscope.data.source import relative_name
from pneumoscope.data.structures import LUNG_DEFINITIONS

MASK_COLUMNS = ("lung_mask", "heart_mask", "ignore_mask")
_SHOWN = 20  # bad cells named in one error; the rest is counted


class MaskColumns:
    """The masks of a table's rows.

    Args:
        index: The files under the root of the images; masks lie there too.
    """

    def __init__(self, index: ImageIndex) -> None:
        self.files: set[Path] = set()
        """The mask files that the table names."""
        self._index = index
        self._bad: list[str] = []
        self._places: dict[Path, tuple[str, str]] = {}  # mask -> column, and the place for a message

    def find_all(self, cell: Mapping[str, str], where: str, image: Path) -> dict[str, str | None]:
        """Return the mask columns of one row as a manifest holds them; bad cells are recorded for `check`.

        Args:
            cell: Column -> cell. Blank cells are no mask.
            where: The file and row, for a message.
            image: The row's image, which is no mask of itself.
        """
        found = {name: self._find(name, cell.get(name, ""), where, image) for name in MASK_COLUMNS}
        definition = cell_text(cell.get("lung_definition", ""))
        if definition is not None and definition not in LUNG_DEFINITIONS:
            self._bad.append(
                f"{where}, lung_definition: {quote(shorten(definition))} is none of {', '.join(LUNG_DEFINITIONS)}"
            )
        return {**found, "lung_definition": definition if found["lung_mask"] else None}

    def _find(self, column: str, cell: str, where: str, image: Path) -> str | None:
        name = cell_text(cell)
        if name is None:
            return None
        file = self._index.find(name, where)
        if file is None:
            self._bad.append(f"{where}, {column}: {quote(shorten(name))} is not under {self._index.folder}")
            return None
        if file == image:
            self._bad.append(f"{where}, {column}: {quote(shorten(name))} is the image itself")
            return None
        self.files.add(file)
        self._places.setdefault(file, (column, f"{where}, {column}"))
        return relative_name(file, self._index.folder)

    def check(self, table: Path) -> None:
        """Read every mask.

        Raises:
            ManifestError: Masks are absent, unreadable, empty, full, inverted or no masks, or a definition is unknown;
                the message names all.
        """
        bad = list(self._bad)
        for file, (column, where) in self._places.items():
            try:
                fault = check_mask(file, may_be_empty=column == "ignore_mask")
            except ImageError as error:
                too_large = error.code == "too-many-pixels"
                fault = error.problem.removesuffix(".") if too_large else "cannot be read as a picture"
            if fault is not None:
                bad.append(f"{where}: {quote(file.name)} {fault}")
        if bad:
            lines = "".join(f"\n  {line}" for line in bad[:_SHOWN])
            lines += f"\n  and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
            raise ManifestError(
                str(table),
                f"{len(bad):,} cells of masks are wrong:{lines}\n",
                "Write paths from the folder of the images, each of a mask that is white inside and black outside; "
                "a blank cell is no mask.",
            )
