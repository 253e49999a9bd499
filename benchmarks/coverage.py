"""Do the 95% intervals hold the truth 95 times in 100? A simulation, with the results in docs/statistics.md.

    python benchmarks/coverage.py [--repeats 400] [--resamples 1000] [--only SETTING] [--seed 1] [-o coverage.json]

Each setting draws studies of a fixed number of patients (groups) with and without the disease; a patient has one or
several images with a shared deviation, and one latent score an image. The probability is the true posterior of that
score, made over-confident where the setting says so. The truth of each figure is that of half a million images.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from pneumoscope.card import Estimate
from pneumoscope.stats.figures import evaluate_predictions


@dataclass(frozen=True)
class Setting:
    """How studies are drawn."""

    name: str
    positives: int  # groups
    negatives: int
    images: tuple[int, ...]  # images of a group, drawn evenly from these
    within: float  # correlation of scores within a group
    gap: float  # distance of the classes in standard deviations
    sharpness: float = 1.0  # > 1: over-confident


SETTINGS = (
    Setting("25 + 25, one image each, AUROC .86", 25, 25, (1,), 0.0, 1.5),
    Setting("100 + 200, one image each, AUROC .86", 100, 200, (1,), 0.0, 1.5),
    Setting("100 + 200, one image each, AUROC .995", 100, 200, (1,), 0.0, 3.6),
    Setting("40 + 80, 1 to 5 images, correlation .6, AUROC .86", 40, 80, (1, 2, 3, 4, 5), 0.6, 1.5),
    Setting("40 + 80, 1 to 5 images, correlation .6, AUROC .98", 40, 80, (1, 2, 3, 4, 5), 0.6, 2.9),
    Setting("12 + 12, 1 to 5 images, correlation .6, AUROC .86", 12, 12, (1, 2, 3, 4, 5), 0.6, 1.5),
    Setting("200 + 400, one image each, over-confident x 1.5", 200, 400, (1,), 0.0, 1.5, 1.5),
)


def draw(setting: Setting, copies: int, rng: np.random.Generator):
    """Return probabilities [N, 2] (positive first), truth [N] (0 = positive), groups [N]."""
    total = setting.positives + setting.negatives
    positive = np.tile(np.arange(total) < setting.positives, copies)
    size = rng.choice(setting.images, size=len(positive))
    group = np.repeat(np.arange(len(positive)), size)
    shared = rng.normal(scale=np.sqrt(setting.within), size=len(positive))[group]
    own = rng.normal(scale=np.sqrt(1 - setting.within), size=len(group))
    score = setting.gap * positive[group] + shared + own
    log_odds = setting.gap * score - setting.gap**2 / 2 + np.log(setting.positives / setting.negatives)
    p = expit(setting.sharpness * log_odds)
    return np.column_stack([p, 1 - p]), np.where(positive[group], 0, 1), group


def figures(p, truth, group, resamples: int, rng) -> dict[str, Estimate]:
    found = evaluate_predictions(p, truth, group, ("disease", "other"), rng=rng, resamples=resamples)
    return {**found.overall, **{f"{k} (class)": v for k, v in found.by_class["disease"].items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of one setting, from 0")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    results = {}
    for number, setting in enumerate(SETTINGS):
        if options.only not in (None, number):
            continue
        rng = np.random.default_rng([options.seed, number])
        started = time.perf_counter()
        copies = max(1, 500_000 // (setting.positives + setting.negatives) // int(np.mean(setting.images)))
        truths = {k: v.value for k, v in figures(*draw(setting, copies, rng), 0, rng).items()}
        held, below, width, missing = (defaultdict(list) for _ in range(4))
        for _ in range(options.repeats):
            for name, e in figures(*draw(setting, 1, rng), options.resamples, rng).items():
                missing[name].append(e.low is None)
                if e.low is not None:
                    held[name].append(e.low - 1e-9 <= truths[name] <= e.high + 1e-9)
                    below[name].append(truths[name] < e.low - 1e-9)
                    width[name].append(e.high - e.low)
        print(f"\n{setting.name}  ({options.repeats} studies, {time.perf_counter() - started:.0f} s)")
        print(f"  {'figure':32} {'truth':>8} {'held':>6} {'too high':>9} {'too low':>8} {'width':>7} {'none':>6}")
        table = {}
        for name, truth in truths.items():
            if not held[name]:
                continue
            share, over = np.mean(held[name]), np.mean(below[name])
            row = (truth, share, over, 1 - share - over, float(np.mean(width[name])), float(np.mean(missing[name])))
            table[name] = [round(float(v), 4) for v in row]
            print(f"  {name:32} {row[0]:8.3f} {row[1]:6.3f} {row[2]:9.3f} {row[3]:8.3f} {row[4]:7.3f} {row[5]:6.3f}")
        results[setting.name] = table
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
