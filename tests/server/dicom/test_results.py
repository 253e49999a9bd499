"""A study's results as kept objects: one for the same contents, superseded by a late image, erased with the study."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from pneumoscope.server.dicom.results.making import make_results, read_result
from pneumoscope.server.errors import ConflictError, NotFoundError
from pneumoscope.server.inference import switches
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.tables import ResultObject, StoredPrediction
from pneumoscope.server.studies.erasure import erase, remove_leftovers
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import dump_report, find_faults, node_of, receive
from server.sample_files import dicom, png

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
highdicom = pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

STUDY = "1.2.826.0.1.3680043.8.498.1"
FIRST = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1", "SOPInstanceUID": f"{STUDY}.1.1"}
LATE = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1", "SOPInstanceUID": f"{STUDY}.1.2"}


def make(client: Client, study: str) -> list[str]:
    context = client.app.state.context
    return make_results(context.store, context.catalogue, study, ["report"])


def rows(client: Client) -> dict[str, Any]:
    with client.app.state.context.store.read() as session:
        return {row.sop_uid: row for row in session.query(ResultObject)}


def test_a_late_image_makes_a_report_that_supersedes_the_first(settings: Settings, tmp_path: Path) -> None:
    with serve_client(node_of(settings)) as client:
        store = client.app.state.context.store
        study = receive(client, dicom(FIRST)).study
        with pytest.raises(ConflictError, match="not there yet"):
            make(client, study)
        predict_all(client)
        (first,) = make(client, study)
        data = read_result(store, first)
        assert make(client, study) == [first]
        assert read_result(store, first) == data
        assert receive(client, dicom(LATE, value=900)).study == study
        predict_all(client)
        (second,) = make(client, study)
        assert {uid: (row.state, row.predecessor) for uid, row in rows(client).items()} == {
            first: ("superseded", None),
            second: ("current", first),
        }
        assert read_result(store, first) == data
        later = read_result(store, second)
    assert find_faults(data, tmp_path) == find_faults(later, tmp_path) == []
    before, after = (highdicom.sr.srread(BytesIO(one)) for one in (data, later))
    (superseded,) = after.PredecessorDocumentsSequence
    (in_series,) = superseded.ReferencedSeriesSequence
    assert superseded.StudyInstanceUID == STUDY
    assert in_series.SeriesInstanceUID == before.SeriesInstanceUID == after.SeriesInstanceUID
    assert in_series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID == first
    assert (before.InstanceNumber, after.InstanceNumber) == (1, 2)
    groups = after.content.get_image_measurement_groups()
    images = [item for group in groups for item in group[0].ContentSequence if item.ValueType == "IMAGE"]
    seen = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in images]
    assert seen == [FIRST["SOPInstanceUID"], LATE["SOPInstanceUID"]]
    assert dump_report(later, tmp_path).count("Algorithm Version") == 2


def test_another_answer_makes_another_report(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        (first,) = make(client, study)
        model = rows(client)[first].model
        client("POST", f"/api/studies/{study}/predictions", json={"models": [model]})
        predict_all(client)
        assert make(client, study) == [first]  # asked again, the model says the same
        with client.app.state.context.store.write() as session:
            answer = session.query(StoredPrediction).order_by(StoredPrediction.asked.desc()).first()
            answer.result = {"error": "the model can't be run on this image"}
        (second,) = make(client, study)
        assert rows(client)[second].predecessor == first
        assert b"can't be run" in read_result(client.app.state.context.store, second)


def test_a_retracted_report_is_not_made_again(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        (first,) = make(client, study)
        with client.app.state.context.store.write() as session:
            session.get_one(ResultObject, first).state = "retracted"
        assert make(client, study) == []
        receive(client, dicom(LATE, value=900))
        predict_all(client)
        (second,) = make(client, study)
        assert [row.state for row in (rows(client)[first], rows(client)[second])] == ["retracted", "current"]


def test_a_model_that_is_switched_off_says_nothing(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        (first,) = make(client, study)
        store = client.app.state.context.store
        switches.set_switch(store, rows(client)[first].model, on=False, reason="drift", account="admin")
        assert make(client, study) == []
        (answer,) = client.get(f"/api/studies/{study}/predictions")
        assert client("GET", f"/api/predictions/{answer['id']}/report.dcm").status_code == 409


def test_results_are_sealed_and_erased_with_their_study(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        (sop_uid,) = make(client, study)
        store, row = client.app.state.context.store, rows(client)[sop_uid]
        file = blobs.path_of(settings.files, row.blob, blobs.SEALED)
        for path in (path for path in settings.home.rglob("*") if path.is_file()):
            assert b"Doe" not in path.read_bytes(), path
        remove_leftovers(store)
        assert file.exists()
        erase(store, [study])
        assert not file.exists()
        assert rows(client) == {}
        with pytest.raises(NotFoundError):
            read_result(store, sop_uid)


def test_a_study_without_objects_has_no_results(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        assert client.upload(png(0.5)).status_code == 201
        (study,) = client.get("/api/studies")["studies"]
        with pytest.raises(NotFoundError):
            make(client, study["id"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_several_at_once_make_one_object(settings: Settings, database: str, request: pytest.FixtureRequest) -> None:
    if database == "postgresql":
        settings = replace(settings, database=request.getfixturevalue("postgres"))
    with serve_client(node_of(settings)) as client:
        study = receive(client, dicom(FIRST)).study
        predict_all(client)
        for tags, value, count in ((None, 0, 1), (LATE, 900, 2)):
            if tags is not None:
                receive(client, dicom(tags, value=value))
                predict_all(client)
            with ThreadPoolExecutor(4) as pool:
                made = list(pool.map(lambda _: make(client, study), range(4)))
            assert len({tuple(each) for each in made}) == 1
            kept = rows(client)
            assert len(kept) == count
            assert [uid for uid, row in kept.items() if row.state == "current"] == made[0]
            sealed = {path.name.partition(".")[0] for path in settings.files.rglob("*.sealed")}
            assert sealed == {row.blob for row in kept.values()}  # what the others wrote is gone
