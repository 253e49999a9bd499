"""Prints the DICOM conformance statement (PS3.2) from the tables that the code itself goes by.

    python scripts/conformance.py > docs/operations/conformance.md

A test compares the page with this, and with what a node accepts and proposes on the wire.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence, Set
from typing import get_args

from pydicom.charset import python_encoding
from pydicom.uid import UID

from pneumoscope.server.api.routes import dicomweb
from pneumoscope.server.dicom.calling import association
from pneumoscope.server.dicom.calling.association import COMMITMENT, IMAGE_SYNTAXES, PLAIN_SYNTAXES
from pneumoscope.server.dicom.calling.prior_queue import FETCH_SECONDS
from pneumoscope.server.dicom.calling.query_retrieve import FIND, GET, KEYS, MODELS, MOST_MATCHES, MOVE
from pneumoscope.server.dicom.objects.analysed import ANALYSED, SERIES
from pneumoscope.server.dicom.objects.place import MANUFACTURER
from pneumoscope.server.dicom.objects.sop_classes import KEY_OBJECTS
from pneumoscope.server.dicom.receiving import node, receive
from pneumoscope.server.dicom.receiving.prior_receive import MOST_OBJECTS
from pneumoscope.server.dicom.receiving.returned import RETURNED
from pneumoscope.server.dicom.results import report
from pneumoscope.server.dicom.results.making import ResultKind
from pneumoscope.server.dicom.web import matching, stow
from pneumoscope.server.dicom.web.frames import MEDIA_TYPES
from pneumoscope.server.settings import DicomSettings

_LEVELS: Sequence[matching.Level] = ("study", "series", "instance")


def write_statement() -> str:
    """Return the statement as Markdown."""
    return "\n\n".join([*_overview(), *_network(), *_web(), *_rest()]) + "\n"


def _overview() -> Iterable[str]:
    yield "# DICOM conformance statement"
    yield _wrap(
        """
        This page is made by `scripts/conformance.py` from the tables that the server itself goes by; it follows
        PS3.2, shortened. A test compares it with what a node accepts and proposes. It is no regulatory document:
        Pneumoscope is research software, and everything that it writes says so.
        """
    )
    yield "## Overview"
    accepted = [[_name(uid), f"`{uid}`", _scu_of(uid), "yes"] for uid in node.ACCEPTED]
    rows = [*accepted, [_name(COMMITMENT), f"`{COMMITMENT}`", "where a destination asks for it", "no"]]
    rows += [[name, f"`{uid}`", "where the file of routes has `priors`", "no"] for uid, name in MODELS.items()]
    yield _table(["SOP class", "UID", "SCU", "SCP"], rows)
    yield "Media: none. DICOMweb: see below. Query/Retrieve as SCP, worklist, MPPS and printing: none."
    yield "## Implementation model"
    yield _wrap(
        f"""
        A peer sends images of the classes that are analysed (C-STORE, STOW-RS). They are stored without a patient,
        their headers sealed. When a study is complete, its results are made as DICOM objects and, by routing rules,
        sent to archives (C-STORE). Kinds of results: {", ".join(get_args(ResultKind))}. Where the file of routes
        says so, an archive is asked for earlier studies of the patient (C-FIND, C-MOVE or C-GET); they are shown, and
        never analysed. See [In a hospital's network](pacs.md).
        """
    )


def _network() -> Iterable[str]:
    settings = DicomSettings()
    yield "## Application entity"
    yield _table(
        ["", ""],
        [
            ["AE title", f"`{settings.title}`; `--dicom-title`"],
            ["port", f"{settings.port}; `--dicom-port`"],
            ["application context", "`1.2.840.10008.3.1.1.1`"],
            ["implementation class UID and version", "those of the installed pynetdicom"],
            ["associations at once, as acceptor", str(node.ASSOCIATIONS)],
            ["seconds until a peer has to ask for its association", f"{node.REQUEST_SECONDS:g}"],
            ["seconds without a word until an association ends", str(node.IDLE_SECONDS)],
            ["called AE title", "has to be this one"],
            ["calling AE title and address", "have to be named together (`--dicom-peer`); on loopback any"],
            ["asynchronous operations, SOP class negotiation, user identity", "not supported"],
        ],
    )
    yield "### Associations that are accepted"
    yield _table(
        ["SOP class", "transfer syntaxes"],
        [[_name(uid), _names(syntaxes)] for uid, syntaxes in node.ACCEPTED.items()]
        + [[f"{_name(COMMITMENT)} (the roles reversed; with `--dicom-routes`)", _names(PLAIN_SYNTAXES)]],
    )
    yield _wrap(
        f"""
        Images of {_names(ANALYSED)} become studies. The other storage classes are those of this program's own
        results, which are taken back and dropped; of others' objects only rejection notes ({_name(KEY_OBJECTS)})
        are obeyed.
        """
    )
    yield "### Statuses of C-STORE"
    yield _table(["status", "meaning"], [[f"{code:04X}", words] for code, words in sorted(receive.STATUSES.items())])
    yield "### Associations that are proposed"
    yield _table(
        ["SOP class", "transfer syntaxes", "when"],
        [
            [_name(association.VERIFICATION), _names(PLAIN_SYNTAXES), "always"],
            *([_name(uid), _names(PLAIN_SYNTAXES), "a result of it is due"] for uid in RETURNED),
            [_name(COMMITMENT), _names(PLAIN_SYNTAXES), "the destination says `commit: true`"],
        ],
    )
    yield "### Query and retrieval, as user"
    yield _table(
        ["SOP class", "transfer syntaxes", "when"],
        [
            [MODELS[FIND], _names(PLAIN_SYNTAXES), "a study with a PatientID came from a peer"],
            [MODELS[MOVE], _names(PLAIN_SYNTAXES), "`retrieve: move`, as without a word"],
            [MODELS[GET], _names(PLAIN_SYNTAXES), "`retrieve: get`"],
            *([_name(uid), _names(IMAGE_SYNTAXES), "`retrieve: get`, the roles reversed"] for uid in ANALYSED),
        ],
    )
    yield _table(
        ["level", "keys that are matched", "keys that are returned"],
        [[level, ", ".join(matched), ", ".join(returned)] for level, (matched, returned) in KEYS.items()],
    )
    yield _wrap(
        f"""
        Matching is by one value, or by a range of dates; no list and no wildcard is sent, and modalities are asked for
        one after the other. Neither relational queries nor fuzzy matching nor C-CANCEL are used: a search that
        gives more than {MOST_MATCHES} matches, and a question that takes more than {FETCH_SECONDS:.0f} seconds, end
        with A-ABORT. Retrieval is by series, {MOST_OBJECTS} images of a study at most. What a C-MOVE sends has to name
        it (MoveOriginatorApplicationEntityTitle and MoveOriginatorMessageID); all else under that title is refused.
        """
    )
    yield _wrap(
        """
        Each transfer syntax of a storage class has a presentation context of its own. One association a destination
        at a time; what the answers mean for the queue is in [In a hospital's network](pacs.md).
        """
    )


def _web() -> Iterable[str]:
    yield "## DICOMweb"
    yield "Only with `--dicom`, for accounts that may see names; DICOM JSON alone, no XML."
    routes = [
        [f"`{', '.join(sorted(route.methods))} {route.path}`", _service(route.methods, route.path)]
        for route in dicomweb.create_router().routes
    ]
    yield _table(["transaction", "service"], routes)
    yield _table(
        ["search for", "attributes that are matched"],
        [[level, ", ".join(matching.list_matched(level))] for level in _LEVELS],
    )
    yield _wrap(
        f"""
        Matching is by value, wildcard, list of UIDs and range; names match whatever the case of their letters.
        `limit` is {matching.DEFAULT_LIMIT} unless it is given, and {matching.MOST_RETURNED} at most. Parameters:
        `limit`, `offset`, `includefield`; `fuzzymatching` is answered with a Warning. Statuses of a search: 200,
        204 (nothing found), 403, 406, 422 (an attribute that is not matched or comes twice, a UID, date or
        time of another form). Of storing: 200, 202, 409, 413, 415, 422, 503; FailureReason is a status of C-STORE, or
        {stow.SOP_CLASS_NOT_SUPPORTED:04X}. Of retrieving, by GET or HEAD: 200, 206, 403, 404, 406. Images have
        metadata; their files are kept, and can be retrieved, with `--dicom-keep-files`. Files come in the transfer
        syntax in which they came, frames too: nothing is transcoded, and a range of Accept without `transfer-syntax`
        takes what there is. `rendered` takes `viewport` (width, height) and `quality`, and gives image/jpeg or
        image/png.
        """
    )
    yield _table(
        ["transfer syntax", "media type of a frame"], [[_name(uid), f"`{kind}`"] for uid, kind in MEDIA_TYPES.items()]
    )


def _rest() -> Iterable[str]:
    yield "## Character sets"
    terms = ", ".join(f"`{term}`" for term in sorted(python_encoding) if term.startswith(("ISO", "GB")))
    yield _wrap(f"Read: {terms}. Written: `ISO_IR 192`. What can't be decoded is kept with replacement characters.")
    yield "## Security"
    yield _wrap(
        """
        TLS 1.2 or newer as acceptor (`--dicom-certificate`), with the peers' certificates where
        `--dicom-authorities` names whose count (PS3.15 B), and as initiator by destination. Without TLS other
        machines may send only where `--dicom-in-the-clear` says that the network is the hospital's own. Stored
        pixels follow the Basic Application Level Confidentiality Profile with Retain Patient Characteristics and
        Retain Device Identity (PS3.15 E); headers, results and kept files are encrypted on the disk. Accesses are
        lines of the server's own audit log, not ATNA messages.
        """
    )
    yield "## What results say"
    yield _wrap(
        f"""
        Series description: {SERIES}. Manufacturer: {MANUFACTURER}. Structured reports follow TID 1500 with TID 4019
        for the algorithm, PRELIMINARY and UNVERIFIED; private codes have the scheme `{report.SCHEME}`. UIDs are
        2.25 and a hash of what an object says (PS3.5 B.2).
        """
    )
    yield "## IHE"
    yield _wrap(
        """
        No actor of the IHE profile AI Results is claimed. Of its primitives these are written, and tested by other
        programs' readers (highdicom, dcmtk's dsrdump, dicom3tools' dciodvfy): qualitative findings and measurements
        in TID 1500, references to the source images, tracking identifiers, and regions as segmentation. Rejection
        notes of Imaging Object Change Management are obeyed and written, tested against Orthanc. Nothing was tested
        at a Connectathon.
        """
    )


def _scu_of(uid: str) -> str:
    if uid == association.VERIFICATION:
        return "in each association"
    return "yes" if uid in RETURNED else "no"


def _service(methods: Set[str], path: str) -> str:
    if "POST" in methods:
        return 'STOW-RS, `multipart/related; type="application/dicom"`'
    if path.endswith("/metadata"):
        return "WADO-RS, metadata"
    if path.endswith("/{frames}"):
        return "WADO-RS, frames"
    if path.endswith("/rendered"):
        return "WADO-RS, rendered"
    return "QIDO-RS" if path.endswith(("/studies", "/series", "/instances")) else "WADO-RS, objects"


def _name(uid: str) -> str:
    return UID(uid).name


def _names(uids: Iterable[str]) -> str:
    return "; ".join(_name(uid) for uid in uids)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrap(text: str) -> str:
    """Return a paragraph in lines of the length that the documentation has."""
    return "\n".join(textwrap.wrap(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False))


if __name__ == "__main__":
    print(write_statement(), end="")
