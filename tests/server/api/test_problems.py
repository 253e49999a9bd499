"""Codes of refusals: the table of docs/operations/server.md has every code, and values hold nothing that was sent."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Event, Timer
from time import monotonic
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy.exc import IntegrityError, OperationalError

from pneumoscope.server.api.problems import TYPE, Problem, as_problem, problem_response
from pneumoscope.server.settings import Settings
from server.client import Client, predict_all, serve_client
from server.sample_files import archive, dicom, png
from syntax import parse_file

ROOT = Path(__file__).parents[3]
PASSWORD = "correct horse battery"
_ROW = re.compile(r"^\| `([a-z-]+)` \| [^|]+ \|([^|]*)\| [^|]+ \|$", re.MULTILINE)


def table() -> dict[str, str]:
    """The codes of docs/operations/server.md, each with what stands there about its values."""
    text = (ROOT / "docs" / "operations" / "server.md").read_text(encoding="utf-8")
    return dict(_ROW.findall(text.partition("## Codes of refusals")[2].partition("\n## ")[0]))


def trees() -> Iterator[ast.AST]:
    for folder in ("server", "imaging"):
        for path in (ROOT / "src" / "pneumoscope" / folder).rglob("*.py"):
            yield from ast.walk(parse_file(path))


def text_in(node: ast.AST | None) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value else set()


def test_the_table_has_every_code_that_is_raised_and_no_other() -> None:
    codes: set[str] = set()
    for node in trees():
        if isinstance(node, ast.Call):
            codes |= {code for given in node.keywords if given.arg == "code" for code in text_in(given.value)}
        elif isinstance(node, ast.FunctionDef):
            named = [*node.args.posonlyargs, *node.args.args]
            defaults = dict(zip([each.arg for each in reversed(named)], reversed(node.args.defaults), strict=False))
            only = zip([each.arg for each in node.args.kwonlyargs], node.args.kw_defaults, strict=True)
            codes |= text_in((defaults | dict(only)).get("code"))
    assert codes == set(table())


def test_the_table_lists_every_text_that_values_can_hold() -> None:
    """Beside numbers: kinds of things, and reasons."""
    listed_arguments: dict[str, set[str]] = {"NotFoundError": set(), "_refusal": set(), "_conflict": set()}
    for node in trees():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in listed_arguments:
            listed_arguments[node.func.id] |= text_in(node.args[0])
    listed = {code: set(re.findall(r"[a-z-]+", words.partition(": ")[2])) for code, words in table().items()}
    assert listed_arguments["NotFoundError"] == listed["not-here"]
    assert listed_arguments["_refusal"] == listed["no-posterior"]
    assert listed_arguments["_conflict"] == listed["read-order"]


def refusal_of(answer: httpx.Response) -> tuple[int, str, dict[str, Any]]:
    """The status, code and values of a refusal, which must be those that the table lists for it."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["title"]
    assert body["detail"]
    return answer.status_code, *check_values(body["type"].removeprefix(TYPE), body["values"])


