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
from typing import NamedTuple

import numpy as np

from nsr.arrays import unique_rows
from nsr.gss import ROOT
from nsr.learning.abduction import CERTAINTY
from nsr.learning.proposals import Proposals
from nsr.semantics.execution import ABSENT, UNREVISED, Execution, Executor
from nsr.semantics.induction import Example, Hypothesis, InductionConfig, Space
from nsr.semantics.lexicon import Key, Lexicon, Signature
from nsr.semantics.values import ValueTable
from nsr.syntax.signatures import DependencyGrammar

ARITY_PRIOR = 0.5  # pseudo-count of an arity that a symbol was not seen with
ATTACHMENT_PRIOR = 0.5  # pseudo-count of a class that was not seen in a slot
VALUE_PRIOR = 0.02  # pseudo-count of a value that no other example supports
UNSUPPORTED = 0.02  # probability of a value that contradicts what is supposed of its key, or of which nothing is
NEGLIGIBLE = 0.01  # evidence of less weight is dropped
EXAMPLES = 200  # kept for a key, the heaviest


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
        key: a number for its symbol and arity together.
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
        self.max_arity = execution.layout.max_arity
        self.key = self.symbol * (self.max_arity + 1) + self.arity
        head = heads[at]
        above = self.candidate, np.maximum(head, 0)
        self.side = np.where(head == ROOT, 2, node > head)
        rank, left = execution.layout.rank[at], execution.layout.left[above]
        self.place = np.where(self.side == 1, rank - left, np.where(self.side == 0, left - 1 - rank, 0))
        self.head_symbol = np.where(head == ROOT, -1, proposals.trees.symbols[above])

    def __len__(self) -> int:
        return len(self.candidate)

    def look_up(self, numbers: Mapping[Key, float], default: float) -> np.ndarray:
        """The number of each node's key, the default for keys that have none; shape (M,)."""
        table = np.full((int(self.symbol.max(initial=0)) + 1, self.max_arity + 1), default)
        for (symbol, arity), number in numbers.items():
            if symbol < len(table) and arity <= self.max_arity:
                table[symbol, arity] = number
        return table[self.symbol, self.arity]


@dataclass(frozen=True, eq=False)
class Supposed:
    """What programs supposed for some keys say of all nodes, in arrays of shape (M,).

    Attributes:
        support: how probable each node's value is, see :func:`support`.
        costs: what the program of each node's key costs, see :func:`costs`; the cost is shared by all nodes that use
            the key, so a program that few examples need counts against them.
    """

    support: np.ndarray
    costs: np.ndarray


def weigh(
    proposals: Proposals,
    nodes: Nodes,
    lexicon: Lexicon,
    grammar: DependencyGrammar,
    passes: int,
    supposed: Supposed | None = None,
    trust_in_trees: float = 1.0,
) -> np.ndarray:
    """The weight of each candidate, summing to 1 for each example that has any; shape (C,).

    Args:
        proposals: the candidates.
        nodes: their nodes.
        lexicon: the programs they were found with.
        grammar: the classes of symbols.
        passes: how often evidence and weights are computed in turn.
        supposed: what revised values are judged by; None to compare them with the values that other candidates give
            to the same arguments.
        trust_in_trees: exponent of p(symbols, tree | input); 0 if the parser is not to be believed.
    """
    prior = proposals.gains + trust_in_trees * proposals.trees.log_probs + _log_trust(nodes, lexicon, len(proposals))
    cells = np.concatenate([nodes.key[:, None], nodes.arguments], axis=1)
    _, cell = unique_rows(cells)
    _, row = unique_rows(np.concatenate([cells, nodes.value[:, None]], axis=1))
    slot, filler = _attachments(nodes, grammar)
    weights = _normalise(prior, proposals.trees.sentence)
    for _ in range(passes):
        mass = weights[nodes.candidate]
        arities = _share(nodes.key, nodes.symbol, mass, ARITY_PRIOR)
        values = _share(row, cell, mass, VALUE_PRIOR) if supposed is None else supposed.support
        values = np.where(nodes.revised, values, 1.0)
        attachments = _share(filler, slot, mass, ATTACHMENT_PRIOR)
        gain = np.log(arities * values * attachments)
        if supposed is not None:
            gain -= supposed.costs / np.maximum(_of_others(nodes.key, mass), 1.0)
        weights = _normalise(prior + np.bincount(nodes.candidate, gain, len(prior)), proposals.trees.sentence)
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


