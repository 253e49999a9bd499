"""What-ifs: what a stroke hides, what stands in its place, and that nothing of it is kept. Answers worked by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from pneumoscope.server.inference.occlusion import BrushStroke, cover, draw_mask
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import Display
from server.client import Client, predict_all, serve_client

SIDE = 40
RIGHT = {"radius": 11, "points": [[30, -20], [30, 60]]}
"""A stroke down the right half, a little wider than it."""


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(settings) as client:
        yield client


def halves(left: float, right: float) -> bytes:
    pixels = np.full((SIDE, SIDE), round(left * 255), np.uint8)
    pixels[:, SIDE // 2 :] = round(right * 255)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def answer_image(client: Client, image: bytes) -> str:
    model = next(model["id"] for model in client.get("/api/models") if not model["builtin"])
    prediction = client.upload(image, models=(model,)).json()["files"][0]["predictions"][0]
    predict_all(client)
    return str(prediction)


def ask(client: Client, prediction: str, *strokes: Mapping[str, Any], mode: str = "exclude") -> httpx.Response:
    body = {"mode": mode, "strokes": list(strokes)}
    return client("POST", f"/api/predictions/{prediction}/what-if", json=body)


def flat(value: float) -> dict[str, float]:
    """The tiny model's answer on an image of one brightness, see tests/bundles.py."""
    raised = {"covid-19": math.exp(10 * (value - 0.5)), "normal": math.exp(5 * (0.5 - value)), "viral-pneumonia": 1.0}
    return {label: each / sum(raised.values()) for label, each in raised.items()}


def test_covering_one_half_answers_as_if_all_were_the_other(client: Client) -> None:
    prediction = answer_image(client, halves(0.2, 0.8))
    result = ask(client, prediction, RIGHT).json()
    assert result["probabilities"] == pytest.approx(flat(0.2), abs=1e-5)
    assert result["decision"] == "normal"
    assert result["ood"] == pytest.approx(16 * 0.3**2, abs=1e-4)
    assert result["covered"] == pytest.approx(0.525, abs=0.05)
    assert np.asarray(result["heatmap"]["values"]) == pytest.approx(np.full((3, 4, 4), 0.2), abs=1e-4)
    assert result["note"].startswith("a what-if")
    included = ask(client, prediction, RIGHT, mode="include").json()
    assert included["probabilities"] == pytest.approx(flat(0.8), abs=0.08)  # a column of the dark half is visible
    assert included["decision"] == "covid-19"
    assert included["covered"] == pytest.approx(1 - result["covered"])
    assert included["original"] == result["original"]


def test_covering_a_part_of_what_is_the_same_everywhere_changes_nothing(client: Client) -> None:
    prediction = answer_image(client, halves(0.6, 0.6))
    result = ask(client, prediction, {"radius": 6.5, "points": [[10.25, 20], [20, 25.5]]}).json()
    assert result["probabilities"] == pytest.approx(result["original"], abs=1e-6)


def test_nothing_of_it_is_kept_but_that_it_was_shown(client: Client) -> None:
    prediction = answer_image(client, halves(0.2, 0.8))
    before = client.get(f"/api/predictions/{prediction}")
    ask(client, prediction, RIGHT)
    assert client.get(f"/api/predictions/{prediction}") == before
    with client.app.state.context.store.read() as session:
        assert set(session.scalars(select(Display.what))) == {"result", "what-if"}


