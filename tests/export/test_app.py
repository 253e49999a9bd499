"""The format app: a folder whose list names what lies in it, by relative addresses and true hashes."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from bundles import write_bundle
from pneumoscope.bundle.device_list import DeviceList
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.export.formats import app
from pneumoscope.workflows.export import export_bundle

pytest.importorskip("onnx", reason="no onnx: pip install 'pneumoscope[dev]'")


def test_the_list_names_every_file_with_its_hash(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "tiny", ("Плеврит", "normal")) / "card.json"
    card = json.loads(path.read_bytes())
    card["labels"][0]["names"] = {"de": "Rippenfellentzündung"}
    path.write_text(json.dumps(card), "utf-8")
    made = export_bundle([tmp_path / "tiny", "covid"], "app", tmp_path / "app")
    listed = DeviceList.model_validate_json((made.folder / app.LIST).read_bytes())
    assert [bundle.role for bundle in listed.bundles] == ["classifier", "classifier", "gatekeeper", "lungs"]
    assert [bundle.label_names for bundle in listed.bundles] == [
        {"Плеврит": {"de": "Rippenfellentzündung"}},
        {},
        {},
        {},
    ]
    for bundle in listed.bundles:
        card = (made.folder / app.LIST).parent / bundle.card.path
        assert sha256(card.read_bytes()).hexdigest() == bundle.identity == bundle.card.sha256
        graph = card.with_name("model.onnx").read_bytes()
        assert sha256(graph).hexdigest() == bundle.model.sha256 == json.loads(card.read_bytes())["model_sha256"]
        assert (len(graph), card.stat().st_size) == (bundle.model.bytes, bundle.card.bytes)


def test_the_folder_has_what_became_known_of_each_model(tmp_path: Path) -> None:
    write_bundle(tmp_path / "altered")
    altered = tmp_path / "altered" / "evidence"
    altered.mkdir(exist_ok=True)
    (altered / "audit.json").write_text("{")
    made = export_bundle([tmp_path / "altered", "covid"], "app", tmp_path / "app")
    listed = DeviceList.model_validate_json((made.folder / app.LIST).read_bytes())
    unknown, known, *companions = listed.bundles
    assert known.evidence
    content = ((made.folder / app.LIST).parent / known.evidence.path).read_bytes()
    assert (len(content), sha256(content).hexdigest()) == (known.evidence.bytes, known.evidence.sha256)
    facts = json.loads(content)
    assert {"opening", "audit", "certificate"} <= {fact.get("kind") for fact in facts}
    assert next(fact for fact in facts if fact["kind"] == "opening")["earlier_openings"] == 7
    # What altered evidence says is not known: it is left out, and not sent as an empty list.
    assert (unknown.audit, unknown.evidence) == ("unreadable", None)
    assert not list((made.folder / "bundles" / unknown.identity).glob("evidence*"))
    assert [one.evidence for one in companions] == [None, None]


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    folder = export_bundle("opacity", "app", tmp_path / "app").folder
    page = (folder / app.PAGE).read_text("utf-8")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) > 5
    for address in addresses:
        assert (folder / address).is_file(), address
    assert 'content="bundles/index.json"' in page
    for name in ("index.html", "README.txt"):
        assert DISCLAIMER in (folder / name).read_text("utf-8")
    # The address in README.txt works without a connection: the service worker keeps that page, not the folder's own.
    (told,) = re.findall(r"http://127\.0\.0\.1:8000/(\S*)", (folder / "README.txt").read_text("utf-8"))
    assert told == "device.html"
    assert app.POLICY in (folder / "README.txt").read_text("utf-8")
    # What the service worker keeps is there; the reading room is not.
    kept = re.findall(r'url:"([^"]+)"', (folder / "device-sw.js").read_text("utf-8"))
    assert told in kept and "index.html" not in kept
    assert not [name for name in kept if not (folder / name).is_file()]
    assert not list(folder.rglob("rendering-engine*"))


def test_an_export_shows_that_it_runs_and_when_it_has_ended(tmp_path: Path) -> None:
    seen: list[str] = []

    class Seen(Callbacks):
        def progress(self, task: str, done: int, total: int | None) -> None:
            seen.append(task)

        def finish(self, task: str) -> None:
            seen.append(f"end of {task}")

    export_bundle(write_bundle(tmp_path / "tiny"), "app", tmp_path / "app", callbacks=Seen())
    assert seen == ["exporting to app", "end of exporting to app"]


def test_a_bundle_is_named_once(tmp_path: Path) -> None:
    for twice in (["opacity", "opacity"], ["covid", "opacity", "builtin"]):
        with pytest.raises(UsageError, match=r"is given twice .* Name each bundle once"):
            export_bundle(twice, "app", tmp_path / "app")
    assert not (tmp_path / "app").exists()


def test_several_bundles_are_for_this_format_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes one bundle, not 2"):
        export_bundle(["opacity", "covid"], "ort", tmp_path / "a")
    with pytest.raises(UsageError, match="takes one bundle, not 0"):
        export_bundle([], "app", tmp_path / "b")
