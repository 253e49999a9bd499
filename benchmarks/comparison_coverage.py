"""Simulates the coverage of comparisons of two models; the results are in docs/concepts/statistics.md.

    python benchmarks/comparison_coverage.py [--repeats 400] [--resamples 400] [--only SETTING] [--seed 1]
    python benchmarks/comparison_coverage.py --recommend [--repeats 400]

Each study has patients with and without the disease, one or several images each. What makes an image hard is partly
shared by the patient's images and partly by the models. The first table: how often the 95% interval of a - b held the
truth (that of half a million images), how often each one-sided 95% limit did. The second, with two equally good models:
how often p < .05. ``--recommend``: how often a model that is truly worse than the best by the margin is recommended.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from pneumoscope.stats.comparison.paired import METRICS, Paired, Scores, compare_all_paired, compare_paired
from pneumoscope.stats.comparison.recommendation import Candidate, recommend
from pneumoscope.stats.estimates import Estimate


@dataclass(frozen=True)
class Setting:
    """How studies are drawn."""

    name: str
    positives: int  # groups
    negatives: int
    images: tuple[int, ...]  # images of a group, drawn evenly from these
    within: float  # correlation of a score within a group
    shared: float  # correlation of the two models' scores of an image
    gaps: tuple[float, ...]  # of each model: distance of the classes in standard deviations


SETTINGS = (
    Setting("40 + 80 patients, 1 image, AUROC .86 and .84", 40, 80, (1,), 0.0, 0.7, (1.5, 1.4)),
    Setting("100 + 200, 1 image, .983 and .976", 100, 200, (1,), 0.0, 0.7, (3.0, 2.8)),
    Setting("200 + 300, 1 image, .9985 and .9971", 200, 300, (1,), 0.0, 0.5, (4.2, 3.9)),
    Setting("40 + 80, 1 to 5 images, .86 and .84", 40, 80, (1, 2, 3, 4, 5), 0.5, 0.7, (1.5, 1.4)),
    Setting("40 + 80, 1 to 5 images, .980 and .972", 40, 80, (1, 2, 3, 4, 5), 0.5, 0.7, (2.9, 2.7)),
    Setting("15 + 15, 1 to 3 images, .86 and .80", 15, 15, (1, 2, 3), 0.5, 0.7, (1.5, 1.2)),
)


def draw(setting: Setting, copies: int, rng: np.random.Generator):
    """Return the models' scores (positive first), truth [N] (0 = positive), groups [N]."""
    total = (setting.positives + setting.negatives) * copies
    positive = np.tile(np.arange(setting.positives + setting.negatives) < setting.positives, copies)
    group = np.repeat(np.arange(total), rng.choice(setting.images, size=total))

    def field():
        patient = rng.normal(scale=np.sqrt(setting.within), size=total)[group]
        return patient + rng.normal(scale=np.sqrt(1 - setting.within), size=len(group))

    common = field()
    models = []
    for gap in setting.gaps:
        latent = gap * positive[group] + np.sqrt(setting.shared) * common + np.sqrt(1 - setting.shared) * field()
        p = expit(gap * latent - gap**2 / 2 + np.log(setting.positives / setting.negatives))
        models.append(Scores(np.column_stack([p, 1 - p]), 0.3))
    return models, np.where(positive[group], 0, 1), group


