"""A certificate as a list of steps: choose the images, open every engine, run them image by image, compare, write."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumoscope.bundle import evidence
from pneumoscope.bundle.evidence import CertificateFact, EngineFigures
from pneumoscope.bundle.runtime import Model, ModelInput, load, model_of
from pneumoscope.bundle.session import OPENVINO
from pneumoscope.certification.browser import BrowserRun, match_images, read_browser_run
from pneumoscope.certification.differences import Answers, Question, compare_engine, measure_auroc
from pneumoscope.certification.page import render_certificate_page
from pneumoscope.certification.result import Certificate, EngineCost
from pneumoscope.core.arguments import argument, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import ManifestError, UnusableManifestError, UsageError
from pneumoscope.core.files import check_empty_folder, new_folder, write_text
from pneumoscope.data.finding_cases import manifest_targets
from pneumoscope.data.imported_images import read_imported
from pneumoscope.data.manifest import Manifest
from pneumoscope.inference.evaluation import group_sentence
from pneumoscope.workflows.torch_answers import open_torch

LEAST_IMAGES = 40
JSON, PAGE, IMAGES = "certificate.json", "certificate.html", "images.csv"
INT8 = "int8"
"""The engine that runs an 8-bit bundle, which is a bundle of its own."""


@check_arguments
def certify(
    model: ModelInput,
    data: Manifest | str | Path,
    out: str | Path | None = None,
    *,
    int8: str | Path | None = None,
    browser: str | Path | None = None,
    part: str = "validation",
    images: int = 500,
    roots: Mapping[str, str | Path] | None = None,
    seed: int = 0,
    keep_evidence: bool = True,
    command: str = "pneumoscope.certify",
    callbacks: Callbacks = SILENT,
) -> Certificate:
    """Run one bundle in several engines and formats on the same real images, and hold the differences to limits.

    The reference is ONNX Runtime with float32, which the figures of every card were measured with. torch, OpenVINO, an
    8-bit bundle and a browser are compared with it, as far as they are there; what did not run is named with its
    reason. The graph alone runs, without gatekeeper. Images of the part ``test`` are never used.

    Args:
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package.
        data: The manifest or its file. The images should be ones that the model did not learn from.
        out: Folder for ``certificate.json``, ``certificate.html`` and ``images.csv``, which names the files that a
            browser is to answer; it must be new or empty. None writes nothing there.
        int8: Folder of an 8-bit bundle that `pneumoscope.export_bundle` made of this one.
        browser: File that a browser's run wrote.
        part: "validation", "calibration", "train" or "all", which leaves out the part test.
        images: Most images, 40 or more; they are drawn at random.
        roots: Source -> folder, where a source has moved since the manifest was written.
        seed: Decides which images.
        keep_evidence: Add the certificate to the evidence: what torch, OpenVINO and a browser answered to that about
            the bundle, and what the 8-bit bundle answered to that about the 8-bit one.
        command: How it was asked for, for the record.
        callbacks: Receive the progress.

    Returns:
        The differences, the limits and whether they hold.

    Raises:
        UsageError: Fewer than 40 images, a folder that is not empty, an 8-bit bundle of another one, or a file that is
            no record of a browser.
        BundleError: A bundle is incomplete or altered.
        ManifestError: The part has no rows of the model's classes, or an image is not the one that was imported.

    Example:
        >>> ps.certify("runs/flagship", "manifest.parquet", "certificate", int8="flagship-int8").verdict
    """
    check_least(LEAST_IMAGES, images=images)
    check_least(0, seed=seed)
    folder = None if out is None else Path(out)
    if folder is not None:
        check_empty_folder(folder, "a certificate")
    if part == "test":
        raise UsageError(
            argument("part", part), "is kept for measuring a finished model.", "Name validation, or another part."
        )
    loaded = model_of(model)
    whole = load(loaded.folder)  # all findings, in ONNX Runtime, whatever the loaded model was opened for
    small = None if int8 is None else _open_int8(int8, whole)
    run = None if browser is None else read_browser_run(Path(browser), whole.identity, whole.labels)
    rows = _choose_rows(data if isinstance(data, Manifest) else Manifest.read(data, roots), whole, part, images, seed)
    hashes = [str(sha256) for sha256 in rows.table["sha256"]]
    shared = None if run is None else match_images(run, hashes, Path(str(browser)), LEAST_IMAGES)
    # The draft is made before the work: a folder that cannot be written shows now.
    with nullcontext() if folder is None else new_folder(folder, "a certificate") as draft:
        started = time.perf_counter()
        engines, not_run = _open_engines(whole, small)
        if run is None:
            not_run["browser"] = "no file of a browser's run was given"
        with callbacks.counting("running the engines", len(rows)) as advance:
            answers, costs = _run_engines(rows, whole, engines, advance)
        questions, groups = _questions(rows, whole), rows.table["group"].to_numpy(dtype=str)
        reference = answers.pop("onnx")
        figures = [
            compare_engine(
                name, engines[name].about, given, reference, questions, groups, whole.card, halved=engines[name].halved
            )
            for name, given in answers.items()
        ]
        if run is not None and shared is not None:
            figures.append(_compare_browser(run, shared, reference, questions, groups, whole))
            costs["browser"] = _cost_of(run)
        auroc, label = measure_auroc(reference, questions, groups)
        result = Certificate(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            model=f"{whole.card.name} {whole.card.version}",
            identity=whole.identity,
            labels=whole.labels,
            part=part,
            data=rows.rows_hash(),
            images=len(rows),
            groups=len(np.unique(groups)),
            group_sentence=group_sentence(rows.group_kind),
            sources={str(name): int(n) for name, n in rows.table["source"].value_counts().items()},
            seed=seed,
            machine=_describe_machine(),
            auroc=auroc,
            auroc_of=label,
            reference=engines["onnx"].about,
            engines=tuple(figures),
            costs=costs,
            not_run=not_run,
            passed=all(one.holds for one in figures),
            notes=_notes(rows, whole, figures),
            seconds=round(time.perf_counter() - started, 1),
        )
        if draft is not None:
            write_text(draft / JSON, result.to_json())
            write_text(draft / PAGE, render_certificate_page(result))
            _write_images(draft / IMAGES, rows, hashes)
    if keep_evidence:
        _keep(result, whole, small, rows, callbacks)
    return result


@dataclass(frozen=True)
class _Engine:
    """One way to run the bundle: what it is, and a function from pixels to probabilities and perhaps a score."""

    about: str
    run: Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], float | None]]
    file_bytes: int | None
    halved: bool = False


def _open_int8(folder: str | Path, model: Model) -> Model:
    small = load(folder)
    if small.card.derived_from != model.identity:
        parent = small.card.derived_from
        of = "is no export of another bundle" if parent is None else f"was exported from {parent[:12]}"
        raise UsageError(
            str(folder),
            f"{of}, not from {model.identity[:12]}.",
            "Make it again: `pneumoscope.export_bundle` with `to='int8'`.",
        )
    return small


def _open_engines(model: Model, small: Model | None) -> tuple[dict[str, _Engine], dict[str, str]]:
    """Return the engines that run here, the reference first, and why others don't."""
    size = (model.folder / "model.onnx").stat().st_size
    runtime = f"ONNX Runtime {version('onnxruntime')}"
    engines = {"onnx": _Engine(f"{runtime}, float32", _runner(model), size)}
    not_run: dict[str, str] = {}
    if find_spec("torch") is None or find_spec("onnx") is None:
        not_run["torch"] = "torch or onnx is not installed: pip install 'pneumoscope[train]'"
    else:
        about, run, halved = open_torch(model)
        engines["torch"] = _Engine(about, run, None, halved)
    if find_spec("openvino") is None or find_spec("onnx") is None:
        not_run["openvino"] = "OpenVINO is not installed: pip install 'pneumoscope[openvino]'"
    else:
        about = f"OpenVINO {version('openvino')}, float32"
        engines["openvino"] = _Engine(about, _runner(load(model.folder, runtime=OPENVINO)), size)
    if small is None:
        not_run["int8"] = "no 8-bit bundle was given"
    else:
        about = f"{runtime}, 8-bit bundle {small.identity[:12]}"
        engines["int8"] = _Engine(about, _runner(small), (small.folder / "model.onnx").stat().st_size)
    return engines, not_run


