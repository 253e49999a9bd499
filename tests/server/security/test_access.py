"""Access: only health and login work without a session; other sites, other hosts and floods are refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from pneumoscope.core.errors import UsageError
from pneumoscope.server.security.accounts import AccountChanges, Accounts
from pneumoscope.server.security.rate_limit import RateLimit
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, now, open_store
from pneumoscope.server.storage.tables import Account, Login
from server.client import Client, serve_client
from server.sample_files import archive, dicom, png

PASSWORD = "correct horse battery"


@pytest.fixture
def department(settings: Settings) -> Settings:
    return replace(settings, host="10.1.2.3", proxy="10.1.2.1", lockout_after=3)


@pytest.fixture(scope="module")
def home_with_accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's folder with a reader and an admin; created once, since hashing a password is slow on purpose."""
    settings = Settings(home=tmp_path_factory.mktemp("accounts"))
    store = open_store(settings)
    accounts = Accounts(store)
    accounts.add("reader", PASSWORD, "reader", sees_names=False)
    accounts.add("admin", PASSWORD, "admin", sees_names=True)
    store.close()
    return settings.home


@pytest.fixture
def client(department: Settings, home_with_accounts: Path) -> Iterator[Client]:
    """A client of a department's server, not logged in."""
    shutil.copytree(home_with_accounts, department.home)
    with serve_client(department) as client:
        client._base = "https://pneumo.example"
        yield client


def test_without_a_session_nothing_but_health_and_login_answers(client: Client) -> None:
    paths = client.app.openapi()["paths"]
    assert len(paths) > 20
    for path, methods in [*paths.items(), ("/api/openapi.json", {"get": {}}), ("/nowhere", {"get": {}})]:
        address = path
        for name in ("study", "prediction", "image", "patient", "model", "token", "name", "account"):
            address = address.replace(f"{{{name}}}", "a1")
        for method in methods:
            expected = {("/healthz", "get"): 200, ("/api/login", "post"): 422}.get((path, method), 401)
            assert client(method.upper(), address).status_code == expected, (method, path)


