"""Abduction against a twin that tries every revision, and its order in worked cases.

The worked cases are kept in ``tests/golden/abduction_*.json``. After a change of the search that is meant, write them
anew with ``NSR_GOLDEN=write python -m pytest tests/test_abduction.py -k golden`` and read the difference.
"""

import itertools
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learners import SOLVABLE, SYMBOLS, UNSOLVABLE, fitting_symbols, key_of, lexicon_of, scan_lexicon, values_of
from terms import TOKENS, lists_up_to

from nsr.gss import ROOT, is_projective, projective_trees
from nsr.learning.abduction import CERTAINTY, NOVELTY, Guess, Knowledge, Tree, evaluate, explain, neighbours
from nsr.learning.config import SearchConfig
from nsr.perception.perception import Alternative
from nsr.semantics.execution import Executor
from nsr.semantics.lexicon import Key, Lexicon
from nsr.semantics.values import EMPTY, MISSING, Value, to_json
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.scan import gold_heads
from nsr.tasks.task import LITERAL

A, B = ("A",), ("B",)
THOROUGH = SearchConfig(expansions=10**6, guesses=10**6)
COMMA = len(SYMBOLS)  # and the last symbol is that of literals
LITERALS = """
    "," = empty
    "<literal>" = (cons self nil)
    "<literal>" x0 = (cons self x0)
    x0 "h" x1 x2 x3 = (append (append x0 x3) (append x1 x2))
"""
AGREEMENT = {"a": 0.99, "b": 0.3, "f": 0.9, "g": 0.6, "h": 0.8, "o": 0.95}

Found = dict[tuple[Tree, frozenset], float]  # gain by tree and revised values


def knowledge_of(lexicon: Lexicon, guesses: Mapping[int, Sequence[Guess]] | None = None) -> Knowledge:
    return Knowledge(lexicon, Executor(), guesses or {})


def explained(tree, wanted, knowledge, config=THOROUGH, alternatives=()) -> Found:
    """What ``explain`` offers; fails if it offers anything twice or out of order."""
    offered = list(explain(tree, wanted, knowledge, config, alternatives))
    gains = [each.gain for each in offered]
    assert gains == sorted(gains, reverse=True)
    found = {(each.tree, frozenset(each.revised)): each.gain for each in offered}
    assert len(found) == len(offered)
    return found


# The twin: it tries everything


class Twin:
    """All explanations of one tree with at most one node revised, by trying all revisions there are."""

    def __init__(self, tree: Tree, knowledge: Knowledge, alternatives: Sequence[Sequence[Alternative]] = ()) -> None:
        self.tree = tree
        self.knowledge = knowledge
        self.lexicon = knowledge.lexicon
        self.alternatives = alternatives or [()] * len(tree)
        self.by_value: dict[Value, Found] = {}
        for guessed, gain in self.starts():
            values = values_of(tree, self.lexicon, guessed)
            self.add(values[tree.root], tree, guessed, gain)
            for node in set(range(len(tree))) - set(guessed):
                known = MISSING not in [values[each] for each, head in enumerate(tree.heads) if head == node]
                if known and (values[node] is not EMPTY or node == tree.root):
                    self.revise(node, guessed, gain, values)

    def starts(self):
        yield {}, 0.0
        leaves = [
            node
            for node, symbol in enumerate(self.tree.symbols)
            if symbol in self.knowledge.guesses and node not in self.tree.heads and (symbol, 0) not in self.lexicon
        ]
        for chosen in itertools.product(*(self.knowledge.guesses[self.tree.symbols[node]] for node in leaves)):
            if chosen:
                values = {node: guess.value for node, guess in zip(leaves, chosen, strict=True)}
                yield values, sum(guess.log_prob for guess in chosen)

    def revise(self, node: int, guessed: dict, gain: float, values: Sequence[Value]) -> None:
        """Put every value and every other symbol at a node."""
        tree, before = self.tree, values[self.tree.root]
        for value in lists_up_to(3):
            revised = {**guessed, node: value}
            result = values_of(tree, self.lexicon, revised)[tree.root]
            if result != before:
                self.add(result, tree, revised, gain + self.knowledge.surprise(key_of(tree, node, values)))
        for other in self.alternatives[node]:
            changed = replace(tree, symbols=(*tree.symbols[:node], other.symbol, *tree.symbols[node + 1 :]))
            result = values_of(changed, self.lexicon, guessed)[tree.root]
            if result != before:
                self.add(result, changed, guessed, gain + other.gain)

    def add(self, result: Value, tree: Tree, revised: dict, gain: float) -> None:
        found = self.by_value.setdefault(result, {})
        content = tree, frozenset(revised.items())
        found[content] = max(found.get(content, -math.inf), gain)

    def explanations(self, wanted: Value) -> Found:
        """Those whose root has the wanted value; the tree as it is, if that has it, needs no other."""
        found = self.by_value.get(wanted, {})
        as_it_is = (self.tree, frozenset())
        return {as_it_is: 0.0} if as_it_is in found else found


