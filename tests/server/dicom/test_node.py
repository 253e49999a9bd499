"""The DICOM node against dcmtk's own programs: who may send, what arrives, and what each status means."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.filebase import DicomBytesIO

from pneumoscope.core.errors import UsageError
from pneumoscope.server.dicom.calling.association import PLAIN_SYNTAXES
from pneumoscope.server.dicom.objects.analysed import load_header
from pneumoscope.server.dicom.receiving import receive
from pneumoscope.server.dicom.receiving.node import DicomNode
from pneumoscope.server.errors import StoreFullError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.run import serve
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import DicomSettings, Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.tables import ArchivedObject, QuarantinedObject
from pneumoscope.server.studies.erasure import erase
from server.client import Client, serve_client
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")

TITLE = "PNEUMOSCOPE"


@contextmanager
def node(settings: Settings, **options: Any) -> Iterator[tuple[Client, DicomNode]]:
    """A server that is a DICOM node at a free port."""
    (tiny,) = (model.id for model in Catalogue(settings.models).list_models().values() if not model.builtin)
    with serve_client(replace(settings, dicom=DicomSettings(port=0, models=(tiny,), **options))) as client:
        listening = client.app.state.context.node
        assert listening is not None
        listening.start()
        try:
            yield client, listening
        finally:
            listening.stop()


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Send files with dcmtk's storescu."""
    if shutil.which("storescu") is None:
        pytest.skip("no storescu: apt-get install dcmtk")

    def run(at: DicomNode, *files: bytes, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        paths = []
        for number, data in enumerate(files):
            paths.append(tmp_path / f"{number}.dcm")
            paths[-1].write_bytes(data)
        command = ["storescu", "-v", "-aec", TITLE, "-aet", "CR1", *options, "127.0.0.1", str(at.port), *paths]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


def rows(client: Client, table: type) -> list[Any]:
    with client.app.state.context.store.read() as session:
        return list(session.query(table))


def test_echo(settings: Settings) -> None:
    if shutil.which("echoscu") is None:
        pytest.skip("no echoscu: apt-get install dcmtk")
    with node(settings) as (_, at):
        for title, expected in ((TITLE, 0), ("ANOTHER", 1)):
            asked = subprocess.run(
                ["echoscu", "-aec", title, "127.0.0.1", str(at.port)], capture_output=True, timeout=30
            )
            assert (asked.returncode != 0) == bool(expected)


def test_what_finds_no_presentation_context_is_a_line_of_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    from pynetdicom import AE

    ultrasound, radiograph = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.1.1"
    with node(settings) as (_, at):
        for asks in ((ultrasound,), (ultrasound,), (ultrasound, "1.2.3.4"), (radiograph,)):
            entity = AE(ae_title="CR1")
            for sop_class in asks:  # deflated: the one syntax that no class of an image is taken in
                entity.add_requested_context(sop_class, "1.2.840.10008.1.2.1.99")
            association = entity.associate("127.0.0.1", at.port, ae_title=TITLE)
            if association.is_established:
                association.release()
    end = time.monotonic() + 10
    while len(lines := [line for line in caplog.messages if "contexts of" in line]) < 3:
        assert time.monotonic() < end, caplog.messages
        time.sleep(0.05)
    assert [line.partition(" were refused: ")[2].rpartition(";")[0] for line in lines] == [
        f"Ultrasound Image Storage ({ultrasound})",
        f"Ultrasound Image Storage ({ultrasound}); unknown class (1.2.3.4)",
        f"Digital X-Ray Image Storage - For Presentation ({radiograph}), none of its transfer syntaxes",
    ]
    assert all("'CR1' at 127.0.0.1" in line for line in lines)


def test_an_object_becomes_a_study_that_is_asked_about(settings: Settings, send: Callable[..., Any]) -> None:
    data = dicom({"PatientName": "Müller^Jürgen", "SpecificCharacterSet": "ISO_IR 100", "AccessionNumber": "A7"})
    with node(settings) as (client, at):
        assert send(at, data).returncode == 0
        (study,) = client.get("/api/studies")["studies"]
        assert [one["state"] for one in study["predictions"]] == ["queued"]
        (row,) = rows(client, ArchivedObject)
        store = client.app.state.context.store
        header = load_header(store.secret.unseal_bytes(row.sealed, row.key).decode())
        assert (str(header.PatientName), header.AccessionNumber) == ("Müller^Jürgen", "A7")
        assert "PixelData" not in header
        entry = list_entries(store, subject=study["id"])[0]
        assert (entry.who, entry.action, entry.address, entry.status) == ("dicom:CR1", "C-STORE", "127.0.0.1", 201)
        # Nothing in the clear: neither in the database nor beside it.
        for file in (path for path in settings.home.rglob("*") if path.is_file()):
            assert b"rgen" not in file.read_bytes(), file


def test_the_same_object_is_one_job_in_any_transfer_syntax(settings: Settings, send: Callable[..., Any]) -> None:
    data = dicom()
    with node(settings) as (client, at):
        for options in ((), (), ("-xi",), ("-xe",)):  # -xi: implicit, -xe: explicit little endian
            assert send(at, data, options=options).returncode == 0
        assert len(rows(client, ArchivedObject)) == 1
        (study,) = client.get("/api/studies")["studies"]
        assert len(study["images"]) == len(study["predictions"]) == 1
        assert rows(client, QuarantinedObject) == []


def test_other_pixels_under_the_same_number_are_kept_apart(settings: Settings, send: Callable[..., Any]) -> None:
    first, second = dicom(), dicom(value=1000)
    with node(settings) as (client, at):
        assert send(at, first).returncode == 0
        for _ in range(2):
            sent = send(at, second)
            assert "Error: CannotUnderstand" in sent.stdout + sent.stderr
        (apart,) = rows(client, QuarantinedObject)
        (study,) = client.get("/api/studies")["studies"]
        assert len(study["images"]) == 1
        store = client.app.state.context.store
        sealed = blobs.path_of(settings.files, apart.id, blobs.SEALED)
        assert b"Doe" not in sealed.read_bytes()
        assert b"Doe^Jane" in store.secret.unseal_bytes(sealed.read_bytes(), apart.id)
        erase(store, [study["id"]])
        assert rows(client, QuarantinedObject) == rows(client, ArchivedObject) == []
        assert not sealed.exists()


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY"]}, receive.NEVER_ANALYSED),
        ({"ImageType": "DERIVED"}, receive.NEVER_ANALYSED),
        ({"SeriesDescription": "AI Research - Not for Diagnosis"}, receive.NEVER_ANALYSED),
        ({"Modality": "OT"}, receive.NEVER_ANALYSED),
        ({"BurnedInAnnotation": "YES"}, receive.NAMES_IN_PIXELS),
        ({"PhotometricInterpretation": "RGB2"}, receive.NO_IMAGE),
    ],
)
def test_what_is_refused_is_not_stored(settings: Settings, tags: dict[str, Any], status: int) -> None:
    with node(settings) as (client, _):
        taken = client.app.state.context.node._receiver.receive(dicom(tags), receive.Sender("CR1", "127.0.0.1"))
        assert taken.status == status
        assert taken.comment
        assert "Doe" not in taken.comment
        entry = list_entries(client.app.state.context.store)[0]
        assert client.get("/api/studies")["studies"] == []
        assert (entry.action, entry.status) == (f"C-STORE refused {status:04X}", 422)


