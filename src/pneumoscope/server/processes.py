"""Starting the server's other processes, decoders and workers. Each has one end of a pipe and ends with the server.

The server itself is not forked: a fork would share the database's connections and the locks of other threads. On Linux
the processes are forked from one that has imported what they need and has done nothing else, so that their imports take
the time and the memory of one process. Elsewhere each process starts afresh: there libraries of the system may not work
after a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Windows has no ForkServerContext
    from multiprocessing.context import ForkServerContext, SpawnContext

_NICE = 5
"""Their priority is below the server's: the server keeps all of them busy, each of them only itself."""
_IMPORTS = (
    "pneumoscope.server.uploads.decoder_pool",
    "pneumoscope.server.inference.worker",
    "onnxruntime",
    "pydicom",
    "pydicom.pixels",
    "PIL.Image",
)
"""What decoders and workers need; one that is not installed is left out."""


def prepare() -> None:
    """Start the process from which the others are forked, unless it runs: it imports beside what the caller does next.

    Without this call the first process to start waits for those imports.
    """
    if sys.platform == "linux":
        from multiprocessing import forkserver

        _context()
        forkserver.ensure_running()


def start(target: Callable[..., object], *args: object) -> tuple[BaseProcess, Connection[Any, Any]]:
    """Start a process; return it and this side's end of its pipe.

    Args:
        target: A function of a module, called with ``args`` and the other end of the pipe. It need not handle that
            reading from the pipe or writing to it fails once the server is gone.
        args: Values that can be pickled.
    """
    context = _context()
    near_end, far_end = context.Pipe()
    process = context.Process(target=_run, args=(target, args, far_end), daemon=True)
    process.start()
    far_end.close()  # else the pipe would stay open when the process ends
    return process, near_end


def _context() -> SpawnContext | ForkServerContext:
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTS))
    return context


def _run(target: Callable[..., object], args: tuple[object, ...], server: Connection[Any, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends its processes
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with suppress(EOFError, OSError):
        target(*args, server)
