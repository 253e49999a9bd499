"""An archive is asked for a patient's earlier studies (C-FIND, C-MOVE, C-GET by Study Root; PS3.4 C).

Nothing that an archive answers is believed. Each match is compared with what was asked for, matches are counted, and a
question ends after a time.
"""

from __future__ import annotations

import datetime
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pneumoscope.core.errors import MissingExtraError, PneumoscopeError
from pneumoscope.imaging.plane import suppress_warnings
from pneumoscope.server.dicom.calling.association import IMAGE_SYNTAXES, PLAIN_SYNTAXES, VERIFICATION, open_association
from pneumoscope.server.dicom.calling.pdu_limits import PduLimits
from pneumoscope.server.dicom.calling.prior_queue import FETCH_SECONDS, PriorTarget
from pneumoscope.server.dicom.objects.analysed import ANALYSED, is_uid
from pneumoscope.server.dicom.routing.prior_rule import PriorRule
from pneumoscope.server.studies.patients import is_other_person

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
MODELS = {
    FIND: "Study Root Query/Retrieve Information Model - FIND",
    MOVE: "Study Root Query/Retrieve Information Model - MOVE",
    GET: "Study Root Query/Retrieve Information Model - GET",
}
"""What the archive is asked by."""
KEYS = {
    "STUDY": (
        ("PatientID", "IssuerOfPatientID", "StudyDate", "ModalitiesInStudy"),
        ("StudyTime", "StudyInstanceUID", "PatientBirthDate", "PatientName"),
    ),
    "SERIES": (("StudyInstanceUID",), ("SeriesInstanceUID", "Modality", "BodyPartExamined")),
}
"""Attributes that matches have to have, and that are only asked for, at each level."""
MOST_MATCHES = 500
"""Answers to one question; no patient has so many radiographs in some years."""
_MOST_STUDIES = 20
"""Earlier studies whose series are looked at."""
_MOST_SERIES = 10
"""Series of a study that are fetched."""
_PENDING = (0xFF00, 0xFF01)
_SUCCESS, _SOME_FAILED = 0x0000, 0xB000
_UNKNOWN_DESTINATION = 0xA801
_CANCEL = 0xFE00
_FOR_GOOD = range(0xA900, 0xAA00)
"""The question does not fit its SOP class: asked again, it is the same."""
_DATE, _TIME = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})"), re.compile(r"\d{2}(:?\d{2}){0,2}")
_WILDCARDS = frozenset("*?\\")


class QueryError(PneumoscopeError):
    """An archive did not answer as it should."""

    def __init__(self, problem: str, *, for_good: bool = False) -> None:
        super().__init__("the archive", problem)
        self.for_good = for_good
        """Asking again can't help."""


@dataclass(frozen=True, slots=True)
class StudyInHand:
    """The study that came, as its header says it."""

    patient_id: str
    issuer: str
    birth_date: str
    name: str
    study_uid: str
    date: str
    """Of the study, as YYYYMMDD."""
    time: str
    """As HHMMSS, or its beginning; empty: not stated."""

    @classmethod
    def of(cls, header: Dataset) -> StudyInHand:
        """Return what a header says.

        Raises:
            QueryError: Without a PatientID or a date nothing can be asked for.
        """
        text = _reader_of(header)
        patient_id, date = text("PatientID"), read_date(text("StudyDate"))
        if not patient_id or date is None:
            missing = "StudyDate" if patient_id else "PatientID"
            raise QueryError(f"is not asked: the study has no {missing}.", for_good=True)
        if set(patient_id + text("IssuerOfPatientID")) & _WILDCARDS:
            raise QueryError("is not asked: the PatientID or its issuer holds a wildcard (* or ?).", for_good=True)
        return cls(
            patient_id=patient_id,
            issuer=text("IssuerOfPatientID"),
            birth_date=_plain_date(text("PatientBirthDate")),
            name=text("PatientName"),
            study_uid=text("StudyInstanceUID"),
            date=date.strftime("%Y%m%d"),
            time=_plain_time(text("StudyTime")),
        )

    def is_after(self, date: str, time: str) -> bool:
        """Return whether this study is later than another; on one day both times have to be known.

        Args:
            date: StudyDate of the other study.
            time: Its StudyTime.
        """
        day, hour = _plain_date(date), _plain_time(time)
        if day != self.date:
            return bool(day) and day < self.date
        shortest = min(len(hour), len(self.time))
        return shortest > 0 and hour[:shortest] < self.time[:shortest]


@dataclass(frozen=True, slots=True)
class PriorMatches:
    """What a search has found."""

    targets: tuple[PriorTarget, ...]
    """The newest first."""
    found: int
    """Studies that the archive named."""
    dropped: int
    """Answers that were not what was asked for."""


