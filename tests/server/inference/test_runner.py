"""What an answer holds beside the probabilities: the set of labels that the card can't rule out."""

from __future__ import annotations

import numpy as np

from pneumoscope.bundle.heart_shape import find_heart
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.runtime import load
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.runner import InferenceRunner, make_result
from pneumoscope.stats.conformal import members


def test_the_set_is_the_one_whose_coverage_the_card_reports() -> None:
    model = load("builtin")
    sets = model.card.prediction_sets
    assert sets is not None
    noise = np.random.default_rng(0).random((200, 160), dtype=np.float32)
    failures = []
    for image in (noise, draw(2020, 0, "normal").pixels, draw(2020, 2, "covid-19").pixels):
        output = model.run(image)
        result, _ = make_result(model, output)
        limits = [sets.thresholds[label] for label in model.card.label_names]
        labels = members([output.probabilities], limits)[0]
        expected = [label for label, inside in zip(model.card.label_names, labels, strict=True) if inside]
        failures.append(result["refused"])
        if result["refused"]:
            assert result["prediction_set"] is None  # the promise holds for images like those of the calibration
        else:
            assert result["prediction_set"] == {"labels": expected, "coverage": 1 - sets.alpha}
    assert failures == [True, False, False]


def test_each_label_at_its_own_threshold() -> None:
    sets = load("builtin").card.prediction_sets
    assert sets is not None
    names = list(sets.thresholds)
    assert sets.of(dict.fromkeys(names, 1.0)) == names
    assert sets.of(dict.fromkeys(names, -0.1)) == []
    exact = dict(sets.thresholds)
    assert sets.of(exact) == names  # at the threshold is in, as it was when the threshold was set
    exact[names[1]] -= 1e-9
    assert sets.of(exact) == [names[0], *names[2:]]


def test_the_server_refuses_as_the_tables_do() -> None:
    """Fault E1 and E2: no answer where there is no upright chest, nor where the file says another body part."""
    runner, chest = InferenceRunner(Catalogue(None)), draw(2020, 0, "normal").pixels
    inverted = runner.run("builtin", 1 - chest).values
    assert (inverted["refused"], inverted["decision"], inverted["probabilities"]) == (True, None, {})
    assert inverted["codes"] == ["inverted"]
    assert "invert it" in inverted["reason"]
    assert inverted["heatmap_shape"] is None
    hand = runner.run("builtin", chest, {"body_part": "HAND"}).values
    assert hand["codes"] == ["body-part"]
    answered = runner.run("builtin", chest, {"body_part": "CHEST"}).values
    assert (answered["screened"], answered["audit"]) == (True, load("builtin").audit)
    assert answered["outside_lungs"] is ("outside-lungs" in answered["codes"])
    lungs = builtin_lungs().outline(chest).square("lungs")
    runs = [range(*pair) for pair in zip(*[iter(answered["lungs"]["rows"][100])] * 2, strict=True)]
    assert [column for run in runs for column in run] == np.flatnonzero(lungs[100]).tolist()
    assert answered["lungs"]["side"] == len(lungs) == len(answered["lungs"]["rows"])
    assert not answered["refused"] and answered["probabilities"] and isinstance(answered["warnings"], list)
    covered = np.zeros_like(chest)  # a reader's brush is no reason to refuse: the gatekeeper sees what was sent
    assert "other" not in runner.run("builtin", covered, original=chest).values["codes"]
    assert runner.run("builtin", chest, original=1 - chest).values["refused"]


def test_a_plausible_heart_is_kept_with_the_answer_and_no_other_one() -> None:
    runner, chest = InferenceRunner(Catalogue(None)), draw(2020, 0, "normal").pixels
    outlines = builtin_lungs().outline(chest)
    heart, answered = find_heart(outlines), runner.run("builtin", chest).values
    assert heart is not None  # the network takes a phantom's heart for one
    stored = answered["heart"]
    assert {key: stored[key] for key in ("side", "graph")} == {key: answered["lungs"][key] for key in ("side", "graph")}
    for row, runs in enumerate(stored["rows"]):
        columns = [column for pair in zip(runs[::2], runs[1::2], strict=True) for column in range(*pair)]
        assert columns == np.flatnonzero(heart[row]).tolist()
    assert runner.run("builtin", 1 - chest).values["heart"] is None  # it is refused
