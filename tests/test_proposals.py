"""Proposals and deduction, against what every projective tree of a sentence is worth."""

from dataclasses import replace

import numpy as np
import pytest
from learners import SOLVABLE, SYMBOLS, NoisyTokens, fitting_symbols, lexicon_of, modules_of, scan_lexicon, values_of
from terms import LISTS

from nsr.errors import ConfigError
from nsr.gss import ROOT, projective_trees
from nsr.learning import deduction, proposals
from nsr.learning.abduction import Explanation, Guess, Knowledge, Tree
from nsr.learning.config import Config, SearchConfig
from nsr.learning.consistency import Use
from nsr.learning.deduction import FALLBACK_WIDTH, Candidates, candidates, deduce
from nsr.learning.proposals import Proposals, propose, stack, tree_of
from nsr.learning.pruning import superfluous, without
from nsr.perception.tokens import TokenPerception
from nsr.semantics.execution import ABSENT, UNREVISED
from nsr.semantics.lexicon import Key, Signature, parse_lexicon
from nsr.semantics.values import MISSING, MISSING_ID, ValueTable
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.scan import gold_heads
from nsr.tasks.task import LITERAL

LEXICON = lexicon_of(SOLVABLE, agreement={"g": 0.7, "h": 0.9})
CONFIG = SearchConfig(explanations=10**4, trees=200)  # all trees of up to 5 tokens
A, B = ("A",), ("B",)


def sentences(count: int, longest: int = 4, seed: int = 0) -> list[tuple[str, ...]]:
    """Words that fit some projective tree, most of them."""
    generator = np.random.default_rng(seed)
    trees = [list(projective_trees(n)) for n in range(1, longest + 1)]
    drawn = [trees[n][generator.integers(len(trees[n]))] for n in generator.integers(longest, size=count)]
    return [tuple(SYMBOLS[symbol] for symbol in fitting_symbols(heads, LEXICON, generator)) for heads in drawn]


def worth(words, lexicon=LEXICON) -> dict[Tree, object]:
    """The value of each projective tree, MISSING left out."""
    symbols = tuple(lexicon.symbols.index(word) for word in words)
    trees = [Tree(symbols, heads) for heads in projective_trees(len(words))]
    values = {tree: values_of(tree, lexicon)[tree.root] for tree in trees}
    return {tree: value for tree, value in values.items() if value is not MISSING}


def proposed(inputs, outputs, config=CONFIG, guesses=None, modules=None, seed=0) -> Proposals:
    modules = modules or modules_of(LEXICON, seed=1)
    wanted = modules.executor.values.ids(outputs)
    return propose(modules, inputs, wanted, guesses or {}, config, np.random.default_rng(seed))


def tree_at(trees: Candidates, row: int) -> Tree:
    """A tree without tokens that programs ask for."""
    return tree_of(trees, row, ValueTable())


def arity_of(tree: Tree) -> int:
    """The most dependents that a token has."""
    return max(map(len, tree.dependents()))


def revised_of(found: Proposals, row: int, modules) -> dict[int, object]:
    ids = found.revised[row].tolist()
    return {node: modules.executor.values[value] for node, value in enumerate(ids) if value != UNREVISED}


@pytest.fixture(scope="module")
def examples():
    """Sentences of at most 5 words, each with a value that some of its trees have."""
    drawn = [tuple("ahaha"), tuple("bhbhb"), *sentences(100, longest=5)]
    pairs = [(words, value) for words in drawn for value in sorted(set(worth(words).values()))[:2]]
    assert len(pairs) > 60
    return [words for words, _ in pairs], [value for _, value in pairs]


# Explanations of a batch


