"""Where results go: destinations and rules as data, from a YAML file, and the reason for each choice.

A destination is a research archive unless the file says otherwise. One for clinical use needs a legal basis, who
approved it and when: without them the server does not start.
"""

from __future__ import annotations

import datetime
import random
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from pneumoscope.core.errors import CheckRefusedError, UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.registry import suggestion
from pneumoscope.core.strict_yaml import load_strictly
from pneumoscope.server.dicom.results.plans import ResultKind
from pneumoscope.server.dicom.routing.address import ArchiveAddress, Printable, check_address
from pneumoscope.server.dicom.routing.prior_rule import PriorRule

KINDS: tuple[ResultKind, ...] = get_args(ResultKind)
REFUSED, FAILED_ANSWER = "refused", "failed"
"""Decisions that are no label: the model refused the image; the model failed."""
_NO_MODEL = "it is no model's result"
_LONGEST_SHOWN = 120


class Destination(ArchiveAddress):
    """An archive that takes results by C-STORE."""

    commit: bool = Field(default=False, description="ask for storage commitment of what was sent (PS3.4 J)")
    kind: Literal["research", "clinical"] = "research"
    legal_basis: str = ""  # it may have several lines
    approver: Printable = ""
    date: datetime.date | None = None


Texts = tuple[Printable, ...]


class Conditions(Frozen):
    """What a result must be for a rule to match; a condition that is not given holds always."""

    sender: Texts = Field(default=(), description="AE title of a peer that sent an image of the study")
    modality: Texts = Field(default=(), description="of an image of the study")
    body_part: Texts = Field(default=(), description="of an image of the study")
    model: Texts = Field(default=(), description="that made the result: its name or number")
    decision: Texts = Field(default=(), description="a label that was decided, `refused` or `failed`")

    @field_validator("*", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        if value is None or value == []:
            raise ValueError("an empty condition says nothing: leave it out where any value will do")
        return (value,) if isinstance(value, str) else value


class RoutingRule(Frozen):
    """Which results go where."""

    name: Printable = Field(min_length=1)
    when: Conditions = Conditions()
    kinds: tuple[ResultKind, ...] = Field(default=("report",), min_length=1)
    to: Texts = Field(min_length=1)

    @field_validator("to", "kinds", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class RetryRule(Frozen):
    """How often what could not be sent is sent again."""

    first_seconds: float = Field(
        default=5.0, gt=0, le=86_400, description="before the second attempt; each pause doubles"
    )
    longest_seconds: float = Field(default=900.0, gt=0, le=86_400, description="the longest pause")
    dead_after_hours: float = Field(
        default=72.0, gt=0, le=8760, description="after which it has failed and is not tried again"
    )

    def pause_after(self, attempts: int) -> float:
        """Return the seconds until the next attempt: each pause doubles up to the longest, less up to a half by chance.

        Chance keeps senders that failed together from coming back together.

        Args:
            attempts: That failed, at least one.
        """
        pause = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempts - 1, 60))
        return pause * random.uniform(0.5, 1.0)


