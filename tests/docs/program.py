"""Run the program without waiting for its imports: a process imports what commands use, and forks for each command.

Run by itself it is that process: it reads one JSON line for each command and answers with its exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Program:
    """The program `pneumoscope`, its imports done; each command runs in a process of its own, as from a shell.

    Args:
        environment: Variables of the process that forks; a command may have others.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def run(self, arguments: list[str], folder: Path, environment: dict[str, str], output: Path) -> int:
        """Run a command in ``folder``, both streams to the file ``output``; return its exit code."""
        request = {"arguments": arguments, "folder": str(folder), "environment": environment, "output": str(output)}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process that forks."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)


def _run(request: dict[str, Any]) -> None:
    """Become the command: never returns."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    code = 1
    try:
        sys.argv = ["pneumoscope", *request["arguments"]]
        from pneumoscope.cli.main import run

        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    import pneumoscope.bundle.runtime
    import pneumoscope.data.manifest
    import pneumoscope.stats.figures
    import pneumoscope.workflows.train  # noqa: F401  torch and all that trains

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
