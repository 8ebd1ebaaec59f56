"""The parser: its searches against brute force over all trees, its network against what it must not depend on."""

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nsr.arrays import ragged_to_padded
from nsr.gss import ROOT, projective_trees
from nsr.semantics.execution import ABSENT, Layout
from nsr.semantics.lexicon import Signature
from nsr.syntax.parser import Parser
from nsr.syntax.scorer import ACTIONS, FEATURES, NEAR, VIEWS, ParserConfig, TransitionScorer, one_thread
from nsr.syntax.signatures import DependencyGrammar
from nsr.syntax.transitions import Action, Configurations, Order, oracle
from nsr.tasks.scan import commands, gold_heads, to_projective

SYMBOLS = 4
SEES_ALL = len(VIEWS) - 1
COUNTS = {1: 1, 2: 2, 3: 7, 4: 30, 5: 143}  # projective trees over n tokens

GRAMMARS = (((0, 0), (1, 0), (1, 1), None), ((1, 0), (0, 0), (0, 2), (0, 1)))

sentences = st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=4)
some_view = st.integers(0, SEES_ALL)
views = pytest.mark.parametrize("view", range(len(VIEWS)))
oracles = pytest.mark.parametrize("order", ["late", "early"])


# Making parsers and trees


def grammar_of(*signatures):
    """The grammar of symbols with one signature each, None for a symbol that is unknown."""
    signatures = [each and Signature(*each) for each in signatures]
    known = sorted({each for each in signatures if each})
    numbers = {each: number for number, each in enumerate(known, start=1)}
    class_of = np.array([numbers.get(each, 0) for each in signatures])
    return DependencyGrammar(class_of, (frozenset(), *(frozenset([each]) for each in known)))


@cache
def random_parser(seed=0, view=SEES_ALL, grammar=None, given=None, between=False, **config):
    """A parser with random weights, so that all trees have different probabilities."""
    generator = torch.Generator().manual_seed(seed)
    known = None if given is None else replace(grammar_of(*given), between=between)
    parser = Parser(SYMBOLS, ParserConfig(**config), generator, known)
    if grammar is not None:
        parser.license(grammar_of(*grammar))
    parser.scorer.view_index.fill_(view)
    for weights in (parser.scorer.identity, parser.scorer.output):
        torch.nn.init.normal_(weights, std=0.5, generator=generator)
    return parser


def fitted(grammar, trees, seed=0, **config):
    """A parser that was fitted to (symbols, heads) pairs."""
    parser = Parser(len(grammar.class_of), ParserConfig(**config), torch.Generator().manual_seed(seed))
    parser.license(grammar)
    fit(parser, trees, seed)
    return parser


def fit(parser, trees, seed=0, weights=None, **options):
    symbols, heads, lengths = arrays(*zip(*trees, strict=True))
    weights = np.ones(len(trees)) if weights is None else np.array(weights)
    return parser.fit(symbols, heads, lengths, weights, torch.Generator().manual_seed(seed), **options)


def arrays(sentences, trees):
    symbols, lengths = ragged_to_padded(list(sentences), 0)
    heads, _ = ragged_to_padded(list(trees), ABSENT)
    return symbols, heads, lengths


def parse(parser, sentences, width=1, **options):
    symbols, lengths = ragged_to_padded(list(sentences), 0)
    return parser.parse(symbols, lengths, width, **options)


def trees_of(parses, row, n):
    """The trees found for a sentence and their log-probabilities, without the empty places."""
    found = np.isfinite(parses.log_probs[row])
    return [tuple(heads[:n]) for heads in parses.heads[row, found].tolist()], parses.log_probs[row, found]


def all_log_probs(parser, sentence):
    """Every projective tree of a sentence with its log-probability, by scoring each."""
    trees = list(projective_trees(len(sentence)))
    symbols, heads, lengths = arrays([sentence] * len(trees), trees)
    return dict(zip(trees, parser.log_prob(symbols, heads, lengths).tolist(), strict=True))


def derivation(tree, order):
    """The configuration before each transition of a tree's derivation, and the transition."""
    configurations = Configurations(np.array([len(tree)]), order)
    for _ in range(2 * len(tree) - 1):
        action = oracle(configurations, np.array([tree]))
        yield configurations, int(action[0])
        configurations.advance(action)


