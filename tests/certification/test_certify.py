"""A certificate finds the differences that were put in, and holds them to the stated limits."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import card, write_bundle
from pneumoscope.bundle import evidence
from pneumoscope.bundle.runtime import Model, load
from pneumoscope.certification.browser import read_browser_run
from pneumoscope.certification.differences import Answers, Question, compare_engine
from pneumoscope.certification.result import describe_changed
from pneumoscope.core.errors import ManifestError, UnusableManifestError, UsageError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.export.format import ExportJob
from pneumoscope.imaging.read import read
from pneumoscope.stats.comparison.paired import RANKED_ALIKE
from pneumoscope.workflows.certify import certify


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny", ("covid-19", "normal"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("set")
    return write_set(folder, 24, ("covid-19", "normal"), size=64)


def browser_file(path: Path, model: Model, manifest: Manifest, shift: float = 0.0, **changes: Any) -> Path:
    images = []
    for sha256, file in zip(manifest.table["sha256"], manifest.paths(), strict=True):
        p = model.run(read(file).pixels).probabilities.astype(float)
        step = shift if p[1] <= 0.5 else -shift  # both stay between 0 and 1
        images.append({"sha256": sha256, "probabilities": [p[0] - step, p[1] + step]})
    run = {"schema": "pneumoscope-browser-run/1", "bundle": model.identity, "about": "a browser"}
    path.write_text(json.dumps(run | {"labels": list(model.labels), "images": images} | changes))
    return path


def test_a_browser_within_its_limit_passes_and_one_past_it_does_not(
    bundle: Path, manifest: Manifest, tmp_path: Path
) -> None:
    model = load(bundle)
    for shift, passed in ((0.0005, True), (0.002, False)):
        file = browser_file(tmp_path / "run.json", model, manifest, shift)
        out = tmp_path / str(shift)
        result = certify(bundle, manifest, out, browser=file, part="all")
        figures = next(one for one in result.engines if one.engine == "browser")
        assert figures.largest == pytest.approx(shift, abs=1e-6)
        assert figures.mean == pytest.approx(shift, abs=1e-6)
        assert figures.holds is passed is result.passed
        # What did not run stands in the headline: the others say nothing of it.
        ran = f"{len(result.engines)} of 4 engines"
        assert len(result.engines) + len(result.not_run) == 4 and result.not_run
        words = (
            f"within limits in the {ran} that ran"
            if passed
            else f"limit exceeded by browser (onnxruntime-web); {ran} ran"
        )
        assert result.verdict == words
        assert f">{words[0].upper()}{words[1:]}<" in (out / "certificate.html").read_text()
    assert json.loads((out / "certificate.json").read_text())["passed"] is False
    page = (out / "certificate.html").read_text()
    assert "Limit exceeded by browser" in page
    assert "exceeds the limit" in page
    assert ">within the limit<" in page or "torch" in result.not_run
    assert "past" not in page
    # On a phone each cell of the main table has its column's name before it.
    assert page.count('data-name="Limit"') == len(result.engines)
    assert "images of all parts but test went" in " ".join(page.split())
    listed = (out / "images.csv").read_text().splitlines()
    assert listed[0] == "sha256,file"
    assert len(listed) == 1 + len(manifest)
    assert result.not_run["int8"] == "no 8-bit bundle was given"


def test_a_folder_that_holds_something_keeps_it(bundle: Path, manifest: Manifest, tmp_path: Path) -> None:
    """A certificate is a record: the next one goes elsewhere, and is refused before any image is read."""
    earlier = tmp_path / "certified" / "certificate.json"
    earlier.parent.mkdir()
    earlier.write_text("the earlier one")
    for out, problem in ((earlier.parent, "is not empty"), (earlier, "is a file")):
        with pytest.raises(UsageError, match=f"{problem}; a certificate goes into a new folder"):
            certify(bundle, tmp_path / "no-such.parquet", out, part="all")
    assert [path.name for path in earlier.parent.iterdir()] == ["certificate.json"]
    assert earlier.read_text() == "the earlier one"
    (tmp_path / "empty").mkdir()
    certify(bundle, manifest, tmp_path / "empty", part="all")
    assert len(list((tmp_path / "empty").iterdir())) == 3


def test_a_certificate_that_cannot_be_written_leaves_nothing_and_the_same_call_works_then(
    bundle: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "certified"
    with monkeypatch.context() as patch, pytest.raises(OSError) as caught:
        patch.setattr("pneumoscope.workflows.certify._write_images", fail)
        certify(bundle, manifest, out, part="all")
    assert caught.value.filename == str(out)
    assert not list(tmp_path.iterdir())
    certify(bundle, manifest, out, part="all")
    assert sorted(path.name for path in out.iterdir()) == ["certificate.html", "certificate.json", "images.csv"]


def test_an_image_that_was_replaced_after_the_import_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Its labels are those of another image: no certificate and no 8-bit bundle is made of it."""
    rows = write_set(tmp_path / "set", 24, ("covid-19", "normal"), size=64)
    changed, other = rows.paths()[5], rows.paths()[6]
    Path(changed).write_bytes(Path(other).read_bytes())
    message = f"{re.escape(rows.table['image'][5])}: is not the file that was imported"
    with pytest.raises(ManifestError, match=message):
        certify(bundle, rows, part="all")
    job = ExportJob(load(bundle), tmp_path, rows)
    with pytest.raises(ManifestError, match=message):
        list(job.read_images("looking"))
    assert (
        len(list(ExportJob(load(bundle), tmp_path, rows.where(np.arange(len(rows)) != 5)).read_images("looking")))
        == len(rows) - 1
    )


