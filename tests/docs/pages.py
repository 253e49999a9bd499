"""Read a page of the documentation and run what it shows.

Blocks of these kinds are run, in order, in one folder for each page:

- ``console``: lines that start with ``$ `` are commands, the lines below are what they print (on both streams). A
  command without such lines may print anything. It must end with code 0, or with what ``$ echo $?`` below it shows.
- ``python``: code in one namespace for each page; a ``text`` block directly after it is what it prints.
- any other block with ``title="NAME"`` in its head is written to the file NAME. With ``append`` after it, the block is
  added at the file's end; with ``before="LINE"``, above that line. In a block of kind ``diff``, lines with ``-`` are
  replaced by those with ``+``.

``...`` in an output stands for anything. ``<!-- figures vary -->`` before a block: its numbers may have other values,
since training rounds differently on other processors. ``<!-- not run: REASON -->`` before a block: it is left out.
"""

from __future__ import annotations

import doctest
import re
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from program import Program, without_shell

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^\n]*) -->\n+)?^```(?P<kind>[a-z]*)(?: (?P<head>[^\n]*))?\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')
_BEFORE = re.compile(r'before="([^"]+)"')
_NUMBER = re.compile(r"\d+(?:\.\d+)?|(?<!\d)\.\d+")
_CHECK = doctest.OutputChecker()
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the rest of its first line, its lines, and the comment before it."""

    kind: str
    head: str
    body: str
    note: str
    line: int

    @property
    def left_out(self) -> str:
        """Why the block is not run; empty if it is."""
        return self.note.removeprefix("not run: ") if self.note.startswith("not run: ") else ""

    @property
    def figures_vary(self) -> bool:
        return self.note == "figures vary"

    @property
    def title(self) -> str:
        """The file that the block is written to, or nothing."""
        title = _TITLE.search(self.head)
        return title.group(1) if title else ""


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(m["kind"], m["head"] or "", m["body"], m["note"] or "", text.count("\n", 0, m.start("kind")) + 1)
        for m in _BLOCK.finditer(text)
    ]


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output that is shown below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
        yield "\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :])


def agrees(shown: str, printed: str, figures_vary: bool) -> bool:
    if figures_vary:
        shown, printed = (_NUMBER.sub("0", text) for text in (shown, printed))
    return _CHECK.check_output(shown.strip() + "\n", printed.strip() + "\n", _FLAGS)


@dataclass
class Runner:
    """Runs the blocks of one page in one folder, which must be the working folder while Python blocks run."""

    folder: Path
    environment: dict[str, str]
    program: Program | None = None
    namespace: dict[str, object] = field(default_factory=lambda: {"__name__": "page"})
    printed: str = ""

    def run(self, block: Block) -> None:
        """Run one block.

        Raises:
            AssertionError: a command failed, or something else was printed than the page shows.
        """
        if block.title:
            self.write(block)
        elif block.kind == "console":
            self._run_commands(block)
        elif block.kind == "python":
            with redirect_stdout(StringIO()) as output:
                exec(compile(block.body, f"line {block.line}", "exec"), self.namespace)
            self.printed = output.getvalue()
        elif block.kind == "text":
            assert agrees(block.body, self.printed, block.figures_vary), f"line {block.line} printed:\n{self.printed}"
        else:
            raise AssertionError(f"line {block.line}: a block of kind {block.kind!r} is neither run nor excused")

    def write(self, block: Block) -> None:
        """Write the file that a block shows, or the change to it."""
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        body = block.body
        if block.kind == "diff":
            old, new = ("".join(f"{line[1:]}\n" for line in body.splitlines() if line[:1] in f" {s}") for s in "-+")
            text = path.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"line {block.line}: {block.title} has not these lines once:\n{old}"
            body = text.replace(old, new)
        elif block.head.endswith(" append"):
            body = path.read_text(encoding="utf-8") + "\n\n" + body
        elif place := _BEFORE.search(block.head):
            above, line, below = path.read_text(encoding="utf-8").partition(f"\n{place.group(1)}\n")
            assert line, f"line {block.line}: {block.title} has no line {place.group(1)!r}"
            body = f"{above}\n{body}\n{line}{below}"
        path.write_text(body, encoding="utf-8")

    def _run_commands(self, block: Block) -> None:
        steps = list(commands(block.body))
        for (command, shown), following in zip(steps, [*steps[1:], ("", "")], strict=True):
            if command == "echo $?":
                continue
            code, output = self._execute(command)
            expected = int(following[1]) if following[0] == "echo $?" else 0
            assert code == expected, f"{command}\nended with {code}:\n{output}"
            agreed = not shown.strip() or agrees(shown, output, block.figures_vary)
            assert agreed, f"{command}\nprinted:\n{output}"

    def _execute(self, command: str) -> tuple[int, str]:
        """Run a command; return its exit code and what it prints."""
        log = self.folder.parent / "output.txt"
        words = without_shell(command) if self.program else None
        if self.program and words:
            code = self.program.run(words, self.folder, self.environment, log)
        else:
            with log.open("wb") as file:
                code = subprocess.run(
                    ["bash", "-c", command],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=file,
                    stderr=file,
                    timeout=300,
                    check=False,
                ).returncode
        return code, log.read_text(encoding="utf-8")
