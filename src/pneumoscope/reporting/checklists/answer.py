"""The answer to a topic of a checklist, and the four kinds of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["reported", "partly", "not reported", "not applicable"]


class Answer(NamedTuple):
    """What the program knows of a topic."""

    status: Status
    text: str = ""
    sections: tuple[str, ...] = ()
    """Anchors of the sections of the report that hold it."""
    to_add: str = ""
    """What a person has to add; empty where nothing is open."""


def answer(text: str, *sections: str) -> Answer:
    """Return an answer that leaves nothing open."""
    return Answer("reported", text, sections)


def answer_partly(text: str, *sections: str, to_add: str) -> Answer:
    """Return an answer that leaves something open."""
    return Answer("partly", text, sections, to_add)


def leave_open(to_add: str, text: str = "") -> Answer:
    """Return that the program has no answer, and what would be one."""
    return Answer("not reported", text, (), to_add)


def rule_out(text: str) -> Answer:
    """Return that the question does not arise, and why."""
    return Answer("not applicable", text)
