"""The card of a bundle: facts of the run, in two steps.

`draft_card` says all that is known before the graph is measured. `with_figures` adds what the graph did on validation,
which chose the epoch; the card says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope import __version__
from pneumoscope.bundle.card import (
    Card,
    CheckNote,
    CheckSummary,
    FindingFacts,
    LabelDefinition,
    PartMetrics,
    Refusal,
    SourceLicence,
)
from pneumoscope.bundle.gatekeeper import builtin_gatekeeper
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.core.files import sha256_of
from pneumoscope.core.labels import display_name
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.finding_cases import manifest_targets, select_cases
from pneumoscope.data.manifest import Manifest
from pneumoscope.export.calibrate import OOD_QUANTILE, Calibration
from pneumoscope.export.draft import ExportedGraph
from pneumoscope.export.limits import count_stated_by_source, limits, limits_of_findings, not_looked_for
from pneumoscope.export.population import count_population
from pneumoscope.inference.evaluation import AnyEvaluation, Evaluation, FindingsEvaluation
from pneumoscope.recipes.pretrained import Pretrained
from pneumoscope.stats.estimates import OperatingPoint
from pneumoscope.stats.figures import Figures, evaluate_predictions
from pneumoscope.stats.plain_language import above_threshold, few_groups
from pneumoscope.training.loop.fit import FittedRun
from pneumoscope.training.networks.build import count_parameters

CONFOUNDED = "confounded"
"""The stamp of a model whose labels can be told from something that is not the disease."""

LEAKING = "known leak between its parts: its figures are partly memory"
"""The stamp of a model whose training was allowed although a patient or a picture is in two parts."""

INTENDED_USE = (
    "Research and teaching: to study what such a classifier adds to a reader and where it fails. Input: one frontal "
    "chest radiograph. Not for any decision about a patient."
)


def draft_card(
    fitted: FittedRun,
    calibration: Calibration,
    exported: ExportedGraph,
    *,
    name: str | None = None,
    checks: CheckReport | None = None,
) -> Card:
    """Return the card of a graph that was not measured yet: it holds no figures and no limits.

    Args:
        fitted: A finished training.
        calibration: What its calibration part set.
        exported: The graph's file.
        name: The bundle's; the recipe's by default.
        checks: Report of the data checks; None where the data were not checked.
    """
    recipe, manifest = fitted.plan.recipe, fitted.plan.manifest
    parameters = count_parameters(fitted.model, recipe.expects.counting if recipe.expects else "torch")
    return Card(
        name=name or recipe.name,
        version="1",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        software={"pneumoscope": __version__, "python": sys.version.split()[0]}
        | {package: version(package) for package in ("torch", "timm", "onnxruntime")},
        summary=_summary(fitted, parameters),
        intended_use=INTENDED_USE,
        limits=(),
        not_looked_for=not_looked_for(recipe.task, manifest.labels),
        labels=_labels(fitted),
        kind=recipe.task.kind,
        findings=_findings(fitted, calibration) if recipe.task.multilabel else (),
        input_size=recipe.input.size,
        heatmap_size=exported.heatmap_size,
        # At 95% sensitivity each of many findings is named on most images, and the answer says little.
        default_operating_point="youden" if recipe.task.multilabel else "sensitivity-95",
        **_scores(calibration, multilabel=recipe.task.multilabel),
        refusal=Refusal(
            ood_threshold=calibration.ood_threshold,
            ood_quantile=OOD_QUANTILE,
            images=calibration.ood_images,
            kept=calibration.ood_kept,
        ),
        recipe_name=recipe.name,
        recipe_changes=recipe.changes,
        recipe_hash=recipe.hash(),
        data_hash=manifest.rows_hash(),
        split_hash=manifest.split_hash(),
        images_by_part={part: len(manifest.part(part)) for part in manifest.parts_present}
        if recipe.task.multilabel
        else {},
        group_kind=manifest.group_kind,
        metrics=(),
        licences=_licences(fitted),
        stamps=choose_stamps(checks),
        gate=None if checks is None else summarise_checks(checks),
        synthetic=bool(manifest.table["source"].str.startswith("synthetic").all()),
        parameters=parameters,
        companions={"gatekeeper": builtin_gatekeeper().identity, "lungs": builtin_lungs().identity},
        borders="cut",
        population=count_population(manifest.part("train").table),
        model_sha256=sha256_of(exported.path),
        model_bytes=exported.path.stat().st_size,
    )


def choose_stamps(checks: CheckReport | None) -> tuple[str, ...]:
    """Return the stamps of a new model, by what the data checks found; the gravest first."""
    if checks is None:
        return ("not audited",)
    leaking = (LEAKING,) if summarise_checks(checks).leaks else ()
    return (*leaking, "not audited", *((CONFOUNDED,) if checks.confounded else ()))


def with_figures(
    card: Card, fitted: FittedRun, rows: Manifest, probabilities: NDArray[np.float64], evaluation: AnyEvaluation
) -> Card:
    """Return the card with the figures of its graph on validation, and with the limits that follow from them.

    Args:
        card: From `draft_card`.
        fitted: The training.
        rows: The N validation rows that were measured.
        probabilities: [N, C] of the graph.
        evaluation: Measured on them.
    """
    plan = fitted.plan
    train, group_kind = plan.manifest.part("train"), plan.manifest.group_kind
    if isinstance(evaluation, Evaluation):
        measured = _measured(card, rows, probabilities, evaluation.figures)
        by_source = {source: parts[0] for source, parts in measured["metrics_by_source"].items()}
        said = limits(train.table, plan.recipe.task, group_kind, by_source, card.gate)
    else:
        measured = {"findings": tuple(_measured_findings(card, rows, probabilities, evaluation))}
        areas = {name: one.figures.by_class[name]["auroc"] for name, one in evaluation.findings.items()}
        counts = count_stated_by_source(train, plan.recipe.task.classes)
        said = limits_of_findings(train.table, group_kind, counts, areas, card.gate)
    return card.model_copy(update={**measured, "limits": (*said, *_warnings_of_few_groups(fitted))})


def _measured_findings(
    card: Card, rows: Manifest, probabilities: NDArray[np.float64], evaluation: FindingsEvaluation
) -> Iterator[FindingFacts]:
    """Yield the facts of each finding with its figures on validation."""
    targets = manifest_targets(rows, card.label_names)
    for place, facts in enumerate(card.findings):
        if facts.name not in evaluation.findings:
            yield facts
            continue
        cases, stated = select_cases(rows, facts.name, targets[:, place])
        p = probabilities[stated, place]
        figures = evaluation.findings[facts.name].figures
        yield facts.model_copy(update=_measured(card.view(facts.name), cases, np.stack([p, 1 - p], 1), figures))


def _measured(card: Card, rows: Manifest, probabilities: NDArray[np.float64], figures: Figures) -> dict[str, Any]:
    """Return the fields of a card, or of one finding, that its figures on validation fill."""
    by_source = _metrics_by_source(card, rows, probabilities)
    sets, coverage = card.prediction_sets, figures.prediction_sets
    if sets is not None and coverage is not None:
        sets = sets.model_copy(
            update={
                "measured_on": f"validation, {len(rows)} images",
                "coverage": coverage.coverage,
                "patient_coverage": coverage.patient_coverage,
                "mean_size": coverage.mean_size,
            }
        )
    return {
        "operating_points": _with_meaning(card, rows, figures),
        "prediction_sets": sets,
        "metrics": (PartMetrics.of(figures, "validation", rows.rows_hash(), rows.group_kind),),
        "metrics_by_source": {source: (metrics,) for source, metrics in by_source.items()},
    }


def summarise_checks(report: CheckReport) -> CheckSummary:
    """Return what the card keeps of a report: the findings in words; the rows stay with the run (``gate.json``)."""
    return CheckSummary(
        checked=report.checked,
        data=report.data_hash,
        findings=tuple(
            CheckNote(name=f.name, severity=f.severity, sentence=f.sentence, because=f.because) for f in report.findings
        ),
    )


def _summary(fitted: FittedRun, parameters: int) -> str:
    """Return what the model is, in one sentence of facts of this run."""
    recipe = fitted.plan.recipe
    *others, last = (display_name(name) for name in recipe.task.classes)
    task = "find, each by itself," if recipe.task.multilabel else "tell apart"
    named = f"{', '.join(others)} and {last}" if others else last
    size = recipe.input.size
    changed = f" with {len(recipe.changes)} changes" if len(recipe.changes) > 1 else " with one change"
    return (
        f"{recipe.network.name} with {parameters:,} parameters, trained to {task} {named} "
        f"at {size} x {size} pixels by the recipe {recipe.name}{changed if recipe.changes else ''}."
    )


def _metrics_by_source(card: Card, rows: Manifest, probabilities: NDArray[np.float64]) -> dict[str, PartMetrics]:
    """Return the figures on each source's images, without bootstraps."""
    classes = list(card.label_names)
    place = {member: k for k, label in enumerate(card.labels) for member in label.members}
    table = rows.table
    truth = table["label"].map(place).to_numpy(dtype=np.intp)
    by_source = {}
    for source in sorted({str(name) for name in table["source"]}):
        mask = (table["source"] == source).to_numpy()
        here = rows.where(mask)
        figures = evaluate_predictions(
            probabilities[mask],
            truth[mask],
            here.table["group"].to_numpy(dtype=str),
            classes,
            thresholds={point.name: point.threshold for point in card.operating_points},
            rng=np.random.default_rng(0),
            resamples=0,
            design=rows.design,
        )
        by_source[source] = PartMetrics.of(figures, "validation", here.rows_hash(), here.group_kind)
    return by_source


