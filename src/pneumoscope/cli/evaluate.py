"""`pneumoscope evaluate`: a bundle measured on a part of a manifest, every figure with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_note, wide_console
from pneumoscope.cli.options import (
    AsJson,
    DesignOption,
    Examples,
    Finding,
    IgnoreOther,
    Part,
    Roots,
    Workers,
    command_line,
    source_roots,
)
from pneumoscope.core.labels import DISCLAIMER, display_name, result_phrase
from pneumoscope.stats.design import LEAST_RESAMPLES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pneumoscope.inference.evaluation import Evaluation, EvaluationFacts, FindingsEvaluation
    from pneumoscope.stats.comparison.noninferiority import NonInferiority
    from pneumoscope.stats.estimates import Estimate


def evaluate(
    bundle: Annotated[
        str, typer.Argument(help="A bundle's or a run's folder, or: builtin, opacity, covid.", metavar="BUNDLE")
    ],
    data: Annotated[Path, typer.Option(help="The manifest (Parquet).", metavar="MANIFEST")],
    split: Part = "validation",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the evaluation as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    examples: Examples = None,
    roots: Roots = None,
    ignore_other: IgnoreOther = False,
    allow_train: Annotated[
        bool, typer.Option("--allow-train", help="Measure training images; the result says so.")
    ] = False,
    design: DesignOption = None,
    recalibrate: Annotated[
        bool, typer.Option("--recalibrate", help="Give figures of recalibrated probabilities too (another site).")
    ] = False,
    reference: Annotated[
        str | None, typer.Option(help="Compare with this bundle on the same images.", metavar="BUNDLE")
    ] = None,
    non_inferiority_margin: Annotated[
        list[str] | None,
        typer.Option(
            help="How much worse than the reference it may be: 0.02 (AUROC), or sensitivity=0.05; may be repeated.",
            metavar="MARGIN",
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(min=LEAST_RESAMPLES, help="Draws of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap.")] = 0,
    workers: Workers = None,
    finding: Finding = None,
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on a part of a manifest, torch-free, every figure with its 95% interval.

    An image that cannot be read is named and in no figure; the exit code is then 1. With the same images, seed and
    resamples, --json differs from run to run in created, seconds and images_per_second alone.
    """
    from pneumoscope.workflows.early_checks import check_evaluation

    folders = source_roots(roots)
    check_evaluation(bundle, data, split)
    if reference is not None:
        check_evaluation(reference, None, split)
    from pneumoscope.bundle.runtime import load
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.inference.evaluation import Evaluation
    from pneumoscope.workflows.evaluate import evaluate as evaluate_bundle

    model = load(bundle)
    other = None if reference is None else load(reference)
    if finding is not None:
        model.card.view(finding)  # refuses one that it does not know, before the work
        if other is not None:
            model, other = model.about(finding), other.about(finding)
    evaluation = evaluate_bundle(
        model,
        data,
        split,
        roots=folders,
        ignore_other=ignore_other,
        allow_train=allow_train,
        design=design,
        recalibrate=recalibrate,
        reference=other,
        non_inferiority_margin=non_inferiority_margin or (),
        resamples=resamples,
        seed=seed,
        workers=workers,
        output=output,
        html=html,
        examples=examples,
        command=command_line(),
        callbacks=RichCallbacks(),
    )
    if as_json:
        typer.echo(evaluation.to_json(), nl=False)
    else:
        point = model.card.default_operating_point
        if isinstance(evaluation, Evaluation):
            show(evaluation, point, finding=finding is not None)
        elif finding is not None:
            show(evaluation.of(finding), point, finding=True)
        else:
            show_findings(evaluation, point)
    if recalibrate and isinstance(evaluation, Evaluation) and evaluation.recalibrated is None:
        print_note("Not recalibrated: fewer than 10 groups of the first class, or of the others.")
    for failure in evaluation.failures:
        print_note(f"{failure.image}: {failure.error}", error=True)
    for path in filter(None, (output, html)):
        print_note(f"Wrote {path}.")
    if evaluation.failures:
        raise typer.Exit(1)


