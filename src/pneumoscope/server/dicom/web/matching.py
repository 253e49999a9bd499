"""Which objects a query of DICOMweb asks for: attributes by keyword or tag, matched against DICOM JSON (PS3.18 8.3.4).

Matching is literal: by value, by wildcard, by a list of UIDs, by a range of dates or times. Everything works on the
DICOM JSON in which headers are kept (PS3.18 F), so that no parser reads a header again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from pneumoscope.server.dicom.objects.analysed import is_uid
from pneumoscope.server.errors import InvalidRequestError

Tags: TypeAlias = Mapping[str, Any]
"""A data set as DICOM JSON: elements by tag, as 8 hexadecimal digits."""
Level = Literal["study", "series", "instance"]
MOST_RETURNED = 1000
"""Matches that one answer has at most."""
DEFAULT_LIMIT = 100
_NOT_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
"""In the words of PS3.18 8.3.4.2."""
_LONGEST_VALUE = 1024
"""Characters of a value that is matched; a list of UIDs is the longest."""
_DATE = re.compile(r"([0-9]{4})(\.?)([0-9]{2})\2([0-9]{2})")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?")
"""With the signs in between that ACR-NEMA had (PS3.5 table 6.2-1)."""


class Attribute(NamedTuple):
    """An attribute that a query may name."""

    tag: str
    vr: str
    level: Level
    """From which level on it is matched."""


ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(
    {
        "StudyDate": Attribute("00080020", "DA", "study"),
        "StudyTime": Attribute("00080030", "TM", "study"),
        "AccessionNumber": Attribute("00080050", "SH", "study"),
        "ModalitiesInStudy": Attribute("00080061", "CS", "study"),
        "ReferringPhysicianName": Attribute("00080090", "PN", "study"),
        "PatientName": Attribute("00100010", "PN", "study"),
        "PatientID": Attribute("00100020", "LO", "study"),
        "IssuerOfPatientID": Attribute("00100021", "LO", "study"),
        "PatientBirthDate": Attribute("00100030", "DA", "study"),
        "StudyInstanceUID": Attribute("0020000D", "UI", "study"),
        "StudyID": Attribute("00200010", "SH", "study"),
        "Modality": Attribute("00080060", "CS", "series"),
        "SeriesInstanceUID": Attribute("0020000E", "UI", "series"),
        "SeriesNumber": Attribute("00200011", "IS", "series"),
        "SOPClassUID": Attribute("00080016", "UI", "instance"),
        "SOPInstanceUID": Attribute("00080018", "UI", "instance"),
        "InstanceNumber": Attribute("00200013", "IS", "instance"),
    }
)
"""Attributes that are matched, by keyword (PS3.18 tables 10.6.1-5 and following)."""
_BY_TAG = {attribute.tag: keyword for keyword, attribute in ATTRIBUTES.items()}
_LEVELS: Sequence[Level] = ("study", "series", "instance")
_RETURNED: Mapping[Level, Sequence[str]] = MappingProxyType(
    {
        "study": (
            *("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00080201", "00081190"),
            *("00100010", "00100020", "00100021", "00100030", "00100040", "0020000D", "00200010"),
            *("00201206", "00201208"),
        ),
        "series": (
            *("00080060", "0008103E", "00081190", "0020000D", "0020000E", "00200011"),
            *("00400244", "00400245", "00201209"),
        ),
        "instance": (
            *("00080016", "00080018", "00080056", "00081190", "0020000D", "0020000E", "00200013"),
            *("00280008", "00280010", "00280011", "00280100"),
        ),
    }
)
"""Tags that a match has, where they are there (PS3.18 tables 10.6.3-3 to 10.6.3-5)."""


@dataclass(frozen=True, slots=True)
class WebQuery:
    """What a query asks for."""

    level: Level
    wanted: Mapping[str, str] = field(default_factory=dict)
    """Values to match, by keyword of `ATTRIBUTES`; none is empty."""
    more: Sequence[str] = ()
    """Tags that a match has beside the usual ones."""
    everything: bool = False
    """A match has all tags that are kept."""
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    warnings: Sequence[str] = ()
    """What the answer says of the query (RFC 9111 5.5, code 299)."""

    def matches(self, tags: Tags) -> bool:
        """Return whether a study, series or instance is asked for."""
        return all(is_match(ATTRIBUTES[keyword], value, tags) for keyword, value in self.wanted.items())

    def pick(self, tags: Tags) -> dict[str, Any]:
        """Return what of a match is sent."""
        if self.everything:
            return dict(sorted(tags.items()))
        levels = _LEVELS[: _LEVELS.index(self.level) + 1] if self.level != "study" else ("study",)
        picked = {tag for level in levels for tag in _RETURNED[level]} | set(self.more)
        return {tag: tags[tag] for tag in sorted(picked) if tag in tags}


def read_query(level: Level, parameters: Sequence[tuple[str, str]], fixed: Mapping[str, str]) -> WebQuery:
    """Return what a query string asks for.

    Args:
        level: Studies, series or instances.
        parameters: Names and values, in the order in which they came.
        fixed: Values from the address itself, by keyword.

    Raises:
        InvalidRequestError: An attribute can't be matched at this level or comes twice, a UID, date or time is none,
            or a number is none. It is refused and not left out: the answer would have objects that were not asked for.
    """
    wanted: dict[str, str] = {}
    numbers = {"limit": DEFAULT_LIMIT, "offset": 0}
    more: list[str] = []
    warnings: list[str] = []
    everything = False
    named: set[str] = set()
    for name, value in parameters:
        if name in numbers:
            numbers[name] = _read_number(name, value)
        elif name == "fuzzymatching":
            if value.lower() == "true":
                warnings.append(_NOT_FUZZY)
        elif name == "includefield":
            fields = [one.strip() for one in value.split(",") if one.strip()]
            everything = everything or "all" in fields
            more += [_tag_of(one) for one in fields if one != "all"]
        else:
            keyword = _keyword_of(name, level)
            if len(value) > _LONGEST_VALUE:
                problem = f"has a value of more than {_LONGEST_VALUE} characters."
                raise InvalidRequestError("the query", problem, "Shorten it.")
            if keyword in named:
                raise InvalidRequestError("the query", f"has {keyword} twice.", "Give it once.")
            named.add(keyword)
            if value and value != "*":
                _check_form(keyword, value)
                wanted[keyword] = value
    if numbers["limit"] > MOST_RETURNED:
        warnings.append(f"At most {MOST_RETURNED} matches are returned.")
    return WebQuery(
        level=level,
        wanted={**wanted, **fixed},
        more=tuple(more),
        everything=everything,
        limit=min(numbers["limit"], MOST_RETURNED),
        offset=numbers["offset"],
        warnings=tuple(warnings),
    )


def is_match(attribute: Attribute, wanted: str, tags: Tags) -> bool:
    """Return whether an element has a wanted value.

    Args:
        attribute: Which element.
        wanted: Not empty: a value, one with ``*`` and ``?``, a list of UIDs, or a range of dates or times.
        tags: The data set.
    """
    values = list_values(tags, attribute.tag)
    if attribute.vr == "UI":
        return any(value in split_uids(wanted) for value in values)
    if attribute.vr in ("DA", "TM"):
        return any(_is_within(value, wanted, attribute.vr) for value in values if value)
    if attribute.vr == "IS":
        return any(value.strip() == wanted.strip() for value in values)
    if attribute.vr == "PN":  # without regard to case: PS3.4 C.2.2.2.1 leaves that to the server
        return any(is_like(value.casefold(), wanted.casefold()) for value in values)
    return any(is_like(value, wanted.strip()) for value in values)


def split_uids(text: str) -> list[str]:
    """Return the UIDs of a list, with commas or, as in DICOM itself, with backslashes between them."""
    return text.replace("\\", ",").split(",")


def list_values(tags: Tags, tag: str) -> list[str]:
    """Return the values of an element as texts; of a name each group of letters is one."""
    texts: list[str] = []
    for value in (tags.get(tag) or {}).get("Value") or ():
        if isinstance(value, Mapping):
            texts += [str(group) for group in value.values()]
        else:
            texts.append("" if value is None else str(value))
    return texts


def is_like(text: str, pattern: str) -> bool:
    """Return whether a text is like a pattern, in which ``*`` is any text and ``?`` any sign (PS3.4 C.2.2.2.4).

    It takes at most as many steps as both are long, multiplied; a regular expression could take many more.
    """
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume, place = place, at, place + 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = resume, star + 1
        else:
            return False
    return not pattern[place:].strip("*")


def _is_within(value: str, wanted: str, vr: str) -> bool:
    """Return whether a date or time is the wanted one, or in the wanted range, whose ends belong to it."""
    value, wanted = (text.strip().replace(".", "").replace(":", "") for text in (value, wanted))
    if "-" not in wanted:
        return value.startswith(wanted)
    first, _, last = wanted.partition("-")
    width = 8 if vr == "DA" else 6
    return (not first or value[: len(first)] >= first) and (not last or value[: min(len(last), width)] <= last[:width])


def list_matched(level: Level) -> list[str]:
    """Return the keywords of the attributes that are matched at a level."""
    return [one for one in ATTRIBUTES if _LEVELS.index(ATTRIBUTES[one].level) <= _LEVELS.index(level)]


def _keyword_of(name: str, level: Level) -> str:
    """Return the keyword of an attribute that is given by keyword or tag."""
    keyword, known = _BY_TAG.get(name.upper(), name), list_matched(level)
    if keyword not in known:
        problem = f"has an attribute that is not matched for a {level}."
        raise InvalidRequestError("the query", problem, f"Use {', '.join(known)}.")
    return keyword


def _check_form(keyword: str, value: str) -> None:
    """Refuse what is no UID or list of them, no date or time, and no range of them (PS3.4 C.2.2.2.2 and C.2.2.2.5).

    The value itself is not repeated.
    """
    vr = ATTRIBUTES[keyword].vr
    if vr == "UI" and not all(is_uid(uid) for uid in split_uids(value)):
        raise InvalidRequestError("the query", f"names something else than a UID as {keyword}.", "Give UIDs.")
    if vr not in ("DA", "TM"):
        return
    first, dash, last = (text.strip() for text in value.partition("-"))
    ends = [end for end in (first, last) if end] if dash else [first]
    if not ends or not all(_is_date(end) if vr == "DA" else _TIME.fullmatch(end) for end in ends):
        form = "YYYYMMDD" if vr == "DA" else "HHMMSS"
        kind = "date" if vr == "DA" else "time"
        way_out = f"Give {form}, {form}-{form}, {form}- or -{form}."
        raise InvalidRequestError("the query", f"has a {keyword} that is no {kind} and no range of {kind}s.", way_out)


def _is_date(text: str) -> bool:
    parts = _DATE.fullmatch(text)
    if parts is None:
        return False
    try:
        date(int(parts[1]), int(parts[3]), int(parts[4]))
    except ValueError:
        return False
    return True


def _read_number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        problem = f"names something else than a number of 0 or more as {name}."
        raise InvalidRequestError("the query", problem, "Give one.")
    return int(value)


def _tag_of(name: str) -> str:
    """Return the tag of an attribute that a match is to have: any one that pydicom knows."""
    from pydicom.datadict import tag_for_keyword

    if len(name) == 8 and all(sign in "0123456789abcdefABCDEF" for sign in name):
        return name.upper()
    tag = tag_for_keyword(name)
    if tag is None:
        problem = "has an includefield that is no keyword and no tag."
        raise InvalidRequestError("the query", problem, "Use one of PS3.6.")
    return f"{tag:08X}"
