"""Consistency: which explanations to believe, and what they say of each (symbol, arity).

This is the E-step of learning. A candidate's weight is its probability among the candidates of its example: that of
its symbols and tree, of the arities it gives to its symbols, of the classes it attaches to each slot, of the values it
revises given what *other* examples say about the same arguments, and of the programs it trusts. Weights and evidence
depend on each other, so a few passes are made.

Shape letters: B examples, C candidates, M nodes of all candidates, S symbols, A arguments.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nsr.arrays import unique_rows
from nsr.gss import ROOT
from nsr.learning.abduction import CERTAINTY
from nsr.learning.proposals import Proposals
from nsr.semantics.execution import ABSENT, UNREVISED, Execution, Executor
from nsr.semantics.induction import Example, Hypothesis, Space
from nsr.semantics.lexicon import Key, Lexicon, Signature
from nsr.semantics.values import ValueTable
from nsr.syntax.signatures import DependencyGrammar

ARITY_PRIOR = 0.5  # pseudo-count of an arity that a symbol was not seen with
ATTACHMENT_PRIOR = 0.5  # pseudo-count of a class that was not seen in a slot
VALUE_PRIOR = 0.02  # pseudo-count of a value that no other example supports
UNSUPPORTED = 0.02  # probability of a value that contradicts what is supposed of its key, or of which nothing is
NEGLIGIBLE = 0.01  # evidence of less weight is dropped


@dataclass(frozen=True)
class KeyEvidence:
    """What a batch says of one key.

    Attributes:
        examples: distinct (arguments, value) pairs with their weights, heaviest first.
        signatures: weight by signature.
        agreement: share of the weight that the lexicon's program explains; 0 for a key without program.
        support: total weight.
    """

    examples: tuple[Example, ...]
    signatures: Mapping[Signature, float]
    agreement: float
    support: float


class Nodes:
    """All nodes of all candidates, in arrays of shape (M,) or as said.

    Attributes:
        candidate: which candidate a node belongs to.
        symbol, arity, left: of the node; ``left`` counts the dependents to its left.
        arguments: value ids, shape (M, A).
        value: value id.
        revised: whether the value is a revision.
        head_symbol, side, place: the slot it fills: of which symbol (-1 for the root), on which side (0 left, 1 right,
            2 for the root), and how many of the head's dependents stand between them.
    """

    def __init__(self, proposals: Proposals, execution: Execution) -> None:
        heads = proposals.trees.heads
        self.candidate, node = np.nonzero(heads != ABSENT)
        at = self.candidate, node
        self.symbol = proposals.trees.symbols[at]
        self.arity = execution.layout.arity[at]
        self.left = execution.layout.left[at]
        self.arguments = execution.arguments[at]
        self.value = execution.values[at]
        self.revised = proposals.revised[at] != UNREVISED
        self.key = self.symbol * (execution.layout.max_arity + 1) + self.arity
        self.max_arity = execution.layout.max_arity
        head = heads[at]
        above = self.candidate, np.maximum(head, 0)
        self.side = np.where(head == ROOT, 2, node > head)
        rank, left = execution.layout.rank[at], execution.layout.left[above]
        self.place = np.where(self.side == 1, rank - left, np.where(self.side == 0, left - 1 - rank, 0))
        self.head_symbol = np.where(head == ROOT, -1, proposals.trees.symbols[above])

    def __len__(self) -> int:
        return len(self.candidate)


def weigh(
    proposals: Proposals,
    nodes: Nodes,
    lexicon: Lexicon,
    grammar: DependencyGrammar,
    passes: int,
    supported: np.ndarray | None = None,
    trust_in_trees: float = 1.0,
    costs: np.ndarray | None = None,
) -> np.ndarray:
    """The weight of each candidate, summing to 1 for each example that has any; shape (C,).

    Args:
        proposals: the candidates.
        nodes: their nodes.
        lexicon: the programs they were found with.
        grammar: the classes of symbols.
        passes: how often evidence and weights are computed in turn.
        supported: how probable each node's value is under what is now supposed of its key, see :func:`support`, shape
            (M,); None to compare it with the values that other candidates give to the same arguments.
        costs: description length of the program of each node's key, in nats, shape (M,); it is shared by all nodes that
            use the key, so a program that few examples need counts against them.
        trust_in_trees: exponent of p(symbols, tree | input); 0 if the parser is not to be believed.
    """
    prior = proposals.gains + trust_in_trees * proposals.trees.log_probs
    sentence = proposals.trees.sentence
    trust = np.full(int(nodes.key.max(initial=0)) + 1, CERTAINTY)
    for key, entry in lexicon.entries.items():
        if key.arity <= nodes.max_arity and (index := key.symbol * (nodes.max_arity + 1) + key.arity) < len(trust):
            trust[index] = min(entry.agreement, CERTAINTY)
    prior += np.bincount(
        nodes.candidate, np.where(nodes.revised, 0.0, np.log(np.maximum(trust[nodes.key], 1e-6))), len(prior)
    )
    cells = np.concatenate([nodes.key[:, None], nodes.arguments], axis=1)
    _, cell = unique_rows(cells)
    _, row = unique_rows(np.concatenate([cells, nodes.value[:, None]], axis=1))
    slot, filler = _attachments(nodes, grammar)
    weights = _normalise(prior, sentence)
    for _ in range(passes):
        mass = weights[nodes.candidate]
        arities = _share(nodes.key, nodes.symbol, mass, ARITY_PRIOR)
        values = supported if supported is not None else _share(row, cell, mass, VALUE_PRIOR)
        values = np.where(nodes.revised, values, 1.0)
        attachments = _share(filler, slot, mass, ATTACHMENT_PRIOR)
        gain = np.log(arities * values * attachments)
        if costs is not None:
            gain -= costs / np.maximum(np.bincount(nodes.key, mass)[nodes.key] - mass, 1.0)
        score = np.bincount(nodes.candidate, gain, len(prior))
        weights = _normalise(prior + score, sentence)
    return weights


def support(nodes: Nodes, hypotheses: Mapping[Key, Hypothesis], executor: Executor) -> np.ndarray:
    """How probable each revised value is under the hypothesis for its key; 1 for values not revised, shape (M,)."""
    result = np.ones(len(nodes))
    rows = np.flatnonzero(nodes.revised)
    for row, symbol, arity, arguments, value in zip(
        rows.tolist(),
        nodes.symbol[rows].tolist(),
        nodes.arity[rows].tolist(),
        nodes.arguments[rows].tolist(),
        nodes.value[rows].tolist(),
        strict=True,
    ):
        hypothesis = hypotheses.get(Key(symbol, arity))
        if hypothesis is None:
            result[row] = UNSUPPORTED
            continue
        given = [executor.values[argument] for argument in arguments[:arity]]
        agrees = executor.run(hypothesis.program, given) == executor.values[value]
        result[row] = max(hypothesis.agreement if agrees else 1 - hypothesis.agreement, UNSUPPORTED)
    return result


def costs(nodes: Nodes, lexicon: Lexicon, hypotheses: Mapping[Key, Hypothesis], space: Space, config) -> np.ndarray:
    """Description length of the program of each node's key, in nats; as long as a long one where there is none."""
    most = math.log(2) * config.bits_per_node * 2 * config.max_program_size
    table = np.full(int(nodes.key.max(initial=0)) + 1, most)
    known = {key: entry.program for key, entry in lexicon.entries.items()}
    known |= {key: hypothesis.program for key, hypothesis in hypotheses.items()}
    for key, program in known.items():
        if key.arity <= nodes.max_arity and (index := key.symbol * (nodes.max_arity + 1) + key.arity) < len(table):
            table[index] = math.log(2) * space.bits(program, config)
    return table[nodes.key]


