"""The block `priors` of the file of destinations and rules: what it may say, and which body parts it takes."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.dicom import app
from pneumoscope.core.errors import UsageError
from pneumoscope.server.administration import check_routes
from pneumoscope.server.app import create_app
from pneumoscope.server.dicom.calling.query_retrieve import QueryError, StudyInHand, read_date
from pneumoscope.server.dicom.objects.analysed import load_header
from pneumoscope.server.dicom.routing.prior_rule import PriorRule
from pneumoscope.server.settings import DicomSettings, Settings

PACS = "priors: {archive: {title: PACS, host: 127.0.0.1, port: 104%s}%s}\n"
ARCHIVE = {"title": "PACS", "host": "127.0.0.1", "port": 104}


def write(folder: Path, text: str) -> Path:
    file = folder / "routes.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("priors: {studies: 2}", r"priors\.archive: field required"),
        (PACS % ("", ", studies: 0"), r"priors\.studies: .* found 0"),
        (PACS % ("", ", studies: 11"), r"priors\.studies: .* found 11"),
        (PACS % ("", ", studies: true"), r"priors\.studies: .* found True"),
        (PACS % ("", ", years: 0"), r"priors\.years"),
        (PACS % ("", ", years: .nan"), r"priors\.years"),
        (PACS % ("", ", modalities: [CT]"), r"found 'CT'"),
        (PACS % ("", ", modalities: []"), r"priors\.modalities"),
        (PACS % ("", ", body_parts: [brustkorp]"), "'brustkorp' is no known body part"),
        (PACS % ("", ", retrieve: wado"), "found 'wado'"),
        (PACS % ("", ", year: 5"), r"priors\.year: is no key"),
        (PACS % (", commit: true", ""), r"priors\.archive\.commit: is no key"),
        (PACS % (", sends_as: A TITLE THAT IS TOO LONG", ""), "1 to 16"),
        ("priors: {archive: {title: PACS, host: 192.0.2.7, port: 104}}", "priors.archive: is on another machine"),
        (PACS % (", tls: {authorities: none.pem}", ""), "none.pem, which is no file"),
        ("rules: []", "at least 1, or priors"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UsageError, match=words) as raised:
        check_routes(file)
    assert str(file) in str(raised.value)


def test_a_file_may_have_priors_alone_and_is_shown_in_short(tmp_path: Path) -> None:
    file = write(tmp_path, PACS % ("", ", years: 2.5, body_parts: [chest, hand], retrieve: get"))
    shown = CliRunner().invoke(app, ["routes", str(file)])
    assert shown.exit_code == 0, shown.output
    expected = "priors  PACS@127.0.0.1:104  the newest 2 of 2.5 years, CR or DX of chest or hand, by C-GET"
    assert shown.output.splitlines()[0] == expected


def test_an_archive_that_moves_has_to_be_a_peer(tmp_path: Path, settings: Settings) -> None:
    peers = (("CR1", "127.0.0.1"),)
    for text, may in (("", False), (", sends_as: CR1", True)):
        node = DicomSettings(port=0, peers=peers, routes=write(tmp_path, PACS % (text, "")))
        if may:
            create_app(replace(settings, dicom=node)).state.context.store.close()
            continue
        with pytest.raises(UsageError, match="sends as PACS, which is no peer"):
            create_app(replace(settings, dicom=node))


@pytest.mark.parametrize(
    ("parts", "term", "taken"),
    [
        (["chest"], "CHEST", True),
        (["chest"], "Thorax pa", True),
        (["chest"], "", True),
        (["chest"], "XY", True),  # of no table: it may be one
        (["chest"], "HAND", False),
        (["chest"], "BWS", False),
        (["hand"], "HAND", True),
        (["hand"], "CHEST", False),
        (["hand"], "XY", False),
        (["hand"], "", True),
        ([], "FOOT", True),
    ],
)
def test_body_parts(parts: list[str], term: str, taken: bool) -> None:
    assert PriorRule.model_validate({"archive": ARCHIVE, "body_parts": parts}).takes_part(term) == taken


def test_the_earliest_date() -> None:
    day = datetime.date(2024, 5, 6)
    assert PriorRule.model_validate({"archive": ARCHIVE}).earliest(day) == datetime.date(2019, 5, 7)
    assert PriorRule.model_validate({"archive": ARCHIVE, "years": 100}).earliest(datetime.date(50, 1, 1)).year == 1


@pytest.mark.parametrize(
    ("date", "time", "earlier"),
    [
        ("20240505", "", True),
        ("2024.05.05", "", True),
        ("20240507", "", False),
        ("20240506", "", False),  # nobody knows
        ("20240506", "101459", True),
        ("20240506", "10:14", True),
        ("20240506", "10", False),
        ("20240506", "101500", False),
        ("20240506", "120000", False),
        ("", "", False),
        ("20241301", "", False),
    ],
)
def test_which_study_is_the_earlier_one(date: str, time: str, earlier: bool) -> None:
    assert StudyInHand("1", "", "", "", "1.2", "20240506", "101500").is_after(date, time) == earlier


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"00080020": {"vr": "DA", "Value": ["20240506"]}}, "no PatientID"),
        ({"00100020": {"vr": "LO", "Value": ["1"]}}, "no StudyDate"),
        (
            {"00100020": {"vr": "LO", "Value": ["1*"]}, "00080020": {"vr": "DA", "Value": ["20240506"]}},
            "holds a wildcard",
        ),
    ],
)
def test_what_can_not_be_asked_about(tags: dict[str, object], words: str) -> None:
    pytest.importorskip("pydicom", reason="no pydicom: pip install 'pneumoscope[dicom]'")
    with pytest.raises(QueryError, match=words) as raised:
        StudyInHand.of(load_header(json.dumps(tags)))
    assert raised.value.for_good


def test_dates() -> None:
    assert read_date("20240229") == datetime.date(2024, 2, 29)
    assert read_date(" 2024.02.29 ") == datetime.date(2024, 2, 29)
    assert read_date("20230229") is read_date("2024") is read_date("") is None
