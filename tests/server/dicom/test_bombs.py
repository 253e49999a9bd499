"""Headers that are bombs: a decoder meets its limits, the object is refused, and the server's own memory stays flat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest

from pneumoscope.server.dicom.receiving import receive
from pneumoscope.server.dicom.receiving.receive import Receipt, Sender
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.settings import DicomSettings, Settings
from pneumoscope.server.storage.tables import ArchivedObject
from server.client import Client, serve_client
from server.sample_files import dicom

MIB = 2**20
SENDER = Sender("CR1", "127.0.0.1")


def with_elements(elements: bytes) -> bytes:
    """A radiograph with further elements between its header and its pixels; their group is 7FDF or lower."""
    data = dicom()
    at = data.index(b"\xe0\x7f\x10\x00")
    return data[:at] + elements + data[at:]


def private_elements(size: int) -> bytes:
    """Empty private elements of 8 bytes each, explicit VR: hundreds of bytes each in memory."""
    places = range(0x1000, 0x1000 + size // 8)
    return b"".join(
        (0x0029 + 2 * (place >> 16)).to_bytes(2, "little") + (place & 0xFFFF).to_bytes(2, "little") + b"LO\0\0"
        for place in places
    )


def nested_sequences(depth: int) -> bytes:
    """A sequence in a sequence in a sequence, each without a length (PS3.5 7.5)."""
    opened = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return opened * depth + closed * depth


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Yield a list that afterwards has one number: bytes that this process took at most beyond those at the start."""
    process, ended, peak = psutil.Process(), threading.Event(), [0]
    start = process.memory_info().rss

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], process.memory_info().rss - start)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
    (tiny,) = (model.id for model in Catalogue(settings.models).list_models().values() if not model.builtin)
    node = DicomSettings(port=0, models=(tiny,))
    with serve_client(replace(settings, dicom=node, decoder_quick_seconds=2.0, decoder_seconds=3.0)) as client:
        decoders = client.app.state.context.decoders
        decoders.start()
        try:
            yield client
        finally:
            decoders.stop()


def send(client: Client, data: bytes) -> Receipt:
    return client.app.state.context.node._receiver.receive(data, SENDER)


@pytest.mark.parametrize(
    "elements",
    [
        pytest.param(lambda: private_elements(100 * MIB), id="100 MiB of private elements"),
        pytest.param(lambda: nested_sequences(500_000), id="sequences in sequences"),
    ],
)
def test_a_header_that_is_a_bomb_is_refused_and_the_server_stays_small(client: Client, elements) -> None:
    data = with_elements(elements())
    assert send(client, dicom(value=900)).status == receive.SUCCESS  # whatever is imported at the first object
    with peak_memory() as peak:
        receipt = send(client, data)
    assert receipt.status == receive.NO_IMAGE, receipt.comment
    assert peak[0] < 16 * MIB
    assert send(client, dicom({"SOPInstanceUID": "1.2.3"}, value=901)).status == receive.SUCCESS
    with client.app.state.context.store.read() as session:
        assert session.query(ArchivedObject).count() == 2
