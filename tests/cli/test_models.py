"""`pneumoscope models`: list, show, verify."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bundles import card, write_bundle, write_findings_bundle
from pneumoscope.bundle.card import read_card
from pneumoscope.bundle.runtime import load
from pneumoscope.bundle.verify import _problems
from pneumoscope.cli.main import app
from pneumoscope.core.files import sha256_of, write_json
from pneumoscope.recipes.recipe import load_recipe


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "runs" / "a" / "bundle")


def models(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["models", *(str(argument) for argument in arguments)])


def test_list_finds_bundles_below_a_folder(bundle: Path, tmp_path: Path) -> None:
    listed = json.loads(models("list", tmp_path, "--json").stdout)
    [row] = [row for row in listed if row["model"] == str(bundle)]
    assert (row["name"], row["identity"]) == ("tiny", load(bundle).identity)
    assert row["labels"] == ["covid-19", "normal", "viral-pneumonia"]
    assert row["identity"][:12] in models("list", tmp_path).stdout


def test_list_names_a_broken_bundle_and_keeps_the_others(bundle: Path, tmp_path: Path) -> None:
    (write_bundle(tmp_path / "broken") / "model.onnx").write_bytes(b"x")
    done = models("list", tmp_path, "--json")
    assert done.exit_code == 1
    assert "altered or exchanged" in done.stderr
    assert str(bundle) in [row["model"] for row in json.loads(done.stdout)]


def test_show_prints_the_card(bundle: Path) -> None:
    assert "Knows nothing of lungs." in models("show", bundle).stdout
    shown = json.loads(models("show", bundle, "--json").stdout)
    assert shown["card"]["operating_points"][0]["threshold"] == 0.4
    assert shown["identity"] == load(bundle).identity


def test_verify_says_what_holds(bundle: Path) -> None:
    write_json(bundle / "evidence" / "parity.json", {"bundle": load(bundle).identity})
    done = models("verify", bundle)
    assert done.exit_code == 0
    assert "Evidence about this bundle: parity (unsigned)." in done.stdout
    assert load(bundle).identity in done.stdout
    assert "never screened" in done.stdout
    assert len(json.loads(models("verify", bundle, "--json").stdout)["holds"]) == 4


def test_verify_takes_a_multi_label_bundle(tmp_path: Path) -> None:
    """Its probabilities are of one finding each, and do not add up to 1."""
    folder = write_findings_bundle(tmp_path / "findings")
    done = models("verify", folder)
    assert done.exit_code == 0, done.stderr
    model = load(folder)
    output = model.run(np.full((64, 64), 0.5, np.float32))
    for bad in (1.5, -0.5, np.nan):
        answers = replace(output, probabilities=np.array([0.5, bad, 0.5], np.float32))
        assert _problems(model, answers) == ["something else than one probability for each label"]


def test_verify_refuses_the_words_of_another_bundle(bundle: Path) -> None:
    line = "| Identity (SHA-256 of card.json) | `{}` |"
    (bundle / "CARD.md").write_text(line.format(load(bundle).identity))
    assert "CARD.md names this bundle" in models("verify", bundle).stdout
    (bundle / "CARD.md").write_text(line.format("0123456789ab" + 52 * "0"))
    done = models("verify", bundle)
    assert done.exit_code == 1
    assert "CARD.md: describes the bundle 0123456789ab" in done.stderr


def test_verify_refuses_evidence_about_another_bundle(bundle: Path) -> None:
    write_json(bundle / "evidence" / "audit.json", {"bundle": "f" * 64})
    done = models("verify", bundle)
    assert done.exit_code == 1
    assert "is about another bundle (ffffffffffff)" in done.stderr


def test_verify_refuses_a_heatmap_of_another_size_than_the_card_names(bundle: Path) -> None:
    (bundle / "card.json").write_text(
        card(bundle / "model.onnx", ("covid-19", "normal", "viral-pneumonia"), heatmap_size=(7, 7)).to_json()
    )
    done = models("verify", bundle)
    assert done.exit_code == 1
    assert "a heatmap that is not 7 x 7 values" in done.stderr


def test_verify_accepts_a_recipe_that_was_written_before_a_key_existed(bundle: Path) -> None:
    lines = load_recipe("lenet-128").to_yaml().splitlines(keepends=True)
    (bundle / "recipe.yaml").write_text("".join(line for line in lines if "exchange_corners" not in line))
    own = read_card(bundle)[0].model_copy(update={"recipe_hash": sha256_of(bundle / "recipe.yaml")})
    (bundle / "card.json").write_text(own.to_json())
    done = models("verify", bundle)
    assert done.exit_code == 0, done.stderr
    assert "recipe.yaml is the recipe that the card names." in done.stdout


def test_verify_refuses_another_recipe(bundle: Path) -> None:
    recipe = next((Path(__file__).parents[2] / "src" / "pneumoscope" / "recipes").glob("*.yaml"))
    (bundle / "recipe.yaml").write_text(recipe.read_text())
    done = models("verify", bundle)
    assert done.exit_code == 1
    assert "is not this model's recipe" in done.stderr
