"""Reads malformed and odd files of every format that the program reads, and counts what goes wrong.

    python benchmarks/malformed_files.py [FOLDER] [--count 20000] [--seed 1] [--formats png,dicom] [--json result.json]

Files of FOLDER (without one: phantoms) and copies of them in other forms (TIFF, WebP, DICOM's transfer syntaxes, tables
with other separators, a manifest) are mutated: bytes in any format, and the parts of a format with the rest kept right
(`malformed_mutations.py`). File number N of a seed is the same in every run, so that `--start` goes on and
`--start N --count 1` repeats one. `ps.read` reads an image, the source `csv` a table, `Manifest.read` a Parquet file,
the source `darwin` an annotation, each in a child process whose memory is measured and limited. Counted are:

*traceback*: another exception than the package's; *hidden*: a slip in the package's own code behind an error of it.
*crash*: the process ended. *slow*: more than 5 s of processor time. *memory*: more than 1 GB in the process.
*message*: an error without the file's name, a rule or a full stop; with control characters, over-long lines, a
patient's name or a Python class in place of a rule. *terminal*: something was written to standard output or error.

The exit code is 1 if anything was counted. `--failures` keeps those files.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from malformed_mutations import mutate
from malformed_seeds import IMAGES, MARKER, write_seeds

SLOW = 5.0
"""Seconds of processor time that one file may take."""
_HANG = 30.0
"""Seconds by the clock after which a child is ended: a busy machine needs longer than `SLOW`."""
MEMORY = 1e9
"""Bytes that the process may hold, with the interpreter and all libraries."""
_ADDRESSES = 4 * 2**30
"""Bytes of address space that a child may use beyond what it begins with."""
FAULTS = ("traceback", "hidden", "crash", "slow", "memory", "message", "terminal")
SHARES = {"png": 3, "jpeg": 3, "dicom": 4, "tiff": 3, "webp": 2, "csv": 2, "parquet": 1, "json": 1, "other": 1}
"""Of so many files in 20 a format's are mutated."""
_SLIPS = (AttributeError, TypeError, AssertionError, NameError, IndexError, KeyError, ZeroDivisionError, RecursionError)
_LONGEST_LINE, _LONGEST_WORD = 20_000, 300
_CLASS = re.compile(r"\b(?:[A-Z][a-z]+)*(?:Error|Exception)\b|Traceback")


@dataclass
class Outcome:
    """What became of one file.

    Attributes:
        number: Of the mutation.
        form: Format of the file.
        mutation: Names of the mutations.
        verdict: ``read``, ``refused``, ``traceback`` or ``crash``.
        faults: Among `FAULTS`.
        message: The error.
        seconds: Of processor time.
        peak: Bytes that the process held.
        name: Of the file that was written.
    """

    number: int
    form: str
    mutation: str
    verdict: str = "read"
    faults: list[str] = field(default_factory=list)
    message: str = ""
    seconds: float = 0.0
    peak: int = 0
    name: str = ""


def read_file(path: Path, form: str, images: Path) -> None:
    """Read a file as a user's program would; ``images`` is the folder of the images that a table names."""
    import pneumoscope as ps
    from pneumoscope.data.source import ImportOptions
    from pneumoscope.data.sources import csv, darwin

    if form == "parquet":
        ps.Manifest.read(path)
    elif form == "json":
        darwin.SOURCE.list_images(path.parent, ImportOptions(images=images))
    elif form == "csv":
        columns = {"patient_id": "patient_id", "age": "age", "sex": "sex", "view": "view"}
        options = ImportOptions(columns=columns, images=images, drop_missing=True, drop_unmapped=True)
        csv.SOURCE.list_images(path, options)
    else:
        ps.read(path)


def message_faults(error: Any, path: Path) -> list[str]:
    """Return what is wrong with the text of an error."""
    text, problem, faults = str(error), error.problem.rstrip(), []
    names = (str(path), path.name, path.parent.name, "images", "cell breaks", "cells break", "manifest")
    if not any(name in text for name in names) and "`" not in error.thing:
        faults.append("names no file")
    if not problem or (problem[-1] not in ".?!" and "\n" not in problem):
        faults.append("no full stop after the problem")
    if error.way_out and error.way_out.rstrip()[-1] not in ".?!`'\")" and "pip install" not in error.way_out:
        faults.append("no full stop after the way out")
    if any(not letter.isprintable() and letter != "\n" for letter in text):
        faults.append("control characters")
    bare = text.replace(str(path.parent), "")
    if max(map(len, bare.split("\n"))) > _LONGEST_LINE or max(map(len, bare.split())) > _LONGEST_WORD:
        faults.append("a line or a word is over-long")
    if MARKER in text:
        faults.append("the patient's name")
    if _CLASS.search(text):
        faults.append("a Python class")
    return faults


