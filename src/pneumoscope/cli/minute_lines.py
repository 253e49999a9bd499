"""Progress where stderr is no terminal: one line a minute for each task, so that a log shows that the work goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

INTERVAL = 60.0
"""Seconds between two lines of a task."""


class MinuteLines:
    """Prints the state of the running tasks at intervals, from a thread of its own that ends with the last task.

    A thread, because a task may say nothing for minutes: loading, one long computation, a slow disk.

    Args:
        print_line: Receives each line.
        interval: Seconds between two lines of a task.
    """

    def __init__(self, print_line: Callable[[str], None], interval: float = INTERVAL) -> None:
        self._print_line = print_line
        self._interval = interval
        self._states: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def update(self, task: str, state: str) -> None:
        """Set what the next line says of a task; the first call begins it."""
        with self._lock:
            started, _ = self._states.get(task, (time.monotonic(), ""))
            self._states[task] = started, state
            if self._thread is None:
                self._wake = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(self._wake,), daemon=True)
                self._thread.start()

    def finish(self, task: str) -> None:
        """Forget a task; the thread ends with the last one."""
        with self._lock:
            self._states.pop(task, None)
            if not self._states and self._thread is not None:
                self._wake.set()
                self._thread = None

    def _run(self, wake: threading.Event) -> None:
        while not wake.wait(self._interval):
            with self._lock:
                states = dict(self._states)
            for task, (started, state) in states.items():
                minutes = (time.monotonic() - started) / 60
                self._print_line(f"{task}: {state} after {minutes:.0f} min")
