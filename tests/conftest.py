"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _shared_folder() -> Path:
    """The real data beside the project, or where PNEUMOSCOPE_SHARED says."""
    return Path(os.environ.get("PNEUMOSCOPE_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real data and weights; skips, and says so, where it is absent."""
    folder = _shared_folder()
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set PNEUMOSCOPE_SHARED)")
    return folder
