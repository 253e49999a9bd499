"""The examples of a gatekeeper: a table of pictures of every kind, and what is read of each of them once.

A manifest holds radiographs alone, and its labels are diseases. A gatekeeper also learns from hands, cats and films, so
it has a table of its own: CSV with ``file``, ``kind``, ``source`` and ``group``, and, where they are known, ``detail``
(what it shows), ``age_group`` and ``licence``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pneumoscope.bundle.lung_shape import LungShape, measure_lung_shape
from pneumoscope.bundle.lungs import LungModel, builtin_lungs
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.engine import default_workers
from pneumoscope.core.errors import ManifestError, UnusableManifestError
from pneumoscope.core.files import atomic_path
from pneumoscope.data import source_table
from pneumoscope.imaging.read import read
from pneumoscope.training.gatekeeper.network import SIDE
from pneumoscope.training.input.cache import resize_square

KINDS = ("frontal", "lateral", "other")
"""What an example shows: a frontal chest, a lateral one, anything else (spoilt chests too)."""
SHAPE = tuple(field.name for field in fields(LungShape))
_NEEDED = ("file", "kind", "source", "group")
_OPTIONAL = ("detail", "age_group", "licence")


@dataclass(frozen=True)
class Examples:
    """N pictures with what is known of them.

    Args:
        files: [N] their paths as the table has them.
        kinds: [N] of ``KINDS``.
        sources: [N] names of the sets.
        groups: [N] names of the patients, or of the origins where there are no patients.
        details: [N] what each shows, in words; empty where nothing more is known.
        age_groups: [N] adult, child or, where it is not known, empty.
        licences: [N] of each.
        squares: [N, S, S] uint8, the pictures on the graph's square.
        colours: [N] float64, share of each picture that has a colour.
        shapes: [N, 6] float64, what the shipped lungs graph outlines, as ``SHAPE`` names it.
    """

    files: NDArray[np.str_]
    kinds: NDArray[np.str_]
    sources: NDArray[np.str_]
    groups: NDArray[np.str_]
    details: NDArray[np.str_]
    age_groups: NDArray[np.str_]
    licences: NDArray[np.str_]
    squares: NDArray[np.uint8]
    colours: NDArray[np.float64]
    shapes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.files)

    def where(self, chosen: NDArray[Any]) -> Examples:
        """Return some of the examples.

        Args:
            chosen: [N] bool, or their rows.
        """
        return replace(self, **{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def read_examples(table: Path, *, cache: Path | None = None, callbacks: Callbacks = SILENT) -> Examples:
    """Read the pictures of a table, their colours, and the lungs that the shipped graph outlines in them.

    Args:
        table: CSV with the columns that this module names; a relative file lies beside the table.
        cache: File (.npz) for what was read; a later call with the same table takes it from there.
        callbacks: Receive progress.

    Raises:
        ManifestError: A column is missing, a kind is unknown, or the table has no frontal chest and no other picture.
        ImageError: A picture cannot be read.
    """
    rows = read_table(table)
    text = {name: rows[name].to_numpy(str) for name in (*_NEEDED, *_OPTIONAL)}
    paths = [table.parent / file for file in text["file"]]
    squares, colours, shapes = _read_pictures(paths, cache, callbacks)
    return Examples(
        files=text["file"],
        kinds=text["kind"],
        sources=text["source"],
        groups=text["group"],
        details=text["detail"],
        age_groups=text["age_group"],
        licences=text["licence"],
        squares=squares,
        colours=colours,
        shapes=shapes,
    )


def read_table(table: Path, kinds: Sequence[str] = ("frontal", "other")) -> pd.DataFrame:
    """Return a checked table of examples; all columns are text, empty where nothing is known.

    Args:
        table: CSV with the columns that this module names.
        kinds: Kinds that it must have.

    Raises:
        UnusableManifestError: A column is missing, a kind is unknown, one that is needed has no row, or there is none.
    """
    try:
        found = source_table.read_table(table)
    except ManifestError as error:
        raise UnusableManifestError(str(table), f"is no table of examples: {error.problem}", error.way_out) from error
    rows = pd.DataFrame({name: found.cells(name, name) for name in found.columns if name}, dtype=str)
    missing = [name for name in _NEEDED if name not in rows.columns]
    if missing:
        raise UnusableManifestError(
            str(table), f"has no column {', '.join(missing)}.", f"Columns: {', '.join(_NEEDED)}."
        )
    if not len(rows):
        raise UnusableManifestError(str(table), "has no rows.", "Write one row for each picture.")
    unknown = sorted(set(rows.kind) - set(KINDS))
    if unknown:
        raise UnusableManifestError(str(table), f"has the kind {unknown[0]!r}.", f"Kinds: {', '.join(KINDS)}.")
    absent = [kind for kind in kinds if kind not in set(rows.kind)]
    if absent:
        raise UnusableManifestError(
            str(table), f"has no picture of the kind {absent[0]}.", f"Kinds: {', '.join(KINDS)}."
        )
    return rows.reindex(columns=[*_NEEDED, *_OPTIONAL], fill_value="")


_Pictures = tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]


def _read_pictures(paths: list[Path], cache: Path | None, callbacks: Callbacks) -> _Pictures:
    identity = hashlib.sha256("\n".join(map(str, paths)).encode()).hexdigest()
    if cache is not None and cache.is_file():
        with np.load(cache) as stored:
            if str(stored["identity"]) == identity:
                return stored["squares"], stored["colours"], stored["shapes"]
    lungs = builtin_lungs()
    squares = np.zeros((len(paths), SIDE, SIDE), np.uint8)
    colours, shapes = np.zeros(len(paths)), np.zeros((len(paths), len(SHAPE)))
    with callbacks.counting("pictures", len(paths)) as advance, ThreadPoolExecutor(default_workers()) as pool:
        for row, (square, colour, shape) in enumerate(pool.map(lambda path: _read_picture(path, lungs), paths)):
            squares[row], colours[row], shapes[row] = square, colour, shape
            advance(1)
    if cache is not None:
        with atomic_path(cache) as temporary, temporary.open("wb") as file:
            np.savez(file, identity=identity, squares=squares, colours=colours, shapes=shapes)
    return squares, colours, shapes


def _read_picture(path: Path, lungs: LungModel) -> tuple[NDArray[np.uint8], float, list[float]]:
    radiograph = read(path)
    tensor = torch.from_numpy(radiograph.pixels)[None, None]
    square = (resize_square(tensor, SIDE)[0, 0] * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    shape = measure_lung_shape(lungs.outline(radiograph).square("lungs")).values()
    return square, float(radiograph.metadata.get("colour_share") or 0.0), [shape[name] for name in SHAPE]
