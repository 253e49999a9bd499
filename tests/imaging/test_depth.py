"""A depth for 16-bit files in every way in: Python, `predict`, `data import` and what reads a manifest afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pneumoscope as ps
from bundles import write_bundle
from pneumoscope.cli.main import app
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import sha256_of
from pneumoscope.data.scan_worker import FileToRead, scan_chunk
from pneumoscope.imaging.golden_files import make
from pneumoscope.imaging.golden_files.encode import dicom, png, tiff
from pneumoscope.imaging.read import decode

# 2,457 is .6 of 12 bits and .0375 of 16; the tiny bundle's first logit is 10 (v - .5).
DIM = np.full((30, 40), 2457)
LOUD = np.full((30, 40), 30_000)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Two 16-bit files that hold 12 bits, and one that uses its 16."""
    folder = tmp_path / "studies" / "normal"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png(DIM, 16, 0))
    (folder / "b.tif").write_bytes(tiff(DIM + make.pattern(1)[:1, :1], 16, 1))
    return folder.parent


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("write", [lambda values: png(values, 16, 0), lambda values: tiff(values, 16, 1)])
def test_a_16_bit_file_without_a_value_above_4095_says_so(write: Any) -> None:
    assert decode(write(DIM), "x").metadata == {"largest_value": 2457}
    assert decode(write(np.full((3, 3), 4095)), "x").metadata == {"largest_value": 4095}
    assert decode(write(np.full((3, 3), 4096)), "x").metadata == {}
    assert decode(write(DIM), "x", depth=12).metadata == {"depth": 12}


def test_other_depths_say_nothing() -> None:
    assert decode(png(make.pattern(8), 8, 0), "x", depth=12).metadata == {}
    assert decode(tiff(make.pattern(12), 12, 1), "x").metadata == {}
    pytest.importorskip("pydicom")
    assert "largest_value" not in decode(dicom(make.pattern(12), 12), "x", depth=10).metadata


def test_predict_takes_a_depth_and_says_where_one_is_missing(studies: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny")
    dim = run("predict", "--model", bundle, studies)
    text = " ".join((dim.stdout + dim.stderr).split())
    assert "2 files store 16 bits and hold no value above 4,095" in text
    assert text.count("declare a depth of 12") == 1
    deep = run("predict", "--model", bundle, "--depth", "12", "--json", studies)
    scores = [row["p_covid-19"] for row in json.loads(deep.stdout)["predictions"]]
    # softmax of (1, -.5, 0)
    expected = np.exp(1) / (np.exp(1) + np.exp(-0.5) + 1)
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    assert "4,095" not in deep.stdout + deep.stderr


def test_python_takes_a_depth_wherever_it_takes_files(studies: Path, tmp_path: Path) -> None:
    model = ps.load(write_bundle(tmp_path / "tiny"))
    table = model.predict([studies, (studies / "normal/a.png").read_bytes()], depth=12)
    np.testing.assert_allclose(table["p_covid-19"], np.exp(1) / (np.exp(1) + np.exp(-0.5) + 1), atol=1e-3)
    for wrong in (0, 17):
        with pytest.raises(UsageError, match="is not a number of bits"):
            model.predict(studies, depth=wrong)
        with pytest.raises(UsageError, match="is not a number of bits"):
            ps.predict(studies, model, depth=wrong)


def test_a_journal_of_another_depth_starts_again(studies: Path, tmp_path: Path) -> None:
    from pneumoscope.inference.journal import Journal

    model = ps.load(write_bundle(tmp_path / "tiny"))
    with Journal(tmp_path / "x.csv", model, None) as journal:
        assert list(journal.resume([])) == []
    with Journal(tmp_path / "x.csv", model, None, 12) as journal:
        list(journal.resume([]))
        assert "another `depth`" in journal.note


def test_import_keeps_the_depth_for_everything_that_reads_the_manifest(studies: Path, tmp_path: Path) -> None:
    shown = run("data", "import", "folder", studies, "-o", tmp_path / "dim.parquet")
    text = " ".join((shown.stdout + shown.stderr).split())
    assert "Note: 2 files store 16 bits and hold no value above 4,095" in text
    shown = run("data", "import", "folder", studies, "-o", tmp_path / "deep.parquet", "--depth", "12")
    assert "4,095" not in shown.stdout + shown.stderr
    dim, deep = ps.Manifest.read(tmp_path / "dim.parquet"), ps.Manifest.read(tmp_path / "deep.parquet")
    assert (dim.table.bits.tolist(), dim.depths()) == ([16, 16], [None, None])
    assert (deep.table.bits.tolist(), deep.depths()) == ([12, 12], [12, 12])
    small = scan_chunk([FileToRead(str(deep.paths()[0]), 12)]).small
    assert small.mean() / 65_535 == pytest.approx(0.6, abs=1e-3)


def test_the_training_cache_reads_each_depth(studies: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs torch")
    from pneumoscope.training.input.cache import open_cache

    path = studies / "normal/a.png"
    sha256 = sha256_of(path)
    for depth, level in ((None, 10), (12, 153), (None, 10)):
        images = open_cache([path], [sha256], 16, depths=[depth], folder=tmp_path / "cache")
        assert int(images.take([0]).max()) == level


def test_the_checks_measure_the_declared_depth(studies: Path) -> None:
    from pneumoscope.data.checks.file_facts import measure

    path = studies / "normal/a.png"
    assert measure(path, 12)[0].mean == pytest.approx(0.6, abs=1e-3)
    assert measure(path)[0].mean == pytest.approx(0.0375, abs=1e-3)


def test_the_note_appears_once_a_run(studies: Path) -> None:
    class Messages(Callbacks):
        def __init__(self) -> None:
            self.texts: list[str] = []

        def message(self, text: str) -> None:
            self.texts.append(text)

    messages = Messages()
    ps.predict(studies / "normal/a.png", callbacks=messages)
    assert [text for text in messages.texts if "4,095" in text] == [
        "1 file stores 16 bits and holds no value above 4,095, so that it is nearly black. "
        "If 12 bits are in use, declare a depth of 12."
    ]
