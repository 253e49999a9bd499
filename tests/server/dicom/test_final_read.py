"""A reader's final report as a structured report and as a PDF: made when it is signed, superseded by an addendum."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from pneumoscope.server.dicom.calling.completion import CompletionWatch, find_complete
from pneumoscope.server.dicom.objects.analysed import SERIES
from pneumoscope.server.dicom.results.final_pdf import can_draw, list_lines, wrap_line
from pneumoscope.server.dicom.results.making import make_results, read_result
from pneumoscope.server.dicom.results.plans import ResultKind
from pneumoscope.server.dicom.results.sources import SignedRead
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import now
from pneumoscope.server.storage.tables import ResultObject
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import dump_report, find_faults, node_of, receive
from server.dicom.test_results import FIRST
from server.sample_files import dicom

highdicom = pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

KINDS: tuple[ResultKind, ...] = ("final-read", "final-pdf")
WORDS = "An opacity in the left lower zone, costs $5 & more.\nNo effusion."


def sign(client: Client, study: str, state: str = "final", **content: Any) -> None:
    sent = {"stage": "aided", "state": state, "text": WORDS, **content}
    answer = client("POST", f"/api/studies/{study}/reads", json=sent)
    assert answer.status_code == 201, answer.text


def arrive(client: Client, tags: dict[str, Any] | None = None) -> str:
    study = receive(client, dicom({**FIRST, **(tags or {})})).study
    predict_all(client)
    return study


def make(client: Client, study: str) -> list[str]:
    context = client.app.state.context
    return make_results(context.store, context.catalogue, study, KINDS)


def test_a_signed_read_becomes_a_report_and_a_page(settings: Settings, tmp_path: Path) -> None:
    with serve_client(node_of(settings)) as client:
        study = arrive(client)
        sign(client, study, state="draft")
        assert make(client, study) == []
        client.get(f"/api/studies/{study}/predictions")  # the model's answer is shown
        sign(client, study, conclusion="viral-pneumonia", likelihoods={"viral-pneumonia": 0.8})
        made = make(client, study)
        assert make(client, study) == made
        report, page = (read_result(client.app.state.context.store, sop_uid) for sop_uid in made)
        listed = client.get(f"/api/studies/{study}/results")
    assert [(row["kind"], row["model"], row["image"]) for row in listed] == [(kind, None, None) for kind in KINDS]
    assert find_faults(report, tmp_path) == find_faults(page, tmp_path) == []
    dumped = dump_report(report, tmp_path)
    for words in ("X-Ray Report", "Findings", "An opacity in the left lower", "Viral pneumonia: 80% likely", "tiny"):
        assert words in dumped
    read = highdicom.sr.srread(BytesIO(report))
    assert (read.PreliminaryFlag, read.VerificationFlag, read.SeriesDescription) == ("FINAL", "UNVERIFIED", SERIES)
    document = pydicom.dcmread(BytesIO(page))
    assert (str(document.PatientName), document.StudyInstanceUID) == ("Doe^Jane", FIRST["StudyInstanceUID"])
    assert (document.SeriesDescription, document.BurnedInAnnotation) == (SERIES, "YES")
    assert document.EncapsulatedDocument.startswith(b"%PDF-")
    if shutil.which("dcm2pdf") is None:
        pytest.skip("no dcm2pdf: apt-get install dcmtk")
    (tmp_path / "page.dcm").write_bytes(page)
    subprocess.run(["dcm2pdf", str(tmp_path / "page.dcm"), str(tmp_path / "page.pdf")], check=True, timeout=60)
    assert (tmp_path / "page.pdf").read_bytes().rstrip().endswith(b"%%EOF")


def test_an_addendum_supersedes_the_report(settings: Settings, tmp_path: Path) -> None:
    with serve_client(node_of(settings)) as client:
        study = arrive(client)
        sign(client, study)
        first = make(client, study)
        sign(client, study, state="addendum", text="Compared with 2021: no change.")
        second = make(client, study)
        assert set(first) & set(second) == set()
        store = client.app.state.context.store
        with store.read() as session:
            states = {row.sop_uid: (row.state, row.predecessor) for row in session.query(ResultObject)}
        assert [states[sop_uid] for sop_uid in first] == [("superseded", None)] * 2
        assert [states[sop_uid] for sop_uid in second] == [("current", sop_uid) for sop_uid in first]
        later = read_result(store, second[0])
    assert find_faults(later, tmp_path) == []
    dumped = dump_report(later, tmp_path)
    assert "Addendum" in dumped
    assert "Compared with 2021" in dumped


def test_signing_makes_the_study_arrive_again(settings: Settings) -> None:
    handed: list[str] = []
    with serve_client(node_of(settings)) as client:
        store = client.app.state.context.store
        study = arrive(client)
        watch = CompletionWatch(store, 60, handed.append, lambda: now() + 61)
        assert watch.look() == 1
        sign(client, study, state="draft")
        assert watch.look() == 0
        sign(client, study)
        assert watch.look() == 1
        assert handed == [study, study]
        assert client.upload(dicom({"PatientID": "9"}, value=700)).status_code == 201
        other = next(row["id"] for row in client.get("/api/studies")["studies"] if row["id"] != study)
        sign(client, other)
        assert find_complete(store, 0, lambda: now() + 1) == []  # it came from no network


@pytest.mark.parametrize(
    ("name", "words", "drawn"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", WORDS, True),  # the alphabetic group is drawn
        ("Люк^Иван", "Müller, Ελένη", True),
        ("Doe^Jane", "左下肺野", False),
    ],
)
def test_a_page_is_made_where_its_font_has_all_letters(settings: Settings, name: str, words: str, drawn: bool) -> None:
    with serve_client(node_of(settings)) as client:
        study = arrive(client, {"SpecificCharacterSet": "ISO_IR 192", "PatientName": name})
        sign(client, study, text=words)
        made = make(client, study)
        assert len(made) == 1 + drawn
        report = pydicom.dcmread(BytesIO(read_result(client.app.state.context.store, made[0])))
    assert words in [element.value for element in report.iterall() if element.keyword == "TextValue"]
    assert can_draw(words.splitlines()) == drawn


def test_a_long_report_has_several_pages(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        study = arrive(client)
        sign(client, study, text="\n".join(f"Line {number}" for number in range(150)))
        page = pydicom.dcmread(BytesIO(read_result(client.app.state.context.store, make(client, study)[1])))
    assert page.EncapsulatedDocument.count(b"/Type /Page ") == 3


def test_capital_letters_stay_on_the_page() -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    read = SignedRead("1", "reader", {}, None, "NO FOCAL CONSOLIDATION. " * 20, 0.0, (), ())
    font = FontProperties(family="DejaVu Sans")
    lines = [part for line in list_lines(read, Dataset()) for part in wrap_line(line) if part]
    widths = [TextPath((0, 0), line, size=10, prop=font).get_extents().width for line in lines]
    assert 400 < max(widths) < 500  # points, of a page of 595