def check_values(code: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    listed = table()[code]
    assert set(values) == set(re.findall("`([a-z_]+)`", listed))
    for value in values.values():
        assert isinstance(value, int | float) or value in listed
    return code, values


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(settings) as client:
        yield client


def tiny(client: Client) -> str:
    return str(next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny"))


def answer_image(client: Client) -> tuple[str, str]:
    """A study, and the number of an answer about it."""
    study = client.upload(png(0.8), models=(tiny(client),)).json()["files"][0]["study"]
    predict_all(client)
    return study, client.get(f"/api/studies/{study}")["predictions"][0]["id"]


def test_a_refusal_names_the_kind_of_what_is_not_here(client: Client) -> None:
    assert refusal_of(client("GET", "/api/studies/a1")) == (404, "not-here", {"kind": "study"})
    assert refusal_of(client("GET", "/api/models/a1")) == (404, "not-here", {"kind": "model"})
    assert refusal_of(client("GET", "/api/predictions/a1/heatmap")) == (404, "not-here", {"kind": "heatmap"})


def test_a_refusal_without_a_code_has_no_type(client: Client) -> None:
    for answer in (client("GET", "/nowhere"), client("POST", "/api/login", json={"name": "a", "password": "b"})):
        assert answer.json()["type"] == "about:blank"
        assert "values" not in answer.json()


def test_a_refusal_says_why_an_answer_supports_no_more(client: Client) -> None:
    _, prediction = answer_image(client)
    prior = {"probability": 0.1, "source": "a guess"}
    problem = client("POST", f"/api/predictions/{prediction}/posterior", json=prior)
    assert refusal_of(problem) == (409, "no-posterior", {"reason": "no-ratio"})
    for mode, share in (("exclude", 1), ("include", 0)):
        body = {"mode": mode, "strokes": [{"radius": 400, "points": [[20, 20]]}]}
        problem = client("POST", f"/api/predictions/{prediction}/what-if", json=body)
        assert refusal_of(problem) == (422, "strokes-cover", {"share": share})
    client("POST", f"/api/models/{tiny(client)}/switch", json={"on": False, "reason": "recalled"})
    assert refusal_of(client.upload(png(0.7), models=(tiny(client),))) == (409, "model-off", {})
    assert refusal_of(client("POST", f"/api/predictions/{prediction}/posterior", json=prior)) == (409, "model-off", {})


def test_a_refusal_says_what_is_withheld(settings: Settings) -> None:
    with serve_client(replace(settings, read_first=True)) as client:
        study, prediction = answer_image(client)
        for path in (f"/api/studies/{study}/references", f"/api/predictions/{prediction}/heatmap"):
            assert refusal_of(client("GET", path)) == (403, "withheld", {})
        assert client.get(f"/api/predictions/{prediction}")["withheld_code"] == "read-first"
        client("POST", f"/api/studies/{study}/reads", json={"stage": "unaided", "state": "final"})
        assert client.get(f"/api/predictions/{prediction}")["withheld_code"] is None


def test_a_refusal_names_the_limit(settings: Settings) -> None:
    with serve_client(replace(settings, queue_limit=1, max_files=2, max_request_bytes=2**20)) as client:
        client.upload(png(0.5), models=(tiny(client),))
        full = {"waiting": 1, "wanted": 1, "limit": 1}
        assert refusal_of(client.upload(png(0.6), models=(tiny(client),))) == (429, "queue-full", full)
        three = {str(side): png(0.5, side) for side in (20, 30, 40)}
        assert refusal_of(client.upload(*three.values())) == (413, "too-many", {"limit": 2})
        assert refusal_of(client.upload(archive(three))) == (413, "too-many", {"limit": 2})
        assert refusal_of(client.upload(os.urandom(2**20))) == (413, "too-large", {"limit_mib": 1})
    with serve_client(replace(settings, requests_per_minute=1)) as client:
        client.get("/api/me")
        status, code, values = refusal_of(client("GET", "/api/me"))
        assert (status, code) == (429, "too-often")
        assert 0 < values["seconds"] <= 61


def test_a_refusal_names_the_missing_right(settings: Settings) -> None:
    department = replace(settings, host="10.1.2.3", proxy="10.1.2.1", logins_per_minute=2)
    with serve_client(department) as client:
        client._base = "https://pneumo.example"
        client.app.state.context.accounts.add("reader", PASSWORD, "reader", sees_names=False)
        assert refusal_of(client("GET", "/api/me")) == (401, "login", {})
        assert refusal_of(client.login("reader", "wrong")) == (401, "wrong-login", {})
        client.login("reader", PASSWORD)
        assert refusal_of(client("GET", "/api/audit")) == (403, "admins-only", {})
        assert refusal_of(client("GET", "/api/dashboard?scope=all")) == (403, "admins-only", {})
        status, code, values = refusal_of(client.login("reader", PASSWORD))
        assert (status, code) == (429, "locked-out")
        assert values["seconds"] > 0


def test_failures_of_the_store_have_codes() -> None:
    full, away = OSError(errno.ENOSPC, "full"), OperationalError("x", {}, Exception())
    for error, code in (
        (full, "store-full"),
        (away, "store-away"),
        (IntegrityError("x", {}, Exception()), "overtaken"),
    ):
        problem = as_problem(error)
        assert problem is not None
        assert problem.code == code


def two_pages() -> bytes:
    buffer = BytesIO()
    page = Image.new("L", (8, 8))
    page.save(buffer, "TIFF", save_all=True, append_images=[page])
    return buffer.getvalue()


def test_each_file_says_why_it_was_refused_and_nothing_of_what_was_in_it(settings: Settings) -> None:
    files: list[tuple[bytes, str, dict[str, int]]] = [
        (b"", "empty", {}),
        (b"Doe^Jane 4711", "not-an-image", {}),
        (png(0.5)[:-20], "damaged", {}),
        (dicom({"HighBit": 3}), "damaged", {}),
        (png(0.5, 101), "too-many-pixels", {"pixels": 10_201, "limit": 10_000}),
        (bytes(2**20 + 1), "too-large", {"limit_mib": 1}),
        (two_pages(), "frames", {}),
        (dicom({"Modality": "SECRET"}), "not-a-radiograph", {}),
        (dicom({"PresentationIntentType": "FOR PROCESSING"}), "not-a-radiograph", {}),
        (dicom({"PresentationLUTShape": "SECRET"}), "unsupported", {}),
        (dicom({"BurnedInAnnotation": "YES"}), "burned-in", {}),
        (dicom({"PatientID": "4712"}, 1000), "other-patient", {}),
        (archive({"Doe.zip": archive({"Jane.png": png(0.5)})}), "not-an-image", {}),
    ]
    with serve_client(replace(settings, max_pixels=10_000, max_file_bytes=2**20)) as client:
        sent = [data for data, *_ in files]
        accepted, *refused = client.upload(dicom(), *sent).json()["files"]
        assert (accepted["code"], accepted["values"]) == (None, None)
        expected = [(code, values) for _, code, values in files]
        assert [check_values(one["code"], one["values"]) for one in refused] == expected
        nothing = client.upload(*sent)
        assert refusal_of(nothing) == (422, "nothing-stored", {})
        assert [(one["code"], one["values"]) for one in nothing.json()["files"]] == expected
    for word in ("Doe", "Jane", "4711", "4712", "SECRET", "png"):  # of the files and their names
        assert not any(word in f"{one['code']} {one['values']}" for one in refused)


def test_the_api_describes_types_and_values(client: Client) -> None:
    schemas = client.get("/api/openapi.json")["components"]["schemas"]
    assert TYPE in schemas["ProblemOut"]["properties"]["type"]["description"]
    for name in ("ProblemOut", "FileOut"):
        kinds = schemas[name]["properties"]["values"]["anyOf"][0]["additionalProperties"]["anyOf"]
        assert {kind["type"] for kind in kinds} == {"string", "integer", "number"}


def test_codes_do_not_change_the_text() -> None:
    """The title and the detail are the same with and without a code."""
    bodies = []
    for code in ("", "model-off"):
        problem = Problem(409, "a", "b.", "c.", code=code, values={"x": 1}, more={"at": []})
        bodies.append(json.loads(bytes(problem_response(problem, "1").body)))
    assert bodies[1].pop("values") == {"x": 1}
    assert (bodies[0].pop("type"), bodies[1].pop("type")) == ("about:blank", f"{TYPE}model-off")
    number = "urn:pneumoscope:request:1"
    assert bodies == [{"title": "a", "status": 409, "detail": "b. c.", "instance": number, "at": []}] * 2


def test_health_answers_within_two_seconds_where_the_database_is_frozen(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_client(replace(settings, accounts=True)) as client:
        frozen = Event()

        def read() -> None:
            # Else the event loop of this test would wait for the thread. It begins with the question, however late
            # a busy machine comes to that.
            Timer(1.8, frozen.set).start()
            frozen.wait(20)

        monkeypatch.setattr(client.app.state.context.store, "read", read)
        began = monotonic()
        assert client("GET", "/healthz").status_code == 503
        assert monotonic() - began < 2.5
