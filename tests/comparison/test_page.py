"""What the page of a comparison says of a source's figures."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from pneumoscope.comparison.page import describe_reported
from pneumoscope.recipes.recipe import load_recipe


def test_a_source_with_an_auroc_for_each_finding_has_their_mean_over_the_findings_of_the_table() -> None:
    reported = load_recipe("densenet121-chexnet").reported
    assert describe_reported(reported, ["atelectasis", "pleural-effusion", "fracture"]) == (
        "AUROC, mean of 2 of these findings, 0.837, on 20% of the images as test, without intervals"
    )
    assert describe_reported(reported, ["fracture"]) == "nothing"
    assert describe_reported({"accuracy": 0.9134, "seconds": 929}) == "accuracy 0.9134, seconds 929"
