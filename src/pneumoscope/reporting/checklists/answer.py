"""The answer to a topic of a checklist, and its four kinds."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["reported", "partly", "not reported", "not applicable"]


class TopicAnswer(NamedTuple):
    """The program's answer to a topic."""

    status: Status
    text: str = ""
    sections: tuple[str, ...] = ()
    """Anchors of the sections of the report that hold the facts."""
    to_add: str = ""
    """What a person has to add; empty where nothing is open."""


def answer(text: str, *sections: str) -> TopicAnswer:
    """Return an answer that leaves nothing open."""
    return TopicAnswer("reported", text, sections)


def answer_partly(text: str, *sections: str, to_add: str) -> TopicAnswer:
    """Return an answer that leaves something open."""
    return TopicAnswer("partly", text, sections, to_add)


def leave_open(to_add: str, text: str = "") -> TopicAnswer:
    """Return the lack of an answer, with what a person has to add."""
    return TopicAnswer("not reported", text, (), to_add)


def rule_out(text: str) -> TopicAnswer:
    """Return the reason why the question does not apply."""
    return TopicAnswer("not applicable", text)