def seen(sentence, configurations):
    """The features of the first row, as the module describes them: stack, buffer, dependents."""
    stack = configurations.stack[0, : configurations.depth[0]].tolist()[::-1]
    ahead = list(range(configurations.buffer[0], len(sentence)))
    heads = configurations.heads[0].tolist()

    def pad(tokens, size):
        return [sentence[token] for token in tokens[:size]] + [SYMBOLS] * (size - len(tokens[:size]))

    def taken(head):  # those farther away were taken later
        left = [token for token in range(head) if heads[token] == head]
        right = [token for token in range(len(heads) - 1, head, -1) if heads[token] == head]
        return pad(left, 2) + pad(right, 2)

    nothing = [SYMBOLS] * 4
    dependents = [taken(token) for token in stack[:2]] + [nothing] * (2 - len(stack[:2]))
    return [*pad(stack, 3), *pad(ahead, 3), *itertools.chain(*dependents)]


def scores(parser, features):
    """Log-probabilities of the transitions for rows of features."""
    with one_thread(), torch.no_grad():
        return parser.scorer(torch.from_numpy(parser.scorer.reduce(np.array(features)))).numpy()


# Probabilities


@oracles
@given(sentence=sentences, seed=st.integers(0, 3), view=some_view)
@settings(max_examples=12)
def test_log_prob_is_the_sum_over_the_derivation(order, sentence, seed, view):
    parser = random_parser(seed, view, oracle=order)
    for tree, log_prob in all_log_probs(parser, sentence).items():
        steps = [(seen(sentence, configurations), action) for configurations, action in derivation(tree, Order(order))]
        features, actions = zip(*steps, strict=True)
        assert log_prob == pytest.approx(scores(parser, features)[range(len(actions)), actions].sum(), abs=1e-4)


@oracles
@views
@pytest.mark.parametrize("n", COUNTS)
def test_the_probabilities_of_all_trees_sum_to_one(order, view, n):
    sentence = [0, 1, 2, 3, 1][:n]
    log_probs = all_log_probs(random_parser(1, view, oracle=order), sentence)
    assert len(log_probs) == COUNTS[n]
    assert np.exp(list(log_probs.values())).sum() == pytest.approx(1, abs=1e-5)


def test_at_first_every_open_transition_is_equally_likely():
    parser = Parser(SYMBOLS, ParserConfig(), torch.Generator().manual_seed(0))
    for tree, log_prob in all_log_probs(parser, [0, 1, 2]).items():
        choices = [configurations.valid().sum() for configurations, _ in derivation(tree, Order.LATE)]
        assert log_prob == pytest.approx(-np.log(choices).sum(), abs=1e-6)


@pytest.mark.parametrize("tree", [(1, 3, ROOT, 2), (1, 0, ROOT, 2), (ROOT, ROOT, 1, 2), (1, 2, 3, 0)])
def test_log_prob_and_fit_refuse_what_is_no_projective_tree(tree):
    parser = random_parser()
    symbols, heads, lengths = arrays([[0, 1, 2], [0, 1, 2, 3]], [(1, ROOT, 1), tree])
    with pytest.raises(ValueError, match="not all are projective trees"):
        parser.log_prob(symbols, heads, lengths)
    with pytest.raises(ValueError, match="not all are projective trees"):
        parser.fit(symbols, heads, lengths, np.ones(2), torch.Generator())


# Search


@oracles
@given(sentence=sentences, seed=st.integers(0, 3), view=some_view)
@settings(max_examples=25)
def test_an_exhaustive_beam_finds_all_trees_best_first(order, sentence, seed, view):
    parser = random_parser(seed, view, oracle=order)
    expected = all_log_probs(parser, sentence)
    trees, log_probs = trees_of(parse(parser, [sentence], len(expected) + 3), 0, len(sentence))
    assert len(trees) == len(set(trees)) == len(expected)
    assert (np.diff(log_probs) <= 0).all()
    for tree, log_prob in zip(trees, log_probs, strict=True):
        assert log_prob == pytest.approx(expected[tree], abs=1e-4)
    assert log_probs == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-4)


def test_an_exhaustive_beam_over_five_tokens():
    parser, sentence = random_parser(2), [3, 1, 0, 2, 1]
    expected = all_log_probs(parser, sentence)
    trees, log_probs = trees_of(parse(parser, [sentence], 143), 0, 5)
    assert trees == sorted(expected, key=expected.get, reverse=True)
    assert log_probs == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-4)