class ArchiveQuery:
    """An open association in which an archive is asked."""

    def __init__(self, association: Association, rule: PriorRule) -> None:
        self._association, self._rule = association, rule

    def find_priors(self, study: StudyInHand, is_here: Callable[[str], bool]) -> PriorMatches:
        """Return the newest earlier studies of a patient, as many as the rule asks for.

        Args:
            study: The study that came.
            is_here: Whether a study, by its StudyInstanceUID, counts without being fetched: it is here.

        Raises:
            QueryError: The archive did not answer as it should.
        """
        earliest = self._rule.earliest(datetime.datetime.strptime(study.date, "%Y%m%d").date())
        found: dict[str, tuple[str, str]] = {}
        dropped = 0
        for modality in self._rule.modalities:  # one after the other: a list is no value of this key everywhere
            for match in self._find(_study_keys(study, f"{earliest:%Y%m%d}-{study.date}", modality)):
                text = _reader_of(match)
                uid, when = text("StudyInstanceUID"), (_plain_date(text("StudyDate")), _plain_time(text("StudyTime")))
                if uid == study.study_uid:
                    continue
                if is_uid(uid) and _is_patient(study, text) and when[0] >= f"{earliest:%Y%m%d}":
                    if study.is_after(*when):
                        found[uid] = when
                else:
                    dropped += 1
        targets: list[PriorTarget] = []
        for uid in sorted(found, key=lambda each: found[each], reverse=True)[:_MOST_STUDIES]:
            series = () if is_here(uid) else self._find_series(uid)
            if series or is_here(uid):
                targets.append(PriorTarget(uid, series))
            if len(targets) == self._rule.studies:
                break
        return PriorMatches(tuple(targets), len(found), dropped)

    def _find_series(self, study_uid: str) -> tuple[str, ...]:
        """Return the series of a study that hold radiographs of the parts that the rule names."""
        from pydicom import Dataset

        keys = Dataset()
        keys.QueryRetrieveLevel = "SERIES"
        keys.StudyInstanceUID = study_uid
        for keyword in KEYS["SERIES"][1]:
            setattr(keys, keyword, "")
        series = []
        for match in self._find(keys):
            text = _reader_of(match)
            of_study = text("StudyInstanceUID") in ("", study_uid)
            wanted = text("Modality") in self._rule.modalities and self._rule.takes_part(text("BodyPartExamined"))
            if of_study and wanted and is_uid(text("SeriesInstanceUID")):
                series.append(text("SeriesInstanceUID"))
        return tuple(dict.fromkeys(series))[:_MOST_SERIES]

    def _find(self, keys: Dataset) -> list[Dataset]:
        """Return an archive's matches.

        Raises:
            QueryError: It gave too many, or ended with a failure.
        """
        matches: list[Dataset] = []
        try:
            for status, match in self._association.send_c_find(keys, FIND):
                code = int(status.Status) if "Status" in status else None
                if code in _PENDING:
                    if match is not None:
                        matches.append(match)
                    if len(matches) > MOST_MATCHES:
                        _end(self._association)
                        raise QueryError(f"answered with more than {MOST_MATCHES} matches.", for_good=True)
                elif code != _SUCCESS:
                    raise _failure("a search", code)
        except ValueError as error:  # pynetdicom's: no presentation context
            raise QueryError("takes no search by Study Root (no presentation context).", for_good=True) from error
        except RuntimeError as error:  # the association is over
            raise QueryError("ended the association during a search.") from error
        return matches

    def abort(self) -> None:
        """End the association; what waits for an answer gets none."""
        _end(self._association)

    def fetch(self, target: PriorTarget, destination: str, message: int) -> int:
        """Let the archive send a study's series; what it sends goes another way, see `prior_receive`.

        Returns:
            Number of images that the archive could not send, or that were refused here.

        Args:
            target: What is fetched.
            destination: AE title of this server's node; with C-GET it comes in this association.
            message: Message ID by which what comes is known.

        Raises:
            QueryError: It did not.
        """
        from pydicom import Dataset

        failed = 0
        for series_uid in target.series_uids:
            keys = Dataset()
            keys.QueryRetrieveLevel = "SERIES"
            keys.StudyInstanceUID, keys.SeriesInstanceUID = target.study_uid, series_uid
            try:
                answers = (
                    self._association.send_c_move(keys, destination, MOVE, msg_id=message)
                    if self._rule.retrieve == "move"
                    else self._association.send_c_get(keys, GET, msg_id=message)
                )
                code: int | None = None
                status = Dataset()
                for status, _ in answers:
                    code = int(status.Status) if "Status" in status else None
            except ValueError as error:
                raise QueryError("moves nothing by Study Root (no presentation context).", for_good=True) from error
            except RuntimeError as error:
                raise QueryError("ended the association during a retrieval.") from error
            if code not in (_SUCCESS, _SOME_FAILED):
                raise _failure("a retrieval", code)
            failed += int(status.get("NumberOfFailedSuboperations") or 0)
        return failed


