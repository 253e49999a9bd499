"""Candidates for near-duplicates: the pictures that resemble a given one at half size, found by an index.

Chests share most of their anatomy, so that a plain correlation of evened pictures is high between strangers. It is
computed here after whitening: directions in which all pictures of the set differ count less, those that tell pictures
apart count more. A copy is then far above all strangers (docs/guides/data.md has the figures), and an approximate
search suffices. The index is an inverted file (Sivic and Zisserman, ICCV 2003): the pictures are divided among lists by
the nearest of some centres, and a query is compared with the lists whose centres are nearest to it. The same pictures
in the same order give the same candidates: nothing is drawn at random.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pneumoscope.data.evened import WHOLE, Change, change_pictures, even_out, in_threads, unit
from pneumoscope.data.thumbnails import Pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 32  # of the half-size pictures
_SHIFT = 2  # of 32 pixels, each way
_KEPT = 256  # directions in which the pictures differ most
_SAMPLE = 20_000  # pictures that directions and centres are learnt from
_SHRINKAGE = 300  # a set of so few pictures knows half of its directions' spread, a larger one more
_FLOOR = 1e-3  # of the largest spread: smaller ones are noise
_PER_LIST = 220  # pictures, on average
_LISTS = 32  # that a query is compared with: all lists up to 7,000 pictures, a sixteenth of them at 112,000
_ROUNDS = 6  # of k-means; more change little


class Found(NamedTuple):
    """Candidates, by query and falling score.

    Args:
        members: [P] positions in the table of the whole pictures found.
        queries: [P] positions in the table of the pictures they were found with.
        ranks: [P] place of each among its query's, from 0.
    """

    members: NDArray[np.intp]
    queries: NDArray[np.intp]
    ranks: NDArray[np.intp]


class CandidateIndex:
    """The whole pictures of a set, to be searched by changed and shifted ones.

    Args:
        thumbnails: [N, 64, 64], 0 = black, 1 = white.
    """

    def __init__(self, thumbnails: Pictures) -> None:
        self._thumbnails = thumbnails
        sample = _spread_out(len(thumbnails), _SAMPLE)
        self._directions = _whiten(_windows(thumbnails[sample], WHOLE, (_SHIFT,))[0])
        vectors = np.concatenate(
            [
                self._project(_windows(thumbnails[start : start + 4096], WHOLE, (_SHIFT,))[0])
                for start in range(0, len(thumbnails), 4096)
            ]
        )
        self._centres = _find_centres(vectors[sample], max(1, len(vectors) // _PER_LIST))
        nearest = _find_nearest(vectors, self._centres)
        self._members = np.argsort(nearest, kind="stable")
        self._vectors = vectors[self._members]
        self._bounds = np.searchsorted(nearest[self._members], np.arange(len(self._centres) + 1))

    def search(self, rows: NDArray[np.intp], change: Change, step: int, bar: float) -> Found:
        """Return the whole pictures that resemble the changed ones at some shift of up to 2 of 32 pixels.

        Args:
            rows: [R] positions of the pictures to search with; none finds itself.
            change: What is done to these.
            step: Between shifts, in pixels of 32.
            bar: Least whitened correlation, 0 to 1.
        """
        starts = tuple(range(0, 2 * _SHIFT + 1, step))
        windows = _windows(self._thumbnails[rows], change, starts)
        vectors = np.concatenate([in_threads(self._project, window) for window in windows])
        cores = os.cpu_count() or 1
        parts = np.array_split(np.arange(len(vectors)), cores)
        with ThreadPoolExecutor(cores) as pool:
            found = list(pool.map(lambda part: self._scan(vectors[part], bar), parts))
        places, hits, scores = (np.concatenate(column) for column in zip(*found, strict=True))
        hits += np.repeat([part[0] if len(part) else 0 for part in parts], [len(column[1]) for column in found])
        members, owners = self._members[places], rows[hits % len(rows)]
        foreign = members != owners
        members, owners, scores = members[foreign], owners[foreign], scores[foreign]
        order = np.lexsort((members, -scores, owners))
        members, owners = members[order], owners[order]
        # A pair that several shifts found stays where its best one stands.
        _, first = np.unique(owners * len(self._members) + members, return_index=True)
        first.sort()
        members, owners = members[first], owners[first]
        ranks = np.arange(len(owners)) - np.searchsorted(owners, owners)
        return Found(members, owners, ranks)

    def _project(self, units: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return [N, 256] the whitened pictures, of length 1; a flat one stays zero."""
        vectors = units @ self._directions
        whitened: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        return whitened

    def _scan(
        self, vectors: NDArray[np.float32], bar: float
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Return [H] places in the lists, [H] queries that reach ``bar`` with them, and [H] the correlations."""
        count = min(_LISTS, len(self._centres))
        lists = np.concatenate(
            [
                np.argpartition(-(vectors[start : start + 4096] @ self._centres.T), count - 1, axis=1)[:, :count]
                for start in range(0, len(vectors), 4096)
            ]
        )
        order = np.argsort(lists, axis=None, kind="stable")
        bounds = np.searchsorted(lists.ravel()[order], np.arange(len(self._centres) + 1))

        def compare(number: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
            queries = order[bounds[number] : bounds[number + 1]] // count
            start, stop = self._bounds[number : number + 2]
            blocks = [(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))]
            for first in range(0, len(queries), 2048):
                block = queries[first : first + 2048]
                scores = vectors[block] @ self._vectors[start:stop].T
                hits = np.flatnonzero(scores >= bar)
                rows, columns = np.divmod(hits, stop - start)
                blocks.append((columns + start, block[rows], scores.ravel()[hits]))
            places, owners, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
            return places, owners, values

        found = [compare(number) for number in range(len(self._centres))]
        places, queries, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return places, queries, scores


def _spread_out(size: int, most: int) -> NDArray[np.intp]:
    """Return at most ``most`` positions of ``size``, at even distances."""
    return np.unique(np.linspace(0, size - 1, min(size, most)).astype(np.intp))


def _windows(thumbnails: NDArray[np.float32], change: Change, starts: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Return [N, 784] for each shift: the half-size pictures, changed, evened and cut to 28 by 28, of length 1."""
    size = _SIDE - 2 * _SHIFT
    evened = in_threads(lambda part: even_out(change_pictures(part, change, _SIDE), blur=1.0), thumbnails)
    return [unit(evened[:, y : y + size, x : x + size]) for y in starts for x in starts]


def _whiten(units: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [784, 256] that projects on the directions of largest spread and makes the spread the same in all.

    A small set does not know these spreads, and its own pictures would be all that counts. The spreads are therefore
    drawn to their mean (Ledoit and Wolf, J Multivariate Anal 2004), the more the fewer pictures there are.
    """
    spreads, directions = np.linalg.eigh(units.T @ units / len(units))
    share = _SHRINKAGE / (len(units) + _SHRINKAGE)
    spreads = (1 - share) * np.maximum(spreads, 0) + share * spreads.mean()
    weights = 1 / np.sqrt(spreads + _FLOOR * spreads[-1] + 1e-12)
    whitening: NDArray[np.float32] = (directions * weights)[:, -_KEPT:].astype(np.float32)
    return whitening


def _find_centres(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return [count, 256] the centres of a spherical k-means (Dhillon and Modha, Mach Learn 2001)."""
    from scipy.sparse import csr_array

    centres = vectors[_spread_out(len(vectors), count)]
    ones = np.ones(len(vectors), dtype=np.float32)
    for _ in range(_ROUNDS if len(centres) > 1 else 0):
        nearest = _find_nearest(vectors, centres)
        sums = csr_array((ones, (nearest, np.arange(len(vectors)))), shape=(len(centres), len(vectors))) @ vectors
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    return centres


def _find_nearest(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return [N] which of the centres each vector is nearest to."""
    starts = range(0, len(vectors), 4096)
    return np.concatenate([(vectors[start : start + 4096] @ centres.T).argmax(axis=1) for start in starts])