@pytest.mark.parametrize("syntax", PLAIN_SYNTAXES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"SOPInstanceUID": "1.2.3"}, "SOPInstanceUID"),
        ({"SOPInstanceUID": ""}, "SOPInstanceUID"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "SOP class"),
        ({"LanguageCodeSequence": [], "CodeValue": "1" * 2**17}, ""),  # long, but its head is not
    ],
)
def test_a_data_set_is_what_was_announced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, syntax: str, change: dict[str, Any], words: str
) -> None:
    import pynetdicom
    from pynetdicom.dsutils import encode

    sent = pydicom.dcmread(BytesIO(dicom()))
    announced = pydicom.Dataset()
    announced.SOPClassUID, announced.SOPInstanceUID = sent.SOPClassUID, sent.SOPInstanceUID
    announced.file_meta = pydicom.dataset.FileMetaDataset()
    announced.file_meta.TransferSyntaxUID = syntax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own, of the long value
        for keyword, value in change.items():
            setattr(sent, keyword, value)
        body = encode(sent, syntax == PLAIN_SYNTAXES[1], True)
    with node(settings) as (client, at):
        entity = pynetdicom.AE(ae_title="CR1")
        entity.add_requested_context(announced.SOPClassUID, syntax)
        association = entity.associate("127.0.0.1", at.port, ae_title=TITLE)
        with monkeypatch.context() as patched:
            patched.setattr("pynetdicom.association.encode", lambda *_: body)
            answer = association.send_c_store(announced)
        association.release()
        assert answer.Status == (receive.NOT_AS_ANNOUNCED if words else receive.SUCCESS)
        assert words in answer.get("ErrorComment", "")
        assert len(rows(client, ArchivedObject)) == (not words)
        assert list_entries(client.app.state.context.store)[0].status == (422 if words else 201)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["", "1.2.3.x", "1." * 40 + "1"])
