"""Programs: their text, what is said of wrong text, and running them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import LISTS, RECURSIVE, REVERSING, TOKENS, interpret, lists, terms

from nsr.errors import ConfigError, ProgramError
from nsr.semantics.compilation import compile_term
from nsr.semantics.inversion import invert
from nsr.semantics.notation import parse_program, to_text
from nsr.semantics.primitives import PRIMITIVES, Type, primitive_set
from nsr.semantics.programs import (
    MAX_SIZE,
    Argument,
    Call,
    Constant,
    Fold,
    Item,
    Rest,
    Self,
    grounded,
    quote,
    result_type,
    size,
    subterms,
    uses,
)
from nsr.semantics.values import EMPTY, MISSING

ODD_TOKENS = ('"', "\\", "#", "x0", "nil", "self", "empty", "_", "a b", "é∅", "\t\n\u2028", "", "(", "1")


def parse(text, arity=2):
    return parse_program(text, LISTS, arity)


# Text


@given(terms(arity=2, tokens=TOKENS + ODD_TOKENS, primitives=REVERSING, grounded=True))
def test_text_round_trip(term):
    assert parse_program(to_text(term), REVERSING, 2) == term


@given(terms(arity=2, most=40, tokens=TOKENS + ODD_TOKENS, primitives=RECURSIVE, grounded=True))
def test_text_round_trip_of_folds(term):
    assert parse_program(to_text(term), RECURSIVE, 2) == term


def test_text_of_each_kind_of_term():
    text = '(append (cons "A" nil) (cdr (cons (car x1) (cons self x0))))'
    assert to_text(parse(text)) == text


@pytest.mark.parametrize("arity", [0, 2])
def test_nothing_is_a_whole_program(arity):
    assert parse(" empty # it says nothing", arity) == Constant(EMPTY)
    assert to_text(Constant(EMPTY)) == "empty"
    assert to_text(Constant("empty")) == '"empty"'


def test_spaces_and_comments_do_not_matter():
    assert parse('# first "\n\t( cons"A" # then\n x0\n)\r\n') == parse('(cons "A" x0)')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('(cons "A"\n  x0', "line 2, column 5: the text stops too early"),
        ("", "line 1, column 1: the text stops too early"),
        ("# nothing\n", "line 2, column 1: the text stops too early"),
        ("x0\n  x1", "line 2, column 3: 'x1' is not what a program has here"),
        ('(cons "A" x0))', "line 1, column 14: ')' is not what a program has here"),
        ("(nil)", "line 1, column 5: ')' is not what a program has here"),
        ("(cdr\n @)", "line 2, column 2: '@)' is not what a program has here"),
        ('(cons "A\n" x0)', "line 1, column 7: '\"A' is not what a program has here"),
        ("(cdr\n (tail x0))", "line 2, column 2: unknown primitive 'tail'; known: nil, cons, append, car, cdr"),
        ("x0y", "line 1, column 1: unknown primitive 'x0y'; known: nil, cons, append, car, cdr"),
        ("(append x0)", "line 1, column 1: append takes 2 arguments, not 1"),
        ("(cdr (append x0 x1 x0))", "line 1, column 6: append takes 2 arguments, not 3"),
        ("(cdr cdr)", "line 1, column 6: cdr takes 1 arguments, not 0"),
        ("(cons x0 x1)", "line 1, column 1: argument 1 of cons must have type token, not list"),
        ('(cdr\n(append x0 "A"))', "line 2, column 1: argument 2 of append must have type list, not token"),
        ("(cons 1 x0)", "line 1, column 1: argument 1 of cons must have type token, not int"),
        ("(cdr x2)", "line 1, column 6: x2 is not an argument; there are: x0, x1"),
        ("(cdr x00)", "line 1, column 6: x00 is not an argument; there are: x0, x1"),
        ("\n (car x0)", "line 2, column 2: the program must have type list, not token"),
        ("-12", "line 1, column 1: the program must have type list, not int"),
        ("self", "line 1, column 1: the program must have type list, not token"),
        ("(car self)", "line 1, column 1: argument 1 of car must have type list, not token"),
        ("(self x0)", "line 1, column 1: unknown primitive 'self'; known: nil, cons, append, car, cdr"),
        ("(append empty x0)", "line 1, column 1: argument 1 of append must have type list, not nothing"),
        ("(cons empty x0)", "line 1, column 1: argument 1 of cons must have type token, not nothing"),
        ("(empty x0)", "line 1, column 1: unknown primitive 'empty'; known: nil, cons, append, car, cdr"),
        ("(reverse x0)", "line 1, column 1: unknown primitive 'reverse'; known: nil, cons, append, car, cdr"),
        (r'(cons "\q" x0)', r'line 1, column 7: "\q" is not a well-formed string'),
        (r'(cons "\ud800" x0)', r'line 1, column 7: "\ud800" is not a well-formed string'),
        ("(cons " + "9" * 5000 + " x0)", "line 1, column 7: '999999999999' is not what a program has here"),
        ("(cdr " * 128 + "x0" + ")" * 128, "line 1, column 1: more than 128 nodes"),
        ("(cdr " * 9999 + "x0" + ")" * 9999, "line 1, column 1: more than 128 nodes"),
    ],
)
def test_wrong_text(text, message):
    with pytest.raises(ProgramError) as error:
        parse(text)
    assert str(error.value) == message


def test_a_program_without_arguments_has_none():
    with pytest.raises(ProgramError, match="x0 is not an argument; there are: none"):
        parse("x0", arity=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(fold x0 nil\n (append rest x0))", "line 2, column 15: x0 is not allowed in the step of a fold"),
        ("(fold x0 nil (cons self rest))", "line 1, column 20: self is not allowed in the step of a fold"),
        ("(fold x0 nil (fold rest nil rest))", "line 1, column 14: fold is not allowed in the step of a fold"),
        ("(append x0\n rest)", "line 2, column 2: rest is allowed only in the step of a fold"),
        ("(cons item x0)", "line 1, column 7: item is allowed only in the step of a fold"),
        ("rest", "line 1, column 1: rest is allowed only in the step of a fold"),
        ("(fold rest nil rest)", "line 1, column 7: rest is allowed only in the step of a fold"),
        ("(fold x0 (cons item nil) rest)", "line 1, column 16: item is allowed only in the step of a fold"),
        ("(cdr (fold x0 nil))", "line 1, column 6: fold takes 3 arguments, not 2"),
        ("(fold x0 nil rest x1)", "line 1, column 1: fold takes 3 arguments, not 4"),
        ("fold", "line 1, column 1: fold takes 3 arguments, not 0"),
        ("(fold self nil rest)", "line 1, column 1: argument 1 of fold must have type list, not token"),
        ("(fold x0 (car x1) rest)", "line 1, column 1: argument 2 of fold must have type list, not token"),
        ("(fold x0 nil item)", "line 1, column 1: argument 3 of fold must have type list, not token"),
        ("(fold x0 nil (cons rest nil))", "line 1, column 14: argument 1 of cons must have type token, not list"),
        ("(item x0)", "line 1, column 1: unknown primitive 'item'; known: nil, cons, append, car, cdr, fold"),
    ],
)
def test_wrong_folds(text, message):
    with pytest.raises(ProgramError) as error:
        parse_program(text, RECURSIVE, 2)
    assert str(error.value) == message


@pytest.mark.parametrize(("text", "name"), [("(fold x0 nil x0)", "fold"), ("(cons item x0)", "item"), ("rest", "rest")])
def test_folds_are_only_for_primitives_with_recursion(text, name):
    with pytest.raises(ProgramError, match=f"unknown primitive '{name}'; known: nil, cons, append, car, cdr$"):
        parse(text)


# Terms


def test_subterms_come_outermost_first():
    term = parse('(cons "A" (append x0 x1))')
    assert [to_text(each) for each in subterms(term)] == [to_text(term), '"A"', "(append x0 x1)", "x0", "x1"]
    assert size(term) == 5
    assert (uses(term, 1), uses(term, 2)) == (True, False)


def test_terms_inside_a_fold():
    term = parse_program("(fold x1 nil (cons item rest))", RECURSIVE, 2)
    assert term == Fold(Argument(1), Call(LISTS["nil"]), Call(LISTS["cons"], (Item(), Rest())))
    assert [to_text(each) for each in subterms(term)][1:] == ["x1", "nil", "(cons item rest)", "item", "rest"]
    assert (uses(term, 0), uses(term, 1)) == (False, True)
    assert [result_type(each, Type.INT) for each in (term, Item(), Rest())] == [Type.LIST, Type.TOKEN, Type.LIST]


def test_result_type():
    assert [result_type(term, Type.INT) for term in (Argument(0), Constant("A"), Constant(1), Call(LISTS["nil"]))] == [
        Type.INT,
        Type.TOKEN,
        Type.INT,
        Type.LIST,
    ]
    assert result_type(Self(), Type.LIST) is Type.TOKEN
    assert result_type(Constant(EMPTY), Type.LIST) is Type.NOTHING


@given(terms(arity=2, grounded=True))
def test_what_asks_for_the_token(term):
    assert grounded(term) == ("self" in to_text(term))


def test_types_are_those_of_values():
    values = {Type.TOKEN: "A", Type.LIST: ("A",), Type.INT: 1, Type.NOTHING: EMPTY}
    assert all(isinstance(values[kind], kind.python) for kind in Type)


@given(lists)
def test_quote(value):
    assert compile_term(quote(value), 100)(()) == value
    assert quote("A") == Constant("A")
    assert quote(EMPTY) == Constant(EMPTY)


def test_primitive_sets_are_known_by_name():
    assert primitive_set("list") is PRIMITIVES["list"]
    assert REVERSING.primitives == (*LISTS.primitives, REVERSING["reverse"])
    assert RECURSIVE.primitives == LISTS.primitives
    assert [each.name for each in PRIMITIVES.values() if each.recursion] == ["list-recursive", "int"]
    with pytest.raises(ConfigError, match="unknown primitives 'lists'; did you mean list"):
        primitive_set("lists")


def test_primitives_are_known_by_name():
    assert repr(LISTS["car"]) == "car"
    assert "cdr" in LISTS
    assert "first" not in LISTS
    with pytest.raises(KeyError):
        LISTS["first"]


# Running


@given(terms(arity=2), st.tuples(lists, lists), st.integers(0, 8))
def test_running_is_what_the_reference_does(term, arguments, max_length):
    assert compile_term(term, max_length)(arguments) == interpret(term, arguments, max_length)


@given(
    terms(arity=2, primitives=REVERSING, grounded=True),
    st.tuples(lists, lists, st.sampled_from(("A", "B", "C"))),
    st.integers(0, 8),
)
def test_and_at_a_token(term, arguments, max_length):
    assert compile_term(term, max_length)(arguments) == interpret(term, arguments, max_length)


@given(
    terms(arity=2, most=40, primitives=RECURSIVE, grounded=True),
    st.tuples(lists, lists, st.sampled_from(("A", "B", "C"))),
    st.integers(0, 20),
)
def test_folds_are_recursion(term, arguments, max_length):
    assert compile_term(term, max_length)(arguments) == interpret(term, arguments, max_length)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(fold x0 nil (append rest (cons item nil)))", "C B A"),
        ("(fold x0 x1 (cons item rest))", "A B C D"),
        ("(fold (cdr x0) x0 (cdr rest))", "C"),
        ("(fold x0 nil (cons item (cons item rest)))", "A A B B C C"),
        ('(fold x0 nil (cons "A" rest))', "A A A"),
        ("(fold nil x1 (cdr rest))", "D"),
        ("(fold (fold x0 nil (append rest (cons item nil))) x1 (cons item rest))", "C B A D"),
    ],
)
def test_folds(text, value):
    run = compile_term(parse_program(text, RECURSIVE, 2), 6)
    assert run((("A", "B", "C"), ("D",))) == tuple(value.split())


@pytest.mark.parametrize("text", ["(fold (cdr nil) x0 rest)", "(fold x0 (cdr nil) nil)", "(fold x0 nil (cdr rest))"])
def test_undefined_in_a_fold_is_undefined(text):
    assert compile_term(parse_program(text, RECURSIVE, 1), 100)((("A", "B"),)) is MISSING


def test_folds_over_long_lists():
    run = compile_term(parse_program("(fold x0 nil (append rest (cons item nil)))", RECURSIVE, 1), 5_000)
    items = tuple(map(str, range(5_000)))
    assert run((items,)) == items[::-1]
    assert run(((*items, "A"),)) is MISSING
    assert run((MISSING,)) is MISSING
    twice = compile_term(parse_program("(fold x0 x0 (append rest rest))", RECURSIVE, 1), 5_000)
    assert twice((items,)) is MISSING, "however long it would be"
    same = compile_term(parse_program("(fold x0 nil rest)", RECURSIVE, 1), 5_000)
    assert same(((*items, "A"),)) is MISSING, "steps are counted too"


@pytest.mark.parametrize("text", ["(cdr nil)", "(cons (car nil) x0)", "(append x0 (cdr nil))", "(append (cdr nil) x0)"])
def test_undefined_inside_is_undefined(text):
    assert compile_term(parse(text), 100)((("A",), ())) is MISSING


@given(terms(arity=2), lists)
def test_missing_arguments_are_undefined_where_they_matter(term, other):
    found = compile_term(term, 100)((MISSING, other))
    assert found is MISSING if uses(term, 0) else found == interpret(term, (None, other))


def test_the_bound_on_lists_holds_inside_too():
    run = compile_term(parse("(cdr (append x0 (append x0 x0)))"), 6)
    assert run((("A", "B"), ())) == ("B", "A", "B", "A", "B")
    assert run((("A", "B", "A"), ())) is MISSING


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("(cdr " * 127 + "x0" + ")" * 127, 130),
        ("(append x0 " * 63 + "x1" + ")" * 63, 1),
        ("(append " * 63 + "x0" + " x1)" * 63, 1),
        (to_text(quote(("A",) * 63)), 1),
    ],
    ids=["unary", "right", "left", "quote"],
)
def test_deep_terms(text, most):
    """No recursion ends in an error, even when the caller is rather deep itself."""

    def check():
        term = parse(text)
        assert size(term) in (MAX_SIZE - 1, MAX_SIZE)
        assert term == parse(to_text(term))
        assert hash(term) == hash(parse(to_text(term)))
        arguments = (("A",) * most, ("B",))
        value = compile_term(term, 200)(arguments)
        assert value == interpret(term, arguments)
        assert invert(term, value, arguments, 1, 200) == ([("B",)] if uses(term, 1) else [])

    called_from(200, check)


def called_from(depth, function):
    return called_from(depth - 1, function) if depth else function()


def test_quote_of_a_long_list():
    term = quote(("A",) * 100_000)
    assert size(term) == 200_001
