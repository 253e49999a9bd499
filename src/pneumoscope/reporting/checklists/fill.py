"""Fill in the checklists, only as far as a program can know the answers.

The answers come from card, recipe, run, evaluation and evidence alone. A program that trains on files cannot know about
ethics, recruitment, readers or funding. It guesses none of them and says what a person has to add; "partly" marks an
answer that needs an addition. The authors of a paper must fill in what says "not reported".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pneumoscope.reporting.checklists.answer import TopicAnswer
from pneumoscope.reporting.checklists.catalogue import CLAIM, TRIPOD_AI, Checklist, Item
from pneumoscope.reporting.checklists.data import answer_data_topics
from pneumoscope.reporting.checklists.model import answer_model_topics
from pneumoscope.reporting.checklists.people import answer_people_topics
from pneumoscope.reporting.checklists.purpose import answer_purpose_topics
from pneumoscope.reporting.checklists.results import answer_result_topics
from pneumoscope.reporting.record import Record


class FilledChecklist(NamedTuple):
    """A checklist with its answers."""

    checklist: Checklist
    sections: tuple[tuple[str, tuple[tuple[Item, TopicAnswer], ...]], ...]
    counts: dict[str, int]
    """Status -> number of items."""


def answer_topics(record: Record) -> dict[str, TopicAnswer]:
    """Return topic -> answer, of all topics of the checklists."""
    return {
        **answer_people_topics(),
        **answer_purpose_topics(record),
        **answer_data_topics(record),
        **answer_model_topics(record),
        **answer_result_topics(record),
    }


def fill_checklists(record: Record, checklists: Sequence[Checklist] = (CLAIM, TRIPOD_AI)) -> list[FilledChecklist]:
    """Return the checklists with what is known of a run, and what a person has to add."""
    answers = answer_topics(record)
    result = []
    for checklist in checklists:
        sections = tuple(
            (section.name, tuple((item, answers[item.topic]) for item in section.items))
            for section in checklist.sections
        )
        counts: Counter[str] = Counter(answer.status for _, items in sections for _, answer in items)
        result.append(FilledChecklist(checklist, sections, dict(counts)))
    return result
