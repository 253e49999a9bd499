"""Setting up: `make demo` installs the app without torch, `make test` adds the rest, and uv takes pip's indexes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGURATION = """\
global.constraint='/etc/more.txt'
global.extra-index-url='https://one.example/simple https://two.example/simple'
:env:.find-links='/opt/wheels'
global.timeout='60'
"""
PYTHON = """\
#!/bin/sh
echo "python $*" >> {log}
case "$*" in *"config list"*) cat {configuration};; esac
"""
UV = """\
#!/bin/sh
echo "uv $*" >> {log}
exit {code}
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="no make")


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def set_up(tmp_path: Path, *what: str, uv_code: int = 0) -> tuple[str, list[str], set[str]]:
    """Run scripts/setup with a python and a uv that do nothing.

    Returns:
        What it prints, the lines of what it calls, and the names of the marks that it leaves.
    """
    venv, log, configuration = tmp_path / "venv", tmp_path / "log", tmp_path / "configuration"
    configuration.write_text(CONFIGURATION)
    executable(venv / "bin" / "python", PYTHON.format(log=log, configuration=configuration))
    executable(venv / "bin" / "uv", UV.format(log=log, code=uv_code))
    ended = subprocess.run(
        [ROOT / "scripts" / "setup", *what],
        env=os.environ | {"VENV": str(venv), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout, log.read_text().splitlines(), {path.name for path in venv.iterdir() if path.is_file()}


def setup_line(plan: str) -> str:
    (line,) = (line for line in plan.splitlines() if "scripts/setup" in line)
    return line


def test_the_demo_needs_the_app_alone_and_the_tests_everything(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "scripts/setup"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    planned = {
        target: subprocess.run(["make", "-C", tmp_path, "-n", target], capture_output=True, text=True, check=True)
        for target in ("demo", "test")
    }
    assert setup_line(planned["demo"].stdout).endswith("setup app")
    assert setup_line(planned["test"].stdout).endswith("setup")


def test_the_app_is_the_base_install_with_dicom(tmp_path: Path) -> None:
    printed, calls, marks = set_up(tmp_path, "app")
    assert calls[-1].endswith("-c constraints.txt -e .[dicom]")
    assert marks == {".app"}
    assert "Ready: " in printed.splitlines()[-1]


def test_everything_is_the_app_too(tmp_path: Path) -> None:
    _, calls, marks = set_up(tmp_path)
    assert calls[-1].endswith("-c constraints.txt -e .[dicom,pacs,train,openvino,coreml,postgres,ray,remote,docs,dev]")
    assert marks == {".app", ".installed"}


def test_uv_takes_the_indexes_of_pip(tmp_path: Path) -> None:
    _, calls, _ = set_up(tmp_path, "app")
    assert calls[-1].startswith(
        "uv pip install --constraint /etc/more.txt --extra-index-url https://one.example/simple"
        " --extra-index-url https://two.example/simple --find-links /opt/wheels -c "
    )


def test_pip_installs_where_uv_fails(tmp_path: Path) -> None:
    printed, calls, marks = set_up(tmp_path, "app", uv_code=1)
    assert "uv could not install them; pip does" in printed
    assert calls[-1].startswith("python -m pip install ")
    assert calls[-1].endswith("-e .[dicom]")
    assert marks == {".app"}