def test_drawn_images_are_no_evidence(bundle: Path, manifest: Manifest) -> None:
    assert "drawn" in certify(bundle, manifest, part="all").notes[0]
    assert not evidence.read(bundle, load(bundle).identity)


def _write_opposite(folder: Path, parent: Model) -> Path:
    """Write a bundle that was made of another one and answers the opposite."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(write_bundle(folder, parent.labels) / "model.onnx")
    for tensor in graph.graph.initializer:
        if tensor.name in ("weights", "bias"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    onnx.save(graph, folder / "model.onnx")
    made = card(folder / "model.onnx", parent.labels, derived_from=parent.identity)
    (folder / "card.json").write_text(made.to_json(), "utf-8")
    return folder


def test_an_8_bit_bundle_past_its_limit_is_evidence_about_itself_alone(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engines that ran the parent are within their limits, and the parent's evidence says so."""
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))
    names = {name: name.replace("synthetic", "hospital") for name in manifest.roots}
    table = manifest.table.assign(source=manifest.table["source"].map(names).astype(manifest.table["source"].dtype))
    real = Manifest(table, {names[name]: root for name, root in manifest.roots.items()})
    parent = load(write_bundle(tmp_path / "parent", ("covid-19", "normal")))
    small = load(_write_opposite(tmp_path / "small", parent))
    file = browser_file(tmp_path / "run.json", parent, real)
    result = certify(parent, real, int8=small.folder, browser=file, part="all")
    assert not result.passed
    [about_parent], [about_small] = (
        [fact for _, fact in evidence.read(model.folder, model.identity)] for model in (parent, small)
    )
    assert (about_parent.passed, about_small.passed) == (True, False)
    assert {one.engine for one in about_parent.engines} >= {"browser"}
    assert "int8" not in {one.engine for one in about_parent.engines} | about_parent.not_run.keys()
    assert [one.engine for one in about_small.engines] == ["int8"]
    assert about_parent.derived == about_small.derived == small.identity


