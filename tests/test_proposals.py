"""Proposals and deduction, against what every projective tree of a sentence is worth."""

from dataclasses import replace

import numpy as np
import pytest
from learners import SOLVABLE, SYMBOLS, NoisyTokens, fitting_symbols, lexicon_of, modules_of, scan_lexicon, values_of

from nsr.gss import projective_trees
from nsr.learning import proposals
from nsr.learning.abduction import Explanation, Guess, Tree
from nsr.learning.config import SearchConfig
from nsr.learning.deduction import FALLBACK_WIDTH, deduce
from nsr.learning.proposals import Proposals, propose, stack, superfluous, tree_of
from nsr.semantics.execution import ABSENT, UNREVISED
from nsr.semantics.lexicon import Key
from nsr.semantics.values import MISSING, MISSING_ID, ValueTable
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.scan import gold_heads

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
        trees = [tree_of(found.trees, row) for row in rows]
        assert len(set(trees)) == len(trees)
        assert set(trees) == {tree for tree, other in worth(words).items() if other == value and tree.max_arity <= 3}
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
    assert tree_of(everything.trees, firsts[0]) == tree_of(few.trees, firsts[1])

    wanted = [("A",) * 7] * len(inputs)  # nothing is worth this: all have to be revised
    assert np.bincount(proposed(inputs, wanted, replace(CONFIG, explanations=most)).trees.sentence).max() == most


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_token_has_more_dependents_than_allowed(examples, most):
    inputs, outputs = examples
    for wanted in (outputs, [B * 5] * len(inputs)):
        found = proposed(inputs, wanted, replace(CONFIG, max_arity=most))
        assert max(tree_of(found.trees, row).max_arity for row in range(len(found))) == most


def test_revisions_give_the_wanted_value():
    modules = modules_of(LEXICON, seed=1)
    inputs = sentences(60)
    found = proposed(inputs, [B + A] * len(inputs), modules=modules)
    assert found.explained > 30
    for row in range(len(found)):
        tree = tree_of(found.trees, row)
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
    assert tree_of(proposed([words], [A + A], config).trees, 0) == tried
    assert not len(proposed([words], [B + A + A], replace(config, rotations=0)))
    found = proposed([words], [B + A + A], config)
    assert [tree_of(found.trees, row) for row in range(len(found))] == [other]
    assert found.trees.log_probs.tolist() == [-1.0]
    assert not len(proposed([words], [B + A + A], replace(config, max_arity=2)))


def test_an_explanation_is_offered_once():
    modules = modules_of(LEXICON, NoisyTokens(SYMBOLS, NOISY), seed=1)
    inputs = [("x", "y"), ("x", "y", "a"), ("y", "f", "x")]
    found = proposed(inputs, [("A", "C")] * len(inputs), modules=modules)
    rows = [
        (sentence, tree_of(found.trees, row), frozenset(revised_of(found, row, modules).items()))
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
        row = [tree_of(found.trees, row) for row in range(len(found))].index(tree)
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


# Entries that nothing needs


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
    wanted = modules.executor.values.ids(outputs)
    dropped = superfluous(modules, inputs, wanted, SearchConfig(), np.random.default_rng(0))
    assert dropped == {Key(0, 0), Key(0, 1), Key(2, 0)}

    more = [*inputs, ("walk", "and")]  # needs "and" with one argument, or with none
    wanted = modules.executor.values.ids([*outputs, ("W",)])
    dropped = superfluous(modules, more, wanted, SearchConfig(), np.random.default_rng(0))
    assert len(dropped & {Key(0, 0), Key(0, 1)}) == 1
    assert Key(2, 0) in dropped

    modules.lexicon = lexicon_of('"walk" = nil', symbols)
    assert not superfluous(modules, inputs, wanted[:5], SearchConfig(), np.random.default_rng(0))


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
            assert (tree_of(found.trees, found.row[index]), modules.executor.values[found.results[index]]) == valued[0]
    assert fallen > unanswered > 0 or beam > FALLBACK_WIDTH


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
            assert tree_of(alone.trees, alone.row[0]) == tree_of(together.trees, together.row[index])


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
    assert tree in [tree_of(found.trees, row) for row in range(len(found))]


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
