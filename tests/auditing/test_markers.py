"""The reason of a failed exchange is the effect that its verdict rests on."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.auditing import markers
from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.markers import _DonorEffect, exchange_corners, locate_marker
from pneumoscope.stats.estimates import Estimate

LOSS = Estimate(value=-0.2, low=-0.25, high=-0.15)
UNSURE = Estimate(value=-0.02, low=-0.05, high=0.01)
FOLLOWING = Estimate(value=0.8, low=0.7, high=0.88)


@pytest.mark.parametrize(("change", "by_share"), [(LOSS, False), (UNSURE, True)])
def test_the_sentence_and_the_effect_are_what_fails(
    change: Estimate, by_share: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markers, "_donor_effect", lambda *_: _DonorEffect(change, FOLLOWING))
    picture = np.zeros((10, 10), np.float32)
    images = AuditSet(None, (picture,) * 4, np.array([True, False] * 2), np.arange(4), 0)  # type: ignore[arg-type]
    for judge in (exchange_corners, locate_marker):
        test = judge(None, images, seed=0, advance=lambda _: None)  # type: ignore[arg-type]
        assert test.verdict == "fail"
        assert test.effect == (FOLLOWING if by_share else change)
        assert (str(FOLLOWING) in test.sentence) is by_share
        if judge is locate_marker:
            assert (str(change) in test.sentence) is not by_share
