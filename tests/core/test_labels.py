"""The vocabulary is data: names, languages, synonyms and the one label that means "none of these"."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
import yaml

from pneumoscope.core import labels
from pneumoscope.core.errors import LabelError
from pneumoscope.core.labels import LABELS, NO_PATTERN, LabelSet, check_label, display_name, result_phrase
from pneumoscope.core.task import Task

SCREEN_NAMES = Path(__file__).parents[2] / "web" / "src" / "i18n" / "labels.json"


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
        "atelectasis",
        "cardiomegaly",
        "consolidation",
        "edema",
        "emphysema",
        "hernia",
        "infiltration",
        "mass",
        "pleural-effusion",
        "pleural-thickening",
        "pneumothorax",
        "pulmonary-fibrosis",
        "enlarged-cardiomediastinum",
        "lung-lesion",
        "pleural-other",
        "fracture",
        "support-devices",
        "other",
    ]
    assert LABELS["viral-pneumonia"] == "Viral pneumonia"
    assert LabelSet.builtin().none_label == "normal"


def test_names_agree_with_the_web_app():
    if not SCREEN_NAMES.is_file():
        pytest.skip("the sources of the web app are absent")
    screen_names = json.loads(SCREEN_NAMES.read_text(encoding="utf-8"))
    labels = LabelSet.builtin().values()
    # A result is never a bare "normal", so that the app has words of its own for it.
    assert screen_names == {label.identifier: dict(label.names) for label in labels if not label.none}
    assert all({"en", "de"} <= set(names) for names in screen_names.values())


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


def test_the_findings_of_nih_are_in_the_vocabulary():
    from pneumoscope.data.sources.nih import FINDINGS

    found = {finding: LabelSet.builtin().find(finding) for finding in FINDINGS}
    assert None not in found.values()
    assert len(set(found.values())) == 14


def test_a_label_of_ones_own_is_shown_in_its_own_words(tmp_path):
    path = tmp_path / "labels.yaml"
    path.write_text(
        "Плеврит:\n"
        "  names: {de: Rippenfellentzündung}\n"
        "  synonyms: [pleurisy]\n"
        "  parents: [pleural-effusion]\n"
        "ILD:\n"
        "normal: {synonyms: [unremarkable]}\n",
        encoding="utf-8",
    )
    labels = LabelSet.read(path)
    assert [label.identifier for label in labels.own] == ["Плеврит", "ILD"]
    assert labels.find("PLEURISY") == labels.find("rippenfellentzündung") == "Плеврит"
    assert labels.find("unremarkable") == "normal"
    assert labels.name_of("Плеврит", "en") == display_name("Плеврит") == "Плеврит"
    assert labels.name_of("Плеврит", "de") == "Rippenfellentzündung"
    assert labels.ancestors("Плеврит") == ("pleural-effusion",)
    assert pickle.loads(pickle.dumps(labels)).own == labels.own  # a process of a search gets the manifest
    again = LabelSet.builtin().with_entries({label.identifier: label.to_entry() for label in labels.own}, "facts")
    assert again.own == labels.own


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a/b:", "cannot name a label: it has '/'"),
        ("refused:", "stands for something else"),
        ("'42':", "it has no letter"),
        ("'yes':", "YAML does not read it"),
        (f"{'x' * 65}:", "more than 64 characters"),
        ("Effusion:", "means the label 'pleural-effusion' already"),
        ("ild: {names: {en: Interstitial lung disease}}", "identifier is its English name"),
        ("ild: {synonyms: tb}", "no list of texts"),
        ("ild: {synonyms: [TB]}", "'TB' means the label 'tuberculosis' already"),
        ("ild: {none: true}", "none of these findings is 'normal' here"),
        ("ild: {parents: [lung-opacty]}", "Did you mean 'lung-opacity'"),
        ("ild: {parent: [lung-opacity]}", "Did you mean 'parents'"),
        ("{a1: {parents: [b1]}, b1: {parents: [a1]}}", "is its own ancestor"),
        ("{a1: {parents: [a1]}}", "'a1' is its own ancestor"),
        ("{a1: {parents: [b1]}, b1: {parents: [lung-opacity, c1]}, c1: {parents: [b1]}}", "'b1' is its own ancestor"),
        ("ild: {parents: [normal]}", "none of these has no wider or narrower label"),
        ("covid-19: {parents: [pneumonia]}", "is a label of the package"),
        ("normal: {names: {fr: Sain}}", "is a label of the package"),
        ("{foo: {synonyms: [effu]}, FOO: {}}", "'FOO' means the label 'foo' already"),
        ("{Foo: {}, effu: {names: {de: Foo}}}", "'Foo' means the label 'Foo' already"),
        ("ild: {synonyms: ['']}", "no list of texts, printable"),
        ('ild: {names: {de: "a\\e[31m"}}', "printable and of at most 64"),
        ("not this: {}", "names the other side"),
        ("'1e3': {}", "YAML does not read it"),
        ("a<b: {}", "it has '<'"),
        ("[", "is no YAML"),
        ("ild: {synonyms: [a1]}\nild: {synonyms: [b1]}", "the key 'ild' stands twice"),
        ("[" * 2000, "too many levels"),
        ("", "has no entries"),
    ],
)
def test_a_broken_vocabulary_of_ones_own_is_refused(tmp_path, text, problem):
    path = tmp_path / "labels.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError, match=re.escape(problem)):
        LabelSet.read(path)


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
