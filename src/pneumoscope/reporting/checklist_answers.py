"""What can be said to each topic of the reporting checklists, from card, recipe, run, evaluation and evidence alone.

Ethics, recruitment, readers, funding: a program that trains on files cannot know them and never guesses; it says what
a person would have to add. "Partly" says both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pneumoscope.bundle.card import Card
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.recipes.recipe import Pretrained, Recipe
from pneumoscope.reporting import formatting
from pneumoscope.reporting.record import Record

Status = Literal["reported", "partly", "not reported", "not applicable"]


class Answer(NamedTuple):
    """What is known of a topic."""

    status: Status
    says: str = ""
    where: tuple[str, ...] = ()
    """Sections of the report."""
    add: str = ""
    """What a person would have to add; empty where nothing is open."""


def reported(says: str, *where: str) -> Answer:
    """Return an answer that is whole."""
    return Answer("reported", says, where)


def partly(says: str, *where: str, add: str) -> Answer:
    """Return an answer that leaves something open."""
    return Answer("partly", says, where, add)


def unknown(add: str, says: str = "") -> Answer:
    """Return that there is no answer, and what would be one."""
    return Answer("not reported", says, (), add)


def inapplicable(says: str) -> Answer:
    """Return that the question does not arise, and why."""
    return Answer("not applicable", says)


def answers(record: Record) -> dict[str, Answer]:
    """Return the answers by topic."""
    return {
        **_people(),
        **_purpose(record),
        **_data(record),
        **_model(record),
        **_results(record),
    }


def _people() -> dict[str, Answer]:
    """Return the topics that only people know."""
    asked = {
        "background": "the clinical context, current practice and earlier models, with references",
        "inequalities": "known health inequalities between groups of people",
        "design": "whether images were collected before or after the study was planned",
        "dates": "start and end of the collection, by source",
        "setting": "kind, number and places of the centres that took the images",
        "treatments": "treatments before the image was taken, where they matter (tubes, lines, ventilation)",
        "deidentification": "how the sources removed what identifies patients",
        "reference-rationale": "why these labels stand for the disease, and what the alternatives were",
        "annotators": "who labelled the images, with what qualification and instructions",
        "annotation-test": "how the test images in particular were labelled",
        "variability": "agreement between and within those who labelled, and how disagreement was settled",
        "blinding": "whether those who labelled knew anything that the model is later compared with",
        "ethics": "the committee, its decision, and consent or its waiver, for each source",
        "funding": "who paid, and what part they had",
        "interests": "conflicts of interest of all authors",
        "protocol": "where the protocol is, or that there was none",
        "registration": "register and number, or that the study was not registered",
        "involvement": "how patients and public took part, or that they did not",
        "implications": "what the results could mean for practice, and what stands in the way",
        "interpretation": "the main results in the light of earlier studies and of fairness",
        "next-steps": "what should be studied next, and where the model might be of use",
    }
    told = {"implications": "None is claimed: research and teaching only."}
    return {topic: unknown(add, told.get(topic, "")) for topic, add in asked.items()}


def _purpose(record: Record) -> dict[str, Answer]:
    card, network = record.card, _network(record.recipe)
    kind = f"A deep-learning classifier of chest radiographs ({network})."
    return {
        "identification": reported(kind, "question"),
        "identification-tripod": partly(
            f"Development of a diagnostic model; outcome: the label {display_name(card.primary)}.",
            "question",
            add="the target population",
        ),
        "summary": partly(
            "Question, data, methods and headline figures stand at the head of this report.",
            "question",
            add="a structured abstract with conclusions",
        ),
        "objectives": partly(
            "Development with internal evaluation; no hypothesis is tested.",
            "question",
            add="hypotheses, if there are any",
        ),
        "goal": reported("To develop a classifier and to say how far it can be trusted; exploratory.", "question"),
        "intended-use": partly(
            f"{card.intended_use} Users: researchers and students.",
            "model",
            add="target population and place in a care pathway, if one is meant",
        ),
        "users": reported(DISCLAIMER.split(". ")[-1], "model"),
        "poor-input": reported(
            "A file that can't be read as a radiograph is an error. An image unlike the calibration images "
            f"(out-of-distribution score above {card.refusal.ood_threshold:.4g}) gets no answer.",
            "model",
        ),
    }  # fmt: skip


def _data(record: Record) -> dict[str, Answer]:
    card, data = record.card, record.data
    parts = by_part(card)
    numbers = "; ".join(f"{part} {count}" for part, count in parts.items())
    unclear = any("unknown" in label.reference_standard for label in card.labels)
    reference = "Labels as the sources give them; how each was made is in the table of classes."
    gate = "" if record.findings is None else " Quality: the findings of the data checks."
    found: dict[str, Answer] = {
        "sources": partly(
            f"{formatting.join_names(formatting.sources_of(card))}, with licences.",
            "data",
            add="links, why these data, and how well they represent those whom the model is meant for",
        ),
        "preprocessing": reported(
            "Grey values from 0 (black) to 1 (white) as the file's format defines them; resized with antialiasing to "
            f"{card.input_size} × {card.input_size} and normalised inside the model; the same for everybody.{gate}",
            "data",
            "training",
        ),
        "missing": reported(
            "The model uses pixels only. Unknown age, sex, view or patient stay unknown; nothing is imputed. An image "
            "that can't be read is named and in no figure.",
            "data",
        ),
        "reference": partly(
            reference, "data", add="what the standard was per image, and when" if unclear else "when it was assessed"
        ),
        "partitions": reported(f"Images by part: {numbers}. Train: weights. Validation: epoch, settings, ranking. "
            "Calibration, never resampled: temperature, thresholds, refusal, prediction sets. Test: kept closed, each "
            "opening logged.", "data"),
        "disjoint": _disjoint(record),
        "sample-size": unknown(
            "a sample size calculation or another reason why the data suffice",
            "The program made no calculation; classes with fewer than 100 groups are marked.",
        ),
        "numbers": reported(f"Images by class and part; in all: {numbers}.", "data"),
        "predictors": reported("The pixels of one frontal radiograph; nothing clinical.", "data"),
        "predictor-measurement": partly(
            "One radiograph as it was stored.", "data", add="devices, technique and time between image and outcome"
        ),
        "predictor-assessors": inapplicable("Pixels need no interpretation by a person."),
        "differences": partly(
            "Parts of the same data, from the same sources; classes by part are in the table.",
            "data",
            add="age, sex and severity by part, where the sources give them",
        ),
        "eligibility": unknown("criteria of inclusion and exclusion, of patients and of images"),
        "subsets": partly(_subsets(record.recipe), "training", add="what was selected before the manifest was made"),
        "acquisition": unknown("manufacturer, technique and view of the images"),
        "characteristics": unknown("age, sex, severity and setting, by part and source"),
        "flow": partly(
            f"Images by part: {numbers}.", "data", add="patients, exclusions with reasons, and a flow diagram"
        ),
    }  # fmt: skip
    return found if data is None else found | _described(data)


def _disjoint(record: Record) -> Answer:
    if record.leaks:
        return reported(f"Not at all levels: the data checks found {formatting.join_names(record.leaks)}.", "data")
    kind = record.card.group_kind
    if kind == "patient":
        return reported("Patients: the images of one stay in one part.", "data")
    says = f"Groups stay in one part: {formatting.describe_groups(kind)}."
    return partly(says, "data", add="patients, where the sources do not name them")


def _described(data: Mapping[str, Any]) -> dict[str, Answer]:
    """Return what the manifest adds."""
    total = int(data["images"])
    known = {
        name: sum(int(source["known"][name]) for source in data["sources"].values())
        for name in ("patient_id", "age", "sex", "view")
    }
    bits = sorted({depth for source in data["sources"].values() for depth in source["bits"]})
    widths = [side for source in data["sources"].values() for side in source["width"]]
    counted = ", ".join(f"{name.replace('_id', '')} of {count}" for name, count in known.items())
    result = {
        "acquisition": partly(
            f"Stored width {min(widths)} to {max(widths)} pixels, {formatting.join_names([str(b) for b in bits])} "
            f"bits; view known of {known['view']} of {total} images.",
            "data",
            add="manufacturer, technique, exposure, and the views that are unknown",
        ),
        "characteristics": partly(
            f"Of {total} images: {counted} known.", "data", add="severity and setting, and all of this by part"
        ),
    }
    if data["notes"]:
        result["eligibility"] = partly(
            "What the import and the split kept and left out is noted in the manifest.",
            "data",
            add="criteria by which the sources chose patients",
        )
    return result


def _subsets(recipe: Recipe | None) -> str:
    if recipe is None:
        return "None is on record."
    left = [display_name(label) for label in recipe.task.ignore]
    return (
        f"Left out by the recipe: {formatting.join_names(left)}."
        if left
        else "None by the recipe: all images of the manifest that have its classes."
    )


def _model(record: Record) -> dict[str, Answer]:
    card, recipe = record.card, record.recipe
    versions = ", ".join(f"{name} {number}" for name, number in card.software.items())
    licences = formatting.join_names([f"{item.source}: {item.licence}" for item in card.licences])
    in_full = reported(
        f"{_network(recipe)}, {card.parameters:,} parameters; the bundle holds the graph (ONNX) and the recipe.",
        "training",
    )
    missing = unknown("the recipe, which this bundle does not hold")
    return {
        "model": in_full,
        "full-model": in_full._replace(says=in_full.says + f" Restrictions by the data's licences: {licences}."),
        "calculation": reported(
            "By the bundle's graph in ONNX Runtime (`pneumoscope predict`), the same as measured here.", "model"
        ),
        "software": reported(versions + ".", "training"),
        "initialisation": missing if recipe is None else reported(start(recipe), "training"),
        "training": missing if recipe is None else reported(
            f"{recipe.training.epochs} epochs at most, {recipe.optimizer.kind}, loss {recipe.loss.kind}, seed "
            f"{recipe.training.seed}; all settings are in the recipe, {card.recipe_hash[:12]}.", "training"
        ),
        "selection": missing if recipe is None else reported(
            f"The epoch by {recipe.selection.metric.replace('_', ' ')}; the test part takes no part in it.", "training"
        ),
        "imbalance": missing if recipe is None else reported(
            f"Class weights: {recipe.loss.class_weights}; sampling: {recipe.training.sampling}. Probabilities are "
            "recalibrated on calibration images that are not resampled.", "training"
        ),
        "ensemble": inapplicable("One network."),
        "output": reported(
            "A calibrated probability for each class. Thresholds: chosen on the calibration part for stated "
            "sensitivities and by Youden, then frozen.", "results", "calibration"
        ),
        "updating": inapplicable("The model was not changed after its evaluation: its identity is a hash."),
        "technical": partly("The resolved recipe and the hashes of data and division.", "training", add="the protocol"),
        "availability": partly(
            f"Software: Pneumoscope, Apache-2.0. Weights: in the bundle, under the data's licences ({licences}).",
            "model", add="where this bundle and the data can be had",
        ),
        "availability-data": partly(f"Licences by source: {licences}.", "data", add="where the data can be had"),
        "availability-code": reported("Pneumoscope, Apache-2.0; the version is under Software.", "training"),
        "explanation": inapplicable("The model explains nothing: it has no heatmap.") if card.heatmap_size is None
        else partly("A heatmap (Grad-CAM) of each class, computed in the graph.", "model",
            add="whether it points at disease: that was not validated"),
        "fairness": unknown(
            "what was done about fairness, and figures by sex, age and origin", "No method for it was applied."
        ),
    }  # fmt: skip


def _results(record: Record) -> dict[str, Answer]:
    card, evaluation = record.card, record.evaluation
    kinds = {fact.kind for fact in record.facts}
    measured = evaluation is not None or bool(card.metrics)
    several = len(card.metrics_by_source) > 1
    performance = (
        reported("All figures with 95% intervals.", "results") if measured else unknown("figures: none were measured")
    )
    tested = bool(record.openings) or (evaluation is not None and evaluation.earlier_openings is not None)
    failures = reported if record.examples else None
    return {
        "measures": reported(
            "Discrimination, decisions at frozen thresholds, calibration, prediction sets, net benefit, refusal.",
            "results", "calibration", "use",
        ),
        "uncertainty": reported("95% intervals that keep groups together; how, is said there.", "intervals"),
        "robustness": reported("The audit's evidence.", "openings") if "audit" in kinds
        else unknown("an analysis under changed inputs", "Not audited."),
        "internal": reported("The test part, see its openings.", "results", "openings") if tested
        else partly("The validation part, which chose the epoch.", "results", add="a test (evaluate --split test)"),
        "external": reported("A site's acceptance is on record.", "openings") if "acceptance" in kinds
        else unknown("figures on images of another site"),
        "performance": performance,
        "performance-subgroups": performance if not measured else partly(
            "With 95% intervals; by source.", "results", add="figures by sex, age and origin"
        ),
        "failures": failures("Confusion matrix, and examples by fixed rules.", "results", "examples") if failures
        else partly("Confusion matrix and figures by source.", "results",
            add="examples of errors in their clinical context (--examples)"),
        "heterogeneity": partly("Figures by source.", "results", add="a model of the spread between sites") if several
        else unknown("figures by centre", "One source only."),
        "limitations": reported("See the limits.", "limits"),
    }  # fmt: skip


def start(recipe: Recipe) -> str:
    """Return how a recipe's weights begin."""
    network = recipe.network
    if isinstance(network.pretrained, Pretrained):
        frozen = ", the trunk kept frozen" if network.frozen else ", fine-tuned"
        return f"Trunk from {network.pretrained.file} ({network.pretrained.licence}){frozen}; head at random."
    if network.pretrained is not None:
        frozen = "frozen" if network.frozen else "fine-tuned"
        return f"Trunk from {network.pretrained} weights, {frozen}; head at random."
    return f"At random, as in {network.initialisation.capitalize()}."


def _network(recipe: Recipe | None) -> str:
    return "a convolutional network" if recipe is None else f"network {recipe.network.name}, head {recipe.head.kind}"


def by_part(card: Card) -> dict[str, int]:
    """Return the number of images in each part, in the order of the parts."""
    parts: dict[str, int] = {}
    for label in card.labels:
        for part, count in label.images.items():
            parts[part] = parts.get(part, 0) + count
    order = ("train", "validation", "calibration", "test")
    return {part: parts[part] for part in (*order, *sorted(set(parts) - {*order})) if part in parts}
