"""A bundle that is made of another one: the parent's card, with what changed, and a comparison with the parent."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope import __version__
from pneumoscope.bundle.card import Card, identity
from pneumoscope.bundle.runtime import load
from pneumoscope.core.files import sha256_of, write_json, write_text
from pneumoscope.export.format import ExportJob, ExportReport
from pneumoscope.export.sessions import largest_differences
from pneumoscope.reporting.model_card import render_model_card

EIGHT_BITS = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""Operators of a graph with 8-bit weights."""
NOT_AUDITED = "not audited"
"""Stamp of a derived bundle: a verdict on other arithmetic is not its own."""
ADVICE = "This is a bundle of its own: name its folder as the model of `pneumoscope predict` and the others."


def has_eight_bits(folder: Path) -> bool:
    """Return whether the graph of a bundle has 8-bit weights.

    Args:
        folder: Of the bundle.
    """
    import onnx

    graph = onnx.load(folder / "model.onnx").graph
    eight = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    return any(node.op_type in EIGHT_BITS for node in graph.node) or any(
        tensor.data_type in eight for tensor in graph.initializer
    )


def complete_bundle(
    job: ExportJob, suffix: str, said: str, images: Sequence[NDArray[np.float32]], notes: tuple[str, ...]
) -> ExportReport:
    """Write what belongs to a derived bundle beside its graph, and compare it with its parent.

    Args:
        job: Its folder holds the new ``model.onnx``.
        suffix: Of the new name.
        said: What changed, as the first of the card's limits.
        images: [H, W] float32 each, on which both are compared.
        notes: For the user, after the advice how to use the bundle.
    """
    parent = job.model
    text = _describe(parent.card, parent.identity, suffix, said, job.folder / "model.onnx").to_json()
    name = identity(text.encode())
    write_text(job.folder / "card.json", text)
    write_text(job.folder / "CARD.md", render_model_card(Card.model_validate_json(text), name))
    if (parent.folder / "recipe.yaml").is_file():
        shutil.copyfile(parent.folder / "recipe.yaml", job.folder / "recipe.yaml")
    differences = largest_differences(parent, load(job.folder), images)
    write_json(
        job.folder / "evidence" / "parity.json",
        {"bundle": name, "from": parent.identity, "images": len(images), "largest difference": differences},
    )
    return ExportReport(differences, len(images), (ADVICE, *notes))


def _describe(card: Card, parent: str, suffix: str, said: str, path: Path) -> Card:
    """Return the card: the parent's, with what changed."""
    return card.model_copy(
        update={
            "name": f"{card.name}-{suffix}",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": card.software | {"pneumoscope": __version__, "onnxruntime": version("onnxruntime")},
            "limits": (said, *card.limits),
            "stamps": (NOT_AUDITED, *(stamp for stamp in card.stamps if stamp != NOT_AUDITED)),
            "derived_from": parent,
            "model_sha256": sha256_of(path),
            "model_bytes": path.stat().st_size,
        }
    )
