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
    KeyEvidence,
    Nodes,
    Supposed,
    collect,
    costs,
    support,
    weigh,
)
from nsr.learning.proposals import stack
from nsr.semantics.execution import Executor
from nsr.semantics.induction import Example, Hypothesis, InductionConfig, Space
from nsr.semantics.lexicon import Key, Lexicon, Signature
from nsr.semantics.notation import parse_program
from nsr.semantics.values import EMPTY, MISSING
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.task import LITERAL

A, B = ("A",), ("B",)
a, b, f, g, h, o, u = range(len(SYMBOLS))
LEXICON = lexicon_of(SOLVABLE)
STRING_TEXT = """
    "," = empty
    "<literal>" = (cons self nil)
    "<literal>" x0 = (cons self x0)
"""
STRINGS = lexicon_of(SOLVABLE + STRING_TEXT, [*SYMBOLS, ",", LITERAL])
comma, literal = len(SYMBOLS), len(SYMBOLS) + 1
SPACE = Space(LISTS, ("A", "B"))
CHAIN = (1, ROOT)  # the first word depends on the second


class Batch:
    """Candidates given as (sentence, symbols, heads, revised values, gain, log-probability), the last two optional.

    ``tokens`` are those of each sentence.
    """

    def __init__(self, candidates, lexicon: Lexicon = LEXICON, tokens=()) -> None:
        self.lexicon = lexicon
        self.executor = Executor()
        self.trees = [
            Tree(tuple(symbols), tuple(heads), tokens[sentence] if tokens else ())
            for sentence, symbols, heads, *_ in candidates
        ]
        self.revised = [revised for _, _, _, revised, *_ in candidates]
        found = []
        for (sentence, _, _, revised, *rest), tree in zip(candidates, self.trees, strict=True):
            gain, log_prob = [*rest, 0.0, 0.0][:2]
            found.append((sentence, log_prob, Explanation(tree, tuple(revised.items()), gain)))
        self.proposals = stack(found, self.executor.values)
        trees = self.proposals.trees
        execution = self.executor.execute(trees.symbols, trees.heads, lexicon, self.proposals.revised, trees.grounds)
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


def random_batch(seed: int, strings: bool = False, sentences: int = 12) -> Batch:
    """Random candidates; with ``strings``, there are literals and commas among the symbols."""
    generator = np.random.default_rng(seed)
    lexicon = STRINGS if strings else LEXICON
    candidates, tokens = [], []
    for sentence in range(sentences):
        n = int(generator.integers(1, 5))
        tokens.append(tuple(generator.choice(["A", "B", "C"], n).tolist()))
        trees = list(projective_trees(n))
        for _ in range(generator.integers(0, 4)):
            heads = trees[generator.integers(len(trees))]
            symbols = fitting_symbols(heads, lexicon, generator)
            revised = (
                {int(generator.integers(n)): (A, B, ())[generator.integers(3)]} if generator.random() < 0.6 else {}
            )
            tree = Tree(symbols, heads, tokens[-1])
            if values_of(tree, lexicon, revised)[tree.root] is not MISSING:
                gain, log_prob = -generator.exponential(size=2)
                candidates.append((sentence, symbols, heads, revised, float(gain), float(log_prob)))
    return Batch(candidates, lexicon, tokens if strings else ())


# Weights


@given(st.integers(0, 10**6), st.booleans(), st.integers(0, 4), st.sampled_from([0.0, 1.0]), st.booleans())
def test_weights_of_an_example_sum_to_one(seed, strings, passes, trust, supposing):
    batch = random_batch(seed, strings)
    hypotheses = {Key(u, 1): Hypothesis(program("(append x0 x0)", 1), 0.7, 0.0)}
    weights = np.array(batch.weigh(passes, batch.suppose(hypotheses) if supposing else None, trust))
    assert (weights >= 0).all()
    totals = np.bincount(batch.proposals.trees.sentence, weights) if len(weights) else np.zeros(0)
    assert totals[np.unique(batch.proposals.trees.sentence)] == pytest.approx(1.0)


