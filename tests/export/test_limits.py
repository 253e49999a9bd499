"""The limits on a card, by what the training images are."""

from __future__ import annotations

import pandas as pd
import pytest

from pneumoscope.bundle.card import CheckNote, CheckSummary, PartMetrics
from pneumoscope.core.labels import LabelSet
from pneumoscope.core.task import Task
from pneumoscope.data.checks.ages import CHILDREN_AND_ADULTS
from pneumoscope.export.limits import limits, limits_of_findings, not_looked_for
from pneumoscope.stats.estimates import Estimate

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


def test_a_known_leak_is_the_first_limit() -> None:
    train = pd.DataFrame({"source": ["shenzhen"] * 2, "label": ["normal", "lung-opacity"], "age": 40.0, "view": "PA"})
    leak = CheckNote(
        name="patients-across-parts", severity="block", sentence="5 persons are in two.", because="a trial"
    )
    checks = CheckSummary(checked="", data="", findings=(leak,))
    for said in (limits(train, TASK, "patient", {}, checks), limits_of_findings(train, "patient", {}, {}, checks)):
        assert said[0] == (
            "Its parts are not kept apart (patients-across-parts): 5 persons are in two. So its figures are partly "
            "memory, and higher than on new patients. The training was allowed, because: a trial"
        )


def test_nothing_is_said_of_patients_whom_nobody_described() -> None:
    train = pd.DataFrame({"source": ["folder"] * 2, "label": ["normal", "lung-opacity"], "age": 40.0, "view": "PA"})
    assert not any("no adult" in sentence for sentence in limits(train, TASK, "patient", {}))


def test_only_an_interval_that_reaches_chance_is_called_guessing() -> None:
    train = pd.DataFrame({"source": ["nih"], "label": ["mass"], "age": 40.0, "view": "PA"})
    areas = {
        "mass": Estimate(value=0.56, low=0.48, high=0.63),
        "pneumonia": Estimate(value=0.795, low=0.668, high=0.879),
        "nodule": Estimate(value=0.9, low=0.8, high=0.95),
    }
    said = limits_of_findings(train, "patient", {}, areas)
    about = "Its AUROC on the validation images may be"
    assert f"{about} 0.5 or less, no better than guessing, for lung mass 0.560 [0.480, 0.630]." in said
    assert f"{about} under 0.7, a weak ranking, for pneumonia 0.795 [0.668, 0.879]." in said
    assert sum(sentence.startswith(about) for sentence in said) == 2


@pytest.mark.parametrize(("low", "how"), [(0.45, "close to guessing"), (0.56, "weak")])
def test_a_weak_accuracy_is_called_guessing_only_where_it_may_be_chance(low: float, how: str) -> None:
    train = pd.DataFrame({"source": ["nih"], "label": ["lung-opacity"], "age": 40.0, "view": "PA"})
    accuracy = {"balanced_accuracy": Estimate(value=0.62, low=low, high=0.7)}
    part = PartMetrics(part="validation", data="", images=90, groups=90, group_kind="patient", metrics=accuracy)
    assert any(f"its answers are {how}." in sentence for sentence in limits(train, TASK, "patient", {"nih": part}))


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
