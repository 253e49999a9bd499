"""`pneumoscope data import`: from a data set as its publisher made it to a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.formatting import group_counts, print_conflicts, print_json
from pneumoscope.cli.options import (
    Address,
    AsJson,
    Depth,
    DesignOption,
    DropConflicts,
    EngineName,
    pairs,
    read_secret,
)
from pneumoscope.cli.wording import for_command_line
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import UsageError
from pneumoscope.data.source_names import source_names

BAD_IS_ERROR = "error"
BadValues = Annotated[str, typer.Option(help="null: bad values of this column count as unknown.", metavar="error|null")]


def import_(
    source: Annotated[str, typer.Argument(help=f"The layout of the data set: {', '.join(source_names())}.")],
    path: Annotated[Path, typer.Argument(help="Its folder (for csv: the table).", metavar="DIR")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write (.parquet).")],
    source_name: Annotated[str | None, typer.Option(help="Name in the manifest.  [default: SOURCE]")] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="Label of a term of the data set.", metavar="TERM=LABEL")
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="YAML file with labels of your own, and their synonyms.", metavar="FILE")
    ] = None,
    keep_terms: Annotated[
        bool, typer.Option("--keep-terms", help="csv, dicom, folder: make labels of terms without one.")
    ] = False,
    images: Annotated[Path | None, typer.Option(help="csv, darwin: folder of the images.  [csv: the table's]")] = None,
    table: Annotated[
        Path | None, typer.Option("--labels", help="dicom: CSV file with the labels.", metavar="FILE")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="darwin, jsrt, montgomery, shenzhen: folder for masks that are made.  [OUTPUT-masks]", metavar="DIR"
        ),
    ] = None,
    image_column: Annotated[
        str | None, typer.Option(help="csv: column of the image [image]; dicom: of the UID [SOPInstanceUID].")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="csv, dicom: column of the label.  [label]")] = None,
    findings_column: Annotated[
        str | None, typer.Option(help='csv: column of several findings, {"label": true or false}.')
    ] = None,
    patient_column: Annotated[str | None, typer.Option(help="csv: column of the patient number.")] = None,
    study_column: Annotated[str | None, typer.Option(help="csv: column of the study number.")] = None,
    view_column: Annotated[str | None, typer.Option(help="csv: column of the view.")] = None,
    sex_column: Annotated[str | None, typer.Option(help="csv: column of the sex.")] = None,
    age_column: Annotated[str | None, typer.Option(help="csv: column of the age.")] = None,
    manufacturer_column: Annotated[str | None, typer.Option(help="csv: column of the device's maker.")] = None,
    lung_mask_column: Annotated[str | None, typer.Option(help="csv: column of the lung mask's file.")] = None,
    heart_mask_column: Annotated[str | None, typer.Option(help="csv: column of the heart mask's file.")] = None,
    ignore_mask_column: Annotated[
        str | None, typer.Option(help="csv: column of the mask file of pixels to ignore.")
    ] = None,
    lung_definition_column: Annotated[
        str | None, typer.Option(help="csv: column that says what the lung mask shows.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="Only this label; may be repeated.", metavar="LABEL")
    ] = None,
    views: Annotated[
        list[str] | None, typer.Option("--view", help="Only this view; may be repeated.", metavar="VIEW")
    ] = None,
    findings: Annotated[
        list[str] | None,
        typer.Option(
            "--finding",
            help="covidgr, ieee8023, nih: only this finding, as it stands; may be repeated.",
            metavar="TERM",
        ),
    ] = None,
    uncertain: Annotated[
        str | None,
        typer.Option(
            help="chexpert, mimic-cxr-jpg: count uncertain findings as unknown, absent or present.  [ignore]",
            metavar="ignore|zeros|ones",
        ),
    ] = None,
    readers: Annotated[
        str | None,
        typer.Option(
            help="vindr-cxr: present is what most readers say, what one says, or what all say.  [majority]",
            metavar="majority|any|unanimous",
        ),
    ] = None,
    modalities: Annotated[
        list[str] | None, typer.Option("--modality", help="ieee8023, dicom: only this modality; may be repeated.")
    ] = None,
    body_parts: Annotated[
        list[str] | None, typer.Option("--body-part", help="dicom: a further name of the chest; may be repeated.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="dicom: file with a secret, for patient numbers that fit other imports.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="csv, dicom, ieee8023: encoding of the table.  [default: found]", metavar="NAME")
    ] = None,
    bad_ages: BadValues = BAD_IS_ERROR,
    bad_sexes: BadValues = BAD_IS_ERROR,
    bad_views: BadValues = BAD_IS_ERROR,
    min_side: Annotated[int, typer.Option(min=0, help="Leave out images whose shorter side is less, in pixels.")] = 0,
    depth: Depth = None,
    license_text: Annotated[str | None, typer.Option("--license", help="Licence of the images.")] = None,
    provenance: Annotated[str | None, typer.Option(help="How the labels were made.")] = None,
    design: DesignOption = None,
    drop_unmapped: Annotated[bool, typer.Option("--drop-unmapped", help="Leave out terms without a label.")] = False,
    drop_missing: Annotated[bool, typer.Option("--drop-missing", help="csv: leave out rows without image.")] = False,
    drop_unreadable: Annotated[bool, typer.Option("--drop-unreadable", help="Leave out unreadable images.")] = False,
    drop_conflicts: DropConflicts = False,
    engine: EngineName = "local",
    address: Address = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read images; 0: threads of one.  [default: the cores]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a manifest from a data set, and say what was kept and dropped and why.

    An import that was stopped goes on where it was, by the same command.
    """
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.datasets import import_data

    columns = {
        "image": image_column,
        "label": label_column,
        "findings": findings_column,
        "patient_id": patient_column,
        "study_id": study_column,
        "view": view_column,
        "sex": sex_column,
        "age": age_column,
        "manufacturer": manufacturer_column,
        "lung_mask": lung_mask_column,
        "heart_mask": heart_mask_column,
        "ignore_mask": ignore_mask_column,
        "lung_definition": lung_definition_column,
    }
    bad_values = {"age": bad_ages, "sex": bad_sexes, "view": bad_views}
    for value in bad_values.values():
        if value not in ("null", BAD_IS_ERROR):
            raise UsageError(repr(value), "must be error or null.", "Say --bad-ages null.")
    manifest, report = import_data(
        source,
        path,
        output,
        source_name=source_name,
        mapping=pairs(mapping, "--map", "TERM=LABEL", last=True),
        vocabulary=vocabulary,
        keep_terms=keep_terms,
        images=images,
        table=table,
        masks=masks,
        columns={name: column for name, column in columns.items() if column is not None},
        labels=labels or (),
        views=views or (),
        findings=findings or (),
        uncertain=uncertain,
        readers=readers,
        modalities=modalities or (),
        body_parts=body_parts or (),
        key=read_secret(key) if key else b"",
        encoding=encoding,
        lenient_columns=[column for column, value in bad_values.items() if value == "null"],
        min_side=min_side,
        depth=depth,
        license=license_text,
        provenance=provenance,
        design=design,
        drop_unmapped=drop_unmapped,
        drop_missing=drop_missing,
        drop_unreadable=drop_unreadable,
        drop_conflicts=drop_conflicts,
        engine=engine,
        address=address,
        workers=workers,
        callbacks=RichCallbacks(),
    )
    if as_json:
        print_json({"manifest": str(output), **report.to_json()})
        return
    typer.echo(f"{format_count(len(manifest), 'image')} of {report.source} in {output}")
    for label, number in report.kept.items():
        typer.echo(f"  {number:7,}  {label}")
    if report.findings:
        if "other" in report.kept:
            typer.echo("'other' has several findings, or one that is no label of its own.")
        typer.echo("Findings, images with / said to be without:")
    for name, numbers in report.findings.items():
        typer.echo(f"  {numbers['present']:7,} / {numbers['absent']:,}  {name}")
    dropped = report.reasons
    typer.echo(
        f"Dropped: {format_count(sum(dropped.values()), 'file or row', 'files or rows')}"
        + (", because" if dropped else ".")
    )
    for reason, number in dropped.items():
        typer.echo(f"  {number:7,}  {reason} ({_examples(d.file for d in report.dropped if d.reason == reason)})")
    if dropped:
        typer.echo("  (--json lists every one)")
    for note in report.notes:
        typer.echo(f"Note: {for_command_line(note)}")
    apart = f", of which patient numbers tell {report.pairs_apart:,} apart" if report.pairs_apart else ""
    alike = format_count(report.pairs, "pair")
    typer.echo(f"Groups: {group_counts(report.groups)}; {alike} of near-duplicates{apart}.")
    print_conflicts(report.conflicts)


def _examples(files: Iterator[str]) -> str:
    names = list(files)
    return f"{names[0]}" if len(names) == 1 else f"{names[0]}, {names[1]}{', ...' if len(names) > 2 else ''}"
