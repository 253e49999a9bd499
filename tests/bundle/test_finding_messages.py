"""Every code of a refusal or a warning has a message in each language of the web app."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pneumoscope.bundle import screening
from pneumoscope.bundle.verdict import UNLIKE

CATALOGUES = Path(__file__).parents[2] / "web" / "src" / "i18n"


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_code_has_a_message(language: str) -> None:
    source = Path(screening.__file__).read_text()
    written = re.findall(r'ScreeningFinding\(\s*"([a-z-]+)"', source)
    codes = {*written, *screening._WORDS, screening.MOST_ACTIVE_OUTSIDE.code, UNLIKE, "image-altered"}
    assert {"several", "part", "view", "lungs", "coloured", "mirrored", "outside-lungs", "unlike-training"} <= codes
    catalogue = json.loads((CATALOGUES / f"{language}.json").read_text())
    assert {code for code in codes if f"finding.{code}" not in catalogue} == set()
