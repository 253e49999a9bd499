"""The table that turns a DICOM file's stored values into grey on the screen.

The greyscale chain of PS3.4 N.2 (modality, values of interest, presentation) is a function of the stored value alone,
and a stored value has at most 16 bits. The whole chain is therefore computed once for every possible value, in double
precision, and an image of any size is one look-up. It is arithmetic without pydicom, so that another decoder can repeat
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Lut:
    """A look-up table (PS3.3 C.11.1.1, C.11.2.1.1).

    Attributes:
        first: The input value that the first entry stands for.
        entries: [n] outputs; an input below or above the table takes its first or last entry.
        bits: Depth of the outputs, whose range is 0 to 2**bits - 1.
    """

    first: int
    entries: NDArray[np.integer]
    bits: int

    def __call__(self, values: Values) -> Values:
        """Return the entry for each value; a fractional value takes the nearest."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        outputs: Values = self.entries[index.astype(np.int64)].astype(np.float64)
        return outputs

    @property
    def used_bits(self) -> int:
        """Depth of the output range that is displayed.

        It is the declared one (PS3.3 C.11.2.1.1), except where the entries fill less than an eighth of it: writers that
        declare 16 bits for a table of 12 are common. Viewers take the depth from such a table.
        """
        highest = int(self.entries.max())
        return highest.bit_length() if 0 < highest < 2**self.bits // 8 else self.bits

    def unit(self, values: Values) -> Values:
        """Return the entries as a share of the displayed output range, 0 to 1."""
        return np.asarray(self(values) / (2**self.used_bits - 1))


@dataclass(frozen=True, slots=True)
class Rescale:
    """A modality transformation without a table: output = slope * stored value + intercept (PS3.3 C.11.1.1.2)."""

    slope: float
    intercept: float

    def __call__(self, values: Values) -> Values:
        """Return the rescaled values."""
        return values * self.slope + self.intercept


@dataclass(frozen=True, slots=True)
class Window:
    """A window and its function (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    centre: float
    width: float
    function: str = "LINEAR"

    def unit(self, values: Values) -> Values:
        """Return where each value lies in the window, 0 (below it) to 1 (above it)."""
        if self.function == "SIGMOID":
            steps = np.clip(-4 * (values - self.centre) / self.width, -700, 700)  # e**700 is still a number
            return np.asarray(1 / (1 + np.exp(steps)))
        centre, width = self.centre, self.width
        if self.function == "LINEAR":  # C.11.2.1.2.1: a window of n values has its middle half a value lower
            centre, width = centre - 0.5, width - 1
        if width == 0:
            return np.where(values > centre, 1.0, 0.0)
        return np.clip((values - centre) / width + 0.5, 0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class DisplayChain:
    """The chain of one file.

    Attributes:
        bits: BitsStored.
        signed: PixelRepresentation 1: stored values are two's complement.
        modality: First step, or None.
        voi: Second step, or None: then the whole range that the first step can yield.
        inverted: The lowest value shows white.
        padding: Lowest and highest stored value that is no part of the image and is shown black, or None.
    """

    bits: int
    signed: bool
    modality: Lut | Rescale | None = None
    voi: Lut | Window | None = None
    inverted: bool = False
    padding: tuple[int, int] | None = None

    @property
    def output(self) -> Lut | None:
        """The table whose outputs are displayed, or None."""
        last = self.voi or self.modality
        return last if isinstance(last, Lut) else None

    @property
    def lowest(self) -> int:
        """Lowest value that can be stored."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    def table(self) -> NDArray[np.float32]:
        """Return [2**bits] float32 in 0..1: the grey of each storable value, from ``lowest`` upwards."""
        stored = np.arange(self.lowest, self.lowest + 2**self.bits, dtype=np.float64)
        values = self.modality(stored) if self.modality else stored
        if self.voi:
            grey = self.voi.unit(values)
        elif isinstance(self.modality, Lut):
            grey = self.modality.unit(stored)
        else:
            # Without a window the range of BitsStored counts, not that of this image: a grey is not to depend on what
            # else is in the picture. A negative slope puts the lowest value at the other end.
            grey = (values - values.min()) / (values.max() - values.min())
        if self.inverted:
            grey = 1.0 - grey
        if self.padding:
            low, high = self.padding
            grey[(stored >= low) & (stored <= high)] = 0.0  # PS3.3 C.7.5.1.1.2
        return grey.astype(np.float32)
