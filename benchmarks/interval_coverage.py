"""Simulates whether the 95% intervals hold the truth 95 times in 100; the results are in docs/concepts/statistics.md.

    python benchmarks/interval_coverage.py [--kind closed|losses|bootstrap] [--repeats 2000] [-o coverage.json]
    python benchmarks/interval_coverage.py --table -o coverage.json

Each setting draws studies of a fixed number of patients (groups), with and without the disease. An image's score is
normal, its images share a patient's deviation (their correlation is the ICC), and the classes stand apart as the AUROC
says, so that the truth of AUROC, sensitivity and all that follows is a formula; that of the bootstrapped figures is
that of half a million images. What is called is what the program calls. A finished setting is kept in the file and
not run again. The bootstrapped figures cost a thousand times as much: they have fewer settings, repeats and resamples.
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

import numpy as np
from scipy.special import expit, ndtr, ndtri

from pneumoscope.stats import auroc_interval, intervals, kernels, stratified
from pneumoscope.stats.bootstrap import bootstrap, resample
from pneumoscope.stats.decision import net_benefit
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.loss_intervals import MOST_NATS, mean_of_losses
from pneumoscope.stats.predictive_values import predictive_values
from pneumoscope.stats.prevalence import likelihood_ratio
from pneumoscope.stats.selective import aurc

SENSITIVITIES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
ONE, MOSTLY_ONE, SEVERAL = (1,), (1,) * 9 + (2,), (1, 2, 3, 4, 5)
PREVALENCE, ACT_AT = 0.05, 0.2
Truths = dict[str, float]
Found = dict[str, Estimate]
Study = Callable[..., tuple[Found, Truths]]
"""Score, positive, group, generator -> the intervals, and what each should hold."""


@dataclass(frozen=True)
class Setting:
    """How studies are drawn."""

    kind: str  # closed, losses or bootstrap
    positives: int  # groups
    negatives: int
    images: tuple[int, ...]  # images of a group, drawn evenly from these
    icc: float  # correlation of scores within a group
    auroc: float

    @property
    def name(self) -> str:
        """Its name in the results."""
        each = {ONE: "1 image", MOSTLY_ONE: "1 or 2 images"}.get(self.images, f"1 to {max(self.images)} images")
        return f"{self.kind}: {self.positives} + {self.negatives}, {each}, ICC {self.icc:g}, AUROC {self.auroc:g}"

    @property
    def gap(self) -> float:
        """Distance of the classes in standard deviations."""
        return float(ndtri(self.auroc) * np.sqrt(2))


def settings() -> Iterator[Setting]:
    sizes = ((10, 10), (25, 75), (150, 150), (500, 500), (25, 25), (50, 50))
    shapes = ((ONE, 0.0), (SEVERAL, 0.8), (SEVERAL, 0.0), (MOSTLY_ONE, 0.8), (SEVERAL, 0.4))
    everything = [(size, *shape, auroc) for size in sizes for shape in shapes for auroc in (0.6, 0.86, 0.99, 0.95)]
    # The corners of the grid first, so that a run that is cut short has seen them.
    core = [one for one in everything if one[0] in sizes[:4] and one[1:3] in shapes[:3] and one[3] != 0.95]
    for (positives, negatives), images, icc, auroc in [*core, *(one for one in everything if one not in core)]:
        yield Setting("closed", positives, negatives, images, icc, auroc)
    for positives, negatives in sizes:
        for images, icc in shapes[:3]:
            for auroc in (0.75, 0.95, 0.99):
                yield Setting("losses", positives, negatives, images, icc, auroc)
    for positives, negatives in ((10, 10), (25, 25), (50, 50), (150, 150)):
        for images, icc in ((ONE, 0.0), (SEVERAL, 0.6)):
            for auroc in (0.75, 0.95):
                yield Setting("bootstrap", positives, negatives, images, icc, auroc)


def draw(setting: Setting, copies: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return score [N], positive [N], group [N]; a score stands for the odds as the model sees them."""
    total = setting.positives + setting.negatives
    of_group = np.tile(np.arange(total) < setting.positives, copies)
    size = rng.choice(setting.images, size=len(of_group))
    group = np.repeat(np.arange(len(of_group)), size)
    shared = rng.normal(scale=np.sqrt(setting.icc), size=len(of_group))[group]
    own = rng.normal(scale=np.sqrt(1 - setting.icc), size=len(group))
    positive = of_group[group]
    return setting.gap * positive + shared + own, positive, group


