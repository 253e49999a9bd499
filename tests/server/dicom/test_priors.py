"""Earlier studies are fetched from a real archive, shown beside the study that came, and analysed by nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from pneumoscope.server.dicom.calling import prior_queue, query_retrieve
from pneumoscope.server.dicom.receiving.receive import (
    DISCARDED,
    OTHER_PATIENT,
    OTHER_STUDY,
    SUCCESS,
    UNEXPECTED,
    Sender,
)
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import ArrivingObject, PriorFetch, ResultObject, StoredPrediction, Study
from pneumoscope.server.studies.erasure import erase
from server.client import Client, predict_all, serve_client
from server.dicom.lying_archive import LyingArchive, series_match, study_match
from server.dicom.orthanc import TITLE, Orthanc, free_port
from server.dicom.result_tools import node_of, receive
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")

# pynetdicom leaves the socket open of a connection that was refused.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
US, COMPUTED = "PNEUMOSCOPE", "1.2.840.10008.5.1.4.1.1.1"


@contextmanager
def asking(
    settings: Settings, folder: Path, archive: int, *, port: int = 0, retry: dict[str, float] | None = None, **rule: Any
) -> Iterator[Client]:
    """A server that fetches earlier studies from an archive on a port of this machine; a test lets it work."""
    file = folder / "routes.yaml"
    where = {"title": TITLE, "host": "127.0.0.1", "port": archive}
    routes = {
        "priors": {"archive": where, **rule},
        "retry": {"first_seconds": 0.01, "longest_seconds": 0.02, **(retry or {})},
    }
    file.write_text(yaml.safe_dump(routes))
    with serve_client(node_of(settings, routes=file, port=port)) as client:
        context = client.app.state.context
        context.node.start()
        try:
            yield client
        finally:
            context.node.stop()


def radiograph(number: int, date: str, value: int | None = None, **tags: Any) -> bytes:
    """A radiograph of Jane Doe's study of this number and date."""
    uids = {
        "StudyInstanceUID": f"1.2.3.{number}",
        "SeriesInstanceUID": f"1.2.3.{number}.2",
        "SOPInstanceUID": f"1.2.3.{number}.1",
    }
    return dicom({**uids, "StudyDate": date, "BodyPartExamined": "CHEST", **tags}, value=value or 1000 + number)


def work(client: Client, times: int = 20) -> int:
    """Let the server ask for what is due, until nothing is; return how often it asked."""
    for done in range(times):
        if not client.app.state.context.priors.work():
            return done
    return times


def rows(client: Client, table: type) -> list[Any]:
    with client.app.state.context.store.read() as session:
        return list(session.query(table))


def fetches(client: Client) -> list[PriorFetch]:
    return [row for row in rows(client, PriorFetch) if row.key]


def search_of(client: Client) -> PriorFetch:
    (row,) = (row for row in rows(client, PriorFetch) if not row.key)
    return row


def priors_of(client: Client, study: str) -> list[dict[str, Any]]:
    """What the reading room gets beside a study."""
    patient = client.get(f"/api/studies/{study}")["patient"]
    page = client.get(f"/api/studies?patient={patient}&priors=true")["studies"]
    return [one for one in page if one["id"] != study]


@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_the_newest_earlier_radiographs_of_the_patient_come(
    settings: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc], retrieve: str
) -> None:
    port = free_port()
    archive = start_orthanc(peers={"us": (US, port)})
    for number, date, tags in (
        (1, "20230301", {}),
        (2, "20240101", {}),
        (3, "20230601", {"BodyPartExamined": "HAND"}),
        (4, "20150101", {}),  # too old
        (5, "20240601", {}),  # later
        (6, "20230701", {"PatientID": "4712"}),
        (7, "20230801", {"Modality": "RF"}),
        (8, "20220101", {}),  # the third newest
        (9, "20240506", {}),  # the study itself
    ):
        archive.add(radiograph(number, date, **tags))
    with asking(settings, tmp_path, archive.port, port=port, retrieve=retrieve) as client:
        study = receive(client, radiograph(9, "20240506")).study
        assert work(client) == 3
        search = search_of(client)
        assert (search.state, search.found, search.taken, search.dropped) == ("done", 4, 2, 0)
        assert [(row.state, row.taken, row.dropped, row.last_error) for row in fetches(client)] == [
            ("done", 1, 0, "")
        ] * 2
        priors = priors_of(client, study)
        assert all(one["prior"] and one["predictions"] == [] for one in priors)
        dates = {client.get(f"/api/studies/{one['id']}/identity")["examination"]["date"] for one in priors}
        assert dates == {"20230301", "20240101"}
        assert client("GET", f"/api/images/{priors[0]['images'][0]['id']}/pixels").status_code == 200
        # Nobody asks a model about them, nothing is made of them, and they are in no list.
        assert [one["id"] for one in client.get("/api/studies")["studies"]] == [study]
        assert {row.study for row in rows(client, StoredPrediction)} == {study}
        assert {row.study for row in rows(client, ArrivingObject)} == {study}
        assert (
            client("POST", f"/api/studies/{priors[0]['id']}/predictions", json={"models": ["opacity"]}).status_code
            == 409
        )
        lines = [(entry.action, entry.status) for entry in list_entries(client.app.state.context.store)]
        assert lines.count(("C-STORE of an earlier study", 201)) == 2
        assert lines.count(("C-MOVE of an earlier study", 200)) == 2
        assert lines.count(("C-FIND of earlier studies", 200)) == 1


