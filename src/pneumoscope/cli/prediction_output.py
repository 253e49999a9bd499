"""How predictions look on a terminal: a score with what it meant on known images, never a bare percentage."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pneumoscope.cli.formatting import print_note
from pneumoscope.core.counts import format_count
from pneumoscope.core.labels import DISCLAIMER, NO_PATTERN, display_name, is_none_label, result_phrase

if TYPE_CHECKING:
    from pneumoscope.bundle.card import Card
    from pneumoscope.bundle.runtime import Model
    from pneumoscope.inference.predict import PredictionSummary

BLOCK = 20
"""Rows that are printed at once."""

_FINDING_WIDTH = 24  # characters: a finding's name and its score


def describe_model(model: Model) -> str:
    """Return what the reader of a result must know about the model, in lines."""
    from pneumoscope.bundle.companion_differences import compare_companions
    from pneumoscope.bundle.evidence import list_stamps

    card = model.card
    looks_for = ", ".join(display_name(name) for name in card.label_names if not is_none_label(name))
    lines = [f"Model {card.name} {card.version} ({model.identity[:12]}). It looks for: {looks_for}."]
    if card.not_looked_for:
        lines.append(f"It does not look for: {', '.join(card.not_looked_for)}.")
    lines.append(f"Audit: {model.audit}.")
    if not model.screened:
        lines.append("Not screened: no gatekeeper looked at the images, so that the model answers about any picture.")
    lines += compare_companions(card.companions) if model.screened else ()
    lines += [f"Limit: {limit}" for limit in card.limits]
    lines += [f"Stamped: {stamp}" for stamp in list_stamps(model.folder, card, model.identity)]
    if card.synthetic:
        lines.append("Trained on drawn images: for demonstration only.")
    return "\n".join([*lines, DISCLAIMER])


def describe_summary(summary: PredictionSummary) -> str:
    """Return the counts of a run in one line."""
    answered = summary.files - summary.refused - summary.failed
    parts = [f"{count} {result_phrase(label)}" for label, count in summary.decisions.most_common()]
    parts += [f"{summary.refused} no answer"] * bool(summary.refused) + [f"{summary.failed} failed"] * bool(
        summary.failed
    )
    several = " An image counts with each of its findings." if sum(summary.decisions.values()) > answered else ""
    return f"{format_count(summary.files, 'file')}: {', '.join(parts)}.{several}"


def describe_score(card: Card, p: float) -> tuple[str, str]:
    """Return the primary label's score and what it meant on the calibration images, in words."""
    from pneumoscope.bundle.prediction import band_of
    from pneumoscope.stats.plain_language import SCORES_UNKNOWN

    band = band_of(card, p)
    score = f"{p:.2f}"
    # Rounding must not make a score look certain.
    score = "> 0.99" if p < 1 and score == "1.00" else "< 0.01" if p > 0 and score == "0.00" else score
    if band is None or card.one_band:
        return score, "" if band is None else SCORES_UNKNOWN
    n = round(band["n"])
    return score, f"{round(band['rate'] * n)} of {n} were {display_name(card.primary)}"


