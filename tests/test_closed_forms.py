"""Programs over numbers: closed forms against a recursive twin, tables, bounds and text."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsr.errors import ProgramError
from nsr.semantics.closed_forms import closed_form, tabulate
from nsr.semantics.inversion import invert
from nsr.semantics.lexicon import parse_lexicon
from nsr.semantics.primitives import DECR0, INCR, primitive_set
from nsr.semantics.programs import (
    MAX_NUMBER,
    Apply,
    Argument,
    Call,
    Constant,
    Fix,
    If0,
    Recur,
    compile_term,
    parse_program,
    subterms,
    to_text,
)
from nsr.semantics.values import MISSING
from nsr.tasks.expressions import OPERATORS, VOCABULARY
from nsr.tasks.hint import GOLD_LEXICON

INT = primitive_set("int")
LEXICON = parse_lexicon(GOLD_LEXICON, VOCABULARY, INT)
PROGRAMS = {name: LEXICON.program((VOCABULARY.index(name), 2)) for name in OPERATORS}
FIRST = Argument(0)  # as a program of two arguments, the second of which must be defined all the same
MEANINGS = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: max(left - right, 0),
    "/": lambda left, right: 0 if left == 0 else -(-left // right) if right else None,
}
GRID = list(itertools.product(range(7), repeat=2))
FUEL = 60  # calls inside one another that the twin makes before it takes a recursion for endless


class Endless(Exception):
    """The twin has gone too deep."""


def twin(term, arguments, body=None, fuel=FUEL):
    """A program run as it reads, by recursion; None where it is undefined."""
    if fuel == 0:
        raise Endless

    def run(inner):
        return twin(inner, arguments, body, fuel)

    match term:
        case Argument(index):
            return arguments[index]
        case Constant(number):
            return number
        case Call(primitive, (inner,)):
            value = run(inner)
            return value if value is None else value + 1 if primitive is INCR else max(value - 1, 0)
        case If0(test, then, otherwise):
            value = run(test)
            return value if value is None else run(otherwise) if value else run(then)
        case Fix(inner):
            return twin(inner, arguments, inner, fuel)
        case Apply(name, program, inner):
            values = [run(each) for each in inner]
            if None in values:
                return None
            return MEANINGS[name](*values) if name in MEANINGS else twin(program, values, None, FUEL)
        case Recur(inner):
            values = [run(each) for each in inner]
            return None if None in values else twin(body, values, body, fuel - 1)


def meant(program, arguments):
    """What the twin says, MISSING where that is undefined or endless."""
    try:
        value = twin(program, arguments)
    except Endless:
        return MISSING
    return MISSING if value is None else value


leaves = st.sampled_from([Argument(0), Argument(1), Constant(0), Constant(1), Constant(2)])
terms = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda one: Call(INCR, (one,)), inner),
        st.builds(lambda one: Call(DECR0, (one,)), inner),
        st.builds(If0, inner, inner, inner),
        st.builds(lambda name, *two: Apply(name, PROGRAMS[name], two), st.sampled_from("+-/"), inner, inner),
        st.builds(lambda *two: Apply("first", FIRST, two), inner, inner),
    ),
    max_leaves=5,
)


def call(name, *arguments):
    return Apply(name, PROGRAMS.get(name, FIRST), arguments)


# Each is made of the recursive call or of the argument itself, and of the other arguments of the program.
wrappings = st.sampled_from(
    [
        lambda own: own,
        lambda own: Call(INCR, (own,)),
        lambda own: Call(DECR0, (Call(DECR0, (own,)),)),
        lambda own: call("+", Argument(1), own),
        lambda own: call("+", call("/", Constant(2), Argument(1)), Call(INCR, (own,))),
        lambda own: call("-", own, Argument(0)),
        lambda own: call("-", Argument(0), own),
        lambda own: call("-", Call(DECR0, (own,)), call("/", Argument(0), Argument(1))),
        lambda own: call("first", own, call("/", Constant(1), Argument(0))),
        lambda own: call("first", Constant(3), own),
    ]
)
steps = st.sampled_from(
    [
        lambda own, other: own,
        lambda own, other: Call(DECR0, (own,)),
        lambda own, other: Call(DECR0, (Call(DECR0, (own,)),)),
        lambda own, other: Call(INCR, (own,)),
        lambda own, other: call("-", own, other),
        lambda own, other: call("-", Call(DECR0, (own,)), call("/", Constant(3), other)),
        lambda own, other: other,
    ]
)


@st.composite
def recursions(draw):
    """Linear recursions of two arguments with one or two exits."""
    step = (draw(steps)(Argument(0), Argument(1)), draw(steps)(Argument(1), Argument(0)))
    body = draw(wrappings)(Recur(step))
    for _ in range(draw(st.integers(1, 2))):
        body = If0(draw(leaves), draw(terms), body)
    return Fix(body)


@settings(max_examples=150, deadline=None)
@given(st.one_of(terms, recursions()))
def test_programs_run_as_they_read(program):
    run = compile_term(program, 0)
    values = [run(pair) for pair in GRID]
    assert values == [meant(program, pair) for pair in GRID]
    table = tabulate(program, list(np.array(GRID).T))
    assert table.tolist() == [-1 if value is MISSING else value for value in values]


@settings(max_examples=60, deadline=None)
@given(st.one_of(terms, recursions()))
def test_text_round_trip(program):
    lexicon = GOLD_LEXICON + f'\nx0 "x" x1 = {to_text(program)}\nx0 "first" x1 = x0'
    symbols = (*VOCABULARY, "first", "x")
    assert parse_lexicon(lexicon, symbols, INT).program((symbols.index("x"), 2)) == program
    spelled = parse_program(to_text(program, set()), INT, 2)  # without a library, what is applied is spelled out
    run, again = compile_term(program, 0), compile_term(spelled, 0)
    assert [run(pair) for pair in GRID[::7]] == [again(pair) for pair in GRID[::7]]
    assert all(
        inner.program == PROGRAMS.get(inner.name, FIRST) for inner in subterms(program) if isinstance(inner, Apply)
    )


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_and_concepts_have_closed_forms(name):
    assert closed_form(PROGRAMS[name]) is not None
    run = compile_term(PROGRAMS[name], 0)
    for pair in [(10**8, 10**8 - 1), (10**8 - 1, 10**8), (987_654_321, 1_234), (5, 1), *GRID]:
        value = OPERATORS[name](*pair)
        if value is not None:
            assert run(pair) == value


def test_a_recursion_without_closed_form_needs_no_recursion_of_python():
    deep = parse_program("(fix (if0 x0 x1 (if0 x1 0 (rec (decr0 x0) (incr x1)))))", INT, 2)
    assert closed_form(deep) is None
    assert compile_term(deep, 0)((9_000, 1)) == 9_001
    assert compile_term(deep, 0)((10**6, 1)) is MISSING  # too many calls


def test_several_recursive_calls():
    fibonacci = parse_program(
        "(fix (if0 x0 0 (if0 (decr0 x0) 1 (apply (fix (if0 x0 x1 (incr (rec (decr0 x0) x1))))"
        " (rec (decr0 x0) x1) (rec (decr0 (decr0 x0)) x1)))))",
        INT,
        2,
    )
    assert closed_form(fibonacci) is None
    assert compile_term(fibonacci, 0)((60, 0)) == 1_548_008_755_920


@pytest.mark.parametrize(
    "text", ["(fix (rec x0 x1))", "(fix (if0 x1 x0 (rec (incr x0) x1)))", "(fix (incr (rec x1 x0)))"]
)
def test_what_never_ends_is_missing(text):
    assert compile_term(parse_program(text, INT, 2), 0)((3, 4)) is MISSING


def test_division_by_zero_and_overflow_are_missing():
    divide, times = compile_term(PROGRAMS["/"], 0), compile_term(PROGRAMS["*"], 0)
    assert divide((3, 0)) is MISSING
    assert times((10**9, 10**9)) == MAX_NUMBER
    assert times((10**9, 10**9 + 1)) is MISSING
    assert tabulate(PROGRAMS["*"], [np.array([10**12, 10**9]), np.array([10**12, 10**9])]).tolist() == [-1, MAX_NUMBER]


@pytest.mark.parametrize("name", "+-*/")
@pytest.mark.parametrize("slot", [0, 1])
def test_inversion_finds_all_small_arguments(name, slot):
    for wanted, known in itertools.product(range(6), repeat=2):
        found = invert(PROGRAMS[name], wanted, (known, known), slot, 0)
        pairs = [(each, known) if slot == 0 else (known, each) for each in range(6)]
        right = [pair[slot] for pair in pairs if OPERATORS[name](*pair) == wanted]
        assert set(right) <= set(found) or len(found) == 16
        for each in found:
            assert compile_term(PROGRAMS[name], 0)((each, known) if slot == 0 else (known, each)) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('x0 "+" x1 = (rec x0 x1)', "line 1, column 13: rec is allowed only inside fix"),
        ('x0 "+" x1 = (fix (rec x0))', "rec takes 2 arguments, not 1"),
        ('x0 "+" x1 = (incr (fix x0))', "fix is allowed only as the whole program"),
        ('x0 "+" x1 = ("-" x0 x1)\nx0 "-" x1 = ("+" x0 x1)', "needs itself; use rec"),
        ('x0 "+" x1 = ("-" x0 x1)', '"-" has no program of 2 arguments'),
        ('x0 "+" x1 = (if0 x0 x1)', "if0 takes 3 arguments, not 2"),
        ('"1" = -1', "numbers begin with 0"),
    ],
)
def test_wrong_programs_are_named(text, message):
    with pytest.raises(ProgramError, match=message.replace("(", r"\(")):
        parse_lexicon(text, VOCABULARY, INT)