def _is_slip(error: Any) -> bool:
    """Return whether an error hides a slip of the package's own code, which should have checked its input.

    `ps.read` has one handler for whatever a library raises; a slip ends there too.
    """
    if "damaged or unsupported" not in str(error) or not isinstance(error.__cause__, _SLIPS):
        return False
    frames = traceback.extract_tb(error.__cause__.__traceback__)
    return bool(frames) and "/pneumoscope/" in frames[-1].filename


def examine(number: int, seed: int, seeds: dict[str, list[Path]], folder: Path) -> tuple[Outcome, Path]:
    """Write mutation ``number``; return what is known of it before it is read, and its path."""
    draw = random.Random(f"{seed} {number}")
    cycle = [form for form in SHARES if form in seeds for _ in range(SHARES[form])]
    form = cycle[number % len(cycle)]
    source = draw.choice(seeds[form])
    data, mutation = mutate(source.read_bytes(), form, draw)
    # Sources list a folder, so that the file has one of its own.
    path = folder / str(number) / f"{number}{source.suffix}"
    path.parent.mkdir()
    path.write_bytes(data)
    return Outcome(number, form, mutation, name=f"{number}/{path.name}"), path


def serve(connection: Connection, seed: int, seeds: dict[str, list[Path]], folder: Path) -> None:
    """Read files by the numbers that come, until the connection ends. It is the child's whole life."""
    from pneumoscope.core.errors import PneumoscopeError

    images = folder.parent / "seeds" / IMAGES
    log = os.open(folder / f"{os.getpid()}.log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for form, paths in seeds.items():  # libraries are loaded, so that no file pays for them
        (warm := folder / f"warm {os.getpid()} {form}").mkdir()
        shutil.copy(paths[0], warm / f"a{paths[0].suffix}")
        try:
            read_file(warm / f"a{paths[0].suffix}", form, images)
        except PneumoscopeError as error:
            connection.send(f"{paths[0].name} is not readable unchanged: {error}")
        shutil.rmtree(warm)
    os.dup2(log, 1)
    os.dup2(log, 2)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + _ADDRESSES, now + _ADDRESSES))
    connection.send("ready")
    while True:
        try:
            number = connection.recv()
        except EOFError:
            return
        outcome, path = examine(number, seed, seeds, folder)
        connection.send(outcome)  # so that a crash can be told
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
        written, begun = os.fstat(log).st_size, time.process_time()
        try:
            read_file(path, outcome.form, images)
        except PneumoscopeError as error:
            outcome.verdict, outcome.message = "refused", str(error)
            outcome.faults += ["message"] if (wrong := message_faults(error, path)) else []
            outcome.faults += ["hidden"] if _is_slip(error) else []
            outcome.message = f"{'; '.join(wrong)}: {error}" if wrong else str(error)
            if "hidden" in outcome.faults:
                outcome.message += "".join(traceback.format_exception(error.__cause__)[-3:])
        except BaseException as error:
            outcome.verdict, outcome.faults = "traceback", ["traceback"]
            outcome.message = "".join(traceback.format_exception(error)[-4:])
        outcome.seconds = time.process_time() - begun
        outcome.peak = _peak()
        sys.stdout.flush()
        sys.stderr.flush()
        if size := os.fstat(log).st_size - written:
            outcome.faults.append("terminal")
            outcome.message += " Written: " + os.pread(log, min(size, 500), written).decode("utf-8", "replace")
        outcome.faults += ["slow"] if outcome.seconds > SLOW else []
        outcome.faults += ["memory"] if outcome.peak > MEMORY else []
        connection.send(outcome)


