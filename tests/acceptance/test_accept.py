"""A site's acceptance on images whose figures can be worked out by hand.

The tiny bundle answers by brightness: an image of grey v has the score of `bundles`, and one under .032 is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import write_bundle
from pneumoscope.acceptance.page import render_acceptance_page
from pneumoscope.acceptance.result import Acceptance
from pneumoscope.bundle import evidence
from pneumoscope.bundle.runtime import load
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.core.files import sha256_of
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.phantoms.files import write_png
from pneumoscope.workflows.accept import accept

SIDE = 32
DECLARED: dict[str, Any] = {"sampling": "consecutive", "reference": "RT-PCR", "window_days": 3, "workers": 1}


def write_cases(
    folder: Path,
    diseased: Sequence[float],
    others: Sequence[float],
    *,
    source: str = "clinic",
    split: str | None = None,
) -> Manifest:
    """Write one image of one grey for each patient; files of the same grey differ in one pixel."""
    rows = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, grey in enumerate([*diseased, *others]):
        name = f"{number}.png"
        pixels = np.full((SIDE, SIDE), grey, np.float32)
        pixels.flat[number] = min(1.0, grey + 2 / 255)
        write_png(folder / name, pixels)
        rows.append(
            {
                "image": name, "source": source, "label": "covid-19" if number < len(diseased) else "normal",
                "raw_label": "x", "group": str(number), "patient_id": str(number), "split": split, "width": SIDE,
                "height": SIDE, "bits": 8, "sha256": sha256_of(folder / name), "phash": f"{number:016x}",
            }
        )  # fmt: skip
    return Manifest.from_rows(rows, {source: folder})


class Lines(Callbacks):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", ("covid-19", "normal"))


def greys(low: float, high: float, number: int) -> list[float]:
    return [float(value) for value in np.linspace(low, high, number)]


@pytest.fixture(scope="module")
def accepted_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("accepted") / "bundle", ("covid-19", "normal"))


@pytest.fixture(scope="module")
def good(accepted_bundle: Path) -> Acceptance:
    """100 bright images with disease, of which 2 are black and refused, and 100 dark ones without."""
    folder = accepted_bundle.parent
    cases = write_cases(folder / "site", [0.0, 0.0, *greys(0.5, 0.9, 98)], greys(0.1, 0.45, 100))
    return accept(accepted_bundle, cases, folder / "out", **DECLARED)


def test_clear_cases_are_a_go_and_refused_images_count_against_the_model(good: Acceptance) -> None:
    """Of 98 answered images with disease, 4 are under .95's threshold of the others; 2 of 100 are refused."""
    assert good.verdict == "go"
    assert (good.patients_with, good.patients_without) == (100, 100)
    sensitivity = good.criteria[0]
    assert good.refused.value == pytest.approx(2 / 200)
    assert good.refused_with.value == pytest.approx(2 / 100)
    assert list(good.refused_for) == ["unlike-training"]
    hits = round(98 * (sensitivity.answered.value or 0))
    assert sensitivity.figure.value == pytest.approx(hits / 100)
    assert sensitivity.answered.value == pytest.approx(hits / 98)
    assert 92 <= hits <= 94
    assert good.criteria[1].figure.value == 1


def test_a_refused_image_ranks_on_the_wrong_side(good: Acceptance) -> None:
    """Two of 100 with disease under all others: the AUROC is .98; that of the answered images is 1."""
    assert good.criteria[2].figure.value == pytest.approx(0.98)
    assert good.criteria[2].answered.value == 1


def test_predictive_values_are_those_of_the_decisions(good: Acceptance) -> None:
    """No image without disease is called positive; those that are missed are called negative."""
    assert good.ppv is not None
    assert good.npv is not None
    assert good.ppv.value == 1
    missed = 98 - round(98 * (good.criteria[0].answered.value or 0))
    assert good.npv.value == pytest.approx(100 / (100 + missed))


def test_the_plan_is_written_before_the_first_image_is_scored(bundle: Path, tmp_path: Path) -> None:
    """The images are gone: nothing can be scored, and what was asked is on record."""
    cases = write_cases(tmp_path / "site", greys(0.5, 0.9, 12), greys(0.1, 0.45, 12))
    for image in (tmp_path / "site").glob("*.png"):
        image.unlink()
    with pytest.raises(Exception, match="none of 24 images could be read"):
        accept(bundle, cases, tmp_path / "out", min_auroc=0.9, **DECLARED)
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["minima"] == {"sensitivity": 0.85, "specificity": 0.6, "auroc": 0.9}
    [kept] = evidence.plans(evidence.read(bundle, load(bundle).identity))
    assert kept.minima.auroc == 0.9
    assert kept.number == plan["number"]


def test_another_try_with_other_minima_is_visible(bundle: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "site", [*greys(0.45, 0.9, 100)], greys(0.1, 0.6, 100))
    first = accept(bundle, cases, min_specificity=0.97, **DECLARED)
    assert first.verdict == "no-go"
    assert "specificity" in first.reason
    second = accept(bundle, cases.where(~np.isin(np.arange(200), (3, 190))), min_specificity=0.1, **DECLARED)
    [earlier] = second.earlier
    assert (earlier.minima.specificity, earlier.shared_images, earlier.verdict) == (0.97, 198, "no-go")
    assert any("Other minima were stated" in note for note in second.notes)
    assert "looked at before" in render_acceptance_page(second)


