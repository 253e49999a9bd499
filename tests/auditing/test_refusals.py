"""An audit that cannot be made is refused before any image is read: none of these images exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditing.test_audit import LUNGS, write_manifest
from bundles import write_bundle
from pneumoscope.auditing.refusals import check_external
from pneumoscope.auditing.sites import read_origins
from pneumoscope.core.errors import PneumoscopeError, UsageError
from pneumoscope.workflows.audit import audit


def test_what_cannot_be_audited_is_refused_with_code_2(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", ("covid-19", "normal"))
    manifest = write_manifest(tmp_path, LUNGS, images=18)
    for image in tmp_path.glob("*.png"):
        image.unlink()
    (tmp_path / "file").write_text("")
    cases = (
        ({}, "needs 10 groups"),
        ({"part": "test"}, "never audited"),
        ({"out": tmp_path / "file"}, "is a file"),
        ({"origins": tmp_path / "absent.csv"}, "no such file"),
    )
    for options, words in cases:
        with pytest.raises(PneumoscopeError, match=words) as raised:
            audit(bundle, manifest, **options)  # type: ignore[arg-type]
        assert raised.value.exit_code == 2
    with pytest.raises(UsageError, match="shares 18 images"):
        check_external(manifest, manifest)


def test_origins_may_have_semicolons_and_utf_16(tmp_path: Path) -> None:
    (tmp_path / "origins.csv").write_text("file;origin\na;Köln\n", encoding="utf-16")
    assert read_origins(tmp_path / "origins.csv") == {"a": "Köln"}


def test_origins_may_be_addresses(tmp_path: Path) -> None:
    (tmp_path / "origins.csv").write_text("class,file,origin_url\nCOVID,COVID-1,https://example.org\n")
    assert read_origins(tmp_path / "origins.csv") == {"COVID-1": "https://example.org"}
