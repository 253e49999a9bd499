"""The structures that masks outline, and how the public sets define them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STRUCTURES: Mapping[str, str] = MappingProxyType(
    {
        "lungs": "both lungs where they are seen beside heart and mediastinum and above the diaphragm (Shenzhen, JSRT)",
        "heart": "the shadow of the heart (JSRT)",
        "lungs-with-heart": "both lungs with most of the heart between them (V7)",
    }
)
"""Structure -> its definition and the sets that define it so, in the order of a lungs graph's output."""

LUNG_DEFINITIONS = ("lungs", "lungs-with-heart")
"""The structures that a ``lung_mask`` may show."""
