"""The pages are complete in one file, escape hostile names, and show figures with their intervals."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pneumoscope.bundle.card import Card, SourceLicence
from pneumoscope.bundle.prediction import Prediction
from pneumoscope.core.labels import DISCLAIMER, NO_PATTERN
from pneumoscope.inference.evaluation import Evaluation, Failure, group_sentence
from pneumoscope.inference.measurement import SourceFigures
from pneumoscope.reporting.checklists.fill import answer_topics
from pneumoscope.reporting.formatting import list_footnotes
from pneumoscope.reporting.pages.evaluation_page import render_evaluation_page
from pneumoscope.reporting.pages.predictions import render_predictions_page
from pneumoscope.reporting.record import Record
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.stats.intervals import estimate_proportion

pytest.importorskip("onnx")
bundles = pytest.importorskip("bundles")

CLASSES = ("covid-19", "normal", "viral-pneumonia")
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """A parsed page, with its malformed tags and the addresses that it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.malformed: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [
            str(v) for k, v in attrs if k in ("src", "href", "action") and not str(v).startswith("data:")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.malformed.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "title"):
            self.text += " " + data


def check_page(text: str) -> Page:
    """Check the rules that hold for every page."""
    page = Page(text)
    assert page.malformed == []
    assert page.open == []
    assert page.addresses == []
    assert "script" not in page.tags
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert " ".join(page.text.split()).startswith(DISCLAIMER)
    return page


@pytest.fixture
def card(tmp_path) -> Card:
    bundles.write_bundle(tmp_path)
    return bundles.card(tmp_path / "model.onnx", CLASSES)


@pytest.fixture(scope="module")
def figures():
    rng = np.random.default_rng(0)
    truth = rng.choice(3, size=150)
    p = np.exp(rng.normal(size=(150, 3)) + 2 * np.eye(3)[truth])
    p /= p.sum(axis=1, keepdims=True)
    return evaluate_predictions(
        p, truth, np.arange(150), CLASSES, thresholds={"sensitivity-95": 0.3}, rng=rng, resamples=60
    )


def evaluation(figures, **changes) -> Evaluation:
    point = figures.operating[0]
    fields = {
        "created": "2025-01-02T03:04:05+00:00",
        "model": "tiny 1",
        "identity": "a" * 64,
        "part": "validation",
        "data": "b" * 64,
        "split": "c" * 64,
        "group_kind": "image",
        "group_sentence": group_sentence("image"),
        "seed": 0,
        "resamples": 60,
        "figures": figures,
        "answered": figures,
        "refused": 3,
        "refused_share": estimate_proportion(np.arange(150) < 3, np.arange(150)),
        "decisions": {name: dict.fromkeys((*CLASSES, "no answer"), 7) for name in CLASSES},
        "by_source": {
            "<b>site</b>": SourceFigures(
                images=150,
                groups=150,
                class_images=figures.class_images,
                refused=3,
                metrics={"accuracy": figures.overall["accuracy"], "sensitivity-95/sensitivity": point.sensitivity},
            )
        },
        "failures": (),
        "ignored": {},
        "earlier_openings": None,
        "stamps": ("not audited",),
        "seconds": 1.0,
        "images_per_second": 150.0,
    }
    return Evaluation(**{**fields, **changes})


def test_evaluation_page_shows_figures_with_intervals(figures, card):
    source = render_evaluation_page(evaluation(figures), card)
    page = check_page(source)
    text = " ".join(page.text.split())
    auroc = figures.by_class["covid-19"]["auroc"]
    assert f"AUROC {auroc.value:.3f} ({auroc.low:.3f} to {auroc.high:.3f})" in text
    assert "the true interval is wider" in text
    assert "Not audited" in text
    share = evaluation(figures).refused_share
    low, high = 100 * share.low, 100 * share.high
    assert f"No answer was given for 3 of 150 images (2.0% ({low:.1f} to {high:.1f}%))" in text
    assert "tuberculosis" in text
    assert "<b>site</b>" in text  # as text, not as markup
    assert page.tags.count("svg") >= 3
    assert source.count('class="gauge"') >= 4
    assert "Openings of this test part" not in text


