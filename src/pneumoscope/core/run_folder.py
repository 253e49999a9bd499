"""The check of a run's folder, which needs no torch."""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError


def holds_run(folder: Path) -> bool:
    """Return whether the folder holds a run that was begun."""
    return (folder / "recipe.yaml").is_file() and (folder / "data.json").is_file()


def free_folder(folder: Path) -> Path:
    """Return the first of ``folder-2``, ``folder-3``, ... that is not there."""
    return next(
        path for number in range(2, 10_000) if not (path := folder.with_name(f"{folder.name}-{number}")).exists()
    )


def check_run_folder(folder: Path, *, resume: bool) -> None:
    """Check that a run can be begun in a folder, or gone on with.

    Raises:
        UsageError: The folder holds a run that ``resume`` was not given for, or something else than a run.
    """
    if holds_run(folder):
        if not resume:
            way_out = f"Go on with it: `resume=True`. Or choose another: {argument('out', free_folder(folder))}"
            raise UsageError(argument("out", folder), "already holds a run.", way_out)
    elif folder.is_dir() and any(folder.iterdir()):
        problem = "is not empty and holds no run."
        raise UsageError(argument("out", folder), problem, f"Choose another: {argument('out', free_folder(folder))}")
