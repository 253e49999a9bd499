"""The names of metrics, operating points and groups, and the formats of numbers, wherever a person reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from pydantic import BaseModel

from pneumoscope.bundle.card import Card, CheckNote
from pneumoscope.bundle.evidence import AcceptanceFact, AuditFact, Opening
from pneumoscope.core.counts import format_count
from pneumoscope.core.labels import absent_name, display_name, inside_sentence
from pneumoscope.recipes.pretrained import Pretrained
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.stats.estimates import Estimate

POINTS: Mapping[str, str] = MappingProxyType(
    {
        "youden": "Youden's point",
        "sensitivity-95": "target sensitivity .95",
        "sensitivity-98": "target sensitivity .98",
    }
)


def name_point(name: str) -> str:
    """Return the name of an operating point on screen."""
    return POINTS.get(name, name)


def merge_meanings(meanings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what operating points mean, each sentence once: points with the same threshold have the same one.

    Args:
        meanings: Operating point -> sentence; an empty one is left out.

    Returns:
        The names of the points, joined, and their sentence, in the order of the points.
    """
    names: dict[str, list[str]] = {}
    for point, sentence in meanings.items():
        if sentence:
            names.setdefault(sentence, []).append(name_point(point))
    return [(join_names(points), sentence) for sentence, points in names.items()]


def name_metric(name: str) -> str:
    """Return a metric's name on a page; an unknown name stays as it is."""
    from pneumoscope.stats.metric_table import TITLES  # here: it brings SciPy, which `predict` does not need

    return TITLES.get(name, name)


def name_figure(key: str) -> str:
    """Return the name of a metric on screen, of ``accuracy``, ``covid-19/auroc``, ``youden/sensitivity``."""
    from pneumoscope.stats.finding_averages import TITLES

    if key in TITLES:
        return TITLES[key]
    owner, _, figure = key.rpartition("/")
    name = name_metric(figure)
    if not owner:
        return name
    return f"{name} at {name_point(owner)}" if owner in POINTS else f"{display_name(owner)}: {name}"


def describe_groups(kind: str) -> str:
    """Return in a few words what a group is, and what that means."""
    if kind == "patient":
        return "patients"
    if kind == "image":
        return "single images, patients unknown: the true interval is wider"
    return f"at weakest a {kind}, patients not all known: the true interval is wider"


def format_time(iso: str) -> str:
    """Return a time (UTC, ISO 8601) to the minute, without the letters of the format."""
    return f"{iso[:10]} {iso[11:16]} UTC" if len(iso) >= 16 else iso


def format_bytes(size: int) -> str:
    """Return a number of bytes in MB, or in kB where it is small."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"


def format_value(estimate: Estimate, digits: int = 3) -> str:
    """Return the value alone; a dash where there is none."""
    return "–" if estimate.value is None else f"{estimate.value:.{digits}f}"


def format_interval(estimate: Estimate, digits: int = 3) -> str:
    """Return the interval alone, or that it is not estimable; nothing where there is no value."""
    if estimate.value is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return "interval not estimable"
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"


def format_estimate(estimate: Estimate, digits: int = 3, *, percent: bool = False) -> str:
    """Return value and interval in one line."""
    factor, unit, digits = (100.0, "%", 1) if percent else (1.0, "", digits)
    if estimate.value is None:
        return "not estimable"
    if estimate.low is None or estimate.high is None:
        return f"{factor * estimate.value:.{digits}f}{unit} (interval not estimable)"
    return (
        f"{factor * estimate.value:.{digits}f}{unit} "
        f"({factor * estimate.low:.{digits}f} to {factor * estimate.high:.{digits}f}{unit})"
    )


def list_footnotes(*shown: object) -> list[str]:
    """Return what the mark * of intervals means, each reason once; empty where no interval has it.

    Args:
        shown: Estimates, or models, mappings and sequences that hold them.
    """
    notes = {estimate.note for estimate in _estimates(shown) if estimate.may_be_short}
    return [f"* {note[0].upper()}{note[1:]}." for note in sorted(notes)]


def _estimates(value: object) -> Iterator[Estimate]:
    if isinstance(value, Estimate):
        yield value
    elif isinstance(value, BaseModel):
        for _, each in value:
            yield from _estimates(each)
    elif isinstance(value, Mapping):
        yield from _estimates(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _estimates(each)


def join_names(names: Sequence[str], last: str = "and") -> str:
    """Return names as a list in words: a, b and c; nothing without names."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


