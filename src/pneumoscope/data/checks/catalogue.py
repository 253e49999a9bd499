"""All data checks, in the order in which a report shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pneumoscope.data.checks import ages, damage, empty_parts, leaks, metadata, pixels, shared_sources
from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Clear, Finding


class Check(NamedTuple):
    """One check: its question, and the function that answers it."""

    question: str
    run: Callable[[CheckContext], Finding | Clear]


CHECKS: dict[str, Check] = {
    "unreadable": Check("Can every file be read?", damage.find_unreadable),
    "altered": Check("Are the files the ones that were imported?", damage.find_altered),
    "constant": Check("Does every image hold a picture?", damage.find_blank),
    "empty-parts": Check("Does every part hold images?", empty_parts.find_empty_parts),
    "duplicates-across-parts": Check("Is a picture in two parts?", leaks.find_duplicates_across_parts),
    "patients-across-parts": Check("Is a patient in two parts?", leaks.find_patients_across_parts),
    "label-conflicts": Check("Does one exposure carry two labels?", leaks.find_label_conflicts),
    "mirrored-copies": Check(
        "Is a mirror image under another label or in another part?", leaks.find_mirrored_conflicts
    ),
    "shared-images": Check("Do two sources hold the same pictures?", shared_sources.find_shared_images),
    "known-ancestors": Check("Were the sources compiled from other sets?", shared_sources.find_known_ancestors),
    "one-source-labels": Check("Does a label come from one source only?", shared_sources.find_one_source_labels),
    "label-from-metadata": Check("Can the label be guessed without the lungs?", metadata.guess_label_from_metadata),
    "label-from-pixels": Check("Can the label be guessed from corners, borders or sharpness?", pixels.guess_label),
    "children-and-adults": Check("Are children in one label, adults in another?", ages.compare_ages),
    "copies-within": Check("Does a source hold one exposure twice?", leaks.find_copies_within),
}
"""Name -> check. ``--allow`` takes the name, and a card shows it."""
