"""The vocabulary of labels, and the sentences that every screen must show.

The vocabulary is data. The package brings ``labels.yaml``, so that a new label is a new entry there and no change in
code. A user's data may bring labels of their own, in any language: their identifiers are the user's own words, which
screens show as they are (or in another language, where the user gave a name in it). Manifests, recipes and cards carry
them. A source maps its own terms to labels by an explicit table in its own module, never by a substring match; the
manifest's ``raw_label`` keeps the verbatim term.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pneumoscope.core.errors import LabelError
from pneumoscope.core.label_rules import LONGEST_LABEL, fold_term, is_label_name, why_no_identifier
from pneumoscope.core.registry import suggestion

VIEWS = ("PA", "AP", "AP Supine", "L")
ADULT_AGE = 18
"""Years from which on a patient counts as an adult."""
PARTS = ("train", "validation", "calibration", "test")

DISCLAIMER = (
    "Research software. Not a medical device: not CE-marked, not cleared or approved by the FDA. "
    "Do not use it to diagnose, rule out, triage, prioritise or treat. "
    "A qualified reader must read every image without it first."
)

_ABSENT = "not "  # `label_rules` keeps users' labels from beginning so

SEVERAL = "other"
"""The one label of an image that has several findings, or one that the vocabulary lacks."""

NO_PATTERN = "No pattern that this model looks for"
"""What a screen says instead of a bare "normal"."""


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a vocabulary."""

    identifier: str
    """As manifests, recipes and cards write it: ``viral-pneumonia``; a user's own words for a label of the user's."""
    names: Mapping[str, str]
    """Language -> name on screen; English ("en") is always there."""
    synonyms: tuple[str, ...] = ()
    """Other terms that mean exactly this label."""
    none: bool = False
    """Whether it means "none of these findings"."""
    parents: tuple[str, ...] = ()
    """Wider labels: an image that has this one has them too."""

    @classmethod
    def of_words(cls, words: str) -> Label:
        """Return the label that stands for a user's own words.

        Args:
            words: See `why_no_identifier`.

        Returns:
            A label whose identifier and English name are the words.
        """
        return cls(words, {"en": words})

    def to_entry(self) -> dict[str, Any]:
        """Return the label as an entry of a vocabulary file.

        Returns:
            Field -> plain value; empty fields, and an English name that is the identifier, are left out.
        """
        names = {language: name for language, name in self.names.items() if (language, name) != ("en", self.identifier)}
        entry = {"names": names, "synonyms": list(self.synonyms), "none": self.none, "parents": list(self.parents)}
        return {field: value for field, value in entry.items() if value}


