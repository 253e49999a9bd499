"""Near-duplicates: radiographs that show the same exposure, or nearly, found by comparing pictures.

Public chest X-ray sets copy from each other, and rescale, equalise, crop and annotate on the way. Healthy chests look
alike too, so that a perceptual hash alone either misses copies or joins strangers. Here brightness and contrast are
evened out locally, so that ribs and vessels remain. Two pictures are near-duplicates when these correlate at some small
shift or, from a higher threshold, when one is a crop of the other, is turned by a few degrees or inverted. An index of
half-size pictures gives the candidates (`candidates`); these are compared at full size. Pairs that are alike because
they share a border, a collimator's shadow or a text in these are left out by a last step (`borders`).

The thresholds were set on real sets whose patients are known, and by eye; docs/guides/data.md has the figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.data.borders import agree_inside
from pneumoscope.data.candidates import CandidateIndex
from pneumoscope.data.evened import WHOLE, Change, change_pictures, even_out, in_threads, unit
from pneumoscope.data.fingerprint import SIDE
from pneumoscope.data.thumbnails import Pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR = 0.65
"""Correlation from which two pictures count as near-duplicates: copies, and close studies of one patient."""

NEAR_CHANGED = 0.74
"""The same for a crop or a turn: there are more ways to fit, so that strangers reach higher values."""

SAME = 0.82
"""Correlation from which two pictures count as one exposure."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """One search: how pictures are changed to be found among the whole ones, and what is tried on those found."""

    change: Change
    bar: float  # whitened correlation of half-size pictures from which a pair is compared at full size
    step: int  # between shifts, in pixels of the half-size picture
    near: float  # correlation at full size from which a pair counts
    others: tuple[Change, ...] = ()  # tried on pairs that come close; their bar is `NEAR_CHANGED`


def _cuts(*cuts: tuple[float, float]) -> tuple[Change, ...]:
    return tuple(Change(cut) for cut in cuts)


# Copies are often cropped on two sides only and squeezed back into a square, so that width and height vary apart. A
# border that was added to a copy is cut off in the same way.
_PASSES = (
    _Pass(WHOLE, 0.36, 1, NEAR, _cuts((0.03, 0.03), (0.03, 0.0), (0.0, 0.03))),
    _Pass(Change((0.06, 0.0)), 0.4, 2, NEAR_CHANGED, _cuts((0.03, 0.0), (0.09, 0.0), (0.06, 0.03), (0.03, 0.03))),
    _Pass(Change((0.0, 0.06)), 0.4, 2, NEAR_CHANGED, _cuts((0.0, 0.03), (0.0, 0.09), (0.03, 0.06), (0.03, 0.03))),
    _Pass(Change((0.05, 0.05)), 0.4, 2, NEAR_CHANGED, _cuts((0.03, 0.03), (0.08, 0.08), (0.06, 0.03), (0.03, 0.06))),
    _Pass(Change((0.09, 0.09)), 0.4, 2, NEAR_CHANGED, _cuts((0.08, 0.08), (0.1, 0.1))),
    # A turn the other way is a turn of the other picture.
    _Pass(Change(turn=3.5), 0.4, 2, NEAR_CHANGED, (Change(turn=2.0), Change(turn=5.0))),
    _Pass(Change(inverted=True), 0.5, 2, NEAR_CHANGED),
)
_MIRRORED = _Pass(Change(mirrored=True), 0.5, 2, SAME)

_FINE_SHIFT = 8  # of 64 pixels, each way
_CLOSE = 0.5  # correlation from which other changes are tried; a better one adds less than the missing rest
_BLOCK = 2048
_ROUNDS = (0, 8, 32, 128)  # ranks of candidates that are compared together
_STORED = 16_384  # spectra of 26 kB
_COMPARED = 4096  # pairs whose spectra are held at once


@dataclass(frozen=True, slots=True)
class Pair:
    """Two near-duplicates: positions in the table, ``first`` < ``second``, and how alike they are (0.65 to 1)."""

    first: int
    second: int
    similarity: float


def find_near_duplicates(thumbnails: Pictures, tick: Callable[[int], None] = lambda _: None) -> list[Pair]:
    """Return all pairs of near-duplicates, in order.

    The search is approximate: a weak pair that the index does not meet is missed (docs/guides/data.md says how many).
    The same pictures in the same order give the same pairs.

    Args:
        thumbnails: [N, 64, 64], 0 = black, 1 = white.
        tick: Called with the number of pictures compared so far, 0 to N.
    """
    identical = dict.fromkeys(_find_identical(thumbnails), 1.0)
    similarities = _search(thumbnails, _PASSES, tick) | identical
    return [Pair(i, j, value) for (i, j), value in sorted(similarities.items())]


def find_mirrored(thumbnails: Pictures) -> list[Pair]:
    """Return the pairs of which one picture is the other one's mirror image, left for right, from `SAME` on.

    Whole pictures are compared at small shifts; mirrored crops are not looked for.

    Args:
        thumbnails: [N, 64, 64], 0 = black, 1 = white.
    """
    similarities = _search(thumbnails, (_MIRRORED,))
    return [Pair(i, j, value) for (i, j), value in sorted(similarities.items())]


def _search(
    thumbnails: Pictures, passes: tuple[_Pass, ...], tick: Callable[[int], None] = lambda _: None
) -> dict[tuple[int, int], float]:
    """Return the similarity of the pairs that any pass finds."""
    if len(thumbnails) < 2:
        return {}
    from threadpoolctl import threadpool_limits

    matches: dict[tuple[int, int], _Match] = {}
    # Whole blocks are spread over threads. Those of BLAS would wait for each other at each of many small products.
    with threadpool_limits(1, user_api="blas"):
        index, spectra = CandidateIndex(thumbnails), _Spectra(thumbnails)
        done = 0
        for one_pass in passes:
            for start in range(0, len(thumbnails), _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, len(thumbnails)))
                _compare(index, spectra, rows, one_pass, matches)
                done += len(rows)
                tick(done // len(passes))
        return _confirm(spectra, matches)


def _compare(
    index: CandidateIndex,
    spectra: _Spectra,
    rows: NDArray[np.intp],
    one_pass: _Pass,
    matches: dict[tuple[int, int], _Match],
) -> None:
    """Record the pairs that a pass finds with the pictures at ``rows``.

    A copy is among the first candidates of its original. Where some of these match, the picture may have more copies,
    and its next candidates are compared too, until none matches.
    """
    found = index.search(rows, one_pass.change, one_pass.step, one_pass.bar)
    going_on = np.ones(len(spectra), dtype=np.bool_)
    for first, last in zip(_ROUNDS, (*_ROUNDS[1:], len(spectra)), strict=True):
        chosen = (found.ranks >= first) & (found.ranks < last) & going_on[found.queries]
        pairs = np.stack([found.members[chosen], found.queries[chosen]], axis=1)
        if not len(pairs):
            return
        similarity = _fine_similarity(spectra, pairs, one_pass.change)
        best = np.where(similarity >= one_pass.near, 1, 0)
        _note(matches, pairs, similarity, one_pass.change, one_pass.near)
        close = np.flatnonzero(similarity >= _CLOSE)
        for change in one_pass.others:
            orders = (pairs[close], pairs[close, ::-1]) if one_pass.change == WHOLE else (pairs[close],)
            for ordered in orders:  # either may be the cropped one
                value = _fine_similarity(spectra, ordered, change)
                _note(matches, ordered, value, change, NEAR_CHANGED)
                best[close] |= value >= NEAR_CHANGED
        going_on[:] = False
        going_on[pairs[best > 0, 1]] = True


@dataclass(frozen=True, slots=True)
class _Match:
    """How alike two pictures are when the second one is changed."""

    similarity: float
    one: int
    other: int
    change: Change


def _note(
    matches: dict[tuple[int, int], _Match],
    pairs: NDArray[np.intp],
    similarity: NDArray[np.float32],
    change: Change,
    bar: float,
) -> None:
    """Record the pairs that reach the threshold, each with its best match."""
    passed = similarity >= bar
    for (i, j), value in zip(pairs[passed].tolist(), similarity[passed].tolist(), strict=True):
        key = (min(i, j), max(i, j))
        if key not in matches or value > matches[key].similarity:
            matches[key] = _Match(value, i, j, change)


def _confirm(spectra: _Spectra, matches: dict[tuple[int, int], _Match]) -> dict[tuple[int, int], float]:
    """Return the similarity of the pairs that agree inside the surroundings they share, not in these alone."""
    similarities = {}
    for change in sorted({match.change for match in matches.values()}):
        items = [(key, match) for key, match in matches.items() if match.change == change]
        for start in range(0, len(items), _BLOCK):
            block = items[start : start + _BLOCK]
            pairs = np.array([(match.one, match.other) for _, match in block], dtype=np.intp)
            _, shifts = _best_shifts(spectra, pairs, change)
            agree = agree_inside(*spectra.pictures(pairs, change), shifts)
            for (key, match), agrees in zip(block, agree.tolist(), strict=True):
                if agrees:
                    similarities[key] = min(match.similarity, 1.0)
    return similarities


class _Spectra:
    """The Fourier transforms of the pictures' evened detail; those of whole pictures are stored for later calls.

    Args:
        thumbnails: [N, 64, 64].
    """

    def __init__(self, thumbnails: Pictures) -> None:
        self._thumbnails = thumbnails
        self._place = np.full(len(thumbnails), -1, dtype=np.intp)
        span = SIDE + 2 * _FINE_SHIFT
        self._whole = np.empty((min(len(thumbnails), _STORED), span, span // 2 + 1), dtype=np.complex64)
        self._stored = 0

    def __len__(self) -> int:
        return len(self._thumbnails)

    def changed(self, rows: NDArray[np.intp], change: Change) -> NDArray[np.complex64]:
        """Return the transforms [P, 80, 41] of the pictures at ``rows`` [P], changed."""
        return in_threads(lambda part: _spectrum(change_pictures(part, change, SIDE)), self._thumbnails[rows])

    def whole(self, rows: NDArray[np.intp]) -> NDArray[np.complex64]:
        """Return the transforms of the whole pictures at ``rows``, of which there are at most as many as are stored."""
        new = rows[self._place[rows] < 0]
        if self._stored + len(new) > len(self._whole):  # a large set does not fit; what is needed again comes again
            self._place[:], self._stored, new = -1, 0, rows
        if len(new):
            places = np.arange(self._stored, self._stored + len(new))
            self._whole[places] = self.changed(new, WHOLE)
            self._place[new] = places
            self._stored += len(new)
        return self._whole[self._place[rows]]

    def pictures(self, pairs: NDArray[np.intp], change: Change) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the whole first pictures [P, 64, 64] of the pairs [P, 2], and the second ones changed."""
        return self._thumbnails[pairs[:, 0]], change_pictures(self._thumbnails[pairs[:, 1]], change, SIDE)


