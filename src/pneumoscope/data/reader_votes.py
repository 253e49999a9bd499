"""Several readers of one image: what they state together, by a rule that the import names.

Readers disagree, most of all on faint findings (in VinDr-CXR's training part three read each image apart). A manifest
holds one statement for each finding, so that a rule makes one of several; ``raw_label`` keeps what each reader said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def combine_readings(readings: Sequence[Mapping[str, bool]], rule: str) -> dict[str, bool]:
    """Return the findings that readers state together.

    Args:
        readings: Of each reader, label -> present or absent; a label that a reader lacks has no vote of theirs.
        rule: One of `source.READER_RULES`. ``majority``: present where more than half of the votes say so, absent
            where less than half do. ``any``: present where one says so. ``unanimous``: present or absent where all
            agree.

    Returns:
        Label -> present or absent, without those that the rule leaves unknown.
    """
    votes: dict[str, list[bool]] = {}
    for reading in readings:
        for label, present in reading.items():
            votes.setdefault(label, []).append(present)
    combined = {}
    for label, given in votes.items():
        share = sum(given) / len(given)
        if rule == "any":
            combined[label] = share > 0
        elif rule == "unanimous" and share in (0, 1):
            combined[label] = share == 1
        elif rule == "majority" and share != 0.5:
            combined[label] = share > 0.5
    return combined
