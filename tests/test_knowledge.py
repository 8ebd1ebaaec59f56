"""What is told beforehand: words that denote themselves, words that mean nothing, and where those stand."""

import numpy as np
import pytest
from learners import modules_of
from terms import LISTS

import nsr
from nsr.errors import ConfigError, InputError
from nsr.gss import ROOT
from nsr.learning.config import Config, KnowledgeConfig, flat
from nsr.learning.deduction import deduce
from nsr.learning.knowledge import given_lexicon, literal_words, token_perception
from nsr.perception.tokens import TokenPerception
from nsr.semantics.execution import Executor, Layout
from nsr.semantics.lexicon import Lexicon, Signature, parse_lexicon
from nsr.semantics.notation import to_text
from nsr.semantics.values import EMPTY, MISSING
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.task import LITERAL

INPUTS = [("copy", "A", "B"), ("append", "A", ",", "C")]
OUTPUTS = [("A", "B"), ("A", "C")]
BOTH = KnowledgeConfig(literals=True, separators=",")


def test_nothing_is_told_unless_asked_for():
    perception = token_perception(INPUTS, OUTPUTS, KnowledgeConfig())
    assert perception.symbols == (",", "A", "B", "C", "append", "copy")
    assert given_lexicon(perception, KnowledgeConfig()) == Lexicon(perception.symbols)


def test_words_of_inputs_and_outputs_are_literals():
    perception = token_perception(INPUTS, OUTPUTS, BOTH)
    assert perception.symbols == (",", "append", "copy", LITERAL)
    readings = perception.read([("copy", "A", "B", "E")]).symbols[0, 0].tolist()
    assert [perception.symbols[symbol] for symbol in readings] == ["copy", LITERAL, LITERAL, LITERAL]


def test_literals_too_rare_to_be_seen_in_an_output():
    """Not quite half of the literals are missing: after six sentences without it in their outputs, a word is none."""
    letters = [f"L{index}" for index in range(20)]
    inputs = [(letters[index], letters[index - 1], "second") for index in range(20)]
    outputs = [(second,) for _, second, _ in inputs]
    for count in range(1, 10):
        others = [("rare", "A", "second")] * count
        assert literal_words(inputs, outputs) == set(letters)
        found = literal_words([*inputs, *others], [*outputs, *[("A",)] * count])
        missing = 20 / (40 + count)
        assert found == {*letters, "A", *(["rare"] if missing**count > 0.01 else [])}
        assert ("rare" in found) == (count < 6)


@pytest.mark.parametrize("outputs", [[("X", "Y")] * 2, [7, 4]], ids=["other words", "numbers"])
def test_where_outputs_have_no_word_of_the_inputs_there_are_no_literals(outputs):
    perception = token_perception(INPUTS, outputs, BOTH)
    assert perception.symbols == (",", "A", "B", "C", "append", "copy")
    assert perception.literal is None


def test_separators_are_no_literals():
    inputs = [("second", "A", "B"), ("second", "B", "A"), ("append", "A", ",", "B"), ("append", "A", ",", ",")]
    outputs = [("B",), ("A",), ("A", "B"), ("A", ",")]
    assert "," in token_perception(inputs, outputs, BOTH).words


def test_the_given_lexicon():
    lexicon = given_lexicon(token_perception(INPUTS, OUTPUTS, BOTH), BOTH)
    assert lexicon.symbols == (",", "append", "copy", LITERAL)
    assert lexicon.to_text() == '"," = empty\n"<literal>" = (cons self nil)\n"<literal>" x0 = (cons self x0)\n'
    assert lexicon.signatures[0] == {Signature(0, 0, valueless=True)}
    assert lexicon.signatures[3] == {Signature(0, 0), Signature(0, 1)}
    assert all(entry.agreement == 1.0 for entry in lexicon.entries.values())
    assert parse_lexicon(lexicon.to_text(), lexicon.symbols, LISTS) == lexicon


