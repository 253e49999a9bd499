"""What a long job says where stderr is no terminal: a line each minute for each task, and nothing after its end."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time

import pytest
from rich.console import Console

from pneumoscope.cli import minute_lines
from pneumoscope.cli.callbacks import RichCallbacks
from pneumoscope.cli.minute_lines import MinuteLines
from pneumoscope.core.callbacks import TRAINING, TrainingStep


def test_a_redirected_job_says_how_far_it_is_although_it_reports_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    said = threading.Event()

    def hear(line: str) -> None:
        lines.append(line)
        if len(lines) >= 3:
            said.set()

    minutes = MinuteLines(hear, interval=0.01)
    minutes.update("predicting", "1,200 of 5,000")
    assert said.wait(10)  # three lines from one report
    minutes.finish("predicting")
    assert set(lines) == {"predicting: 1,200 of 5,000 after 0 min"}
    number = len(lines)
    time.sleep(0.05)
    assert len(lines) <= number + 1  # a line that was being printed; then the thread has ended


def test_bars_are_for_terminals_and_lines_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    states: dict[str, str] = {}
    monkeypatch.setattr(MinuteLines, "update", lambda self, task, state: states.update({task: state}))
    callbacks = RichCallbacks(Console(file=io.StringIO()))
    callbacks.progress("decoding", 30, 100)
    callbacks.progress("comparing", 0, None)
    callbacks.step(TrainingStep(epoch=2, epochs=5, done=30, total=100, loss=0.25, images_per_second=8.0))
    assert states == {
        "decoding": "30 of 100",
        "comparing": "running",
        TRAINING: "epoch 2/5, step 30 of 100, loss 0.250",
    }
    assert minute_lines.INTERVAL == 60


def test_a_short_job_says_nothing_of_its_progress() -> None:
    out = io.StringIO()
    callbacks = RichCallbacks(Console(file=out))
    with callbacks.counting("decoding", 2) as advance:
        advance(2)
    assert out.getvalue() == ""


def test_a_bar_stays_on_the_terminal_while_a_library_is_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the export to Core ML does: its converter writes bars of its own to stderr."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    callbacks = RichCallbacks()
    with contextlib.redirect_stderr(io.StringIO()) as silenced, callbacks.counting("exporting to coreml"):
        pass
    assert "Exporting to coreml" in terminal.getvalue()
    assert silenced.getvalue() == ""
