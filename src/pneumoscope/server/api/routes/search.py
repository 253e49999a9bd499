"""Searching studies by text, and a reader's own labels, over HTTP. What is searched for stands in no address."""

from __future__ import annotations

from fastapi import APIRouter

from pneumoscope.server.api.dependencies import AppContext, CurrentUser
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.common import LabelOut
from pneumoscope.server.api.schemas.search import LabelIn, MatchOut, OwnLabelOut, SearchText
from pneumoscope.server.studies import file_names, labels, lookup, patients, study_numbers
from pneumoscope.server.studies.search_text import MOST_MATCHES


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api", tags=["studies"])
    router.post("/search")(search)
    router.get("/labels")(list_labels)
    router.put("/studies/{study}/label")(set_label)
    return router


def search(context: AppContext, user: CurrentUser, sent: SearchText) -> list[MatchOut]:
    """Search patients by name, PatientID or pseudonym, studies by their numbers or file name, and your own labels.

    Of a pseudonym the beginning is enough; accession number, StudyInstanceUID and PatientID are compared whole. Names,
    numbers and all files are for accounts that may see names. Others find the files that they sent. 20 of each kind at
    most.
    """
    store, text = context.store, sent.text
    people = patients.search_patients(store, text) if user.sees_names else []
    numbered = study_numbers.search_study_numbers(store, text) if user.sees_names else []
    known = {patient for patient, _ in people}
    with store.read() as session:
        beginning = text.strip()
        pseudonyms = lookup.search_pseudonyms(session, beginning, MOST_MATCHES) if beginning else []
    files = file_names.search_file_names(store, text, None if user.sees_names else user.id)
    own = labels.search_labels(store, text, user.id)
    return [
        *(MatchOut(kind="label", text=label.text, label=label.key) for label in own[:MOST_MATCHES]),
        *(MatchOut(kind="patient", text=name, patient=patient) for patient, name in people),
        *(
            MatchOut(kind="patient", text=pseudonym, patient=pseudonym)
            for pseudonym in pseudonyms
            if pseudonym not in known
        ),
        *(MatchOut(kind=kind, text=text.strip(), study=study) for kind, study in numbered),
        *(MatchOut(kind="file", text=name, study=study) for study, name in files),
    ]


def list_labels(context: AppContext, user: CurrentUser) -> list[OwnLabelOut]:
    """List your own labels."""
    return [
        OwnLabelOut(key=label.key, text=label.text, studies=label.studies)
        for label in labels.list_labels(context.store, user.id)
    ]


def set_label(context: AppContext, user: CurrentUser, study: Id, sent: LabelIn) -> LabelOut | None:
    """Give a study your own label, which nobody else sees, in place of the one before."""
    store = context.store
    label = store.commit(lambda session: labels.set_label(store, session, study, user.id, sent.text), exclusive=True)
    return None if label is None else LabelOut(key=label.key, text=label.text)
