"""Facts measured on files, against the settings with which the files were written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.data.checks.file_facts import measure, measure_all

Draw = Callable[..., Path]


def _texture(draw: Draw, folder: Path, side: int = 128) -> NDArray[np.uint8]:
    with Image.open(draw(folder / "drawn.png", 0, side)) as image:
        return np.array(image)


@pytest.mark.parametrize("quality", [20, 60, 75, 90, 95])
def test_the_jpeg_quality_is_the_one_given_to_pillow(tmp_path: Path, draw: Draw, quality: int) -> None:
    Image.fromarray(_texture(draw, tmp_path)).save(tmp_path / "a.jpg", quality=quality)
    assert measure(tmp_path / "a.jpg")[0].quality == pytest.approx(quality, abs=1)


def test_borders_are_shares_of_the_side(tmp_path: Path, draw: Draw) -> None:
    picture = np.maximum(_texture(draw, tmp_path, 100), 60)
    picture[:, :7] = 0
    picture[-12:] = 3
    Image.fromarray(picture).save(tmp_path / "a.png")
    facts, small, _ = measure(tmp_path / "a.png")
    assert (facts.left, facts.right, facts.top, facts.bottom) == (0.07, 0.0, 0.0, 0.12)
    assert facts.mean == pytest.approx(picture.mean() / 255, abs=1e-4)
    assert np.isnan(facts.quality)
    assert facts.format == "png"
    assert small.shape == (64, 64)


def test_a_light_frame_is_detected(tmp_path: Path, draw: Draw) -> None:
    picture = np.minimum(_texture(draw, tmp_path, 100), 150)
    Image.fromarray(picture).save(tmp_path / "a.png")
    picture[[0, -1]] = 230
    picture[:, [0, -1]] = 230
    Image.fromarray(picture).save(tmp_path / "b.png")
    assert [measure(tmp_path / name)[0].frame for name in ("a.png", "b.png")] == [False, True]


def test_a_blank_image_has_one_grey(tmp_path: Path) -> None:
    Image.new("L", (50, 40), 17).save(tmp_path / "a.png")
    facts, *_ = measure(tmp_path / "a.png")
    assert facts.commonest == 1.0


def test_an_unreadable_file_keeps_its_place(tmp_path: Path, draw: Draw) -> None:
    Image.fromarray(_texture(draw, tmp_path)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    table, small, _ = measure_all([tmp_path / "b.png", tmp_path / "a.png"])
    assert "empty" in table.error[0]
    assert table.error[1] == ""
    assert not small[0].any()
    assert small[1].any()