def all_trees(longest: int = 5):
    return [heads for n in range(1, longest + 1) for heads in projective_trees(n)]


def some_alternatives(tree: Tree, lexicon: Lexicon, generator: np.random.Generator) -> list[list[Alternative]]:
    """Three other symbols for each token, none of them a comma: what is EMPTY is not revised, nor made so."""
    symbols = [symbol for symbol in range(len(lexicon.symbols)) if symbol != COMMA]
    found = []
    for own in tree.symbols:
        others = [each for each in generator.permutation(symbols).tolist() if each != own][:3]
        found.append([Alternative(each, -float(generator.exponential())) for each in others])
    return found


def in_reach(found: Found, longest: int = 3) -> bool:
    """Whether the twin tries values as long as the revised ones."""
    return all(len(value) <= longest for _, revised in found for _, value in revised)


def is_short(value: Value) -> bool:
    return isinstance(value, tuple) and len(value) <= 3


def compare(
    lexicon: Lexicon, guesses=None, symbols_too: bool = False, heads=None, seed: int = 0, tokens: bool = False
) -> int:
    """Compare explanations with the twin's, for all results of some trees; returns how many there were."""
    generator = np.random.default_rng(seed)
    knowledge = knowledge_of(lexicon, guesses)
    count = 0
    for each in heads or all_trees():
        tree = Tree(fitting_symbols(each, lexicon, generator), each)
        if tokens:
            tree = replace(tree, tokens=tuple(generator.choice(TOKENS, len(each)).tolist()))
        alternatives = some_alternatives(tree, lexicon, generator) if symbols_too else ()
        twin = Twin(tree, knowledge, alternatives)
        for wanted in filter(is_short, twin.by_value):
            found, expected = explained(tree, wanted, knowledge, THOROUGH, alternatives), twin.explanations(wanted)
            assert found.keys() == expected.keys()
            assert found == pytest.approx(expected)
            count += len(found)
        assert not explained(tree, ("C",), knowledge, replace(THOROUGH, revisions=0), alternatives)
    return count


# Explanations


def with_literals(agreement: Mapping[str, float] | None = None) -> Lexicon:
    """Words that denote themselves, and one that means nothing."""
    return lexicon_of(SOLVABLE + LITERALS, [*SYMBOLS, ",", LITERAL], agreement)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("symbols_too", [False, True])
def test_in_trees_with_literals_and_a_separator_all_revisions_are_found(seed, symbols_too):
    lexicon = with_literals({**AGREEMENT, ",": 0.9, LITERAL: 0.8})
    heads = all_trees() if seed == 0 else all_trees(4)
    assert compare(lexicon, None, symbols_too, heads, seed, tokens=True) > 100


def test_a_separator_is_no_argument_and_is_not_revised():
    lexicon = with_literals({LITERAL: 0.8})
    u, literal = SYMBOLS.index("u"), lexicon.symbols.index(LITERAL)
    tree = Tree((u, literal, literal, COMMA, literal), (ROOT, 0, 1, 0, 0), ("append", "A", "B", ",", "A"))
    knowledge = knowledge_of(lexicon)
    assert evaluate(tree, knowledge) == [MISSING, A + B, B, EMPTY, A]
    content = tree, frozenset({(0, A + B + A)})
    assert explained(tree, A + B + A, knowledge) == {content: NOVELTY}
    known = replace(tree, symbols=(SYMBOLS.index("h"), *tree.symbols[1:]))
    assert evaluate(known, knowledge)[0] == A + A + B
    found = explained(known, B + A + B, knowledge)
    assert {revised for _, revised in found} == {frozenset({(0, B + A + B)}), frozenset({(4, B)})}
    assert found[known, frozenset({(4, B)})] == pytest.approx(math.log(0.2))


def test_the_token_is_that_of_the_node():
    tree = Tree((0, 0), (ROOT, 0), ("X", "Y"))
    assert (tree.token(0), tree.token(1)) == ("X", "Y")
    assert Tree((0, 0), (ROOT, 0)).token(1) is MISSING
    assert neighbours(tree) == [replace(tree, heads=(1, ROOT))]


