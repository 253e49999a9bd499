"""`pretrained: imagenet` against a stand-in of the hub: the same addresses, headers and files, on loopback.

The addresses are those of the hub's client: ``HEAD`` and ``GET /ORGANISATION/NAME/resolve/REVISION/FILE``, answered
with ``ETag`` and ``X-Repo-Commit`` (https://huggingface.co/docs/huggingface_hub/package_reference/file_download).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from safetensors.torch import save  # noqa: E402

from pneumoscope.training.torchvision_shim import ensure_torchvision  # noqa: E402

NETWORK, TAG = "mobilenetv3_small_050", "lamb_in1k"
"""timm's smallest network that has weights on the hub."""

PROGRAM = """
import sys
from pneumoscope.core.errors import WeightsError
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.recipes.starting_weights import choose_weights
from pneumoscope.training.networks.build import build

for network in sys.argv[1:]:
    sets = [f"network.name={network}", "network.pretrained=imagenet", "input.size=64"]
    try:
        model = build(choose_weights(load_recipe("transfer-mobilenetv2", sets)))
    except WeightsError as error:
        print(error)
    else:
        print(float(sum(value.double().sum() for value in model.trunk.state_dict().values())))
"""


class Hub:
    """A server of files at the hub's addresses; ``requests`` lists (method, path) of what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self, *, body: bool) -> None:
                hub.requests.append((self.command, self.path))
                data = hub.files.get(self.path)
                self.send_response(404 if data is None else 200)
                if data is None:
                    self.send_header("X-Error-Code", "EntryNotFound")
                else:
                    self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                    self.send_header("X-Repo-Commit", "0" * 39 + "1")
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                if body and data is not None:
                    self.wfile.write(data)

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def test_imagenet_weights_come_from_the_hub_once_and_a_name_that_it_lacks_is_an_error(hub: Hub, tmp_path: Path) -> None:
    ensure_torchvision()
    import timm

    trunk = timm.create_model(NETWORK, pretrained=False)
    path = f"/timm/{NETWORK}.{TAG}/resolve/main/model.safetensors"
    hub.files[path] = save(trunk.state_dict())
    trunk.reset_classifier(0)
    expected = float(sum(value.double().sum() for value in trunk.state_dict().values()))

    quiet = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment = quiet | {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    lacking = "mobilenetv3_small_075.lamb_in1k"
    # The client reads the hub's address when it is imported: hence a process of its own.
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, NETWORK, NETWORK, lacking],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    first, again, error = answer.stdout.splitlines()
    assert float(first) == pytest.approx(expected, rel=1e-9)
    assert again == first
    assert hub.requests.count(("GET", path)) == 1
    assert lacking in error
    assert "network.pretrained=null" in error
