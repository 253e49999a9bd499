"""Train a small network on phantoms, watch its epochs with a callback, and measure it once on the test part."""

import tempfile
from pathlib import Path

import pneumoscope as ps
from pneumoscope.core.callbacks import EpochEnd


class Epochs(ps.Callbacks):
    """Counts the epochs; print ``end`` to see losses and figures."""

    count = 0

    def epoch(self, end: EpochEnd) -> None:
        """Receive what an epoch came to."""
        self.count += 1


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    drawn = ps.draw_phantoms(folder / "set", per_class=12, labels=["covid-19", "normal"], size=64)
    ps.split(drawn, folder / "m.parquet", validation=0.2, calibration=0.2)

    epochs = Epochs()
    sets = ["task.classes=[covid-19, normal]", "training.epochs=2"]
    ps.train("lenet-128", folder / "m.parquet", folder / "run", sets=sets, callbacks=epochs)
    print("epochs", epochs.count)

    evaluation = ps.evaluate(folder / "run", folder / "m.parquet", "test", resamples=200)
    print("accuracy on test", evaluation.figures.overall["accuracy"].value)
