"""Simulates the intervals of cohorts and of strong, unequal clusters; the results are in docs/concepts/statistics.md.

    python benchmarks/design_coverage.py cohort|cohort-bootstrap|clusters|clusters-bootstrap [--repeats 1000]
    python benchmarks/design_coverage.py cohort --table

A cohort draws 200 to 5,000 patients with one image each, whose classes are chance (prevalence .01 to .30), and a model
that is calibrated or over-confident (logits times 1.7, plus .5). Clusters are case-control studies of 12 to 300
patients in either class with 1 to 20 images each, whose scores correlate by .9. What is called is what the program
calls. Bootstrapped figures cost a hundred times as much as the others, and run apart. A finished setting is kept in the
file and not run again.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from interval_coverage import Setting, bootstrapped, closed, draw
from scipy.special import expit, ndtri

from pneumoscope.stats import auroc_interval, intervals, kernels, metrics, stratified
from pneumoscope.stats.bootstrap import bootstrap, resample
from pneumoscope.stats.decision import net_benefit
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.loss_intervals import MOST_NATS, mean_of_losses
from pneumoscope.stats.metric_registry import OneClass
from pneumoscope.stats.metric_table import class_calibration_error
from pneumoscope.stats.selective import aurc

AUROC = 0.85
GAP = float(ndtri(AUROC) * np.sqrt(2))
MANY = tuple(range(1, 21))
Estimates: TypeAlias = dict[str, Estimate]
Truths: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Cohort:
    """How cohorts are drawn."""

    patients: int
    prevalence: float
    calibrated: bool

    @property
    def name(self) -> str:
        """Its name in the results."""
        calibration = "calibrated" if self.calibrated else "over-confident"
        return f"cohort: {self.patients}, prevalence {self.prevalence:g}, {calibration}"

    def draw(self, patients: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of the disease [N] and whether it is there [N]."""
        positive = rng.random(patients) < self.prevalence
        score = rng.normal(size=patients) + GAP * positive
        logit = GAP * score - GAP**2 / 2 + np.log(self.prevalence / (1 - self.prevalence))
        return expit(logit if self.calibrated else 1.7 * logit + 0.5), positive


def settings() -> Iterator[Cohort | Setting]:
    """Yield the settings, small ones first."""
    for positives, negatives in ((12, 12), (12, 300), (30, 30), (100, 100), (300, 300), (300, 12)):
        yield Setting("clusters", positives, negatives, MANY, 0.9, AUROC)
    for patients in (200, 1000, 5000):
        for prevalence in (0.30, 0.10, 0.05, 0.01):
            for calibrated in (True, False):
                yield Cohort(patients, prevalence, calibrated)