def test_every_tree_with_the_wanted_value_is_found(examples):
    inputs, outputs = examples
    found = proposed(inputs, outputs)
    for sentence, (words, value) in enumerate(zip(inputs, outputs, strict=True)):
        rows = np.flatnonzero(found.trees.sentence == sentence).tolist()
        trees = [tree_at(found.trees, row) for row in rows]
        assert len(set(trees)) == len(trees)
        assert set(trees) == {tree for tree, other in worth(words).items() if other == value and arity_of(tree) <= 3}
    assert not found.gains.any()
    assert (found.revised == UNREVISED).all()


def test_they_are_ordered_by_sentence_and_then_by_probability(examples):
    found = proposed(*examples)
    assert (np.diff(found.trees.sentence) >= 0).all()
    assert found.explained == len(examples[0])
    for sentence in range(found.explained):
        log_probs = found.trees.log_probs[found.trees.sentence == sentence]
        assert (np.diff(log_probs) <= 0).all()
    assert len(set(found.trees.log_probs.tolist())) > 30


@pytest.mark.parametrize("most", [1, 2])
def test_at_most_so_many_explanations_are_kept(examples, most):
    inputs, outputs = examples
    everything, few = proposed(inputs, outputs), proposed(inputs, outputs, replace(CONFIG, explanations=most))
    counts = np.bincount(everything.trees.sentence)
    assert (np.bincount(few.trees.sentence) == np.minimum(counts, most)).all()
    assert counts.max() > most
    firsts = [np.flatnonzero(found.trees.sentence == 0)[0] for found in (everything, few)]
    assert tree_at(everything.trees, firsts[0]) == tree_at(few.trees, firsts[1])

    wanted = [("A",) * 7] * len(inputs)  # nothing is worth this: all have to be revised
    assert np.bincount(proposed(inputs, wanted, replace(CONFIG, explanations=most)).trees.sentence).max() == most


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_token_has_more_dependents_than_allowed(examples, most):
    inputs, outputs = examples
    for wanted in (outputs, [B * 5] * len(inputs)):
        found = proposed(inputs, wanted, replace(CONFIG, max_arity=most))
        assert max(arity_of(tree_at(found.trees, row)) for row in range(len(found))) == most


def test_revisions_give_the_wanted_value():
    modules = modules_of(LEXICON, seed=1)
    inputs = sentences(60)
    found = proposed(inputs, [B + A] * len(inputs), modules=modules)
    assert found.explained > 30
    for row in range(len(found)):
        tree = tree_at(found.trees, row)
        revised = revised_of(found, row, modules)
        assert len(revised) <= 1
        assert (found.gains[row] < 0) == bool(revised)
        assert values_of(tree, LEXICON, revised)[tree.root] == B + A


def test_the_impossible_has_no_explanation():
    inputs = [("u", "u", "u"), ("a", "f"), ("u", "u")]
    assert proposed(inputs, [A, A + A, A]).trees.sentence.tolist() == [1]
    assert len(proposed([("u", "u")], [A])) == 0
    assert len(proposed([], [])) == 0
    assert len(proposed([("u",)], [A])) == 1  # one unknown word is not impossible


def test_unknown_leaves_are_guessed_where_that_helps():
    guesses = {SYMBOLS.index("u"): [Guess(A, -0.5), Guess((), -1.0)]}
    assert len(proposed([("u", "u")], [A])) == 0
    modules = modules_of(LEXICON, seed=1)
    found = proposed([("u", "u")], [A], guesses=guesses, modules=modules)
    assert {frozenset(revised_of(found, row, modules).items()) for row in range(len(found))} == {
        frozenset({(head, A), (1 - head, guess)}) for head in (0, 1) for guess in (A, ())
    }
    assert len(proposed([("u", "u")], [A], replace(CONFIG, guesses=0), guesses)) == 0


