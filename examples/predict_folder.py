"""Ask the built-in model about a folder: a table with one row for each file, also for those that can't be read."""

import tempfile
from pathlib import Path

import pneumoscope as ps

print(ps.DISCLAIMER)

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    ps.draw_phantoms(folder / "set", per_class=2, labels=["covid-19", "normal"], size=256)
    images = folder / "set" / "images"
    (images / "broken.png").write_bytes(b"this is not an image")

    model = ps.load()  # or ps.load("runs/x")
    table = model.predict(sorted(images.iterdir()))

    answered = table[~table["refused"].fillna(False).astype(bool) & table["error"].isna()]
    print(f"{len(table)} files, {len(answered)} answers, {table['error'].notna().sum()} error")
    print("columns", *table.columns[:6])

    # Any number of files, in constant memory, to a file; the same call resumes where it stopped.
    summary = ps.predict(images, model, output=folder / "out.csv", heatmaps=folder / "maps")
    print((folder / "out.csv").stat().st_size > 0, summary.decisions)