def _peak() -> int:
    """Return the largest resident size since the last reset, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]


class Child:
    """A process that reads files, and is replaced when it ends."""

    def __init__(self, seed: int, seeds: dict[str, list[Path]], folder: Path) -> None:
        self._arguments = seed, seeds, folder
        self.number = 0
        self.outcome: Outcome | None = None
        self.deadline = 0.0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        self.process.start()
        theirs.close()
        while (word := self.connection.recv()) != "ready":
            print(f"note: {word}")

    def ask(self, number: int) -> None:
        """Have a file read."""
        # Writing the file is not the program's time: a large one takes long to compress.
        self.number, self.outcome, self.deadline = number, None, time.monotonic() + 10 * _HANG
        self.connection.send(number)

    def end(self) -> Outcome:
        """Return the outcome of a process that crashed or hangs, and start another."""
        hangs = self.process.is_alive() and time.monotonic() > self.deadline
        if hangs:
            self.process.kill()
        self.process.join()
        code = self.process.exitcode or 0
        outcome = self.outcome or Outcome(self.number, "unknown", "before it was read")
        outcome.verdict, outcome.faults = "crash", ["slow" if hangs else "crash"]
        outcome.message = f"no answer in {_HANG:.0f} s" if hangs else f"ended by {_signal_name(code)}"
        self._start()
        return outcome


def _signal_name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def run(options: argparse.Namespace, folder: Path, seeds: dict[str, list[Path]]) -> list[Outcome]:
    """Return the outcome of every file."""
    numbers = iter(range(options.start, options.start + options.count))
    children = [Child(options.seed, seeds, folder) for _ in range(options.workers)]
    busy: dict[Connection, Child] = {}
    outcomes: list[Outcome] = []
    for child in children:
        if (number := next(numbers, None)) is not None:
            child.ask(number)
            busy[child.connection] = child
    while busy:
        ready = wait(list(busy), timeout=1)
        late = [key for key, child in busy.items() if key not in ready and time.monotonic() > child.deadline]
        for key in [*ready, *late]:
            child = busy[key]  # type: ignore[index]
            try:
                if key in late:
                    raise EOFError
                outcome = child.connection.recv()
                if child.outcome is None:
                    child.outcome, child.deadline = outcome, time.monotonic() + _HANG
                    continue
            except (EOFError, ConnectionError):
                outcome = child.end()
            del busy[key]  # type: ignore[arg-type]
            outcomes.append(outcome)
            _file_away(outcome, folder, options.failures)
            if options.progress and len(outcomes) % options.progress == 0:
                wrong = sum(bool(each.faults) for each in outcomes)
                print(f"{len(outcomes):,} of {options.count:,} files, {wrong} with faults", flush=True)
            if (number := next(numbers, None)) is not None:
                child.ask(number)
                busy[child.connection] = child
    for child in children:
        child.connection.close()
        child.process.join()
    return outcomes


def _file_away(outcome: Outcome, folder: Path, failures: Path | None) -> None:
    """Delete a file that was read, or keep it among the failures."""
    path = folder / outcome.name
    if outcome.faults and outcome.name:
        print(
            f"{outcome.number} {outcome.form} {outcome.mutation}: {', '.join(outcome.faults)}: {outcome.message[:600]}"
        )
        if failures is not None:
            failures.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, failures / f"{'-'.join(outcome.faults)} {path.name}")
    if outcome.name:
        shutil.rmtree(path.parent)


def summarise(outcomes: list[Outcome]) -> dict[str, dict[str, int | float]]:
    """Return the counts of each format, and of all."""
    table: dict[str, dict[str, int | float]] = {}
    for form in (*dict.fromkeys(each.form for each in sorted(outcomes, key=lambda each: each.form)), "all"):
        some = [each for each in outcomes if form in (each.form, "all")]
        counts = Counter(each.verdict for each in some) + Counter(fault for each in some for fault in set(each.faults))
        table[form] = {
            "files": len(some),
            **{name: counts[name] for name in ("read", "refused", *FAULTS)},
            "longest s": round(max(each.seconds for each in some), 2),
            "peak MB": round(max(each.peak for each in some) / 1e6),
        }
        # A traceback and a crash are verdicts and faults, and count once.
        for name in ("traceback", "crash"):
            table[form][name] = sum(name in each.faults for each in some)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="real files; without a folder phantoms are drawn")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--start", type=int, default=0, help="number of the first file, to go on or to repeat one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", default="", help="only these, with commas between them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--progress", type=int, default=1000, help="a line after so many files; 0: none")
    parser.add_argument("--failures", type=Path, help="folder that keeps the files with faults")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        seeds = write_seeds(options.folder, Path(name) / "seeds", options.seed)
        if options.formats:
            seeds = {form: seeds[form] for form in options.formats.split(",")}
        (folder := Path(name) / "files").mkdir()
        outcomes = run(options, folder, seeds)
    table = summarise(outcomes)
    titles = list(table["all"])
    print("\n| format | " + " | ".join(titles) + " |\n" + "|---" * (len(titles) + 1) + "|")
    for form, row in table.items():
        print(f"| {form} | " + " | ".join(f"{value:,}" for value in row.values()) + " |")
    minutes = (time.perf_counter() - begun) / 60
    print(f"\nseed {options.seed}, files {options.start} to {options.start + options.count - 1}, {minutes:.1f} min")
    if options.json:
        report = {
            "seed": options.seed,
            "start": options.start,
            "formats": table,
            "faults": [vars(each) for each in outcomes if each.faults],
        }
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(any(each.faults for each in outcomes))


if __name__ == "__main__":
    main()
