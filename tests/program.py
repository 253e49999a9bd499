"""Run the program and scripts without waiting for imports: a process imports what they use, and forks for each.

Run by itself it is that process: on a Unix socket it reads one JSON line for each request and answers with the exit
code.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from exports import reuse_exports, reuse_operator_table

_SOURCE = Path(__file__).parents[1] / "src"
_SHELL = set("|&;<>$*`")
"""A command with one of these needs a shell."""


class Program:
    """The program `pneumoscope` and its Python, imports done; each command runs in a process of its own.

    All test processes of a run share the process that forks: its imports take 20 seconds of a core. It ends when the
    last of them closes its connection.

    Args:
        folder: Folder of the test run, which all its processes share.
        variables: Variables of the process that forks; a command may have others.
        torch: Whether torch is imported, where it is installed.
    """

    def __init__(self, folder: Path, variables: dict[str, str], *, torch: bool = True) -> None:
        kind = "torch" if torch else "base"
        self._address, self._started = folder / f"program-{kind}.txt", None
        with (folder / f"program-{kind}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self._lease = self._connect()
            except OSError:  # none runs yet, or the last one has ended
                self._started = subprocess.Popen(
                    [sys.executable, __file__, kind, str(self._address)], env=variables, stdout=subprocess.PIPE
                )
                assert self._started.stdout is not None
                self._started.stdout.readline()  # it listens
                self._started.stdout.close()
                self._lease = self._connect()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._address.read_text(encoding="utf-8"))
        except OSError:
            connection.close()
            raise
        return connection

    def run(self, command: list[str], folder: Path, environment: dict[str, str], output: Path) -> int:
        """Run a command in ``folder``, both streams to the file ``output``; return its exit code.

        Args:
            command: `pneumoscope ...`, `python -c CODE` or `python FILE ...`. With another package on PYTHONPATH it
                runs with that one.
            folder: The working folder.
            environment: All variables.
            output: A file that is written.
        """
        request = {"command": command, "folder": str(folder), "environment": environment, "output": str(output)}
        with self._connect() as connection, connection.makefile("rw", encoding="utf-8") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            return int(stream.readline())

    def close(self) -> None:
        """End the process that forks, unless another test process uses it."""
        self._lease.close()
        if self._started is not None:
            with suppress(subprocess.TimeoutExpired):
                self._started.wait(timeout=1)
            self._started.returncode = self._started.returncode or 0  # it may go on for others: no warning of that


def environment(folder: Path) -> dict[str, str]:
    """A user's environment with the program on the path, data and cache in ``folder``, and no network."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(_SOURCE),
        "PNEUMOSCOPE_HOME": str(folder / "home"),
        "PNEUMOSCOPE_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "110",
        "NO_COLOR": "1",
    }


def without_shell(command: str) -> list[str] | None:
    """Return the words of a command line that `Program` can run, or None where it needs a shell or another program."""
    if "\n" in command.replace("\\\n", " ") or (set(command) & _SHELL and not command.startswith("python -c ")):
        return None
    words = shlex.split(command.replace("\\\n", " "))
    if words[0] == "pneumoscope" or (words[0] == "python" and len(words) > 1 and words[1] != "-m"):
        return words
    return None


def _become(request: dict[str, Any]) -> None:
    """Become the command: never returns."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    source = request["environment"].get("PYTHONPATH", str(_SOURCE))
    if source != str(_SOURCE):
        for name in [name for name in sys.modules if name.partition(".")[0] == "pneumoscope"]:
            del sys.modules[name]
    sys.path.insert(0, source)
    code = 1
    try:
        _run(request["command"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(command: list[str]) -> None:
    name, *sys.argv = command
    if name == "pneumoscope":
        sys.argv.insert(0, name)
        from pneumoscope.cli.main import run

        run()
    elif sys.argv[0] == "-c":
        exec(compile(sys.argv.pop(1), "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


def _import_base() -> None:

    import pneumoscope.bundle.runtime
    import pneumoscope.data.manifest
    import pneumoscope.stats.figures  # noqa: F401


def _import_training() -> None:
    import torch

    import pneumoscope.workflows.train  # noqa: F401  all that trains
    from pneumoscope.export.onnx import export_onnx

    reuse_operator_table()

    class Graph(torch.nn.Module):
        """The smallest graph: its export loads what every export loads, once for all commands."""

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(image * scale for scale in range(2, 7))

    with TemporaryDirectory() as folder:
        export_onnx(Graph(), Path(folder) / "model.onnx")


def _serve(kind: str, address: Path) -> None:
    """Answer requests until every test process has closed its connection.

    A connection that sends nothing stays open for as long as its test process lives. One that sends a request is
    answered by a process of its own, so that the others need not wait.
    """
    path = Path(mkdtemp(prefix="program-"), "socket")  # short: the path of a socket has 100 bytes
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    address.write_text(str(path), encoding="utf-8")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # nobody reads on
    os.fsync = lambda descriptor: None  # what a test writes need not outlive a power cut
    _import_base()
    if kind == "torch" and find_spec("torch"):
        _import_training()
        reuse_exports(address.parent)
    gc.freeze()  # no command searches what was imported for garbage: trainings take a tenth of the time less
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that answer
    open_connections: set[socket.socket] = set()
    while True:
        ready, _, _ = select.select([listener, *open_connections], [], [])
        for one in ready:
            if one is listener:
                open_connections.add(listener.accept()[0])
                continue
            open_connections.remove(one)
            if one.recv(1, socket.MSG_PEEK) and os.fork() == 0:
                listener.close()
                _answer(one)
            one.close()
        if not open_connections:
            break
    path.unlink()
    path.parent.rmdir()
    os._exit(0)  # taking torch apart takes seconds


def _answer(connection: socket.socket) -> None:
    """Run the command that a connection asks for, send its exit code, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stream = connection.makefile("rw", encoding="utf-8")
    request = json.loads(stream.readline())
    child = os.fork()
    if child == 0:
        connection.close()
        _become(request)
    _, status = os.waitpid(child, 0)
    stream.write(f"{os.waitstatus_to_exitcode(status)}\n")
    with suppress(BrokenPipeError):
        stream.flush()
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
