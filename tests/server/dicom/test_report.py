"""Answers as DICOM structured reports, read back by highdicom and by dcmtk's dsrdump."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO

from pneumoscope.core.labels import display_name
from pneumoscope.server.dicom.objects.analysed import SERIES
from pneumoscope.server.dicom.objects.headers import ALWAYS, PATIENT_AND_STUDY
from pneumoscope.server.dicom.objects.place import derive_uid
from pneumoscope.server.dicom.receiving.receive import SUCCESS, Sender
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.settings import DicomSettings, Settings
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import dump_report, find_faults
from server.sample_files import dicom, png

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

TAGS = {
    "PatientName": "Müller^Jürgen",
    "SpecificCharacterSet": "ISO_IR 100",
    "AccessionNumber": "A7",
    "PatientSex": "M",
    "StudyTime": "101112",
    "ReferringPhysicianName": "Ward^Anne",
}


def ask(client: Client, data: bytes) -> tuple[pydicom.Dataset, dict[str, Any], bytes]:
    """Send an object, let the model answer, fetch the report; return the object, the answer and the report."""
    receiver = client.app.state.context.node._receiver
    taken = receiver.receive(data, Sender("CR1", "127.0.0.1"))
    assert taken.status == SUCCESS
    predict_all(client)
    (answer,) = client.get(f"/api/studies/{taken.study}/predictions")
    sent = client("GET", f"/api/predictions/{answer['id']}/report.dcm")
    assert sent.status_code == 200, sent.text
    assert sent.headers["content-type"] == "application/dicom"
    return pydicom.dcmread(BytesIO(data)), answer, sent.content


@pytest.fixture
def node_settings(settings: Settings) -> Settings:
    (tiny,) = (model.id for model in Catalogue(settings.models).list_models().values() if not model.builtin)
    return replace(settings, dicom=DicomSettings(port=0, models=(tiny,)))


def test_a_report_says_what_the_answer_says(node_settings: Settings, tmp_path: Path) -> None:
    import highdicom

    with serve_client(node_settings) as client:
        source, answer, data = ask(client, dicom(TAGS))
    report = highdicom.sr.srread(BytesIO(data))
    for keyword in (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
        *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
    ):
        assert report[keyword].value == source[keyword].value, keyword
    assert report.SeriesInstanceUID != source.SeriesInstanceUID
    assert report.SeriesDescription == SERIES
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    (group,) = report.content.get_image_measurement_groups()
    result = answer["result"]
    scores = {one.name.meaning.removeprefix("Score of "): one.value for one in group.get_measurements()}
    assert scores == pytest.approx(
        {
            "no pattern that this model looks for" if label == "normal" else display_name(label): value
            for label, value in result["probabilities"].items()
        }
    )
    (decision,) = (one.value for one in group.get_qualitative_evaluations() if one.name.meaning == "Decision")
    assert decision.meaning in ("No pattern that this model looks for", f"Pattern: {display_name(result['decision'])}")
    assert "normal" not in dump_report(data, tmp_path).lower()
    referenced = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert referenced.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert find_faults(data, tmp_path) == []
    assert "Algorithm Version" in dump_report(data, tmp_path)


def test_the_same_answer_is_the_same_object(node_settings: Settings) -> None:
    with serve_client(node_settings) as client:
        _, answer, first = ask(client, dicom(TAGS))
        time.sleep(1.1)  # times in DICOM may have whole seconds
        assert client("GET", f"/api/predictions/{answer['id']}/report.dcm").content == first


def test_a_derived_uid_is_one() -> None:
    assert derive_uid("a", "b") == derive_uid("a", "b") != derive_uid("ab")
    assert pydicom.uid.UID(derive_uid("a", "b")).is_valid


def test_an_upload_has_a_report_where_it_is_a_dicom_object(node_settings: Settings) -> None:
    with serve_client(node_settings) as client:
        model = node_settings.dicom.models[0] if node_settings.dicom else ""
        data = pydicom.dcmread(BytesIO(dicom(TAGS)))
        data.StudyInstanceUID += ".7"
        del data.SOPInstanceUID  # nothing could refer to it
        without_uid = DicomBytesIO()
        data.save_as(without_uid, enforce_file_format=False)
        for sent, status in ((dicom(TAGS), 200), (png(0.5), 404), (without_uid.getvalue(), 404)):
            assert client.upload(sent, models=(model,)).status_code == 201
            predict_all(client)
            (answer, *_) = client.get("/api/studies")["studies"][0]["predictions"]
            asked = client("GET", f"/api/predictions/{answer['id']}/report.dcm")
            assert asked.status_code == status, asked.text
            if status == 200:
                report = pydicom.dcmread(BytesIO(asked.content))
                assert (str(report.PatientName), report.AccessionNumber) == ("Müller^Jürgen", "A7")
            else:
                assert "header of a DICOM object" in asked.text
        # An upload is known as a file alone: what a peer sends is still a job of its own.
        receiver = client.app.state.context.node._receiver
        assert receiver.receive(dicom(TAGS), Sender("CR1", "127.0.0.1")).status == SUCCESS
        for file in (path for path in node_settings.home.rglob("*") if path.is_file()):
            assert b"rgen" not in file.read_bytes(), file


def test_no_report_before_the_own_read(node_settings: Settings) -> None:
    with serve_client(replace(node_settings, read_first=True)) as client:
        taken = client.app.state.context.node._receiver.receive(dicom(TAGS), Sender("CR1", "127.0.0.1"))
        predict_all(client)
        (study,) = client.get("/api/studies")["studies"]
        assert study["id"] == taken.study
        asked = client("GET", f"/api/predictions/{study['predictions'][0]['id']}/report.dcm")
        assert asked.status_code == 403


def test_a_refusal_is_a_result_too(node_settings: Settings) -> None:
    import highdicom

    from pneumoscope.server.dicom.objects.analysed import load_header
    from pneumoscope.server.dicom.objects.place import Place, finish
    from pneumoscope.server.dicom.results.report import write_report
    from pneumoscope.server.dicom.results.sources import ImageAnswer, SourceImage
    from pneumoscope.server.uploads.headers import read_header

    (model,) = (model for model in Catalogue(node_settings.models).list_models().values() if not model.builtin)
    header = load_header(read_header(dicom(TAGS), "drawn", 2**20).json)
    result = {
        "labels": ["normal"],
        "probabilities": {},
        "refused": True,
        "reason": "it is a lateral",
        "codes": ["lateral"],
    }
    answer = ImageAnswer(SourceImage("1", header, "00", "11", 24, 32), result, 0.0)
    data = finish(write_report([answer], model, Place("1.2.3", "1.2.4", 9900, 1, None)), header, "tiny", 0.0)
    report = highdicom.sr.srread(BytesIO(data))
    (group,) = report.content.get_image_measurement_groups()
    assert not group.get_measurements()
    said = {one.name.meaning: one.value for one in group.get_qualitative_evaluations()}
    reason = said["Reason for no answer"]
    assert reason.value == "lateral"
    assert "Decision" not in said
    texts = [str(item.TextValue) for item in group[0].ContentSequence if item.ValueType == "TEXT"]
    assert "it is a lateral" in texts


def test_a_decision_stands_with_its_score_and_threshold() -> None:
    from pneumoscope.server.dicom.results.report import list_evaluations

    point = {"name": "sensitivity-95", "threshold": 0.4712}
    scores = {"lung-opacity": 0.496, "normal": 0.504}
    said = list_evaluations({"decision": "lung-opacity", "probabilities": scores, "operating_point": point})
    assert [sentence for _, _, sentence in said] == [
        "Pattern: Lung opacity",
        "Score of Lung opacity: 0.496, at or above the threshold of 0.471 (sensitivity-95)",
        "none",
    ]
    findings = [
        {"label": label, "probability": score, "operating_point": {"name": "youden", "threshold": 0.5}}
        for label, score in (("pneumonia", 0.5), ("pleural-effusion", 0.25))
    ]
    said = list_evaluations({"decision": "pneumonia", "probabilities": {}, "findings": findings, "audit": "caution"})
    assert [sentence for _, _, sentence in said] == [
        "Pattern: Pneumonia",
        "Score of Pneumonia: 0.5, at or above the threshold of 0.5 (youden)",
        "Score of Pleural effusion: 0.25, below the threshold of 0.5 (youden)",
        "caution",
    ]


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        (["ISO 2022 IR 6", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 144", "Люк^Иван"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Müller^Jürgen"),
    ],
)
def test_names_in_all_letters_come_back(node_settings: Settings, charset: Any, name: str, tmp_path: Path) -> None:
    tags = {
        **{"SpecificCharacterSet": charset, "PatientName": name, "AccessionNumber": "", "StudyDescription": "Thorax"},
        **{"IssuerOfPatientID": "HOSPITAL", "StudyTime": "101112.5", "PatientAge": "095Y", "PatientSize": "1.7"},
    }
    with serve_client(node_settings) as client:
        source, _, data = ask(client, dicom(tags))
    report = pydicom.dcmread(BytesIO(data))
    assert report.SpecificCharacterSet == "ISO_IR 192"
    assert str(report.PatientName) == name
    assert report["AccessionNumber"].value == ""
    for keyword in PATIENT_AND_STUDY:
        assert report.get(keyword) == source.get(keyword, "" if keyword in ALWAYS else None), keyword
    assert find_faults(data, tmp_path) == []
    assert "PRELIMINARY" in dump_report(data, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "unknown"),
        ("StudyDate", "2024.05.06"),  # as ACR-NEMA 2.0 had it
        ("StudyTime", "10:11:12"),
        ("PatientSex", "Male"),
        ("PatientAge", "9Y"),
        ("StudyID", "more than sixteen letters"),
    ],
)
def test_tags_that_break_the_standard_come_back_as_they_are(node_settings: Settings, keyword: str, value: str) -> None:
    tagged = pydicom.dcmread(BytesIO(dicom()))
    setattr(tagged, keyword, value)
    buffer = BytesIO()
    tagged.save_as(buffer)
    with serve_client(node_settings) as client:
        _, _, data = ask(client, buffer.getvalue())
    assert str(pydicom.dcmread(BytesIO(data))[keyword].value) == value


@pytest.mark.parametrize("offset", ["+0900", "-0330", ""])
def test_times_are_those_of_the_senders_zone(node_settings: Settings, offset: str) -> None:
    with serve_client(node_settings) as client:
        _, answer, data = ask(client, dicom({"TimezoneOffsetFromUTC": offset}))
    report = pydicom.dcmread(BytesIO(data))
    assert report.get("TimezoneOffsetFromUTC", "") == offset
    written = datetime.strptime(f"{report.ContentDate}{report.ContentTime} {offset}".strip(),
                                "%Y%m%d%H%M%S %z" if offset else "%Y%m%d%H%M%S")  # fmt: skip
    finished = datetime.fromisoformat(answer["finished"])
    assert abs((written.astimezone() - finished).total_seconds()) < 1