def _describe_answer(card: Card, row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the result of a row, its score and what the score meant, in words; of findings those that it names."""
    from pneumoscope.bundle.prediction import result_words, split_decision

    result = result_words(row["decision"], None)
    if not card.multilabel:
        return result, *describe_score(card, row[f"p_{card.primary}"])
    scores = {
        name: describe_score(card.view(name), row[f"p_{name}"])
        for name in split_decision(row["decision"])
        if name in card.label_names
    }
    listed = ", ".join(f"{display_name(name)} {score}" for name, (score, _) in scores.items())
    return result, listed, "; ".join(dict.fromkeys(meaning for _, meaning in scores.values() if meaning))


class TableOutput:
    """Rows as a table on stdout, in blocks, so that the memory does not grow with the number of rows.

    Args:
        model: The model.
        limit: Most rows that are shown; None: all.
    """

    def __init__(self, model: Model, limit: int | None) -> None:
        from rich.console import Console

        self._model = model
        self._limit = limit
        self._rows: list[dict[str, Any]] = []
        self._seen = self._shown = 0
        # A pipe or a log file has no width of its own: wide enough that rows stay on one line.
        self._console = Console() if sys.stdout.isatty() else Console(width=160)

    def begin(self) -> None:
        """Print nothing yet: the first block brings the heading."""

    def add(self, row: dict[str, Any]) -> bool:
        """Add a row; return whether a block is ready to be printed."""
        self._seen += 1
        if self._limit is None or self._seen <= self._limit:
            self._rows.append(row)
        elif row["error"] is not None:  # rows in the table say it there
            print_note(row["error"], error=True)
        return len(self._rows) >= BLOCK

    def flush(self) -> None:
        """Print the rows that wait, and forget them."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        if not self._rows:
            return
        card = self._model.card
        table = Table(box=box.SIMPLE, show_header=self._shown == 0, expand=True, show_edge=False, pad_edge=False)
        heading = "scores" if card.multilabel else f"{display_name(card.primary)} score"
        width = max(20, (self._console.width - len(heading)) // 3)
        table.add_column("file", width=width, no_wrap=True)
        least = len(NO_PATTERN) if self._console.width >= 140 else None
        table.add_column("result", ratio=2, overflow="fold", min_width=least)
        table.add_column(heading, width=_FINDING_WIDTH if card.multilabel else len(heading), overflow="fold")
        table.add_column("what such a score meant", ratio=3, overflow="fold")
        for row in self._rows:
            if row["error"] is not None:
                result, score, meaning = "failed", "", row["error"].removeprefix(f"{row['path']}: ")
            elif row["refused"]:
                result, score, meaning = "no answer", "", row["reason"]
            else:
                result, score, meaning = _describe_answer(card, row)
                meaning = "; ".join(filter(None, [meaning, row["warnings"] and f"warning: {row['warnings']}"]))
            table.add_row(*(Text(cell) for cell in (_tail(row["path"], width), result, score, meaning)))
        self._console.print(table)
        self._shown += len(self._rows)
        self._rows.clear()

    def end(self, summary: PredictionSummary, written: Mapping[str, str]) -> None:
        """Print what is left, the counts, what the model is and the disclaimer."""
        self.flush()
        out = self._console.out
        if self._seen > self._shown:
            out(f"... and {self._seen - self._shown} more rows in {written['output']}")
        out("\n" + describe_summary(summary))
        for name, path in written.items():
            out(f"{name.capitalize()}: {path}")
        card = self._model.card
        if card.multilabel:
            out("A finding is named where its score reaches its own threshold; the other scores are in the table.")
        elif card.score_bands:
            from pneumoscope.stats.plain_language import SCORES_UNKNOWN

            everything = f"Of all {card.calibration_images or ''}".rstrip()
            prior = f"{everything}, {card.class_prior[0]:.0%} were {display_name(card.primary)}"
            if card.one_band:
                out(f"The model has {SCORES_UNKNOWN}. {prior}.")
            else:
                out(
                    "What a score meant: what the model's own calibration images in the same band of scores were. "
                    f"{prior}: where it is rarer, so are these."
                )
        out(describe_model(self._model))


def _tail(path: str, width: int) -> str:
    """Return the end of a path, where the names of files in one folder differ."""
    return path if len(path) <= width else "…" + path[1 - width :]


def _name_points(card: Card) -> dict[str, Any]:
    """Return the threshold of a card's decisions; of a multi-label model that of each finding."""

    def name(view: Card) -> dict[str, Any]:
        return {"name": view.operating_point.name, "threshold": view.operating_point.threshold}

    if card.multilabel:
        return {"operating_points": {finding: name(card.view(finding)) for finding in card.label_names}}
    return {"operating_point": name(card)}


class JsonOutput:
    """Rows as one JSON document on stdout, written as the rows come.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._comma = ""

    def begin(self) -> None:
        """Open the document with what the model is."""
        from pneumoscope.bundle.evidence import list_stamps

        card = self._model.card
        about = {
            "name": card.name,
            "version": card.version,
            "identity": self._model.identity,
            "labels": card.label_names,
            **_name_points(card),
            "not_looked_for": card.not_looked_for,
            "limits": card.limits,
            "stamps": list_stamps(self._model.folder, card, self._model.identity),
            "synthetic": card.synthetic,
            "screened": self._model.screened,
            "audit": self._model.audit,
        }
        self._write(f'{{"disclaimer": {json.dumps(DISCLAIMER)},\n"model": {json.dumps(about, allow_nan=False)},\n')
        self._write('"predictions": [')

    def add(self, row: dict[str, Any]) -> bool:
        """Write a row; an error goes to stderr too."""
        if row["error"] is not None:
            print_note(row["error"], error=True)
        self._write(f"{self._comma}\n{json.dumps(row, allow_nan=False)}")
        self._comma = ","
        return False

    def flush(self) -> None:
        """Do nothing, since rows are written as they come."""

    def end(self, summary: PredictionSummary, written: Mapping[str, str]) -> None:
        """Close the document with the counts and what was written."""
        counts = {
            "files": summary.files,
            "resumed": summary.resumed,
            "failed": summary.failed,
            "refused": summary.refused,
            "decisions": dict(summary.decisions),
            "passed_over": dict(summary.passed_over),
        }
        self._write(f'\n],\n"summary": {json.dumps(counts)},\n"written": {json.dumps(dict(written))}}}\n')

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
