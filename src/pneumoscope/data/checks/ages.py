"""Children in one label, adults in another: a network tells their skeletons apart and seems to see disease."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.labels import ADULT_AGE, display_name
from pneumoscope.data.checks.ancestors import ADULTS, CHILDREN, canonical_name
from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Case, Clear, Finding
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion

CHILDREN_AND_ADULTS = "children-and-adults"
"""The name of the check."""

MATERIAL = 0.1
"""The gap between the intervals of two labels' shares of children from which age and label count as confounded."""

MEASURED, SHARED, INFERRED = "age stated", "age of the same picture in another source", "inferred from the publisher"
PARTLY = f"partly {INFERRED}"


def find_children(context: CheckContext) -> tuple[list[bool | None], list[str]]:
    """Return [N] whether each image shows a child (None: unknown), and [N] the basis of that."""
    table = context.table
    stated = [None if np.isnan(age) else bool(age < ADULT_AGE) for age in table["age"].tolist()]
    meant: dict[tuple[str, str], bool | None] = {}
    for source, label in set(zip(table["source"].tolist(), table["label"].tolist(), strict=True)):
        keys = ((canonical_name(source), label), (canonical_name(source), None))
        adults = False if any(key in ADULTS for key in keys) else None
        meant[source, label] = True if any(key in CHILDREN for key in keys) else adults
    sources = table["source"].tolist()
    inferred = [meant[key] for key in zip(sources, table["label"].tolist(), strict=True)]
    whole_sources = {source: _whole_source(source) for source in set(sources)}
    # A copy with a stated age, or from a source of children only, settles what a table only infers.
    copied: dict[int, bool] = {}
    whole = [whole_sources[source] if known is None else known for known, source in zip(stated, sources, strict=True)]
    for pair in context.exposures:
        for here, there in ((pair.first, pair.second), (pair.second, pair.first)):
            is_child = whole[there]
            if is_child is not None:
                copied.setdefault(here, is_child)
    result: list[bool | None] = []
    bases: list[str] = []
    for row in range(len(context)):
        if stated[row] is not None:
            result.append(stated[row])
            bases.append(MEASURED)
        elif row in copied:
            result.append(copied[row])
            bases.append(SHARED)
        else:
            result.append(inferred[row])
            bases.append(INFERRED if inferred[row] is not None else "")
    return result, bases


def _whole_source(source: str) -> bool | None:
    return True if (canonical_name(source), None) in CHILDREN else None


def compare_ages(context: CheckContext) -> Finding | Clear:
    """Compare the share of children between labels."""
    name = CHILDREN_AND_ADULTS
    child, bases = find_children(context)
    aged = np.array([value is not None for value in child])
    if not aged.any():
        return Clear(
            name=name,
            sentence="No age is known, from the files or from the publishers, so that this check cannot tell whether "
            "one label means children.",
            applicable=False,
        )
    is_child = np.array([bool(value) for value in child])
    labels = np.array(context.labels)
    groups = np.unique(context.table.group.to_numpy(dtype=str), return_inverse=True)[1]
    shares = {
        label: _share(is_child, aged & (labels == label), groups, bases)
        for label in sorted(set(labels))
        if (aged & (labels == label)).any()
    }
    counts = Counter(word for word in bases if word)
    basis = ", ".join(f"{count:,} {word}" for word, count in counts.most_common())
    basis += f", {int((~aged).sum()):,} not known" if not aged.all() else ""
    words = ", ".join(f"{display_name(label)} {_text(estimate)}" for label, estimate in shares.items())
    # A label with few groups, whose share has no interval, cannot set the others apart.
    comparable = [one for one in shares.values() if one.low is not None or one.note in (INFERRED, PARTLY)]
    low = max((_limit(estimate, lower=True) for estimate in comparable), default=0.0)
    high = min((_limit(estimate, lower=False) for estimate in comparable), default=0.0)
    if low - high <= MATERIAL:
        return Clear(name=name, sentence=f"No label is set apart by age. Children: {words} ({basis}).")
    inferred = "" if not counts[INFERRED] else "Partly inferred: " if len(counts) > 1 else "Inferred: "
    return Finding(
        name=name,
        severity="warn",
        confounds=True,
        sentence=f"{inferred}the share of children differs by label. Children: {words} ({basis}). "
        "A model can tell children from adults instead of the diseases.",
        what_to_do="Add adults with these diseases (or children of the other labels), or train on one age band.",
        cases=tuple(
            Case(
                rows=tuple((is_child & aged & (labels == label)).nonzero()[0].tolist()),
                images=(),
                says=f"{display_name(label)}: {int((is_child & aged & (labels == label)).sum()):,} images of children",
            )
            for label in sorted(set(labels))
            if (is_child & aged & (labels == label)).any()
        ),
        numbers={display_name(label): estimate for label, estimate in shares.items() if estimate.low is not None},
    )


def _share(is_child: NDArray[np.bool_], rows: NDArray[np.bool_], groups: NDArray[np.intp], how: list[str]) -> Estimate:
    """Return the share of children among ``rows``; without interval where it rests on a publisher's statement."""
    inferred = sum(how[row] == INFERRED for row in np.flatnonzero(rows))
    if inferred:
        return Estimate(value=float(is_child[rows].mean()), note=INFERRED if inferred == rows.sum() else PARTLY)
    return estimate_proportion(is_child[rows], groups[rows], what="label")


def _text(estimate: Estimate) -> str:
    value = estimate.value or 0.0
    if estimate.note not in (INFERRED, PARTLY):
        interval = (
            "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.0%}, {estimate.high:.0%}]"
        )
        return f"{value:.0%}{interval}"
    how = "inferred" if estimate.note == INFERRED else "partly inferred"
    return f"all ({how})" if value == 1 else f"few or none ({how})" if value == 0 else f"{value:.0%} ({how})"


def _limit(estimate: Estimate, *, lower: bool) -> float:
    """Return the interval's limit, the figure itself where there is no interval."""
    bound = estimate.low if lower else estimate.high
    value = estimate.value if bound is None else bound
    return 0.0 if value is None else value
