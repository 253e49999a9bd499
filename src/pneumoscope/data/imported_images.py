"""Images of a manifest, each checked against the SHA-256 of its import: a manifest's labels are of those bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import ManifestError
from pneumoscope.imaging.proportions import check_no_strip
from pneumoscope.imaging.read import Radiograph, read

if TYPE_CHECKING:
    from pneumoscope.data.manifest import Manifest


def check_imported(source: str, image: str, *, found: str | None, imported: str) -> None:
    """Check that a file is the one that was imported.

    Args:
        source: Of its row.
        image: Of its row.
        found: SHA-256 of the file as it was read now, hexadecimal.
        imported: The same, of the manifest.

    Raises:
        ManifestError: It is another file.
    """
    if found != imported:
        raise ManifestError(
            f"{source}/{image}",
            f"is not the file that was imported: its SHA-256 is {(found or '')[:12]}…, the manifest has "
            f"{imported[:12]}….",
            f"Import the data again, or name its folder with {argument('roots', {source: 'DIR'})}.",
        )


def read_imported(rows: Manifest) -> Iterator[Radiograph]:
    """Read the images of rows one by one, in their order.

    Args:
        rows: Of a manifest.

    Yields:
        One radiograph a row.

    Raises:
        ImageError: A file cannot be read, or is a strip, on which no graph runs.
        ManifestError: An image is not the one that was imported.
    """
    table = rows.table
    facts = zip(table["source"], table["image"], table["sha256"], strict=True)
    for path, depth, (source, image, sha256) in zip(rows.paths(), rows.depths(), facts, strict=True):
        radiograph = read(path, depth=depth)
        check_imported(source, image, found=radiograph.sha256, imported=sha256)
        check_no_strip(radiograph.pixels.shape, f"{source}/{image}")
        yield radiograph
