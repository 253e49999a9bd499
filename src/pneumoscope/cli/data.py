"""`pneumoscope data`: from folders of radiographs to a manifest with parts, and a look at what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pneumoscope.cli.data_import import import_
from pneumoscope.cli.formatting import group_counts, print_conflicts, print_json, print_note
from pneumoscope.cli.options import (
    Allow,
    AsJson,
    Because,
    DropConflicts,
    Roots,
    Seed,
    accepted_findings,
    source_roots,
)
from pneumoscope.core.counts import format_count
from pneumoscope.core.labels import LABELS, PARTS

app = typer.Typer(
    help="Import, split, merge, describe and show sets of radiographs.", no_args_is_help=True, add_completion=False
)

ManifestFile = Annotated[Path, typer.Argument(help="A manifest (Parquet).", metavar="MANIFEST")]


app.command("import")(import_)


@app.command()
def split(
    manifest: ManifestFile,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.  [default: in place]")] = None,
    test: Annotated[float | None, typer.Option(help="Share of the images, 0 to 1.  [default: 0.2]")] = None,
    validation: Annotated[float | None, typer.Option(help="Share of the images.  [default: 0.1]")] = None,
    calibration: Annotated[float | None, typer.Option(help="Share of the images.  [default: 0.1]")] = None,
    ratio: Annotated[
        str | None,
        typer.Option(help="80/20 (train/test) or 70/15/15 (train/validation/test); the rest comes out of train."),
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help="Thin out train: 1:1 (all labels alike) or covid-19=1,normal=2.")
    ] = None,
    seed: Seed = 0,
    again: Annotated[bool, typer.Option("--again", help="Replace parts that the manifest has already.")] = False,
    drop_conflicts: DropConflicts = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 3, writing nothing, where a part lacks images, a label or a finding.")
    ] = False,
    roots: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Divide a manifest into parts by whole groups, stratified by label, source and finding."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.datasets import split as split_manifest
    from pneumoscope.workflows.inspection import describe as describe_manifest

    target = output or manifest
    divided, report = split_manifest(
        manifest,
        target,
        test=test,
        validation=validation,
        calibration=calibration,
        ratio=ratio,
        balance=balance,
        seed=seed,
        again=again,
        drop_conflicts=drop_conflicts,
        strict=strict,
        roots=source_roots(roots),
        callbacks=RichCallbacks(),
    )
    facts = describe_manifest(divided)
    for warning in report.warnings:
        print_note(f"Warning: {warning}", error=True)
    if as_json:
        dropped = {"dropped_conflicts": list(report.conflicts)} if drop_conflicts else {}
        print_json(
            {
                "manifest": str(target),
                "left_out": report.left_out,
                "warnings": list(report.warnings),
                **({"joined_groups": report.joined} if report.joined else {}),
                **dropped,
                **facts,
            }
        )
        return
    _print_counts(facts)
    if report.joined:
        typer.echo(f"{report.joined:,} groups were joined: by the names of their files they show the same persons.")
    if drop_conflicts:
        typer.echo(f"Left out, since one picture carries two labels: {format_count(len(report.conflicts), 'image')}.")
    if balance is not None:
        counts = ", ".join(f"{number:,} {label}" for label, number in report.left_out.items() if number)
        typer.echo(f"Left out of train for balance: {counts or 'nothing'} (they are in no part).")
    typer.echo(f"Written to {target}; split {facts['split_hash'][:12]}, seed {seed}.")


@app.command()
def merge(
    manifests: Annotated[list[Path], typer.Argument(help="Two or more manifests.", metavar="MANIFEST...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write (.parquet).")],
    drop_conflicts: DropConflicts = False,
    balance: Annotated[
        str | None, typer.Option(help="Thin out the result: 1:1 (all labels alike) or covid-19=1,normal=2.")
    ] = None,
    seed: Seed = 0,
    roots: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Join manifests and find near-duplicates across them; parts are taken away, so split afterwards."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.datasets import merge as merge_manifests

    merged, report = merge_manifests(
        manifests,
        output,
        drop_conflicts=drop_conflicts,
        balance=balance,
        seed=seed,
        roots=source_roots(roots),
        callbacks=RichCallbacks(),
    )
    if as_json:
        print_json({"manifest": str(output), **report.to_json()})
        return
    typer.echo(f"{format_count(len(merged), 'image')} in {output}")
    for source, number in report.images.items():
        typer.echo(f"  {number:7,}  {source}")
    typer.echo(f"Near-duplicates between sources: {format_count(sum(report.across.values()), 'pair')}")
    for names, number in report.across.items():
        typer.echo(f"  {number:7,}  {names}")
    typer.echo(f"Groups: {group_counts(report.groups)}.")
    if report.same:
        filled = ", ".join(f"{column} {number}" for column, number in report.filled.items()) or "nothing"
        typer.echo(f"The same file in two sources, now one row: {len(report.same):,} (filled in: {filled}).")
        for line in report.disagreements[:5]:
            typer.echo(f"  they disagree: {line}")
        if len(report.disagreements) > 5:
            typer.echo(f"  and {len(report.disagreements) - 5} more (--json lists every one)")
    print_conflicts(report.conflicts)
    if report.dropped:
        typer.echo(f"Left out for that: {format_count(len(report.dropped), 'image')}.")
    if balance is not None:
        images = format_count(len(report.balanced), "image")
        typer.echo(f"Left out for balance, seed {seed}: {images} (--json lists every one).")
    if report.unsplit:
        typer.echo(
            "The parts of the inputs were taken away, since groups now reach across: run pneumoscope data split."
        )


@app.command()
def check(
    manifest: ManifestFile,
    html: Annotated[Path | None, typer.Option(help="Write the findings as a page (.html).")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Draw the findings into this folder. They show patients' radiographs.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 on a warning that does not confound, too.")] = False,
    allow: Allow = None,
    because: Because = None,
    roots: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Run the data checks: what would leak or confound. Exit code 3 if a finding blocks or confounds."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.reporting.pages.checks import SEVERITY_NAMES, describe_outcome
    from pneumoscope.workflows.inspection import check as check_manifest

    report = check_manifest(
        manifest,
        allow=accepted_findings(allow, because),
        html=html,
        pictures=pictures,
        roots=source_roots(roots),
        callbacks=RichCallbacks(),
    )
    if as_json:
        typer.echo(report.to_json())
    else:
        for finding in report.findings:
            typer.echo(
                f"{SEVERITY_NAMES[finding.severity]}: {finding.name}\n  {finding.sentence}\n  {finding.what_to_do}"
            )
            for case in finding.cases[:3]:
                typer.echo(f"    {case.says}")
            if len(finding.cases) > 3:
                typer.echo(f"    and {len(finding.cases) - 3:,} more (--json lists every one)")
            if finding.because is not None:
                typer.echo(f"  Allowed, because: {finding.because}")
        for outcome in report.clear:
            typer.echo(f"{'Clear' if outcome.applicable else 'Not applicable'}: {outcome.name}\n  {outcome.sentence}")
        typer.echo(describe_outcome(report))
    if not report.passes(strict):
        raise typer.Exit(3)


@app.command()
def describe(manifest: ManifestFile, roots: Roots = None, as_json: AsJson = False) -> None:
    """Count images by label, source and part, and say what is known about them."""
    from pneumoscope.workflows.inspection import describe as describe_manifest

    facts = describe_manifest(manifest, roots=source_roots(roots))
    if as_json:
        print_json(facts)
        return
    _print_counts(facts)
    typer.echo("")
    for name, about in facts["sources"].items():
        known = ", ".join(f"{field} {number}" for field, number in about["known"].items() if number) or "nothing"
        images, groups = format_count(about["images"], "image"), format_count(about["groups"], "group")
        typer.echo(f"{name}: {images}, {groups}, in {about['root']}")
        typer.echo(f"  width {_span(about['width'])}, height {_span(about['height'])}, bits {about['bits']}")
        typer.echo(f"  known: {known}")
        if about["age"]:
            low, median, high = about["age"]
            typer.echo(f"  age {low:g} to {high:g} years, median {median:g}; sex {_tally(about['sex'])}")
        typer.echo(f"  view {_tally(about['view'])}")
        typer.echo(f"  licence {_tally(about['licenses'])}")
        typer.echo(f"  labels: {'; '.join(about['label_provenance']) or 'unknown'}")
    typer.echo(f"rows {facts['rows_hash']}\nsplit {facts['split_hash'] or 'none'}")
    for note in facts["notes"]:
        typer.echo(f"- {note}")


@app.command()
def show(
    manifest: ManifestFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write (.png or .jpg).")],
    part: Annotated[str | None, typer.Option(help=f"Only this part: {', '.join(PARTS)}.")] = None,
    label: Annotated[str | None, typer.Option(help="Only this label.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    columns: Annotated[int, typer.Option(min=1, max=40, help="Images per label and source.")] = 8,
    side: Annotated[int, typer.Option(min=32, max=1024, help="Side of an image on the sheet, in pixels.")] = 160,
    masked: Annotated[bool, typer.Option("--masked", help="Only images with a mask.")] = False,
    seed: Seed = 0,
    roots: Roots = None,
) -> None:
    """Draw a contact sheet: random images of each label and source, with part, name and the outlines of their masks."""
    from pneumoscope.workflows.inspection import draw_contact_sheet

    shown, images = draw_contact_sheet(
        manifest,
        output,
        part=part,
        label=label,
        source=source,
        masked=masked,
        columns=columns,
        side=side,
        seed=seed,
        roots=source_roots(roots),
    )
    typer.echo(f"{shown} of {format_count(images, 'image')} on {output}")


def _print_counts(facts: dict[str, Any]) -> None:
    """Print the table label by source by part, and the findings by part."""
    rows, by_part = facts["counts"], {**facts["findings_by_part"], "all": facts["findings"]}
    parts = [name for name in (*PARTS, "no part") if any(name in row for row in rows)] + ["all"]
    findings = {
        name: {part: _state(by_part[part].get(name)) for part in parts if part in by_part} for name in facts["findings"]
    }
    wide = max(len("source"), *(len(row["source"]) for row in rows)) + 2
    deep = max(len(label) for label in (*LABELS, *(row["label"] for row in rows), *findings)) + 2
    cell = max(13, *(len(text) + 1 for cells in findings.values() for text in cells.values()), 0)
    typer.echo(f"{'source':{wide}}{'label':{deep}}" + "".join(f"{name:>{cell}}" for name in parts))
    for row in rows:
        typer.echo(f"{row['source']:{wide}}{row['label']:{deep}}" + "".join(f"{row.get(p, 0):{cell},}" for p in parts))
    total = {name: sum(row.get(name, 0) for row in rows) for name in parts}
    typer.echo(f"{'all':{wide}}{'':{deep}}" + "".join(f"{total[name]:{cell},}" for name in parts))
    groups = {**facts["groups_by_part"], "all": sum(facts["groups"].values())}
    typer.echo(f"{'groups':{wide}}{'':{deep}}" + "".join(f"{groups.get(name, 0):{cell},}" for name in parts))
    if findings:
        typer.echo("Findings, images with / said to be without:")
    for name, cells in findings.items():
        typer.echo(f"{'':{wide}}{name:{deep}}" + "".join(f"{cells.get(part, ''):>{cell}}" for part in parts))
    typer.echo(f"Groups: {group_counts(facts['groups'])}; the largest has {facts['largest_group']} images.")
    if facts["group_kind"] != "patient":
        typer.echo(f"Some groups are known by {facts['group_kind']} only: true intervals are wider than they seem.")


def _state(numbers: dict[str, int] | None) -> str:
    return f"{numbers['present']:,} / {numbers['absent']:,}" if numbers else "0 / 0"


def _tally(counts: dict[str, int]) -> str:
    return ", ".join(f"{value} {number:,}" for value, number in counts.items())


def _span(ends: list[int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low} to {high}"
