"""Near-duplicates: radiographs that show the same exposure, or nearly, found by comparing all pictures with all.

Public chest X-ray sets copy from each other, and rescale, equalise, crop and annotate on the way. Healthy chests look
alike too, so that a perceptual hash alone either misses copies or joins strangers. Here brightness and contrast are
evened out locally, so that ribs and vessels remain. Two pictures are near-duplicates when these correlate at some small
shift or, from a higher threshold, when one is a crop of the other. The first comparison is of half-size pictures, which
leaves one pair in some hundreds; the second is of these pairs at full size. Pairs that are alike because they share a
border, a collimator's shadow or a text in these are left out by a third (`borders`).

The thresholds were set on real sets whose patients are known, and by eye; docs/guides/data.md has the figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pneumoscope.data.borders import agree_inside
from pneumoscope.data.fingerprint import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

NEAR = 0.65
"""Correlation from which two pictures count as near-duplicates: copies, and close studies of one patient."""

NEAR_CROPPED = 0.74
"""The same for a crop: there are more ways to fit, so that strangers reach higher values."""

SAME = 0.82
"""Correlation from which two pictures count as one exposure."""


@dataclass(frozen=True, slots=True)
class _Crop:
    """The shares of width and height that are cut off each side of one picture, and further cuts at full size."""

    cut: tuple[float, float]
    bar: float  # correlation of half-size pictures from which a pair is compared at full size
    step: int  # between shifts, in pixels of the half-size picture
    others: tuple[tuple[float, float], ...] = ()


# Copies are often cropped on two sides only and squeezed back into a square, so that width and height vary apart.
_WHOLE = _Crop((0.0, 0.0), 0.5, 1, ((0.03, 0.03), (0.03, 0.0), (0.0, 0.03)))
_CROPS = (
    _Crop((0.06, 0.0), 0.47, 2, ((0.03, 0.0), (0.09, 0.0), (0.06, 0.03), (0.03, 0.03))),
    _Crop((0.0, 0.06), 0.5, 2, ((0.0, 0.03), (0.0, 0.09), (0.03, 0.06), (0.03, 0.03))),
    _Crop((0.05, 0.05), 0.47, 2, ((0.03, 0.03), (0.08, 0.08), (0.06, 0.03), (0.03, 0.06))),
)

_COARSE_SHIFT = 2  # of 32 pixels, each way
_FINE_SHIFT = 8  # of 64 pixels, each way
_CLOSE = 0.5  # correlation from which further cuts are tried; a better cut adds less than the missing rest
_BLOCK = 1024
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Pair:
    """Two near-duplicates: positions in the table, ``first`` < ``second``, and how alike they are (0.65 to 1)."""

    first: int
    second: int
    similarity: float


def find_near_duplicates(thumbnails: NDArray[np.float32], tick: Callable[[int], None] = lambda _: None) -> list[Pair]:
    """Return all pairs of near-duplicates, in order.

    Args:
        thumbnails: [N, 64, 64] float32, 0 = black, 1 = white.
        tick: Called with the number of pictures compared so far, 0 to N.
    """
    if len(thumbnails) < 2:
        return []
    matches: dict[tuple[int, int], _Match] = {}
    passes = (_WHOLE, *_CROPS)
    spectra = _Spectra(thumbnails)
    for number, crop in enumerate(passes):
        done = number * len(thumbnails)

        def advance(rows: int, done: int = done) -> None:
            tick((done + rows) // len(passes))

        pairs = _coarse_pairs(thumbnails, crop, advance)
        similarity = _fine_similarity(spectra, pairs, crop.cut)
        _note(matches, pairs, similarity, crop.cut, NEAR if crop is _WHOLE else NEAR_CROPPED)
        close = pairs[similarity >= _CLOSE]
        if crop is _WHOLE:
            close = np.concatenate([close, close[:, ::-1]])  # either may be the cropped one
        for cut in crop.others:
            _note(matches, close, _fine_similarity(spectra, close, cut), cut, NEAR_CROPPED)
    identical = dict.fromkeys(_find_identical(thumbnails), 1.0)
    return [Pair(i, j, value) for (i, j), value in sorted((_confirm(spectra, matches) | identical).items())]


def find_mirrored(thumbnails: NDArray[np.float32]) -> list[Pair]:
    """Return the pairs of which one picture is the other one's mirror image, left for right, from `SAME` on.

    Whole pictures are compared at small shifts; mirrored crops are not looked for.

    Args:
        thumbnails: [N, 64, 64] float32, 0 = black, 1 = white.
    """
    if len(thumbnails) < 2:
        return []
    side = SIDE // 2
    pictures = _in_threads(lambda part: _crop_pictures(part, (0.0, 0.0), side), thumbnails)
    whole = _unit(_in_threads(lambda part: _even_out(part, blur=1.0), pictures))
    mirrored = _unit(_in_threads(lambda part: _even_out(part[:, :, ::-1], blur=1.0), pictures))
    basis = _basis(whole)
    whole, mirrored = whole @ basis, mirrored @ basis
    blocks = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(whole), _BLOCK):
        i, j = np.nonzero(whole[start : start + _BLOCK] @ mirrored.T >= _WHOLE.bar)
        blocks.append(np.stack([i + start, j], axis=1)[i + start < j])
    pairs = np.concatenate(blocks)
    spectra = _Spectra(thumbnails)
    matches: dict[tuple[int, int], _Match] = {}
    _note(matches, pairs, _fine_similarity(spectra, pairs, (0.0, 0.0), mirrored=True), (0.0, 0.0), SAME)
    return [Pair(i, j, value) for (i, j), value in sorted(_confirm(spectra, matches, mirrored=True).items())]


@dataclass(frozen=True, slots=True)
class _Match:
    """How alike two pictures are when the shares ``cut`` are taken off the second one."""

    similarity: float
    one: int
    other: int
    cut: tuple[float, float]


def _note(
    matches: dict[tuple[int, int], _Match],
    pairs: NDArray[np.intp],
    similarity: NDArray[np.float32],
    cut: tuple[float, float],
    bar: float,
) -> None:
    """Record the pairs that reach the threshold, each with its best match."""
    passed = similarity >= bar
    for (i, j), value in zip(pairs[passed].tolist(), similarity[passed].tolist(), strict=True):
        key = (min(i, j), max(i, j))
        if key not in matches or value > matches[key].similarity:
            matches[key] = _Match(value, i, j, cut)


def _confirm(
    spectra: _Spectra, matches: dict[tuple[int, int], _Match], mirrored: bool = False
) -> dict[tuple[int, int], float]:
    """Return the similarity of the pairs that agree inside the surroundings they share, not in these alone."""
    similarities = {}
    for cut in sorted({match.cut for match in matches.values()}):
        items = [(key, match) for key, match in matches.items() if match.cut == cut]
        for start in range(0, len(items), _BLOCK):
            block = items[start : start + _BLOCK]
            pairs = np.array([(match.one, match.other) for _, match in block], dtype=np.intp)
            _, shifts = _best_shifts(spectra, pairs, cut, mirrored)
            agree = agree_inside(*spectra.pictures(pairs, cut, mirrored), shifts)
            for (key, match), agrees in zip(block, agree.tolist(), strict=True):
                if agrees:
                    similarities[key] = min(match.similarity, 1.0)
    return similarities


def _crop_pictures(thumbnails: NDArray[np.float32], cut: tuple[float, float], side: int) -> NDArray[np.float32]:
    """Return [N, side, side] with the shares ``cut`` of width and height taken off each side."""
    from PIL import Image

    x, y = cut[0] * SIDE, cut[1] * SIDE
    resized = (
        Image.fromarray(picture).resize((side, side), Image.Resampling.BOX, box=(x, y, SIDE - x, SIDE - y))
        for picture in thumbnails
    )
    return np.stack([np.asarray(picture, dtype=np.float32) for picture in resized])


def _even_out(pictures: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """Even out brightness and contrast: subtract the local mean, divide by the local spread.

    Little remains of histogram equalisation, windowing or a black border. Flat areas stay near zero.
    """
    from scipy.ndimage import gaussian_filter

    detail = pictures - gaussian_filter(pictures, (0, blur, blur))
    spread = np.sqrt(gaussian_filter(detail**2, (0, 2 * blur, 2 * blur)))
    floor = np.sqrt((detail**2).mean(axis=(1, 2), keepdims=True))
    evened: NDArray[np.float32] = (detail / (spread + floor + 1e-6)).astype(np.float32)
    return evened


def _unit(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [N, pixels], centred and of length 1, so that a product is a correlation; a flat picture becomes zero."""
    flat = pictures.reshape(len(pictures), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    unit: NDArray[np.float32] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-3)
    return unit


