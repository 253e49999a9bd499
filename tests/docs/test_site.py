"""The documentation site builds without a warning and without the network, and its API pages name every public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pneumoscope

ROOT = Path(__file__).parents[2]
API = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md")))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in pneumoscope.__all__
        if name[0] not in "_D" and name not in ("server", "errors", "PneumoscopeError")
    ],
)
def test_api_pages_name_every_public_name(name: str) -> None:
    module = pneumoscope._MODULES[name]
    where = f"::: pneumoscope.{module}.{name}"
    assert re.search(rf"^{re.escape(where)}$", API, re.MULTILINE), f"docs/api has no line {where!r}"


def test_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="no mkdocs: pip install 'pneumoscope[docs]'")
    built = subprocess.run(
        [ROOT / "scripts" / "docs", "--site-dir", tmp_path],
        env=os.environ | {"VENV": str(Path(sys.executable).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    loads = re.compile(r"""<(?:script|img|link|iframe)[^>]*(?:src|href)=["']?(https?:)?//([^"'> ]+)""")
    for page in tmp_path.rglob("*.html"):
        elsewhere = [address for _, address in loads.findall(page.read_text(encoding="utf-8"))]
        assert elsewhere == [], f"{page.name} loads {elsewhere}"


def test_architecture_names_what_is_there() -> None:
    text = (ROOT / "docs" / "concepts" / "architecture.md").read_text(encoding="utf-8")
    table = text[text.index("## Rooms") : text.index("## Imports")]
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|yaml))?)`", table))
    places = (ROOT, ROOT / "src" / "pneumoscope", ROOT / "src" / "pneumoscope" / "server")
    assert len(named) > 20
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []
