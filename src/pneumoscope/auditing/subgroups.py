"""Whether some patients are served worse than the others: by sex, age, view, source and maker."""

from __future__ import annotations

import numpy as np

from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.result import AuditTest, AuditVerdict
from pneumoscope.auditing.verdicts import INTERNAL_DROP
from pneumoscope.data.subgroups import number_comparisons, subgroups_of
from pneumoscope.stats.comparison.paired import holm_of_comparisons
from pneumoscope.stats.comparison.unpaired import compare_subsets
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Floats

ALPHA = 0.05


def judge_subgroups(images: AuditSet, score: Floats) -> AuditTest:
    """Judge whether the AUROC of any subgroup is lower than that of the other images.

    Args:
        images: The images.
        score: [N] of the model.
    """
    details: dict[str, Estimate] = {}
    gaps: dict[str, Estimate] = {}
    p_values: dict[str, float | None] = {}
    sides = []
    unclear = []
    for name, inside, known in subgroups_of(images.rows.table):
        if not (inside & known).any() or not (known & ~inside).any():
            continue
        one, other, gap, p = compare_subsets(score[known], images.positive[known], images.group[known], inside[known])
        details |= {f"{name}: AUROC": one, f"{name}: others": other, f"{name}: difference": gap}
        if gap.low is None:
            unclear.append(name)
            continue
        gaps[name], p_values[name] = gap, p
        sides.append((inside, known))
    adjusted_p = holm_of_comparisons(list(p_values.values()), number_comparisons(sides))
    adjusted = dict(zip(p_values, adjusted_p, strict=True))
    worst = min(gaps, key=lambda name: gaps[name].value or 0.0) if gaps else None
    effect = gaps[worst] if worst is not None else Estimate(value=None, note="no subgroup has 10 groups of each class")
    verdict = _verdict(gaps, adjusted)
    missing = f" Too few images of each class to say: {', '.join(unclear)}." if unclear else ""
    if worst is None:
        sentence = f"No subgroup could be measured.{missing}"
    else:
        sentence = f"Lowest of {len(gaps)}: {worst}, AUROC less that of the others {effect}.{missing}"
    return AuditTest(
        name="subgroups",
        title="Subgroups",
        question="Does it serve some patients worse than others?",
        effect_name="difference of the AUROC",
        effect=effect,
        chance=0.0,
        rule=(
            f"Fail: a subgroup is surely worse by more than {INTERNAL_DROP:.2f} and its p, adjusted over all (Holm), "
            f"is under {ALPHA}. Pass: every subgroup that can be measured is surely within {INTERNAL_DROP:.2f}. Else "
            "caution."
        ),
        verdict=verdict,
        sentence=sentence,
        images=len(images),
        groups=len(np.unique(images.group)),
        p_value=adjusted.get(worst) if worst is not None else None,
        details=details,
    )


def _verdict(gaps: dict[str, Estimate], adjusted: dict[str, float | None]) -> AuditVerdict:
    if not gaps:
        return "not identifiable"
    for name, gap in gaps.items():
        p = adjusted[name]
        if gap.high is not None and gap.high < -INTERNAL_DROP and p is not None and p < ALPHA:
            return "fail"
    within = all(gap.low is not None and gap.low >= -INTERNAL_DROP for gap in gaps.values())
    return "pass" if within else "caution"
