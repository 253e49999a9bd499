"""Which radiographs are the same picture, or the same person: what must never be on two sides of a split.

Public chest X-ray sets copy from each other, rescale, equalise, crop and annotate on the way; a test image that was
also trained on measures nothing. Healthy chests look alike too, so a perceptual hash alone either misses copies or
joins strangers. Pictures are therefore compared in detail: brightness and contrast are evened out locally, so that
ribs and vessels remain, and two pictures are near-duplicates when these correlate at some small shift.

The thresholds were set on real sets whose patients are known; docs/data.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.data.fingerprint import SIDE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

NEAR = 0.65
"""Correlation from which two pictures count as near-duplicates: copies, and close studies of one patient."""

SAME = 0.85
"""Correlation from which two pictures count as one exposure."""

_COARSE = 0.55  # the same on half-size pictures: cheap, lets the true pairs pass and one in 1,500 others
_COARSE_SHIFT = 2  # of 32 pixels, each way
_FINE_SHIFT = 8  # of 64 pixels, each way
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """Two near-duplicates: positions in the table, ``first`` < ``second``, and how alike they are (0.65 to 1)."""

    first: int
    second: int
    similarity: float


def near_duplicates(thumbnails: NDArray[np.float32], tick: Callable[[int], None] = lambda _: None) -> list[Pair]:
    """Return all pairs of near-duplicates, in order.

    Args:
        thumbnails: [N, 64, 64] float32, 0 = black, 1 = white.
        tick: Called with the number of pictures compared so far.
    """
    if len(thumbnails) < 2:
        return []
    coarse = _evened(thumbnails.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4)), blur=1.0)
    candidates = _coarse_pairs(coarse, tick)
    similarity = _fine_similarity(thumbnails, candidates)
    found = {(int(i), int(j)): float(s) for (i, j), s in zip(candidates, similarity, strict=True) if s >= NEAR}
    found.update(dict.fromkeys(_identical(thumbnails), 1.0))
    return [Pair(i, j, min(s, 1.0)) for (i, j), s in sorted(found.items())]


def _evened(pictures: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """Even out brightness and contrast: subtract the local mean, divide by the local spread.

    What remains of histogram equalisation, windowing or a black border is little. Flat areas stay near zero.
    """
    from scipy.ndimage import gaussian_filter

    detail = pictures - gaussian_filter(pictures, (0, blur, blur))
    spread = np.sqrt(gaussian_filter(detail**2, (0, 2 * blur, 2 * blur)))
    floor = np.sqrt((detail**2).mean(axis=(1, 2), keepdims=True))
    evened: NDArray[np.float32] = (detail / (spread + floor + 1e-6)).astype(np.float32)
    return evened


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre each row and scale it to length 1, so that a product is a correlation; a flat row becomes zero."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: NDArray[np.float32] = centred / np.maximum(length, 1e-3)
    return unit


def _coarse_pairs(evened: NDArray[np.float32], tick: Callable[[int], None]) -> NDArray[np.intp]:
    """Return [P, 2] positions whose half-size pictures correlate at some shift of up to 2 pixels each way."""
    shift, side = _COARSE_SHIFT, evened.shape[1]
    inner = side - 2 * shift
    steps = range(2 * shift + 1)
    windows = [_unit(evened[:, y : y + inner, x : x + inner].reshape(len(evened), -1)) for y in steps for x in steps]
    centre = windows[len(windows) // 2]
    found = []
    for start in range(0, len(evened), _BLOCK):
        rows = centre[start : start + _BLOCK]
        best = np.full((len(rows), len(evened) - start), -1, dtype=np.float32)
        for window in windows:
            np.maximum(best, rows @ window[start:].T, out=best)  # pictures before the block were compared with it
        first, second = np.nonzero(best >= _COARSE)
        pairs = np.stack([first, second], axis=1) + start
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
        tick(min(start + _BLOCK, len(evened)))
    return np.concatenate(found)


def _fine_similarity(thumbnails: NDArray[np.float32], pairs: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return [P] the largest correlation of each pair over shifts of up to 8 pixels each way."""
    from scipy.fft import irfft2, rfft2

    used, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    if not len(used):
        return np.empty(0, dtype=np.float32)
    taper = np.hanning(SIDE + 2)[1:-1] ** 0.25  # softens the frame, which a shift moves out of the picture
    detail = _evened(thumbnails[used], blur=2.0) * np.outer(taper, taper).astype(np.float32)
    size = (SIDE + 2 * _FINE_SHIFT,) * 2  # padded: a shift must not wrap round
    spectrum = rfft2(_unit(detail.reshape(len(used), -1)).reshape(detail.shape), s=size, axes=(1, 2))
    best = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), 512):
        one, other = places[start : start + 512].T
        product = irfft2(spectrum[one] * np.conj(spectrum[other]), s=size, axes=(1, 2))
        near = np.roll(product, (_FINE_SHIFT, _FINE_SHIFT), axis=(1, 2))[
            :, : 2 * _FINE_SHIFT + 1, : 2 * _FINE_SHIFT + 1
        ]
        best[start : start + 512] = near.reshape(len(near), -1).max(axis=1)
    return best


def _identical(thumbnails: NDArray[np.float32]) -> Iterable[tuple[int, int]]:
    """Yield pairs of the very same pixels, blank pictures included; each with the first of its kind."""
    first: dict[bytes, int] = {}
    for place, picture in enumerate(thumbnails):
        earlier = first.setdefault(picture.tobytes(), place)
        if earlier != place:
            yield earlier, place


def joined(size: int, links: Iterable[tuple[int, int]]) -> NDArray[np.intp]:
    """Return [N] the smallest position that each position is linked to, directly or through others (union-find)."""
    parent = np.arange(size)

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = int(parent[place])
        return place

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(place) for place in range(size)], dtype=np.intp)


def group_names(table: pd.DataFrame, pairs: Iterable[Pair], together: Sequence[str | None] = ()) -> list[str]:
    """Return [N] the group of each row.

    Rows belong together if they are one patient's, near-duplicates, the same file, or in ``together``; two patients
    that share a picture become one group. A group is named after its first patient, else as a cluster or an image
    after the smallest of its SHA-256, so that the order of the rows does not matter.

    Args:
        table: Columns ``source``, ``patient_id``, ``sha256``.
        pairs: Near-duplicates, by position.
        together: [N] a name for rows that belong together for another reason, or None.
    """
    patients = [
        f"patient:{source}/{patient}" if isinstance(patient, str) else None
        for source, patient in zip(table.source, table.patient_id, strict=True)
    ]
    digests = table.sha256.tolist()
    links = [(pair.first, pair.second) for pair in pairs]
    for names in (patients, digests, together):
        first: dict[str, int] = {}
        links += [(first.setdefault(name, place), place) for place, name in enumerate(names) if name is not None]

    members: dict[int, list[int]] = {}
    for place, root in enumerate(joined(len(table), links)):
        members.setdefault(int(root), []).append(place)
    groups = [""] * len(table)
    for places in members.values():
        named = sorted(name for name in (patients[place] for place in places) if name is not None)
        kind = "cluster" if len(places) > 1 else "image"
        name = named[0] if named else f"{kind}:{min(digests[place] for place in places)[:16]}"
        for place in places:
            groups[place] = name
    return groups
