"""Methods of intervals and statements of publishers, which cards and evidence hold in English, have words elsewhere.

A sentence is known again by its pattern in the English catalogue (web/src/i18n/said.ts).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pneumoscope.data.checks.ancestors import ANCESTORS
from pneumoscope.stats import auroc_interval, bootstrap, intervals, stratified
from pneumoscope.stats.comparison.paired import RANKED_ALIKE

CATALOGUES = Path(__file__).parents[3] / "web" / "src" / "i18n"
METHODS = (
    auroc_interval.AUROC_SCORE,
    bootstrap.METHOD,
    bootstrap.COHORT_METHOD,
    stratified.MIXED,
    intervals.WILSON,
    intervals.WILSON_CLUSTERED,
)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_method_and_every_statement_has_words(language: str) -> None:
    english = json.loads((CATALOGUES / "en.json").read_text(encoding="utf-8"))
    keys = {text: key for key, text in english.items() if key.startswith("said.")}
    catalogue = json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))
    for text in (*METHODS, *(ancestor.what for ancestor in ANCESTORS), RANKED_ALIKE):
        assert text in keys, text
        assert catalogue[keys[text]]
        assert (catalogue[keys[text]] == text) is (language == "en"), text
