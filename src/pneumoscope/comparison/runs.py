"""The runs of a comparison, one a network: their results, and what each network costs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from pneumoscope.bundle.benchmark import measure_bundle
from pneumoscope.bundle.card import Card, read_card
from pneumoscope.comparison.entries import ComparisonEntry
from pneumoscope.comparison.result import Cost
from pneumoscope.core.errors import RunError
from pneumoscope.core.files import write_json
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.loop.fit import open_run
from pneumoscope.training.networks.summary import build_unweighted
from pneumoscope.training.plan import Plan

COST = "cost.json"


@dataclass(frozen=True)
class EntryResult:
    """The result of an entry.

    Args:
        entry: The network.
        status: Whether its run is finished.
        folder: Of its run.
        reason: Why there is no finished run; empty where there is one.
    """

    entry: ComparisonEntry
    status: Literal["done", "not run", "failed"]
    folder: Path
    reason: str = ""


def is_finished(plan: Plan, folder: Path) -> bool:
    """Return whether ``folder`` holds the finished run of this plan.

    Raises:
        RunError: It holds a run of another recipe or other data.
    """
    if not (folder / "evaluation.json").is_file():
        return False
    open_run(folder, plan, resume=True)
    return (folder / "bundle" / "card.json").is_file()


def read_card_of(folder: Path) -> tuple[Card, str]:
    """Return the card of a run's bundle and its identity."""
    return read_card(folder / "bundle")


def read_curve(folder: Path) -> tuple[dict[str, float], ...]:
    """Return a run's metrics.csv, a row an epoch, without empty cells."""
    with (folder / "metrics.csv").open(newline="") as file:
        return tuple({key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file))


def read_probabilities(folder: Path, labels: Sequence[str], hashes: Sequence[str]) -> NDArray[np.float64]:
    """Return the probabilities [N, C] that a run's bundle gave to the validation images.

    Args:
        folder: The run's.
        labels: C names.
        hashes: SHA-256 of the N images, in their order.

    Raises:
        RunError: The predictions are of other images, or one image failed.
    """
    import pyarrow.parquet as pq

    path = folder / "predictions.parquet"
    table = pq.read_table(path, columns=["sha256", *(f"p_{label}" for label in labels)])
    if table.column("sha256").to_pylist() != list(hashes):
        raise RunError(str(path), "does not hold the validation images of this manifest.", f"Delete {folder}.")
    probabilities = np.column_stack([table.column(f"p_{label}").to_numpy() for label in labels]).astype(np.float64)
    if np.isnan(probabilities).any():
        raise RunError(str(path), "has images that could not be predicted.", "Check the images: data check")
    return probabilities


def count_operations(recipe: Recipe) -> int:
    """Return the multiply-adds that a network needs for one image, without preprocessing."""
    model = build_unweighted(recipe).eval()
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        model(torch.zeros(1, 1, recipe.input.size, recipe.input.size))
    return int(counter.get_total_flops() // 2)  # torch counts a multiply-add as two


def _training_seconds(folder: Path) -> float | None:
    """Return the seconds of all epochs and of a frozen backbone's pass; None for a run without ``timing.json``."""
    timing, features = folder / "timing.json", folder / "features.json"
    if not timing.is_file():
        return None
    once = json.loads(features.read_text())["seconds"] if features.is_file() else 0.0
    return float(sum(json.loads(timing.read_text())["epoch_seconds"]) + once)


def measure_cost(result: EntryResult, side: int) -> Cost:
    """Return what a finished run costs; measured once and saved beside it.

    Args:
        result: Of a finished run.
        side: Of the images with which latency is measured.
    """
    path = result.folder / COST
    card, identity = read_card_of(result.folder)
    if path.is_file():
        saved = json.loads(path.read_text())
        if saved["identity"] == identity and saved["side"] == side:
            return Cost.model_validate(saved["cost"])
    environment = json.loads((result.folder / "environment.json").read_text())
    measured = measure_bundle(result.folder / "bundle", side)
    cost = Cost(
        training_seconds=_training_seconds(result.folder),
        epochs=len(read_curve(result.folder)),
        device=f"{environment['device']}, {environment['precision']}, {environment['processor']}",
        parameters=card.parameters,
        operations=count_operations(result.entry.recipe),
        model_bytes=card.model_bytes,
        latency=measured.latency,
        latency_range=(measured.low, measured.high),
        memory_bytes=measured.memory_bytes,
    )
    write_json(path, {"identity": identity, "side": side, "cost": cost.model_dump(mode="json")})
    return cost
