"""The vocabulary is data: names, languages, synonyms and the one label that means "none of these"."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pneumoscope.core import labels
from pneumoscope.core.errors import LabelError
from pneumoscope.core.labels import LABELS, NO_PATTERN, LabelSet, check_label, display_name, result_phrase
from pneumoscope.core.task import Task

CATALOGUES = Path(__file__).parents[2] / "web" / "src" / "i18n"


def test_the_built_in_labels_are_those_of_manifests():
    assert list(LABELS) == [
        "covid-19",
        "normal",
        "viral-pneumonia",
        "bacterial-pneumonia",
        "pneumonia",
        "lung-opacity",
        "tuberculosis",
        "nodule",
        "other",
    ]
    assert LABELS["viral-pneumonia"] == "Viral pneumonia"
    assert LabelSet.builtin().none_label == "normal"


@pytest.mark.parametrize("language", ["en", "de"])
def test_names_agree_with_the_web_app(language):
    if not CATALOGUES.is_dir():
        pytest.skip("the sources of the web app are absent")
    screen_names = json.loads((CATALOGUES / f"{language}.json").read_text(encoding="utf-8"))
    vocabulary = LabelSet.builtin()
    for label in vocabulary:
        if label != vocabulary.none_label:  # a result is never a bare "normal"
            assert screen_names[f"label.{label}"] == vocabulary.name_of(label, language)


def test_a_whole_name_or_synonym_finds_a_label():
    vocabulary = LabelSet.builtin()
    assert vocabulary.find(" Virale Pneumonie ") == "viral-pneumonia"
    assert vocabulary.find("no finding") == "normal"
    assert vocabulary.find("pneumonia, viral or bacterial") is None


def test_each_term_belongs_to_one_label():
    terms = [
        word.casefold()
        for identifier, label in LabelSet.builtin().items()
        for word in {identifier.casefold(), *(w.casefold() for w in (*label.names.values(), *label.synonyms))}
    ]
    assert len(terms) == len(set(terms))


def test_an_unknown_label_suggests_the_nearest():
    with pytest.raises(LabelError, match=r"Did you mean 'viral-pneumonia'"):
        check_label("viral-pneumona", "row 3")


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"a": {"names": {"de": "A"}}}, "no English name for 'a'"),
        ({"a": {"names": {"en": "A"}, "none": True}, "b": {"names": {"en": "B"}, "none": True}}, "2 labels"),
    ],
)
def test_a_broken_vocabulary_is_refused(entries, problem):
    with pytest.raises(LabelError, match=problem):
        LabelSet.from_entries(entries, "labels.yaml")


def test_a_result_is_never_a_bare_normal():
    assert result_phrase("normal") == NO_PATTERN
    assert result_phrase("covid-19") == "COVID-19"
    assert display_name("a class of a recipe") == "a class of a recipe"


def test_a_new_label_needs_one_entry_in_the_data(monkeypatch):
    path = Path(labels.__file__).with_name("labels.yaml")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    extended = LabelSet.from_entries(entries | {"tuberculosis": {"names": {"en": "Tuberculosis"}}}, "labels.yaml")
    monkeypatch.setattr(LabelSet, "builtin", lambda: extended)
    assert display_name("tuberculosis") == "Tuberculosis"
    assert Task(kind="binary", classes=("tuberculosis", "normal")).members("tuberculosis") == ("tuberculosis",)
    assert check_label("tuberculosis", "row 1") == "tuberculosis"