@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_a_refused_image_or_another_persons_study_keeps_nothing_else_away(
    settings: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc], retrieve: str
) -> None:
    port = free_port()
    archive = start_orthanc(peers={"us": (US, port)})
    archive.add(radiograph(2, "20240101", SOPInstanceUID="1.2.3.2.7", ImageType=["DERIVED", "SECONDARY"], value=7))
    archive.add(radiograph(2, "20240101"))
    archive.add(radiograph(2, "20240101", SOPInstanceUID="1.2.3.2.9", BurnedInAnnotation="YES", value=9))
    archive.add(radiograph(3, "20240201", PatientName="Other^Man"))  # of the same number, and newer
    archive.add(radiograph(1, "20230101"))
    archive.add(radiograph(9, "20240506"))
    with asking(settings, tmp_path, archive.port, port=port, retrieve=retrieve) as client:
        study = receive(client, radiograph(9, "20240506")).study
        assert work(client) == 3
        search = search_of(client)
        assert (search.state, search.taken, search.dropped) == ("done", 2, 1)
        assert sorted((row.state, row.taken, row.dropped) for row in fetches(client)) == [
            ("done", 1, 0),
            ("done", 1, 2),
        ]
        dates = [
            client.get(f"/api/studies/{one['id']}/identity")["examination"]["date"] for one in priors_of(client, study)
        ]
        assert sorted(dates) == ["20230101", "20240101"]
        lines = [(entry.action, entry.status) for entry in list_entries(client.app.state.context.store)]
        assert ("C-MOVE of an earlier study", 207) in lines


def test_an_image_that_is_here_of_somebody_else_is_no_earlier_one(settings: Settings, tmp_path: Path) -> None:
    """The archive sends, under the header that was asked for, what a modality has sent of another patient."""
    other = radiograph(8, "20240301", value=1002, PatientID="999", SOPInstanceUID="1.2.3.2.1")
    with beside_a_liar(settings, tmp_path) as (client, archive):
        receive(client, other)
        study = receive(client, radiograph(9, "20240506")).study
        work(client)
        assert archive.answers == [DISCARDED]
        (fetch,) = fetches(client)
        assert (fetch.state, fetch.taken, fetch.dropped, fetch.prior) == ("failed", 0, 1, None)
        assert priors_of(client, study) == []
        refused = f"C-STORE of an earlier study refused {OTHER_STUDY:04X}"
        assert f"{refused} {COMPUTED}" in {entry.action for entry in list_entries(client.app.state.context.store)}


@pytest.mark.parametrize("number", ["", "47*", "47\\11"])
def test_a_study_about_which_nothing_can_be_asked_is_no_failed_search(
    settings: Settings, tmp_path: Path, number: str
) -> None:
    with beside_a_liar(settings, tmp_path) as (client, archive):
        receive(client, radiograph(9, "20240506", PatientID=number))
        work(client)
        assert {(row.state, row.found) for row in rows(client, PriorFetch)} <= {("done", 0)}
        assert archive.keys == []


@contextmanager
def beside_a_liar(
    settings: Settings, folder: Path, *, retry: dict[str, float] | None = None, **lies: Any
) -> Iterator[tuple[Client, LyingArchive]]:
    """A server, and an archive that says that study 2 of Jane Doe is an earlier one, or what a test has it say."""
    answers = {"studies": [study_match(2)], "series": [series_match(2)], "objects": [radiograph(2, "20240101")]}
    port = free_port()
    with (
        LyingArchive(port, **{**answers, **lies}).listen() as archive,
        asking(settings, folder, archive.port, port=port, retry=retry) as client,
    ):
        yield client, archive