@pytest.mark.parametrize("between", [None, False, True])
def test_what_is_allowed_is_what_is_given_and_narrow(between):
    """Literals may have one dependent, to their right; commas have none and, if told so, stand between arguments."""
    lexicon = with_literals()
    literal, u = lexicon.symbols.index(LITERAL), SYMBOLS.index("u")
    known = {key: entry for key, entry in lexicon.entries.items() if key.symbol in (COMMA, literal)}
    given = None if between is None else DependencyGrammar.of(replace(lexicon, entries=known), between)
    knowledge = Knowledge(lexicon, Executor(), {}, given)

    def fine(tree, most):
        for node, dependents in enumerate(tree.dependents()):
            commas = [tree.symbols[each] == COMMA for each in dependents]
            if commas.count(False) > most:
                return False
            if between is None:
                continue
            if tree.symbols[node] == literal and dependents not in (
                [],
                [each for each in dependents if each > node][:1],
            ):
                return False
            if tree.symbols[node] == COMMA and dependents:
                return False
            if between and (tree.symbols[tree.root] == COMMA or "," in stray(commas)):
                return False
        return True

    def stray(commas):
        text = "".join("," if each else "x" for each in commas)
        return re.sub("(?<=x),(?=x)", "", text)

    allowed = 0
    for heads in all_trees():
        for symbols in ((u, literal, COMMA, literal, u), (literal, COMMA, u, literal, COMMA), (u, u, COMMA, COMMA, u)):
            tree = Tree(symbols[: len(heads)], heads)
            for most in range(4):
                assert knowledge.allows(tree, most) == fine(tree, most)
                allowed += fine(tree, most)
    assert allowed > 30


def test_with_solvable_programs_all_revisions_of_values_are_found_in_all_trees():
    assert compare(lexicon_of(SOLVABLE, agreement=AGREEMENT)) > 1000


@pytest.mark.parametrize("seed", range(3))
def test_and_in_trees_of_other_symbols(seed):
    assert compare(lexicon_of(SOLVABLE, agreement=AGREEMENT), heads=all_trees(4), seed=seed + 1) > 100


def test_revised_symbols_are_those_of_all_single_changes():
    assert compare(lexicon_of(SOLVABLE, agreement=AGREEMENT), symbols_too=True) > 1000


def test_unknown_leaves_are_guessed_on_top_of_the_revision():
    guesses = {SYMBOLS.index(name): [Guess(A, math.log(0.7)), Guess((), math.log(0.3))] for name in "uo"}
    guesses[SYMBOLS.index("a")] = [Guess(B, 0.0)]  # it is known, so this is not looked at
    lexicon = lexicon_of(SOLVABLE, agreement=AGREEMENT)
    heads = [each for each in all_trees(4) if len(each) > 1]
    assert compare(lexicon, guesses, symbols_too=True, heads=heads) > 500


def test_what_is_offered_is_right_even_where_programs_cannot_be_solved():
    lexicon = lexicon_of(UNSOLVABLE)
    knowledge = knowledge_of(lexicon)
    generator = np.random.default_rng(0)
    missed = 0
    for heads in all_trees():
        tree = Tree(fitting_symbols(heads, lexicon, generator), heads)
        alternatives = some_alternatives(tree, lexicon, generator)
        twin = Twin(tree, knowledge, alternatives)
        for wanted in filter(is_short, twin.by_value):
            found, expected = explained(tree, wanted, knowledge, THOROUGH, alternatives), twin.explanations(wanted)
            short = {content: gain for content, gain in found.items() if in_reach({content: gain})}
            assert short.items() <= expected.items()
            missed += len(expected) - len(short)
            for revised_tree, revised in found:
                assert values_of(revised_tree, lexicon, dict(revised))[tree.root] == wanted
    assert missed > 0  # else this test says no more than the others


def test_a_tree_that_yields_the_value_has_one_explanation():
    tree = Tree((0, 2), (1, ROOT))
    assert explained(tree, A + A, knowledge_of(lexicon_of(SOLVABLE))) == {(tree, frozenset()): 0.0}


def test_no_explanation_needs_two_revisions_unless_they_are_allowed():
    tree = Tree((6, 6), (1, ROOT))  # u u: neither has a program
    knowledge = knowledge_of(lexicon_of(SOLVABLE))
    assert not explained(tree, A, knowledge)
    known = Tree((0, 6), (1, ROOT))
    assert explained(known, A, knowledge) == {(known, frozenset({(1, A)})): NOVELTY}
    assert not explained(known, A, knowledge, replace(THOROUGH, revisions=0))


