"""deploy/archive: its settings, script, routes and command with Debian's Orthanc in place of the containers."""

from __future__ import annotations

import json
import time
from io import BytesIO
from pathlib import Path

import httpx
import pydicom
import pytest

from pneumoscope.server.administration import add_account
from pneumoscope.server.settings import Settings
from server.dicom.orthanc import Orthanc, find_program
from server.dicom.result_tools import free_port, store_by_dcmtk
from server.sample_files import dicom
from web.conftest import Site, running

yaml = pytest.importorskip("yaml")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")
DEPLOY = Path(__file__).parents[3] / "deploy" / "archive"
PASSWORD = "a long enough password"


class DeployedOrthanc(Orthanc):
    """Orthanc with the settings of deploy/archive, at ports of its own."""

    def __init__(self, folder: Path, node: int) -> None:
        super().__init__(find_program(), folder, {})
        written = json.loads((folder / "orthanc.json").read_text())
        deployed = json.loads((DEPLOY / "orthanc.json").read_text())
        ((name, (title, host, port)),) = deployed["DicomModalities"].items()
        services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        assert host in services
        assert port == 11112
        assert deployed["LuaScripts"] == [mount.split(":")[1] for mount in services["archive"]["volumes"][1:2]]
        own = {key: written[key] for key in ("DicomPort", "HttpPort", "StorageDirectory", "IndexDirectory", "Plugins")}
        script = {"LuaScripts": [str(DEPLOY / "route-images.lua")]}
        modalities = {"DicomModalities": {name: [title, "127.0.0.1", node]}}
        (folder / "orthanc.json").write_text(json.dumps({**deployed, **own, **script, **modalities}))


def command_of(routes: Path, node: int) -> list[str]:
    """The DICOM options of the compose file's command, for this machine alone."""
    words = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["app"]["command"].split()
    words = words[words.index("--dicom") :]
    here = {"0.0.0.0": "127.0.0.1", "ORTHANC@172.31.251.2": "ORTHANC@127.0.0.1", "/routes.yaml": str(routes), "10": "1"}
    return [here.get(word, word) for word in words] + ["--dicom-port", str(node), "--dicom-model", "covid"]


def test_a_radiograph_goes_round_once(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    node = free_port()
    orthanc = DeployedOrthanc(tmp_path / "archive", node)
    routes = yaml.safe_load((DEPLOY / "routes.yaml").read_text())
    routes["destinations"]["research"] |= {"host": "127.0.0.1", "port": orthanc.port}
    (tmp_path / "routes.yaml").write_text(yaml.safe_dump(routes))
    add_account(Settings(home=tmp_path / "home"), "chief", PASSWORD, admin=True, sees_names=True)
    orthanc.start()
    try:
        with running(tmp_path / "home", "--accounts", *command_of(tmp_path / "routes.yaml", node)) as site:
            store_by_dcmtk(orthanc.port, tmp_path, dicom(), title="ORTHANC")
            committed = wait_for_results(site)
            instances = orthanc.read_instances()
            assert set(committed) < set(instances)
            modalities = [pydicom.dcmread(BytesIO(data)).Modality for data in instances.values()]
            assert modalities.count("SR") == 1
            assert len(instances) == 1 + len(committed)
            (study,) = ask(site, "/api/studies")["studies"]
            assert len(study["predictions"]) == 1
    finally:
        orthanc.stop()


def ask(site: Site, path: str) -> dict:
    """Ask as the admin."""
    with httpx.Client(base_url=site.url) as client:
        client.post("/api/login", json={"name": "chief", "password": PASSWORD}).raise_for_status()
        return client.get(path).raise_for_status().json()


def wait_for_results(site: Site) -> list[str]:
    """SOPInstanceUIDs of the results that the archive has committed itself to, when all are."""
    end = time.monotonic() + 120
    while True:
        queue = ask(site, "/api/archive/queue")
        if queue and all(one["state"] == "committed" for one in queue):
            return [one["sop_uid"] for one in queue]
        assert time.monotonic() < end, queue
        time.sleep(1)