def test_what_was_asked_for_comes_from_this_archive_too(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path) as (client, archive):
        study = receive(client, radiograph(9, "20240506", IssuerOfPatientID="")).study
        assert work(client) == 2
        assert archive.answers == [SUCCESS]
        assert len(priors_of(client, study)) == 1
        first = archive.keys[0]
        assert (first.PatientID, first.ModalitiesInStudy) == ("4711", "CR")
        assert first.StudyDate == "20190507-20240506"


OTHERS: list[tuple[dict[str, Any], int]] = [
    ({"objects": [radiograph(2, "20240101", PatientID="4712")]}, OTHER_PATIENT),
    ({"objects": [radiograph(2, "20240101", PatientBirthDate="19310102")]}, OTHER_PATIENT),
    ({"objects": [radiograph(2, "20240101", PatientName="Roe^Richard")]}, OTHER_PATIENT),
    ({"objects": [radiograph(2, "20240101", PatientID="")]}, OTHER_PATIENT),
    ({"objects": [radiograph(2, "20240101", PatientID="4712")], "move_status": 0xC000}, OTHER_PATIENT),  # as Orthanc
    ({"objects": [radiograph(3, "20240101")]}, UNEXPECTED),  # another study
    ({"objects": [radiograph(2, "20240101", SeriesInstanceUID="1.2.3.2.3")]}, UNEXPECTED),
    ({"objects": [radiograph(2, "20240507")]}, UNEXPECTED),  # a later one
    ({"objects": [radiograph(2, "20240101", BodyPartExamined="HAND")]}, UNEXPECTED),
    ({"message": 0}, UNEXPECTED),
    ({"title": "OTHER"}, UNEXPECTED),
    ({"names_itself": False}, UNEXPECTED),
]
"""What an archive does beside what it was asked for, and how that is answered."""


def test_what_was_not_asked_for_is_refused(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path) as (client, archive):
        study = receive(client, radiograph(9, "20240506")).study
        usual = dict(vars(archive))
        work(client, 1)
        store = client.app.state.context.store
        for lies, status in OTHERS:
            vars(archive).update({**usual, "answers": []} | lies)
            time.sleep(0.03)  # longer than the longest pause
            assert work(client, 1) == 1
            # What belongs to a move under way is discarded with a warning, so that the archive goes on with the move.
            assert archive.answers == [DISCARDED if "objects" in lies else status], lies
            (fetch,) = fetches(client)
            assert (fetch.taken, fetch.prior) == (0, None)
            if "objects" in lies:
                assert (fetch.state, fetch.dropped) == ("failed", 1)
                assert "this server refused" in fetch.last_error
                store.commit(lambda session, row=fetch.id: prior_queue.retry_failed(session, row) and None)
            entries = list_entries(store)
            said = f"refused {status:04X} {COMPUTED}"
            assert any(entry.action.endswith(said) and entry.status == 422 for entry in entries)
        assert [row.id for row in rows(client, Study)] == [study]
        assert {row.study for row in rows(client, StoredPrediction)} == {study}
        vars(archive).update({**usual, "answers": []})
        time.sleep(0.03)
        work(client, 1)
        assert len(priors_of(client, study)) == 1


def test_a_match_that_was_not_asked_for_is_dropped(settings: Settings, tmp_path: Path) -> None:
    matches = [
        study_match(2, PatientID="4712"),
        study_match(2, PatientBirthDate="19310102"),
        study_match(2, PatientName="Other^Man"),
        study_match(2, IssuerOfPatientID="OTHER"),
        study_match(2, date="20100101"),
        study_match(2, StudyInstanceUID="1.2.x"),
        study_match(2, StudyInstanceUID=""),
    ]
    with beside_a_liar(settings, tmp_path, studies=matches) as (client, _):
        receive(client, radiograph(9, "20240506"))
        assert work(client) == 1
        search = search_of(client)
        assert (search.state, search.found, search.taken) == ("done", 0, 0)
        assert search.dropped == 2 * len(matches)  # for CR and for DX
        assert fetches(client) == []
        lines = [(entry.action, entry.status) for entry in list_entries(client.app.state.context.store)]
        assert ("C-FIND of earlier studies", 207) in lines


def test_ten_thousand_matches_end_the_search(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path, studies=[study_match(n) for n in range(10, 10_010)]) as (client, _):
        receive(client, radiograph(9, "20240506"))
        assert work(client) == 1
        search = search_of(client)
        assert search.state == "failed"
        assert search.last_error == f"answered with more than {query_retrieve.MOST_MATCHES} matches."
        assert fetches(client) == []


