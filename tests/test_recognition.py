"""Scoring of symbols that have no names."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nsr.recognition import best_matching


@given(seed=st.integers(0, 10_000), symbols=st.integers(1, 5), labels=st.integers(1, 5))
def test_the_best_matching_is_that_of_brute_force(seed, symbols, labels):
    counts = np.random.default_rng(seed).integers(0, 9, (symbols, labels))
    found = best_matching(counts)
    matched = np.flatnonzero(found >= 0)
    assert len(matched) == min(symbols, labels) == len(set(found[matched].tolist()))
    size = max(symbols, labels)
    padded = np.zeros((size, size), int)
    padded[:symbols, :labels] = counts
    most = max(
        sum(padded[row, column] for row, column in enumerate(each)) for each in itertools.permutations(range(size))
    )
    assert counts[matched, found[matched]].sum() == most


def test_a_clear_matching():
    assert best_matching(np.array([[0, 9, 1], [8, 2, 0], [0, 0, 7], [1, 1, 1]])).tolist() == [1, 0, 2, -1]
