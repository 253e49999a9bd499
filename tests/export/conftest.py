"""The exporter itself: what these tests check is not taken from another test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from exports import reuse_operator_table


@pytest.fixture(scope="module", autouse=True)
def _every_network_is_traced() -> Iterator[None]:
    torch = sys.modules.get("torch")
    with pytest.MonkeyPatch.context() as patch:
        if torch is not None:
            reuse_operator_table()
            patch.setattr(torch.onnx, "export", getattr(torch.onnx.export, "__wrapped__", torch.onnx.export))
        yield
