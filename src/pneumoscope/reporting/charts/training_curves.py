"""Training curves as a picture: did it learn, did it overfit, was the kept epoch a good one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pneumoscope.core.files import atomic_path

PANELS = (("Loss", ("loss",)), ("Accuracy and AUROC", ("accuracy", "auroc")))
_COLOURS = {"train": "#8a8f98", "validation": "#0b63a5"}
_STYLES = {"loss": "-", "accuracy": "-", "auroc": "--"}


def curves_figure(rows: Sequence[Mapping[str, Any]], path: Path, *, kept: int | None = None, title: str = "") -> None:
    """Draw loss, accuracy and AUROC of training and validation over the epochs; write PNG, SVG or PDF by the suffix.

    Args:
        rows: One an epoch, as in ``metrics.csv``: ``epoch`` and any of ``train_`` and ``validation_`` with ``loss``,
            ``accuracy``, ``auroc``; values may be text, and empty where unknown.
        path: The picture.
        kept: The epoch whose weights were kept; marked.
        title: Above the panels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: nothing global is touched

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, metrics) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for metric in metrics:
            for part, colour in _COLOURS.items():
                x, y = _points(rows, f"{part}_{metric}")
                if x:
                    style, label = _STYLES[metric], f"{part} {metric.replace('auroc', 'AUROC')}"
                    marker = "o" if len(x) < 3 else None
                    axes.plot(x, y, style, color=colour, label=label, linewidth=1.6, marker=marker)
        if kept is not None:
            axes.axvline(kept, color="#b3541e", linewidth=1, linestyle=":", label=f"kept: epoch {kept}")
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, linewidth=0.4, alpha=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    if title:
        figure.suptitle(title)
    with atomic_path(Path(path)) as temporary:
        figure.savefig(temporary, dpi=130)


def _points(rows: Sequence[Mapping[str, Any]], column: str) -> tuple[list[float], list[float]]:
    pairs = [(float(row["epoch"]), float(row[column])) for row in rows if row.get(column) not in (None, "")]
    return [x for x, _ in pairs], [y for _, y in pairs]
