"""Sets that share images: found by their pixels (measured), or known from their papers (inferred)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pneumoscope.core.counts import format_count
from pneumoscope.core.labels import display_name
from pneumoscope.data.checks.ancestors import DISPLAY, canonical_name, find_common_ancestry, list_descent_lines
from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Case, Clear, Finding
from pneumoscope.data.checks.leaks import describe_pair
from pneumoscope.data.similarity import Pair
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion


def find_shared_images(context: CheckContext) -> Finding | Clear:
    """Find pictures that two sources share, with what the table of ancestors states about the two."""
    name = "shared-images"
    sources = context.table.source.to_numpy()
    present = sorted(set(sources))
    if len(present) < 2:
        return Clear(name=name, sentence=f"One source only ({present[0]}).", applicable=False)
    between: dict[tuple[str, str], list[Pair]] = {}
    for pair in context.pairs:
        one, other = sorted((sources[pair.first], sources[pair.second]))
        if one != other:
            between.setdefault((one, other), []).append(pair)
    if not between:
        return Clear(name=name, sentence=f"The {len(present)} sources share no picture, by pixels.")
    sentences: list[str] = []
    numbers: dict[str, Estimate] = {}
    cases: list[Case] = []
    for (one, other), pairs in sorted(between.items(), key=lambda item: -len(item[1])):
        steps = find_common_ancestry(one, other)
        statements = "; ".join(f"{step.what} ({step.citation})" for step in steps)
        basis = "no common ancestor is in the table: their pixels show it"
        if steps:
            basis = f"as the publishers say: {statements}"
        sentences.append(f"{one} and {other} share {len(pairs):,} (measured; {basis})")
        numbers |= _shares(context, pairs, one, other)
        cases += [describe_pair(context, pair) for pair in sorted(pairs, key=lambda pair: -pair.similarity)]
    total = sum(len(pairs) for pairs in between.values())
    return Finding(
        name=name,
        severity="warn",
        sentence=f"{format_count(total, 'pair of pictures is', 'pairs of pictures are')} in two sources: "
        f"{'. '.join(sentences)}.",
        what_to_do="Do not call one of these sets external to another. Merge and split them together, so that the "
        "copies are in one group.",
        cases=tuple(cases),
        numbers=numbers,
        chance=0.0,
    )


def _shares(context: CheckContext, pairs: list[Pair], one: str, other: str) -> dict[str, Estimate]:
    """Return, for the labels concerned, the share of a source's images that is in the other source."""
    table = context.table
    shared = np.zeros(len(context), dtype=np.bool_)
    shared[[row for pair in pairs for row in (pair.first, pair.second)]] = True
    groups = np.unique(table.group.to_numpy(dtype=str), return_inverse=True)[1]
    numbers = {}
    for here, there in ((one, other), (other, one)):
        for label in sorted(set(table.label[shared & (table.source == here)])):
            rows = ((table.source == here) & (table.label == label)).to_numpy()
            share = estimate_proportion(shared[rows], groups[rows], what="label of this source")
            numbers[f"{here}, {display_name(label)}: also in {there}"] = share
    return numbers


def find_known_ancestors(context: CheckContext) -> Finding | Clear:
    """Report what the table of ancestors states about the sources, where pixels cannot show it."""
    name = "known-ancestors"
    table = context.table
    present = sorted(set(table.source))
    counts = Counter(zip(table.source, table.label, strict=True))
    sentences, cases = [], []
    for source in present:
        for line in list_descent_lines(source):
            if len(line) > 1:  # each step is reported once, by the set at its start
                continue
            step = line[0]
            labels = [label for label in step.labels or sorted(set(table.label)) if counts[source, label]]
            if not labels or step.parent in map(canonical_name, present):
                continue
            further = [far[-1] for far in list_descent_lines(step.parent)]
            text = f"{DISPLAY[step.child]}: {step.what} ({step.citation})"
            text += "".join(f"; {far.what} ({far.citation})" for far in further)
            sentences.append(text)
            rows = ((table.source == source) & table.label.isin(labels)).to_numpy().nonzero()[0]
            cases.append(Case(rows=tuple(rows.tolist()), images=(), says=text))
    if not sentences:
        return Clear(
            name=name, sentence="The table of ancestors knows nothing of these sources that is not measured here."
        )
    return Finding(
        name=name,
        severity="note",
        sentence=f"Inferred from what their publishers say, not measured here: {'. '.join(sentences)}.",
        what_to_do="Before one of the sets named is used as an external test, merge it with these and look at "
        "shared-images.",
        cases=tuple(cases),
    )


def find_one_source_labels(context: CheckContext) -> Finding | Clear:
    """Find labels that come from one source while the data have several: disease and archive are then inseparable."""
    name = "one-source-labels"
    labels = np.array(context.labels)
    sources = context.table.source.to_numpy(dtype=str)
    present = sorted(set(sources))
    if len(present) < 2:
        return Clear(
            name=name,
            sentence=f"All images come from one source ({present[0]}): labels can't be compared across sources, and "
            "whether a model learns the disease or that archive's habits can't be told from these data.",
            applicable=False,
        )
    of = {label: sorted(set(sources[labels == label])) for label in sorted(set(labels))}
    single = {label: names[0] for label, names in of.items() if len(names) == 1}
    apart = [(one, other) for one in of for other in of if one < other and not set(of[one]) & set(of[other])]
    if not single:
        return Clear(name=name, sentence="Every label comes from two sources or more.")
    label_sources = "; ".join(f"{display_name(label)} only from {source}" for label, source in single.items())
    never = "".join(
        f" {display_name(one)} and {display_name(other)} share no source: telling them apart is not identifiable from "
        "telling the archives apart."
        for one, other in apart
    )
    return Finding(
        name=name,
        severity="warn",
        confounds=True,
        sentence=f"Not identifiable: {label_sources}.{never}",
        what_to_do="Add images of these labels from another source, or report the labels of one source only.",
        cases=tuple(
            Case(
                rows=tuple((labels == label).nonzero()[0].tolist()),
                images=(),
                says=f"{display_name(label)}: {int((labels == label).sum()):,} in all, from {source}",
            )
            for label, source in single.items()
        ),
    )
