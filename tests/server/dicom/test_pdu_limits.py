"""What a peer may send by length: bytes on a socket, PDUs of PS3.8, and what the node keeps of them."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from pneumoscope.server.dicom.receiving.admission import ASSOCIATIONS, WAITING_OF_ONE
from pneumoscope.server.dicom.receiving.node import DicomNode
from pneumoscope.server.dicom.receiving.receive import SUCCESS, Receipt
from pneumoscope.server.settings import Settings
from server.dicom.test_bombs import MIB, peak_memory
from server.dicom.test_node import TITLE, node

pynetdicom = pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")

RADIOGRAPH = "1.2.840.10008.5.1.4.1.1.1"
PLAIN = "1.2.840.10008.1.2.1"


@pytest.fixture
def listening(settings: Settings) -> Iterator[DicomNode]:
    with node(replace(settings, max_file_bytes=MIB, max_request_bytes=2 * MIB)) as (_, at):
        yield at


def connect(at: DicomNode) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", at.port))
    connection.settimeout(20)
    return connection


def associate(at: DicomNode) -> pynetdicom.association.Association:
    entity = pynetdicom.AE(ae_title="CR1")
    entity.add_requested_context(RADIOGRAPH, PLAIN)
    association = entity.associate("127.0.0.1", at.port, ae_title=TITLE)
    assert association.is_established
    return association


def flood(connection: socket.socket, data: bytes, most: int) -> bytes:
    """Send the same bytes over and over until the node ends the connection; return what it answered."""
    with suppress(OSError):
        for _ in range(most // len(data)):
            connection.sendall(data)
    answer = b""
    with suppress(OSError):
        while part := connection.recv(1024):
            answer += part
    return answer


def own_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "was ended" in record.getMessage()]


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def count_open(at: DicomNode) -> int:
    assert at._server is not None
    return len(at._server.active_associations)


@pytest.mark.parametrize("kind", [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07])
def test_a_pdu_that_states_a_huge_length_is_not_read(
    listening: DicomNode, caplog: pytest.LogCaptureFixture, kind: int
) -> None:
    with caplog.at_level(logging.INFO), connect(listening) as connection, peak_memory() as peak:
        connection.sendall(struct.pack(">BxL", kind, 0xFFFFFFF0))
        answer = flood(connection, bytes(MIB), 200 * MIB)
    assert (answer[:1], answer[8:9], len(answer)) == (b"\x07", b"\x02", 10)  # A-ABORT by the provider
    assert peak[0] < 32 * MIB
    (line,) = own_lines(caplog)
    assert "127.0.0.1" in line
    assert "4294967280 bytes" in line
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    wait_until(lambda: count_open(listening) == 0)
    associate(listening).release()


def test_a_pdu_beyond_the_negotiated_length_ends_an_association(
    listening: DicomNode, caplog: pytest.LogCaptureFixture
) -> None:
    association = associate(listening)
    most = association.acceptor.maximum_length
    with caplog.at_level(logging.INFO):
        association.dul.socket.send(struct.pack(">BxL", 0x04, most + 7))
        wait_until(lambda: association.is_aborted)
    (line,) = own_lines(caplog)
    assert f"{most + 7} bytes" in line
    wait_until(lambda: count_open(listening) == 0)


@pytest.mark.parametrize("part", [0x00, 0x01])  # of a data set, of a command set; never the last one (PS3.8 E.2)
def test_a_message_without_an_end_ends_its_association_with_one_line(
    listening: DicomNode, caplog: pytest.LogCaptureFixture, part: int
) -> None:
    association = associate(listening)
    value = struct.pack(">LBB", 16_002, association.accepted_contexts[0].context_id, part) + bytes(16_000)
    pdu = struct.pack(">BxL", 0x04, len(value)) + value
    connection = association.dul.socket.socket
    with caplog.at_level(logging.INFO), peak_memory() as peak, suppress(OSError):
        for _ in range(100 * MIB // len(pdu)):
            connection.sendall(pdu)
    wait_until(lambda: not association.is_established)
    connection.close()  # pynetdicom leaves it open where its peer was faster
    assert own_lines(caplog) == ["an association with 127.0.0.1 was ended: its object is too large"]
    assert peak[0] < 32 * MIB
    wait_until(lambda: count_open(listening) == 0)


def test_a_request_with_every_context_is_not_too_long(listening: DicomNode) -> None:
    entity = pynetdicom.AE(ae_title="CR1")
    for number in range(127):
        entity.add_requested_context(f"1.2.3.{number}", pynetdicom.ALL_TRANSFER_SYNTAXES)
    entity.add_requested_context(RADIOGRAPH, PLAIN)
    association = entity.associate("127.0.0.1", listening.port, ae_title=TITLE)
    assert [one.abstract_syntax for one in association.accepted_contexts] == [RADIOGRAPH]
    association.release()


def test_connections_that_close_without_a_word_keep_no_place(listening: DicomNode) -> None:
    for _ in range(WAITING_OF_ONE):
        connect(listening).close()
        wait_until(lambda: count_open(listening) == 0)
    associate(listening).release()
    wait_until(lambda: count_open(listening) == 0)


def test_half_a_request_keeps_its_place_for_a_time_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pneumoscope.server.dicom.receiving.node.REQUEST_SECONDS", 0.5)
    with node(settings) as (_, at), connect(at) as connection:
        connection.sendall(struct.pack(">BxL", 0x01, 200) + bytes(100))
        wait_until(lambda: count_open(at) == 1)
        with suppress(OSError):
            for _ in range(100):  # byte by byte it takes no longer
                connection.sendall(b"\0")
                time.sleep(0.02)
                if count_open(at) == 0:
                    break
        wait_until(lambda: count_open(at) == 0)


def test_half_a_later_pdu_keeps_its_place_for_a_time_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pneumoscope.server.dicom.receiving.node.IDLE_SECONDS", 0.5)
    with node(settings) as (_, at):
        association = associate(at)
        association.dul.socket.send(struct.pack(">BxL", 0x04, 200) + bytes(100))
        wait_until(lambda: count_open(at) == 0)


def test_silent_connections_take_no_place_of_an_association(
    listening: DicomNode, caplog: pytest.LogCaptureFixture
) -> None:
    silent = [connect(listening) for _ in range(WAITING_OF_ONE - 1)]
    wait_until(lambda: count_open(listening) == WAITING_OF_ONE - 1)
    associations = [associate(listening) for _ in range(ASSOCIATIONS)]
    silent += [connect(listening) for _ in range(3)]
    with caplog.at_level(logging.WARNING, "pneumoscope"):
        assert silent[-1].recv(1) == silent[-2].recv(1) == b""  # closed at once
    assert silent[0].recv(1) == b""  # after its time
    wait_until(lambda: count_open(listening) == ASSOCIATIONS)
    assert all(association.is_established for association in associations)
    for association in associations:
        association.release()
    for connection in silent:
        connection.close()


def test_messages_that_wait_for_no_answer_are_read_one_after_the_other(settings: Settings) -> None:
    from pynetdicom.dimse_messages import C_STORE_RQ
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.pdu import P_DATA_TF

    count, read, may_go_on = 12, [], threading.Event()

    def receive(data: bytes, *_: object) -> Receipt:
        may_go_on.wait(20)
        read.append(data)
        return Receipt(SUCCESS)

    with node(replace(settings, max_file_bytes=MIB, max_request_bytes=2 * MIB)) as (_, at):
        at._receiver.receive = receive  # type: ignore[method-assign]
        association = associate(at)
        pdus = []
        for number in range(count):
            request = C_STORE()
            request.MessageID, request.Priority = number + 1, 2
            request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = RADIOGRAPH, f"1.2.3.{number}"
            data = pydicom.Dataset()
            data.SOPClassUID, data.SOPInstanceUID = RADIOGRAPH, f"1.2.3.{number}"
            data.add_new("PixelData", "OB", bytes(2**19))
            request.DataSet = BytesIO(pynetdicom.dsutils.encode(data, False, True) or b"")
            message = C_STORE_RQ()
            message.primitive_to_message(request)
            for part in message.encode_msg(association.accepted_contexts[0].context_id, 16_382):
                pdu = P_DATA_TF()
                pdu.from_primitive(part)
                pdus.append(pdu.encode())
        sender = threading.Thread(target=association.dul.socket.socket.sendall, args=(b"".join(pdus),))
        sender.start()
        (served,) = at._server.active_associations  # type: ignore[union-attr]
        wait_until(lambda: served.dimse.msg_queue.qsize() == 1)
        time.sleep(0.5)  # more would have been read by now
        assert served.dimse.msg_queue.qsize() == 1
        assert sender.is_alive()
        may_go_on.set()
        wait_until(lambda: len(read) == count)
        sender.join()
        association.abort()


def test_a_rejection_says_which_of_its_two_reasons_it_has(
    listening: DicomNode, caplog: pytest.LogCaptureFixture
) -> None:
    entity = pynetdicom.AE(ae_title="CR1")
    entity.add_requested_context(RADIOGRAPH, PLAIN)
    with caplog.at_level(logging.WARNING, "pneumoscope"):
        assert entity.associate("127.0.0.1", listening.port, ae_title="ANOTHER").is_rejected
        others = [associate(listening) for _ in range(ASSOCIATIONS)]
        assert entity.associate("127.0.0.1", listening.port, ae_title=TITLE).is_rejected
        for association in others:
            association.release()
    start = "an association with 127.0.0.1 was rejected: "
    reasons = [record.getMessage().removeprefix(start) for record in caplog.records if record.name.endswith(".node")]
    assert reasons == ["it called another AE title", "10 associations are open already"]


def test_a_peer_that_shakes_no_hands_keeps_no_other_one_waiting(settings: Settings, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl: apt-get install openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=node", "-keyout", key, "-out", certificate]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    options = {"tls_certificate": certificate, "tls_key": key, "tls_peers": certificate}
    entity = pynetdicom.AE(ae_title="CR1")
    entity.connection_timeout = entity.acse_timeout = 10
    entity.add_requested_context(RADIOGRAPH, PLAIN)
    named, unnamed = (ssl.create_default_context(cafile=certificate) for _ in range(2))
    named.load_cert_chain(certificate, key)
    with node(settings, **options) as (_, at), connect(at):
        for context, is_taken in ((named, True), (unnamed, False)):
            asked = entity.associate("127.0.0.1", at.port, ae_title=TITLE, tls_args=(context, "node"))
            assert asked.is_established == is_taken
            if is_taken:
                asked.release()
            elif asked.dul.socket.socket is not None:
                asked.dul.socket.socket.close()  # pynetdicom leaves it open
