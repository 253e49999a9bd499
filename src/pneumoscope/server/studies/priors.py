"""Earlier studies that were fetched from an archive for comparison, and stand here beside the later ones.

Such a study is a study with one mark. No model is asked about it, nobody reads it, and it is in no list or sum. The
mark goes where somebody sends one of its images: then it is a study like all others. A study with the mark stays as
long as a later study needs it.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Row, delete, select, update

from pneumoscope.server.errors import ConflictError
from pneumoscope.server.storage.database import now
from pneumoscope.server.storage.tables import Event, PriorFetch, Study, table_of
from pneumoscope.server.storage.transaction import Transaction

PRIORS = "priors"
"""Stands in the audit log in place of an account where a fetched study goes with those that needed it."""
_STUDIES, _FETCHES = table_of(Study), table_of(PriorFetch)


def promote(session: Transaction, studies: Collection[str], account: str) -> list[str]:
    """Make fetched studies like all others, since somebody has sent an image of them; return which were fetched ones.

    Args:
        session: A transaction that is exclusive.
        studies: Numbers of studies; those that were never fetched stay as they are.
        account: Who sent the image.
    """
    time = now()
    marked = update(_STUDIES).where(_STUDIES.c.id.in_(studies), _STUDIES.c.prior.is_(True))
    values = marked.values(prior=False, received=time, received_by=account).returning(_STUDIES.c.id)
    promoted = list(session.connection().execute(values).scalars())
    for study in promoted:
        session.append(Event, {"kind": "study", "study": study, "subject": study, "state": "received", "at": time})
    return promoted


def check_not_prior(study: Study | Row[str], what: str) -> None:
    """Check that a study is one that can be read and asked about.

    Args:
        study: The study.
        what: What was to be done with it, as the beginning of the error.

    Raises:
        ConflictError: It was fetched for comparison.
    """
    if study.prior:
        raise ConflictError(
            what,
            "can't be about an earlier study that was fetched for comparison.",
            "Send its images to this server: then it is a study like all others.",
            code="prior",
        )


def find_unneeded(session: Transaction, gone: Collection[str] = ()) -> list[str]:
    """Return the fetched studies that no study needs any more.

    Args:
        session: A transaction.
        gone: Numbers of studies that are about to be erased, and need none.
    """
    session.write_appended()
    needed = select(_FETCHES.c.prior).where(_FETCHES.c.prior.is_not(None), _FETCHES.c.study.not_in(gone))
    query = select(_STUDIES.c.id).where(_STUDIES.c.prior.is_(True), _STUDIES.c.id.not_in(needed))
    if gone:  # only those that these have needed
        theirs = select(_FETCHES.c.prior).where(_FETCHES.c.study.in_(gone), _FETCHES.c.prior.is_not(None))
        query = query.where(_STUDIES.c.id.in_(theirs))
    return list(session.scalars(query))


def forget_fetches(session: Transaction, study: str) -> None:
    """Forget what was fetched for a study, which is another patient's now."""
    session.connection().execute(delete(_FETCHES).where(_FETCHES.c.study == study))
