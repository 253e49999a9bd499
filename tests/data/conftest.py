"""Small pictures with enough detail to differ, drawn from a seed. None is an image of a patient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from pneumoscope.data.manifest import Manifest


def texture(seed: int, side: int = 128) -> NDArray[np.uint8]:
    """Return grey levels [side, side]: smooth noise, as fine as ribs and vessels on a radiograph."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), side / 64)
    low, high = np.quantile(noise, [0.01, 0.99])
    return (np.clip((noise - low) / (high - low), 0, 1) * 255).astype(np.uint8)


@pytest.fixture
def draw() -> Callable[..., Path]:
    """A function that writes the picture of a seed and returns its path: ``draw(path, seed)``."""

    def write(path: Path, seed: int, side: int = 128) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(texture(seed, side)).save(path)
        return path

    return write


def row(number: int, **values: Any) -> dict[str, Any]:
    """Return a valid manifest row with its own image, group and hashes."""
    return {
        "image": f"a/{number}.png",
        "source": "here",
        "label": "normal",
        "raw_label": "N",
        "group": f"g{number}",
        "width": 3,
        "height": 4,
        "bits": 8,
        "sha256": f"{number:064x}",
        "phash": f"{number:016x}",
        **values,
    }


@pytest.fixture
def make_row() -> Callable[..., dict[str, Any]]:
    return row


@pytest.fixture
def cohort() -> Manifest:
    """2,000 images of about 1,500 groups, two sources, three labels; some groups have several labels."""
    random = np.random.default_rng(0)
    rows = [
        row(
            number,
            source=str(random.choice(["large", "small"], p=[0.9, 0.1])),
            label=str(random.choice(["normal", "covid-19", "pneumonia"], p=[0.5, 0.35, 0.15])),
            group=f"g{random.integers(3000)}",
        )
        for number in range(2000)
    ]
    return Manifest.from_rows(rows, {})
