"""The dependency grammar: its mask leaves exactly the licensed trees, checked against all projective trees."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsr.arrays import ragged_to_padded
from nsr.gss import ROOT, projective_trees
from nsr.semantics.execution import ABSENT, Layout
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature
from nsr.semantics.programs import Constant
from nsr.syntax.signatures import UNKNOWN_CLASS, DependencyGrammar, Slot
from nsr.syntax.transitions import Configurations, Order

LEFT, RIGHT = 0, 1
WORD, COMMA, HEAD = 1, 2, 3  # classes
orders = pytest.mark.parametrize("order", list(Order))


def grammar_of(*classes, accepts=None, between=False, most=None):
    """A grammar in which symbol i has class i: 0 is unknown, the others have the given signatures."""
    signatures = tuple(frozenset(Signature(*each) for each in known) for known in ((), *classes))
    slots = {Slot(*slot): frozenset(found) for slot, found in (accepts or {}).items()}
    return DependencyGrammar(np.arange(len(signatures)), signatures, slots, between, most)


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
        kind == UNKNOWN_CLASS or counts(heads, token) in {each[:2] for each in grammar.classes[kind]}
        for token, kind in enumerate(classes)
    )


def is_valueless(grammar, kind):
    return kind != UNKNOWN_CLASS and all(signature.valueless for signature in grammar.classes[kind])


def dependents_of(signature):
    """(side, place, whether it is to be EMPTY) of each dependent that a signature asks for."""
    for index in range(signature.left):
        yield LEFT, signature.left - 1 - index, index in signature.empty
    for index in range(signature.right):
        yield RIGHT, index, signature.left + index in signature.empty


def fits(grammar, slot, filler):
    """Whether some signature of the head has such a dependent there, and the slot was seen with its class if at all."""
    if UNKNOWN_CLASS in (slot.head, filler):
        return True
    wanted = slot.side, slot.place, is_valueless(grammar, filler)
    asked = any(wanted in dependents_of(signature) for signature in grammar.classes[slot.head])
    return asked and (slot not in grammar.accepts or filler in grammar.accepts[slot])


def fills_slots(grammar, classes, heads):
    return all(fits(grammar, slot, filler) for slot, filler in slots(classes, heads))


def is_separated(grammar, classes, heads):
    """Whether each separator's neighbours among the dependents of its head are two that are none."""
    for head in (ROOT, *range(len(heads))):
        dependents = [dependent for dependent, above in enumerate(heads) if above == head]
        separators = [grammar.between and is_valueless(grammar, classes[each]) for each in dependents]
        if any(pair != (False, False) for pair in neighbours(separators)):
            return False
    return True


def neighbours(flags):
    """What stands before and behind each one that is true; True at the ends."""
    padded = [True, *flags, True]
    return [(padded[place], padded[place + 2]) for place, flag in enumerate(flags) if flag]


def is_narrow(grammar, classes, heads):
    """Whether no symbol without entry has too many arguments."""
    return grammar.most is None or all(
        sum(above == token and not is_valueless(grammar, classes[each]) for each, above in enumerate(heads))
        <= grammar.most
        for token, kind in enumerate(classes)
        if kind == UNKNOWN_CLASS
    )


def licensed_trees(grammar, symbols):
    classes = grammar.class_of[list(symbols)].tolist()
    return {
        heads
        for heads in projective_trees(len(symbols))
        if has_signatures(grammar, classes, heads)
        and fills_slots(grammar, classes, heads)
        and is_separated(grammar, classes, heads)
        and is_narrow(grammar, classes, heads)
    }


def separated(grammar, symbols, trees):
    """The trees that ``grammar.separated`` leaves."""
    if not trees:
        return set()
    heads = np.array(sorted(trees))
    fine = grammar.separated(np.tile(symbols, (len(heads), 1)), Layout.of(heads))
    return set(map(tuple, heads[fine].tolist()))


def explore(grammar, symbols, order, padding=()):
    """Take all valid transitions that the mask leaves; the trees that are completed, and the number of dead ends."""
    sentence = np.array([*symbols, *padding])
    configurations = Configurations(np.array([len(symbols)]), order)
    dead = 0
    for _ in range(2 * len(symbols) - 1):
        rows = np.tile(sentence, (len(configurations), 1))
        takers = grammar.last_takers(rows, configurations.lengths)
        parents, actions = np.nonzero(configurations.valid() & grammar.mask(rows, configurations, takers))
        dead += len(configurations) - len(set(parents.tolist()))
        configurations = configurations.select(parents)
        configurations.advance(actions)
    trees = [tuple(heads) for heads in configurations.heads[:, : len(symbols)].tolist()]
    assert len(trees) == len(set(trees))
    return set(trees), dead


