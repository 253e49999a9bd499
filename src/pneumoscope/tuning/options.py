"""The options of a search by name, checked before Optuna and torch are loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.registry import check_name

if TYPE_CHECKING:
    from pneumoscope.tuning.space import SearchSpace

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "hyperband", "none")
STORAGES = ("sqlite", "postgresql")


def check_sampler(name: str, search: SearchSpace) -> None:
    """Check the name of a sampler, and that a grid would end.

    Raises:
        UsageError: There is no such sampler, or a range of the space has no step for a grid.
    """
    check_name(name, SAMPLERS, "sampler", "sampler")
    if name == "grid":
        next(search.grid())


def check_pruner(name: str) -> None:
    """Check the name of a pruner.

    Raises:
        UsageError: There is no such pruner.
    """
    check_name(name, PRUNERS, "pruner", "pruner")


def check_storage(url: str) -> None:
    """Check that a database address is of a kind that studies can be in; it is not opened.

    Raises:
        UsageError: It is of another kind.
    """
    kind = re.match(r"(\w+)(\+\w+)?://", url)
    if kind is None or kind[1] not in STORAGES:
        shown = re.sub(r"//[^@/]*@", "//***@", url)
        raise UsageError(
            argument("storage", shown),
            "must be sqlite:///... or postgresql://...",
            f"Example: {argument('storage', 'sqlite:///t.db')}",
        )


def check_part(part: str | None, folds: int | None) -> None:
    """Check the part that is measured instead of folds.

    Raises:
        UsageError: It is the test part, or a part that is not for ranking, or folds are given too.
    """
    if part is None:
        return
    if part == "test":
        raise UsageError(
            "the test part",
            "is not for choosing: settings that were chosen on it have no test left.",
            "Leave `split` out, and evaluate the best run on test once: `pneumoscope.evaluate`.",
        )
    if part != "validation":
        raise UsageError(argument("split", part), "settings are ranked on validation or by folds.", "Say validation.")
    if folds is not None:
        raise UsageError("`split` and `folds`", "exclude each other.", "Choose one.")
