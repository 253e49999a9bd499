"""Outlining files, and a whole training of the lungs graph on phantoms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pneumoscope.bundle.lungs import load_lungs
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.core.errors import CheckRefusedError, ManifestError, UsageError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.workflows.data_checks import check_outlines
from pneumoscope.workflows.outlines import outline_lungs


class MessageLog(Callbacks):
    """Keep the messages."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


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


@pytest.mark.shared
def test_a_lateral_has_no_cardiothoracic_ratio_and_the_row_says_why(shared: Path) -> None:
    lateral = sorted((shared / "data" / "strangers" / "lateral-chest").iterdir())[0]
    frontal = shared / "data" / "jsrt" / "images" / "JPCLN001.jpg"
    one, other = outline_lungs([lateral, frontal])
    assert one.cardiothoracic_ratio is None
    assert "lateral" in one.doubt
    assert other.cardiothoracic_ratio == pytest.approx(0.47, abs=0.02)
    assert other.doubt == ""


def test_a_folder_of_outlines_that_holds_the_radiographs_is_refused(tmp_path: Path) -> None:
    """Files in it count as earlier outlines, so that none would be outlined."""
    (path,) = write_set(tmp_path / "set", patients_per_class=1, labels=["normal"], seed=3, size=96).paths()[:1]
    before = path.read_bytes()
    for paths, out in (([path], path.parent), ([path.parent], path.parent), ([path.parent], tmp_path)):
        with pytest.raises(UsageError, match=r"`out=.*holds .*which is to be outlined"):
            outline_lungs(paths, out)
    with pytest.raises(UsageError, match="is a file, not a folder"):
        outline_lungs([path], path)
    assert path.read_bytes() == before
    inner = tmp_path / "empty/outlines"
    inner.mkdir(parents=True)
    (inner / "a.png").write_bytes(before)
    with pytest.raises(UsageError, match="holds no radiograph outside"):
        outline_lungs([tmp_path / "empty"], inner)


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
    assert (tmp_path / "run/model.onnx").stat().st_size < 3.5e6  # 1.5 million weights of two bytes each
    messages = MessageLog()
    records = measure_lungs(parted, tmp_path / "run", callbacks=messages)
    assert sum(record.images for record in records) == len(manifest)
    assert any("learnt from images of synthetic-a" in text for text in messages.texts)


def test_a_picture_in_both_parts_stops_the_training(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    from pneumoscope.workflows.lungs import train_lungs

    manifest = write_set(tmp_path / "set", patients_per_class=2, labels=["normal"], seed=4, size=96)
    table = pd.concat([manifest.table.iloc[:2], manifest.table.iloc[:1]], ignore_index=True)
    copy = Path("copy.png")
    (root := next(iter(manifest.roots.values()))).joinpath(copy).write_bytes(manifest.paths()[0].read_bytes())
    table.loc[2, "image"] = str(copy)
    table["patient_id"] = table["group"] = ["first", "second", "another"]
    leaking = replace(manifest, table=table).with_split(["train", "validation", "test"], "by hand")
    assert root == leaking.paths()[2].parent
    with pytest.raises(CheckRefusedError, match=r"(?s)duplicates-across-parts.*1 of them the same file"):
        train_lungs(leaking, tmp_path / "run", epochs=1)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="is no data check"):
        train_lungs(leaking, tmp_path / "run", epochs=1, allow={"duplicates": "one is enough"})
    reasons = {name: "a test" for name in ("duplicates-across-parts", "patients-across-parts")}
    messages = MessageLog()
    report = check_outlines(leaking, allowed=reasons, callbacks=messages)
    assert {finding.because for finding in report.findings} == {"a test"}
    assert "  allowed, because: a test" in messages.texts


def test_masks_of_no_stated_definition_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    from pneumoscope.workflows.lungs import measure_lungs

    manifest = write_set(tmp_path / "set", patients_per_class=1, labels=["normal"], seed=4, size=96)
    unstated = Manifest(manifest.table.assign(lung_definition=None), manifest.roots)
    with pytest.raises(ManifestError, match="whose definition is stated"):
        measure_lungs(unstated)
