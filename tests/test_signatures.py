"""The dependency grammar: its mask leaves exactly the licensed trees, checked against all projective trees."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsr.arrays import ragged_to_padded
from nsr.gss import ROOT, projective_trees
from nsr.semantics.execution import ABSENT, Layout
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature
from nsr.semantics.programs import Constant
from nsr.syntax.signatures import UNKNOWN_CLASS, DependencyGrammar, Slot
from nsr.syntax.transitions import Configurations, Order

LEFT, RIGHT = 0, 1
orders = pytest.mark.parametrize("order", list(Order))


def grammar_of(*classes, accepts=None):
    """A grammar in which symbol i has class i: 0 is unknown, the others have the given signatures."""
    signatures = tuple(frozenset(Signature(*pair) for pair in known) for known in ((), *classes))
    slots = {Slot(*slot): frozenset(found) for slot, found in (accepts or {}).items()}
    return DependencyGrammar(np.arange(len(signatures)), signatures, slots)


# The naive definition of what is licensed


def counts(heads, token):
    left = sum(head == token > dependent for dependent, head in enumerate(heads))
    right = sum(head == token < dependent for dependent, head in enumerate(heads))
    return left, right


def slots(classes, heads):
    """(slot, class of its filler) of each dependent: places count outwards from the head."""
    for dependent, head in enumerate(heads):
        if head != ROOT:
            side = RIGHT if dependent > head else LEFT
            between = range(min(head, dependent) + 1, max(head, dependent))
            place = sum(heads[other] == head for other in between)
            yield Slot(classes[head], side, place), classes[dependent]


def has_signatures(grammar, classes, heads):
    return all(
        kind == UNKNOWN_CLASS or counts(heads, token) in grammar.classes[kind] for token, kind in enumerate(classes)
    )


def fills_slots(grammar, classes, heads):
    return all(
        filler == UNKNOWN_CLASS or slot not in grammar.accepts or filler in grammar.accepts[slot]
        for slot, filler in slots(classes, heads)
    )


def licensed_trees(grammar, symbols):
    classes = grammar.class_of[list(symbols)].tolist()
    return {
        heads
        for heads in projective_trees(len(symbols))
        if has_signatures(grammar, classes, heads) and fills_slots(grammar, classes, heads)
    }


def explore(grammar, symbols, order, padding=()):
    """Take all valid transitions that the mask leaves; the trees that are completed, and the number of dead ends."""
    sentence = np.array([*symbols, *padding])
    configurations = Configurations(np.array([len(symbols)]), order)
    dead = 0
    for _ in range(2 * len(symbols) - 1):
        rows = np.tile(sentence, (len(configurations), 1))
        parents, actions = np.nonzero(configurations.valid() & grammar.mask(rows, configurations))
        dead += len(configurations) - len(set(parents.tolist()))
        configurations = configurations.select(parents)
        configurations.advance(actions)
    trees = [tuple(heads) for heads in configurations.heads[:, : len(symbols)].tolist()]
    assert len(trees) == len(set(trees))
    return set(trees), dead


signatures = st.tuples(st.integers(0, 2), st.integers(0, 2))
lexicons = st.lists(st.frozensets(signatures, min_size=1, max_size=3), min_size=1, max_size=3)


@st.composite
def grammars(draw):
    classes = draw(lexicons)
    kinds = range(len(classes) + 1)
    slot = st.tuples(st.sampled_from(kinds[1:]), st.integers(0, 1), st.integers(0, 4))
    return grammar_of(*classes, accepts=draw(st.dictionaries(slot, st.frozensets(st.sampled_from(kinds)), max_size=6)))


@st.composite
def grammars_with_sentences(draw):
    grammar = draw(grammars())
    symbols = draw(st.lists(st.sampled_from(range(len(grammar.classes))), min_size=1, max_size=5))
    return grammar, symbols


# The mask


@orders
@given(case=grammars_with_sentences())
def test_the_mask_leaves_exactly_the_licensed_trees(order, case):
    grammar, symbols = case
    trees, _ = explore(grammar, symbols, order)
    assert trees == licensed_trees(grammar, symbols)


@orders
def test_the_mask_leaves_exactly_the_licensed_trees_of_every_small_lexicon(order):
    pairs = [(left, right) for left in range(3) for right in range(3)]
    found = 0
    for first in pairs:
        for second in pairs:
            grammar = grammar_of([(0, 0)], [first], [(0, 0), second])
            for symbols in ([1, 2, 3], [2, 1, 1, 3], [1, 3, 2, 1], [1, 1, 2, 3, 1]):
                trees, _ = explore(grammar, symbols, order)
                assert trees == licensed_trees(grammar, symbols)
                found += len(trees)
    assert found


@orders
def test_unknown_symbols_are_free(order):
    trees, dead = explore(grammar_of([(1, 0)]), [UNKNOWN_CLASS] * 5, order)
    assert trees == set(projective_trees(5))
    assert dead == 0


@orders
def test_an_unknown_symbol_fills_a_slot_that_accepts_nothing(order):
    grammar = grammar_of([(0, 0)], [(1, 0)], accepts={(2, LEFT, 0): []})
    assert explore(grammar, [1, 2], order)[0] == set()
    assert explore(grammar, [UNKNOWN_CLASS, 2], order)[0] == {(1, ROOT)}


@orders
def test_a_sentence_of_one_token_needs_one_that_takes_no_dependents(order):
    grammar = grammar_of([(0, 0)], [(1, 0)])
    assert explore(grammar, [1], order) == ({(ROOT,)}, 0)
    assert explore(grammar, [2], order) == (set(), 1)
    assert explore(grammar, [UNKNOWN_CLASS], order) == ({(ROOT,)}, 0)


@orders
def test_padding_is_not_read(order):
    grammar = grammar_of([(0, 0)], [(1, 0), (1, 1)])
    for symbols in ([1], [1, 2], [1, 2, 1]):
        assert explore(grammar, symbols, order, padding=[2, 1, 0]) == explore(grammar, symbols, order)
    assert explore(grammar, [2], order, padding=[1])[0] == set()


@orders
def test_there_are_dead_ends_but_never_in_a_chain(order):
    operand, infix, suffix = 1, 2, 3
    grammar = grammar_of([(0, 0)], [(1, 1)], [(1, 0)])
    assert explore(grammar, [operand, suffix, suffix, suffix], order)[1] == 0
    trees, dead = explore(grammar, [operand, infix, operand, operand], order)
    assert trees == set()
    assert dead > 0


@orders
def test_places_count_outwards_from_the_head(order):
    far, near, middle = 1, 2, 3
    accepts = {(middle, side, place): [(near, far)[place]] for side in (LEFT, RIGHT) for place in range(2)}
    grammar = grammar_of([(0, 0)], [(0, 0), (9, 9)], [(2, 2)], accepts=accepts)  # (9, 9) makes near another class
    assert explore(grammar, [far, near, middle, near, far], order)[0] == {(2, 2, ROOT, 2, 2)}
    assert explore(grammar, [near, far, middle, near, far], order)[0] == set()
    assert explore(grammar, [far, near, middle, far, near], order)[0] == set()


# Learning it


def test_symbols_with_equal_signatures_share_a_class():
    def entry(*pairs):
        return Entry(Constant("x"), frozenset(Signature(*pair) for pair in pairs))

    entries = {
        Key(0, 0): entry((0, 0)),
        Key(1, 1): entry((1, 0)),
        Key(3, 1): entry((1, 0)),
        Key(4, 0): entry((0, 0)),
        Key(4, 1): entry((1, 0), (0, 1)),
    }
    grammar = DependencyGrammar.of(Lexicon(("walk", "left", "hop", "right", "jump"), entries))
    classes = [grammar.classes[number] for number in grammar.class_of]
    assert classes == [{(0, 0)}, {(1, 0)}, frozenset(), {(1, 0)}, {(0, 0), (1, 0), (0, 1)}]
    assert grammar.class_of[1] == grammar.class_of[3]
    assert grammar.class_of[2] == UNKNOWN_CLASS
    assert len(grammar.classes) == 4
    assert grammar.accepts == {}


@st.composite
def weighted_trees(draw):
    trees = draw(st.lists(st.integers(1, 5).flatmap(lambda n: st.sampled_from(list(projective_trees(n)))), min_size=1))
    sentences = [draw(st.lists(st.integers(0, 3), min_size=len(tree), max_size=len(tree))) for tree in trees]
    weights = draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=len(trees), max_size=len(trees)))
    return trees, sentences, weights


@given(weighted_trees(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_observe_accepts_the_classes_that_fill_a_share_of_a_slot(seen, share):
    trees, sentences, weights = seen
    grammar = grammar_of([(0, 0)], [(1, 0)], [(1, 1)])
    weight = {}
    for heads, symbols, each in zip(trees, sentences, weights, strict=True):
        for slot, filler in slots(symbols, heads):  # symbol i is of class i
            filled = weight.setdefault(slot, {})
            filled[filler] = filled.get(filler, 0) + each
    expected = {
        slot: {filler for filler, each in filled.items() if each >= share * sum(filled.values())}
        for slot, filled in weight.items()
        if slot.head != UNKNOWN_CLASS
    }
    symbols, _ = ragged_to_padded(sentences, 0)
    heads, _ = ragged_to_padded(trees, ABSENT)
    observed = grammar.observe(symbols, heads, np.array(weights), share)
    assert observed.accepts == expected
    assert grammar.accepts == {}  # a new grammar is made


def test_observe_drops_what_is_rare():
    operand, suffix = 1, 2
    grammar = grammar_of([(0, 0)], [(1, 0)])
    symbols = np.array([[operand, suffix, suffix], [operand, suffix, suffix], [operand, suffix, 0]])
    heads = np.array([[1, 2, ROOT], [1, 2, ROOT], [1, ROOT, ABSENT]])
    slot = Slot(suffix, LEFT, 0)
    for weight, accepted in ((1.0, {operand, suffix}), (0.01, {operand})):
        weights = np.array([weight, 0.0, 1.0])
        assert grammar.observe(symbols, heads, weights, 0.1).accepts == {slot: accepted}
    observed = grammar.observe(symbols, heads, np.array([0.01, 0.0, 1.0]), 0.1)
    assert explore(grammar, [operand, suffix, suffix], Order.LATE)[0] == {(1, 2, ROOT)}
    assert explore(observed, [operand, suffix, suffix], Order.LATE)[0] == set()


@given(grammars_with_sentences())
def test_licensed_is_what_the_signatures_say(case):
    grammar, symbols = case
    trees = list(projective_trees(len(symbols)))
    padding = [[ABSENT] * 2] * len(trees)
    layout = Layout.of(np.concatenate([np.array(trees), np.array(padding)], axis=1))
    rows = np.tile([*symbols, 0, len(grammar.classes) - 1], (len(trees), 1))
    classes = grammar.class_of[symbols].tolist()
    assert grammar.licensed(rows, layout).tolist() == [has_signatures(grammar, classes, heads) for heads in trees]


# As data


@given(grammars())
def test_json_round_trip(grammar):
    restored = DependencyGrammar.from_json(json.loads(json.dumps(grammar.to_json())))
    assert restored.class_of.tolist() == grammar.class_of.tolist()
    assert restored.class_of.dtype == np.int64
    assert restored.classes == grammar.classes
    assert restored.accepts == grammar.accepts


@pytest.mark.parametrize(
    "damage",
    [
        {"class_of": ["one"]},
        {"class_of": None},
        {"classes": [[], [[1]]]},
        {"accepts": [{"head": 1, "side": "middle", "place": 0, "classes": [1]}]},
        {"accepts": [{"head": 1, "side": "left", "place": 0}]},
        {"accepts": [{"head": 1, "side": "left", "place": -1, "classes": [1]}]},
        {"accepts": [{"head": 3, "side": "left", "place": 0, "classes": [1]}]},
        {"accepts": [{"head": 1, "side": "left", "place": 0, "classes": [3]}]},
        {"class_of": [0, 1, 3]},
    ],
)
def test_damaged_json_is_refused(damage):
    data = grammar_of([(0, 0)], [(1, 0)], accepts={(2, LEFT, 0): [1]}).to_json()
    DependencyGrammar.from_json(data)
    with pytest.raises((KeyError, TypeError, ValueError)):
        DependencyGrammar.from_json(data | damage)
