"""Names of the files that studies came as: for images that say nothing of whom they show.

A PNG names no patient, so that a list of such studies is a list of numbers. Its file name tells them apart. A name that
a sender wrote can hold a patient's, so it is kept as the identity is kept: sealed, for accounts that may see names. The
sender, who wrote it, sees it too.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ExamIdentity, Study
from pneumoscope.server.studies.search_text import MOST_MATCHES, MOST_SEARCHED, SHORTEST, clean_text, fold_text

_LONGEST = 128
"""Characters of a name; of a longer one the end is kept, where numbers and the ending stand."""


def clean_file_name(sent: str) -> str:
    """Return the last part of a path that a sender wrote, without signs that no one sees."""
    return clean_text(sent.replace("\\", "/").rstrip("/").rpartition("/")[2])[-_LONGEST:]


def file_names_of(store: Store, session: Session, studies: Sequence[Study], sender: str) -> dict[str, str]:
    """Return the file names of those studies that an account sent itself, by study; others are left out.

    Args:
        store: The store.
        session: A session to read with.
        studies: Of a list.
        sender: Number of the account that asks.
    """
    own = [study.id for study in studies if study.patient is None and study.received_by == sender]
    if not own:
        return {}
    rows = session.execute(select(ExamIdentity.study, ExamIdentity.sealed).where(ExamIdentity.study.in_(own)))
    names = {study: str(store.secret.unseal(sealed, study).get("file", "")) for study, sealed in rows}
    return {study: name for study, name in names.items() if name}


def search_file_names(store: Store, text: str, sender: str | None) -> list[tuple[str, str]]:
    """Return study and file name of the newest studies whose file name has this text in it, 20 at most.

    Names are sealed, so that each has to be opened: of the newest 50,000 studies that are no DICOM studies.

    Args:
        store: The store.
        text: Compared by `fold_text`; one that is too short then finds nothing.
        sender: Only studies that this account sent; None: all, for an account that may see names.
    """
    wanted = fold_text(text)
    if len(wanted) < SHORTEST:
        return []
    query = (
        select(ExamIdentity.study, ExamIdentity.sealed)
        .join(Study, Study.id == ExamIdentity.study)
        .where(Study.key.is_(None), Study.patient.is_(None))
        .order_by(Study.received.desc(), Study.id)
        .limit(MOST_SEARCHED)
    )
    if sender is not None:
        query = query.where(Study.received_by == sender)
    matches: list[tuple[str, str]] = []
    with store.read() as session:
        for study, sealed in session.execute(query):
            name = str(store.secret.unseal(sealed, study).get("file", ""))
            if wanted in fold_text(name):
                matches.append((study, name))
                if len(matches) == MOST_MATCHES:
                    break
    return matches
