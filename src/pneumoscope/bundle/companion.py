"""Read a companion graph's folder, ``model.onnx`` with its ``card.json``, in one way for gatekeeper and lungs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from pneumoscope.bundle.card import identity
from pneumoscope.bundle.graph_check import check_links
from pneumoscope.bundle.session import open_session
from pneumoscope.core.errors import BundleError, MissingBundleError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.frozen import Frozen

SCHEMA_VERSION = 1

INSTALL_AGAIN = "Install the package again: `pip install --force-reinstall pneumoscope`."
"""The way out where a companion of the package itself was altered."""

_PACKAGE = Path(__file__).resolve().parents[1]


class CompanionCard(Frozen):
    """What the cards of all companions say."""

    schema_version: int = SCHEMA_VERSION
    name: str
    created: str = Field(description="UTC, ISO 8601")
    software: dict[str, str]
    model_sha256: str


Card = TypeVar("Card", bound=CompanionCard)


def read_companion(folder: Path, card_type: type[Card], name: str) -> tuple[Card, str, Any]:
    """Return a companion's card, the card's identity, and a session of its graph.

    Args:
        folder: It holds ``card.json`` and ``model.onnx``.
        card_type: The kind of card.
        name: What an error calls such a companion, such as "lungs graph".

    Raises:
        MissingBundleError: A file of it is missing.
        BundleError: It was altered or holds a symbolic link, or its card is of another schema.
    """
    card_path, model_path = folder / "card.json", folder / "model.onnx"
    own = is_of_package(folder)
    for path in (card_path, model_path):
        if not path.is_file():
            way_out = INSTALL_AGAIN if own else "Train one."
            raise MissingBundleError(str(folder), f"is no {name}: {path.name} is missing.", way_out)
    check_links(folder)
    raw = card_path.read_bytes()
    try:
        card = card_type.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])  # empty where the file is no JSON
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        raise BundleError(
            str(card_path), f"is no card of a {name}: {problem}.", INSTALL_AGAIN if own else f"Name a {name}'s folder."
        ) from error
    if card.schema_version != SCHEMA_VERSION:
        raise BundleError(
            str(card_path),
            f"has schema version {card.schema_version}; this program reads {SCHEMA_VERSION}.",
            "Update the program.",
        )
    if sha256_of(model_path) != card.model_sha256:
        way_out = INSTALL_AGAIN if own else "Train it again."
        raise BundleError(str(model_path), "is not the graph that its card was written for.", way_out)
    return card, identity(raw), open_session(model_path)


def is_of_package(folder: Path) -> bool:
    """Return whether a folder is one of those that ship with the package."""
    return folder.resolve().is_relative_to(_PACKAGE)


def check_outputs(folder: Path, session: Any, output: str, names: Sequence[str], what: str) -> None:
    """Check that a graph gives one value for each name on its card.

    Args:
        folder: Of the companion.
        session: Of its graph.
        output: The output of the graph, [N, K, ...].
        names: The K names on the card.
        what: What they are called, such as "answers".

    Raises:
        BundleError: The graph has no such output, or another number of values.
    """
    shapes = {item.name: item.shape for item in session.get_outputs()}
    count = shapes[output][1] if output in shapes else 0
    if count != len(names) and not (output in shapes and isinstance(count, str)):
        raise BundleError(
            str(folder / "card.json"),
            f"names {len(names)} {what} ({', '.join(names)}); its graph gives {count}.",
            INSTALL_AGAIN if is_of_package(folder) else "Train it again.",
        )