def test_evaluation_page_shows_openings_failures_and_ignored_labels(figures, card):
    page = check_page(
        render_evaluation_page(
            evaluation(
                figures,
                part="test",
                answered=None,
                earlier_openings=2,
                failures=(Failure(image="a/<img src=x>.png", error="is empty."),),
                ignored={"other": 4},
            ),
            card,
        )
    )
    text = " ".join(page.text.split())
    assert "Evaluations before this one that saw any of these images: 2." in text
    assert "2025-01-02 03:04 UTC" in text
    assert "a/<img src=x>.png : is empty." in text
    assert "4 images with the label other" in text
    assert "Answered only" not in text


@pytest.mark.parametrize(
    ("source", "copies", "says"),
    [
        (
            "nih-chestxray14",
            None,
            "shares the origin NIH ChestX-ray14 with the training sources nih and",
        ),
        ("rsna-pneumonia", None, "shares the origins NIH ChestX-ray14 and RSNA Pneumonia Challenge with"),
        ("folder", None, "The origin of folder is not known. So whether these images were among the training images"),
        ("folder", 3, "3 images have the SHA-256 of a training image"),
        ("jsrt", 0, "0 images have the SHA-256 of a training image"),
        ("jsrt", None, "No source named jsrt trained the model. No origin that they share with a training source is"),
    ],
)
def test_evaluation_page_says_what_is_known_of_the_origins(figures, card, source, copies, says):
    trained = tuple(SourceLicence(source=name, licence="none") for name in ("nih", "radiography"))
    card = card.model_copy(update={"licences": trained})
    by_source = {source: next(iter(evaluation(figures).by_source.values()))}
    measured = evaluation(figures, by_source=by_source, training_copies=copies)
    text = " ".join(check_page(render_evaluation_page(measured, card)).text.split())
    assert f"No source named {source} trained the model." in text
    assert says in text
    assert "never met" not in text
    topic = answer_topics(Record(card=card, identity="a" * 64, evaluation=measured))["external"]
    assert (topic.status == "reported") == (source == "jsrt")
    assert says in topic.text


def test_evaluation_page_says_nothing_of_origins_for_the_training_sources(figures, card):
    trained = (SourceLicence(source="<b>site</b>", licence="none"),)
    page = render_evaluation_page(evaluation(figures), card.model_copy(update={"licences": trained}))
    assert "trained the model" not in page


def test_a_figure_without_interval_is_marked_not_estimable(card):
    p = np.tile([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], (6, 1))
    few = evaluate_predictions(
        p,
        np.tile([0, 1], 6),
        np.arange(12),
        CLASSES,
        thresholds={"sensitivity-95": 0.3},
        rng=np.random.default_rng(0),
        resamples=20,
    )
    page = check_page(render_evaluation_page(evaluation(few, answered=None, by_source=evaluation(few).by_source), card))
    text = " ".join(page.text.split())
    assert "AUROC 1.000 (interval not estimable)" in text
    assert "slope not estimable" in text


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), value).save(buffer, "PNG")
    return buffer.getvalue()


def prediction(path: str, p=(0.9, 0.06, 0.04), decision: str | None = "covid-19", **changes) -> Prediction:
    fields = {
        "path": path,
        "probabilities": p,
        "decision": decision,
        "refused": False,
        "reason": "",
        "ood": 1.0,
        "model": "a" * 12,
        "sha256": "0" * 64,
        "seconds": 0.01,
    }
    return Prediction(**{**fields, **changes})


