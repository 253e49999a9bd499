"""The manifest: one Parquet row per radiograph, the only form in which data enters training or evaluation.

Every later step (split, training, evaluation, audit) thus agrees on the identity of an image (its SHA-256), on its
label and on the images that belong together (``group``). A broken table is refused with the names of its rows, before
it becomes a wrong figure. pandera checks the contract on write and on read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from pneumoscope.core.arguments import argument, check_arguments
from pneumoscope.core.errors import ManifestError, UnusableManifestError, UsageError
from pneumoscope.core.files import atomic_path
from pneumoscope.core.labels import PARTS, LabelSet
from pneumoscope.core.registry import suggestion
from pneumoscope.data.columns import COLUMNS, TEXT, check_table
from pneumoscope.data.label_rows import METADATA_KEY, SCHEMA_VERSION, damaged_file, read_parquet
from pneumoscope.imaging.remote import address_of
from pneumoscope.stats.design import Design, check_design

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NO_PART = "no part"
_ROWS = 100_000  # of a row group, which a reader of some columns or rows can take alone

GROUP_KINDS = ("patient", "near-duplicate cluster", "image")
"""From the strongest to the weakest basis of intervals."""


@dataclass(frozen=True, repr=False)
class Manifest:
    """A validated table of radiographs.

    Args:
        table: One row per image, columns as in ``COLUMNS``, index 0..N-1.
        roots: Source -> folder that its ``image`` paths are relative to.
        notes: The history of the table, oldest first.
        design: Of the study: ``case-control`` (somebody chose how many images of each class there are) or ``cohort``
            (patients came by chance); None where it is not stated.
        labels: The vocabulary of the column ``label``: the built-in one, with the labels that the data brought.
    """

    table: pd.DataFrame
    roots: dict[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    design: Design | None = None
    labels: LabelSet = field(default_factory=LabelSet.builtin)

    def __post_init__(self) -> None:
        if not isinstance(self.table, pd.DataFrame):
            raise UsageError(argument("table", self.table), "is no table.", "A file is read by `Manifest.read(PATH)`.")

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        sources = ", ".join(f"{name} {number:,}" for name, number in self.table["source"].value_counts().items())
        parts = f"parts: {', '.join(self.parts_present) or 'none'}"
        return f"Manifest({len(self):,} images, {self.table['group'].nunique():,} groups; {sources}; {parts})"

    def _repr_html_(self) -> str:
        """Return the number of images by source, label and part, for a notebook."""
        from pneumoscope.core.notebook import html_heading, html_table

        rows = self.counts()
        head = [*rows[0]] if rows else []
        lines = [[f"{value:,}" if isinstance(value, int) else value for value in row.values()] for row in rows]
        title = f"{len(self):,} images in {self.table['group'].nunique():,} groups (at weakest: {self.group_kind})"
        return html_heading(title) + html_table(head, lines)

    def counts(self) -> list[dict[str, str | int]]:
        """Return the number of images by source and label.

        Returns:
            One row for each source and label that occur, in the order of the vocabulary: ``source``, ``label``, a
            number for each part that has rows, ``no part`` where some rows are in none, and ``all``.
        """
        part = self.table["split"].fillna(NO_PART)
        numbers = self.table.groupby(["source", "label", part]).size().unstack(fill_value=0)
        present = [name for name in (*PARTS, NO_PART) if name in numbers.columns]
        rows: list[dict[str, str | int]] = []
        for (source, label), of_parts in zip(numbers.index, numbers[present].to_numpy().tolist(), strict=True):
            by_part = dict(zip(present, of_parts, strict=True))
            rows.append({"source": str(source), "label": str(label), **by_part, "all": sum(of_parts)})
        order = list(self.labels)
        return sorted(rows, key=lambda row: (row["source"], order.index(str(row["label"]))))

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        roots: Mapping[str, Path],
        notes: Iterable[str] = (),
        labels: LabelSet | None = None,
    ) -> Manifest:
        """Build a manifest from rows.

        Args:
            rows: Column -> value; a column that a row lacks is null.
            roots: Source -> folder that its ``image`` paths are relative to.
            notes: The history of the table, oldest first.
            labels: The vocabulary of the column ``label``; None: the built-in one.

        Returns:
            The manifest, validated.

        Raises:
            ManifestError: A column or value breaks the contract; the first rows are named.
        """
        table = with_all_columns(pd.DataFrame(list(rows)))
        return validate(cls(table, dict(roots), tuple(notes), labels=labels or LabelSet.builtin()))

    @classmethod
    @check_arguments
    def read(cls, path: Path | str, roots: Mapping[str, Path | str] | None = None) -> Manifest:
        """Read and check a manifest file.

        Args:
            path: The Parquet file.
            roots: Source -> folder, where a source has moved.

        Returns:
            The manifest.

        Raises:
            UsageError: A source of ``roots`` is not in it.
            ManifestError: The file is no manifest, is of another version, or breaks the contract.

        Example:
            >>> manifest = ps.Manifest.read("manifest.parquet")
        """
        return read_manifest(path, {name: Path(folder) for name, folder in (roots or {}).items()})

    def write(self, path: Path | str) -> None:
        """Check the manifest and write it to a Parquet file, whole or not at all.

        Args:
            path: The file. The root of a source inside its folder is written relative to it.

        Raises:
            ManifestError: A column or value breaks the contract.

        Example:
            >>> manifest.write("manifest.parquet")
        """
        write_manifest(self, path)

    def paths(self) -> list[Path]:
        """Return the absolute path of each row's image.

        Returns:
            One path a row, in row order.

        Raises:
            ManifestError: The folder of a source is not known or not there.
        """
        return [
            self._root(source) / image
            for source, image in zip(self.table["source"].tolist(), self.table["image"].tolist(), strict=True)
        ]

    def lazy_paths(self) -> Sequence[Path]:
        """Return what `paths` does, each path made when it is asked for: a million of them take half a gigabyte.

        Returns:
            One path a row, in row order.

        Raises:
            ManifestError: The folder of a source is not known or not there.
        """
        return _LazyPaths(self.table, {source: self._root(source) for source in self.table["source"].unique()})

    def depths(self) -> list[int | None]:
        """Return the depth to read each row's image with: what was declared at import, or what the file itself says.

        Returns:
            One number of bits or None (8 and 16 bits need none) a row, in row order; see `pneumoscope.read`.
        """
        return [int(bits) if bits not in (8, 16) and 1 <= bits <= 16 else None for bits in self.table["bits"].tolist()]

    def mask_paths(self, column: str) -> list[Path | None]:
        """Return the absolute path of each row's mask, in row order; None where there is none.

        A mask lies in the root of its image's source, or, written ``NAME:PATH``, in the root NAME: masks that an import
        drew, or that another source has of the same image.

        Args:
            column: ``lung_mask``, ``ignore_mask`` or ``heart_mask``.

        Returns:
            One path or None a row, in row order.

        Raises:
            ManifestError: The folder of a root is not known or not there.
        """
        paths: list[Path | None] = []
        for source, mask in zip(self.table.source, self.table[column], strict=True):
            if not isinstance(mask, str):
                paths.append(None)
                continue
            name, colon, rest = mask.partition(":")
            own = not (colon and name in self.roots)
            paths.append(self._root(source if own else name) / (mask if own else rest))
        return paths

    def _root(self, source: str) -> Path:
        root = self.roots.get(source)
        if root is None or not (address_of(root) or root.is_dir()):
            found = "has no folder in this manifest" if root is None else f"should be in {root}, which is not a folder"
            raise ManifestError(
                f"source {source!r}", f"{found}.", f"Say where it is: {argument('roots', {source: 'DIR'})}."
            )
        return root

    @check_arguments
    def part(self, name: str) -> Manifest:
        """Return the rows of one part.

        Args:
            name: "train", "validation", "calibration" or "test".

        Returns:
            A manifest of these rows.

        Raises:
            UsageError: There is no such part.
            ManifestError: The part has no rows.
        """
        if name not in PARTS:
            raise UsageError(f"part {name!r}", f"is unknown.{suggestion(name, PARTS)}", f"Parts: {', '.join(PARTS)}.")
        chosen = self.where(self.table["split"] == name)
        if not len(chosen):
            has = ", ".join(self.parts_present) or "none, it was never split"
            raise ManifestError(
                f"part {name!r}", f"has no rows; the manifest's parts: {has}.", "Divide it with `pneumoscope.split`."
            )
        return chosen

    def where(self, mask: ArrayLike) -> Manifest:
        """Return some of the rows.

        Args:
            mask: [N] bool, True for a row to keep.

        Returns:
            A manifest of these rows, in their order.
        """
        return replace(self, table=self.table[np.asarray(mask, dtype=bool)].reset_index(drop=True))

    def with_split(self, parts: Iterable[str | None], note: str) -> Manifest:
        """Return the manifest with another ``split`` column.

        Args:
            parts: [N] names of parts; None: in no part.
            note: Added to the history.

        Returns:
            A new manifest, validated.

        Raises:
            ManifestError: A part is unknown, or a group is in two parts.
        """
        table = self.table.assign(split=pd.array(list(parts), dtype=TEXT))
        return validate(replace(self, table=table, notes=(*self.notes, note)))

    @property
    def parts_present(self) -> tuple[str, ...]:
        """The parts that have rows, in their usual order; empty if the manifest was never split."""
        present = set(self.table["split"].dropna())
        return tuple(part for part in PARTS if part in present)

    @property
    def kinds(self) -> pd.Series[str]:
        """The kind of each group: its name -> one of ``GROUP_KINDS``.

        A patient only where every image of the group has a patient number.
        """
        groups = self.table.groupby("group").agg(size=("image", "size"), patients=("patient_id", "count"))
        kinds = pd.Series(GROUP_KINDS[2], index=groups.index, dtype=TEXT)
        kinds[groups["size"] > 1] = GROUP_KINDS[1]
        kinds[groups.patients == groups["size"]] = GROUP_KINDS[0]
        return kinds

    @property
    def group_kind(self) -> str:
        """The weakest kind of group present: ``patient``, ``near-duplicate cluster`` or ``image``."""
        present = set(self.kinds)
        return next((kind for kind in reversed(GROUP_KINDS) if kind in present), GROUP_KINDS[-1])

    def rows_hash(self) -> str:
        """Return the identity of the images, labels and findings, whatever the order, the paths or the split.

        Returns:
            SHA-256, 64 hexadecimal digits.
        """
        findings = (" " + self.table.findings).fillna("")
        return _hash_lines(self.table.sha256 + " " + self.table.label + findings)

    def split_hash(self) -> str:
        """Return the identity of the division into parts: which image is in which.

        Returns:
            SHA-256, 64 hexadecimal digits.
        """
        return _hash_lines(self.table.sha256 + " " + self.table["split"].fillna("-"))


class _LazyPaths(Sequence[Path]):
    """The paths of the images of a table, by row."""

    def __init__(self, table: pd.DataFrame, roots: Mapping[str, Path]) -> None:
        self._sources, self._images, self._roots = table["source"].array, table["image"].array, roots

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, rows: int) -> Path: ...

    @overload
    def __getitem__(self, rows: slice) -> list[Path]: ...

    def __getitem__(self, rows: int | slice) -> Path | list[Path]:
        if isinstance(rows, slice):
            return [self[row] for row in range(*rows.indices(len(self)))]
        path: Path = self._roots[self._sources[rows]] / self._images[rows]
        return path


def _hash_lines(lines: pd.Series[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines.tolist())).encode()).hexdigest()


def with_all_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with each column of the contract; one that it lacks is null. What else it has stays."""
    return table.reindex(columns=[*table.columns.union([*COLUMNS])])


