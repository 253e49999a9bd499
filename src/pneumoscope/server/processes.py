"""Starting the server's other processes, decoders and workers. Each has one end of a pipe and ends with the server.

They are spawned, not forked: a fork would share the database's connections and the locks of other threads.
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
"""Their priority is below the server's: the server keeps all of them busy, each of them only itself."""


def start(target: Callable[..., object], *args: object) -> tuple[SpawnProcess, Connection[Any, Any]]:
    """Start a process; return it and this side's end of its pipe.

    Args:
        target: A function of a module, called with ``args`` and the other end of the pipe. It need not handle that
            reading from the pipe or writing to it fails once the server is gone.
        args: Values that can be pickled.
    """
    context = multiprocessing.get_context("spawn")
    near_end, far_end = context.Pipe()
    process = context.Process(target=_run, args=(target, args, far_end), daemon=True)
    process.start()
    far_end.close()  # else the pipe would stay open when the process ends
    return process, near_end


def _run(target: Callable[..., object], args: tuple[object, ...], server: Connection[Any, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends its processes
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with suppress(EOFError, OSError):
        target(*args, server)
