"""What this user must not use is named with the way out, and never taken for something that is not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from permissions import obeyed_permissions
from pneumoscope.bundle import evidence
from pneumoscope.bundle.listing import list_bundles
from pneumoscope.cli import main
from pneumoscope.core.errors import BundleError, ImageError, ManifestError, UsageError
from pneumoscope.core.files import check_empty_folder, check_new_file
from pneumoscope.data.checks.runner import check
from pneumoscope.data.ledger import find_openings, record_opening
from pneumoscope.data.manifest import Manifest
from pneumoscope.imaging.files import find_images
from pneumoscope.imaging.read import read
from pneumoscope.workflows.early_checks import check_new_folder


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that is open again at the end, in whatever state a test leaves it."""
    folder = tmp_path / "closed"
    folder.mkdir()
    yield folder
    folder.chmod(0o755)


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(main.app, [str(argument) for argument in arguments])


def test_evidence_that_cannot_be_listed_is_not_taken_for_none(closed: Path) -> None:
    facts = closed / "evidence"
    facts.mkdir()
    fact = facts / "audit-1.json"
    fact.write_text(json.dumps({"bundle": "a" * 64, "kind": "audit", "passed": False}))
    with obeyed_permissions():
        facts.chmod(0)
        with pytest.raises(BundleError, match="evidence: cannot be read: Permission denied"):
            evidence.read(closed, "a" * 64)
        facts.chmod(0o755)
        fact.chmod(0)
        with pytest.raises(BundleError, match=r"audit-1\.json: cannot be read: Permission denied"):
            evidence.read(closed, "a" * 64)
    assert evidence.describe_verdict(closed, "a" * 64) == "fail"


def test_evidence_that_is_being_written_is_not_read(closed: Path) -> None:
    facts = closed / "evidence"
    facts.mkdir()
    (facts / ".audit-1.77.tmp.json").write_text('{"bundle": ')
    assert evidence.read(closed, "a" * 64) == []


def test_ledgers_that_cannot_be_listed_are_not_taken_for_none(closed: Path) -> None:
    record_opening(closed / "m.parquet", ["b" * 64], "c" * 64, "evaluate")
    with obeyed_permissions():
        closed.chmod(0o300)
        with pytest.raises(ManifestError, match="Earlier openings of its test images would not count"):
            find_openings(closed / "m.parquet", ["b" * 64])


def test_a_ledger_that_cannot_be_written_says_what_to_copy(closed: Path) -> None:
    with obeyed_permissions():
        closed.chmod(0o500)
        with pytest.raises(ManifestError, match=r"m\.ledger\.jsonl: cannot be written: .*copy the manifest"):
            record_opening(closed / "m.parquet", ["b" * 64], "c" * 64, "evaluate")


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK and Path(path) == closed))
    for check_one in (check_new_file, check_new_folder, lambda folder: check_empty_folder(folder, "an export")):
        with pytest.raises(UsageError, match=r"must not write into .*closed"):
            check_one(closed / "new" / "x")
    with pytest.raises(UsageError, match=r"must not write into .*closed"):
        check_new_folder(closed)
    for command in ("data import folder {0} -o {0}/x.parquet", "data split {0}/none.parquet -o {0}/x.parquet"):
        done = invoke(*command.format(closed).split())
        assert (done.exit_code, "must not write into" in done.stderr) == (2, True), done.output


def test_a_file_that_cannot_be_opened_may_be_an_image(closed: Path) -> None:
    """DICOM files have any name; one that was passed over would be missing from the answers without a word."""
    (closed / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    (closed / "inner").mkdir()
    with obeyed_permissions():
        (closed / "IM0001").chmod(0)
        (closed / "inner").chmod(0)
        assert [Path(name).name for name in find_images([closed]).files] == ["IM0001", "inner"]
        with pytest.raises(ImageError, match=r"inner: cannot be read: Permission denied"):
            read(closed / "inner")
        (closed / "inner").chmod(0o755)


def test_a_folder_of_bundles_that_cannot_be_listed_is_listed_as_broken(closed: Path) -> None:
    for name, state in (("one", 0), ("two", 0o755)):
        (closed / name).mkdir()
        (closed / name / "card.json").write_text("{}")
        (closed / name / "model.onnx").write_text("")
        (closed / name).chmod(state)
    (closed / "two" / "card.json").chmod(0)
    with obeyed_permissions():
        _, broken = list_bundles([closed])
    (closed / "one").chmod(0o755)
    assert sorted(str(error).rpartition("/")[2] for error in broken) == [
        "one: cannot be listed: Permission denied. Allow reading it.",
        "two: cannot be read: Permission denied. Allow reading it.",
    ]


@pytest.mark.parametrize("variable", ["PNEUMOSCOPE_CACHE", "PNEUMOSCOPE_HOME"])
@pytest.mark.parametrize("inner", ["own/x.npy", "own", "."])
def test_the_variable_that_moves_an_own_folder_is_named(
    closed: Path, monkeypatch: pytest.MonkeyPatch, variable: str, inner: str
) -> None:
    monkeypatch.setenv(variable, str(closed / "own"))
    text = main.describe_system_error(PermissionError(13, "Permission denied", str(closed / inner)))
    assert text is not None
    assert f"{variable}=DIR names another one." in text


def test_another_users_cache_of_the_checks_costs_time_only(closed: Path, phantom_set: Manifest) -> None:
    few = phantom_set.part("validation")
    check(few, cache=closed)
    for path in closed.iterdir():
        path.chmod(0)
    with obeyed_permissions():
        closed.chmod(0o500)
        assert check(few, cache=closed).images == len(few)
        closed.chmod(0)
        assert check(few, cache=closed).images == len(few)


def test_another_users_decoded_images_are_used(
    closed: Path, phantom_set: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of use of a shard, and so the order in which shards go, needs its owner."""
    from pneumoscope.training.input import cache

    few = phantom_set.part("validation")
    before = cache.open_cache(few.paths(), list(few.table.sha256), 32, folder=closed)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(cache.os, "utime", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setenv("PNEUMOSCOPE_CACHE_GB", "0")
    shutil.copy(next(closed.glob("*.npy")), closed / "other.npy")
    after = cache.open_cache(few.paths(), list(few.table.sha256), 32, folder=closed)
    assert (after.take([0]) == before.take([0])).all()
