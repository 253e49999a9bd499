"""The limits on a card, by what the training images are."""

from __future__ import annotations

import pandas as pd
import pytest

from pneumoscope.core.task import Task
from pneumoscope.export.limits import limits

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
