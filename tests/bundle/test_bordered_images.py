"""A border in front of the companions and the classifier: the answer is that about the picture inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundles import write_bundle
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.prediction import Output, Prediction
from pneumoscope.bundle.runtime import load
from pneumoscope.bundle.screening import builtin_companions
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.imaging.border import Border
from pneumoscope.imaging.read import Radiograph

CHEST = draw(40, 1, "normal", (300, 280)).pixels
BORDER = Border(40, 40, 35, 35)
ALL = {"gatekeeper": "any", "lungs": "any"}


def surround(grey: float) -> np.ndarray:
    return np.pad(CHEST, ((40, 40), (35, 35)), constant_values=np.float32(grey))


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_the_companions_see_what_lies_inside(grey: float) -> None:
    plain, bordered = (builtin_companions().screen(pixels, {}) for pixels in (CHEST, surround(grey)))
    assert not plain.refusals and not bordered.refusals
    assert bordered.border == BORDER
    assert [finding.code for finding in bordered.warnings] == [*(f.code for f in plain.warnings), "bordered"]
    assert "40 pixels at the top, 40 at the bottom, 35 at the left, 35 at the right" in bordered.warnings[-1].sentence
    assert plain.outlines is not None and bordered.outlines is not None
    # The outline lies where the lungs are in the whole picture.
    inside, whole = plain.outlines.mask("lungs"), bordered.outlines.mask("lungs")
    assert whole.shape == (380, 350) and not BORDER.cut(whole).sum() < whole.sum()
    assert (BORDER.cut(whole) != inside).mean() < 0.01
    one, other = plain.outlines.cardiothoracic_ratio, bordered.outlines.cardiothoracic_ratio
    assert one is not None and other == pytest.approx(one, abs=0.03)


def test_a_model_made_without_the_cut_sees_the_border_and_warns() -> None:
    found = builtin_companions().screen(surround(0), {}, cut_border=False)
    assert found.border == (0, 0, 0, 0)
    if not found.refusals:
        assert found.warnings[-1].code == "border-kept" and "made without cutting" in found.warnings[-1].sentence


def answer(folder: Path, pixels: np.ndarray) -> tuple[Prediction, Output]:
    answers: list[tuple[Prediction, Output]] = []

    def observe(prediction: Prediction, _: Radiograph, output: Output | None) -> None:
        assert output is not None
        answers.append((prediction, output))

    path = folder / "picture.png"
    Image.fromarray(np.round(pixels * 65535).astype(np.uint16)).save(path)
    load(folder).predict_file(path, observe)
    return answers[0]


@pytest.mark.parametrize(("borders", "screened"), [("cut", True), ("cut", False), ("cut-after-training", False)])
def test_a_model_that_cuts_gives_the_answer_about_the_inside(tmp_path: Path, borders: str, screened: bool) -> None:
    companions = ALL if screened else {"gatekeeper": "none"}
    cutting = write_bundle(tmp_path / "cut", borders=borders, companions=companions)
    plain, bordered = answer(cutting, CHEST), answer(cutting, surround(1))
    assert bordered[0].probabilities == plain[0].probabilities
    assert "a flat border was cut off" in bordered[0].warnings[-1] and bordered[0].codes[-1] == "bordered"
    heat = bordered[1].heatmap
    assert heat is not None and heat.shape == (3, 16, 16)  # of the whole picture: the rim is cold
    assert not heat[:, 0].any() and not heat[:, :, 0].any() and heat[:, 8, 8].all()


def test_a_model_that_keeps_borders_sees_them(tmp_path: Path) -> None:
    keeping = write_bundle(tmp_path / "kept", companions={"gatekeeper": "none"})
    assert load(keeping).card.borders == "kept"
    assert answer(keeping, CHEST)[0].probabilities != answer(keeping, surround(1))[0].probabilities


def test_outlines_without_a_border_are_those_of_the_inside() -> None:
    outlines = builtin_lungs().outline(surround(0), BORDER)
    assert outlines.inside.shape == CHEST.shape
    assert np.array_equal(outlines.inside.probability("lungs"), builtin_lungs().outline(CHEST).probability("lungs"))
    assert outlines.area("lungs") == pytest.approx(outlines.inside.area("lungs") * 300 * 280 / (380 * 350), rel=0.03)
