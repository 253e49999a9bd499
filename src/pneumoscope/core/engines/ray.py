"""The engine of many processes and machines: Ray actors, of which each holds the work, and so one model, in memory.

Items go out in shards of a few and come back in order. A shard whose process or machine dies is done again by another
one. Only this process hands out results, and it hands out each shard once: no item is lost or comes twice.

Ray's actors do this without Ray Data: its pipelines retry too, but keep no order from which a stopped run could go on.
Reference: Moritz et al., Ray: a distributed framework for emerging AI applications (OSDI 2018).
"""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pneumoscope import __version__
from pneumoscope.core.counts import format_count
from pneumoscope.core.engine import R, T, default_workers
from pneumoscope.core.errors import MissingExtraError, PneumoscopeError

SHARD = 16
"""Items of a shard: seconds of work, so that sending it costs nothing and losing it costs little."""

WINDOW_PER_WORKER = 4
"""Shards per worker that may wait for a slow one before them: they are in this process's memory."""

MOST_DEATHS = 3
"""Deaths of a worker on the same shard, or on its start, after which the run ends."""

OBJECT_STORE_BYTES = 512 * 2**20
"""Shared memory of a local Ray: it holds the model and the shards under way. Ray's own default is 30% of all memory."""

PATIENCE = 60.0
"""Seconds without any result or new worker after which a note says what the run waits for."""

AUTO = "auto"
"""The address by which Ray finds the cluster that this machine is one of."""

REACH_SECONDS = 10.0
"""Seconds in which a cluster's machine must take a connection: Ray itself tries for minutes."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray reports its use to its makers otherwise
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # workers see the same accelerators as this process
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray reads it on import: a Ray of one machine then listens on the loopback address, on Linux too."""


@dataclass(slots=True)
class _Shard:
    number: int
    items: list[Any]
    deaths: int = 0


class _Worker:
    """What runs in a process of its own: it takes over the work once and answers shards of items."""

    def __init__(self) -> None:
        self._work: tuple[str, Callable[[Any], Any] | None] = ("", None)

    def versions(self) -> tuple[str, str]:
        """Return the versions of this program and of Python."""
        return __version__, platform.python_version()

    def run(self, work: list[Any], items: list[Any]) -> list[Any]:
        """Return the result for each item; ``work`` holds one reference, which Ray resolves here and only once."""
        import ray

        name = work[0].hex()
        if self._work[0] != name:
            self._work = name, ray.get(work[0])
        call = self._work[1]
        assert call is not None
        return [call(item) for item in items]


class RayEngine:
    """Ray actors; use as a context manager.

    Args:
        workers: How many processes; None: one for each core of the machine or of the cluster.
        address: Of a cluster (``HOST:PORT``, or ``auto`` on one of its machines); None: a Ray on this machine alone,
            which listens on the loopback address and ends with the context.
        on_note: Receives a sentence for the user: how many workers there are, and each one that died.
    """

    def __init__(
        self, workers: int | None = None, address: str | None = None, on_note: Callable[[str], None] | None = None
    ) -> None:
        self._wanted, self._address = workers, address
        self._note = on_note or (lambda _: None)
        self._ray: Any = None
        self._owned = False
        self._count = 0
        self._free: list[Any] = []
        self._starting: dict[Any, Any] = {}
        """Reference of an answer -> the actor that will give it once it runs."""
        self._failed_starts = 0

    def __enter__(self) -> RayEngine:
        self._ray = _import_ray(local=self._address is None)
        if not self._ray.is_initialized():
            self._owned = True
            self._connect()
        try:
            cores = int(self._ray.cluster_resources().get("CPU", 1))
            self._count = max(1, min(self._wanted or cores, cores))
            machines = len([node for node in self._ray.nodes() if node["Alive"]])
            self._note(
                f"Ray {self._ray.__version__}: {format_count(self._count, 'worker')} on "
                f"{format_count(machines, 'machine')} with {format_count(cores, 'core')}."
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for actor in [*self._free, *self._starting.values()]:
            with suppress(Exception):  # a cluster that has gone has ended its processes itself
                self._ray.kill(actor)
        self._free.clear()
        self._starting.clear()
        if self._owned:
            self._ray.shutdown()

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
        """Yield the result for each item in order, see `core.engine.Engine.map`."""
        reference = self._ray.put(work)
        shards = _cut(items)
        again: deque[_Shard] = deque()
        running: dict[Any, tuple[Any, _Shard]] = {}
        results: dict[int, list[R]] = {}
        first = 0
        ahead = True
        try:
            while True:
                while len(self._free) + len(self._starting) + len(running) < self._count:
                    self._start()
                while self._free and (again or ahead):
                    if again:
                        shard = again.popleft()
                    elif len(running) + len(results) >= self._count * WINDOW_PER_WORKER:
                        break  # the first shard is slow: what is done waits in memory, so that more must wait elsewhere
                    elif (new := next(shards, None)) is None:
                        ahead = False
                        break
                    else:
                        shard = new
                    actor = self._free.pop()
                    running[actor.run.remote([reference], shard.items)] = actor, shard
                if not (running or again or ahead):
                    return
                self._collect(running, results, again)
                while first in results:
                    yield from results.pop(first)
                    first += 1
        finally:
            for actor, _ in running.values():
                self._ray.kill(actor)

    def _connect(self) -> None:
        ray = self._ray
        if self._address is not None:
            _check_reachable(self._address)
            try:
                ray.init(address=self._address, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError, RuntimeError, OSError) as error:
                raise _unreachable(self._address, " ".join(str(error).split())[:300]) from error
            return
        ray.init(
            address="local",
            num_cpus=self._wanted or default_workers(),
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
        host = ray.util.get_node_ip_address()
        if not ipaddress.ip_address(host).is_loopback:
            ray.shutdown()
            raise PneumoscopeError(
                "Ray",
                f"was imported before this engine, and would listen on {host}, where other machines reach it.",
                f"Set {' '.join(f'{name}={value}' for name, value in _LOOPBACK.items())} before Python starts.",
            )

    def _start(self) -> None:
        """Ask for one more worker; it counts as free once it answers."""
        # No restart by Ray itself: a death must be counted and told here, and must not run a shard behind our back.
        actor = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Worker).remote()
        self._starting[actor.versions.remote()] = actor

    def _collect(
        self, running: dict[Any, tuple[Any, _Shard]], results: dict[int, list[Any]], again: deque[_Shard]
    ) -> None:
        """Wait until a worker has answered, started or died, and file what came of it."""
        ray = self._ray
        ready, _ = ray.wait([*running, *self._starting], timeout=PATIENCE)
        if not ready and not running:
            self._note(f"No worker has started in {PATIENCE:.0f} s: the cluster has no free core. Waiting for one.")
        for answer in ready:
            if (actor := self._starting.pop(answer, None)) is not None:
                self._welcome(answer, actor)
                continue
            actor, shard = running.pop(answer)
            try:
                results[shard.number] = ray.get(answer)
                self._free.append(actor)
            except ray.exceptions.RayTaskError as error:
                self._free.append(actor)
                raise (error.cause or error) from None
            except ray.exceptions.RayError as error:  # the process or the machine is gone, or the answer with it
                with suppress(Exception):
                    ray.kill(actor)
                shard.deaths += 1
                if shard.deaths >= MOST_DEATHS:
                    raise _deadly(shard, error) from error
                self._note(f"A worker died; its {format_count(len(shard.items), 'item')} are done again by another.")
                again.append(shard)

    def _welcome(self, answer: Any, actor: Any) -> None:
        """Take a worker that has started into use."""
        own = __version__, platform.python_version()
        try:
            versions = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts < MOST_DEATHS:
                self._note("A worker died before it could work; another one is started.")
                return
            way_out = f"Each machine of the cluster needs pneumoscope {__version__} with the extra 'ray'."
            if isinstance(error, self._ray.exceptions.OutOfMemoryError):
                way_out = "End other programs of that machine, or take fewer workers."
            raise PneumoscopeError("a worker of Ray", f"could not start: {_reason(error)}", way_out) from error
        if versions != own:
            raise PneumoscopeError(
                "a worker of Ray",
                f"runs pneumoscope {versions[0]} on Python {versions[1]}, and this is {own[0]} on {own[1]}.",
                "Install the same versions on each machine of the cluster: others may give other rows.",
            )
        self._failed_starts = 0
        self._free.append(actor)


def split_address(address: str) -> tuple[str, int] | None:
    """Return host and port of ``HOST:PORT``; None where it is none.

    Args:
        address: Of a cluster. An IPv6 address stands in brackets.
    """
    host, colon, port = address.rpartition(":")
    named = re.fullmatch(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+", host)
    if not (colon and named and re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        return None
    return host.strip("[]"), int(port)


def _check_reachable(address: str) -> None:
    """Refuse an address where nothing answers, at once.

    Raises:
        PneumoscopeError: Nothing does.
    """
    # Ray takes the address for `auto` from this setting first, and from the processes of this machine then.
    if (where := split_address(os.environ.get("RAY_ADDRESS", "") if address == AUTO else address)) is None:
        return
    try:
        socket.create_connection(where, REACH_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error


def _unreachable(address: str, reason: str) -> PneumoscopeError:
    return PneumoscopeError(
        f"the Ray cluster {address}",
        f"cannot be reached: {reason.rstrip('.')}.",
        "Start Ray on its first machine, and give the host and the port that it prints.",
    )


def _import_ray(*, local: bool) -> Any:
    """Return the library, told to send nothing to its makers and, for a local Ray, to listen on loopback only."""
    os.environ.update(_SETTINGS)
    added = {name: value for name, value in _LOOPBACK.items() if local and name not in os.environ}
    os.environ.update(added)
    try:
        import ray
        import ray.exceptions
        import ray.util
    except ModuleNotFoundError as error:
        raise MissingExtraError("the engine ray", "ray") from error
    return ray


def _cut(items: Iterable[Any]) -> Iterator[_Shard]:
    """Yield contiguous shards of the items."""
    remaining, number = iter(items), 0
    while some := list(islice(remaining, SHARD)):
        yield _Shard(number, some)
        number += 1


def _deadly(shard: _Shard, error: Exception) -> PneumoscopeError:
    names = [str(item)[:200] for item in (shard.items[0], shard.items[-1])]
    return PneumoscopeError(
        f"items {names[0]} to {names[1]}",
        f"ended {MOST_DEATHS} worker processes, one after the other: {_reason(error)}",
        "One of these images may need more memory than there is, or be damaged so that its decoder fails. Try them "
        'with `engine="local"`, and leave out the one that fails; what was done before them is kept.',
    )


def _reason(error: Exception) -> str:
    """Return why a worker ended: the last line, or, where Ray ended it to save memory, how much was used."""
    text = str(error).strip()
    if used := re.search(r"Memory on the node \(IP: ([^,]+),.*?\) was (\S+) used / (\S+) limit", text):
        host, now, limit = used.groups()
        return f"the memory of the machine {host} is used up ({now} of {limit}), and Ray ended the process."
    return (text.splitlines() or [type(error).__name__])[-1].strip()[:300]
