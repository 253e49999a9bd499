"""Measure the built-in model on images that it has never seen: every figure with its 95% interval."""

import tempfile

import pneumoscope as ps

with tempfile.TemporaryDirectory() as folder:
    # Phantoms say nothing about patients. With your own images: ps.import_data("folder", "mine", mapping={...}).
    manifest = ps.draw_phantoms(folder, per_class=15, labels=["covid-19", "normal"], size=256)

    evaluation = ps.evaluate("builtin", manifest, "all", resamples=200)

    print(evaluation.group_sentence)
    for name in ("accuracy", "log_loss"):
        figure = evaluation.figures.overall[name]
        interval = "no interval" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"
        print(f"{name}: {figure.value:.3f} ({interval})")
