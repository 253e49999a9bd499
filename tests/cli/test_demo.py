"""`pneumoscope demo`: from nothing to a page."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import webbrowser
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from bundles import write_bundle
from pneumoscope.cli.demo import STUDIES
from pneumoscope.cli.main import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the browser was asked to open; there is a display."""
    seen: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", seen.append)
    return seen


def test_the_demo_draws_predicts_and_opens_a_page(tmp_path: Path, opened: list[str]) -> None:
    pytest.importorskip("pydicom")
    out, bundle = tmp_path / "demo", write_bundle(tmp_path / "tiny")
    done = CliRunner().invoke(app, ["demo", "--out", str(out), "--model", str(bundle)])
    assert done.exit_code == 0
    page = out / "index.html"
    assert opened == [page.as_uri()]
    assert f"The page: {page}" in done.stdout
    rows = list(csv.DictReader((out / "predictions.csv").read_text().splitlines()))
    assert len(rows) == len(STUDIES)
    assert {row["error"] for row in rows} == {""}
    assert {Path(row["path"]).suffix for row in rows} == {".png", ".dcm"}
    # Each of the drawn studies says that it is drawn.
    assert page.read_text().lower().count("synthetic") >= len(STUDIES)


def test_the_demo_takes_studies_of_ones_own_and_need_not_open_anything(tmp_path: Path, opened: list[str]) -> None:
    Image.new("L", (50, 50), 153).save(tmp_path / "mine.png")
    bundle = write_bundle(tmp_path / "tiny")
    done = CliRunner().invoke(
        app, ["demo", str(tmp_path / "mine.png"), "--out", str(tmp_path / "o"), "--model", str(bundle), "--no-open"]
    )
    assert done.exit_code == 0
    assert opened == []
    assert "mine.png" in (tmp_path / "o" / "predictions.csv").read_text()
    assert not (tmp_path / "o" / "studies").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize("variable", ["PATH", "STUDIES"])
def test_make_demo_takes_a_folder_with_a_space_and_keeps_the_search_path(tmp_path: Path, variable: str) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text() + '\nsearch-path:\n\t@echo "$$PATH"\n')
    make = [str(shutil.which("make")), "-C", str(tmp_path), f"{variable}=my studies"]
    told = subprocess.run([*make, "-n", "-o", "setup", "demo"], capture_output=True, text=True, check=True)
    assert 'pneumoscope demo "my studies"' in told.stdout
    told = subprocess.run([*make, "-s", "search-path"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == os.environ["PATH"] or not Path("/proc/self/environ").exists()
