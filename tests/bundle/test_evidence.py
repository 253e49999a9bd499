"""Evidence is append-only, names its bundle, and is stored where the user may write."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from pneumoscope.bundle import evidence
from pneumoscope.bundle.runtime import SHIPPED, bundle_folder
from pneumoscope.core.errors import BundleError
from pneumoscope.stats.estimates import Estimate

IDENTITY = "a" * 64


def opening(**changes: object) -> evidence.Opening:
    """Return an opening with changed fields."""
    fields: dict[str, object] = {
        "bundle": IDENTITY,
        "time": "2026-01-02T03:04:05+00:00",
        "part": "test",
        "data": "d" * 64,
        "images": 12,
        "earlier_openings": 0,
        "group_kind": "patient",
        "headline": {"accuracy": Estimate(value=0.9, low=0.8, high=0.95)},
        "command": "pneumoscope evaluate x --split test",
    }
    return evidence.Opening.model_validate({**fields, **changes})


def test_reading_returns_the_appended_fact_and_its_hash_covers_its_content(tmp_path: Path) -> None:
    path = evidence.append(tmp_path, opening())
    assert path.parent == tmp_path / "evidence"
    value = json.loads(path.read_text())
    digest = value.pop("sha256")
    assert digest == hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    [(file, fact)] = evidence.read(tmp_path, IDENTITY)
    assert file == path
    assert isinstance(fact, evidence.Opening)
    assert fact.headline["accuracy"].high == 0.95
    assert fact.model_dump(exclude={"sha256"}) == opening().model_dump()


def test_evidence_is_never_overwritten_and_openings_are_in_order_of_time(tmp_path: Path) -> None:
    evidence.append(tmp_path, opening(time="2026-03-01T00:00:00+00:00", images=2))
    evidence.append(tmp_path, opening(time="2026-02-01T00:00:00+00:00", images=1))
    evidence.append(tmp_path, evidence.Fact(bundle=IDENTITY, kind="audit"))
    assert [o.images for o in evidence.openings(evidence.read(tmp_path, IDENTITY))] == [1, 2]
    assert len(evidence.read(tmp_path, IDENTITY)) == 3


def test_evidence_about_the_built_in_model_is_written_to_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path))
    builtin = bundle_folder("builtin")
    before = sorted((builtin / "evidence").iterdir())
    path = evidence.append(builtin, opening())
    assert path.parent == tmp_path / "evidence" / IDENTITY
    assert sorted((builtin / "evidence").iterdir()) == before
    assert [file for file, _ in evidence.read(tmp_path / "elsewhere", IDENTITY)] == [path]


def test_a_fact_about_another_bundle_is_refused(tmp_path: Path) -> None:
    evidence.append(tmp_path, opening())
    with pytest.raises(BundleError, match=r"is about another bundle \(aaaaaaaaaaaa\)"):
        evidence.read(tmp_path, "b" * 64)


def test_an_altered_fact_is_refused(tmp_path: Path) -> None:
    path = evidence.append(tmp_path, opening(earlier_openings=3))
    path.write_text(path.read_text().replace('"earlier_openings": 3', '"earlier_openings": 0'))
    with pytest.raises(BundleError, match="was altered"):
        evidence.read(tmp_path, IDENTITY)


def test_a_file_that_names_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "audit.json").write_text('{"passed": true}')
    with pytest.raises(BundleError, match="does not say which bundle"):
        evidence.read(tmp_path, IDENTITY)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_built_in_model_ships_with_the_record_of_its_opening(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pneumoscope.bundle.card import read_card

    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path))
    folder = bundle_folder(name)
    card, identity = read_card(folder)
    [first] = evidence.openings(evidence.read(folder, identity))
    assert first.part == "test"
    assert first.images == sum(label.images["test"] for label in card.labels)


def test_evidence_of_the_built_in_model_applies_to_every_copy_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pneumoscope.bundle.card import read_card

    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))
    folder = bundle_folder("builtin")
    _, identity = read_card(folder)
    shipped = evidence.read(folder, identity)
    assert len(shipped) == len({path for path, _ in shipped})
    assert [fact for _, fact in evidence.read(tmp_path / "run" / "bundle", identity)] == [fact for _, fact in shipped]


def test_evidence_is_signed_by_a_key_of_the_site_that_only_its_owner_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))
    path = evidence.append(tmp_path, opening())
    assert (tmp_path / "home" / "evidence.key").stat().st_mode & 0o777 == 0o600
    [(_, fact)] = evidence.read(tmp_path, IDENTITY)
    assert fact.signed == "signed by this site"
    # The authority for Ed25519 is the library itself, called on the plain content of the file.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    value = json.loads(path.read_text())
    signature = {name: base64.b64decode(text) for name, text in value.pop("signature").items()}
    del value["sha256"]
    message = json.dumps(value, sort_keys=True).encode()
    Ed25519PublicKey.from_public_bytes(signature["public_key"]).verify(signature["ed25519"], message)
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "elsewhere"))
    [(_, fact)] = evidence.read(tmp_path, IDENTITY)
    digest = hashlib.sha256(signature["public_key"]).hexdigest()[:12]
    assert fact.signed == f"signed by another site (key {digest})"
    assert not (tmp_path / "elsewhere").exists()  # reading makes no key


def test_a_hash_that_was_computed_again_does_not_pass_for_the_signed_fact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))
    path = evidence.append(tmp_path, opening(earlier_openings=3))
    value = {**json.loads(path.read_text()), "earlier_openings": 0}

    def rewrite() -> None:
        value.pop("sha256", None)
        value["sha256"] = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps(value))

    rewrite()
    with pytest.raises(BundleError, match="its signature is not that of what it says"):
        evidence.read(tmp_path, IDENTITY)
    value["signature"] = "none"
    rewrite()
    with pytest.raises(BundleError, match="its signature"):
        evidence.read(tmp_path, IDENTITY)
    del value["signature"]
    rewrite()
    [(_, fact)] = evidence.read(tmp_path, IDENTITY)
    assert fact.signed == "unsigned"