def costs(
    nodes: Nodes, lexicon: Lexicon, hypotheses: Mapping[Key, Hypothesis], space: Space, config: InductionConfig
) -> np.ndarray:
    """Description length of the program of each node's key, in nats; that of a long one where there is none, (M,)."""
    programs = {key: entry.program for key, entry in lexicon.entries.items()}
    programs |= {key: hypothesis.program for key, hypothesis in hypotheses.items()}
    lengths = {key: math.log(2) * space.bits(program, config) for key, program in programs.items()}
    return nodes.look_up(lengths, math.log(2) * config.bits_per_node * 2 * config.max_program_size)


def collect(nodes: Nodes, weights: np.ndarray, values: ValueTable, lexicon: Lexicon) -> dict[Key, KeyEvidence]:
    """The evidence for each key, from weighted candidates.

    Args:
        nodes: all nodes of the candidates.
        weights: of the candidates, shape (C,).
        values: gives value ids their values.
        lexicon: the programs the candidates were found with.
    """
    mass = weights[nodes.candidate]
    columns = np.stack([nodes.symbol, nodes.arity, nodes.left, nodes.value], axis=1)
    table = np.concatenate([columns, nodes.arguments], axis=1)
    first, inverse = unique_rows(table)
    totals = np.bincount(inverse, mass, len(first))
    revised = np.bincount(inverse, mass * nodes.revised, len(first))
    grouped: dict[Key, list[_Row]] = defaultdict(list)
    order = np.argsort(first)  # of appearance: value ids, and so the hashes of rows, differ in a resumed run
    for row, weight, contradicted in zip(
        table[first[order]].tolist(), totals[order].tolist(), revised[order].tolist(), strict=True
    ):
        if weight >= NEGLIGIBLE:
            symbol, arity, left, value, *arguments = row
            grouped[Key(symbol, arity)].append(_Row(weight, contradicted, left, value, tuple(arguments[:arity])))
    return {key: _evidence(key, rows, values, key in lexicon) for key, rows in sorted(grouped.items())}


class _Row(NamedTuple):
    """Nodes of one key that agree in everything, with their weight, and that of those whose value is a revision."""

    weight: float
    contradicted: float
    left: int
    value: int
    arguments: tuple[int, ...]


def _evidence(key: Key, rows: list[_Row], values: ValueTable, known: bool) -> KeyEvidence:
    """What these rows say of a key, which may be known to the lexicon."""
    total = sum(row.weight for row in rows)
    examples: dict[tuple[tuple[int, ...], int], float] = defaultdict(float)
    signatures: dict[Signature, float] = defaultdict(float)
    for row in rows:
        examples[row.arguments, row.value] += row.weight
        signatures[Signature(row.left, key.arity - row.left)] += row.weight
    heaviest = sorted(examples.items(), key=lambda item: -item[1])[:EXAMPLES]
    explained = total - sum(row.contradicted for row in rows)
    return KeyEvidence(
        tuple(
            Example(tuple(values[argument] for argument in arguments), values[value], weight)
            for (arguments, value), weight in heaviest
        ),
        dict(signatures),
        explained / total if known else 0.0,
        total,
    )


def _log_trust(nodes: Nodes, lexicon: Lexicon, candidates: int) -> np.ndarray:
    """Log-probability that the programs which each candidate uses are right, shape (C,)."""
    trust = nodes.look_up({key: entry.agreement for key, entry in lexicon.entries.items()}, 1.0)
    trust = np.where(nodes.revised, 1.0, np.clip(trust, 1e-6, CERTAINTY))
    return np.bincount(nodes.candidate, np.log(trust), candidates)


def _attachments(nodes: Nodes, grammar: DependencyGrammar) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the slot that each node fills and of (slot, class of the node), by classes; each of shape (M,)."""
    head = np.where(nodes.head_symbol < 0, -1, grammar.class_of[nodes.head_symbol])
    slots = np.stack([head + 1, nodes.side, nodes.place], axis=1)
    _, slot = unique_rows(slots)
    _, filler = unique_rows(np.concatenate([slots, grammar.class_of[nodes.symbol][:, None]], axis=1))
    return slot, filler


def _share(part: np.ndarray, whole: np.ndarray, mass: np.ndarray, prior: float) -> np.ndarray:
    """Of the mass that falls on the node's ``whole``, the share on its ``part``, without its own mass; shape (M,)."""
    return (_of_others(part, mass) + prior) / (_of_others(whole, mass) + 2 * prior)


def _of_others(group: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The mass of each node's group without its own; shape (M,)."""
    return np.maximum(np.bincount(group, mass)[group] - mass, 0.0)


def _normalise(log_weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Softmax within each group; ``groups`` is sorted."""
    if not len(groups):
        return log_weights
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    sizes = np.diff(np.r_[starts, len(groups)])
    weights = np.exp(log_weights - np.repeat(np.maximum.reduceat(log_weights, starts), sizes))
    return weights / np.repeat(np.add.reduceat(weights, starts), sizes)
