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
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nsr.arrays import set_bits, unique_rows
from nsr.gss import ROOT
from nsr.learning.abduction import CERTAINTY
from nsr.learning.proposals import Proposals
from nsr.semantics.execution import ABSENT, UNREVISED, Execution, Executor
from nsr.semantics.induction import Example, Hypothesis, InductionConfig, Space
from nsr.semantics.lexicon import Key, Lexicon, Signature
from nsr.semantics.programs import grounded
from nsr.semantics.values import EMPTY_ID, ValueTable
from nsr.syntax.signatures import UNKNOWN_CLASS, DependencyGrammar

ARITY_PRIOR = 0.5  # pseudo-count of an arity that a symbol was not seen with
ATTACHMENT_PRIOR = 0.5  # pseudo-count of a class that was not seen in a slot
VALUE_PRIOR = 0.02  # pseudo-count of a value that no other example supports
UNSUPPORTED = 0.02  # probability of a value other than the program supposed for its key gives, or without program
PATTERN_PRIOR = 0.5  # pseudo-count of a pattern of dependents that was not seen
NEGLIGIBLE = 0.01  # evidence of less weight is dropped
EXAMPLES = 200  # kept for a key, the heaviest


@dataclass(frozen=True)
class KeyEvidence:
    """What a batch says of one key.

    Attributes:
        examples: distinct (arguments, value) pairs with their weights, heaviest first; none for a key whose program
            nothing contradicts. Where a word may denote itself, its token follows the arguments.
        signatures: weight by signature.
        agreement: share of the weight that the lexicon's program explains; 0 for a key without program.
        support: total weight.
    """

    examples: tuple[Example, ...]
    signatures: Mapping[Signature, float]
    agreement: float
    support: float


class Use(NamedTuple):
    """A symbol with so many arguments, and where its dependents stand."""

    key: Key
    signature: Signature


class Nodes:
    """All nodes of all candidates, in arrays of shape (M,) or as said.

    Attributes:
        candidate: which candidate a node belongs to.
        symbol, arity: of the node.
        free: whether the arities of the symbol are to be learned, not given.
        left, right: how many dependents stand on each side.
        empty: the places of those that are EMPTY, as bits.
        key: a number for its symbol and arity together.
        arguments: value ids, and last that of the node's token if programs may ask for it, shape (M, A) or (M, A + 1).
        value: value id.
        revised: whether the value is a revision.
        head_symbol, side, place: the slot it fills: of which symbol (-1 for the root), on which side (0 left, 1 right,
            2 for the root), and how many of the head's dependents stand between them.
    """

    def __init__(self, proposals: Proposals, execution: Execution, given: DependencyGrammar | None = None) -> None:
        heads = proposals.trees.heads
        self.candidate, node = np.nonzero(heads != ABSENT)
        at = self.candidate, node
        self.symbol = proposals.trees.symbols[at]
        self.free = np.ones(len(self.symbol), bool) if given is None else given.class_of[self.symbol] == UNKNOWN_CLASS
        self.arity = execution.arity[at]
        self.left = execution.layout.left[at]
        self.right = execution.layout.arity[at] - self.left
        grounds = proposals.trees.grounds[at]
        self.grounded = bool(grounds.any())
        self.arguments = execution.arguments[at]
        if self.grounded:
            self.arguments = np.concatenate([self.arguments, grounds[:, None]], axis=1)
        self.value = execution.values[at]
        self.revised = proposals.revised[at] != UNREVISED
        self.empty = execution.layout.blanks(execution.values == EMPTY_ID)[at]
        self.max_arity = execution.layout.max_arity
        self.key = self.symbol * (self.max_arity + 1) + self.arity
        head = heads[at]
        above = self.candidate, np.maximum(head, 0)
        self.side, self.place = execution.layout.slots(*at)
        self.head_symbol = np.where(head == ROOT, -1, proposals.trees.symbols[above])

    def __len__(self) -> int:
        return len(self.candidate)

    @cached_property
    def use(self) -> tuple[list[Use], np.ndarray]:
        """The distinct uses of symbols, and which of them each node is, shape (M,)."""
        valueless = self.value == EMPTY_ID
        table = np.stack([self.symbol, self.arity, self.left, self.right, self.empty, valueless], axis=1)
        first, inverse = unique_rows(table)
        uses = [
            Use(Key(symbol, arity), Signature(left, right, set_bits(empty), bool(nothing)))
            for symbol, arity, left, right, empty, nothing in table[first].tolist()
        ]
        return uses, inverse

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
    attached = _given_arities(nodes, proposals, trust_in_trees)
    prior = proposals.gains + attached + _log_trust(nodes, lexicon, len(proposals))
    examples = proposals.trees.sentence[nodes.candidate]
    cells = np.concatenate([nodes.key[:, None], nodes.arguments], axis=1)
    cell = _Groups(cells, examples)
    row = _Groups(np.concatenate([cells, nodes.value[:, None]], axis=1), examples)
    symbol, key = (_Groups(ids[:, None], examples) for ids in (nodes.symbol, nodes.key))
    slot, filler = (_Groups(ids, examples) for ids in _attachments(nodes, grammar))
    patterned = bool(nodes.empty.any())
    shared = [_Groups(rows, examples) for rows in _patterns(nodes)] if patterned else None
    weights = _normalise(prior, proposals.trees.sentence)
    for _ in range(passes):
        mass = weights[nodes.candidate]
        arities = np.where(nodes.free, _share(key, symbol, mass, ARITY_PRIOR), 1.0)
        values = _share(row, cell, mass, VALUE_PRIOR) if supposed is None else supposed.support
        values = np.where(nodes.revised, values, 1.0)
        attachments = _share(filler, slot, mass, ATTACHMENT_PRIOR)
        standing = 1.0 if shared is None else _share(shared[1], shared[0], mass, PATTERN_PRIOR)
        gain = np.log(arities * values * attachments * standing)
        if supposed is not None:
            gain -= supposed.costs / np.maximum(key.of_others(mass), 1.0)
        weights = _normalise(prior + np.bincount(nodes.candidate, gain, len(prior)), proposals.trees.sentence)
    return weights


