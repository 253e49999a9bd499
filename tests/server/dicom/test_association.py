"""One association with an archive: what its answers mean, who it has to be, and its word on what it keeps."""

from __future__ import annotations

import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pneumoscope.server.dicom.calling.association import (
    COMMITMENT,
    COMMITMENT_INSTANCE,
    PLAIN_SYNTAXES,
    VERIFICATION,
    judge_status,
    open_association,
)
from pneumoscope.server.dicom.routing.address import ArchiveAddress
from pneumoscope.server.settings import Settings
from server.dicom.orthanc import TITLE, Orthanc, free_port
from server.dicom.test_outbound import hand_on, items, refusing, sending, wait_for

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

# pynetdicom leaves the socket open of a connection that was refused.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize(
    ("status", "stored", "for_good"),
    [
        # PS3.4 table B.2-1 and PS3.7 annex C.
        (0x0000, True, False),
        *((status, True, False) for status in (0xB000, 0xB006, 0xB007)),
        (0x0111, True, False),
        *((status, False, False) for status in (None, 0xA700, 0xA701, 0x0110, 0x0213, 0x0122 + 0x1000)),
        *((status, False, True) for status in (0xA900, 0xC000, 0xC123, 0x0117, 0x0122, 0x0124)),
    ],
)
def test_what_an_answer_means(status: int | None, stored: bool, for_good: bool) -> None:
    outcome = judge_status(status)
    assert (outcome.stored, outcome.for_good) == (stored, for_good)
    assert bool(outcome.problem) != stored


def write_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for an address of this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begun = datetime.now(UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begun)
        .not_valid_after(begun + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.mark.parametrize(
    ("name", "trusted", "arrives"), [("127.0.0.1", True, True), ("127.0.0.2", True, False), ("127.0.0.1", False, False)]
)
def test_an_encrypted_archive_has_to_show_who_it_is(
    settings: Settings, tmp_path: Path, name: str, trusted: bool, arrives: bool
) -> None:
    certificate, key = write_certificate(tmp_path, name)
    authority = certificate if trusted else write_certificate(tmp_path, "127.0.0.3")[0]
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(certificate, key)
    tls = {"authorities": str(authority)}
    with (
        refusing(0x0000, encryption=encryption) as (port, sent),
        sending(settings, tmp_path, port, tls=tls) as client,
    ):
        hand_on(client)
        if arrives:
            wait_for(client, "sent")
        else:
            deadline = time.monotonic() + 30
            while not any(each.attempts for each in items(client)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert bool(sent) == arrives


def test_an_encrypted_orthanc_takes_results_from_those_alone_whom_it_trusts(
    settings: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    its, ours, another = (write_certificate(tmp_path, f"127.0.0.{last}") for last in (1, 2, 3))
    archive = start_orthanc(encryption={"certificate": its[0], "key": its[1], "trusted": ours[0]})
    known = {"certificate": str(ours[0]), "key": str(ours[1])}
    for number, tls in enumerate((known, {}, {"certificate": str(another[0]), "key": str(another[1])})):
        home = tmp_path / f"server-{number}"
        home.mkdir()
        options = {"tls": {"authorities": str(its[0]), **tls}}
        with sending(replace(settings, home=home / "home"), home, archive.port, **options) as client:
            hand_on(client)
            if tls == known:
                (item,) = wait_for(client, "sent")
                assert list(archive.read_instances()) == [item.sop_uid]
            else:
                deadline = time.monotonic() + 30
                while not any(each.attempts for each in items(client)):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                assert {each.state for each in items(client)} <= {"queued", "sending"}
    assert len(archive.read_instances()) == 1


@contextmanager
def committing(failures: int) -> Iterator[tuple[int, list[str]]]:
    """An archive that gives its word in the association of the request, and keeps nothing the first times."""
    from pynetdicom import AE, evt

    sent: list[str] = []
    left = [failures]

    def store(event: Any) -> int:
        sent.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def act(event: Any) -> tuple[int, None]:
        asked, said = event.action_information, pydicom.Dataset()
        said.TransactionUID = asked.TransactionUID
        left[0] -= 1
        if left[0] >= 0:
            for item in asked.ReferencedSOPSequence:
                item.FailureReason = 0x0112
            said.FailedSOPSequence = asked.ReferencedSOPSequence
        else:
            said.ReferencedSOPSequence = asked.ReferencedSOPSequence
        arguments = said, 2 if left[0] >= 0 else 1, COMMITMENT, COMMITMENT_INSTANCE
        threading.Timer(0.1, event.assoc.send_n_event_report, arguments).start()
        return 0x0000, None

    entity = AE(ae_title=TITLE)
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.88.22")
    entity.add_supported_context(COMMITMENT)
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_N_ACTION, act)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1], sent
    finally:
        server.shutdown()


def test_what_an_archive_does_not_keep_is_sent_again(settings: Settings, tmp_path: Path) -> None:
    with committing(failures=1) as (port, sent), sending(settings, tmp_path, port, commit=True) as client:
        hand_on(client)
        (item,) = wait_for(client, "committed")
        assert sent == [item.sop_uid] * 2


def test_an_answer_is_left_to_who_asked() -> None:
    """pynetdicom's thread of an association took answers and dropped them, on a machine with much to do."""
    from pynetdicom import AE
    from pynetdicom.dimse_primitives import C_ECHO

    server = AE(ae_title=TITLE)
    server.add_supported_context(VERIFICATION)
    port = free_port()
    listening = server.start_server(("127.0.0.1", port), block=False)
    address = ArchiveAddress(title=TITLE, host="127.0.0.1", port=port)
    try:
        with open_association(address, "US", [(VERIFICATION, PLAIN_SYNTAXES)], [], 5) as association:
            association._reactor_checkpoint.clear()  # its own thread does nothing meanwhile
            time.sleep(0.2)
            answer, question = C_ECHO(), C_ECHO()
            answer.MessageIDBeingRespondedTo, question.MessageID = 7, 8
            for message in (answer, question):
                association.dimse.msg_queue.put((1, message))
            assert association.dimse.get_msg(block=False) == (None, None)
            assert association.dimse.get_msg(block=True) == (1, answer)
            assert association.dimse.get_msg(block=False) == (1, question)
            assert association.dimse.get_msg(block=False) == (None, None)
            association._reactor_checkpoint.set()
            assert association.send_c_echo().Status == 0
    finally:
        listening.shutdown()
