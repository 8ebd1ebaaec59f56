"""The trigram of symbol classes, and the best sequences under it, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsr.perception.context import PRIOR, Context

CLASSES = np.array([0, 0, 1, 2])


def random_context(seed):
    rng = np.random.default_rng(seed)
    symbols, lengths = rng.integers(0, 4, (30, 6)), rng.integers(1, 7, 30)
    return Context.of(CLASSES, symbols, lengths, rng.random(30))


def log_prob(context, emissions, sequence):
    """The probability of one sequence, symbol by symbol."""
    end = len(context.log_probs) - 1
    classes = [end, end, *context.class_of[list(sequence)].tolist(), end]
    total = sum(emissions[place, symbol] for place, symbol in enumerate(sequence))
    return total + sum(context.log_probs[each] for each in zip(classes, classes[1:], classes[2:], strict=False))


@given(seed=st.integers(0, 10_000))
def test_the_best_sequences_are_those_of_brute_force(seed):
    rng, context = np.random.default_rng(seed), random_context(seed)
    lengths = rng.integers(1, 5, 3)
    emissions = np.log(rng.dirichlet(np.full(4, 0.5), (3, 4))).astype(np.float32)
    symbols, log_probs = context.best(emissions, lengths, 4**4, 4)
    for row, length in enumerate(lengths.tolist()):
        every = {each: log_prob(context, emissions[row], each) for each in itertools.product(range(4), repeat=length)}
        found = {tuple(symbols[row, k, :length].tolist()): log_probs[row, k] for k in range(4**length)}
        assert found == pytest.approx(every, abs=1e-3)
        assert (np.diff(log_probs[row, : 4**length]) <= 0).all()
        assert (log_probs[row, 4**length :] == -np.inf).all()


def test_one_sequence_that_is_certain():
    context = Context.none(3)
    emissions = np.full((1, 5, 3), -30.0, np.float32)
    emissions[0, np.arange(5), [0, 2, 1, 1, 0]] = 0
    symbols, log_probs = context.best(emissions, np.array([5]), 1, 2)
    assert symbols.tolist() == [[[0, 2, 1, 1, 0]]]
    assert log_probs[0, 0] == 0


def test_symbols_of_a_class_share_its_probability():
    context = Context.of(np.array([0, 0, 1]), np.array([[0, 2, 1], [1, 2, 0]]), np.array([3, 3]), np.ones(2))
    end = 2
    assert context.log_probs[end, end, 0] == pytest.approx(np.log((2 + PRIOR) / (2 + 3 * PRIOR) / 2))
    assert context.log_probs[end, 0, 1] == pytest.approx(np.log((2 + PRIOR) / (2 + 3 * PRIOR)))
    assert context.log_probs[1, 0, end] == pytest.approx(np.log((2 + PRIOR) / (2 + 3 * PRIOR)))


def test_what_stands_behind_the_end_does_not_count():
    one = Context.of(CLASSES, np.array([[0, 2, 3]]), np.array([2]), np.ones(1))
    other = Context.of(CLASSES, np.array([[0, 2]]), np.array([2]), np.ones(1))
    assert np.array_equal(one.log_probs, other.log_probs)
