"""The pointing game: a model that points at the readers' boxes passes, one that points anywhere does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auditing.test_audit import LUNGS, write_manifest
from bundles import write_bundle
from pneumoscope.auditing.heatmaps import judge_pointing
from pneumoscope.auditing.images import read_audit_set
from pneumoscope.auditing.observations import cells_in_boxes, observe
from pneumoscope.bundle.prediction import Output
from pneumoscope.bundle.runtime import load
from pneumoscope.core.engines.local import LocalEngine
from pneumoscope.core.errors import ManifestError
from pneumoscope.data.boxes import Box, parse_boxes
from pneumoscope.data.manifest import Manifest

GRID = 7
BOX = Box(0.5, 0.0, 0.25, 0.3)


def silent(_: int) -> None:
    """Report nothing."""


def test_cells_are_those_whose_centre_a_box_holds() -> None:
    inside = cells_in_boxes((BOX, Box(0.0, 0.9, 0.1, 0.1)), GRID, GRID)
    # Centres lie at 1/14, 3/14 ... 13/14: columns 7/14 and 9/14, rows 1/14 and 3/14; and column 1/14 of the last row.
    assert sorted(map(tuple, np.argwhere(inside).tolist())) == [(0, 3), (0, 4), (1, 3), (1, 4), (6, 0)]


@pytest.mark.parametrize(
    "text", ["[[0, 0, 1]]", "[[0.5, 0, 0.6, 0.1]]", "[[0, 0, 0, 1]]", "0.1", "[[", "[[0, -0.1, 1, 1]]"]
)
def test_a_box_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="row 3"):
        parse_boxes(text, "row 3, boxes")


@pytest.mark.parametrize(("points", "verdict"), [(True, "pass"), (False, "caution")])
def test_hits_are_held_against_the_share_of_the_boxes(tmp_path: Path, points: bool, verdict: str) -> None:
    manifest = write_manifest(tmp_path, LUNGS, images=120)
    boxes = [json.dumps([BOX])] * len(manifest)
    manifest = Manifest.from_rows(manifest.table.assign(boxes=boxes).to_dict("records"), manifest.roots)
    card = load(write_bundle(tmp_path / "bundle", ("covid-19", "normal"))).card
    images = read_audit_set(manifest, card, None, seed=0, engine=LocalEngine(1), advance=silent)
    learnt = observe(make_network(points), images, LocalEngine(1), silent)
    test = judge_pointing(images, learnt, observe(make_network(False), images, LocalEngine(1), silent))
    assert learnt.boxed.tolist() == [4 / GRID**2] * 120
    assert test.verdict == verdict
    assert test.images == 60
    assert test.chance == pytest.approx(4 / GRID**2)
    if points:
        assert test.effect.value == 1


def make_network(points: bool) -> Callable[[np.ndarray[tuple[int, ...], np.dtype[np.float32]]], Output]:
    """Return a network whose hottest cell lies in the box, or in a cell by chance."""
    rng = np.random.default_rng(1)

    def run(_: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Output:
        heat = np.zeros((1, GRID, GRID), np.float32)
        heat[(0, *((1, 4) if points else rng.integers(0, GRID, 2)))] = 1
        return Output(np.array([0.5, 0.5], np.float32), np.zeros(2, np.float32), heat, np.zeros(3, np.float32), 0.0)

    return run
