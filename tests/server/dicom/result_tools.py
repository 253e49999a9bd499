"""Sending objects to a node without a network, and other programs that judge what it makes."""

from __future__ import annotations

import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pneumoscope.server.dicom.receiving.receive import SUCCESS, Receipt, Sender
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.settings import DicomSettings, Settings
from server.client import Client


def node_of(settings: Settings, **options: Any) -> Settings:
    """Settings of a DICOM node that asks the small model of the tests."""
    (tiny,) = (model.id for model in Catalogue(settings.models).list_models().values() if not model.builtin)
    return replace(settings, dicom=DicomSettings(**{"port": 0, "models": (tiny,), **options}))


def receive(client: Client, data: bytes) -> Receipt:
    """Give an object to a node as a peer does; it is taken."""
    receipt = client.app.state.context.node._receiver.receive(data, Sender("CR1", "127.0.0.1"))
    assert receipt.status == SUCCESS, receipt
    return receipt


def find_faults(data: bytes, folder: Path) -> list[str]:
    """What dciodvfy (dicom3tools) finds wrong with an object, by the standard's tables of attributes."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("no dciodvfy: apt-get install dicom3tools")
    file = folder / "judged.dcm"
    file.write_bytes(data)
    judged = subprocess.run(["dciodvfy", "-new", str(file)], capture_output=True, text=True, timeout=60)
    return [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]


def dump_report(data: bytes, folder: Path) -> str:
    """What dcmtk's dsrdump reads in a structured report."""
    if shutil.which("dsrdump") is None:
        pytest.skip("no dsrdump: apt-get install dcmtk")
    file = folder / "dumped.dcm"
    file.write_bytes(data)
    dumped = subprocess.run(["dsrdump", "+Pl", str(file)], capture_output=True, text=True, timeout=60)
    assert dumped.returncode == 0, dumped.stderr
    assert "error" not in dumped.stderr.lower(), dumped.stderr
    return dumped.stdout


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def store_by_dcmtk(port: int, folder: Path, *files: bytes, title: str = "PNEUMOSCOPE") -> None:
    """Send files to a node with dcmtk's storescu."""
    if shutil.which("storescu") is None:
        pytest.skip("no storescu: apt-get install dcmtk")
    paths = []
    for number, data in enumerate(files):
        paths.append(folder / f"sent-{number}.dcm")
        paths[-1].write_bytes(data)
    subprocess.run(["storescu", "-aec", title, "127.0.0.1", str(port), *paths], check=True, timeout=60)