@oracles
@given(sentence=sentences, seed=st.integers(0, 3), view=some_view)
@settings(max_examples=25)
def test_greedy_parsing_takes_the_best_transition_each_time(order, sentence, seed, view):
    parser = random_parser(seed, view, oracle=order)
    configurations, total = Configurations(np.array([len(sentence)]), Order(order)), 0.0
    for _ in range(2 * len(sentence) - 1):
        (log_probs,) = scores(parser, [seen(sentence, configurations)])
        assert configurations.valid()[0, log_probs.argmax()]
        total += log_probs.max()
        configurations.advance(log_probs.argmax(keepdims=True))
    trees, log_probs = trees_of(parse(parser, [sentence]), 0, len(sentence))
    assert trees == [tuple(configurations.heads[0].tolist())]
    assert log_probs[0] == pytest.approx(total, abs=1e-4)


def test_a_beam_may_miss_what_an_exhaustive_one_finds_but_not_the_other_way_round():
    sentence, missed = [3, 1, 0, 2, 1], 0
    for seed in range(20):
        parser = random_parser(seed)
        best = [parse(parser, [sentence], width).log_probs[0, 0] for width in (1, 2, 4, 143)]
        assert max(best) == best[-1]
        missed += best[0] < best[-1] - 1e-6
    assert missed


@given(st.lists(sentences, min_size=1, max_size=6), st.integers(1, 4), some_view, st.sampled_from([None, *GRAMMARS]))
@example([[2, 1, 1], [0, 0, 0, 0]], 1, SEES_ALL, GRAMMARS[1])  # behind the first stands what would be a head
@settings(max_examples=50)
def test_results_do_not_depend_on_the_batch(batch, width, view, grammar):
    parser = random_parser(3, view, grammar)
    together = parse(parser, batch, width)
    for row, sentence in enumerate(batch):
        trees, log_probs = trees_of(together, row, len(sentence))
        alone, own_log_probs = trees_of(parse(parser, [sentence], width), 0, len(sentence))
        assert trees == alone
        assert log_probs == pytest.approx(own_log_probs, abs=1e-5)


def test_shapes_of_an_empty_batch_a_padded_one_and_a_long_sentence():
    parser = random_parser()
    empty = parser.parse(np.zeros((0, 3), np.int64), np.zeros(0, np.int64), 2)
    assert empty.heads.shape == (0, 2, 3)
    assert empty.log_probs.shape == (0, 2)
    padded = parser.parse(np.array([[1, 2, 0, 3], [1, 2, 1, 1]]), np.array([2, 2]), 3)
    assert padded.heads.shape == (2, 3, 4)
    assert (padded.heads[:, :2, 2:] == ABSENT).all()
    assert (padded.heads[0] == padded.heads[1]).all()  # what stands behind the end is not read
    assert np.isneginf(padded.log_probs[:, 2]).all()  # there are only two trees
    long = parse(parser, [[0, 1, 2] * 100])
    assert (long.heads >= ROOT).all()
    assert np.isfinite(long.log_probs).all()


# The grammar's mask


GRAMMAR = GRAMMARS[0]


@given(sentence=sentences, seed=st.integers(0, 3))
def test_the_mask_leaves_the_licensed_trees(sentence, seed):
    parser = random_parser(seed, SEES_ALL, GRAMMAR)
    free = random_parser(seed, SEES_ALL, GRAMMAR, grammar_mask=False)
    every = list(projective_trees(len(sentence)))
    licensed = parser.grammar.licensed(np.tile(sentence, (len(every), 1)), Layout.of(np.array(every)))
    trees, log_probs = trees_of(parse(parser, [sentence], len(every)), 0, len(sentence))
    assert set(trees) == set(itertools.compress(every, licensed))
    assert np.exp(log_probs).sum() <= 1 + 1e-5  # the rest went into dead ends
    for unmasked in (parse(parser, [sentence], len(every), masked=False), parse(free, [sentence], len(every))):
        assert set(trees_of(unmasked, 0, len(sentence))[0]) == set(every)


