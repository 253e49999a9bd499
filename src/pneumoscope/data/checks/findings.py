"""What the gate says: findings, and the report that holds them.

A finding is one sentence with its numbers, the rows it speaks of and what to do about it. Leaks, files that can't be
trusted and contradictory labels block a training; what confounds warns, and follows the model on its card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from pneumoscope.core.errors import CheckRefusedError, UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.estimates import Estimate

Severity = Literal["block", "warn", "note"]
SCHEMA_VERSION = 1


class Case(Frozen):
    """One instance of a finding: the rows it concerns, in words as well."""

    rows: tuple[int, ...] = Field(description="positions in the manifest, from 0")
    images: tuple[str, ...] = Field(description="source/image of each row")
    says: str
    similarity: float | None = Field(default=None, description="of a pair of pictures: correlation, .65 to 1")


class Finding(Frozen):
    """Something that a check found."""

    name: str = Field(description="of the check; what --allow takes")
    severity: Severity
    sentence: str
    what_to_do: str
    confounds: bool = Field(default=False, description="the label can be told from something that is not the disease")
    cases: tuple[Case, ...] = ()
    numbers: dict[str, Estimate] = Field(default_factory=dict, description="what was measured, by name")
    chance: float | None = Field(default=None, description="what the numbers would be if nothing were wrong")
    picture: str | None = Field(default=None, description="file in the folder of --pictures")
    because: str | None = Field(default=None, description="why the user allows it (--allow NAME --because)")

    @property
    def rows(self) -> tuple[int, ...]:
        """All rows concerned, each once, in order."""
        return tuple(sorted({row for case in self.cases for row in case.rows}))


class Clear(Frozen):
    """A check that found nothing, or that could not be made."""

    name: str
    sentence: str
    applicable: bool = True


class CheckReport(Frozen):
    """The outcome of all checks on one manifest."""

    schema_version: int = SCHEMA_VERSION
    checked: str = Field(description="UTC, ISO 8601")
    software: str
    images: int
    groups: int
    group_kind: str
    sources: dict[str, int]
    labels: dict[str, int]
    data_hash: str
    split_hash: str
    seconds: float
    findings: tuple[Finding, ...]
    clear: tuple[Clear, ...]

    def standing(self, strict: bool = False) -> tuple[Finding, ...]:
        """Return the findings that stop a training: those that block, with ``strict`` the warnings too, not allowed."""
        stopping = ("block", "warn") if strict else ("block",)
        return tuple(f for f in self.findings if f.severity in stopping and f.because is None)

    @property
    def confounded(self) -> bool:
        """Whether the label can be told from something else; allowing it does not undo it."""
        return any(f.confounds and f.severity != "note" for f in self.findings)

    def passes(self, strict: bool = False) -> bool:
        """Whether `data check` is content: nothing blocks or confounds, with ``strict`` warns, that is not allowed."""
        return not self.standing() and not any(f.confounds or strict for f in self.standing(strict=True))

    def to_json(self) -> str:
        """Return it as indented JSON, every case of every finding included."""
        return self.model_dump_json(indent=2)

    def allowing(self, reasons: Mapping[str, str]) -> CheckReport:
        """Return the report with the user's reasons beside the findings they allow.

        A reason for a check that found nothing is not kept: there is nothing that it excuses.
        """
        findings = tuple(f.model_copy(update={"because": reasons.get(f.name)}) for f in self.findings)
        return self.model_copy(update={"findings": findings})

    def require(self, strict: bool = False) -> None:
        """Raise unless training may go on.

        Raises:
            CheckRefusedError: A finding blocks; with ``strict`` a warning is enough.
        """
        standing = self.standing(strict)
        if standing:
            lines = "\n".join(f"  {f.name}: {f.sentence}\n    {f.what_to_do}" for f in standing)
            raise CheckRefusedError(
                "the data gate",
                f"says no:\n{lines}\n",
                "pneumoscope data check shows every case. To go on all the same, and have the reason on the card: "
                f'--allow {standing[0].name} --because "..."',
            )


def reasons(names: Sequence[str], because: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return check -> reason of the options ``--allow NAME --because TEXT``.

    Args:
        names: What is allowed.
        because: One reason for each, in the same order, or one for all.
        known: The names of the checks.

    Raises:
        UsageError: An unknown name, a name twice, or a reason missing.
    """
    from pneumoscope.core.registry import suggestion

    for place, name in enumerate(names):
        if name not in known:
            hint = suggestion(name, known)
            raise UsageError(f"--allow {name}", f"is no check of the gate.{hint}", f"Checks: {', '.join(known)}.")
        if name in names[:place]:
            raise UsageError(f"--allow {name}", "is given twice.", "Say each once.")
    texts = [text.strip() for text in because]
    if any(len(text) < 3 for text in texts) or len(texts) not in ({0} if not names else {1, len(names)}):
        raise UsageError(
            "--because",
            f"{len(texts)} given for {len(names)} --allow; every one needs a reason in words.",
            'Say --allow NAME --because "...", once for each, or one --because for all.',
        )
    return dict(zip(names, texts * len(names) if len(texts) == 1 else texts, strict=True))
