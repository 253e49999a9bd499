"""Evaluation of a bundle with answers worked out by hand, on images drawn for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from scipy.special import softmax

from pneumoscope.core.errors import LabelError, ManifestError, UsageError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.data.ledger import KnownOpening
from pneumoscope.data.manifest import Manifest, write_manifest
from pneumoscope.inference.evaluate import evaluate
from pneumoscope.inference.evaluation import Evaluation

pytest.importorskip("onnx")
bundles = pytest.importorskip("bundles")

LABELS = ("covid-19", "normal", "viral-pneumonia")
GREYS = {"covid-19": (150, 250), "normal": (10, 110), "viral-pneumonia": (70, 170)}


def draw(folder: Path, each: int = 14, part: str = "validation", extra: tuple[str, ...] = ()) -> Manifest:
    """Return a manifest of flat grey images of two sources, each its own group; covid-19 is bright, normal is dark."""
    rows = []
    rng = np.random.default_rng(5)
    for label in (*LABELS, *extra):
        for number in range(each):
            grey = int(rng.integers(*GREYS.get(label, (100, 200))))
            name = f"{label}-{number}.png"
            Image.fromarray(np.full((20, 24), grey, np.uint8)).save(folder / name)
            rows.append(
                {
                    "image": name,
                    "source": "site-a" if number % 2 else "site-b",
                    "label": label,
                    "raw_label": label,
                    "group": f"{label}-{number}",
                    "split": part,
                    "width": 24,
                    "height": 20,
                    "bits": 8,
                    "sha256": sha256_of(folder / name),
                    "phash": f"{len(rows):016x}",
                }
            )
    return Manifest.from_rows(rows, {"site-a": folder, "site-b": folder})


def by_hand(manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """Return grey values [N] and the bundle's probabilities [N, 3], worked out from its docstring."""
    v = np.array([np.asarray(Image.open(path))[0, 0] for path in manifest.paths()]) / 255
    return v, softmax(np.column_stack([10 * (v - 0.5), 5 * (0.5 - v), np.zeros_like(v)]), axis=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from pneumoscope.bundle.runtime import load

    return load(bundles.write_bundle(tmp_path_factory.mktemp("bundle")))


def test_figures_are_those_of_the_probabilities_worked_out_by_hand(model, tmp_path):
    sk = pytest.importorskip("sklearn.metrics")
    manifest = draw(tmp_path)
    progress = []
    items = []
    evaluation = evaluate(
        model, manifest, resamples=200, progress=lambda now, of: progress.append((now, of)), keep=items.append
    )
    assert [item.sha256 for item in items] == manifest.table["sha256"].to_list()
    v, p = by_hand(manifest)
    truth = manifest.table["label"].map(LABELS.index).to_numpy()
    assert evaluation.part == "validation"
    assert (evaluation.identity, evaluation.data) == (model.identity, manifest.rows_hash())
    figures = evaluation.figures
    assert figures.overall["accuracy"].value == pytest.approx(sk.accuracy_score(truth, p.argmax(axis=1)))
    assert figures.overall["log_loss"].value == pytest.approx(sk.log_loss(truth, p), abs=1e-4)
    assert figures.by_class["covid-19"]["auroc"].value == pytest.approx(sk.roc_auc_score(truth == 0, p[:, 0]))
    (point,) = figures.operating
    flagged = p[:, 0] >= bundles.THRESHOLD
    assert point.sensitivity.value == pytest.approx(flagged[truth == 0].mean())
    assert point.specificity.value == pytest.approx((~flagged[truth != 0]).mean())
    refused_rows = 16 * (v - 0.5) ** 2 > bundles.OOD_THRESHOLD
    assert evaluation.refused == refused_rows.sum() > 0
    assert evaluation.answered.images == (~refused_rows).sum()
    assert evaluation.answered.overall["accuracy"].value == pytest.approx(
        (p.argmax(axis=1) == truth)[~refused_rows].mean()
    )
    assert sum(sum(row.values()) for row in evaluation.decisions.values()) == len(truth)
    assert evaluation.decisions["covid-19"]["covid-19"] == (flagged & ~refused_rows)[truth == 0].sum()
    assert sum(row["no answer"] for row in evaluation.decisions.values()) == evaluation.refused
    assert progress[-1] == (42, 42)
    assert "the true interval is wider" in evaluation.group_sentence
    assert evaluation.earlier_openings is None
    assert Evaluation.model_validate_json(evaluation.to_json()) == evaluation


def test_each_source_has_its_own_figures(model, tmp_path):
    evaluation = evaluate(model, draw(tmp_path), resamples=0)
    assert set(evaluation.by_source) == {"site-a", "site-b"}
    assert sum(source.images for source in evaluation.by_source.values()) == 42
    site = evaluation.by_source["site-a"]
    assert site.class_images == dict.fromkeys(LABELS, 7)
    assert site.metrics["covid-19/auroc"].value is not None
    assert site.metrics["covid-19/auroc"].low is None  # 7 groups of the class
    assert site.metrics["accuracy"].low is not None


def test_merged_labels_count_as_their_class(tmp_path):
    from pneumoscope.bundle.card import LabelDefinition
    from pneumoscope.bundle.runtime import load

    definitions = (
        LabelDefinition(name="sick", members=("covid-19", "viral-pneumonia"), reference_standard="drawn"),
        LabelDefinition(name="normal", members=("normal",), reference_standard="drawn"),
    )
    folder = bundles.write_bundle(tmp_path / "bundle", labels=("sick", "normal"))
    card = bundles.card(folder / "model.onnx", ("sick", "normal")).model_copy(update={"labels": definitions})
    (folder / "card.json").write_text(card.to_json())
    merged = load(folder)
    evaluation = evaluate(merged, draw(tmp_path), resamples=0)
    assert evaluation.figures.class_images == {"sick": 28, "normal": 14}


def test_an_unknown_label_is_an_error_or_is_counted(model, tmp_path):
    manifest = draw(tmp_path, extra=("lung-opacity",))
    with pytest.raises(LabelError, match=r"lung-opacity \(14 images\).*`ignore_other=True`"):
        evaluate(model, manifest, resamples=0)
    evaluation = evaluate(model, manifest, ignore_other=True, resamples=0)
    assert evaluation.ignored == {"lung-opacity": 14}
    assert evaluation.figures.images == 42
    assert any("14 images" in stamp for stamp in evaluation.stamps)


def test_training_images_need_an_option_and_are_stamped(model, tmp_path):
    from pneumoscope.bundle.runtime import load

    manifest = draw(tmp_path, part="train")
    with pytest.raises(UsageError, match="42 of its 42"):
        evaluate(model, manifest, "all", resamples=0)
    with pytest.raises(UsageError, match="42 images are in the train part of this manifest: whether they trained this"):
        evaluate(model, manifest, "train", resamples=0)
    evaluation = evaluate(model, manifest, "train", allow_train=True, resamples=0)
    assert any("42 are in the train part of this manifest" in stamp for stamp in evaluation.stamps)
    own = load(bundles.write_bundle(tmp_path / "own", split_hash=manifest.split_hash()))
    with pytest.raises(UsageError, match="42 images are training images"):
        evaluate(own, manifest, "train", resamples=0)
    evaluation = evaluate(own, manifest, "train", allow_train=True, resamples=0)
    assert any(stamp.startswith("measured on training images") for stamp in evaluation.stamps)
    with pytest.raises(ManifestError, match="has no rows"):
        evaluate(model, manifest, resamples=0)


def test_an_unreadable_image_is_named_and_is_in_no_figure(model, tmp_path):
    manifest = draw(tmp_path)
    (tmp_path / "normal-3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    evaluation = evaluate(model, manifest, resamples=0)
    assert [failure.image for failure in evaluation.failures] == ["site-a/normal-3.png"]
    assert evaluation.figures.images == 41
    assert any("1 image" in stamp for stamp in evaluation.stamps)
    for path in manifest.paths():
        path.write_bytes(b"")
    with pytest.raises(ManifestError, match="none of its 42 images could be read"):
        evaluate(model, manifest, resamples=0)


def test_a_replaced_file_is_an_error(model, tmp_path):
    manifest = draw(tmp_path)
    Image.fromarray(np.full((20, 24), 77, np.uint8)).save(tmp_path / "normal-3.png")
    with pytest.raises(ManifestError, match=r"normal-3.png: is not the file that was imported"):
        evaluate(model, manifest, resamples=0)


def test_the_same_seed_gives_the_same_figures(model, tmp_path):
    manifest = draw(tmp_path)
    one, two = (evaluate(model, manifest, resamples=100, seed=3, workers=w) for w in (1, 4))
    assert one.figures == two.figures


def test_recalibrated_figures_stand_beside_those_of_the_frozen_model(model, tmp_path):
    manifest = draw(tmp_path, 24)
    plain, both = (evaluate(model, manifest, resamples=200, recalibrate=asked) for asked in (False, True))
    assert plain.recalibrated is None
    assert both.figures == plain.figures
    slope = both.recalibrated.by_class["covid-19"]["calibration_slope"].value
    before = both.figures.by_class["covid-19"]["calibration_slope"].value
    assert abs(slope - 1) < abs(before - 1)
    few = manifest.where(np.arange(len(manifest)) % 4 == 0)
    assert evaluate(model, few, resamples=200, recalibrate=True).recalibrated is None


def test_an_opening_of_test_is_recorded_before_the_first_image(model, tmp_path):
    manifest = draw(tmp_path, part="test")
    with pytest.raises(UsageError, match="no ledger"):
        evaluate(model, manifest, "test", resamples=0)
    identities = []

    def record(images, identity):
        assert images.files == set(manifest.table["sha256"])
        assert len(images) == len(manifest)
        identities.append(identity)
        opened = [KnownOpening("", images, "2026-03-04T05:06:07+00:00", one, "evaluate x") for one in identities]
        return opened[:-1]

    def progress(done, of):
        assert identities  # the opening was recorded before the first image

    first = evaluate(model, manifest, "test", record=record, progress=progress, resamples=0)
    assert first.earlier_openings == 0
    assert not any("before" in stamp for stamp in first.stamps)
    second = evaluate(model, manifest, "all", record=record, resamples=0)
    assert second.earlier_openings == 1
    said = f"2026-03-04 05:06 UTC by model {model.identity[:12]}"
    assert any(f"opened once before ({said}): " in stamp for stamp in second.stamps)
    assert (first.opened_by, second.opened_by) == ((), (f"{said}: evaluate x",))
    assert identities == [model.identity] * 2


def run(*arguments: object):
    from typer.testing import CliRunner

    from pneumoscope.cli.main import app

    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_the_command_prints_figures_with_intervals_and_the_disclaimer(model, tmp_path):
    manifest = draw(tmp_path)
    write_manifest(manifest, tmp_path / "m.parquet")
    out, page = tmp_path / "e.json", tmp_path / "e.html"
    result = run(
        model.folder, "--data", tmp_path / "m.parquet", "-o", out, "--html", page, "--resamples", 200, "--recalibrate"
    )
    assert result.exit_code == 0, result.output
    evaluation = Evaluation.model_validate_json(out.read_text())
    accuracy = evaluation.figures.overall["accuracy"]
    assert f"{accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})" in result.output
    assert "".join(DISCLAIMER.split()) in "".join(result.output.split())
    assert "true interval is wider" in result.output
    assert "No pattern that this model looks for" in result.output
    assert f"{accuracy.low:.3f} to {accuracy.high:.3f}" in page.read_text()
    assert not list(tmp_path.glob("*.ledger.jsonl"))


def test_the_command_records_each_opening_of_test_beside_the_manifest(model, tmp_path):
    manifest = draw(tmp_path, part="test")
    write_manifest(manifest, tmp_path / "m.parquet")
    for earlier in (0, 1):
        result = run(model.folder, "--data", tmp_path / "m.parquet", "--split", "test", "--resamples", 200, "--json")
        assert result.exit_code == 0, result.output
        assert Evaluation.model_validate_json(result.stdout).earlier_openings == earlier
    lines = (tmp_path / "m.ledger.jsonl").read_text().splitlines()
    assert [json.loads(line)["by"] for line in lines] == [model.identity] * 2
    assert set(json.loads(lines[0])["images"]) == set(manifest.table["sha256"])


def test_the_command_fails_and_names_an_unreadable_image(model, tmp_path):
    write_manifest(draw(tmp_path), tmp_path / "m.parquet")
    (tmp_path / "normal-3.png").write_bytes(b"")
    result = run(model.folder, "--data", tmp_path / "m.parquet", "--resamples", 200)
    assert result.exit_code == 1
    assert "site-a/normal-3.png" in result.output
    assert run(model.folder, "--data", tmp_path / "m.parquet", "--split", "train").exit_code == 1


def test_a_set_with_another_split_is_stamped(tmp_path):
    from pneumoscope.bundle.card import SourceLicence
    from pneumoscope.bundle.runtime import load

    manifest = draw(tmp_path, each=10)

    def has_split_stamp(source: str, split_hash: str) -> bool:
        licences = (SourceLicence(source=source, licence="none"),)
        folder = bundles.write_bundle(tmp_path / "bundle", licences=licences, split_hash=split_hash)
        stamps = evaluate(load(folder), manifest, resamples=200).stamps
        return any(stamp.startswith("not the division of the data that the model was trained with") for stamp in stamps)

    assert has_split_stamp("site-a", "0" * 64)
    assert not has_split_stamp("site-a", manifest.split_hash())
    assert not has_split_stamp("elsewhere", "0" * 64)  # the model was not trained on images of this site


def test_copies_of_training_images_under_another_name_are_counted(tmp_path):
    from pneumoscope.bundle.runtime import load

    (tmp_path / "run").mkdir()
    trained = draw(tmp_path, each=10)
    trained.table.loc[trained.table.index[::2], "split"] = "train"
    folder = bundles.write_bundle(tmp_path / "run" / "bundle", split_hash=trained.split_hash())
    copies = replace(trained, table=trained.table.assign(source="folder", split=None), roots={"folder": tmp_path})

    def measure():
        return evaluate(load(folder), copies, "all", resamples=200)

    unknown = measure()
    assert unknown.training_copies is None
    assert any("whether the model was trained on them is not known, since" in stamp for stamp in unknown.stamps)
    write_manifest(trained, tmp_path / "run" / "manifest.parquet")
    counted = measure()
    assert not any("not known" in stamp for stamp in counted.stamps)
    assert counted.training_copies == 15
    assert any(stamp.startswith("15 images have the SHA-256 of a training image") for stamp in counted.stamps)
    write_manifest(replace(trained, table=trained.table.assign(split="train")), tmp_path / "run" / "manifest.parquet")
    assert measure().training_copies is None  # not the division that the card names


def test_images_without_a_part_that_no_training_image_equals_are_not_called_unknown(tmp_path):
    from pneumoscope.bundle.runtime import load

    (tmp_path / "run").mkdir()
    trained, others = draw(tmp_path, each=10), draw(tmp_path, each=10)
    trained = replace(trained, table=trained.table.assign(split="train", sha256="0" * 64))
    folder = bundles.write_bundle(tmp_path / "run" / "bundle", split_hash=trained.split_hash())
    write_manifest(trained, tmp_path / "run" / "manifest.parquet")
    others = replace(others, table=others.table.assign(split=None))
    measured = evaluate(load(folder), others, "all", resamples=200)
    assert measured.training_copies == 0
    (stamp,) = [stamp for stamp in measured.stamps if stamp.startswith("images without a part")]
    assert stamp == "images without a part: none has the SHA-256 of a training image; changed copies are not counted"


def test_the_design_comes_from_the_manifest_or_the_call_and_stands_at_the_figures(model, tmp_path):
    manifest = draw(tmp_path)
    figures = {}
    for stated, asked, expected in (
        (None, None, None),
        ("cohort", None, "cohort"),
        ("cohort", "case-control", "case-control"),
    ):
        evaluation = evaluate(model, replace(manifest, design=stated), design=asked, resamples=200)
        assert (evaluation.design, evaluation.figures.design) == (expected, expected)
        assert ("cohort" in evaluation.design_sentence.lower()) == (expected != "case-control")
        figures[expected] = evaluation.figures.overall["brier"]
    widths = {name: e.high - e.low for name, e in figures.items()}
    assert widths[None] == max(widths["cohort"], widths["case-control"])
    assert figures["cohort"].method.endswith("; cohort")
    assert "design not stated, the wider: " in figures[None].method


def test_a_comment_in_each_file_and_a_fresh_home_and_folder_do_not_make_the_first_opening(tmp_path, monkeypatch):
    import pneumoscope as ps

    bundle = bundles.write_bundle(tmp_path / "bundle")
    for number, comment in enumerate(("", "another"), start=0):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / f"home{number}"))
        manifest = draw(folder, part="test")
        if comment:
            for path in manifest.paths():
                info = PngImagePlugin.PngInfo()
                info.add_text("Comment", comment)
                Image.open(path).save(path, pnginfo=info)
            hashes = [sha256_of(path) for path in manifest.paths()]
            assert set(hashes).isdisjoint(manifest.table["sha256"])
            manifest = replace(manifest, table=manifest.table.assign(sha256=hashes))
        write_manifest(manifest, folder / "m.parquet")
        evaluation = ps.evaluate(bundle, folder / "m.parquet", "test", resamples=200)
        assert evaluation.earlier_openings == number
    assert any("opened once before" in stamp for stamp in evaluation.stamps)
    assert "signed by" in (bundle / "CARD.md").read_text()
