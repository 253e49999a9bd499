"""The public sets that were compiled from other public sets, as their publishers state it, with citations.

A test set is called external when the model was trained on another set. Many are not, since they hold the same images.
A result of comparing pixels is called measured; a statement of this table alone is called inferred.
"""

from __future__ import annotations

from typing import NamedTuple

from pneumoscope.data.source_names import source_names


class Ancestor(NamedTuple):
    """One set took images from another."""

    child: str
    parent: str
    labels: tuple[str, ...]  # of the child; empty: all of them
    what: str
    citation: str


ANCESTORS: tuple[Ancestor, ...] = (
    Ancestor(
        "rsna",
        "nih",
        (),
        "all images of the RSNA Pneumonia Challenge are from NIH ChestX-ray14",
        "Shih, Radiology: AI 2019",
    ),
    Ancestor(
        "radiography",
        "rsna",
        ("normal", "lung-opacity"),
        "its lung opacities and most of its normal images are from the RSNA Pneumonia Challenge",
        "Rahman, Comput Biol Med 2021",
    ),
    Ancestor(
        "radiography",
        "kaggle-pneumonia",
        ("viral-pneumonia", "normal"),
        "its viral pneumonias and some of its normal images are children of the Kaggle pneumonia set",
        "Chowdhury, IEEE Access 2020; Rahman, Comput Biol Med 2021",
    ),
    Ancestor(
        "radiography",
        "ieee8023",
        ("covid-19",),
        "some of its COVID-19 images are from the covid-chestxray-dataset",
        "Chowdhury, IEEE Access 2020",
    ),
    Ancestor(
        "radiography",
        "bimcv",
        ("covid-19",),
        "most of its COVID-19 images are from BIMCV-COVID19+",
        "Rahman, Comput Biol Med 2021",
    ),
    Ancestor(
        "darwin",
        "ieee8023",
        (),
        "the COVID-19 images of the V7 set are from the covid-chestxray-dataset",
        "V7 Labs, COVID-19 X-ray dataset 2020; Cohen, arXiv:2006.11988",
    ),
    Ancestor(
        "darwin",
        "kaggle-pneumonia",
        (),
        "the other images of the V7 set are children of the Kaggle pneumonia set",
        "V7 Labs, COVID-19 X-ray dataset 2020; Kermany, Cell 2018",
    ),
)

DISPLAY = {
    "rsna": "RSNA Pneumonia Challenge",
    "nih": "NIH ChestX-ray14",
    "radiography": "COVID-19 Radiography Database",
    "kaggle-pneumonia": "Kaggle pneumonia set (Kermany)",
    "ieee8023": "covid-chestxray-dataset (Cohen)",
    "bimcv": "BIMCV-COVID19+",
    "darwin": "V7 COVID-19 X-ray dataset",
}

_OTHER_NAMES = {
    "v7": "darwin",
    "v7-darwin": "darwin",
    "kaggle": "kaggle-pneumonia",
    "chestx-ray14": "nih",
    "nih-chestxray14": "nih",
    "rsna-pneumonia": "rsna",
}

ANY_IMAGES = frozenset({"csv", "dicom", "folder"})
"""Layouts that hold whatever somebody put there, copies of public images too."""

CHILDREN: dict[tuple[str, str | None], str] = {
    ("kaggle-pneumonia", None): "children of one to five years (Kermany, Cell 2018)",
    ("radiography", "viral-pneumonia"): "children of the Kaggle pneumonia set (Chowdhury, IEEE Access 2020)",
}
"""(source, label or None for all) -> who the patients are, where the files do not say it."""

ADULTS: dict[tuple[str, str | None], str] = {
    ("radiography", "covid-19"): "adults in the main (Chowdhury, IEEE Access 2020; Vayá, arXiv:2006.01174)",
    ("radiography", "lung-opacity"): "adults in the main (Wang, CVPR 2017)",
    ("radiography", "normal"): "adults in the main, with some of Kaggle's children (Rahman, Comput Biol Med 2021)",
    ("nih", None): "adults in the main (Wang, CVPR 2017)",
    ("ieee8023", None): "adults in the main (Cohen, arXiv:2006.11988)",
}
"""The same for adults."""


def canonical_name(source: str) -> str:
    """Return the name under which the tables know a source."""
    return _OTHER_NAMES.get(source, source)


def list_descent_lines(source: str) -> list[list[Ancestor]]:
    """Return every line of descent of a set, each from its parent upwards."""
    lines: list[list[Ancestor]] = []
    for step in ANCESTORS:
        if step.child == canonical_name(source):
            lines.append([step])
            lines += [[step, *further] for further in list_descent_lines(step.parent)]
    return lines


def list_shared_origins(one: str, other: str) -> list[str]:
    """Return the sets that two sources are or took images from, without the ancestors of these; empty if none."""
    mine, theirs = (
        {canonical_name(name), *(line[-1].parent for line in list_descent_lines(name))} for name in (one, other)
    )
    shared = mine & theirs
    older = {line[-1].parent for name in shared for line in list_descent_lines(name)}
    return sorted(shared - older)


def is_known_set(source: str) -> bool:
    """Return whether a source is a public set, by its name: of a folder or a table nothing is known."""
    return canonical_name(source) in DISPLAY or source in set(source_names()) - ANY_IMAGES


def find_common_ancestry(one: str, other: str) -> list[Ancestor]:
    """Return how the table relates two sets: the steps from both to their common ancestor; empty if there is none."""
    a, b = canonical_name(one), canonical_name(other)
    up: dict[str, dict[str, list[Ancestor]]] = {}
    for name in (a, b):
        up[name] = {name: []}
        for line in list_descent_lines(name):
            up[name].setdefault(line[-1].parent, line)
    meeting = [name for name in up[a] if name in up[b]]
    if a == b or not meeting:
        return []
    nearest = min(meeting, key=lambda name: len(up[a][name]) + len(up[b][name]))
    return [*up[a][nearest], *up[b][nearest]]
