"""One patient: the same number with another name or birth date is not joined, and what is sent tells nothing back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pneumoscope.server.security.accounts import Accounts
from pneumoscope.server.security.tokens import Tokens
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from pneumoscope.server.studies.patients import find_pseudonyms, is_other_person
from server.client import Client, serve_client
from server.sample_files import dicom, png
from server.stub_passwords import StubPasswords

pytestmark = pytest.mark.filterwarnings("ignore:The value length:UserWarning", "ignore:Invalid value:UserWarning")
"""pydicom warns of what it writes here."""


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A client that may see names."""
    with serve_client(settings) as client:
        yield client


def studies(count: int) -> list[dict[str, str]]:
    """Tags of so many studies."""
    return [{"StudyInstanceUID": f"1.2.3.{number}"} for number in range(count)]


def send(client: Client, tags: dict[str, Any], value: int = 2000) -> dict[str, Any]:
    study = client.upload(dicom(tags, value)).json()["files"][0]["study"]
    return dict(client.get(f"/api/studies/{study}"))


@pytest.mark.parametrize(
    ("change", "joined"),
    [
        ({}, True),
        ({"PatientName": "DOE^JANE^^"}, True),  # case and trailing delimiters mean nothing
        ({"PatientName": "Doe^Jane", "PatientBirthDate": "1930.01.02"}, True),  # the old form of a date
        ({"PatientName": ""}, True),  # what is not said contradicts nothing
        ({"PatientBirthDate": ""}, True),
        ({"PatientName": "Roe^Richard"}, False),
        ({"PatientName": "Doe^Janet"}, False),
        ({"PatientBirthDate": "19300103"}, False),
    ],
)
def test_the_same_number_with_another_name_or_birth_date_is_another_patient(
    client: Client, change: dict[str, str], joined: bool
) -> None:
    one, two = studies(2)
    first, second = send(client, one), send(client, {**two, **change}, 1000)
    assert (first["patient"] == second["patient"]) is joined
    listed = {study["patient_note"] for study in client.get("/api/studies")["studies"]}
    assert listed == ({None} if joined else {"same number, other name"})
    others = client.get(f"/api/studies/{second['id']}/identity")["same_number"]
    assert others == ([] if joined else [{"patient": first["patient"], "other_name": True}])
    found = client("POST", "/api/patients/find", json={"patient_id": "4711"}).json()
    assert found["patient"] == first["patient"]
    assert set(found["patients"]) == {first["patient"], second["patient"]}


def test_a_name_learnt_later_is_held_against_the_next_file(client: Client) -> None:
    """Files without a name, with Jane's and with Richard's: the third is not joined through the first."""
    one, two, three, four = studies(4)
    nameless = send(client, {**one, "PatientName": "", "PatientBirthDate": ""})
    jane = send(client, two, 1000)
    richard = send(client, {**three, "PatientName": "Roe^Richard"}, 900)
    again = send(client, {**four, "PatientName": "Roe^Richard"}, 800)
    assert nameless["patient"] == jane["patient"] != richard["patient"] == again["patient"]


def test_a_file_without_a_name_is_joined_to_none_of_two(client: Client) -> None:
    one, two, three, four = studies(4)
    patients = {send(client, one)["patient"], send(client, {**two, "PatientName": "Roe^Richard"}, 900)["patient"]}
    unnamed = {"PatientName": "", "PatientBirthDate": ""}
    third, fourth = send(client, {**three, **unnamed}, 800), send(client, {**four, **unnamed}, 700)
    assert third["patient"] not in patients
    assert third["patient"] == fourth["patient"]


def test_another_name_in_the_same_study_is_refused(client: Client) -> None:
    (one,) = studies(1)
    send(client, one)
    refused = client.upload(dicom({**one, "PatientName": "Roe^Richard"}, 900))
    assert refused.status_code == 422
    assert "a study has one patient" in refused.text
    assert "Roe" not in refused.text


def with_bytes(tags: dict[str, str], placeholder: bytes, value: bytes) -> bytes:
    """A file in which some bytes of a value stand that its character set does not have."""
    data = dicom(tags)
    assert len(placeholder) == len(value)
    assert placeholder in data
    return data.replace(placeholder, value)


def test_numbers_that_can_not_be_decoded_stay_apart(client: Client) -> None:
    """Both are shown with the same replacement characters; UTF-8 has neither byte alone."""
    one, two = studies(2)
    utf8 = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": "4711XX"}
    first, second = (
        client.upload(with_bytes({**tags, **utf8}, b"4711XX", value)).json()["files"][0]["study"]
        for tags, value in ((one, b"4711\xe4\xe4"), (two, b"4711\xf6\xf6"))
    )
    assert client.get(f"/api/studies/{first}")["patient"] != client.get(f"/api/studies/{second}")["patient"]


