"""Release: from a finished run to a calibrated bundle that the clinic can load.

Order matters. The calibration part's first half sets temperature, operating points, bands and the refusal threshold;
the second half, untouched by them, sets the thresholds of the prediction sets; validation, which chose the epoch, gives
the card's figures and is named as what it is. The test part is not opened here.
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope import __version__
from pneumoscope.bundle.card import Card, LabelDefinition, PartMetrics, Refusal, SourceLicence, identity
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import sha256_of, write_json, write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.export.gate_summary import CONFOUNDED, summary_of
from pneumoscope.export.graph import BundleGraph, fit_feature_space, forward_part
from pneumoscope.export.limits import NOT_LOOKED_FOR, limits
from pneumoscope.export.onnx import IMAGES, check_parity, export_onnx, mixed_sizes
from pneumoscope.imaging.read import read
from pneumoscope.recipes.recipe import Pretrained
from pneumoscope.reporting.model_card import card_markdown
from pneumoscope.stats import conformal
from pneumoscope.stats.calibration import first_half, fit_scaling, score_bands
from pneumoscope.stats.estimates import OperatingPoint, PredictionSets
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.stats.metrics import group_index
from pneumoscope.stats.plain_language import above_threshold, few_groups
from pneumoscope.stats.prevalence import likelihood_bands
from pneumoscope.stats.thresholds import operating_points
from pneumoscope.training.loop.fit import Run
from pneumoscope.training.machine import choose_device
from pneumoscope.training.networks.build import count_parameters
from pneumoscope.training.networks.weights import save_tensors

OOD_QUANTILE = 0.98
INTENDED_USE = (
    "Research and teaching: to study what such a classifier adds to a reader and where it fails. Input: one frontal "
    "chest radiograph. Not for any decision about a patient."
)


def _validation_metrics(
    run: Run, probabilities: NDArray[np.float64], points: tuple[OperatingPoint, ...], source: str | None = None
) -> PartMetrics:
    """Return the figures of the validation part, or of one source's images in it (then without bootstraps)."""
    manifest = run.plan.manifest.part("validation")
    targets = run.plan.targets("validation")
    if source is not None:
        mask = (manifest.table["source"] == source).to_numpy()
        manifest, targets, probabilities = manifest.where(mask), targets[mask], probabilities[mask]
    groups = manifest.table["group"].to_numpy()
    figures = evaluate_predictions(
        probabilities,
        targets,
        groups,
        run.plan.recipe.task.classes,
        thresholds={point.name: point.threshold for point in points},
        rng=np.random.default_rng(run.plan.recipe.training.seed),
        resamples=2000 if source is None else 0,
    )
    return PartMetrics.of(figures, "validation", manifest.rows_hash(), manifest.group_kind)


def _in_words(run: Run, points: tuple[OperatingPoint, ...], figures: PartMetrics) -> tuple[OperatingPoint, ...]:
    """Return the operating points with what they mean, as measured on validation at their frozen thresholds."""
    targets, rows = run.plan.targets("validation"), run.plan.manifest.part("validation").table
    counts = int((targets == 0).sum()), int((targets != 0).sum())
    return tuple(
        point.model_copy(
            update={
                "meaning": above_threshold(
                    "the development data (validation part)",
                    sorted({str(source) for source in rows["source"]}),
                    run.plan.recipe.task.classes[0],
                    counts,
                    figures.metrics[f"{point.name}/sensitivity"],
                    figures.metrics[f"{point.name}/specificity"],
                )
            }
        )
        for point in points
    )


def _prediction_sets(
    run: Run, untouched: NDArray[np.float64], half: NDArray[np.bool_], validation: NDArray[np.float64]
) -> PredictionSets:
    """Return prediction sets from the second half of the calibration part, with what they reach on validation.

    Args:
        run: A finished training.
        untouched: [n, C] probabilities of the second half.
        half: [N] whether each calibration image is in the first half.
        validation: [M, C] probabilities.
    """
    classes, manifest = run.plan.recipe.task.classes, run.plan.manifest
    rng = np.random.default_rng([run.plan.recipe.training.seed, 1])
    groups = manifest.part("calibration").table["group"].to_numpy()
    sets = conformal.fit(untouched, run.plan.targets("calibration")[~half], groups[~half], classes, rng)
    targets, seen = run.plan.targets("validation"), group_index(manifest.part("validation").table["group"].to_numpy())
    found = conformal.measure(validation, targets, seen, classes, sets.thresholds, sets.alpha)
    return sets.model_copy(
        update={
            "measured_on": f"validation, {len(targets)} images",
            "coverage": found.coverage,
            "mean_size": found.mean_size,
        }
    )


