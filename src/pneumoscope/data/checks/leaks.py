"""Leaks between parts: the same picture, or the same patient, in two of them.

A test image whose copy or whose patient is in training measures memory. ``data split`` keeps whole groups together, but
parts may come from elsewhere, and a patient of one set may occur in another set under another number.
"""

from __future__ import annotations

from pneumoscope.core.counts import format_count
from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Case, Clear, Finding
from pneumoscope.data.checks.identities import number_persons
from pneumoscope.data.conflicts import StatedFindings
from pneumoscope.data.known_names import find_links_by_name
from pneumoscope.data.similarity import Pair

_NO_PARTS = "The manifest has no parts yet: nothing can leak from one to another. Run pneumoscope data split."


def describe_pair(context: CheckContext, pair: Pair, reason: str = "") -> Case:
    """Return a pair of pictures as a case, with what else is to be said of it."""
    names, parts, labels = context.names, context.parts, context.table.label
    a, b = pair.first, pair.second
    one, other = (
        f"{names[row]} ({', '.join(word for word in (labels.iloc[row], parts[row]) if word)})" for row in (a, b)
    )
    same = context.table.sha256.iloc[a] == context.table.sha256.iloc[b]
    how = "the same file" if same else f"similarity {pair.similarity:.2f}"
    return Case(
        rows=(a, b),
        images=(names[a], names[b]),
        says=f"{one} = {other}: {how}{reason and '; '}{reason}",
        similarity=pair.similarity,
    )


def _across(context: CheckContext, one: int, two: int) -> bool:
    parts = context.parts
    return parts[one] is not None and parts[two] is not None and parts[one] != parts[two]


def find_duplicates_across_parts(context: CheckContext) -> Finding | Clear:
    """Find copies, and nearly the same pictures, in two parts."""
    name = "duplicates-across-parts"
    if not context.split():
        return Clear(name=name, sentence=_NO_PARTS, applicable=False)
    parts = context.parts
    pairs = sorted(
        (pair for pair in context.pairs if (a := parts[pair.first]) and (b := parts[pair.second]) and a != b),
        key=lambda pair: -pair.similarity,
    )
    if not pairs:
        sentence = _none_of(len(context.pairs), "near-duplicates", "is in two different parts")
        if context.apart:
            counted = format_count(context.apart, "pair is", "pairs are")
            sentence += f" {counted} alike too, but of different patients by the source's own numbers: not counted."
        return Clear(name=name, sentence=sentence)
    exact = context.table.sha256.to_numpy()
    same = sum(exact[pair.first] == exact[pair.second] for pair in pairs)
    return Finding(
        name=name,
        severity="block",
        sentence=f"{format_count(len(pairs), 'pair of pictures is', 'pairs of pictures are')} the same or nearly so "
        f"and in different parts ({same:,} of them the same file): figures there measure memory.",
        what_to_do="Group and split again: pneumoscope data split --again (import or merge first if groups are old).",
        cases=tuple(describe_pair(context, pair) for pair in pairs),
    )


def find_patients_across_parts(context: CheckContext) -> Finding | Clear:
    """Find persons in two parts: by patient number, by a name of a known set, or through a shared picture."""
    name = "patients-across-parts"
    if not context.split():
        return Clear(name=name, sentence=_NO_PARTS, applicable=False)
    parts, names = context.parts, context.names
    members: dict[int, list[int]] = {}
    for row, person in enumerate(number_persons(context)):
        if parts[row] is not None:
            members.setdefault(person, []).append(row)
    divided = [rows for rows in members.values() if len({parts[row] for row in rows}) > 1]
    # Two copies in two parts belong to the other check; here a person's pictures differ.
    copies = {frozenset((pair.first, pair.second)) for pair in context.pairs}
    divided = [rows for rows in divided if len(rows) > 2 or frozenset(rows) not in copies]
    patients = int(context.table.patient_id.notna().sum())
    if not divided:
        limit = (
            "" if patients == len(context) else " Of the rest only copies can be seen, not other studies of a patient."
        )
        return Clear(
            name=name,
            sentence=f"No person is in two parts. Patients are known for {patients:,} of {len(context):,} images."
            f"{limit}",
            applicable=True,
        )
    reason_of: dict[int, str] = {}
    for one, two, reason in find_links_by_name(context.table):
        reason_of.setdefault(one, reason)
        reason_of.setdefault(two, reason)
    cases = []
    for rows in divided:
        reasons = sorted({reason_of[row] for row in rows if row in reason_of}) or ["the same pictures"]
        where = ", ".join(f"{names[row]} ({parts[row]})" for row in rows)
        cases.append(
            Case(rows=tuple(rows), images=tuple(names[row] for row in rows), says=f"{'; '.join(reasons)}: {where}")
        )
    images = sum(len(rows) for rows in divided)
    return Finding(
        name=name,
        severity="block",
        sentence=f"{format_count(len(divided), 'person')} ({format_count(images, 'image')}) "
        f"{'is' if len(divided) == 1 else 'are'} in two parts or more.",
        what_to_do="Split again: pneumoscope data split --again keeps the images of a person in one part, where a "
        "number, a name or a picture tells the person. To state patients yourself, import with data import csv "
        "--patient-column.",
        cases=tuple(cases),
    )


