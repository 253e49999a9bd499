"""What makes an audit impossible and shows before any image is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pneumoscope.auditing.images import positives_of
from pneumoscope.auditing.sites import has_origin
from pneumoscope.bundle.card import Card
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UnusableManifestError, UsageError
from pneumoscope.core.labels import display_name
from pneumoscope.data.manifest import Manifest
from pneumoscope.stats.intervals import FEWEST_GROUPS


def check_options(part: str, out: Path | None, origins: Path | None) -> None:
    """Check the part and the paths of an audit.

    Raises:
        UsageError: The part is ``test``, ``out`` is a file, or there is no file of origins.
    """
    if part == "test":
        raise UsageError(argument("part", part), "the part test is never audited.", "Say validation or calibration.")
    if out is not None and out.is_file():
        raise UsageError(argument("out", str(out)), "is a file, not a folder.", "Choose another `out`.")
    if origins is not None and not origins.is_file():
        raise UsageError(argument("origins", str(origins)), "there is no such file.", "Name a CSV file.")


def check_groups(rows: Manifest, card: Card) -> None:
    """Check that either class has the groups that an interval needs.

    Raises:
        UnusableManifestError: One has fewer.
    """
    positive = positives_of(rows, card)
    name = display_name(card.labels[0].name)
    for side, images in ((name, positive), (f"classes other than {name}", ~positive)):
        groups = rows.table["group"][images].nunique()
        if groups < FEWEST_GROUPS:
            raise UnusableManifestError(
                f"images of {side}",
                f"are of {groups} groups (patients); an audit needs {FEWEST_GROUPS} groups of either class.",
                "Name another part, or add images.",
            )


def check_external(external: Manifest, audited: Manifest) -> None:
    """Check that a set of another site shares no image with the audited manifest, neither as a file nor as a picture.

    A picture that was saved again has another SHA-256 and mostly the same perceptual hash. Of the 6,048 images of the
    six sets that this project reads, no two patients have the same.

    Raises:
        UsageError: It does.
    """
    shared = external.table["sha256"].isin(audited.table["sha256"]) | external.table["phash"].isin(
        audited.table["phash"].dropna()
    )
    if count := int(shared.sum()):
        raise UsageError(
            "`external`",
            f"shares {count} image{'' if count == 1 else 's'} with the audited manifest, such as "
            f"{external.table['image'][shared].iloc[0]}.",
            "Name a set that it does not hold.",
        )


def check_origins(origins: Mapping[str, str], audited: Manifest) -> None:
    """Check that a table of origins names at least one image of the audited manifest.

    Raises:
        UsageError: It names none, so that it would change nothing.
    """
    if not has_origin(audited, origins).any():
        raise UsageError(
            "`origins`",
            f"names none of the {len(audited)} images of the manifest, such as {audited.table['image'].iloc[0]}.",
            "Write the files' names in the column 'file', with or without their endings.",
        )