def _few(run: Run) -> tuple[str, ...]:
    """Return warnings of classes with few groups in the parts that set and measure."""
    sentences: list[str] = []
    for part in ("calibration", "validation"):
        groups, targets = run.plan.manifest.part(part).table["group"].to_numpy(), run.plan.targets(part)
        counts = {name: len(set(groups[targets == k])) for k, name in enumerate(run.plan.recipe.task.classes)}
        sentences += few_groups(counts, f"the {part} part")
    return tuple(sentences)


def _labels(run: Run) -> tuple[LabelDefinition, ...]:
    task, table = run.plan.recipe.task, run.plan.manifest.table
    definitions = []
    for name in task.classes:
        rows = table[table["label"].map(task.class_of) == name]
        provenance = rows.groupby("source")["label_provenance"].agg(
            lambda texts: sorted({str(t) for t in texts.dropna()})
        )
        definitions.append(
            LabelDefinition(
                name=name,
                members=tuple(label for label in task.members(name) if (rows["label"] == label).any()),
                reference_standard="; ".join(
                    f"{source}: {', '.join(texts) or 'unknown'}" for source, texts in provenance.items()
                ),
                images={str(part): int(count) for part, count in rows["split"].value_counts().items()},
            )
        )
    return tuple(definitions)


def _licences(run: Run) -> tuple[SourceLicence, ...]:
    table = run.plan.manifest.part("train").table
    by_source = []
    for source, rows in table.groupby("source"):
        texts = sorted({str(text) for text in rows["license"].dropna()})
        shown = ", ".join(texts[:6]) + (f" and {len(texts) - 6} more" if len(texts) > 6 else "")
        by_source.append(SourceLicence(source=str(source), licence=shown or "unknown", images=len(rows)))
    pretrained = run.plan.recipe.network.pretrained
    if isinstance(pretrained, Pretrained):
        by_source.append(SourceLicence(source=f"starting weights {pretrained.file}", licence=pretrained.licence))
    elif pretrained is not None:
        by_source.append(
            SourceLicence(source=f"starting weights timm/{run.plan.recipe.network.name}", licence="see timm")
        )
    return tuple(by_source)


