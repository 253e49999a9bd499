"""Linear answers, what is left out when they are measured, and the table of examples: on features drawn here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from pneumoscope.bundle.gatekeeper import ANSWERS
from pneumoscope.core.errors import ManifestError
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.imaging import overlay
from pneumoscope.training.gatekeeper import measure
from pneumoscope.training.gatekeeper.data import SHAPE, Examples, read_table
from pneumoscope.training.gatekeeper.fit import CHANGES, Features, draw_by_source, fit_answers
from pneumoscope.workflows.gatekeeper import measure_gatekeeper


def drawn() -> tuple[Examples, Features]:
    """120 examples: frontal chests of two sources, laterals and others; each answer has features of its own."""
    generator = np.random.default_rng(0)
    kinds = np.array(["frontal"] * 60 + ["lateral"] * 30 + ["other"] * 30)
    sources = np.array(["a", "b"] * 30 + ["strangers"] * 60)
    names = [*ANSWERS, "mirrored"]

    def features(answers: list[str]) -> np.ndarray:
        # As many features for each answer as a strong penalty needs.
        noise = generator.normal(0, 0.2, (len(answers), len(names), 60))
        for row, name in enumerate(answers):
            noise[row, names.index(name)] += 2
        return noise.reshape(len(answers), -1).astype(np.float32)

    examples = Examples(
        files=np.array([f"{i}.png" for i in range(120)]),
        kinds=kinds,
        sources=sources,
        groups=np.array([f"{sources[i]} {i // 4}" if i < 60 else f"{i // 2}" for i in range(120)]),
        details=np.array([""] * 60 + ["lateral"] * 30 + ["cat"] * 30),
        age_groups=np.array(["adult", "child"] * 30 + [""] * 60),
        licences=np.full(120, ""),
        squares=np.zeros((120, 4, 4), np.uint8),
        colours=np.zeros(120),
        shapes=np.tile([0.3, 1.0, 0.9, 0.5, 0.5, 0.0], (120, 1)),
    )
    rows = draw_by_source(examples, 20)
    changed = {name: features([name] * len(rows)) for name in CHANGES}
    return examples, Features(features(kinds.tolist()), changed, rows)


def test_answers_that_have_their_own_feature_are_learnt() -> None:
    examples, features = drawn()
    answers = fit_answers(examples, features, np.ones(120, np.bool_))
    shares = answers.probabilities(features.upright)
    assert shares.sum(1) == pytest.approx(np.ones(120))
    assert (np.array(list(ANSWERS))[shares.argmax(1)] == examples.kinds).all()
    assert (answers.mirrored(features.changed["mirrored"]) > 0.5).all()


def test_nothing_is_measured_by_what_it_taught() -> None:
    """A frontal chest is asked where its source is left out, everything else where its group is."""
    examples, _ = drawn()
    asked = np.zeros(120, int)
    for learnt, chosen in [*measure._sources(examples), *measure._folds(examples, 0)]:
        asked += chosen
        assert not (learnt & chosen).any()
        assert (
            not set(examples.groups[learnt]) & set(examples.groups[chosen])
            or (examples.kinds[chosen] == "frontal").all()
        )
        if (examples.kinds[chosen] == "frontal").all():
            assert not set(examples.sources[chosen]) & set(examples.sources[learnt & (examples.kinds == "frontal")])
    assert (asked == 1).all()


def test_the_rates_count_what_was_refused() -> None:
    examples, features = drawn()
    held_out = measure.ask_held_out(examples, features)
    implausible = np.zeros(120, np.bool_)
    implausible[0] = True  # of source a
    rates = {
        (rate.question, rate.measured_on): rate
        for rate in measure.list_rates(examples, features, held_out, implausible)
    }
    assert rates["refused", "a: frontal chests"].rate.value == pytest.approx(1 / 30)
    assert rates["refused", "b: frontal chests"].rate.value == 0
    assert rates["refused", "cat"].rate.value == 1
    assert rates["refused", "cat"].images == 30 and rates["refused", "cat"].groups == 15
    assert rates["named right", "all: upside-down"].rate.value == 1


def test_limits_leave_the_stated_share_outside() -> None:
    examples, _ = drawn()
    shapes = examples.shapes.copy()
    shapes[:60, SHAPE.index("area")] = np.linspace(0.1, 0.5, 60)
    limits, _ = measure.limits_of_lungs(examples.__class__(**{**examples.__dict__, "shapes": shapes}))
    assert limits["area"] == pytest.approx((0.1002, 0.4998), abs=1e-3)
    assert limits["balance"][1] == limits["paired"][1] == 1.0  # no lungs are too even


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file,kind,source\n", "has no column group"),
        ("file,kind,source,group\na.png,cat,x,1\n", "has the kind 'cat'"),
        ("file,kind,source,group\na.png,other,x,1\n", "has no picture of the kind frontal"),
        ("", "is no table of examples"),
    ],
)
def test_a_table_that_is_none_is_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ManifestError, match=problem) as raised:
        read_table(tmp_path / "t.csv")
    assert raised.value.exit_code == 2


def test_a_table_without_rows_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,kind,source,group\n")
    with pytest.raises(ManifestError, match="has no rows"):
        measure_gatekeeper(tmp_path / "t.csv")


def test_the_gatekeeper_of_the_package_is_measured_on_a_table(tmp_path: Path) -> None:
    lines = ["file,kind,source,group"]
    for index in range(3):
        pixels = draw(5, index, "normal", (180, 160)).pixels
        overlay.write_png(tmp_path / f"{index}.png", overlay.to_rgb(pixels))
        overlay.write_png(tmp_path / f"{index}-inverted.png", overlay.to_rgb(1 - pixels))
        lines += [f"{index}.png,frontal,mine,{index}", f"{index}-inverted.png,other,mine,{index}"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    rates = {rate.measured_on: rate for rate in measure_gatekeeper(tmp_path / "t.csv")}
    assert rates["mine: frontal"].rate.value == 0
    assert rates["mine: other"].rate.value == 1
    assert rates["mine: other"].images == rates["mine: other"].groups == 3