@st.composite
def signatures(draw):
    left, right = draw(st.tuples(st.integers(0, 2), st.integers(0, 3)))
    places = st.sets(st.sampled_from(range(left + right))) if left + right else st.just(())
    return left, right, tuple(sorted(draw(places))), draw(st.booleans())


plain = st.tuples(st.integers(0, 2), st.integers(0, 2))
word, separator = st.just(frozenset([(0, 0)])), st.just(frozenset([(0, 0, (), True)]))
entries = st.frozensets(plain | signatures(), min_size=1, max_size=3) | word | separator
lexicons = st.lists(entries, min_size=1, max_size=4)
limits = st.none() | st.integers(0, 3)


@st.composite
def grammars(draw):
    classes = draw(lexicons)
    kinds = range(len(classes) + 1)
    slot = st.tuples(st.sampled_from(kinds[1:]), st.integers(0, 1), st.integers(0, 4))
    accepts = draw(st.dictionaries(slot, st.frozensets(st.sampled_from(kinds)), max_size=6))
    return grammar_of(*classes, accepts=accepts, between=draw(st.booleans()), most=draw(limits))


@st.composite
def grammars_with_sentences(draw):
    grammar = draw(grammars())
    symbols = draw(st.lists(st.sampled_from(range(len(grammar.classes))), min_size=1, max_size=5))
    return grammar, symbols


@st.composite
def heads_with_commas(draw):
    """A grammar of words, commas and heads that take both, and a sentence of them in which heads are few."""
    words = draw(st.sampled_from([[(0, 0)], [(0, 0), (0, 1)], [(0, 0), (1, 0)], [(0, 0), (1, 2, (1,))]]))
    heads = draw(st.lists(st.frozensets(signatures(), min_size=1, max_size=2), min_size=1, max_size=2))
    grammar = grammar_of(words, [(0, 0, (), True)], *heads, between=draw(st.booleans()), most=draw(limits))
    others = range(len(grammar.classes))
    symbols = draw(st.lists(st.sampled_from([WORD, COMMA, WORD, COMMA, *others]), min_size=2, max_size=4))
    symbols.insert(draw(st.integers(0, len(symbols))), draw(st.sampled_from(others[HEAD:])))
    return grammar, symbols


# The mask


@orders
@given(case=grammars_with_sentences() | heads_with_commas())
@settings(max_examples=300)
def test_the_mask_leaves_exactly_the_licensed_trees(order, case):
    grammar, symbols = case
    trees, _ = explore(grammar, symbols, order)
    assert separated(grammar, symbols, trees) == licensed_trees(grammar, symbols)
    assert grammar.between or trees == licensed_trees(grammar, symbols), "the mask alone is exact"


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
@pytest.mark.parametrize("between", [False, True])
def test_the_mask_leaves_exactly_the_licensed_trees_of_every_head_with_commas(order, between):
    found = 0
    for left, right in [each for each in itertools.product(range(3), range(4)) if sum(each) < 5]:
        for places in itertools.product([False, True], repeat=left + right):
            empty = tuple(np.flatnonzero(places).tolist())
            grammar = grammar_of([(0, 0), (0, 1)], [(0, 0, (), True)], [(left, right, empty)], between=between)
            count = left + right
            marks = [COMMA if place else WORD for place in places]
            for symbols in (
                [*marks[:left], HEAD, *marks[left:]],  # what it asks for
                [HEAD, *marks],
                [*marks[:left], HEAD, *marks[left:][::-1]],
                [*([WORD, COMMA, WORD] if left else []), HEAD, WORD, COMMA, WORD],
            ):
                trees, _ = explore(grammar, symbols, order)
                expected = licensed_trees(grammar, symbols)
                assert separated(grammar, symbols, trees) == expected
                assert between or trees == expected
                found += bool(expected)
            assert count or licensed_trees(grammar, [HEAD]) == {(ROOT,)}
    assert found > 20