def release(
    run: Run,
    folder: Path,
    *,
    callbacks: Callbacks = SILENT,
    name: str | None = None,
    device: str = "auto",
    gate: CheckReport | None = None,
) -> Path:
    """Calibrate, export, check and describe a run's kept weights; write the bundle to ``folder``, whole or not at all.

    Args:
        run: A finished training.
        folder: The bundle's; one that is there is replaced at the end.
        callbacks: Receive the progress.
        name: The bundle's; the recipe's by default.
        device: Where the forward passes run.
        gate: What the data gate said; None where it was not asked.

    Returns:
        ``folder``.

    Raises:
        ParityError: ONNX Runtime and torch differ; nothing is written.
    """
    recipe, manifest = run.plan.recipe, run.plan.manifest
    task = recipe.task
    device = choose_device(device)
    with callbacks.counting("calibrating"):
        _, train_features = forward_part(run.model, run.parts["train"], device)
        space = fit_feature_space(train_features, run.parts["train"].targets, len(task.classes))
        logits, features = forward_part(run.model, run.parts["calibration"], device)
        groups = manifest.part("calibration").table["group"].to_numpy()
        half = first_half(groups)
        truth = run.parts["calibration"].targets
        scaling = fit_scaling(logits[half], truth[half])
        probabilities = scaling.apply(logits[half])
        points = operating_points(probabilities[:, 0], truth[half] == 0, groups[half])
        bands = score_bands(probabilities[:, 0], truth[half] == 0, groups[half])
        ratios = likelihood_bands(probabilities[:, 0], truth[half] == 0, groups[half])
        distance = _distance(features[half], space.centre.numpy(), space.directions.numpy(), space.means.numpy())
        threshold = float(np.quantile(distance, OOD_QUANTILE, method="higher"))
        validation_logits, _ = forward_part(run.model, run.parts["validation"], device)
        validation = scaling.apply(validation_logits)
        figures = _validation_metrics(run, validation, points)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with callbacks.counting("exporting"):
            graph = BundleGraph(run.model, recipe.input.size, scaling, space).eval()
            export_onnx(graph, temporary / "model.onnx")
            paths = manifest.part("validation").paths()[:IMAGES]
            differences = check_parity(
                graph, temporary / "model.onnx", mixed_sizes([read(path).pixels for path in paths])
            )
        sources = sorted({str(source) for source in manifest.part("validation").table["source"]})
        by_source = {source: _validation_metrics(run, validation, points, source) for source in sources}
        card = Card(
            name=name or recipe.name,
            version="1",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            software={"pneumoscope": __version__, "python": sys.version.split()[0]}
            | {package: version(package) for package in ("torch", "timm", "onnxruntime")},
            summary=recipe.summary,
            intended_use=INTENDED_USE,
            limits=(*limits(manifest.part("train").table, task, manifest.group_kind, by_source), *_few(run)),
            not_looked_for=NOT_LOOKED_FOR,
            labels=_labels(run),
            kind=task.kind,
            input_size=recipe.input.size,
            heatmap_size=_heatmap_size(graph, recipe.input.size),
            temperature=scaling.temperature,
            class_bias=scaling.bias,
            class_prior=tuple(float(share) for share in np.bincount(truth, minlength=len(task.classes)) / len(truth)),
            operating_points=_in_words(run, points, figures),
            score_bands=bands,
            likelihood_ratios=ratios,
            prediction_sets=_prediction_sets(run, scaling.apply(logits[~half]), half, validation),
            refusal=Refusal(ood_threshold=threshold, ood_quantile=OOD_QUANTILE),
            recipe_name=recipe.name,
            recipe_changes=recipe.changes,
            recipe_hash=recipe.hash(),
            data_hash=manifest.rows_hash(),
            split_hash=manifest.split_hash(),
            group_kind=manifest.group_kind,
            metrics=(figures,),
            metrics_by_source={source: (metrics,) for source, metrics in by_source.items()},
            licences=_licences(run),
            stamps=("not audited", *((CONFOUNDED,) if gate is not None and gate.confounded else ())),
            gate=None if gate is None else summary_of(gate),
            synthetic=bool(manifest.table["source"].str.startswith("synthetic").all()),
            parameters=count_parameters(run.model, recipe.expects.counting if recipe.expects else "torch"),
            model_sha256=sha256_of(temporary / "model.onnx"),
            model_bytes=(temporary / "model.onnx").stat().st_size,
        )
        text = card.to_json()
        write_text(temporary / "card.json", text)
        write_text(temporary / "recipe.yaml", recipe.to_yaml())
        write_text(temporary / "CARD.md", card_markdown(card, identity(text.encode())))
        save_tensors(run.model, temporary / "weights.safetensors")
        write_json(
            temporary / "evidence" / "parity.json",
            {"bundle": identity(text.encode()), "images": IMAGES, "largest difference": differences},
        )
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _distance(
    features: NDArray[np.float32],
    centre: NDArray[np.float32],
    directions: NDArray[np.float32],
    means: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the out-of-distribution score [N], as the graph computes it."""
    embedding = (features - centre) @ directions
    distance: NDArray[np.float32] = ((embedding[:, None] - means) ** 2).mean(2).min(1)
    return distance


def _heatmap_size(graph: BundleGraph, size: int) -> tuple[int, int]:
    import torch

    with torch.inference_mode():
        heatmap = graph(torch.zeros(1, 1, size, size))[2]
    return int(heatmap.shape[2]), int(heatmap.shape[3])