class Routes(Frozen):
    """A whole file."""

    destinations: dict[Printable, Destination] = Field(default_factory=dict)
    priors: PriorRule | None = None
    rules: tuple[RoutingRule, ...] = ()
    match: Literal["all", "first"] = Field(default="all", description="whether the first rule that matches is the last")
    retry: RetryRule = RetryRule()

    @model_validator(mode="after")
    def _says_something(self) -> Routes:
        if not self.destinations and self.priors is None:
            raise ValueError("destinations: there should be at least 1, or priors")
        return self

    @property
    def kinds(self) -> tuple[ResultKind, ...]:
        """The kinds of results that any rule sends."""
        return tuple(kind for kind in KINDS if any(kind in rule.kinds for rule in self.rules))

    @property
    def models(self) -> tuple[str, ...]:
        """The models that rules name."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.when.model))


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """What rules may ask about a result."""

    kind: str
    senders: frozenset[str]
    modalities: frozenset[str]
    body_parts: frozenset[str]
    model: frozenset[str]
    """All names of the model that made it; empty: no model did."""
    decisions: frozenset[str]
    """Of that model about the study, or of all models where none made it."""


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """What one rule says about one result."""

    rule: str
    matches: bool
    reasons: tuple[str, ...]
    """One sentence for each condition, and why a rule that would match does not count."""
    destinations: tuple[str, ...]
    """Empty where it does not match."""


def decide(routes: Routes, facts: ResultFacts) -> list[RuleDecision]:
    """Return what each rule says about a result, in the order of the file."""
    decisions: list[RuleDecision] = []
    for rule in routes.rules:
        checks = [_check_kind(rule, facts), *_check_conditions(rule.when, facts)]
        matches, reasons = all(holds for holds, _ in checks), tuple(reason for _, reason in checks)
        earlier = next((each.rule for each in decisions if each.matches), None)
        if matches and routes.match == "first" and earlier is not None:
            matches, reasons = False, (*reasons, f"rule {earlier!r} matched before it, and the first match counts")
        decisions.append(RuleDecision(rule.name, matches, reasons, rule.to if matches else ()))
    return decisions


def _check_kind(rule: RoutingRule, facts: ResultFacts) -> tuple[bool, str]:
    holds = facts.kind in rule.kinds
    return holds, f"kind {facts.kind} is {'among' if holds else 'none of'} {', '.join(rule.kinds)}"


def _check_conditions(when: Conditions, facts: ResultFacts) -> list[tuple[bool, str]]:
    """Return for each condition that is given whether it holds, and a sentence about it."""
    found = {
        "sender": facts.senders,
        "modality": facts.modalities,
        "body_part": facts.body_parts,
        "model": facts.model,
        "decision": facts.decisions,
    }
    checks = []
    for name, values in found.items():
        wanted: Texts = getattr(when, name)
        if not wanted:
            continue
        known = {value.casefold(): value for value in sorted(values)}
        common = [known[value.casefold()] for value in wanted if value.casefold() in known]
        if common:
            checks.append((True, f"{name} is {', '.join(common)}"))
        else:
            none = _NO_MODEL if name == "model" else "the study says nothing"
            checks.append((False, f"{name} is none of {', '.join(wanted)}: {', '.join(sorted(values)) or none}"))
    return checks


def read_routes(path: Path) -> Routes:
    """Read destinations and rules.

    Args:
        path: A YAML file, see docs/operations/pacs.md.

    Raises:
        UsageError: The file breaks the schema, names a destination that it does not define, or would send names of
            patients in the clear.
        CheckRefusedError: A destination for clinical use has no legal basis, approver or date.
    """
    try:
        data = load_strictly(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(str(path), "is not there.", "Name the YAML file of destinations and rules.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition("\n")[0]
        raise UsageError(str(path), f"can't be read as YAML: {reason}.") from error
    if not isinstance(data, Mapping):
        raise UsageError(str(path), "is no YAML mapping.", "Give it destinations and rules.")
    try:
        routes = Routes.model_validate(data)
    except ValidationError as error:
        raise _describe(path, data, error) from error
    _check_names(path, routes)
    if routes.priors is not None:
        check_address(f"{path}: priors.archive", routes.priors.archive)
    for name, destination in routes.destinations.items():
        _check_destination(f"{path}: destinations.{name}", destination)
    return routes


def _describe(path: Path, data: Mapping[str, Any], error: ValidationError) -> UsageError:
    # An unknown key first: it is often the misspelt name of one that is missing.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    steps = first["loc"]
    if no_text := first["type"] == "invalid_key":
        steps = steps[:-1]
    elif steps[-1:] == ("[key]",):
        no_text, steps = first["type"] == "string_type", steps[:-2]
    where = _name_place(path, data, steps)
    if no_text:
        return UsageError(
            where, f"has the key {_show(first['input'])}, which is no text.", "Put it in quotation marks."
        )
    if first["type"] == "extra_forbidden":
        known = _keys_beside(first["loc"])
        return UsageError(
            where, f"is no key there.{suggestion(str(first['loc'][-1]), known)}", f"Keys there: {', '.join(known)}."
        )
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "missing" else f", found {_show(first['input'])}"
    return UsageError(where, f"{message[:1].lower()}{message[1:]}{given}.", "Correct it there.")


def _name_place(path: Path, data: Mapping[str, Any], steps: Sequence[str | int]) -> str:
    """Return what an error calls a place in the file: a rule by its name, and no place in a list by its number."""
    keys = ".".join(step for step in steps if isinstance(step, str))
    if len(steps) < 2 or steps[0] != "rules" or not isinstance(steps[1], int):
        return ": ".join(filter(None, (str(path), keys)))
    rule = data["rules"][steps[1]]
    name = rule.get("name") if isinstance(rule, Mapping) else None
    called = f"rule {name!r}" if isinstance(name, str) and name else f"rule number {steps[1] + 1}"
    return ": ".join(filter(None, (str(path), called, keys.partition(".")[2])))


def _keys_beside(steps: Sequence[str | int]) -> list[str]:
    """Return the keys that are known where an unknown one stands."""
    model: type[Frozen] = Routes
    is_name = False
    for step in steps[:-1]:
        if not is_name and isinstance(step, str):
            annotation = model.model_fields[step].annotation
            is_name = get_origin(annotation) is dict  # the next step is a destination's name
            model = _model_in(annotation)
        else:
            is_name = False
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """Return the model in the annotation of a field that holds one, several, or one or None."""
    inner = [found for each in get_args(annotation) if (found := _model_in(each)) is not None]
    return annotation if isinstance(annotation, type) and issubclass(annotation, Frozen) else next(iter(inner), None)


def _show(value: Any) -> str:
    """Return a value for an error."""
    try:
        return textwrap.shorten(repr(value), _LONGEST_SHOWN, placeholder="…")
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def _check_names(path: Path, routes: Routes) -> None:
    seen: set[str] = set()
    for rule in routes.rules:
        if rule.name in seen:
            raise UsageError(f"{path}: rule {rule.name!r}", "is there twice.", "Give each rule a name of its own.")
        seen.add(rule.name)
        for name in rule.to:
            if name not in routes.destinations:
                raise UsageError(
                    f"{path}: rule {rule.name!r}",
                    f"sends to {name!r}, which is no destination.{suggestion(name, routes.destinations)}",
                    f"Destinations: {', '.join(routes.destinations)}.",
                )


def _check_destination(where: str, destination: Destination) -> None:
    check_address(where, destination)
    if destination.kind == "clinical":
        given: Sequence[tuple[str, object]] = (
            ("legal_basis", destination.legal_basis.strip()),
            ("approver", destination.approver.strip()),
            ("date", destination.date),
        )
        if missing := [name for name, value in given if not value]:
            raise CheckRefusedError(
                where,
                f"is for clinical use and has no {', '.join(missing)}: this is research software.",
                "Record on what basis, by whom and when it was approved, or make it kind: research.",
            )
        if destination.date is not None and destination.date > datetime.date.today():
            raise CheckRefusedError(
                where, f"was approved on {destination.date}, which is yet to come.", "Wait until then."
            )