def test_what_the_mask_leaves_is_renormalised_at_each_transition():
    parser, narrowed = random_parser(0, SEES_ALL, GRAMMAR), 0
    for sentence in itertools.product(range(SYMBOLS), repeat=3):
        for tree, log_prob in zip(*trees_of(parse(parser, [sentence], 7), 0, 3), strict=True):
            total = 0.0
            for configurations, action in derivation(tree, Order.LATE):
                valid, rows = configurations.valid()[0], np.array([sentence])
                takers = parser.grammar.last_takers(rows, configurations.lengths)
                allowed = valid & parser.grammar.mask(rows, configurations, takers)[0]
                probs = np.exp(scores(parser, [seen(sentence, configurations)])[0]) * allowed
                total += np.log(probs[action] / probs.sum())
                narrowed += 1 < allowed.sum() < valid.sum()
            assert log_prob == pytest.approx(total, abs=1e-4)
    assert narrowed


def test_greedy_parsing_finds_no_tree_where_none_is_licensed():
    parser = random_parser(0, SEES_ALL, GRAMMAR)
    found = parse(parser, [[0, 0], [1], [0, 1], [0]])
    assert np.isfinite(found.log_probs[:, 0]).tolist() == [False, False, True, True]
    assert found.log_probs[2, 0] == 0.0  # what the grammar decides is certain


# What is given before anything is learned


GIVEN = (None, (0, 0), (0, 1), None)


def licensed_by(grammar, sentence):
    every = np.array(list(projective_trees(len(sentence))))
    fine = grammar.licensed(np.tile(sentence, (len(every), 1)), Layout.of(every))
    return set(map(tuple, every[fine].tolist()))


@given(sentence=sentences, seed=st.integers(0, 3))
def test_what_is_given_masks_until_more_is_learned(sentence, seed):
    fresh = random_parser(seed, given=GIVEN)
    learned = random_parser(seed, grammar=GRAMMAR, given=GIVEN)
    unmasked = random_parser(seed, grammar=GRAMMAR, given=GIVEN, grammar_mask=False)
    by_given = licensed_by(fresh.given, sentence)
    for parser, options, expected in (
        (fresh, {}, by_given),
        (fresh, {"masked": False}, by_given),
        (learned, {}, licensed_by(learned.grammar, sentence)),
        (learned, {"masked": False}, by_given),
        (unmasked, {}, by_given),
    ):
        trees, log_probs = trees_of(parse(parser, [sentence], COUNTS[4], **options), 0, len(sentence))
        assert set(trees) == expected
        assert (np.diff(log_probs) <= 0).all()
        generator = np.random.default_rng(0)
        drawn, _ = trees_of(parse(parser, [sentence], COUNTS[4], generator=generator, **options), 0, len(sentence))
        assert set(drawn) == expected


def test_what_is_given_of_each_symbol_holds_in_any_batch():
    parser = random_parser(grammar=((1, 0), (0, 0), (0, 0), None), given=(None, (0, 0), None, None), view=0)
    batch = [[1, 0], [2, 0]]
    for order in (batch, batch[::-1]):
        together = parse(parser, order, 3, masked=False)
        for row, sentence in enumerate(order):
            assert set(trees_of(together, row, 2)[0]) == licensed_by(parser.given, sentence)


COMMAS = ((0, 0), (0, 0, (), True), (0, 3, (1,)), None)  # word, comma, and a head of two words with a comma between


@oracles
@pytest.mark.parametrize("known", ["grammar", "given"])
@given(sentence=st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=5), seed=st.integers(0, 2))
@settings(max_examples=50)
def test_separators_separate_in_all_trees(order, known, sentence, seed):
    parser = random_parser(
        seed, oracle=order, grammar=COMMAS if known == "grammar" else None, given=COMMAS, between=True
    )
    if known == "grammar":
        parser.license(parser.given)
    every = list(projective_trees(len(sentence)))
    trees, log_probs = trees_of(parse(parser, [sentence], len(every)), 0, len(sentence))
    separated = licensed_by(parser.given, sentence)
    assert set(trees) <= separated
    assert {tree for tree in separated if fits(sentence, tree)} == set(trees)
    assert (np.diff(log_probs) <= 0).all()
    for options in ({"width": 1}, {"width": 3}, {"width": 3, "generator": np.random.default_rng(seed)}):
        few, _ = trees_of(parse(parser, [sentence], **options), 0, len(sentence))
        assert set(few) <= set(trees)


def fits(sentence, tree):
    """Whether the head in :data:`COMMAS` has a comma as its second dependent and as no other."""
    for token, symbol in enumerate(sentence):
        dependents = [sentence[each] for each, head in enumerate(tree) if head == token]
        if symbol == 2 and [each == 1 for each in dependents] not in ([], [False, True, False]):
            return False
    return True


