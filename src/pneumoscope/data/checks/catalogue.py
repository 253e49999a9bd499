"""The checks of the gate, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pneumoscope.data.checks import ages, damage, leaks, metadata, shared_sources
from pneumoscope.data.checks.context import Evidence
from pneumoscope.data.checks.findings import Clear, Finding


class Check(NamedTuple):
    """One question to the data."""

    question: str
    run: Callable[[Evidence], Finding | Clear]


CHECKS: dict[str, Check] = {
    "unreadable": Check("Can every file be read?", damage.unreadable),
    "altered": Check("Are the files the ones that were imported?", damage.altered),
    "constant": Check("Does every image hold a picture?", damage.constant),
    "duplicates-across-parts": Check("Is a picture in two parts?", leaks.duplicates_across_parts),
    "patients-across-parts": Check("Is a patient in two parts?", leaks.patients_across_parts),
    "label-conflicts": Check("Does one exposure carry two labels?", leaks.label_conflicts),
    "shared-images": Check("Do two sources hold the same pictures?", shared_sources.shared_images),
    "known-ancestors": Check("Were the sources compiled from other sets?", shared_sources.known_ancestors),
    "one-source-labels": Check("Does a label come from one source only?", shared_sources.one_source_classes),
    "label-from-metadata": Check("Can the label be guessed without the lungs?", metadata.label_from_metadata),
    "children-and-adults": Check("Are children in one label, adults in another?", ages.children_and_adults),
    "copies-within": Check("Does a source hold one exposure twice?", leaks.copies_within),
}
"""Name -> check. The name is what ``--allow`` takes and what a card says."""
