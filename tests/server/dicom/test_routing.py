"""Destinations and rules: what a file may say, what each rule says about a study, and why."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.dicom import app
from pneumoscope.core.errors import CheckRefusedError, PneumoscopeError, UsageError
from pneumoscope.server.administration import check_routes, note_routes, try_routes
from pneumoscope.server.dicom.receiving.receive import SUCCESS, Sender
from pneumoscope.server.dicom.routing.routes import ResultFacts, decide, read_routes
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import DicomSettings, Settings
from server.client import predict_all, serve_client
from server.sample_files import dicom

RESEARCH = "destinations: {research: {title: ORTHANC, host: 127.0.0.1, port: 4242}}\n"
CLINICAL = "destinations: {pacs: {title: PACS, host: 127.0.0.1, port: 104, kind: clinical%s}}\n"
APPROVED = ", legal_basis: 'study 12/26', approver: A. Ward, date: %s"


def write(folder: Path, text: str) -> Path:
    file = folder / "routes.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("- a list", UsageError, "no YAML mapping"),
        ("destinations: {}", UsageError, "at least 1"),
        ("destinations: {a: {titel: A, host: 127.0.0.1, port: 104}}", UsageError, r"destinations\.a\.titel: is no key"),
        (
            "destinations: {a: {titel: A, host: 127.0.0.1, port: 104}}",
            UsageError,
            "'title'.* Keys there: .*title, host",
        ),
        ("destinatoins: {}", UsageError, r"yaml: destinatoins: is no key there\. Did you mean 'destinations'"),
        (
            RESEARCH + "rules: [{name: lungs, to: research, when: {senders: A}}]",
            UsageError,
            r"yaml: rule 'lungs': when\.senders: is no key there\. Did you mean 'sender'\? Keys there: sender,",
        ),
        (RESEARCH + "rules: [{to: research}]", UsageError, "yaml: rule number 1: name: field required"),
        (RESEARCH + "rules: [{name: a, to: research}, 7]", UsageError, "yaml: rule number 2: "),
        (RESEARCH + "rules: [{name: lungs, to: research, kinds: [report, seg]}]", UsageError, "'lungs': kinds: input"),
        (RESEARCH + "priors: {archive: {title: A, host: 127.0.0.1, prot: 1}}", UsageError, "archive.prot.* 'port'"),
        (RESEARCH + "retry: {first_second: 1}", UsageError, "Did you mean 'first_seconds'"),
        (
            "destinations: {a: {title: A, host: 127.0.0.1, port: 1, tls: {ca: b}}}",
            UsageError,
            "Keys there: authorities",
        ),
        ("destinations: {a: {title: A, host: 127.0.0.1, port: 0}}", UsageError, r"port: .* found 0"),
        ("destinations: {a: {title: A TITLE THAT IS TOO LONG, host: 127.0.0.1, port: 104}}", UsageError, "1 to 16"),
        ("destinations: {a: {title: A, host: 192.0.2.7, port: 104}}", UsageError, "in the clear"),
        (
            "destinations: {a: {title: A, host: 192.0.2.7, port: 104, tls: {authorities: none.pem}}}",
            UsageError,
            "none.pem, which is no file",
        ),
        (RESEARCH + "rules: [{name: a, to: reserch}]", UsageError, "Did you mean 'research'"),
        (RESEARCH + "rules: [{name: a, to: research}, {name: a, to: research}]", UsageError, "twice"),
        (RESEARCH + "rules: [{name: a, to: research, kinds: heatmap}]", UsageError, "found 'heatmap'"),
        (RESEARCH + "rules: [{name: a, to: research, when: {model: gone}}]", UsageError, "never match"),
        (RESEARCH + "rules: [{name: a, to: research, when: {sender: []}}]", UsageError, "empty condition"),
        (RESEARCH + "rules: [{name: a, to: research, when: {modality: RX}}]", UsageError, "RX.* CR, DR, DX"),
        (RESEARCH + "rules: [{name: a, to: research, when: {modality: [CR, OT]}}]", UsageError, "OT.* never matches"),
        (RESEARCH + "rules: [{name: a, to: research, when: {body_part: PORTCHEST}}]", UsageError, "Write CHEST"),
        (RESEARCH + "rules: [{name: a, to: research, when: {body_part: Thoraks}}]", UsageError, "Write UNLISTED"),
        (
            RESEARCH + "rules: [{name: a, to: research, kinds: [final-pdf], when: {model: opacity}}]",
            UsageError,
            "never matches",
        ),
        (RESEARCH + "retry: {first_seconds: .inf}", UsageError, r"retry\.first_seconds: .* found inf"),
        (RESEARCH + "retry: {longest_seconds: 1.0e+12}", UsageError, r"retry\.longest_seconds"),
        (RESEARCH + "retry: {dead_after_hours: .nan}", UsageError, r"retry\.dead_after_hours"),
        (RESEARCH + "destinations: {}", UsageError, "'destinations' stands twice, in line 2"),
        (RESEARCH + "rules: " + 3000 * "[" + 3000 * "]", UsageError, "too many levels"),
        ("destinations: {a: {title: A, host: 127.0.0.1, port: true}}", UsageError, "port: .* found True"),
        (
            f"destinations: {{a: {{title: A, host: 127.0.0.1, port: 0x{5000 * 'f'}}}}}",
            UsageError,
            "thousands of digits",
        ),
        (f"destinations: {{a: {{title: A, host: 127.0.0.1, port: {5000 * '9'}}}}}", UsageError, "can't be read"),
        (RESEARCH + "5: a", UsageError, r"routes\.yaml: has the key 5, which is no text. Put it in quotation marks"),
        ("destinations: {5: {title: A}}", UsageError, "destinations: has the key 5, which is no text"),
        (RESEARCH + "rules: [{name: a, to: research, 5: b}]", UsageError, "rule 'a': has the key 5, which is no text"),
        (RESEARCH + "rules: [{name: a, to: research, when: {no: b}}]", UsageError, "rule 'a': when: has the key False"),
        (RESEARCH + 'rules: [{name: "a\\0b", to: research}]', UsageError, r"rule 'a\\x00b': .*no control character"),
        ('destinations: {"a\\0": {title: A, host: 127.0.0.1, port: 104}}', UsageError, r"destinations: .*'a\\x00'"),
        ('destinations: {a: {title: A, host: "h\\e[31m", port: 104}}', UsageError, r"host: .*no control .*x1b"),
        ("destinations: {a: {title: A, host: 127.0.0.1, port: 0104}}", UsageError, "as octal; write 104 or '0104'"),
        ('destinations: {a: {title: "A\\n", host: 127.0.0.1, port: 104}}', UsageError, "1 to 16"),
        (CLINICAL % (APPROVED % "2026-13-45"), UsageError, "can't be read as YAML: month must be"),
        (CLINICAL % "", CheckRefusedError, "no legal_basis, approver, date"),
        (CLINICAL % ", legal_basis: ' ', approver: A. Ward, date: 2026-01-02", CheckRefusedError, "no legal_basis:"),
        (CLINICAL % (APPROVED % "2999-01-02"), CheckRefusedError, "yet to come"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, kind: type[PneumoscopeError], words: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(kind, match=words) as raised:
        check_routes(file)
    assert str(file) in str(raised.value)
    assert raised.value.exit_code == (3 if kind is CheckRefusedError else 2)


def test_a_decision_that_no_model_makes_is_noted(tmp_path: Path) -> None:
    rules = "rules: [{name: a, to: research, when: {decision: [Refused, normal, lung-opacty]}}]"
    routes = check_routes(write(tmp_path, RESEARCH + rules))
    (note,) = note_routes(routes)
    assert "rule 'a': no model of this server decides 'lung-opacty'. Did you mean 'lung-opacity'?" in note
    assert "refused" in note


def test_a_sender_that_is_no_peer_is_noted(tmp_path: Path) -> None:
    rules = "rules: [{name: a, to: research, when: {sender: [cr1, CR11]}}]"
    routes = check_routes(write(tmp_path, RESEARCH + rules))
    assert note_routes(routes) == []  # any program of this machine may send, under any title
    peers = [("CR1", "192.0.2.7"), ("DX", "192.0.2.8")]
    assert note_routes(routes, None, peers) == [
        "rule 'a': sender 'CR11' is no peer. Did you mean 'CR1'? Peers: CR1, DX."
    ]


def test_known_terms_are_taken_in_any_case(tmp_path: Path) -> None:
    rules = "rules: [{name: a, to: research, when: {modality: [cr, DX], body_part: [chest, THORAX, UNLISTED]}}]"
    assert check_routes(write(tmp_path, RESEARCH + rules)).rules[0].when.modality == ("cr", "DX")


def test_a_server_does_not_start_without_the_approval(tmp_path: Path) -> None:
    file = write(tmp_path, CLINICAL % "")
    command = [sys.executable, "-m", "pneumoscope", "serve", "--home", str(tmp_path / "home"), "--port", "0"]
    command += ["--dicom", "--dicom-port", "0", "--dicom-routes", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 3
    assert "for clinical use" in ended.stderr
    assert read_routes(write(tmp_path, CLINICAL % (APPROVED % "2026-01-02"))).destinations["pacs"].approver == "A. Ward"


RULES = """
rules:
  - {name: refusals, when: {decision: refused}, to: research}
  - {name: bedside, when: {sender: [CR1, CR2], modality: dx}, kinds: [report, segmentation], to: [research, second]}
  - {name: all, to: second}
