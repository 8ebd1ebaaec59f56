"""Induction of programs over integers: operators from tables, with errors, and each part against brute force."""

import itertools
from dataclasses import replace
from math import log2

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nsr.learning.config import Config
from nsr.learning.lexicon import _library
from nsr.semantics import recursion
from nsr.semantics.closed_forms import closed_form, tabulate
from nsr.semantics.compilation import compile_term
from nsr.semantics.enumeration import CONSTANTS, UNKNOWN, Bank, Columns, _commonest, operators_of
from nsr.semantics.induction import Example, InductionConfig, LibraryEntry, Space, induce, judge, majority
from nsr.semantics.lexicon import Key, parse_lexicon
from nsr.semantics.notation import to_text
from nsr.semantics.primitives import DECR0, INCR, Primitive, Type, primitive_set
from nsr.semantics.programs import Apply, Argument, Call, Constant, Fix, If0, Recur, subterms
from nsr.semantics.values import EMPTY, MISSING

CONFIG = InductionConfig()
INT = primitive_set("int")
X, Y = Argument(0), Argument(1)
PLUS = Fix(If0(Y, X, Call(INCR, (Recur((X, Call(DECR0, (Y,)))),))))
MINUS = Fix(If0(Y, X, Call(DECR0, (Recur((X, Call(DECR0, (Y,)))),))))
TIMES = Fix(If0(Y, Constant(0), Apply("+", PLUS, (X, Recur((X, Call(DECR0, (Y,))))))))
OVER = Fix(If0(X, Constant(0), Call(INCR, (Recur((Apply("-", MINUS, (X, Y)), Y)),))))
LIBRARY = {
    name: LibraryEntry(name, 2, program) for name, program in zip("+-*/", (PLUS, MINUS, TIMES, OVER), strict=True)
}


