"""Files and folders that must not be used, also where the tests run as root, for whom nothing is forbidden."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION_3 = 0x20080522
"""Of Linux' ``capset``: two words of 32 bits for each set."""

OVERRIDES = 0b1110
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER: what lets root use the files of others."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def obeyed_permissions() -> Iterator[None]:
    """Let the modes of files hold for this thread, and for those that it starts; skip where they cannot."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no modes of files")
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(VERSION_3, 0), (_Sets * 2)()
    if not hasattr(libc, "capset") or libc.capget(ctypes.byref(header), sets):
        pytest.skip("this user may use everything")
    before = sets[0].effective
    sets[0].effective = before & ~OVERRIDES
    if libc.capset(ctypes.byref(header), sets):
        pytest.skip("this user may use everything")
    try:
        yield
    finally:
        sets[0].effective = before
        libc.capset(ctypes.byref(header), sets)
