"""The sampler's long-run frequencies are the exact posterior, enumerated over symbols, trees and revisions.

A chain of n steps is off by about 1 / sqrt(n); ``TOLERANCE`` is what STEPS steps of these chains stay below with room
to spare, and well below what a sampler without its correction is off by.
"""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from learners import SOLVABLE, SYMBOLS, NoisyTokens, lexicon_of, modules_of, padded, values_of

from nsr.gss import projective_trees
from nsr.learning import sampling
from nsr.learning.abduction import Explanation, Guess, Knowledge, Tree, explain
from nsr.learning.config import SearchConfig
from nsr.learning.sampling import MISFIT, Chain, State, sample, walk
from nsr.perception.perception import Alternative
from nsr.semantics.execution import ABSENT, UNREVISED

CONFIG = SearchConfig(search="mh", expansions=10**4, guesses=10**4)
STEPS = 40_000
TOLERANCE = 0.05  # total variation distance
A, B = ("A",), ("B",)
a, b, f, g, h, o, u = range(len(SYMBOLS))

LEXICON = lexicon_of(SOLVABLE, agreement={"a": 0.6, "b": 0.9, "f": 0.7, "g": 0.5, "h": 0.8})

# symbols of the best reading, wanted value, and what the symbols could be instead
CASES = {
    "function": ((a, f), A + A, [[(b, -0.4), (u, -1.2)], [(g, -0.3)]]),
    "unknown": ((a, u, b), A, [[], [(h, -0.5)], []]),
    "infix": ((a, h, a), A + A, [[], [], [(b, -0.7)]]),
    "contradicted": ((a, g, f), A + A, [[], [(f, -0.2)], []]),
}


def case_of(name: str, misread: bool):
    """Arguments of ``chain_of`` and ``posterior``."""
    symbols, wanted, others = CASES[name]
    return symbols, wanted, [[Alternative(*pair) for pair in each] for each in others] if misread else ()


def guesses_of() -> dict[int, list[Guess]]:
    return {u: [Guess(A, math.log(0.6)), Guess((), math.log(0.4))]}


def chain_of(modules, symbols, wanted, alternatives=(), trust=1.0) -> Chain:
    """A chain that starts at the first projective tree."""
    tree = Tree(symbols, next(projective_trees(len(symbols))))
    log_prob = modules.parser.log_prob(padded([symbols], 0), padded([tree.heads], ABSENT), np.array([len(symbols)]))
    knowledge = Knowledge(modules.lexicon, modules.executor, guesses_of())
    return Chain(tree, trust * float(log_prob[0]), wanted, knowledge, CONFIG, alternatives)


def posterior(modules, symbols, wanted, alternatives=(), misfit=MISFIT, trust=1.0) -> dict[State, float]:
    """The probability of every state there is."""
    choices = [
        [(symbol, 0.0), *map(tuple, others)]
        for symbol, others in zip(symbols, alternatives or [()] * len(symbols), strict=True)
    ]
    knowledge = Knowledge(modules.lexicon, modules.executor, guesses_of())
    densities = {}
    for chosen in itertools.product(*choices):
        reading = tuple(symbol for symbol, _ in chosen)
        log_prob_of_symbols = sum(gain for _, gain in chosen)
        for heads in projective_trees(len(symbols)):
            tree = Tree(reading, heads)
            parse = modules.parser.log_prob(padded([reading], 0), padded([heads], ABSENT), np.array([len(heads)]))
            log_prob = log_prob_of_symbols + trust * float(parse[0])
            fits = values_of(tree, modules.lexicon)[tree.root] == wanted
            densities[State(tree)] = log_prob + (0.0 if fits else misfit)
            for each in explain(tree, wanted, knowledge, CONFIG):
                if each.revised:
                    densities[State(tree, each)] = log_prob + each.gain
    total = np.logaddexp.reduce(list(densities.values()))
    return {state: math.exp(density - total) for state, density in densities.items()}


def distance(visits: Counter, exact: dict) -> float:
    """Total variation between the shares of visits and the exact probabilities."""
    total = visits.total()
    return sum(abs(visits[state] / total - exact.get(state, 0.0)) for state in visits.keys() | exact.keys()) / 2


