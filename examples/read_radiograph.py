"""Read a radiograph from any file format, and look at what the package knows of it."""

import tempfile
from pathlib import Path

import pneumoscope as ps

with tempfile.TemporaryDirectory() as folder:
    # A phantom as a DICOM file; with your own file start at the next step.
    ps.draw_phantoms(folder, per_class=1, labels=["covid-19"], size=256, formats=["dicom"])
    path = next(Path(folder).rglob("*.dcm"))

    radiograph = ps.read(path)

    # float32 [H, W]: 0 = black, 1 = white, row 0 = head, column 0 = the patient's right.
    print("pixels", radiograph.pixels.shape, radiograph.pixels.dtype)
    print("range", radiograph.pixels.min() >= 0, radiograph.pixels.max() <= 1)
    print("format", radiograph.format, "bits", radiograph.bits)
    print("facts", {key: radiograph.metadata[key] for key in ("view", "sex") if key in radiograph.metadata})
