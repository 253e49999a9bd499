"""Read a companion graph's folder, ``model.onnx`` with its ``card.json``, in one way for gatekeeper and lungs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from pneumoscope.bundle.card import identity
from pneumoscope.bundle.session import open_session
from pneumoscope.core.errors import BundleError, MissingBundleError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.frozen import Frozen

SCHEMA_VERSION = 1


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
        BundleError: It was altered, or its card is of another schema.
    """
    card_path, model_path = folder / "card.json", folder / "model.onnx"
    for path in (card_path, model_path):
        if not path.is_file():
            raise MissingBundleError(str(folder), f"is no {name}: {path.name} is missing.", "Train one.")
    raw = card_path.read_bytes()
    try:
        card = card_type.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])  # empty where the file is no JSON
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        raise BundleError(str(card_path), f"is no card of a {name}: {problem}.", f"Name a {name}'s folder.") from error
    if card.schema_version != SCHEMA_VERSION:
        raise BundleError(
            str(card_path),
            f"has schema version {card.schema_version}; this program reads {SCHEMA_VERSION}.",
            "Update the program.",
        )
    if sha256_of(model_path) != card.model_sha256:
        raise BundleError(str(model_path), "is not the graph that its card was written for.", "Train it again.")
    return card, identity(raw), open_session(model_path)
