"""Settings of the machine for training, checked by page faults and by the report of libgomp."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

pytestmark = pytest.mark.torch

_PROGRAM = """
import resource, torch
from pneumoscope.training.machine import keep_freed_memory
keep_freed_memory()
for _ in range(2):
    torch.ones(16_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is tuned on Linux only")
def test_freed_memory_is_reused_without_page_faults() -> None:
    result = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    pages = 10 * 64_000_000 // 4096
    # Where the heap's layout is unlucky, one of the ten arrays lies in a new place.
    assert int(result.stdout) < pages / 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libgomp serves torch on Linux only")
@pytest.mark.parametrize(("environment", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_libgomp_reports_short_spins_unless_the_user_sets_others(environment: dict[str, str], spins: str) -> None:
    inherited = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    program = [sys.executable, "-c", "import pneumoscope.training"]
    result = subprocess.run(
        program,
        env=inherited | environment | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in result.stderr