def test_what_is_unlike_a_radiograph_is_refused_here_too(client: Client) -> None:
    prediction = answer_image(client, halves(0.99, 0.5))  # 8 cells of 16 are .49 off: 1.9 of the 3.5 that are allowed
    result = ask(client, prediction, RIGHT).json()
    assert result["refused"]
    assert result["decision"] is None
    assert "out-of-distribution" in result["reason"]


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "exclude", "strokes": []},
        {"mode": "exclude", "strokes": [{"radius": 0, "points": [[1, 1]]}]},
        {"mode": "exclude", "strokes": [{"radius": -1, "points": [[1, 1]]}]},
        {"mode": "exclude", "strokes": [{"radius": 1, "points": []}]},
        {"mode": "exclude", "strokes": [{"radius": 1, "points": [[1, 1, 1]]}]},
        {"mode": "exclude", "strokes": [{"radius": 1, "points": [[1, 1e300]]}]},
        {"mode": "exclude", "strokes": [{"radius": 1, "points": [[1, 1]]}] * 201},
        {"mode": "exclude", "strokes": [{"radius": 1, "points": [[1, 1]] * 2501}] * 2},
        {"mode": "swap", "strokes": [{"radius": 1, "points": [[1, 1]]}]},
        {"mode": "exclude", "strokes": [{"radius": 1, "points": [[-50, -50]]}]},  # beside the image: nothing
        {"mode": "exclude", "strokes": [{"radius": 400, "points": [[20, 20]]}]},  # everything
        {"mode": "include", "strokes": [{"radius": 400, "points": [[20, 20]]}]},  # nothing
    ],
)
def test_what_can_not_be_painted_is_refused(client: Client, body: dict[str, Any]) -> None:
    prediction = answer_image(client, halves(0.2, 0.8))
    assert client("POST", f"/api/predictions/{prediction}/what-if", json=body).status_code == 422


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client: Client, number: str) -> None:
    prediction = answer_image(client, halves(0.2, 0.8))
    for body in (
        f'{{"mode": "exclude", "strokes": [{{"radius": {number}, "points": [[1, 1]]}}]}}',
        f'{{"mode": "exclude", "strokes": [{{"radius": 1, "points": [[{number}, 1]]}}]}}',
    ):
        kind = {"content-type": "application/json"}
        answer = client("POST", f"/api/predictions/{prediction}/what-if", content=body, headers=kind)
        assert answer.status_code == 422


def test_the_rules_of_every_answer_hold(settings: Settings) -> None:
    with serve_client(replace(settings, read_first=True)) as client:
        prediction = answer_image(client, halves(0.2, 0.8))
        assert ask(client, "a1", RIGHT).status_code == 404
        assert ask(client, prediction, RIGHT).status_code == 403
        (study,) = client.get("/api/studies")["studies"]
        unaided = {"stage": "unaided", "state": "final"}
        assert client("POST", f"/api/studies/{study['id']}/reads", json=unaided).status_code == 201
        assert ask(client, prediction, RIGHT).status_code == 200
        model = study["predictions"][0]["model"]
        client("POST", f"/api/models/{model}/switch", json={"on": False, "reason": "recalled"})
        assert ask(client, prediction, RIGHT).status_code == 409


def test_a_what_if_ends_the_chance_of_an_unaided_read(client: Client) -> None:
    prediction = answer_image(client, halves(0.2, 0.8))
    (study,) = client.get("/api/studies")["studies"]
    ask(client, prediction, {"radius": 1, "points": [[-50, -50]]})  # refused: nothing was shown
    unaided = {"stage": "unaided", "state": "draft"}
    assert client("POST", f"/api/studies/{study['id']}/reads", json=unaided).status_code == 201
    ask(client, prediction, RIGHT)
    assert client("POST", f"/api/studies/{study['id']}/reads", json=unaided).status_code == 409


def test_a_stroke_is_round_and_scales_with_the_image() -> None:
    for size in (200, 4000):  # the second is drawn smaller and scaled
        disc = BrushStroke(radius=size / 4, points=[(size / 2, size / 2)])
        assert draw_mask([disc], "exclude", size, size).mean() == pytest.approx(math.pi / 16, rel=0.02)
        across = BrushStroke(radius=size / 8, points=[(0, size / 2), (size, size / 2)])
        assert draw_mask([across], "exclude", size, size).mean() == pytest.approx(1 / 4, rel=0.03)


def test_what_is_hidden_continues_its_surroundings_and_the_rest_is_untouched() -> None:
    ramp = np.tile(np.linspace(0, 1, 120, dtype=np.float32), (90, 1))
    hidden = np.zeros(ramp.shape, bool)
    hidden[30:60, 40:70] = True
    pixels = np.where(hidden, np.float32(0), ramp)
    covered = cover(pixels, hidden)
    np.testing.assert_array_equal(covered[~hidden], ramp[~hidden])
    np.testing.assert_allclose(covered[hidden], ramp[hidden], atol=0.08)
    # What stands behind the cover has no say.
    np.testing.assert_array_equal(cover(np.where(hidden, np.float32(1), ramp), hidden), covered)