@oracles
def test_a_function_of_two_strings_has_one_tree_whatever_the_network_thinks(order):
    chain = [(0, 0), (0, 1)]
    signatures = [chain, [(0, 0, (), True)], [(0, 3, (1,))], [(0, 1)]]
    classes = (frozenset(), *(frozenset(Signature(*each) for each in known) for known in signatures))
    known = DependencyGrammar(np.arange(1, 5), classes, between=True)
    for seed in range(3):
        parser = random_parser(seed, oracle=order)
        parser.license(known)
        sentence = [2, 3, 0, 0, 1, 2, 0, 1, 0, 0]  # f (g (a a)) , (f a , (a a))
        trees, _ = trees_of(parse(parser, [sentence], 50), 0, len(sentence))
        assert trees == [(ROOT, 0, 1, 2, 0, 0, 5, 5, 5, 8)]
    random_parser.cache_clear()  # these were changed


# Sampling


def sample(parser, sentence, times, width, seed=0):
    """Draw samples of a sentence's trees; the trees of each sample."""
    symbols = np.tile(sentence, (times, 1))
    lengths = np.full(times, len(sentence))
    parses = parser.parse(symbols, lengths, width, np.random.default_rng(seed))
    assert np.isfinite(parses.log_probs).all()
    return [list(map(tuple, trees)) for trees in parses.heads.tolist()], parses


def chi_square(counts, expected):
    return sum((counts.get(each, 0) - share) ** 2 / share for each, share in expected.items())


@oracles
@views
def test_a_sample_of_one_follows_the_probabilities(order, view):
    times, sentence = 5000, [0, 1, 2]
    parser = random_parser(1, view, oracle=order)
    drawn, _ = sample(parser, sentence, times, 1)
    counts = {tree: drawn.count([tree]) for tree in projective_trees(3)}
    exact = {tree: times * np.exp(log_prob) for tree, log_prob in all_log_probs(parser, sentence).items()}
    assert chi_square(counts, exact) < 22.5  # 6 degrees of freedom, p = 0.001
    uniform = dict.fromkeys(exact, times / len(exact))
    assert chi_square(counts, uniform) > 22.5


def test_a_sample_is_drawn_without_replacement():
    times, sentence = 5000, [0, 1, 2]
    parser = random_parser(1)
    drawn, _ = sample(parser, sentence, times, 2)
    assert all(first != second for first, second in drawn)
    probs = {tree: np.exp(log_prob) for tree, log_prob in all_log_probs(parser, sentence).items()}
    pairs = {
        frozenset((first, second)): times
        * probs[first]
        * probs[second]
        * (1 / (1 - probs[first]) + 1 / (1 - probs[second]))
        for first, second in itertools.combinations(probs, 2)
    }
    assert sum(pairs.values()) == pytest.approx(times, rel=1e-4)
    frequent = {pair: expected for pair, expected in pairs.items() if expected > 5}
    counts = {pair: sum(set(each) == pair for each in drawn) for pair in frequent}
    assert chi_square(counts, frequent) < 50  # at most 20 degrees of freedom, p < 0.001


@given(sentence=sentences, width=st.integers(1, 40), seed=st.integers(0, 3))
@settings(max_examples=25)
def test_samples_are_distinct_trees_with_their_log_probs_best_first(sentence, width, seed):
    parser = random_parser(seed)
    expected = all_log_probs(parser, sentence)
    found = parse(parser, [sentence], width, generator=np.random.default_rng(seed))
    trees, log_probs = trees_of(found, 0, len(sentence))
    assert len(trees) == len(set(trees)) == min(width, len(expected))
    assert log_probs == pytest.approx([expected[tree] for tree in trees], abs=1e-4)
    assert (np.diff(log_probs) <= 0).all()


def test_the_seed_decides_the_sample_and_nothing_else_does():
    parser, sentence = random_parser(), [0, 1, 2, 3]
    first, again, other = (sample(parser, sentence, 20, 3, seed)[1] for seed in (0, 0, 1))
    assert (first.heads == again.heads).all()
    assert (first.log_probs == again.log_probs).all()
    assert (first.heads != other.heads).any()
    assert len({each.tobytes() for each in first.heads}) > 1  # equal sentences get different samples


