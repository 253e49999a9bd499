"""The limits on a card, by what the training images are."""

from __future__ import annotations

import pandas as pd
import pytest

from pneumoscope.bundle.card import CheckNote, CheckSummary
from pneumoscope.core.labels import LabelSet
from pneumoscope.core.task import Task
from pneumoscope.data.checks.ages import CHILDREN_AND_ADULTS
from pneumoscope.export.limits import limits, not_looked_for

TASK = Task(kind="binary", classes=("lung-opacity", "normal"), map={"tuberculosis": "lung-opacity"}, ignore=("nodule",))


@pytest.mark.parametrize(
    ("source", "label", "met"),
    [
        ("shenzhen", "tuberculosis", True),
        ("jsrt", "nodule", True),
        ("nih", "lung-opacity", True),
        ("nih", "normal", False),
        ("kaggle-pneumonia", "lung-opacity", False),
    ],
)
def test_whether_a_model_has_met_adults_with_another_disease(source: str, label: str, met: bool) -> None:
    train = pd.DataFrame({"source": ["radiography", source], "label": ["normal", label], "age": 40.0, "view": "PA"})
    sentences = limits(train, TASK, "patient", {})
    assert ("It has met no adult with a lung disease other than COVID-19." in sentences) is not met


@pytest.mark.parametrize("found", [True, False])
def test_children_are_told_of_where_the_checks_found_more_of_them_in_one_label(found: bool) -> None:
    train = pd.DataFrame({"source": ["shenzhen"] * 2, "label": ["normal", "lung-opacity"], "age": None, "view": "PA"})
    notes = (CheckNote(name=CHILDREN_AND_ADULTS, severity="warn", sentence="..."),) if found else ()
    sentences = limits(train, TASK, "patient", {}, CheckSummary(checked="", data="", findings=notes))
    assert "The age of most training patients is unknown." in sentences
    assert any("children" in sentence for sentence in sentences) is found


def test_nothing_is_said_of_patients_whom_nobody_described() -> None:
    train = pd.DataFrame({"source": ["folder"] * 2, "label": ["normal", "lung-opacity"], "age": 40.0, "view": "PA"})
    assert not any("no adult" in sentence for sentence in limits(train, TASK, "patient", {}))


def test_every_finding_that_a_model_lacks_is_named() -> None:
    """One finding of a group does not stand for the others, and one left out of a training is not looked for."""
    labels = LabelSet.builtin().with_entries({"Fluid overload": {}}, "x")
    task = Task(kind="multilabel", classes=("pneumonia", "nodule", "edema"))
    lacks = not_looked_for(task, labels)
    assert {"cardiomegaly", "lung mass", "fluid overload", "pleural effusion"} <= {*lacks}
    assert not {"nodules and masses", "lung lesion", "heart failure and oedema", "viral pneumonia"} & {*lacks}
    assert "nodules and masses" in not_looked_for(TASK, labels)
    assert "lung mass" not in not_looked_for(TASK, labels)


def test_a_label_of_ones_own_is_not_said_to_be_overlooked() -> None:
    """Its wider label stands in a group of findings that is then not said to be looked for by nobody."""
    labels = LabelSet.builtin().with_entries({"Heart failure": {"parents": ["edema"]}}, "x")
    task = Task(kind="binary", classes=("Heart failure", "normal"))
    assert "heart failure and oedema" not in not_looked_for(task, labels)
    assert "heart failure and oedema" in not_looked_for(TASK, labels)
