"""How figures, operating points and kinds of groups are called wherever a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pneumoscope.card import Estimate
from pneumoscope.labels import display_name

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "Accuracy",
        "balanced_accuracy": "Balanced accuracy",
        "log_loss": "Log-loss (nats)",
        "brier": "Brier score",
        "precision": "Precision",
        "recall": "Recall",
        "specificity": "Specificity",
        "sensitivity": "Sensitivity",
        "f1": "F1",
        "auroc": "AUROC",
        "auprc": "AUPRC",
        "calibration_slope": "Calibration slope",
        "calibration_intercept": "Calibration intercept",
        "calibration_error": "Calibration error (debiased)",
    }
)

POINTS: Mapping[str, str] = MappingProxyType(
    {
        "youden": "Youden's point",
        "sensitivity-95": "target sensitivity .95",
        "sensitivity-98": "target sensitivity .98",
    }
)


def point_name(name: str) -> str:
    """Return an operating point's name on screen."""
    return POINTS.get(name, name)


def figure_name(key: str) -> str:
    """Return a figure's name on screen, of ``accuracy``, ``covid-19/auroc`` or ``youden/sensitivity``."""
    owner, _, figure = key.rpartition("/")
    name = FIGURES.get(figure, figure)
    if not owner:
        return name
    return f"{name} at {point_name(owner)}" if owner in POINTS else f"{display_name(owner)}: {name}"


def group_words(kind: str) -> str:
    """Return in a few words what a group is, and what that means."""
    if kind == "patient":
        return "patients"
    if kind == "image":
        return "single images, patients unknown: the true interval is wider"
    return f"at weakest a {kind}, patients not all known: the true interval is wider"


def moment(iso: str) -> str:
    """Return a time in UTC, ISO 8601, to the minute and without its letters."""
    return f"{iso[:10]} {iso[11:16]} UTC" if len(iso) >= 16 else iso


def megabytes(size: int) -> str:
    """Return a number of bytes in MB, a small one in kB."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"


def value(estimate: Estimate, digits: int = 3) -> str:
    """Return the figure alone; a dash where there is none."""
    return "–" if estimate.value is None else f"{estimate.value:.{digits}f}"


def interval(estimate: Estimate, digits: int = 3) -> str:
    """Return the interval alone, or that it is not estimable."""
    if estimate.value is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return "interval not estimable"
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"
