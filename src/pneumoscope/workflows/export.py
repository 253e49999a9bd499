"""Export a bundle into another format: check everything cheap, let the format write into a draft, give it its name."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pneumoscope.bundle.runtime import Model, ModelInput, model_of
from pneumoscope.core.arguments import argument, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import ManifestError, UnusableManifestError, UsageError
from pneumoscope.core.files import check_empty_folder, new_folder
from pneumoscope.data.manifest import Manifest
from pneumoscope.export.format import ExportJob, ExportReport
from pneumoscope.export.formats import FORMATS

LEAST_IMAGES = 10
PART, IMAGES = "calibration", 500
"""The part and the number of images that a format looks at by default."""
MUCH = 0.05
"""Difference of a probability of an 8-bit bundle from its parent's above which a certificate is advised."""


@dataclass(frozen=True)
class Exported:
    """An export that was written.

    Args:
        to: Name of the format.
        folder: Where its files lie.
        files: Name of each file in the folder -> bytes.
        report: What the format says of them.
    """

    to: str
    folder: Path
    files: Mapping[str, int]
    report: ExportReport


@check_arguments
def export_bundle(
    model: ModelInput | Sequence[ModelInput],
    to: str,
    out: str | Path | None = None,
    *,
    data: Manifest | str | Path | None = None,
    part: str | None = None,
    images: int | None = None,
    roots: Mapping[str, str | Path] | None = None,
    seed: int | None = None,
    callbacks: Callbacks = SILENT,
) -> Exported:
    """Write a bundle in another format, and compare the files with the bundle where this machine can run them.

    Args:
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package;
            several of them for a format that takes several (``app``).
        to: The format; `pneumoscope export --help` lists them.
        out: Folder for the files, which must be new or empty; by default the name of the bundle and of the format, in
            the current folder.
        data: Of formats that need radiographs (``int8``): the manifest or its file.
        part: Of the same formats: the part whose images they look at, or "all" for every image that is not of the part
            test; by default "calibration".
        images: Of the same: how many, 10 or more, by default 500; they are drawn at random.
        roots: Of the same: source -> folder, where a source has moved since the manifest was written.
        seed: Of the same: decides which images; by default 0.
        callbacks: Receive the progress.

    Returns:
        The folder, its files, and what the format says of them.

    Raises:
        UsageError: There is no such format, the folder is not empty (at the end: the message names where the files are
            instead), ``data`` is missing, an argument is not used by the format, the format does not take this bundle,
            there are several models and it takes one, or one model is named twice.
        MissingExtraError: A library for the format is not installed.
        BundleError: The bundle is incomplete or altered.
        ManifestError: The part has no images, or an image is not the one that was imported.
        ParityError: The files do not compute what the bundle does.

    Example:
        >>> ps.export_bundle("runs/flagship", "int8", "flagship-int8", data="manifest.parquet").files
    """
    form = FORMATS.get(to)
    check_least(LEAST_IMAGES, images=images)
    check_least(0, seed=seed)
    if form.images == "unused":
        _check_unused(to, data=data, part=part, images=images, roots=roots or None, seed=seed)
    if out is not None:
        check_empty_folder(Path(out), "an export")
    given = (model,) if isinstance(model, Model | str | Path) else tuple(model)
    if len(given) != 1 and not (given and form.several):
        raise UsageError(f"format {to}", f"takes one bundle, not {len(given)}.", "Export each by itself.")
    loaded, *others = [model_of(each) for each in given]
    _check_once([loaded, *others])
    form.check(loaded)
    if form.images == "needed" and data is None:
        raise UsageError(
            f"format {to}",
            "looks at real radiographs, and none are given: drawn ones would set ranges that no patient has.",
            f"Give a manifest: {argument('data', 'manifest.parquet')}.",
        )
    folder = Path(f"{loaded.card.name}-{to}") if out is None else Path(out)
    check_empty_folder(folder, "an export")
    rows = None if data is None else _choose_rows(data, roots, part or PART, images or IMAGES, seed or 0)
    if rows is not None and bool(rows.table["source"].str.startswith("synthetic").any()):
        callbacks.message("note: these are drawn images (phantoms). The result is for demonstration only.")
    with callbacks.counting(f"exporting to {to}"), new_folder(folder, "an export") as draft:
        report = form.write(ExportJob(_whole(loaded), draft, rows, callbacks, tuple(map(_whole, others)), seed or 0))
    if to == "int8" and not report.differences["probabilities"] <= MUCH:  # NaN is much too
        manifest = "MANIFEST" if isinstance(data, Manifest) else str(data)
        report = replace(report, notes=(*report.notes, _advise_certificate(report, loaded, folder, manifest)))
    files = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    return Exported(to, folder, files, report)


def _advise_certificate(report: ExportReport, model: Model, folder: Path, manifest: str) -> str:
    """Return what to do where the answers of an 8-bit bundle differ much from those of its parent."""
    names = (model.folder, "--int8", folder, "--data", manifest)
    difference = report.differences["probabilities"]
    said = (
        "is no number in one of the two" if np.isnan(difference) else f"differs by {difference:.2f} from the bundle's"
    )
    return (
        f"A probability {said} on the {report.images} images that were compared. Certify it: "
        f"pneumoscope certify {' '.join(shlex.quote(str(name)) for name in names)}"
    )


def _whole(model: Model) -> Model:
    """Return the model of all findings: a view of one of them shares the whole graph."""
    return model if model.place is None else model_of(model.folder)


def _check_unused(to: str, **given: object) -> None:
    """Check that no argument is given that a format has no use for.

    Args:
        to: The format.
        given: Argument -> value; None: not given.

    Raises:
        UsageError: One is given.
    """
    for name, value in given.items():
        if value is not None:
            shown = str(value) if isinstance(value, Manifest | Path) else value
            raise UsageError(argument(name, shown), f"is not used by the format {to}.", "Leave it out.")


def _check_once(models: Sequence[Model]) -> None:
    """Check that no bundle is named twice, by whatever name.

    Raises:
        UsageError: One is.
    """
    seen: dict[str, Model] = {}
    for model in models:
        if model.identity in seen:
            raise UsageError(str(model.folder), f"is given twice ({model.identity[:12]}).", "Name each bundle once.")
        seen[model.identity] = model


def _choose_rows(
    data: Manifest | str | Path, roots: Mapping[str, str | Path] | None, part: str, limit: int, seed: int
) -> Manifest:
    """Return random rows of a part, never of the part test.

    Raises:
        UsageError: The part is test, or there is no such part.
        UnusableManifestError: It has no rows.
    """
    if part == "test":
        raise UsageError(
            argument("part", part), "is kept for measuring; an export learns from what it sees.", "Name calibration."
        )
    manifest = data if isinstance(data, Manifest) else Manifest.read(data, roots)
    try:
        rows = manifest.where(manifest.table["split"] != "test") if part == "all" else manifest.part(part)
    except ManifestError as error:
        raise UnusableManifestError(error.thing, error.problem, error.way_out) from error
    if len(rows) < LEAST_IMAGES:
        raise UnusableManifestError(
            f"part {part}", f"has {len(rows)} images; an export needs {LEAST_IMAGES} or more.", "Name another part."
        )
    chosen = np.zeros(len(rows), np.bool_)
    chosen[np.random.default_rng(seed).permutation(len(rows))[:limit]] = True
    return rows.where(chosen)
