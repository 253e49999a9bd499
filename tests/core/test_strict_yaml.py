"""Files of settings say one thing: what a reader sees is what is loaded, or the file is refused."""

from __future__ import annotations

import math
import re

import pytest
import yaml

from pneumoscope.core.strict_yaml import load_strictly


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "the key 'a' stands twice, in line 2 again"),
        ("a: 1\nport: 0104", "YAML reads 0104 as octal; write 104 or '0104' (line 2)"),
        ("port: -0_017", "YAML reads -0_017 as octal; write -17 or '-0_017' (line 1)"),
        ("port: +010", "YAML reads +010 as octal; write 10 or '+010' (line 1)"),
        ("port: 00", "YAML reads 00 as octal; write 0 or '00' (line 1)"),
        ("007: a", "YAML reads 007 as octal; write 7 or '007' (line 1)"),
        ("[1, 1:40]", "YAML reads 1:40 with base 60; write the number itself, or '1:40' (line 1)"),
        ("pause: 1:40.5", "YAML reads 1:40.5 with base 60; write the number itself, or '1:40.5' (line 1)"),
        (f"port: {'9' * 5000}", f"{'9' * 40}… (5000 characters) is no number that can be read (line 1)"),
        ("port: 0x_", "0x_ is no number that can be read (line 1)"),
        ("b: &b {x: 1}\na: {<<: *b}", "a merge key (<<) is not taken; write the keys themselves (line 2)"),
        ("a: {<<: {x: 1}, <<: {x: 2}}", "a merge key (<<) is not taken; write the keys themselves (line 1)"),
        ("date: 2024-13-01", "month must be in 1..12"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(yaml.YAMLError, match=f"^{re.escape(problem)}"):
        load_strictly(text)


def test_merge_keys_that_nest_are_refused_at_the_first() -> None:
    levels = "".join(
        f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}\n" for i in range(1, 40)
    )  # would end with 2**39 pairs
    with pytest.raises(yaml.YAMLError, match=r"\(line 2\)"):
        load_strictly("m0: &m0 {a: 1}\n" + levels)


def test_other_numbers_are_what_they_look_like() -> None:
    found = load_strictly("[104, -7, 0, 0.5, 1.5e+3, 0x1F, '0104', '1:40', 1_000, .inf, '<<', 2024-01-31, 08, 0o17]")
    assert found[:8] == [104, -7, 0, 0.5, 1500.0, 31, "0104", "1:40"]
    assert (found[8], math.isinf(found[9]), found[10]) == (1000, True, "<<")
    assert str(found[11]) == "2024-01-31"
    assert found[12:] == ["08", "0o17"]  # YAML 1.1 has these as text
    assert load_strictly("'<<': 1") == {"<<": 1}