def test_two_revisions_may_follow_each_other_on_the_way_down():
    knowledge = knowledge_of(lexicon_of(SOLVABLE))
    tree = Tree((0, 3), (1, ROOT))  # a g, which is B A
    alternatives = [(), [Alternative(SYMBOLS.index("f"), -1.0)]]
    changed = replace(tree, symbols=(0, SYMBOLS.index("f")))
    content = changed, frozenset({(0, B)})
    assert content not in explained(tree, B + B, knowledge, THOROUGH, alternatives)
    found = explained(tree, B + B, knowledge, replace(THOROUGH, revisions=2), alternatives)
    assert found[content] == pytest.approx(-1.0 + math.log(1 - CERTAINTY))


@pytest.mark.parametrize("most", [1, 2, 5])
def test_few_guesses_are_the_best_ones(most):
    guesses = {6: [Guess(A, -0.1), Guess((), -2.5)], 5: [Guess(B, -0.2), Guess((), -0.9)]}
    tree = Tree((6, 4, 5), (1, ROOT, 1))  # u h o, which appends u to o
    ways = sorted(
        (
            (first.log_prob + second.log_prob, second.value + first.value)
            for first in guesses[6]
            for second in guesses[5]
        ),
        reverse=True,
    )
    for rank, (gain, wanted) in enumerate(ways):
        config = replace(THOROUGH, guesses=most, revisions=0)
        found = explained(tree, wanted, knowledge_of(lexicon_of(SOLVABLE), guesses), config)
        assert list(found.values()) == ([pytest.approx(gain)] if rank < most else [])


def test_the_search_ends_after_so_many_nodes():
    tree = Tree((0, 4, 0, 4, 0), (1, 3, 1, ROOT, 3))
    knowledge = knowledge_of(lexicon_of(SOLVABLE))
    assert len(list(explain(tree, A * 2, knowledge, THOROUGH))) == len(tree)
    assert len(list(explain(tree, A * 2, knowledge, replace(THOROUGH, expansions=2)))) < len(tree)


# What goes into it


def test_surprise_of_known_unknown_and_contradicted_keys():
    knowledge = knowledge_of(lexicon_of(SOLVABLE, agreement={"a": 1.0, "f": 0.75, "g": 0.2, "h": 0.0}))
    assert knowledge.surprise(Key(6, 0)) == NOVELTY
    assert knowledge.surprise(Key(0, 1)) == NOVELTY  # known, but not with a dependent
    assert knowledge.surprise(Key(0, 0)) == pytest.approx(math.log(1 - CERTAINTY))
    assert knowledge.surprise(Key(2, 1)) == pytest.approx(math.log(0.25))
    assert knowledge.surprise(Key(3, 1)) == pytest.approx(math.log(0.8))
    assert knowledge.surprise(Key(4, 2)) == 0.0


def test_values_are_those_of_the_definition():
    generator = np.random.default_rng(0)
    for lexicon in (lexicon_of(SOLVABLE), lexicon_of(UNSOLVABLE)):
        for heads in all_trees():
            tree = Tree(fitting_symbols(heads, lexicon, generator), heads)
            revised = {int(generator.integers(len(tree))): A} if generator.random() < 0.5 else {}
            assert evaluate(tree, knowledge_of(lexicon), revised) == values_of(tree, lexicon, revised)


@given(st.integers(1, 6).flatmap(lambda n: st.sampled_from(list(projective_trees(n)))))
def test_dependents_are_the_heads_read_the_other_way(heads):
    tree = Tree((0,) * len(heads), heads)
    assert [
        [each for each, head in enumerate(heads) if head == node] for node in range(len(heads))
    ] == tree.dependents()
    assert heads[tree.root] == ROOT


# Trees one attachment away


@cache
def near(n: int) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    symbols = tuple(range(n))
    found = {}
    for heads in projective_trees(n):
        trees = neighbours(Tree(symbols, heads))
        assert all(tree.symbols == symbols for tree in trees)
        found[heads] = [tree.heads for tree in trees]
    return found