def validate(manifest: Manifest) -> Manifest:
    """Return the manifest with its columns in order and of the right type, its contract checked.

    Raises:
        ManifestError: A column or value breaks the contract; the first rows are named.
    """
    table = check_table(manifest.table, manifest.labels)
    return replace(manifest, table=table, roots={name: Path(root) for name, root in manifest.roots.items()})


def write_manifest(manifest: Manifest, path: Path | str) -> None:
    """Write the manifest to a Parquet file, whole or not at all.

    The root of a source inside the manifest's own folder is written relative to it, so that both move together.
    """
    import pyarrow
    import pyarrow.parquet

    path = Path(path)
    manifest = validate(manifest)
    home = path.parent.resolve()
    roots = {}
    for name, root in sorted(manifest.roots.items()):
        if address := address_of(root):
            roots[name] = address
            continue
        full = Path(root).resolve()
        roots[name] = (full.relative_to(home) if full.is_relative_to(home) else full).as_posix()
    about = {"schema_version": SCHEMA_VERSION, "roots": roots, "notes": list(manifest.notes)}
    if manifest.design is not None:
        about["design"] = manifest.design
    if own := manifest.labels.own:
        about["labels"] = {label.identifier: label.to_entry() for label in own}
    # In one piece, since the writer's choice of an encoding follows the pieces: the same rows are then the same bytes.
    table = pyarrow.Table.from_pandas(manifest.table, preserve_index=False).combine_chunks()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA_KEY: json.dumps(about).encode()})
    try:
        with atomic_path(path) as temporary:
            pyarrow.parquet.write_table(table, temporary, row_group_size=_ROWS)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise ManifestError(
            str(path), f"cannot be written: {reason}.", "Make room there, or name a file in another place."
        ) from error