@contextmanager
def ask_archive(
    rule: PriorRule, calling: str, max_object_bytes: int, on_store: Callable[[Event], int]
) -> Iterator[ArchiveQuery]:
    """Open an association in which an archive is asked, for `FETCH_SECONDS` at most.

    Args:
        rule: Names the archive.
        calling: AE title of this server.
        max_object_bytes: Larger answers end the association.
        on_store: Called with the event of each C-STORE of a C-GET; returns its status.

    Raises:
        NoAssociationError: The archive can't be reached, or takes no association.
        MissingExtraError: pynetdicom is not installed.
    """
    try:
        from pynetdicom import evt
        from pynetdicom.presentation import build_role
    except ImportError as error:
        raise MissingExtraError("earlier studies", "pacs") from error
    contexts: list[tuple[str, Sequence[str]]] = [(uid, PLAIN_SYNTAXES) for uid in (VERIFICATION, FIND)]
    contexts.append((MOVE if rule.retrieve == "move" else GET, PLAIN_SYNTAXES))

    def limit(event: Event) -> None:
        PduLimits(event.assoc, max_object_bytes, FETCH_SECONDS, FETCH_SECONDS).end_waiting()  # this server asks

    handlers: list[Any] = [(evt.EVT_CONN_OPEN, limit)]
    roles = []
    if rule.retrieve == "get":
        contexts += [(sop_class, (syntax,)) for sop_class in ANALYSED for syntax in IMAGE_SYNTAXES]
        roles = [build_role(sop_class, scp_role=True) for sop_class in ANALYSED]
        handlers.append((evt.EVT_C_STORE, on_store))
    with open_association(rule.archive, calling, contexts, handlers, FETCH_SECONDS, roles) as association:
        end = threading.Timer(FETCH_SECONDS, _end, (association,))
        end.daemon = True
        end.start()
        try:
            yield ArchiveQuery(association, rule)
        finally:
            end.cancel()


def _end(association: Association) -> None:
    """End an association, also from another thread than the one that waits for its answer, which gets none."""

    def abort() -> None:
        association.abort()  # waits until the archive closes the connection
        wake()

    def wake() -> None:
        association.dimse.msg_queue.put((None, None))  # what pynetdicom puts there where an archive aborts

    association.is_established = False  # it is not to be released: the archive may not answer to that either
    wake()  # before the abort: from then on pynetdicom's own thread reads that queue too
    threading.Thread(target=abort, daemon=True).start()


def read_date(text: str) -> datetime.date | None:
    """Return a date (PS3.5 6.2, DA, the old form with points too); None where it is none."""
    if (parts := _DATE.fullmatch(text.strip())) is None:
        return None
    try:
        return datetime.date(*(int(part) for part in parts.groups()))
    except ValueError:
        return None


def _study_keys(study: StudyInHand, dates: str, modality: str) -> Dataset:
    from pydicom import Dataset

    keys = Dataset()
    keys.SpecificCharacterSet = "ISO_IR 192"
    keys.QueryRetrieveLevel = "STUDY"
    with suppress_warnings():  # a number that breaks the standard is common
        keys.PatientID, keys.IssuerOfPatientID = study.patient_id, study.issuer
    keys.StudyDate, keys.ModalitiesInStudy = dates, modality
    for keyword in KEYS["STUDY"][1]:
        setattr(keys, keyword, "")
    return keys


def _is_patient(study: StudyInHand, text: Callable[[str], str]) -> bool:
    """Return whether a match is the patient that was asked for: what it does not say contradicts nothing."""
    stated = {"patient_name": text("PatientName"), "birth_date": _plain_date(text("PatientBirthDate"))}
    return (
        text("PatientID") == study.patient_id
        and text("IssuerOfPatientID") in ("", study.issuer)
        and not is_other_person({"patient_name": study.name, "birth_date": study.birth_date}, stated)
    )


def _failure(what: str, code: int | None) -> QueryError:
    if code is None:
        return QueryError(f"gave no answer to {what} in time, or ended the association.")
    if code == _UNKNOWN_DESTINATION:
        return QueryError("does not know this server as a destination (A801): name it there.")
    words = "cancelled it" if code == _CANCEL else f"ended it with status {code:04X}"
    return QueryError(f"was asked for {what} and {words}.", for_good=code in _FOR_GOOD)


def _reader_of(tags: Dataset) -> Callable[[str], str]:
    """Return what reads a value as text; a malformed value says nothing."""
    from pydicom.multival import MultiValue

    def text(keyword: str) -> str:
        try:
            with suppress_warnings():
                value = tags.get(keyword) or ""
                return ("\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)).strip(" \0")
        except Exception:  # pydicom converts on access, and a malformed value can fail in many ways
            return ""

    return text


def _plain_date(text: str) -> str:
    return "" if (date := read_date(text)) is None else f"{date:%Y%m%d}"


def _plain_time(text: str) -> str:
    """Return a time as HHMMSS, as far as it is stated (PS3.5 6.2, TM)."""
    parts = _TIME.match(text.strip())
    return "" if parts is None else parts.group().replace(":", "")
