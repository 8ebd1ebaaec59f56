"""Programs: their text, what is said of wrong text, and running them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import LISTS, REVERSING, TOKENS, interpret, lists, terms

from nsr.errors import ConfigError, ProgramError
from nsr.semantics.inversion import invert
from nsr.semantics.primitives import PRIMITIVES, Type, primitive_set
from nsr.semantics.programs import (
    MAX_SIZE,
    Argument,
    Call,
    Constant,
    Self,
    compile_term,
    grounded,
    parse_program,
    quote,
    result_type,
    size,
    subterms,
    to_text,
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


# Terms


def test_subterms_come_outermost_first():
    term = parse('(cons "A" (append x0 x1))')
    assert [to_text(each) for each in subterms(term)] == [to_text(term), '"A"', "(append x0 x1)", "x0", "x1"]
    assert size(term) == 5
    assert (uses(term, 1), uses(term, 2)) == (True, False)


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
    with pytest.raises(ConfigError, match="unknown primitives 'lists'; known: list"):
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
