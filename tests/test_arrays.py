"""Array helpers against numpy's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsr import arrays
from nsr.arrays import ragged_to_padded, unique_rows


def check(rows: np.ndarray) -> None:
    first, inverse = unique_rows(rows)
    assert np.array_equal(rows[first][inverse], rows)
    assert len(first) == len({tuple(row) for row in rows.tolist()})
    assert inverse.shape == (len(rows),)


@given(st.integers(0, 40), st.integers(0, 5), st.integers(0, 2**32))
def test_unique_rows(count, width, seed):
    generator = np.random.default_rng(seed)
    check(generator.integers(-2, 3, (count, width)))
    check(generator.integers(-(2**63), 2**63 - 1, (count, width)))


def test_unique_rows_agrees_with_numpy():
    rows = np.random.default_rng(0).integers(-2, 3, (500, 3))
    first, _ = unique_rows(rows)
    assert np.array_equal(np.unique(rows[first], axis=0), np.unique(rows, axis=0))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, bool])
def test_unique_rows_of_other_integers(dtype):
    check(np.random.default_rng(0).integers(0, 2, (50, 3)).astype(dtype))


def test_unique_rows_of_a_wide_matrix():
    check(np.random.default_rng(0).integers(0, 2, (50, 1000)).repeat(2, axis=0))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (40, 3)])
def test_unique_rows_is_exact_when_hashes_collide(monkeypatch, shape):
    monkeypatch.setattr(arrays, "_MULTIPLIERS", np.zeros(8, np.uint64))
    check(np.random.default_rng(0).integers(-1, 2, shape))


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)))
def test_ragged_to_padded(rows):
    for given_rows in ([tuple(row) for row in rows], [np.array(row, np.int64) for row in rows]):
        padded, lengths = ragged_to_padded(given_rows, fill=-7)
        assert padded.dtype == lengths.dtype == np.int64
        assert padded.shape == (len(rows), max(map(len, rows), default=0))
        assert [row[:length].tolist() for row, length in zip(padded, lengths, strict=True)] == rows
        assert all((row[length:] == -7).all() for row, length in zip(padded, lengths, strict=True))


def test_rows_of_something_else_are_refused():
    with pytest.raises(ValueError, match="invalid literal"):
        ragged_to_padded([("a",)], fill=0)
