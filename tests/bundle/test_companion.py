"""Gatekeeper and lungs graph are read in one way, and a card that is not of this program's schema is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles import write_bundle
from pneumoscope.bundle.gatekeeper import BUILTIN_GATEKEEPER, load_gatekeeper
from pneumoscope.bundle.lungs import BUILTIN_LUNGS, load_lungs
from pneumoscope.bundle.verify import verify
from pneumoscope.core.errors import BundleError


@pytest.mark.parametrize(
    ("load", "source", "name"),
    [(load_gatekeeper, BUILTIN_GATEKEEPER, "gatekeeper"), (load_lungs, BUILTIN_LUNGS, "lungs graph")],
)
def test_a_card_of_another_schema_or_none_is_refused(
    load: Callable[[Path], object], source: Path, name: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(source, tmp_path / "companion")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"schema_version": 99}))
    with pytest.raises(BundleError, match="has schema version 99; this program reads 1"):
        load(folder)
    (folder / "card.json").write_text("no card")
    with pytest.raises(BundleError, match=f"is no card of a {name}: Invalid JSON"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card["answers"].pop("lateral"), "answers names frontal, other"),
        (lambda card: card["answers"].update(dog="a dog"), "dog; this program knows frontal, lateral"),
        (lambda card: card["thresholds"]["lungs"].update(roundness=[0, 1]), "thresholds.lungs names .*roundness"),
    ],
)
def test_a_card_of_other_answers_or_measures_is_refused(
    change: Callable[[dict[str, dict[str, object]]], object], words: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(BUILTIN_GATEKEEPER, tmp_path / "gatekeeper")
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match=words) as caught:
        load_gatekeeper(folder)
    assert caught.value.way_out == "Train it again."


def test_a_lungs_card_with_a_structure_too_few_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(BUILTIN_LUNGS, tmp_path / "lungs")
    card = json.loads((folder / "card.json").read_text())
    card["structures"].pop("heart")
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match=r"names 2 structures .*; its graph gives 3"):
        load_lungs(folder)


def test_the_packages_own_altered_companion_is_installed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(BUILTIN_GATEKEEPER, tmp_path / "gatekeeper")
    (folder / "model.onnx").write_bytes(b"")
    monkeypatch.setattr("pneumoscope.bundle.companion._PACKAGE", tmp_path)
    with pytest.raises(BundleError, match="Install the package again"):
        load_gatekeeper(folder)


def test_verify_compares_the_companions_of_the_card(tmp_path: Path) -> None:
    own = {"gatekeeper": load_gatekeeper().identity, "lungs": load_lungs().identity}
    sentences = verify(write_bundle(tmp_path / "own", companions=own))
    assert any(
        "companions of the package match their hashes" in line and "as the card names" in line for line in sentences
    )
    sentences = verify(write_bundle(tmp_path / "other", companions=own | {"lungs": "0" * 64}))
    assert any("measured with another lungs (000000000000)" in line for line in sentences)
    sentences = verify(write_bundle(tmp_path / "never", companions={"gatekeeper": "none"}))
    assert any("never screened" in line for line in sentences)
