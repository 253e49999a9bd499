"""The report of a run: one page from the question to the checklists, for people who must judge a model.

The page states the question, the data, the training, the figures with their intervals, the limits of the model and the
openings of its test images. It also states what a person still has to report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from pneumoscope.bundle import evidence
from pneumoscope.bundle.card import Card, read_card
from pneumoscope.core.files import write_text
from pneumoscope.core.labels import NO_PATTERN, display_name
from pneumoscope.inference.evaluation import AnyEvaluation, FindingsEvaluation
from pneumoscope.inference.opening import headline
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts.figure import to_svg
from pneumoscope.reporting.charts.training_curves import draw_training_curve
from pneumoscope.reporting.checklists.fill import fill_checklists
from pneumoscope.reporting.examples import Example
from pneumoscope.reporting.model_card import render_model_card
from pneumoscope.reporting.pages import sections
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.reporting.pages.checks import SEVERITY_NAMES, render_numbers_chart
from pneumoscope.reporting.pages.findings import build_findings_context, warn_of_few
from pneumoscope.reporting.pages.predictions import build_example_context
from pneumoscope.reporting.record import Record, find_run_folder, read_record
from pneumoscope.stats.figures import BY_CLASS, OVERALL

SECTIONS: Mapping[str, str] = {
    "question": "Question",
    "data": "Data and checks",
    "training": "Training",
    "findings": "Findings",
    "results": "Results",
    "calibration": "Calibration",
    "use": "Use",
    "examples": "Examples",
    "limits": "Limits",
    "openings": "Openings of test",
    "model": "Model",
    "intervals": "Intervals",
    "checklists": "Checklists",
}
"""Anchor -> name, in the order of the page."""

STATUSES = ("reported", "partly", "not reported", "not applicable")
REPORT = "report.html"


def render_run_page(record: Record, examples: Sequence[Example] = ()) -> str:
    """Return the report of a run, or of a bundle alone, as a self-contained HTML page.

    Args:
        record: What is known of the run or the bundle.
        examples: Images to show. They may show patients.
    """
    card, evaluation = record.card, record.evaluation
    missing = {"use", "intervals"} if evaluation is None else set()
    missing |= set() if examples else {"examples"}
    if card.multilabel:
        missing |= {"results", "calibration", "use", "examples", "intervals"}
    else:
        missing |= {"findings"}
    figures = _figures_of(evaluation, card)
    validation = next((part for part in card.metrics if part.part == "validation"), None)
    # The card of a multi-label model has its figures in the table of findings.
    keys = [] if card.multilabel else ["accuracy", f"{card.primary}/auroc"]
    keys += (
        [] if card.multilabel else [f"{card.default_operating_point}/{side}" for side in ("sensitivity", "specificity")]
    )
    if evaluation is not None:
        chosen, where = headline(evaluation, card), sections.name_part(evaluation.part)
    else:
        metrics = {} if validation is None else validation.metrics
        chosen = {key: metrics[key] for key in keys if key in metrics}
        where = sections.name_part("validation")
    page: str = load_templates().get_template("run.html").render(
        **figures,
        **build_example_context(examples, card),
        title=f"{card.name}, version {card.version}",
        identity=record.identity,
        stamps=_stamps(record),
        anchors={anchor: name for anchor, name in SECTIONS.items() if anchor not in missing},
        question=formatting.describe_question(card),
        numbers=describe_images(record),
        group_words=formatting.describe_groups(card.group_kind),
        checks_verdict=formatting.describe_checks(record.findings),
        findings=record.findings,
        checks=record.checks,
        says=SEVERITY_NAMES,
        render_numbers_chart=render_numbers_chart,
        finding_columns=formatting.FINDING_COLUMNS,
        finding_lines=formatting.finding_rows(card),
        card_meanings=formatting.merge_meanings({point.name: point.meaning for point in card.operating_points}),
        headline=chosen,
        headline_part=where,
        headline_keys=keys,
        test_words=formatting.describe_openings(record.openings),
        parts=list(formatting.count_by_part(card)),
        data=record.data,
        leaks=formatting.join_names(record.leaks),
        counts_text=format_counts,
        recipe=record.recipe,
        training=list_training_rows(record),
        curves=_curves(record),
        kept=record.kept_epoch,
        by_class_keys=BY_CLASS,
        overall_keys=OVERALL,
        no_pattern=NO_PATTERN,
        openings=record.openings,
        facts=sections.list_facts(card, record.identity),
        checklists=fill_checklists(record),
        statuses=STATUSES,
    )  # fmt: skip
    return page


def _figures_of(evaluation: AnyEvaluation | None, card: Card) -> dict[str, Any]:
    """Return the values of an evaluation, by the templates' names, or those of the card where there is none."""
    if evaluation is None:
        return {"evaluation": None, "card": card, "primary": display_name(card.primary)}
    if isinstance(evaluation, FindingsEvaluation):
        return build_findings_context(evaluation, card)
    return sections.build_context(evaluation, card)


