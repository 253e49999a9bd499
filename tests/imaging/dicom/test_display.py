"""The greyscale chain against pydicom and against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.imaging.dicom.display import DisplayChain, Lut, Rescale, Window

RNG = np.random.default_rng(3)


def test_a_linear_window_by_hand() -> None:
    """Follow PS3.3 C.11.2.1.2.1 with c = 10, w = 5 (c - 0.5 = 9.5, w - 1 = 4): black to 7.5, white above 11.5."""
    values = np.array([7, 7.5, 8, 9.5, 11, 11.5, 12])
    np.testing.assert_allclose(Window(10, 5).unit(values), [0, 0, 0.125, 0.5, 0.875, 1, 1])


def test_an_exact_window_by_hand() -> None:
    """Follow PS3.3 C.11.2.1.3.2 with c = 10, w = 4: black to 8, white above 12."""
    values = np.array([7, 8, 9, 10, 12, 13])
    np.testing.assert_allclose(Window(10, 4, "LINEAR_EXACT").unit(values), [0, 0, 0.25, 0.5, 1, 1])


def test_a_sigmoid_window_by_hand() -> None:
    """Follow PS3.3 C.11.2.1.3.1: 0.5 at the centre, 1 / (1 + e**-2) half a width above, no overflow far away."""
    values = np.array([100, 110, 90, -1e9, 1e9])
    expected = [0.5, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2)), 0, 1]
    np.testing.assert_allclose(Window(100, 20, "SIGMOID").unit(values), expected, atol=1e-12)


def test_a_lut_by_hand() -> None:
    """Apply a table of first input 100 with three entries of 8 bits: values outside get the entries at the ends."""
    lut = Lut(100, np.array([10, 20, 255]), 8)
    np.testing.assert_allclose(lut.unit(np.array([0, 100, 101, 102, 999])), np.array([10, 10, 20, 255, 255]) / 255)


def test_a_display_chain_by_hand() -> None:
    """Apply slope 10 and intercept 5 to 2-bit values -2..1 (-15, -5, 5, 15); window c = 0.5, w = 21: -10..10."""
    chain = DisplayChain(2, True, Rescale(10, 5), Window(0.5, 21))
    np.testing.assert_allclose(chain.table(), [0, 0.25, 0.75, 1])
    inverted = DisplayChain(2, True, Rescale(10, 5), Window(0.5, 21), inverted=True, padding=(-2, -2))
    np.testing.assert_allclose(inverted.table(), [0, 0.75, 0.25, 0])


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("signed", [False, True])
def test_windows_agree_with_pydicom(function: str, signed: bool) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.pixels.processing import apply_modality_lut, apply_windowing

    dataset = pydicom.Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsStored, dataset.PixelRepresentation = 12, int(signed)
    dataset.RescaleSlope, dataset.RescaleIntercept = 3, -700
    dataset.VOILUTFunction = function
    for _ in range(20):
        centre, width = float(RNG.integers(-2000, 8000)), float(RNG.integers(2, 9000))
        dataset.WindowCenter, dataset.WindowWidth = centre, width
        chain = DisplayChain(12, signed, Rescale(3, -700), Window(centre, width, function))
        stored = np.arange(chain.lowest, chain.lowest + 4096)
        ends = apply_modality_lut(stored[[0, -1]], dataset)
        reference = (apply_windowing(apply_modality_lut(stored, dataset), dataset) - ends[0]) / (ends[1] - ends[0])
        np.testing.assert_allclose(chain.table(), reference, atol=1e-6)


def test_luts_agree_with_pydicom() -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.pixels.processing import apply_voi

    entries = RNG.integers(0, 1024, 300)
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [300, 500, 10], entries.tolist()
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    dataset = pydicom.Dataset()
    dataset.VOILUTSequence = [item]
    chain = DisplayChain(12, False, voi=Lut(500, entries, 10))
    reference = apply_voi(np.arange(4096, dtype=np.int32), dataset) / 1023
    np.testing.assert_allclose(chain.table(), reference, atol=1e-6)
