"""Queries: from the tables to the rows that the figures of a site are computed from.

Only the studies of a given query count, so that answers which a user may not see yet can be left out. The answer about
a study is made from the answers about its images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.prediction import join_findings, split_decision
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import LabelSet
from pneumoscope.core.registry import suggestion
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.figures import ReadRow, ReferenceRow, Target
from pneumoscope.server.reading.period import is_among
from pneumoscope.server.reading.shown import find_first_shown
from pneumoscope.server.storage.crypto import Secret
from pneumoscope.server.storage.tables import Read, Reference, StoredPrediction, Study

if TYPE_CHECKING:
    from pneumoscope.server.reading.period import Studies

_AT_ONCE = 10_000
"""Studies that one query names; SQLite takes 32,766."""


@dataclass(frozen=True, slots=True)
class SiteRows:
    """The rows that the figures are computed from."""

    reads: list[ReadRow]
    answers: dict[str, str | None]
    """Study -> decision, None where the model kept silent."""
    references: list[ReferenceRow]


def count_answers(session: Session, studies: Studies) -> dict[str, int]:
    """Return model -> number of its answers about these studies, the largest first."""
    count = func.count()
    query = (
        select(StoredPrediction.model, count)
        .where(StoredPrediction.state == "done", is_among(StoredPrediction.study, studies))
        .group_by(StoredPrediction.model)
        .order_by(count.desc(), StoredPrediction.model)
    )
    return {model: number for model, number in session.execute(query)}


def find_target(catalogue: Catalogue, model: str, session: Session, finding: str | None = None) -> Target:
    """Return what a model looks for: by its card, or, where the bundle is gone, by the labels of its answers.

    Args:
        catalogue: The models of the server.
        model: Identity, whole.
        session: A session to read with.
        finding: Which of a multi-label model's findings; None: its first, or what another model looks for.

    Raises:
        NotFoundError: There is neither.
        UsageError: The model has no such finding.
    """
    installed = catalogue.list_models().get(model)
    if installed is not None:
        return make_target(installed.card, finding)
    query = (
        select(StoredPrediction.result)
        .where(StoredPrediction.model == model, StoredPrediction.state == "done")
        .limit(1)
    )
    last = session.scalar(query)
    if last is None:
        raise NotFoundError("model", "is not on this server, and has answered nothing.", "")
    findings = tuple(entry["label"] for entry in last.get("findings", ()))
    if finding is not None and finding not in findings:
        raise UsageError(
            argument("finding", finding),
            f"is no finding of this model.{suggestion(finding, findings)}",
            f"Findings: {', '.join(findings)}." if findings else "Leave this out: it gives one answer about an image.",
        )
    return _target_of_finding(finding or findings[0], findings) if findings else Target(last["labels"][0], {})


def make_target(card: Card, finding: str | None = None) -> Target:
    """Return what a card's model looks for, with the labels that were merged into each class.

    Args:
        card: Of the model.
        finding: Which of a multi-label model's findings; None: its first, or what another model looks for.

    Raises:
        UsageError: The model has no such finding.
    """
    if card.multilabel or finding is not None:
        return _target_of_finding(card.view(finding or card.primary).primary, card.label_names)
    return Target(card.primary, {member: label.name for label in card.labels for member in label.members})


def _target_of_finding(finding: str, findings: tuple[str, ...]) -> Target:
    """Return one finding as a target: who names a narrower one, such as viral pneumonia, names it too."""
    vocabulary = LabelSet.builtin()
    narrower = {label: finding for label in vocabulary if finding in vocabulary.ancestors(label)}
    return Target(finding, narrower, findings)


def read_rows(session: Session, secret: Secret, model: str, studies: Studies) -> SiteRows:
    """Return the rows about those of these studies that have a final read.

    Args:
        session: A session to read with.
        secret: Makes the readers' pseudonyms.
        model: Identity, whole.
        studies: The query for the studies that count.
    """
    # What nobody has read is in no figure, and may be a hundred times as much.
    read = select(Read.study).where(Read.state == "final")
    groups = {study: patient or study for study, patient in session.execute(studies.where(Study.id.in_(read)))}
    # The queries below name the studies: to choose them again can take longer than all the rest.
    numbers = sorted(groups)
    answers: list[Row[str, str, str, dict[str, Any] | None]] = []
    reads: list[Read] = []
    references: list[ReferenceRow] = []
    for start in range(0, len(numbers), _AT_ONCE):
        few = numbers[start : start + _AT_ONCE]
        done = StoredPrediction.model == model, StoredPrediction.state == "done", StoredPrediction.study.in_(few)
        columns = StoredPrediction.id, StoredPrediction.study, StoredPrediction.image, StoredPrediction.result
        answers += session.execute(select(*columns).where(*done).order_by(StoredPrediction.finished, columns[0])).all()
        reads += session.scalars(select(Read).where(Read.state == "final", Read.study.in_(few)))
        references += _read_references(session, few)
    display_numbers = {row.id for row in answers}
    newest: dict[str, dict[str, dict[str, Any]]] = {}
    for _, study, image, result in answers:  # of several answers of a model about one image, the newest counts
        newest.setdefault(study, {})[image] = result or {}
    reads.sort(key=lambda row: (row.at, row.version))
    return SiteRows(
        reads=_make_read_rows(reads, groups, display_numbers, secret),
        answers={study: combine_decisions(results.values()) for study, results in newest.items()},
        references=references,
    )


def combine_decisions(results: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the answer about a study of one or more images; None where the model refused all of them.

    It is the primary label if that is the decision about any image, else the likeliest of the images' decisions. A
    multi-label model names all findings that it names in any image.

    Args:
        results: The stored results, one of each image; their first label is the primary one.
    """
    decided = [result for result in results if result.get("decision") is not None]
    if not decided:
        return None
    if "findings" in decided[0]:
        named = {label for result in decided for label in split_decision(result["decision"])}
        found = [label for label in decided[0]["labels"] if label in named]
        return join_findings(found) if found else str(decided[0]["decision"])
    primary: str = decided[0]["labels"][0]
    decisions: list[str] = [result["decision"] for result in decided]
    if primary in decisions:
        return primary
    likeliest = max(decided, key=lambda result: result["probabilities"][result["decision"]])
    return str(likeliest["decision"])