@pytest.mark.parametrize("n", range(1, 6))
def test_neighbours_are_all_projective_trees_that_differ_in_one_attachment(n):
    def changes(one, other):
        return [(node, *pair) for node, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]

    def adjacent(one, other):
        """One token has another head; or the root has become a dependent of its dependent, which is now the root."""
        match sorted(changes(one, other), key=lambda change: change[1]):
            case [(_, head, new)]:
                return ROOT not in (head, new)
            case [(root, head, new), (dependent, above, below)]:
                return head == ROOT and new == dependent and above == root and below == ROOT
        return False

    for heads, found in near(n).items():
        assert all(map(is_projective, found))
        assert heads not in found
        assert len(set(found)) == len(found)
        assert set(found) == {other for other in near(n) if adjacent(heads, other)}


@pytest.mark.parametrize("n", range(1, 6))
def test_neighbours_are_mutual_and_lead_everywhere(n):
    for heads, found in near(n).items():
        assert all(heads in near(n)[other] for other in found)
    reached, fresh = set(), {next(iter(near(n)))}
    while fresh:
        reached |= fresh
        fresh = {other for heads in fresh for other in near(n)[heads]} - reached
    assert reached == set(near(n))


def test_one_token_has_no_neighbours():
    assert neighbours(Tree((3,), (ROOT,))) == []


# Worked cases

GOLDEN = Path(__file__).parent / "golden"
TURN = "I_TURN_LEFT"
THRICE = "(append x0 (append x0 x0))"


def case(lexicon: Lexicon, command: str, wanted: str, trees, guesses=None, alternatives=()) -> dict:
    """A command, its wanted value, and for each of its trees the explanations in their order."""
    words = command.split()
    ids = {word: number for number, word in enumerate(lexicon.symbols)}
    known = Knowledge(lexicon, Executor(), {ids[word]: found for word, found in (guesses or {}).items()})
    others = [[Alternative(ids[word], gain) for word, gain in found] for found in alternatives]

    def plain(found):
        return {
            "symbols": " ".join(lexicon.symbols[symbol] for symbol in found.tree.symbols),
            "revised": {words[node]: to_json(value) for node, value in found.revised},
            "gain": round(found.gain, 6),
        }

    return {
        "command": command,
        "wanted": wanted.split(),
        "lexicon": lexicon.to_text().splitlines(),
        "trees": [
            {
                "heads": list(heads),
                "explanations": [
                    plain(each)
                    for each in explain(
                        Tree(tuple(ids[word] for word in words), heads),
                        tuple(wanted.split()),
                        known,
                        SearchConfig(),
                        others,
                    )
                ],
            }
            for heads in trees
        ],
    }


def golden_cases() -> dict[str, dict]:
    return {
        "unknown_function": case(
            scan_lexicon(without=["twice"]), "jump left twice", f"{TURN} I_JUMP {TURN} I_JUMP", projective_trees(3)
        ),
        "unknown_word": case(
            scan_lexicon(without=["turn"]),
            "turn left",
            TURN,
            projective_trees(2),
            {"turn": [Guess((TURN,), math.log(0.6)), Guess((), math.log(0.4))]},
        ),
        "contradicted": case(
            scan_lexicon(change={("twice", 1): THRICE}, agreement={"twice": 0.5, "and": 0.98, "look": 0.98}),
            "walk twice and look",
            "I_WALK I_WALK I_LOOK",
            [gold_heads(("walk", "twice", "and", "look"))],
        ),
        "misread": case(
            scan_lexicon(),
            "walk left twice",
            f"{TURN} I_RUN {TURN} I_RUN",
            [gold_heads(("walk", "left", "twice"))],
            alternatives=[
                [("look", math.log(0.2)), ("run", math.log(0.5))],
                [("right", math.log(0.1))],
                [("thrice", math.log(0.3))],
            ],
        ),
    }


@pytest.mark.parametrize("name", golden_cases())
def test_golden(name):
    found = json.dumps(golden_cases()[name], indent=1) + "\n"
    path = GOLDEN / f"abduction_{name}.json"
    if os.environ.get("NSR_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("name", golden_cases())
def test_what_is_golden_is_right(name):
    data = json.loads((GOLDEN / f"abduction_{name}.json").read_text())
    words = data["command"].split()
    lexicon = lexicon_of("\n".join(data["lexicon"]), sorted(scan_lexicon().symbols))
    count = 0
    for tree in data["trees"]:
        for each in tree["explanations"]:
            symbols = tuple(lexicon.symbols.index(word) for word in each["symbols"].split())
            revised = {words.index(word): tuple(value) for word, value in each["revised"].items()}
            found = Tree(symbols, tuple(tree["heads"]))
            assert values_of(found, lexicon, revised)[found.root] == tuple(data["wanted"])
            count += 1
    assert count
