"""Searching studies by the numbers of their examination: accession number and StudyInstanceUID.

Both lead from a request or another system to a person, so they are kept as names are: sealed, for accounts that may
see names.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select

from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ExamIdentity, Study
from pneumoscope.server.studies.search_text import MOST_MATCHES, MOST_SEARCHED, SHORTEST

NumberKind = Literal["accession", "study-uid"]


def search_study_numbers(store: Store, text: str) -> list[tuple[NumberKind, str]]:
    """Return what a text is of the newest studies that have it, and the studies, 20 at most.

    Numbers are sealed, so that each has to be opened: of the newest 50,000 DICOM studies. A StudyInstanceUID of an
    older one is found by its keyed hash. The caller has checked that the account may see names.

    Args:
        store: The store.
        text: A whole number; blanks around it do not matter, all else does.
    """
    wanted = text.strip()
    if len(wanted) < SHORTEST:
        return []
    of_uid = select(Study.id).where(Study.key == store.secret.lookup_key("study", wanted.encode()))
    query = (
        select(ExamIdentity.study, ExamIdentity.sealed)
        .join(Study, Study.id == ExamIdentity.study)
        .where(Study.key.is_not(None), Study.prior.is_(False))
        .order_by(Study.received.desc(), Study.id)
        .limit(MOST_SEARCHED)
    )
    with store.read() as session:
        matches: dict[str, NumberKind] = {
            study: "study-uid" for study in session.scalars(of_uid.where(Study.prior.is_(False)))
        }
        for study, sealed in session.execute(query):
            numbers = store.secret.unseal(sealed, study)
            if numbers.get("accession", "").strip() == wanted:
                matches.setdefault(study, "accession")
            elif numbers.get("study_uid", "").strip() == wanted:  # what an account sent that may not see names
                matches.setdefault(study, "study-uid")
            if len(matches) >= MOST_MATCHES:
                break
    return [(kind, study) for study, kind in matches.items()]
