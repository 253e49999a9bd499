"""Evidence: later facts about a bundle, in files that name it and never change.

A bundle's identity is the hash of its card, so that no later fact may be written there. Each later fact (the test part
was opened, a site accepted it, an export agrees with it) is a file of its own in the bundle's ``evidence/`` that names
the identity. Where the bundle is read-only (the built-in one, a folder without permission), the file goes to the user's
data folder, in a folder with the identity's name. Readers combine both places.

Each fact has a hash of itself, against accidents, and a signature by the site's key (``signatures.py``), since anyone
can compute a hash again. Facts without a signature are read, and are said to be unsigned.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.card import identity as identity_of
from pneumoscope.bundle.signatures import UNSIGNED, check_signature, sign
from pneumoscope.core.errors import BundleError
from pneumoscope.core.files import data_folder, write_json
from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.estimates import Estimate

OPENING = "opening"
AUDIT = "audit"
PLAN = "acceptance-plan"
ACCEPTANCE = "acceptance"
CERTIFICATE = "certificate"
NOT_AUDITED = "not audited"
"""Stamp of every card: it was written before any audit."""
UNREADABLE = "unreadable"
"""In place of a verdict: the evidence was altered."""
SUM = "sha256"
"""Key of a fact's own hash: of its JSON with sorted keys, this key left out."""
SIGNATURE = "signature"
"""Key of a fact's signature: of its JSON with sorted keys, this key and its hash left out."""

PACKAGE = Path(__file__).resolve().parents[1]


class Fact(BaseModel):
    """A fact about one bundle. Its file may hold more keys than these."""

    model_config = ConfigDict(frozen=True, extra="allow")

    bundle: str = Field(description="identity of the bundle it is about")
    kind: str = Field(default="", description="what kind of fact; empty in files that only name the bundle")
    signed: str = Field(default="", exclude=True, description="who signed its file, in words; not stored")


class Opening(Fact):
    """An evaluation of a bundle on test images: what was measured, when, and the figures."""

    kind: Literal["opening"] = "opening"
    time: str = Field(description="UTC, ISO 8601")
    part: str = Field(description="what was measured: test, or all")
    data: str = Field(description="hash of the images and labels that were measured")
    images: int = Field(description="test images that were opened")
    earlier_openings: int = Field(description="openings before this one that saw any of these images")
    group_kind: str
    headline: dict[str, Estimate] = Field(description="figures by name, with intervals, as in a card")
    command: str
    note: str = ""
    opening: str = Field(default="", description="its random number, which the ledger's line holds too")
    claim: str = Field(default="", description="what was to be shown, with its margin, stated before; empty: nothing")
    pixels: tuple[str, ...] = Field(default=(), description="what the decoded images are recognised by")
    fingerprints: tuple[str, ...] = Field(default=(), description="their perceptual hashes, 64 bits each")


class AuditFact(Fact):
    """An audit of a bundle in short: the verdict, why, and what each test found."""

    kind: Literal["audit"] = "audit"
    time: str = Field(description="UTC, ISO 8601")
    verdict: Literal["pass", "caution", "fail", "not identifiable"]
    passed: bool = Field(description="whether the verdict is pass")
    reason: str
    new_site: str = Field(default="", description="what to expect at a site not seen, in a sentence")
    data: str = Field(description="hash of the images and labels that were used")
    part: str
    images: int
    finding: str = Field(
        default="",
        exclude_if=lambda finding: not finding,
        description="of a multi-label model: the one that was audited",
    )
    tests: dict[str, str] = Field(default_factory=dict, description="test -> verdict")
    effects: dict[str, Estimate] = Field(default_factory=dict, description="test -> effect")
    command: str


AcceptanceVerdict: TypeAlias = Literal["go", "no-go", "insufficient"]


class AcceptanceMinima(Frozen):
    """What the lower limits of a site's figures must reach."""

    sensitivity: float
    specificity: float
    auroc: float


