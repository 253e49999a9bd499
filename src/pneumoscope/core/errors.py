"""Every error that Pneumoscope raises on purpose, in one tree.

    PneumoscopeError                exit code 1
    ├── UsageError                  exit code 2   an unknown name, a wrong option
    ├── CheckRefusedError            exit code 3   a check refused (data check, site acceptance)
    ├── MissingExtraError           an optional part is not installed
    ├── ImageError                  a file that is not a readable, supported radiograph
    ├── ManifestError               a table of images that breaks its contract
    │   └── UnusableManifestError   exit code 2   no manifest, a damaged one, or one without the rows
    ├── LabelError                  a label that no explicit table maps
    │   └── UnknownClassError       exit code 2   a label that is none of the model's classes
    ├── RecipeError                 exit code 2   a recipe that contradicts itself, its network or the data
    │   └── ChangeError             a change of a recipe (`--set`) that its rules refuse
    ├── WeightsError                weights that cannot be had or do not fit
    ├── BundleError                 a model bundle that is incomplete, altered or of another schema
    │   └── MissingBundleError      exit code 2   no bundle where one was named
    ├── ParityError                 an exported graph that differs from the network it came from
    ├── RunError                    a training run that cannot start, continue or finish
    │   └── MissingClassError       exit code 2   data that lack a class or the parts which the recipe needs
    └── RefusalError                a request that the server refuses (the branch is in `server.errors`)

The code is 2 where what was given cannot be used as it is: an option, a name, a recipe, a manifest, or a recipe and a
manifest that do not fit each other. All of it shows before the work begins. It is 1 where the work itself fails.

An error names the thing, the value, the rule and the way out. Its code and values let the web app word it in another
language. Where it names an argument or a function, it does so as Python has it, in backquotes (`core.arguments`): the
command line shows its option or command there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Values: TypeAlias = Mapping[str, str | int | float]
"""Numbers, and short words from this program; never text that a user sent."""


class PneumoscopeError(Exception):
    """Base of all errors that a user can do something about.

    Args:
        thing: What is wrong, by name (a path, a key, a row).
        problem: What was found and which rule it breaks.
        way_out: What to do about it.
        code: The kind of problem, for a program that words it itself; empty where none does.
        values: What such a wording needs.
    """

    exit_code = 1

    def __init__(
        self, thing: str, problem: str, way_out: str = "", *, code: str = "", values: Values | None = None
    ) -> None:
        self.thing = str(thing)
        self.problem = problem
        self.way_out = way_out
        self.code = code
        self.values = dict(values or {})
        super().__init__(f"{self.thing}: {problem}" + (f" {way_out}" if way_out else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep all attributes when the error crosses a process; pickle alone would keep its text only."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[PneumoscopeError], args: tuple[Any, ...], state: dict[str, Any]) -> PneumoscopeError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(PneumoscopeError):
    """A wrong option or an unknown name."""

    exit_code = 2


class CheckRefusedError(PneumoscopeError):
    """A check (of the data, of a site's acceptance) refused."""

    exit_code = 3


class MissingExtraError(PneumoscopeError):
    """An optional part is needed and not installed."""

    def __init__(self, thing: str, extra: str) -> None:
        super().__init__(
            thing,
            f"needs the extra '{extra}', which is not installed.",
            f"Install it with: pip install 'pneumoscope[{extra}]'",
        )
        self.extra = extra


class ImageError(PneumoscopeError):
    """A file that is not a readable, supported radiograph."""


class ManifestError(PneumoscopeError):
    """A manifest that breaks its contract."""


class UnusableManifestError(ManifestError):
    """No manifest where one was named, a damaged one, or one without the rows that the work needs."""

    exit_code = 2


class LabelError(PneumoscopeError):
    """A label that no explicit table maps."""


class UnknownClassError(LabelError):
    """A label of the data that is none of the model's classes."""

    exit_code = 2


class RecipeError(PneumoscopeError):
    """A recipe that contradicts itself, its network or the data."""

    exit_code = 2


class ChangeError(RecipeError):
    """A change of a recipe (``--set``, ``--grid``) that the recipe's rules refuse."""


class WeightsError(PneumoscopeError):
    """Weights that are not available or do not fit."""


class BundleError(PneumoscopeError):
    """A bundle that is incomplete, altered or of another schema."""


class MissingBundleError(BundleError):
    """No bundle where one was named."""

    exit_code = 2


class ParityError(PneumoscopeError):
    """An exported graph that differs from the network it came from."""


class RunError(PneumoscopeError):
    """A training run that cannot start, continue or finish."""


class MissingClassError(RunError):
    """Data that lack a class, or the parts, which a recipe needs."""

    exit_code = 2


class TerminationRequest(KeyboardInterrupt):
    """A program or the system, not a person at the keyboard, stopped the work (SIGTERM)."""


def describe_unexpected(error: Exception) -> str:
    """Return an error that nobody foresaw, in a line: its class, and the first line of its message.

    Args:
        error: No `PneumoscopeError`, which words itself.
    """
    first = (str(error).strip().splitlines() or [""])[0][:300]
    return f"unexpected {type(error).__name__}" + (f": {first}" if first else "")
