"""How often `pneumoscope monitor` gives a false alarm, and how often it finds a change.

    python benchmarks/monitor_false_alarms.py --weeks 20000

Each row draws many pairs of an acceptance and a week and judges the week as the monitor does. Where nothing changes, a
week may have an alarm in at most 1 of 52 cases (.0192, one in a year), over its four measures together. Scores are
skewed, as a network's are; the score of out-of-distribution grows with the score, so that measures depend on one
another; every tenth score is 1, so that there are ties.
"""

from __future__ import annotations

import argparse
from datetime import date

import numpy as np

from pneumoscope.server.reading.drift_rows import WeekRows
from pneumoscope.server.reading.monitor import Baseline, judge_week
from pneumoscope.stats.drift import level_of_a_test
from pneumoscope.stats.kernels import Floats

YEARLY = 1.0


def draw(rng: np.random.Generator, patients: int, *, shift: float, refusal: float, agreement: float) -> WeekRows:
    """Return what is said about patients.

    Args:
        rng: Draws them.
        patients: Number of them.
        shift: Of the scores, in standard deviations of their logits.
        refusal: Probability of a refusal.
        agreement: Probability that a reader agrees.
    """
    logits: Floats = rng.normal(-1 + shift, 2, patients)
    score = np.where(rng.random(patients) < 0.1, 1.0, 1 / (1 + np.exp(-logits)))
    refused = rng.random(patients) < refusal
    ood = rng.gamma(2, 1, patients) + score + 0.5 * shift
    agreeing = rng.random(patients) < agreement
    return WeekRows(refused.tolist(), score[~refused].tolist(), ood.tolist(), agreeing[: patients // 2].tolist())


def baseline_of(rows: WeekRows) -> Baseline:
    """Return rows as an acceptance keeps them.

    Args:
        rows: Of the acceptance.
    """
    return Baseline(
        "acceptance",
        "",
        {
            "refusals": (sum(rows.refused), len(rows.refused)),
            "agreement": (sum(rows.agreeing), len(rows.agreeing)),
        },
        {"scores": tuple(rows.scores), "ood": tuple(rows.ood)},
        None,
        {},
    )


def alarm_rate(rng: np.random.Generator, weeks: int, accepted: int, patients: int, **changes: float) -> float:
    """Return the share of weeks with an alarm.

    Args:
        rng: Draws acceptances and weeks.
        weeks: Number of pairs.
        accepted: Patients of the acceptance.
        patients: Patients of the week.
        changes: Of the week; see `draw`.
    """
    usual = {"shift": 0.0, "refusal": 0.02, "agreement": 0.85}
    level = level_of_a_test(YEARLY, 4)
    alarms = 0
    for _ in range(weeks):
        baseline = baseline_of(draw(rng, accepted, **usual))
        alarms += bool(judge_week(date(2026, 1, 5), draw(rng, patients, **(usual | changes)), baseline, level).alarms)
    return alarms / weeks


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print("| acceptance, week | nothing changes | refusals .02 to .10 | scores half a deviation higher ", end="")
    print("| agreement .85 to .65 |\n| --- | --- | --- | --- | --- |")
    fewer = max(1, options.weeks // 20)
    for accepted, patients in ((200, 20), (200, 50), (200, 200), (1000, 200)):
        rates = [
            alarm_rate(rng, options.weeks, accepted, patients),
            alarm_rate(rng, fewer, accepted, patients, refusal=0.1),
            alarm_rate(rng, fewer, accepted, patients, shift=1.0),
            alarm_rate(rng, fewer, accepted, patients, agreement=0.65),
        ]
        cells = " | ".join(f"{rate:.4f}" if place == 0 else f"{rate:.2f}" for place, rate in enumerate(rates))
        print(f"| {accepted}, {patients} patients | {cells} |", flush=True)


if __name__ == "__main__":
    main()
