"""Check that a bundle's identity covers every byte that its graph reads, before the graph is loaded.

The identity covers ``model.onnx`` and the card. A graph could still read bytes outside: weights in another file
(`external_data`, which ONNX Runtime reads from the same folder), an operator of somebody's own library, or a file that
is a link. An export of this package has none of these, and no control flow either, which could keep a worker busy
without end. So all of them are refused.

The graph is read as protocol buffers, field by field (https://protobuf.dev/programming-guides/encoding/ and
onnx.proto3 of ONNX 1.17), without the package ``onnx``, which an installation without training does not have. What two
parsers could read in two ways (groups, lengths beyond the file) is refused, too.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from pneumoscope.core.errors import BundleError

_PACKAGE = Path(__file__).resolve().parents[1]
_MOST_FIELDS = 5_000_000
"""Fields of a graph that are read at most; our largest exports have about 100,000."""
_DOMAINS = frozenset({b"", b"ai.onnx"})
"""Both name the operators of the ONNX standard."""
_EXPORT_AGAIN = "Export the bundle again with this program."
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
"""Wire types."""

_Buffer: TypeAlias = bytes | mmap.mmap
_Field: TypeAlias = tuple[int, int, int, int]
"""Number, wire type, and value: a number's value and 0, or the first and the last byte + 1 of bytes."""


def check_links(folder: Path) -> None:
    """Refuse a folder of a bundle that holds a symbolic link: what it points to may change, or be anybody's file.

    The package's own folder is as its installer made it, which may be with links.

    Args:
        folder: Of a bundle or a companion.

    Raises:
        BundleError: A symbolic link is in it, at any depth.
    """
    if folder.resolve().is_relative_to(_PACKAGE):
        return
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise BundleError(
                str(path),
                "is a symbolic link: a bundle's files lie in its own folder.",
                "Put a copy of the file in place of the link.",
            )


def check_graph(graph: Path | bytes, name: Path | None = None) -> None:
    """Refuse a graph that reads anything but its own bytes, or that has control flow.

    Args:
        graph: The file of an ONNX model, or its bytes.
        name: What to call it in an error; None: the file.

    Raises:
        BundleError: It has external data, operators or functions of a domain of its own, or an If, Loop or Scan; or it
            is no ONNX model.
    """
    if isinstance(graph, bytes):
        _Walk(graph, str(name)).check()
        return
    with graph.open("rb") as file:
        if not graph.stat().st_size:
            raise BundleError(str(name or graph), "is empty.", _EXPORT_AGAIN)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _Walk(content, str(name or graph)).check()


class _Walk:
    """One walk over the fields of a model."""

    def __init__(self, data: _Buffer, name: str) -> None:
        self._data = data
        self._name = name
        self._fields = 0

    def check(self) -> None:
        """Refuse what is not allowed anywhere in the model."""
        graphs = 0
        for number, wire, start, end in self._read(0, len(self._data)):
            if (number, wire) == (7, _BYTES):
                graphs += 1
                self._check_graph(start, end)
            elif (number, wire) == (8, _BYTES):
                self._check_domains(start, end, 1)
            elif (number, wire) in ((20, _BYTES), (25, _BYTES)):
                raise self._refused("holds " + ("training steps" if number == 20 else "functions of its own"))
        if not graphs:
            raise self._damaged()

    def _check_graph(self, start: int, end: int) -> None:
        parts: Mapping[int, Callable[[int, int], None]] = {
            1: self._check_node, 5: self._check_tensor, 15: self._check_sparse_tensor,
        }  # fmt: skip
        for number, wire, first, last in self._read(start, end):
            if wire == _BYTES and number in parts:
                parts[number](first, last)

    def _check_node(self, start: int, end: int) -> None:
        self._check_domains(start, end, 7)
        for number, wire, first, last in self._read(start, end):
            if (number, wire) == (4, _BYTES) and (operator := self._data[first:last]) in (b"If", b"Loop", b"Scan"):
                raise self._refused(f"has control flow ({operator.decode()})")
            if (number, wire) == (5, _BYTES):
                self._check_attribute(first, last)

    def _check_attribute(self, start: int, end: int) -> None:
        for number, wire, first, last in self._read(start, end):
            if wire != _BYTES:
                continue
            if number in (6, 11):
                raise self._refused("has control flow (a graph inside an operator)")
            if number in (5, 10):
                self._check_tensor(first, last)
            elif number in (22, 23):
                self._check_sparse_tensor(first, last)

    def _check_sparse_tensor(self, start: int, end: int) -> None:
        for number, wire, first, last in self._read(start, end):
            if number in (1, 2) and wire == _BYTES:
                self._check_tensor(first, last)

    def _check_tensor(self, start: int, end: int) -> None:
        for number, wire, first, _ in self._read(start, end):
            if (number, wire) == (13, _BYTES) or ((number, wire) == (14, _VARINT) and first):
                raise self._refused(
                    "reads weights from another file (external data), which its identity does not cover"
                )

    def _check_domains(self, start: int, end: int, place: int) -> None:
        for number, wire, first, last in self._read(start, end):
            if (number, wire) == (place, _BYTES) and (domain := self._data[first:last]) not in _DOMAINS:
                word = domain[:60].decode("ascii", "replace")
                raise self._refused(f"has operators of the domain {word}, which the ONNX standard does not have")

    def _read(self, start: int, end: int) -> Iterator[_Field]:
        """Yield the fields of the message between two places.

        Raises:
            BundleError: The bytes are no message, or hold too many fields.
        """
        place = start
        while place < end:
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise self._refused(f"has more than {_MOST_FIELDS:,} fields")
            tag, place = self._varint(place, end, 5)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 2**29:
                raise self._damaged()
            if wire == _VARINT:
                value, place = self._varint(place, end, 10)
                yield number, wire, value, 0
                continue
            if wire == _BYTES:
                size, place = self._varint(place, end, 5)
            elif wire in (_EIGHT, _FOUR):
                size = 8 if wire == _EIGHT else 4
            else:
                raise self._damaged()
            if size > end - place:
                raise self._damaged()
            yield number, wire, place, place + size
            place += size

    def _varint(self, place: int, end: int, longest: int) -> tuple[int, int]:
        """Return the number that begins at a place, and the place after it."""
        value = 0
        for step in range(longest):
            if place >= end:
                break
            byte = self._data[place]
            place += 1
            value |= (byte & 0x7F) << (7 * step)
            if byte < 0x80:
                return value, place
        raise self._damaged()

    def _refused(self, problem: str) -> BundleError:
        return BundleError(self._name, f"{problem}.", _EXPORT_AGAIN)

    def _damaged(self) -> BundleError:
        problem = "cannot be loaded: it is no ONNX model, or is damaged."
        return BundleError(self._name, problem, "Fetch or export the bundle again.")
