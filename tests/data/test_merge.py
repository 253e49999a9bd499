"""A merge groups the images that sources share and refuses images that changed since the import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pneumoscope.core.errors import LabelError, ManifestError, UsageError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.importing import import_source
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.merge import merge
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.splits import assign_parts

Draw = Callable[..., Path]


def _set(folder: Path) -> Manifest:
    return import_source(SOURCES.get("folder"), folder, ImportOptions(source_name=folder.name))[0]


@pytest.fixture
def manifests(tmp_path: Path, draw: Draw) -> tuple[Manifest, Manifest]:
    """Two sets of six; ``b`` also has a smaller copy of a's first picture, and its second with another label."""
    for number in range(6):
        draw(tmp_path / f"a/normal/{number}.png", number)
        draw(tmp_path / f"b/normal/{number + 10}.png", number + 10)
    Image.open(tmp_path / "a/normal/0.png").resize((96, 96)).save(tmp_path / "b/normal/10.png")
    (tmp_path / "b/covid-19").mkdir()
    Image.open(tmp_path / "a/normal/1.png").save(tmp_path / "b/covid-19/again.jpg", quality=60)
    return _set(tmp_path / "a"), _set(tmp_path / "b")


def test_images_that_two_sources_share_are_one_group_in_one_part(manifests: tuple[Manifest, Manifest]) -> None:
    merged, report = merge(manifests)
    group = merged.table.set_index(merged.table.source + "/" + merged.table.image).group
    assert group["a/normal/0.png"] == group["b/normal/10.png"]
    assert group["a/normal/1.png"] == group["b/covid-19/again.jpg"]
    assert group.nunique() == 11
    assert report.across == {"a normal = b covid-19": 1, "a normal = b normal": 1}
    assert merged.roots == {**manifests[0].roots, **manifests[1].roots}
    parts = assign_parts(merged, {"test": 0.5}, seed=0).table
    assert (parts.groupby("group")["split"].nunique() == 1).all()


def test_a_picture_with_two_labels_is_named_and_dropped_by_option(manifests: tuple[Manifest, Manifest]) -> None:
    merged, report = merge(manifests)
    assert len(report.conflicts) == 1
    assert "a/normal/1.png is normal, b/covid-19/again.jpg is covid-19" in report.conflicts[0]
    assert len(merged) == 13
    assert report.dropped == ()
    without, report = merge(manifests, drop_conflicts=True)
    assert report.dropped == ("a/normal/1.png", "b/covid-19/again.jpg")
    assert len(without) == 11
    assert "left out 2 images" in without.notes[-1]


def test_a_merge_clears_parts_and_keeps_earlier_groups_together(manifests: tuple[Manifest, Manifest]) -> None:
    first = Manifest(manifests[0].table.assign(group="all"), manifests[0].roots, manifests[0].notes)
    merged, report = merge([assign_parts(first, {"test": 0}, seed=0), manifests[1]])
    assert report.unsplit
    assert merged.parts_present == ()
    assert merged.table.group[merged.table.source == "a"].nunique() == 1


def test_a_merge_refuses_an_image_that_was_replaced(manifests: tuple[Manifest, Manifest], draw: Draw) -> None:
    draw(manifests[0].paths()[3], 99)
    with pytest.raises(ManifestError, match=r"1 images of a: .*'3\.png \(another SHA-256 than at import\)'"):
        merge(manifests)


def test_a_repeated_source_or_a_single_manifest_is_refused(manifests: tuple[Manifest, Manifest]) -> None:
    with pytest.raises(ManifestError, match=r"source 'a': is in two of the manifests\..*`source_name`"):
        merge([manifests[0], manifests[0]])
    with pytest.raises(UsageError, match="needs two or more"):
        merge([manifests[0]])


def test_balancing_leaves_out_whole_groups_and_names_them(manifests: tuple[Manifest, Manifest]) -> None:
    merged, report = merge(manifests, balance="covid-19=1,normal=3", seed=0)
    assert merged.table.label.value_counts().to_dict() == {"normal": 3, "covid-19": 1}
    assert len(report.balanced) == 9
    assert not set(report.balanced) & set(merged.table.source + "/" + merged.table.image)
    # The covid-19 image and its copy are one group, which stays: the copy counts among the three.
    assert "a/normal/1.png" in set(merged.table.source + "/" + merged.table.image)
    assert merged.notes[-1] == "balance: covid-19 1, normal 3; seed 0; left out 9 normal"
    assert merge(manifests, balance="covid-19=1,normal=3", seed=1)[1].balanced != report.balanced
    with pytest.raises(UsageError, match=r"label 'viral'.*no image to balance"):
        merge(manifests, balance="viral=1,normal=3")


def test_a_merge_has_the_labels_of_all_inputs(manifests: tuple[Manifest, Manifest]) -> None:
    first, second = manifests
    labels = [LabelSet.builtin().with_entries(entries, "x") for entries in ({"ILD": {}}, {"Lymphoma": {}})]
    merged, _ = merge([replace(first, labels=labels[0]), replace(second, labels=labels[1])])
    assert [label.identifier for label in merged.labels.own] == ["ILD", "Lymphoma"]
    clash = LabelSet.builtin().with_entries({"Fibrosing disease": {"synonyms": ["ILD"]}}, "x")
    with pytest.raises(LabelError, match="'ILD' means the label 'ILD' already"):
        merge([replace(first, labels=labels[0]), replace(second, labels=clash)])


def test_a_merge_keeps_a_design_that_all_inputs_have(manifests: tuple[Manifest, Manifest]) -> None:
    one, two = (replace(manifest, design="cohort") for manifest in manifests)
    assert merge([one, two])[0].design == "cohort"
    mixed = merge([one, manifests[1]])[0]
    assert mixed.design is None
    assert any("design of the inputs: cohort and not stated" in note for note in mixed.notes)
    # A chosen ratio of the labels makes a case-control study.
    assert merge([one, two], balance="1:1")[0].design == "case-control"
