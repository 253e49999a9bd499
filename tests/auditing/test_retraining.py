"""Leaving one site out shows what does not carry over to another site."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pneumoscope.auditing.retraining import even_out_sites, leave_one_site_out  # noqa: E402
from pneumoscope.auditing.sites import describe_sites, read_origins, sites_of  # noqa: E402
from pneumoscope.core.errors import UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402

IMAGES = 240
SITE = np.repeat(np.array(["a", "b", "c"]), IMAGES // 3)
POSITIVE = np.arange(IMAGES) % 2 == 0


def features(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=(IMAGES, 4))


def test_what_is_true_everywhere_carries_over() -> None:
    values = features(0)
    values[:, 0] += 3 * POSITIVE
    found = leave_one_site_out(values, POSITIVE, np.arange(IMAGES), SITE)
    assert list(found) == ["a", "b", "c"]
    assert all(estimate.low is not None and estimate.low > 0.9 for estimate in found.values())


def test_what_means_the_opposite_at_the_site_fails_there() -> None:
    """A sign of disease at two sites is a sign of health at the third: it is right inside all, and wrong left out."""
    values = features(1)
    values[:, 0] += 3 * np.where(SITE == "c", ~POSITIVE, POSITIVE)
    found = leave_one_site_out(values, POSITIVE, np.arange(IMAGES), SITE)
    assert found["c"].high is not None
    assert found["c"].high < 0.1


def test_a_patient_of_the_site_is_not_learnt_from_elsewhere() -> None:
    """Every patient has one image at each site, so that nothing is left to learn from."""
    shared = np.tile(np.arange(80), 3)
    assert leave_one_site_out(features(2), POSITIVE, shared, SITE)["a"].value is None


def test_a_site_of_one_class_says_nothing() -> None:
    one_class = np.where(SITE == "a", True, POSITIVE)
    estimate = leave_one_site_out(features(3), one_class, np.arange(IMAGES), SITE)["a"]
    assert estimate.value is None
    assert "80 and 0 groups" in estimate.note


def test_a_stated_origin_is_a_site(phantom_set: Manifest, tmp_path: Path) -> None:
    first = str(phantom_set.table["image"][0])
    (tmp_path / "origins.csv").write_text(f"file,origin\n{Path(first).stem},elsewhere\n", encoding="utf-8")
    site = sites_of(phantom_set, read_origins(tmp_path / "origins.csv"))
    assert site[0] == "elsewhere"
    assert (site[1:] == phantom_set.table["source"][1:]).all()
    counts = describe_sites(list(site), (phantom_set.table["label"] == "covid-19").to_numpy())
    assert sum(map(sum, counts.values())) == len(phantom_set)
    used = even_out_sites(phantom_set, (phantom_set.table["label"] == "covid-19").to_numpy(), site, 0)
    assert not (phantom_set.table["split"][used] == "test").any()


def test_origins_without_their_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "origins.csv").write_text("name,url\na,b\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has no columns 'file' and 'origin'"):
        read_origins(tmp_path / "origins.csv")
