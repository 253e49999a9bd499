"""Predict many files into one table: in order, with a journal, written complete at the end.

A hundred thousand studies take hours, and machines restart. Each row therefore goes to a journal (JSON lines) beside
the output as soon as it is known. The same command, run again, checks the journal against the model and the files and
continues where it stopped. The table itself appears at the end, complete or not at all.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscope import __version__
from pneumoscope.bundle.card import Card
from pneumoscope.bundle.prediction import Observer, Output, Prediction, columns, printable, split_decision
from pneumoscope.bundle.runtime import Model
from pneumoscope.core.engine import Engine
from pneumoscope.core.engines.local import LocalEngine
from pneumoscope.core.errors import PneumoscopeError, UsageError
from pneumoscope.core.files import shorten_name
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.core.tables import check_format, write_table
from pneumoscope.imaging import overlay
from pneumoscope.imaging.read import Radiograph
from pneumoscope.inference.journal import Journal, stamp

OVERLAY_SIDE = 2048
PAGE_SIDE = 256
"""Longest side, in pixels, of a written overlay and of a picture on the page."""

OnRow = Callable[[dict[str, Any], bool], None]
"""Called with each row, in order, and whether it comes from a journal."""


@dataclass(slots=True)
class PredictionSummary:
    """The numbers of files by outcome.

    Args:
        files: Of all, those with an error too.
        resumed: Whose rows come from the journal of a stopped call.
        failed: With an error.
        refused: Without an answer.
        decisions: Label -> files.
        passed_over: Kind of file or folder -> how many were passed over in folders.
        low_values: Of 16 bits without a value above 4,095, among those that were read.
        damaged_exif: With an Exif block that could not be read, among those that were read.
    """

    files: int
    resumed: int = 0
    failed: int = 0
    refused: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    passed_over: dict[str, int] = field(default_factory=dict)
    low_values: int = 0
    damaged_exif: int = 0

    def count(self, row: dict[str, Any]) -> None:
        """Count one row.

        Args:
            row: As `Prediction.row` gives it.
        """
        if row["error"] is not None:
            self.failed += 1
        elif row["refused"]:
            self.refused += 1
        else:
            self.decisions.update(split_decision(row["decision"]))


def predict_files(
    model: Model,
    files: Sequence[str],
    *,
    output: Path | None = None,
    heatmaps: Path | None = None,
    engine: Engine | None = None,
    depth: int | None = None,
    score_refused: bool = False,
    on_row: OnRow | None = None,
    on_note: Callable[[str], None] | None = None,
) -> PredictionSummary:
    """Predict files in their order and, if ``output`` is given, write the table.

    Args:
        model: The model.
        files: Paths, as `imaging.files.find_images` returns them.
        output: ``.parquet``, ``.csv`` or ``.jsonl``; the journal lies beside it, with ``.partial`` at its end.
        heatmaps: Folder for one overlay per answered image (PNG).
        engine: Where it runs; threads of this process by default.
        depth: Bits in use in 16-bit files, see `imaging.read.read`.
        score_refused: Give probabilities of images that the gatekeeper refuses, too.
        on_row: Called with each row in order, rows of the journal too.
        on_note: Called with a sentence for the user (the run continues, or starts again).

    Raises:
        PneumoscopeError: The output cannot be written. The journal stays.
    """
    summary = PredictionSummary(len(files))
    engine, note = engine or LocalEngine(), on_note or (lambda _: None)

    def take(row: dict[str, Any], resumed: bool) -> None:
        summary.count(row)
        if on_row is not None:
            on_row(row, resumed)

    def answers(rest: Sequence[str]) -> Generator[tuple[dict[str, Any], list[Any] | None], None, None]:
        with closing(engine.map(FileAnswer(model, heatmaps, depth, score_refused), rest)) as results:
            for prediction, stamped, notes in results:
                for sentence in notes:
                    note(sentence)
                summary.low_values += prediction.largest_value is not None
                summary.damaged_exif += prediction.exif_damaged
                yield prediction.row(model.labels), stamped

    try:
        if heatmaps is not None:
            heatmap_writer(heatmaps, model)  # a model without heatmaps, or a folder that cannot be made, shows now
        if output is None:
            with closing(answers(files)) as rows:
                for row, _ in rows:
                    take(row, False)
            return summary
        check_format(output)
        with Journal(output, model, heatmaps, depth, score_refused=score_refused) as journal:
            for row in journal.resume(files):
                summary.resumed += 1
                take(row, True)
            if journal.note:
                note(journal.note)
            with closing(answers(files[summary.resumed :])) as rows:
                for row, stamped in rows:
                    journal.append(row, stamped)
                    take(row, False)
            write_table(journal.rows(), output, columns(model.labels), _facts(model))
            journal.remove()
    except BrokenPipeError:  # the reader of the output went away: not about a file
        raise
    except OSError as error:
        raise PneumoscopeError(
            str(error.filename or output or heatmaps),
            f"cannot be written: {error.strerror or error}.",
            "Make room or choose another place; with `output`, the same call then continues where it stopped.",
        ) from error
    return summary


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """The answer of a model for one file, with what the journal and the user learn of it.

    It can be pickled, so that an engine can run it in another process.

    Args:
        model: The model.
        heatmaps: Folder for the overlay of an answered image; None writes none.
        depth: Bits in use in a 16-bit file, see `imaging.read.read`.
        score_refused: Give probabilities of an image that the gatekeeper refuses, too.
    """

    model: Model
    heatmaps: Path | None
    depth: int | None
    score_refused: bool

    def __call__(self, path: str) -> tuple[Prediction, list[Any] | None, list[str]]:
        """Return the prediction, the stamp of its file (`journal.stamp`) and notes for the user."""
        notes: list[str] = []
        observe = None if self.heatmaps is None else heatmap_writer(self.heatmaps, self.model, notes.append)
        before = stamp(path)
        prediction = self.model.predict_file(path, observe, self.depth, score_refused=self.score_refused)
        return prediction, before, notes


def _facts(model: Model) -> dict[str, str]:
    """Return the metadata of a table of predictions."""
    return {
        "pneumoscope": __version__,
        "model": model.identity,
        "model_name": f"{model.card.name} {model.card.version}",
        "disclaimer": DISCLAIMER,
    }


STOPS_EVERY_FILE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""Errors of writing that meet the next file too: the run stops. Any other one is about one file."""