def _with_meaning(card: Card, rows: Manifest, figures: Figures) -> tuple[OperatingPoint, ...]:
    """Return the operating points with what they mean, as measured on validation at their frozen thresholds."""
    positives = figures.class_images[card.primary]
    points = {point.name: point for point in figures.operating}
    return tuple(
        point.model_copy(
            update={
                "meaning": above_threshold(
                    "the development data (validation part)",
                    sorted({str(source) for source in rows.table["source"]}),
                    card.primary,
                    (positives, figures.images - positives),
                    points[point.name].sensitivity,
                    points[point.name].specificity,
                )
            }
        )
        for point in card.operating_points
    )


def _warnings_of_few_groups(fitted: FittedRun) -> tuple[str, ...]:
    """Return warnings of classes with few groups in the parts that set and measure."""
    sentences: list[str] = []
    task = fitted.plan.recipe.task
    for part in ("calibration", "validation"):
        groups, targets = fitted.plan.manifest.part(part).table["group"].to_numpy(), fitted.plan.targets(part)
        shown = targets == 1 if task.multilabel else targets[:, None] == np.arange(len(task.classes))
        counts = {name: len(set(groups[mask])) for name, mask in zip(task.classes, shown.T, strict=True)}
        sentences += few_groups(counts, f"the {part} part")
    return tuple(sentences)


