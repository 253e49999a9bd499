"""The header Accept: which media types a request takes (RFC 9110 12.5.1), with the parameters of DICOMweb's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

from pneumoscope.server.api.problems import HttpError, Problem
from pneumoscope.server.api.related import read_type
from pneumoscope.server.errors import InvalidRequestError

_LONGEST = 4096
"""Characters of the header: each range takes time to read, and browsers send some 200 characters."""


@dataclass(frozen=True, slots=True)
class MediaRange:
    """Media types that a request takes, or does not."""

    kind: str
    """As ``image/png``, ``image/*`` or ``*/*``, in small letters."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """By name in small letters, without ``q``."""
    quality: float = 1.0
    """0: it is not taken."""

    def specificity(self, kind: str) -> int:
        """Return how closely it names a media type; 0: it does not."""
        if self.kind == kind:
            return 3
        return 2 if self.kind == f"{kind.partition('/')[0]}/*" else int(self.kind == "*/*")


def read_accept(request: Request) -> list[MediaRange]:
    """Return the ranges of a request's header, those with a quality of 0 too; without a header, all is taken.

    Raises:
        InvalidRequestError: The header is too long.
    """
    header = request.headers.get("accept") or "*/*"
    if len(header) > _LONGEST:
        raise InvalidRequestError("the header Accept", f"has more than {_LONGEST:,} characters.", "Name fewer types.")
    ranges = []
    for text in _split(header):
        kind, parameters = read_type(text.strip())
        quality = parameters.pop("q", "1")
        if kind:
            ranges.append(MediaRange(kind.lower(), parameters, _read_quality(quality)))
    return ranges


def quality_of(ranges: Sequence[MediaRange], kind: str) -> float:
    """Return the quality with which a media type is taken: that of the range that names it most closely; 0: it is not.

    Args:
        ranges: Of a request.
        kind: The media type.
    """
    closest = max((one.specificity(kind) for one in ranges), default=0)
    return max((one.quality for one in ranges if closest and one.specificity(kind) == closest), default=0.0)


def not_acceptable(*kinds: str) -> HttpError:
    """Return the refusal of a request that takes none of the media types that there are (PS3.18 8.7)."""
    return HttpError(Problem(406, "the answer", f"is {' or '.join(kinds)}.", "Accept that."))


def _split(header: str) -> Iterator[str]:
    """Yield the media ranges of a header; a comma in quotes ends none."""
    start, quoted, escaped = 0, False, False
    for place, letter in enumerate(header):
        if escaped:
            escaped = False
        elif quoted and letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == "," and not quoted:
            yield header[start:place]
            start = place + 1
    yield header[start:]


def _read_quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0
