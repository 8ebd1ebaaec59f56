"""Programs over numbers: closed forms against a recursive twin, tables, bounds and text."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nsr.errors import ProgramError
from nsr.semantics import closed_forms, compilation
from nsr.semantics.closed_forms import closed_form, tabulate
from nsr.semantics.compilation import compile_term
from nsr.semantics.execution import Executor
from nsr.semantics.inversion import invert
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature, parse_lexicon
from nsr.semantics.notation import parse_program, to_text
from nsr.semantics.primitives import DECR0, INCR, primitive_set
from nsr.semantics.programs import MAX_NUMBER, Apply, Argument, Call, Constant, Fix, If0, Recur, size
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
            return value if value is None else bounded(value + 1) if primitive is INCR else max(value - 1, 0)
        case If0(test, then, otherwise):
            value = run(test)
            return value if value is None else run(otherwise) if value else run(then)
        case Fix(inner):
            return twin(inner, arguments, inner, fuel)
        case Apply(name, program, inner):
            values = [run(each) for each in inner]
            if None in values:
                return None
            return bounded(MEANINGS[name](*values)) if name in MEANINGS else twin(program, values, None, FUEL)
        case Recur(inner):
            values = [run(each) for each in inner]
            return None if None in values else twin(body, values, body, fuel - 1)


def bounded(number):
    return None if number is None or number > closed_forms.MAX_NUMBER else number


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


@settings(max_examples=100, deadline=None)
@given(st.one_of(terms, recursions()), st.sampled_from([MAX_NUMBER, 8]))
def test_programs_run_as_they_read(program, limit):
    closed_form.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compilation, "MAX_CALLS", 300)
        for module in (compilation, closed_forms):
            patch.setattr(module, "MAX_NUMBER", limit)
        patch.setattr(closed_forms, "BEYOND", limit + 1)
        run = compile_term(program, 0)
        values = [run(pair) for pair in GRID]
        table = tabulate(program, list(np.array(GRID).T))
        assert values == [meant(program, pair) for pair in GRID]
    closed_form.cache_clear()
    assert table.tolist() == [-1 if value is MISSING else value for value in values]


@settings(max_examples=40, deadline=None)
@given(st.one_of(terms, recursions()))
def test_text_round_trip(program):
    symbols = (*VOCABULARY, "new", "first")
    text = GOLD_LEXICON + f'\nx0 "new" x1 = {to_text(program)}\nx0 "first" x1 = x0'
    lexicon = parse_lexicon(text, symbols, INT)
    assert lexicon.program((symbols.index("new"), 2)) == program
    assert parse_lexicon(lexicon.to_text(), symbols, INT) == lexicon
    assert f"= {to_text(program)}\n" in lexicon.to_text()
    replaced = {Key(symbols.index("+"), 2): Entry(program, frozenset({Signature(1, 1)}))}
    changed = Lexicon(
        symbols,
        {key: replaced.get(key, Entry(entry.program, entry.signatures)) for key, entry in lexicon.entries.items()},
    )
    assert parse_lexicon(changed.to_text(), symbols, INT) == changed
    spelled = to_text(program, set())
    assert parse_program(spelled, INT, 2) == program, "without a library, what is applied is spelled out"


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


large = st.one_of(st.integers(0, MAX_NUMBER), st.integers(0, 3), st.sampled_from([10**9, MAX_NUMBER // 2, MAX_NUMBER]))


@settings(max_examples=200, deadline=None)
@given(st.one_of(terms, recursions()), st.lists(st.tuples(large, large), min_size=1, max_size=3))
def test_large_numbers_are_the_same_in_tables(program, pairs):
    assume(closed_form(program) is not None)
    run = compile_term(program, 0)
    values = [-1 if run(pair) is MISSING else run(pair) for pair in pairs]
    assert tabulate(program, list(np.array(pairs).T)).tolist() == values
    assert all(value <= MAX_NUMBER for value in values)


@pytest.mark.parametrize(
    ("text", "arguments", "value"),
    [
        ('(fix (if0 x0 7 (rec ("-" x0 x1) x1)))', (3, 0), MISSING),  # never ends, whatever it would be worth
        ('(fix (if0 x0 7 (rec ("-" x0 x1) x1)))', (0, 0), 7),
        ('("first" x0 ("/" x0 x1))', (3, 0), MISSING),  # arguments are strict
        ('(if0 x1 x0 ("/" x0 x1))', (3, 0), 3),  # branches are not
        ('(fix (if0 x1 x0 ("+" (rec x0 (decr0 x1)) ("/" 1 x0))))', (0, 0), 0),  # no step, nothing divided
        ('(fix (if0 x1 x0 ("+" (rec x0 (decr0 x1)) ("/" 1 x0))))', (0, 1), MISSING),
        ('(fix (if0 x1 5 (rec ("-" x0 ("/" 1 0)) (decr0 x1))))', (1, 1), MISSING),  # an argument nobody uses
        ('(fix (if0 x1 5 (rec ("-" x0 ("/" 1 0)) (decr0 x1))))', (1, 0), 5),
        ('(fix (if0 x1 x0 ("-" (rec x0 (decr0 x1)) x0)))', (10**10, 10**10), 0),  # what is taken away may be huge
        ('("-" (incr x0) x1)', (MAX_NUMBER, 5), MISSING),  # but not a number in between
        ("(incr x0)", (MAX_NUMBER, 0), MISSING),
        ("(incr x0)", (MAX_NUMBER - 1, 0), MAX_NUMBER),
        ('("+" x0 x1)', (MISSING, 1), MISSING),
    ],
)
def test_where_programs_are_defined(text, arguments, value):
    symbols = (*VOCABULARY, "first", "new")
    lexicon = parse_lexicon(f'{GOLD_LEXICON}\nx0 "first" x1 = x0\nx0 "new" x1 = {text}', symbols, INT)
    program = lexicon.program((symbols.index("new"), 2))
    assert closed_form(program) is not None
    assert Executor().run(program, arguments) == value
    table = tabulate(program, [np.array(-1 if each is MISSING else each) for each in arguments])
    assert table.shape == ()
    assert table == (-1 if value is MISSING else value)


def test_tables_of_what_has_no_closed_form():
    program = parse_program("(fix (if0 x0 x1 (rec (decr0 x0) (incr x1))))", INT, 2)
    assert closed_form(program) is None
    columns = [np.arange(-1, 3)[:, None], np.array([-1, 5, MAX_NUMBER, MAX_NUMBER + 1])]
    assert tabulate(program, columns).tolist() == [
        [-1, -1, -1, -1],
        [-1, 5, MAX_NUMBER, -1],
        [-1, 6, -1, -1],
        [-1, 7, -1, -1],
    ]
    assert tabulate(program, [np.zeros(0, int), np.zeros(0, int)]).tolist() == []


def test_calls_are_counted_over_all_recursions():
    slow = "(fix (if0 x0 x1 (if0 x1 0 (rec (decr0 x0) (incr x1)))))"
    text = f"(fix (if0 x0 x1 (if0 x1 0 (rec (decr0 x0) (apply {slow} 40 x1)))))"
    run = compile_term(parse_program(text, INT, 2), 0)
    assert run((100, 1)) == 4_001
    assert run((1_000, 1)) is MISSING
    assert run((100, 1)) == 4_001, "each run counts its own"


def test_large_terms_are_no_trouble():
    """What is deep or grows with every application is run or refused, from deep inside other code too."""
    names = tuple(f"p{index}" for index in range(200))
    plus = to_text(PROGRAMS["+"])
    chain = [f'x0 "p{index}" x1 = ("p{index - 1}" x0 (incr x1))\n' for index in range(1, 200)]

    def check():
        lexicon = parse_lexicon(f'x0 "p0" x1 = {plus}\n' + "".join(chain[:99]), names, INT)
        assert compile_term(lexicon.program((99, 2)), 0)((5, 1)) == 105
        assert parse_lexicon(lexicon.to_text(), names, INT) == lexicon
        with pytest.raises(ProgramError, match="more than 4096 nodes or 128 deep"):
            parse_lexicon("".join(chain[::-1]) + f'x0 "p0" x1 = {plus}', names, INT)
        twice = f'x0 "p0" x1 = {plus}\nx0 "p1" = ("p0" x0 x0)\n'
        nested = 'x0 "p2" = ' + '("p1" ' * 20 + "x0" + ")" * 20
        doubled = parse_lexicon(twice + nested, names, INT).program((2, 1))
        assert closed_form(doubled) is None, "it would have a million nodes"
        assert compile_term(doubled, 0)((3,)) == 3 * 2**20
        doubling = "".join(f'x0 "p{index}" = ("p{index - 1}" ("p{index - 1}" x0))\n' for index in range(2, 20))
        with pytest.raises(ProgramError, match="more than 4096 nodes"):
            parse_lexicon(twice + doubling, names, INT)
        deep = parse_program("(fix " + "(if0 x0 x1 " * 40 + "(incr (rec (decr0 x0) x1))" + ")" * 41, INT, 2)
        assert size(deep) == 126
        assert compile_term(deep, 0)((50, 7)) == 57

    called_from(200, check)


def called_from(depth, function):
    return called_from(depth - 1, function) if depth else function()


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
    assert times((10**9 - 1, 10**9 + 1)) == MAX_NUMBER
    assert times((10**9, 10**9)) is MISSING
    columns = [np.array([10**12, 10**9 - 1]), np.array([10**12, 10**9 + 1])]
    assert tabulate(PROGRAMS["*"], columns).tolist() == [-1, MAX_NUMBER]


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


def test_inversion_tries_fewer_numbers_where_each_takes_long():
    program = parse_program("(fix (if0 x0 x1 (rec (decr0 x0) (incr x1))))", INT, 2)
    assert invert(program, 100, (MISSING, 10), 0, 0) == [90]
    assert invert(program, 120, (MISSING, 10), 0, 0) == []
    assert invert(PROGRAMS["+"], 120, (MISSING, 10), 0, 0) == [110]
    assert invert(PROGRAMS["*"], 0, (0, MISSING), 1, 0) == list(range(16)), "the smallest of all numbers"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('x0 "+" x1 =\n (apply (incr x1) x0)', "line 2, column 15: x1 is not an argument; there are: x0"),
        ('x0 "+" x1 = (apply x0)', "line 1, column 13: apply takes a program and its arguments"),
        ('x0 "+" x1 = (apply (fix (rec x0 x1)) x0)', "line 1, column 25: rec takes 1 arguments, not 2"),
        ('x0 "+" x1 = (fix (apply (rec x0) x0))', "line 1, column 25: rec is allowed only inside fix"),
        ('x0 "+" x1 = ("+" x0 x1)', "line 1, column 13: the program of '+' needs itself; use rec"),
        ('x0 "+" x1 = (cdr x0)', "unknown primitive 'cdr'; known: incr, decr0, fix, rec, if0"),
        ('x0 "+" x1 = (fold x0 x0 x0)', "unknown primitive 'fold'; known: incr, decr0, fix, rec, if0"),
        ('x0 "+" x1 = (incr item)', "unknown primitive 'item'; known: incr, decr0, fix, rec, if0"),
        ('x0 "+" x1 = (incr "1")', "argument 1 of incr must have type int, not token"),
        ('x0 "+" x1 = (fix empty)', "argument 1 of fix must have type int, not nothing"),
        ('x0 "+" x1 = self', "the program must have type int, not token"),
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
    with pytest.raises(ProgramError) as error:
        parse_lexicon(text, VOCABULARY, INT)
    assert message in str(error.value)
