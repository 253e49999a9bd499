"""Results reach a real archive once, whatever fails on the way; and what an archive's answers mean for the queue."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
import yaml

from pneumoscope.core.errors import UsageError
from pneumoscope.server.dicom.calling import outbound, outbound_queue
from pneumoscope.server.dicom.receiving.returned import RETURNED
from pneumoscope.server.dicom.results.making import read_result
from pneumoscope.server.dicom.routing.routes import RetryRule
from pneumoscope.server.errors import ConflictError
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import OutboundItem, StoredPrediction
from pneumoscope.server.studies.erasure import erase
from server.client import Client, predict_all, serve_client
from server.dicom.orthanc import TITLE, Orthanc, free_port
from server.dicom.result_tools import node_of, receive
from server.dicom.test_outlines import LUNGS
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

# pynetdicom leaves the socket open of a connection that was refused.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
US = "PNEUMOSCOPE"


@contextmanager
def sending(
    settings: Settings,
    folder: Path,
    archive: int,
    *,
    port: int = 0,
    retry: dict[str, float] | None = None,
    kinds: tuple[str, ...] = ("report",),
    **destination: Any,
) -> Iterator[Client]:
    """A server that sends reports to an archive on a port of this machine, and listens for its word."""
    file = folder / "routes.yaml"
    routes = {
        "destinations": {"research": {"title": TITLE, "host": "127.0.0.1", "port": archive, **destination}},
        "rules": [{"name": "all", "to": "research", "kinds": list(kinds)}],
        "retry": {"first_seconds": 0.1, "longest_seconds": 0.4, **(retry or {})},
    }
    file.write_text(yaml.safe_dump(routes))
    with serve_client(node_of(settings, routes=file, port=port, capture="capture" in kinds)) as client:
        context = client.app.state.context
        context.node.start()
        context.outbound.start()
        try:
            yield client
        finally:
            context.outbound.stop()
            context.node.stop()


def hand_on(client: Client, count: int = 1) -> list[str]:
    """Let so many studies come and be answered, and hand their results on; return the studies."""
    studies = [
        receive(
            client,
            dicom(
                {
                    "SOPInstanceUID": f"1.2.3.{number}.1",
                    "SeriesInstanceUID": f"1.2.3.{number}.2",
                    "StudyInstanceUID": f"1.2.3.{number}",
                    "PatientID": str(number),
                },
                value=1000 + number,
            ),
        ).study
        for number in range(count)
    ]
    predict_all(client)
    for study in studies:
        client.app.state.context.outbound.hand_on(study)
    return studies


def items(client: Client) -> list[OutboundItem]:
    with client.app.state.context.store.read() as session:
        return list(session.query(OutboundItem).order_by(OutboundItem.queued, OutboundItem.id))


def wait_for(client: Client, *states: str, seconds: float = 30) -> list[OutboundItem]:
    """Wait until all items are in one of these states."""
    deadline = time.monotonic() + seconds
    while True:
        found = items(client)
        if found and {each.state for each in found} <= set(states):
            return found
        assert time.monotonic() < deadline, [(each.state, each.last_error) for each in found]
        time.sleep(0.05)


def dataset_of(data: bytes) -> dict[int, Any]:
    """An object without its file meta information, which each program writes for itself."""
    return {int(element.tag): element.value for element in pydicom.dcmread(BytesIO(data))}


def test_a_result_reaches_the_archive_once_and_is_committed(
    either: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    port = free_port()
    archive = start_orthanc(peers={"us": (US, port)})
    with sending(either, tmp_path, archive.port, port=port, commit=True) as client:
        studies = hand_on(client, 3)
        for study in studies:  # as after a crash of the loop that hands studies on
            client.app.state.context.outbound.hand_on(study)
        found = wait_for(client, "committed")
        assert len(found) == 3
        stored = archive.read_instances()
        assert set(stored) == {each.sop_uid for each in found}
        store = client.app.state.context.store
        for sop_uid, data in stored.items():
            assert dataset_of(data) == dataset_of(read_result(store, sop_uid))
        assert not re.search(r"^E\d", archive.log(), re.MULTILINE)  # its lines about errors
        sent = [entry for entry in list_entries(store) if entry.action == "C-STORE to archive"]
        assert {(entry.who, entry.address, entry.status) for entry in sent} == {(f"dicom:{TITLE}", "127.0.0.1", 201)}
        assert {entry.subject for entry in sent} == set(studies)


def test_every_kind_of_result_of_a_model_is_taken_and_may_come_back(
    settings: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    port, kinds = free_port(), ("report", "segmentation", "presentation", "capture")
    archive = start_orthanc(peers={"us": (US, port)})
    with sending(settings, tmp_path, archive.port, port=port, kinds=kinds, commit=True) as client:
        study = receive(client, dicom()).study
        predict_all(client)
        with client.app.state.context.store.write() as session:  # as a model with the lungs' graph answers
            for row in session.query(StoredPrediction):
                row.result = {**(row.result or {}), "lungs": LUNGS}
        client.app.state.context.outbound.hand_on(study)
        found = wait_for(client, "committed", "dead")
        assert [each.state for each in found] == ["committed"] * len(kinds)
        stored = archive.read_instances()
        assert {pydicom.dcmread(BytesIO(data)).SOPClassUID for data in stored.values()} <= set(RETURNED)
        for sop_uid in stored:
            archive.send("us", archive.find(sop_uid))


def test_captures_are_sent_only_where_they_are_made(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    destination = {"title": TITLE, "host": "127.0.0.1", "port": 4242}
    rule = {"name": "all", "to": "research", "kinds": "capture"}
    file.write_text(yaml.safe_dump({"destinations": {"research": destination}, "rules": [rule]}))
    with pytest.raises(UsageError, match="does not make"), serve_client(node_of(settings, routes=file)):
        pass


def test_an_archive_that_is_away_gets_everything_once_when_it_is_back(
    settings: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    archive = start_orthanc()
    archive.stop()
    with sending(settings, tmp_path, archive.port) as client:
        hand_on(client, 25)  # more than one association takes
        deadline = time.monotonic() + 30
        while not any(each.attempts > 1 for each in items(client)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        archive.start()
        assert len(wait_for(client, "sent")) == len(archive.read_instances()) == 25


def test_a_sender_that_dies_after_the_answer_sends_the_same_object_again(
    settings: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = start_orthanc()
    with sending(settings, tmp_path, archive.port) as client, monkeypatch.context() as patched:
        died = threading.Event()

        def die(*_: Any, **__: Any) -> None:
            died.set()
            raise SystemExit  # as a kill would: nothing is written down

        patched.setattr(outbound_queue, "finish", die)
        patched.setattr(threading, "excepthook", lambda _: None)
        hand_on(client)
        assert died.wait(30)
        (item,) = items(client)
        assert item.state == "sending"
        assert len(archive.read_instances()) == 1
    # The next server finds it.
    with sending(settings, tmp_path, archive.port) as client:
        (item,) = wait_for(client, "sent")
        assert set(archive.read_instances()) == {item.sop_uid}


def test_pauses_double_up_to_the_longest() -> None:
    retry = RetryRule(first_seconds=5, longest_seconds=900)
    for attempts, whole in ((1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (10_000, 900)):
        pauses = [retry.pause_after(attempts) for _ in range(200)]
        assert whole / 2 <= min(pauses) < max(pauses) <= whole


@contextmanager
def refusing(
    status: int, *, classes: bool = True, encryption: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[str]]]:
    """An archive that answers a status to each object; yields its port and what was sent to it."""
    from pynetdicom import AE, evt

    sent: list[str] = []

    def answer(event: Any) -> int:
        sent.append(str(event.request.AffectedSOPInstanceUID))
        return status

    entity = AE(ae_title=TITLE)
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.88.22" if classes else "1.2.840.10008.1.1")
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)], ssl_context=encryption
    )
    try:
        yield server.server_address[1], sent
    finally:
        server.shutdown()


def test_a_volume_that_is_away_makes_no_dead_letter(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "_ERROR_SECONDS", 0.1)
    with refusing(0x0000) as (port, sent), sending(settings, tmp_path, port) as client:
        studies = hand_on(client)
        wait_for(client, "sent")
        aside = settings.home / "aside"
        settings.files.rename(aside)
        with client.app.state.context.store.write() as session:
            session.query(OutboundItem).update({"state": "queued"})
        time.sleep(2.5)  # some looks
        assert [each.state for each in items(client)] == ["queued"] * len(studies)
        aside.rename(settings.files)
        wait_for(client, "sent")
        assert len(sent) == 2


def test_what_can_never_be_stored_is_dead_at_once_and_sent_again_by_hand(settings: Settings, tmp_path: Path) -> None:
    with refusing(0xC000) as (port, sent), sending(settings, tmp_path, port) as client:
        hand_on(client)
        (item,) = wait_for(client, "dead")
        assert (item.attempts, item.last_error, len(sent)) == (1, "status C000", 1)
        store = client.app.state.context.store
        store.commit(lambda session: outbound_queue.retry_dead(session, item.id))
        deadline = time.monotonic() + 30
        while len(sent) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (item,) = wait_for(client, "dead")
    with refusing(0x0000) as (port, sent), sending(settings, tmp_path, port) as client:
        store = client.app.state.context.store
        store.commit(lambda session: outbound_queue.retry_dead(session, item.id))
        wait_for(client, "sent")
        with pytest.raises(ConflictError, match="is sent"):
            store.commit(lambda session: outbound_queue.retry_dead(session, item.id))


def test_an_archive_that_does_not_take_reports_gets_no_second_try(settings: Settings, tmp_path: Path) -> None:
    with refusing(0x0000, classes=False) as (port, sent), sending(settings, tmp_path, port) as client:
        hand_on(client)
        (item,) = wait_for(client, "dead")
        assert not sent
        assert "presentation context" in item.last_error


def test_a_busy_archive_is_asked_until_the_time_is_over(settings: Settings, tmp_path: Path) -> None:
    seconds = 2.0
    rule = {"dead_after_hours": seconds / 3600}
    with refusing(0xA700) as (port, sent), sending(settings, tmp_path, port, retry=rule) as client:
        begun = time.monotonic()
        hand_on(client)
        (item,) = wait_for(client, "dead")
        assert time.monotonic() - begun >= seconds
        assert item.attempts == len(sent) >= 2
        assert item.last_error == "status A700"


ROUTE_BACK = """
function OnStoredInstance(instance, tags, metadata, origin)
  SendToModality(instance, "us")
