"""A reader's pre-test probability updated by a model's answer: odds times the likelihood ratio of the score's band.

The ratio and its interval come from the card (stats/prevalence.py). Beside it stands the model's probability, moved to
the same prior. The update is refused where the card can't support it, and it is never stored as the result.
"""

from __future__ import annotations

from typing import Any

from pneumoscope.bundle.card import Card
from pneumoscope.core.errors import UsageError
from pneumoscope.server.errors import ConflictError
from pneumoscope.server.inference.models import AuditStatus
from pneumoscope.stats.prevalence import at_prior, post_test, primary_prior, ratio_of


def update_probability(
    card: Card, result: dict[str, Any], prevalence: float, *, audit: AuditStatus, finding: str | None = None
) -> dict[str, Any]:
    """Return the post-test probability of the card's primary label or of a finding, in two ways, with their bases.

    Args:
        card: Card of the model that answered.
        result: The stored result.
        prevalence: Pre-test probability of the primary label, 0 < p < 1.
        audit: The verdict of the model's newest audit.
        finding: Which of a multi-label model's findings; None for any other model.

    Returns:
        ``label``, ``probability`` with ``low`` and ``high`` (by the likelihood ratio), ``ratio``, and ``moved``: the
        model's probabilities at the new prior, by label.

    Raises:
        ConflictError: The answer or the card can't support an update.
        UsageError: A multi-label model's finding is not named, or it is none of them, or the model has none.
    """
    if finding is not None:
        view = card.view(finding)
    elif card.multilabel:
        raise UsageError(
            "the pre-test probability",
            f"must say which finding it is about: {card.name} answers about each by itself.",
            f"Send one as finding: {', '.join(card.label_names)}.",
        )
    else:
        view = card
    if result.get("decision") is None:
        raise _refusal("no-answer", "the model gave no answer on this image.")
    if audit == "failed":
        raise _refusal("audit-failed", "its model failed its audit.")
    if audit == "unreadable":
        raise _refusal(
            "evidence-altered", "the evidence about its model was altered: the model may have failed its audit."
        )
    if not view.calibrated:
        raise _refusal("uncalibrated", "its card says that its probabilities are not calibrated.")
    if any(share <= 0 for share in view.class_prior):
        raise _refusal("no-prior", "its card has no prior of every class.")
    if finding is None:
        probabilities = [result["probabilities"][label] for label in view.label_names]
    else:
        score = result["probabilities"][finding]
        probabilities = [score, 1 - score]
    ratio = ratio_of(view.likelihood_ratios, probabilities[0])
    if ratio is None or ratio.value is None:
        raise _refusal("no-ratio", "its card has no likelihood ratio for this score.")
    moved = at_prior([probabilities], view.class_prior, primary_prior(view.class_prior, prevalence))[0]
    limits = [None if limit is None else post_test(limit, prevalence) for limit in (ratio.low, ratio.high)]
    return {
        "label": view.primary,
        "probability": post_test(ratio.value, prevalence),
        "low": limits[0],
        "high": limits[1],
        "ratio": ratio.model_dump(mode="json"),
        "moved": dict(zip(view.label_names, (float(p) for p in moved), strict=True)),
    }


def _refusal(reason: str, problem: str) -> ConflictError:
    return ConflictError(
        "this answer",
        f"can't update a pre-test probability: {problem}",
        code="no-posterior",
        values={"reason": reason},
    )
