"""Consistency: what weighs and what is collected, in small constructed batches and against naive counts."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learners import SOLVABLE, SYMBOLS, fitting_symbols, key_of, lexicon_of, values_of
from terms import LISTS

from nsr.gss import ROOT, projective_trees
from nsr.learning.abduction import CERTAINTY, Explanation, Tree
from nsr.learning.consistency import (
    ATTACHMENT_PRIOR,
    NEGLIGIBLE,
    UNSUPPORTED,
    VALUE_PRIOR,
    Nodes,
    Supposed,
    collect,
    costs,
    support,
    weigh,
)
from nsr.learning.proposals import stack
from nsr.semantics.execution import Executor
from nsr.semantics.induction import Hypothesis, InductionConfig, Space
from nsr.semantics.lexicon import Key, Lexicon, Signature
from nsr.semantics.programs import parse_program
from nsr.semantics.values import MISSING
from nsr.syntax.signatures import DependencyGrammar

A, B = ("A",), ("B",)
a, b, f, g, h, o, u = range(len(SYMBOLS))
LEXICON = lexicon_of(SOLVABLE)
SPACE = Space(LISTS, ("A", "B"))
CHAIN = (1, ROOT)  # the first word depends on the second


class Batch:
    """Candidates given as (sentence, symbols, heads, revised values, gain, log-probability), the last two optional."""

    def __init__(self, candidates, lexicon: Lexicon = LEXICON) -> None:
        self.lexicon = lexicon
        self.executor = Executor()
        self.trees = [Tree(tuple(symbols), tuple(heads)) for _, symbols, heads, *_ in candidates]
        self.revised = [revised for _, _, _, revised, *_ in candidates]
        found = []
        for (sentence, _, _, revised, *rest), tree in zip(candidates, self.trees, strict=True):
            gain, log_prob = [*rest, 0.0, 0.0][:2]
            found.append((sentence, log_prob, Explanation(tree, tuple(revised.items()), gain)))
        self.proposals = stack(found, self.executor.values)
        execution = self.executor.execute(
            self.proposals.trees.symbols, self.proposals.trees.heads, lexicon, self.proposals.revised
        )
        self.nodes = Nodes(self.proposals, execution)

    def weigh(self, passes=4, supposed=None, trust_in_trees=1.0) -> list[float]:
        grammar = DependencyGrammar.of(self.lexicon)
        return weigh(self.proposals, self.nodes, self.lexicon, grammar, passes, supposed, trust_in_trees).tolist()

    def suppose(self, hypotheses) -> Supposed:
        return Supposed(
            support(self.nodes, hypotheses, self.executor),
            costs(self.nodes, self.lexicon, hypotheses, SPACE, InductionConfig()),
        )


def program(text: str, arity: int):
    return parse_program(text, LISTS, arity)


def random_batch(seed: int, sentences: int = 12) -> Batch:
    generator = np.random.default_rng(seed)
    candidates = []
    for sentence in range(sentences):
        n = int(generator.integers(1, 5))
        trees = list(projective_trees(n))
        for _ in range(generator.integers(0, 4)):
            heads = trees[generator.integers(len(trees))]
            symbols = fitting_symbols(heads, LEXICON, generator)
            revised = (
                {int(generator.integers(n)): (A, B, ())[generator.integers(3)]} if generator.random() < 0.6 else {}
            )
            if values_of(Tree(symbols, heads), LEXICON, revised)[heads.index(ROOT)] is not MISSING:
                gain, log_prob = -generator.exponential(size=2)
                candidates.append((sentence, symbols, heads, revised, float(gain), float(log_prob)))
    return Batch(candidates)


# Weights


@given(st.integers(0, 10**6), st.integers(0, 4), st.sampled_from([0.0, 1.0]), st.booleans())
def test_weights_of_an_example_sum_to_one(seed, passes, trust, supposing):
    batch = random_batch(seed)
    hypotheses = {Key(u, 1): Hypothesis(program("(append x0 x0)", 1), 0.7, 0.0)}
    weights = np.array(batch.weigh(passes, batch.suppose(hypotheses) if supposing else None, trust))
    assert (weights >= 0).all()
    totals = np.bincount(batch.proposals.trees.sentence, weights) if len(weights) else np.zeros(0)
    assert totals[np.unique(batch.proposals.trees.sentence)] == pytest.approx(1.0)


def test_without_passes_weights_are_the_candidates_probabilities():
    lexicon = lexicon_of(SOLVABLE, agreement={"a": 0.5, "f": 0.8})
    candidates = [
        (0, (a, f), CHAIN, {}, 0.0, -0.5),
        (0, (a, f), CHAIN, {1: A + A}, -1.0, -0.2),
        (0, (b, f), CHAIN, {0: A}, -2.0, -0.1),
    ]
    scores = np.array([-0.5, -1.2, -2.1]), np.log([0.5 * 0.8, 0.5, 0.8])
    for trust_in_trees, log_probs in ((1.0, [-0.5, -0.2, -0.1]), (0.0, [0.0] * 3), (0.5, [-0.25, -0.1, -0.05])):
        prior = np.array([0.0, -1.0, -2.0]) + log_probs
        expected = np.exp(prior + scores[1])
        batch = Batch(candidates, lexicon)
        assert batch.weigh(0, trust_in_trees=trust_in_trees) == pytest.approx(expected / expected.sum())


def test_programs_are_never_quite_certain():
    candidates = [(0, (a, f), CHAIN, {}), (0, (a, f), CHAIN, {0: A}), (0, (a, f), CHAIN, {0: A, 1: A + A})]
    expected = np.array([CERTAINTY**2, CERTAINTY, 1.0])
    assert Batch(candidates).weigh(0) == pytest.approx(expected / expected.sum())


def family(values) -> list:
    """Sentences each with two explanations: "u" doubles its argument, or "a" means this now and that then."""
    return [
        each
        for sentence, value in enumerate(values)
        for each in ((sentence, (a, u), CHAIN, {1: A + A}), (sentence, (a, f), CHAIN, {0: value}))
    ]


def test_one_example_among_many_is_outvoted():
    candidates = [(sentence, (a, u), CHAIN, {1: A + A}) for sentence in range(6)]
    candidates += [(6, (a, u), CHAIN, {1: A + A}), (6, (a, u), CHAIN, {1: B})]
    weights = Batch(candidates).weigh(1)
    assert weights[:6] == [1.0] * 6
    # in the first pass either has the mass of the six, or none; half of the seventh's own mass is on the other
    share = [(6 + VALUE_PRIOR) / (6.5 + 2 * VALUE_PRIOR), VALUE_PRIOR / (6.5 + 2 * VALUE_PRIOR)]
    assert weights[6:] == pytest.approx([each / sum(share) for each in share])


def test_classes_go_to_the_slots_they_are_seen_in():
    lexicon = lexicon_of("""
        "a" = (cons "A" nil)
        "b" = nil
        x0 "f" = x0
        x0 "g" = x0
        x0 "h" x1 = x0
    """)
    below, above = (1, 2, ROOT, 2), (1, 3, 1, ROOT)
    clear = [(sentence, (a, f, h, a), below, {}) for sentence in range(5)]

    def choice(symbol: int):
        """Whether a word of one argument stands below "h", as in all other sentences, or above."""
        return [*clear, (5, (a, symbol, h, a), below, {}), (5, (a, h, a, symbol), above, {})]

    assert Batch(choice(f), lexicon).weigh(0)[5:] == [0.5, 0.5]
    assert Batch(choice(f), lexicon).weigh()[5] > 0.8
    assert Batch(choice(g), lexicon).weigh()[5] > 0.8  # of the class of "f"


def test_attachment_shares_are_those_of_the_other_nodes():
    lexicon = lexicon_of('"a" = nil\nx0 "f" = x0\n"o" = nil\nx0 "o" = nil')  # three classes: a, f and o
    candidates = [
        (0, (a, f), CHAIN, {}),
        (1, (o, f), CHAIN, {}),
        (2, (o, f), CHAIN, {}),
        (3, (a, f), CHAIN, {}),
        (3, (o, f), CHAIN, {}),
    ]
    weights = Batch(candidates, lexicon).weigh(1)
    seen = {"a": 1.0, "o": 2.0}
    share = {name: (count + ATTACHMENT_PRIOR) / (3.5 + 2 * ATTACHMENT_PRIOR) for name, count in seen.items()}
    arity = {"a": (1.0 + 0.5) / (1.0 + 1.0), "o": (2.0 + 0.5) / (2.0 + 1.0)}
    score = {name: share[name] * arity[name] for name in share}
    assert weights[3] == pytest.approx(score["a"] / (score["a"] + score["o"]))


def test_arities_are_those_the_symbol_is_seen_with():
    lexicon = lexicon_of(SOLVABLE + '\n"f" = nil\n x0 "a" = x0')
    clear = [(sentence, (a, f), CHAIN, {}) for sentence in range(5)]
    choice = [(5, (a, f), CHAIN, {}), (5, (a, f), (ROOT, 0), {})]
    weights = Batch([*clear, *choice], lexicon).weigh()
    assert weights[5] > 0.9


# Programs supposed


def test_support_is_the_agreement_of_what_is_supposed():
    double = program("(append x0 x0)", 1)
    batch = Batch(
        [
            (0, (a, u), CHAIN, {1: A + A}),  # as supposed
            (1, (a, u), CHAIN, {1: B}),  # not as supposed
            (2, (a, f), CHAIN, {0: B}),  # of a key of which nothing is supposed
            (3, (a, f), CHAIN, {}),
        ]
    )
    for agreement, right, wrong in ((0.9, 0.9, 0.1), (1.0, 1.0, UNSUPPORTED), (0.01, UNSUPPORTED, 0.99)):
        found = support(batch.nodes, {Key(u, 1): Hypothesis(double, agreement, 0.0)}, batch.executor).tolist()
        assert found == pytest.approx([1.0, right, 1.0, wrong, UNSUPPORTED, 1.0, 1.0, 1.0])


def test_costs_are_lengths_of_the_programs_that_hold():
    config = InductionConfig()
    batch = Batch([(0, (a, f), CHAIN, {}), (1, (b, u), CHAIN, {1: A})])
    double = program("(append x0 x0)", 1)
    none = costs(batch.nodes, LEXICON, {}, SPACE, config)
    bits = [SPACE.bits(LEXICON.program(key), config) for key in (Key(a, 0), Key(f, 1), Key(b, 0))]
    longest = config.bits_per_node * 2 * config.max_program_size
    assert none == pytest.approx(np.log(2) * np.array([*bits, longest]))
    found = costs(batch.nodes, LEXICON, {Key(u, 1): Hypothesis(double, 1.0, 0.0)}, SPACE, config)
    assert found == pytest.approx(np.log(2) * np.array([*bits, SPACE.bits(double, config)]))
    long = program('(cons "A" (cons "B" (append x0 x0)))', 1)  # takes the place of the program
    found = costs(batch.nodes, LEXICON, {Key(f, 1): Hypothesis(long, 1.0, 0.0)}, SPACE, config)
    assert found[1] == pytest.approx(math.log(2) * SPACE.bits(long, config))


def test_what_is_supposed_decides_between_explanations():
    batch = Batch(family([B] * 4))
    hypotheses = {
        Key(u, 1): Hypothesis(program("(append x0 x0)", 1), 1.0, 0.0),
        Key(a, 0): Hypothesis(program('(cons "A" nil)', 0), 1.0, 0.0),
    }
    assert min(batch.weigh(4, batch.suppose(hypotheses))[::2]) > 0.9
    del hypotheses[Key(u, 1)]
    hypotheses[Key(a, 0)] = Hypothesis(program('(cons "B" nil)', 0), 1.0, 0.0)
    assert max(batch.weigh(4, batch.suppose(hypotheses))[::2]) < 0.1


# Evidence


@given(st.integers(0, 10**6))
def test_evidence_is_what_counting_gives(seed):
    batch = random_batch(seed)
    weights = np.random.default_rng(seed).random(len(batch.trees))
    rows: dict = defaultdict(float)
    revised: dict = defaultdict(float)
    for tree, changed, weight in zip(batch.trees, batch.revised, weights.tolist(), strict=True):
        values = values_of(tree, LEXICON, changed)
        for node in range(len(tree)):
            dependents = tree.dependents()[node]
            left = sum(each < node for each in dependents)
            row = key_of(tree, node), left, tuple(values[each] for each in dependents), values[node]
            rows[row] += weight
            revised[row] += weight * (node in changed)
    kept = {row: weight for row, weight in rows.items() if weight >= NEGLIGIBLE}
    found = collect(batch.nodes, weights, batch.executor.values, LEXICON)
    assert found.keys() == {key for key, *_ in kept}
    for key, evidence in found.items():
        mine = {row[1:]: weight for row, weight in kept.items() if row[0] == key}
        examples: dict = defaultdict(float)
        signatures: dict = defaultdict(float)
        for (left, arguments, value), weight in mine.items():
            examples[arguments, value] += weight
            signatures[Signature(left, key.arity - left)] += weight
        total = sum(mine.values())
        contradicted = sum(revised[(key, *row)] for row in mine)
        assert {(each.arguments, each.value): each.weight for each in evidence.examples} == pytest.approx(examples)
        assert evidence.signatures == pytest.approx(signatures)
        assert evidence.support == pytest.approx(total)
        assert evidence.agreement == pytest.approx(1 - contradicted / total if key in LEXICON else 0.0)
        listed = [each.weight for each in evidence.examples]
        assert listed == sorted(listed, reverse=True)


def test_evidence_of_no_weight_is_dropped():
    batch = Batch([(0, (a, f), CHAIN, {}), (0, (b, u), CHAIN, {1: A})])
    assert Key(u, 1) in collect(batch.nodes, np.array([0.5, 0.5]), batch.executor.values, LEXICON)
    found = collect(batch.nodes, np.array([1 - NEGLIGIBLE / 2, NEGLIGIBLE / 2]), batch.executor.values, LEXICON)
    assert found.keys() == {Key(a, 0), Key(f, 1)}


def test_a_batch_without_candidates_says_nothing():
    batch = Batch([])
    assert batch.weigh() == []
    assert collect(batch.nodes, np.zeros(0), batch.executor.values, LEXICON) == {}
    assert len(batch.suppose({}).support) == 0


def test_numbers_are_looked_up_by_key():
    batch = Batch([(0, (a, f), CHAIN, {}), (1, (b, u), CHAIN, {1: A})])
    numbers = {Key(a, 0): 1.0, Key(u, 1): 2.0, Key(b, 5): 3.0, Key(99, 0): 4.0}
    assert batch.nodes.look_up(numbers, -1.0).tolist() == [1.0, -1.0, -1.0, 2.0]
