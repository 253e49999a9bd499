"""The topics of title, objectives and intended use."""

from __future__ import annotations

from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.reporting import formatting
from pneumoscope.reporting.checklists.answer import TopicAnswer, answer, answer_partly
from pneumoscope.reporting.record import Record


def answer_purpose_topics(record: Record) -> dict[str, TopicAnswer]:
    """Return the topics of title, objectives and intended use."""
    card, network = record.card, formatting.describe_network(record.recipe)
    names = [display_name(name) for name in card.label_names]
    outcome = f"the labels {formatting.join_names(names)}" if card.multilabel else f"the label {names[0]}"
    kind = f"A deep-learning classifier of chest radiographs ({network})."
    return {
        "identification": answer(kind, "question"),
        "identification-tripod": answer_partly(
            f"Development of a diagnostic model; outcome: {outcome}.",
            "question",
            to_add="the target population",
        ),
        "summary": answer_partly(
            "Question, data, methods and headline figures stand at the head of this report.",
            "question",
            to_add="a structured abstract with conclusions",
        ),
        "objectives": answer_partly(
            "Development with internal evaluation; no hypothesis is tested.",
            "question",
            to_add="hypotheses, if there are any",
        ),
        "goal": answer("To develop a classifier and to say how far it can be trusted; exploratory.", "question"),
        "intended-use": answer_partly(
            f"{card.intended_use} Users: researchers and students.",
            "model",
            to_add="target population and place in a care pathway, if one is meant",
        ),
        "users": answer(DISCLAIMER.split(". ")[-1], "model"),
        "poor-input": answer(
            "A file that can't be read as a radiograph is an error. An image unlike the calibration images "
            f"(out-of-distribution score above {card.refusal.ood_threshold:.4g}) gets no answer.",
            "model",
        ),
    }