def _coarse_pairs(thumbnails: NDArray[np.float32], crop: _Crop, tick: Callable[[int], None]) -> NDArray[np.intp]:
    """Return [P, 2] positions: a whole half-size picture, and one that matches it, cropped, at some small shift."""
    side, shift = SIDE // 2, _COARSE_SHIFT
    inner = slice(shift, side - shift)
    whole = _in_threads(lambda part: _even_out(_crop_pictures(part, (0.0, 0.0), side), blur=1.0), thumbnails)
    whole = _unit(whole[:, inner, inner])
    other = _in_threads(lambda part: _even_out(_crop_pictures(part, crop.cut, side), blur=1.0), thumbnails)
    starts = range(0, 2 * shift + 1, crop.step)
    size = side - 2 * shift
    windows = [_unit(other[:, y : y + size, x : x + size]) for y in starts for x in starts]
    basis = _basis(whole)
    whole, windows = whole @ basis, [window @ basis for window in windows]
    blocks = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(whole), _BLOCK):
        rows = whole[start : start + _BLOCK]
        first = start if crop is _WHOLE else 0  # without a crop, i with j is j with i
        best = np.full((len(rows), len(whole) - first), -1, dtype=np.float32)
        for window in windows:
            np.maximum(best, rows @ window[first:].T, out=best)
        i, j = np.nonzero(best >= crop.bar)
        pairs = np.stack([i + start, j + first], axis=1)
        blocks.append(pairs[pairs[:, 0] < pairs[:, 1]] if crop is _WHOLE else pairs[pairs[:, 0] != pairs[:, 1]])
        tick(min(start + _BLOCK, len(whole)))
    return np.concatenate(blocks)


