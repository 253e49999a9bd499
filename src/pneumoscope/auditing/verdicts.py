"""From an effect with its interval to one of four words. The margins are stated here, before any model is measured.

A verdict needs the whole interval: ``fail`` if even its better end is beyond the margin, ``pass`` if even its worse end
is within it, ``caution`` if the margin lies inside, ``not identifiable`` where the data cannot answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from pneumoscope.auditing.result import AuditTest, AuditVerdict
from pneumoscope.stats.estimates import Estimate

CHANCE = 0.5
SOURCE_CLUE = "label from the source alone"
"""Figure of the source probe; there is none where all images come from one source."""
SAME_ANSWER = 0.05
"""A model that loses less than this AUROC without the lungs, and still beats chance, does not use them."""
USEFUL = 0.70
"""An AUROC under this is of no use at another site."""
INTERNAL_DROP = 0.10
"""How much AUROC a model may lose from its own data to another set, or from all patients to some of them."""


def has_limits(estimate: Estimate) -> bool:
    """Return whether an effect has a value and an interval."""
    return estimate.value is not None and estimate.low is not None and estimate.high is not None


def beats_chance(estimate: Estimate) -> bool:
    """Return whether the whole interval of an AUROC is above one half."""
    return estimate.low is not None and estimate.low > CHANCE


def require_signal(test: AuditTest, intact: Estimate) -> AuditTest:
    """Return a test as "not identifiable" where the intact model does not beat chance; a fail stays.

    Answers that carry nothing about the label follow no corner, lose nothing and differ between no patients, so that a
    pass would clear the model of what was never tested.

    Args:
        test: As it was judged.
        intact: AUROC on the images as they are.
    """
    if beats_chance(intact) or test.verdict in ("fail", "not identifiable"):
        return test
    nothing = "The model does not surely beat chance on intact images, so that this shows nothing."
    return test.model_copy(update={"verdict": "not identifiable", "sentence": f"{test.sentence} {nothing}"})


def judge_remaining(remaining: Estimate, change: Estimate, margin: float, *, decisive: bool) -> AuditVerdict:
    """Judge the AUROC that is left when the lungs, or nearly all of the picture, are gone.

    Args:
        remaining: The AUROC that is left.
        change: What was lost: changed minus intact, below 0 for a loss.
        margin: How much above one half it may be.
        decisive: Whether this alone fails a model; else the worst is ``caution``.
    """
    if remaining.low is None or remaining.high is None:
        return "not identifiable"
    same = beats_chance(remaining) and change.low is not None and change.low >= -SAME_ANSWER
    if remaining.low > CHANCE + margin or same:
        return "fail" if decisive else "caution"
    return "pass" if remaining.high <= CHANCE + margin else "caution"


def judge_change(change: Estimate, margin: float, *, decisive: bool) -> AuditVerdict:
    """Judge what a change that should not matter costs.

    Args:
        change: AUROC changed minus intact, below 0 for a loss.
        margin: The loss that is allowed.
        decisive: Whether this alone fails a model; else the worst is ``caution``.
    """
    if change.low is None or change.high is None:
        return "not identifiable"
    if change.high < -margin:
        return "fail" if decisive else "caution"
    return "pass" if change.low >= -margin else "caution"


def judge_decisions(changed: Estimate, most: float) -> AuditVerdict:
    """Judge how many decisions another framing changes: it alone proves no fault, so that the worst is ``caution``.

    Args:
        changed: Share of the decisions that change.
        most: The share that is allowed.
    """
    if changed.high is None:
        return "not identifiable"
    return "pass" if changed.high <= most else "caution"


def state_rule(kind: str, margin: float, *, decisive: bool) -> str:
    """Return the rule of a test in words."""
    if kind == "framing":
        return (
            f"Pass: surely at most {margin:.0%} of the decisions change. Else caution, as this alone proves no fault."
        )
    worst = "fail" if decisive else "caution, as this alone proves no fault"
    if kind == "removal":
        limit = CHANCE + margin
        return (
            f"Pass: the whole interval is at most {limit:.2f}. Above {limit:.2f} as a whole, or a loss under "
            f"{SAME_ANSWER:.2f} and better than chance: {worst}. Else caution."
        )
    return f"Pass: the loss is surely at most {margin:.2f}. Surely more: {worst}. Else caution."


_ORDER: tuple[AuditVerdict, ...] = ("fail", "not identifiable", "caution")


def conclude(tests: Sequence[AuditTest], intact: Estimate) -> tuple[AuditVerdict, str]:
    """Return the verdict over all tests and its reason.

    One failed test fails the model. A model that does not beat chance on intact images cannot be audited. A test that
    cannot be answered leaves a doubt, so that the whole is ``caution`` at best.

    Args:
        tests: In the order of their weight: the first failed one gives the reason.
        intact: AUROC on the images as they are.
    """
    failed = [test for test in tests if test.verdict == "fail"]
    if failed:
        others = len(failed) - 1
        apart = next(
            (
                test.sentence
                for test in tests
                if test.name == "source-probe" and test.effect.value is None and SOURCE_CLUE in test.details
            ),
            "",
        )
        more = f" ({others} more {'test' if others == 1 else 'tests'} failed.)" if others else ""
        return "fail", " ".join(filter(None, [failed[0].sentence + more, apart]))
    if not beats_chance(intact):
        return "not identifiable", (
            f"The model does not surely beat chance on these images (AUROC {intact}), so that no test can show what "
            "its answers rest on."
        )
    doubts = [test for test in tests if test.verdict == "caution"] or [t for t in tests if t.verdict != "pass"]
    if doubts:
        names = "; ".join(test.title for test in doubts)
        return "caution", f"No test failed, and not every one could be cleared: {names}."
    return "pass", f"All {len(tests)} tests passed."
