"""Train and measure the graph that outlines lungs and heart."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pneumoscope import __version__
from pneumoscope.bundle.card import SourceLicence
from pneumoscope.bundle.lungs import OUTPUT, LungCard, LungFigures, LungModel, load_lungs, lungs_of
from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.files import sha256_of, write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.structures import STRUCTURES
from pneumoscope.export.onnx import export_onnx, halve_weights, require_parity
from pneumoscope.training.lungs.data import read_outlined
from pneumoscope.training.lungs.fit import Outlined, fit_lungs
from pneumoscope.training.lungs.measure import Outliner, measure_outlines
from pneumoscope.training.lungs.network import SIDE, LungUNet, OutlineGraph
from pneumoscope.workflows.data_checks import check_outlines
from pneumoscope.workflows.datasets import ManifestInput, Roots, manifest_of
from pneumoscope.workflows.inputs import reasons_of

EPOCHS = 30
TOLERANCE = 0.02
"""Largest difference in probability between the graph of float16 weights and torch; a mask is cut at .5."""
_HELD_OUT = "patients of the part test, which it did not learn from"


@check_arguments
def train_lungs(
    data: ManifestInput,
    out: str | Path,
    *,
    roots: Roots | None = None,
    epochs: int = EPOCHS,
    across: bool = False,
    seed: int = 0,
    allow: Mapping[str, str] | None = None,
    callbacks: Callbacks = SILENT,
) -> LungModel:
    """Train a graph that outlines lungs and heart, measure it, and write it with its card.

    It learns from the images of every part but ``test`` and is then measured on those of ``test``. It outlines the
    structures that at least one learnt image has a mask of. The data checks of files and of leaks come first. No ledger
    records the measurement. A call that was stopped goes on after its last whole epoch.

    Args:
        data: A manifest in parts, or its file, with ``lung_mask`` and ``lung_definition``, or ``heart_mask``.
        out: Folder for ``model.onnx``, ``card.json`` and the checkpoints.
        roots: Source -> folder where its images lie now.
        epochs: Passes over the images.
        across: Train a further graph on each set alone and measure it on the other sets with the same structures.
        seed: Decides starting weights, order and augmentation.
        allow: Name of a data check -> why its finding is accepted.
        callbacks: Receive messages and progress.

    Returns:
        The graph, loaded from ``out``.

    Raises:
        UsageError: ``epochs`` is no positive number.
        ManifestError: No image has a mask whose definition is stated, or a part is empty.
        CheckRefusedError: A data check blocks and is not allowed; nothing was trained.
        RunError: ``out`` holds a training of other images, epochs or seed.
        ParityError: ONNX Runtime and torch differ; no graph is written.

    Example:
        >>> ps.train_lungs("lungs.parquet", "runs/lungs", across=True)
    """
    if epochs < 1:
        raise UsageError(f"epochs={epochs}", "must be at least 1.", f"Leave it out for {EPOCHS}.")
    folder, manifest = Path(out), manifest_of(data, roots)
    allowed = reasons_of(allow)
    held_out = manifest.part("test")
    learnt = manifest.where(np.asarray(manifest.table["split"].notna() & (manifest.table["split"] != "test")))
    checks = check_outlines(_in_two_parts(manifest), allowed=allowed, callbacks=callbacks)
    (folder / "alone" if across else folder).mkdir(parents=True, exist_ok=True)
    train = read_outlined(learnt, callbacks=callbacks)
    train = train.limited_to(train.drawn_structures)
    network = fit_lungs(train, folder / "lungs.ckpt", epochs=epochs, seed=seed, callbacks=callbacks)
    test = read_outlined(held_out, callbacks=callbacks).limited_to(train.structures)
    measured: list[LungFigures] = []
    if across:
        measured += _measure_across(train, test, folder, epochs, seed, callbacks)
    graph = OutlineGraph(network).eval()
    export_onnx(graph, folder / "model.onnx", (OUTPUT,))
    halve_weights(folder / "model.onnx")
    some = [image.astype(np.float32) / 255 for image in test.images[:4]]
    require_parity(graph, folder / "model.onnx", some, TOLERANCE)
    all_sets = ", ".join(sorted(set(train.sources)))
    measured += measure_outlines(_outliner(network), test, all_sets, _HELD_OUT)
    card = _draft_card(folder, train, learnt, measured, checks)
    write_text(folder / "card.json", card.model_dump_json(indent=2) + "\n")
    return load_lungs(folder)


@check_arguments
def measure_lungs(
    data: ManifestInput,
    model: LungModel | str | Path | None = None,
    *,
    roots: Roots | None = None,
    callbacks: Callbacks = SILENT,
) -> tuple[LungFigures, ...]:
    """Measure how far a graph's outlines agree with the masks of a manifest.

    Args:
        data: A manifest, or its file, with ``lung_mask`` and ``lung_definition``, or ``heart_mask``.
        model: The graph or its folder; the one of the package by default.
        roots: Source -> folder where its images lie now.
        callbacks: Receive messages and progress.

    Returns:
        One record for each set and structure.

    Raises:
        ManifestError: No image has a mask whose definition is stated, or of a structure that the graph outlines.

    Example:
        >>> for record in ps.measure_lungs("site.parquet"):
        ...     print(record.structure, record.figures["dice"])
    """
    chosen = lungs_of(model)
    outlined = read_outlined(manifest_of(data, roots), callbacks=callbacks)
    names = [name for name in chosen.card.structures if name in outlined.drawn_structures]
    if not names:
        drawn, outlined_by_it = ", ".join(outlined.drawn_structures), ", ".join(chosen.card.structures)
        raise ManifestError(
            "manifest",
            f"has masks of {drawn}; the graph outlines {outlined_by_it}.",
            "Measure a graph that outlines one of them.",
        )
    outlined = outlined.limited_to(names)
    what, known = "all images of the manifest", sorted(set(outlined.sources) & set(chosen.card.images))
    if known:
        what += "; the graph learnt from images of this set" if known == sorted(set(outlined.sources)) else ""
        callbacks.message(
            f"Warning: the graph learnt from images of {', '.join(known)}; figures of the same images are too good."
        )
    rows = [list(chosen.card.structures).index(name) for name in names]
    trained_on = ", ".join(chosen.card.images)
    return measure_outlines(lambda pixels: chosen.outline(pixels).probabilities[rows], outlined, trained_on, what)


def _measure_across(
    train: Outlined, test: Outlined, folder: Path, epochs: int, seed: int, callbacks: Callbacks
) -> list[LungFigures]:
    """Train on each set alone and measure every image of the other sets that shares a structure with it."""
    both = train.joined(test)
    results: list[LungFigures] = []
    for source in sorted(set(both.sources)):
        chosen = both.sources == source
        own = both.where(chosen)
        own = own.limited_to(own.drawn_structures)
        others = both.where(~chosen).limited_to(own.structures)
        if not others.drawn.any():
            continue
        # As many steps as a training on all sets has: a small set is passed more often.
        passes = max(1, round(epochs * len(train) / len(own)))
        callbacks.message(f"{source} alone: {passes} epochs")
        network = fit_lungs(own, folder / "alone" / f"{source}.ckpt", epochs=passes, seed=seed, callbacks=callbacks)
        results += measure_outlines(_outliner(network), others, f"{source} alone", "all images; another hospital")
    return results


def _outliner(network: LungUNet) -> Outliner:
    def outline(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            masks: NDArray[np.float32] = network(torch.from_numpy(pixels)[None, None])[0].sigmoid().numpy()
        return masks

    return outline


def _limits(train: Outlined, checks: CheckReport) -> tuple[str, ...]:
    """Return what the card says of a graph's limits, from the images that it learnt from and their data checks."""
    lines = [
        f"Learnt from {len(train)} images of {', '.join(sorted(set(train.sources)))}: on other views, ages and body "
        "parts it may outline anything.",
        "Lung that is hidden by heart, mediastinum, diaphragm or a large effusion is not part of the outline.",
    ]
    for index, name in enumerate(train.structures):
        sources = sorted(set(train.sources[train.drawn[:, index]]))
        lines.append(f"{name}: drawn in {int(train.drawn[:, index].sum())} images of {', '.join(sources)}.")
    lines += [
        f"Data check {finding.name}: {finding.sentence}"
        + (f" Allowed, because: {finding.because}" if finding.because else "")
        for finding in checks.findings
    ]
    return tuple(lines)


