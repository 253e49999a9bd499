"""The results of the data checks: findings, and the report that holds them.

A finding is one sentence with its numbers, the rows concerned and the way out. Leaks, unusable files and contradictory
labels block a training. A confounder is a warning, which follows the model on its card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import CheckRefusedError, UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.estimates import Estimate

Severity = Literal["block", "warn", "note"]
SCHEMA_VERSION = 1

CHECK_NAMES = (
    "unreadable",
    "altered",
    "constant",
    "empty-parts",
    "duplicates-across-parts",
    "patients-across-parts",
    "label-conflicts",
    "mirrored-copies",
    "shared-images",
    "known-ancestors",
    "one-source-labels",
    "label-from-metadata",
    "label-from-pixels",
    "children-and-adults",
    "copies-within",
)
"""The names in `data.checks.catalogue`, which imports SciPy: a wrong ``--allow`` is refused without it."""


class Case(Frozen):
    """One instance of a finding: the rows concerned, also in words."""

    rows: tuple[int, ...] = Field(description="positions in the manifest, from 0")
    images: tuple[str, ...] = Field(description="source/image of each row")
    says: str
    similarity: float | None = Field(default=None, description="of a pair of pictures: correlation, .65 to 1")


class Finding(Frozen):
    """A problem that a check found."""

    name: str = Field(description="of the check; what --allow takes")
    severity: Severity
    sentence: str
    what_to_do: str
    confounds: bool = Field(default=False, description="something that is not the disease predicts the label")
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
    """A check that found nothing, or that does not apply."""

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

    def __repr__(self) -> str:
        findings = ", ".join(f"{finding.name} ({finding.severity})" for finding in self.findings) or "nothing found"
        return f"<CheckReport of {self.images:,} images: {findings}>"

    def standing(self, strict: bool = False) -> tuple[Finding, ...]:
        """Return the findings that stop a training.

        Args:
            strict: Warnings stop it too.

        Returns:
            The blocking findings that are not allowed, with ``strict`` the warnings too.
        """
        stopping = ("block", "warn") if strict else ("block",)
        return tuple(f for f in self.findings if f.severity in stopping and f.because is None)

    @property
    def confounded(self) -> bool:
        """Whether something other than the disease predicts the label; allowing it does not change that."""
        return any(f.confounds and f.severity != "note" for f in self.findings)

    def passes(self, strict: bool = False) -> bool:
        """Return whether nothing blocks a training or confounds it.

        Args:
            strict: Warnings count too.

        Returns:
            True where every such finding is allowed, or there is none.
        """
        return not self.standing() and not any(f.confounds or strict for f in self.standing(strict=True))

    def to_json(self) -> str:
        """Return the report as JSON.

        Returns:
            Indented JSON, with every case of every finding.
        """
        return self.model_dump_json(indent=2)

    def allowing(self, reasons: Mapping[str, str]) -> CheckReport:
        """Return the report with the user's reasons beside the findings that they allow.

        A reason for a check that found nothing is dropped, since it excuses nothing.

        Args:
            reasons: Check -> why its finding is accepted.

        Returns:
            A new report.
        """
        findings = tuple(f.model_copy(update={"because": reasons.get(f.name)}) for f in self.findings)
        return self.model_copy(update={"findings": findings})

    def require(self, strict: bool = False) -> None:
        """Raise an error unless training may start.

        Args:
            strict: Warnings stop it too.

        Raises:
            CheckRefusedError: A finding blocks; with ``strict`` a warning is enough.
        """
        standing = self.standing(strict)
        if standing:
            lines = "\n".join(f"  {f.name}: {f.sentence}\n    {f.what_to_do}" for f in standing)
            raise CheckRefusedError(
                "the data checks",
                f"refuse this training:\n{lines}\n",
                "`pneumoscope.check` shows every case. To train all the same, with the reason on the card: "
                + argument("allow", {standing[0].name: "..."}),
            )


def parse_reasons(names: Sequence[str], because: Sequence[str], check_names: Sequence[str]) -> dict[str, str]:
    """Return check -> reason.

    Args:
        names: The checks to allow.
        because: One reason for each, in the same order, or one for all.
        check_names: The names of all checks.

    Raises:
        UsageError: An unknown name, a name twice, or a reason missing.
    """
    from pneumoscope.core.registry import suggestion

    for place, name in enumerate(names):
        if name not in check_names:
            hint = suggestion(name, check_names)
            raise UsageError(argument("allow", name), f"is no data check.{hint}", f"Checks: {', '.join(check_names)}.")
        if name in names[:place]:
            raise UsageError(argument("allow", name), "is given twice.", "Give each once.")
    texts = [text.strip() for text in because]
    if any(len(text) < 3 for text in texts) or len(texts) not in ({0} if not names else {1, len(names)}):
        raise UsageError(
            "`allow`",
            f"has {len(texts)} reasons for {len(names)} checks; each needs a reason in words.",
            "Give each its reason, or one for all: `allow={'NAME': '...'}`",
        )
    return dict(zip(names, texts * len(names) if len(texts) == 1 else texts, strict=True))
