"""The lungs graph of the package, against the exact masks of phantoms and a ratio worked by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pneumoscope.bundle.lungs import BUILTIN_LUNGS, LungOutlines, load_lungs
from pneumoscope.core.errors import BundleError, UsageError
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.stats.segmentation import measure_dice

NAMES = ("lungs", "heart", "lungs-with-heart")


def test_outlines_follow_lungs_that_it_never_saw() -> None:
    model = load_lungs()
    dices = []
    for index in range(6):
        phantom = draw(11, index, "normal", (300, 260))
        outlines = model.outline(phantom.pixels)
        assert outlines.mask("lungs").shape == (300, 260)
        dices.append(measure_dice(outlines.mask("lungs"), phantom.lung_mask))
        with_heart = outlines.square("lungs-with-heart")
        assert (outlines.square("heart") & with_heart).sum() > 0.4 * outlines.square("heart").sum()
    assert np.mean(dices) > 0.95


def test_the_graph_of_the_package_is_small_and_was_measured_in_another_hospital() -> None:
    assert (BUILTIN_LUNGS / "model.onnx").stat().st_size < 6e6
    ways = {(r.trained_on.split()[0], r.measured_on.split(":")[0]) for r in load_lungs().card.measured}
    assert {("jsrt", "shenzhen"), ("shenzhen", "jsrt")} <= ways


def test_the_ratio_is_that_of_the_widths() -> None:
    probabilities = np.zeros((3, 100, 100), np.float32)
    probabilities[0, 20:80, 10:40] = probabilities[0, 20:80, 60:90] = 1  # from column 10 to column 89
    probabilities[1, 50:80, 35:67] = 0.9  # 32 columns
    outlines = LungOutlines(probabilities, NAMES, (200, 400))
    assert outlines.cardiothoracic_ratio == pytest.approx(32 / 80)
    heart, chest = outlines.cardiothoracic_widths or ()
    assert (heart.start, heart.end, chest.start, chest.end) == (0.35, 0.67, 0.1, 0.9)
    assert 0.5 < heart.row < 0.8
    assert 0.2 < chest.row < 0.8
    assert outlines.area("lungs") == pytest.approx(2 * 60 * 30 / 100**2)
    assert outlines.mask("heart").shape == (200, 400)
    assert outlines.mask("heart").mean() == pytest.approx(outlines.area("heart"), abs=0.01)


def test_without_a_heart_there_is_no_ratio() -> None:
    assert LungOutlines(np.zeros((3, 8, 8), np.float32), NAMES, (8, 8)).cardiothoracic_ratio is None


def test_what_is_no_radiograph_or_structure_is_named() -> None:
    model = load_lungs()
    for pixels in (np.zeros((8, 8, 3), np.float32), np.full((8, 8), np.nan, np.float32)):
        with pytest.raises(UsageError, match=r"shape|values"):
            model.outline(pixels)
    outlines = model.outline(np.zeros((64, 64), np.float32))
    with pytest.raises(UsageError, match=r"did you mean 'lungs'|Structures: lungs, heart"):
        outlines.area("lung")


def test_an_altered_graph_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(BUILTIN_LUNGS, tmp_path / "lungs")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="is not the graph that its card was written for"):
        load_lungs(folder)


def test_what_is_no_lungs_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"name": "x"}')
    (tmp_path / "model.onnx").touch()
    with pytest.raises(BundleError, match="is no card of a lungs graph"):
        load_lungs(tmp_path)
    with pytest.raises(BundleError, match=r"model\.onnx is missing|card\.json is missing"):
        load_lungs(tmp_path / "nothing")