def test_where_no_tree_can_be_revised_neighbours_are(monkeypatch):
    words = ("a", "h", "b", "g", "a")
    symbols = tuple(SYMBOLS.index(word) for word in words)
    tried, other = Tree(symbols, (1, -1, 3, 1, 3)), Tree(symbols, (1, -1, 1, 1, 3))
    assert worth(words)[tried] == A + A
    assert worth(words)[other] == B + A + A
    explanation = [(0, -1.0, Explanation(tried, (), 0.0))]
    monkeypatch.setattr(proposals, "candidates", lambda *_, **__: stack(explanation, ValueTable()).trees)
    config = replace(CONFIG, revisions=0)
    assert tree_at(proposed([words], [A + A], config).trees, 0) == tried
    assert not len(proposed([words], [B + A + A], replace(config, rotations=0)))
    found = proposed([words], [B + A + A], config)
    assert [tree_at(found.trees, row) for row in range(len(found))] == [other]
    assert found.trees.log_probs.tolist() == [-1.0]
    assert not len(proposed([words], [B + A + A], replace(config, max_arity=2)))


def test_an_explanation_is_offered_once():
    modules = modules_of(LEXICON, NoisyTokens(SYMBOLS, NOISY), seed=1)
    inputs = [("x", "y"), ("x", "y", "a"), ("y", "f", "x")]
    found = proposed(inputs, [("A", "C")] * len(inputs), modules=modules)
    rows = [
        (sentence, tree_at(found.trees, row), frozenset(revised_of(found, row, modules).items()))
        for row, sentence in enumerate(found.trees.sentence.tolist())
    ]
    assert len(rows) > 10
    assert len(set(rows)) == len(rows)


# Perception is among what may be revised

NOISY = {word: {word: 1.0} for word in SYMBOLS} | {
    "x": {"a": 0.55, "b": 0.3, "f": 0.1, "u": 0.05},
    "y": {"b": 0.45, "f": 0.4, "g": 0.1, "h": 0.05},
}


def test_the_best_readings_are_tried():
    modules = modules_of(LEXICON, NoisyTokens(SYMBOLS, NOISY), seed=1)
    found = proposed([("x", "y")], [A + A], modules=modules)
    assert {found.trees.symbols[row].tolist()[1] for row in range(len(found))} == {SYMBOLS.index("f")}
    assert not found.gains.any()


def test_readings_that_are_not_tried_are_reached_by_revising_symbols():
    for readings, exact in ((1, False), (100, True)):
        modules = modules_of(LEXICON, NoisyTokens(SYMBOLS, NOISY), seed=1)
        config = replace(CONFIG, readings=readings)
        found = proposed([("x", "g")], [B], config, modules=modules)
        tree = Tree((SYMBOLS.index("b"), SYMBOLS.index("g")), (1, -1))
        row = [tree_at(found.trees, row) for row in range(len(found))].index(tree)
        assert (found.gains[row] == 0) == exact
        symbols = modules.perception.probabilities("x")[SYMBOLS.index("b")]
        parse = modules.parser.log_prob(np.array([tree.symbols]), np.array([tree.heads]), np.array([2]))[0]
        log_prob = found.trees.log_probs[row] + found.gains[row]
        if exact:
            assert log_prob == pytest.approx(np.log(symbols) + parse, abs=1e-5)
        else:  # the tree's probability is that under the symbols as they were read
            assert found.gains[row] == pytest.approx(np.log(0.3 / 0.55))


def test_what_better_readings_say_is_left_to_them():
    modules = modules_of(LEXICON, NoisyTokens(SYMBOLS, NOISY), seed=1)
    found = proposed([("x", "y"), ("y", "x")], [("A", "C")] * 2, modules=modules)
    assert len(found)
    assert (found.gains <= 0).all()


# Parts of the search may be left out