def closed(setting: Setting) -> Study:
    """Return what is computed of one study; the truths are formulas."""
    cut = setting.gap - float(ndtri(0.95))  # of sensitivity .95
    sensitivity, specificity = 0.95, float(ndtr(cut))
    odds = PREVALENCE / (1 - PREVALENCE)
    harm = ACT_AT / (1 - ACT_AT) * (1 - PREVALENCE)
    up, down = odds * sensitivity / (1 - specificity), odds * (1 - sensitivity) / specificity
    truths = {
        "AUROC": setting.auroc,
        "balanced accuracy": (sensitivity + specificity) / 2,
        "PPV at 5%": up / (1 + up),
        "NPV at 5%": 1 / (1 + down),
        "likelihood ratio above": up / odds,
        "likelihood ratio below": down / odds,
        "net benefit at 5%": PREVALENCE * sensitivity - harm * (1 - specificity),
    }
    levels = {f"sensitivity {level:g}": level for level in SENSITIVITIES} if setting.auroc == 0.86 else {}
    truths |= levels | {"specificity": specificity}

    def mixed(share: float) -> Truths:
        """Return the truths that depend on the share of the disease among a study's images."""
        hit, false = share * sensitivity, (1 - share) * (1 - specificity)
        return {
            "accuracy": hit + (1 - share) * specificity,
            "precision": hit / (hit + false),
            "F1": 2 * hit / (hit + false + share),
        }

    def compute(
        score: np.ndarray, positive: np.ndarray, group: np.ndarray, _: np.random.Generator
    ) -> tuple[Found, Truths]:
        called = score >= cut
        right = called == positive
        values = predictive_values(called, positive, group, PREVALENCE)
        estimates = {
            "AUROC": auroc_interval.estimate_auroc(score, positive, group),
            "accuracy": stratified.estimate_accuracy(right, [positive, ~positive], group),
            "balanced accuracy": intervals.mean_of_proportions(
                [right[positive], right[~positive]], [group[positive], group[~positive]]
            ),
            "precision": stratified.estimate_precision(called, positive, group),
            "F1": stratified.estimate_f1(called, positive, group),
            "PPV at 5%": values.ppv,
            "NPV at 5%": values.npv,
            "likelihood ratio above": likelihood_ratio(called, positive, group),
            "likelihood ratio below": likelihood_ratio(~called, positive, group),
            "net benefit at 5%": net_benefit(called, positive, group, PREVALENCE, ACT_AT).model,
            "specificity": intervals.estimate_proportion(~called[~positive], group[~positive]),
        }
        for name, level in levels.items():
            above = score[positive] >= setting.gap - ndtri(level)
            estimates[name] = intervals.estimate_proportion(above, group[positive])
        return estimates, truths | mixed(float(positive.mean()))

    return compute


def probability(setting: Setting, score: np.ndarray) -> np.ndarray:
    """Return the probability of the disease given the score."""
    prior = float(np.log(setting.positives / setting.negatives))
    return expit(setting.gap * score - setting.gap**2 / 2 + prior)


