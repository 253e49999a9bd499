"""A wrong option is refused before torch is imported: a misspelt name does not cost the seconds that torch takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.lab

from pneumoscope.data.manifest import Manifest, write_manifest  # noqa: E402
from program import Program  # noqa: E402

Run = Callable[..., tuple[str, str]]
SCRIPT = """
import sys
from pneumoscope.cli.main import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    print("exit", end.code, "torch", "torch" in sys.modules)
"""


@pytest.fixture
def run(program_without_torch: Program, tmp_path: Path) -> Run:
    """A function that runs a command in a process of its own and returns its last line and all lines."""

    def run_command(*arguments: str) -> tuple[str, str]:
        output = tmp_path / "output.txt"
        program_without_torch.run(["python", "-c", SCRIPT, *arguments], tmp_path, dict(os.environ), output)
        printed = output.read_text(encoding="utf-8")
        return printed.strip().splitlines()[-1], printed

    return run_command


@pytest.fixture
def manifest(phantom_set: Manifest, tmp_path: Path) -> str:
    path = tmp_path / "m.parquet"
    write_manifest(phantom_set, path)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["compare", "cnn-150", "--metric", "aurco"], 2, "Did you mean 'auroc'"),
        (["compare", "cnn-150", "--target", "nodule"], 2, "--target nodule"),
        (["compare", "cnn-15"], 2, "cnn-15"),
        (["compare", "cnn-150", "--set", "optimizer.lrr=1"], 1, "Did you mean 'lr'"),
        (["compare", "cnn-150", "--grid", "optimizer.lr"], 2, "must be key=value,value"),
        (["compare", "cnn-150", "--allow", "alterd", "--because", "known"], 2, "Did you mean 'altered'"),
        (["train", "cnn-15"], 2, "cnn-15"),
        (["train", "cnn-150", "--set", "optimizer.lrr=1"], 1, "Did you mean 'lr'"),
        (["train", "cnn-150", "--allow", "alterd", "--because", "known"], 2, "Did you mean 'altered'"),
        (["tune", "cnn-15"], 2, "cnn-15"),
        (["tune", "cnn-150", "--set", "optimizer.lrr=1"], 1, "Did you mean 'lr'"),
        (["tune", "cnn-150", "--objective", "aurco"], 2, "Did you mean 'auroc'"),
        (["tune", "cnn-150", "--nested", "2", "--repeats", "2"], 2, "answer the same question"),
    ],
)
def test_a_wrong_option_is_refused_without_torch(
    run: Run, manifest: str, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    last, errors = run(*arguments, "--data", manifest, "--out", str(tmp_path / "out"))
    assert last == f"exit {code} torch False", errors
    assert words in errors


@pytest.mark.parametrize(("command", "words"), [("train", "holds no run"), ("tune", "holds no search")])
def test_a_folder_in_use_is_refused_without_torch(
    run: Run, manifest: str, tmp_path: Path, command: str, words: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    last, errors = run(command, "cnn-150", "--data", manifest, "--out", str(folder))
    assert last == "exit 1 torch False", errors
    assert words in errors


@pytest.mark.parametrize("command", ["train", "tune", "compare"])
def test_a_manifest_that_is_not_there_is_refused_without_torch(run: Run, tmp_path: Path, command: str) -> None:
    last, errors = run(command, "cnn-150", "--data", str(tmp_path / "m.parquet"), "--out", str(tmp_path / "out"))
    assert last == "exit 1 torch False", errors
    assert "there is no such file" in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["split", "MANIFEST", "--again", "--ratio", "80"], "80"),
        (["check", "MANIFEST", "--allow", "alterd", "--because", "known"], "Did you mean 'altered'"),
        (["merge", "MANIFEST", "-o", "merged.csv"], ".parquet"),
        (["show", "MANIFEST", "-o", "sheet.gif"], ".png"),
    ],
)
def test_the_data_commands_refuse_without_torch(run: Run, manifest: str, arguments: list[str], words: str) -> None:
    last, errors = run("data", *(manifest if each == "MANIFEST" else each for each in arguments))
    assert last == "exit 2 torch False", errors
    assert words in errors
