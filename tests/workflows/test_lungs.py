"""Outlining files, and a whole training of the lungs graph on phantoms."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pneumoscope.bundle.lungs import load_lungs
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.core.errors import ManifestError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.workflows.outlines import outline_lungs


def test_a_file_that_cannot_be_read_keeps_its_row(tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "set", patients_per_class=1, labels=["normal"], seed=3, size=96)
    good = manifest.paths()[0]
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:200])
    first, second = outline_lungs([good, bad], tmp_path / "out")
    assert first.error is None and first.picture is not None and 0.1 < first.areas["lungs"] < 0.5
    for path in (first.picture, tmp_path / "out/masks/heart" / first.picture.name):
        with Image.open(path) as picture:
            assert picture.size == (96, 96)
    again = outline_lungs([tmp_path], tmp_path / "out")
    assert again and not [row for row in again if "/out/" in row.path]  # its own pictures are no radiographs
    assert second.error is not None and "bad.png" in second.error and second.picture is None


def test_a_training_leaves_a_graph_with_its_figures(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    from pneumoscope.workflows.lungs import measure_lungs, train_lungs

    manifest = write_set(tmp_path / "set", patients_per_class=3, labels=["normal"], seed=4, size=96)
    patients = sorted(set(manifest.table.patient_id))
    parted = manifest.with_split(
        ["test" if patient == patients[0] else "train" for patient in manifest.table.patient_id], "by hand"
    )
    model = train_lungs(parted, tmp_path / "run", epochs=1)
    (record,) = model.card.measured
    held_out = int((manifest.table.patient_id == patients[0]).sum())
    assert (record.structure, record.images, record.patients) == ("lungs", held_out, 1)
    assert model.card.images == {"synthetic-a": len(manifest) - held_out}
    assert record.figures["dice"].low is None  # one patient says nothing of others
    assert list(model.card.structures) == ["lungs"]  # nobody drew a heart
    assert "synthetic-a" in model.card.limits[0]
    assert load_lungs(tmp_path / "run").identity == model.identity
    messages: list[str] = []

    class Noting(Callbacks):
        def message(self, text: str) -> None:
            messages.append(text)

    records = measure_lungs(parted, tmp_path / "run", callbacks=Noting())
    assert sum(record.images for record in records) == len(manifest)
    assert any("learnt from images of synthetic-a" in text for text in messages)


def test_masks_of_no_stated_definition_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    from pneumoscope.workflows.lungs import measure_lungs

    manifest = write_set(tmp_path / "set", patients_per_class=1, labels=["normal"], seed=4, size=96)
    unstated = Manifest(manifest.table.assign(lung_definition=None), manifest.roots)
    with pytest.raises(ManifestError, match="whose definition is stated"):
        measure_lungs(unstated)
