"""An image that is rejected after the examination: its results are retracted, here and where they went."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pneumoscope.server.dicom.calling.completion import find_complete
from pneumoscope.server.dicom.receiving.receive import NEVER_ANALYSED, NO_IMAGE, OTHER_STUDY, SUCCESS, Sender
from pneumoscope.server.dicom.receiving.returned import RETURNED
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import ExamIdentity, Identity, RejectedObject, ResultObject
from server.client import Client, predict_all, serve_client
from server.dicom.orthanc import Orthanc
from server.dicom.result_tools import find_faults, node_of, receive
from server.dicom.test_outbound import items, sending, wait_for
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"


def image(number: int, **tags: Any) -> bytes:
    """One of the images of a study."""
    uids = {"SOPInstanceUID": f"1.2.3.1.{number}", "SeriesInstanceUID": "1.2.3.2", "StudyInstanceUID": "1.2.3"}
    return dicom({**uids, **tags}, value=1000 + number)


def note(*images: bytes, code: str = "113001") -> bytes:
    """A key object selection about images, as a PACS writes it."""
    from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
    from highdicom.sr import CodedConcept

    sources = [pydicom.dcmread(BytesIO(data)) for data in images]
    for source in sources:
        for keyword in ("StudyID", "StudyTime", "AccessionNumber", "PatientSex", "ReferringPhysicianName"):
            if keyword not in source:
                setattr(source, keyword, "")
    document = KeyObjectSelectionDocument(
        evidence=sources,
        content=KeyObjectSelection(CodedConcept(code, "DCM", "a title"), sources),
        series_instance_uid=pydicom.uid.generate_uid(),
        series_number=1,
        sop_instance_uid=pydicom.uid.generate_uid(),
        instance_number=1,
        manufacturer="Another",
    )
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def send_note(client: Client, data: bytes) -> int:
    returned = client.app.state.context.node._returned
    return int(returned.receive(KEY_OBJECTS, "1.2.3.99", lambda: data, Sender("PACS", "127.0.0.1")).status)


def results(client: Client) -> dict[str, ResultObject]:
    with client.app.state.context.store.read() as session:
        return {row.sop_uid: row for row in session.query(ResultObject)}


def images_of(data: bytes) -> set[str]:
    """What a report refers to."""
    (study,) = pydicom.dcmread(BytesIO(data)).CurrentRequestedProcedureEvidenceSequence
    return {
        str(item.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def test_a_rejected_image_is_in_no_result_and_a_note_follows_what_was_sent(
    either: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    archive = start_orthanc()
    with sending(either, tmp_path, archive.port) as client:
        outbound = client.app.state.context.outbound
        study = receive(client, image(1)).study
        receive(client, image(2))
        predict_all(client)
        outbound.hand_on(study)
        (first,) = wait_for(client, "sent")
        for _ in range(2):  # sent again, it changes nothing
            assert send_note(client, note(image(2))) == SUCCESS
        (retracted, rejection) = sorted(results(client).values(), key=lambda row: row.made)
        assert (retracted.sop_uid, retracted.state, rejection.kind) == (first.sop_uid, "retracted", "rejection")
        shown = client.get(f"/api/studies/{study}/results")
        assert {(row["kind"], row["state"]) for row in shown} == {("report", "retracted"), ("rejection", "current")}
        outbound.hand_on(study)
        assert len(wait_for(client, "sent")) == 3
        stored = archive.read_instances()
        assert set(stored) == set(results(client))
        (again,) = (row for row in results(client).values() if row.kind == "report" and row.state == "current")
        assert again.predecessor == first.sop_uid
        assert images_of(stored[again.sop_uid]) == {"1.2.3.1.1"}
        sent = pydicom.dcmread(BytesIO(stored[rejection.sop_uid]))
        title = sent.ConceptNameCodeSequence[0]
        assert (sent.SOPClassUID, title.CodeValue, title.CodingSchemeDesignator) == (KEY_OBJECTS, "113001", "DCM")
        assert images_of(stored[rejection.sop_uid]) == {first.sop_uid}
        assert (str(sent.PatientName), sent.PatientID, sent.StudyInstanceUID) == ("Doe^Jane", "4711", "1.2.3")
        assert find_faults(stored[rejection.sop_uid], tmp_path) == []
        told = [entry for entry in list_entries(client.app.state.context.store) if "rejection" in entry.action]
        assert {(entry.who, entry.subject) for entry in told} == {("dicom:PACS", study)}


def test_a_study_whose_only_image_is_rejected_has_no_result(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        context = client.app.state.context
        from pneumoscope.server.dicom.results.making import make_results

        study = receive(client, image(1)).study
        predict_all(client)
        make_results(context.store, context.catalogue, study, ["report"])
        assert send_note(client, note(image(1), code="113037")) == SUCCESS
        (row,) = results(client).values()
        assert row.state == "retracted"
        answer = client.get(f"/api/studies/{study}/predictions")[0]
        assert client("GET", f"/api/predictions/{answer['id']}/report.dcm").status_code == 404


def test_a_note_may_come_before_its_image(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        assert send_note(client, note(image(1), code="113038")) == SUCCESS
        study = receive(client, image(1)).study
        predict_all(client)
        answer = client.get(f"/api/studies/{study}/predictions")[0]
        assert client("GET", f"/api/predictions/{answer['id']}/report.dcm").status_code == 404


def test_a_note_of_many_objects_lets_other_writers_in_between(
    either: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = pydicom.dcmread(BytesIO(note(image(1))))
    (series,) = many.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    (first,) = series.ReferencedSOPSequence
    for number in range(1100):
        other = pydicom.Dataset()
        other.ReferencedSOPClassUID = first.ReferencedSOPClassUID
        other.ReferencedSOPInstanceUID = f"1.2.9.{number}"
        series.ReferencedSOPSequence.append(other)
    data = BytesIO()
    many.save_as(data, enforce_file_format=True)
    with serve_client(node_of(either)) as client:
        store = client.app.state.context.store
        study = receive(client, image(1)).study
        predict_all(client)
        rows = [0]
        commit = store.commit

        def count(*change: Any, **options: Any) -> Any:
            value = commit(*change, **options)
            with store.read() as session:
                rows.append(session.query(RejectedObject).count())
            return value

        monkeypatch.setattr(store, "commit", count)
        for _ in range(2):
            assert send_note(client, data.getvalue()) == SUCCESS
        assert rows[-1] == 1101
        assert max(after - before for before, after in pairwise(rows)) == 500
        assert client.get(f"/api/studies/{study}/results") == []


def test_an_own_result_that_its_archive_rejects_is_retracted(
    settings: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    archive = start_orthanc()
    with sending(settings, tmp_path, archive.port) as client:
        study = receive(client, image(1)).study
        predict_all(client)
        client.app.state.context.outbound.hand_on(study)
        (item,) = wait_for(client, "sent")
        (data,) = archive.read_instances().values()
        assert send_note(client, note(data)) == SUCCESS
        client.app.state.context.outbound.hand_on(study)
        assert {uid: row.state for uid, row in results(client).items()} == {item.sop_uid: "retracted"}
        assert len(items(client)) == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [(note(image(1), code="113000"), NEVER_ANALYSED), (b"no DICOM", NO_IMAGE), (b"\0" * (2**20 + 1), NO_IMAGE)],
    ids=["of interest", "none", "huge"],
)
def test_what_is_no_rejection_note_changes_nothing(settings: Settings, data: bytes, status: int) -> None:
    with serve_client(node_of(settings)) as client:
        assert send_note(client, data) == status
        entry = list_entries(client.app.state.context.store)[0]
        assert (entry.action, entry.status) == (f"C-STORE refused {status:04X}", 422)


@pytest.mark.parametrize(
    ("name", "words"),
    [("Secondary Capture Image Storage", "is not analysed"), ("Encapsulated PDF Storage", "result")],
)
def test_an_object_of_a_class_of_results_is_refused_with_the_reason(settings: Settings, name: str, words: str) -> None:
    (sop_class,) = (uid for uid, known in RETURNED.items() if known == name)
    with serve_client(node_of(settings)) as client:
        returned = client.app.state.context.node._returned
        receipt = returned.receive(sop_class, "1.2.3", bytes, Sender("CR1", "127.0.0.1"))
        assert receipt.status == NEVER_ANALYSED
        assert words in receipt.comment


def test_a_merge_of_patients_makes_the_results_again(
    either: Settings, tmp_path: Path, start_orthanc: Callable[..., Orthanc]
) -> None:
    archive = start_orthanc()
    with sending(either, tmp_path, archive.port) as client:
        context = client.app.state.context
        study = receive(client, image(1)).study
        predict_all(client)
        context.outbound.hand_on(study)
        (first,) = wait_for(client, "sent")
        (before,) = client.get("/api/studies")["studies"]
        merged = image(1, PatientID="0815", PatientName="Doe^Joan", AccessionNumber="B8")
        for _ in range(2):
            assert receive(client, merged).study == study
        with context.store.read() as session:
            (identity,) = session.query(Identity)  # the former patient is forgotten
            assert context.store.secret.unseal(identity.sealed, identity.key)["patient_name"] == "Doe^Joan"
            exam = session.get_one(ExamIdentity, study)
            assert context.store.secret.unseal(exam.sealed, study)["accession"] == "B8"
        (after,) = client.get("/api/studies")["studies"]
        assert (after["id"], len(after["images"])) == (before["id"], 1)
        assert after["patient"] != before["patient"]
        assert find_complete(context.store, 0, lambda: time.time() + 1) == [study]
        assert predict_all(client) == 0  # nothing that a model knows has changed
        context.outbound.hand_on(study)
        wait_for(client, "sent")
        stored = archive.read_instances()
        states = {row.kind: row.state for row in results(client).values() if row.sop_uid != first.sop_uid}
        assert states == {"report": "current", "rejection": "current"}
        assert results(client)[first.sop_uid].state == "retracted"
        (again,) = (uid for uid, row in results(client).items() if row.predecessor == first.sop_uid)
        report = pydicom.dcmread(BytesIO(stored[again]))
        assert (report.PatientID, str(report.PatientName), report.AccessionNumber) == ("0815", "Doe^Joan", "B8")
        told = [entry.action for entry in list_entries(context.store, subject=study)]
        assert told.count("C-STORE of a corrected header") == 1


def test_an_age_that_was_corrected_is_told_to_the_models(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = receive(client, image(1, PatientAge="070Y")).study
        predict_all(client)
        assert receive(client, image(1, PatientAge="007Y", PatientBirthDate="19990101")).study == study
        assert predict_all(client) == 1
        (shown,) = client.get("/api/studies")["studies"]
        assert shown["images"][0]["facts"]["age"] == 7


def test_an_image_moves_to_no_other_study(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        receive(client, image(1))
        receiver = client.app.state.context.node._receiver
        moved = receiver.receive(image(1, StudyInstanceUID="1.2.4"), Sender("PACS", "127.0.0.1"))
        assert moved.status == OTHER_STUDY
        assert len(client.get("/api/studies")["studies"]) == 1
