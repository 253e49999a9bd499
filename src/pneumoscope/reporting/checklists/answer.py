"""The answer to a topic of a checklist, and its four kinds."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["reported", "partly", "not reported", "not applicable"]


class Answer(NamedTuple):
    """The program's answer to a topic."""

    status: Status
    text: str = ""
    sections: tuple[str, ...] = ()
    """Anchors of the sections of the report that hold the facts."""
    to_add: str = ""
    """What a person has to add; empty where nothing is open."""


def answer(text: str, *sections: str) -> Answer:
    """Return an answer that leaves nothing open."""
    return Answer("reported", text, sections)


def answer_partly(text: str, *sections: str, to_add: str) -> Answer:
    """Return an answer that leaves something open."""
    return Answer("partly", text, sections, to_add)


def leave_open(to_add: str, text: str = "") -> Answer:
    """Return the lack of an answer, with what a person has to add."""
    return Answer("not reported", text, (), to_add)


def rule_out(text: str) -> Answer:
    """Return the reason why the question does not apply."""
    return Answer("not applicable", text)
