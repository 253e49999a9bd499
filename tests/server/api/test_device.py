"""What the app on a device downloads: the models that are on, with true sizes and hashes, after a login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from pneumoscope.server.settings import Settings
from server.client import Client, serve_client


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(settings) as client:
        yield client


def test_the_list_names_files_that_are_there(client: Client) -> None:
    bundles = client("GET", "/api/device").json()["bundles"]
    assert {"opacity", "covid", "tiny"} <= {bundle["name"].removeprefix("pneumoscope-") for bundle in bundles}
    assert [bundle["role"] for bundle in bundles[-2:]] == ["gatekeeper", "lungs"]
    for bundle in bundles:
        for file in (bundle["card"], bundle["model"]):
            content = client("GET", f"/api/{file['path']}").content
            assert (len(content), sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        assert bundle["card"]["sha256"] == bundle["identity"]


def test_what_became_known_of_a_model_is_what_its_page_shows(client: Client) -> None:
    bundles = client("GET", "/api/device").json()["bundles"]
    bundle = next(bundle for bundle in bundles if bundle["name"] == "pneumoscope-covid")
    content = client("GET", f"/api/{bundle['evidence']['path']}").content
    assert (len(content), sha256(content).hexdigest()) == (bundle["evidence"]["bytes"], bundle["evidence"]["sha256"])
    shown = client("GET", f"/api/models/{bundle['identity'][:12]}").json()["evidence"]
    assert json.loads(content) == shown
    assert {"opening", "audit"} <= {fact["kind"] for fact in shown}
    gatekeeper = next(bundle for bundle in bundles if bundle["role"] == "gatekeeper")
    assert client("GET", f"/api/device/{gatekeeper['identity']}/evidence.json").status_code == 404


def test_other_files_of_a_bundle_are_not_fetched(client: Client) -> None:
    bundles = client("GET", "/api/device").json()["bundles"]
    assert client("GET", f"/api/device/{bundles[0]['identity']}/recipe.yaml").status_code == 404
    assert client("GET", f"/api/device/{'0' * 64}/model.onnx").status_code == 404


def test_a_model_that_is_off_is_not_offered(client: Client) -> None:
    bundles = client("GET", "/api/device").json()["bundles"]
    tiny = next(bundle["identity"] for bundle in bundles if bundle["name"] == "tiny")
    client("POST", f"/api/models/{tiny[:12]}/switch", json={"on": False, "reason": "a test"})
    assert tiny not in [bundle["identity"] for bundle in client("GET", "/api/device").json()["bundles"]]


def test_a_department_asks_for_a_login(settings: Settings) -> None:
    with serve_client(replace(settings, host="10.1.2.3", proxy="10.1.2.1")) as client:
        assert client("GET", "/api/device").status_code == 401
