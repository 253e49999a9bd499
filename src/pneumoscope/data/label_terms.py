"""Give a source's own terms (class folders, cells of a table) their labels, and say which term has none.

A term has the label that the user gives it, else the one whose identifier, name or synonym it is
(`LabelSet.find`). Only whole terms count, never a part of one. A label that is read in another spelling than it was
given is noted, and all terms without a label are named at once, with the mapping to paste.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import LabelError
from pneumoscope.core.labels import LabelSet, check_label, fold_term

_LONGEST_TERM = 80  # a longer one is hardly a term, and nobody would paste it
_CERTAIN = 0.8  # likeness to a known term from which the line to paste proposes its label


def check_mapping(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the user's mapping of terms, each to a label of the vocabulary; ``Pneumonia`` means ``pneumonia``.

    Raises:
        LabelError: A label is unknown.
    """
    vocabulary = LabelSet.builtin()
    return {
        term: vocabulary.find(label) or check_label(label, argument("mapping", {term: label}))
        for term, label in mapping.items()
    }


def refuse_terms(where: str, unknown: Mapping[str, int], unit: str, known: Mapping[str, str]) -> LabelError:
    """Return the error for terms without a label: all of them with their numbers, and the mapping to paste.

    Args:
        where: The folder or table.
        unknown: Term -> number of images, rows or tags.
        unit: The unit of these numbers, in the plural.
        known: Terms that a suggestion may come from -> their labels.
    """
    vocabulary = LabelSet.builtin()
    terms = {**vocabulary.terms, **{fold_term(term): label for term, label in known.items()}}
    lines, mapping = [], {}
    for term, number in unknown.items():
        near = get_close_matches(fold_term(term), terms, n=1, cutoff=_CERTAIN)
        hint = f" (like {quote(near[0])}?)" if near else ""
        lines.append(
            f"  {number:7,}  {quote(term)}{hint}" if term.strip() else f"  {number:7,}  blank: no label at all"
        )
        if term.strip() and len(term) <= _LONGEST_TERM:
            mapping[term] = terms[near[0]] if near else "LABEL"
    plural = "terms" if len(unknown) > 1 else "term"
    return LabelError(
        where,
        f"no label for {len(unknown):,} {plural} ({sum(unknown.values()):,} {unit}):\n" + "\n".join(lines) + "\n",
        (f"Say what each means: {argument('mapping', mapping)}\n" if mapping else "Correct them. ")
        + f"Labels: {', '.join(vocabulary)}. Or leave them out: `drop_unmapped=True`",
    )


class LabelTerms:
    """The labels of a source's terms.

    Args:
        mapping: The user's own: term -> label.

    Raises:
        LabelError: A label of the mapping is unknown.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self.mapping = check_mapping(mapping)
        self.unknown: Counter[str] = Counter()
        """Term that `count_unknown` got and that has no label -> its number."""
        self._vocabulary = LabelSet.builtin()
        self._folded = {fold_term(term): label for term, label in self.mapping.items()}
        self._used: Counter[str] = Counter()

    def find(self, term: str) -> str | None:
        """Return a term's label without counting it, None if it has none."""
        if term in self.mapping:
            return self.mapping[term]
        folded = fold_term(term)
        return self._folded.get(folded) or self._vocabulary.find(term)

    def use(self, term: str) -> str | None:
        """Return a term's label and count it as used; count it as unknown where it has none."""
        label = self.find(term)
        if label is None:
            self.unknown[term] += 1
        else:
            self._used[term] += 1
        return label

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
            if term not in self.mapping and term not in self._vocabulary
        ]

    def refuse(self, where: str, unit: str) -> LabelError:
        """Return the error for the unknown terms; see `refuse_terms`."""
        return refuse_terms(where, self.unknown, unit, self.mapping)