@pytest.mark.parametrize(
    ("abduce", "found"),
    [
        ("", set()),
        ("perception", {"perception"}),
        ("syntax", {"syntax"}),
        ("semantics", {"semantics"}),
        ("syntax semantics", {"syntax", "semantics"}),
        ("perception syntax semantics", {"perception", "syntax", "semantics"}),
    ],
)
def test_explanations_contradict_only_the_modules_that_may_be_revised(abduce, found):
    modules = modules_of(LEXICON, NoisyTokens(SYMBOLS, NOISY), seed=1)
    inputs = [("x", "g", "a"), ("x", "y"), ("x", "y", "a"), ("a", "g", "b", "h", "a")]
    outputs = [("A", "C"), A + A, ("C",), next(value for value in worth(inputs[-1]).values() if value != A + A)]
    best = candidates(modules, inputs, generator=np.random.default_rng(0), masked=False)
    assert best.sentence.tolist() == [0, 1, 2, 3]
    proposals = proposed(inputs, outputs, replace(CONFIG, abduce=abduce).narrowed(), modules=modules)
    contradicted = set()
    for row, sentence in enumerate(proposals.trees.sentence.tolist()):
        tree, guess = tree_at(proposals.trees, row), tree_at(best, sentence)
        contradicted |= {"semantics"} if revised_of(proposals, row, modules) else set()
        if tree.symbols != guess.symbols:
            contradicted.add("perception")
        elif tree.heads != guess.heads:
            contradicted.add("syntax")
    assert contradicted == found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"abduce": "syntax trees"}, "'abduce' must be some of perception syntax semantics, not 'syntax trees'"),
        ({"abduce": "syntax", "search": "mh"}, "'abduce' must be whole with search mh, not 'syntax'"),
    ],
)
def test_what_cannot_be_left_out_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config.of(**settings)


# Entries that nothing needs


def dropped_from(modules, inputs, outputs, solutions=None) -> set[Use]:
    values = modules.executor.values
    solutions = solutions or stack([], values).trees
    return superfluous(modules, inputs, values.ids(outputs), solutions, SearchConfig(), np.random.default_rng(0))


def test_superfluous_entries_are_those_without_which_all_is_solved():
    text = """
        "walk" = (cons "W" nil)
        "look" = (cons "L" nil)
        x0 "twice" = (append x0 x0)
        "twice" = nil
        "and" = nil
        x0 "and" x1 = (append x0 x1)
        x0 "and" = x0
    """
    symbols = ("and", "look", "twice", "walk")
    modules = modules_of(lexicon_of(text, symbols))
    inputs = [("walk",), ("look",), ("walk", "twice"), ("walk", "and", "look"), ("look", "twice", "and", "walk")]
    outputs = [("W",), ("L",), ("W", "W"), ("W", "L"), ("L", "L", "W")]
    dropped = dropped_from(modules, inputs, outputs)
    leaf, suffix = Signature(0, 0), Signature(1, 0)
    assert dropped == {Use(Key(0, 0), leaf), Use(Key(0, 1), suffix), Use(Key(2, 0), leaf)}
    assert without(modules.lexicon, dropped).entries.keys() == {Key(0, 2), Key(1, 0), Key(2, 1), Key(3, 0)}

    more = [*inputs, ("walk", "and")]  # needs "and" with one argument, or with none
    dropped = {use.key for use in dropped_from(modules, more, [*outputs, ("W",)])}
    assert len(dropped & {Key(0, 0), Key(0, 1)}) == 1
    assert Key(2, 0) in dropped

    modules.lexicon = lexicon_of('"walk" = nil', symbols)
    assert not dropped_from(modules, inputs, outputs)


def test_superfluous_are_also_places_that_no_example_needs():
    text = """
        "a" = (cons "A" nil)
        "b" = nil
        x0 "f" = (append x0 x0)
        "f" x0 = (append x0 x0)
    """
    modules = modules_of(lexicon_of(text))
    a, b, f = (SYMBOLS.index(word) for word in "abf")
    before, behind = Use(Key(f, 1), Signature(1, 0)), Use(Key(f, 1), Signature(0, 1))
    assert dropped_from(modules, [("a", "f"), ("a", "f", "f")], [A * 2, A * 4]) == {behind}
    assert dropped_from(modules, [("f", "a"), ("f", "f", "a")], [A * 2, A * 4]) == {before}
    assert dropped_from(modules, [("a", "f"), ("f", "a")], [A * 2] * 2) == set()
    left, entry = without(modules.lexicon, {behind}), modules.lexicon.entries[Key(f, 1)]
    assert left.entries[Key(f, 1)] == replace(entry, signatures=frozenset({before.signature}))
    assert {key: entry for key, entry in left.entries.items() if key.symbol != f} == {
        Key(symbol, 0): modules.lexicon.entries[Key(symbol, 0)] for symbol in (a, b)
    }


