"""How often the interval of a cross-fitted figure misses what the final threshold does on new patients.

    python benchmarks/acceptance_coverage.py --studies 2000

Each study draws patients with and without disease from normal distributions, refits the threshold as
``pneumoscope accept`` does, and compares the lower and the upper limit of sensitivity and specificity with the truth at
the final threshold, which is known. A lower limit above the truth may give a go that is not earned: it should happen at
most 2.5 times in 100.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import ndtr

from pneumoscope.stats.crossfit import crossfit_threshold
from pneumoscope.stats.intervals import estimate_proportion


def run(studies: int, patients: int, images: int, target: float, distance: float, seed: int) -> dict[str, float]:
    """Return how often limits miss the truth.

    Args:
        studies: Number of studies.
        patients: With disease, and as many without.
        images: Of each patient; their scores correlate by one half.
        target: Sensitivity that the threshold aims at.
        distance: Of the two means, in standard deviations.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(2 * patients), images)
    positive = group < patients
    missed = dict.fromkeys(("sensitivity low", "sensitivity high", "specificity low", "specificity high"), 0)
    for _ in range(studies):
        shared = rng.normal(0, 1, 2 * patients)[group]
        own = rng.normal(0, 1, len(group))
        score = np.where(images > 1, np.sqrt(0.5) * shared + np.sqrt(0.5) * own, own) + distance * positive
        fit = crossfit_threshold(score, positive, group, target, 10, rng)
        truth = {"sensitivity": 1 - ndtr(fit.final - distance), "specificity": ndtr(fit.final)}
        for name, success, side in (("sensitivity", fit.called, positive), ("specificity", ~fit.called, ~positive)):
            figure = estimate_proportion(success[side], group[side])
            assert figure.low is not None
            assert figure.high is not None
            missed[f"{name} low"] += figure.low > truth[name]
            missed[f"{name} high"] += figure.high < truth[name]
    return {name: count / studies for name, count in missed.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| patients of a kind, images of each, target, AUROC | sensitivity: low > truth | high < truth "
          "| specificity: low > truth | high < truth |\n|---|---|---|---|---|")  # fmt: skip
    for patients, images, target, distance in (
        (100, 1, 0.95, 1.8),
        (100, 1, 0.90, 1.5),
        (200, 1, 0.95, 1.8),
        (100, 3, 0.95, 1.8),
    ):
        rates = run(options.studies, patients, images, target, distance, options.seed)
        auroc = ndtr(distance / np.sqrt(2))
        cells = " | ".join(f"{rate:.3f}" for rate in rates.values())
        print(f"| {patients}, {images}, {target}, {auroc:.2f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