def coverage(setting: Setting, repeats: int, resamples: int, rng) -> None:
    (a, b), truth, group = draw(setting, max(1, 500_000 // (setting.positives + setting.negatives)), rng)
    # The truth needs no interval: each image its own group in a plain mean.
    true = {metric: difference(a, b, truth, metric) for metric in METRICS}
    coverage = defaultdict(lambda: np.zeros(4))
    for _ in range(repeats):
        (a, b), truth, group = draw(setting, 1, rng)
        for metric in METRICS:
            comparison = compare_paired(a, b, truth, group, metric, rng=rng, resamples=resamples)
            if comparison.lower is None or comparison.upper is None:
                continue
            low, high = comparison.difference.low, comparison.difference.high
            coverage[metric] += (
                1,
                low <= true[metric] <= high,
                comparison.lower <= true[metric],
                true[metric] <= comparison.upper,
            )
    print(f"\n{setting.name} ({repeats} studies)\n  {'metric':18} {'truth':>8} {'held':>6} {'lower':>6} {'upper':>6}")
    for metric, (n, two, lower, upper) in coverage.items():
        row = f"{two / n:6.3f} {lower / n:6.3f} {upper / n:6.3f}"
        print(f"  {metric:18} {true[metric]:8.4f} {row}" + (f"   (of {n / repeats:.0%})" if n < repeats else ""))


def difference(a: Scores, b: Scores, truth, metric: str) -> float:
    from pneumoscope.stats import metrics
    from pneumoscope.stats.comparison.paired import parts_of, values_of

    if metric == "auroc":
        return float(np.subtract(*(metrics.auroc(s.probabilities[:, 0], truth == 0) for s in (a, b))))
    gap = values_of(a, truth, metric) - values_of(b, truth, metric)
    return float(np.mean([gap[part].mean() for part in parts_of(truth, metric)]))


def null(setting: Setting, repeats: int, resamples: int, rng) -> None:
    same = replace(setting, gaps=(setting.gaps[0],) * 2)
    rejected = dict.fromkeys(METRICS, 0)
    for _ in range(repeats):
        (a, b), truth, group = draw(same, 1, rng)
        for metric in METRICS:
            p = compare_paired(a, b, truth, group, metric, rng=rng, resamples=resamples).p_value
            rejected[metric] += p is not None and p < 0.05
    print(f"  both {setting.gaps[0]}: p < .05 " + ", ".join(f"{m} {n / repeats:.3f}" for m, n in rejected.items()))


def recommending(repeats: int, rng) -> None:
    """Print how often a model truly worse by more than the margin is recommended."""
    print(f"\nworlds of a best model and K smaller ones, all worse by the margin of .01 AUROC ({repeats} studies each)")
    best_gap = 3.0
    worse = float(norm.ppf(norm.cdf(best_gap / np.sqrt(2)) - 0.01) * np.sqrt(2))
    for rivals, shared in ((1, 0.7), (3, 0.7), (7, 0.7), (7, 0.9)):
        for equals in (1, 4):
            setting = Setting("", 200, 300, (1,), 0.0, shared, (best_gap,) * equals + (worse,) * rivals)
            wrong, flattered = 0, 0.0
            for _ in range(repeats):
                models, truth, group = draw(setting, 1, rng)
                scores = {f"{'best' if i < equals else 'worse'}{i}": model for i, model in enumerate(models)}
                areas = {n: area(s, truth) for n, s in scores.items()}
                best = max(areas, key=areas.__getitem__)
                flattered += areas[best] - norm.cdf(best_gap / np.sqrt(2))
                comparison = compare_all_paired(scores, best, truth, group, "auroc", rng=rng, resamples=1)
                comparison[best] = Paired(metric="auroc", difference=Estimate(value=0.0))
                sizes = {name: 100 - int(name[-1]) for name in scores}
                chosen = recommend(
                    [Candidate(n, sizes[n], None, None, comparison[n]) for n in scores], best=best, metric="auroc"
                ).chosen
                wrong += chosen is not None and chosen.startswith("worse")
            print(
                f"  {equals} equally best, {rivals} worse, correlation {shared}: wrong {wrong / repeats:.3f}, "
                f"the best's AUROC too high by {flattered / repeats:.4f}"
            )


def area(scores: Scores, truth) -> float:
    from pneumoscope.stats import metrics

    return metrics.auroc(scores.probabilities[:, 0], truth == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of one setting, from 0")
    parser.add_argument("--recommend", action="store_true")
    options = parser.parse_args()
    if options.recommend:
        recommending(options.repeats, np.random.default_rng([options.seed, 99]))
        return
    for number, setting in enumerate(SETTINGS):
        if options.only in (None, number):
            rng = np.random.default_rng([options.seed, number])
            coverage(setting, options.repeats, options.resamples, rng)
            null(setting, options.repeats, options.resamples, rng)


if __name__ == "__main__":
    main()
