"""The findings of an image: which are stated present and which absent; any other is unknown.

An image may have several findings, and nobody looked for all of them. The manifest's column ``findings`` holds what was
stated as JSON, ``{"pleural-effusion": true, "nodule": false}``. Where it is null, the one label of the image says as
much: a finding is present, and "none of these" means that all are absent. Wider labels follow from narrower ones: who
has viral pneumonia has pneumonia, and who has no opacity of the lung has no consolidation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import SEVERAL, LabelSet
from pneumoscope.core.registry import suggestion

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORM = 'JSON, {"label": true or false}'


def parse_findings(text: str, where: str, labels: LabelSet) -> dict[str, bool]:
    """Read findings as a manifest's cell holds them.

    Args:
        text: JSON: ``{label: true | false}``, for present and absent.
        where: The file, row and column, for the error.
        labels: The vocabulary.

    Raises:
        ManifestError: It is no such object, or names a label that is unknown or means "none of these".
    """
    try:
        findings = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        findings = None
    if not isinstance(findings, dict) or not all(isinstance(value, bool) for value in findings.values()):
        raise ManifestError(where, f"has {quote(text)}.", f"Write {_FORM}: present or absent.")
    for name in findings:
        if name not in labels or name in (labels.none_label, SEVERAL):
            raise ManifestError(
                where, f"has the finding {quote(name)}.{suggestion(name, labels)}", f"Labels: {', '.join(labels)}."
            )
    return findings


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a finding is named twice")
    return dict(pairs)


def find_contradiction(label: str, findings: Mapping[str, bool], labels: LabelSet) -> str | None:
    """Return how an image's one label and its findings exclude each other.

    Args:
        label: Its one label.
        findings: Label -> present or absent.
        labels: The vocabulary.

    Returns:
        A clause for an error; None where they agree.
    """
    if label == labels.none_label:
        present = next((name for name, value in findings.items() if value), None)
        return None if present is None else f"{present} is present, so the image is not {label}"
    if findings.get(label) is False:
        return f"{label} is absent"
    wider = next((name for name in labels.ancestors(label) if findings.get(name) is False), None)
    return None if wider is None else f"who has {label} has {wider}, which is absent"


def write_findings(findings: Mapping[str, bool]) -> str:
    """Return findings as a manifest's cell holds them, the same text for the same findings."""
    return json.dumps({name: findings[name] for name in sorted(findings)}, ensure_ascii=False, separators=(",", ":"))


def list_findings(present: Iterable[str], looked_for: Iterable[str]) -> dict[str, bool]:
    """Return the findings of an image whose source names those present, and looked for all of its list.

    Args:
        present: Labels that the source names.
        looked_for: All labels that it may name.
    """
    named = set(present)
    return {label: label in named for label in (*looked_for, *named)}


def label_of(findings: Mapping[str, bool], labels: LabelSet) -> str | None:
    """Return the one label that stands for findings.

    Args:
        findings: Label -> present or absent.
        labels: The vocabulary.

    Returns:
        The finding, where one is present, or several of which one is the narrowest of all; `SEVERAL` where others are
        present; "none of these" where findings were looked for and none is present; None where nothing is stated.
    """
    present = [name for name, value in findings.items() if value]
    wider = {parent for name in present for parent in labels.ancestors(name)}
    narrowest = [name for name in present if name not in wider]
    if narrowest:
        return narrowest[0] if len(narrowest) == 1 else SEVERAL
    return labels.none_label if findings else None


def stated_findings(label: str, findings: Mapping[str, bool] | None, labels: LabelSet) -> dict[str, bool]:
    """Return all that is stated of an image, with what follows from it.

    Args:
        label: Its one label.
        findings: The cell of its column ``findings``, read; None where it is null.
        labels: The vocabulary.

    Returns:
        Label -> present or absent, without those that are unknown. `SEVERAL` is no finding and states nothing.
    """
    if findings is None:
        if label == labels.none_label:
            return {name: False for name in labels if name != label}
        findings = {} if label == SEVERAL else {label: True}
    stated = dict(findings)
    for name, present in findings.items():
        if present:
            for parent in labels.ancestors(name):
                stated[parent] = True  # the narrower statement counts, also where the wider one is said to be absent
    absent = {name for name, present in stated.items() if not present}
    for name in labels:
        if absent.intersection(labels.ancestors(name)):
            stated.setdefault(name, False)
    return stated


def finding_targets(
    rows: Iterable[tuple[str, str | None]], classes: Sequence[str], labels: LabelSet
) -> NDArray[np.float32]:
    """Return what each image states of each class.

    Args:
        rows: Of each image, its label and the cell of its column ``findings``, or None.
        classes: C labels.
        labels: The vocabulary.

    Returns:
        [N, C] float32: 1 present, 0 absent, NaN unknown.
    """
    # A set has few different cells, compared with its images.
    known: dict[tuple[str, str | None], list[float]] = {}
    targets = []
    for label, text in rows:
        if (label, text) not in known:
            findings = None if text is None else parse_findings(text, "column 'findings'", labels)
            stated = stated_findings(label, findings, labels)
            known[label, text] = [float(stated[name]) if name in stated else float("nan") for name in classes]
        targets.append(known[label, text])
    return np.array(targets, dtype=np.float32).reshape(-1, len(classes))
