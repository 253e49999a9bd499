"""The page of a search: what it must say, that it is whole, and that its pictures are where the numbers are."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.stats.estimates import Estimate
from pneumoscope.tuning.charts import bars, history, parallel, ticks
from pneumoscope.tuning.page import study_page
from pneumoscope.tuning.result import AtPrecision, Comparison, StudySummary, StudyTrial


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


COMPARISON = Comparison(
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
    made = summary(trial(1, 0.8), trial(2, 0.9), trial(3, None, why="after step 1 of 5"))
    page = Text(study_page(made))
    for words in (
        DISCLAIMER,
        "2 trials measured, 1 ended early, 0 failed, of 3 planned",
        "partly by chance",
        "The test part took no part",
        "A test of two sources",
        "COVID-19 76 (ieee8023 76); Normal 76 (kaggle-pneumonia 76)",
        "optimizer.lr=0.01",
        "pruned: after step 1 of 5",
        "--nested 5",
    ):
        assert words in page.text
    assert "script" not in page.tags
    assert "b" not in page.tags  # a key is text, not markup
    assert not re.search(r"https?://", study_page(made).replace("http://www.w3.org/2000/svg", ""))


def test_a_comparison_takes_the_place_of_the_advice() -> None:
    page = Text(study_page(summary(trial(1, 0.8), trial(2, 0.9), comparison=COMPARISON)))
    assert "0.050 ( -0.020 to 0.120 )" in page.text.replace("(", "( ").replace(")", " )")
    assert "12 of 76" in page.text
    assert "not reached" in page.text
    assert "What it does not show." in page.text
    assert "--nested 5" not in page.text


def test_the_ranking_follows_the_goal() -> None:
    def first_row(goal: str) -> str:
        page = Text(study_page(summary(trial(1, 0.8), trial(2, 0.9), best=None, own=None, goal=goal)))
        return page.text.split("Machine", 1)[1].split()[0]

    assert first_row("maximize") == "2"
    assert first_row("minimize") == "1"


def test_history_draws_a_point_for_each_trial_and_a_line_that_only_gets_better() -> None:
    trials = [trial(1, 0.8), trial(2, 0.9), trial(3, 0.85), trial(4, None)]
    drawn = str(history(trials, "maximize", "AUROC"))
    assert drawn.count("<circle") == 3
    assert drawn.count("trial 4: pruned") == 1
    path = re.search(r'class="line" d="([^"]+)"', drawn)
    assert path is not None
    heights = [float(y) for y in re.findall(r"V([\d.]+)|M[\d.]+ ([\d.]+)", path[1]) for y in y if y]
    assert heights == sorted(heights, reverse=True)  # up the page
    points = [float(y) for y in re.findall(r'cy="([\d.]+)"', drawn)]
    assert heights[-1] == min(points)


def test_parallel_coordinates_order_numbers_and_mark_the_best() -> None:
    trials = [trial(n, 0.8 + n / 100) for n in (1, 2, 3)]
    drawn = str(parallel(trials, ["optimizer.lr"], "maximize", 3, "AUROC"))
    places = {text: float(y) for y, text in re.findall(r'y="([\d.]+)">([\d.]+)</text>', drawn)}
    assert places["0.001"] > places["0.01"] > places["0.1"]
    assert drawn.count("stroke:var(--mark)") == 1
    assert str(parallel(trials[:1], ["optimizer.lr"], "maximize", 1, "AUROC")) == ""


def test_bars_are_as_long_as_their_shares() -> None:
    drawn = str(bars({"a": 0.25, "b": 0.75}))
    widths = [float(width) for width in re.findall(r'class="bar" [^>]*width="([\d.]+)"', drawn)]
    assert widths[0] == pytest.approx(3 * widths[1])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0.81, 0.99, [0.85, 0.9, 0.95]), (3.0, 3.0, [3.0])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_a_summary_survives_its_own_json() -> None:
    made = summary(trial(1, 0.8), comparison=COMPARISON)
    assert StudySummary.model_validate_json(made.to_json()) == made