@orders
def test_a_comma_between_two_strings_leaves_one_tree(order):
    """Words are lists of themselves and what follows them: where one ends is where a comma or the end is."""
    words = [(0, 0), (0, 1)]
    binary = grammar_of(words, [(0, 0, (), True)], [(0, 3, (1,))], between=True)
    sentence = [HEAD, WORD, WORD, COMMA, WORD, WORD]
    assert explore(binary, sentence, order)[0] == {(ROOT, 0, 1, 0, 0, 4)}
    assert explore(binary, [HEAD, WORD, WORD, WORD], order)[0] == set()
    assert explore(binary, [*sentence, COMMA, WORD], order)[0] == set()
    nested = [HEAD, HEAD, WORD, COMMA, WORD, COMMA, WORD, WORD]
    assert explore(binary, nested, order)[0] == {(ROOT, 0, 1, 1, 1, 0, 0, 6)}
    unknown = [UNKNOWN_CLASS, WORD, WORD, COMMA, WORD, WORD]
    free, _ = explore(binary, unknown, order)
    assert separated(binary, unknown, free) == licensed_trees(binary, unknown)
    assert len(licensed_trees(binary, unknown)) == 4  # each string is one argument, or each of its words


@pytest.mark.parametrize(
    ("symbols", "heads", "fine"),
    [
        ([HEAD, WORD, COMMA, WORD], (ROOT, 0, 0, 0), True),
        ([HEAD, WORD, COMMA, WORD, COMMA, WORD], (ROOT, 0, 0, 0, 0, 0), True),
        ([WORD, COMMA, HEAD, WORD], (2, 2, ROOT, 2), True),
        ([WORD, HEAD, COMMA, WORD], (1, ROOT, 1, 1), True),
        ([HEAD, WORD, COMMA, UNKNOWN_CLASS], (ROOT, 0, 0, 0), True),
        ([HEAD, WORD, COMMA, WORD], (ROOT, 0, 1, 0), False),  # of "word", behind nothing
        ([HEAD, WORD, COMMA], (ROOT, 0, 0), False),
        ([HEAD, COMMA, WORD], (ROOT, 0, 0), False),
        ([WORD, COMMA, HEAD], (2, 2, ROOT), False),
        ([HEAD, WORD, COMMA, COMMA, WORD], (ROOT, 0, 0, 0, 0), False),
        ([WORD, COMMA, HEAD, COMMA, WORD], (2, 2, ROOT, 2, 2), False),
        ([COMMA], (ROOT,), False),
        ([WORD, COMMA, WORD], (1, ROOT, 1), False),
    ],
)
def test_a_separator_stands_between_two_arguments_of_its_head(symbols, heads, fine):
    grammar = grammar_of([(0, 0)], [(0, 0, (), True)], [(0, 0)], between=True)
    layout = Layout.of(np.array([(*heads, ABSENT)]))
    assert grammar.separated(np.array([[*symbols, COMMA]]), layout).tolist() == [fine]
    assert is_separated(grammar, symbols, heads) == fine
    loose = replace(grammar, between=False)
    assert loose.separated(np.array([[*symbols, COMMA]]), layout).tolist() == [True]


@orders
def test_unknown_symbols_are_free(order):
    trees, dead = explore(grammar_of([(1, 0)]), [UNKNOWN_CLASS] * 5, order)
    assert trees == set(projective_trees(5))
    assert dead == 0


@orders
@pytest.mark.parametrize("most", range(4))
def test_unknown_symbols_may_have_few_arguments(order, most):
    grammar, count = grammar_of([(0, 0)], [(0, 0, (), True)], most=most), 0
    unknown = [UNKNOWN_CLASS] * 4
    for symbols in (unknown, [UNKNOWN_CLASS, WORD, COMMA, WORD, UNKNOWN_CLASS], [WORD, UNKNOWN_CLASS] * 2):
        trees, _ = explore(grammar, symbols, order)
        assert trees == licensed_trees(grammar, symbols)
        count += len(trees)
    assert bool(count) == bool(most)
    widest = [max(map(heads.count, range(4))) for heads in explore(grammar, unknown, order)[0]]
    assert max(widest, default=0) == most
    assert len(explore(replace(grammar, most=None), unknown, order)[0]) == 30


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
@given(case=grammars_with_sentences() | heads_with_commas(), data=st.data())
def test_padding_is_not_read(order, case, data):
    grammar, symbols = case
    padding = data.draw(st.lists(st.sampled_from(range(len(grammar.classes))), min_size=1, max_size=3))
    assert explore(grammar, symbols, order, padding) == explore(grammar, symbols, order)


@orders
def test_padding_is_no_head(order):
    grammar = grammar_of([(0, 0)], [(1, 0), (1, 1)], [(0, 2)])
    for symbols in ([1], [1, 2], [1, 2, 1], [3, 1, 1]):
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