def _fine_similarity(spectra: _Spectra, pairs: NDArray[np.intp], change: Change) -> NDArray[np.float32]:
    """Return [P] the largest correlation of one picture with the changed other, over shifts of up to 8 pixels."""
    return _best_shifts(spectra, pairs, change)[0]


def _best_shifts(
    spectra: _Spectra, pairs: NDArray[np.intp], change: Change
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return [P] the largest correlations, and [P, 2] the shifts (dy, dx) of the first pictures that reach them."""
    from scipy.fft import ifft, irfft

    best = np.full(len(pairs), -1, dtype=np.float32)
    shifts = np.zeros((len(pairs), 2), dtype=np.intp)
    span, reach = SIDE + 2 * _FINE_SHIFT, np.arange(-_FINE_SHIFT, _FINE_SHIFT + 1)
    for start in range(0, len(pairs), _COMPARED):
        block = pairs[start : start + _COMPARED]
        ones, one_of = np.unique(block[:, 0], return_inverse=True)
        others, other_of = np.unique(block[:, 1], return_inverse=True)
        whole = spectra.whole(ones)
        other = spectra.whole(others) if change == WHOLE else spectra.changed(others, change)
        for first in range(0, len(block), 512):
            rows = slice(first, first + 512)
            product = whole[one_of[rows]] * np.conj(other[other_of[rows]])
            lines = ifft(product, axis=1, workers=-1, overwrite_x=True)[:, reach]  # the other lines are not needed
            near = irfft(lines, n=span, axis=2, workers=-1)[:, :, reach].reshape(len(lines), -1)
            place = near.argmax(axis=1)
            target = slice(start + first, start + first + len(near))
            best[target] = near[np.arange(len(near)), place]
            shifts[target] = np.stack(np.divmod(place, len(reach)), axis=1) - _FINE_SHIFT
    return best, shifts


def _spectrum(pictures: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return the Fourier transform of each picture's evened detail, padded so that a shift does not wrap round."""
    from scipy.fft import rfft2

    taper = np.hanning(SIDE + 2)[1:-1] ** 0.25  # softens the edges, which a shift moves out of the picture
    detail = even_out(pictures, blur=2.0) * np.outer(taper, taper).astype(np.float32)
    span = SIDE + 2 * _FINE_SHIFT
    spectrum: NDArray[np.complex64] = rfft2(unit(detail).reshape(detail.shape), s=(span, span), axes=(1, 2))
    return spectrum


def _find_identical(thumbnails: Pictures) -> Iterable[tuple[int, int]]:
    """Yield pairs of identical thumbnails, blank ones included; each with the first of its kind."""
    first: dict[bytes, int] = {}
    for start in range(0, len(thumbnails), _BLOCK):
        for place, picture in enumerate(thumbnails[start : start + _BLOCK], start=start):
            earlier = first.setdefault(hashlib.sha256(picture.tobytes()).digest(), place)
            if earlier != place:
                yield earlier, place
