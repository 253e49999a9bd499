"""Who was examined: pseudonyms of patients, and the sealed identities behind them.

A patient is found by the number (issuer and PatientID, PS3.3 C.7.1.1), by its bytes as they were sent: text that could
not be decoded holds replacement characters, and two numbers would look the same. A number can be wrong, so a file whose
PatientName or PatientBirthDate differs makes another patient here, with a pseudonym of its own; accounts that see names
read "same number, other name". What a file does not say contradicts nothing.

An account that may not see names could otherwise ask, by uploading, whether a number is known here and under which
pseudonym. What such an account sends is therefore matched with its own earlier uploads alone: this is the scope.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ExamIdentity, Identity, Study
from pneumoscope.server.studies.lookup import get_study
from pneumoscope.server.studies.search_text import MOST_MATCHES, MOST_SEARCHED, SHORTEST, fold_text

SameNumberNote = Literal["same number, other name", "same number"]

_ENCODINGS = (
    "utf-8", "iso8859_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8",
    "iso8859_9", "iso8859_15", "tis_620", "shift_jis", "iso2022_jp", "iso2022_jp_2", "iso2022_kr", "euc_kr", "gb18030",
)  # fmt: skip
"""Python's names of DICOM's character sets (PS3.3 C.12.1.1.2), in which a number that is typed may have been sent."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who a file says was examined."""

    issuer: bytes
    patient_id: bytes
    """Both as they were sent."""
    identity: Mapping[str, str]
    """What is sealed: ``patient_name``, ``birth_date`` and so on; empty texts where the file says nothing."""


@dataclass(frozen=True, slots=True)
class PersonMatch:
    """The patient that a file belongs to."""

    key: str
    number: str
    row: Identity | None
    """None: the file is the first of this patient."""


@dataclass(frozen=True, slots=True)
class SameNumber:
    """Another patient with the same number."""

    patient: str
    other_name: bool
    """Name or birth date differ; else only the sender does, who may not see names."""


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Who was examined, and when, as the file said it; None where it said nothing."""

    patient: dict[str, str] | None
    examination: dict[str, str] | None
    same_number: tuple[SameNumber, ...] = ()
    """Other patients here with this patient's number."""


def number_key(store: Store, issuer: str | bytes, patient_id: str | bytes) -> str:
    """Return the key of a number: PatientID is unique under its issuer only (PS3.3 C.7.1.1)."""
    return store.secret.lookup_key("patient", issuer, patient_id)


def match_person(store: Store, session: Session, person: Person, scope: str = "") -> PersonMatch:
    """Return which patient a file belongs to: the one of the same number whom nothing in the file contradicts.

    Args:
        store: The store.
        session: A transaction that is exclusive.
        person: Who the file says was examined.
        scope: Number of the account that sends it, where that may not see names.
    """
    number = number_key(store, person.issuer, person.patient_id)
    first = store.secret.lookup_key("patient-of", scope, number) if scope else number
    query = select(Identity).where(Identity.number == number, Identity.scope == scope).order_by(Identity.key)
    rows = [(row, store.secret.unseal(row.sealed, row.key)) for row in session.scalars(query)]
    if not rows:
        return PersonMatch(first, number, None)
    traits = _traits(person.identity)
    for matches in (
        [row for row, identity in rows if _traits(identity) == traits],
        [row for row, identity in rows if not is_other_person(identity, person.identity)],
    ):
        if len(matches) == 1:
            return PersonMatch(matches[0].key, number, matches[0])
    key = store.secret.lookup_key("person", scope, number, *traits)
    return PersonMatch(key, number, None)


def join_person(store: Store, session: Session, person: Person, match: PersonMatch, scope: str = "") -> str:
    """Return the pseudonym of a patient, a new one for a new patient; learn what earlier files did not say.

    Args:
        store: The store.
        session: The transaction of `match_person`.
        person: As for `match_person`.
        match: What it returned.
        scope: As for `match_person`.
    """
    seal, row = store.secret.seal, match.row
    if row is None:
        sealed = seal(dict(person.identity), match.key)
        row = Identity(key=match.key, patient="p" + new_id(), sealed=sealed, number=match.number, scope=scope)
        session.add(row)
        session.flush()
        return row.patient
    known: dict[str, Any] = store.secret.unseal(row.sealed, row.key)
    if learnt := {name: value for name, value in person.identity.items() if value and not known.get(name)}:
        row.sealed = seal(known | learnt, row.key)  # else the next file could contradict it unseen
        session.flush()
    return row.patient