def show_findings(evaluation: FindingsEvaluation, default_point: str) -> None:
    """Print an evaluation of a multi-label model: a row for each finding, the averages, the disclaimer."""
    from pneumoscope.reporting.formatting import name_figure, name_point

    console = wide_console(160)
    _print_facts(console, evaluation, evaluation.images)
    heads = ("present", "absent", "AUROC", "average precision", "sensitivity", "specificity", "slope")
    table = _table(f"Every finding, at its threshold for {name_point(default_point)}", "", *heads)
    for name, measured in evaluation.findings.items():
        figures, of_finding = measured.figures, measured.figures.by_class[name]
        point = next(one for one in figures.operating if one.name == default_point)
        present = figures.class_images[name]
        estimates = (of_finding["auroc"], of_finding["auprc"], point.sensitivity, point.specificity)
        cells = (str(present), str(figures.images - present), *map(_cell, estimates))
        table.add_row(display_name(name), *cells, _cell(of_finding["calibration_slope"]))
    console.print(table)
    for name, why in evaluation.not_measured.items():
        console.print(f"{display_name(name)} was not measured: {why}.")
    over = "the findings that were measured" if evaluation.not_measured else "all findings"
    table = _table(f"Over {over}", "", "")
    for key, estimate in evaluation.shown_averages.items():
        table.add_row(name_figure(key), _cell(estimate))
    console.print(table)
    if len(evaluation.findings) == 1:
        console.print(f"{display_name(next(iter(evaluation.findings)))} alone was measured: each average is its own.")
    share = evaluation.refused_share
    console.print(f"No answer: {evaluation.refused} of {evaluation.images} images, share {_cell(share)}.")
    tabled = [
        (measured.figures.by_class[name][key] for key in ("auroc", "auprc", "calibration_slope"))
        for name, measured in evaluation.findings.items()
    ]
    at_points = [
        (point.sensitivity, point.specificity)
        for measured in evaluation.findings.values()
        for point in measured.figures.operating
        if point.name == default_point
    ]
    _print_footnotes(console, [tuple(each) for each in tabled], at_points, evaluation.shown_averages, share)
    console.print("The figures of one finding in full: --finding LABEL; of all: --html PAGE.")
    console.print(DISCLAIMER, style="dim")


def _print_facts(console: Console, evaluation: EvaluationFacts, images: int) -> None:
    """Print what was measured, and the warnings."""
    from pneumoscope.stats.design import design_sentence

    console.print(f"[bold]{evaluation.model}[/] ({evaluation.identity[:12]}) on {evaluation.part}: {images} images")
    console.print(evaluation.group_sentence)
    console.print(design_sentence(evaluation.design))
    for stamp in evaluation.stamps:
        console.print(f"Warning: {stamp}.", style="yellow")


def show(evaluation: Evaluation, default_point: str, *, finding: bool = False) -> None:
    """Print an evaluation: what was measured, warnings, figures, decisions, sources, the disclaimer.

    Args:
        evaluation: Of a model, or of one finding of a multi-label model.
        default_point: The operating point that decides.
        finding: Whether it is of one finding: what takes the largest probability as the decision is then left out.
    """
    from pneumoscope.reporting.formatting import DECIDED_BY_LARGEST, finding_figures, name_figure, name_point
    from pneumoscope.stats.recalibration import calibration_figures

    figures = evaluation.figures
    console = wide_console(120)  # the width that the tables need, so that no figure is cut
    _print_facts(console, evaluation, figures.images)
    overall = {} if finding else figures.overall
    of_answered = {} if finding or evaluation.answered is None else evaluation.answered.overall
    table = _table("All classes together", "", "all images", *(["answered only"] if of_answered else []))
    for key, estimate in overall.items():
        answered = [of_answered[key]] if of_answered else []
        table.add_row(name_figure(key), *map(_cell, (estimate, *answered)))
    if overall:
        console.print(table)
    share = evaluation.refused_share
    console.print(f"No answer: {evaluation.refused} of {figures.images} images, share {_cell(share)}.")

    classes = figures.classes[:1] if finding else figures.classes
    heads = [f"{display_name(c)}\n{figures.class_images[c]} images" for c in classes]
    title = "Every class against the rest (decision: the largest probability)"
    table = _table("Figures without a threshold" if finding else title, "", *heads)
    by_class = [key for key in figures.by_class[classes[0]] if not (finding and key in DECIDED_BY_LARGEST)]
    for key in by_class:
        table.add_row(name_figure(key), *(_cell(figures.by_class[c][key]) for c in classes))
    console.print(table)

    primary = display_name(figures.classes[0])
    table = _table(f"{primary} at the frozen thresholds", "", "threshold", "sensitivity", "specificity")
    for point in figures.operating:
        name = name_point(point.name) + (" (default)" if point.name == default_point else "")
        table.add_row(name, f"{point.threshold:.4f}", _cell(point.sensitivity), _cell(point.specificity))
    console.print(table)

    shown_calibration = calibration_figures(figures.classes[0])
    if evaluation.recalibrated is not None:
        before, after = figures.flat(), evaluation.recalibrated.flat()
        table = _table("Recalibrated on these images, each patient by the others", "", "as it is", "recalibrated")
        for key in shown_calibration:
            table.add_row(name_figure(key), _cell(before[key]), _cell(after[key]))
        console.print(table)

    columns = list(next(iter(evaluation.decisions.values())))
    heads = [name if name not in figures.classes else result_phrase(name) for name in columns]
    table = _table("What the screen would have said", "truth", *heads)
    for name, row in evaluation.decisions.items():
        table.add_row(display_name(name), *(str(row[column]) for column in columns))
    console.print(table)

    if len(evaluation.by_source) > 1:
        of_source = next(iter(evaluation.by_source.values())).metrics
        keys = list(finding_figures(of_source) if finding else of_source)
        table = _table("By source", "source", "images", *(name_figure(key) for key in keys))
        for name, source in evaluation.by_source.items():
            table.add_row(name, str(source.images), *(_cell(source.metrics[key]) for key in keys))
        console.print(table)
        _show_sites(evaluation, console)
    if evaluation.by_subgroup:
        columns = ["images", f"of {primary}", "AUROC", "less the others'", "p (Holm)", "sensitivity", "specificity"]
        table = _table("By subgroup, at the default threshold", "", *columns)
        for one in evaluation.by_subgroup:
            p = "–" if one.p_value is None else f"{one.p_value:.3f}"
            counts = (str(one.images), str(one.positives))
            rates = (_cell(one.sensitivity), _cell(one.specificity))
            table.add_row(one.name, *counts, _cell(one.auroc), _cell(one.difference), p, *rates)
        wide_console(180).print(table)
    if evaluation.non_inferiority is not None:
        _show_reference(evaluation.non_inferiority, console)
    several: tuple[object, ...] = ()
    if len(evaluation.by_source) > 1:
        sources = [each.metrics[key] for each in evaluation.by_source.values() for key in keys]
        several = (sources, [each.mean for each in evaluation.by_site])
    recalibrated = {} if evaluation.recalibrated is None else evaluation.recalibrated.flat()
    _print_footnotes(
        console,
        (overall, [figures.by_class[c][key] for c in classes for key in by_class], of_answered),
        evaluation.refused_share,
        [(point.sensitivity, point.specificity) for point in figures.operating],
        [(figures.flat()[key], each) for key, each in recalibrated.items() if key in shown_calibration],
        (*several, evaluation.by_subgroup, evaluation.non_inferiority),
    )
    console.print(DISCLAIMER, style="dim")