def _runner(model: Model) -> Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], float | None]]:
    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], float | None]:
        output = model.run(pixels)
        return output.probabilities, output.ood

    return run


def _run_engines(
    rows: Manifest, model: Model, engines: Mapping[str, _Engine], advance: Callable[[int], None]
) -> tuple[dict[str, Answers], dict[str, EngineCost]]:
    """Read each image once and give it to every engine in turn, on one thread, so that their times can be compared."""
    probabilities: dict[str, list[NDArray[np.float32]]] = {name: [] for name in engines}
    scores: dict[str, list[float | None]] = {name: [] for name in engines}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for radiograph in read_imported(rows):
        pixels = radiograph.pixels
        pixels = np.ascontiguousarray(model.find_border(pixels).cut(pixels))
        for name, engine in engines.items():
            before = time.process_time()
            p, ood = engine.run(pixels)
            seconds[name].append(time.process_time() - before)
            probabilities[name].append(p)
            scores[name].append(ood)
        advance(1)
    answers = {
        name: Answers(
            np.array(probabilities[name], np.float64),
            None if None in scores[name] else np.array(scores[name], np.float64),
        )
        for name in engines
    }
    costs = {
        name: EngineCost(milliseconds=round(1000 * float(np.median(seconds[name])), 2), file_bytes=engine.file_bytes)
        for name, engine in engines.items()
    }
    return answers, costs


