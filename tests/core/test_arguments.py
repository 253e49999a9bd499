"""A single text or path stands for a sequence of one, wherever a function takes several."""

from __future__ import annotations

from pathlib import Path

import pytest

import pneumoscope as ps
from pneumoscope.core.arguments import argument, as_tuple, quote, shorten


def test_one_text_or_path_is_not_taken_apart() -> None:
    assert as_tuple("lenet-128") == ("lenet-128",)
    assert as_tuple(Path("a/b")) == (Path("a/b"),)
    assert as_tuple(["a", "b"]) == ("a", "b")
    with pytest.raises(TypeError):
        as_tuple(3)


def test_public_functions_take_one_name_in_place_of_several(tmp_path: Path) -> None:
    with pytest.raises(ps.errors.UsageError, match="nosuch-name: is no cache"):
        ps.clear_cache("nosuch-name")
    with pytest.raises(ps.errors.ManifestError, match=r"nosuch.parquet: there is no such file"):
        ps.merge(str(tmp_path / "nosuch.parquet"), tmp_path / "out.parquet")
    changed = ps.Recipe.load("lenet-128", "training.epochs=1")
    assert changed.training.epochs == 1


def test_a_recipe_loads_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(ps.Recipe.load("lenet-128").to_yaml())
    assert ps.Recipe.load(path).name == "lenet-128"
    with pytest.raises(ps.errors.UsageError):
        ps.Recipe.load(None)  # type: ignore[arg-type]


def test_an_echo_is_cut_in_the_middle_and_shows_control_characters() -> None:
    path = "/home/somebody/" + "x" * 500 + "/a.png"
    assert shorten("short") == "short"
    assert (len(shorten(path)), shorten(path)[:15], shorten(path)[-6:]) == (80, "/home/somebody/", "/a.png")
    assert quote(path) == f"{shorten(path)!r} (521 characters)"
    assert quote("\x1b[31m\n") == "'\\x1b[31m\\n'"
    assert quote(None) == "None"
    assert len(quote(list(range(1000)))) == 80
    assert argument("encoding", "x" * 10_000).count("x") == 497
    assert argument("images", Path(path)) == f"`images={path[:331]!r}`"[:-2] + "..." + path[-166:] + "'`"
