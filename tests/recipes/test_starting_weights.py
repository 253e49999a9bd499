"""Starting weights: a weights folder first, then the hub, and a message that names both ways and the address."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from huggingface_hub import constants

from pneumoscope.core.errors import WeightsError
from pneumoscope.core.files import sha256_of
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.recipes.starting_weights import choose_weights, find_hub_file


@pytest.fixture
def fresh_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder without weights, with an empty cache of the hub."""
    for name in ("PNEUMOSCOPE_WEIGHTS", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path


def resolve(*_: object) -> list[object]:
    return []


def refuse(*_: object) -> list[object]:
    raise socket.gaierror("Name or service not known")


def test_the_flagship_starts_from_the_hub_where_its_file_is_absent(
    fresh_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    chosen = choose_weights(load_recipe("mobilenetv2-flagship"))
    assert (chosen.network.name, chosen.network.pretrained) == ("mobilenetv2_100.ra_in1k", "imagenet")
    assert "timm/mobilenetv2_100.ra_in1k" in chosen.changes[-1]
    assert choose_weights(chosen) == chosen


def test_the_flagship_starts_from_its_file_where_it_is(fresh_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fresh_machine / "mine").mkdir()
    file = fresh_machine / "mine" / "mobilenetv2_100.imagenet.safetensors"
    file.write_bytes(b"weights")
    monkeypatch.setenv("PNEUMOSCOPE_WEIGHTS", str(file.parent))
    recipe = load_recipe("mobilenetv2-flagship", [f"network.pretrained.sha256={sha256_of(file)}"])
    assert choose_weights(recipe) == recipe
    other = load_recipe("mobilenetv2-flagship")
    with pytest.raises(WeightsError, match="SHA-256"):  # another file of that name never passes for it
        choose_weights(other)


@pytest.mark.parametrize(
    ("recipe", "weights"),
    [("mobilenetv2-flagship", "mobilenetv2_100.ra_in1k"), ("resnet18-pretrained", "resnet18.tv_in1k")],
)
def test_without_file_and_hub_the_message_names_both_ways_and_the_address(
    fresh_machine: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, weights: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    chosen = load_recipe(recipe)
    with pytest.raises(WeightsError) as caught:
        choose_weights(chosen)
    address = f"https://huggingface.co/timm/{weights}/resolve/main/model.safetensors as weights/{weights}.safetensors"
    assert address in str(caught.value)
    assert "From the hub" in str(caught.value)
    assert "From a weights folder" in str(caught.value)


def test_the_file_that_the_message_names_is_found(fresh_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (fresh_machine / "weights").mkdir()
    (fresh_machine / "weights" / "resnet18.tv_in1k.safetensors").write_bytes(b"weights")
    recipe = load_recipe("resnet18-pretrained")
    assert choose_weights(recipe) == recipe
    assert find_hub_file("resnet18.tv_in1k") == Path("weights/resnet18.tv_in1k.safetensors")


def test_what_the_hub_has_cached_is_enough(fresh_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    snapshot = fresh_machine / "hub" / "models--timm--resnet18.tv_in1k" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    recipe = load_recipe("resnet18-pretrained")
    assert choose_weights(recipe) == recipe
