"""Run the data checks on two sets: one in which the source gives the label away, and one in which it does not."""

import tempfile
from pathlib import Path

import pneumoscope as ps

LABELS = ["covid-19", "normal"]

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for title, shortcut in (("fair", 0.0), ("trap", 0.95)):
        drawn = ps.draw_phantoms(folder / title, per_class=14, labels=LABELS, size=64, shortcut=shortcut)
        manifest, _ = ps.split(drawn, validation=0.2, calibration=0.2)

        report = ps.check(manifest)

        print(f"{title}: {'passes' if report.passes() else 'does not pass'}")
        for finding in report.findings:
            print(f"  {finding.severity}: {finding.name}")
