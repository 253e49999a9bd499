"""A prediction leaves nothing in the user's home folder: ONNX Runtime would write an identity and events there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PREDICT = """
import numpy as np
import pneumoscope as ps
assert ps.load().predict(np.zeros((64, 64), np.float32))["error"].isna().all()
"""


def test_a_prediction_writes_nothing_to_the_home_folder(tmp_path: Path) -> None:
    keep = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", PREDICT],
        env={**environment, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "LOCALAPPDATA": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []
