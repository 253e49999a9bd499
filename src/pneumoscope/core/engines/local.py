"""The engine of this process: threads, which suffice where libraries release Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from pneumoscope.core.engine import R, T, default_workers

WINDOW_PER_WORKER = 4
"""Items under way per worker: enough that one slow item does not stop the others, few enough to stay small."""


class LocalEngine:
    """Threads of this process.

    Args:
        workers: How many; None: the cores that this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or default_workers()

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
        """Yield the result for each item in order, see `core.engine.Engine.map`."""
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="local-engine")
        window: deque[Future[R]] = deque()
        try:
            for item in items:
                window.append(pool.submit(work, item))
                if len(window) >= self._workers * WINDOW_PER_WORKER:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
