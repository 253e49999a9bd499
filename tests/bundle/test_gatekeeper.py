"""The gatekeeper of the package on phantoms: upright ones pass, turned, inverted and foreign pictures do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bundles import card, write_bundle
from pneumoscope.bundle import screening
from pneumoscope.bundle.evidence import AuditFact, append
from pneumoscope.bundle.gatekeeper import ANSWERS, BUILTIN_GATEKEEPER, load_gatekeeper
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.runtime import load
from pneumoscope.bundle.screening import builtin_companions
from pneumoscope.core.errors import BundleError, MissingBundleError, UsageError
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.imaging.read import Radiograph
from pneumoscope.inference.journal import Journal

CHEST = draw(40, 1, "normal", (300, 280)).pixels


@pytest.mark.parametrize(
    ("pixels", "answer"),
    [
        (CHEST, "frontal"),
        (1 - CHEST, "inverted"),
        (np.rot90(CHEST), "turned-left"),
        (CHEST[::-1, ::-1], "upside-down"),
        (np.rot90(CHEST, 3), "turned-right"),
        (np.random.default_rng(0).random((200, 200), np.float32), "other"),
    ],
)
def test_each_way_to_hold_a_chest_is_named(pixels: np.ndarray, answer: str) -> None:
    given = load_gatekeeper().answer(np.ascontiguousarray(pixels))
    assert given.likeliest == answer
    assert sum(given.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_a_turn_that_no_quarter_turn_undoes_is_called_askew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way out of a chest at 60 degrees is not "rotate it by 90 degrees"."""
    companions = builtin_companions()
    (quarter,) = companions.screen(np.ascontiguousarray(np.rot90(CHEST)), {}).refusals
    assert quarter.code == "turned-left"
    monkeypatch.setattr(screening, "judge_answer", lambda *_: [screening.ScreeningFinding("turned-left", "")])
    (askew,) = companions.screen(CHEST, {}).refusals  # a quarter turn would not make it upright
    assert askew.code == "askew"
    assert "turn it upright" in askew.sentence


def test_the_card_states_what_the_package_promises() -> None:
    """The rates by which the package was accepted: on images that the measured graphs did not learn from."""
    gatekeeper = load_gatekeeper().card
    rates = {(rate.question, rate.measured_on): rate for rate in gatekeeper.measured}
    value = {key: rate.rate.value or 0.0 for key, rate in rates.items()}
    assert tuple(gatekeeper.answers) == tuple(ANSWERS)
    assert value["refused", "all that is no upright frontal chest"] >= 0.98
    assert value["refused", "all: frontal chests"] <= 0.02
    assert all(v <= 0.04 for (question, on), v in value.items() if on.endswith("frontal chests"))
    assert value["refused", "lateral-chest"] >= 0.95
    for change in ("inverted", "turned-left", "upside-down", "turned-right"):
        assert value["refused", f"all: {change}"] >= 0.98
    assert value["said to be mirrored", "all: mirrored"] >= 0.9
    assert all(rate.images >= rate.groups > 0 for rate in gatekeeper.measured)


def test_the_limits_of_lungs_hold_for_the_lungs_graph_of_the_package() -> None:
    assert load_gatekeeper().card.lungs == builtin_lungs().identity


