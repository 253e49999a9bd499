"""The topics of the data: sources, reference standard, partitions, numbers and characteristics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pneumoscope.core.labels import display_name
from pneumoscope.recipes.classes import noted_as_left_out
from pneumoscope.reporting import formatting
from pneumoscope.reporting.checklists.answer import TopicAnswer, answer, answer_partly, leave_open, rule_out
from pneumoscope.reporting.record import Record


def answer_data_topics(record: Record) -> dict[str, TopicAnswer]:
    """Return the topics of the data, with the facts of the manifest where there is one."""
    card, data = record.card, record.data
    parts = formatting.count_by_part(card)
    numbers = "; ".join(f"{part} {count}" for part, count in parts.items())
    unclear = any("unknown" in label.reference_standard for label in card.labels)
    reference = "Labels as the sources give them; how each was made is in the table of classes."
    quality = "" if record.findings is None else " Quality: the findings of the data checks."
    topics: dict[str, TopicAnswer] = {
        "sources": answer_partly(
            f"{formatting.join_names(formatting.list_sources(card))}, with licences.",
            "data",
            to_add="links, why these data, and how well they represent the people for whom the model is meant",
        ),
        "preprocessing": answer(
            "Grey values from 0 (black) to 1 (white) as the file's format defines them; resized with antialiasing to "
            f"{card.input_size} × {card.input_size} and normalised inside the model, the same for all images.{quality}",
            "data",
            "training",
        ),
        "missing": answer(
            "The model uses pixels only. Unknown age, sex, view or patient stay unknown; nothing is imputed. An image "
            "that can't be read is named and in no figure.",
            "data",
        ),
        "reference": answer_partly(
            reference, "data", to_add="what the standard was per image, and when" if unclear else "when it was assessed"
        ),
        "partitions": answer(
            f"Images by part: {numbers}. Train: weights. Validation: epoch, settings, ranking. "
            "Calibration, never resampled: temperature, thresholds, refusal, prediction sets. Test: the finished model "
            "alone; each opening is logged.",
            "data",
        ),
        "disjoint": _disjoint(record),
        "sample-size": leave_open(
            "a sample size calculation or another reason why the data suffice",
            "The program made no calculation; classes with fewer than 100 groups are marked.",
        ),
        "numbers": answer(f"Images by class and part; in all: {numbers}.", "data"),
        "predictors": answer("The pixels of one frontal radiograph; nothing clinical.", "data"),
        "predictor-measurement": answer_partly(
            "One radiograph as it was stored.", "data", to_add="devices, technique and time between image and outcome"
        ),
        "predictor-assessors": rule_out("Pixels need no interpretation by a person."),
        "differences": answer_partly(
            "Parts of the same data, from the same sources; classes by part are in the table.",
            "data",
            to_add="age, sex and severity by part, where the sources give them",
        ),
        "eligibility": leave_open("criteria of inclusion and exclusion, of patients and of images"),
        "subsets": answer_partly(_subsets(record), "training", to_add="what was selected before the manifest was made"),
        "acquisition": leave_open("manufacturer, technique and view of the images"),
        "characteristics": leave_open("age, sex, severity and setting, by part and source"),
        "flow": answer_partly(
            f"Images by part: {numbers}.", "data", to_add="patients, exclusions with reasons, and a flow diagram"
        ),
    }
    return topics if data is None else topics | _describe_manifest(data)


def _disjoint(record: Record) -> TopicAnswer:
    if record.leaks:
        return answer(f"Not at all levels: the data checks found {formatting.join_names(record.leaks)}.", "data")
    kind = record.card.group_kind
    if kind == "patient":
        return answer("Patients: the images of one stay in one part.", "data")
    sentence = f"Groups stay in one part: {formatting.describe_groups(kind)}."
    return answer_partly(sentence, "data", to_add="patients, where the sources do not name them")


def _describe_manifest(data: Mapping[str, Any]) -> dict[str, TopicAnswer]:
    """Return the topics that the manifest answers."""
    total = int(data["images"])
    known_counts = {
        name: sum(int(source["known"][name]) for source in data["sources"].values())
        for name in ("patient_id", "age", "sex", "view")
    }
    bits = sorted({depth for source in data["sources"].values() for depth in source["bits"]})
    widths = [side for source in data["sources"].values() for side in source["width"]]
    counted = ", ".join(f"{name.replace('_id', '')} of {count}" for name, count in known_counts.items())
    result = {
        "acquisition": answer_partly(
            f"Stored width {min(widths)} to {max(widths)} pixels, {formatting.join_names([str(b) for b in bits])} "
            f"bits; view known of {known_counts['view']} of {total} images.",
            "data",
            to_add="manufacturer, technique, exposure, and the views that are unknown",
        ),
        "characteristics": answer_partly(
            f"Of {total} images: {counted} known.", "data", to_add="severity and setting, and all of this by part"
        ),
    }
    if data["notes"]:
        result["eligibility"] = answer_partly(
            "What the import and the split kept and left out is noted in the manifest.",
            "data",
            to_add="criteria by which the sources chose patients",
        )
    return result


def _subsets(record: Record) -> str:
    if record.recipe is None:
        return "None is on record."
    none = "None by the recipe: all images of the manifest that have its classes."
    ignored = [display_name(label) for label in record.recipe.task.ignore]
    noted = None if record.data is None else noted_as_left_out(record.data["notes"])
    if noted is not None:
        return f"Left out by the recipe, with the number of images: {'; '.join(noted)}." if noted else none
    # A bundle alone does not say what the data had of them.
    return f"The recipe leaves out {formatting.join_names(ignored)}, where the data have them." if ignored else none
