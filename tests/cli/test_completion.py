"""The shell's completion knows the recipes, and `models list` shows small bundles in kB."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.formatting import size_text
from pneumoscope.cli.main import app
from pneumoscope.recipes.recipe import recipe_names


@pytest.mark.parametrize("words", ["train cnn", "tune cnn", "compare lenet-128 cnn", "recipes show cnn"])
def test_completion_knows_the_recipes(words: str) -> None:
    """Ask as bash does: Click's protocol of _PROGRAM_COMPLETE, COMP_WORDS and COMP_CWORD."""
    environment = {
        "_PNEUMOSCOPE_COMPLETE": "complete_bash",
        "COMP_WORDS": f"pneumoscope {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = CliRunner().invoke(app, [], env=environment, prog_name="pneumoscope")
    assert done.stdout.split() == [name for name in recipe_names() if name.startswith("cnn")]


@pytest.mark.parametrize(("size", "text"), [(999, "999 B"), (48_300, "48 kB"), (9_600_000, "9.6 MB")])
def test_sizes_are_in_the_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text