def test_an_altered_or_missing_gatekeeper_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(BUILTIN_GATEKEEPER, tmp_path / "gatekeeper")
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b"\0")
    with pytest.raises(BundleError, match="is not the graph that its card was written for"):
        load_gatekeeper(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(MissingBundleError, match=r"model\.onnx is missing"):
        load_gatekeeper(folder)


def test_a_model_answers_about_a_chest_alone() -> None:
    """The order is gatekeeper, lungs, classifier: what is refused has no score, unless it is asked for."""
    model = load()
    table = model.predict([CHEST, 1 - CHEST, np.rot90(CHEST).copy()])
    assert table["refused"].tolist() == [False, True, True]
    assert table["decision"].notna().tolist() == [True, False, False]
    assert table[f"p_{model.labels[0]}"].notna().tolist() == [True, False, False]
    assert "invert it, so that bone is white, and send it again" in table["reason"][1]
    assert "rotate it by 90 degrees clockwise and send it again" in table["reason"][2]
    scored = model.predict(1 - CHEST, score_refused=True)
    assert scored["refused"][0] and scored[f"p_{model.labels[0]}"].notna()[0]


def test_only_an_explicit_word_turns_the_gatekeeper_off(tmp_path: Path) -> None:
    inverted = (1 - CHEST).astype(np.float32)
    for model in (load(gatekeeper=False), load().unscreened()):
        assert not model.screened
        assert "invert" not in model.predict(inverted)["reason"][0]
    old = load(write_bundle(tmp_path / "old", companions={}))  # names no companions, and is screened all the same
    assert old.screened and "invert it" in old.predict(inverted)["reason"][0]
    assert not load(write_bundle(tmp_path / "never", companions={"gatekeeper": "none"})).screened


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 5, 5), (5,)])
def test_an_array_that_is_no_picture_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"has the shape .*; one radiograph is \[H, W\]"):
        load().screen(np.zeros(shape, np.float32), {})


def test_a_prediction_says_whether_it_was_screened_and_audited(tmp_path: Path) -> None:
    model = load()
    for screened in (True, False):
        (row,) = (model if screened else model.unscreened()).predict(CHEST).to_dict("records")
        assert (row["screened"], row["outside_lungs"]) == (screened, False if not screened else row["outside_lungs"])
        assert row["audit"] == model.audit
    bundle = write_bundle(tmp_path / "b")
    assert load(bundle).audit == "not audited"
    audit = AuditFact(
        bundle=load(bundle).identity, time="2026-01-01T00:00:00Z", verdict="fail", passed=False, reason="r", data="d",
        part="validation", images=1, command="c",
    )  # fmt: skip
    path = append(bundle, audit)
    assert load(bundle).predict(CHEST)["audit"].tolist() == ["fail"]
    path.write_text(path.read_text().replace("fail", "pass"))
    assert load(bundle).predict(CHEST)["audit"].tolist() == ["unreadable"]


def test_a_files_own_body_part_counts_first() -> None:
    hand = Radiograph(CHEST, "dicom", 12, "0" * 64, {"body_part": "HAND", "modality": "CR"})
    (row,) = load().predict(hand).to_dict("records")
    assert row["refused"]
    assert "the file says body part HAND" in row["reason"]
    assert "the pixels look like an upright frontal chest" in row["reason"]


def test_a_graph_with_an_input_for_lungs_is_fed(tmp_path: Path) -> None:
    """Its score is raised by the mean probability of lung, which the lungs graph gives."""
    import onnx
    from onnx import TensorProto, helper

    folder = write_bundle(tmp_path / "b")
    graph = onnx.load(folder / "model.onnx")
    graph.graph.input.append(helper.make_tensor_value_info("lungs", TensorProto.FLOAT, ["N", 1, "LH", "LW"]))
    for node in graph.graph.node:
        node.output[:] = ["bare" if name == "ood" else name for name in node.output]
    graph.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["lungs"], ["area"], keepdims=0),
            helper.make_node("Add", ["bare", "area"], ["ood"]),
        ]
    )
    onnx.checker.check_model(graph)
    onnx.save(graph, folder / "model.onnx")
    (folder / "card.json").write_text(card(folder / "model.onnx", load(write_bundle(tmp_path / "a")).labels).to_json())
    outlines = builtin_lungs().outline(CHEST)
    bare, fed = load(tmp_path / "a").run(CHEST), load(folder).run(CHEST)
    assert fed.ood - bare.ood == pytest.approx(outlines.probability("lungs").mean(), rel=1e-4)
    assert load(folder).run(CHEST, outlines).ood == pytest.approx(fed.ood)
    assert fed.ood - bare.ood > 0.1


def test_an_unfinished_table_with_another_gatekeeper_begins_again(tmp_path: Path) -> None:
    out = tmp_path / "o.csv"
    with Journal(out, load(), None) as journal:
        assert list(journal.resume([])) == []
    with Journal(out, load().unscreened(), None) as journal:
        assert list(journal.resume([])) == []
        assert "another `gatekeeper`" in journal.note