class PlanFact(Fact):
    """What a department asked of a bundle, written down before any of its images was scored.

    It stays where the acceptance was never finished, so that another try with other minima shows.
    """

    kind: Literal["acceptance-plan"] = "acceptance-plan"
    time: str = Field(description="UTC, ISO 8601; before the first image was scored")
    number: str = Field(description="its random number, which the acceptance names too")
    minima: AcceptanceMinima
    target_sensitivity: float = Field(description="what the refitted threshold aims at")
    least_patients: int = Field(description="fewest patients with, and without, disease for a go")
    folds: int
    seed: int
    sampling: Literal["consecutive", "enriched"]
    reference: str = Field(description="the reference standard")
    window_days: int = Field(description="most days between the radiograph and the reference")
    data: str = Field(description="hash of the images and labels")
    part: str
    images: int
    hashes: tuple[str, ...] = Field(default=(), description="first 16 digits of each image's SHA-256, sorted")
    command: str


class MonitorBaseline(Frozen):
    """What a site's cases looked like at its acceptance, for `pneumoscope monitor`: one image of each patient."""

    images: int = Field(description="readable ones")
    refused: int
    scores: tuple[float, ...] = Field(description="primary label's probability of answered images, rising; a sample")
    ood: tuple[float, ...] = Field(description="out-of-distribution score where the gatekeeper let it run; a sample")
    answered: int
    agreeing: int = Field(description="answered images whose decision by the card is that of the reference")


class AcceptanceFact(Fact):
    """An acceptance of a bundle at a site in short. One that is insufficient is never kept: it says nothing."""

    kind: Literal["acceptance"] = "acceptance"
    time: str = Field(description="UTC, ISO 8601")
    plan: str = Field(description="number of its plan")
    verdict: Literal["go", "no-go"]
    passed: bool = Field(description="whether the verdict is go")
    reason: str
    finding: str = Field(
        default="", exclude_if=lambda finding: not finding, description="of a multi-label model: the one it is about"
    )
    sampling: str
    reference: str
    window_days: int
    minima: AcceptanceMinima
    figures: dict[str, Estimate] = Field(description="criterion -> figure whose lower limit is compared")
    threshold: float | None = Field(description="refitted on the site's cases")
    refused: Estimate
    earlier_plans: int = Field(description="plans before this one that looked at some of these images")
    data: str
    images: int
    patients_with: int
    patients_without: int
    baseline: MonitorBaseline
    command: str


class EngineFigures(Frozen):
    """How far one way to run a bundle is from ONNX Runtime with float32, on the same images."""

    engine: str = Field(description="torch, openvino, int8 or browser")
    about: str = Field(description="what ran, with versions")
    images: int
    largest: float = Field(description="largest difference in any probability")
    mean: float = Field(description="mean absolute difference in probability")
    flipped: int = Field(description="images with another decision")
    at_threshold: int = Field(
        default=0, description="of them those whose scores lie at a threshold, nearer than the limit; of 8 bits none"
    )
    flipped_share: Estimate
    auroc_difference: Estimate = Field(description="its AUROC less that of ONNX Runtime, paired")
    limit: str = Field(description="what was asked, in words")
    holds: bool


class CertificateFact(Fact):
    """A certificate of a bundle: how far its formats and engines are from each other on real images."""

    kind: Literal["certificate"] = "certificate"
    time: str = Field(description="UTC, ISO 8601")
    passed: bool = Field(description="whether each of ``engines`` is within its limits")
    part: str
    data: str = Field(description="hash of the images and labels that were used")
    images: int
    engines: tuple[EngineFigures, ...] = Field(
        description="those that ran this bundle; facts of before 2026-12 have its 8-bit bundle among them"
    )
    not_run: dict[str, str] = Field(default_factory=dict, description="engine -> why it did not run")
    derived: str = Field(default="", description="identity of the 8-bit bundle, where one was compared")
    command: str


def append(folder: Path, fact: Fact) -> Path:
    """Write a fact to a new file and return that file; existing files never change.

    Args:
        folder: The bundle's folder.
        fact: The fact; its ``bundle`` is the identity.
    """
    value = fact.model_dump(mode="json")
    if signature := sign(_canonical(value)):
        value[SIGNATURE] = signature
    value[SUM] = _sum_of(value)
    # The name holds the hash: two facts of the same second have two names, the same fact has one name.
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = _place(folder, fact.bundle) / f"{fact.kind}-{stamp}-{value[SUM][:8]}.json"
    write_json(path, value)
    return path


