"""Keeps a server's workers alive: starts them, starts another for one that has ended, stops them."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from multiprocessing.context import SpawnProcess

from pneumoscope.serve import queue
from pneumoscope.serve.secret import new_id
from pneumoscope.serve.settings import Settings
from pneumoscope.serve.store import Store
from pneumoscope.serve.worker import work

_LOOK = 0.5
_PATIENCE = 5.0
"""Seconds that a worker which is told to stop gets to do so."""


class Supervisor:
    """Worker processes of one server."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._processes: dict[str, SpawnProcess] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start the workers and watch over them."""
        for _ in range(self._settings.workers):
            self._start_one()
        self._thread.start()

    def stop(self) -> None:
        """Stop the workers; what they were at waits in the queue again."""
        self._stop.set()
        self._thread.join()
        for process in self._processes.values():
            process.terminate()
        for name, process in self._processes.items():
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
            queue.release(self._store, name, counted=False)
        self._processes.clear()

    def _start_one(self) -> None:
        name = new_id()
        # Spawned, not forked: a fork would share the database's connections and the locks of other threads.
        process = multiprocessing.get_context("spawn").Process(target=work, args=(self._settings, name), daemon=True)
        process.start()
        self._processes[name] = process

    def _watch(self) -> None:
        log = logging.getLogger(__name__)
        while not self._stop.wait(_LOOK):
            try:
                self._bury(log)
                while len(self._processes) < self._settings.workers:
                    self._start_one()
            except Exception as error:  # no memory, no database: look again; leases run out by themselves
                log.error("workers: %s", type(error).__name__)

    def _bury(self, log: logging.Logger) -> None:
        for name, process in list(self._processes.items()):
            if process.is_alive():
                continue
            log.error("worker %s ended with code %s; another takes its place", name, process.exitcode)
            del self._processes[name]
            queue.release(self._store, name, counted=True)
            time.sleep(_LOOK)  # one that ends at once must not be started a thousand times