def test_torch_and_openvino_agree_with_onnx_runtime(bundle: Path, manifest: Manifest) -> None:
    pytest.importorskip("torch")
    result = certify(bundle, manifest, part="all")
    figures = {one.engine: one for one in result.engines}
    assert figures["torch"].largest < 1e-5
    assert figures["torch"].flipped == 0
    if "openvino" not in result.not_run:
        assert figures["openvino"].largest < 1e-5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bundle": "0" * 64}, "is about the bundle 000000000000"),
        ({"labels": ["normal", "covid-19"]}, "has the labels normal, covid-19"),
        ({"images": []}, "has 0 of the [0-9]+ images"),
        ({"schema": "other"}, "is no record of a browser's run: schema"),
    ],
)
def test_a_browsers_file_about_something_else_is_refused_before_any_work(
    bundle: Path, manifest: Manifest, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    file = browser_file(tmp_path / "run.json", load(bundle), manifest, **changes)
    with pytest.raises(UsageError, match=message):
        certify(bundle, manifest, tmp_path / "out", browser=file, part="all")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ood": float("nan")}, r"the out-of-distribution score \(ood\) nan; it is a finite number"),
        ({"milliseconds": float("inf")}, r"the time inf \(milliseconds\); it is a finite number from 0 on"),
        ({"milliseconds": -3}, r"the time -3 \(milliseconds\)"),
        ({"probabilities": [float("nan"), 0.5]}, "the probability nan of covid-19; a probability is between 0 and 1"),
        ({"probabilities": [0.5, 5]}, "the probability 5 of normal"),
        ({"probabilities": [-4, 0.5]}, "the probability -4 of covid-19"),
        ({"probabilities": [0.5]}, "1 probabilities; there are 2 labels"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_image(
    bundle: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    model = load(bundle)
    images = [{"sha256": f"{number:064x}", "probabilities": [0, 1], "ood": -1e9} for number in range(3)]
    about = {"schema": "pneumoscope-browser-run/1", "bundle": model.identity, "about": "a browser"}
    file = tmp_path / "run.json"
    file.write_text(json.dumps(about | {"labels": list(model.labels), "images": images}))
    assert len(read_browser_run(file, model.identity, model.labels).images) == 3
    images[1] = {"sha256": "abcdef" + 58 * "0", "probabilities": [0.5, 0.5]} | changes
    file.write_text(json.dumps(about | {"labels": list(model.labels), "images": images}))
    with pytest.raises(UsageError, match=f"run.json: the image abcdef000000 has {message}.* write it again") as caught:
        read_browser_run(file, model.identity, model.labels)
    assert "\n" not in str(caught.value)


def test_an_image_that_a_browser_answered_twice_is_refused(bundle: Path, manifest: Manifest, tmp_path: Path) -> None:
    model = load(bundle)
    file = browser_file(tmp_path / "run.json", model, manifest)
    run = json.loads(file.read_text())
    file.write_text(json.dumps(run | {"images": [*run["images"], run["images"][4]]}))
    name = run["images"][4]["sha256"][:12]
    with pytest.raises(UsageError, match=f"has the image {name} twice; .* Choose each file once"):
        certify(bundle, manifest, tmp_path / "out", browser=file, part="all")
    assert not (tmp_path / "out").exists()


def test_bad_input_is_named(bundle: Path, manifest: Manifest) -> None:
    with pytest.raises(UsageError, match="kept for measuring"):
        certify(bundle, manifest, part="test")
    with pytest.raises(UsageError, match="below 40"):
        certify(bundle, manifest, images=10)
    with pytest.raises(UsageError, match="is no export of another bundle"):
        certify(bundle, manifest, int8=bundle, part="all")
    few = manifest.where(np.arange(len(manifest)) < 20)
    with pytest.raises(UnusableManifestError, match="has 20 images"):
        certify(bundle, few, part="all")


def test_changed_decisions_and_the_auroc_are_counted(tmp_path: Path) -> None:
    """200 images, threshold .4: three scores cross it, and one pair changes its order."""
    path = write_bundle(tmp_path / "b", ("covid-19", "normal"))
    about = card(path / "model.onnx", ("covid-19", "normal"))
    score = np.linspace(0.001, 0.999, 200)
    positive = score > 0.5
    other = score.copy()
    crossing = np.flatnonzero(score < 0.4)[-3:]
    other[crossing] = 0.41
    question = Question("covid-19", 0, np.ones(200, bool), positive)
    groups = np.arange(200).astype(str)

    def answers(p: np.ndarray) -> Answers:
        return Answers(np.stack([p, 1 - p], axis=1), np.zeros(200))

    found = compare_engine("int8", "", answers(other), answers(score), [question], groups, about)
    assert found.flipped == 3
    assert found.flipped_share.value == pytest.approx(0.015)
    assert not found.holds  # 1.5% of the decisions
    assert found.auroc_difference.value == 0  # all three stay below every positive image
    assert (found.auroc_difference.low, found.auroc_difference.note) == (None, RANKED_ALIKE)
    assert found.largest == pytest.approx(float((0.41 - score[crossing]).max()))
    other = score.copy()
    last_negative, first_positive = np.flatnonzero(~positive)[-1], np.flatnonzero(positive)[0]
    other[[last_negative, first_positive]] = other[[first_positive, last_negative]]
    found = compare_engine("int8", "", answers(other), answers(score), [question], groups, about)
    assert found.auroc_difference.value == pytest.approx(-1 / (100 * 100))  # one of 100 x 100 pairs
    # A pair that changed its places leaves other images where they are: one image of 100 of either class.
    assert -0.0005 < found.auroc_difference.low < -1 / (100 * 100) < found.auroc_difference.high < 0.0005
    assert found.holds


@pytest.mark.parametrize("engine", ["torch", "openvino", "browser"])
@pytest.mark.parametrize(
    ("move", "changed", "at_threshold", "holds"),
    [
        ("nothing", 0, 0, True),
        ("probability at its threshold", 1, 1, True),
        ("score far past its limit", 200, 0, False),  # with exactly the right probabilities
        ("score at its limit", 1, 1, True),
        ("score that is no number", 1, 0, False),
    ],
)
def test_no_decision_may_change_with_float32_but_at_a_threshold(
    tmp_path: Path, engine: str, move: str, changed: int, at_threshold: int, *, holds: bool
) -> None:
    path = write_bundle(tmp_path / "b", ("covid-19", "normal"))
    about = card(path / "model.onnx", ("covid-19", "normal"))
    threshold, limit = about.operating_point.threshold, about.refusal.ood_threshold
    score, ood = np.linspace(0.001, 0.999, 200), np.full(200, limit / 2)
    score[7], ood[8] = threshold + 2e-5, limit * (1 - 2e-5)
    other, other_ood = score.copy(), ood.copy()
    if move == "probability at its threshold":
        other[7] = threshold - 2e-5
    elif move == "score far past its limit":
        other_ood[:] = 1e6
    elif move == "score at its limit":
        other_ood[8] = limit * (1 + 2e-5)
    elif move == "score that is no number":
        other_ood[8] = np.nan
    question = Question("covid-19", 0, np.ones(200, bool), score > 0.5)
    given, reference = (Answers(np.stack([p, 1 - p], axis=1), o) for p, o in ((other, other_ood), (score, ood)))
    found = compare_engine(engine, "", given, reference, [question], np.arange(200).astype(str), about)
    assert (found.flipped, found.at_threshold, found.holds) == (changed, at_threshold, holds)
    assert "no decision changed" in found.limit
    words = describe_changed(found)
    assert words == f"{changed} of 200" + (" (1 at a threshold)" if at_threshold else "")


def test_the_certificates_of_the_shipped_models_still_pass() -> None:
    for name in ("opacity", "covid"):
        model = load(name)
        every = [fact for _, fact in evidence.read(model.folder, model.identity)]
        every = [fact for _, fact in evidence.read(model.folder, model.identity)]
        facts = [one for one in every if isinstance(one, evidence.CertificateFact)]
        assert max(facts, key=lambda one: one.time).passed
        exact = [one for fact in facts for one in fact.engines if one.engine != "int8"]
        assert exact and all(one.holds and one.flipped == one.at_threshold == 0 for one in exact)