def test_without_examples_nothing_is_superfluous():
    modules = modules_of(lexicon_of('"a" = nil\n x0 "a" = x0\n"f" x0 = (append x0 x0)'))
    assert dropped_from(modules, [], []) == set()
    assert dropped_from(modules, [("a", "f")], [A]) == set()


# Words that denote themselves, and separators


STRINGS = """
    "," = empty
    "<literal>" = (cons self nil)
    "<literal>" x0 = (cons self x0)
    "f" x0 = (append x0 x0)
    "h" x0 _ x1 = (append x1 x0)
"""
STRING_SYMBOLS = ("f", "h", "u", ",", LITERAL)


def strings(between: bool = True, told: bool = True, seed: int | None = None):
    """A machine for strings; ``told`` the grammar of literals and separators."""
    lexicon = parse_lexicon(STRINGS, STRING_SYMBOLS, LISTS)
    known = {key: entry for key, entry in lexicon.entries.items() if lexicon.symbols[key.symbol] in (",", LITERAL)}
    given = DependencyGrammar.of(replace(lexicon, entries=known), between) if told else None
    return modules_of(lexicon, TokenPerception(STRING_SYMBOLS[:-1], literals=True), seed, given=given)


def test_candidates_know_their_tokens_where_programs_ask_for_them():
    modules = strings()
    inputs = [("h", "A", "B", ",", "C"), ("f", "A")]
    found = candidates(modules, inputs, trees=4)
    values = modules.executor.values
    for row, sentence in enumerate(found.sentence.tolist()):
        words = inputs[sentence]
        assert [values[each] for each in found.grounds[row]] == [*words, *[MISSING] * (5 - len(words))]
        assert tree_of(found, row, values).tokens == words
    modules = modules_of(LEXICON)
    assert not candidates(modules, [("a", "f"), ("a",)], trees=4).grounds.any()
    assert tree_at(candidates(modules, [("a", "f")]), 0).tokens == ()


def test_what_is_stacked_keeps_its_tokens():
    values = ValueTable()
    trees = [Tree((0, 1, 1), (ROOT, 0, 1), ("f", "A", "B")), Tree((0,), (ROOT,)), Tree((1, 1), (1, ROOT), ("A", "C"))]
    found = stack([(0, 0.0, Explanation(tree, (), 0.0)) for tree in trees], values)
    assert [tree_of(found.trees, row, values) for row in range(3)] == trees


def all_worth(words, modules) -> dict[Tree, object]:
    """The value of each projective tree, by the definition."""
    symbols = tuple(modules.perception.read([words]).symbols[0, 0].tolist())
    trees = [Tree(symbols, heads, words) for heads in projective_trees(len(words))]
    return {tree: values_of(tree, modules.lexicon)[tree.root] for tree in trees}


def edges(tree: Tree) -> set[tuple[str, str]]:
    """Names of the symbols of dependents and heads."""
    names = [STRING_SYMBOLS[symbol] for symbol in tree.symbols]
    return {(names[node], names[head]) for node, head in enumerate(tree.heads) if head != ROOT}


