"""From the tables to the rows that the figures of a site are made of.

Only studies that are asked for count, so that whoever may not see an answer yet can have it left out; the answer to a
study is made from those about its images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pneumoscope.bundle.card import Card
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.figures import ReadRow, ReferenceRow, Target
from pneumoscope.server.storage.crypto import Secret
from pneumoscope.server.storage.tables import Display, Prediction, Read, Reference, Study

if TYPE_CHECKING:
    from sqlalchemy import Select

    Studies = Select[str, str | None]
    """A query for (study, patient)."""


@dataclass(frozen=True, slots=True)
class Period:
    """Studies received in ``start`` <= time < ``end``, in seconds since 1970; None: no limit."""

    start: float | None = None
    end: float | None = None

    def studies(self) -> Studies:
        """Return the query for the studies of this period and their patients."""
        query = select(Study.id, Study.patient)
        if self.start is not None:
            query = query.where(Study.received >= self.start)
        return query if self.end is None else query.where(Study.received < self.end)


@dataclass(frozen=True, slots=True)
class SiteRows:
    """What the figures are made of."""

    reads: list[ReadRow]
    answers: dict[str, str | None]
    """Study -> decision, None where the model kept silent."""
    references: list[ReferenceRow]


def models_that_answered(session: Session, studies: Studies) -> dict[str, int]:
    """Return model -> its answers about these studies, the one with the most first."""
    count = func.count()
    query = (
        select(Prediction.model, count)
        .where(Prediction.state == "done", Prediction.study.in_(studies.with_only_columns(Study.id)))
        .group_by(Prediction.model)
        .order_by(count.desc(), Prediction.model)
    )
    return {model: number for model, number in session.execute(query)}


def target_of(catalogue: Catalogue, model: str, session: Session) -> Target:
    """Return what a model looks for: by its card, or, where the bundle is gone, by the labels of its answers.

    Raises:
        NotFoundError: There is neither.
    """
    entry = catalogue.list_models().get(model)
    if entry is not None:
        return target_of_card(entry.card)
    query = select(Prediction.result).where(Prediction.model == model, Prediction.state == "done").limit(1)
    last = session.scalar(query)
    if last is None:
        raise NotFoundError("model", "is not on this server, and has answered nothing.", "")
    return Target(primary=last["labels"][0], classes={})


def target_of_card(card: Card) -> Target:
    """Return what a card's model looks for, with the labels that were merged into each class."""
    return Target(card.primary, {member: label.name for label in card.labels for member in label.members})


def rows_of(session: Session, secret: Secret, model: str, studies: Studies) -> SiteRows:
    """Return the rows about these studies.

    Args:
        session: To read with.
        secret: Makes the readers' pseudonyms.
        model: Identity, whole.
        studies: Those that count.
    """
    groups = {study: patient or study for study, patient in session.execute(studies)}
    numbers = studies.with_only_columns(Study.id)
    answers = session.execute(
        select(Prediction.id, Prediction.study, Prediction.image, Prediction.result)
        .where(Prediction.model == model, Prediction.state == "done", Prediction.study.in_(numbers))
        .order_by(Prediction.finished, Prediction.id)
    ).all()
    reads = session.scalars(
        select(Read).where(Read.state == "final", Read.study.in_(numbers)).order_by(Read.at, Read.version)
    )
    shown = {prediction for prediction, *_ in answers}
    newest: dict[str, dict[str, dict[str, Any]]] = {}
    for _, study, image, result in answers:  # asked again, a model answers again: the newest counts
        newest.setdefault(study, {})[image] = result or {}
    return SiteRows(
        reads=_reads(reads, groups, shown, secret),
        answers={study: decision_of(results.values()) for study, results in newest.items()},
        references=_references(session, numbers),
    )


def decision_of(results: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the answer to a study of one or more images; None where the model kept silent on all of them.

    It is the primary label if any image is called that; else the likeliest of the images' decisions.

    Args:
        results: As they are stored, one of each image; their first label is the primary one.
    """
    given = [result for result in results if result.get("decision") is not None]
    if not given:
        return None
    primary: str = given[0]["labels"][0]
    decisions: list[str] = [result["decision"] for result in given]
    if primary in decisions:
        return primary
    likeliest = max(given, key=lambda result: result["probabilities"][result["decision"]])
    return str(likeliest["decision"])


def pseudonym(secret: Secret, reader: str) -> str:
    """Return the name under which a reader stands in figures: always the same, and found by nobody without the key."""
    return "reader-" + secret.lookup_key("reader", reader)[:6]


def _reads(reads: Iterable[Read], groups: Mapping[str, str], shown: set[str], secret: Secret) -> list[ReadRow]:
    """Return the final conclusions by study and reader; an aided read counts if it saw this model's answer."""
    found: dict[tuple[str, str], dict[str, str | None]] = {}
    for row in reads:
        said = found.setdefault((row.study, row.reader), {})
        if row.stage == "unaided" and not row.displayed:
            said["unaided"] = row.content.get("conclusion")
        elif row.stage == "aided" and shown.intersection(row.displayed):
            said["aided"] = row.content.get("conclusion")
    return [
        ReadRow(study, groups[study], pseudonym(secret, reader), said.get("unaided"), said.get("aided"))
        for (study, reader), said in found.items()
    ]


def _references(session: Session, numbers: Select[str]) -> list[ReferenceRow]:
    seen: dict[tuple[str, str], float] = {}
    first = select(Display.study, Display.reader, func.min(Display.at)).group_by(Display.study, Display.reader)
    for study, reader, at in session.execute(first.where(Display.study.in_(numbers))):
        seen[study, reader] = at
    rows = session.scalars(select(Reference).where(Reference.study.in_(numbers)).order_by(Reference.at, Reference.id))
    return [
        ReferenceRow(row.study, row.standard, row.label, row.at, seen.get((row.study, row.by), row.at) < row.at)
        for row in rows
    ]