def support(nodes: Nodes, hypotheses: Mapping[Key, Hypothesis], executor: Executor) -> np.ndarray:
    """How probable each revised value is under the hypothesis for its key; 1 for values not revised, shape (M,)."""
    values = executor.values
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
        given = [values[argument] for argument in arguments[:arity]]
        agrees = executor.run(hypothesis.program, given, values[arguments[-1]]) == values[value]
        result[row] = max(hypothesis.agreement if agrees else 1 - hypothesis.agreement, UNSUPPORTED)
    return result


def costs(
    nodes: Nodes, lexicon: Lexicon, hypotheses: Mapping[Key, Hypothesis], space: Space, config: InductionConfig
) -> np.ndarray:
    """Description length of the program of each node's key, in nats; that of a long one where there is none, (M,).

    A program's arguments count too: each asks for a slot of the grammar.
    """
    programs = {key: entry.program for key, entry in lexicon.entries.items()}
    programs |= {key: hypothesis.program for key, hypothesis in hypotheses.items()}
    lengths = {key: math.log(2) * space.bits(program, config, key.arity) for key, program in programs.items()}
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
    evidence = {}
    uses, use = nodes.use
    of_use = dict(zip(uses, np.bincount(use, mass, len(uses)).tolist(), strict=True))
    signatures: dict[Key, dict[Signature, float]] = defaultdict(dict)
    for each in sorted(uses):
        if of_use[each] >= NEGLIGIBLE:
            signatures[each.key][each.signature] = of_use[each]
    keys, first, inverse = np.unique(nodes.key, return_index=True, return_inverse=True)
    totals, contradicted = (np.bincount(inverse, each, len(keys)) for each in (mass, mass * nodes.revised))
    order = np.argsort(inverse, kind="stable")  # nodes by key, within a key in order of appearance
    bounds = np.searchsorted(inverse[order], np.arange(len(keys) + 1))
    asks = {key.symbol for key, entry in lexicon.entries.items() if grounded(entry.program)}
    for number in np.flatnonzero(totals >= NEGLIGIBLE).tolist():
        rows = order[bounds[number] : bounds[number + 1]]
        key = Key(int(nodes.symbol[first[number]]), int(nodes.arity[first[number]]))
        known, total = key in lexicon, float(totals[number])
        examples: tuple[Example, ...] = ()
        if not known or contradicted[number] >= NEGLIGIBLE:
            columns = [*range(key.arity), *([-1] if key.symbol in asks else [])]
            table = np.concatenate([nodes.arguments[rows][:, columns], nodes.value[rows, None]], axis=1)
            heaviest = sorted(_totals(table, mass[rows]), key=lambda item: -item[1])[:EXAMPLES]
            examples = tuple(
                Example(tuple(values[argument] for argument in arguments), values[value], weight)
                for (*arguments, value), weight in heaviest
            )
        agreement = 1 - float(contradicted[number]) / total if known else 0.0
        evidence[key] = KeyEvidence(examples, signatures[key], agreement, total)
    return evidence


