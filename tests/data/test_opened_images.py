"""Test images are recognised by their pixels and perceptual hashes, whatever happens to their files."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pneumoscope.data.fingerprint import perceptual_hash, thumbnail
from pneumoscope.data.ledger import KnownOpening, find_openings, ledger_path, record_opening
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.opened_images import OpenedImages, pixels_hash, read_opened_images
from pneumoscope.imaging.read import read

NUMBER = 12


@pytest.fixture(autouse=True)
def _temporary_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))


def picture(seed: int) -> Image.Image:
    """Return a smooth random picture of 200 x 180."""
    small = np.random.default_rng(seed).integers(0, 255, (9, 8)).astype(np.uint8)
    return Image.fromarray(small).resize((180, 200), Image.Resampling.BICUBIC)


def with_comment(image: Image.Image, path: Path) -> None:
    """Write a PNG whose bytes differ and whose pixels do not."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", path.name)
    image.save(path, pnginfo=info)


def as_jpeg(image: Image.Image, path: Path) -> None:
    """Write the picture compressed to JPEG and back."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    Image.open(buffer).save(path)


def resized(image: Image.Image, path: Path) -> None:
    """Write the picture at another size."""
    image.resize((224, 224)).save(path)


def images_of(folder: Path, write: Callable[[Image.Image, Path], None], first: int = 0) -> OpenedImages:
    """Return the images of a drawn test part."""
    folder.mkdir()
    rows = []
    for number in range(first, first + NUMBER):
        path = folder / f"{number}.png"
        write(picture(number), path)
        rows.append(
            {
                "image": path.name,
                "source": "here",
                "label": "normal",
                "raw_label": "normal",
                "group": str(number),
                "width": 1,
                "height": 1,
                "bits": 8,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "phash": perceptual_hash(thumbnail(read(path).pixels)),
            }
        )
    return read_opened_images(Manifest.from_rows(rows, {"here": folder}))


@pytest.mark.parametrize("write", [with_comment, as_jpeg, resized])
def test_a_picture_in_another_file_is_the_same_image(tmp_path: Path, write: Callable[..., None]) -> None:
    plain = images_of(tmp_path / "plain", lambda image, path: image.save(path))
    changed, strangers = images_of(tmp_path / "changed", write), images_of(tmp_path / "strangers", write, first=500)
    assert plain.files.isdisjoint(changed.files)
    assert (plain.pixels == changed.pixels) == (write is with_comment)
    assert plain.overlaps(changed) and changed.overlaps(plain)
    assert not plain.overlaps(strangers)
    record_opening(tmp_path / "m.parquet", plain, "model", "evaluate")
    assert len(find_openings(tmp_path / "m.parquet", changed)) == 1
    assert len(find_openings(tmp_path / "m.parquet", strangers)) == 0


def test_pixels_are_hashed_with_their_size() -> None:
    pixels = np.linspace(0, 1, 12, dtype=np.float32)
    by_hand = hashlib.sha256(b"3x4:" + pixels.tobytes()).hexdigest()[:16]
    assert pixels_hash(pixels.reshape(3, 4)) == by_hand != pixels_hash(pixels.reshape(4, 3))


def test_one_stranger_with_a_near_hash_is_no_opening_and_a_tenth_is() -> None:
    rng = np.random.default_rng(0)
    # Random hashes with 32 bits set, as every perceptual hash has.
    bits = np.array([rng.permutation(np.repeat([0, 1], 32)) for _ in range(80)])
    hashes = [np.packbits(row).tobytes().hex() for row in bits]
    near = bits.copy()
    for row in near:  # two bits of each change places: a distance of 2
        row[np.flatnonzero(row == 0)[0]], row[np.flatnonzero(row == 1)[0]] = 1, 0
    moved = [np.packbits(row).tobytes().hex() for row in near]
    first = OpenedImages.of(fingerprints=hashes[:40])
    assert not first.overlaps(OpenedImages.of(fingerprints=[moved[0], *hashes[40:79]]))
    assert first.overlaps(OpenedImages.of(fingerprints=[*moved[:4], *hashes[40:76]]))
    flat = OpenedImages.of(fingerprints=["0" * 16])
    assert not flat.overlaps(flat)  # a picture without structure says nothing


def test_openings_that_only_the_evidence_knows_count_once(tmp_path: Path) -> None:
    images = OpenedImages.of(["f" * 64], ["aa"])
    record_opening(tmp_path / "m.parquet", images, "model", "evaluate", number="one")
    known = [KnownOpening("one", images), KnownOpening("two", images), KnownOpening("", OpenedImages())]
    assert len(find_openings(tmp_path / "m.parquet", OpenedImages.of(["0" * 64], ["aa"]), known)) == 2
    entry = json.loads(ledger_path(tmp_path / "m.parquet").read_text())
    assert (entry["opening"], entry["pixels"]) == ("one", ["aa"])


def test_lines_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    line = {"time": "2026-01-01T00:00:00+00:00", "by": "m", "command": "", "earlier_openings": 0, "images": ["a"]}
    ledger_path(tmp_path / "m.parquet").write_text(json.dumps(line) + "\n")
    assert len(find_openings(tmp_path / "m.parquet", OpenedImages.of(["a"], ["aa"]))) == 1
