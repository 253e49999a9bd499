"""The tests that change the input: what is left without the lungs, and what a change costs that should not matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from pneumoscope.auditing.answers import AnswerStore, Change
from pneumoscope.auditing.effects import changes
from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.perturbations import BOXES, LUNGS, PERTURBATIONS, Perturbation
from pneumoscope.auditing.result import AuditTest
from pneumoscope.auditing.verdicts import CHANCE, judge_change, judge_decisions, judge_remaining, state_rule
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.comparison.paired import Paired
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.kernels import Bools, Floats

_CHANGED = "decisions that change"


def run_perturbations(
    store: AnswerStore,
    images: AuditSet,
    intact: Floats,
    *,
    threshold: float,
    seed: int,
    advance: Callable[[int], None],
) -> list[AuditTest]:
    """Ask the model about every changed image and judge each change.

    Args:
        store: Asks the model.
        images: The images; those without lungs are left out where a change needs them.
        intact: [N] score of the images as they are.
        threshold: The card's default threshold, for decisions that flip.
        seed: Of the paired tests.
        advance: Called with the number of answers.
    """
    scores: dict[str, Floats] = {}
    lungs, everything = images.with_lungs, np.ones(len(images), np.bool_)
    for name, change in PERTURBATIONS.items():
        used = lungs if change.needs_lungs else everything
        places = np.flatnonzero(used)
        scores[name] = store.scores(name, _applied(change, images), places, advance)
    pairs: dict[str, Paired] = {}
    for needs_lungs, used in ((True, lungs), (False, everything)):
        family = {
            name: scores[name]
            for name, change in PERTURBATIONS.items()
            if change.needs_lungs is needs_lungs and change.kind != "framing"
        }
        if used.any():
            pairs |= changes(family, intact[used], images.positive[used], images.group[used], seed)
    tests = []
    for name, change in PERTURBATIONS.items():
        used = lungs if change.needs_lungs else everything
        tests.append(_judge(change, scores[name], intact, images, used, pairs.get(name), threshold))
    return spare_silhouettes(tests)


def spare_silhouettes(tests: Sequence[AuditTest]) -> list[AuditTest]:
    """Return the tests, the black lungs as "caution" at worst where black boxes around them pass.

    The shape of a black outline shows the disease: an opaque part of a lung lies outside it. Boxes have no such shape.
    Where they pass, the model had read the outline, which no radiograph has.

    Args:
        tests: Of the changed images.
    """
    boxes = next((test for test in tests if test.name == BOXES), None)
    if boxes is None or boxes.verdict != "pass":
        return list(tests)
    why = f"Black boxes leave {boxes.effect}: the outline of the lungs, which follows the disease, gave the answer."
    return [
        test.model_copy(update={"verdict": "caution", "sentence": f"{test.sentence} {why}"})
        if test.name == LUNGS and test.verdict == "fail"
        else test
        for test in tests
    ]


def _applied(change: Perturbation, images: AuditSet) -> Change:
    return lambda place: partial(change.apply, images.images[place])


def _judge(
    change: Perturbation,
    score: Floats,
    intact: Floats,
    images: AuditSet,
    used: Bools,
    pair: Paired | None,
    threshold: float,
) -> AuditTest:
    positive, group = images.positive[used], images.group[used]
    remaining = (
        estimate_auroc(score, positive, group)
        if len(score)
        else Estimate(value=None, note="the lungs of no image are known")
    )
    lost = pair.difference if pair is not None else Estimate(value=None, note=remaining.note)
    details = {"auroc on changed images": remaining, "change of the auroc": lost}
    rule = state_rule(change.kind, change.margin, decisive=change.decisive)
    if change.kind == "removal":
        effect, chance, effect_name = remaining, CHANCE, "AUROC that remains"
        verdict = judge_remaining(remaining, lost, change.margin, decisive=change.decisive)
        sentence = f"{change.title}, the model still has an AUROC of {remaining}; chance is 0.5."
    else:
        flips = (score >= threshold) != (intact[used] >= threshold)
        changed = estimate_proportion(flips, group, what="set")
        if change.kind == "framing":
            del details["change of the auroc"]
            effect, chance, effect_name = changed, 0.0, _CHANGED
            verdict = judge_decisions(changed, change.margin)
            sentence = f"{change.title}, the share {changed} of all decisions changes."
        else:
            effect, chance, effect_name = lost, 0.0, "change of the AUROC"
            verdict = judge_change(lost, change.margin, decisive=change.decisive)
            details[_CHANGED] = changed
            sentence = f"{change.title}, the AUROC changes by {_signed(lost)}."
    return AuditTest(
        name=change.name,
        title=change.title,
        question=change.question,
        effect_name=effect_name,
        effect=effect,
        chance=chance,
        rule=rule,
        verdict=verdict,
        sentence=sentence,
        images=int(used.sum()),
        groups=len(np.unique(group)),
        p_value=None if pair is None else pair.adjusted,
        details=details,
    )


def _signed(estimate: Estimate) -> str:
    if estimate.value is None:
        return "an amount that cannot be estimated"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.3f} [interval not estimable]"
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
