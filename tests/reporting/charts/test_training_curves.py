"""The curves: read back as a picture, and without touching matplotlib's global state."""

from __future__ import annotations

import sys

from PIL import Image

from pneumoscope.reporting.charts.training_curves import curves_figure

ROWS = [
    {"epoch": "1", "train_loss": "0.9", "validation_loss": "0.8", "validation_accuracy": "0.7", "validation_auroc": ""},
    {
        "epoch": "2",
        "train_loss": "0.5",
        "validation_loss": "0.6",
        "validation_accuracy": "0.8",
        "validation_auroc": ".9",
    },
    {
        "epoch": "3",
        "train_loss": "0.3",
        "validation_loss": "0.7",
        "validation_accuracy": "0.8",
        "validation_auroc": ".9",
    },
]


def test_curves_are_drawn_from_a_csvs_text(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it raises: nothing global is touched
    curves_figure(ROWS, tmp_path / "curves.png", kept=2, title="flagship")
    with Image.open(tmp_path / "curves.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1_000_000)}
        assert picture.width > 2 * picture.height
    assert {(0x8A, 0x8F, 0x98), (0x0B, 0x63, 0xA5)} <= colours  # training and validation


def test_only_what_is_known_is_drawn(tmp_path):
    curves_figure(ROWS[:1], tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text()
    assert "<!-- validation accuracy -->" in text
    assert "<!-- validation AUROC -->" not in text
    assert "<!-- kept" not in text
    curves_figure(ROWS, tmp_path / "all.svg", kept=2)
    text = (tmp_path / "all.svg").read_text()
    assert "<!-- validation AUROC -->" in text
    assert "<!-- kept: epoch 2 -->" in text
