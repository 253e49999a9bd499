"""Give a source's own terms (class folders, cells of a table) their labels, and say which term has none.

A term has the label that the user gives it, else the one whose identifier, name or synonym it is
(`LabelSet.find`). Only whole terms count, never a part of one. A label that is read in another spelling than it was
given is noted, and all terms without a label are named at once, with the mapping to paste. Where the user says so, such
a term becomes a label of its own instead, in its own words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import LabelError
from pneumoscope.core.label_rules import fold_term, tidy_term, why_no_identifier
from pneumoscope.core.labels import Label, LabelSet

_LONGEST_TERM = 80  # a longer one is hardly a term, and nobody would paste it
_CERTAIN = 0.8  # likeness to a known term from which the line to paste proposes its label


def check_mapping(mapping: Mapping[str, str], vocabulary: LabelSet) -> dict[str, str]:
    """Return the user's mapping of terms, each to a label of the vocabulary; ``Pneumonia`` means ``pneumonia``.

    Raises:
        LabelError: A label is unknown.
    """
    return {
        term: vocabulary.find(label) or vocabulary.check(label, argument("mapping", {term: label}))
        for term, label in mapping.items()
    }


def refuse_terms(
    where: str,
    unknown: Mapping[str, int],
    unit: str,
    known: Mapping[str, str],
    vocabulary: LabelSet,
    *,
    can_keep: bool = False,
) -> LabelError:
    """Return the error for terms without a label: all of them with their numbers, and the mapping to paste.

    Args:
        where: The folder or table.
        unknown: Term -> number of images, rows or tags.
        unit: The unit of these numbers, in the plural.
        known: Terms that a suggestion may come from -> their labels.
        vocabulary: The labels that terms can mean.
        can_keep: Whether the source can make labels of such terms.
    """
    terms = {**vocabulary.terms, **{fold_term(term): label for term, label in known.items()}}
    lines, mapping = [], {}
    for term, number in unknown.items():
        near = get_close_matches(fold_term(term), terms, n=1, cutoff=_CERTAIN)
        hint = f" (like {quote(near[0])}?)" if near else ""
        lines.append(
            f"  {number:7,}  {quote(term)}{hint}" if term.strip() else f"  {number:7,}  blank: no label at all"
        )
        if term.strip() and term.isprintable() and len(term) <= _LONGEST_TERM:
            mapping[term] = terms[near[0]] if near else "LABEL"
    plural = "terms" if len(unknown) > 1 else "term"
    ways = ["leave them out: `drop_unmapped=True`"]
    if can_keep and any(why_no_identifier(tidy_term(term)) is None for term in unknown):
        ways.insert(0, "make them labels of your own, in your own words: `keep_terms=True`")
    return LabelError(
        where,
        f"no label for {len(unknown):,} {plural} ({sum(unknown.values()):,} {unit}):\n" + "\n".join(lines) + "\n",
        (f"Say what each means: {argument('mapping', mapping)}\n" if mapping else "Correct them. ")
        + f"Labels: {', '.join(vocabulary)}. Or "
        + "; or ".join(ways),
    )


class LabelTerms:
    """The labels of a source's terms.

    Args:
        mapping: The user's own: term -> label.
        vocabulary: The labels that terms can mean.
        keep: Whether a term, or a label of the mapping, that means no label becomes a label of its own.

    Raises:
        LabelError: A label of the mapping is unknown.
    """

    def __init__(self, mapping: Mapping[str, str], vocabulary: LabelSet, *, keep: bool = False) -> None:
        self._keep = keep
        self._kept: dict[str, Label] = {}
        self._vocabulary = vocabulary
        if keep:
            for label in mapping.values():
                self._keep_term(label)
            self._vocabulary = self.labels
        self.mapping = check_mapping(mapping, self._vocabulary)
        self.unknown: Counter[str] = Counter()
        """Term that `use` got and that has no label -> its number."""
        self._folded = {fold_term(term): label for term, label in self.mapping.items()}
        self._used: Counter[str] = Counter()

    def find(self, term: str) -> str | None:
        """Return a term's label without counting it, None if it has none."""
        if term in self.mapping:
            return self.mapping[term]
        folded = fold_term(term)
        kept = self._kept.get(folded)
        return self._folded.get(folded) or self._vocabulary.find(term) or (kept.identifier if kept else None)

    def use(self, term: str) -> str | None:
        """Return a term's label and count it as used; count it as unknown where it has none and is not kept."""
        label = self.find(term) or self._keep_term(term)
        if label is None:
            self.unknown[term] += 1
        else:
            self._used[term] += 1
        return label

    def _keep_term(self, term: str) -> str | None:
        """Return the label that a term's own words make; None where they may not, or cannot, be one."""
        if (known := self._vocabulary.find(term)) is not None or not self._keep:
            return known
        words = tidy_term(term)
        if why_no_identifier(words) is not None:
            return None
        return self._kept.setdefault(fold_term(words), Label.of_words(words)).identifier

    @property
    def labels(self) -> LabelSet:
        """The vocabulary, with the labels that terms became."""
        return self._vocabulary.extended(self._kept.values()) if self._kept else self._vocabulary

    @property
    def unused(self) -> list[str]:
        """Terms of the mapping that did not occur, sorted."""
        used = {fold_term(term) for term in self._used}
        return sorted(term for term in self.mapping if fold_term(term) not in used)

    def notes(self) -> list[str]:
        """Return a note for each term that was read as a label without being written like it."""
        return [
            f"{quote(term)} is read as {self.find(term)} ({number:,})"
            for term, number in self._used.items()
            if term not in self.mapping and self.find(term) != term
        ]

    def refuse(self, where: str, unit: str) -> LabelError:
        """Return the error for the unknown terms; see `refuse_terms`."""
        return refuse_terms(where, self.unknown, unit, self.mapping, self._vocabulary, can_keep=not self._keep)