def test_names_that_can_not_be_decoded_are_compared_by_their_bytes(client: Client) -> None:
    one, two = studies(2)
    utf8 = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "MXller"}
    first, second = (
        client.upload(with_bytes({**tags, **utf8}, b"MXller", value)).json()["files"][0]["study"]
        for tags, value in ((one, b"M\xfcller"), (two, b"M\xf6ller"))
    )
    assert client.get(f"/api/studies/{first}")["patient"] != client.get(f"/api/studies/{second}")["patient"]


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
def test_a_number_is_found_in_whatever_character_set_it_came(client: Client, charset: str) -> None:
    (one,) = studies(1)
    study = send(client, {**one, "SpecificCharacterSet": charset, "PatientID": "47\xe4"})
    found = client("POST", "/api/patients/find", json={"patient_id": "47\xe4"})
    assert found.json()["patient"] == study["patient"]


def test_long_numbers_with_the_same_beginning_stay_apart(client: Client) -> None:
    one, two = studies(2)
    first = send(client, {**one, "PatientID": "7" * 300 + "1"})
    assert first["patient"] != send(client, {**two, "PatientID": "7" * 300 + "2"}, 900)["patient"]


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [
        ("Yamada^Tarou=\u5c71\u7530^\u592a\u90ce", "Yamada^Tarou", False),
        ("=\u5c71\u7530^\u592a\u90ce", "Yamada^Tarou", True),  # no group in common
        ("Doe^Jane", "Doe", True),
        ("", "", False),
        ("^^", "Doe", False),
        ("Doe ^ Jane", "Doe^Jane", False),
    ],
)
def test_names_are_compared_by_their_groups(first: str, second: str, other: bool) -> None:
    assert is_other_person({"patient_name": first}, {"patient_name": second}) is other


@pytest.fixture
def reader(client: Client, settings: Settings) -> Client:
    """A client of the same server that may not see names."""
    store: Store = client.app.state.context.store
    account = Accounts(store, StubPasswords()).add(  # type: ignore[arg-type]
        "reader", "a long passphrase", "reader", sees_names=False
    )
    _, token = Tokens(store).create(account.id, "program")
    return Client(client.app, Authorization=f"Bearer {token}")


def test_an_upload_tells_a_reader_without_names_nothing_about_a_known_number(client: Client, reader: Client) -> None:
    """Whether number, study or the very file are known: the answers are those of a server that knows nothing."""
    one, two = studies(2)
    known = send(client, one)
    guess = {**studies(3)[2], "PatientID": "9"}
    send(client, {**guess, "PatientID": "4711"}, 600)
    for tags, value in ((two, 900), (one, 2000), (guess, 700)):  # the number; the file; the study with a wrong number
        sent = reader.upload(dicom(tags, value))
        assert sent.json()["files"][0]["status"] == "accepted"
        study = reader.get(f"/api/studies/{sent.json()['files'][0]['study']}")
        assert study["id"] != known["id"]
        assert study["patient"] != known["patient"]
        assert study["patient_note"] is None
    notes = {study["id"]: study["patient_note"] for study in client.get("/api/studies")["studies"]}
    assert notes[known["id"]] == "same number"
    assert {study["patient_note"] for study in reader.get("/api/studies")["studies"]} == {None}
    assert reader("GET", f"/api/studies/{known['id']}/identity").status_code == 403


def test_the_own_uploads_of_a_reader_without_names_are_joined(reader: Client) -> None:
    one, two = studies(2)
    first, second, image = send(reader, one), send(reader, two, 900), send(reader, one, 800)
    assert first["patient"] == second["patient"]
    assert image["id"] == first["id"]
    assert reader.upload(dicom(one)).json()["files"][0]["status"] == "duplicate"
    assert reader.upload(png(0.5)).status_code == 201


def test_all_pseudonyms_of_a_number_are_found_for_erasure(client: Client, reader: Client) -> None:
    one, two = studies(2)
    pseudonyms = [send(client, one)["patient"], send(reader, two, 900)["patient"]]
    store: Store = client.app.state.context.store
    assert find_pseudonyms(store, "", "4711") == pseudonyms
    for pseudonym in pseudonyms:
        assert client("DELETE", f"/api/patients/{pseudonym}").json()["studies"] == 1
    assert client("POST", "/api/patients/find", json={"patient_id": "4711"}).status_code == 404
