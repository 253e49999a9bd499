"""From a data set as its publisher made it to a manifest in parts: what `pneumoscope data` and `phantoms` do.

Each function is one command. A manifest comes as a file or in memory; a file is written only where its path is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from pneumoscope.core.arguments import argument, as_tuple, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.engines import check_engine, open_engine
from pneumoscope.core.errors import CheckRefusedError, UsageError
from pneumoscope.core.files import check_new_file
from pneumoscope.core.labels import PARTS, LabelSet
from pneumoscope.data import merge as merging
from pneumoscope.data.cells import RULES
from pneumoscope.data.conflicts import conflict_images
from pneumoscope.data.conflicts import drop_conflicts as without_conflicts
from pneumoscope.data.grouping import join_known_persons
from pneumoscope.data.importing import ImportReport, import_source
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.merge import MergeReport
from pneumoscope.data.scan_shards import resumable_shards
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.splits import assign_parts, balance_train, describe_gaps, parse_balance, parse_ratio
from pneumoscope.imaging.read import check_depth
from pneumoscope.stats.design import check_design
from pneumoscope.workflows.progress import task_starter

ManifestInput: TypeAlias = Manifest | str | Path
"""A manifest in memory, or the path of its file."""

Roots: TypeAlias = Mapping[str, str | Path]
"""Source -> folder that its images lie in now."""


@check_arguments
def import_data(
    source: str,
    path: str | Path,
    output: str | Path | None = None,
    *,
    source_name: str | None = None,
    mapping: Mapping[str, str] | None = None,
    vocabulary: LabelSet | str | Path | None = None,
    keep_terms: bool = False,
    images: str | Path | None = None,
    table: str | Path | None = None,
    masks: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    views: Sequence[str] = (),
    findings: Sequence[str] = (),
    uncertain: str | None = None,
    readers: str | None = None,
    modalities: Sequence[str] = (),
    body_parts: Sequence[str] = (),
    key: bytes = b"",
    encoding: str | None = None,
    lenient_columns: Sequence[str] = (),
    min_side: int = 0,
    depth: int | None = None,
    license: str | None = None,
    provenance: str | None = None,
    design: str | None = None,
    drop_unmapped: bool = False,
    drop_missing: bool = False,
    drop_unreadable: bool = False,
    drop_conflicts: bool = False,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    callbacks: Callbacks = SILENT,
) -> tuple[Manifest, ImportReport]:
    """Make a manifest from a data set: list its images, read each once, find near-duplicates, form groups.

    What was read is kept in the cache folder until the import ends well. One that was interrupted, killed or refused
    goes on where it stopped, by the same call; a file whose size or time of change is another is read again.

    Args:
        source: The layout: "csv", "folder", "dicom", or that of a public set, such as "chexpert", "nih" or "shenzhen";
            an unknown one is an error that lists all.
        path: The folder of the data set; for "csv" the table.
        output: File that the manifest is written to (``.parquet``); None writes none.
        source_name: Name in the manifest's ``source`` column; None: the layout's name.
        mapping: Term of the data set, as it stands -> label.
        vocabulary: The labels, or a YAML file with labels of your own (`LabelSet.read`); None: the built-in ones.
        keep_terms: Make a term that means no label a label of its own, in its own words ("csv", "dicom", "folder");
            else such terms are an error.
        images: Folder of the images where it is not the table's own ("csv", "darwin").
        table: CSV file with the labels ("dicom").
        masks: Folder for masks drawn from outlines ("darwin") or joined from single lungs ("jsrt", "montgomery",
            "shenzhen"); None: beside ``output``, ``NAME-masks``.
        columns: Column of the manifest -> column of the table ("csv", "dicom").
        labels: Keep only these labels; empty keeps all.
        views: Keep only these views; empty keeps what the layout keeps by itself.
        findings: Keep only these terms, as they stand ("covidgr", "ieee8023", "nih").
        uncertain: What findings count as that the publisher calls uncertain ("chexpert", "mimic-cxr-jpg"): "ignore"
            (unknown, as None), "zeros" (absent) or "ones" (present).
        readers: When a finding counts as present where several read an image ("vindr-cxr"): "majority" (of the readers,
            as None), "any" (one of them) or "unanimous" (all; unknown where they differ).
        modalities: Keep only these modalities ("ieee8023", "dicom").
        body_parts: Further names of the chest ("dicom").
        key: Secret of 16 bytes or more; the same key gives a patient the same number in every import ("dicom").
        encoding: Encoding of the table ("csv", "dicom", "ieee8023"), for example "cp1251"; None finds it.
        lenient_columns: Columns ("age", "sex", "view") whose bad values, such as an age of 412, count as unknown; else
            they are an error that names every one.
        min_side: Leave out images whose shorter side is less, in pixels.
        depth: Bits in use in 16-bit PNG and TIFF files, where they are fewer than 16; the manifest keeps it as the
            column ``bits``.
        license: Licence of the images.
        provenance: How the labels were made.
        design: "case-control" (somebody chose how many images of each class there are) or "cohort" (patients came by
            chance, each with a class of chance); None: not stated, and every interval is then the wider of both.
        drop_unmapped: Leave out terms without a label; else they are an error.
        drop_missing: Leave out rows without an image ("csv"); else they are an error.
        drop_unreadable: Leave out images that cannot be read; else they are an error.
        drop_conflicts: Leave out every image whose picture carries another label elsewhere.
        engine: "local": processes of this machine; "ray": those of a Ray cluster, see `pneumoscope.predict`. Either
            goes on where the other was stopped, and the result is the same.
        address: Of a Ray cluster.
        workers: Processes that read images, 0 for threads of this one; None: a process for each core, threads for few
            images.
        callbacks: Receive the progress.

    Returns:
        The manifest, and an account of what stayed out and why.

    Raises:
        UsageError: The layout is unknown, the path is not there, or an option means nothing to the layout.
        LabelError: Terms have no label; all are named.
        ManifestError: Nothing usable is there, or cells of the table break a rule; all are named.
        ImageError: Images cannot be read; all are named.
        MissingExtraError: DICOM without the extra "dicom".

    Example:
        >>> manifest, report = ps.import_data("folder", "radiographs/", mapping={"Sick": "pneumonia"})
        >>> report.reasons
    """
    check_depth(depth)
    check_least(0 if engine == "local" else 1, workers=workers)
    check_engine(engine, address)
    target = None if output is None else _manifest_path(output)
    layout = SOURCES.get(source)
    lenient = (lenient_columns,) if isinstance(lenient_columns, str) else tuple(lenient_columns)
    for name in lenient:
        if name not in RULES:
            raise UsageError(
                argument("lenient_columns", name), "has no rule to break.", f"There are: {', '.join(RULES)}."
            )
    if masks is None and target is not None and "masks" in layout.options:
        masks = target.with_name(f"{target.stem}-masks")
    options = ImportOptions(
        source_name=source_name,
        mapping=dict(mapping or {}),
        vocabulary=_as_labels(vocabulary),
        keep_terms=keep_terms,
        images=None if images is None else Path(images),
        columns=dict(columns or {}),
        license=license,
        provenance=provenance,
        drop_unmapped=drop_unmapped,
        drop_missing=drop_missing,
        labels=tuple(labels),
        views=tuple(views),
        findings=tuple(findings),
        uncertain=uncertain,
        readers=readers,
        modalities=tuple(modalities),
        min_side=min_side,
        depth=depth,
        masks=None if masks is None else Path(masks),
        table=None if table is None else Path(table),
        body_parts=tuple(body_parts),
        key=key,
        encoding=encoding,
        lenient_columns=frozenset(lenient),
        design=check_design(design),
    )
    folders = [str(Path(folder).resolve()) for folder in (path, *([images] if images is not None else []))]
    with ExitStack() as stack:
        machines = None
        if engine != "local":
            machines = stack.enter_context(
                open_engine(engine, workers=workers or None, address=address, on_note=callbacks.message)
            )
        shards = stack.enter_context(resumable_shards("import", layout.name, *folders))
        with task_starter(callbacks) as progress:
            manifest, report = import_source(
                layout,
                Path(path),
                options,
                drop_unreadable=drop_unreadable,
                drop_conflicts=drop_conflicts,
                engine=machines,
                progress=progress,
                shards=shards,
                workers=workers,
                say=callbacks.message,
            )
        if target is not None:
            manifest.write(target)
    return manifest, report


def _as_labels(vocabulary: LabelSet | str | Path | None) -> LabelSet:
    if vocabulary is None or isinstance(vocabulary, LabelSet):
        return vocabulary or LabelSet.builtin()
    return LabelSet.read(vocabulary)


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What a split left out.

    Args:
        left_out: Label -> images of the training part that are in no part, for balance; empty without ``balance``.
        conflicts: Images that lost their row, since one picture carries two labels (``source/image``).
        warnings: A sentence for each part without images, or without images of a label or with a finding.
        joined: Groups that became one with another, since the names of their files tell one person.
    """

    left_out: Mapping[str, int]
    conflicts: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    joined: int = 0


