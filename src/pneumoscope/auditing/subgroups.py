"""Whether some patients are served worse than the others: by sex, age, view, portable exposure and source."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pneumoscope.auditing.effects import between
from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.result import AuditTest, AuditVerdict
from pneumoscope.auditing.verdicts import INTERNAL_DROP
from pneumoscope.stats.comparison.paired import holm
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats

ALPHA = 0.05
_AGES = ((0, 18, "children"), (18, 40, "18 to 39 years"), (40, 65, "40 to 64 years"), (65, 200, "65 years and more"))
_PORTABLE = ("AP", "AP Supine")


def subgroups_of(table: pd.DataFrame) -> Iterator[tuple[str, Bools, Bools]]:
    """Yield each subgroup's name, [N] who is in it and [N] who is known to be in it or not.

    Args:
        table: Rows of a manifest.
    """
    age = table["age"].to_numpy(dtype=np.float64)
    for low, high, name in _AGES:
        yield f"age: {name}", (age >= low) & (age < high), ~np.isnan(age)
    for column in ("sex", "view", "source"):
        known = table[column].notna().to_numpy(dtype=np.bool_)
        for value in sorted(table[column].dropna().unique()):
            yield f"{column}: {value}", (table[column] == value).to_numpy(dtype=np.bool_), known
    known = table["view"].notna().to_numpy(dtype=np.bool_)
    yield "portable exposure (AP)", table["view"].isin(_PORTABLE).to_numpy(dtype=np.bool_), known


def judge_subgroups(images: AuditSet, score: Floats) -> AuditTest:
    """Judge whether the AUROC of any subgroup is lower than that of the other images.

    Args:
        images: The images.
        score: [N] of the model.
    """
    details: dict[str, Estimate] = {}
    gaps: dict[str, Estimate] = {}
    p_values: dict[str, float | None] = {}
    unclear = []
    for name, inside, known in subgroups_of(images.rows.table):
        if not (inside & known).any() or not (known & ~inside).any():
            continue
        one, other, gap, p = between(score[known], images.positive[known], images.group[known], inside[known])
        details |= {f"{name}: AUROC": one, f"{name}: others": other, f"{name}: difference": gap}
        if gap.low is None:
            unclear.append(name)
            continue
        gaps[name], p_values[name] = gap, p
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
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
