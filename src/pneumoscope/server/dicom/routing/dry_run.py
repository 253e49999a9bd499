"""What rules would do with the results of a study, without doing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from pneumoscope.core.errors import UsageError
from pneumoscope.server.dicom.objects.analysed import is_uid
from pneumoscope.server.dicom.results.plans import ResultKind
from pneumoscope.server.dicom.routing.routes import (
    FAILED_ANSWER,
    KINDS,
    REFUSED,
    ResultFacts,
    Routes,
    RuleDecision,
    decide,
)
from pneumoscope.server.inference.models import Catalogue, InstalledModel
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ArchivedObject, Image, StoredPrediction, Study
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies.lookup import get_study

OF_MODELS: tuple[ResultKind, ...] = ("report", "segmentation", "presentation", "capture")
"""Kinds of results that a model makes; the others are a reader's."""


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What rules may ask about a study and the answers about it."""

    senders: frozenset[str]
    modalities: frozenset[str]
    body_parts: frozenset[str]
    decisions: Mapping[str, frozenset[str]]
    """By identity of the model."""

    def of(self, kind: str, model: InstalledModel | None) -> ResultFacts:
        """Return the facts of a result of this study.

        Args:
            kind: Of the result.
            model: That made it; None: no model did.
        """
        own = frozenset[str]().union(*self.decisions.values())
        if model is not None:
            own = self.decisions.get(model.identity, frozenset())
        names = frozenset() if model is None else frozenset(names_of(model))
        return ResultFacts(kind, self.senders, self.modalities, self.body_parts, names, own)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What rules say about one result that a study has, or may get."""

    kind: ResultKind
    model: str
    """Its name; empty: no model makes it."""
    decisions: tuple[RuleDecision, ...]

    @property
    def destinations(self) -> tuple[str, ...]:
        """Where it would go."""
        return tuple(dict.fromkeys(name for each in self.decisions for name in each.destinations))


def names_of(model: InstalledModel) -> tuple[str, ...]:
    """Return the names by which a rule may name a model."""
    return model.identity, model.id, model.folder.name, model.card.name


def check_models(where: str, routes: Routes, catalogue: Catalogue) -> None:
    """Check that the models that rules name are on this server.

    Args:
        where: What an error calls the file.
        routes: The rules.
        catalogue: The models.

    Raises:
        UsageError: One is not.
    """
    models = list(catalogue.list_models().values())
    known = {name.casefold() for model in models for name in names_of(model)}
    for name in routes.models:
        if name.casefold() not in known:
            raise UsageError(
                f"{where}: model {name!r}",
                "is not on this server, so that its rule would never match.",
                f"There are: {', '.join(model.card.name for model in models)}.",
            )


def read_facts(session: Transaction, study: str) -> StudyFacts:
    """Return what rules may ask about a study."""
    senders = session.scalars(select(ArchivedObject.sender).where(ArchivedObject.study == study))
    facts = session.scalars(select(Image.facts).where(Image.study == study)).all()
    decisions: dict[str, set[str]] = {}
    answers = select(StoredPrediction.model, StoredPrediction.result).where(
        StoredPrediction.study == study, StoredPrediction.result.is_not(None)
    )
    for model, result in session.execute(answers):
        if word := _decision_of(result or {}):
            decisions.setdefault(model, set()).add(word)
    return StudyFacts(
        senders=frozenset(sender.removeprefix("dicom:") for sender in senders),
        modalities=frozenset(_texts(facts, "modality")),
        body_parts=frozenset(_texts(facts, "body_part")),
        decisions={model: frozenset(words) for model, words in decisions.items()},
    )


def _texts(facts: Sequence[Mapping[str, Any]], name: str) -> Iterable[str]:
    return (str(each[name]) for each in facts if each.get(name))


def _decision_of(result: Mapping[str, Any]) -> str:
    if result.get("error"):
        return FAILED_ANSWER
    return REFUSED if result.get("refused") else str(result.get("decision") or "")


def find_number(store: Store, study: str) -> str:
    """Return the number of a study that is named by its number or its StudyInstanceUID.

    Raises:
        NotFoundError: There is no such study.
    """
    query = select(Study.id).where(
        Study.key == store.secret.lookup_key("study", study.encode()), Study.prior.is_(False)
    )
    with store.read() as session:
        found = session.scalar(query) if is_uid(study) else None
        return get_study(session, study).id if found is None else found


def dry_run(store: Store, catalogue: Catalogue, routes: Routes, study: str) -> list[DryRun]:
    """Return what rules would do with each result that a study has or may get; nothing is made and nothing is sent.

    Args:
        store: The store.
        catalogue: The models of this server.
        routes: Destinations and rules.
        study: Number of the study.

    Raises:
        NotFoundError: There is no such study.
    """
    with store.read() as session:
        get_study(session, study)
        facts = read_facts(session, study)
    models = catalogue.list_models()
    answered: list[InstalledModel | None] = [models[each] for each in facts.decisions if each in models]
    runs = []
    for kind in KINDS:
        for model in answered if kind in OF_MODELS else [None]:
            decisions = tuple(decide(routes, facts.of(kind, model)))
            runs.append(DryRun(kind, "" if model is None else model.card.name, decisions))
    return runs