def heatmap_writer(folder: Path, model: Model, on_note: Callable[[str], None] | None = None) -> Observer:
    """Return an observer that writes the primary label's heatmap over each answered image.

    Where the model gives no answer there is no overlay, which would look like one. An overlay that cannot be written
    is a note, and the run goes on.

    Args:
        folder: Where the overlays go; made if absent.
        model: The model.
        on_note: Receives a sentence for each overlay that could not be written.

    Raises:
        UsageError: The model has no heatmap.
    """
    if model.card.heatmap_size is None:
        raise UsageError(
            model.card.name, "has no heatmap (its head gives none).", "Leave `heatmaps` out, or use another model."
        )
    folder.mkdir(parents=True, exist_ok=True)

    def write(prediction: Prediction, radiograph: Radiograph, output: Output | None) -> None:
        if prediction.refused or output is None or output.heatmap is None:
            return
        # The hash separates files of the same name, and links the picture to its row.
        place = heat_place(model.card, prediction)
        ending = f"-{radiograph.sha256[:12]}-{model.card.label_names[place]}.png"
        name = shorten_name(Path(printable(prediction.path)).stem, ending)
        try:
            overlay.write_png(folder / name, _over(radiograph, output.heatmap[place], OVERLAY_SIDE))
        except OSError as error:
            if error.errno in STOPS_EVERY_FILE:
                raise
            if on_note is not None:
                reason = error.strerror or str(error)
                on_note(f"{printable(prediction.path)}: its overlay cannot be written: {reason}.")

    return write


PageItem = tuple[Prediction, bytes | None, bytes | None]
"""A prediction, its thumbnail and its overlay (PNG), as the report page takes them."""


def page_items(
    model: Model, files: Sequence[str], workers: int | None = None, depth: int | None = None
) -> list[PageItem]:
    """Predict a few files again with a small picture of each: for a page, not for a hundred thousand files."""
    pictures: dict[str, tuple[bytes, bytes | None]] = {}

    def observe(prediction: Prediction, radiograph: Radiograph, output: Output | None) -> None:
        plain = overlay.encode_rgb(overlay.to_rgb(_reduce(radiograph.pixels, PAGE_SIDE)))
        heat = None
        if output is not None and output.heatmap is not None and not prediction.refused:
            heat = overlay.encode_rgb(_over(radiograph, output.heatmap[heat_place(model.card, prediction)], PAGE_SIDE))
        pictures[prediction.path] = plain, heat

    return [
        (prediction.printable(), *pictures.get(prediction.path, (None, None)))
        for prediction in model.stream(files, workers, observe, depth)
    ]


def heat_place(card: Card, prediction: Prediction) -> int:
    """Return whose heatmap a picture shows: the primary label's; of a multi-label model that of the highest score.

    Findings that reach their thresholds come first.

    Args:
        card: Of the model.
        prediction: An answer, with probabilities.

    Returns:
        Its place among the card's labels.
    """
    if not card.multilabel:
        return 0
    named = {card.label_names.index(x) for x in split_decision(prediction.decision or "") if x in card.label_names}
    return max(named or range(len(card.labels)), key=lambda place: prediction.probabilities[place])


def _over(radiograph: Radiograph, heatmap: NDArray[np.float32], longest: int) -> overlay.RGB:
    return overlay.overlay_heat(_reduce(radiograph.pixels, longest), heatmap)


def _reduce(pixels: NDArray[np.float32], longest: int) -> NDArray[np.float32]:
    """Return the pixels with their longer side at most ``longest``: a picture of 5,600 pixels in colour takes 1 GB."""
    height, width = pixels.shape
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