def test_fewer_than_100_of_a_kind_decide_nothing_and_hide_no_earlier_verdict(
    accepted_bundle: Path, good: Acceptance, tmp_path: Path
) -> None:
    heard = Lines()
    cases = write_cases(tmp_path / "few", greys(0.5, 0.9, 99), greys(0.1, 0.45, 120))
    few = accept(accepted_bundle, cases, callbacks=heard, **DECLARED)
    assert few.verdict == "insufficient"
    assert "99 patients with and 120 without" in few.reason
    assert any("Its plan is kept" in line for line in heard.lines)
    short = next(line for line in heard.lines if "a go at all, with disease" in line)
    assert "needs 100 patients with disease (here 99, 1 too few)" in short
    assert heard.lines.index(short) < next(n for n, line in enumerate(heard.lines) if "before any image" in line)
    newest = evidence.latest_acceptance(accepted_bundle, load(accepted_bundle).identity)
    assert newest is not None
    assert (newest.verdict, newest.plan) == ("go", good.plan.number)


def test_several_images_of_a_patient_are_one_patient(bundle: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "site", greys(0.5, 0.9, 100), greys(0.1, 0.45, 100))
    table = cases.table.assign(group=[str(number // 2) for number in range(200)])
    table["patient_id"] = table["group"]
    result = accept(bundle, Manifest(table, cases.roots), **DECLARED)
    assert (result.verdict, result.patients_with, result.images_with) == ("insufficient", 50, 100)


def test_a_model_that_refuses_everything_is_no_go_and_has_a_page(bundle: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "site", [0.0] * 100, [0.0] * 100)
    result = accept(bundle, cases, **DECLARED)
    assert result.verdict == "no-go"
    assert [one.figure.value for one in result.criteria] == [0, 0, 0]
    assert result.threshold is None
    assert "too few" in render_acceptance_page(result)


def test_enriched_sampling_has_no_figure_that_rests_on_the_share_of_disease(bundle: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "site", greys(0.4, 0.9, 100), greys(0.1, 0.5, 100))
    result = accept(bundle, cases, **(DECLARED | {"sampling": "enriched"}))
    assert result.ppv is result.npv is result.calibration_intercept is result.observed_to_expected is None
    assert result.calibration_slope.value is not None
    assert all("observed to expected" not in size.aim for size in result.advice_after)
    page = render_acceptance_page(result)
    assert "No PPV and no NPV" in page


def test_observed_to_expected_is_cases_over_summed_scores(bundle: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "site", greys(0.4, 0.9, 100), greys(0.1, 0.5, 100))
    result = accept(bundle, cases, **DECLARED)
    table = load(bundle).predict([str(path) for path in cases.paths()])
    assert result.observed_to_expected is not None
    assert result.observed_to_expected.value == pytest.approx(100 / table["p_covid-19"].sum(), rel=1e-4)


def test_the_verdict_is_shown_where_the_model_is_used(accepted_bundle: Path, good: Acceptance) -> None:
    from pneumoscope.server.inference.models import InstalledModel, read_acceptance_verdict
    from pneumoscope.workflows.predict import predict

    card = (accepted_bundle / "CARD.md").read_text()
    assert "> **Site acceptance: go, on 100 patients with and 100 without disease." in card
    assert "RT-PCR, within 3 days" in card
    installed = InstalledModel(load(accepted_bundle).identity, accepted_bundle, load(accepted_bundle).card, False)
    assert read_acceptance_verdict(installed) == "go"
    heard = Lines()
    predict([accepted_bundle.parent / "site" / "9.png"], accepted_bundle, callbacks=heard)
    assert any(line.startswith("Site acceptance: go") for line in heard.lines)


def test_drawn_images_are_no_evidence(bundle: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "site", greys(0.5, 0.9, 12), greys(0.1, 0.45, 12), source="synthetic-1")
    result = accept(bundle, cases, **DECLARED)
    assert any("Drawn images" in note for note in result.notes)
    assert not evidence.read(bundle, load(bundle).identity)


def test_the_page_says_reference_and_verdict_in_light_and_dark(good: Acceptance) -> None:
    page = render_acceptance_page(good)
    assert '<span class="verdict go">go</span>' in page
    assert "RT-PCR, within 3 days of the radiograph" in page
    assert "prefers-color-scheme: dark" in page
    assert "<script" not in page
    assert good.disclaimer in page


def test_the_baseline_for_the_monitor_is_kept(accepted_bundle: Path, good: Acceptance) -> None:
    newest = evidence.latest_acceptance(accepted_bundle, load(accepted_bundle).identity)
    assert newest is not None
    baseline = newest.baseline
    assert (baseline.images, baseline.refused, baseline.answered) == (200, 2, 198)
    assert (len(baseline.scores), len(baseline.ood)) == (198, 200)
    assert list(baseline.scores) == sorted(baseline.scores)
    assert baseline.agreeing == round(98 * (good.card_figures.sensitivity_answered.value or 0) + 100)