SHARES = {"test": 0.2, "validation": 0.1, "calibration": 0.1}
"""Part -> share of the images where the caller states none."""


@check_arguments
def split(
    data: ManifestInput,
    output: str | Path | None = None,
    *,
    test: float | None = None,
    validation: float | None = None,
    calibration: float | None = None,
    ratio: str | None = None,
    balance: str | None = None,
    seed: int = 0,
    again: bool = False,
    drop_conflicts: bool = False,
    strict: bool = False,
    roots: Roots | None = None,
    callbacks: Callbacks = SILENT,
) -> tuple[Manifest, SplitReport]:
    """Divide a manifest into parts by whole groups, stratified by label, source and finding.

    Groups whose files' names tell one person, in the numbering of a known public set, are joined first.

    Without ``output`` the result is returned and nothing is written: the manifest's file keeps its parts.

    Args:
        data: The manifest, or its file.
        output: File that the result is written to (``.parquet``); None writes none.
        test: Share of the images, from 0 to under 1; None: .2. Train gets what the other parts leave.
        validation: Share of the images; None: .1.
        calibration: Share of the images; None: .1.
        ratio: "80/20" (train/test) or "70/15/15" (train/validation/test). Parts that it does not name come out of
            train. A share that it states cannot be given besides.
        balance: Ratio of the labels in train: "1:1" (all alike) or "covid-19=1,normal=2". Images beyond it keep their
            row and are in no part.
        seed: Another seed gives another division of the same shares.
        again: Replace the parts that the manifest has; else they are an error.
        drop_conflicts: Leave out every image whose picture carries another label elsewhere; the images are read.
        strict: Refuse, and write nothing, where a part gets no image, or none of a label or with a finding.
        roots: Source -> folder, where a source has moved.
        callbacks: Receive the progress.

    Returns:
        The manifest in parts, and what was left out or is missing.

    Raises:
        UsageError: The manifest has parts already, a share, ratio or seed is out of its range, or both state one share.
        CheckRefusedError: ``strict``, and the division has warnings.
        ManifestError: ``data`` is no manifest; with ``drop_conflicts``, an image is absent or altered.

    Example:
        >>> manifest, left_out = ps.split("manifest.parquet", "manifest.parquet", ratio="70/15/15")
    """
    check_least(0, seed=seed)
    given = {"test": test, "validation": validation, "calibration": calibration}
    shares = _shares({name: share for name, share in given.items() if share is not None}, ratio)
    if output is not None:
        check_new_file(Path(output))
    manifest = manifest_of(data, roots)
    if manifest.parts_present and not again:
        raise UsageError(
            "the manifest" if isinstance(data, Manifest) else str(data),
            f"has parts already ({', '.join(manifest.parts_present)}).",
            "Say `again=True` to replace them. Images that were once tested on stay in the ledger.",
        )
    conflicts: tuple[str, ...] = ()
    if drop_conflicts:
        with task_starter(callbacks) as progress:
            remaining, findings = without_conflicts(manifest, progress)
        conflicts, manifest = tuple(conflict_images(manifest, findings)), remaining
    table, joined = join_known_persons(manifest.table)
    if joined:
        note = f"groups: {joined} joined, since names of files tell one person"
        manifest = replace(manifest, table=table, notes=(*manifest.notes, note))
    manifest = assign_parts(manifest, shares, seed)
    left_out: dict[str, int] = {}
    if balance is not None:
        weights = parse_balance(balance, sorted(set(manifest.part("train").table.label)))
        manifest, left_out = balance_train(manifest, weights, seed)
    warnings = describe_gaps(manifest, [name for name in PARTS if shares.get(name, 1.0) > 0])
    if warnings and strict:
        raise CheckRefusedError("split", " ".join(warnings), "Nothing was written. Without `strict` it would be.")
    if output is not None:
        manifest.write(output)
    return manifest, SplitReport(left_out, conflicts, warnings, joined)