def test_an_object_that_nothing_could_refer_to_is_refused(settings: Settings, keyword: str, value: str) -> None:
    data = pydicom.dcmread(BytesIO(dicom()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own, of the wrong value
        setattr(data, keyword, value)
        buffer = DicomBytesIO()
        data.save_as(buffer, enforce_file_format=False)
    with node(settings) as (client, _):
        taken = client.app.state.context.node._receiver.receive(buffer.getvalue(), receive.Sender("CR1", "127.0.0.1"))
        assert taken.status == receive.NO_IDENTITY
        assert keyword in taken.comment


def test_a_port_that_is_taken_is_named_before_the_start(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"dicom_port={port}.*is in use"):
            serve(replace(settings, dicom=DicomSettings(port=port)))


def test_a_full_disk_leaves_the_object_with_its_sender(
    settings: Settings, send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with node(settings) as (client, at):
        uploads = client.app.state.context.uploads

        def refuse(*_: object, **__: object) -> None:
            raise StoreFullError("the store", "is full: nothing was accepted.")

        with monkeypatch.context() as patched:
            patched.setattr(type(uploads), "stage", refuse)
            sent = send(at, dicom())
        assert "Refused: OutOfResources" in sent.stdout + sent.stderr
        assert client.get("/api/studies")["studies"] == []
        assert send(at, dicom()).returncode == 0
        assert len(client.get("/api/studies")["studies"]) == 1


def test_only_named_peers_may_send(settings: Settings, send: Callable[..., Any]) -> None:
    with node(settings, peers=(("CR1", "127.0.0.1"), ("CR2", "192.0.2.7"))) as (client, at):
        assert send(at, dicom()).returncode == 0
        other_title = send(at, dicom(value=900), options=("-aet", "CR3"))
        other_address = send(at, dicom(value=900), options=("-aet", "CR2"))
        for refused in (other_title, other_address):
            assert refused.returncode != 0
            assert "Rejected" in refused.stdout + refused.stderr
        assert len(client.get("/api/studies")["studies"]) == 1


@pytest.mark.parametrize(("host", "address"), [("::", "127.0.0.1"), ("127.0.0.1", "::ffff:127.0.0.1")])
def test_a_peer_of_ipv4_is_known_at_a_socket_of_both_kinds(
    settings: Settings, send: Callable[..., Any], host: str, address: str
) -> None:
    """Such a socket gives its address as one of IPv6: ::ffff:127.0.0.1."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with node(settings, host=host, in_the_clear=True, peers=(("CR1", address),)) as (_, at):
        assert send(at, dicom()).returncode == 0


def test_a_huge_object_ends_its_association(settings: Settings, send: Callable[..., Any]) -> None:
    from pneumoscope.imaging.golden_files.encode import dicom as encode

    huge = encode(np.zeros((1500, 1500), np.uint16), 12, {"PatientID": "1"})
    with node(replace(settings, max_file_bytes=2**20, max_request_bytes=2**21)) as (client, at):
        assert send(at, huge).returncode != 0
        assert send(at, dicom()).returncode == 0
        assert len(client.get("/api/studies")["studies"]) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "0.0.0.0"}, "no peer is named"),
        ({"host": "0.0.0.0", "peers": (("CR1", "192.0.2.7"),)}, "in the clear"),
        ({"title": "A TITLE OF MORE THAN SIXTEEN"}, "1 to 16"),
        ({"title": "A\nB"}, r"AE title 'A\\nB': is none.*control character"),
        ({"title": "SIXTEEN LETTERS.  "}, "without blanks at the ends"),
        ({"peers": (("CR1 ", "192.0.2.7"),)}, "without blanks at the ends"),  # it would never be recognised
        ({"peers": (("CR1", "modality.example"),)}, "no IP address"),
        ({"tls_key": Path("key.pem")}, "belong together"),
        ({"tls_peers": Path("ca.pem")}, "only with TLS"),
    ],
)
def test_unsafe_settings_are_refused(settings: Settings, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(settings, dicom=DicomSettings(**options)).validate()


@pytest.mark.shared
def test_real_radiographs_in_their_own_syntax(settings: Settings, shared: Path) -> None:
    if shutil.which("dcmsend") is None:
        pytest.skip("no dcmsend: apt-get install dcmtk")
    folder = shared / "data" / "dicom"
    taken = ("CR_konica_monochrome1_jpeg.dcm", "RG1_J2KI.dcm", "RG3_J2KI.dcm", "RG3_J2KR.dcm")

    def dcmsend(at: DicomNode, *names: str) -> int:
        files = [str(folder / name) for name in names]
        where = ["-aec", TITLE, "127.0.0.1", str(at.port)]
        return subprocess.run(["dcmsend", "--decompress-never", *where, *files], timeout=120).returncode

    with node(settings) as (client, at):
        assert dcmsend(at, *taken) == 0
        images = [image for study in client.get("/api/studies")["studies"] for image in study["images"]]
        # RG3 is there in two syntaxes, under one SOPInstanceUID: lossy pixels are others, so that one is quarantined.
        assert len(images) + len(rows(client, QuarantinedObject)) == len(taken)
        dcmsend(at, "DX_nih_implicit.dcm")  # a secondary capture: its class is not taken
        assert len(rows(client, ArchivedObject)) == len(images)
