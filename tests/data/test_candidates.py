"""The index finds what a comparison of all with all finds, and copies among many; turns agree with Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.data import candidates
from pneumoscope.data.candidates import CandidateIndex
from pneumoscope.data.evened import WHOLE, Change, change_pictures, even_out, unit


def _draw_noise(count: int) -> NDArray[np.float32]:
    """Pictures that have nothing in common, with detail of a few pixels."""
    noise = np.random.default_rng(0).random((count, 16, 16)).astype(np.float32)
    return np.stack([np.asarray(Image.fromarray(one).resize((64, 64), Image.Resampling.BICUBIC)) for one in noise])


def test_a_search_of_all_lists_is_a_comparison_of_all_with_all() -> None:
    pictures = _draw_noise(300)
    pictures[150:] = 0.5 * pictures[150:] + 0.5 * pictures[:150]  # scores of all sizes
    found = CandidateIndex(pictures).search(np.arange(100, 300), WHOLE, 2, 0.3)

    halves = np.stack([np.asarray(Image.fromarray(one).reduce(2), dtype=np.float64) for one in pictures])
    evened = even_out(halves.astype(np.float32), blur=1.0)
    windows = {(y, x): unit(evened[:, y : y + 28, x : x + 28]) for y in (0, 2, 4) for x in (0, 2, 4)}
    middle = windows[2, 2].astype(np.float64)
    values, vectors = np.linalg.eigh(middle.T @ middle / 300)
    spread = 0.5 * np.maximum(values, 0) + 0.5 * values.mean()  # 300 pictures know half of their spread
    whitening = vectors[:, -256:] / np.sqrt(spread + 1e-3 * spread[-1])[-256:]

    def project(window: NDArray[np.float32]) -> NDArray[np.float64]:
        projected = window @ whitening
        return projected / np.linalg.norm(projected, axis=1, keepdims=True)

    whole = project(windows[2, 2])
    best = np.max([project(windows[y, x]) @ whole.T for y in (0, 2, 4) for x in (0, 2, 4)], axis=0)
    expected = {(j, i) for i, j in np.argwhere(best >= 0.3) if i != j and i >= 100}
    doubtful = {(j, i) for i, j in np.argwhere(np.abs(best - 0.3) < 1e-3)}
    pairs = set(zip(found.members.tolist(), found.queries.tolist(), strict=True))
    assert len(expected) > 30
    assert pairs ^ expected <= doubtful
    for query in set(found.queries.tolist()):
        scores = best[query, found.members[found.queries == query]]
        assert np.all(np.diff(scores) <= 1e-3)
        assert found.ranks[found.queries == query].tolist() == list(range(len(scores)))


def test_a_copy_comes_first_where_few_lists_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_PER_LIST", 20)
    monkeypatch.setattr(candidates, "_LISTS", 4)  # of 60
    originals = _draw_noise(1200)
    grain = np.random.default_rng(1).normal(0, 0.1, (100, 64, 64)).astype(np.float32)
    found = CandidateIndex(np.concatenate([originals, originals[::12] + grain])).search(
        np.arange(1200, 1300), WHOLE, 1, 0.4
    )
    first = found.ranks == 0
    assert found.queries[first].tolist() == list(range(1200, 1300))
    assert found.members[first].tolist() == list(range(0, 1200, 12))


def test_changes_agree_with_pillow() -> None:
    picture = np.round(_draw_noise(1)[0] * 255).clip(0, 255).astype(np.uint8)
    drawn = Image.fromarray(picture)

    def change(how: Change) -> NDArray[np.float32]:
        return change_pictures(picture[None].astype(np.float32) / 255, how, 64)[0] * 255

    assert np.array_equal(change(WHOLE), picture)
    turned = np.asarray(drawn.rotate(5, Image.Resampling.BILINEAR), dtype=np.float32)
    assert change(Change(turn=5))[8:-8, 8:-8] == pytest.approx(turned[8:-8, 8:-8], abs=1.5)  # Pillow rounds
    assert change(Change(mirrored=True, inverted=True)) == pytest.approx(255.0 - picture[:, ::-1], abs=1e-3)
    cropped = drawn.crop((8, 16, 56, 48)).resize((64, 64), Image.Resampling.BOX)
    assert change(Change((0.125, 0.25))) == pytest.approx(np.asarray(cropped, dtype=np.float32), abs=1)