def _totals(table: np.ndarray, mass: np.ndarray) -> list[tuple[list[int], float]]:
    """The distinct rows of a table with their mass, in order of appearance, without the negligible ones."""
    first, inverse = unique_rows(table)
    totals = np.bincount(inverse, mass, len(first))
    order = np.argsort(first)  # value ids, and so the hashes of rows, differ in a resumed run
    order = order[totals[order] >= NEGLIGIBLE]
    return list(zip(table[first[order]].tolist(), totals[order].tolist(), strict=True))


def _given_arities(nodes: Nodes, proposals: Proposals, trust_in_trees: float) -> np.ndarray:
    """Log p(tree | symbols, how many arguments each of them takes), shape (C,).

    Without this condition an arity would be the more probable, the more trees there are in which a symbol has it.
    """
    trees = proposals.trees
    log_probs = trust_in_trees * trees.log_probs
    spread = np.random.default_rng(0).integers(2**63, size=int(nodes.key.max(initial=0)) + 1)
    arities = np.zeros(len(trees), np.int64)  # a hash of each tree's multiset of keys
    np.add.at(arities, nodes.candidate, spread[nodes.key])
    _, group = unique_rows(np.stack([trees.sentence, arities], axis=1))
    _, tree = unique_rows(np.concatenate([trees.sentence[:, None], trees.symbols, trees.heads], axis=1))
    revisions = np.bincount(tree)[tree]  # a tree is one, in however many ways it is revised
    totals = np.full(int(group.max(initial=0)) + 1, -np.inf)
    np.logaddexp.at(totals, group, log_probs - np.log(revisions))
    return log_probs - totals[group]


def _log_trust(nodes: Nodes, lexicon: Lexicon, candidates: int) -> np.ndarray:
    """Log-probability that the programs which each candidate uses are right, shape (C,)."""
    trust = nodes.look_up({key: entry.agreement for key, entry in lexicon.entries.items()}, 1.0)
    trust = np.where(nodes.revised, 1.0, np.clip(trust, 1e-6, CERTAINTY))
    return np.bincount(nodes.candidate, np.log(trust), candidates)


class _Groups:
    """Nodes in groups, and within each group by example: an example is no evidence for itself.

    Args:
        rows: nodes with equal rows form a group, shape (M, ...).
        examples: the example of each node, shape (M,).
    """

    def __init__(self, rows: np.ndarray, examples: np.ndarray) -> None:
        _, self.group = unique_rows(rows)
        _, self.part = unique_rows(np.stack([self.group, examples], axis=1))

    def of_others(self, mass: np.ndarray) -> np.ndarray:
        """The mass of each node's group without that of its own example; shape (M,)."""
        others = np.bincount(self.group, mass)[self.group] - np.bincount(self.part, mass)[self.part]
        return np.maximum(others, 0.0)


def _attachments(nodes: Nodes, grammar: DependencyGrammar) -> tuple[np.ndarray, np.ndarray]:
    """The slot that each node fills, and the slot with the class of the node; both in rows of numbers."""
    head = np.where(nodes.head_symbol < 0, -1, grammar.class_of[nodes.head_symbol])
    slots = np.stack([head + 1, nodes.side, nodes.place], axis=1)
    return slots, np.concatenate([slots, grammar.class_of[nodes.symbol][:, None]], axis=1)


def _patterns(nodes: Nodes) -> tuple[np.ndarray, np.ndarray]:
    """The number of a node's arguments, and this with where its dependents stand, those without value among them.

    What has no value, such as a parenthesis, may depend on any node without changing the result. So this is a matter of
    convention, and all symbols with as many arguments share one: the fewer patterns there are, the more each counts.
    """
    return nodes.arity[:, None], np.stack([nodes.arity, nodes.left, nodes.right, nodes.empty], axis=1)


def _share(part: _Groups, whole: _Groups, mass: np.ndarray, prior: float) -> np.ndarray:
    """Of the mass that falls on the node's ``whole``, the share on its ``part``, without its own example; (M,)."""
    return (part.of_others(mass) + prior) / (whole.of_others(mass) + 2 * prior)


def _normalise(log_weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Softmax within each group; ``groups`` is sorted."""
    if not len(groups):
        return log_weights
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    sizes = np.diff(np.r_[starts, len(groups)])
    weights = np.exp(log_weights - np.repeat(np.maximum.reduceat(log_weights, starts), sizes))
    return weights / np.repeat(np.add.reduceat(weights, starts), sizes)
