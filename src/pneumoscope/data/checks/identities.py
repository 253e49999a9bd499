"""The patient of an image, as far as names and pictures tell, across sets that copied from each other."""

from __future__ import annotations

from itertools import pairwise

from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.grouping import find_component_roots
from pneumoscope.data.known_names import find_shared_file_names, patient_in_name


def find_links_by_name(context: CheckContext) -> list[tuple[int, int, str]]:
    """Return the rows that a patient's number or a name of a known set links: two positions and the reason."""
    table = context.table
    numbers = [
        f"patient {patient} of {source}" if isinstance(patient, str) else None
        for source, patient in zip(table["source"].tolist(), table["patient_id"].tolist(), strict=True)
    ]
    links = []
    for names in (
        numbers,
        [patient_in_name(image) for image in table["image"].tolist()],
        find_shared_file_names(table),
    ):
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if name is not None:
                rows.setdefault(name, []).append(row)
        links += [(one, two, name) for name, places in rows.items() for one, two in pairwise(places)]
    return links


def number_persons(context: CheckContext) -> list[int]:
    """Return [N] one number for each person: all rows that names or pictures link, directly or through others."""
    links = [(one, two) for one, two, _ in find_links_by_name(context)]
    links += [(pair.first, pair.second) for pair in context.pairs]
    return [int(root) for root in find_component_roots(len(context), links)]