def is_other_person(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Return whether two sealed identities contradict each other in name or birth date."""
    name, other_name = _name_of(first), _name_of(second)
    if name and other_name:
        shared = [(ours, theirs) for ours, theirs in zip(name, other_name, strict=False) if ours and theirs]
        if not shared or any(ours != theirs for ours, theirs in shared):
            return True
    birth, other_birth = _birth_of(first), _birth_of(second)
    return bool(birth and other_birth and birth != other_birth)


def find_pseudonyms(store: Store, issuer: str, patient_id: str) -> list[str]:
    """Return the pseudonyms of the patients with this number: more than one where names differ.

    Raises:
        NotFoundError: No study is this patient's.
    """
    keys = set()
    for encoding in _ENCODINGS:
        try:
            keys.add(number_key(store, issuer.encode(encoding), patient_id.encode(encoding)))
        except UnicodeEncodeError:
            continue
    with store.read() as session:
        order = (
            Identity.scope,
            Identity.key != Identity.number,
            Identity.key,
        )  # the first that had the number comes first
        query = select(Identity.patient).where(Identity.number.in_(keys)).order_by(*order)
        pseudonyms = list(session.scalars(query))
    if not pseudonyms:
        raise NotFoundError("patient")
    return pseudonyms


def search_patients(store: Store, text: str) -> list[tuple[str, str]]:
    """Return pseudonym and name of the patients whose name has this text in it, or whose PatientID it is.

    Names are sealed, so that each has to be opened. The caller has checked that the account may see names.

    Args:
        store: The store.
        text: Case, and the signs between the parts of a name, do not matter; one that is too short finds nobody.
    """
    wanted = _searchable(text)
    if len(wanted) < SHORTEST:
        return []
    matches: list[tuple[str, str]] = []
    with store.read() as session:
        query = select(Identity.patient, Identity.sealed, Identity.key).limit(MOST_SEARCHED)
        for patient, sealed, key in session.execute(query):
            identity = store.secret.unseal(sealed, key)
            name = identity.get("patient_name", "")
            if wanted in _searchable(name) or identity.get("patient_id", "").strip() == text.strip():
                matches.append((patient, name))
                if len(matches) == MOST_MATCHES:
                    break
    return sorted(matches, key=lambda match: match[1])


def _searchable(name: str) -> str:
    """Return a name in lower case, with one space for each sign between its parts (PS3.5 6.2.1.1)."""
    return fold_text(name.translate({ord(sign): " " for sign in "^=,"}))


def find_same_numbers(store: Store, session: Session, patients: Iterable[str]) -> dict[str, list[SameNumber]]:
    """Return the other patients that have the same number, by pseudonym; those without any are left out.

    The caller has checked that the account may see names.
    """
    own, other = aliased(Identity), aliased(Identity)
    query = (
        select(own, other)
        .join(other, (other.number == own.number) & (other.key != own.key))
        .where(own.patient.in_(set(patients)))
        .order_by(other.scope, other.key)
    )
    unseal = store.secret.unseal
    found: dict[str, list[SameNumber]] = {}
    for row, same in session.execute(query):
        other_name = is_other_person(unseal(row.sealed, row.key), unseal(same.sealed, same.key))
        found.setdefault(row.patient, []).append(SameNumber(same.patient, other_name))
    return found


def note_of(same_numbers: Sequence[SameNumber]) -> SameNumberNote | None:
    """Return in words what to know about a patient's number; None where no other patient has it."""
    if not same_numbers:
        return None
    return "same number, other name" if any(same.other_name for same in same_numbers) else "same number"


def studies_of(store: Store, patient: str) -> list[str]:
    """Return the numbers of the studies of a pseudonym.

    Raises:
        NotFoundError: There is none.
    """
    with store.read() as session:
        numbers = list(session.scalars(select(Study.id).where(Study.patient == patient)))
    if not numbers:
        raise NotFoundError("patient")
    return numbers


def identity_of(store: Store, study: str) -> StudyIdentity:
    """Return the unsealed identity of a study; the caller has checked that the account may see names.

    Raises:
        NotFoundError: There is no such study.
    """
    with store.read() as session:
        row = get_study(session, study)
        exam = session.get(ExamIdentity, study)
        person = session.scalar(select(Identity).where(Identity.patient == row.patient))
        same = {} if person is None else find_same_numbers(store, session, [person.patient])
    unseal = store.secret.unseal
    known = None if person is None else unseal(person.sealed, person.key)
    return StudyIdentity(
        patient=None if known is None else {name: known[name] for name in known if name != "patient_name_bytes"},
        examination=None if exam is None else unseal(exam.sealed, study),
        same_number=tuple(same.get(row.patient or "", ())),
    )


def _traits(identity: Mapping[str, str]) -> tuple[str, str]:
    return "=".join(_name_of(identity)), _birth_of(identity)


def _name_of(identity: Mapping[str, str]) -> list[str]:
    """Return the groups of a name (alphabetic, ideographic, phonetic; PS3.5 6.2.1.1) as they are compared."""
    if sent := identity.get("patient_name_bytes"):  # it could not be decoded
        return [f"bytes {sent}"]
    text = unicodedata.normalize("NFKC", identity.get("patient_name", "")).casefold()
    groups = []
    for group in text.split("="):
        parts = [" ".join(part.split()) for part in group.split("^")]
        groups.append("^".join(parts).rstrip("^"))
    return groups if any(groups) else []


def _birth_of(identity: Mapping[str, str]) -> str:
    """Return a birth date without the dots of its old form (PS3.5 6.2, DA)."""
    return identity.get("birth_date", "").replace(".", "").strip()