def _shares(given: Mapping[str, float], ratio: str | None) -> dict[str, float]:
    """Return part -> share of the shares and the ratio that a caller gave; both must not state one."""
    by_ratio = parse_ratio(ratio) if ratio else {}
    for name in given:
        if name in by_ratio:
            raise UsageError(
                argument("ratio", ratio),
                f"and {argument(name, given[name])} both state one share.",
                "Give one of them.",
            )
    return {**SHARES, **given, **by_ratio}


@check_arguments
def merge(
    data: ManifestInput | Sequence[ManifestInput],
    output: str | Path | None = None,
    *,
    drop_conflicts: bool = False,
    balance: str | None = None,
    seed: int = 0,
    roots: Roots | None = None,
    callbacks: Callbacks = SILENT,
) -> tuple[Manifest, MergeReport]:
    """Join manifests and find near-duplicates across them; parts are taken away, so split afterwards.

    Args:
        data: Two or more manifests with different sources, or their files; one is enough with ``drop_conflicts``.
        output: File that the result is written to (``.parquet``); None writes none.
        drop_conflicts: Leave out every image whose picture carries another label elsewhere.
        balance: Ratio of the labels of the whole result: "1:1" (all alike) or "covid-19=1,normal=2".
        seed: Decides which groups ``balance`` leaves out.
        roots: Source -> folder, where a source has moved.
        callbacks: Receive the progress.

    Returns:
        The joined manifest, and what the merge found.

    Raises:
        UsageError: Fewer than two manifests, a ratio that is none, or a root of a source that no manifest has.
        ManifestError: A source occurs in two of them, or an image is absent or altered.

    Example:
        >>> merged, report = ps.merge(["a.parquet", "b.parquet"], "merged.parquet", drop_conflicts=True)
        >>> report.across
    """
    target = None if output is None else _manifest_path(output)
    inputs: tuple[ManifestInput, ...] = (data,) if isinstance(data, Manifest) else as_tuple(data)
    manifests = [manifest_of(each) for each in inputs]
    for name, folder in (roots or {}).items():
        concerned = [manifest for manifest in manifests if name in manifest.roots]
        if not concerned:
            raise UsageError(argument("roots", {name: str(folder)}), "is not a source of these manifests.")
        for manifest in concerned:
            manifest.roots[name] = Path(folder).resolve()
    folders = [str(folder) for manifest in manifests for folder in manifest.roots.values()]
    with resumable_shards("merge", *folders) as shards:
        with task_starter(callbacks) as progress:
            merged, report = merging.merge(
                manifests, drop_conflicts=drop_conflicts, balance=balance, seed=seed, progress=progress, shards=shards
            )
        if target is not None:
            merged.write(target)
    return merged, report


