"""The engines by name, and how a job opens one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pneumoscope.core.arguments import argument
from pneumoscope.core.engine import Engine
from pneumoscope.core.engines.local import LocalEngine
from pneumoscope.core.engines.ray import AUTO, RayEngine, split_address
from pneumoscope.core.errors import UsageError
from pneumoscope.core.registry import check_name

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)


def check_engine(name: str, address: str | None) -> None:
    """Check the choice of an engine before any work begins.

    Args:
        name: "local" or "ray".
        address: Of a Ray cluster; None without one.

    Raises:
        UsageError: There is no such engine, the local one has an address, or the address is none.
    """
    check_name(name, ENGINES, "engine", "engine")
    if address is None:
        return
    if name != RAY:
        raise UsageError(argument("address", address), "is of a Ray cluster.", f"Add {argument('engine', RAY)}.")
    if address != AUTO and split_address(address) is None:
        raise UsageError(
            argument("address", address),
            "is no address of a Ray cluster.",
            "Give HOST:PORT, as Ray prints it on its first machine, or auto on one of them.",
        )


@contextmanager
def open_engine(
    name: str = LOCAL,
    *,
    workers: int | None = None,
    address: str | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[Engine]:
    """Open an engine for the time of a job.

    Args:
        name: "local": threads of this process. "ray": processes, each with its own model.
        workers: Threads or processes; None: one for each core of this machine or of the cluster.
        address: Of a Ray cluster; None: this machine.
        on_note: Receives sentences for the user.

    Yields:
        The engine.

    Raises:
        UsageError: See `check_engine`.
        MissingExtraError: Ray is not installed.
        PneumoscopeError: The cluster cannot be reached.
    """
    check_engine(name, address)
    if name == LOCAL:
        yield LocalEngine(workers)
        return
    with RayEngine(workers, address, on_note) as engine:
        yield engine