LONGEST_CHANGES = 160
"""Characters of the changes of a recipe in one line; more of them are a list."""


def describe_changes(changes: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the changes of a recipe in a phrase, and those that need a list; none where the phrase has them."""
    joined = "; ".join(changes) or "none"
    if len(joined) <= LONGEST_CHANGES:
        return f"changes: {joined}", ()
    return format_count(len(changes), "change"), tuple(changes)


def list_sources(card: Card) -> list[str]:
    """Return the names of the sources whose images trained a model."""
    return [item.source for item in card.licences if not item.source.startswith("starting weights")]


def describe_question(card: Card) -> tuple[str, ...]:
    """Return the purpose of a model and the limits of its answers, in sentences. Report and card share them."""
    if card.multilabel:
        task = (
            f"tell of each of these findings whether a frontal chest radiograph is labelled with it, by its pixels "
            f"alone: {join_names([inside_sentence(display_name(name)) for name in card.label_names])}?"
        )
    else:
        task = _ask_of_classes(card)
    images = "drawn images (phantoms)" if card.synthetic else "images"
    parts = f"kept apart by groups ({describe_groups(card.group_kind)})."
    if card.leaks:
        found = " ".join(f"{leak.name}: {leak.sentence}" for leak in card.leaks)
        parts = (
            f"which are not kept apart. The data checks found {found} So the figures are partly memory, and higher "
            "than on new patients."
        )
    return (
        f"Among {images} like those of {join_names(list_sources(card))}: can a network {task}",
        f"The model is developed and measured on parts of the same data, {parts} This says nothing about another site, "
        "another device, another time or another mix of patients, and nothing about whether it helps a reader.",
    )


def _ask_of_classes(card: Card) -> str:
    others = join_names([display_name(name) for name in card.label_names[1:]], "or")
    return (
        f"tell a frontal chest radiograph labelled {display_name(card.primary)} from one labelled {others}, by its "
        "pixels alone?"
    )


def format_duration(seconds: float, digits: int = 0) -> str:
    """Return a time in seconds, or in minutes from two minutes on."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.{digits}f} min"


def describe_audit(audit: AuditFact) -> str:
    """Return an audit in a line or two: its verdict, why, and what to expect at another site."""
    what = f"Audit{_about(audit.finding)}: {audit.verdict}. {audit.reason}"
    return " ".join(filter(None, [what, audit.new_site]))


def _about(finding: str) -> str:
    """Return which finding of a multi-label model a fact is about; nothing for other models."""
    return f" of {inside_sentence(display_name(finding))}" if finding else ""


def describe_acceptance(acceptance: AcceptanceFact) -> str:
    """Return a site's acceptance in a line or two: its verdict, on what cases, and why."""
    return (
        f"Site acceptance{_about(acceptance.finding)}: {acceptance.verdict}, on {acceptance.patients_with} patients "
        f"with and {acceptance.patients_without} without disease. {acceptance.reason}"
    )


def describe_openings(openings: Sequence[Opening]) -> str:
    """Return in a sentence how often test images were measured with a model."""
    if not openings:
        return "No opening of test images is on record for this model."
    first = openings[0]
    times = "once" if len(openings) == 1 else f"{len(openings)} times"
    before = (
        "the first opening of these images"
        if not first.earlier_openings
        else f"opened {first.earlier_openings} times before, by others"
    )
    return f"Opened {times} with this model, first on {format_time(first.time)}: {first.images} images, {before}."


def describe_checks(findings: Sequence[CheckNote] | None) -> str:
    """Return in a sentence or two what the data checks found before a training."""
    if findings is None:
        return "The data checks did not run: this model was trained before they existed, or without them."
    if not findings:
        return "The data checks found nothing that leaks or confounds."
    standing = [finding for finding in findings if finding.because is None]
    parts = []
    for severity, verb in (("block", "would block a training"), ("warn", "warn of"), ("note", "note")):
        names = [finding.name for finding in standing if finding.severity == severity]
        parts += [f"The data checks {verb}: {join_names(names)}."] if names else []
    allowed = [finding.name for finding in findings if finding.because is not None]
    parts += [f"Allowed by the user, with a reason: {join_names(allowed)}."] if allowed else []
    return " ".join(parts)


def count_by_part(card: Card) -> dict[str, int]:
    """Return part -> number of images, in the order of the parts."""
    parts = dict(card.images_by_part)
    for label in () if parts else card.labels:
        for part, count in label.images.items():
            parts[part] = parts.get(part, 0) + count
    order = ("train", "validation", "calibration", "test")
    return {part: parts[part] for part in (*order, *sorted(set(parts) - {*order})) if part in parts}


def describe_start(recipe: Recipe) -> str:
    """Return where the first weights of a recipe come from."""
    network = recipe.network
    if isinstance(network.pretrained, Pretrained):
        frozen = ", the trunk kept frozen" if network.frozen else ", fine-tuned"
        scaled = f", {network.pretrained.scaling}" if network.pretrained.scaling else ""
        return f"Trunk from {network.pretrained.file} ({network.pretrained.licence}){frozen}{scaled}; head at random."
    if network.pretrained is not None:
        frozen = "frozen" if network.frozen else "fine-tuned"
        return f"Trunk from {network.pretrained} weights, {frozen}; head at random."
    return f"At random, as in {network.initialisation.capitalize()}."


def describe_network(recipe: Recipe | None) -> str:
    """Return the network and head of a recipe."""
    return "a convolutional network" if recipe is None else f"network {recipe.network.name}, head {recipe.head.kind}"


def describe_calibration(card: Card) -> str:
    """Return how a model's scores were calibrated, in a few words."""
    if not card.calibrated:
        return "none"
    if card.multilabel:
        return "one temperature and one bias per finding"
    return f"temperature {card.temperature:.3f}, one bias per class"


DECIDED_BY_LARGEST = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1")
"""Figures that take the class with the largest probability as the decision. A finding is decided by its own threshold,
which these would contradict."""


def finding_figures(metrics: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Return the figures of a finding's part that are shown: of its presence, and at its own thresholds."""
    return {
        key: estimate
        for key, estimate in metrics.items()
        if not key.startswith(absent_name(""))
        and (key.partition("/")[0] in POINTS or key.rpartition("/")[2] not in DECIDED_BY_LARGEST)
    }


FINDING_COLUMNS = (
    "finding", "present in calibration", "threshold", "sensitivity there", "specificity there", "AUROC on validation",
    "sensitivity on validation", "specificity on validation",
)  # fmt: skip
"""Heads of `finding_rows`."""


def finding_rows(card: Card) -> list[tuple[str, ...]]:
    """Return a row for each finding of a multi-label card, at its default threshold; columns as `FINDING_COLUMNS`."""
    rows = []
    for finding, point in zip(card.findings, card.finding_points, strict=True):
        metrics = next((part.metrics for part in finding.metrics if part.part == "validation"), {})
        keys = (f"{finding.name}/auroc", f"{point.name}/sensitivity", f"{point.name}/specificity")
        rows.append(
            (
                display_name(finding.name),
                f"{finding.prior:.1%}",
                f"{point.threshold:.4f}",
                str(point.sensitivity),
                str(point.specificity),
                *(str(metrics.get(key, "not measured")) for key in keys),
            )
        )
    return rows
