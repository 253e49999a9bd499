"""A look at a set of radiographs: the data checks, its description, a contact sheet; and drawn sets of phantoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pneumoscope.core.arguments import argument, as_tuple, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import write_text
from pneumoscope.core.labels import LABELS
from pneumoscope.core.registry import check_name
from pneumoscope.data import contact_sheet as sheet
from pneumoscope.data import describe as facts
from pneumoscope.data.checks import runner
from pneumoscope.data.checks.catalogue import CHECKS
from pneumoscope.data.checks.findings import CheckReport, parse_reasons
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.reporting.charts.checks import write_pictures
from pneumoscope.reporting.pages.checks import render_checks_page
from pneumoscope.workflows.datasets import ManifestInput, Roots, manifest_of
from pneumoscope.workflows.progress import task_starter


@check_arguments
def check(
    data: ManifestInput,
    *,
    allow: Mapping[str, str] | None = None,
    classes: Mapping[str, str] | None = None,
    html: str | Path | None = None,
    pictures: str | Path | None = None,
    roots: Roots | None = None,
    callbacks: Callbacks = SILENT,
) -> CheckReport:
    """Run the data checks: what leaks between the parts, what is damaged, what confounds.

    The report of the same rows, parts, classes and files comes from the cache.

    Args:
        data: The manifest, or its file.
        allow: Check -> why its finding is accepted, in words.
        classes: Label -> class, where a recipe joins labels; None: each label is a class.
        html: File that the findings are written to as a page.
        pictures: Folder that the findings are drawn into. They show patients' radiographs.
        roots: Source -> folder, where a source has moved.
        callbacks: Receive the progress.

    Returns:
        The findings. ``report.passes()`` says whether nothing blocks or confounds; ``report.require()`` raises where
        something blocks.

    Raises:
        UsageError: ``allow`` names no check, or gives no reason.
        ManifestError: ``data`` is no manifest, or the folder of a source is not there.

    Example:
        >>> report = ps.check("manifest.parquet")
        >>> [finding.name for finding in report.findings]
    """
    allowed = parse_reasons(list(allow or {}), list((allow or {}).values()), list(CHECKS))
    manifest = manifest_of(data, roots)
    with task_starter(callbacks) as progress:
        report = runner.check(manifest, classes, progress=progress).allowing(allowed)
    if pictures is not None:
        report = write_pictures(report, manifest, Path(pictures))
    if html is not None:
        title = "manifest" if isinstance(data, Manifest) else Path(data).name
        write_text(Path(html), render_checks_page(report, title, None if pictures is None else Path(pictures)))
    return report


@check_arguments
def describe(data: ManifestInput, *, roots: Roots | None = None) -> dict[str, Any]:
    """Count a manifest's images by label, source and part, and say what is known about them.

    Args:
        data: The manifest, or its file.
        roots: Source -> folder, where a source has moved.

    Returns:
        Plain values: ``images``, ``groups``, ``counts`` (a row for each source and label), ``sources``, hashes, notes.

    Raises:
        ManifestError: ``data`` is no manifest.

    Example:
        >>> ps.describe("manifest.parquet")["images"]
    """
    return facts.describe(manifest_of(data, roots))


@check_arguments
def draw_contact_sheet(
    data: ManifestInput,
    output: str | Path,
    *,
    part: str | None = None,
    label: str | None = None,
    source: str | None = None,
    masked: bool = False,
    columns: int = 8,
    side: int = 160,
    seed: int = 0,
    roots: Roots | None = None,
) -> tuple[int, int]:
    """Draw random images of each label and source on one sheet, with part, name and the outlines of their masks.

    Args:
        data: The manifest, or its file.
        output: Picture to write (``.png`` or ``.jpg``).
        part: Only this part: "train", "validation", "calibration" or "test".
        label: Only this label.
        source: Only this source.
        masked: Only images with a mask.
        columns: Images of each label and source.
        side: Side of the square that an image is fitted into, in pixels.
        seed: Another seed shows other images.
        roots: Source -> folder, where a source has moved.

    Returns:
        The number of images on the sheet, and of those that were chosen from.

    Raises:
        UsageError: The ending is no picture's, a number is below its least, or no image is left.
        ManifestError: ``data`` is no manifest, or the part has no rows.
        ImageError: An image or a mask cannot be read.

    Example:
        >>> ps.draw_contact_sheet("manifest.parquet", "sheet.png", part="train")
    """
    check_least(1, columns=columns, side=side)
    check_least(0, seed=seed)
    picture = Path(output)
    if picture.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(str(picture), "must end with .png or .jpg.")
    chosen = manifest_of(data, roots)
    if part is not None:
        chosen = chosen.part(part)
    for column, value in (("label", label), ("source", source)):
        if value is not None:
            present = sorted(set(chosen.table[column]))
            if value not in present:
                raise UsageError(argument(column, value), "has no image here.", f"There are: {', '.join(present)}.")
            chosen = chosen.where(chosen.table[column] == value)
    if masked:
        columns_of_masks = [mask.column for mask in sheet.MASKS]
        chosen = chosen.where(chosen.table[columns_of_masks].notna().any(axis=1))
        if not len(chosen):
            raise UsageError("`masked=True`", "no image here has a mask.")
    return sheet.contact_sheet(chosen, picture, columns, seed, side), len(chosen)


@check_arguments
def draw_phantoms(
    folder: str | Path,
    *,
    per_class: int = 10,
    labels: Sequence[str] = ("covid-19", "normal", "viral-pneumonia", "lung-opacity"),
    seed: int = 0,
    size: int = 256,
    formats: Sequence[str] = ("png",),
    shortcut: float = 0.0,
    overwrite: bool = False,
    callbacks: Callbacks = SILENT,
) -> Manifest:
    """Draw labelled synthetic chest radiographs, with lung masks and ``manifest.parquet``, into a folder.

    They show no patient and say SYNTHETIC in their pixels, files and manifest. A model that does well on them has
    proved nothing about patients.

    Args:
        folder: Where; made if absent.
        per_class: Patients of each label; each has one to three images.
        labels: Of the vocabulary.
        seed: Another seed gives other patients.
        size: Pixels a side, 32 or more.
        formats: "png", "dicom" or both; the manifest lists the first.
        shortcut: Share 0..1 of the patients whose hospital follows from the label: a trap for the data checks.
        overwrite: Write into a folder that is not empty; files of the same names are replaced, others stay.
        callbacks: Receive the progress.

    Returns:
        The manifest, without parts.

    Raises:
        UsageError: The folder is not empty, or an option is out of its range.
        MissingExtraError: DICOM without the extra "dicom".

    Example:
        >>> manifest = ps.draw_phantoms("phantoms", per_class=12, size=96)
    """
    check_least(0, seed=seed)
    names: tuple[str, ...] = as_tuple(labels)
    for label in names:
        check_name(label, LABELS, "labels", "label")
    task = "drawing"
    with callbacks.counting(task):
        return write_set(
            folder,
            per_class,
            names,
            seed,
            size,
            formats,
            shortcut=shortcut,
            overwrite=overwrite,
            tick=lambda done, total: callbacks.progress(task, done, total),
        )