def walked(modules, symbols, wanted, alternatives=(), steps=STEPS, seed=0, trust=1.0) -> Chain:
    chain = chain_of(modules, symbols, wanted, alternatives, trust)
    walk([chain], modules.parser, modules.executor.values, steps, np.random.default_rng(seed), trust)
    return chain


@pytest.fixture
def passable(monkeypatch) -> float:
    """Misfits so probable that the chain crosses them often; it mixes faster, and by the same rules."""
    monkeypatch.setattr(sampling, "MISFIT", math.log(0.3))
    return math.log(0.3)


# The posterior


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("misread", [False, True])
def test_frequencies_are_the_posterior(name, misread, passable):
    case = case_of(name, misread)
    modules = modules_of(LEXICON, seed=1)
    exact = posterior(modules, *case, passable)
    assert len(exact) > 1
    assert distance(walked(modules, *case).visits, exact) < TOLERANCE


def test_and_of_four_tokens(passable):
    modules = modules_of(LEXICON, seed=1)
    exact = posterior(modules, (a, f, h, a), A * 3, misfit=passable)
    assert len(exact) > 30
    assert distance(walked(modules, (a, f, h, a), A * 3, steps=2 * STEPS).visits, exact) < TOLERANCE


def test_and_of_trees_of_which_the_parser_is_less_sure(passable):
    case = case_of("infix", misread=True)
    modules = modules_of(LEXICON, seed=1)
    visits = walked(modules, *case, trust=0.1).visits
    assert distance(visits, posterior(modules, *case, passable, trust=0.1)) < TOLERANCE
    assert distance(visits, posterior(modules, *case, passable)) > 2 * TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_densities_are_the_posterior_up_to_a_constant(name):
    case = case_of(name, misread=True)
    modules = modules_of(LEXICON, seed=1)
    chain = chain_of(modules, *case)
    states = list(posterior(modules, *case).items())
    trees = [state.tree for state, _ in states]
    lengths = np.array([len(tree) for tree in trees])
    scores = modules.parser.log_prob(
        padded([tree.symbols for tree in trees], 0), padded([tree.heads for tree in trees], ABSENT), lengths
    )
    chain.trees.update(zip(trees, scores.tolist(), strict=True))
    constants = [chain.log_density(state) - math.log(probability) for state, probability in states]
    assert constants == pytest.approx([constants[0]] * len(states), abs=1e-4)


@pytest.mark.parametrize("misread", [False, True])
def test_without_the_correction_they_are_not(misread, passable, monkeypatch):
    propose = Chain.propose

    def uncorrected(self, generator):
        proposal = propose(self, generator)
        return None if proposal is None else (proposal[0], 0.0)

    case = case_of("contradicted", misread)
    modules = modules_of(LEXICON, seed=1)
    exact = posterior(modules, *case, passable)
    monkeypatch.setattr(Chain, "propose", uncorrected)
    assert distance(walked(modules, *case).visits, exact) > 2 * TOLERANCE


def test_the_correction_is_the_ratio_of_the_proposals_probabilities():
    modules = modules_of(LEXICON, seed=1)
    chain = chain_of(modules, *case_of("contradicted", misread=True))
    symbols = chain.state.tree.symbols
    draws = 20_000
    generator = np.random.default_rng(0)
    first, *_ = chain.revisions(Tree(symbols, (1, 2, -1)))
    for state in (State(Tree(symbols, (1, 2, -1))), State(Tree(symbols, (1, 2, -1)), first)):
        chain.state = state
        there = Counter(filter(None, (chain.propose(generator) for _ in range(draws))))
        for (other, correction), count in there.most_common(3):
            chain.state = other
            back = Counter(
                proposal[0] for proposal in (chain.propose(generator) for _ in range(draws)) if proposal is not None
            )[state]
            assert math.log(back / count) == pytest.approx(correction, abs=0.15)


# Determinism


