"""Options that several commands share, and the values that their texts stand for."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.core.errors import UsageError

Address = Annotated[
    str | None,
    typer.Option(help="ray: a cluster's address, or auto on one of its machines.  [this machine]", metavar="HOST:PORT"),
]
Allow = Annotated[
    list[str] | None, typer.Option("--allow", help="Accept this finding of the data checks.", metavar="NAME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Because = Annotated[
    list[str] | None, typer.Option("--because", help="Why; once for each --allow, or one for all.", metavar="TEXT")
]
Database = Annotated[str | None, typer.Option(help="The server's database, as for serve.", metavar="URL")]
DropConflicts = Annotated[
    bool, typer.Option("--drop-conflicts", help="Leave out every image whose picture carries another label elsewhere.")
]
Finding = Annotated[str | None, typer.Option(help="Of a multi-label model: the finding to ask about.", metavar="LABEL")]

EngineName = Annotated[
    str, typer.Option("--engine", help="Where it runs: on this machine, or on Ray's workers.", metavar="local|ray")
]
Examples = Annotated[
    int | None, typer.Option(min=1, help="Show so many images of each kind. They are patients' radiographs.")
]
Home = Annotated[Path | None, typer.Option(help="The server's folder, as for serve.")]
IgnoreOther = Annotated[
    bool,
    typer.Option("--ignore-other", help="Leave out images with labels that the model does not know; they are counted."),
]
DesignOption = Annotated[
    str | None,
    typer.Option(
        "--design",
        help="case-control (the number of each class was chosen) or cohort (patients came by chance).  "
        "[default: as the manifest states, else the wider interval of both]",
    ),
]
Part = Annotated[
    str, typer.Option("--split", help="validation, test (written to the ledger), calibration, train or all.")
]
Roots = Annotated[
    list[str] | None,
    typer.Option("--root", help="Where a source's images lie now; may be repeated.", metavar="SOURCE=DIR"),
]
Secret = Annotated[Path | None, typer.Option(help="The server's secret, as for serve.")]
Seed = Annotated[int, typer.Option(min=0, help="Another seed, another choice.")]
Depth = Annotated[
    int | None,
    typer.Option(min=1, max=16, help="Bits in use in 16-bit PNG and TIFF files.  [default: 16]", metavar="BITS"),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Images in work at a time.  [default: the cores]")]


def complete_recipe(incomplete: str) -> list[str]:
    """Return the names of shipped recipes that begin with what was typed, for the shell's completion."""
    from pneumoscope.recipes.recipe import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


def complete_recipe_or_all(incomplete: str) -> list[str]:
    """Return the names that `complete_recipe` returns, and ``all``."""
    return [*complete_recipe(incomplete), *(["all"] if "all".startswith(incomplete) else [])]


RecipeArgument = Annotated[
    str,
    typer.Argument(
        help="A recipe's name (pneumoscope recipes list shows them) or a .yaml file.", autocompletion=complete_recipe
    ),
]


def pairs(texts: Sequence[str] | None, option: str, form: str, *, last: bool = False) -> dict[str, str]:
    """Return ``KEY=VALUE`` options as a mapping.

    Args:
        texts: The options as they were given.
        option: Its name, for errors.
        form: What it must look like, for errors.
        last: Split at the last equals sign, for keys that may hold one; else at the first, for values that may.

    Raises:
        UsageError: One is not of that form, or a key comes twice.
    """
    values: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.rpartition("=") if last else text.partition("=")
        if not (equals and key and value):
            raise UsageError(f"{option} {text}", f"must be {form}.")
        if key in values:
            raise UsageError(f"{option} {key}", "is given twice.", "Say each once.")
        values[key] = value
    return values


def source_roots(texts: Sequence[str] | None) -> dict[str, str]:
    """Return source -> folder of the options ``--root SOURCE=DIR``.

    Raises:
        UsageError: One is not of that form, or a source comes twice.
    """
    return pairs(texts, "--root", "SOURCE=DIR")


def accepted_findings(allow: Sequence[str] | None, because: Sequence[str] | None) -> dict[str, str]:
    """Return check -> reason of the options ``--allow NAME --because TEXT``.

    Raises:
        UsageError: An unknown check, one given twice, or a reason missing.
    """
    if not allow and not because:
        return {}
    from pneumoscope.data.checks.findings import CHECK_NAMES, parse_reasons

    return parse_reasons(allow or (), because or (), CHECK_NAMES)


def command_line() -> str:
    """Return the command as it was given, for the ledger."""
    return shlex.join(["pneumoscope", *sys.argv[1:]])


def read_secret(path: Path) -> bytes:
    """Return what is in a key file, without its line end.

    Raises:
        UsageError: There is no such file, or it has fewer than 16 bytes.
    """
    if not path.is_file():
        raise UsageError(f"--key {path}", "there is no such file.", "Make one with: openssl rand -hex 32 > FILE")
    secret = path.read_bytes().strip()
    if len(secret) < 16:
        raise UsageError(f"--key {path}", f"has {len(secret)} bytes; a secret needs 16 or more.")
    return secret
