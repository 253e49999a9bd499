"""CARD.md: the card in prose and tables, in the order of Mitchell et al., Model Cards for Model Reporting, FAT* 2019.

All its content comes from ``card.json``, so that the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pneumoscope.bundle.card import Card, PartMetrics, Refusal
from pneumoscope.bundle.evidence import AcceptanceFact, AuditFact, Opening, filter_stamps, is_audited
from pneumoscope.bundle.signatures import UNSIGNED
from pneumoscope.core.labels import DISCLAIMER, NO_PATTERN, display_name
from pneumoscope.reporting.formatting import (
    FINDING_COLUMNS,
    describe_acceptance,
    describe_audit,
    describe_calibration,
    describe_changes,
    describe_groups,
    describe_openings,
    describe_question,
    finding_figures,
    finding_rows,
    format_bytes,
    format_time,
    join_names,
    list_footnotes,
    merge_meanings,
    name_figure,
    name_point,
)
from pneumoscope.stats.estimates import Estimate, PredictionSets
from pneumoscope.stats.plain_language import SCORES_UNKNOWN, describe_share

_BORDERS = {
    "kept": "not cut off: the graph sees them, as in its training and its figures",
    "cut": "cut off before the graph looks, in its training and its figures too",
    "cut-after-training": "cut off before the graph looks and in its figures; its training saw them",
}
"""What happens to flat borders, by `Card.borders`."""


def render_model_card(
    card: Card,
    identity: str,
    openings: Sequence[Opening] = (),
    audits: Sequence[AuditFact] = (),
    acceptances: Sequence[AcceptanceFact] = (),
) -> str:
    """Return the model card as Markdown.

    Args:
        card: The bundle's card.
        identity: SHA-256 of ``card.json``.
        openings: The openings of test images with this bundle, from its evidence.
        audits: Of this bundle, from its evidence, oldest first; the last one is shown.
        acceptances: Of this bundle at sites, oldest first; the last one is shown.
    """
    blocks = [
        f"# {card.name} {card.version}",
        f"> **{DISCLAIMER}**",
        *(
            f"> **Warning: {stamp}.**"
            for stamp in filter_stamps(card.stamps, audited=is_audited(audits, card.asked_findings))
        ),
        *(["> **Trained on drawn images (phantoms): for demonstration only.**"] if card.synthetic else []),
        *([f"> **{describe_audit(audits[-1])}**"] if audits else []),
        *([f"> **{describe_acceptance(acceptances[-1])}**"] if acceptances else []),
        card.summary,
        "## The question",
        *describe_question(card),
        *_list_details(card, identity),
        "## Intended use",
        card.intended_use,
        "It does not look for: " + "; ".join(card.not_looked_for) + ".",
        f'Where {_no_answer_of(card)}, every screen says "{NO_PATTERN}". That is not a healthy chest.',
        *_data(card),
        *_checks(card),
        *_decisions(card),
        *_figures(card),
        *_show_audit(audits),
        *_show_acceptance(acceptances),
        *_list_openings(openings),
        "## Limits, caveats and recommendations",
        _bullets(card.limits),
        "Measure it on your own images before you trust any of its figures: `pneumoscope evaluate`.",
    ]
    return "\n\n".join(blocks) + "\n"


def _list_details(card: Card, identity: str) -> list[str]:
    said, listed = describe_changes(card.recipe_changes)
    return [
        "## Model details",
        _table(
            ("", ""),
            [
                ("Identity (SHA-256 of card.json)", f"`{identity}`"),
                ("Graph (SHA-256 of model.onnx)", f"`{card.model_sha256}`, {format_bytes(card.model_bytes)}"),
                ("Created", f"{card.created}, with " + ", ".join(f"{k} {v}" for k, v in card.software.items())),
                ("Recipe", f"{card.recipe_name} (`{card.recipe_hash[:12]}`); {said}"),
                ("Task", _describe_task(card)),
                (
                    "Input",
                    f"one frontal radiograph of any size, resized inside to {card.input_size} x {card.input_size}",
                ),
                ("Flat borders", _BORDERS[card.borders]),
                ("Parameters", f"{card.parameters:,}"),
                ("Calibrated", describe_calibration(card)),
            ],
        ),
        *(["Changes to the recipe:", _bullets(listed)] if listed else []),
    ]


def _no_answer_of(card: Card) -> str:
    return "it names none of its findings" if card.multilabel else 'its answer is the class "normal"'


def _describe_task(card: Card) -> str:
    if card.multilabel:
        return f"multi-label, {len(card.labels)} findings, each answered by itself"
    return f"{card.kind}, {len(card.labels)} classes, primary: {display_name(card.primary)}"


def _data(card: Card) -> list[str]:
    parts = sorted({part for label in card.labels for part in label.images})
    rows = [
        (
            display_name(label.name),
            ", ".join(label.members),
            label.reference_standard,
            *(str(label.images.get(part, 0)) for part in parts),
        )
        for label in card.labels
    ]
    licences = [(item.source, item.licence, str(item.images or "")) for item in card.licences]
    return [
        "## Data",
        f"Groups that stay together in splits and intervals: {describe_groups(card.group_kind)}. "
        f"Data `{card.data_hash[:12]}`, division `{card.split_hash[:12]}`.",
        _table(("class", "labels merged into it", "how its labels were made", *parts), rows),
        "The weights are under the licences of their training data, not under that of the code:",
        _table(("source", "licence", "images"), licences),
    ]


def _checks(card: Card) -> list[str]:
    if card.gate is None:
        return []
    lines = [
        f"**{finding.severity}**, {finding.name}: {finding.sentence}"
        + (f" *Allowed, because: {finding.because}*" if finding.because is not None else "")
        for finding in card.gate.findings
    ]
    return ["### Data checks", _bullets(lines) if lines else "The checks found nothing."]


def _decisions(card: Card) -> list[str]:
    if card.multilabel:
        return [
            "## Decisions",
            "A finding is named where its score reaches its own default threshold, which was chosen on the calibration "
            "part; its sensitivity and specificity there come from the same images and are optimistic. `card.json` has "
            "the other thresholds, the observed shares by score and the prediction sets of each finding.",
            _table(FINDING_COLUMNS, finding_rows(card)),
            _describe_refusal(card),
        ]
    points = [
        (
            name_point(point.name) + (" (default)" if point.name == card.default_operating_point else ""),
            f"{point.threshold:.4f}",
            str(point.sensitivity),
            str(point.specificity),
        )
        for point in card.operating_points
    ]
    prior = ", ".join(
        f"{display_name(label.name)} {share:.1%}" for label, share in zip(card.labels, card.class_prior, strict=True)
    )
    blocks = [
        "## Decisions",
        f"The thresholds are for the score of {display_name(card.primary)}. They were chosen on the calibration part. "
        "These figures come from the same images and are optimistic:",
        _table(("operating point", "threshold", "sensitivity", "specificity"), points),
        f"Classes of the calibration part ({card.calibration_images or 'an unknown number of'} images): {prior}. "
        "At another prevalence the same score means another risk.",
    ]
    if card.one_band:
        blocks.append(f"The model has {SCORES_UNKNOWN}.")
    elif card.score_bands:
        bands = [
            (
                f"{band['low']:.3f} to {band['high']:.3f}",
                f"{band['rate']:.1%} [{band['rate_low']:.1%}, {band['rate_high']:.1%}]",
                f"{band['n']:.0f}",
            )
            for band in card.score_bands
        ]
        blocks += [
            "The shares that were observed on the calibration part, by band of that score:",
            _table(("score", f"were {display_name(card.primary)}", "images"), bands),
        ]
    meanings = merge_meanings({point.name: point.meaning for point in card.operating_points})
    blocks += [f"**{names[:1].upper()}{names[1:]}.** {sentence}" for names, sentence in meanings]
    if card.prediction_sets is not None:
        blocks += _sets(card.prediction_sets)
    return [*blocks, _describe_refusal(card)]


def _describe_refusal(card: Card) -> str:
    return (
        f"The model gives no answer where the out-of-distribution score exceeds {card.refusal.ood_threshold:.4g}."
        + _who_exceeds(card.refusal)
    )


def _who_exceeds(refusal: Refusal) -> str:
    if refusal.images is None or refusal.kept is None:
        return " The card does not say how many calibration images chose it."
    exceed = describe_share(refusal.images - refusal.kept, refusal.images)
    return f" Of the calibration images that chose it, {exceed} exceed it."


def _sets(sets: PredictionSets) -> list[str]:
    rows = [
        (
            display_name(name),
            str(sets.patient_coverage.get(name, "not measured")),
            str(sets.coverage.get(name, "not measured")),
            "{:.3f} to {:.3f}".format(*sets.expected[name]) if threshold else "",
            str(sets.groups[name]) + ("" if threshold else ": too few to rule anything out"),
        )
        for name, threshold in sets.thresholds.items()
    ]
    always = [display_name(name) for name, threshold in sets.thresholds.items() if not threshold]
    return [
        f"A prediction set contains every class that the model can't rule out. It should contain the true class for "
        f"{100 * (1 - sets.alpha):.0f} of 100 patients of each class ({sets.method}), if new images of a class look "
        "like its calibration images. Where patients with more images have the harder ones, fewer of all images are "
        "covered." + (" `card.json` has thresholds of sets that hold per image, too." if sets.image_thresholds else ""),
        _table(
            (
                "class",
                f"contained it per patient, on {sets.measured_on or 'no part'}",
                "per image",
                "range by chance",
                "calibration groups",
            ),
            rows,
        ),
        *([f"Every set contains {join_names(always)}, so that a share of 1 says nothing."] if always else []),
        *([] if sets.mean_size is None else [f"Classes in a set: {sets.mean_size:.2f} of {len(rows)} on average."]),
    ]


def _figures(card: Card) -> list[str]:
    blocks = ["## Figures, with 95% intervals"]
    if card.multilabel:
        for finding in card.findings:
            for part in finding.metrics:
                heading = f"### {display_name(finding.name)}, {part.part}"
                blocks += [heading, _describe_part(part), *_show_figures(finding_figures(part.metrics))]
        return blocks
    if not card.metrics:
        return [*blocks, "No figures were measured."]
    for part in card.metrics:
        blocks += [f"### {part.part}", _describe_part(part), *_show_figures(part.metrics)]
    for source, parts in card.metrics_by_source.items():
        for part in parts:
            headline = {k: v for k, v in part.metrics.items() if v.value is not None and _is_headline(k, card.primary)}
            heading = f"### {part.part}, source {source} only"
            blocks += [heading, _describe_part(part), *_show_figures(headline)]
    return blocks


def _is_headline(key: str, primary: str) -> bool:
    return key in ("accuracy", f"{primary}/auroc") or key.startswith("sensitivity-95/")


def _describe_part(part: PartMetrics) -> str:
    return (
        f"{part.images} images in {part.groups} groups ({describe_groups(part.group_kind)}); data `{part.data[:12]}`."
        + (
            " This part chose the epoch: expect slightly lower figures on new images."
            if part.part == "validation"
            else ""
        )
    )


def _show_figures(metrics: Mapping[str, Estimate]) -> list[str]:
    """Return the table of figures, and below it what its marks mean."""
    rows = [(name_figure(key), f"{figure}{'*' if figure.may_be_short else ''}") for key, figure in metrics.items()]
    notes = [note.replace("*", "\\*", 1) for note in list_footnotes(metrics)]  # else a list in Markdown
    return [_table(("figure", "value [95% interval]"), rows), *notes]


def _show_audit(audits: Sequence[AuditFact]) -> list[str]:
    if not audits:
        return []
    audit = audits[-1]
    about = (
        f"{format_time(audit.time)}, {audit.images} images of part {audit.part}, data `{audit.data[:12]}`. "
        f"`{audit.command}` This record is {audit.signed or UNSIGNED}."
    )
    rows = [(name, verdict, str(audit.effects.get(name, ""))) for name, verdict in audit.tests.items()]
    return ["## Audit", describe_audit(audit), about, _table(("test", "verdict", "effect [95% interval]"), rows)]


def _show_acceptance(acceptances: Sequence[AcceptanceFact]) -> list[str]:
    if not acceptances:
        return []
    newest = acceptances[-1]
    earlier = f" Plans before this one that looked at some of these images: {newest.earlier_plans}."
    about = (
        f"{format_time(newest.time)}, {newest.images} images, {newest.sampling} sampling, data `{newest.data[:12]}`; "
        f"reference: {newest.reference}, within {newest.window_days} days.{earlier} `{newest.command}` This record is "
        f"{newest.signed or UNSIGNED}."
    )
    minima = newest.minima.model_dump()
    rows = [(name, str(figure), f"{minima[name]:g}") for name, figure in newest.figures.items()]
    rows.append(("refused images", str(newest.refused), ""))
    head = ("figure, refused images against the model", "value [95% interval]", "lower limit at least")
    return ["## Site acceptance", describe_acceptance(newest), about, _table(head, rows)]


def _list_openings(openings: Sequence[Opening]) -> list[str]:
    blocks = ["## Openings of test images", describe_openings(openings)]
    for opening in openings:
        about = (
            f"{opening.images} images of part {opening.part}, data `{opening.data[:12]}`; openings of these images "
            f"before this one: {opening.earlier_openings}. `{opening.command}`"
            + (f" {opening.note}" if opening.note else "")
            + f" This record is {opening.signed or UNSIGNED}."
        )
        blocks += [f"### Opened {format_time(opening.time)}", about, *_show_figures(opening.headline)]
    return blocks


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(head), "|" + " --- |" * len(head), *map(line, rows)])
