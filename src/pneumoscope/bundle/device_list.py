"""The list of bundles that a browser downloads to run them itself: their files, sizes and hashes.

The server answers with it, and an exported folder holds it. The page checks each file against its hash, and the card of
a bundle against the identity, which is the card's own hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from pneumoscope.bundle.card import Card, read_card
from pneumoscope.bundle.companion import CompanionCard
from pneumoscope.bundle.evidence import NOT_AUDITED, describe_verdict, filter_stamps, read, show
from pneumoscope.bundle.gatekeeper import BUILTIN_GATEKEEPER, builtin_gatekeeper
from pneumoscope.bundle.lungs import BUILTIN_LUNGS, builtin_lungs
from pneumoscope.core.errors import BundleError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.frozen import Frozen

SCHEMA_VERSION = 1
CARD, GRAPH = "card.json", "model.onnx"
FILES = (CARD, GRAPH)
"""The files of a bundle that a browser needs."""
EVIDENCE = "evidence.json"
"""What became known of a classifier after its export; it is made from the bundle's evidence when it is asked for."""

_WORDS = {"pass": "passed", "fail": "failed"}
"""Verdict of an audit -> the word on the pages, where they differ."""


class DeviceFile(Frozen):
    """A file to download."""

    path: str = Field(description="relative to the address of the list")
    bytes: int
    sha256: str


class DeviceBundle(Frozen):
    """A bundle to download."""

    identity: str = Field(description="SHA-256 of the card")
    role: Literal["classifier", "gatekeeper", "lungs"]
    name: str
    version: str = ""
    labels: tuple[str, ...] = ()
    label_names: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="label -> language -> name on screen, of labels that the app does not bring"
    )
    audit: str = NOT_AUDITED
    stamps: tuple[str, ...] = ()
    synthetic: bool = False
    card: DeviceFile
    model: DeviceFile
    evidence: DeviceFile | None = Field(
        default=None, description="of a classifier; none where its evidence was altered: what it says is not known"
    )


class DeviceList(Frozen):
    """All bundles to download: classifiers, and the companions that look at an image before them."""

    schema_version: int = SCHEMA_VERSION
    bundles: tuple[DeviceBundle, ...]


Address = Callable[[str, str], str]
"""Returns the address of a bundle's file, relative to the list, from the bundle's identity and the file's name."""


def companion_folders() -> dict[str, Path]:
    """Return where the companions of the package lie, by identity."""
    return {builtin_gatekeeper().identity: BUILTIN_GATEKEEPER, builtin_lungs().identity: BUILTIN_LUNGS}


def list_for_device(folders: Iterable[Path], address: Address) -> DeviceList:
    """Return the list of some classifiers and of the package's companions.

    Args:
        folders: Of the classifiers' bundles, each of which is read and verified.
        address: Where their files will be found.

    Raises:
        BundleError: A bundle is incomplete or altered.
    """
    classifiers = [_describe_classifier(folder, *read_card(folder), address) for folder in folders]
    companions = (
        _describe_companion("gatekeeper", BUILTIN_GATEKEEPER, builtin_gatekeeper().card, address),
        _describe_companion("lungs", BUILTIN_LUNGS, builtin_lungs().card, address),
    )
    return DeviceList(bundles=(*classifiers, *companions))


def encode_evidence(folder: Path, identity: str) -> bytes | None:
    """Return what became known of a classifier as the bytes of `EVIDENCE`; None where its evidence was altered.

    The scores of a site's patients stay here: the page shows none of them, and a folder may become public.

    Args:
        folder: The bundle's folder.
        identity: SHA-256 of ``card.json``.
    """
    try:
        facts = show(fact for _, fact in read(folder, identity))
    except BundleError:
        return None
    for fact in facts:
        fact.pop("baseline", None)
    return (json.dumps(facts, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _describe_classifier(folder: Path, card: Card, identity: str, address: Address) -> DeviceBundle:
    verdict = describe_verdict(folder, identity, card.asked_findings)
    facts = encode_evidence(folder, identity)
    return DeviceBundle(
        identity=identity,
        role="classifier",
        name=card.name,
        version=card.version,
        labels=card.label_names,
        label_names={label.name: dict(label.names) for label in card.labels if label.names},
        audit=_WORDS.get(verdict, verdict),
        stamps=filter_stamps(card.stamps, audited=verdict != NOT_AUDITED),
        synthetic=card.synthetic,
        card=_describe_file(folder, identity, CARD, identity, address),
        model=_describe_file(folder, identity, GRAPH, card.model_sha256, address),
        evidence=None
        if facts is None
        else DeviceFile(path=address(identity, EVIDENCE), bytes=len(facts), sha256=hashlib.sha256(facts).hexdigest()),
    )


def _describe_companion(
    role: Literal["gatekeeper", "lungs"], folder: Path, card: CompanionCard, address: Address
) -> DeviceBundle:
    identity = sha256_of(folder / CARD)
    return DeviceBundle(
        identity=identity,
        role=role,
        name=card.name,
        card=_describe_file(folder, identity, CARD, identity, address),
        model=_describe_file(folder, identity, GRAPH, card.model_sha256, address),
    )


def _describe_file(folder: Path, identity: str, name: str, sha256: str, address: Address) -> DeviceFile:
    return DeviceFile(path=address(identity, name), bytes=(folder / name).stat().st_size, sha256=sha256)