@pytest.mark.parametrize("told", [None, False, True])
def test_every_tree_that_what_is_given_licenses_is_found(told):
    inputs = [("f", "A", "B"), ("h", "A", ",", "B"), ("f", "h", "A", ",", "B"), ("h", "f", "A", ",", "B"), ("A", "A")]
    modules, count = strings(bool(told), told is not None, seed=1), 0
    values = modules.executor.values
    knowledge = Knowledge(modules.lexicon, modules.executor, {}, modules.parser.given)
    for words in inputs:
        worths = all_worth(words, modules)
        for wanted in {value for value in worths.values() if isinstance(value, tuple)}:
            found = proposed([words], [wanted], modules=modules)
            right = {tree for tree, value in worths.items() if value == wanted and knowledge.allows(tree, 3)}
            if told is not None:  # nor does a literal take a comma
                right = {tree for tree in right if (",", LITERAL) not in edges(tree)}
            trees = {tree_of(found.trees, row, values) for row in range(len(found))}
            exact = {tree_of(found.trees, row, values) for row in np.flatnonzero(found.gains == 0)}
            assert exact == right
            assert all(knowledge.allows(tree, 3) for tree in trees)
            count += len(right)
    assert count == {None: 15, False: 6, True: 5}[told]


def test_separators_do_not_count_as_arguments():
    """With two arguments at most, "u" may have two strings and a comma, but not all their words."""
    modules = strings(seed=1)
    values, u = modules.executor.values, STRING_SYMBOLS.index("u")
    found = proposed([("u", "A", ",", "B")], [("B", "A")], replace(CONFIG, max_arity=2), modules=modules)
    trees = {tree_of(found.trees, row, values): revised_of(found, row, modules) for row in range(len(found))}
    assert {tree.heads: revised for tree, revised in trees.items()} == {(ROOT, 0, 0, 0): {0: ("B", "A")}}
    assert all(tree.symbols[0] == u for tree in trees)
    assert len(proposed([("u", "A", ",", "B")], [("B", "A")], replace(CONFIG, max_arity=1), modules=modules)) == 0


def test_what_is_empty_is_no_answer():
    modules = strings(told=False)
    found = deduce(modules, [(",",), ("A",), (",", ",")])
    assert [modules.executor.values[value] for value in found.results] == [MISSING, ("A",), MISSING]
    assert found.row.tolist()[0] == found.row.tolist()[2] == -1


def test_strings_never_seen_are_deduced():
    modules = strings()
    modules.parser.license(DependencyGrammar.of(modules.lexicon, between=True))
    found = deduce(modules, [("h", "X", "Y", ",", "f", "Z"), ("f", "h", "P", ",", "Q", "P")])
    values = [modules.executor.values[value] for value in found.results]
    assert values == [("Z", "Z", "X", "Y"), ("Q", "P", "P") * 2]


# Deduction


def best_trees(modules, words, width):
    """The trees of a beam with their values."""
    symbols = np.array([[modules.lexicon.symbols.index(word) for word in words]])
    parses = modules.parser.parse(symbols, np.array([len(words)]), width)
    trees = [
        Tree(tuple(symbols[0].tolist()), tuple(heads))
        for heads, log_prob in zip(parses.heads[0].tolist(), parses.log_probs[0].tolist(), strict=True)
        if np.isfinite(log_prob)
    ]
    return [(tree, values_of(tree, modules.lexicon)[tree.root]) for tree in trees]


@pytest.mark.parametrize("beam", [1, 3, 40])
def test_the_answer_is_that_of_the_best_tree_that_has_one(beam):
    modules = modules_of(LEXICON, seed=2)
    inputs = sentences(150, longest=5, seed=4)
    found = deduce(modules, inputs, beam)
    fallen = unanswered = 0
    for index, words in enumerate(inputs):
        valued = [each for each in best_trees(modules, words, beam) if each[1] is not MISSING]
        if not valued:
            fallen += 1
            valued = [each for each in best_trees(modules, words, FALLBACK_WIDTH) if each[1] is not MISSING]
        if not valued:
            unanswered += 1
            assert found.row[index] == -1
            assert found.results[index] == MISSING_ID
        else:
            assert found.trees.sentence[found.row[index]] == index
            assert (tree_at(found.trees, found.row[index]), modules.executor.values[found.results[index]]) == valued[0]
    assert fallen > unanswered > 0 or beam > FALLBACK_WIDTH