@pytest.mark.parametrize("trust_in_trees", [0.0, 0.5, 1.0])
def test_without_passes_weights_are_the_candidates_probabilities(trust_in_trees):
    """A tree's probability is that among the trees that use symbols with as many arguments."""
    lexicon = lexicon_of(SOLVABLE, agreement={"a": 0.5, "f": 0.8})
    candidates = [
        (0, (a, f, f), (1, 2, ROOT), {}, 0.0, -0.5),
        (0, (a, f, f), (1, 2, ROOT), {1: A + A}, -1.0, -0.5),
        (0, (f, a, f), (1, ROOT, 1), {1: A, 0: A, 2: A}, -3.0, -0.9),
        (0, (b, f, f), (1, 2, ROOT), {0: A}, -2.0, -0.1),
        (0, (f, a, f), (2, 0, ROOT), {}, 0.0, -0.3),
        (1, (a, f, f), (1, 2, ROOT), {}, 0.0, -0.7),
    ]
    alike = [(0, 1, 4), (2,), (3,), (5,)]
    attached = np.array([trust_in_trees * log_prob for *_, log_prob in candidates])
    trees = attached.copy()
    for group in map(list, alike):  # candidate 1 is the tree of candidate 0, revised
        attached[group] -= np.log(sum(np.exp(trees[row]) for row in group if row != 1))
    trust = [0.5 * 0.8**2, 0.5 * 0.8, 1.0, 0.8**2, 0.5 * 0.8**2, 0.5 * 0.8**2]
    expected = np.exp([gain for *_, gain, _ in candidates] + attached) * trust
    expected = [*(expected[:5] / expected[:5].sum()), 1.0]
    assert Batch(candidates, lexicon).weigh(0, trust_in_trees=trust_in_trees) == pytest.approx(expected)


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

    def bits_of(term, arity):
        """A program's arguments count too."""
        return SPACE.bits(term, config) + config.bits_per_argument * arity

    bits = [bits_of(LEXICON.program(key), key.arity) for key in (Key(a, 0), Key(f, 1), Key(b, 0))]
    longest = config.bits_per_node * 2 * config.max_program_size
    assert none == pytest.approx(np.log(2) * np.array([*bits, longest]))
    found = costs(batch.nodes, LEXICON, {Key(u, 1): Hypothesis(double, 1.0, 0.0)}, SPACE, config)
    assert found == pytest.approx(np.log(2) * np.array([*bits, bits_of(double, 1)]))
    long = program('(cons "A" (cons "B" (append x0 x0)))', 1)  # takes the place of the program
    found = costs(batch.nodes, LEXICON, {Key(f, 1): Hypothesis(long, 1.0, 0.0)}, SPACE, config)
    assert found[1] == pytest.approx(math.log(2) * bits_of(long, 1))


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


@given(st.integers(0, 10**6), st.booleans())
def test_evidence_is_what_counting_gives(seed, strings):
    batch = random_batch(seed, strings)
    lexicon = batch.lexicon
    weights = np.random.default_rng(seed).random(len(batch.trees)) ** 4  # some are negligible
    support, contradicted = defaultdict(float), defaultdict(float)
    signatures, examples = (defaultdict(lambda: defaultdict(float)) for _ in range(2))
    for tree, changed, weight in zip(batch.trees, batch.revised, weights.tolist(), strict=True):
        values = values_of(tree, lexicon, changed)
        for node, dependents in enumerate(tree.dependents()):
            key = key_of(tree, node, values)
            support[key] += weight
            contradicted[key] += weight * (node in changed)
            left = sum(each < node for each in dependents)
            empty = tuple(place for place, each in enumerate(dependents) if values[each] is EMPTY)
            signature = Signature(left, len(dependents) - left, empty, values[node] is EMPTY)
            signatures[key][signature] += weight
            arguments = [values[each] for each in dependents if values[each] is not EMPTY]
            token = [tree.tokens[node]] if key.symbol == literal else []  # the only one that may denote itself
            examples[key][(*arguments, *token), values[node]] += weight
    found = collect(batch.nodes, weights, batch.executor.values, lexicon)
    assert found.keys() == {key for key, weight in support.items() if weight >= NEGLIGIBLE}
    for key, evidence in found.items():
        in_doubt = key not in lexicon or contradicted[key] >= NEGLIGIBLE
        assert {(each.arguments, each.value): each.weight for each in evidence.examples} == pytest.approx(
            noticed(examples[key]) if in_doubt else {}
        )
        assert evidence.signatures == pytest.approx(noticed(signatures[key]))
        assert evidence.support == pytest.approx(support[key])
        assert evidence.agreement == pytest.approx(1 - contradicted[key] / support[key] if key in lexicon else 0.0)
        listed = [each.weight for each in evidence.examples]
        assert listed == sorted(listed, reverse=True)