def make_pseudonym(secret: Secret, reader: str) -> str:
    """Return a reader's name in figures: always the same one, which nobody can trace without the key."""
    return "reader-" + secret.lookup_key("reader", reader)[:6]


def _make_read_rows(reads: Iterable[Read], groups: Mapping[str, str], shown: set[str], secret: Secret) -> list[ReadRow]:
    """Return the final conclusions by study and reader; an aided read counts if it saw this model's answer."""
    contents: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in reads:
        by_stage = contents.setdefault((row.study, row.reader), {})
        if row.stage == "unaided" and not row.displayed:
            by_stage["unaided"] = row.content
        elif row.stage == "aided" and shown.intersection(row.displayed):
            by_stage["aided"] = row.content
    rows = []
    for (study, reader), by_stage in contents.items():
        unaided, aided = by_stage.get("unaided", {}), by_stage.get("aided", {})
        rows.append(
            ReadRow(
                study,
                groups[study],
                make_pseudonym(secret, reader),
                unaided.get("conclusion"),
                aided.get("conclusion"),
                unaided.get("likelihoods") or {},
                aided.get("likelihoods") or {},
            )
        )
    return rows


def _read_references(session: Session, numbers: Collection[str]) -> list[ReferenceRow]:
    shown_at = find_first_shown(session, numbers)
    rows = session.scalars(select(Reference).where(Reference.study.in_(numbers)).order_by(Reference.at, Reference.id))
    return [
        ReferenceRow(row.study, row.standard, row.label, row.at, shown_at.get((row.study, row.by), row.at) < row.at)
        for row in rows
    ]