def test_no_more_images_are_taken_than_a_study_has(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pneumoscope.server.dicom.receiving.prior_receive.MOST_OBJECTS", 3)
    objects = [radiograph(2, "20240101", value=1000 + n, SOPInstanceUID=f"1.2.3.2.1.{n}") for n in range(5)]
    with beside_a_liar(settings, tmp_path, objects=objects) as (client, archive):
        study = receive(client, radiograph(9, "20240506")).study
        work(client)
        assert archive.answers == [SUCCESS] * 3 + [UNEXPECTED] * 2
        (prior,) = priors_of(client, study)
        assert len(prior["images"]) == 3
        (fetch,) = fetches(client)
        assert (fetch.state, fetch.taken, fetch.dropped) == ("done", 3, 2)


@pytest.mark.parametrize(
    ("lies", "words"),
    [
        ({"knows_us": False}, "A801"),
        ({"find_status": 0xA700}, "A700"),
        ({"objects": []}, "sent nothing"),
    ],
)
def test_an_archive_that_denies_is_asked_again_until_it_is_given_up(
    settings: Settings, tmp_path: Path, lies: dict[str, Any], words: str
) -> None:
    retry = {"dead_after_hours": 1e-9}
    with beside_a_liar(settings, tmp_path, **lies) as (client, archive):
        receive(client, radiograph(9, "20240506"))
        work(client, 2)
        (row,) = (row for row in rows(client, PriorFetch) if row.state != "done")
        assert row.state == "queued" and words in row.last_error and row.attempts >= 1
    with beside_a_liar(settings, tmp_path, retry=retry, **lies) as (client, archive):  # the same store
        time.sleep(0.05)
        work(client, 2)
        (row,) = (row for row in rows(client, PriorFetch) if row.state != "done")
        assert row.state == "failed" and words in row.last_error
        assert any(entry.status == 502 for entry in list_entries(client.app.state.context.store))
        vars(archive).update(knows_us=True, find_status=None, objects=[radiograph(2, "20240101")])
        assert client("POST", f"/api/archive/priors/{row.id}/retry").status_code == 202
        work(client)
        assert {row.state for row in rows(client, PriorFetch)} == {"done"}


def test_an_archive_that_is_away_lets_all_wait(settings: Settings, tmp_path: Path) -> None:
    with asking(settings, tmp_path, free_port(), retry={"first_seconds": 60, "longest_seconds": 60}) as client:
        for number in (8, 9):
            receive(client, radiograph(number, "20240506"))
        assert work(client) == 1  # the other one waits too
        assert sorted(row.attempts for row in rows(client, PriorFetch)) == [0, 1]
        assert {row.state for row in rows(client, PriorFetch)} == {"queued"}


def test_an_archive_that_never_ends_is_left(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_retrieve, "FETCH_SECONDS", 1.0)
    with beside_a_liar(settings, tmp_path, silence=threading.Event()) as (client, _):
        receive(client, radiograph(9, "20240506"))
        assert work(client, 1) == 1
        search = search_of(client)
        assert search.state == "queued"
        assert "no answer" in search.last_error


def test_a_server_that_stops_puts_back_what_it_was_doing(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path, silence=threading.Event()) as (client, archive):
        receive(client, radiograph(9, "20240506"))
        priors = client.app.state.context.priors
        priors.start()
        while not archive.keys:
            time.sleep(0.05)
        priors.stop()
        search = search_of(client)
        assert (search.state, search.attempts, search.worker) == ("queued", 0, None)


def test_what_was_moved_for_a_server_that_died_is_refused(settings: Settings, tmp_path: Path) -> None:
    """It can't be told what a move of an earlier life was for, and no model sees what a move brings."""
    with beside_a_liar(settings, tmp_path) as (client, archive):
        archive.send(US, 7)
        assert archive.answers == [UNEXPECTED]
        assert rows(client, Study) == rows(client, StoredPrediction) == []
    with serve_client(node_of(settings, port=archive.node)) as client:  # nor where nothing is asked for any more
        client.app.state.context.node.start()
        try:
            archive.send(US, 7)
        finally:
            client.app.state.context.node.stop()
        assert archive.answers == [UNEXPECTED] * 2
        assert rows(client, Study) == []


def test_an_image_that_a_modality_sends_makes_it_a_study_like_all_others(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path) as (client, archive):
        study = receive(client, radiograph(9, "20240506")).study
        work(client)
        (prior,) = priors_of(client, study)
        assert prior["prior"]
        assert receive(client, archive.objects[0]).study == prior["id"]
        assert [one["id"] for one in client.get("/api/studies")["studies"]] == [prior["id"], study]
        assert {row.study for row in rows(client, StoredPrediction)} == {study, prior["id"]}
        assert {row.study for row in rows(client, ArrivingObject)} == {study, prior["id"]}
        assert predict_all(client) == 2
        erase(client.app.state.context.store, [study])  # it does not go with the study that it was fetched for
        assert [one["id"] for one in client.get("/api/studies")["studies"]] == [prior["id"]]


def test_another_image_of_it_does_so_too_and_an_upload(settings: Settings, tmp_path: Path) -> None:
    for way in ("peer", "upload"):
        with beside_a_liar(settings, tmp_path) as (client, _):
            study = receive(client, radiograph(9, "20240506")).study
            work(client)
            (prior,) = priors_of(client, study)
            other = radiograph(2, "20240101", value=1777, SOPInstanceUID="1.2.3.2.1.7")
            if way == "peer":
                receive(client, other)
            else:
                assert client.upload(other).status_code == 201
            after = client.get(f"/api/studies/{prior['id']}")
            assert not after["prior"]
            assert len(after["images"]) == 2
            assert after["received"] > prior["received"]
            erase(client.app.state.context.store, [study, prior["id"]])


def test_what_was_fetched_goes_with_the_last_study_that_needs_it(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path) as (client, archive):
        store = client.app.state.context.store
        first = receive(client, radiograph(8, "20240505")).study
        second = receive(client, radiograph(9, "20240506")).study
        work(client)
        assert len(archive.answers) == 1  # fetched once
        (prior,) = (row for row in rows(client, Study) if row.prior)
        image = client.get(f"/api/studies/{prior.id}")["images"][0]["id"]
        erase(store, [first])
        assert {row.id for row in rows(client, Study)} == {second, prior.id}
        erase(store, [second])
        assert rows(client, Study) == rows(client, PriorFetch) == []
        assert not list(settings.files.rglob(f"{image}*"))
        assert next(entry.who for entry in list_entries(store, subject=prior.id)) == "priors"


def test_a_corrected_patient_loses_the_earlier_studies_of_the_other_one(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path) as (client, archive):
        study = receive(client, radiograph(9, "20240506")).study
        work(client)
        archive.studies = []
        assert receive(client, radiograph(9, "20240506", PatientID="4712", PatientName="Roe^R")).study == study
        assert client.app.state.context.priors.erase_unneeded() == 1
        assert [row.id for row in rows(client, Study)] == [study]
        assert work(client) == 1
        assert archive.keys[-1].PatientID == "4712"


def test_nothing_is_made_of_it(settings: Settings, tmp_path: Path) -> None:
    from pneumoscope.server.dicom.calling.completion import find_complete

    with beside_a_liar(settings, tmp_path) as (client, _):
        study = receive(client, radiograph(9, "20240506")).study
        work(client)
        (prior,) = priors_of(client, study)
        predict_all(client)
        store = client.app.state.context.store
        assert find_complete(store, 0, lambda: 2**40) == [study]
        assert rows(client, ResultObject) == []
        where = f"/api/studies/{prior['id']}"
        sent = {"stage": "unaided", "state": "final", "likelihoods": {}, "conclusion": None, "text": "x"}
        for path, body in (("reads", sent), ("predictions", {"models": ["opacity"]})):
            answer = client("POST", f"{where}/{path}", json=body)
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:pneumoscope:problem:prior")
        assert client.get("/api/dicomweb/studies") and len(client.get("/api/dicomweb/studies")) == 1


def test_no_name_or_number_of_a_patient_is_readable_in_the_database(settings: Settings, tmp_path: Path) -> None:
    number = "NUMBER-4711"  # 4711 alone is in one of some hundred random identifiers
    answers = {
        "studies": [study_match(2, PatientID=number)],
        "objects": [radiograph(2, "20240101", PatientID=number)],
    }
    with beside_a_liar(settings, tmp_path, **answers) as (client, _):
        receive(client, radiograph(9, "20240506", PatientID=number))
        work(client)
        assert len(rows(client, Study)) == 2
        for file in (path for path in settings.home.rglob("*") if path.is_file()):
            content = file.read_bytes()
            assert number.encode() not in content, file
            assert b"Doe" not in content, file
            assert b"1.2.3.2" not in content, file


def test_studies_of_accounts_are_not_asked_about(settings: Settings, tmp_path: Path) -> None:
    with beside_a_liar(settings, tmp_path) as (client, _):
        client.app.state.context.node.receiver.receive(radiograph(9, "20240506"), Sender("", "127.0.0.1", user="u1"))
        assert rows(client, PriorFetch) == []
