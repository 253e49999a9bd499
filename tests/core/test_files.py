"""Names that fit a file system, and errors of a full or read-only disk that name the file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pneumoscope.core.files import atomic_path, shorten_name, write_text

ENDING = "-0123456789ab-covid-19.png"


@pytest.mark.parametrize("character", ["a", "é", "肺", "🫁"], ids=["1 byte", "2 bytes", "3 bytes", "4 bytes"])
def test_a_name_is_shortened_by_bytes_keeps_its_ending_and_can_be_written(tmp_path: Path, character: str) -> None:
    """The authority is the file system of this machine: NAME_MAX, usually 255 bytes."""
    name = shorten_name(character * 250, ENDING)
    assert name.endswith(ENDING)
    assert name.startswith(character)
    write_text(tmp_path / name, "x")  # its temporary name is longer
    assert len(os.fsencode(name)) <= os.pathconf(tmp_path, "PC_NAME_MAX") - 25
    assert len(os.fsencode(name)) > 200


def test_a_short_name_stays_and_a_long_ending_keeps_its_end() -> None:
    assert shorten_name("thorax", ENDING) == f"thorax{ENDING}"
    assert shorten_name("thorax", "x" * 300 + ".png", 20) == "x" * 16 + ".png"
    assert shorten_name("\udcff", ".png") == "?.png"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_error_while_writing_names_the_file_and_not_its_temporary_name(tmp_path: Path, number: int) -> None:
    target = tmp_path / "table.parquet"
    with pytest.raises(OSError, match=os.strerror(number)) as caught, atomic_path(target):
        raise OSError(number, os.strerror(number))
    assert caught.value.filename == str(target)
    assert not list(tmp_path.iterdir())