def noticed(weights: dict) -> dict:
    return {each: weight for each, weight in weights.items() if weight >= NEGLIGIBLE}


def test_evidence_of_strings():
    """A comma is no argument but a dependent; a literal that means something else is told with its token."""
    tokens = [("h", "X", ",", "Y"), ("X",), ("X", "Y")]
    between, alone, chain = (ROOT, 0, 0, 0), (ROOT,), (ROOT, 0)
    value = ("Y", "X")
    batch = Batch(
        [
            (0, (u, literal, comma, literal), between, {0: value}),
            (1, (literal,), alone, {0: B}),
            (2, (literal, literal), chain, {}),
        ],
        STRINGS,
        tokens,
    )
    found = collect(batch.nodes, np.ones(3), batch.executor.values, STRINGS)
    assert found.keys() == {Key(u, 2), Key(literal, 0), Key(literal, 1), Key(comma, 0)}
    assert found[Key(u, 2)].signatures == {Signature(0, 3, (1,)): 1.0}
    assert found[Key(u, 2)].examples == (Example((("X",), ("Y",)), value),)
    assert found[Key(comma, 0)].signatures == {Signature(0, 0, valueless=True): 1.0}
    assert found[Key(comma, 0)].examples == ()  # nothing contradicts its program
    assert found[Key(literal, 1)] == KeyEvidence((), {Signature(0, 1): 1.0}, 1.0, 1.0)
    of_leaves = found[Key(literal, 0)]
    assert of_leaves.signatures == {Signature(0, 0): 4.0}
    assert of_leaves.agreement == 0.75
    assert of_leaves.examples == (Example(("Y",), ("Y",), 2.0), Example(("X",), ("X",)), Example(("X",), B))


def test_programs_supposed_are_run_at_their_tokens():
    tokens = [("X",), ("X", "Y")]
    batch = Batch([(0, (literal,), (ROOT,), {0: ("X", "X")}), (1, (u, u), (ROOT, 0), {0: ("X", "A")})], STRINGS, tokens)
    twice = Hypothesis(program("(cons self (cons self nil))", 0), 0.9, 0.0)
    assert support(batch.nodes, {Key(literal, 0): twice}, batch.executor).tolist() == [0.9, UNSUPPORTED, 1.0]
    once = Hypothesis(program("(cons self nil)", 0), 0.9, 0.0)
    assert support(batch.nodes, {Key(literal, 0): once}, batch.executor) == pytest.approx([0.1, UNSUPPORTED, 1.0])


def test_evidence_for_what_nothing_contradicts_is_not_listed():
    batch = Batch([(0, (a, f), CHAIN, {}), (1, (a, f), CHAIN, {1: B}), (2, (b, g), CHAIN, {})])
    found = collect(batch.nodes, np.ones(3), batch.executor.values, LEXICON)
    assert [each.value for each in found[Key(f, 1)].examples] == [A + A, B]
    assert found[Key(a, 0)].examples == found[Key(g, 1)].examples == ()
    everything = collect(batch.nodes, np.ones(3), batch.executor.values, Lexicon(LEXICON.symbols))
    assert everything[Key(a, 0)] == KeyEvidence((Example((), A, 2.0),), {Signature(0, 0): 2.0}, 0.0, 2.0)


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