def test_predictions_page_shows_each_study_with_its_decision_and_pictures(card):
    items = [
        (prediction("/x/one.png"), png(10), png(20)),
        (prediction("/x/two.png", (0.001, 0.998, 0.001), "normal"), png(30), png(40)),
        (prediction("/x/three.png", decision=None, refused=True, reason="unlike <others>"), png(50), png(60)),
        (prediction("/x/<b>.png", (), None, error="<b>.png: is empty. Fetch it again."), None, None),
    ]
    source = render_predictions_page(items, card, "a" * 64, "Demo & more")
    page = check_page(source)
    text = " ".join(page.text.split())
    assert "Demo & more" in text
    assert "Of 20 calibration images that scored 0.50 to 1.00, 90% were COVID-19 (95% interval 70 to 98%)." in text
    assert "Score < 0.01" in text
    assert "Unlike <others>." in text
    assert "<b>.png: is empty. Fetch it again." in text
    assert "It does not look for: tuberculosis, pneumothorax" in text
    assert "The model was trained on drawn images" in text
    decisions = re.findall(r'<p class="decision">(.*?)</p>', source)
    assert decisions == ["COVID-19", NO_PATTERN, "No answer", "Failed"]
    pictures = [base64.b64decode(data) for data in re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", source)]
    assert pictures == [png(10), png(20), png(30), png(40), png(50)]  # no heatmap where there is no answer


def test_normal_never_stands_alone_as_a_result(card):
    text = Page(
        render_predictions_page([(prediction("/x/a.png", (0.1, 0.8, 0.1), "normal"), None, None)], card, "a", "T")
    ).text
    for match in re.finditer(r"(?i)\bnormal\b", text):
        around = text[max(0, match.start() - 40) : match.end() + 3]
        assert "class “normal”" in around or "none: drawn" in text[match.start() : match.end() + 14], around


def test_a_card_without_bands_shows_the_score_only(card):
    without_bands = card.model_copy(update={"score_bands": ()})
    text = " ".join(
        check_page(
            render_predictions_page([(prediction("/x/a.png"), None, None)], without_bands, "a", "T")
        ).text.split()
    )
    assert "Score 0.90 for COVID-19. Other classes" in text
    assert "Observed on the calibration part" not in text


def test_one_band_of_all_scores_is_said_to_mean_nothing(figures, card):
    """Its rate is how common the class was among the calibration images."""
    band = {"low": 0.0, "high": 1.0, "rate": 0.53, "rate_low": 0.37, "rate_high": 0.69, "n": 34}
    few = card.model_copy(update={"score_bands": (band,)})
    sources = (
        render_predictions_page([(prediction("/x/a.png"), None, None)], few, "a", "T"),
        render_evaluation_page(evaluation(figures), few),
    )
    for source in sources:
        text = " ".join(check_page(source).text.split())
        assert "calibration images too few, or too alike in score, to say what a score means" in text.lower()
        assert not re.search(r"53%|37 to 69|By score band|with a similar score", text)


def test_an_interval_that_may_be_short_has_a_mark_and_a_footnote(figures, card):
    note = "the interval may be too short: 12 groups"
    short = figures.by_class["covid-19"]["auroc"].model_copy(update={"note": note})
    plain = " ".join(check_page(render_evaluation_page(evaluation(figures), card)).text.split())
    by_class = {**figures.by_class, "covid-19": {**figures.by_class["covid-19"], "auroc": short}}
    marked_figures = figures.model_copy(update={"by_class": by_class})
    marked = " ".join(check_page(render_evaluation_page(evaluation(marked_figures), card)).text.split())
    interval = f"{short.low:.3f} to {short.high:.3f}"
    assert (marked.count(f"{interval}*"), marked.count(f"{interval} *")) == (1, 1)  # the tile, the table
    assert marked.count("* The interval may be too short: 12 groups.") == 1
    assert "12 groups" not in plain


def test_footnotes_are_of_what_is_shown_each_once():
    def estimate(note: str, low: float | None = 0.1) -> Estimate:
        return Estimate(value=0.5, low=low, high=0.9, note=note)

    notes = ("the interval may be too short: a", "the interval may be too short: b", "fine")
    shown = ({"x": estimate(notes[1])}, [estimate(notes[0]), (estimate(notes[0]), None)], estimate(notes[2]))
    assert list_footnotes(*shown) == [
        "* The interval may be too short: a.",
        "* The interval may be too short: b.",
    ]
    assert list_footnotes(estimate(notes[0], low=None)) == []