def test_the_seed_decides_the_visits():
    modules = modules_of(LEXICON, seed=1)
    case = case_of("contradicted", misread=True)
    once, again, other = (walked(modules, *case, 500, seed).visits for seed in (0, 0, 1))
    assert list(once.items()) == list(again.items())
    assert once != other
    assert once.total() == 500


# Explanations of a batch

WORDS = ("a", "b", "f", "g", "h", "o", "u")
NOISY = {word: {word: 1.0} for word in WORDS} | {"f": {"f": 0.4, "g": 0.6}}
SENTENCES = [("a", "f"), ("b", "u"), ("a", "h", "a"), ("a", "f", "h", "b"), ("u",)]
WANTED = [A + A, B, A + A, A + A, B]


def sampled(config=CONFIG, seed=0, sentences=SENTENCES, wanted=WANTED, guesses=None):
    modules = modules_of(LEXICON, NoisyTokens(SYMBOLS, NOISY), seed=1)
    ids = modules.executor.values.ids(wanted)
    generator = np.random.default_rng(seed)
    return modules, sample(modules, sentences, ids, guesses or {}, config, generator)


def test_samples_explain_their_examples():
    modules, found = sampled()
    trees = found.trees
    assert found.explained == len(SENTENCES)
    for row, sentence in enumerate(trees.sentence.tolist()):
        count = int(trees.lengths[row])
        tree = Tree(tuple(trees.symbols[row, :count].tolist()), tuple(trees.heads[row, :count].tolist()))
        revised = {
            node: modules.executor.values[value]
            for node, value in enumerate(found.revised[row].tolist())
            if value != UNREVISED
        }
        assert values_of(tree, modules.lexicon, revised)[tree.root] == WANTED[sentence]


def test_what_is_misread_is_among_what_is_revised():
    modules, found = sampled()
    assert modules.perception.read([SENTENCES[0]]).symbols[0, 0].tolist() == [a, g]
    assert found.trees.symbols[0, :2].tolist() == [a, f]  # as read, it would need a revision of a value


def test_shares_of_the_kept_explanations_sum_to_one():
    _, found = sampled(SearchConfig(search="mh", explanations=10**6))
    totals = np.bincount(found.trees.sentence, np.exp(found.trees.log_probs))
    assert totals == pytest.approx(np.ones(len(SENTENCES)))
    assert not found.gains.any()


def test_at_most_so_many_are_kept_the_most_visited_first():
    _, everything = sampled(SearchConfig(search="mh", explanations=10**6))
    _, few = sampled(SearchConfig(search="mh", explanations=2))
    for sentence in range(len(SENTENCES)):
        all_shares, shares = (
            found.trees.log_probs[found.trees.sentence == sentence].tolist() for found in (everything, few)
        )
        assert len(shares) <= 2
        assert shares == all_shares[:2] == sorted(all_shares, reverse=True)[:2]


def test_no_explanation_has_more_dependents_than_allowed():
    for most in (1, 2):
        _, found = sampled(SearchConfig(search="mh", max_arity=most))
        rows = found.trees.heads.tolist()
        assert max(row.count(node) for row in rows for node in range(len(row))) == most


def test_the_impossible_has_no_explanation():
    _, found = sampled(sentences=[("u", "u"), ("a", "f")], wanted=[A, A + A])
    assert found.trees.sentence.tolist() == [1] * len(found)
    _, nothing = sampled(sentences=[], wanted=[])
    assert len(nothing) == 0


def test_a_chain_without_visits_to_explanations_offers_none():
    modules = modules_of(LEXICON, seed=1)
    chain = chain_of(modules, (u, u), A)
    chain.step(None, np.random.default_rng(0))
    assert chain.visits.total() == 1
    assert chain.explanations(10) == []


def test_a_tree_that_fits_is_an_explanation_without_revision():
    modules = modules_of(LEXICON, seed=1)
    chain = chain_of(modules, (a,), A)
    walk([chain], modules.parser, modules.executor.values, 10, np.random.default_rng(0))
    assert chain.explanations(10) == [(0.0, Explanation(Tree((a,), (-1,)), (), 0.0))]