def read_manifest(path: Path | str, roots: Mapping[str, Path] | None = None) -> Manifest:
    """Read and check a manifest.

    Args:
        path: The Parquet file.
        roots: Source -> folder, where a source has moved.

    Raises:
        UsageError: A source of ``roots`` is not in it.
        ManifestError: It is not a manifest, of another version, or breaks the contract.
    """
    import pyarrow

    path = Path(path)
    table, about = read_parquet(path)
    try:
        frame = table.to_pandas()
    except (pyarrow.ArrowException, ValueError, KeyError, TypeError) as error:
        raise damaged_file(path, error) from error
    known = {
        name: Path(root) if address_of(root) else path.parent.resolve() / root for name, root in about["roots"].items()
    }
    notes = tuple(about["notes"])
    try:
        design = check_design(about["design"])
    except UsageError as error:
        raise UnusableManifestError(str(path), "is a manifest whose metadata are damaged.", "Import again.") from error
    for name, folder in (roots or {}).items():
        if name not in known:
            raise UsageError(
                argument("roots", {name: str(folder)}),
                f"is not a source of {path}.{suggestion(name, known)}",
                f"Sources: {', '.join(known)}.",
            )
        known[name] = folder if address_of(folder) else Path(folder).resolve()
    try:
        return validate(Manifest(frame, known, notes, design, about["labels"]))
    except ManifestError as error:
        raise UnusableManifestError(f"{path}: {error.thing}", error.problem, error.way_out) from error
