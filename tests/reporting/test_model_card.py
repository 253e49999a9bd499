"""CARD.md states the facts of card.json."""

from __future__ import annotations

import pytest

from pneumoscope.bundle.card import PartMetrics
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.reporting.model_card import render_model_card
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.reporting.pages.run_report import list_training_rows
from pneumoscope.reporting.record import read_record
from pneumoscope.stats.estimates import Estimate, PredictionSets

bundles = pytest.importorskip("bundles")
pytest.importorskip("onnx")


@pytest.fixture
def card(tmp_path):
    from pneumoscope.bundle.card import read_card

    metrics = {
        "accuracy": Estimate(value=0.9123, low=0.88, high=0.94),
        "covid-19/auroc": Estimate(value=0.98, note="interval not estimable: 5 groups in this class"),
        "covid-19/calibration_slope": Estimate(value=None, note="no finite value"),
        "sensitivity-95/specificity": Estimate(value=0.8, low=0.7, high=0.9),
    }
    part = PartMetrics(part="validation", data="d" * 64, images=321, groups=300, group_kind="image", metrics=metrics)
    folder = bundles.write_bundle(
        tmp_path, metrics=(part,), metrics_by_source={"nih": (part,)}, stamps=("confounded",), synthetic=False
    )
    return read_card(folder)


def test_card_states_question_data_figures_and_warnings(card):
    text = render_model_card(*card)
    assert text.splitlines()[2] == f"> **{DISCLAIMER}**"
    assert "**Warning: confounded.**" in text
    assert card[1] in text
    assert "It does not look for: tuberculosis; pneumothorax." in text
    assert "| Accuracy | 0.912 [0.880, 0.940] |" in text
    assert "| COVID-19: AUROC | 0.980 [interval not estimable] |" in text
    assert "| COVID-19: Calibration slope | not estimable |" in text
    assert "| Specificity at target sensitivity .95 | 0.800 [0.700, 0.900] |" in text
    assert "| target sensitivity .95 (default) | 0.4000 |" in text
    assert "| 0.500 to 1.000 | 90.0% [70.0%, 98.0%] | 20 |" in text
    assert "source nih only" in text
    assert "321 images in 300 groups (single images, patients unknown: the true interval is wider)" in text
    assert "Knows nothing of lungs." in text
    assert "drawn images" not in text


def test_an_interval_that_may_be_short_has_a_mark_and_a_footnote(card):
    short = Estimate(value=0.9, low=0.8, high=0.95, note="the interval may be too short: 12 groups in a class")
    [part] = card[0].metrics
    marked = part.model_copy(update={"metrics": {**part.metrics, "covid-19/auroc": short}})
    blocks = render_model_card(card[0].model_copy(update={"metrics": (marked,)}), card[1]).split("\n\n")
    [table] = [block for block in blocks if "0.900 [0.800, 0.950]*" in block]
    assert table.count("*") == 1
    assert blocks[blocks.index(table) + 1] == "\\* The interval may be too short: 12 groups in a class."
    assert not any("too short" in block for block in render_model_card(*card).split("\n\n"))


def test_one_band_of_all_scores_is_said_to_mean_nothing(card):
    band = {"low": 0.0, "high": 1.0, "rate": 0.53, "rate_low": 0.37, "rate_high": 0.69, "n": 34}
    text = render_model_card(card[0].model_copy(update={"score_bands": (band,)}), card[1])
    assert "The model has calibration images too few, or too alike in score, to say what a score means." in text
    assert "53.0%" not in text


def test_sets_that_rule_nothing_out_are_not_praised_for_their_coverage(card):
    sets = PredictionSets(
        alpha=0.05,
        thresholds={"covid-19": 0.0, "normal": 0.2},
        groups={"covid-19": 11, "normal": 60},
        expected={"covid-19": (1.0, 1.0), "normal": (0.9, 0.98)},
        method="split conformal",
        measured_on="validation, 57 images",
        coverage={"covid-19": Estimate(value=1.0, low=0.88, high=1.0)},
        mean_size=1.75,
    )
    text = render_model_card(card[0].model_copy(update={"prediction_sets": sets}), card[1])
    row = "| COVID-19 | not measured | 1.000 [0.880, 1.000] |  | 11: too few to rule anything out |"
    assert row in text
    assert "| Normal | not measured | not measured | 0.900 to 0.980 | 60 |" in text
    assert "Every set contains COVID-19, so that a share of 1 says nothing." in text
    assert "Classes in a set: 1.75 of 2 on average." in text


def test_a_finding_has_no_figures_of_a_decision_that_it_does_not_take(tmp_path):
    """A finding is decided by its own threshold, not by the larger of two probabilities."""
    from pneumoscope.bundle.card import read_card

    findings = bundles.findings_of_a_card()["findings"]
    [part] = findings[0].metrics
    largest = ("accuracy", "balanced_accuracy", *(f"{bundles.FINDINGS[0]}/{key}" for key in ("recall", "f1")))
    more = {**part.metrics, **dict.fromkeys(largest, Estimate(value=0.123))}
    first = findings[0].model_copy(update={"metrics": (part.model_copy(update={"metrics": more}),)})
    text = render_model_card(*read_card(bundles.write_findings_bundle(tmp_path, findings=(first, *findings[1:]))))
    assert "0.123" not in text
    assert "| Sensitivity at target sensitivity .95 | 0.900 [0.800, 0.950] |" in text


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head(card):
    width = None
    for line in render_model_card(*card).splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = line.replace("\\|", "").count("|") - 1
        width = width or cells
        assert cells == width, line


LEFT_OUT = tuple(f"finding number {n} left out, too few: {'the validation part lacks it ' * 6}" for n in range(10))
"""As a recipe of several findings has them; 2,000 characters in all."""


def test_many_changes_to_a_recipe_are_a_list_and_no_cell_of_a_table(card):
    plain, identity = card
    for changes, listed in (((), ()), (("training.epochs=2", "optimizer.lr=0.1"), ()), (LEFT_OUT, LEFT_OUT)):
        changed = plain.model_copy(update={"recipe_changes": changes})
        lines = render_model_card(changed, identity).splitlines()
        [cell] = [line for line in lines if line.startswith("| Recipe |")]
        assert len(cell) < 200
        assert ("10 changes" if listed else f"changes: {'; '.join(changes) or 'none'}") in cell
        assert [line for line in lines if line.startswith("- finding number")] == [f"- {change}" for change in listed]


def test_a_page_opens_many_changes_and_shows_few(card, tmp_path):
    template = '{% from "sections/macros.html" import change_list %}{{ change_list(changes) }}'
    show = load_templates().from_string(template).render
    assert "<details>" not in show(changes=["optimizer.lr=0.1"])
    assert "<code>optimizer.lr=0.1</code>" in show(changes=["optimizer.lr=0.1"])
    assert "<summary>10 changes</summary>" in show(changes=LEFT_OUT)
    assert show(changes=LEFT_OUT).count("<li>") == 10
    record = read_record(bundles.write_bundle(tmp_path / "b", recipe_changes=(*LEFT_OUT, "<b>=1")))
    rows = dict(list_training_rows(record))
    assert "11 changes" in rows["Recipe"]
    assert rows["Recipe"].count("<li>") == 11
    assert "<li>&lt;b&gt;=1</li>" in rows["Recipe"]
