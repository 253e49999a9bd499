"""What became of the files of an upload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import InvalidRequestError
from pneumoscope.server.storage.tables import StoredPrediction


@dataclass(frozen=True, slots=True)
class AddedImage:
    """The image that a file became, or was already."""

    study: str
    image: str
    duplicate: bool
    """The same file was here before."""
    predictions: tuple[StoredPrediction, ...]
    """Those that this upload added."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file."""

    file: str
    """The file by its place in the upload, never by its name."""
    image: AddedImage | None = None
    """None: the file was refused, or its rows are not written yet."""
    refusal: ImageError | None = None
    """Why the file was refused."""

    @property
    def status(self) -> Literal["accepted", "duplicate", "refused"]:
        """Say in one word what became of the file."""
        if self.refusal is not None:
            return "refused"
        return "duplicate" if self.image is not None and self.image.duplicate else "accepted"

    @property
    def problem(self) -> str | None:
        """Say why the file was refused; None where it was not."""
        return None if self.refusal is None else f"{self.refusal.problem} {self.refusal.way_out}".strip()


class NothingStoredError(InvalidRequestError):
    """No file of an upload can be stored.

    Args:
        outcomes: Why each file was refused.
    """

    def __init__(self, outcomes: Sequence[FileOutcome]) -> None:
        super().__init__(
            "the upload",
            "holds no radiograph that can be stored.",
            "Each file's own problem is given with it.",
            code="nothing-stored",
        )
        self.outcomes = tuple(outcomes)
