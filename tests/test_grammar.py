"""lark grammars as input languages: what is listed, what is accepted, what is said of the rest."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark, Token, Transformer, Tree, v_args
from lark.exceptions import LarkError

from nsr.errors import InputError
from nsr.syntax.grammar import check, language, load_grammar

VERBS = ("walk", "look", "run", "jump")
SCAN_WORDS = ("and", "after", "twice", "thrice", "opposite", "around", "turn", "left", "right", *VERBS)


def lalr(text: str) -> Lark:
    return Lark(text, parser="lalr")


@pytest.fixture
def scan() -> Lark:
    return load_grammar("scan")


def test_grammars_are_loaded_once():
    assert load_grammar("scan") is load_grammar("scan")


def test_check_returns_the_derivation(scan):
    tree = check(scan, ["jump", "around", "left", "twice", "and", "run"])
    around = Tree("around", [Tree("jump", []), Tree("left", [])])
    assert tree == Tree("and_", [Tree("twice", [around]), Tree("run", [])])


def test_tokens_of_the_tree_know_the_index_of_their_word():
    tree = check(lalr("start: NAME+ \n NAME: /[a-z]+/ \n %ignore / /"), ["a", "bc", "d"])
    assert [(token.type, str(token), token.start_pos) for token in tree.children] == [
        ("NAME", "a", 0),
        ("NAME", "bc", 1),
        ("NAME", "d", 2),
    ]


def test_the_parser_chooses_the_reading_of_an_ambiguous_word():
    grammar = lalr('start: "let" NAME \n NAME: /[a-z]+/ \n %ignore / /')
    assert check(grammar, ["let", "let"]) == Tree("start", [Token("NAME", "let")])


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("", "empty sentence"),
        ("jump twice hop", f"unknown word 'hop' at position 3; known words: {', '.join(SCAN_WORDS)}"),
        ("twice", "'twice' at position 1 cannot stand here; expected one of: turn, walk, look, run, jump"),
        (
            "jump left twice twice",
            "'twice' at position 4 cannot stand here; expected one of: and, after, the end of the sentence",
        ),
        ("jump around", "the sentence stops too early; expected one of: left, right"),
        ("jump and", "the sentence stops too early; expected one of: turn, walk, look, run, jump"),
        ("turn", "the sentence stops too early; expected one of: opposite, around, left, right"),
    ],
)
def test_check_says_what_is_wrong(scan, sentence, message):
    with pytest.raises(InputError) as error:
        check(scan, sentence.split())
    assert str(error.value) == message


@pytest.mark.parametrize("words", [["jumptwice"], ["jump twice"], ["Jump"], ["jump", ""], ["jump", "\n"]])
def test_a_token_is_one_whole_word(scan, words):
    with pytest.raises(InputError, match="unknown word"):
        check(scan, words)


def test_patterns_are_named_in_messages():
    grammar = lalr('start: "say" NUMBER \n NUMBER: /[0-9]+/ \n %ignore / /')
    with pytest.raises(InputError, match=r"expected one of: NUMBER$"):
        check(grammar, ["say"])


@given(st.lists(st.sampled_from(SCAN_WORDS), min_size=1, max_size=9))
def test_check_agrees_with_lark_on_text(words):
    grammar = load_grammar("scan")
    try:
        expected = grammar.parse(" ".join(words))
    except LarkError:
        with pytest.raises(InputError):
            check(grammar, words)
    else:
        assert check(grammar, words) == expected


@given(st.lists(st.text(max_size=6), max_size=6))
def test_check_refuses_any_text_with_one_line(words):
    with pytest.raises(InputError) as error:
        check(load_grammar("scan"), words)
    assert len(str(error.value).splitlines()) == 1


def test_language_is_all_that_check_accepts():
    grammar = load_grammar("scan")
    short = {words for words, _ in language(grammar, None) if len(words) <= 3}

    def accepted(words):
        try:
            return bool(check(grammar, words))
        except InputError:
            return False

    every = (words for length in (1, 2, 3) for words in product(SCAN_WORDS, repeat=length))
    assert short == set(filter(accepted, every))


SUMS = """
start: sum
?sum: term | sum_of_two
sum_of_two: term "+" term          -> add
?term: digit | "-" digit           -> negate
?digit: "0" -> zero | "1" -> one
%ignore " "
"""


@v_args(inline=True)
class Calculator(Transformer):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def start(self, value):
        return value

    def zero(self):
        self.calls += 1
        return 0

    def one(self):
        return 1

    def negate(self, value):
        return -value

    def add(self, left, right):
        return left + right


def test_language_interprets_each_production():
    sums = language(lalr(SUMS), Calculator())
    assert len(sums) == len(dict(sums)) == 4 + 4 * 4
    assert dict(sums)["1", "+", "-", "1"] == 0
    assert all(value == eval(" ".join(words)) for words, value in sums)


def test_each_constituent_is_interpreted_once():
    calculator = Calculator()
    language(lalr(SUMS), calculator)
    assert calculator.calls == 1


@pytest.mark.parametrize(
    "text",
    [
        SUMS,
        'start: a [b] c? \n a: "x" | "y" \n b: "z" \n c: "w"',  # a missing [b] is None
        'start: _pair a \n _pair: a a \n a: X | "y" \n X: "x"',  # _pair is inlined, the token X is kept
        '?start: a | a a \n !a: "x" "y" -> both \n | "z"',
        'start: twice{a} \n twice{x}: x x \n a: "x" | "y"',
        'start: "x"~2..3',
    ],
)
def test_values_are_what_lark_makes_of_the_parsed_sentence(text):
    class Upper(Transformer):
        def X(self, token):
            return token.upper()

    grammar = lalr(text + "\n%ignore / /")
    listed = language(grammar, Upper())
    assert listed
    assert listed == [(words, Upper().transform(check(grammar, words))) for words, _ in listed]


def test_language_is_in_the_order_of_the_rules():
    assert [words for words, _ in language(lalr('start: a a \n a: "x" | "y"'), None)] == [
        ("x", "x"),
        ("x", "y"),
        ("y", "x"),
        ("y", "y"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('start: "x" start | "y"', "infinite: rule 'start' contains itself"),
        ('start: a \n a: "(" b ")" \n b: a | "x"', "infinite: rule 'a' contains itself"),
        ('start: "x"+', "infinite"),
        ("start: NAME \n NAME: /[a-z]+/", "terminal 'NAME' is a pattern"),
    ],
)
def test_an_infinite_language_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        language(lalr(text), None)
