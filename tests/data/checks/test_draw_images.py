"""A probe of many images looks at some of them: whole groups, as many images of each label."""

from __future__ import annotations

import numpy as np

from pneumoscope.data.checks.label_probe import draw_images


def test_few_images_are_all_looked_at() -> None:
    rows = np.array([True, False, True, True])
    assert draw_images(np.array([0, 0, 1, 1]), np.arange(4), rows, most=3).tolist() == rows.tolist()


def test_each_label_gives_its_share_in_whole_groups() -> None:
    random = np.random.default_rng(0)
    group = random.integers(0, 3000, 10_000)
    label = np.where(group % 10 == 0, 1, 0)  # a tenth: 1,000 images, fewer than its share
    rows = random.random(10_000) < 0.95
    chosen = draw_images(label, group, rows, most=4000)
    assert not (chosen & ~rows).any()
    assert chosen[rows & (label == 1)].all()
    assert 2000 <= chosen[label == 0].sum() < 2000 + np.bincount(group).max()
    common = rows & (label == 0)
    taken = np.unique(group[chosen & (label == 0)])
    assert (np.isin(group[common], taken) == chosen[common]).all()
    assert draw_images(label, group, rows, most=4000).tolist() == chosen.tolist()