def many_images(setting: Setting) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return half a million images, for truths that are no formula."""
    copies = max(1, 500_000 // (setting.positives + setting.negatives) // int(np.mean(setting.images)))
    return draw(setting, copies, np.random.default_rng(0))


def losses(setting: Setting) -> Study:
    """Return what is computed of one study; the truths are those of half a million images."""

    def figures(score: np.ndarray, positive: np.ndarray) -> dict[str, np.ndarray]:
        p = probability(setting, score)
        nats = -np.log(np.clip(np.where(positive, p, 1 - p), kernels.SMALLEST, 1.0))
        return {"log-loss": nats, "Brier": (p - positive) ** 2}

    truths = {name: float(loss.mean()) for name, loss in figures(*many_images(setting)[:2]).items()}

    def compute(score: np.ndarray, positive: np.ndarray, group: np.ndarray, _: object) -> tuple[Found, Truths]:
        truth = np.where(positive, 0, 1)
        estimates = figures(score, positive)
        return {
            name: mean_of_losses(loss, truth, group, 2, most=MOST_NATS if name == "log-loss" else 1.0)
            for name, loss in estimates.items()
        }, truths

    return compute


def bootstrapped(setting: Setting, resamples: int) -> Study:
    """Return what is computed of one study; the truths are those of half a million images."""

    def figures(score: np.ndarray, positive: np.ndarray, _: np.ndarray) -> dict[str, Callable]:
        p = probability(setting, score)
        wrong = (p >= 0.5) != positive
        return {
            "AUPRC": partial(kernels.average_precision, p, positive),
            "calibration slope": partial(kernels.calibration_slope, p, positive),
            "calibration intercept": partial(kernels.calibration_intercept, p, positive),
            "AURC": partial(aurc, np.maximum(p, 1 - p), wrong),
        }

    many = many_images(setting)
    one = np.ones((1, len(many[0])))
    truths = {name: float(kernel(one)[0]) for name, kernel in figures(*many).items()}

    def compute(
        score: np.ndarray, positive: np.ndarray, group: np.ndarray, rng: np.random.Generator
    ) -> tuple[Found, Truths]:
        sample = resample(np.where(positive, 0, 1), group, 2, rng, resamples)
        return {name: bootstrap(kernel, sample) for name, kernel in figures(score, positive, group).items()}, truths

    return compute


def run(setting: Setting, repeats: int, resamples: int) -> dict[str, dict[str, float]]:
    """Return for each figure the share of studies whose interval held the truth, and on which side others missed."""
    rng = np.random.default_rng(zlib.crc32(setting.name.encode()))
    studies = {"closed": closed, "losses": losses, "bootstrap": partial(bootstrapped, resamples=resamples)}
    compute = studies[setting.kind](setting)
    rows: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
    missing: dict[str, int] = defaultdict(int)
    for _ in range(repeats):
        estimates, truths = compute(*draw(setting, 1, rng), rng)
        for name, e in estimates.items():
            if e.low is None or e.high is None:
                missing[name] += 1
            else:
                rows[name].append((truths[name] < e.low - 1e-9, truths[name] > e.high + 1e-9, e.high - e.low))
    return {
        name: {
            "truth": round(truths[name], 5),
            "held": round(1 - float(np.mean([over or under for over, under, _ in estimates])), 4),
            "too high": round(float(np.mean([over for over, _, _ in estimates])), 4),
            "too low": round(float(np.mean([under for _, under, _ in estimates])), 4),
            "width": round(float(np.mean([width for _, _, width in estimates])), 4),
            "none": round(missing[name] / repeats, 4),
            "studies": len(estimates),
        }
        for name, estimates in rows.items()
    }


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return a Markdown table: a row for each figure, over the settings where most studies had an interval."""
    coverage: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for name, figures in results.items():
        for figure, row in figures.items():
            if row["none"] <= 0.2:
                coverage[figure].append((row["held"], name.split(": ")[1]))
    lines = ["| interval of | settings | mean | .93 to .97 | under | over | lowest | where |", "|---" * 8 + "|"]
    for figure, cells in coverage.items():
        shares = np.array([share for share, _ in cells])
        low, where = min(cells)
        lines.append(
            f"| {figure} | {len(cells)} | {shares.mean():.3f} | {((shares >= 0.93) & (shares <= 0.97)).sum()} | "
            f"{(shares < 0.93).sum()} | {(shares > 0.97).sum()} | {low:.3f} | {where} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=("closed", "losses", "bootstrap"))
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--bootstrap-repeats", type=int, help="at most 400 without it")
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--table", action="store_true", help="print the table of what is in the file, and stop")
    parser.add_argument("-o", "--out", type=Path, default=Path("build/bench/coverage.json"))
    options = parser.parse_args()
    results = json.loads(options.out.read_text()) if options.out.is_file() else {}
    if options.table:
        print(table(results))
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for setting in settings():
        if options.kind not in (None, setting.kind) or setting.name in results:
            continue
        started = time.perf_counter()
        fewer = options.bootstrap_repeats or min(400, options.repeats)
        repeats = fewer if setting.kind == "bootstrap" else options.repeats
        results[setting.name] = run(setting, repeats, options.resamples)
        temporary = options.out.with_suffix(".tmp")
        temporary.write_text(json.dumps(results, indent=1) + "\n")
        temporary.replace(options.out)
        worst = sorted((row["held"], figure) for figure, row in results[setting.name].items() if row["none"] <= 0.2)
        listed = ", ".join(f"{figure} {share:.3f}" for share, figure in worst[:4])
        print(f"{setting.name} ({time.perf_counter() - started:.0f} s): {listed}", flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
