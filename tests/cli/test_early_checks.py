"""A wrong option is refused before anything heavy is imported, within 1.5 s of processor time (measured: 0.5 to 0.9).

All commands run one after the other in one process, so that a module that one of them imports shows in all others.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pneumoscope.data.manifest import Manifest, write_manifest  # noqa: E402

SCRIPT = """
import json, sys
from typer.testing import CliRunner
from pneumoscope.cli.main import app
heavy = ("torch", "scipy", "pandas", "optuna", "matplotlib", "lightning", "pneumoscope.data.checks.catalogue")
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, arguments)
    print(json.dumps([done.exit_code, done.stderr, [name for name in heavy if name in sys.modules]]))
"""


class Case(NamedTuple):
    """A wrong command without ``--data`` and ``--out``, its exit code, and words of its message."""

    arguments: str
    code: int
    words: str


def lacks(device: str) -> bool:
    """Return whether torch says that this machine has no such device."""
    return not {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}[device]()


FROZEN = "transfer-mobilenetv2 --set network.pretrained.hub=null"

TRAINING = (
    Case("compare cnn-150 --metric aurco", 2, "Did you mean 'auroc'"),
    Case("compare cnn-150 --metric wrong", 2, "Example: --metric auroc"),
    Case("compare cnn-150 --target nodule", 2, "Say: --target covid-19"),
    Case("compare cnn-15", 2, "cnn-15"),
    Case("compare cnn-150 --set optimizer.lrr=1", 2, "Did you mean 'lr'"),
    Case("compare cnn-150 --grid optimizer.lr", 2, "must be key=value,value"),
    Case("compare cnn-150 --device gpu", 2, "There are: auto, cpu, cuda, mps."),
    Case("compare cnn-150 --out USED", 2, "--out USED-2"),
    Case("compare cnn-150 --data ABSENT", 2, "there is no such file"),
    Case("train cnn-15", 2, "cnn-15"),
    Case("train cnn-150 --set optimizer.lrr=1", 2, "Did you mean 'lr'"),
    Case("train cnn-150 --device gpu", 2, "There are: auto, cpu, cuda, mps."),
    Case("train cnn-150", 2, "--set 'task.ignore=[covid-19]'"),
    Case("train cnn-150 --set task.map={}", 2, "no image of Pneumonia"),
    Case(f"train {FROZEN} --set network.pretrained.file=absent", 1, "PNEUMOSCOPE_WEIGHTS"),
    Case("train lenet-128 --out USED", 2, "--out USED-2"),
    Case("train lenet-128 --data ABSENT", 2, "there is no such file"),
    Case("tune cnn-15", 2, "cnn-15"),
    Case("tune cnn-150", 2, "--set 'task.ignore=[covid-19]'"),
    Case("tune cnn-150 --set optimizer.lrr=1", 2, "Did you mean 'lr'"),
    Case("tune lenet-128 --objective aurco", 2, "Did you mean 'auroc'"),
    Case("tune lenet-128 --nested 2 --repeats 2", 2, "answer the same question"),
    Case("tune lenet-128 --search genral", 2, "Did you mean 'general'"),
    Case("tune lenet-128 --sampler tree", 2, "Example: --sampler tpe"),
    Case("tune lenet-128 --sampler grid", 2, "has no step"),
    Case("tune lenet-128 --pruner medain", 2, "Did you mean 'median'"),
    Case("tune lenet-128 --device gpu", 2, "There are: auto, cpu, cuda, mps."),
    Case("tune lenet-128 --split test", 2, "not for choosing"),
    Case("tune lenet-128 --split validation --folds 3", 2, "exclude each other"),
    Case("tune lenet-128 --storage t.db", 2, "--storage sqlite:///t.db"),
    Case("tune lenet-128 --out USED", 2, "--out USED-2"),
    Case("tune lenet-128 --data ABSENT", 2, "there is no such file"),
    Case("train cnn-150 --allow alterd --because known", 2, "Did you mean 'altered'"),
    Case("compare cnn-150 --allow alterd --because known", 2, "Did you mean 'altered'"),
    Case("tune cnn-150 --allow alterd --because known", 2, "Did you mean 'altered'"),
    Case("train cnn-150 --out FILE", 2, "FILE is a file, not a folder"),
    Case("train cnn-150 --out FILE/run", 2, "is a file, not a folder"),
    Case("compare cnn-150 --out FILE", 2, "FILE is a file, not a folder"),
    Case("tune cnn-150 --out FILE", 2, "FILE is a file, not a folder"),
    Case("train cnn-150 --out USED --resume", 2, "holds no run"),
    Case("train cnn-150 --root here=.", 2, "is not a source of the manifest"),
    Case("compare cnn-150 --root here=.", 2, "is not a source of the manifest"),
    Case("tune cnn-150 --root here=.", 2, "is not a source of the manifest"),
    Case("train cnn-150 --root synthetic-a=absent", 2, "there is no such folder"),
    Case("train lenet-128 --data DAMAGED", 2, "is not a Parquet file, or is damaged"),
    Case("train lenet-128 --data EMPTY", 2, "is not a Parquet file, or is damaged"),
    Case("compare lenet-128 --data DAMAGED", 2, "is not a Parquet file, or is damaged"),
    Case("tune lenet-128 --data EMPTY", 2, "is not a Parquet file, or is damaged"),
    *(
        Case(f"{command} cnn-150 --device {device}", 2, f"--device {device}: is not available on this machine")
        for command in ("train", "compare", "tune")
        for device in ("cuda", "mps")
        if lacks(device)
    ),
)
"""Commands that must load nothing heavy."""

OTHERS = (
    Case("data split MANIFEST --again --ratio 80", 2, "80"),
    Case("data check MANIFEST --allow alterd --because known", 2, "Did you mean 'altered'"),
    Case("data merge MANIFEST -o merged.csv", 2, ".parquet"),
    Case("data show MANIFEST -o sheet.gif", 2, ".png"),
    Case("data show MANIFEST -o sheet.png --part trian", 2, "Did you mean 'train'"),
    Case("data check ABSENT", 2, "there is no such file"),
)
"""Commands that must not load torch."""


@pytest.fixture(scope="module")
def results(phantom_set: Manifest, tmp_path_factory: pytest.TempPathFactory) -> dict[Case, tuple[int, str, list[str]]]:
    """Case -> exit code, message, and the heavy modules that are loaded after it."""
    folder = tmp_path_factory.mktemp("early")
    write_manifest(phantom_set, folder / "MANIFEST")
    (folder / "USED").mkdir()
    (folder / "FILE").write_text("mine")
    (folder / "DAMAGED").write_bytes((folder / "MANIFEST").read_bytes()[:-200])
    (folder / "EMPTY").touch()
    (folder / "USED" / "notes.txt").write_text("mine")
    commands = []
    for case in (*TRAINING, *OTHERS):
        arguments = case.arguments.split()
        if arguments[0] != "data":
            for option, value in (("--data", "MANIFEST"), ("--out", "new")):
                arguments += [] if option in arguments else [option, value]
        commands.append(arguments)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands)], capture_output=True, text=True, check=True, cwd=folder
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip((*TRAINING, *OTHERS), map(tuple, lines), strict=True))


@pytest.mark.parametrize("case", TRAINING, ids=lambda case: case.arguments)
def test_a_wrong_option_is_refused_before_heavy_imports(
    results: dict[Case, tuple[int, str, list[str]]], case: Case
) -> None:
    code, message, heavy = results[case]
    assert (code, heavy) == (case.code, []), message
    assert case.words in message


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.arguments)
def test_a_wrong_option_is_refused_without_torch(results: dict[Case, tuple[int, str, list[str]]], case: Case) -> None:
    code, message, heavy = results[case]
    assert code == case.code, message
    assert "torch" not in heavy
    assert case.words in message