def test_what_has_a_word_without_program_is_not_searched_widely(monkeypatch):
    modules = modules_of(LEXICON, seed=1)
    searched = []

    def parsed(modules, inputs, *arguments):
        searched.append(list(inputs))
        return once(modules, inputs, *arguments)

    once = deduction._deduce
    monkeypatch.setattr(deduction, "_deduce", parsed)
    hopeless, possible = ("a", "u", "h"), ("h", "h")  # only "u" never has a program
    assert (deduce(modules, [hopeless, possible]).row < 0).all()
    assert searched == [[hopeless, possible], [possible], [possible]]


def test_without_fallback_there_are_fewer_answers():
    modules = modules_of(LEXICON, seed=2)
    inputs = sentences(150, longest=5, seed=4)
    answered, fewer = (deduce(modules, inputs, fallback=fallback).row >= 0 for fallback in (True, False))
    assert (answered | ~fewer).all()
    assert fewer.sum() < answered.sum()


def test_answers_do_not_depend_on_the_batch():
    modules = modules_of(LEXICON, seed=2)
    inputs = sentences(60, longest=5, seed=5)
    together = deduce(modules, inputs)
    order = np.random.default_rng(0).permutation(len(inputs))
    shuffled = deduce(modules, [inputs[index] for index in order])
    assert (shuffled.results == together.results[order]).all()
    for index, words in enumerate(inputs):
        alone = deduce(modules, [words])
        assert alone.results[0] == together.results[index]
        if alone.row[0] >= 0:
            assert tree_at(alone.trees, alone.row[0]) == tree_at(together.trees, together.row[index])


def test_a_beam_may_answer_by_a_less_probable_reading():
    lexicon = lexicon_of(SOLVABLE)
    noisy = {word: {word: 1.0} for word in SYMBOLS} | {"x": {"u": 0.6, "f": 0.4}}
    modules = modules_of(lexicon, NoisyTokens(SYMBOLS, noisy), seed=1)
    assert modules.executor.values[deduce(modules, [("a", "x")]).results[0]] == A + A
    assert deduce(modules, [("a", "x")], fallback=False).row[0] == -1


def test_gold_trees_of_scan_are_deduced_to_actions():
    modules = modules_of(scan_lexicon())
    words = ("jump", "left", "twice", "and", "walk")
    tree = Tree(tuple(modules.lexicon.symbols.index(word) for word in words), gold_heads(words))
    actions = ("I_TURN_LEFT", "I_JUMP", "I_TURN_LEFT", "I_JUMP", "I_WALK")
    assert values_of(tree, modules.lexicon)[tree.root] == actions
    found = proposed([words], [actions], replace(CONFIG, trees=10**3), modules=modules)
    assert tree in [tree_at(found.trees, row) for row in range(len(found))]


def test_at_last_classes_are_tried_in_slots_where_they_were_not_seen():
    lexicon = lexicon_of("""
        "a" = (cons "A" nil)
        x0 "f" = (append x0 x0)
        x0 "h" x1 = (append x1 x0)
    """)
    modules = modules_of(lexicon)
    a, f, h = (SYMBOLS.index(word) for word in "afh")
    seen = np.array([[a, f, 0], [a, h, a]]), np.array([[1, -1, ABSENT], [1, -1, 1]])
    modules.parser.license(DependencyGrammar.of(lexicon).observe(*seen, np.ones(2), 0.02))
    inputs = [("a", "f"), ("a", "h", "a", "f"), ("a", "h")]
    found = deduce(modules, inputs)
    values = [modules.executor.values[value] for value in found.results.tolist()]
    assert values[0] == A + A
    assert values[1] in (A * 3, A * 4)  # "f" depends on "h", or "h" on "f"
    assert values[2] is MISSING
    assert (deduce(modules, inputs, fallback=False).row >= 0).tolist() == [True, False, False]
