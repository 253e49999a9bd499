"""The arguments of the public functions: how errors write them, and one check that they are of the kinds they declare.

An error writes an argument as Python has it, in backquotes: `` `again=True` ``, `` `sets='optimizer.lr=1e-4'` ``. The
command line shows its own option in that place (`cli.wording`). So one sentence serves both, and no other code knows
the name of an option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from importlib import import_module
from inspect import signature
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pneumoscope.core.errors import UsageError

T = TypeVar("T")
P = ParamSpec("P")

_LONGEST_VALUE = 500  # characters of a text that an error shows whole, so that it can be pasted
_WORDS = {
    NoneType: "None",
    Path: "a path",
    bool: "True or False",
    bytes: "bytes",
    float: "a number",
    int: "a whole number",
    str: "a text",
}
"""Type -> the words for its values."""


def as_tuple(values: T | Iterable[T]) -> tuple[T, ...]:
    """Return values as a tuple; a single text or path is not taken apart into letters.

    Raises:
        TypeError: The value is neither a text, a path nor iterable.
    """
    if isinstance(values, str | Path):
        return (cast(T, values),)
    return tuple(cast(Iterable[T], values))


def argument(name: str, value: object) -> str:
    """Return an argument with its value as an error writes it: `` `part='tset'` ``."""
    value = str(value) if isinstance(value, Path) else value
    text = repr(shorten(value, _LONGEST_VALUE) if isinstance(value, str) else value).replace("`", "\\x60")
    return f"`{name}={text}`"


def quote(value: object, longest: int = 80) -> str:
    """Return a value as an error echoes it: as Python writes it, so that control characters are visible.

    Args:
        value: A value of the user's, such as a cell of a table.
        longest: A text of more characters is cut (`shorten`), and its length is said.
    """
    if isinstance(value, str):
        more = f" ({len(value):,} characters)" if len(value) > longest else ""
        return f"{shorten(value, longest)!r}{more}"
    return shorten(repr(value), longest)


def shorten(text: str, longest: int = 80) -> str:
    """Return a text of at most ``longest`` characters, cut in the middle: of a path, both ends say most."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - 3 - tail]}...{text[-tail:]}"


def check_least(least: int, **values: int | None) -> None:
    """Check whole numbers that have a least value.

    Args:
        least: The least value.
        values: Argument -> value; None is not checked.

    Raises:
        UsageError: One is less.
    """
    for name, value in values.items():
        if value is not None and value < least:
            raise UsageError(argument(name, value), f"is below {least}.", f"Give {least} or more.")


def check_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a public function: a value of another kind than its parameter declares is a `UsageError` at once.

    The kinds come from the function's annotations. A text or a path does where a sequence of them is declared.
    """
    parameters = signature(function)

    @cache  # when it is first called: annotations may name what is defined further down
    def hints() -> dict[str, Any]:
        annotations = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
        return get_type_hints(SimpleNamespace(__annotations__=annotations), vars(import_module(function.__module__)))

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        for name, value in parameters.bind(*args, **kwargs).arguments.items():
            kind = hints().get(name, Any)
            if not _fits(value, kind):
                raise _misfit(name, value, kind)
        return function(*args, **kwargs)

    return checked


def _misfit(name: str, value: object, kind: Any) -> UsageError:
    """Return the error for a value of another kind; of a list it names the first element that does not fit."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for each in kinds:
        if isinstance(value, list | tuple) and get_origin(each) in (Sequence, Iterable):
            place = next(place for place, element in enumerate(value) if not _fits(element, get_args(each)[0]))
            return _misfit(f"{name}[{place}]", value[place], get_args(each)[0])
    words = _describe(kind)
    return UsageError(f"`{name}`", f"is {quote(value, 60)}, which is not {words}.", f"Give {words}.")


def _fits(value: object, kind: Any) -> bool:
    """Return whether a value is of a declared kind; the elements of generators are not looked at."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or isinstance(kind, TypeVar):
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin is None:
        if kind in (int, float):  # True is an int in Python, and no number of anything here
            return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        return isinstance(value, NoneType if kind is None else kind)
    if isinstance(value, str | Path) and origin in (Sequence, Iterable):
        return _fits(value, inner[0])
    if not isinstance(value, origin):
        return False
    if isinstance(value, Mapping):
        return all(_fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items())
    return not isinstance(value, list | tuple) or all(_fits(each, inner[0]) for each in value)


def _describe(kind: Any) -> str:
    """Return the words for a declared kind: "a text or a path"."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        words = list(dict.fromkeys(_describe(each) for each in inner))
        return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is not None and issubclass(origin, Mapping):
        return f"a mapping of {_describe(inner[0])} to {_describe(inner[1])}"
    if origin in (Sequence, Iterable):
        return f"a list of which each is {_describe(inner[0])}"
    if origin is not None:
        return "a function" if origin is Callable else getattr(origin, "__name__", str(kind))
    return _WORDS.get(NoneType if kind is None else kind, f"a {getattr(kind, '__name__', kind)}")