def _basis(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [pixels, 256] the directions in which the pictures differ most: most of them at a third of the cost.

    So few pictures as there are directions lie in them wholly, so that their products are the same without them.
    """
    if len(vectors) <= _KEPT:
        return np.eye(vectors.shape[1], dtype=np.float32)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    basis: NDArray[np.float32] = directions[:, -_KEPT:].astype(np.float32)
    return basis


class _Spectra:
    """The Fourier transforms of the pictures' evened detail; those of whole pictures are stored for later calls.

    Args:
        thumbnails: [N, 64, 64] float32.
    """

    def __init__(self, thumbnails: NDArray[np.float32]) -> None:
        self._thumbnails = thumbnails
        self._place = np.full(len(thumbnails), -1, dtype=np.intp)
        span = SIDE + 2 * _FINE_SHIFT
        self._whole = np.empty((0, span, span // 2 + 1), dtype=np.complex64)

    def cropped(
        self, rows: NDArray[np.intp], cut: tuple[float, float], mirrored: bool = False
    ) -> NDArray[np.complex64]:
        """Return the transforms [P, 80, 41] of the pictures at ``rows`` [P] with the shares ``cut`` taken off."""
        step = -1 if mirrored else 1
        return _in_threads(
            lambda part: _spectrum(_crop_pictures(part, cut, SIDE)[:, :, ::step]), self._thumbnails[rows]
        )

    def pictures(
        self, pairs: NDArray[np.intp], cut: tuple[float, float], mirrored: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the whole first pictures [P, 64, 64] of the pairs [P, 2], and the second ones cropped."""
        step = -1 if mirrored else 1
        return self._thumbnails[pairs[:, 0]], _crop_pictures(self._thumbnails[pairs[:, 1]], cut, SIDE)[:, :, ::step]

    def whole(self, rows: NDArray[np.intp]) -> NDArray[np.complex64]:
        """Return the transforms of the whole pictures at ``rows``."""
        new = rows[self._place[rows] < 0]
        if len(new):
            self._place[new] = np.arange(len(self._whole), len(self._whole) + len(new))
            self._whole = np.concatenate([self._whole, self.cropped(new, (0.0, 0.0))])
        return self._whole[self._place[rows]]


def _fine_similarity(
    spectra: _Spectra, pairs: NDArray[np.intp], cut: tuple[float, float], mirrored: bool = False
) -> NDArray[np.float32]:
    """Return [P] the largest correlation of one picture with the cropped other, over shifts of up to 8 pixels."""
    return _best_shifts(spectra, pairs, cut, mirrored)[0]


def _best_shifts(
    spectra: _Spectra, pairs: NDArray[np.intp], cut: tuple[float, float], mirrored: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return [P] the largest correlations, and [P, 2] the shifts (dy, dx) of the first pictures that reach them."""
    from scipy.fft import ifft, irfft

    best = np.full(len(pairs), -1, dtype=np.float32)
    shifts = np.zeros((len(pairs), 2), dtype=np.intp)
    if not len(pairs):
        return best, shifts
    ones, one_of = np.unique(pairs[:, 0], return_inverse=True)
    others, other_of = np.unique(pairs[:, 1], return_inverse=True)
    whole = spectra.whole(ones)
    other = spectra.cropped(others, cut, mirrored) if any(cut) or mirrored else spectra.whole(others)
    span, reach = SIDE + 2 * _FINE_SHIFT, np.arange(-_FINE_SHIFT, _FINE_SHIFT + 1)
    for start in range(0, len(pairs), 512):
        one, two = one_of[start : start + 512], other_of[start : start + 512]
        product = whole[one] * np.conj(other[two])
        rows = ifft(product, axis=1, workers=-1, overwrite_x=True)[:, reach]  # the other rows are not needed
        near = irfft(rows, n=span, axis=2, workers=-1)[:, :, reach].reshape(len(rows), -1)
        place = near.argmax(axis=1)
        best[start : start + 512] = near[np.arange(len(near)), place]
        shifts[start : start + 512] = np.stack(np.divmod(place, len(reach)), axis=1) - _FINE_SHIFT
    return best, shifts


def _spectrum(pictures: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return the Fourier transform of each picture's evened detail, padded so that a shift does not wrap round."""
    from scipy.fft import rfft2

    taper = np.hanning(SIDE + 2)[1:-1] ** 0.25  # softens the edges, which a shift moves out of the picture
    detail = _even_out(pictures, blur=2.0) * np.outer(taper, taper).astype(np.float32)
    span = SIDE + 2 * _FINE_SHIFT
    spectrum: NDArray[np.complex64] = rfft2(_unit(detail).reshape(detail.shape), s=(span, span), axes=(1, 2))
    return spectrum


def _in_threads(work: Callable[[NDArray[np.float32]], NDArray[T]], pictures: NDArray[np.float32]) -> NDArray[T]:
    """Return ``work`` of the pictures [N, ...], in parallel blocks: it must treat each picture on its own."""
    blocks = [pictures[start : start + _BLOCK // 4] for start in range(0, len(pictures), _BLOCK // 4)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return np.concatenate(list(pool.map(work, blocks)))


def _find_identical(thumbnails: NDArray[np.float32]) -> Iterable[tuple[int, int]]:
    """Yield pairs of identical thumbnails, blank ones included; each with the first of its kind."""
    first: dict[bytes, int] = {}
    for place, picture in enumerate(thumbnails):
        earlier = first.setdefault(picture.tobytes(), place)
        if earlier != place:
            yield earlier, place