def _scores(calibration: Calibration, *, multilabel: bool) -> dict[str, Any]:
    """Return the fields of a card that calibration fills; those of a multi-label model are in its findings."""
    if multilabel:
        return {"temperature": 1.0, "class_bias": (), "class_prior": (), "operating_points": ()}
    (score,) = calibration.scores
    return {"temperature": score.scaling.temperature, "class_bias": score.scaling.bias} | {
        name: getattr(score, name)
        for name in ("class_prior", "operating_points", "score_bands", "likelihood_ratios", "prediction_sets")
    }


def _findings(fitted: FittedRun, calibration: Calibration) -> tuple[FindingFacts, ...]:
    """Return what the calibration part set for each finding."""
    manifest, names = fitted.plan.manifest, fitted.plan.recipe.task.classes
    targets, parts = manifest_targets(manifest, names), manifest.table["split"].to_numpy(dtype=object)
    return tuple(
        FindingFacts(
            name=name,
            temperature=score.scaling.temperature,
            bias=score.scaling.bias[0] - score.scaling.bias[1],
            prior=score.class_prior[0],
            absent={part: int(((targets[:, k] == 0) & (parts == part)).sum()) for part in manifest.parts_present},
            operating_points=score.operating_points,
            score_bands=score.score_bands,
            likelihood_ratios=score.likelihood_ratios,
            prediction_sets=score.prediction_sets,
        )
        for k, (name, score) in enumerate(zip(names, calibration.scores, strict=True))
    )


def _labels(fitted: FittedRun) -> tuple[LabelDefinition, ...]:
    task, table = fitted.plan.recipe.task, fitted.plan.manifest.table
    own = {label.identifier: dict(label.names) for label in fitted.plan.manifest.labels.own}
    definitions = []
    targets = manifest_targets(fitted.plan.manifest, task.classes) if task.multilabel else None
    for place, name in enumerate(task.classes):
        rows = table[table["label"].map(task.class_of) == name if targets is None else targets[:, place] == 1]
        provenance = rows.groupby("source")["label_provenance"].agg(
            lambda texts: sorted({str(t) for t in texts.dropna()})
        )
        definitions.append(
            LabelDefinition(
                name=name,
                members=(name,)
                if task.multilabel
                else tuple(label for label in task.members(name) if (rows["label"] == label).any()),
                reference_standard="; ".join(
                    f"{source}: {', '.join(texts) or 'unknown'}" for source, texts in provenance.items()
                ),
                images={str(part): int(count) for part, count in rows["split"].value_counts().items()},
                names=own.get(name, {}),
            )
        )
    return tuple(definitions)


def _licences(fitted: FittedRun) -> tuple[SourceLicence, ...]:
    table = fitted.plan.manifest.part("train").table
    by_source = []
    for source, rows in table.groupby("source"):
        texts = sorted({str(text) for text in rows["license"].dropna()})
        listed = ", ".join(texts[:6]) + (f" and {len(texts) - 6} more" if len(texts) > 6 else "")
        by_source.append(SourceLicence(source=str(source), licence=listed or "unknown", images=len(rows)))
    pretrained = fitted.plan.recipe.network.pretrained
    if isinstance(pretrained, Pretrained):
        weights = f"starting weights {pretrained.file}" + (f", {pretrained.scaling}" if pretrained.scaling else "")
        by_source.append(SourceLicence(source=weights, licence=pretrained.licence))
    elif pretrained is not None:
        by_source.append(
            SourceLicence(source=f"starting weights timm/{fitted.plan.recipe.network.name}", licence="see timm")
        )
    return tuple(by_source)