def test_a_session_begins_works_and_ends(client: Client) -> None:
    answer = client.login("reader", PASSWORD)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    for part in ("__Host-session=", "HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert client.get("/api/me")["name"] == "reader"
    assert client.upload(png(0.5)).status_code == 201
    assert client("POST", "/api/logout").status_code == 204
    client.cookies.set("__Host-session", cookie.partition("=")[2].partition(";")[0], domain="pneumo.example")
    assert client("GET", "/api/me").status_code == 401


def test_a_change_needs_the_sessions_csrf_token(client: Client) -> None:
    client.login("reader", PASSWORD)
    client.headers.pop("X-CSRF-Token")
    assert client.upload(png(0.5)).status_code == 403
    client.headers["X-CSRF-Token"] = "guess"
    assert client.upload(png(0.5)).status_code == 403
    assert client.get("/api/studies")["studies"] == []


def test_an_idle_session_ends(client: Client) -> None:
    client.login("reader", PASSWORD)
    store: Store = client.app.state.context.store
    with store.write() as session:
        session.execute(update(Login).values(seen=now() - store.settings.session_idle - 1))
    assert client("GET", "/api/me").status_code == 401


def test_use_keeps_a_session_alive_and_watching_does_not(client: Client) -> None:
    client.login("reader", PASSWORD)
    context = client.app.state.context
    token = client.cookies["__Host-session"]
    with context.store.write() as session:
        session.execute(update(Login).values(seen=now() - 100))
    context.sessions.find(token, keep_alive=False)
    with context.store.read() as session:
        assert session.query(Login).one().seen < now() - 90
    client.get("/api/me")
    with context.store.read() as session:
        assert session.query(Login).one().seen > now() - 60


def test_wrong_passwords_lock_an_account_and_reveal_nothing(client: Client) -> None:
    wrong = [client.login("reader", "wrong") for _ in range(3)]
    unknown, locked = client.login("nobody", PASSWORD), client.login("reader", PASSWORD)
    texts = {(answer.status_code, answer.json()["detail"]) for answer in [*wrong, unknown, locked]}
    assert len(texts) == 1
    with client.app.state.context.store.write() as session:
        session.execute(update(Account).values(locked_until=now() - 1))
    assert client.login("reader", PASSWORD).status_code == 200


def test_readers_lack_the_rights_of_admins_and_see_no_names(client: Client) -> None:
    client.login("reader", PASSWORD)
    study = client.upload(dicom()).json()["files"][0]["study"]
    model = client.get("/api/models")[0]["id"]
    for method, path, body in [
        ("DELETE", f"/api/studies/{study}", None),
        ("GET", f"/api/studies/{study}/identity", None),
        ("GET", f"/api/studies/{study}/results", None),
        ("GET", f"/api/studies/{study}/results/2.25.1", None),
        ("GET", "/metrics", None),
        ("GET", "/api/audit", None),
        ("GET", "/api/archive/destinations", None),
        ("GET", "/api/archive/queue", None),
        ("POST", "/api/archive/queue/1/retry", None),
        ("POST", "/api/archive/dry-run", {"study": study}),
        ("POST", f"/api/models/{model}/switch", {"on": False, "reason": "because"}),
    ]:
        assert client(method, path, json=body).status_code == 403, path
    client.login("admin", PASSWORD)
    assert client.get(f"/api/studies/{study}/identity")["patient"]["patient_name"] == "Doe^Jane"
    lines = client.get("/api/audit", params={"subject": study})
    reader = next(row.id for row in client.app.state.context.accounts.list_all() if row.name == "reader")
    attempts = {(line["who"] == reader, line["action"], line["status"]) for line in lines}
    assert (True, "DELETE /api/studies/{study}", 403) in attempts
    assert (True, "GET /api/studies/{study}/identity", 403) in attempts
    assert (False, "GET /api/studies/{study}/identity", 200) in attempts


def test_a_token_works_without_a_cookie_until_it_is_revoked(client: Client) -> None:
    client.login("reader", PASSWORD)
    created = client("POST", "/api/me/tokens", json={"label": "modality"}).json()
    assert [token["token"] for token in client.get("/api/me/tokens")] == [None]
    program = Client(client.app, "https://pneumo.example", Authorization=f"Bearer {created['token']}")
    assert program.upload(png(0.5)).status_code == 201
    assert program("POST", "/api/me/tokens", json={"label": "more"}).status_code == 403
    assert client("DELETE", f"/api/me/tokens/{created['id']}").status_code == 204
    assert program("GET", "/api/me").status_code == 401


def test_an_own_password_is_changed_by_its_owner_alone_and_ends_what_it_opened(client: Client) -> None:
    """Fault E16. A wrong present password counts as one at the login."""
    client.login("reader", PASSWORD)
    token = client("POST", "/api/me/tokens", json={"label": "script"}).json()["token"]
    later = "another long password"
    change = "/api/me/password"
    assert client("POST", change, json={"old": "wrong", "new": later}).status_code == 401
    assert client("POST", change, json={"old": PASSWORD, "new": "short"}).status_code == 422
    assert client("POST", change, json={"old": PASSWORD, "new": later}).status_code == 204
    assert client("GET", "/api/me").status_code == 401
    assert client("GET", "/api/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert client.login("reader", PASSWORD).status_code == 401
    assert client.login("reader", later).status_code == 200


def test_admins_add_and_change_accounts_of_others(client: Client) -> None:
    """Fault E16. Rights change at once; a new password and disabling end sessions; nobody changes their own account."""
    new = {"name": "ann", "password": PASSWORD, "sees_names": True}
    client.login("reader", PASSWORD)
    assert client("GET", "/api/accounts").status_code == 403
    assert client("POST", "/api/accounts", json=new).status_code == 403
    client.login("admin", PASSWORD)
    assert [row["name"] for row in client.get("/api/accounts")] == ["admin", "reader"]
    assert client("POST", "/api/accounts", json={**new, "password": "short"}).status_code == 422
    answer = client("POST", "/api/accounts", json=new)
    assert answer.status_code == 201
    ann = answer.json()
    assert (ann["role"], ann["sees_names"], ann["disabled"]) == ("reader", True, False)
    assert PASSWORD not in answer.text and "argon2" not in answer.text
    assert client("POST", "/api/accounts", json=new).json()["type"].endswith(":name-taken")
    assert client.get("/api/audit", params={"subject": ann["id"]})[0]["action"] == "POST /api/accounts"

    def change(number: str, **sent: object) -> int:
        return client("PATCH", f"/api/accounts/{number}", json=sent).status_code

    other = Client(client.app, "https://pneumo.example")
    assert other.login("ann", PASSWORD).json()["role"] == "reader"
    assert change(ann["id"], role="admin", sees_names=False) == 200
    assert (other.get("/api/me")["role"], other.get("/api/me")["sees_names"]) == ("admin", False)
    later = "another long password"
    assert change(ann["id"], password=later) == 200
    assert other("GET", "/api/me").status_code == 401
    assert other.login("ann", later).status_code == 200
    assert change(ann["id"], disabled=True) == 200
    assert other("GET", "/api/me").status_code == 401
    assert other.login("ann", later).status_code == 401
    assert change(ann["id"], disabled=False) == 200
    assert other.login("ann", later).status_code == 200
    assert change(client.get("/api/me")["id"], disabled=True) == 409
    assert change("nobody", disabled=True) == 404
    token = client("POST", "/api/me/tokens", json={"label": "script"}).json()["token"]
    program = Client(client.app, "https://pneumo.example", Authorization=f"Bearer {token}")
    assert program("POST", "/api/accounts", json={**new, "name": "eve"}).status_code == 403
    assert program("PATCH", f"/api/accounts/{ann['id']}", json={"disabled": True}).status_code == 403


def search(client: Client, text: str) -> list[tuple[str, str]]:
    """What is found, each by its kind and its text; the text is in the body, since addresses are logged."""
    answer = client("POST", "/api/search", json={"text": text})
    assert answer.status_code == 200
    return [(match["kind"], match["text"]) for match in answer.json()]


def test_patients_are_searched_by_name_and_number_by_those_who_see_names(client: Client) -> None:
    """Fault E6."""
    client.login("admin", PASSWORD)
    client.upload(dicom({"PatientName": "Doe^Jane", "PatientID": "0815", "StudyInstanceUID": "1.2.7"}))
    found = [("patient", "Doe^Jane")]
    assert search(client, "jane") == search(client, "doe, JANE") == search(client, "0815") == found
    assert search(client, "081") == search(client, "Roe") == search(client, "  ") == search(client, "^^") == []
    (person,) = client("POST", "/api/search", json={"text": "doe"}).json()
    assert client.get("/api/studies", params={"patient": person["patient"]})["total"] == 1
    assert search(client, person["patient"][:9]) == [("patient", person["patient"])]
    client.login("reader", PASSWORD)
    assert search(client, "doe") == []


def test_studies_are_searched_by_their_numbers_by_those_who_see_names(client: Client) -> None:
    """Whole numbers alone; a study that an account sent that sees no names has another key, and is found too."""
    client.login("admin", PASSWORD)
    for number in ("1", "2"):
        tags = {"SOPInstanceUID": f"1.2.9.{number}.1", "StudyInstanceUID": f"1.2.9.{number}", "AccessionNumber": "A 7"}
        client.upload(dicom(tags, 2000 + int(number)))
    client.login("reader", PASSWORD)
    client.upload(dicom({"StudyInstanceUID": "1.2.9.3", "AccessionNumber": "B7"}, 2003))
    assert search(client, "A 7") == search(client, "B7") == search(client, "1.2.9.1") == search(client, "1.2.9.3") == []
    client.login("admin", PASSWORD)
    assert search(client, " A 7 ") == [("accession", "A 7")] * 2
    assert search(client, "B7") == [("accession", "B7")]
    assert search(client, "1.2.9.1") == [("study-uid", "1.2.9.1")]
    assert search(client, "1.2.9.3") == [("study-uid", "1.2.9.3")]
    assert search(client, "a 7") == search(client, "A ") == search(client, "A7") == search(client, "1.2.9") == []
    (match,) = client("POST", "/api/search", json={"text": "1.2.9.1"}).json()
    assert client.get(f"/api/studies/{match['study']}")["images"]
    assert client("DELETE", f"/api/studies/{match['study']}").status_code == 200
    assert search(client, "1.2.9.1") == []
    assert search(client, "A 7") == [("accession", "A 7")]


def test_a_file_name_is_for_the_sender_and_for_those_who_see_names(client: Client, department: Settings) -> None:
    """Fault E6: a PNG names no patient. Its name is kept as an identity is kept, and gone with the study."""
    client.login("reader", PASSWORD)
    zipped = archive({"folder/Roe^Richard 1950.png": png(0.4)})
    sent = {"files": ("C:\\x-rays\\Doe^Jane.png", png(0.5))}, {"files": ("all.zip", zipped)}
    study, other = (client("POST", "/api/studies", files=files).json()["files"][0]["study"] for files in sent)
    assert client.get(f"/api/studies/{study}")["file"] == "Doe^Jane.png"
    assert client.get(f"/api/studies/{other}")["file"] == "Roe^Richard 1950.png"
    assert search(client, "ROE^") == [("file", "Roe^Richard 1950.png")]
    assert client("GET", f"/api/studies/{study}/identity").status_code == 403
    client.login("admin", PASSWORD)
    assert client.get(f"/api/studies/{study}")["file"] is None
    assert client.get(f"/api/studies/{study}/identity")["examination"] == {"file": "Doe^Jane.png"}
    assert search(client, "jane") == [("file", "Doe^Jane.png")]
    stored = b"".join(path.read_bytes() for path in department.home.rglob("*") if path.is_file())
    assert b"Doe^Jane" not in stored
    assert b"Richard" not in stored
    assert client("DELETE", f"/api/studies/{study}").status_code == 200
    assert search(client, "jane") == []


def test_several_studies_are_erased_at_once_by_admins(client: Client) -> None:
    """Fault E19. One that is gone already is no reason to keep the others."""
    client.login("reader", PASSWORD)
    studies = [client.upload(png(shade)).json()["files"][0]["study"] for shade in (0.2, 0.4, 0.6)]
    chosen = {"studies": [*studies[:2], "gone"]}
    assert client("POST", "/api/studies/erase", json=chosen).status_code == 403
    client.login("admin", PASSWORD)
    assert client("POST", "/api/studies/erase", json=chosen).json()["studies"] == 2
    assert [study["id"] for study in client.get("/api/studies")["studies"]] == studies[2:]
    (line,) = client.get("/api/audit", params={"subject": studies[0]})[:1]
    assert line["action"] == "DELETE /api/studies/{study}"
    assert client("POST", "/api/studies/erase", json={"studies": []}).status_code == 422


def test_a_label_is_its_readers_alone(client: Client) -> None:
    """Fault E6: lists are filtered by a label of one's own; others neither see nor find it."""
    client.login("admin", PASSWORD)
    studies = [client.upload(png(shade)).json()["files"][0]["study"] for shade in (0.2, 0.4, 0.6)]

    def label(study: str, text: str) -> int:
        return client("PUT", f"/api/studies/{study}/label", json={"text": text}).status_code

    assert [label(study, text) for study, text in zip(studies, ("For  Doe", "for doe", "Later"), strict=True)] == [
        200
    ] * 3
    own = client.get("/api/labels")
    assert [row["studies"] for row in own] == [2, 1]
    assert search(client, "FOR D") == [("label", own[0]["text"])]
    listed = client.get("/api/studies", params={"label": own[0]["key"]})
    assert {row["id"] for row in listed["studies"]} == set(studies[:2])
    assert client.get(f"/api/studies/{studies[2]}")["label"]["text"] == "Later"
    assert label(studies[2], " ") == 200
    assert client.get(f"/api/studies/{studies[2]}")["label"] is None
    assert label(studies[2], "Gro\u0308\u00dfe\x00 \u202e1") == 200
    assert search(client, "gr\u00f6\u00dfe 1") == [("label", "Gr\u00f6\u00dfe 1")]
    assert label("nobody", "x") == 404
    client.login("reader", PASSWORD)
    assert client.get("/api/labels") == search(client, "for doe") == []
    assert client.get(f"/api/studies/{studies[0]}")["label"] is None
    assert client.get("/api/studies", params={"label": own[0]["key"]})["studies"] == []


def test_a_disabled_account_is_locked_out_at_once(client: Client) -> None:
    client.login("reader", PASSWORD)
    client.app.state.context.accounts.change_named("reader", AccountChanges(disabled=True))
    assert client("GET", "/api/me").status_code == 401
    assert client.login("reader", PASSWORD).status_code == 401


def test_passwords_and_tokens_are_not_in_the_database(client: Client, department: Settings) -> None:
    client.login("reader", PASSWORD)
    token = client("POST", "/api/me/tokens", json={"label": "x"}).json()["token"]
    raw = b"".join(path.read_bytes() for path in department.home.glob("pneumoscope.sqlite*"))
    assert PASSWORD.encode() not in raw
    assert token.encode() not in raw
    assert client.cookies["__Host-session"].encode() not in raw
    assert b"$argon2id$" in raw


def test_the_headers_forbid_what_the_pages_never_do(client: Client) -> None:
    for answer in (client("GET", "/healthz"), client("GET", "/api/studies"), client("GET", "/nowhere")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "max-age" in answer.headers["strict-transport-security"]


def test_requests_from_other_sites_and_to_other_hosts_are_refused(settings: Settings) -> None:
    with serve_client(settings) as local:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            response = local("POST", "/api/studies", files=[("files", ("a", png(0.5)))], headers=headers)
            assert response.status_code == 403, headers
        assert local("GET", "/api/studies", headers={"Host": "evil.example"}).status_code == 421  # DNS rebinding
        assert local("GET", "/api/studies", headers={"Host": "localhost:8000"}).status_code == 200
        own = local.headers | {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
        assert local("POST", "/api/studies", files=[("files", ("a", png(0.5)))], headers=own).status_code == 201


def test_floods_are_slowed(settings: Settings) -> None:
    with serve_client(replace(settings, requests_per_minute=3)) as client:
        answers = [client("GET", "/api/me") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) > 0


def test_a_bucket_fills_again() -> None:
    time = 0.0
    limit = RateLimit(60, clock=lambda: time)
    assert [limit.wait("a") for _ in range(60)] == [0.0] * 60
    assert limit.wait("a") == pytest.approx(1.0)
    assert limit.wait("b") == 0
    time = 1.0
    assert limit.wait("a") == 0


def test_accounts_are_checked(store: Store, settings: Settings) -> None:
    accounts = Accounts(store)
    with pytest.raises(UsageError, match="12 to 256"):
        accounts.add("a", "short", "reader", sees_names=False)
    accounts.add("a", PASSWORD, "reader", sees_names=False)
    with pytest.raises(UsageError, match="exists already"):
        accounts.add("a", PASSWORD, "admin", sees_names=False)
    assert not accounts.has_admin()


def test_no_record_no_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_client(settings) as client:
        study = client.upload(png(0.5)).json()["files"][0]["study"]

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError

        monkeypatch.setattr("pneumoscope.server.security.audit_log.record", fail)
        answer = client("GET", f"/api/studies/{study}")
        assert answer.status_code == 500
        assert study not in answer.text
