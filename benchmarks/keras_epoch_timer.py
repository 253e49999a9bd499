"""A Keras callback that times epochs. It runs in the environment of Keras."""

from __future__ import annotations

import time
from typing import Any

import keras


class Clock(keras.callbacks.Callback):
    """Times each epoch: its training batches alone (and their processor time, all threads), and all with validation."""

    def __init__(self) -> None:
        super().__init__()
        self.train_seconds: list[float] = []
        self.epoch_seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self._started = self._last_batch = self._cpu_started = self._cpu_last_batch = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._started, self._cpu_started = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Remember when the last batch was done."""
        self._last_batch, self._cpu_last_batch = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the times."""
        self.train_seconds.append(self._last_batch - self._started)
        self.epoch_seconds.append(time.perf_counter() - self._started)
        self.cpu_seconds.append(self._cpu_last_batch - self._cpu_started)
