"""Starting the server's other processes, decoders and workers: each at the far end of a pipe, gone when the server is.

Spawned, not forked: a fork would share the database's connections and the locks of other threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

_NICE = 5
"""Below the server, where the processor is short: it keeps all of them busy, each of them only itself."""


def start(target: Callable[..., object], *args: object) -> tuple[SpawnProcess, Connection[Any, Any]]:
    """Start a process; return it and our end of its pipe.

    Args:
        target: A function of a module, called with ``args`` and the other end of the pipe. It may leave it to us that
            reading from the pipe or writing to it fails once the server is gone.
        args: Can be pickled.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(target, args, theirs), daemon=True)
    process.start()
    theirs.close()  # else its end would never be the pipe's
    return process, ours


def _run(target: Callable[..., object], args: tuple[object, ...], server: Connection[Any, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which then ends its processes
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with suppress(EOFError, OSError):
        target(*args, server)
