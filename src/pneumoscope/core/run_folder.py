"""The check of a run's folder, which needs no torch."""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.errors import RunError


def holds_run(folder: Path) -> bool:
    """Return whether the folder holds a run that was begun."""
    return (folder / "recipe.yaml").is_file() and (folder / "data.json").is_file()


def check_run_folder(folder: Path, *, resume: bool) -> None:
    """Check that a run can be begun in a folder, or gone on with.

    Raises:
        RunError: The folder holds a run that ``resume`` was not given for, or something else than a run.
    """
    if holds_run(folder):
        if not resume:
            raise RunError(
                str(folder), "already holds a run.", "Go on with it (`resume=True`), or choose another `out`."
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise RunError(str(folder), "is not empty and holds no run.", "Choose another `out`.")
