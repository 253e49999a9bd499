"""Which bundles lie in a folder: the built-in one first, and a broken one beside the others, not in their place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.bundle import evidence
from pneumoscope.bundle.card import Card, read_card
from pneumoscope.bundle.evidence import Fact
from pneumoscope.bundle.runtime import BUILTIN, SHIPPED, Model, ModelInput, bundle_folder
from pneumoscope.core.arguments import as_tuple, check_arguments
from pneumoscope.core.errors import BundleError


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """A bundle in a list.

    Args:
        name: What `pneumoscope.load` takes: "opacity", "covid", or the folder.
        folder: Where it lies.
        card: What it says about itself.
        identity: SHA-256 of the card, which holds the hash of the graph.
    """

    name: str
    folder: Path
    card: Card
    identity: str


@check_arguments
def list_bundles(folders: Sequence[str | Path] = ("runs",)) -> tuple[list[BundleEntry], list[BundleError]]:
    """List the built-in bundle, if there is one, and every bundle below some folders.

    Args:
        folders: Searched with all that is below them; one that is not there holds none.

    Returns:
        The bundles, and an error for each one that is incomplete or altered.

    Example:
        >>> bundles, broken = ps.list_bundles(["runs"])
        >>> [bundle.card.name for bundle in bundles]
    """
    bundles: list[BundleEntry] = []
    broken: list[BundleError] = []
    for name, folder in _candidates(as_tuple(folders), broken):
        try:
            bundles.append(BundleEntry(name, folder, *read_card(folder)))
        except BundleError as error:
            broken.append(error)
        except OSError as error:
            broken.append(BundleError(str(folder), f"cannot be read: {error.strerror}.", "Allow reading it."))
    return bundles, broken


@dataclass(frozen=True, slots=True)
class BundleDescription:
    """What a bundle says about itself, and what became known of it later.

    Args:
        folder: Where it lies.
        card: What it says about itself.
        identity: SHA-256 of the card, which holds the hash of the graph.
        evidence: Later facts, such as openings of test images, with the file that holds each.
    """

    folder: Path
    card: Card
    identity: str
    evidence: tuple[tuple[Path, Fact], ...]


@check_arguments
def describe_bundle(model: ModelInput = BUILTIN) -> BundleDescription:
    """Read what a bundle says about itself and the evidence about it; the graph is hashed, not loaded.

    Args:
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package.

    Returns:
        The card, the identity and the evidence.

    Raises:
        BundleError: The bundle or its evidence is incomplete or altered.

    Example:
        >>> ps.describe_bundle("runs/flagship").card.limits
    """
    folder = model.folder if isinstance(model, Model) else bundle_folder(model)
    card, identity = read_card(folder)
    return BundleDescription(folder, card, identity, tuple(evidence.read(folder, identity)))


def _candidates(folders: Sequence[str | Path], broken: list[BundleError]) -> Iterator[tuple[str, Path]]:
    """Yield name and folder of everything that may be a bundle; a folder that cannot be listed goes to ``broken``."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            broken.append(BundleError(str(error.filename), f"cannot be listed: {error.strerror}.", "Allow reading it."))

    for name in SHIPPED:
        with suppress(BundleError):
            yield name, bundle_folder(name)
    for folder in folders:
        walk = os.walk(folder, onerror=refuse)
        for found in sorted(Path(place) for place, _, names in walk if "card.json" in names):
            yield str(found), found
