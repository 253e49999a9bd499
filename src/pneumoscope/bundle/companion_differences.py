"""Where the figures of a card were measured with other companions than those of this package."""

from __future__ import annotations

from collections.abc import Mapping

from pneumoscope.bundle.gatekeeper import builtin_gatekeeper
from pneumoscope.bundle.lungs import builtin_lungs

NEVER_SCREENED = "none"
"""In a card, in place of the identity of a gatekeeper: this model is never screened."""


def compare_companions(named: Mapping[str, str]) -> tuple[str, ...]:
    """Return where a classifier's figures were measured with other companions than those of this package, in words.

    Args:
        named: Companions of the classifier's card: role -> identity. A role that it does not name is passed over.

    Returns:
        A sentence for each companion that differs.
    """
    own = {"gatekeeper": builtin_gatekeeper().identity, "lungs": builtin_lungs().identity}
    return tuple(
        f"The card's figures were measured with another {role} ({named[role][:12]}) than that of this package "
        f"({identity[:12]}), which screens its images."
        for role, identity in own.items()
        if role in named and named[role] not in (NEVER_SCREENED, identity)
    )
