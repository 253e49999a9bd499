"""The results of many studies as one table: an answer a row, beside what the reader concluded.

An answer of a multi-label model has a row for each of its findings, with the finding's score and threshold.

An answer that this reader has not been shown is named, and its content is left out: a table must not be a way around
one's own unaided read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.answers import find_refusal
from pneumoscope.server.reading.shown import find_shown
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image, Read, Study
from pneumoscope.server.studies import lookup

COLUMNS = (
    "study", "patient", "received", "image", "view", "sex", "age", "model", "version", "identity", "state", "shown",
    "decision", "refusal", "label", "score", "threshold", "own_unaided", "own_final",
)  # fmt: skip
PAGE = 200
"""Studies that are read and written at a time."""


def write_results(store: Store, catalogue: Catalogue, wanted: lookup.StudyFilter, reader: str) -> Iterator[str]:
    """Yield the results of studies as pieces of CSV (RFC 4180), the newest study first.

    The first line is the disclaimer. Each piece is read in a transaction of its own, so that a long table holds nobody
    up; a study that arrives meanwhile is not in it.

    Args:
        store: The server's store.
        catalogue: The server's models.
        wanted: Which studies.
        reader: Id of the reader, whose own conclusions are written and whose displays count.
    """
    names = {identity: (model.card.name, model.card.version) for identity, model in catalogue.list_models().items()}
    text = io.StringIO()
    text.write(f"# {DISCLAIMER}\r\n")
    csv.DictWriter(text, COLUMNS).writeheader()
    after = None
    while True:
        with store.read() as session:
            page = lookup.list_page(session, wanted, PAGE, after)
            _write_page(text, session, names, page, reader)
        yield text.getvalue()
        if len(page) < PAGE:
            return
        after = page[-1].received, page[-1].id
        text = io.StringIO()


def _write_page(
    text: io.StringIO, session: Session, names: Mapping[str, tuple[str, str]], page: Sequence[Study], reader: str
) -> None:
    writer = csv.DictWriter(text, COLUMNS, restval="")
    numbers = [study.id for study in page]
    images = {image.id: image for of in lookup.images_of(session, numbers).values() for image in of}
    predictions = lookup.predictions_of(session, numbers)
    shown = find_shown(session, numbers, reader)
    own = _read_conclusions(session, numbers, reader)
    for study in page:
        rows = [
            (answer, images.get(row.image))
            for row in predictions[study.id]
            for answer in _answer_rows(row, names, shown=row.id in shown)
        ]
        for answer, image in rows or [({}, None)]:
            columns = _study_columns(study, image) | answer | own.get(study.id, {})
            writer.writerow({name: _escape(value) for name, value in columns.items()})


def _study_columns(study: Study, image: Image | None) -> dict[str, Any]:
    facts = {} if image is None else image.facts
    return {
        "study": study.id,
        "patient": study.patient,
        "received": datetime.fromtimestamp(study.received, UTC).isoformat(timespec="seconds"),
        "image": None if image is None else image.id,
        **{name: facts.get(name) for name in ("view", "sex", "age")},
    }


def _answer_rows(row: Row[Any], names: Mapping[str, tuple[str, str]], *, shown: bool) -> list[dict[str, Any]]:
    """Return the columns of an answer: one row, or one for each finding of a multi-label model."""
    name, version = names.get(row.model, ("", ""))
    columns = {
        "model": name,
        "version": version,
        "identity": row.model[:12],
        "state": row.state,
        "shown": "yes" if shown else "no",
    }
    if not shown or row.result is None:
        return [columns]
    result: Mapping[str, Any] = row.result
    label = next(iter(result.get("labels", ())), None)
    refusal = find_refusal(result, withheld=False)
    columns |= {"decision": result.get("decision"), "refusal": refusal}
    scores = result.get("findings") or [
        {
            "label": label,
            "probability": result.get("probabilities", {}).get(label),
            "operating_point": result.get("operating_point"),
        }
    ]
    return [
        columns
        | {
            "label": score["label"],
            "score": None if refusal else score["probability"],
            "threshold": (score["operating_point"] or {}).get("threshold"),
        }
        for score in scores
    ]


def _read_conclusions(session: Session, studies: Sequence[str], reader: str) -> dict[str, dict[str, str | None]]:
    """Return the reader's final conclusions, by study."""
    query = select(Read).where(Read.study.in_(studies), Read.reader == reader, Read.state == "final")
    own: dict[str, dict[str, str | None]] = {}
    for row in session.scalars(query.order_by(Read.version)):
        column = "own_unaided" if row.stage == "unaided" else "own_final"
        own.setdefault(row.study, {})[column] = row.content.get("conclusion")
    return own


def _escape(value: Any) -> Any:
    """Return a value so that no spreadsheet takes it for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
