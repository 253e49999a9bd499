"""The node beside a real archive, Orthanc."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pneumoscope.server.settings import Settings
from server.dicom.orthanc import Orthanc
from server.dicom.test_node import TITLE, node
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")


def test_an_archive_sends_its_radiographs(settings: Settings, start_orthanc: Callable[..., Orthanc]) -> None:
    with node(settings) as (client, at):
        archive = start_orthanc(peers={"us": (TITLE, at.port)})
        number = archive.add(dicom())
        for _ in range(2):
            archive.send("us", number)
        (study,) = client.get("/api/studies")["studies"]
        assert len(study["images"]) == len(study["predictions"]) == 1