# Features and views


@oracles
def test_what_is_valid_can_be_read_off_the_features(order):
    features, valid = [], []
    for tree in itertools.chain(*map(projective_trees, range(1, 6))):
        sentence = [(2 * position) % SYMBOLS for position in range(len(tree))]
        for configurations, _ in derivation(tree, Order(order)):
            features.append(seen(sentence, configurations))
            valid.append(configurations.valid()[0])
    for view in range(len(VIEWS)):
        parser = random_parser(0, view, GRAMMAR, oracle=order)
        assert (np.isfinite(scores(parser, features)) == valid).all()


def test_views_grow_from_the_near_features_of_classes_to_everything():
    scorer = TransitionScorer(FEATURES, ParserConfig(), torch.Generator())
    scorer.classify([frozenset([Signature(min(symbol, 3), 0)]) for symbol in range(FEATURES)])
    features = np.arange(FEATURES)[None]  # every feature another symbol; from 3 on they are of one class
    of_classes, all_of_classes, of_symbols, with_third, everything = (
        scorer.reduce(features, view)[0].tolist() for view in VIEWS
    )
    assert everything == list(range(FEATURES))
    assert all_of_classes == [0, 1, 2] + [3] * 11
    assert of_symbols == [0, 1, 3, 6, 8, 10, 12]  # stack, buffer, the last dependent of two tokens on each side
    assert with_third == [0, 1, 2, 3, 6, 8, 10, 12]  # and the third token of the stack
    assert of_classes == [0, 1] + [3] * 5
    assert scorer.reduce(np.full((1, FEATURES), FEATURES), VIEWS[0]).tolist() == [[FEATURES] * 7]  # no token


def test_constants_have_one_identity_and_a_symbol_may_parse_like_another():
    leaf, suffix = frozenset({Signature(0, 0)}), frozenset({Signature(1, 0)})
    features = np.arange(5)[None].repeat(3, 1)[:, :FEATURES]
    for share, seen in ((True, [0, 1, 0, 3, 4]), (False, [0, 1, 2, 3, 4])):
        scorer = TransitionScorer(4, ParserConfig(share_constants=share), torch.Generator())
        scorer.classify([leaf, suffix, leaf, frozenset()])
        assert np.unique(scorer.reduce(features, VIEWS[-1])).tolist() == sorted(set(seen))
        scorer.like[3] = 1
        assert 3 not in scorer.reduce(features, VIEWS[-1])


def test_a_symbol_is_the_mean_of_its_signatures():
    leaf, suffix = Signature(0, 0), Signature(1, 0)
    scorer = TransitionScorer(4, ParserConfig(), torch.Generator())
    scorer.classify([frozenset(known) for known in ([leaf], [suffix], [leaf, suffix], [])])
    membership = scorer.membership
    assert (membership[2] == (membership[0] + membership[1]) / 2).all()
    assert len(membership.unique(dim=0)) == 5  # with that of an unknown symbol, and that of no token
    assert (membership.sum(dim=1) == 1).all()


def infix_trees(n, binding):
    """All sentences of n operators (symbols 1, 2) between operands (0), operators that bind more strongly first."""
    for operators in itertools.product(binding, repeat=n):
        sentence = [0] * (2 * n + 1)
        sentence[1::2] = operators
        heads = [ROOT] * len(sentence)
        spans = [(start, start) for start in range(0, len(sentence), 2)]  # root and end of each phrase
        remaining = list(enumerate(operators))
        while remaining:
            place = max(range(len(remaining)), key=lambda i: (binding[remaining[i][1]], -i))
            root = 2 * remaining[place][0] + 1
            heads[spans[place][0]] = heads[spans[place + 1][0]] = root
            spans[place : place + 2] = [(root, root)]
            del remaining[place]
        yield sentence, tuple(heads)


INFIX = grammar_of((0, 0), (1, 1), (1, 1))


@oracles
def test_the_smallest_view_that_determines_the_transitions_is_used(order):
    plain = [pair for n in range(1, 4) for pair in infix_trees(n, {1: 1, 2: 1})]
    precedence = [pair for n in range(1, 4) for pair in infix_trees(n, {1: 1, 2: 2})]
    assert ([0, 1, 0, 2, 0], (1, ROOT, 3, 1, 3)) in precedence
    assert ([0, 2, 0, 1, 0], (1, 3, 1, ROOT, 3)) in precedence
    for trees, identity in ((plain, False), (precedence, True)):
        parser = fitted(INFIX, trees, oracle=order)
        assert parser.scorer.view.identity is identity
        assert parser.scorer.view.slots == NEAR
        found = parse(parser, [sentence for sentence, _ in trees])
        assert [trees_of(found, row, len(tree))[0] for row, (_, tree) in enumerate(trees)] == [
            [tree] for _, tree in trees
        ]


