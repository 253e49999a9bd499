"""DICOMweb as another program's client sees it (dicomweb-client), and its refusals as they go over the wire."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pydicom
import pytest

from pneumoscope.server.api.related import _PartsParser, join_parts
from pneumoscope.server.dicom.receiving import receive
from pneumoscope.server.dicom.results.making import make_results, read_result
from pneumoscope.server.errors import InvalidRequestError
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import ArchivedObject, QuarantinedObject
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import node_of
from server.dicom.result_tools import receive as send_as_peer
from server.sample_files import dicom

web_client = pytest.importorskip("dicomweb_client", reason="no dicomweb-client: pip install 'pneumoscope[dev]'")
pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")

BASE = "/api/dicomweb"
TAGS = {
    "PatientName": "Müller^Jürgen",
    "SpecificCharacterSet": "ISO_IR 100",
    "AccessionNumber": "A7",
    "StudyTime": "101112",
    "StudyInstanceUID": "1.2.826.7",
    "SeriesInstanceUID": "1.2.826.7.1",
    "SOPInstanceUID": "1.2.826.7.1.1",
}


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(node_of(settings)) as client:
        yield client


def connect(client: Client) -> Any:
    """A DICOMweb client whose requests go to the app in this process."""
    import requests
    from requests.adapters import BaseAdapter

    class ToApp(BaseAdapter):
        def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
            parts = urlsplit(str(request.url))
            body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())
            address = f"{parts.path}?{parts.query}" if parts.query else parts.path
            answer = client(str(request.method), address, content=body, headers=dict(request.headers))
            response = requests.Response()
            response.status_code, response._content, response.url = answer.status_code, answer.content, str(request.url)
            response.headers.update(answer.headers)
            return response

        def close(self) -> None:
            pass

    session = requests.Session()
    session.mount("http://", ToApp())
    return web_client.DICOMwebClient(f"http://127.0.0.1:8000{BASE}", session=session)


def join(contents: Sequence[bytes]) -> tuple[bytes, str]:
    """Objects as the body of a request, and its media type."""
    pieces, kind = join_parts(contents)
    return b"".join(pieces), kind


def post(client: Client, *files: bytes, study: str = "", **headers: str) -> Any:
    body, kind = join(files)
    address = f"{BASE}/studies/{study}".rstrip("/")
    return client("POST", address, content=body, headers={"Content-Type": kind, **headers})


def list_rows(client: Client, table: type) -> list[Any]:
    with client.app.state.context.store.read() as session:
        return list(session.query(table))


def test_objects_are_stored_once_by_either_way(client: Client) -> None:
    web = connect(client)
    sent = pydicom.dcmread(BytesIO(dicom(TAGS)))
    for _ in range(2):
        answer = web.store_instances([sent])
        (stored,) = answer.ReferencedSOPSequence
        assert stored.ReferencedSOPInstanceUID == sent.SOPInstanceUID
        assert stored.ReferencedSOPClassUID == sent.SOPClassUID
        assert "FailedSOPSequence" not in answer
    send_as_peer(client, dicom(TAGS))
    assert len(list_rows(client, ArchivedObject)) == 1
    (study,) = client.get("/api/studies")["studies"]
    assert [one["state"] for one in study["predictions"]] == ["queued"]
    actions = [(entry.action, entry.status) for entry in list_entries(client.app.state.context.store)]
    assert ("STOW-RS", 201) in actions
    assert (f"POST {BASE}/studies", 200) in actions


def test_what_became_of_each_object_is_said(client: Client) -> None:
    refused = dicom({**TAGS, "SOPInstanceUID": "1.2.826.7.1.2", "Modality": "OT"})
    answer = post(client, dicom(TAGS), refused)
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/dicom+json")
    module = pydicom.Dataset.from_json(answer.json())
    assert [one.ReferencedSOPInstanceUID for one in module.ReferencedSOPSequence] == ["1.2.826.7.1.1"]
    (failed,) = module.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.826.7.1.2", receive.NEVER_ANALYSED)
    assert post(client, refused).status_code == 409
    other_pixels = dicom(TAGS, value=1000)
    answer = post(client, other_pixels)
    assert answer.status_code == 409
    assert pydicom.Dataset.from_json(answer.json()).FailedSOPSequence[0].FailureReason == receive.OTHER_PIXELS
    assert len(list_rows(client, QuarantinedObject)) == 1


def test_an_object_of_another_class_or_study_is_refused(client: Client) -> None:
    report = pydicom.dcmread(BytesIO(dicom(TAGS)))
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
    buffer = BytesIO()
    report.save_as(buffer)
    reasons = []
    for data, study in ((buffer.getvalue(), ""), (dicom(TAGS), "1.2.826.8")):
        answer = post(client, data, study=study)
        assert answer.status_code == 409
        reasons.append(pydicom.Dataset.from_json(answer.json()).FailedSOPSequence[0].FailureReason)
    assert reasons == [0x0122, 0xA900]
    assert list_rows(client, ArchivedObject) == []
    for _ in range(2):  # known bytes are no way around the address either
        assert post(client, dicom(TAGS), study="1.2.826.7").status_code == 200
    assert post(client, dicom(TAGS), study="1.2.826.8").status_code == 409


def test_who_was_examined_is_for_a_peer_to_correct(client: Client) -> None:
    send_as_peer(client, dicom(TAGS))
    corrected = dicom({**TAGS, "PatientID": "9999"})
    answer = post(client, corrected)
    assert answer.status_code == 409
    (failed,) = pydicom.Dataset.from_json(answer.json()).FailedSOPSequence
    assert failed.FailureReason == receive.OTHER_PATIENT
    assert len(connect(client).search_for_studies(search_filters={"PatientID": "4711"})) == 1
    send_as_peer(client, corrected)
    assert len(connect(client).search_for_studies(search_filters={"PatientID": "9999"})) == 1


def test_bodies_that_hold_no_objects_are_refused(client: Client) -> None:
    zipped = BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("1.dcm", dicom(TAGS))
        archive.writestr("2.dcm", dicom(TAGS, value=1000))
    for data in (zipped.getvalue(), b"\x89PNG\r\n\x1a\n", b""):
        answer = post(client, data)
        assert answer.status_code == 409
        (other,) = pydicom.Dataset.from_json(answer.json()).OtherFailuresSequence
        assert other.FailureReason == receive.NO_IMAGE
    body, kind = join([dicom(TAGS)])
    for content, sent_kind, status in (
        (body, "application/json", 415),
        (body, kind.replace("application/dicom", "application/dicom+json"), 415),
        (body.replace(b"application/dicom", b"application/pdf"), kind, 415),
        (body, 'multipart/related; type="application/dicom"', 422),
        (body[:-20], kind, 422),
        (b"nothing", kind, 422),
        (body, "multipart/related; type*=utf-8''application/pdf; boundary=B", 415),  # RFC 2231
        (body, "multipart/related; boundary*=utf-8''B; boundary*0=B", 415),
        (body, "multipart/related; boundary*=utf-8''B", 422),  # which is not the body's
    ):
        answer = client("POST", f"{BASE}/studies", content=content, headers={"Content-Type": sent_kind})
        assert answer.status_code == status, answer.text
        assert "ller" not in answer.text
    assert client.get("/api/studies")["studies"] == []


def test_a_media_type_may_name_its_charset(client: Client) -> None:
    body, kind = join([dicom(TAGS)])
    boundary = kind.rpartition("=")[2]
    kind = f"multipart/related; type*=utf-8''application%2Fdicom; boundary*=utf-8''{boundary}"
    answer = client("POST", f"{BASE}/studies", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text


def test_uploads_limits_hold_here_too(settings: Settings) -> None:
    small = replace(node_of(settings), max_file_bytes=4096, max_files=2, max_request_bytes=10_000)
    with serve_client(small) as client:
        assert post(client, dicom(TAGS)).status_code == 200
        assert post(client, bytes(5000)).status_code == 413
        assert post(client, b"1", b"2", b"3").status_code == 413
        assert post(client, bytes(4000), bytes(4000), bytes(4000)).status_code == 413


def test_a_body_is_the_same_in_pieces_of_any_size(tmp_path: Path) -> None:
    contents = [dicom(TAGS), b"--not the boundary\r\n", b"\r\n" * 50]
    body, kind = join(contents)
    boundary = kind.rpartition("=")[2].encode()
    for size in (1, 2, 7, 64, len(body)):
        parser = _PartsParser(boundary, tmp_path, 10, 10**6)
        for start in range(0, len(body), size):
            parser.write(body[start : start + size])
        parser.finish()
        assert [part.read() for part in parser.parts] == contents
    half = _PartsParser(boundary, tmp_path, 10, 10**6)
    half.write(body[: len(body) // 2])
    with pytest.raises(InvalidRequestError):
        half.finish()


@pytest.fixture
def filled(client: Client) -> Client:
    """A server with two studies of two patients; the first has two images."""
    second = {"SOPInstanceUID": "1.2.826.7.1.2", "InstanceNumber": 2}
    other = {
        **{"PatientName": "Ward^Anne", "PatientID": "88", "AccessionNumber": "B1", "StudyDate": "20250102"},
        **{"StudyInstanceUID": "1.2.826.8", "SeriesInstanceUID": "1.2.826.8.1", "SOPInstanceUID": "1.2.826.8.1.1"},
    }
    for data in (dicom(TAGS), dicom({**TAGS, **second}, value=900), dicom(other, value=800)):
        send_as_peer(client, data)
    return client


def uids(found: list[dict[str, Any]], tag: str = "0020000D") -> list[str]:
    return [one[tag]["Value"][0] for one in found]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["1.2.826.8", "1.2.826.7"]),
        ({"PatientID": "4711"}, ["1.2.826.7"]),
        ({"PatientID": "47*"}, ["1.2.826.7"]),
        ({"PatientName": "müller^*"}, ["1.2.826.7"]),
        ({"AccessionNumber": "B1"}, ["1.2.826.8"]),
        ({"StudyDate": "20250101-"}, ["1.2.826.8"]),
        ({"StudyDate": "20240506"}, ["1.2.826.7"]),
        ({"StudyInstanceUID": "1.2.826.7"}, ["1.2.826.7"]),
        ({"ModalitiesInStudy": "MR"}, []),
        ({"PatientID": "4711", "AccessionNumber": "B1"}, []),
    ],
)
def test_studies_are_found(filled: Client, filters: dict[str, str], expected: list[str]) -> None:
    assert uids(connect(filled).search_for_studies(search_filters=filters)) == expected


def test_a_match_has_what_the_standard_asks_for(filled: Client) -> None:
    web = connect(filled)
    (study,) = web.search_for_studies(search_filters={"AccessionNumber": "A7"})
    tags = pydicom.Dataset.from_json(study)
    assert (str(tags.PatientName), tags.PatientID, tags.StudyDate) == ("Müller^Jürgen", "4711", "20240506")
    assert (tags.NumberOfStudyRelatedSeries, tags.NumberOfStudyRelatedInstances) == (1, 2)
    assert "RetrieveURL" not in tags  # its images are not kept as files
    (series,) = web.search_for_series("1.2.826.7")
    assert series["00201209"]["Value"] == [2]
    instances = web.search_for_instances("1.2.826.7", "1.2.826.7.1")
    assert uids(instances, "00080018") == ["1.2.826.7.1.1", "1.2.826.7.1.2"]
    assert {one["00080056"]["Value"][0] for one in instances} == {"UNAVAILABLE"}
    assert uids(web.search_for_instances(search_filters={"SOPInstanceUID": "1.2.826.8.1.1"})) == ["1.2.826.8"]
    assert uids(web.search_for_studies(limit=1)) == ["1.2.826.8"]
    assert uids(web.search_for_studies(limit=1, offset=1)) == ["1.2.826.7"]
    assert web.search_for_studies(limit=1, offset=2) == []
    (more,) = web.search_for_studies(fields=["Rows"], search_filters={"AccessionNumber": "B1"})
    assert more["00280010"]["Value"] == [32]


def test_fuzzy_matching_is_refused_with_a_warning(filled: Client) -> None:
    answer = filled("GET", f"{BASE}/studies?PatientName=Muller*&fuzzymatching=true")
    assert answer.status_code == 204
    assert "fuzzymatching parameter is not supported" in answer.headers["Warning"]
    for wrong in ("PatientBreed=Cat", "StudyDate=2024*", "StudyDate=20261301-x", "PatientID=1&PatientID=2"):
        assert filled("GET", f"{BASE}/studies?{wrong}").status_code == 422


def test_metadata_is_the_header_as_it_came(filled: Client) -> None:
    web = connect(filled)
    sent = pydicom.dcmread(BytesIO(dicom(TAGS)))
    got = pydicom.Dataset.from_json(web.retrieve_instance_metadata("1.2.826.7", "1.2.826.7.1", "1.2.826.7.1.1"))
    assert "PixelData" not in got
    for element in sent:
        if element.keyword not in ("PixelData", "SpecificCharacterSet"):
            assert got[element.tag].value == element.value, element.keyword
    assert len(web.retrieve_study_metadata("1.2.826.7")) == 2
    assert len(web.retrieve_series_metadata("1.2.826.8", "1.2.826.8.1")) == 1
    for gone in ("1.2.826.9/metadata", "1.2.826.7/series/1.2.826.8.1/metadata", "1.2.826.7", "x/metadata"):
        assert filled("GET", f"{BASE}/studies/{gone}").status_code in (404, 422)


def test_results_are_retrieved_in_their_own_bytes(filled: Client) -> None:
    pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")
    context = filled.app.state.context
    predict_all(filled)
    study = next(one.study for one in list_rows(filled, ArchivedObject))
    (sop_uid,) = make_results(context.store, context.catalogue, study, ["report"])
    web = connect(filled)
    (found,) = web.search_for_instances("1.2.826.7", search_filters={"SOPInstanceUID": sop_uid})
    assert found["00080056"]["Value"] == ["ONLINE"]
    (shown,) = web.search_for_studies(search_filters={"ModalitiesInStudy": "SR"})
    assert uids([shown]) == ["1.2.826.7"]
    address = urlsplit(found["00081190"]["Value"][0]).path
    kept = read_result(context.store, sop_uid)
    assert filled("GET", address, headers={"Accept": "application/dicom"}).content == kept
    whole = filled("GET", f"{BASE}/studies/1.2.826.7")
    assert whole.status_code == 206  # its images can't be retrieved
    assert kept in whole.content
    series = found["0020000E"]["Value"][0]
    report = web.retrieve_instance("1.2.826.7", series, sop_uid)
    assert (report.SOPInstanceUID, str(report.PatientName)) == (sop_uid, "Müller^Jürgen")
    (metadata,) = web.retrieve_series_metadata("1.2.826.7", series)
    assert "ContentSequence" in pydicom.Dataset.from_json(metadata)
    assert filled("GET", address, headers={"Accept": "image/jpeg"}).status_code == 406
    (everything,) = web.search_for_instances(search_filters={"SOPInstanceUID": sop_uid}, fields=["all"])
    assert "0040A730" not in everything  # ContentSequence: a search shows no answer
    image = f"{BASE}/studies/1.2.826.7/series/1.2.826.7.1/instances/1.2.826.7.1.1"
    refused = filled("GET", image)
    assert refused.status_code == 404
    assert "archive that sent it" in refused.text


def test_results_wait_for_the_own_read(settings: Settings) -> None:
    pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")
    with serve_client(replace(node_of(settings), read_first=True)) as client:
        study = send_as_peer(client, dicom(TAGS)).study
        predict_all(client)
        context = client.app.state.context
        make_results(context.store, context.catalogue, study, ["report"])
        assert client("GET", f"{BASE}/studies/1.2.826.7").status_code == 403
        assert len(client.get(f"{BASE}/studies/1.2.826.7/metadata")) == 1  # the image's alone
        assert uids(connect(client).search_for_instances("1.2.826.7"), "00080018") == ["1.2.826.7.1.1"]
        assert connect(client).search_for_studies(search_filters={"ModalitiesInStudy": "SR"}) == []


def test_names_are_for_accounts_that_may_see_them(settings: Settings) -> None:
    with serve_client(replace(node_of(settings), accounts=True)) as client:
        context = client.app.state.context
        tokens = {}
        for name, sees_names in (("blind", False), ("sees", True)):
            account = context.accounts.add(name, "correct horse battery", "reader", sees_names=sees_names)
            tokens[name] = context.tokens.create(account.id, "pacs", 1)[1]
        assert post(client, dicom(TAGS)).status_code == 401
        assert client("GET", f"{BASE}/studies").status_code == 401
        for name, expected in (("blind", 403), ("sees", 200)):
            headers = {"Authorization": f"Bearer {tokens[name]}"}
            assert post(client, dicom(TAGS), **headers).status_code == expected
            assert client("GET", f"{BASE}/studies", headers=headers).status_code == expected
            assert client("GET", f"{BASE}/studies/1.2.826.7/metadata", headers=headers).status_code == expected


def test_a_server_without_a_node_has_no_dicomweb(settings: Settings) -> None:
    with serve_client(settings) as client:
        for answer in (post(client, dicom(TAGS)), client("GET", f"{BASE}/studies")):
            assert answer.status_code == 404
            assert answer.json()["values"]["kind"] == "service"


@pytest.mark.parametrize("uid", ["x", "1..2", ".1", "1.2.", "1.2.826.7,", "1.*", "1." * 32 + "1"])
def test_what_is_no_uid_is_refused_and_named(filled: Client, uid: str) -> None:
    for keyword, level in (("StudyInstanceUID", "studies"), ("SOPClassUID", "instances"), ("0020000E", "series")):
        answer = filled("GET", f"{BASE}/{level}?{keyword}={uid}")
        assert answer.status_code == 422
        assert {"0020000E": "SeriesInstanceUID"}.get(keyword, keyword) in answer.text
        assert uid not in answer.json()["detail"] or uid == "x"
    assert filled("GET", f"{BASE}/studies/{uid.replace('*', 'x')}/series").status_code == 422
    assert uids(connect(filled).search_for_studies(search_filters={"StudyInstanceUID": "1.2.826.7,1.2.3"})) == [
        "1.2.826.7"
    ]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/dicom+json;q=0", 406),
        ("application/dicom+json; q=0.0, */*", 406),
        ("*/*;q=0, application/dicom+json", 200),
        ("application/json;q=0.1", 200),
        ('text/html;x="a,b;q=0", application/*', 200),
        ("image/png", 406),
    ],
)
def test_a_media_type_with_a_quality_of_0_is_not_taken(filled: Client, accept: str, status: int) -> None:
    assert filled("GET", f"{BASE}/studies", headers={"Accept": accept}).status_code == status


def test_what_is_no_number_is_said_in_words(filled: Client) -> None:
    answer = filled("GET", f"{BASE}/studies?offset=-1")
    assert answer.status_code == 422
    assert "than a number of 0 or more as offset" in answer.text


@pytest.mark.shared
def test_a_real_radiograph_is_found_by_its_own_tags(client: Client, shared: Path) -> None:
    data = (shared / "data" / "dicom" / "RG3_J2KR.dcm").read_bytes()
    sent = pydicom.dcmread(BytesIO(data))
    assert post(client, data).status_code == 200
    (found,) = connect(client).search_for_studies(search_filters={"PatientID": sent.PatientID})
    assert uids([found]) == [sent.StudyInstanceUID]
    assert json.dumps(found)
    assert np.prod([sent.Rows, sent.Columns]) > 10**6
