"""What operating points mean is said once where they have the same threshold."""

from __future__ import annotations

from pneumoscope.reporting.formatting import merge_meanings


def test_points_with_one_sentence_share_it() -> None:
    meanings = {"youden": "9 of 10.", "sensitivity-95": "9 of 10.", "sensitivity-98": "10 of 10."}
    assert merge_meanings(meanings) == [
        ("Youden's point and target sensitivity .95", "9 of 10."),
        ("target sensitivity .98", "10 of 10."),
    ]
    assert merge_meanings({"youden": ""}) == []
