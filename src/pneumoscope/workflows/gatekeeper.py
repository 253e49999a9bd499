"""Train and measure the gatekeeper."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pneumoscope import __version__
from pneumoscope.bundle.card import SourceLicence
from pneumoscope.bundle.gatekeeper import (
    ANSWERS,
    OUTPUTS,
    Gatekeeper,
    GatekeeperCard,
    GatekeeperRate,
    Thresholds,
    load_gatekeeper,
)
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.screening import builtin_companions
from pneumoscope.bundle.session import open_session
from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import atomic_path, sha256_of, write_text
from pneumoscope.export.onnx import export_onnx, halve_weights, require_parity
from pneumoscope.imaging.read import read
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index
from pneumoscope.training.gatekeeper import measure
from pneumoscope.training.gatekeeper.data import Examples, read_examples, read_table
from pneumoscope.training.gatekeeper.fit import CHANGES, PER_SOURCE_CHANGED, Features, draw_by_source, fit_answers
from pneumoscope.training.gatekeeper.network import SIDE, FeatureGraph, GatekeeperGraph

TOLERANCE = 0.02
"""Largest difference in probability between the graph of float16 weights and torch with float32 ones."""
_BATCH = 8


@check_arguments
def train_gatekeeper(
    data: str | Path, out: str | Path, weights: str | Path, *, seed: int = 0, callbacks: Callbacks = SILENT
) -> Gatekeeper:
    """Train a gatekeeper, measure it where it did not learn, and write it with its card.

    Features are computed once and kept in ``out``, so that a call that was stopped, or is done again, is quick.

    Args:
        data: A table of examples (CSV) with ``file``, ``kind`` (frontal, lateral or other), ``source`` and ``group``,
            and, where they are known, ``detail``, ``age_group`` (adult or child) and ``licence``.
        out: Folder for ``model.onnx``, ``card.json`` and the features.
        weights: safetensors file of timm's ``mobilenetv2_100``, learnt from ImageNet.
        seed: Decides which frontal chests are drawn and how the origins are divided.
        callbacks: Receive messages and progress.

    Returns:
        The gatekeeper, loaded from ``out``.

    Raises:
        ManifestError: The table is no table of examples.
        ImageError: A picture cannot be read.
        WeightsError: The weights do not fit.
        ParityError: ONNX Runtime and torch differ; no graph is written.

    Example:
        >>> ps.train_gatekeeper("examples.csv", "runs/gatekeeper", "mobilenetv2_100.safetensors")
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    network = FeatureGraph(Path(weights)).eval()
    export_onnx(network, folder / "features.onnx", ("features",))
    halve_weights(folder / "features.onnx")
    examples = read_examples(Path(data), cache=folder / "pictures.npz", callbacks=callbacks)
    features = _compute_features(examples, folder, seed, callbacks)
    limits, cut = measure.limits_of_lungs(examples)
    held_out = measure.ask_held_out(examples, features, callbacks, seed)
    rates = measure.list_rates(examples, features, held_out, measure.find_implausible(examples, limits))
    answers = fit_answers(examples, features, np.ones(len(examples), np.bool_), seed)
    graph = GatekeeperGraph(network, *answers.tensors()).eval()
    export_onnx(graph, folder / "model.onnx", OUTPUTS)
    halve_weights(folder / "model.onnx")
    some = [square.astype(np.float32) / 255 for square in examples.squares[:4]]
    require_parity(graph, folder / "model.onnx", some, TOLERANCE)
    thresholds = Thresholds(
        frontal=measure.FRONTAL,
        mirrored=measure.MIRRORED,
        colour=measure.COLOUR,
        lungs=limits,
        cut=cut,
    )
    card = _draft_card(folder, examples, thresholds, rates)
    write_text(folder / "card.json", card.model_dump_json(indent=2) + "\n")
    return load_gatekeeper(folder)


