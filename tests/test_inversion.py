"""Inverting programs, against trying every list."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from terms import LISTS, RECURSIVE, REVERSING, TOKENS, interpret, lists, lists_up_to, terms, terms_of_size

from nsr.semantics.inversion import invert
from nsr.semantics.notation import parse_program
from nsr.semantics.programs import Argument, Call, uses
from nsr.semantics.values import MISSING

SHORT = list(lists_up_to(3))


def pinned(term, slot) -> bool:
    """Whether the argument occurs outside car, cdr and folds: what :func:`invert` needs to find all solutions."""
    match term:
        case Argument(index):
            return index == slot
        case Call(primitive, inner):
            return primitive.invert is not None and any(pinned(each, slot) for each in inner)
    return False


def brute_force(term, wanted, arguments, slot, max_length=10_000):
    tried = [(value, (*arguments[:slot], value, *arguments[slot + 1 :])) for value in SHORT]
    return [value for value, given in tried if interpret(term, given, max_length) == wanted]


@pytest.mark.parametrize("size", range(1, 6))
def test_all_small_programs_of_one_argument(size):
    for term in terms_of_size(size, arity=1):
        for wanted in SHORT:
            found = invert(term, wanted, [MISSING], 0, 100)
            expected = brute_force(term, wanted, (MISSING,), 0) if pinned(term, 0) else []
            assert [value for value in found if len(value) <= 3] == expected
            assert all(interpret(term, (value,)) == wanted for value in found)


@pytest.mark.parametrize("size", range(1, 6))
def test_all_small_programs_of_one_argument_that_reverse_or_ask_for_the_token(size):
    for term in terms_of_size(size, arity=1, tokens=("A",), primitives=REVERSING, grounded=True):
        for wanted in SHORT:
            found = invert(term, wanted, [MISSING, "B"], 0, 100)
            expected = brute_force(term, wanted, (MISSING, "B"), 0) if pinned(term, 0) else []
            assert [value for value in found if len(value) <= 3] == expected
            assert all(interpret(term, (value, "B")) == wanted for value in found)


@given(
    terms(arity=2, most=15)
    | terms(arity=2, most=15, primitives=REVERSING, grounded=True)
    | terms(arity=2, most=25, primitives=RECURSIVE, grounded=True),
    lists,
    st.sampled_from(SHORT),
    st.integers(0, 1),
    st.sampled_from(TOKENS),
)
def test_programs_of_two_arguments(term, other, value, slot, token):
    """Sound and, where the unknown is pinned, complete up to the length that brute force reaches."""
    assume(uses(term, slot))
    arguments = (value, other, token) if slot == 0 else (other, value, token)
    wanted = interpret(term, arguments, 100)
    assume(wanted is not MISSING)
    found = invert(term, wanted, arguments, slot, 100)
    assert len(found) == len(set(found))
    for solution in found:
        assert interpret(term, (*arguments[:slot], solution, *arguments[slot + 1 :]), 100) == wanted
    if pinned(term, slot):
        assert value in found
        assert [each for each in found if len(each) <= 3] == brute_force(term, wanted, arguments, slot, 100)
    else:
        assert found == []


@pytest.mark.parametrize(
    ("text", "wanted", "arguments", "slot", "solutions"),
    [
        ("(append x0 x0)", "A B A B", ["", ""], 0, ["A B"]),
        ("(append x0 x0)", "A B A", ["", ""], 0, []),
        ("(append x0 x0)", "", ["", ""], 0, [""]),
        ("(append x0 x1)", "A B C", ["", "C"], 0, ["A B"]),
        ("(append x0 x1)", "A B C", ["", "B"], 0, []),
        ("(append x1 x0)", "A B C", ["", "A"], 0, ["B C"]),
        ('(cons "A" x0)', "A B", ["", ""], 0, ["B"]),
        ('(cons "A" x0)', "B B", ["", ""], 0, []),
        ('(cons "A" x0)', "", ["", ""], 0, []),
        ("(cons (car x1) x0)", "A B", ["", "A C"], 0, ["B"]),
        ("(cons (car x1) x0)", "A B", ["", ""], 0, []),
        # the occurrence outside car is enough
        ("(cons (car x0) x0)", "A A B", ["", ""], 0, ["A B"]),
        ("(cons (car x0) x0)", "A B", ["", ""], 0, []),
        ("(reverse x0)", "A B", ["", ""], 0, ["B A"]),
        ("(reverse x0)", "", ["", ""], 0, [""]),
        ("(append x1 (reverse x0))", "A B C", ["", "A"], 0, ["C B"]),
        ("(append x1 (reverse x0))", "A B C", ["", "B"], 0, []),
        ("(append x0 (reverse x0))", "A B B A", ["", ""], 0, ["A B"]),
        ("(append x0 (reverse x0))", "A B A B", ["", ""], 0, []),
        ("(reverse (cons self x0))", "B A S", ["", ""], 0, ["A B"]),
        ("(cons self x0)", "S A", ["", ""], 0, ["A"]),
        ("(cons self x0)", "A S", ["", ""], 0, []),
        ("(append x0 (cons self x0))", "A S A", ["", ""], 0, ["A"]),
        ("(append x0 (cons self x0))", "A A A", ["", ""], 0, []),
        # several solutions, shortest first
        ("(append x0 (append (cons self nil) x0))", "S S S", ["", ""], 0, ["S"]),
        ("(append x0 (append x1 x0))", "A A A", ["", "A"], 0, ["A"]),
        ("(append (cdr x0) (append x0 x0))", "A A", ["", ""], 0, ["A"]),
        # solutions exist, but infinitely many, or none is known to be all
        ("(cdr x0)", "A", ["", ""], 0, []),
        ("(cons (car x0) (cdr x0))", "A B", ["", ""], 0, []),
        ("(reverse (cdr x0))", "A", ["", ""], 0, []),
        # the argument does not matter
        ("x1", "A", ["", "A"], 0, []),
        ("nil", "", ["", ""], 0, []),
        ("(cons self nil)", "S", ["", ""], 0, []),
    ],
)
def test_cases(text, wanted, arguments, slot, solutions):
    program = parse_program(text, REVERSING, 2)
    found = invert(program, tuple(wanted.split()), [*(tuple(each.split()) for each in arguments), "S"], slot, 100)
    assert [" ".join(each) for each in found] == solutions


@pytest.mark.parametrize(
    ("text", "wanted", "solutions"),
    [
        ("(fold x0 nil (append rest (cons item nil)))", "A B", []),  # as with car and cdr, it is not looked into
        ("(append x0 (fold x0 nil (append rest (cons item nil))))", "A B B A", ["A B"]),
        ("(append x0 (fold x0 nil (append rest (cons item nil))))", "A B A B", []),
        ("(append x0 (fold x1 nil (append rest (cons item nil))))", "A D C", ["A"]),
        ("(append x0 (fold x1 nil (append rest (cons item nil))))", "A C D", []),
    ],
)
def test_folds(text, wanted, solutions):
    found = invert(parse_program(text, RECURSIVE, 2), tuple(wanted.split()), [MISSING, ("C", "D")], 0, 100)
    assert [" ".join(each) for each in found] == solutions


def test_the_bound_on_lists_holds():
    program = parse_program("(cdr (append x0 x1))", LISTS, 2)
    assert invert(program, (), [(), ()], 0, 100) == []
    program = parse_program("(append x0 (cdr (append x1 x1)))", LISTS, 2)
    assert invert(program, ("A", "B"), [MISSING, ("B",)], 0, 2) == [("A",)]
    assert invert(program, ("A", "B"), [MISSING, ("B",)], 0, 1) == []


def test_many_occurrences_are_solved_at_once():
    text = "x0"
    for _ in range(5):
        text = f"(append {text} {text})"
    program = parse_program(text, LISTS, 1)
    assert invert(program, ("A",) * 64, [MISSING], 0, 100) == [("A", "A")]