def nats(probability: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the log-loss of each image [N]."""
    return -np.log(np.clip(np.where(positive, probability, 1 - probability), kernels.SMALLEST, 1.0))


def statistics(p: np.ndarray, positive: np.ndarray) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return the bootstrapped figures."""
    return {
        "AUPRC": partial(kernels.average_precision, p, positive),
        "calibration slope": partial(kernels.calibration_slope, p, positive),
        "calibration intercept": partial(kernels.calibration_intercept, p, positive),
        "AURC": partial(aurc, np.maximum(p, 1 - p), (p >= 0.5) != positive),
    }


def cohort_truths(setting: Cohort) -> tuple[Truths, float]:
    """Return the figures of two million patients, and the threshold of sensitivity .9."""
    p, positive = setting.draw(2_000_000, np.random.default_rng(0))
    decided, one = p >= 0.5, np.ones((1, len(p)))
    right = decided == positive
    hit = float((decided & positive).sum())
    cut = float(np.quantile(p[positive], 0.1))
    called = p >= cut
    truths = {
        "accuracy": float(right.mean()),
        "precision": hit / max(1, decided.sum()),
        "F1": 2 * hit / (decided.sum() + positive.sum()),
        "log-loss": float(nats(p, positive).mean()),
        "Brier": float(((p - positive) ** 2).mean()),
        "net benefit": float((called & positive).mean() - (called & ~positive).mean() * 0.25),
        "AUROC": AUROC,
        "sensitivity": 0.9,
        "specificity": float((~called[~positive]).mean()),
        "calibration error": metrics.calibration_error(p, positive, np.arange(len(p)))
        if not setting.calibrated
        else 0.0,
    }
    return truths | {name: float(kernel(one)[0]) for name, kernel in statistics(p, positive).items()}, cut


def cohort_figures(p: np.ndarray, positive: np.ndarray, cut: float) -> Estimates:
    """Return the figures of one study whose intervals are formulas."""
    group, decided, called, truth = np.arange(len(p)), p >= 0.5, p >= cut, np.where(positive, 0, 1)
    return {
        "accuracy": stratified.estimate_accuracy(decided == positive, [positive, ~positive], group, "cohort"),
        "precision": stratified.estimate_precision(decided, positive, group, "cohort"),
        "F1": stratified.estimate_f1(decided, positive, group, "cohort"),
        "log-loss": mean_of_losses(nats(p, positive), truth, group, 2, most=MOST_NATS, design="cohort"),
        "Brier": mean_of_losses((p - positive) ** 2, truth, group, 2, most=1.0, design="cohort"),
        "net benefit": net_benefit(called, positive, group, None, 0.2, "cohort").model,
        "AUROC": auroc_interval.estimate_auroc(p, positive, group),
        "sensitivity": intervals.estimate_proportion(called[positive], group[positive]),
        "specificity": intervals.estimate_proportion(~called[~positive], group[~positive]),
    }


def cohort_bootstraps(p: np.ndarray, positive: np.ndarray, rng: np.random.Generator, resamples: int) -> Estimates:
    """Return the bootstrapped figures of one study; calibration slopes, which cost the most, of small ones only."""
    group = np.arange(len(p))
    sample = resample(np.where(positive, 0, 1), group, 2, rng, resamples, "cohort")
    kernels_here = statistics(p, positive)
    if len(p) > 200:
        del kernels_here["calibration slope"]
    error = class_calibration_error(OneClass(p, positive, p >= 0.5, group, sample))
    return {name: bootstrap(kernel, sample) for name, kernel in kernels_here.items()} | {"calibration error": error}


def studies_of(
    setting: Cohort | Setting, options: argparse.Namespace, rng: np.random.Generator
) -> Iterator[tuple[Estimates, Truths]]:
    """Yield the figures of each study and their truths."""
    bootstraps = options.kind.endswith("bootstrap")
    if isinstance(setting, Cohort):
        truths, cut = cohort_truths(setting)
        for _ in range(options.repeats):
            p, positive = setting.draw(setting.patients, rng)
            if not bootstraps:
                yield cohort_figures(p, positive, cut), truths
            elif positive.any():
                yield cohort_bootstraps(p, positive, rng, options.resamples), truths
        return
    study = bootstrapped(setting, options.resamples) if bootstraps else closed(setting)
    for _ in range(options.repeats):
        yield study(*draw(setting, 1, rng), rng)


def run(setting: Cohort | Setting, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return for each figure the share of studies whose interval held the truth, of those that had one."""
    rng = np.random.default_rng(zlib.crc32(setting.name.encode()))
    held: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    studies: dict[str, int] = defaultdict(int)
    for estimates, truths in studies_of(setting, options, rng):
        for name, e in estimates.items():
            studies[name] += 1
            if e.low is not None and e.high is not None:
                over, under = truths[name] < e.low - 1e-9, truths[name] > e.high + 1e-9
                held[name].append((not over and not under, over, under))
    shares = {name: np.mean(held[name] or [(0, 0, 0)], axis=0) for name in studies}
    return {
        name: {
            "held": round(float(shares[name][0]), 4),
            "too high": round(float(shares[name][1]), 4),
            "too low": round(float(shares[name][2]), 4),
            "none": round(1 - len(held[name]) / number, 4),
            "studies": len(held[name]),
        }
        for name, number in studies.items()
    }


def table(results: dict[str, dict[str, dict[str, float]]], kind: str) -> str:
    """Return a Markdown table: a row for each setting, a column for each figure."""
    rows = {name.split(": ")[1]: figures for name, figures in results.items() if name.startswith(f"{kind}: ")}
    names = list(dict.fromkeys(name for figures in rows.values() for name in figures))
    lines = [f"| {kind} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]

    def cell(row: dict[str, float] | None) -> str:
        if row is None or row["none"] > 0.5:
            return "none"
        return f"{row['held']:.3f}" + (f" ({row['none']:.0%} none)" if row["none"] >= 0.05 else "")

    lines += [
        f"| {name} | " + " | ".join(cell(figures.get(figure)) for figure in names) + " |"
        for name, figures in rows.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the settings that are not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("cohort", "cohort-bootstrap", "clusters", "clusters-bootstrap"))
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--largest", type=int, default=5000, help="patients of the largest study")
    parser.add_argument("--fewest", type=float, default=0, help="patients with the disease that a cohort must expect")
    parser.add_argument("--table", action="store_true", help="print the table of what is in the file, and stop")
    parser.add_argument("-o", "--out", type=Path, default=Path("build/bench/designs.json"))
    options = parser.parse_args()
    results = json.loads(options.out.read_text()) if options.out.is_file() else {}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for setting in settings():
        if isinstance(setting, Cohort):
            size, diseased = setting.patients, setting.patients * setting.prevalence
        else:
            size, diseased = setting.positives + setting.negatives, setting.positives
        kind, _, drawn = setting.name.partition(": ")
        name = f"{options.kind}: {drawn}"
        if options.table or not options.kind.startswith(kind) or size > options.largest or diseased < options.fewest:
            continue
        if name in results:
            continue
        started = time.perf_counter()
        results[name] = run(setting, options)
        temporary = options.out.with_suffix(".tmp")
        temporary.write_text(json.dumps(results, indent=1) + "\n")
        temporary.replace(options.out)
        worst = sorted((row["held"], figure) for figure, row in results[name].items() if row["none"] <= 0.5)
        shown = ", ".join(f"{figure} {share:.3f}" for share, figure in worst[:8])
        print(f"{name} ({time.perf_counter() - started:.0f} s): {shown}", flush=True)
    print(table(results, options.kind))


if __name__ == "__main__":
    main()
