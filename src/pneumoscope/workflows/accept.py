"""A site's acceptance as a list of steps: check, state what is asked, score the cases, measure, judge, keep."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import numpy as np

from pneumoscope.acceptance import measurement
from pneumoscope.acceptance.advice import Expectation, advise, expect_from_card
from pneumoscope.acceptance.measurement import SiteCases
from pneumoscope.acceptance.page import describe_size, render_acceptance_page
from pneumoscope.acceptance.requirements import check_declarations, check_minima, check_parts, check_patients
from pneumoscope.acceptance.result import Acceptance, EarlierPlan, SampleSize
from pneumoscope.bundle import evidence
from pneumoscope.bundle.runtime import Model, ModelInput, model_of
from pneumoscope.core.arguments import check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_text
from pneumoscope.data.manifest import Manifest
from pneumoscope.inference.evaluate import predict_rows, select_rows
from pneumoscope.inference.evaluation import group_sentence
from pneumoscope.reporting.pages.run_report import rewrite_reports
from pneumoscope.stats.curve_points import compute_curve_points
from pneumoscope.stats.metrics import group_index
from pneumoscope.stats.sample_size import LEAST_PATIENTS
from pneumoscope.workflows.findings import cases_of, choose_finding, finding_of

JSON, PAGE, PLAN = "acceptance.json", "acceptance.html", "plan.json"
FOLDS = 10
MIN_SENSITIVITY, MIN_SPECIFICITY, MIN_AUROC = 0.85, 0.60, 0.80
"""Defaults of the lower limits. They are conventions of this program; a department states its own."""
TARGET_SENSITIVITY = 0.95
SYNTHETIC = "synthetic"
"""How the names of sources of drawn images begin."""
_HASH = 16
"""Digits of an image's SHA-256 that a plan keeps."""


@check_arguments
def accept(
    model: ModelInput,
    data: Manifest | str | Path,
    out: str | Path | None = None,
    *,
    sampling: str,
    reference: str,
    window_days: int,
    min_sensitivity: float = MIN_SENSITIVITY,
    min_specificity: float = MIN_SPECIFICITY,
    min_auroc: float = MIN_AUROC,
    target_sensitivity: float = TARGET_SENSITIVITY,
    part: str = "all",
    ignore_other: bool = False,
    finding: str | None = None,
    roots: Mapping[str, str | Path] | None = None,
    seed: int = 0,
    workers: int | None = None,
    command: str = "pneumoscope.accept",
    callbacks: Callbacks = SILENT,
) -> Acceptance:
    """Find out on a department's own labelled cases whether a model does what the department asks of it.

    What is asked is written down, with the time, before the first image is scored: into the result, and into the
    evidence about the bundle, so that another try with other minima shows. The verdict is ``go`` where the lower limits
    of sensitivity, specificity and AUROC all reach their minima, ``no-go`` where one does not, and ``insufficient``
    with fewer than 100 patients with, or without, disease. A refused image counts against the model.

    Args:
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package.
        data: The manifest or its file, of patients that the model did not learn from. The bundle's primary class is the
            disease; all its other classes are without.
        out: Folder for ``plan.json``, ``acceptance.json`` and ``acceptance.html``; None writes nothing there.
        sampling: "consecutive" (every patient who came) or "enriched" (somebody chose how many have the disease; there
            are then no predictive values).
        reference: The reference standard, in words: how the disease was established.
        window_days: Most days between radiograph and reference.
        min_sensitivity: What the lower limit of the sensitivity at the refitted threshold must reach; 0 asks nothing.
        min_specificity: The same for the specificity.
        min_auroc: The same for the AUROC, 0.5 or more.
        target_sensitivity: What the threshold is refitted to; above ``min_sensitivity``.
        part: "all", "validation" or "calibration"; the parts train and test are refused.
        ignore_other: Leave out, and count, images whose label is none of the model's classes; else they are an error.
        finding: Of a multi-label model: the label to ask about, on the cases of which it is stated.
        roots: Source -> folder, where a source has moved since the manifest was written.
        seed: Deals patients to folds, and of the bootstrap.
        workers: Images at a time; None: the cores that this process may use.
        command: How the acceptance was asked for, for the record.
        callbacks: Receive the progress.

    Returns:
        The verdict, its reason, and every figure.

    Raises:
        UsageError: A declaration, a minimum or a part is impossible, or a multi-label model has no ``finding``.
        BundleError: The bundle is incomplete or altered.
        ManifestError: A class has fewer than 10 patients, an image is not the one that was imported, or none could be
            read.
        LabelError: A label is none of the model's classes.

    Example:
        >>> how = {"sampling": "consecutive", "reference": "RT-PCR", "window_days": 3}
        >>> ps.accept("runs/flagship", "site.parquet", **how).verdict
    """
    check_least(1, workers=workers)
    check_least(0, seed=seed)
    folder = None if out is None else Path(out)
    check_declarations(sampling, reference, window_days, folder)
    minima = evidence.AcceptanceMinima(sensitivity=min_sensitivity, specificity=min_specificity, auroc=min_auroc)
    check_minima(minima, target_sensitivity)
    started = time.perf_counter()
    loaded = choose_finding(model_of(model), finding)
    manifest = cases_of(data if isinstance(data, Manifest) else Manifest.read(data, roots), loaded)
    check_parts(manifest, part)
    rows, ignored = select_rows(manifest, part, loaded.card, ignore_other=ignore_other, allow_train=False)
    positive = rows.table["label"].isin(loaded.card.labels[0].members).to_numpy(dtype=np.bool_)
    check_patients(rows, loaded.card, positive)
    facts = evidence.read(loaded.folder, loaded.identity)
    plan = evidence.PlanFact(
        bundle=loaded.identity,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        number=token_hex(8),
        minima=minima,
        target_sensitivity=target_sensitivity,
        least_patients=LEAST_PATIENTS,
        folds=FOLDS,
        seed=seed,
        sampling=sampling,
        reference=reference.strip(),
        window_days=window_days,
        data=rows.rows_hash(),
        part=part,
        images=len(rows),
        hashes=tuple(sorted(str(digest)[:_HASH] for digest in rows.table["sha256"])),
        command=command,
    )
    group = group_index(rows.table["group"].to_numpy(dtype=str))
    patients = len(np.unique(group[positive])), len(np.unique(group[~positive]))
    before = advise(plan, expect_from_card(loaded.card, plan), *patients)
    for size in before:
        if size.needed is None or size.have < size.needed:
            callbacks.message(f"By what is known before, {size.aim} needs {describe_size(size)}.")
    synthetic = bool(rows.table["source"].str.startswith(SYNTHETIC).any())
    _keep_plan(loaded, plan, folder, callbacks, synthetic=synthetic)
    with callbacks.counting("scoring cases", len(rows)) as advance:
        predictions = predict_rows(loaded, rows, workers, lambda done, total: advance(1))
    cases = measurement.gather_cases(predictions, loaded.card.primary, positive, group)
    result = _measure(loaded, rows, cases, plan, find_earlier(plan, facts), before, ignored, started)
    if folder is not None:
        write_text(folder / JSON, result.to_json())
        write_text(folder / PAGE, render_acceptance_page(result))
    if why_not := why_not_kept(result, synthetic=synthetic):
        callbacks.message(f"The verdict is not kept as evidence about this model: {why_not}")
    else:
        path = evidence.append(loaded.folder, _fact_of(result, cases, finding_of(loaded)))
        callbacks.message(f"The verdict is evidence about this model: {path}")
        rewrite_reports(loaded.folder)
    return result


