"""Limits that the operating system holds a process to: its memory (setrlimit) and its computing time (setitimer).

They are the last line behind the limits of each decoder: a library that asks for gigabytes gets no memory, and one that
never ends is ended, whatever the file was. Windows has no such calls; there the limits of time of the server remain.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

OUT_OF_TIME = -int(getattr(signal, "SIGPROF", 0)) or None
"""Exit code of a process that has used up its computing time; None where there is no such limit."""


def limit_memory(extra: int | None) -> None:
    """Let this process map so many bytes more than it does now; more ends in a `MemoryError`.

    Args:
        extra: Bytes of address space (RLIMIT_AS); None: no limit. Call this when the libraries are imported: they map
            much and use little of it.
    """
    if extra is None:
        _set_soft("RLIMIT_AS", None)
        return
    with suppress(OSError, ValueError):  # no /proc, or a lower hard limit: the machine's own rule holds
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _set_soft("RLIMIT_AS", pages * resource.getpagesize() + extra)
        _set_soft("RLIMIT_CORE", 0)  # a dump would hold the patient's image


def limit_computing_time(seconds: float | None) -> None:
    """Let this process compute for so many seconds more; then the system ends it with `OUT_OF_TIME`.

    Args:
        seconds: Of all threads together, more than 0; None: no limit. RLIMIT_CPU would count whole seconds alone.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, 0 if seconds is None else seconds)


def _set_soft(name: str, limit: int | None) -> None:
    if resource is None:
        return
    number = getattr(resource, name)
    hard = resource.getrlimit(number)[1]
    soft = resource.RLIM_INFINITY if limit is None else limit
    if hard != resource.RLIM_INFINITY and (limit is None or limit > hard):
        soft = hard
    resource.setrlimit(number, (soft, hard))