def test_identity_is_used_where_it_is_asked_for_and_not_where_it_may_not_be():
    plain, precedence = (list(infix_trees(3, {1: 1, 2: strong})) for strong in (1, 2))
    assert fitted(INFIX, plain, embed="identity").scorer.view == VIEWS[-1]
    parser = fitted(INFIX, precedence)
    assert parser.scorer.view.identity
    fit(parser, precedence, sight=1)
    assert not parser.scorer.view.identity


# Fitting


@pytest.fixture(scope="module")
def scan():
    """Vocabulary and gold grammar of SCAN, and all its commands as (symbols, gold heads)."""
    pairs = [(command, gold_heads(command)) for command in map(to_projective, commands())]
    words = sorted({word for command, _ in pairs for word in command})
    heads, suffixes, infixes = (0, 0), (1, 0), (1, 1)
    signatures = dict.fromkeys(["walk", "look", "run", "jump", "turn"], heads) | dict.fromkeys(
        ["and", "after"], infixes
    )
    grammar = grammar_of(*(signatures.get(word, suffixes) for word in words))
    trees = [([words.index(word) for word in command], tree) for command, tree in pairs]
    return words, grammar, trees


def short(trees, without=()):
    return [(symbols, tree) for symbols, tree in trees if len(symbols) <= 5 and not set(symbols) & set(without)]


def accuracy(parser, trees, **options):
    symbols, heads, lengths = arrays(*zip(*trees, strict=True))
    return float((parser.parse(symbols, lengths, **options).heads[:, 0] == heads).all(axis=1).mean())


@oracles
def test_gold_trees_of_short_commands_generalise_to_all_of_scan(scan, order):
    _, grammar, trees = scan
    assert len(trees) == 20_910
    parser = fitted(grammar, short(trees), oracle=order)
    assert accuracy(parser, short(trees), masked=False) == 1.0
    assert accuracy(parser, trees) == 1.0
    assert accuracy(parser, trees, masked=False) == 1.0  # the network knows it all by itself


def test_an_unfitted_parser_knows_only_what_the_grammar_says(scan):
    words, grammar, trees = scan
    parser = Parser(len(words), ParserConfig(), torch.Generator().manual_seed(0))
    assert accuracy(parser, trees, masked=False) < 0.01
    parser.license(grammar)
    infixes = {words.index("and"), words.index("after")}
    certain = parse(parser, [symbols for symbols, _ in trees]).log_probs[:, 0] == 0
    assert certain.tolist() == [not infixes & set(symbols[:-2]) for symbols, _ in trees]


def test_a_word_never_seen_parses_exactly_like_its_class(scan):
    words, grammar, trees = scan
    jump, walk, around, left = map(words.index, ("jump", "walk", "around", "left"))
    parser = fitted(grammar, short(trees, without=[jump, around]))
    assert not parser.scorer.view.identity
    swap = np.arange(len(words))
    swap[[jump, walk, around, left]] = [walk, jump, left, around]
    symbols, heads, lengths = arrays(*zip(*trees[::20], strict=True))
    assert (parser.log_prob(symbols, heads, lengths) == parser.log_prob(swap[symbols], heads, lengths)).all()
    for options in ({}, {"masked": False}, {"width": 3}, {"width": 2, "generator": 0}):
        seed = options.pop("generator", None)
        found, swapped = (
            parser.parse(each, lengths, **options, generator=None if seed is None else np.random.default_rng(seed))
            for each in (symbols, swap[symbols])
        )
        assert (found.heads == swapped.heads).all()
        assert (found.log_probs == swapped.log_probs).all()
    assert accuracy(parser, [(symbols, tree) for symbols, tree in trees if jump in symbols], masked=False) == 1.0