"""
DESTINATIONS = """
destinations:
  research: {title: ORTHANC, host: 127.0.0.1, port: 4242}
  second: {title: SECOND, host: 127.0.0.1, port: 4243}
"""


@pytest.mark.parametrize(
    ("match", "kind", "sender", "decision", "matching", "where"),
    [
        ("all", "report", "CR1", "normal", ["bedside", "all"], {"research", "second"}),
        ("first", "report", "CR1", "normal", ["bedside"], {"research", "second"}),
        ("first", "report", "CR9", "refused", ["refusals"], {"research"}),
        ("all", "report", "CR9", "refused", ["refusals", "all"], {"research", "second"}),
        ("all", "segmentation", "CR2", "normal", ["bedside"], {"research", "second"}),
        ("all", "segmentation", "CR9", "normal", [], set()),
        ("all", "final-read", "CR1", "normal", [], set()),
    ],
)
def test_each_rule_says_whether_it_matches(
    tmp_path: Path, match: str, kind: str, sender: str, decision: str, matching: list[str], where: set[str]
) -> None:
    routes = read_routes(write(tmp_path, f"match: {match}\n{DESTINATIONS}{RULES}"))
    facts = ResultFacts(
        kind,
        senders=frozenset({sender}),
        modalities=frozenset({"DX"}),
        body_parts=frozenset(),
        model=frozenset({"tiny"}),
        decisions=frozenset({decision}),
    )
    decisions = decide(routes, facts)
    assert [each.rule for each in decisions] == ["refusals", "bedside", "all"]
    assert [each.rule for each in decisions if each.matches] == matching
    assert {name for each in decisions for name in each.destinations} == where
    refusals = decisions[0].reasons[1]
    assert refusals == ("decision is refused" if decision == "refused" else "decision is none of refused: normal")


def test_a_dry_run_tells_what_would_go_where(settings: Settings, tmp_path: Path) -> None:
    (tiny,) = (model for model in Catalogue(settings.models).list_models().values() if not model.builtin)
    rules = f"rules:\n  - {{name: drawn, when: {{sender: CR1, modality: DX, model: {tiny.id}}}, to: research}}\n"
    file = write(tmp_path, RESEARCH + rules)
    with serve_client(replace(settings, dicom=DicomSettings(port=0, models=(tiny.id,)))) as client:
        receiver = client.app.state.context.node._receiver
        taken = receiver.receive(dicom({"Modality": "DX"}), Sender("CR1", "127.0.0.1"))
        assert taken.status == SUCCESS
        predict_all(client)
        store = client.app.state.context.store
        runs = {run.kind: run for run in try_routes(settings, file, taken.study)}
        assert [kind for kind, run in runs.items() if run.destinations] == ["report"]
        assert runs["report"].model == tiny.card.name
        (said,) = runs["report"].decisions
        assert said.reasons == (
            *("kind report is among report", "sender is CR1", "modality is DX"),
            f"model is {tiny.id}",
        )
        (said,) = runs["final-read"].decisions
        assert "model is none of" in said.reasons[-1]
        assert list_entries(store)[0].action == "dicom routes"
        where = ["--home", str(settings.home), "--models", str(settings.models)]
        shown = CliRunner().invoke(app, ["routes", str(file), "--study", taken.study, *where])
        assert shown.exit_code == 0
        assert shown.output.startswith(f"report of {tiny.card.name}: research\n  drawn: matches; kind report is among")
        with pytest.raises(NotFoundError, match=r"this study: '1\.2\.3' is not here, neither by that number nor"):
            try_routes(settings, file, "1.2.3")
        told = CliRunner().invoke(app, ["routes", str(file), "--models", str(settings.models), "--json"])
        assert json.loads(told.output)["destinations"]["research"]["title"] == "ORTHANC"
