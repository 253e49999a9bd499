"""The curves of a training are readable as a picture and do not touch matplotlib's global state."""

from __future__ import annotations

import sys

from PIL import Image

from pneumoscope.reporting.charts.figure import ACCENT, SOFT
from pneumoscope.reporting.charts.training_curves import draw_training_curves, write_training_curves

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
    write_training_curves(ROWS, tmp_path / "curves.png", kept_epoch=2, title="flagship")
    with Image.open(tmp_path / "curves.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1_000_000)}
        assert picture.width > 2 * picture.height
    training, validation = (tuple(bytes.fromhex(colour[1:])) for colour in (SOFT, ACCENT))
    assert {training, validation} <= colours


def test_only_known_values_are_drawn():
    def labels(**options) -> list[str]:
        figure = draw_training_curves(**options)
        return [label for axes in figure.axes for label in axes.get_legend_handles_labels()[1]]

    one = labels(rows=ROWS[:1])
    assert one == ["validation loss", "train loss", "validation accuracy"]
    every = labels(rows=ROWS, kept_epoch=2)
    assert "validation AUROC" in every
    assert every.count("kept: epoch 2") == 2