def _in_two_parts(manifest: Manifest) -> Manifest:
    """Return the rows with a part and a mask: ``test`` as it is, every other part as ``train``."""
    table = manifest.table
    parts, masked = table["split"], table["lung_mask"].notna() | table["heart_mask"].notna()
    two_parts = replace(manifest, table=table.assign(split=parts.where(parts.isna() | (parts == "test"), "train")))
    return two_parts.where(np.asarray(parts.notna() & masked))


def _draft_card(
    folder: Path, train: Outlined, learnt: Manifest, measured: Sequence[LungFigures], checks: CheckReport
) -> LungCard:
    table = learnt.table[learnt.table.lung_mask.notna() | learnt.table.heart_mask.notna()]
    licences = {
        str(source): str(rows.license.dropna().iloc[0]) if rows.license.notna().any() else "not stated"
        for source, rows in table.groupby("source")
    }
    images = {source: int((train.sources == source).sum()) for source in sorted(set(train.sources))}
    return LungCard(
        name="lungs",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        software={"pneumoscope": __version__, "torch": torch.__version__, "python": platform.python_version()},
        structures={name: STRUCTURES[name] for name in train.structures},
        side=SIDE,
        images=images,
        measured=tuple(measured),
        licences=tuple(
            SourceLicence(source=source, licence=licences[source], images=count) for source, count in images.items()
        ),
        limits=_limits(train, checks),
        model_sha256=sha256_of(folder / "model.onnx"),
    )