def collect(
    nodes: Nodes, weights: np.ndarray, values: ValueTable, lexicon: Lexicon, most: int = 200
) -> dict[Key, KeyEvidence]:
    """The evidence for each key, from weighted candidates.

    Args:
        nodes: all nodes of the candidates.
        weights: of the candidates, shape (C,).
        values: gives value ids their values.
        lexicon: the programs the candidates were found with.
        most: examples kept for a key.
    """
    mass = weights[nodes.candidate]
    table = np.concatenate(
        [
            nodes.symbol[:, None],
            nodes.arity[:, None],
            nodes.left[:, None],
            nodes.value[:, None],
            nodes.arguments,
        ],
        axis=1,
    )
    first, inverse = unique_rows(table)
    totals = np.bincount(inverse, mass, len(first))
    revised = np.bincount(inverse, mass * nodes.revised, len(first))
    grouped: dict[Key, list[tuple[float, float, list[int]]]] = defaultdict(list)
    for row, weight, contradicted in zip(table[first].tolist(), totals.tolist(), revised.tolist(), strict=True):
        if weight >= NEGLIGIBLE:
            grouped[Key(row[0], row[1])].append((weight, contradicted, row[2:]))
    evidence = {}
    for key, rows in sorted(grouped.items()):
        support = sum(weight for weight, _, _ in rows)
        examples: dict[tuple, float] = defaultdict(float)
        signatures: dict[Signature, float] = defaultdict(float)
        for weight, _, (left, value, *arguments) in rows:
            examples[tuple(arguments[: key.arity]), value] += weight
            signatures[Signature(left, key.arity - left)] += weight
        heaviest = sorted(examples.items(), key=lambda item: -item[1])[:most]
        explained = support - sum(contradicted for _, contradicted, _ in rows)
        evidence[key] = KeyEvidence(
            tuple(
                Example(tuple(values[argument] for argument in arguments), values[value], weight)
                for (arguments, value), weight in heaviest
            ),
            dict(signatures),
            explained / support if key in lexicon else 0.0,
            support,
        )
    return evidence


def _attachments(nodes: Nodes, grammar: DependencyGrammar) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the slot that each node fills and of (slot, class of the node), by classes; each of shape (M,)."""
    head = np.where(nodes.head_symbol < 0, -1, grammar.class_of[nodes.head_symbol])
    slots = np.stack([head + 1, nodes.side, nodes.place], axis=1)
    _, slot = unique_rows(slots)
    _, filler = unique_rows(np.concatenate([slots, grammar.class_of[nodes.symbol][:, None]], axis=1))
    return slot, filler


def _share(part: np.ndarray, whole: np.ndarray, mass: np.ndarray, prior: float) -> np.ndarray:
    """Of the mass that falls on the node's ``whole``, the share on its ``part``, without its own mass; shape (M,)."""
    of_part = np.bincount(part, mass)[part] - mass
    of_whole = np.bincount(whole, mass)[whole] - mass
    return (np.maximum(of_part, 0.0) + prior) / (np.maximum(of_whole, 0.0) + 2 * prior)


def _normalise(log_weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Softmax within each group; ``groups`` is sorted."""
    if not len(groups):
        return log_weights
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    sizes = np.diff(np.r_[starts, len(groups)])
    weights = np.exp(log_weights - np.repeat(np.maximum.reduceat(log_weights, starts), sizes))
    return weights / np.repeat(np.add.reduceat(weights, starts), sizes)
