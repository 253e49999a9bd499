"""The page of a search: what it must say, that it is whole, and that its pictures are where the numbers are."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.reporting.charts.figure import MARK
from pneumoscope.stats.estimates import Estimate
from pneumoscope.tuning.charts import draw_history, draw_importance, draw_parallel_coordinates
from pneumoscope.tuning.page import render_search_page
from pneumoscope.tuning.result import AtPrecision, StudySummary, StudyTrial, TuningComparison


def trial(number: int, value: float | None, **more: object) -> StudyTrial:
    estimate = None if value is None else Estimate(value=value, low=value - 0.05, high=min(1.0, value + 0.05))
    state = "complete" if value is not None else "pruned"
    settings = {"optimizer.lr": 10.0**-number, "head.<b>": "x"}
    return StudyTrial.model_validate(
        {"number": number, "state": state, "settings": settings, "objective": estimate, "seconds": 3.2, **more}
    )


def summary(*trials: StudyTrial, **more: object) -> StudySummary:
    given: dict[str, object] = {
        "created": "2026-01-02T03:04:05+00:00",
        "name": "tiny",
        "recipe": "lenet-128",
        "search": "mine",
        "objective": "auroc",
        "objective_words": "AUROC of the primary class",
        "goal": "maximize",
        "measured": "grouped 5-fold cross-validation",
        "sampler": "tpe",
        "pruner": "median",
        "seed": 0,
        "data": "d" * 64,
        "split": "e" * 64,
        "images": 152,
        "groups": 132,
        "class_images": {"covid-19": 76, "normal": 76},
        "class_sources": {"covid-19": {"ieee8023": 76}, "normal": {"kaggle-pneumonia": 76}},
        "group_sentence": "Intervals keep the images of one patient together.",
        "stamps": ("A test of two sources: ...",),
        "space": {"optimizer.lr": "0.1, 0.01", "head.<b>": "x"},
        "trials": trials,
        "best": 2,
        "own": 1,
        "importance": {"optimizer.lr": 0.75, "head.<b>": 0.25},
        "changes": ("optimizer.lr=0.01",),
    }
    return StudySummary.model_validate({**given, **more})


COMPARISON = TuningComparison(
    how="How it was done.",
    caution="What it does not show.",
    positives=76,
    before={"auroc": Estimate(value=0.8, low=0.7, high=0.9), "log-loss": Estimate(value=1.2, low=1.0, high=1.4)},
    after={"auroc": Estimate(value=0.85, low=0.75, high=0.95), "log-loss": Estimate(value=1.1, low=0.9, high=1.3)},
    difference=Estimate(value=0.05, low=-0.02, high=0.12),
    at_precision=(AtPrecision(precision=0.9, before=12, after=None, difference=Estimate(value=None)),),
)


class Text(HTMLParser):
    """The page's text and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_says_that_the_best_is_optimistic_and_what_it_measured() -> None:
    study_summary = summary(trial(1, 0.8), trial(2, 0.9), trial(3, None, why="after step 1 of 5"))
    page = Text(render_search_page(study_summary))
    for words in (
        DISCLAIMER,
        "2 trials measured, 1 ended early, 0 failed, of 3 planned",
        "partly by chance",
        "The search did not use the test part",
        "A test of two sources",
        "COVID-19 76 (ieee8023 76); Normal 76 (kaggle-pneumonia 76)",
        "optimizer.lr=0.01",
        "pruned: after step 1 of 5",
        "--nested 5",
    ):
        assert words in page.text
    assert "script" not in page.tags
    assert "b" not in page.tags  # a key is text, not markup
    assert not re.search(r"https?://", render_search_page(study_summary))


def test_a_comparison_replaces_the_advice() -> None:
    page = Text(render_search_page(summary(trial(1, 0.8), trial(2, 0.9), comparison=COMPARISON)))
    assert "0.050 ( -0.020 to 0.120 )" in page.text.replace("(", "( ").replace(")", " )")
    assert "12 of 76" in page.text
    assert "not reached" in page.text
    assert "What it does not show." in page.text
    assert "--nested 5" not in page.text


def test_the_ranking_follows_the_goal() -> None:
    def first_row(goal: str) -> str:
        page = Text(render_search_page(summary(trial(1, 0.8), trial(2, 0.9), best=None, own=None, goal=goal)))
        return page.text.split("Machine", 1)[1].split()[0]

    assert first_row("maximize") == "2"
    assert first_row("minimize") == "1"


def notes(figure: Figure) -> dict[str, Line2D]:
    """Note -> the line or mark that has it."""
    return {str(line.get_gid()).removeprefix("note:"): line for line in figure.axes[0].lines if line.get_gid()}


def test_history_draws_a_point_for_each_trial_and_a_line_that_only_gets_better() -> None:
    trials = [trial(1, 0.8), trial(2, 0.9), trial(3, 0.85), trial(4, None)]
    figure = draw_history(trials, "maximize", "AUROC")
    assert figure is not None
    points = [line.get_xydata()[0] for note, line in notes(figure).items() if re.fullmatch(r"trial \d+: 0.*", note)]
    assert [tuple(point) for point in points] == [(1, 0.8), (2, 0.9), (3, 0.85)]
    [ended_early] = [line for note, line in notes(figure).items() if note.startswith("trial 4: pruned")]
    assert ended_early.get_marker() == "x"
    best = notes(figure)["best so far"].get_xydata()
    assert [tuple(point) for point in best] == [(1, 0.8), (2, 0.9), (3, 0.9), (4, 0.9)]
    assert draw_history(trials[3:], "maximize", "AUROC") is None


def test_parallel_coordinates_order_numbers_and_mark_the_best() -> None:
    trials = [trial(n, 0.8 + n / 100) for n in (1, 2, 3)]
    figure = draw_parallel_coordinates(trials, ["optimizer.lr"], "maximize", 3, "AUROC")
    assert figure is not None
    places = {text.get_text(): text.xy[1] for text in figure.axes[0].texts if text.xy[0] == 0}
    assert places["0.001"] < places["0.01"] < places["0.1"]
    assert [note for note, line in notes(figure).items() if line.get_color() == MARK] == ["trial 3"]
    assert notes(figure)["trial 3"].get_xydata().tolist() == [[0, places["0.001"]], [1, 1]]
    assert draw_parallel_coordinates(trials[:1], ["optimizer.lr"], "maximize", 1, "AUROC") is None


def test_equal_objectives_stand_halfway_up_their_axis() -> None:
    trials = [trial(n, 0.75) for n in (1, 2)]
    figure = draw_parallel_coordinates(trials, ["optimizer.lr"], "maximize", 1, "AUROC")
    assert figure is not None
    assert [line.get_ydata()[-1] for line in notes(figure).values()] == [0.5, 0.5]
    assert {text.get_text(): text.xy[1] for text in figure.axes[0].texts if text.xy[0] == 1}["0.75"] == 0.5


def test_bars_are_as_long_as_their_shares() -> None:
    figure = draw_importance({"a": 0.25, "b": 0.75})
    assert figure is not None
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([0.75, 0.25])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "a"]


def test_a_summary_survives_its_own_json() -> None:
    study_summary = summary(trial(1, 0.8), comparison=COMPARISON)
    assert StudySummary.model_validate_json(study_summary.to_json()) == study_summary