def _choose_rows(manifest: Manifest, model: Model, part: str, limit: int, seed: int) -> Manifest:
    """Return random rows of a part whose labels the model knows, never of the part test."""
    try:
        rows = manifest if part == "all" else manifest.part(part)
    except ManifestError as error:
        raise UnusableManifestError(error.thing, error.problem, error.way_out) from error
    if model.card.multilabel:
        usable = np.isfinite(manifest_targets(rows, model.labels)).any(axis=1)
    else:
        usable = rows.table["label"].isin([m for label in model.card.labels for m in label.members]).to_numpy(bool)
    rows = rows.where(usable & (rows.table["split"] != "test").to_numpy(bool))
    if len(rows) < LEAST_IMAGES:
        raise UnusableManifestError(
            f"part {part}",
            f"has {len(rows)} images with labels of the model; a certificate needs {LEAST_IMAGES} or more. Images of "
            "the part test do not count.",
            f"Name another part. Labels of the model: {', '.join(model.labels)}.",
        )
    chosen = np.zeros(len(rows), np.bool_)
    chosen[np.random.default_rng(seed).permutation(len(rows))[:limit]] = True
    return rows.where(chosen)


def _questions(rows: Manifest, model: Model) -> list[Question]:
    if model.card.multilabel:
        targets = manifest_targets(rows, model.labels)
        return [
            Question(name, place, np.isfinite(targets[:, place]), targets[:, place] == 1)
            for place, name in enumerate(model.labels)
        ]
    positive = rows.table["label"].isin(model.card.labels[0].members).to_numpy(dtype=bool)
    return [Question(model.labels[0], 0, np.ones(len(rows), np.bool_), positive)]


def _compare_browser(
    run: BrowserRun,
    shared: tuple[NDArray[np.bool_], Answers],
    reference: Answers,
    questions: list[Question],
    groups: NDArray[np.str_],
    model: Model,
) -> EngineFigures:
    here, answers = shared
    same = Answers(reference.probabilities[here], None if reference.ood is None else reference.ood[here])
    asked = [Question(one.label, one.place, one.known[here], one.positive[here]) for one in questions]
    return compare_engine("browser", run.about, answers, same, asked, groups[here], model.card)


def _cost_of(run: BrowserRun) -> EngineCost:
    times = [one.milliseconds for one in run.images if one.milliseconds is not None]
    return EngineCost(milliseconds=round(float(np.median(times)), 2) if times else None, file_bytes=None)


def _notes(rows: Manifest, model: Model, figures: list[EngineFigures]) -> tuple[str, ...]:
    notes = []
    if rows.table["source"].str.startswith("synthetic").any():
        notes.append("Some of these images are drawn (phantoms): the certificate says nothing about radiographs.")
    if model.card.data_hash and (rows.table["split"] == "train").any():
        notes.append("Some of these images are of the part train: the AUROC is not that of new images.")
    notes += [
        f"The browser answered {one.images} of {len(rows)} images."
        for one in figures
        if one.engine == "browser" and one.images < len(rows)
    ]
    return tuple(notes)


def _describe_machine() -> str:
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def _write_images(path: Path, rows: Manifest, hashes: list[str]) -> None:
    files = pd.DataFrame({"sha256": hashes, "file": [str(file) for file in rows.paths()]})
    # Of files with the same content one is enough: a browser's run has each image once.
    write_text(path, files.drop_duplicates("sha256").to_csv(index=False))


def _keep(result: Certificate, model: Model, small: Model | None, rows: Manifest, callbacks: Callbacks) -> None:
    """Add the certificate to the evidence; drawn images are never evidence.

    A fact is about one identity. What an 8-bit bundle answers is a fact about that bundle and not about its parent,
    which the other engines ran.
    """
    if rows.table["source"].str.startswith("synthetic").any():
        callbacks.message("No evidence about this model is kept: some of the images are drawn.")
        return
    of_small = tuple(one for one in result.engines if one.engine == INT8)
    others = tuple(one for one in result.engines if one.engine != INT8)
    for one, engines in ((model, others), (small, of_small)):
        if one is None or not engines:  # nothing but the reference ran: that is no evidence
            continue
        fact = CertificateFact(
            bundle=one.identity,
            time=result.created,
            passed=all(engine.holds for engine in engines),
            part=result.part,
            data=result.data,
            images=result.images,
            engines=engines,
            not_run={} if one is small else {name: why for name, why in result.not_run.items() if name != INT8},
            derived="" if small is None else small.identity,
            command=result.command,
        )
        path = evidence.append(one.folder, fact)
        callbacks.message(f"The certificate is evidence about {one.card.name}: {path}")