def rewrite_reports(bundle: Path) -> list[Path]:
    """Write the card of a bundle again, and the report of its run if it has one, because evidence was added.

    A bundle in a read-only place keeps its ``CARD.md``. The commands ``models show`` and ``report`` show its openings.

    Returns:
        The files that were written.
    """
    card, identity = read_card(bundle)
    pages = []
    if not evidence.is_read_only(bundle):
        facts = evidence.read(bundle, identity)
        write_text(
            bundle / "CARD.md",
            render_model_card(
                card, identity, evidence.openings(facts), evidence.audits(facts), evidence.acceptances(facts)
            ),
        )
        pages.append(bundle / "CARD.md")
    folder = find_run_folder(bundle)
    if folder is not None and (folder / REPORT).is_file():
        write_text(folder / REPORT, render_run_page(read_record(bundle)))
        pages.append(folder / REPORT)
    return pages


def describe_images(record: Record) -> str:
    """Return the number of images and their sources, on which a model was developed, in words."""
    parts = formatting.count_by_part(record.card)
    counts = ", ".join(f"{part} {count:,}" for part, count in parts.items())
    return f"{sum(parts.values()):,} images of {formatting.join_names(formatting.list_sources(record.card))}: {counts}"


def format_counts(values: Mapping[str, int]) -> str:
    """Return the counts of the values of a column: PA 30, AP 12, unknown 4."""
    return ", ".join(f"{name} {count}" for name, count in values.items())


def list_training_rows(record: Record) -> list[tuple[str, str]]:
    """Return how a model was trained, as rows of name and text."""
    card, recipe, machine = record.card, record.recipe, record.environment
    versions = dict(card.software) | (dict(machine["packages"]) if machine is not None else {})
    rows = [] if recipe is None else _recipe_rows(recipe)
    said, listed = formatting.describe_changes(card.recipe_changes)
    items = Markup("").join(Markup("<li>{}</li>").format(change) for change in listed)
    changes = Markup('<ul class="plain">{}</ul>').format(items) if listed else ""
    rows.insert(0, ("Recipe", escape(f"{card.recipe_name} ({card.recipe_hash[:12]}); {said}") + changes))
    if record.curve:
        epoch = record.kept_epoch
        duration = "" if record.seconds is None else f", {formatting.format_duration(record.seconds)}"
        rows.append(("Epochs run", f"{len(record.curve)}{duration}" + ("" if epoch is None else f"; kept: {epoch}")))
    rows.append(
        (
            "Calibration",
            formatting.describe_calibration(card) + (", on unresampled calibration images" if card.calibrated else ""),
        )
    )
    if machine is not None:
        named = (str(machine[key]) for key in ("processor", "device", "precision", "system"))
        rows.append(("Machine", ", ".join(named)))
    rows.append(("Software", ", ".join(f"{name} {number}" for name, number in versions.items())))
    return rows


def _recipe_rows(recipe: Recipe) -> list[tuple[str, str]]:
    augment = [
        key.replace("_", " ") if value is True else f"{key.replace('_', ' ')} {value:g}"
        for key, value in recipe.augment.model_dump(exclude={"fill"}).items()
        if value
    ]
    optimizer, schedule, plan = recipe.optimizer, recipe.schedule, recipe.training
    hidden = f", hidden {', '.join(map(str, recipe.head.hidden))}" if recipe.head.hidden else ""
    stop = (
        ""
        if plan.early_stopping is None
        else f", stopped after {plan.early_stopping.patience} epochs without improvement"
    )
    rows = [
        ("Network", f"{recipe.network.name}, head {recipe.head.kind}{hidden}"),
        ("Start", formatting.describe_start(recipe)),
        ("Input", f"{recipe.input.size} × {recipe.input.size}, {recipe.input.channels} channel(s)"),
        ("Augmentation", ", ".join(augment) or "none"),
        ("Loss", f"{recipe.loss.kind}, class weights {recipe.loss.class_weights}, sampling {plan.sampling}"),
        ("Optimizer", f"{optimizer.kind}, learning rate {optimizer.lr:g}, schedule {schedule.kind}"),
        ("Length", f"at most {plan.epochs} epochs of batches of {plan.batch_size}{stop}; seed {plan.seed}"),
        ("Kept epoch", f"by {recipe.selection.metric.replace('_', ' ')}"),
    ]
    return [*rows, ("Source", recipe.source)] if recipe.source else rows


def _curves(record: Record) -> list[tuple[str, str]]:
    """Return the charts of the training, title and SVG; none of a metric that was not measured."""
    figures = {
        title: draw_training_curve(record.curve, metric, title, record.kept_epoch)
        for metric, title in (("loss", "Loss"), ("accuracy", "Accuracy"))
    }
    return [(title, to_svg(figure)) for title, figure in figures.items() if figure is not None]


def _stamps(record: Record) -> list[str]:
    evaluation = record.evaluation
    stamps = list(record.card.stamps)
    if evaluation is not None:
        few = warn_of_few(evaluation) if isinstance(evaluation, FindingsEvaluation) else evaluation.figures.warnings
        stamps += [*evaluation.stamps, *few]
    if record.card.synthetic:
        stamps.append("synthetic: drawn images, no patients; the figures say nothing about radiographs")
    audited = evidence.is_audited(record.facts, record.card.asked_findings)
    return list(dict.fromkeys(evidence.filter_stamps(stamps, audited=audited)))
