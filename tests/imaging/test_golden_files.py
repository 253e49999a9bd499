"""The published golden files: this decoder matches them, and the generator still draws them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files import make
from pneumoscope.imaging.read import read

pytest.importorskip("pydicom", reason="the golden set has DICOM files")
FOLDER = make.FOLDER
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = MANIFEST["cases"]
READABLE = [case for case in CASES if "expected" in case]
REFUSED = [case for case in CASES if case.get("refused")]


def expected(folder: Path, case: dict[str, Any]) -> np.ndarray:
    return np.fromfile(folder / case["expected"], "<f4").reshape(case["shape"])


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case["file"])
def test_the_decoder_matches_the_published_array(case: dict[str, Any]) -> None:
    radiograph = read(FOLDER / case["file"], depth=case.get("depth"))
    assert radiograph.pixels.dtype == np.float32
    assert radiograph.pixels.flags.c_contiguous
    assert radiograph.bits == case["bits"]
    np.testing.assert_allclose(radiograph.pixels, expected(FOLDER, case), rtol=0, atol=case["tolerance"])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["file"])
def test_the_decoder_refuses_the_files_of_the_refused_cases(case: dict[str, Any]) -> None:
    with pytest.raises(ImageError):
        read(FOLDER / case["file"])


def test_the_pattern_differs_in_every_orientation() -> None:
    plain = make.pattern(8)
    turns = [np.rot90(image, quarter) for image in (plain, plain.T) for quarter in range(4)]
    for i, one in enumerate(turns):
        for other in turns[i + 1 :]:
            assert one.shape != other.shape or (one != other).mean() > 0.9


def test_the_folder_contains_exactly_the_files_of_the_manifest() -> None:
    listed = {case["file"] for case in CASES} | {case["expected"] for case in READABLE} | {"manifest.json"}
    assert {path.name for path in FOLDER.iterdir()} == listed


def test_the_generator_draws_the_published_set(tmp_path: Path) -> None:
    pytest.importorskip("jpeg_ls", reason="pyjpegls encodes one of the files")
    make.write(tmp_path)
    rebuilt = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert rebuilt == MANIFEST
    for case in READABLE:
        # Encoders differ in bytes from version to version; the arrays must not.
        np.testing.assert_array_equal(expected(tmp_path, case), expected(FOLDER, case), err_msg=case["file"])
        new, old = (read(folder / case["file"], depth=case.get("depth")) for folder in (tmp_path, FOLDER))
        np.testing.assert_array_equal(new.pixels, old.pixels, err_msg=case["file"])