@check_arguments
def drop_conflicts(
    data: ManifestInput, *, roots: Roots | None = None, callbacks: Callbacks = SILENT
) -> tuple[Manifest, tuple[str, ...]]:
    """Leave out every image whose picture carries another label elsewhere; groups and parts stay as they are.

    Args:
        data: The manifest, or its file. Its images are read.
        roots: Source -> folder, where a source has moved.
        callbacks: Receive the progress.

    Returns:
        The manifest without them, and the images left out (``source/image``).

    Raises:
        ManifestError: ``data`` is no manifest, or an image is absent or altered.

    Example:
        >>> manifest, left_out = ps.drop_conflicts("manifest.parquet")
    """
    manifest = manifest_of(data, roots)
    with task_starter(callbacks) as progress:
        remaining, conflicts = without_conflicts(manifest, progress)
    return remaining, tuple(conflict_images(manifest, conflicts))


def manifest_of(data: ManifestInput, roots: Roots | None = None) -> Manifest:
    """Return the manifest itself, or read it from its file.

    Raises:
        UsageError: ``roots`` is given for a manifest in memory, whose ``roots`` can be set.
        ManifestError: The file is no manifest.
    """
    if not isinstance(data, Manifest):
        return Manifest.read(data, roots)
    if roots:
        raise UsageError("roots", "are given for a manifest in memory.", "Set them in the manifest's own roots.")
    return data


def _manifest_path(path: str | Path) -> Path:
    """Return the path, which must be named as a manifest."""
    if Path(path).suffix != ".parquet":
        raise UsageError(str(path), "must end with .parquet.")
    check_new_file(Path(path))
    return Path(path)
