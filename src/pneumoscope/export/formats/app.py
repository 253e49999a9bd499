"""App: a folder that any static web server shows, in which the bundles run in the browser of a phone or a computer.

It holds the page of the web app that needs no server (``device.html``), the bundles, and the companions that look at an
image first. All addresses in it are relative, so that it may lie anywhere on a host.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pneumoscope.bundle.device_list import EVIDENCE, FILES, companion_folders, encode_evidence, list_for_device
from pneumoscope.core.errors import MissingBundleError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.export.format import ExportJob, ExportReport, Format

WEB = Path(__file__).resolve().parents[2] / "web"
"""Folder of the built web app in the package."""
PAGE, PAGE_FILES = "device.html", "device-files.json"
LIST = "bundles/index.json"
_SERVERS_LIST, _FOLDERS_LIST = 'content="api/device"', f'content="{LIST}"'

_INDEX = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={PAGE}">
<title>Pneumoscope</title>
<p><a href="{PAGE}">Pneumoscope on this device</a></p>
<p>{DISCLAIMER}</p>
</html>
"""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'"
)
"""The strictest policy with which the page works: the networks are WebAssembly, and pictures are drawn from memory."""

_README = f"""Pneumoscope on this device
{DISCLAIMER}

Any static web server shows this folder; on your own machine:
    python -m http.server --bind 127.0.0.1
and then http://127.0.0.1:8000/{PAGE} in a browser. Keep that address: without a connection the browser knows it
alone, and not the folder's own, which leads to it. Elsewhere the address must begin with https://, or the browser
keeps nothing for use without a connection. No image leaves the browser.
With the headers "Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp" the networks
use several threads. A Content-Security-Policy must allow at least this:
    {POLICY}
The weights carry the licences of their training data (bundles/*/card.json); licences.md has those of the scripts.
"""


def _write(job: ExportJob) -> ExportReport:
    listed = WEB / PAGE_FILES
    if not listed.is_file():
        raise MissingBundleError(
            str(WEB), f"holds no built web app ({PAGE_FILES} is missing).", "Build it: scripts/web, which needs Node."
        )
    for name in json.loads(listed.read_text("utf-8")):
        (job.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(WEB / name, job.folder / name)
    page = (job.folder / PAGE).read_text("utf-8")
    assert page.count(_SERVERS_LIST) == 1, f"{PAGE} does not name its list once"
    (job.folder / PAGE).write_text(page.replace(_SERVERS_LIST, _FOLDERS_LIST), "utf-8")
    (job.folder / "index.html").write_text(_INDEX, "utf-8")
    (job.folder / "README.txt").write_text(_README, "utf-8")
    models = {model.identity: model.folder for model in (job.model, *job.others)}
    for identity, folder in {**models, **companion_folders()}.items():
        target = job.folder / "bundles" / identity
        target.mkdir(parents=True)
        for name in FILES:
            shutil.copyfile(folder / name, target / name)
        if identity in models and (facts := encode_evidence(folder, identity)) is not None:
            (target / EVIDENCE).write_bytes(facts)
    listing = list_for_device(models.values(), lambda identity, name: f"{identity}/{name}")
    (job.folder / LIST).write_text(listing.model_dump_json(indent=2) + "\n", "utf-8")
    return ExportReport(
        notes=(
            "Any static web server shows this folder; README.txt says how, and why it needs https.",
            "The graphs are the bundles' own; `certify` compares a browser's numbers with them.",
        )
    )


FORMAT = Format("app", "A folder for any static web server: the bundles run in the browser.", _write, several=True)
