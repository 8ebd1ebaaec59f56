"""The lexicon and its text, which people edit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import LISTS, terms

from nsr.errors import ProgramError
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature, parse_lexicon
from nsr.semantics.programs import parse_program

SYMBOLS = ("jump", "left", "after")
ODD_SYMBOLS = ('"', "two words", "\\", "#", "x0", "é∅", "\t\n\u2028", "", "=", "(", "1")


def entry(text, *signatures):
    arity = sum(signatures[0])
    return Entry(parse_program(text, LISTS, arity), frozenset(Signature(*each) for each in signatures))


LEXICON = Lexicon(
    SYMBOLS,
    {
        Key(2, 2): entry("(append x1 x0)", (1, 1)),
        Key(0, 0): entry('(cons "I_JUMP" nil)', (0, 0)),
        Key(1, 1): entry('(cons "I_LEFT" x0)', (1, 0), (0, 1)),
    },
)
TEXT = """\
"jump" = (cons "I_JUMP" nil)
"left" x0 = (cons "I_LEFT" x0)
x0 "left" = (cons "I_LEFT" x0)
x0 "after" x1 = (append x1 x0)
"""


def parse(text):
    return parse_lexicon(text, SYMBOLS, LISTS)


@st.composite
def lexicons(draw):
    symbols = draw(st.lists(st.sampled_from(ODD_SYMBOLS) | st.text(max_size=5), min_size=1, max_size=4, unique=True))
    entries = {}
    for key in draw(st.sets(st.builds(Key, st.integers(0, len(symbols) - 1), st.integers(0, 3)), max_size=5)):
        lefts = draw(st.sets(st.integers(0, key.arity), min_size=1))
        signatures = frozenset(Signature(left, key.arity - left) for left in lefts)
        entries[key] = Entry(draw(terms(key.arity, tokens=("A", *ODD_SYMBOLS))), signatures)
    return Lexicon(tuple(symbols), entries)


@given(lexicons())
def test_text_round_trip(lexicon):
    assert parse_lexicon(lexicon.to_text(), lexicon.symbols, LISTS) == lexicon


def test_text():
    assert LEXICON.to_text() == TEXT
    assert parse(TEXT) == LEXICON


def test_text_of_a_symbol_is_quoted():
    lexicon = Lexicon(('a "b" # \\é',), {Key(0, 0): entry("nil", (0, 0))})
    assert lexicon.to_text() == '"a \\"b\\" # \\\\é" = nil\n'


def test_text_may_be_laid_out_freely():
    lines = TEXT.splitlines()
    assert parse("# edited\r\n" + "\r\n\n".join(lines[::-1]) + " # the end") == LEXICON
    assert parse(TEXT.replace(" ", "\n")) == LEXICON
    assert parse("") == parse("# nothing\n") == Lexicon(SYMBOLS)


def test_a_line_said_twice_is_one():
    assert parse(TEXT + TEXT) == LEXICON


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jump = nil", "line 1, column 1: 'jump = nil' is not what a program has here"),
        ('"jump" nil', "line 1, column 8: 'nil' is not what a program has here"),
        ('"jump" = ', "line 1, column 10: the text stops too early"),
        ('"jump" = nil\n"left" =\n', "line 3, column 1: the text stops too early"),
        ('"jump" = (cons "I_JUMP" nil', "line 1, column 28: the text stops too early"),
        ('"jump" = nil nil', "line 1, column 14: 'nil' is not what a program has here"),
        ('"jump" = nil\n"jum" = nil', 'line 2, column 1: unknown symbol "jum"'),
        ('x0 "Left" = x0', 'line 1, column 4: unknown symbol "Left"'),
        (r'x0 "le\ft\q" = x0', r'line 1, column 4: "le\ft\q" is not a well-formed string'),
        ('"jump" = x0', "line 1, column 10: x0 is not an argument; there are: none"),
        ('x0 "left" =\n  (append x0 x1)', "line 2, column 14: x1 is not an argument; there are: x0"),
        ('x1 "after" x0 = nil', "line 1, column 1: arguments must be numbered x0, x1, ... from left to right"),
        ('x0 "after" x0 = nil', "line 1, column 12: arguments must be numbered x0, x1, ... from left to right"),
        ('"left" x1 = nil', "line 1, column 8: arguments must be numbered x0, x1, ... from left to right"),
        ('"jump" = "I_JUMP"', "line 1, column 10: the program must have type list, not token"),
        (
            '"jump" = (list "I_JUMP")',
            "line 1, column 10: unknown primitive 'list'; known: nil, cons, append, car, cdr",
        ),
        (f'{TEXT}\n"left" x0 = x0', 'line 6, column 1: "left" has another program of 1 arguments already'),
    ],
)
def test_wrong_text(text, message):
    with pytest.raises(ProgramError) as error:
        parse(text)
    assert str(error.value) == message


def test_a_symbol_may_have_several_arities():
    lexicon = parse(TEXT + '"left" = nil')
    assert lexicon.signatures(1) == {(0, 0), (0, 1), (1, 0)}
    assert {signature.arity for signature in lexicon.signatures(1)} == {0, 1}


def test_look_up():
    assert Key(1, 1) in LEXICON
    assert LEXICON.program((1, 1)) == parse_program('(cons "I_LEFT" x0)', LISTS, 1)
    assert Key(1, 0) not in LEXICON
    assert LEXICON.program((1, 0)) is None
    assert parse("").signatures(1) == frozenset()
