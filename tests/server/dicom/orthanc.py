"""A real archive for tests: Debian's Orthanc on loopback, with its data and configuration in a temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

TITLE = "ORTHANC"
_SECONDS = 30


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Orthanc:
    """An archive that may be stopped and started again; what it stored stays."""

    def __init__(
        self,
        program: str,
        folder: Path,
        peers: Mapping[str, tuple[str, int]],
        script: str = "",
        encryption: Mapping[str, Path] | None = None,
    ) -> None:
        """Write the configuration.

        Args:
            program: Path of Orthanc.
            folder: Empty; for its data.
            peers: AE title and port of each node that it knows, by name.
            script: Lua that it runs, such as OnStoredInstance.
            encryption: Its certificate, its key and the authorities (``trusted``) of its peers, as PEM files; None:
                it speaks in the clear.
        """
        self.port, self._program, self._folder = free_port(), program, folder
        http = free_port()
        (folder / "script.lua").write_text(script)
        settings = {
            **{
                "Name": "test",
                "DicomAet": TITLE,
                "DicomPort": self.port,
                "HttpPort": http,
                "RemoteAccessAllowed": False,
            },
            **{"StorageDirectory": str(folder / "data"), "IndexDirectory": str(folder / "data"), "Plugins": []},
            **{"LuaScripts": [str(folder / "script.lua")], "AuthenticationEnabled": False, "StableAge": 1},
            **{"DicomAlwaysAllowStore": True, "DicomCheckCalledAet": True, "OverwriteInstances": False},
            "DicomModalities": {name: [title, "127.0.0.1", port] for name, (title, port) in peers.items()},
        }
        if encryption is not None:
            settings |= {
                **{"DicomTlsEnabled": True, "DicomTlsRemoteCertificateRequired": True},
                **{"DicomTlsCertificate": str(encryption["certificate"]), "DicomTlsPrivateKey": str(encryption["key"])},
                **{"DicomTlsTrustedCertificates": str(encryption["trusted"])},
            }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self._address = f"http://127.0.0.1:{http}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            command = [self._program, str(self._folder / "orthanc.json")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        for _ in range(_SECONDS * 10):
            with suppress(httpx.TransportError):
                self.get("/system")
                return
            assert self._process.poll() is None, self.log()
            time.sleep(0.1)
        raise AssertionError(self.log())

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_SECONDS)
            self._process = None

    def get(self, path: str) -> Any:
        """Ask its REST interface."""
        answer = httpx.get(self._address + path, timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def read_instances(self) -> dict[str, bytes]:
        """The files of all instances, by SOPInstanceUID; fails where one is there twice."""
        found: dict[str, bytes] = {}
        for each in self.get("/instances?expand"):
            uid = each["MainDicomTags"]["SOPInstanceUID"]
            assert uid not in found
            found[uid] = httpx.get(f"{self._address}/instances/{each['ID']}/file").content
        return found

    def add(self, data: bytes) -> str:
        """Store an object over HTTP; return its number here."""
        answer = httpx.post(f"{self._address}/instances", content=data, timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["ID"])

    def send(self, to: str, number: str) -> None:
        """Let it send an object to one of its peers, and wait until that is done."""
        answer = self.try_to_send(to, number)
        assert answer.status_code == 200, answer.text

    def try_to_send(self, to: str, number: str) -> httpx.Response:
        """Let it try to send an object; the answer's status is 500 where its peer does not take it."""
        return httpx.post(f"{self._address}/modalities/{to}/store", content=number, timeout=_SECONDS)

    def find(self, sop_uid: str) -> str:
        """Number here of an object."""
        answer = httpx.post(f"{self._address}/tools/lookup", content=sop_uid, timeout=_SECONDS)
        (found,) = answer.json()
        return str(found["ID"])

    def log(self) -> str:
        """What it has written."""
        return (self._folder / "log").read_text(errors="replace")


def find_program() -> str:
    """Path of Orthanc; skips the test where there is none."""
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("no Orthanc: apt-get install orthanc (scripts/system installs it)")
    return program
