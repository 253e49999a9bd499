"""What the training asks of the machine, seen from outside: page faults as the system counts them."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch")

pytestmark = pytest.mark.lab

_PROGRAM = """
import resource, torch
from pneumoscope.lab.machine import keep_freed_memory
keep_freed_memory()
for _ in range(2):
    torch.ones(16_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is tuned on Linux only")
def test_memory_that_was_freed_is_used_again_without_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    pages = 10 * 64_000_000 // 4096
    assert int(done.stdout) < pages / 100
