"""Perception of tokens: words are symbols, and those that denote themselves share one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsr.errors import InputError
from nsr.perception.tokens import TokenPerception
from nsr.tasks.task import LITERAL

WORDS = ("a", "b", "copy", "append", ",")
sentences = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(tuple), min_size=1, max_size=5)


@given(sentences, st.frozensets(st.sampled_from(WORDS)))
def test_each_word_has_a_symbol_and_literals_share_one(inputs, literals):
    perception = TokenPerception.of(inputs, literals)
    readings = perception.read(inputs)
    assert readings.log_probs.tolist() == [[0.0]] * len(inputs)
    assert readings.symbols.shape == (len(inputs), 1, max(map(len, inputs)))
    for sentence, length, symbols in zip(inputs, readings.lengths, readings.symbols[:, 0].tolist(), strict=True):
        assert length == len(sentence)
        names = [perception.symbols[symbol] for symbol in symbols[:length]]
        assert names == [LITERAL if word in literals else word for word in sentence]
        assert symbols[length:] == [0] * (len(symbols) - length)
    seen = {word for sentence in inputs for word in sentence}
    assert perception.words == tuple(sorted(seen - literals))
    assert perception.symbols == perception.words + (LITERAL,) * bool(seen & literals)
    assert perception.literal == (len(perception.words) if seen & literals else None)


def test_without_literals_other_words_are_unknown():
    perception = TokenPerception.of([("copy", "a")])
    with pytest.raises(InputError) as error:
        perception.read([("a", "copy"), ("copy", "b")])
    assert str(error.value) == "unknown word 'b' at position 2; known words: a, copy"
    many = TokenPerception([f"w{index}" for index in range(21)])
    with pytest.raises(InputError, match=r"known words: w0, w1, .*, w19, \.\.\.$"):
        many.read([("b",)])


def test_with_literals_other_words_are_literals():
    perception = TokenPerception.of([("copy", "a", "b")], {"a", "b", "c"})
    assert perception.symbols == ("copy", LITERAL)
    assert perception.read([("copy", "never", "seen")]).symbols.tolist() == [[[0, 1, 1]]]
    assert perception.read([(LITERAL,)]).symbols.tolist() == [[[1]]], "its name is a word like any other"


def test_no_literal_was_seen():
    perception = TokenPerception.of([("copy", "a")], {"b"})
    assert perception.literal is None
    with pytest.raises(InputError, match="unknown word 'b' at position 1; known words: a, copy"):
        perception.read([("b",)])


@pytest.mark.parametrize("literals", [False, True])
def test_an_empty_sentence_is_refused(literals):
    with pytest.raises(InputError, match="empty sentence"):
        TokenPerception(WORDS, literals).read([("a",), ()])


@pytest.mark.parametrize("literals", [False, True])
def test_there_is_nothing_to_revise_or_to_learn(literals):
    perception = TokenPerception(("copy",), literals)
    assert perception.alternatives(("copy", "a", "b")) == [[], [], []]
    perception.fit([("copy",)], np.zeros((1, 1), np.int64), np.ones(1))
    assert perception.read([("copy",)]).symbols.tolist() == [[[0]]]


@given(st.lists(st.text(), unique=True, max_size=5), st.booleans())
def test_json_round_trip(words, literals):
    perception = TokenPerception(words, literals)
    restored = TokenPerception.from_json(json.loads(json.dumps(perception.to_json())))
    assert restored.symbols == perception.symbols
    assert restored.literal == perception.literal


@pytest.mark.parametrize("damage", [{"words": ["a", 1]}, {"words": None}, {"words": 1}])
def test_damaged_json_is_refused(damage):
    with pytest.raises((KeyError, TypeError)):
        TokenPerception.from_json(TokenPerception(WORDS).to_json() | damage)


@pytest.mark.parametrize("missing", ["words", "literals"])
def test_incomplete_json_is_refused(missing):
    data = TokenPerception(WORDS).to_json()
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        TokenPerception.from_json(data)
