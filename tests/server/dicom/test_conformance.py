"""The conformance statement is what the code makes of it, and what a node accepts and proposes on the wire."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pneumoscope.server.dicom.calling.association import associate
from pneumoscope.server.dicom.receiving.returned import RETURNED
from pneumoscope.server.dicom.routing.routes import Destination
from pneumoscope.server.settings import Settings
from server.client import serve_client
from server.dicom.result_tools import free_port, node_of

pynetdicom = pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "operations" / "conformance.md"


def read_table(heading: str) -> dict[str, set[str]]:
    """The first two columns of the table under a heading of the page: SOP class, transfer syntaxes."""
    _, _, rest = PAGE.read_text().partition(f"### {heading}\n")
    rows = [line for line in rest.partition("\n#")[0].splitlines() if line.startswith("| ")][2:]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    return {cell[0].partition(" (the roles")[0]: set(cell[1].split("; ")) for cell in cells}


def test_the_page_is_what_the_code_says() -> None:
    made = subprocess.run([sys.executable, ROOT / "scripts" / "conformance.py"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert PAGE.read_text() == made.stdout, "run: python scripts/conformance.py > docs/operations/conformance.md"


def test_a_node_accepts_exactly_what_the_page_says(settings: Settings) -> None:
    from pynetdicom import ALL_TRANSFER_SYNTAXES, sop_class

    classes = [
        uid
        for table in ("_STORAGE_CLASSES", "_QR_CLASSES", "_VERIFICATION_CLASSES", "_BASIC_WORKLIST_CLASSES")
        for uid in getattr(sop_class, table).values()
    ]
    accepted: dict[str, set[str]] = {}
    with serve_client(node_of(settings)) as client:
        listening = client.app.state.context.node
        listening.start()
        try:
            # An association has 128 contexts (PS3.8 9.3.2.2): first every class, then each syntax of those taken.
            taken = {
                uid
                for at in range(0, len(classes), 128)
                for uid, _ in _ask(listening.port, [(one, list(ALL_TRANSFER_SYNTAXES)) for one in classes[at:][:128]])
            }
            for uid in taken:
                pairs = _ask(listening.port, [(uid, [syntax]) for syntax in ALL_TRANSFER_SYNTAXES])
                accepted[uid.name] = {syntax.name for _, syntax in pairs}
        finally:
            listening.stop()
    expected = read_table("Associations that are accepted")
    assert expected.pop("Storage Commitment Push Model SOP Class")  # only where results are sent
    assert accepted == expected


def _ask(port: int, proposal: list) -> list:
    entity = pynetdicom.AE(ae_title="CR1")
    for uid, syntaxes in proposal:
        entity.add_requested_context(uid, syntaxes)
    association = entity.associate("127.0.0.1", port, ae_title="PNEUMOSCOPE")
    try:
        return [(one.abstract_syntax, one.transfer_syntax[0]) for one in association.accepted_contexts]
    finally:
        association.release()


def test_an_archive_is_offered_exactly_what_the_page_says() -> None:
    from pynetdicom import AE, evt

    offered: dict[str, set[str]] = {}

    def note(event: evt.Event) -> None:
        for context in event.assoc.requestor.requested_contexts:
            offered.setdefault(context.abstract_syntax.name, set()).update(uid.name for uid in context.transfer_syntax)

    archive = AE(ae_title="ARCHIVE")
    archive.add_supported_context("1.2.840.10008.1.1")
    port = free_port()
    server = archive.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_REQUESTED, note)])
    try:
        destination = Destination(title="ARCHIVE", host="127.0.0.1", port=port, in_the_clear=True, commit=True)
        with associate(destination, "PNEUMOSCOPE", RETURNED, lambda event: 0):
            pass
    finally:
        server.shutdown()
    assert offered == read_table("Associations that are proposed")
