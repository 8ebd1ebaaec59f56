"""Programs as people write them: what differs looks different, and looks as it should."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import RECURSIVE, REVERSING, terms, terms_of_size

from nsr.errors import ProgramError
from nsr.semantics.notation import to_notation, to_text
from nsr.semantics.primitives import DECR0, INCR
from nsr.semantics.programs import MAX_SIZE, Apply, Argument, Call, Constant, Fix, If0, Recur, Term, subterms

ODD = ("A", "x0", "self", "item", "A, B", "A] ++ [B", "[A]", '"A"', "head(x0)", "ß", "")


def numbers_of_size(size: int) -> list[Term]:
    """All terms over numbers of this size, with recursive calls and programs applied by name or spelled out."""
    if size == 1:
        return [Argument(0), Argument(1), Constant(0), Constant(1), Constant(-1)]
    found: list[Term] = [Call(each, (inner,)) for each in (INCR, DECR0) for inner in numbers_of_size(size - 1)]
    for first in range(1, size - 1):
        for pair in product(numbers_of_size(first), numbers_of_size(size - 1 - first)):
            spelled = Fix(pair[0]) if calls_itself(pair[0]) else pair[0]
            found += [Recur(pair), Apply("+", pair[1], pair), Apply("f", pair[1], pair), Apply("", spelled, pair[1:])]
    for first, second in product(range(1, size - 2), repeat=2):
        if first + second < size - 1:
            parts = map(numbers_of_size, (first, second, size - 1 - first - second))
            found += [If0(*each) for each in product(*parts)]
    return found


def calls_itself(term: Term) -> bool:
    return any(isinstance(each, Recur) for each in subterms(term))


def all_different(found: list[Term]) -> bool:
    """Whether terms have as many notations as texts."""
    return len({to_notation(each) for each in found}) == len({to_text(each) for each in found})


def test_small_programs_over_lists_look_different():
    found = [each for size in range(1, 7) for each in terms_of_size(size, 1, primitives=REVERSING, grounded=True)]
    assert len(found) > 1000
    assert all_different(found)


def test_small_programs_over_numbers_look_different():
    found = [each for size in range(1, 5) for each in numbers_of_size(size)]
    recursive = [each for each in found if calls_itself(each)]
    assert len(recursive) > 100
    assert all_different(found + [Fix(each) for each in found if each not in recursive])
    assert all_different(list(map(Fix, recursive)))


@given(st.lists(terms(2, tokens=ODD, primitives=RECURSIVE, grounded=True), min_size=2, max_size=6))
def test_programs_with_odd_tokens_look_different(found):
    assert all_different(found)


@given(terms(2, tokens=ODD, primitives=RECURSIVE, grounded=True))
def test_the_notation_of_a_text_is_that_of_its_term(term):
    assert to_notation(to_text(term)) == to_notation(term)


@pytest.mark.parametrize(
    ("text", "notation"),
    [
        ("nil", "[]"),
        ("empty", "∅"),
        ("(append x0 (append x1 x0))", "x0 ++ x1 ++ x0"),
        ("(append (append x0 x1) x0)", "(x0 ++ x1) ++ x0"),
        ('(cons "A" nil)', "[A]"),
        ('(cons "A" (cons "B" x0))', "[A, B] ++ x0"),
        ('(append (cons "A" nil) x0)', "([A]) ++ x0"),
        ('(append x0 (cons "x1" x1))', 'x0 ++ ["x1"] ++ x1'),
        ("(cons (car x0) (cdr x1))", "[head(x0)] ++ tail(x1)"),
        ("(cons self (reverse x0))", "[self] ++ reverse(x0)"),
        ("(fold x0 nil (append rest (cons item nil)))", "fold(x0, [], rest ++ [item])"),
        ("(incr (incr (decr0 x0)))", "x0 ∸ 1 + 2"),
        ("(decr0 (if0 x0 1 x1))", "(if x0 = 0 then 1 else x1) ∸ 1"),
        ("(if0 (if0 x0 1 2) (incr x0) 0)", "if (if x0 = 0 then 1 else 2) = 0 then x0 + 1 else 0"),
        ("(fix (if0 x1 x0 (rec (decr0 x0) (decr0 x1))))", "if x1 = 0 then x0 else rec(x0 ∸ 1, x1 ∸ 1)"),
        ("(fix x0)", "fix(x0)"),
        ('("+" x0 ("f" 3))', '"+"(x0, f(3))'),
        ("(apply (fix (if0 x0 0 (rec (decr0 x0)))) x1)", "{if x0 = 0 then 0 else rec(x0 ∸ 1)}(x1)"),
        ("(fix (apply (fix (if0 x0 0 (rec (decr0 x0)))) x1))", "fix({if x0 = 0 then 0 else rec(x0 ∸ 1)}(x1))"),
    ],
)
def test_notation(text, notation):
    assert to_notation(text) == notation


def test_what_is_only_shaped_like_a_program_has_a_notation():
    assert to_notation('(cons "A" (cons "B"))') == '[A] ++ cons("B")'
    assert to_notation("(incr (incr x0 x1))") == "incr(x0, x1) + 1"
    assert to_notation("(hop x0)") == "hop(x0)"


def test_a_primitive_without_arguments_is_no_token():
    assert to_notation("(cons foo nil)") == "[foo()]"
    assert to_notation('(cons "foo" nil)') == "[foo]"
    assert to_notation("(f foo rest)") == "f(foo(), rest)"


def test_text_is_only_as_deep_as_programs():
    def nested(count):
        return "(cdr " * count + "x0" + ")" * count

    assert to_notation(nested(MAX_SIZE - 1)).count("tail") == MAX_SIZE - 1
    for count in (MAX_SIZE, 2000):
        with pytest.raises(ProgramError, match=f"line 1, column 1: more than {MAX_SIZE} deep"):
            to_notation(nested(count))


@pytest.mark.parametrize("text", ["", "x0 ++ x0", "(cons", "[A]"])
def test_what_is_no_program_is_refused(text):
    with pytest.raises(ProgramError, match="line 1, column"):
        to_notation(text)
