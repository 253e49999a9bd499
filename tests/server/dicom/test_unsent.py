"""Results that were made before a rule was: found, counted, and queued once when that is asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from sqlalchemy import select
from typer.testing import CliRunner

from pneumoscope.cli.dicom import app
from pneumoscope.server.administration import find_unsent, queue_unsent
from pneumoscope.server.dicom.calling import unsent
from pneumoscope.server.inference.switches import set_switch
from pneumoscope.server.security.audit_log import CONSOLE, list_entries
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import ArrivingObject, OutboundItem, ResultObject, StoredPrediction
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import node_of, receive
from server.dicom.test_outbound import items
from server.dicom.test_outlines import LUNGS
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

OLD = [{"name": "reports", "to": "one"}]
NEW = [*OLD, {"name": "outlines", "kinds": ["segmentation"], "to": ["one", "two"]}, {"name": "more", "to": "two"}]


def write_routes(folder: Path, rules: list[dict[str, object]]) -> Path:
    """A file of rules for two archives, neither of which is there."""
    file = folder / "routes.yaml"
    archives = {name: {"title": name.upper(), "host": "127.0.0.1", "port": 9} for name in ("one", "two")}
    file.write_text(yaml.safe_dump({"destinations": archives, "rules": rules}))
    return file


def make_old_results(settings: Settings, folder: Path, count: int = 2) -> list[str]:
    """Let a server with the old rules make reports and outlines, and queue the reports; return the studies."""
    with serve_client(node_of(settings, routes=write_routes(folder, OLD))) as client:
        studies = [
            receive(
                client,
                dicom(
                    {"SOPInstanceUID": f"1.2.3.{n}.1", "StudyInstanceUID": f"1.2.3.{n}", "PatientID": str(n)}, 2000 + n
                ),
            ).study
            for n in range(count)
        ]
        predict_all(client)
        context = client.app.state.context
        with context.store.write() as session:
            for row in session.scalars(select(StoredPrediction)):
                row.result = {**(row.result or {}), "lungs": LUNGS}
        for study in studies:
            make_all(client, study)
        return studies


def make_all(client: Client, study: str) -> None:
    """Do as a server does with a complete study: make all kinds, queue what the rules send."""
    from pneumoscope.server.dicom.results.making import make_results

    context = client.app.state.context
    context.outbound.route(study, make_results(context.store, context.catalogue, study, ["report", "segmentation"]))
    with context.store.write() as session:
        for row in session.scalars(select(ArrivingObject).where(ArrivingObject.study == study)):
            session.delete(row)


def test_what_a_new_rule_sends_is_shown_first_and_queued_once(either: Settings, tmp_path: Path) -> None:
    studies = make_old_results(either, tmp_path)
    with serve_client(node_of(either, routes=write_routes(tmp_path, NEW))) as client:
        before = {item.id: item.destination for item in items(client)}
        assert list(before.values()) == ["one", "one"]
        part = client.get("/api/archive/unsent")
        counts = Counter((each["kind"], each["destination"], each["rule"]) for each in part["results"])
        assert counts == {
            ("segmentation", "one", "outlines"): 2,
            ("segmentation", "two", "outlines"): 2,
            ("report", "two", "more"): 2,
        }
        assert {each["study"] for each in part["results"]} == set(studies)
        assert part["last"] is None
        assert len(items(client)) == 2  # it was a look
        assert client("POST", "/api/archive/unsent/queue", json={"studies": [studies[0]]}).json() == {"queued": 3}
        assert {each["study"] for each in client.get("/api/archive/unsent")["results"]} == {studies[1]}
        assert client("POST", "/api/archive/unsent/queue", json={"studies": studies}).json() == {"queued": 3}
        assert client("POST", "/api/archive/unsent/queue", json={"studies": studies}).json() == {"queued": 0}
        assert client.get("/api/archive/unsent")["results"] == []
        found = items(client)
        assert len({(item.sop_uid, item.destination) for item in found}) == len(found) == 8
        assert {item.id for item in found} >= before.keys()
        lines = [each for each in list_entries(client.app.state.context.store) if each.action.endswith("unsent/queue")]
        assert Counter(line.subject for line in lines) == {"": 3, **dict.fromkeys(studies, 1)}


def test_what_is_dead_or_new_or_no_longer_counts_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    dead, arriving, replaced, fine = make_old_results(settings, tmp_path, 4)
    with serve_client(node_of(settings, routes=write_routes(tmp_path, NEW[:1] + NEW[2:]))) as client:
        store = client.app.state.context.store
        with store.write() as session:
            report = session.scalars(select(ResultObject).filter_by(study=dead, kind="report")).one()
            item = session.scalars(select(OutboundItem).where(OutboundItem.sop_uid == report.sop_uid)).one()
            item.state, item.destination = "dead", "two"
            session.add(ArrivingObject(key="again-1", study=arriving, received=0.0))
            session.scalars(select(ResultObject).filter_by(study=replaced, kind="report")).one().state = "superseded"
        found = client.get("/api/archive/unsent")["results"]
        # The report that failed at one archive was never queued for the other one.
        assert {(each["study"], each["destination"]) for each in found} == {(dead, "one"), (fine, "two")}
        with store.write() as session:
            (model,) = session.scalars(select(ResultObject.model).distinct())
        set_switch(store, model, on=False, reason="a test", account=CONSOLE)
        assert client.get("/api/archive/unsent")["results"] == []


def test_studies_are_looked_at_part_by_part(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = make_old_results(settings, tmp_path, 3)
    monkeypatch.setattr(unsent, "MOST_STUDIES", 2)
    with serve_client(node_of(settings, routes=write_routes(tmp_path, NEW))) as client:
        first = client.get("/api/archive/unsent")
        rest = client.get(f"/api/archive/unsent?after={first['last']}")
        assert rest["last"] is None
        shown = [dict.fromkeys(each["study"] for each in part["results"]) for part in (first, rest)]
        assert [list(each) for each in shown] == [sorted(studies)[:2], sorted(studies)[2:]]


def test_an_upload_is_no_study_that_results_go_back_of(settings: Settings, tmp_path: Path) -> None:
    with serve_client(node_of(settings, routes=write_routes(tmp_path, NEW))) as client:
        client.upload(dicom(), models=client.app.state.context.settings.dicom.models)
        predict_all(client)
        with client.app.state.context.store.read() as session:
            (prediction,) = session.scalars(select(StoredPrediction.id))
        assert client("GET", f"/api/predictions/{prediction}/report.dcm").status_code == 200
        assert client.get("/api/archive/unsent")["results"] == []


def test_the_command_shows_and_queues(settings: Settings, tmp_path: Path) -> None:
    make_old_results(settings, tmp_path)
    file = write_routes(tmp_path, NEW)
    assert len(find_unsent(settings, file)) == 6
    where = ["--home", str(settings.home), "--models", str(settings.models)]
    shown = CliRunner().invoke(app, ["unsent", str(file), *where])
    assert shown.exit_code == 0
    assert "two  2 of kind report, by rule 'more'\n" in shown.output
    assert shown.output.endswith("6 results of 2 studies were never queued.\n")
    queued = CliRunner().invoke(app, ["unsent", str(file), "--queue", *where])
    assert queued.stdout == "6 results were queued.\n"
    assert "Results for another one wait" in " ".join(queued.stderr.split())
    assert queue_unsent(settings, file) == 0
    nothing = CliRunner().invoke(app, ["unsent", str(file), *where])
    assert nothing.output == "Nothing is left to send: every result that the rules send was queued.\n"
    absent = CliRunner().invoke(app, ["unsent", str(tmp_path / "nofile.yaml"), *where])
    assert "nofile.yaml: is not there. Name the YAML file" in str(absent.exception)
    with serve_client(node_of(settings, routes=file)) as client:
        lines = list_entries(client.app.state.context.store, account=CONSOLE)
        assert Counter(line.action for line in lines) == {"dicom unsent": 3, "dicom unsent --queue": 2}


def test_a_server_that_sends_nowhere_says_so(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        assert client("GET", "/api/archive/unsent").status_code == 409
        assert client("POST", "/api/archive/unsent/queue", json={"studies": ["1"]}).status_code == 409
