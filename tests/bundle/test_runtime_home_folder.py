"""A prediction writes nothing to the user's home folder. By default ONNX Runtime writes an identity there."""

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
    inherited = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in inherited if name in os.environ}
    result = subprocess.run(
        [sys.executable, "-c", PREDICT],
        env={**environment, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "LOCALAPPDATA": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.rglob("*")) == []
