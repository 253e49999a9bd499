"""A certificate: how far each engine and format is from ONNX Runtime with float32, and whether that is within limits.

ONNX Runtime is the reference, since the figures of every card were measured with it. The record is stored as
``certificate.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from pneumoscope import __version__
from pneumoscope.bundle.evidence import EngineFigures
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.core.notebook import html_disclaimer, html_heading, html_table, html_text
from pneumoscope.stats.estimates import Estimate

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "torch": "torch",
        "openvino": "OpenVINO",
        "int8": "8-bit bundle in ONNX Runtime",
        "browser": "browser (onnxruntime-web)",
    }
)
"""Engine or format that is compared with ONNX Runtime -> its name on the page, in order."""

LARGEST: Mapping[str, float] = MappingProxyType({"torch": 1e-4, "openvino": 1e-4, "browser": 1e-3})
"""Engine -> largest difference in any probability that it may show.

A decision may change only where the scores lie so near a threshold: a probability by this difference, an
out-of-distribution score by this share of the card's limit."""
LARGEST_HALVED = 0.01
"""The same for torch where the graph stores its weights as float16 and torch has the float32 ones."""
INT8_AUROC = -0.005
"""Least difference of the AUROC that 8-bit weights may show."""
INT8_FLIPPED = 0.01
"""Largest share of changed decisions that 8-bit weights may show."""


class EngineCost(Frozen):
    """What an engine needs for one image, on the machine of the certificate."""

    milliseconds: float | None = Field(description="processor time of one image on one thread, median; None: unknown")
    file_bytes: int | None = Field(description="of the graph's file; None: not known")


class Certificate(Frozen):
    """The certificate of a bundle."""

    program: str = f"pneumoscope {__version__}"
    created: str = Field(description="UTC, ISO 8601")
    command: str
    model: str
    identity: str
    labels: tuple[str, ...]
    part: str
    data: str = Field(description="hash of the images and labels that were used")
    images: int
    groups: int
    group_sentence: str
    sources: dict[str, int]
    seed: int
    machine: str = Field(description="processor and cores")
    auroc: Estimate = Field(description="of the bundle in ONNX Runtime on these images")
    auroc_of: str = Field(description="the label that the AUROC is about")
    reference: str = Field(description="what the others are compared with, with its version")
    engines: tuple[EngineFigures, ...]
    costs: dict[str, EngineCost] = Field(description="engine, or onnx for the reference -> cost")
    not_run: dict[str, str] = Field(description="engine -> why it did not run")
    passed: bool
    notes: tuple[str, ...]
    seconds: float
    disclaimer: str = DISCLAIMER

    @property
    def verdict(self) -> str:
        """Return "within limits", or which engines exceed theirs, and how many ran where some did not."""
        over = [ENGINES[one.engine] for one in self.engines if not one.holds]
        ran = f"{len(self.engines)} of {len(self.engines) + len(self.not_run)} engines"
        if over:
            return f"limit exceeded by {', '.join(over)}" + (f"; {ran} ran" if self.not_run else "")
        return f"within limits in the {ran} that ran" if self.not_run else "within limits"

    @property
    def part_words(self) -> str:
        """Which images of the manifest were drawn from, in words."""
        return "all parts but test" if self.part == "all" else f"the part {self.part}"

    def to_json(self) -> str:
        """Return the certificate as the text of certificate.json.

        Returns:
            Indented JSON with a line end.
        """
        return self.model_dump_json(indent=2) + "\n"

    def _repr_html_(self) -> str:
        """Return the certificate in short, for a notebook."""
        rows = [
            (
                ENGINES[one.engine],
                f"{one.largest:.1e}",
                describe_changed(one),
                one.auroc_difference,
                one.limit,
            )
            for one in self.engines
        ]
        head = ("engine", "largest difference", "decisions changed", "AUROC difference", "limit")
        return (
            html_heading(f"Certificate of {self.model}: {self.verdict}")
            + html_table(head, rows)
            + html_text(f"{self.images} images of {self.part_words}.")
            + html_disclaimer()
        )


def describe_changed(figures: EngineFigures) -> str:
    """Return how many decisions changed, and how many of them at a threshold.

    Args:
        figures: Of an engine.
    """
    there = f" ({figures.at_threshold} at a threshold)" if figures.at_threshold else ""
    return f"{figures.flipped} of {figures.images}{there}"
