"""The machine can represent any finite function, and what it learned is recursive."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learners import lexicon_of

import nsr
from nsr.errors import InputError
from nsr.tasks import make_task
from nsr.theory import LastWord, look_up, recursiveness

WORDS = st.sampled_from("abc")
PAIRS = st.dictionaries(st.lists(WORDS, min_size=1, max_size=4).map(tuple), st.integers(0, 30), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_any_finite_function_can_be_looked_up(pairs):
    model = look_up(pairs)
    assert model.predict(list(pairs)) == list(pairs.values())
    longest = max(pairs, key=len)
    gss = model.deduce(longest)
    assert gss.heads.tolist() == [*range(1, len(longest)), -1]
    assert gss.log_prob > -0.1


def test_a_hundred_pairs():
    digits = {tuple(str(number)): (7 * number * number) % 101 for number in range(100)}
    assert look_up(digits).predict(list(digits)) == list(digits.values())


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({}, "nothing to look up"),
        ({(): 1}, "must be a tuple of words, at least one"),
        ({"ab": 1}, "'ab' must be a tuple of words"),
        ({("a",): -1}, "'a': -1 must be a whole number from 0 to 1000000000"),
        ({("a",): 2**70}, "must be a whole number"),
        ({("a",): True}, "True must be a whole number"),
        ({(str(each), "a"): each for each in range(200)}, "200 pairs make a program too deep to run; look up fewer"),
    ],
)
def test_what_cannot_be_looked_up(pairs, message):
    with pytest.raises(InputError, match=message):
        look_up(pairs)


def test_a_last_word_is_another_symbol():
    perception = LastWord(["a", "b"])
    assert [perception.symbols[each] for each in perception.read([("a", "b", "a")]).symbols[0, 0]] == ["a", "b", "a."]
    with pytest.raises(InputError, match="unknown word 'c'; known words: a, b"):
        perception.read([("c",)])


def test_parts_mean_what_they_mean_alone():
    task = make_task("scan")
    model = nsr.train("scan", split="length")
    inputs = task.load("length").test.inputs[::200]
    assert recursiveness(model, inputs) == 1.0


def test_what_is_looked_up_is_not_recursive():
    model = look_up({("a", "b"): 30, ("b", "a"): 20, ("a", "b", "a"): 9, ("a", "b", "b"): 8})
    assert recursiveness(model, [("a", "b", "a"), ("a", "b", "b")]) < 1
    assert math.isnan(recursiveness(look_up({("a",): 1}), [("a",)]))


def test_programs_may_be_given_without_learning():
    lexicon = lexicon_of('"a" = (cons "A" nil)\nx0 "f" = (append x0 x0)', ("a", "f"))
    assert nsr.NSR("list").assemble(lexicon).predict(["a f f", "f"]) == [("A",) * 4, None]
