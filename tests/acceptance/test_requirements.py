"""An acceptance that cannot be made is refused before any image is read: none of these images exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from acceptance.test_accept import DECLARED, greys, write_cases
from bundles import write_bundle
from pneumoscope.bundle import evidence
from pneumoscope.bundle.runtime import load
from pneumoscope.core.errors import PneumoscopeError
from pneumoscope.data.manifest import Manifest
from pneumoscope.workflows.accept import accept


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", ("covid-19", "normal"))


def without_images(folder: Path, diseased: int = 12, others: int = 12, split: str | None = None) -> Manifest:
    cases = write_cases(folder, greys(0.5, 0.9, diseased), greys(0.1, 0.45, others), split=split)
    for image in folder.glob("*.png"):
        image.unlink()
    return cases


def refuse(words: str, bundle: Path, cases: Manifest, **changes: Any) -> None:
    with pytest.raises(PneumoscopeError, match=words) as raised:
        accept(bundle, cases, **(DECLARED | changes))
    assert raised.value.exit_code == 2
    assert not evidence.read(bundle, load(bundle).identity)


def test_what_is_declared_and_asked_must_be_possible(bundle: Path, tmp_path: Path) -> None:
    cases = without_images(tmp_path / "site")
    (tmp_path / "file").write_text("")
    for changes, words in (
        ({"sampling": "consecutiv"}, "Did you mean.*consecutive"),
        ({"reference": " "}, "is empty"),
        ({"reference": "two\nlines"}, "printable"),
        ({"window_days": -1}, "not between 0 and 3650"),
        ({"min_sensitivity": 1.0}, "from 0 to below 1"),
        ({"min_specificity": 95.0}, "from 0 to below 1"),
        ({"min_auroc": 0.4}, "from 0.5 to below 1"),
        ({"min_auroc": float("nan")}, "from 0.5 to below 1"),
        ({"target_sensitivity": 0.2}, "from 0.5 to below 1"),
        ({"min_sensitivity": 0.96}, "not above the minimum of 0.96"),
        ({"out": tmp_path / "file"}, "is a file"),
        ({"workers": 0}, "below 1"),
        ({"part": "test"}, "must set none"),
        ({"part": "train"}, "learnt from"),
        ({"part": "everything"}, "is unknown"),
    ):
        refuse(words, bundle, cases, **changes)


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_of_other_parts_are_refused_with_their_number(bundle: Path, tmp_path: Path, part: str) -> None:
    refuse(f"holds 24 images of the part {part}", bundle, without_images(tmp_path / "site", split=part))


def test_a_class_that_is_missing_or_rare_is_named_with_the_labels_there(bundle: Path, tmp_path: Path) -> None:
    refuse("with COVID-19: are 0; .* Labels here: normal 12", bundle, without_images(tmp_path / "none", 0, 12))
    refuse("without it .Normal.: are 9;", bundle, without_images(tmp_path / "few", 12, 9))


def test_labels_that_the_model_does_not_know_are_named(bundle: Path, tmp_path: Path) -> None:
    cases = without_images(tmp_path / "site", 12, 24)
    table = cases.table.copy()
    table.loc[30:, "label"] = "tuberculosis"
    refuse("no class for: tuberculosis .6 images.", bundle, Manifest(table, cases.roots))
