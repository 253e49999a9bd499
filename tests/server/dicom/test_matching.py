"""Matching of DICOMweb against fnmatch and worked examples of PS3.4 C.2.2.2."""

from __future__ import annotations

import itertools
import re
from time import perf_counter
from typing import Any

import pytest

from pneumoscope.server.dicom.web.matching import ATTRIBUTES, is_like, is_match, read_query
from pneumoscope.server.errors import InvalidRequestError


def element(keyword: str, *values: Any) -> dict[str, Any]:
    return {ATTRIBUTES[keyword].tag: {"vr": ATTRIBUTES[keyword].vr, "Value": list(values)}}


def test_wildcards_are_those_of_a_regular_expression() -> None:
    """All patterns of up to four signs against all texts of up to four."""
    texts = ["".join(signs) for length in range(5) for signs in itertools.product("ab", repeat=length)]
    patterns = ["".join(signs) for length in range(5) for signs in itertools.product("ab*?", repeat=length)]
    for pattern in patterns:
        expression = re.compile(pattern.replace("*", ".*").replace("?", "."))
        for text in texts:
            assert is_like(text, pattern) == (expression.fullmatch(text) is not None), (text, pattern)


def test_a_pattern_of_many_stars_takes_no_longer() -> None:
    start = perf_counter()
    assert not is_like("a" * 1000, "*a" * 500 + "b")
    assert perf_counter() - start < 2


@pytest.mark.parametrize(
    ("keyword", "value", "wanted", "expected"),
    [
        ("StudyDate", "20240506", "20240506", True),
        ("StudyDate", "20240506", "20240507", False),
        ("StudyDate", "20240506", "20240501-20240506", True),  # both ends belong to it
        ("StudyDate", "20240506", "20240507-", False),
        ("StudyDate", "20240506", "-20240506", True),
        ("StudyDate", "20240506", "-20240505", False),
        ("StudyTime", "101112.5", "1011", True),
        ("StudyTime", "101112", "100000-110000", True),
        ("StudyTime", "101112", "101113-", False),
        ("PatientName", {"Alphabetic": "Müller^Jürgen", "Ideographic": "山田^太郎"}, "müller*", True),
        ("PatientName", {"Alphabetic": "Müller^Jürgen", "Ideographic": "山田^太郎"}, "山田*", True),
        ("PatientName", {"Alphabetic": "Müller^Jürgen"}, "Jürgen", False),
        ("PatientID", "A-7", "a-7", False),
        ("PatientID", "A-7", "?-7", True),
        ("StudyInstanceUID", "1.2.3", "1.2.3,1.2.4", True),
        ("StudyInstanceUID", "1.2.3", "1.2.9\\1.2.3", True),
        ("StudyInstanceUID", "1.2.3", "1.2.*", False),  # a UID has no wildcards
        ("InstanceNumber", 7, "7", True),
        ("AccessionNumber", None, "A7", False),
    ],
)
def test_values_match_as_the_standard_says(keyword: str, value: Any, wanted: str, expected: bool) -> None:
    tags = {} if value is None else element(keyword, value)
    assert is_match(ATTRIBUTES[keyword], wanted, tags) is expected


def test_a_query_that_is_not_understood_is_refused() -> None:
    for level, name, value in (
        ("study", "Modality", "CR"),  # of a series
        ("instance", "PixelData", "1"),
        ("study", "limit", "-1"),
        ("study", "offset", "x"),
        ("study", "includefield", "Nonsense"),
        ("study", "PatientID", "x" * 2000),
    ):
        with pytest.raises(InvalidRequestError):
            read_query(level, [(name, value)], {})


@pytest.mark.parametrize(
    ("keyword", "taken", "refused"),
    [
        (
            "StudyDate",
            ("20240506", "2024.05.06", "20240229", "20240506-", "-20240506", "20240501-20240506", "*", ""),
            ("2024*", "2024", "20261301", "20261301-x", "20230229", "-", "2024-05-06", "٢٠٢٤٠٥٠٦"),
        ),
        (
            "StudyTime",
            ("10", "1011", "101112", "101112.5", "10:11:12", "-1011", "100000-110000", "235960", "*"),
            ("1", "24", "1060", "101161", "101112.", "10*", "10-x", "--"),
        ),
    ],
)
def test_dates_and_times_have_the_form_of_the_standard(
    keyword: str, taken: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    """PS3.5 table 6.2-1 for the values, PS3.4 C.2.2.2.5 for the ranges."""
    for value in taken:
        read_query("study", [(keyword, value)], {})
    for value in refused:
        with pytest.raises(InvalidRequestError, match=keyword) as caught:
            read_query("study", [(keyword, value)], {})
        assert "-" in caught.value.way_out


def test_an_attribute_comes_once() -> None:
    for first, second in (("PatientID", "PatientID"), ("PatientID", "00100020"), ("00100020", "PatientID")):
        for value in ("4711", "", "*"):
            with pytest.raises(InvalidRequestError, match="PatientID twice"):
                read_query("study", [(first, value), (second, "4711")], {})
    query = read_query("study", [("includefield", "Rows"), ("includefield", "Columns")], {})
    assert query.more == ("00280010", "00280011")


def test_a_query_takes_keywords_and_tags() -> None:
    query = read_query("series", [("00100020", "4711"), ("0020000d", "1.2"), ("Modality", "CR")], {})
    assert query.wanted == {"PatientID": "4711", "StudyInstanceUID": "1.2", "Modality": "CR"}
    address = read_query("series", [("StudyInstanceUID", "1.2")], {"StudyInstanceUID": "1.3"})
    assert address.wanted == {"StudyInstanceUID": "1.3"}  # what the address says can't be widened
