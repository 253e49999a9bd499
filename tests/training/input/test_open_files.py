"""The cache maps its shards without keeping them open, so that a million images need no thousands of open files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from pneumoscope.core.files import sha256_of
from pneumoscope.training.input import cache
from pneumoscope.training.input.dataset import keys_of

OPEN = Path("/proc/self/fd")


@pytest.mark.skipif(not OPEN.is_dir(), reason="needs /proc")
def test_shards_are_mapped_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SHARD", 2)
    random, paths = np.random.default_rng(0), []
    for number in range(12):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(random.integers(0, 256, (16, 16), dtype=np.uint8)).save(paths[-1])
    paths.append(paths[0])  # one image twice
    hashes = [sha256_of(path) for path in paths]
    before = len(list(OPEN.iterdir()))
    for _ in range(2):  # made, and found again
        images = cache.open_cache(paths, hashes, 16, folder=tmp_path / "cache")
        assert len(images.shards) == 6
        assert len(list(OPEN.iterdir())) == before
        for place, path in enumerate(paths):
            assert np.abs(images.take([place])[0, 0].numpy().astype(int) - np.asarray(Image.open(path))).max() <= 1


def test_keys_are_the_first_64_bits() -> None:
    hashes = [f"{number:064x}" for number in (0, 1)] + ["f" * 64, "0123456789abcdef" + "0" * 48]
    assert keys_of(hashes).tolist() == [0, 0, 2**64 - 1, 0x0123456789ABCDEF]