end
"""


def test_what_an_archive_routes_back_makes_no_job(
    either: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    port = free_port()
    archive = start_orthanc(peers={"us": (US, port)}, script=ROUTE_BACK)
    with sending(either, tmp_path, archive.port, port=port) as client:
        studies = hand_on(client, 2)
        wait_for(client, "sent")
        store = client.app.state.context.store
        deadline = time.monotonic() + 30
        while True:
            back = [entry for entry in list_entries(store) if entry.action == "C-STORE of an own result"]
            if len(back) == 2:
                break
            assert time.monotonic() < deadline, archive.log()
            time.sleep(0.1)
        assert not re.search(r"^E\d", archive.log(), re.MULTILINE)  # its lines about errors
        assert {entry.subject for entry in back} == set(studies)
        shown = client.get("/api/studies")["studies"]
        assert {study["id"] for study in shown} == set(studies)
        assert [row["state"] for study in shown for row in study["predictions"]] == ["done", "done"]
        assert len(items(client)) == 2
        # A result of another program, and one that was erased here, stay with the archive: success would say
        # that they are here.
        (first, _) = items(client)
        erase(store, studies)
        number = archive.find(first.sop_uid)
        assert archive.try_to_send("us", number).status_code == 500
        assert client.get("/api/studies")["studies"] == []


def test_admins_see_where_results_went_and_send_dead_letters_again(settings: Settings, tmp_path: Path) -> None:
    with refusing(0xC000) as (port, sent), sending(settings, tmp_path, port) as client:
        (study,) = hand_on(client)
        wait_for(client, "dead")
        routes = client.get("/api/archive/destinations")
        assert routes["sends"]
        ((destination,), (rule,)) = routes["destinations"], routes["rules"]
        assert (destination["name"], destination["kind"], destination["counts"]) == (
            "research",
            "research",
            {"dead": 1},
        )
        assert (rule["name"], rule["kinds"], rule["to"]) == ("all", ["report"], ["research"])
        (item,) = client.get("/api/archive/queue", params={"state": "dead"})
        assert (item["study"], item["kind"], item["last_error"]) == (study, "report", "status C000")
        assert client.get("/api/archive/queue", params={"state": "sent"}) == []
        figures = client("GET", "/metrics").text
        assert 'pneumoscope_outbound{destination="research",state="dead"} 1.0' in figures
        run = client("POST", "/api/archive/dry-run", json={"study": study}).json()
        assert [each["kind"] for each in run if each["destinations"]] == ["report"]
        assert client("POST", "/api/archive/dry-run", json={"study": "none"}).status_code == 404
        uid = client.get(f"/api/studies/{study}/identity")["examination"]["study_uid"]
        assert client("POST", "/api/archive/dry-run", json={"study": uid}).json() == run
        assert client("POST", f"/api/archive/queue/{item['id']}/retry").status_code == 202
        deadline = time.monotonic() + 30
        while len(sent) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        wait_for(client, "dead")
        again = list_entries(client.app.state.context.store)
        assert "POST /api/archive/queue/{item}/retry" in {entry.action for entry in again}


def test_no_dry_run_before_the_own_read(settings: Settings, tmp_path: Path) -> None:
    with sending(replace(settings, read_first=True), tmp_path, free_port()) as client:
        study = receive(client, dicom()).study
        predict_all(client)
        assert client("POST", "/api/archive/dry-run", json={"study": study}).status_code == 403


def test_a_server_without_routes_says_so(settings: Settings) -> None:
    with serve_client(settings) as client:
        assert not client.get("/api/archive/destinations")["sends"]
        assert client.get("/api/archive/queue") == []
        assert client("POST", "/api/archive/dry-run", json={"study": "x"}).status_code == 409