def _keep_plan(
    model: Model, plan: evidence.PlanFact, folder: Path | None, callbacks: Callbacks, *, synthetic: bool
) -> None:
    """Write the plan down before the first image is scored."""
    if folder is not None:
        write_text(folder / PLAN, plan.model_dump_json(indent=2) + "\n")
    if synthetic:
        callbacks.message("No plan is kept as evidence about this model: the images are drawn.")
    else:
        path = evidence.append(model.folder, plan)
        callbacks.message(f"What is asked is written down before any image is scored: {path}")


def find_earlier(plan: evidence.PlanFact, facts: Sequence[tuple[Path, evidence.Fact]]) -> tuple[EarlierPlan, ...]:
    """Return the earlier acceptances of a bundle that looked at some of the same images, oldest first.

    Args:
        plan: The plan of this acceptance.
        facts: All evidence about the bundle before it.
    """
    verdicts = {fact.plan: fact.verdict for fact in evidence.acceptances(facts)}
    return tuple(
        EarlierPlan(
            stated=each.time,
            minima=each.minima,
            shared_images=shared,
            same_minima=each.minima == plan.minima,
            verdict=verdicts.get(each.number, ""),
        )
        for each in evidence.plans(facts)
        if (shared := len(set(each.hashes) & set(plan.hashes)))
    )


