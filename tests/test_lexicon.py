"""The lexicon and its text, which people edit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import LISTS, REVERSING, terms

import nsr
from nsr.errors import ProgramError
from nsr.learning.config import Config
from nsr.learning.consistency import KeyEvidence
from nsr.learning.lexicon import revise
from nsr.semantics.lexicon import MAX_DEPENDENTS, Entry, Key, Lexicon, Signature, parse_lexicon
from nsr.semantics.notation import parse_program
from nsr.semantics.primitives import primitive_set
from nsr.semantics.programs import Constant
from nsr.semantics.values import EMPTY
from nsr.tasks.expressions import VOCABULARY
from nsr.tasks.hint import GOLD_LEXICON
from nsr.tasks.task import LITERAL

SYMBOLS = ("jump", "left", "after", ",", "<literal>")
ODD_SYMBOLS = ('"', "two words", "\\", "#", "x0", "é∅", "\t\n\u2028", "", "=", "(", "1", "_", "self", "empty", LITERAL)
NOTHING = Constant(EMPTY)


def entry(text, *signatures):
    signatures = [Signature(*each) for each in signatures]
    return Entry(parse_program(text, LISTS, signatures[0].arity), frozenset(signatures))


LEXICON = Lexicon(
    SYMBOLS,
    {
        Key(2, 2): entry("(append x1 x0)", (1, 1)),
        Key(0, 0): entry('(cons "I_JUMP" nil)', (0, 0)),
        Key(1, 1): entry('(cons "I_LEFT" x0)', (1, 0), (0, 1)),
        Key(3, 0): entry("empty", (0, 0, (), True)),
        Key(2, 3): entry("(append x2 (append x0 x1))", (1, 4, (2, 4)), (4, 1, (0, 3))),
        Key(4, 0): entry("(cons self nil)", (0, 0)),
        Key(4, 1): entry("(cons self x0)", (0, 1), (1, 1, (0,)), (0, 2, (1,))),
    },
)
TEXT = """\
"jump" = (cons "I_JUMP" nil)
"left" x0 = (cons "I_LEFT" x0)
x0 "left" = (cons "I_LEFT" x0)
x0 "after" x1 = (append x1 x0)
x0 "after" x1 _ x2 _ = (append x2 (append x0 x1))
_ x0 x1 _ "after" x2 = (append x2 (append x0 x1))
"," = empty
"<literal>" = (cons self nil)
"<literal>" x0 = (cons self x0)
"<literal>" x0 _ = (cons self x0)
_ "<literal>" x0 = (cons self x0)
"""


def parse(text):
    return parse_lexicon(text, SYMBOLS, LISTS)


@st.composite
def lexicons(draw):
    symbols = draw(st.lists(st.sampled_from(ODD_SYMBOLS) | st.text(max_size=5), min_size=1, max_size=4, unique=True))
    entries = {}
    for key in draw(st.sets(st.builds(Key, st.integers(0, len(symbols) - 1), st.integers(0, 3)), max_size=5)):
        tokens = "A", *ODD_SYMBOLS
        program = draw(st.just(NOTHING) | terms(key.arity, tokens=tokens, primitives=REVERSING, grounded=True))
        signatures = draw(st.frozensets(signatures_of(key.arity, program == NOTHING), min_size=1, max_size=3))
        entries[key] = Entry(program, signatures)
    return Lexicon(tuple(symbols), entries)


@st.composite
def signatures_of(draw, arity, valueless):
    count = arity + draw(st.integers(0, 2))
    left = draw(st.integers(0, count))
    empty = draw(st.permutations(range(count)))[arity:]
    return Signature(left, count - left, tuple(sorted(empty)), valueless)


@given(lexicons())
def test_text_round_trip(lexicon):
    assert parse_lexicon(lexicon.to_text(), lexicon.symbols, REVERSING) == lexicon


@given(st.integers(0, 3).flatmap(lambda arity: st.tuples(st.just(arity), signatures_of(arity, False))))
def test_the_arity_of_a_signature_counts_the_dependents_with_a_value(case):
    arity, signature = case
    assert signature.arity == arity
    head, _ = (
        Lexicon(("f",), {Key(0, arity): Entry(parse_program("nil", LISTS, 0), {signature})}).to_text().split(" = ")
    )
    before, behind = (side.split() for side in head.split('"f"'))
    assert (len(before), len(behind)) == signature[:2]
    assert tuple(place for place, word in enumerate(before + behind) if word == "_") == signature.empty
    assert [word for word in before + behind if word != "_"] == [f"x{index}" for index in range(arity)]


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
        (f'{TEXT}\n"left" x0 = x0', 'line 13, column 1: "left" has another program of 1 arguments already'),
        (f'{TEXT}"," = nil', 'line 12, column 1: "," has another program of 0 arguments already'),
        (f'{TEXT}"," _ = nil', 'line 12, column 1: "," has another program of 0 arguments already'),
        ('"after" x0 _ x2 = nil', "line 1, column 14: arguments must be numbered x0, x1, ... from left to right"),
        ('"left" _ = x0', "line 1, column 12: x0 is not an argument; there are: none"),
        ('"left" x0 _ = x1', "line 1, column 15: x1 is not an argument; there are: x0"),
        ('"left" x0 = _', "line 1, column 13: '_' is not what a program has here"),
        ("_ = nil", "line 1, column 3: '= nil' is not what a program has here"),
        ('_ "jump" "left" = nil', "line 1, column 10: '\"left\" = nil' is not what a program has here"),
        ('"left" x0 = (append empty x0)', "line 1, column 13: argument 1 of append must have type list, not nothing"),
        ('"left" x0 = (append x0 empty)', "line 1, column 13: argument 2 of append must have type list, not nothing"),
        ('"jump" = (cons empty nil)', "line 1, column 10: argument 1 of cons must have type token, not nothing"),
        ('"jump" = (empty nil)', "line 1, column 10: unknown primitive 'empty'; known: nil, cons, append, car, cdr"),
        ('"jump" = self', "line 1, column 10: the program must have type list, not token"),
        ('"jump" = (append self nil)', "line 1, column 10: argument 1 of append must have type list, not token"),
        ('"jump" = (self nil)', "line 1, column 10: unknown primitive 'self'; known: nil, cons, append, car, cdr"),
        ('"jump" = (self)', "line 1, column 15: ')' is not what a program has here"),
        (
            '"left" x0 = (reverse x0)',
            "line 1, column 13: unknown primitive 'reverse'; known: nil, cons, append, car, cdr",
        ),
    ],
)
def test_wrong_text(text, message):
    with pytest.raises(ProgramError) as error:
        parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize("word", ["rec", "apply"])
def test_what_takes_arguments_stands_in_parentheses(word):
    with pytest.raises(ProgramError) as error:
        parse_lexicon(f'x0 "left" = (incr {word})', SYMBOLS, primitive_set("int"))
    assert str(error.value) == f"line 1, column 19: {word} takes arguments, so it stands in parentheses"


def test_a_symbol_has_not_too_many_dependents():
    assert parse("_ " * MAX_DEPENDENTS + '"jump" = nil').signatures[0]
    with pytest.raises(ProgramError) as error:
        parse("_ " * (MAX_DEPENDENTS + 1) + '"jump" = nil')
    assert str(error.value) == 'line 1, column 67: "jump" has more than 32 dependents'


def test_no_word_learns_more_dependents_than_can_be_read(tmp_path):
    model = nsr.NSR(separators=",", between=False).fit(["a" + " ," * 40, "b" + " ," * 40], ["A", "B"])
    model.save(tmp_path / "run")
    assert nsr.load(tmp_path / "run").predict(["a , ,", "b" + " ," * 40]) == model.predict(["a , ,", "b" + " ," * 40])
    most = max(each.left + each.right for known in model.lexicon.signatures for each in known)
    assert most <= MAX_DEPENDENTS


EDITS = [
    "",
    " ",
    "\n",
    "(",
    ")",
    '"',
    "=",
    "_",
    "#",
    "x0",
    "x7",
    "-1",
    "\0",
    '"jump"',
    "nil",
    "(cons",
    "fix",
    "rec",
    "apply",
    "self",
]


@given(
    st.sampled_from([(TEXT, LISTS), (GOLD_LEXICON, primitive_set("int"))]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 8), st.sampled_from(EDITS)), min_size=1, max_size=3),
)
def test_whatever_the_edit_a_message_has_line_and_column(lexicon, edits):
    text, primitives = lexicon
    for place, removed, put in edits:
        place %= len(text)
        text = text[:place] + put + text[place + removed :]
    message = None
    try:
        parse_lexicon(text, (*SYMBOLS, *VOCABULARY), primitives)
    except ProgramError as error:
        message = str(error)
    assert message is None or re.fullmatch(r"line \d+, column \d+: .+", message)


def test_a_symbol_may_have_several_arities():
    lexicon = parse(TEXT + '"left" = nil')
    assert lexicon.signatures[1] == {Signature(0, 0), Signature(0, 1), Signature(1, 0)}
    assert {signature.arity for signature in lexicon.signatures[1]} == {0, 1}
    assert {signature.arity for signature in lexicon.signatures[2]} == {2, 3}


def test_what_is_empty_has_no_value():
    assert parse(TEXT).signatures[3] == {Signature(0, 0, valueless=True)}
    assert parse('_ "," x0 = empty').signatures[3] == {Signature(1, 1, (0,), valueless=True)}
    assert not any(each.valueless for symbol in (0, 1, 2, 4) for each in parse(TEXT).signatures[symbol])


def test_look_up():
    assert Key(1, 1) in LEXICON
    assert LEXICON.program((1, 1)) == parse_program('(cons "I_LEFT" x0)', LISTS, 1)
    assert Key(1, 0) not in LEXICON
    assert LEXICON.program((1, 0)) is None
    assert parse("").signatures[1] == frozenset()


def test_a_program_keeps_its_heaviest_signature_whatever_is_pruned():
    """Without any it would have no line in the text."""
    weights = {Signature(1, 0): 1.0, Signature(0, 1): 1.1}
    known = Lexicon(("f",), {Key(0, 1): entry("x0", (1, 0))})
    found = revise(known, {Key(0, 1): KeyEvidence((), weights, 1.0, 2.1)}, {}, Config.of(prune=0.9))
    assert found.entries[0, 1].signatures == {Signature(0, 1)}
    assert found.to_text() == '"f" x0 = x0\n'
