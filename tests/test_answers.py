"""All answers to an input, with their probabilities, against brute force over all readings and trees."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learners import SOLVABLE, SYMBOLS, UNSOLVABLE, NoisyTokens, lexicon_of, modules_of, values_of

import nsr
from nsr.errors import ConfigError, InputError
from nsr.gss import ROOT, projective_trees
from nsr.learning.abduction import Tree
from nsr.learning.deduction import Modules, answers, deduce
from nsr.semantics.values import EMPTY, MISSING, Value

sentences = st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=4).map(tuple)  # of at most 30 trees
NOISY = {"a": {"a": 0.7, "b": 0.2, "f": 0.1}, "f": {"f": 0.6, "g": 0.4}, "b": {"b": 1.0}}


def brute_force(modules: Modules, readings: dict[tuple[int, ...], float]) -> dict[Value, float]:
    """The probability of each value: summed over all readings, given with theirs, and all trees."""
    found: dict[Value, float] = {}
    for symbols, share in readings.items():
        trees = list(projective_trees(len(symbols)))
        rows = np.array([symbols] * len(trees))
        log_probs = modules.parser.log_prob(rows, np.array(trees), np.full(len(trees), len(symbols)))
        for heads, log_prob in zip(trees, log_probs.tolist(), strict=True):
            value = values_of(Tree(symbols, heads), modules.lexicon)[heads.index(ROOT)]
            if value not in (MISSING, EMPTY):
                found[value] = found.get(value, 0.0) + share * math.exp(log_prob)
    return found


def found_by(modules: Modules, sentence: tuple[str, ...]) -> dict[Value, float]:
    (found,) = answers(modules, [sentence])
    return {modules.executor.values[value]: math.exp(log_prob) for value, log_prob in found.items()}


@given(sentences, st.integers(0, 3), st.sampled_from([SOLVABLE, UNSOLVABLE]))
def test_all_answers_to_words(sentence, seed, text):
    modules = modules_of(lexicon_of(text), seed=seed)
    reading = tuple(SYMBOLS.index(word) for word in sentence)
    assert found_by(modules, sentence) == pytest.approx(brute_force(modules, {reading: 1.0}), abs=1e-5)


@given(st.lists(st.sampled_from(sorted(NOISY)), min_size=1, max_size=3).map(tuple), st.integers(0, 3))
def test_all_answers_to_what_has_several_readings(sentence, seed):
    perception = NoisyTokens(SYMBOLS, NOISY)
    perception.certain = False
    modules = modules_of(lexicon_of(SOLVABLE), perception, seed)
    readings = {
        tuple(SYMBOLS.index(symbol) for symbol in symbols): math.prod(
            NOISY[word][symbol] for word, symbol in zip(sentence, symbols, strict=True)
        )
        for symbols in itertools.product(*(NOISY[word] for word in sentence))
    }
    assert found_by(modules, sentence) == pytest.approx(brute_force(modules, readings), abs=1e-5)


@settings(max_examples=25)
@given(st.lists(sentences, min_size=1, max_size=4), st.integers(0, 3))
def test_what_deduction_answers_is_among_the_answers(batch, seed):
    modules = modules_of(lexicon_of(UNSOLVABLE), seed=seed)
    best = deduce(modules, batch)
    for sentence, of_input in enumerate(answers(modules, batch)):
        row, value = int(best.row[sentence]), int(best.results[sentence])
        assert row < 0 or of_input[value] >= best.trees.log_probs[row] - 1e-6
        assert all(log_prob <= 0 for log_prob in of_input.values())


# Python


@pytest.fixture(scope="module")
def model():
    """It knows "not", "and" of letters, but has seen neither inside the other, so both ways of reading are open."""
    letters = ["a", "b", "c", "d"]
    inputs = [*letters, *(f"{one} and {other}" for one in letters for other in letters if one != other)]
    inputs += [f"{one} twice" for one in letters]
    outputs = [
        each.upper().replace(" AND", "") if "twice" not in each else f"{each[0]} {each[0]}".upper() for each in inputs
    ]
    return nsr.NSR().fit(inputs, outputs)


def test_the_best_answers_are_distinct_and_best_first(model):
    (found,) = model.predict_top(["a and b and c twice"], 5)
    assert len({answer.value for answer in found}) == len(found) > 1
    log_probs = [answer.log_prob for answer in found]
    assert log_probs == sorted(log_probs, reverse=True)
    assert sum(map(math.exp, log_probs)) <= 1 + 1e-6
    for count in range(1, len(found)):
        assert model.predict_top(["a and b and c twice"], count) == [found[:count]]


def test_what_is_predicted_is_among_the_answers(model):
    inputs = ["a", "a and b twice", "twice", "a b", "b twice and a twice and c"]
    for value, found in zip(model.predict(inputs), model.predict_top(inputs, 100), strict=True):
        assert value in [answer.value for answer in found] if value is not None else found == []


def test_answers_asked_for_are_bounded(model):
    assert len(model.predict_top(["a"], 10_000)) == 1
    with pytest.raises(ConfigError, match="must be from 1 to 10000, not 10001"):
        model.predict_top(["a"], 10_001)


def test_no_answers_are_asked_for_or_from_no_words(model):
    with pytest.raises(ConfigError, match="must be from 1 to 10000, not 0"):
        model.predict_top(["a"], 0)
    with pytest.raises(InputError, match="empty sentence"):
        model.predict_top(["a", ""], 2)
    with pytest.raises(InputError, match="unknown word 'z'"):
        model.predict_top(["z"])
