"""Array helpers that several rooms share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Odd 64-bit multipliers, one a column, fixed for ever: they only spread rows over 64 bits.
_MULTIPLIERS = np.random.default_rng(20221003).integers(1, 2**63, size=256, dtype=np.uint64) * 2 + 1


def unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct rows of an integer matrix.

    ``np.unique(axis=0)`` sorts whole rows; this sorts one 64-bit number a row: its digits where they fit, else a hash.
    Where there are few numbers, they are looked up instead of sorted.
    Then it checks that no two different rows shared a hash (it falls back to the slow way if they did), so the result
    is exact.

    Args:
        rows: integers, shape (R, C).

    Returns:
        first: index of one representative of each distinct row, shape (U,).
        inverse: for each row, the position of its representative in ``first``, shape (R,).
    """
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    lowest = list(map(int, rows.min(axis=0)))
    spans = [highest - low + 1 for highest, low in zip(map(int, rows.max(axis=0)), lowest, strict=True)]
    if (size := math.prod(spans)) < 2**63:
        codes = np.zeros(len(rows), np.int64)
        for column, low, span in zip(rows.T, lowest, spans, strict=True):
            if span > 1:
                codes = codes * span + (column - low)
        return _unique_codes(codes, size)
    multipliers = np.resize(_MULTIPLIERS, rows.shape[1])  # repeated for wide matrices
    hashes = (rows.astype(np.uint64) * multipliers).sum(axis=1, dtype=np.uint64)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    if not np.array_equal(rows[first][inverse], rows):
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
    return first, inverse


def _unique_codes(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`unique_rows`, for numbers from 0 to ``size`` - 1, shape (R,)."""
    if size > 4 * len(codes):
        _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
        return first, inverse
    place = np.full(size, -1)
    place[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # so that the first one stays
    first = place[place >= 0]
    place[codes[first]] = np.arange(len(first))
    return first, place[codes]


def take_ragged(bounds: np.ndarray, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Choose from sequences that stand behind each other in one array.

    Args:
        bounds: where each sequence begins, and where the last one ends, shape (B + 1,).
        indices: of the sequences chosen, C of them; -1 is the last one.

    Returns:
        items: where the items of the chosen sequences are in the array, shape (T,).
        bounds: of the chosen sequences, shape (C + 1,).
    """
    places = np.arange(len(bounds) - 1)[np.asarray(indices, np.int64)]
    starts, sizes = bounds[places], np.diff(bounds)[places]
    chosen = np.concatenate([[0], np.cumsum(sizes)])
    return np.repeat(starts - chosen[:-1], sizes) + np.arange(chosen[-1]), chosen


def set_bits(number: int) -> tuple[int, ...]:
    """Which bits of a number are set, the lowest first."""
    return tuple(place for place in range(number.bit_length()) if number >> place & 1)


def present(lengths: np.ndarray, width: int) -> np.ndarray:
    """Which places of padded rows are not padding, shape (B, width); ``lengths`` has shape (B,)."""
    return np.arange(width) < lengths[:, None]


def ragged_to_padded(rows: Sequence[np.ndarray] | Sequence[Sequence[int]], fill: int) -> tuple[np.ndarray, np.ndarray]:
    """Stack integer sequences of different lengths.

    Returns:
        padded: shape (R, longest), int64, ``fill`` behind the end of each sequence.
        lengths: shape (R,), int64.
    """
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    padded = np.full((len(rows), int(lengths.max(initial=0))), fill, np.int64)
    if len(rows):
        items = np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(lengths.sum()))
        padded[present(lengths, padded.shape[1])] = items
    return padded, lengths


def percent(hits: Sequence[bool] | np.ndarray) -> float:
    """How many of several things are hits, in percent with four decimals; 0 where there are none."""
    return round(100 * float(np.mean(hits)), 4) if len(hits) else 0.0


def draw(items: Sequence[Any], most: int, seed: int, length: Callable[[Any], int] | None = None) -> np.ndarray:
    """Some of several things: their indices, in order; all if there are no more.

    Args:
        items: the things.
        most: how many are drawn at most; 0 for all.
        seed: source of the randomness.
        length: of a thing. If it is given, as many are drawn of each length, as far as there are so many; otherwise all
            are as likely. Things with an array ``lengths`` are not asked one by one.
    """
    count = len(items)
    if not most or count <= most:
        return np.arange(count)
    generator = np.random.default_rng([seed, count])
    if length is None:
        return np.sort(generator.choice(count, most, replace=False))
    lengths = items.lengths if hasattr(items, "lengths") else np.fromiter(map(length, items), np.int64, count)
    order = generator.permutation(count)
    return np.sort(order[np.argsort(ranks(lengths[order]), kind="stable")[:most]])


def ranks(kinds: np.ndarray) -> np.ndarray:
    """How many things of its kind stand before each of them, shape (B,) as that of ``kinds``."""
    sorting = np.argsort(kinds, kind="stable")
    _, first, sizes = np.unique(kinds[sorting], return_index=True, return_counts=True)
    found = np.empty(len(kinds), np.int64)
    found[sorting] = np.arange(len(kinds)) - np.repeat(first, sizes)
    return found