def find_label_conflicts(context: CheckContext) -> Finding | Clear:
    """Find one exposure under two labels, or with a finding that is present in one row and absent in another."""
    name, labels = "label-conflicts", context.labels
    stated = StatedFindings(context.table, context.manifest.labels)
    reasons = {
        pair: stated.contradiction(pair.first, pair.second) if labels[pair.first] == labels[pair.second] else ""
        for pair in context.exposures
    }
    pairs = sorted(
        (pair for pair, reason in reasons.items() if reason or labels[pair.first] != labels[pair.second]),
        key=lambda pair: -pair.similarity,
    )
    if not pairs:
        return Clear(
            name=name,
            sentence=_none_of(len(context.exposures), "images of one exposure", "carries two labels"),
        )
    images = {row for pair in pairs for row in (pair.first, pair.second)}
    return Finding(
        name=name,
        severity="block",
        sentence=f"{format_count(len(pairs), 'pair shows', 'pairs show')} one exposure under two labels "
        f"{'or contradicting findings ' if any(reasons.values()) else ''}({format_count(len(images), 'image')}): "
        "one of the two must be wrong.",
        what_to_do="Correct the labels, or leave the images out: --drop-conflicts of pneumoscope data import, split or "
        "merge.",
        cases=tuple(describe_pair(context, pair, reasons[pair]) for pair in pairs),
    )


def find_mirrored_conflicts(context: CheckContext) -> Finding | Clear:
    """Find pictures whose mirror image carries another label, or lies in another part."""
    name, labels = "mirrored-copies", context.labels
    pairs = [
        pair
        for pair in context.mirrored
        if labels[pair.first] != labels[pair.second] or _across(context, pair.first, pair.second)
    ]
    if not pairs:
        return Clear(
            name=name, sentence=_none_of(len(context.mirrored), "mirror images", "has two labels or is in two parts")
        )
    two_labels = sum(labels[pair.first] != labels[pair.second] for pair in pairs)
    return Finding(
        name=name,
        severity="block",
        sentence=f"{format_count(len(pairs), 'picture is the mirror image', 'pictures are mirror images')} of "
        f"{'another' if len(pairs) == 1 else 'others'} ({two_labels:,} with another label, the rest in "
        "another part).",
        what_to_do="Leave out the mirrored images: a chest has one right side, and groups don't hold them together.",
        cases=tuple(describe_pair(context, pair) for pair in sorted(pairs, key=lambda pair: -pair.similarity)),
    )


def find_copies_within(context: CheckContext) -> Finding | Clear:
    """Count the near-duplicates inside one source and one part; they only weigh more than they should."""
    name = "copies-within"
    sources = context.table.source.to_numpy()
    pairs = [
        pair
        for pair in context.exposures
        if sources[pair.first] == sources[pair.second] and not _across(context, pair.first, pair.second)
    ]
    if not pairs:
        return Clear(name=name, sentence="No source holds one exposure twice.")
    return Finding(
        name=name,
        severity="note",
        sentence=f"{format_count(len(pairs), 'pair inside one source shows', 'pairs inside one source show')} one "
        "exposure. Groups keep them together; they count "
        "twice in training.",
        what_to_do="Nothing, if groups are used. Intervals and splits here are by group.",
        cases=tuple(describe_pair(context, pair) for pair in sorted(pairs, key=lambda pair: -pair.similarity)),
    )


def _none_of(pairs: int, pictures: str, fault: str) -> str:
    """Return the sentence that no pair has the fault, or that there is no pair."""
    return f"None of {format_count(pairs, 'pair')} of {pictures} {fault}." if pairs else f"No two are {pictures}."
