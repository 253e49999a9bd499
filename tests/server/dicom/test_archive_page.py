"""What admins see of the node: its settings, what came, and what is quarantined."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from pneumoscope.server.dicom.receiving.receive import (
    NEVER_ANALYSED,
    NO_IMAGE,
    OTHER_PATIENT,
    OTHER_PIXELS,
    STATUSES,
    SUCCESS,
    Sender,
)
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.tables import QuarantinedObject
from server.client import Client, serve_client
from server.dicom.result_tools import node_of, receive
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")

ROOT = Path(__file__).parents[3]
PEER = Sender("CR2", "192.0.2.7")


def keep_apart(client: Client) -> str:
    """Give two objects under one UID to a node; return the study."""
    study = receive(client, dicom()).study
    receiver = client.app.state.context.node.receiver
    assert receiver.receive(dicom(value=1000), PEER).status == OTHER_PIXELS
    return study


def test_the_node_says_who_may_send(settings: Settings) -> None:
    with serve_client(settings) as client:
        assert client.get("/api/archive/node")["on"] is False
    peers = (("CR1", "192.0.2.7"), ("CR2", "192.0.2.8"))
    with serve_client(node_of(settings, peers=peers, title="NODE")) as client:
        shown = client.get("/api/archive/node")
        assert (shown["on"], shown["listening"], shown["title"], shown["encryption"]) == (True, False, "NODE", "none")
        assert shown["peers"] == [{"title": "CR1", "address": "192.0.2.7"}, {"title": "CR2", "address": "192.0.2.8"}]
        client.app.state.context.node.start()
        try:
            shown = client.get("/api/archive/node")
            assert shown["listening"] is True
            assert shown["port"] > 0
        finally:
            client.app.state.context.node.stop()


def test_what_came_is_listed_with_what_was_refused(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = keep_apart(client)
        apart, image = client.get("/api/archive/arrivals")
        assert (image["sender"], image["kind"], image["way"]) == ("dicom:CR1", "image", "C-STORE")
        assert (image["study"], image["status"]) == (study, 201)
        assert (apart["sender"], apart["address"], apart["status"], apart["study"]) == (
            *("dicom:CR2", "192.0.2.7", 422),
            study,
        )
        assert (apart["kind"], apart["way"], apart["reason"], image["reason"]) == ("image", "C-STORE", "C006", "")
        assert [one["id"] for one in client.get("/api/archive/arrivals?refused=true")] == [apart["id"]]
        assert [one["id"] for one in client.get(f"/api/archive/arrivals?before={apart['id']}")] == [image["id"]]
        assert len(client.get("/api/archive/arrivals?limit=1")) == 1
        for number in (0, 2**63 - 1, 2**63, 10**30):
            assert client("GET", f"/api/archive/arrivals?before={number}").status_code == 422
        assert "Doe" not in str(client.get("/api/archive/arrivals"))


def test_a_refused_object_is_named_to_those_who_see_names(settings: Settings) -> None:
    digital = "1.2.840.10008.5.1.4.1.1.1.1"
    with serve_client(replace(node_of(settings), accounts=True)) as client:
        context = client.app.state.context
        receiver = context.node.receiver
        sender = replace(PEER, sop_class=digital, sop_uid="1.2.826.7.9")
        other = replace(PEER, sop_class="1.2.3.4 or so", sop_uid="1.2.826.7.8")
        tags = {"SOPInstanceUID": "1.2.826.7.9", "Modality": "OT"}
        assert [receiver.receive(dicom(tags), each).status for each in (other, sender)] == [NEVER_ANALYSED] * 2
        shown = {}
        for name, sees_names in (("keeper", False), ("admin", True)):
            account = context.accounts.add(name, "correct horse battery", "admin", sees_names=sees_names)
            headers = {"Authorization": f"Bearer {context.tokens.create(account.id, 'test', 1)[1]}"}
            rows = client.get("/api/archive/arrivals", headers=headers)
            shown[name] = [(row["reason"], row["sop_class"], row["sop_uid"]) for row in rows]
            assert rows[0]["sop_class_name"] == "Digital X-Ray Image Storage - For Presentation"
        assert shown == {
            "keeper": [("C004", digital, ""), ("C004", "", "")],
            "admin": [("C004", digital, "1.2.826.7.9"), ("C004", "", "1.2.826.7.8")],
        }
        assert "1.2.826.7.9" not in str([vars(entry) for entry in list_entries(context.store)])


def test_each_refusal_is_listed_with_the_status_that_the_sender_got(settings: Settings) -> None:
    tags = {"SOPInstanceUID": "1.2.826.7.9", "StudyInstanceUID": "1.2.826.7"}
    with serve_client(node_of(settings)) as client:
        receive(client, dicom(tags))
        receiver = client.app.state.context.node.receiver
        other = dicom({**tags, "SOPInstanceUID": "1.2.826.7.10", "PatientID": "9999"}, value=900)
        for sender in (PEER, Sender("", "192.0.2.8", user="3f9a")):
            statuses = [
                receiver.receive(data, sender).status for data in (other, b"nothing", dicom({"Modality": "OT"}))
            ]
            assert statuses == [OTHER_PATIENT, NO_IMAGE, NEVER_ANALYSED]
        returned = client.app.state.context.node._returned
        assert returned.receive("1.2.840.10008.5.1.4.1.1.88.22", "1.2.3", bytes, PEER).status == NEVER_ANALYSED
        listed = [(one["way"], one["kind"], one["reason"]) for one in client.get("/api/archive/arrivals?refused=true")]
        reasons = ["C004", "C001", "C003"]
        assert listed == [
            ("C-STORE", "image", "C004"),
            *(("STOW-RS", "image", reason) for reason in reasons),
            *(("C-STORE", "image", reason) for reason in reasons),
        ]


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_page_has_words_for_every_status(language: str) -> None:
    messages = json.loads((ROOT / "web" / "src" / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    beginning = "archive.reason."
    worded = {key.removeprefix(beginning) for key in messages if key.startswith(beginning)}
    assert worded == {f"{status:04X}" for status in STATUSES if status != SUCCESS}


def test_what_is_kept_apart_is_looked_at_and_thrown_away(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = keep_apart(client)
        (apart,) = client.get("/api/archive/quarantine")
        assert (apart["study"], apart["sender"]) == (study, "dicom:CR2")
        assert apart["bytes"] > 1000
        address = f"/api/archive/quarantine/{apart['id']}"
        object_of = client("GET", f"{address}/object.dcm")
        assert object_of.content == dicom(value=1000)
        assert object_of.headers["content-type"] == "application/dicom"
        sealed: Path = blobs.path_of(settings.files, apart["id"], blobs.SEALED)
        sealed.write_bytes(b"\0" * 100)
        assert client("GET", f"{address}/object.dcm").status_code == 500
        assert client("DELETE", address).status_code == 204
        assert client.get("/api/archive/quarantine") == []
        assert not sealed.exists()
        assert client("DELETE", address).status_code == client("GET", f"{address}/object.dcm").status_code == 404
        done = {(entry.action, entry.subject) for entry in list_entries(client.app.state.context.store)}
        assert ("DELETE /api/archive/quarantine/{item}", study) in done
        assert len(client.get("/api/studies")["studies"]) == 1


def test_the_page_is_for_admins_and_objects_for_those_who_see_names(settings: Settings) -> None:
    with serve_client(replace(node_of(settings), accounts=True)) as client:
        context = client.app.state.context
        keep_apart(client)
        with context.store.read() as session:
            number = session.scalar(select(QuarantinedObject.id))
        statuses = {}
        accounts = (("reader", "reader", True), ("keeper", "admin", False), ("admin", "admin", True))
        for name, role, sees_names in accounts:
            account = context.accounts.add(name, "correct horse battery", role, sees_names=sees_names)
            headers = {"Authorization": f"Bearer {context.tokens.create(account.id, 'test', 1)[1]}"}
            statuses[name] = [
                client("GET", f"/api/archive/{address}", headers=headers).status_code
                for address in ("node", "arrivals", "quarantine", f"quarantine/{number}/object.dcm")
            ]
        assert statuses == {"reader": [403] * 4, "keeper": [200, 200, 200, 403], "admin": [200] * 4}