def read(folder: Path, identity: str) -> list[tuple[Path, Fact]]:
    """Return all facts about a bundle with their files: from its own folder, the user's, and the package's.

    A built-in bundle also lies in the folder of its training run; a fact about one copy holds for all.

    Raises:
        BundleError: A file in one of them is unreadable, is about another bundle, or was altered.
    """
    places = {(Path(folder) / "evidence").resolve(): None, user_folder(identity): None}
    for card in (PACKAGE / "builtin").glob("*/card.json"):
        if identity_of(card.read_bytes()) == identity:
            places[card.parent / "evidence"] = None
    found: dict[str, tuple[Path, Fact]] = {}
    for path in (path for place in places for path in _files(place)):
        fact = _read_one(path, identity)
        found.setdefault(fact.model_dump_json(), (path, fact))
    return list(found.values())


def show(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Return facts as the pages show them: without the hundreds of hashes of images, which no page needs.

    Args:
        facts: Of a bundle.
    """
    return [
        fact.model_dump(mode="json", exclude={"pixels", "fingerprints", "hashes"}) | {"signed": fact.signed}
        for fact in facts
    ]


def openings(facts: Iterable[tuple[Path, Fact]]) -> list[Opening]:
    """Return the openings of test images among facts, oldest first."""
    found = [fact for _, fact in facts if isinstance(fact, Opening)]
    # Two in one second: the later one has seen more earlier openings.
    return sorted(found, key=lambda opening: (opening.time, opening.earlier_openings))


def audits(facts: Iterable[tuple[Path, Fact]]) -> list[AuditFact]:
    """Return the audits among facts, oldest first; the last one counts."""
    return sorted((fact for _, fact in facts if isinstance(fact, AuditFact)), key=lambda audit: audit.time)


def latest_audit(folder: Path, identity: str) -> AuditFact | None:
    """Return the newest audit of a bundle; None where it has none.

    Raises:
        BundleError: Its evidence was altered.
    """
    found = audits(read(folder, identity))
    return found[-1] if found else None


def plans(facts: Iterable[tuple[Path, Fact]]) -> list[PlanFact]:
    """Return the plans of acceptances among facts, oldest first."""
    return sorted((fact for _, fact in facts if isinstance(fact, PlanFact)), key=lambda plan: plan.time)


def acceptances(facts: Iterable[tuple[Path, Fact]]) -> list[AcceptanceFact]:
    """Return the acceptances at sites among facts, oldest first; the last one counts."""
    found = (fact for _, fact in facts if isinstance(fact, AcceptanceFact))
    return sorted(found, key=lambda acceptance: acceptance.time)


def latest_acceptance(folder: Path, identity: str) -> AcceptanceFact | None:
    """Return the newest acceptance of a bundle at a site; None where it has none.

    Raises:
        BundleError: Its evidence was altered.
    """
    found = acceptances(read(folder, identity))
    return found[-1] if found else None


_BADNESS = ("pass", "caution", "not identifiable", "fail")


def describe_verdict(folder: Path, identity: str, findings: Sequence[str] = ()) -> str:
    """Return the verdict of the newest audit of a bundle in a word; see `AuditFact.verdict`.

    Args:
        folder: The bundle's folder.
        identity: SHA-256 of ``card.json``.
        findings: Of a multi-label model: the worst verdict of these counts.

    Returns:
        The verdict; "not audited" without an audit, or where one of the findings has none and no other failed;
        "unreadable" where the evidence was altered.
    """
    try:
        facts = [fact for _, fact in read(folder, identity)]
    except BundleError:
        return UNREADABLE
    newest = audits((Path(), fact) for fact in facts)
    if findings:
        verdicts = {audit.finding: audit.verdict for audit in newest if audit.finding in findings}
        if "fail" in verdicts.values() or len(verdicts) == len(set(findings)):
            return max(verdicts.values(), key=_BADNESS.index)
        return NOT_AUDITED
    if newest:
        return newest[-1].verdict
    earlier = [
        extra["passed"] for fact in facts if "passed" in (extra := fact.model_extra or {}) and fact.kind == AUDIT
    ]
    return NOT_AUDITED if not earlier else "pass" if earlier[-1] is True else "fail"


def is_audited(facts: Iterable[Fact], findings: Sequence[str] = ()) -> bool:
    """Return whether any fact is an audit with a verdict; those of earlier versions hold ``passed`` alone.

    Args:
        facts: Of a bundle.
        findings: Of a multi-label model: each of them needs an audit.
    """
    if findings:
        return {*findings} <= {fact.finding for fact in facts if isinstance(fact, AuditFact)}
    return any(
        isinstance(fact, AuditFact) or (fact.kind == AUDIT and isinstance((fact.model_extra or {}).get("passed"), bool))
        for fact in facts
    )


def filter_stamps(stamps: Iterable[str], *, audited: bool) -> tuple[str, ...]:
    """Return the stamps that hold: "not audited" is left out once there is an audit.

    Args:
        stamps: Such as those of a card.
        audited: Whether the bundle has an audit.
    """
    return tuple(stamp for stamp in stamps if not (audited and stamp == NOT_AUDITED))


def list_stamps(folder: Path, card: Card, identity: str) -> tuple[str, ...]:
    """Return the stamps of a bundle that hold today, by its card and its evidence.

    Altered evidence may have been an audit, so that the bundle then counts as audited; readers of the evidence say that
    it was altered.

    Args:
        folder: The bundle's folder.
        card: The bundle's card.
        identity: SHA-256 of ``card.json``.
    """
    try:
        audited = is_audited((fact for _, fact in read(folder, identity)), card.asked_findings)
    except BundleError:
        audited = True
    return filter_stamps(card.stamps, audited=audited)


def user_folder(identity: str) -> Path:
    """Return the folder of the facts about a read-only bundle."""
    return data_folder() / "evidence" / identity


def is_read_only(folder: Path) -> bool:
    """Return whether a bundle's folder is read-only: part of the installed package, or without permission."""
    inside = Path(folder).resolve().is_relative_to(PACKAGE)
    return inside or not os.access(folder, os.W_OK)


def _place(folder: Path, identity: str) -> Path:
    return user_folder(identity) if is_read_only(folder) else Path(folder) / "evidence"


def _files(folder: Path) -> Sequence[Path]:
    """Return the files of a folder of facts; `Path.glob` would find none in one that must not be listed."""
    try:  # a hidden file is one that is being written
        return sorted(path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> BundleError:
    way_out = "What it says is not known, such as a failed audit: allow reading it."
    return BundleError(str(path), f"cannot be read: {error.strerror}.", way_out)


def _read_one(path: Path, identity: str) -> Fact:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        named = value["bundle"]
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            str(path), "does not say which bundle it is about.", "Remove it, or make it again."
        ) from error
    if named != identity:
        raise BundleError(
            str(path), f"is about another bundle ({str(named)[:12]}).", "Remove it, or make it again for this one."
        )
    if SUM in value and value[SUM] != _sum_of(value):
        raise BundleError(
            str(path),
            f"was altered: its {SUM} is not that of what it says.",
            "Restore it from a backup: evidence is only ever added to.",
        )
    plain = {key: inner for key, inner in value.items() if key != SIGNATURE} | {"signed": _signer(path, value)}
    try:
        return _kind_of(value).model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BundleError(str(path), f"{where}: {first['msg']}.", "Restore it, or make it again.") from error


_KINDS: Mapping[str, type[Fact]] = {
    OPENING: Opening,
    AUDIT: AuditFact,
    PLAN: PlanFact,
    ACCEPTANCE: AcceptanceFact,
    CERTIFICATE: CertificateFact,
}


def _kind_of(value: Mapping[str, Any]) -> type[Fact]:
    """Return the class of a fact; one of an unknown kind, or of an earlier version's without a verdict, is plain."""
    kind = value.get("kind")
    if kind in (AUDIT, ACCEPTANCE) and "verdict" not in value:  # those of earlier versions hold `passed` alone
        return Fact
    return _KINDS.get(str(kind), Fact)


def _sum_of(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical({key: inner for key, inner in value.items() if key != SUM})).hexdigest()


def _canonical(value: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys, which a hash or a signature covers."""
    return json.dumps(value, sort_keys=True, allow_nan=False).encode()


def _signer(path: Path, value: Mapping[str, Any]) -> str:
    """Return who signed a fact, in words.

    Raises:
        BundleError: The signature is not one of what the file says.
    """
    signature = value.get(SIGNATURE)
    if signature is None:
        return UNSIGNED
    plain = _canonical({key: inner for key, inner in value.items() if key not in (SUM, SIGNATURE)})
    signer = check_signature(plain, signature)
    if signer is None:
        raise BundleError(
            str(path),
            "was altered: its signature is not that of what it says.",
            "Restore it from a backup: evidence is only ever added to.",
        )
    return signer