def over(i, j):
    """Division, rounded up."""
    return -(-i // j) if j else (0 if i == 0 else None)


FUNCTIONS = {  # with what is in the library
    "+": (lambda i, j: i + j, ""),
    "-": (lambda i, j: max(0, i - j), ""),
    "*": (lambda i, j: i * j, "+"),
    "/": (over, "-"),
    "max": (max, "+-*/"),
    "min": (min, "+-*/"),
    "mean": (lambda i, j: over(i + j, 2), "+-*/"),
    "harmonic mean": (lambda i, j: over(2 * i * j, i + j), "+-*/"),
}


def space_with(names=""):
    return Space(INT, library=tuple(LIBRARY[name] for name in names))


def dense(generator):
    return tuple(generator.integers(0, 10, 2).tolist())


def wide(generator):
    return tuple(np.minimum(generator.exponential(12, 2).astype(int), 100).tolist())


def table(function, count, draw=dense, seed=0, errors=0.0):
    """Examples on distinct arguments, some with wrong values."""
    generator, found = np.random.default_rng(seed), {}
    while len(found) < count:
        arguments = draw(generator)
        value = function(*arguments)
        if value is not None:
            found[arguments] = value
    wrong = set(generator.choice(count, round(errors * count), replace=False).tolist())
    return [
        Example(arguments, value + int(generator.integers(1, 20)) if index in wrong else value)
        for index, (arguments, value) in enumerate(found.items())
    ]


def find(examples, space, arity=2):
    return induce(examples, arity, space, CONFIG, np.random.default_rng(0))


def right(program, function, side=31):
    """Whether a program has the values of a function where it is defined, on small arguments and on some others."""
    pairs = list(itertools.product(range(side), repeat=2)) + [(83, 9), (7, 250), (240, 240)]
    pairs = [pair for pair in pairs if function(*pair) is not None]
    values = tabulate(program, np.array(pairs).T)
    return values.tolist() == [function(*pair) for pair in pairs]


# Operators


@pytest.mark.parametrize(("draw", "errors"), [(dense, 0), (dense, 0.05), (wide, 0.05)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators_are_found(name, draw, errors):
    function, library = FUNCTIONS[name]
    found = find(table(function, 80, draw, errors=errors), space_with(library))
    assert right(found.program, function)
    assert found.agreement == pytest.approx(1 - errors)


def test_programs_as_a_person_writes_them():
    texts = {}
    for name, (function, library) in FUNCTIONS.items():
        texts[name] = to_text(find(table(function, 80, wide, seed=1), space_with(library)).program)
    assert texts["+"] in (
        "(fix (if0 x1 x0 (incr (rec x0 (decr0 x1)))))",
        "(fix (if0 x0 x1 (incr (rec (decr0 x0) x1))))",
    )
    assert texts["-"] in (
        "(fix (if0 x1 x0 (decr0 (rec x0 (decr0 x1)))))",
        "(fix (if0 x1 x0 (rec (decr0 x0) (decr0 x1))))",
    )
    assert texts["*"] in (
        '(fix (if0 x1 0 ("+" x0 (rec x0 (decr0 x1)))))',
        '(fix (if0 x0 0 ("+" x1 (rec (decr0 x0) x1))))',
    )
    assert texts["/"] == '(fix (if0 x0 0 (incr (rec ("-" x0 x1) x1))))'
    assert texts["max"] == '("+" x0 ("-" x1 x0))'
    assert texts["min"] == '("-" x0 ("-" x0 x1))'
    assert texts["mean"] == '("/" ("+" x0 x1) 2)'
    assert texts["harmonic mean"] == '("/" ("*" 2 ("*" x0 x1)) ("+" x0 x1))'


@pytest.mark.parametrize("name", ["+", "-", "max", "min"])
def test_operators_are_found_without_others(name):
    function, _ = FUNCTIONS[name]
    found = find(table(function, 60), space_with())
    assert right(found.program, function)
    assert isinstance(found.program, Fix)


def test_each_operator_is_found_with_those_found_before():
    library = ()
    for name in ("+", "-", "*", "/", "mean"):
        function, _ = FUNCTIONS[name]
        found = find(table(function, 80, seed=2, errors=0.05), Space(INT, library=library))
        assert right(found.program, function), name
        assert closed_form(found.program) is not None, "so that it is calculated, not run call by call"
        library = (*library, LibraryEntry(name, 2, found.program))


def test_more_examples_than_are_searched():
    function, library = FUNCTIONS["/"]
    found = find(table(function, 300, wide, errors=0.05), space_with(library))
    assert right(found.program, function)
    assert found.agreement == pytest.approx(0.95)


def test_few_examples():
    assert right(find(table(FUNCTIONS["+"][0], 30), space_with()).program, FUNCTIONS["+"][0])
    assert right(find(table(FUNCTIONS["*"][0], 30), space_with("+")).program, FUNCTIONS["*"][0])


def test_where_an_argument_is_zero():
    times = find(table(FUNCTIONS["*"][0], 80), space_with("+")).program
    assert tabulate(times, [np.array([0, 5, 0]), np.array([7, 0, 0])]).tolist() == [0, 0, 0]
    quotient = find(table(over, 80), space_with("-")).program
    assert tabulate(quotient, [np.array([0, 0, 1]), np.array([7, 1, 0])]).tolist() == [0, 0, -1]


def test_large_arguments():
    examples = table(FUNCTIONS["+"][0], 60) + [Example((10**9, 10**9 + index), 2 * 10**9 + index) for index in range(9)]
    assert find(examples, space_with()).agreement == 1


def test_heavy_examples_count_more():
    heavy = [replace(each, weight=3.0) for each in table(FUNCTIONS["+"][0], 80)]
    light = table(FUNCTIONS["-"][0], 80, seed=1)
    found = find(heavy + light, space_with())
    assert right(found.program, FUNCTIONS["+"][0])
    assert found == judge(found.program, heavy + light, space_with(), CONFIG), "judged on all, contradictions included"


def test_no_argument_and_one_and_three():
    assert find([Example((), 11, 2.0), Example((), 12)], space_with(), arity=0).program == Constant(11)
    assert find([Example(("x",), 11)], space_with(), arity=0).program == Constant(11), "the token does not matter"
    half = find([Example((number,), over(number, 2)) for number in range(20)], space_with(), arity=1)
    assert to_text(half.program) == "(fix (if0 x0 0 (incr (rec (decr0 (decr0 x0))))))"
    twice = find([Example((number,), 2 * number) for number in range(20)], space_with("+"), arity=1)
    assert to_text(twice.program) == '("+" x0 x0)'
    assert find([Example((number, "x"), 17) for number in range(5)], space_with(), arity=1).program == Constant(17)
    assert find([Example((number, 0, 0), number) for number in range(9)], space_with(), arity=3) is None


def test_what_has_no_closed_form_is_run_on_small_arguments_only():
    parity = [Example((number,), number % 2) for number in range(40)]
    found = find(parity, space_with("-"), arity=1)
    assert [compile_term(found.program, 0)((number,)) for number in range(60)] == [number % 2 for number in range(60)]
    assert closed_form(found.program) is None
    far = find([*parity, Example((10**6,), 0)], space_with("-"), arity=1)
    assert far is None or closed_form(far.program) is not None


# Tables that nothing explains


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("names", ["", "+-*/"])
def test_random_values(names, seed):
    generator = np.random.default_rng(seed)
    examples = [Example(pair, int(generator.integers(0, 20))) for pair in itertools.product(range(10), repeat=2)]
    found = find(examples, space_with(names))
    assert found is None or found.agreement < 0.5


def test_mostly_zeros_do_not_flood_the_joins(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        recursion,
        "_best",
        lambda points, pool, best=recursion._best: sizes.append(len(pool.terms)) or best(points, pool),
    )
    generator = np.random.default_rng(0)
    examples = [
        Example(pair, int(generator.integers(0, 20)) if sum(pair) < 5 else 0)
        for pair in itertools.product(range(10), repeat=2)
    ]
    assert find(examples, space_with("+-*/")).agreement < 1
    assert max(sizes) <= 8 * recursion.JOINS, "of 4 programs, with the larger term left or right"


def test_no_examples_or_none_of_numbers():
    assert find([], space_with()) is None
    assert find([Example((1, 2), MISSING), Example((EMPTY, 3), 1), Example((1, 1), 1, 0.0)], space_with()) is None


def test_the_order_of_the_library_and_the_seed_do_not_matter():
    examples = table(FUNCTIONS["/"][0], 40, errors=0.1)
    found = [
        induce(examples, 2, space_with(names), CONFIG, np.random.default_rng(seed))
        for seed, names in enumerate(["+-*", "*-+", "-+*"])
    ]
    assert found[0] == found[1] == found[2]


# Description length and judgement


def test_who_applies_a_program_that_is_no_more_does_not_need_its_symbol():
    """The name of such a program is not in ``lexicon.nsr``, so it must not count: a resumed run does not know it."""
    text = 'x0 "+" x1 = (fix (if0 x1 x0 (rec (incr x0) (decr0 x1))))\nx0 "*" x1 = ("+" x0 x1)'
    lexicon = parse_lexicon(text, ("+", "*"), INT)
    plus, times = Key(0, 2), Key(1, 2)
    assert [each.name for each in _library(lexicon, times.symbol, Config())] == ["+"]
    assert [each.name for each in _library(lexicon, plus.symbol, Config())] == []
    changed = replace(lexicon.entries[plus], program=Argument(0))
    lexicon = replace(lexicon, entries={**lexicon.entries, plus: changed})
    read = parse_lexicon(lexicon.to_text(), lexicon.symbols, INT)
    for each in (lexicon, read):
        assert [found.name for found in _library(each, plus.symbol, Config())] == ["*"]


def test_bits():
    space = space_with("+-*/")
    assert space.bits(Constant(0), CONFIG) == 2
    assert space.bits(Constant(14), CONFIG) == 8
    assert space.bits(Apply("+", PLUS, (X, Constant(2))), CONFIG) == 2 + log2(4) + 2 + 4
    assert space_with().bits(PLUS, CONFIG) == 18
    bank, *_ = enumerate_terms(space, 3)
    pool = bank.grow(3)
    assert pool.bits.tolist() == pytest.approx([space.bits(term, CONFIG) for term in pool.terms])


def test_judge():
    examples = [Example((3, 4), 7), Example((1, 1), 3), Example((MISSING, 1), MISSING), Example((2, 0), 2, 2.0)]
    assert judge(PLUS, examples, space_with(), CONFIG).agreement == 3 / 5
    assert judge(Constant(EMPTY), [Example((1, 1), EMPTY)], space_with(), CONFIG).agreement == 1
    assert judge(PLUS, [Example((1, 2, "plus"), 3)], space_with(), CONFIG).agreement == 1, "with the node's token"
    assert judge(OVER, [Example((1, 0), MISSING)], space_with(), CONFIG).agreement == 0
    assert judge(PLUS, [], space_with(), CONFIG).agreement == 0


# The parts, against brute force


def enumerate_terms(space, most):
    """A bank, its points and the values (as tuples) of all terms of at most this size, without any shortcut."""
    examples = Columns.of(majority(table(FUNCTIONS["+"][0], 12)), 2, CONFIG)
    bank = Bank(examples, operators_of(space, CONFIG), space, CONFIG)
    by_size = {1: [X, Y, *(Constant(number) for number in {*CONSTANTS, _commonest(examples.wanted)})]}
    for total in range(2, most + 1):
        by_size[total] = [Call(which, (term,)) for which in (INCR, DECR0) for term in by_size[total - 1]]
        for entry, left in itertools.product(space.library, range(1, total - 1)):
            pairs = itertools.product(by_size[left], by_size[total - 1 - left])
            by_size[total] += [Apply(entry.name, entry.program, pair) for pair in pairs]
    rows = list(zip(*(column.tolist() for column in examples.columns), strict=True))
    runs = [compile_term(term, 0) for terms in by_size.values() for term in terms]
    return bank, examples, {tuple(-1 if (value := run(row)) is MISSING else value for row in rows) for run in runs}


@pytest.mark.parametrize(("names", "most"), [("", 5), ("+-", 4), ("/", 3)])
def test_the_bank_has_each_term_once(names, most):
    bank, _, vectors = enumerate_terms(space_with(names), most)
    found = list(map(tuple, bank.grow(most).vectors.tolist()))
    defined = {vector for vector in vectors if sum(value >= 0 for value in vector) >= len(vector) / 2}
    assert set(found) == defined
    assert len(found) == len(defined)


@given(st.integers(0, 10**6), st.sampled_from(["+-", "-*/"]))
@settings(max_examples=15)
def test_joins_miss_no_pair(choice, names):
    space = space_with(names)
    bank, points, _ = enumerate_terms(space, 3)
    small = bank.grow(3)
    entry = space.library[choice % len(space.library)]
    left, right = (np.random.default_rng(choice).integers(0, len(small.terms), 2)).tolist()
    wanted = tabulate(entry.program, [small.vectors[left], small.vectors[right]])
    assume((wanted >= 0).all())
    points = replace(points, wanted=wanted)

    def score(term):
        return points.explained(tabulate(term, points.columns)) - space.bits(term, CONFIG)

    found = recursion._join(points, small, small, operators_of(space, CONFIG))
    assert max(map(score, found)) >= score(Apply(entry.name, entry.program, (small.terms[left], small.terms[right])))


@st.composite
def bodies(draw):
    """Recursive bodies, of which not all end."""
    leaves = st.sampled_from([X, Y, Constant(0), Constant(1)])
    inner = st.one_of(
        leaves, leaves.map(lambda term: Call(DECR0, (term,))), leaves.map(lambda term: Call(INCR, (term,)))
    )
    plain = st.one_of(inner, st.tuples(inner, inner).map(lambda pair: Apply("-", MINUS, pair)))
    call = st.tuples(plain, plain).map(Recur)
    around = st.one_of(
        call,
        call.map(lambda term: Call(INCR, (term,))),
        st.tuples(plain, call).map(lambda pair: Apply("+", PLUS, pair)),
    )
    last = st.one_of(around, st.builds(If0, plain, plain, around), st.builds(If0, plain, around, plain))
    return If0(draw(plain), draw(plain), draw(last))


def interpret(term, arguments, body, side, running=()):
    """A term by the book; None for what is not defined, goes in a circle or leaves the grid."""

    def value(inner):
        return interpret(inner, arguments, body, side, running)

    match term:
        case Argument(index):
            return arguments[index]
        case Constant(number):
            return number
        case Call(primitive, (inner,)):
            return None if (number := value(inner)) is None else primitive.apply(number)
        case If0(test, then, otherwise):
            return None if (number := value(test)) is None else value(then if number == 0 else otherwise)
        case Apply(name, _, inner):
            numbers = [value(each) for each in inner]
            return None if None in numbers else FUNCTIONS[name][0](*numbers)
        case Recur(inner):
            called = tuple(value(each) for each in inner)
            if None in called or max(called) >= side or called in running:
                return None
            return interpret(body, called, body, side, (*running, called))


@given(bodies())
@settings(max_examples=60)
def test_the_fixpoint_is_what_the_program_is_worth(body):
    side = 6
    values = recursion._fixpoint(body, list(np.indices((side, side))))
    for arguments in itertools.product(range(side), repeat=2):
        wanted = interpret(body, arguments, body, side, (arguments,))
        assert values[arguments] == (-1 if wanted is None else wanted), to_text(body)


def test_the_oracle_answers_and_completes_borders():
    examples = [Example((number, 0), number) for number in range(0, 9, 2)] + [Example((3, 2), 5), Example((0, 5), 1)]
    answers = recursion._oracle(Columns.of(examples, 2, CONFIG))
    assert answers[3, 2] == 5
    assert answers[3, 3] == UNKNOWN
    assert answers[7, 0] == 7, "by the rule of the border"
    assert answers[0, 6] == UNKNOWN, "two examples with different values are no rule"


def test_recursive_calls_are_about_smaller_arguments():
    examples = Columns.of(table(FUNCTIONS["+"][0], 100, wide), 2, CONFIG)
    bank = Bank(examples, operators_of(space_with("-"), CONFIG), space_with("-"), CONFIG)
    bank.grow(recursion.SMALL)
    answers = {
        pair: value for *pair, value in zip(*examples.columns, examples.wanted, strict=True) for pair in [tuple(pair)]
    }
    calls = recursion._calls(examples, bank, recursion._oracle(examples))
    assert Recur((X, Call(DECR0, (Y,)))) in calls.terms
    assert Recur((X, Y)) not in calls.terms
    for call, vector in zip(calls.terms, calls.vectors.tolist(), strict=True):
        called = np.stack([tabulate(each, examples.columns) for each in call.arguments])
        for before, after, value in zip(zip(*examples.columns, strict=True), map(tuple, called.T), vector, strict=True):
            if any(new > old for new, old in zip(after, before, strict=True)) or after == before:
                assert value == -1
            elif after in answers:
                assert value == answers[after]
            elif min(after) > 0:
                assert value <= UNKNOWN


HALF = Primitive("half", (Type.INT,), Type.INT, lambda number: number // 2)
RATIO = Primitive("ratio", (Type.INT, Type.INT), Type.INT, lambda i, j: i // j if j else MISSING)


@pytest.mark.parametrize(
    ("function", "primitives", "text"),
    [
        (lambda i, j: i // 2 + 1, [HALF], "(incr (half x0))"),
        (lambda i, j: i // (j + 1), [RATIO], "(ratio x0 (incr x1))"),
        (lambda i, j: i // 2**j, [HALF], "(fix (if0 x1 x0 (half (rec x0 (decr0 x1)))))"),
    ],
)
def test_primitives_that_know_nothing_of_arrays(function, primitives, text):
    """A new primitive of numbers is a function of numbers, and nothing else has to be said of it."""
    space = Space(replace(INT, primitives=(*INT.primitives, *primitives)))
    found = induce(table(function, 100, wide), 2, space, CONFIG, np.random.default_rng(0))
    assert to_text(found.program) == text


def test_programs_recur_once_at_most():
    for name in ("+", "-", "max"):
        examples = table(FUNCTIONS[name][0], 60, errors=0.3)
        for program in recursion.search(majority(examples), 2, space_with("-"), CONFIG):
            calls = [inner for inner in subterms(program) if isinstance(inner, Recur)]
            assert len(calls) == isinstance(program, Fix)


def test_without_recursion_no_program_is_recursive():
    examples = table(lambda i, j: i + j, 60)
    generator = np.random.default_rng(0)
    with_it = induce(examples, 2, space_with(), CONFIG, generator)
    without = induce(examples, 2, space_with(), replace(CONFIG, recursion=False), generator)
    assert with_it.agreement == 1
    assert any(isinstance(each, Fix) for each in subterms(with_it.program))
    assert without is None or not any(isinstance(each, Fix) for each in subterms(without.program))
    mean = table(lambda i, j: over(i + j, 2), 60)  # by programs of the library, which may be recursive
    assert induce(mean, 2, space_with("+-*/"), replace(CONFIG, recursion=False), generator).agreement == 1
