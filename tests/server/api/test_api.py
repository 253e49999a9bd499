"""Studies, predictions and models over HTTP, in this process, without a login."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pneumoscope.imaging.read import decode
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from server.client import Client, predict_all, serve_client
from server.sample_files import archive, dicom, png


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(settings) as client:
        yield client


@pytest.fixture
def tiny(client: Client) -> str:
    return str(next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny"))


def test_from_upload_to_answer(client: Client, tiny: str) -> None:
    answer = client.upload(png(0.8), dicom(), models=(tiny, tiny))
    assert answer.status_code == 201
    first, second = answer.json()["files"]
    assert (first["status"], second["status"]) == ("accepted", "accepted")
    assert first["study"] != second["study"]
    assert predict_all(client) == 2
    (shown,) = client.get(f"/api/studies/{first['study']}/predictions")
    assert (shown["state"], shown["result"]["decision"], shown["withheld"]) == ("done", "covid-19", None)
    heatmap = client.get(f"/api/predictions/{shown['id']}/heatmap")
    assert (heatmap["rows"], heatmap["columns"]) == (4, 4)
    assert heatmap["values"][0][0] == pytest.approx([0.8] * 4, abs=1e-4)
    pixels = client("GET", f"/api/images/{first['image']}/pixels")
    assert pixels.headers["content-type"] == "image/png"
    assert pixels.content.startswith(b"\x89PNG")


def test_asking_again_adds_an_answer_and_replaces_none(client: Client, tiny: str) -> None:
    study = client.upload(png(0.8), models=(tiny,)).json()["files"][0]["study"]
    predict_all(client)
    (before,) = client.get(f"/api/studies/{study}/predictions")
    assert client("POST", f"/api/studies/{study}/predictions", json={"models": [tiny]}).status_code == 202
    predict_all(client)
    after = client.get(f"/api/studies/{study}/predictions")
    assert len(after) == 2
    assert after[0] == before


def test_the_same_upload_twice_is_answered_twice_and_stored_once(client: Client, tiny: str) -> None:
    first = client.upload(png(0.8), models=(tiny,)).json()["files"][0]
    second = client.upload(png(0.8), models=(tiny,)).json()["files"][0]
    assert (second["status"], second["image"]) == ("duplicate", first["image"])
    assert len(client.get("/api/studies")["studies"]) == 1
    assert predict_all(client) == 1


def test_the_depth_of_a_16_bit_file_decides_about_its_pixels(client: Client) -> None:
    """A file of 12 bits is another image at its true depth; without one the facts say why it is nearly black."""
    from pneumoscope.imaging.golden_files.encode import png as encode

    data = encode(np.full((30, 40), 2457), 16, 0)  # .6 of 12 bits
    parts = [("files", ("x.png", data))]

    def upload(**form: Any) -> Any:
        return client("POST", "/api/studies", files=parts, data=form)

    dim, deep = upload().json()["files"][0], upload(depth=12).json()["files"][0]
    again = upload(depth=12).json()["files"][0]
    assert (deep["status"], again["status"], again["image"]) == ("accepted", "duplicate", deep["image"])
    for file, level, largest in ((dim, 2457 / 65535, 2457), (deep, 0.6, None)):
        pixels = client("GET", f"/api/images/{file['image']}/pixels").content
        assert float(decode(pixels, "x").pixels.mean()) == pytest.approx(level, abs=1e-4)
        (image,) = client.get(f"/api/studies/{file['study']}")["images"]
        assert image["facts"].get("largest_value") == largest
    for wrong in (0, 17, "deep"):
        assert upload(depth=wrong).status_code == 422


def test_the_facts_tell_the_viewer_the_shape_of_a_pixel(client: Client) -> None:
    file = client.upload(dicom({"PixelAspectRatio": [2, 1], "PixelSpacing": None})).json()["files"][0]
    (image,) = client.get(f"/api/studies/{file['study']}")["images"]
    assert (image["facts"]["pixel_aspect_row"], image["facts"]["pixel_aspect_col"]) == (2, 1)
    assert "pixel_spacing_row" not in image["facts"]


def test_each_file_of_an_archive_has_its_own_outcome(client: Client) -> None:
    answer = client.upload(archive({"a.png": png(0.4), "notes.txt": b"Doe Jane", "b.dcm": dicom()}))
    assert answer.status_code == 201
    fates = [(each["file"], each["status"]) for each in answer.json()["files"]]
    assert fates == [
        ("file 1, member 1", "accepted"),
        ("file 1, member 2", "refused"),
        ("file 1, member 3", "accepted"),
    ]


def test_the_list_is_filtered_and_paged(client: Client, tiny: str) -> None:
    for number in range(5):
        client.upload(png(0.5, 20 + number), models=(tiny,) if number % 2 else ())
    client.upload(dicom())
    numbers: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = client.get("/api/studies", params={"limit": 4, **after})
        numbers += [study["id"] for study in page["studies"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert len(numbers) == len(set(numbers)) == 6
    assert len(client.get("/api/studies", params={"model": tiny, "state": "queued"})["studies"]) == 2
    (one,) = (study for study in client.get("/api/studies")["studies"] if study["patient"])
    for patient in (one["patient"], one["patient"][:9]):  # the list shows the beginning
        assert [s["id"] for s in client.get("/api/studies", params={"patient": patient})["studies"]] == [one["id"]]
    assert client.get("/api/studies", params={"limit": 4})["total"] == 6
    reversed_page = client.get("/api/studies", params={"limit": 4, "order": "oldest"})
    rest = client.get("/api/studies", params={"limit": 4, "order": "oldest", "after": reversed_page["next"]})
    assert [s["id"] for s in (*reversed_page["studies"], *rest["studies"])] == numbers[::-1]


def test_a_parameter_that_a_route_does_not_have_is_refused(client: Client) -> None:
    answer = client("GET", "/api/studies", params={"q": "Meier"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("has the parameter q, which /api/studies does not have. It has: after, ")
    odd = client("GET", "/api/models", params={"Meier^Anna": "1"})
    assert odd.status_code == 422
    assert "Meier" not in odd.text
    assert client("GET", "/api/dashboard", params={"from": "2026-01-02"}).status_code == 200
    assert client("GET", "/healthz", params={"probe": "1"}).status_code == 200


def test_a_full_queue_says_when_to_try_again(settings: Settings) -> None:
    with serve_client(replace(settings, queue_limit=1)) as client:
        model = client.get("/api/models")[0]["id"]
        assert client.upload(png(0.5), models=(model,)).status_code == 201
        answer = client.upload(png(0.6), models=(model,))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(client.get("/api/studies")["studies"]) == 1


def test_a_full_disk_is_an_error_and_no_loss(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.upload(png(0.4))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(blobs, "write_pixels", full)
        assert client.upload(png(0.5)).status_code == 507
    assert len(client.get("/api/studies")["studies"]) == 1
    assert client.upload(png(0.5)).json()["files"][0]["status"] == "accepted"


def test_limits_of_size(settings: Settings) -> None:
    with serve_client(replace(settings, max_request_bytes=4000, max_files=2, max_pixels=2500)) as client:
        assert client.upload(os.urandom(5000)).status_code == 413

        async def chunks() -> Any:
            yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
            for _ in range(10):
                yield b"x" * 1000

        kind = {"content-type": "multipart/form-data; boundary=b"}
        assert client("POST", "/api/studies", content=chunks(), headers=kind).status_code == 413
        assert client.upload(png(0.1), png(0.2), png(0.3)).status_code == 413
        (refused,) = client.upload(png(0.1, 51)).json()["files"]
        assert "at most 2,500" in refused["problem"]


def test_a_file_of_another_patients_study_is_refused_in_words(client: Client) -> None:
    stranger = dicom({"PatientID": "number4712"}, 1000)
    assert client.upload(dicom(), png(0.5)).status_code == 201
    mixed = client.upload(stranger, png(0.6))
    assert mixed.status_code == 201
    assert [one["status"] for one in mixed.json()["files"]] == ["refused", "accepted"]
    alone = client.upload(stranger)
    assert alone.status_code == 422
    assert "a study has one patient" in alone.json()["files"][0]["problem"]
    assert "number4712" not in alone.text
    assert len(client.get("/api/studies")["studies"]) == 3


def test_the_switch_stops_a_model_and_says_whom_it_answered(client: Client, tiny: str) -> None:
    study = client.upload(dicom(), models=(tiny,)).json()["files"][0]["study"]
    predict_all(client)
    client.get(f"/api/studies/{study}/predictions")
    off = client("POST", f"/api/models/{tiny}/switch", json={"on": False, "reason": "recalled by its maker"})
    assert off.status_code == 200
    assert client.upload(png(0.7), models=(tiny,)).status_code == 409
    (shown,) = client.get(f"/api/studies/{study}/predictions")
    assert shown["model_off"]
    (answered,) = client.get(f"/api/models/{tiny}/answered")
    assert (answered["study"], answered["shown_to"]) == (study, ["local"])
    assert answered["patient"]
    assert not client.get(f"/api/models/{tiny}")["on"]


def test_a_model_shows_its_card_and_only_its_own_files(client: Client, tiny: str) -> None:
    model = client.get(f"/api/models/{tiny}")
    assert model["audit"] == "not audited"
    assert model["card"]["labels"][0]["name"] == "covid-19"
    assert model["files"] == ["card.json", "model.onnx"]
    assert client("GET", f"/api/models/{tiny}/files/model.onnx").status_code == 200
    for name in ("../tiny/card.json", "..%2f..%2fsecret.key", "/etc/passwd", "evidence"):
        assert client("GET", f"/api/models/{tiny}/files/{name}").status_code == 404


def test_erasing_a_patient_by_number(client: Client, tiny: str) -> None:
    study = client.upload(dicom(), models=(tiny,)).json()["files"][0]["study"]
    client.upload(png(0.5))
    predict_all(client)
    pseudonym = client("POST", "/api/patients/find", json={"patient_id": "4711"}).json()["patient"]
    erased = client("DELETE", f"/api/patients/{pseudonym}").json()
    none: dict[str, object] = {"exports_cleared": [], "exports_unreached": []}
    assert erased == {"studies": 1, "images": 1, "predictions": 1, **none}
    assert client("GET", f"/api/studies/{study}").status_code == 404
    assert client("POST", "/api/patients/find", json={"patient_id": "4711"}).status_code == 404
    assert len(client.get("/api/studies")["studies"]) == 1
    log = client.get("/api/audit", params={"subject": pseudonym})
    assert [line["action"] for line in log] == ["DELETE /api/patients/{patient}"]


def test_names_are_sealed_and_shown_only_when_asked_for(client: Client, settings: Settings) -> None:
    study = client.upload(dicom()).json()["files"][0]["study"]
    assert b"Doe" not in client("GET", f"/api/studies/{study}").content
    identity = client.get(f"/api/studies/{study}/identity")
    assert identity["patient"]["patient_name"] == "Doe^Jane"
    assert identity["examination"]["date"] == "20240506"
    for path in settings.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"Doe^Jane" not in content, path
            assert b"19300102" not in content, path


def test_errors_name_no_path_no_value_and_no_name(client: Client, settings: Settings) -> None:
    answers = [
        client.upload(b"Doe^Jane number4711"),
        client.upload(dicom({"BurnedInAnnotation": "YES", "PatientID": "number4711"})),
        client.upload(dicom({"PixelRepresentation": 7, "PatientID": "number4711"})),
        client("GET", "/api/studies/Doe^Jane"),
        client("GET", "/api/studies", params={"received_from": "Doe^Jane"}),
        client("GET", "/api/studies", params={"after": "Doe^Jane"}),
        client("POST", "/api/studies/number4711/reads", json={"Doe^Jane": "Doe^Jane"}),
        client("GET", "/Doe^Jane"),
        client("POST", "/api/studies", content=b"Doe^Jane"),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Doe" not in answer.text
        assert "number4711" not in answer.text  # 4711 alone may be in a random identifier
        assert str(settings.home) not in answer.text
        assert re.fullmatch(r"urn:pneumoscope:request:[0-9a-f]{20}", answer.json()["instance"])


def test_an_unforeseen_error_is_answered_with_a_number(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Doe^Jane /home/secret")

    monkeypatch.setattr("pneumoscope.server.uploads.decoder_pool.deidentify", fail)
    answer = client.upload(png(0.5))
    assert answer.status_code == 500
    assert "Doe" not in answer.text + caplog.text
    assert answer.headers["x-request-id"] in caplog.text
    assert "RuntimeError" in caplog.text


def test_the_openapi_document_names_every_path(client: Client) -> None:
    paths = client.get("/api/openapi.json")["paths"]
    for path in ("/api/studies", "/api/studies/{study}/predictions", "/api/events", "/api/models", "/healthz"):
        assert path in paths
    json.dumps(paths)


def test_metrics_count_requests_and_predictions(client: Client, tiny: str) -> None:
    client.upload(png(0.5), models=(tiny,))
    predict_all(client)
    text = client("GET", "/metrics").text
    assert f'pneumoscope_predictions{{model="{tiny}",state="done"}} 1.0' in text
    assert 'pneumoscope_requests_total{method="POST",route="/api/studies",status="201"} 1.0' in text
    assert client("GET", "/healthz").json() == {"status": "ok"}
