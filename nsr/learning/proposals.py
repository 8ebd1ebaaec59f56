"""Proposals: explanations of a batch of examples, found by best-first search.

For every example there may be several candidate grounded symbol systems whose root has the wanted value, perhaps after
a revision. Which of them to believe is decided by comparing examples; see :mod:`nsr.learning.consistency`.

Shape letters: B examples, C candidates, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nsr.arrays import ragged_to_padded
from nsr.learning.abduction import Explanation, Tree, explain, neighbours
from nsr.learning.config import SearchConfig
from nsr.learning.deduction import Candidates, Modules, candidates, execute
from nsr.semantics.execution import ABSENT, UNREVISED
from nsr.semantics.values import ValueTable


@dataclass(frozen=True)
class Proposals:
    """Explanations of examples, in the order of the examples.

    Attributes:
        trees: the candidates; their log-probabilities include the revisions'.
        revised: revised value ids, UNREVISED elsewhere, shape (C, N).
    """

    trees: Candidates
    revised: np.ndarray

    def __len__(self) -> int:
        return len(self.trees)

    @property
    def explained(self) -> int:
        """Number of examples that have an explanation."""
        return len(np.unique(self.trees.sentence))

    @classmethod
    def exact(cls, trees: Candidates) -> Proposals:
        """Candidates that need no revision."""
        return cls(trees, np.full(trees.heads.shape, UNREVISED, np.int64))

    def then(self, other: Proposals) -> Proposals:
        """The explanations of both, sorted by example."""
        trees = self.trees.then(other.trees)
        width = trees.heads.shape[1]
        revised = np.concatenate(
            [
                np.pad(each.revised, ((0, 0), (0, width - each.revised.shape[1])), constant_values=UNREVISED)
                for each in (self, other)
            ]
        )
        order = np.argsort(trees.sentence, kind="stable")
        return Proposals(trees.take(order), revised[order])


def propose(
    modules: Modules,
    inputs: Sequence[Any],
    wanted: np.ndarray,
    config: SearchConfig,
    generator: np.random.Generator,
) -> Proposals:
    """Explain examples by best-first search.

    Candidates are the parser's k best trees: all of them for short sentences, a sample for long ones. Those with the
    wanted value are explanations; where an example has none its candidates are revised, and where that fails too, the
    trees one attachment away from the best ones.

    Args:
        modules: the machine.
        inputs: the inputs of B examples.
        wanted: value ids of their outputs, shape (B,).
        config: how to search.
        generator: samples trees.
    """
    trees = candidates(modules, inputs, config.readings, config.trees, generator, masked=False)
    hits = np.flatnonzero(execute(modules, trees).results == wanted[trees.sentence])
    exact = trees.take(hits[_rank(trees.sentence[hits]) < config.explanations])
    unsolved = np.setdiff1d(np.arange(len(inputs)), exact.sentence)
    starts = np.searchsorted(trees.sentence, np.arange(len(inputs) + 1))
    found: list[tuple[int, float, Explanation]] = []
    for sentence in unsolved.tolist():
        rows = trees.take(np.arange(starts[sentence], starts[sentence + 1]))
        goal = modules.executor.values[int(wanted[sentence])]
        found += [
            (sentence, log_prob, explanation)
            for log_prob, explanation in _revise(modules, inputs[sentence], rows, goal, config)
        ]
    return Proposals.exact(exact).then(_stack(found, modules.executor.values))


def _revise(
    modules: Modules, sentence: Any, trees: Candidates, wanted: Any, config: SearchConfig
) -> list[tuple[float, Explanation]]:
    """Explanations of one example by revising its candidates, each with its log-probability."""
    alternatives = modules.perception.alternatives(sentence)
    found: list[tuple[float, Explanation]] = []

    def search(tree: Tree, log_prob: float) -> None:
        for explanation in explain(tree, wanted, modules.lexicon, modules.executor, config, alternatives):
            found.append((log_prob + explanation.gain, explanation))
            if len(found) >= config.explanations:
                return

    unknown = _unknown_keys(modules, trees)
    plausible = np.flatnonzero(unknown <= config.revisions)
    for row in plausible.tolist():
        if len(found) >= config.explanations:
            break
        search(_tree(trees, row), float(trees.log_probs[row]))
    if not found:
        for row in plausible[: config.rotations].tolist():
            for tree in neighbours(_tree(trees, row)):
                if len(found) < config.explanations:
                    search(tree, float(trees.log_probs[row]))
    return found


def _unknown_keys(modules: Modules, trees: Candidates) -> np.ndarray:
    """How many nodes of each candidate have no program, shape (C,)."""
    rows = np.arange(len(trees))
    arity = np.zeros(trees.heads.shape, np.int64)
    for position in range(trees.heads.shape[1]):
        row = rows[trees.heads[:, position] >= 0]
        arity[row, trees.heads[row, position]] += 1
    known = np.zeros((len(modules.lexicon.symbols), arity.shape[1] + 1), bool)
    for symbol, count in modules.lexicon.entries:
        if count < known.shape[1]:
            known[symbol, count] = True
    return (~known[trees.symbols, arity] & (trees.heads != ABSENT)).sum(axis=1)


def _tree(trees: Candidates, row: int) -> Tree:
    length = int(trees.lengths[row])
    return Tree(tuple(trees.symbols[row, :length].tolist()), tuple(trees.heads[row, :length].tolist()))


def _stack(found: list[tuple[int, float, Explanation]], values: ValueTable) -> Proposals:
    """Explanations as arrays."""
    symbols, lengths = ragged_to_padded([each.tree.symbols for _, _, each in found], 0)
    heads, _ = ragged_to_padded([each.tree.heads for _, _, each in found], ABSENT)
    revised = np.full(heads.shape, UNREVISED, np.int64)
    for row, (_, _, explanation) in enumerate(found):
        for evidence in explanation.evidence:
            revised[row, evidence.node] = values.id(evidence.value)
    sentence = np.array([sentence for sentence, _, _ in found], np.int64)
    log_probs = np.array([log_prob for _, log_prob, _ in found], float)
    return Proposals(Candidates(sentence, symbols, heads, lengths, log_probs), revised)


def _rank(groups: np.ndarray) -> np.ndarray:
    """Place of each element within its run of equal elements; ``groups`` is sorted."""
    if not len(groups):
        return groups
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
