"""A multi-label model from recipe to report: training, calibration, graph, card, predictions, figures and audit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from sklearn.metrics import f1_score, roc_auc_score  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from pneumoscope.bundle.card import Card, read_card  # noqa: E402
from pneumoscope.bundle.evidence import AuditFact, is_audited  # noqa: E402
from pneumoscope.bundle.prediction import decide, split_decision  # noqa: E402
from pneumoscope.bundle.runtime import Model, load  # noqa: E402
from pneumoscope.cli.main import app  # noqa: E402
from pneumoscope.core.errors import ManifestError, RecipeError, UsageError  # noqa: E402
from pneumoscope.core.labels import absent_name, display_name  # noqa: E402
from pneumoscope.data.columns import TEXT  # noqa: E402
from pneumoscope.data.finding_cases import manifest_targets, select_cases  # noqa: E402
from pneumoscope.data.ledger import ledger_path  # noqa: E402
from pneumoscope.data.manifest import Manifest, validate, write_manifest  # noqa: E402
from pneumoscope.inference.evaluation import FindingsEvaluation  # noqa: E402
from pneumoscope.recipes.recipe import Recipe, load_recipe, parse_recipe  # noqa: E402
from pneumoscope.reporting.model_card import render_model_card  # noqa: E402
from pneumoscope.reporting.pages.evaluation_page import render_evaluation_page  # noqa: E402
from pneumoscope.reporting.pages.run_report import render_run_page  # noqa: E402
from pneumoscope.reporting.record import read_record  # noqa: E402
from pneumoscope.workflows.audit import audit  # noqa: E402
from pneumoscope.workflows.evaluate import evaluate  # noqa: E402
from pneumoscope.workflows.train import Run, train  # noqa: E402

FINDINGS = ("covid-19", "pneumonia", "pleural-effusion")
"""The last one is stated of few images, in such a way that the validation part lacks it."""


def make_recipe(*classes: str, **loss: object) -> Recipe:
    """Return a small multi-label recipe."""
    data = load_recipe("cnn-150").model_dump(mode="json")
    data |= {"name": "small-findings", "expects": None, "loss": {"kind": "bce", **loss}}
    data["task"] = {"kind": "multilabel", "classes": list(classes)}
    data["input"] |= {"size": 32}
    data["training"] |= {"epochs": 2, "batch_size": 16, "sampling": "shuffle", "fewest_groups": 2}
    return parse_recipe(data, "small-findings")


@pytest.fixture(scope="module")
def manifest(phantom_set: Manifest) -> Manifest:
    """Phantoms whose pictures of viral pneumonia state that there is no COVID-19, and one an effusion."""
    table = phantom_set.table.copy()
    viral = table.label == "viral-pneumonia"
    stated = np.where(viral, json.dumps({"covid-19": False, "viral-pneumonia": True}), None)
    table["findings"] = pd.array(stated, dtype=TEXT)
    first = table.index[viral & (table["split"] == "train")][0]
    table.loc[first, "findings"] = json.dumps({"pleural-effusion": True, "viral-pneumonia": True})
    return validate(replace(phantom_set, table=table))


@pytest.fixture(scope="module")
def run(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(make_recipe(*FINDINGS), manifest, tmp_path_factory.mktemp("findings") / "run", device="cpu")


@pytest.fixture(scope="module")
def model(run: Run) -> Model:
    return load(run.bundle, gatekeeper=False)


def test_a_finding_that_the_data_cannot_teach_is_left_out_and_the_card_says_so(
    model: Model, run: Run, manifest: Manifest
) -> None:
    card = model.card
    assert card.label_names == ("covid-19", "pneumonia")
    assert [facts.name for facts in card.findings] == ["covid-19", "pneumonia"]
    (line,) = [change for change in card.recipe_changes if "pleural-effusion" in change]
    without = manifest.part("validation").table.query("label == 'normal'").group.nunique()
    assert line.startswith(
        "finding pleural-effusion left out, too few: the validation part has it in 0 groups and is said not to have it "
        f"in {without}, of at least 1 each (present in 1 image, absent in "
    )
    assert line in (run.bundle / "CARD.md").read_text(encoding="utf-8")
    assert "Pleural effusion" not in " ".join(card.limits)
    assert "pleural effusion" in card.not_looked_for


def test_a_finding_that_was_asked_for_is_never_left_out_in_silence(manifest: Manifest) -> None:
    asked = make_recipe(*FINDINGS).model_copy(update={"changes": ("task.classes=[covid-19, pleural-effusion]",)})
    with pytest.raises(RecipeError, match="pleural-effusion"):
        train(asked, manifest, "never", device="cpu")
    with pytest.raises(RecipeError, match="hernia"):
        train(make_recipe("hernia"), manifest, "never", device="cpu")


def test_the_graph_gives_each_finding_a_calibrated_probability_of_its_own(run: Run, model: Model) -> None:
    from safetensors.torch import load_file

    assert "head.dense.0.weight" in load_file(run.bundle / "weights.safetensors")
    pixels = np.random.default_rng(3).random((70, 50), dtype=np.float32)
    output = model.run(pixels)
    scale = np.array([facts.temperature for facts in model.card.findings])
    shift = np.array([facts.bias for facts in model.card.findings])
    np.testing.assert_allclose(output.probabilities, 1 / (1 + np.exp(-(output.logits / scale + shift))), atol=1e-5)
    assert output.heatmap is not None
    assert len(output.heatmap) == 2


def test_a_view_is_the_same_model_with_one_question(model: Model) -> None:
    pixels = np.random.default_rng(4).random((40, 64), dtype=np.float32)
    whole, view = model.run(pixels), model.about("pneumonia")
    assert view.labels == ("pneumonia", absent_name("pneumonia"))
    assert display_name(view.labels[1]) == "No pneumonia"
    output = view.run(pixels)
    np.testing.assert_allclose(output.probabilities, [whole.probabilities[1], 1 - whole.probabilities[1]])
    assert view.identity == model.identity
    with pytest.raises(UsageError, match="Did you mean 'pneumonia'"):
        model.about("pnuemonia")
    with pytest.raises(UsageError, match="one answer"):
        view.about("pneumonia")


def test_a_decision_names_every_finding_over_its_threshold(model: Model) -> None:
    card = model.card
    limits = [card.view(name).operating_point.threshold for name in card.label_names]
    above, below = [min(1.0, limit + 1e-6) for limit in limits], [limit - 1e-6 for limit in limits]
    assert split_decision(str(decide(card, above, 0)[0])) == card.label_names
    assert decide(card, [above[0], below[1]], 0)[0] == "covid-19"
    assert decide(card, below, 0)[0] == "normal"
    assert decide(card, above, 1e9)[0] is None


def test_the_card_sets_thresholds_on_the_calibration_images_that_state_a_finding(run: Run, manifest: Manifest) -> None:
    card, _ = read_card(run.bundle)
    calibration = manifest.part("calibration")
    target = manifest_targets(calibration, card.label_names)
    for facts, column in zip(card.findings, target.T, strict=True):
        assert facts.prior == pytest.approx(np.nanmean(column))
        assert facts.absent["calibration"] == (column == 0).sum()
    assert card.images_by_part == {part: len(manifest.part(part)) for part in manifest.parts_present}
    assert card.default_operating_point == "youden"
    with pytest.raises(ValueError, match="findings must be the labels"):
        Card.model_validate(card.model_dump() | {"findings": card.model_dump()["findings"][:1]})


def test_figures_count_only_what_is_stated(run: Run, model: Model, manifest: Manifest) -> None:
    evaluation = run.evaluation
    assert isinstance(evaluation, FindingsEvaluation)
    validation = manifest.part("validation")
    target = manifest_targets(validation, model.labels)
    p = np.array([model.probabilities(_pixels(path)) for path in validation.paths()], np.float64)
    for k, name in enumerate(model.labels):
        known = np.isfinite(target[:, k])
        figures = evaluation.findings[name].figures
        assert figures.images == known.sum()
        area = figures.by_class[name]["auroc"].value
        assert area == pytest.approx(roc_auc_score(target[known, k], p[known, k]), abs=1e-5)
    areas = [evaluation.findings[name].figures.by_class[name]["auroc"].value for name in model.labels]
    assert evaluation.averages["macro/auroc"].value == pytest.approx(np.mean(areas))
    known = np.isfinite(target)
    assert evaluation.averages["micro/auroc"].value == pytest.approx(roc_auc_score(target[known], p[known]), abs=1e-5)
    limits = np.array([model.card.view(name).operating_point.threshold for name in model.labels])
    f1 = [f1_score(target[known[:, k], k], (p >= limits)[known[:, k], k]) for k in range(len(limits))]
    assert evaluation.averages["macro/f1"].value == pytest.approx(np.mean(f1))
    assert FindingsEvaluation.model_validate_json(evaluation.to_json()) == evaluation


def _pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    from pneumoscope.imaging.read import read

    return read(path).pixels


def test_pages_and_card_show_every_finding(run: Run, model: Model) -> None:
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    card = (run.bundle / "CARD.md").read_text(encoding="utf-8")
    page = render_evaluation_page(run.evaluation, model.card)
    for name in model.labels:
        for text in (report, card, page):
            assert display_name(name) in text
    assert "Over all findings" in report
    # What takes the largest probability as the decision would contradict the thresholds of a finding.
    assert "<h2>Confusion matrix</h2>" not in report
    assert ">Balanced accuracy<" not in report
    assert "Figures without a threshold" in report
    assert "Where it names none of its findings, every screen says" in card
    assert "accuracy" not in card.split("## Figures")[0]


def test_test_images_that_can_measure_nothing_are_not_opened(run: Run, manifest: Manifest, tmp_path: Path) -> None:
    normal = (manifest.table.label == "normal").to_numpy(bool)
    path = tmp_path / "m.parquet"
    write_manifest(manifest.where(normal), path)
    with pytest.raises(ManifestError, match=r"nothing can be measured: covid-19 \(0 present, \d+ absent\), pneumonia"):
        evaluate(run.folder, path, "test")
    assert not ledger_path(path).exists()


def test_pages_say_where_the_images_of_findings_come_from(run: Run, model: Model) -> None:
    measured = run.evaluation
    assert isinstance(measured, FindingsEvaluation)
    elsewhere = {
        name: one.model_copy(update={"by_source": {"jsrt": next(iter(one.by_source.values()))}})
        for name, one in measured.findings.items()
    }
    evaluation = measured.model_copy(update={"findings": elsewhere, "training_copies": 0})
    evaluation_page = render_evaluation_page(evaluation, model.card)
    record = replace(read_record(run.folder), evaluation=evaluation)
    for page in (evaluation_page, render_run_page(record)):
        text = " ".join(page.split())
        assert "No source named jsrt trained the model." in text
        assert "0 images have the SHA-256 of a training image" in text
    assert "trained the model." not in render_evaluation_page(measured, model.card)


def test_predict_writes_a_column_for_each_finding(model: Model, manifest: Manifest) -> None:
    table = model.predict(manifest.paths()[:3])
    assert [column for column in table if column.startswith("p_")] == ["p_covid-19", "p_pneumonia"]
    for row in table.to_dict("records"):
        if not row["refused"]:
            named = [
                name for name in model.labels if row[f"p_{name}"] >= model.card.view(name).operating_point.threshold
            ]
            assert list(split_decision(row["decision"])) == (named or ["normal"])


def test_an_evaluation_of_one_finding_reads_like_that_of_a_binary_model(
    run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    write_manifest(manifest, tmp_path / "manifest.parquet")
    evaluation = evaluate(run.bundle, tmp_path / "manifest.parquet", resamples=200)
    assert isinstance(evaluation, FindingsEvaluation)
    one = evaluation.of("pneumonia")
    assert one.figures.classes == ("pneumonia", absent_name("pneumonia"))
    assert one.identity == evaluation.identity
    with pytest.raises(UsageError, match="was not measured"):
        evaluation.of("hernia")


def test_no_figure_of_one_finding_takes_the_largest_probability_as_the_decision(
    run: Run, manifest: Manifest, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.parquet"
    write_manifest(manifest, path)
    done = CliRunner().invoke(app, ["evaluate", str(run.bundle), "--data", str(path), "--finding", "pneumonia"])
    assert done.exit_code == 0, done.output
    assert "at the frozen thresholds" in done.output
    assert "By source" in done.output
    for name in ("accuracy", "largest probability", "All classes", "F1", "Precision", "Recall"):
        assert name.casefold() not in done.output.casefold(), done.output


def test_an_audit_asks_about_one_finding(run: Run, manifest: Manifest) -> None:
    with pytest.raises(UsageError, match="answers about each finding by itself"):
        audit(run.bundle, manifest, part="all")
    undivided = manifest.with_split([None] * len(manifest), "in no part")
    result = audit(run.bundle, undivided, part="all", images=40, finding="covid-19", keep_evidence=False)
    assert result.finding == "covid-19"
    assert result.classes == ("covid-19", absent_name("covid-19"))


def test_a_model_is_audited_once_each_of_its_findings_is(model: Model) -> None:
    def fact(finding: str) -> AuditFact:
        return AuditFact.model_validate(
            {
                "bundle": model.identity, "time": "2026-01-01T00:00:00+00:00", "verdict": "pass", "passed": True,
                "reason": "No test failed.", "data": "0", "part": "all", "images": 40, "command": "audit",
                "finding": finding,
            }
        )  # fmt: skip

    one, both = [fact("pneumonia")], [fact("pneumonia"), fact("covid-19")]
    assert not is_audited(one, model.card.asked_findings)
    assert is_audited(both, model.card.asked_findings)
    assert "Warning: not audited" in render_model_card(model.card, model.identity, audits=one)
    assert "Audit of pneumonia: pass." in render_model_card(model.card, model.identity, audits=one)
    assert "Warning: not audited" not in render_model_card(model.card, model.identity, audits=both)


def test_cases_are_the_images_that_state_a_finding(manifest: Manifest) -> None:
    cases, stated = select_cases(manifest, "covid-19")
    column = manifest_targets(manifest, ["pleural-effusion", "covid-19"])[:, 1]
    once, same = select_cases(manifest, "covid-19", column)
    assert once.rows_hash() == cases.rows_hash()
    assert (same == stated).all()
    assert set(cases.table.label) == {"covid-19", absent_name("covid-19")}
    assert stated.sum() == len(cases) == (manifest.table.label != "other").sum() - 1  # one viral picture says nothing
    with pytest.raises(RecipeError, match=r"covid-19 \(present in 22 images, absent in 0\): the train part"):
        train(make_recipe("covid-19"), cases.where(cases.table.label == "covid-19"), "never", device="cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": {"kind": "multilabel", "classes": ["normal"]}}, "is no finding"),
        ({"task": {"kind": "multilabel", "classes": ["mass"], "map": {"nodule": "mass"}}}, "has no map"),
        ({"loss": {"kind": "cross-entropy"}}, "one class an image"),
        ({"training": {"epochs": 1, "batch_size": 2, "sampling": "balanced"}}, "sampling balanced"),
        ({"task": {"kind": "multiclass", "classes": ["mass"]}}, "at least 2 classes"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    data = make_recipe("mass", "nodule").model_dump(mode="json") | changes
    with pytest.raises(RecipeError, match=message):
        parse_recipe(data, "test")
