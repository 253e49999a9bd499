"""Objects that are kept as they came: WADO-RS by another program's client, byte for byte what dcmtk sent."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pydicom
import pytest
from PIL import Image

from pneumoscope.imaging.golden_files.encode import EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LS, RLE, pillow
from pneumoscope.imaging.golden_files.encode import dicom as encode
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import DicomSettings, Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.tables import ArchivedObject, KeptFile
from pneumoscope.server.studies.backup import back_up
from pneumoscope.server.studies.erasure import erase, remove_leftovers
from server.client import Client, serve_client
from server.dicom.result_tools import node_of
from server.dicom.result_tools import receive as send_as_peer
from server.dicom.test_dicomweb import BASE, TAGS, connect, list_rows, post
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")

UIDS = ("1.2.826.7", "1.2.826.7.1", "1.2.826.7.1.1")
ADDRESS = f"{BASE}/studies/1.2.826.7/series/1.2.826.7.1/instances/1.2.826.7.1.1"
BASELINE, LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
SAMPLES = np.add.outer(np.arange(48), 3 * np.arange(37)).astype(np.uint16)  # 8 bits and an odd number of pixels
JPEG = pillow(SAMPLES, "JPEG")
MEDIA = {
    IMPLICIT: "application/octet-stream",
    EXPLICIT: "application/octet-stream",
    BASELINE: "image/jpeg",
    LOSSLESS: "image/jpeg",
    JPEG_LS: "image/jls",
    JPEG_2000: "image/jp2",
    RLE: "image/dicom-rle",
}
"""PS3.18 tables 8.7.3-3 to 8.7.3-5."""


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(node_of(settings, keep_files=True)) as client:
        yield client


def file_in(syntax: str, folder: Path) -> bytes:
    """A radiograph in a transfer syntax; dcmtk writes the one that no library here does."""
    tags = {**TAGS, "BurnedInAnnotation": "NO"}
    if syntax != LOSSLESS:
        return encode(SAMPLES, 8, tags, syntax=syntax, frame=JPEG if syntax == BASELINE else b"")
    if shutil.which("dcmcjpeg") is None:
        pytest.skip("no dcmcjpeg: apt-get install dcmtk")
    (folder / "plain.dcm").write_bytes(encode(SAMPLES, 8, tags))
    command = ["dcmcjpeg", "+e1", "+un", folder / "plain.dcm", folder / "lossless.dcm"]
    subprocess.run(command, check=True, timeout=60)
    return (folder / "lossless.dcm").read_bytes()


def body_of(data: bytes) -> bytes:
    """The data set of a file, behind its file meta information, which each node writes itself."""
    end = 132 + 12 + int.from_bytes(data[140:144], "little")
    assert data[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    return data[end:]


def blob_path(settings: Settings, row: KeptFile) -> Path:
    return blobs.path_of(settings.files, row.blob, blobs.SEALED)


@pytest.mark.parametrize("syntax", MEDIA)
def test_what_dcmtk_sends_comes_back_byte_for_byte(settings: Settings, syntax: str, tmp_path: Path) -> None:
    # dcmsend would send an implicit file as an explicit one, since a node that takes both prefers that.
    program = ["storescu", "-xi"] if syntax == IMPLICIT else ["dcmsend", "--decompress-never"]
    if shutil.which(program[0]) is None:
        pytest.skip(f"no {program[0]}: apt-get install dcmtk")
    data, file = file_in(syntax, tmp_path), tmp_path / "sent.dcm"
    file.write_bytes(data)
    with serve_client(node_of(settings, keep_files=True)) as client:
        node = client.app.state.context.node
        node.start()
        try:
            where = ["-aec", "PNEUMOSCOPE", "127.0.0.1", str(node.port)]
            subprocess.run([*program, *where, file], check=True, timeout=60)
        finally:
            node.stop()
        got = client("GET", ADDRESS, headers={"Accept": "application/dicom"}).content
        assert body_of(got) == body_of(data)
        assert pydicom.dcmread(BytesIO(got)).file_meta.TransferSyntaxUID == syntax
        assert connect(client).retrieve_instance(*UIDS) == pydicom.dcmread(BytesIO(data))


@pytest.mark.parametrize("syntax", MEDIA)
def test_what_was_stored_by_stow_comes_back_with_its_own_file_meta(client: Client, syntax: str, tmp_path: Path) -> None:
    data = file_in(syntax, tmp_path)
    assert post(client, data).status_code == 200
    for accept in (None, f"application/dicom; transfer-syntax={syntax}", "application/dicom; transfer-syntax=*"):
        headers = {"Accept": accept or "application/dicom"}
        assert client("GET", ADDRESS, headers=headers).content == data
    many = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
    for address in (ADDRESS, f"{BASE}/studies/1.2.826.7", f"{BASE}/studies/1.2.826.7/series/1.2.826.7.1"):
        answer = client("GET", address, headers={"Accept": many})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
        assert answer.content.split(b"\r\n\r\n", 1)[1].startswith(data + b"\r\n--")
    other = RLE if syntax != RLE else JPEG_LS
    refused = client("GET", ADDRESS, headers={"Accept": many.replace(syntax, other)})
    assert refused.status_code == 406
    assert syntax in refused.text
    # The frame, by another program's client, and as the codec or the library reads it in the file.
    sent = pydicom.dcmread(BytesIO(data))
    (frame,) = connect(client).retrieve_instance_frames(*UIDS, [1], media_types=((MEDIA[syntax], "*"),))
    if MEDIA[syntax] == "application/octet-stream":
        assert frame == SAMPLES.astype(np.uint8).tobytes()
    else:
        assert frame == pydicom.encaps.get_frame(sent.PixelData, 0, number_of_frames=1)
        if MEDIA[syntax] in ("image/jpeg", "image/jp2") and syntax != LOSSLESS:
            assert np.array_equal(np.asarray(Image.open(BytesIO(frame))), sent.pixel_array)
    answer = client("GET", f"{ADDRESS}/frames/1", headers={"Accept": "*/*"})
    expected = EXPLICIT if syntax == IMPLICIT else syntax
    assert f"Content-Type: {MEDIA[syntax]}; transfer-syntax={expected}\r\n".encode() in answer.content
    octets = 'multipart/related; type="application/octet-stream"'
    status = client("GET", f"{ADDRESS}/frames/1", headers={"Accept": octets}).status_code
    assert status == (200 if MEDIA[syntax] == "application/octet-stream" else 406)
    viewer = client("GET", f"{ADDRESS}/frames/1", headers={"Accept": f"{octets}; transfer-syntax=*"})
    assert viewer.status_code == 200
    assert frame in viewer.content


@pytest.mark.parametrize("frames", ["2", "1,2", "0", "x", "1,"])
def test_there_is_one_frame(client: Client, frames: str) -> None:
    post(client, dicom(TAGS))
    assert client("GET", f"{ADDRESS}/frames/{frames}").status_code == (404 if frames in ("2", "1,2") else 422)


def test_what_is_kept_is_said(client: Client) -> None:
    module = pydicom.Dataset.from_json(post(client, dicom(TAGS)).json())
    assert urlsplit(module.ReferencedSOPSequence[0].RetrieveURL).path == ADDRESS
    web = connect(client)
    (found,) = web.search_for_instances(*UIDS[:2], fields=["AvailableTransferSyntaxUID"])
    assert found["00080056"]["Value"] == ["ONLINE"]
    assert found["00083002"]["Value"] == [EXPLICIT]
    assert urlsplit(found["00081190"]["Value"][0]).path == ADDRESS
    for matches in (web.search_for_studies(), web.search_for_series(UIDS[0])):
        assert ADDRESS.startswith(urlsplit(matches[0]["00081190"]["Value"][0]).path)
    metadata = web.retrieve_instance_metadata(*UIDS)
    place = urlsplit(metadata["7FE00010"]["BulkDataURI"]).path
    samples = np.full((32, 24), 2000, "<u2")
    samples[0, 0] = 4095
    answer = client("GET", place, headers={"Accept": "application/octet-stream"})
    assert answer.content == samples.tobytes()


@pytest.mark.parametrize("keeps", [False, True])
def test_the_rendered_image_is_what_the_viewer_shows(settings: Settings, keeps: bool) -> None:
    samples = np.linspace(0, 4095, 60 * 40).astype(np.uint16).reshape(60, 40)
    data = encode(samples, 12, {**TAGS, "BurnedInAnnotation": "NO", "PhotometricInterpretation": "MONOCHROME1"})
    with serve_client(node_of(settings, keep_files=keeps)) as client:
        study = send_as_peer(client, data).study
        image = client.get(f"/api/studies/{study}")["images"][0]["id"]
        stored = np.asarray(Image.open(BytesIO(client("GET", f"/api/images/{image}/pixels").content)))
        answer = client("GET", f"{ADDRESS}/rendered", headers={"Accept": "image/png"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        shown = np.asarray(Image.open(BytesIO(answer.content)))
        assert shown.shape == samples.shape
        assert np.abs(shown / 255 - stored / np.iinfo(stored.dtype).max).max() <= 0.5 / 255 + 1e-6
        assert shown[0, 0] == 255  # MONOCHROME1: the lowest value is white
        jpeg = client("GET", f"{ADDRESS}/rendered?viewport=20,20&quality=80")
        assert jpeg.headers["content-type"] == "image/jpeg"  # the standard's default
        assert Image.open(BytesIO(jpeg.content)).size == (13, 20)
        for accept, kind in (("image/png;q=0.2, image/jpeg", "image/jpeg"), ("image/jpeg;q=0, */*", "image/png")):
            answer = client("GET", f"{ADDRESS}/rendered", headers={"Accept": accept})
            assert answer.headers["content-type"] == kind
        assert client("GET", f"{ADDRESS}/rendered", headers={"Accept": "image/gif"}).status_code == 406
        assert client("GET", f"{ADDRESS}/rendered?window=1,2,linear").status_code == 422
        assert client("GET", ADDRESS).status_code == (200 if keeps else 404)
        assert client("GET", f"{ADDRESS}/frames/1").status_code == (200 if keeps else 404)


def test_a_corrected_header_takes_the_place_of_the_kept_file(client: Client, settings: Settings) -> None:
    send_as_peer(client, dicom(TAGS))
    (before,) = list_rows(client, KeptFile)
    corrected = dicom({**TAGS, "PatientID": "9999"})
    send_as_peer(client, corrected)
    (after,) = list_rows(client, KeptFile)
    assert not blob_path(settings, before).exists()
    sealed = blob_path(settings, after).read_bytes()
    assert b"9999" not in sealed
    assert client("GET", ADDRESS, headers={"Accept": "application/dicom"}).content == corrected
    # Other pixels are quarantined, and the same pixels in another syntax change nothing.
    post(client, dicom(TAGS, value=900))
    assert [row.blob for row in list_rows(client, KeptFile)] == [after.blob]


def test_files_are_kept_from_when_that_is_asked_for(settings: Settings) -> None:
    for keeps, kept in ((False, 0), (True, 1), (False, 1)):
        with serve_client(node_of(settings, keep_files=keeps)) as client:
            send_as_peer(client, dicom(TAGS))
            assert len(list_rows(client, ArchivedObject)) == 1
            assert len(list_rows(client, KeptFile)) == kept
    with serve_client(node_of(settings)) as client:  # a former patient's file does not stay either
        send_as_peer(client, dicom({**TAGS, "PatientID": "9999"}))
        assert list_rows(client, KeptFile) == []
    assert [path for path in settings.files.rglob("*.sealed")] == []


def test_a_file_is_erased_and_backed_up_with_its_study(client: Client, settings: Settings, tmp_path: Path) -> None:
    study = send_as_peer(client, dicom(TAGS)).study
    store = client.app.state.context.store
    (row,) = list_rows(client, KeptFile)
    path = blob_path(settings, row)
    sealed = path.read_bytes()
    assert b"Doe" not in sealed and b"ller" not in sealed
    remove_leftovers(store)
    assert path.exists()
    if not store.is_postgres:
        assert back_up(store, tmp_path / "copy") == 1
        assert blobs.path_of(tmp_path / "copy" / "files", row.blob, blobs.SEALED).read_bytes() == sealed
    erase(store, [study])
    assert list_rows(client, KeptFile) == []
    assert not path.exists()


def test_nothing_is_kept_where_the_rows_were_not_written(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, commit = client.app.state.context.store, type(client.app.state.context.store).commit

    def fail(self: Any, change: Any, *, exclusive: bool = False, **options: Any) -> Any:
        if exclusive:
            raise OSError(28, "No space left on device")
        return commit(self, change, **options)

    monkeypatch.setattr(type(store), "commit", fail)
    assert post(client, dicom(TAGS)).status_code == 503
    monkeypatch.undo()
    assert list(settings.files.rglob("*.sealed")) == []
    assert post(client, dicom(TAGS)).status_code == 200


def test_a_lost_file_is_an_error_and_no_half_answer(client: Client, settings: Settings) -> None:
    send_as_peer(client, dicom(TAGS))
    (row,) = list_rows(client, KeptFile)
    blob_path(settings, row).unlink()
    for address in (ADDRESS, f"{ADDRESS}/frames/1", f"{BASE}/studies/1.2.826.7"):
        assert client("GET", address).status_code == 500
    assert client("GET", f"{ADDRESS}/rendered").status_code == 200


def test_pixels_are_for_accounts_that_may_see_names_and_each_look_is_recorded(settings: Settings) -> None:
    with serve_client(replace(node_of(settings, keep_files=True), accounts=True)) as client:
        context = client.app.state.context
        study = send_as_peer(client, dicom(TAGS)).study
        for name, sees_names, expected in (("blind", False, 403), ("sees", True, 200)):
            account = context.accounts.add(name, "correct horse battery", "reader", sees_names=sees_names)
            token = context.tokens.create(account.id, "pacs", 1)[1]
            for what in ("", "/frames/1", "/rendered"):
                answer = client("GET", ADDRESS + what, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == expected, what
            assert client("GET", ADDRESS).status_code == 401
        seen = [entry for entry in list_entries(context.store, subject=study) if entry.action.startswith("GET")]
        assert len(seen) == 3
        assert all("1.2.826" not in entry.action for entry in seen)


def test_the_option_needs_no_other_one() -> None:
    DicomSettings(keep_files=True).validate()
    assert not DicomSettings().keep_files


@pytest.mark.parametrize(
    ("accept", "what", "status"),
    [
        ("{many}; transfer-syntax=*, {many}; transfer-syntax={own}; q=0", "", 406),
        ("{many}; transfer-syntax={own}; q=0, {many}; transfer-syntax=*", "", 406),
        ("{many}; transfer-syntax=*, {many}; transfer-syntax={other}; q=0", "", 200),
        ("{many}, {many}; transfer-syntax={own}; q=0.000", "", 406),
        ("*/*, {many}; transfer-syntax={own}; q=0, application/dicom; transfer-syntax={own}; q=0", "", 406),
        ("{many}; transfer-syntax={own}; q=0, application/dicom", "", 200),  # the object alone
        ("{many}; q=0, {many}; transfer-syntax={own}", "", 200),
        ("application/dicom; transfer-syntax=*, application/dicom; transfer-syntax={own}; q=0", "", 406),
        ("{frames}; transfer-syntax=*, {frames}; transfer-syntax={own}; q=0", "/frames/1", 406),
        ("image/jpeg, image/jpeg; transfer-syntax={own}; q=0", "/frames/1", 406),
        ("image/jpeg, image/jpeg; transfer-syntax={other}; q=0", "/frames/1", 200),
    ],
)
def test_a_transfer_syntax_with_a_quality_of_0_is_not_sent(
    client: Client, accept: str, what: str, status: int, tmp_path: Path
) -> None:
    assert post(client, file_in(BASELINE, tmp_path)).status_code == 200
    kinds = {"many": 'multipart/related; type="application/dicom"', "frames": 'multipart/related; type="image/jpeg"'}
    asked = accept.format(own=BASELINE, other=JPEG_LS, **kinds)
    assert client("GET", ADDRESS + what, headers={"Accept": asked}).status_code == status


@pytest.mark.parametrize("excepted", ["{many}; transfer-syntax={other}; q=0", 'multipart/related; type="a/b"; q=0'])
@pytest.mark.parametrize("address", [ADDRESS.partition("/series")[0], ADDRESS.partition("/instances")[0], ADDRESS])
def test_another_range_with_a_quality_of_0_excepts_nothing_of_a_study(
    client: Client, excepted: str, address: str, tmp_path: Path
) -> None:
    assert post(client, file_in(BASELINE, tmp_path)).status_code == 200
    many = 'multipart/related; type="application/dicom"'
    asked = f"{excepted.format(many=many, other=JPEG_LS)}, */*"
    assert client("GET", address, headers={"Accept": asked}).status_code == 200


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("application/dicom+json;q=0, application/json", 406),
        ("text/html, */*;q=0.1", 200),
        ('text/x; a="' + '\\"' * 2000, 406),
        ("a/b," * 1100, 422),
    ],
)
def test_the_header_accept_of_metadata(client: Client, accept: str, status: int, tmp_path: Path) -> None:
    assert post(client, file_in(BASELINE, tmp_path)).status_code == 200
    assert client("GET", f"{ADDRESS}/metadata", headers={"Accept": accept}).status_code == status


def test_a_head_answers_as_a_get(client: Client, tmp_path: Path) -> None:
    assert post(client, file_in(BASELINE, tmp_path)).status_code == 200
    for what in ("", "/metadata", "/frames/1", "/rendered"):
        for address in (ADDRESS, f"{BASE}/studies/1.2.826.7") if what in ("", "/metadata") else (ADDRESS,):
            asked, got = client("HEAD", address + what), client("GET", address + what)
            assert asked.status_code == got.status_code == 200
            left = {"x-request-id", "content-type"}  # its boundary is another one each time
            assert {k: v for k, v in asked.headers.items() if k not in left} == {
                name: value for name, value in got.headers.items() if name not in left
            }
            assert asked.headers["content-type"].split(";")[0] == got.headers["content-type"].split(";")[0]
    assert client("HEAD", ADDRESS.replace("7.1.1", "7.1.2")).status_code == 404
    assert client("HEAD", ADDRESS, headers={"Accept": "image/png"}).status_code == 406
    actions = [entry.action for entry in list_entries(client.app.state.context.store)]
    assert sum(action.startswith("HEAD ") for action in actions) == 8