def _measure(
    model: Model,
    rows: Manifest,
    cases: SiteCases,
    plan: evidence.PlanFact,
    earlier: tuple[EarlierPlan, ...],
    before: tuple[SampleSize, ...],
    ignored: dict[str, int],
    started: float,
) -> Acceptance:
    card, answered = model.card, cases.answered
    fit = measurement.refit_threshold(cases, plan)
    called = cases.called[answered] if fit is None else fit.called
    refitted_figures = measurement.measure_decisions(cases, called)
    auroc = measurement.measure_auroc(cases)
    criteria = measurement.list_criteria(plan.minima, refitted_figures, auroc)
    patients_with, patients_without = cases.patients(cases.positive), cases.patients(~cases.positive)
    verdict, reason = measurement.conclude(plan, criteria, patients_with, patients_without)
    calibration = measurement.measure_calibration(cases, plan)
    refused, refused_with, refused_without, refused_for = measurement.measure_refusals(cases)
    values = measurement.measure_predictive_values(cases, called) if plan.sampling == "consecutive" else (None, None)
    score = cases.score[answered]
    area, point = auroc[1].value, refitted_figures.specificity.value
    measured = Expectation(
        "measured here", 0.5 if area is None else area, refitted_figures.sensitivity.value or 0.0, point, score
    )
    probability = np.stack([score, 1 - score], axis=1)
    truth = np.where(cases.positive[answered], 0, 1).astype(np.intp)
    return Acceptance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        model=f"{card.name} {card.version}",
        plan=plan,
        earlier=earlier,
        verdict=verdict,
        reason=reason,
        criteria=criteria,
        classes=card.label_names,
        images=len(rows),
        class_images={str(name): int(count) for name, count in rows.table["label"].value_counts().items()},
        images_with=int(cases.positive.sum()),
        images_without=int((~cases.positive).sum()),
        patients_with=patients_with,
        patients_without=patients_without,
        group_kind=rows.group_kind,
        group_sentence=group_sentence(rows.group_kind),
        ignored=ignored,
        threshold=None if fit is None else fit.final,
        fold_thresholds=() if fit is None else fit.thresholds,
        card_threshold=card.operating_point.threshold,
        refitted_figures=refitted_figures,
        card_figures=measurement.measure_decisions(cases, cases.called[answered]),
        refused=refused,
        refused_with=refused_with,
        refused_without=refused_without,
        refused_for=refused_for,
        reasons=cases.reasons,
        ppv=values[0],
        npv=values[1],
        calibration_slope=calibration.slope,
        calibration_intercept=calibration.intercept,
        observed_to_expected=calibration.observed_to_expected,
        plots=compute_curve_points(probability, truth, cases.group[answered], (card.primary, "others")),
        advice_before=before,
        advice_after=advise(plan, measured, patients_with, patients_without),
        notes=_notes(model, rows, cases, plan, earlier, ignored, fitted=fit is not None),
        seconds=round(time.perf_counter() - started, 1),
    )


def _notes(
    model: Model,
    rows: Manifest,
    cases: SiteCases,
    plan: evidence.PlanFact,
    earlier: Sequence[EarlierPlan],
    ignored: Mapping[str, int],
    *,
    fitted: bool,
) -> tuple[str, ...]:
    """Return what a reader must know beside the verdict."""
    notes = []
    sources = rows.table["source"]
    if model.card.synthetic or sources.str.startswith(SYNTHETIC).any():
        notes.append("Drawn images, no patients: this page shows how an acceptance works, and nothing about patients.")
    if others := [each for each in earlier if not each.same_minima]:
        times = "once" if len(others) == 1 else f"{len(others)} times"
        notes.append(
            f"Other minima were stated for some of these images before, {times}; the page and the JSON list them."
        )
    if common := sorted({item.source for item in model.card.licences} & set(sources)):
        notes.append(
            f"The model learnt from a source of the same name: {', '.join(common)}. If it learnt from any of these "
            "patients, every figure here is too good."
        )
    if ignored:
        left_out = ", ".join(f"{label} {count}" for label, count in ignored.items())
        notes.append(f"Left out, since the model does not know their labels: {left_out}.")
    if plan.sampling == "consecutive" and rows.design == "case-control":
        notes.append("The manifest says case-control, and this acceptance says consecutive: one of them is wrong.")
    if not fitted:
        notes.append("Too few images were answered to refit a threshold: decisions are those of the card's threshold.")
    return tuple(notes)


def why_not_kept(result: Acceptance, *, synthetic: bool) -> str:
    """Return why an acceptance is no evidence about its model, so that it must not hide an earlier one; else empty.

    Args:
        result: The acceptance.
        synthetic: Whether an image is drawn.
    """
    if synthetic:
        return "it used drawn images, which say nothing about patients."
    if result.verdict == "insufficient":
        return "it could not decide, which says nothing about the model. Its plan is kept."
    return ""


def _fact_of(result: Acceptance, cases: SiteCases, finding: str) -> evidence.AcceptanceFact:
    plan = result.plan
    return evidence.AcceptanceFact(
        bundle=plan.bundle,
        time=result.created,
        plan=plan.number,
        verdict="go" if result.verdict == "go" else "no-go",
        passed=result.verdict == "go",
        reason=result.reason,
        finding=finding,
        sampling=plan.sampling,
        reference=plan.reference,
        window_days=plan.window_days,
        minima=plan.minima,
        figures={one.name: one.figure for one in result.criteria},
        threshold=result.threshold,
        refused=result.refused,
        earlier_plans=len(result.earlier),
        data=plan.data,
        images=result.images,
        patients_with=result.patients_with,
        patients_without=result.patients_without,
        baseline=measurement.describe_baseline(cases, plan.seed),
        command=plan.command,
    )


def describe_advice(result: Acceptance) -> list[str]:
    """Return the sample sizes by what was measured, as lines.

    Args:
        result: The acceptance.
    """
    return [f"{size.aim}: {describe_size(size)}" for size in result.advice_after]
