"""Which earlier studies are fetched from which archive: the block `priors` of the file of destinations and rules."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from pneumoscope.bundle.body_parts import body_part_of, known_part
from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.server.dicom.routing.address import ArchiveAddress

CHEST = "chest"
_DAYS_OF_A_YEAR = 365.25


class PriorArchive(ArchiveAddress):
    """The archive that is asked for earlier studies."""

    sends_as: str | None = Field(default=None, description="AE title with which it sends what is moved; else its own")

    @field_validator("sends_as")
    @classmethod
    def _sends_with_title(cls, title: str | None) -> str | None:
        return cls._is_title(title)

    @property
    def sender(self) -> str:
        """AE title with which it sends."""
        return (self.sends_as or self.title).strip()


class PriorRule(Frozen):
    """Which earlier studies of a patient are fetched when a study comes from a peer."""

    archive: PriorArchive
    studies: int = Field(default=2, ge=1, le=10, strict=True, description="the newest so many")
    years: float = Field(default=5.0, gt=0, le=100, description="no older ones")
    modalities: tuple[Literal["CR", "DX"], ...] = Field(default=("CR", "DX"), min_length=1)
    body_parts: tuple[str, ...] = Field(
        default=(CHEST,), description="in known terms; an object that names no part counts; none given: any part"
    )
    retrieve: Literal["move", "get"] = Field(
        default="move", description="C-MOVE to this server's node, or C-GET in this server's own association"
    )

    @field_validator("modalities", "body_parts", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("body_parts")
    @classmethod
    def _are_known(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        for part in parts:
            if known_part(part).casefold() != part.casefold():
                raise ValueError(f"{part!r} is no known body part")
        return tuple(part.casefold() for part in parts)

    def takes_part(self, term: str) -> bool:
        """Return whether an object of a body part is wanted; one that names none is.

        Of a chest, terms of no table are wanted too: such a file may well be a chest radiograph.

        Args:
            term: BodyPartExamined, as it was sent or in known terms.
        """
        if not self.body_parts or known_part(term).casefold() in self.body_parts:
            return True
        kind = body_part_of(term)
        return kind != "other" if CHEST in self.body_parts else kind == "unspecific"

    def earliest(self, before: datetime.date) -> datetime.date:
        """Return the earliest date of a study that is fetched.

        Args:
            before: Date of the study that came.
        """
        days = min(round(self.years * _DAYS_OF_A_YEAR), (before - datetime.date.min).days)
        return before - datetime.timedelta(days=days)


def check_is_peer(where: str, rule: PriorRule, peers: Sequence[tuple[str, str]]) -> None:
    """Check that what the archive sends will be taken.

    Args:
        where: What an error calls the file.
        rule: The rule.
        peers: AE title and address of each peer that may send; none: any program of this machine.

    Raises:
        UsageError: The archive is no peer.
    """
    if rule.retrieve == "move" and peers and rule.archive.sender not in {title.strip() for title, _ in peers}:
        raise UsageError(
            f"{where}: priors.archive",
            f"sends as {rule.archive.sender}, which is no peer, so that nothing it moves would be taken.",
            "Name it with `dicom_peer`, or give sends_as, or retrieve: get.",
        )