def _print_footnotes(console: Console, *shown: object) -> None:
    """Print what the mark * means, where a figure that was shown has it."""
    from pneumoscope.reporting.formatting import list_footnotes

    for line in list_footnotes(*shown):
        console.print(line, markup=False)


def _show_sites(evaluation: Evaluation, console: Console) -> None:
    """Print the figures over all sources: the mean, and what a new one may have."""
    from pneumoscope.reporting.formatting import name_figure

    table = _table(
        "Over the sources (random effects)", "", "pooled", "mean", "a new site", "tau", "I2", "p of no difference"
    )
    for one in evaluation.by_site:
        pooled = sum(site.weight is not None for site in one.sites.values())
        spread = ["–"] * 3
        if one.tau is not None and one.i_squared is not None and one.p_value is not None:
            spread = [f"{one.tau:.3f} ({one.scale})", f"{100 * one.i_squared:.0f}%", f"{one.p_value:.3f}"]
        limits = (one.prediction.low, one.prediction.high)
        new_site = "–" if limits[0] is None or limits[1] is None else f"{limits[0]:.3f} to {limits[1]:.3f}"
        table.add_row(name_figure(one.figure), f"{pooled} of {len(one.sites)}", _cell(one.mean), new_site, *spread)
    console.print(table)
    reasons = {name: site.note for one in evaluation.by_site for name, site in one.sites.items() if site.note}
    for name, why in reasons.items():
        console.print(f"Not pooled, {name}: {why}.", markup=False)


def _show_reference(compared: NonInferiority, console: Console) -> None:
    """Print the differences from the reference, with the verdicts on stated margins."""
    from pneumoscope.reporting.formatting import name_figure

    title = f"Less the reference, {compared.reference} ({compared.reference_identity[:12]}): {compared.images} images"
    table = _table(title, "", "difference", "margin", "verdict")
    for one in compared.results:
        margin = "–" if one.margin is None else f"{one.margin:g}"
        table.add_row(name_figure(one.figure), _cell(one.difference), margin, one.verdict)
    console.print(table)
    if compared.claim:
        console.print(compared.stated)


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head)
    return table


def _cell(estimate: Estimate) -> str:
    """Return a figure and its interval, short: brackets would be read as markup."""
    if estimate.value is None:
        return "not estimable"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f} (no interval)"
    mark = "*" if estimate.may_be_short else ""
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}){mark}"
