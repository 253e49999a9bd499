"""An audit that cannot be made is refused before any image is read: none of these images exists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auditing.test_audit import LUNGS, write_manifest
from bundles import write_bundle
from pneumoscope.auditing.refusals import check_external, check_origins
from pneumoscope.auditing.sites import read_origins
from pneumoscope.core.errors import PneumoscopeError, UsageError, WeightsError
from pneumoscope.data.manifest import Manifest
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.workflows.audit import audit


def test_what_cannot_be_audited_is_refused_with_code_2(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ("covid-19", "normal"))
    manifest = write_manifest(tmp_path, LUNGS, images=18)
    for image in tmp_path.glob("*.png"):
        image.unlink()
    (tmp_path / "file").write_text("")
    cases = (
        ({}, "needs 10 groups"),
        ({"part": "test"}, "never audited"),
        ({"out": tmp_path / "file"}, "is a file"),
        ({"origins": tmp_path / "absent.csv"}, "no such file"),
        ({"part": "train"}, "has no rows"),
    )
    for options, words in cases:
        with pytest.raises(PneumoscopeError, match=words) as raised:
            audit(bundle, manifest, **options)  # type: ignore[arg-type]
        assert raised.value.exit_code == 2
    with pytest.raises(UsageError, match="shares 18 images"):
        check_external(manifest, manifest)
    table = manifest.table.head(1).assign(sha256="0" * 64)  # saved again: another file, the same picture
    with pytest.raises(UsageError, match="shares 1 image with"):
        check_external(replace(manifest, table=table), manifest)
    check_external(replace(manifest, table=table.assign(phash="f" * 16)), manifest)


def test_origins_may_have_semicolons_and_utf_16(tmp_path: Path) -> None:
    (tmp_path / "origins.csv").write_text("file;origin\na;Köln\n", encoding="utf-16")
    assert read_origins(tmp_path / "origins.csv") == {"a": "Köln"}


def test_origins_may_be_addresses(tmp_path: Path) -> None:
    (tmp_path / "origins.csv").write_text("class,file,origin_url\nCOVID,COVID-1,https://example.org\n")
    assert read_origins(tmp_path / "origins.csv") == {"COVID-1": "https://example.org"}


def test_a_set_without_the_models_classes_is_refused_with_code_2(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ("covid-19", "normal"))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    known, other = write_manifest(tmp_path / "a", LUNGS), write_manifest(tmp_path / "b", LUNGS)
    other = Manifest.from_rows(
        [
            {**row, "label": "lung-opacity", "sha256": f"{number:064x}", "phash": f"{number + 1000:016x}"}
            for number, row in enumerate(other.table.to_dict("records"))
        ],
        other.roots,
    )
    for image in tmp_path.glob("*/*.png"):
        image.unlink()
    other.write(tmp_path / "other.parquet")
    with pytest.raises(PneumoscopeError, match=r"part validation: .*lung-opacity 60.*covid-19, normal") as raised:
        audit(bundle, other)
    assert raised.value.exit_code == 2
    with pytest.raises(PneumoscopeError, match=r"manifest of `external`, part all: .*lung-opacity 60") as raised:
        audit(bundle, known, external=tmp_path / "other.parquet")
    assert raised.value.exit_code == 2


def test_a_recipe_of_random_weights_is_not_retrained(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    bundle = write_bundle(tmp_path / "bundle", ("covid-19", "normal"))
    (bundle / "recipe.yaml").write_text(load_recipe("cnn-150").to_yaml())
    manifest = write_manifest(tmp_path, LUNGS)
    for image in tmp_path.glob("*.png"):
        image.unlink()
    with pytest.raises(UsageError, match="starts from random weights"):
        audit(bundle, manifest, retrain=True)
    recipe = load_recipe("cnn-150", ["network.pretrained={file: absent.safetensors, mean: [0], std: [1]}"])
    (bundle / "recipe.yaml").write_text(recipe.to_yaml())
    with pytest.raises(WeightsError, match=r"absent\.safetensors: not found in"):
        audit(bundle, manifest, retrain=True)


def test_origins_of_other_images_are_refused(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, LUNGS)
    with pytest.raises(UsageError, match=r"names none of the 60 images of the manifest, such as 0.png"):
        check_origins({"COVID-1": "a"}, manifest)
    check_origins({"7": "a"}, manifest)


@pytest.mark.parametrize("text", [b"", b"file,name\nx,y\n", b"\x89PNG\r\n", b"file\xff,origin\n"])
def test_what_is_no_table_of_origins_is_refused_with_code_2(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "origins.csv").write_bytes(text)
    with pytest.raises(UsageError, match=r"origins.csv: (is no table of origins|has no columns)"):
        read_origins(tmp_path / "origins.csv")
