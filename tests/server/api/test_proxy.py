"""The proxy's file of deploy/, run with a real Caddy in front of a real server: TLS, cookies, event streams."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
PASSWORD = "correct horse battery"


def free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Address of a department's server behind Caddy."""
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("no Caddy: apt-get install caddy")
    app, door, home = free_port(), free_port(), str(tmp_path / "home")
    python = [sys.executable, "-m", "pneumoscope"]
    add = [*python, "users", "add", "chief", "--admin", "--password-stdin", "--home", home]
    subprocess.run(add, input=PASSWORD, text=True, check=True, capture_output=True)
    serve = ["serve", "--port", str(app), "--proxy", "127.0.0.1", "--accounts", "--name", "localhost", "--home", home]
    settings = {"SITE": f"https://localhost:{door}", "TLS": "internal", "UPSTREAM": f"127.0.0.1:{app}"}
    folders = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    # skip_install_trust: a test does not add authorities to its machine; HTTP_PORT: nobody needs port 80 here
    config = tmp_path / "Caddyfile"
    options = f"{{\n\tskip_install_trust\n\thttp_port {free_port()}\n"
    config.write_text((DEPLOY / "Caddyfile").read_text().replace("{\n", options, 1))
    with (tmp_path / "log").open("wb") as log:
        run = [caddy, "run", "--config", str(config), "--adapter", "caddyfile"]
        processes = [
            subprocess.Popen([*python, *serve, "--workers", "0"], stdout=log, stderr=log),
            subprocess.Popen(run, stdout=log, stderr=log, env={**os.environ, **settings, **folders}),
        ]
        try:
            wait_for(f"https://localhost:{door}/healthz")
            yield f"https://localhost:{door}"
        finally:
            for process in processes:
                process.terminate()
                process.wait(30)


def wait_for(address: str) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            if httpx.get(address, verify=anyone()).is_success:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < end, f"{address} does not answer"
        time.sleep(0.2)


def anyone() -> ssl.SSLContext:
    """Trust the proxy's own authority, which was made a moment ago."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_a_session_through_the_proxy_is_encrypted_and_events_arrive_at_once(site: str) -> None:
    with httpx.Client(base_url=site, verify=anyone()) as client:
        assert client.get("/api/me").status_code == 401
        entered = client.post("/api/login", json={"name": "chief", "password": PASSWORD}, headers={"Origin": site})
        assert entered.status_code == 200, entered.text
        assert entered.headers["set-cookie"].startswith("__Host-session=")
        assert "Secure" in entered.headers["set-cookie"]
        assert client.get("/api/me").json()["name"] == "chief"
        # The audit log holds the visitor's address, which the proxy has passed on, and not the proxy's word for it.
        assert client.get("/api/audit").json()[0]["address"] == "127.0.0.1"
        with client.stream("GET", "/api/events", timeout=60) as stream:
            assert next(stream.iter_lines()) == "retry: 3000"


def test_another_site_cannot_make_a_browser_send_something(site: str) -> None:
    answer = httpx.post(
        f"{site}/api/login",
        json={"name": "chief", "password": PASSWORD},
        headers={"Origin": "https://elsewhere.example"},
        verify=anyone(),
    )
    assert answer.status_code == 403