def test_with_identity_alone_a_word_never_seen_is_not_parsed_like_its_class(scan):
    words, grammar, trees = scan
    jump, walk = words.index("jump"), words.index("walk")
    parser = fitted(grammar, short(trees, without=[jump]), embed="identity")
    swap = np.arange(len(words))
    swap[[jump, walk]] = walk, jump
    symbols, heads, lengths = arrays(*zip(*trees[::20], strict=True))
    assert (parser.log_prob(symbols, heads, lengths) != parser.log_prob(swap[symbols], heads, lengths)).any()


def test_rival_trees_share_the_probability_by_their_weights():
    sentence, trees, shares = [0, 1, 0, 1, 0], [(1, ROOT, 3, 1, 3), (1, 3, 1, ROOT, 3)], [0.75, 0.25]
    parser = fitted(INFIX, [(sentence, trees[0])], parser_loss=0.001)
    steps = []
    parser.scorer.register_forward_hook(lambda *_: steps.append(1))
    loss = fit(parser, [(sentence, tree) for tree in trees], weights=[3.0, 1.0])
    assert len(steps) < ParserConfig.parser_steps  # though the loss cannot fall to zero
    assert loss > ParserConfig.parser_loss
    log_probs = all_log_probs(parser, sentence)
    assert np.exp([log_probs[tree] for tree in trees]) == pytest.approx(shares, abs=0.05)


def test_a_tree_without_weight_changes_nothing():
    trees = list(infix_trees(2, {1: 1, 2: 1}))
    wrong = [(symbols, (1, 3, 1, ROOT, 3)) for symbols, _ in trees]
    parsers = [fitted(INFIX, trees[:1]) for _ in range(2)]
    losses = [
        fit(parsers[0], trees),
        fit(parsers[1], trees + wrong, weights=[1.0] * len(trees) + [0.0] * len(wrong)),
    ]
    assert losses[0] == losses[1]
    assert (parsers[0].scorer.output == parsers[1].scorer.output).all()
    assert fit(parsers[0], wrong, weights=[0.0] * len(wrong)) == 0.0


def test_where_nothing_is_open_there_is_nothing_to_fit():
    parser = random_parser()
    before = {name: each.clone() for name, each in parser.scorer.state_dict().items()}
    assert fit(parser, [([0], (ROOT,)), ([1], (ROOT,))]) == 0.0
    assert all((each == before[name]).all() for name, each in parser.scorer.state_dict().items())


def test_randomness_comes_from_the_given_generators_only():
    trees = list(infix_trees(3, {1: 1, 2: 2}))
    torch_state, numpy_state = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    weights = []
    for seed in (0, 0, 1):
        parser = fitted(INFIX, trees, identity_dropout=0.5)
        fit(parser, trees, seed=seed)
        weights.append(parser.scorer.output.detach())
    assert (weights[0] == weights[1]).all()
    assert (weights[0] != weights[2]).any()  # through the dropout alone: both were made with one seed
    parse(parser, [[0, 1, 0]], generator=np.random.default_rng(0))
    assert (torch.random.get_rng_state() == torch_state).all()
    assert str(np.random.get_state()) == numpy_state  # noqa: NPY002


def test_identity_is_dropped_out_only_while_fitting():
    parser = random_parser(identity_dropout=1.0)
    rows = torch.from_numpy(np.arange(FEATURES)[None] % SYMBOLS)
    plain = parser.scorer(rows)
    assert (plain == parser.scorer(rows)).all()
    dropped = parser.scorer(rows, torch.Generator())
    assert (plain != dropped).any()
    torch.nn.init.zeros_(parser.scorer.identity)
    assert (parser.scorer(rows) == dropped).all()
    random_parser.cache_clear()  # this one was changed


def test_a_restored_network_gives_the_same_scores():
    parser = fitted(INFIX, list(infix_trees(3, {1: 1, 2: 1})))
    restored = Parser(3, ParserConfig(), torch.Generator().manual_seed(9))
    restored.scorer.load_state_dict(parser.scorer.state_dict())
    assert all_log_probs(restored, [0, 1, 0, 2, 0]) == all_log_probs(parser, [0, 1, 0, 2, 0])


def test_one_thread_gives_the_threads_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
            with one_thread():
                pass
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(ValueError, match="projective"):
            random_parser().log_prob(np.array([[0, 0]]), np.array([[1, 0]]), np.array([2]))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_there_is_a_score_for_each_transition():
    assert len(Action) == ACTIONS
    assert scores(random_parser(), np.zeros((2, FEATURES), int)).shape == (2, ACTIONS)