class LabelSet(Mapping[str, Label]):
    """A vocabulary: identifier -> `Label`, in the order of tables.

    Args:
        labels: The labels.
        name: What the vocabulary is called in an error message.

    Raises:
        LabelError: A label occurs twice, has no English name or a parent that is not there, or more than one label
            means "none of these".
    """

    def __init__(self, labels: Mapping[str, Label] | list[Label], name: str = "vocabulary") -> None:
        members = list(labels.values()) if isinstance(labels, Mapping) else labels
        self.name = name
        self._labels = {label.identifier: label for label in members}
        if len(self._labels) != len(members):
            raise LabelError(name, "names a label twice.", "Name each label once.")
        if nameless := [label.identifier for label in members if "en" not in label.names]:
            raise LabelError(name, f"has no English name for {nameless[0]!r}.", "Add it: names: {en: ...}")
        none = [label.identifier for label in members if label.none]
        if len(none) > 1:
            raise LabelError(name, f"has {len(none)} labels that mean none of these: {', '.join(none)}.", "Keep one.")
        for label in members:
            if absent := [parent for parent in label.parents if parent not in self._labels]:
                raise LabelError(
                    name,
                    f"has no label {absent[0]!r}, which {label.identifier!r} names as a parent."
                    f"{suggestion(absent[0], self._labels)}",
                    "Add it, or correct the parent.",
                )
            if label.parents and ({label.identifier, *label.parents} & set(none)):
                raise LabelError(
                    name,
                    f"{label.identifier!r} has a parent, and none of these has no wider or narrower label.",
                    "Take the parent away.",
                )
        try:
            TopologicalSorter({identifier: label.parents for identifier, label in self._labels.items()}).prepare()
        except CycleError as error:
            circular = error.args[1][0]
            raise LabelError(name, f"{circular!r} is its own ancestor.", "Take one of the parents away.") from None
        self._none = none[0] if none else None
        self._terms: dict[str, str] = {}
        for identifier, label in self._labels.items():
            for word in (identifier, *label.names.values(), *label.synonyms):
                self._terms.setdefault(fold_term(word), identifier)

    @classmethod
    @cache
    def builtin(cls) -> LabelSet:
        """Return the vocabulary that ships with the package.

        Returns:
            The same object at each call.
        """
        import yaml

        path = Path(__file__).with_name("labels.yaml")
        return cls.from_entries(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)

    @classmethod
    def from_entries(cls, entries: Mapping[str, Mapping[str, Any]], name: str) -> LabelSet:
        """Return the vocabulary of a parsed YAML file.

        Args:
            entries: Identifier -> ``names``, ``synonyms`` and ``none``, as ``labels.yaml`` describes them.
            name: What the vocabulary is called in an error message.

        Returns:
            The vocabulary, in the order of the entries.

        Raises:
            LabelError: An entry has no English name, or more than one label means "none of these".
        """
        return cls([_parse_entry(identifier, entry, name) for identifier, entry in entries.items()], name)

    @classmethod
    def read(cls, path: Path | str) -> LabelSet:
        """Return the built-in vocabulary with the labels of a YAML file.

        Args:
            path: Of the file: identifier -> ``names`` (language -> name), ``synonyms`` and ``parents``, all optional.
                The identifier of a new label is its English name. An entry for a label that the package has adds
                synonyms alone, for this import.

        Returns:
            A new vocabulary.

        Raises:
            LabelError: The file is not there or no YAML, a key stands twice, or an entry breaks a rule; it is named.

        Example:
            >>> labels = ps.LabelSet.read("labels.yaml")
        """
        import yaml

        from pneumoscope.core.strict_yaml import load_strictly

        path = Path(path)
        try:
            entries = load_strictly(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise LabelError(str(path), "cannot be read.", "Name a YAML file in UTF-8.") from error
        except yaml.YAMLError as error:
            raise LabelError(str(path), f"is no YAML ({' '.join(str(error).split())}).", "Correct it.") from error
        if not isinstance(entries, dict) or not entries:
            raise LabelError(str(path), "has no entries.", "Write one for each label: 'Pleural effusion: {names: ...}'")
        return cls.builtin().with_entries(entries, str(path))

    def with_entries(self, entries: Mapping[str, Mapping[str, Any]], name: str) -> LabelSet:
        """Return this vocabulary with the entries of a file or of a manifest's facts.

        Args:
            entries: Identifier -> ``names``, ``synonyms`` and ``parents``, as `LabelSet.read` describes them.
            name: What the entries come from, for an error message.

        Returns:
            A new vocabulary.

        Raises:
            LabelError: An entry breaks a rule; see `extended`.
        """
        return self.extended([_parse_entry(identifier, entry, name) for identifier, entry in entries.items()], name)

    def extended(self, labels: Iterable[Label], name: str = "vocabulary") -> LabelSet:
        """Return this vocabulary with further labels, or with further synonyms of those that it has.

        Args:
            labels: The labels; one that is here already may bring synonyms, and names that are here stay.
            name: What the labels come from, for an error message.

        Returns:
            A new vocabulary; its own labels come after the others.

        Raises:
            LabelError: An identifier breaks the rule, a term means another label already, a label of the package is to
                have other names or parents, or another label than the one of this vocabulary is to mean "none of
                these".
        """
        members, terms = dict(self._labels), dict(self._terms)
        for label in labels:
            here = members.get(label.identifier)
            if here is None:
                label = _checked(label, name)
            elif label.identifier in LabelSet.builtin() and (label.parents or label.names):
                way_out = "Leave names and parents out; synonyms may be added."
                raise LabelError(name, f"{label.identifier!r} is a label of the package.", way_out)
            for word in (label.identifier, *label.names.values(), *label.synonyms):
                if (other := terms.setdefault(fold_term(word), label.identifier)) != label.identifier:
                    way_out = f"Leave it out of {label.identifier!r}, or add its other terms to {other!r}."
                    raise LabelError(name, f"{word!r} means the label {other!r} already.", way_out)
            if label.none and label.identifier != self._none:
                way_out = f"Write its terms as synonyms: '{self._none}: {{synonyms: [{label.identifier}]}}'"
                raise LabelError(name, f"none of these findings is {self._none!r} here.", way_out)
            members[label.identifier] = label if here is None else _joined(here, label)
        return LabelSet(members, name)

    def covering(self, identifiers: Iterable[str]) -> LabelSet:
        """Return this vocabulary with a label in its own words for each term that means none of its labels.

        Args:
            identifiers: Of labels, such as the classes of models; `find` gives the label of each.

        Returns:
            A new vocabulary, or this one where it lacks none.

        Raises:
            LabelError: A term breaks the rule of identifiers; see `why_no_identifier`.
        """
        new: dict[str, Label] = {}
        for term in identifiers:
            if self.find(term) is None:
                new.setdefault(fold_term(term), Label.of_words(term))
        return self.extended(new.values()) if new else self

    def __getitem__(self, identifier: str) -> Label:
        return self._labels[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __repr__(self) -> str:
        return f"LabelSet({', '.join(self)})"

    @property
    def own(self) -> tuple[Label, ...]:
        """The labels that are not in the built-in vocabulary, in order."""
        builtin = LabelSet.builtin()
        return tuple(label for label in self.values() if label.identifier not in builtin)

    def ancestors(self, identifier: str) -> tuple[str, ...]:
        """Return the wider labels of a label: its parents, and theirs.

        Args:
            identifier: Of a label; an unknown one has none.

        Returns:
            Identifiers, the nearest first, each once.
        """
        found: dict[str, None] = {}
        waiting = [*self._labels[identifier].parents] if identifier in self._labels else []
        while waiting:
            parent = waiting.pop(0)
            if parent not in found:
                found[parent] = None
                waiting += self._labels[parent].parents
        return tuple(found)

    @property
    def none_label(self) -> str | None:
        """The label that means "none of these findings"; None where the vocabulary has none."""
        return self._none

    def name_of(self, identifier: str, language: str = "en") -> str:
        """Return a label's name on screen.

        Args:
            identifier: As manifests write it.
            language: "en", "de", ...; English where the label has no name in it.

        Returns:
            The name; an unknown identifier, such as a class that a recipe named, stays as it is.
        """
        if identifier not in self:
            return identifier
        names = self[identifier].names
        return names.get(language, names["en"])

    def find(self, term: str) -> str | None:
        """Return the label that a term means exactly.

        Args:
            term: Any text; terms are compared by `fold_term`.

        Returns:
            The identifier of the label whose identifier, name or synonym this is; None where there is none.
        """
        return self._terms.get(fold_term(term))

    @property
    def terms(self) -> Mapping[str, str]:
        """Every identifier, name and synonym, as `fold_term` returns it -> its label."""
        return self._terms

    def check(self, identifier: str, where: str) -> str:
        """Return ``identifier`` if the vocabulary has it.

        Args:
            identifier: Of a label.
            where: What an error calls the place that names it.

        Returns:
            The identifier.

        Raises:
            LabelError: It is not there; the message suggests the nearest and lists all.
        """
        if identifier in self:
            return identifier
        raise LabelError(
            where,
            f"the label {identifier!r} is not in the vocabulary.{suggestion(identifier, self)}",
            f"Labels: {', '.join(self)}.",
        )


_FIELDS = ("names", "synonyms", "none", "parents")
_NAME_RULE = f"printable and of at most {LONGEST_LABEL} characters"


def _parse_entry(identifier: object, entry: object, where: str) -> Label:
    """Return the label of one entry of a vocabulary file.

    Raises:
        LabelError: A field is unknown or of another kind.
    """

    def refuse(problem: str, way_out: str) -> LabelError:
        return LabelError(where, f"{identifier!r} {problem}", way_out)

    if not isinstance(identifier, str):
        raise refuse("is no text.", "Write it in quotation marks.")
    entry = {} if entry is None else entry
    if not isinstance(entry, Mapping):
        raise refuse(f"must have fields, not {entry!r}.", f"Fields: {', '.join(_FIELDS)}.")
    if unknown := [field for field in entry if field not in _FIELDS]:
        raise refuse(
            f"has the field {unknown[0]!r}.{suggestion(str(unknown[0]), _FIELDS)}", f"Fields: {', '.join(_FIELDS)}."
        )
    names, none = entry.get("names", {}), entry.get("none", False)
    if not isinstance(names, Mapping) or not all(map(is_label_name, (*names, *names.values()))):
        raise refuse(
            f"has `names` that are not language: name, {_NAME_RULE}.", "For example: names: {de: Pleuraerguss}"
        )
    lists: dict[str, tuple[str, ...]] = {}
    for field in ("synonyms", "parents"):
        texts = entry.get(field, ())
        listed = isinstance(texts, Sequence) and not isinstance(texts, str)
        if not listed or not all(map(is_label_name, texts)):
            raise refuse(f"has `{field}` that are no list of texts, {_NAME_RULE}.", f"For example: {field}: [effusion]")
        lists[field] = tuple(texts)
    if not isinstance(none, bool):
        raise refuse("has a `none` that is neither true nor false.", "Write true or false.")
    return Label(identifier, dict(names), lists["synonyms"], none, lists["parents"])


def _checked(label: Label, where: str) -> Label:
    """Return a label of a user's own, its identifier checked and used as its English name.

    Raises:
        LabelError: The identifier breaks the rule, or the English name is another.
    """
    if reason := why_no_identifier(label.identifier):
        raise LabelError(where, f"{label.identifier!r} cannot name a label: {reason}.", "Name it otherwise.")
    english = label.names.get("en", label.identifier)
    if english != label.identifier:
        raise LabelError(
            where,
            f"{label.identifier!r} has the English name {english!r}; a new label's identifier is its English name.",
            f"Call it {english!r}.",
        )
    return replace(label, names={"en": english, **label.names})


def _joined(label: Label, more: Label) -> Label:
    """Return a label with the synonyms, parents and further names of another one."""
    return replace(
        label,
        names={**more.names, **label.names},
        synonyms=tuple(dict.fromkeys((*label.synonyms, *more.synonyms))),
        parents=tuple(dict.fromkeys((*label.parents, *more.parents))),
    )


class _Names(Mapping[str, str]):
    """Identifier -> English name of the built-in vocabulary, read when it is first used: `--help` never needs it."""

    def __getitem__(self, identifier: str) -> str:
        return LabelSet.builtin()[identifier].names["en"]

    def __iter__(self) -> Iterator[str]:
        return iter(LabelSet.builtin())

    def __len__(self) -> int:
        return len(LabelSet.builtin())


LABELS: Mapping[str, str] = _Names()
"""Identifier -> English name on screen, of the built-in vocabulary."""


def check_label(label: str, where: str) -> str:
    """Return ``label`` if the built-in vocabulary has it; see `LabelSet.check`."""
    return LabelSet.builtin().check(label, where)


def display_name(label: str) -> str:
    """Return a label's English name on screen; a class that a recipe merged or named itself stays as it is."""
    builtin = LabelSet.builtin()
    finding = label.removeprefix(_ABSENT)
    if finding != label and label not in builtin and finding in builtin:
        return f"No {inside_sentence(builtin.name_of(finding))}"
    return builtin.name_of(label)


def inside_sentence(name: str) -> str:
    """Return a name as it stands inside a sentence: "Lung opacity" as "lung opacity", "COVID-19" as it is."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def absent_name(finding: str) -> str:
    """Return the name of the class "this finding is absent", which is not the same as "none of these"."""
    return f"{_ABSENT}{finding}"


def is_none_label(label: str) -> bool:
    """Return whether a label means "none of these findings"."""
    return label == LabelSet.builtin().none_label


def result_phrase(label: str) -> str:
    """Return the words for a decision: "normal" never stands alone as a result."""
    return NO_PATTERN if is_none_label(label) else display_name(label)