@check_arguments
def measure_gatekeeper(
    data: str | Path, *, depth: int | None = None, callbacks: Callbacks = SILENT
) -> tuple[GatekeeperRate, ...]:
    """Measure how often the gatekeeper and the lungs graph of the package refuse pictures of a table.

    Args:
        data: A table of examples (CSV), as for `train_gatekeeper`; one kind of picture suffices.
        depth: Bits in use in 16-bit PNG and TIFF files, see `pneumoscope.read`.
        callbacks: Receive progress.

    Returns:
        A rate for each source and kind.

    Raises:
        ManifestError: The table is no table of examples.
        ImageError: A picture cannot be read.

    Example:
        >>> for record in ps.measure_gatekeeper("site.csv"):
        ...     print(record.measured_on, record.rate)
    """
    table, companions = Path(data), builtin_companions()
    rows = read_table(table, ())
    refused = np.zeros(len(rows), np.bool_)
    with callbacks.counting("pictures", len(rows)) as advance:
        for row, file in enumerate(rows.file):
            radiograph = read(table.parent / file, depth=depth)
            refused[row] = bool(companions.screen(radiograph.pixels, radiograph.metadata).refusals)
            advance(1)
    known = companions.gatekeeper.card.images
    rates = []
    names = (rows.source + ": " + rows.kind).to_numpy(str)
    for name in sorted(set(names)):
        places = np.flatnonzero(names == name)
        groups = group_index(rows.group.to_numpy(str)[places])
        note = "; it learnt from images of this set" if name in known else ""
        rates.append(
            GatekeeperRate(
                question="refused",
                trained_on="all that the card names",
                measured_on=f"{name}{note}",
                images=len(places),
                groups=int(groups.max()) + 1,
                rate=estimate_proportion(refused[places], groups, what="set of images"),
            )
        )
    return tuple(rates)


def _compute_features(examples: Examples, folder: Path, seed: int, callbacks: Callbacks) -> Features:
    """Return the features that the graph itself computes, so that training and use see the same numbers."""
    cache, graph = folder / "features.npz", sha256_of(folder / "features.onnx")
    rows = draw_by_source(examples, PER_SOURCE_CHANGED, seed)
    files = np.array([*examples.files, *map(str, rows)])
    if cache.is_file():
        with np.load(cache) as stored:
            if str(stored["graph"]) == graph and np.array_equal(stored["files"], files):
                return Features(stored["upright"], {name: stored[name] for name in CHANGES}, rows)
    session = open_session(folder / "features.onnx")
    with callbacks.counting("features", len(examples) + len(CHANGES) * len(rows)) as advance:

        def run(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
            parts = []
            for start in range(0, len(squares), _BATCH):
                batch = np.ascontiguousarray(squares[start : start + _BATCH, None], np.float32) / 255
                parts.append(session.run(None, {"image": batch})[0])
                advance(len(batch))
            return np.concatenate(parts)

        upright = run(examples.squares)
        changed = {name: run(change(examples.squares[rows])) for name, change in CHANGES.items()}
    arrays: dict[str, Any] = {"graph": graph, "files": files, "upright": upright, **changed}
    with atomic_path(cache) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return Features(upright, changed, rows)


def _draft_card(
    folder: Path, examples: Examples, thresholds: Thresholds, rates: tuple[GatekeeperRate, ...]
) -> GatekeeperCard:
    names = [f"{source}: {kind}" for source, kind in zip(examples.sources, examples.kinds, strict=True)]
    licences = sorted(set(zip(examples.sources.tolist(), examples.licences.tolist(), strict=True)))
    return GatekeeperCard(
        name="gatekeeper",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        software={"pneumoscope": __version__, "torch": torch.__version__, "python": platform.python_version()},
        answers=ANSWERS,
        side=SIDE,
        thresholds=thresholds,
        lungs=builtin_lungs().identity,
        images={name: names.count(name) for name in sorted(set(names))},
        measured=rates,
        licences=tuple(
            SourceLicence(
                source=source,
                licence=licence or "not stated",
                images=int(((examples.sources == source) & (examples.licences == licence)).sum()),
            )
            for source, licence in licences
        ),
        limits=(
            "A chest that is cropped, drawn on or shown on a film is found less often than a hand or a photograph.",
            "Turned and inverted chests are found at quarter turns; smaller turns are left to the lungs' outline.",
            "A mirrored chest is only warned of: an organ that lies on the other side looks the same.",
            "A child is not recognised from pixels: of another hospital's adults up to 40% looked like children, and "
            "hardly any of its children did. A DICOM file's PatientAge decides, or PatientBirthDate and StudyDate; "
            "without them no child is refused.",
        ),
        model_sha256=sha256_of(folder / "model.onnx"),
    )