@orders
def test_a_token_that_is_no_argument_may_wait_for_one_that_is(order):
    operand, suffix, prefix = 1, 2, 3
    grammar = grammar_of([(0, 0)], [(1, 0)], [(0, 1)], accepts={(prefix, RIGHT, 0): [suffix]})
    assert explore(grammar, [prefix, operand, suffix], order)[0] == {(ROOT, 2, 0)}
    assert explore(grammar, [prefix, operand, suffix, suffix], order)[0] == {(ROOT, 2, 3, 0), (3, 2, 0, ROOT)}
    assert explore(grammar, [prefix, operand], order)[0] == set()


# Learning it


def test_symbols_with_equal_signatures_share_a_class():
    leaf, suffix, prefix = Signature(0, 0), Signature(1, 0), Signature(0, 1)
    infix, comma = Signature(0, 3, (1,)), Signature(0, 0, valueless=True)

    def entry(*signatures):
        return Entry(Constant("x"), frozenset(signatures))

    entries = {
        Key(0, 0): entry(leaf),
        Key(1, 1): entry(suffix),
        Key(3, 1): entry(suffix),
        Key(4, 0): entry(leaf),
        Key(4, 1): entry(suffix, prefix),
        Key(5, 0): entry(comma),
        Key(6, 2): entry(infix),
        Key(7, 2): entry(Signature(0, 2)),
    }
    lexicon = Lexicon(("walk", "left", "hop", "right", "jump", ",", "append", "prepend"), entries)
    grammar = DependencyGrammar.of(lexicon)
    classes = [grammar.classes[number] for number in grammar.class_of]
    assert classes[:5] == [{leaf}, {suffix}, frozenset(), {suffix}, {leaf, suffix, prefix}]
    assert classes[5:] == [{comma}, {infix}, {Signature(0, 2)}]
    assert grammar.class_of[1] == grammar.class_of[3]
    assert grammar.class_of[2] == UNKNOWN_CLASS
    assert len(grammar.classes) == 7
    assert grammar.accepts == {}
    assert not grammar.between
    assert DependencyGrammar.of(lexicon, between=True).between


@st.composite
def weighted_trees(draw):
    trees = draw(st.lists(st.integers(1, 5).flatmap(lambda n: st.sampled_from(list(projective_trees(n)))), min_size=1))
    sentences = [draw(st.lists(st.integers(0, 3), min_size=len(tree), max_size=len(tree))) for tree in trees]
    weights = draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=len(trees), max_size=len(trees)))
    return trees, sentences, weights


@given(weighted_trees(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_observe_accepts_the_classes_that_fill_a_share_of_a_slot(seen, share):
    trees, sentences, weights = seen
    grammar = grammar_of([(0, 0)], [(1, 0)], [(1, 1)], between=True, most=2)
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
    assert (observed.between, observed.most) == (True, 2)
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


@given(grammars_with_sentences() | heads_with_commas())
def test_licensed_is_what_the_signatures_say(case):
    grammar, symbols = case
    trees = list(projective_trees(len(symbols)))
    padding = [[ABSENT] * 2] * len(trees)
    layout = Layout.of(np.concatenate([np.array(trees), np.array(padding)], axis=1))
    rows = np.tile([*symbols, 0, len(grammar.classes) - 1], (len(trees), 1))
    classes = grammar.class_of[symbols].tolist()
    expected = [has_signatures(grammar, classes, heads) and is_separated(grammar, classes, heads) for heads in trees]
    assert grammar.licensed(rows, layout).tolist() == expected
    assert grammar.separated(rows, layout).tolist() == [is_separated(grammar, classes, heads) for heads in trees]


# As data


@given(grammars())
def test_json_round_trip(grammar):
    restored = DependencyGrammar.from_json(json.loads(json.dumps(grammar.to_json())))
    assert restored.class_of.tolist() == grammar.class_of.tolist()
    assert restored.class_of.dtype == np.int64
    assert restored.classes == grammar.classes
    assert restored.accepts == grammar.accepts
    assert restored.between is grammar.between


@pytest.mark.parametrize(
    "damage",
    [
        {"class_of": ["one"]},
        {"class_of": None},
        {"classes": [[], [[1]]]},
        {"classes": [[], [[0, 0]], [[1, 0]]]},
        {"classes": [[], [[0, 0, 0, False]], [[1, 0, [], False]]]},
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