@pytest.mark.parametrize(
    ("separators", "expected"),
    [("", []), (",", [","]), (", )  (", ["(", ")", ","]), ("; ,", [","]), (";", []), (", ,", [","])],
)
def test_separators_are_those_declared_that_occur(separators, expected):
    perception = TokenPerception(("(", ")", ",", "f"))
    lexicon = given_lexicon(perception, KnowledgeConfig(separators=separators))
    assert {lexicon.symbols[symbol] for symbol, _ in lexicon.entries} == set(expected)
    assert len(lexicon.entries) == len(expected)
    assert all(to_text(entry.program) == "empty" for entry in lexicon.entries.values())


def test_a_chain_of_literals_is_the_list_of_them():
    lexicon = given_lexicon(token_perception(INPUTS, OUTPUTS, BOTH), BOTH)
    executor = Executor()
    literal, comma = lexicon.symbols.index(LITERAL), lexicon.symbols.index(",")
    tokens = executor.values.ids(["Z", "Y", "X", ","])[None]
    found = executor.execute(
        np.array([[literal] * 3 + [comma]]), np.array([[ROOT, 0, 1, 2]]), lexicon, grounds=tokens
    ).values[0]
    assert [executor.values[value] for value in found] == [("Z", "Y", "X"), ("Y", "X"), ("X",), EMPTY]


@pytest.mark.parametrize("between", [False, True])
def test_what_is_given_licenses_chains_and_separators_in_their_place(between):
    lexicon = given_lexicon(token_perception(INPUTS, OUTPUTS, BOTH), BOTH)
    grammar = DependencyGrammar.of(lexicon, between)
    comma, append, copy, literal = range(4)

    def licensed(symbols, heads):
        return bool(grammar.licensed(np.array([symbols]), Layout.of(np.array([heads])))[0])

    assert licensed([copy, literal, literal], (ROOT, 0, 1))
    assert licensed([copy, literal, literal], (ROOT, 0, 0)), "of other words nothing is known"
    assert not licensed([copy, literal, literal], (1, ROOT, 1)), "a literal has no dependent to its left"
    assert not licensed([literal, literal, literal], (ROOT, 0, 0)), "and one at most"
    assert licensed([append, literal, comma, literal], (ROOT, 0, 0, 0))
    assert not licensed([append, literal, comma, literal], (ROOT, 0, 0, 2)), "a separator has none"
    assert licensed([append, literal, literal, comma], (ROOT, 0, 1, 0)) is not between


# As options


def test_options_are_known_by_name():
    config = Config.of(literals="true", separators=", ;", between=False)
    assert config.knowledge == KnowledgeConfig(literals=True, separators=", ;", between=False)
    assert Config.of(**flat(config.to_json())) == config
    assert Config.of() == Config.of(literals=False, separators="", between=True)


@pytest.mark.parametrize("settings", [{"literals": "perhaps"}, {"separators": 1}, {"between": ","}], ids=str)
def test_wrong_options_are_refused(settings):
    with pytest.raises(ConfigError, match=f"option '{next(iter(settings))}' must be"):
        Config.of(**settings)


def test_literals_are_no_constants():
    model = nsr.NSR(literals=True, rounds=0).fit(["copy A", "copy B", "mark A"], ["A", "B", "A !"])
    assert model.constants == ("!",)
    assert model.lexicon.symbols == ("copy", "mark", LITERAL)
    with pytest.raises(InputError, match="unknown word 'C' at position 2; known words: A, B, copy, mark"):
        nsr.NSR(rounds=0).fit(["copy A", "copy B", "mark A"], ["A", "B", "A !"]).predict(["copy C"])


@pytest.mark.parametrize("between", [False, True])
def test_what_is_given_gives_answers_without_learning(between):
    perception = token_perception(INPUTS, OUTPUTS, BOTH)
    lexicon = given_lexicon(perception, BOTH)
    modules = modules_of(lexicon, perception, given=DependencyGrammar.of(lexicon, between))
    found = deduce(modules, [("X", "Y", "Z"), ("copy", "A"), (",",), ("A", ",")])
    assert [modules.executor.values[value] for value in found.results] == [("X", "Y", "Z"), MISSING, MISSING, MISSING]
