"""Make ``import torchvision`` work where its compiled operators do not load.

torchvision's wheel on PyPI is built against CUDA. Beside a CPU-only torch its operators fail to load and the import
stops at ``torchvision::nms``. Declaring the two operators' schemas first lets the pure-Python parts,
and with them timm, work. Where the compiled operators do load, nothing is declared.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_KEPT: list[Any] = []  # a Library undoes its definitions when it is collected


def ensure_torchvision() -> None:
    """Import torchvision, declaring its missing operators first if they do not load."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return  # not installed: the code that needs it says so
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for schema in _SCHEMAS:
            library.define(schema)
        _KEPT.append(library)
        importlib.import_module("torchvision")
