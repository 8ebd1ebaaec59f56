"""Proposals: explanations of a batch of examples, found by best-first search.

For every example there may be several candidate grounded symbol systems whose root has the wanted value, perhaps after
a revision. Which of them to believe is decided by comparing examples; see :mod:`nsr.learning.consistency`.

Shape letters: B examples, C candidates, N tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nsr.arrays import ragged_to_padded, ranks
from nsr.learning.abduction import NOVELTY, Explanation, Guess, Knowledge, Tree, explain, neighbours
from nsr.learning.config import SearchConfig
from nsr.learning.deduction import Candidates, Modules, candidates, execute
from nsr.perception.perception import Alternative
from nsr.semantics.execution import ABSENT, UNREVISED
from nsr.semantics.lexicon import Entry, Key, Signature
from nsr.semantics.programs import Constant
from nsr.semantics.values import EMPTY, EMPTY_ID, MISSING_ID, Value, ValueTable
from nsr.syntax.signatures import UNKNOWN_CLASS, DependencyGrammar


@dataclass(frozen=True)
class Proposals:
    """Explanations of examples, in the order of the examples.

    Attributes:
        trees: the candidates.
        gains: log-probability of the revisions of each, shape (C,).
        revised: revised value ids, UNREVISED elsewhere, shape (C, N).
    """

    trees: Candidates
    gains: np.ndarray
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
        return cls(trees, np.zeros(len(trees)), np.full(trees.heads.shape, UNREVISED, np.int64))

    @classmethod
    def none(cls) -> Proposals:
        """No explanations."""
        return stack([], ValueTable())

    def of(self, examples: np.ndarray) -> Proposals:
        """The same explanations with example ``index`` called ``examples[index]``."""
        return replace(self, trees=replace(self.trees, sentence=examples[self.trees.sentence]))

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
        gains = np.concatenate([self.gains, other.gains])
        return Proposals(trees.take(order), gains[order], revised[order])


def propose(
    modules: Modules,
    inputs: Sequence[Any],
    wanted: np.ndarray,
    guesses: Mapping[int, Sequence[Guess]],
    config: SearchConfig,
    generator: np.random.Generator,
) -> Proposals:
    """Explain examples by best-first search.

    Candidates are the parser's k best trees: all of them for short sentences, a sample for long ones. Those with the
    wanted value are explanations; where an example has none its candidates are revised, and where that fails too, the
    trees one attachment away from the best ones. If the configuration says so, trees that the learned grammar licenses
    are tried before, and then words without program taken to mean nothing; at last, trees that it licenses are revised.

    Args:
        modules: the machine.
        inputs: the inputs of B examples.
        wanted: value ids of their outputs, shape (B,).
        guesses: what unknown words may mean.
        config: how to search.
        generator: samples trees.
    """
    if config.constants:
        modules = replace(modules, parser=modules.parser.given_that(_with_constants(modules, config)))
    attempts: list[Callable[[Sequence[Any], np.ndarray], Proposals]] = [
        partial(_licensed, modules, config, generator),
        partial(_empty, modules, config, generator),
        partial(_revised, modules, config, generator, guesses, False),
    ]
    if config.within:
        attempts.append(partial(_revised, modules, config, generator, guesses, True))
    found, left = Proposals.none(), np.arange(len(inputs))
    for attempt in attempts:
        if len(left):
            more = attempt([inputs[index] for index in left.tolist()], wanted[left])
            found = found.then(more.of(left))
            left = np.setdiff1d(left, found.trees.sentence)
    return found


def _licensed(
    modules: Modules,
    config: SearchConfig,
    generator: np.random.Generator,
    inputs: Sequence[Any],
    wanted: np.ndarray,
) -> Proposals:
    """Explanations by trees that the learned dependency grammar licenses."""
    if not config.licensed:
        return Proposals.none()
    trees = candidates(modules, inputs, config.readings, config.licensed, generator)
    return Proposals.exact(_hits(trees, execute(modules, trees).results, wanted, config))


def _empty(
    modules: Modules,
    config: SearchConfig,
    generator: np.random.Generator,
    inputs: Sequence[Any],
    wanted: np.ndarray,
) -> Proposals:
    """Explanations in which the words without program mean nothing."""
    known = modules.lexicon.known
    words = [symbol for symbol in range(len(modules.lexicon.symbols)) if symbol not in known]
    if not (config.empty and words):
        return Proposals.none()
    nothing = Entry(Constant(EMPTY), frozenset({Signature(0, 0, valueless=True)}))
    lexicon = replace(modules.lexicon, entries={**modules.lexicon.entries, **{Key(word, 0): nothing for word in words}})
    without = replace(modules, lexicon=lexicon)
    without = replace(without, parser=modules.parser.given_that(_with_constants(without, config)))
    trees = candidates(without, inputs, config.readings, config.trees, generator, masked=False)
    hits = _hits(trees, execute(without, trees).results, wanted, config)
    leaf = np.isin(hits.symbols, words) & (hits.heads != ABSENT)
    return Proposals(hits, NOVELTY * leaf.sum(axis=1), np.where(leaf, EMPTY_ID, UNREVISED))


def _revised(
    modules: Modules,
    config: SearchConfig,
    generator: np.random.Generator,
    guesses: Mapping[int, Sequence[Guess]],
    masked: bool,
    inputs: Sequence[Any],
    wanted: np.ndarray,
) -> Proposals:
    """Explanations by any trees, or by those the learned grammar licenses, with revisions where they need them."""
    trees = candidates(modules, inputs, config.readings, config.trees, generator, masked=masked)
    execution = execute(modules, trees)
    narrow = np.flatnonzero(execution.arity.max(axis=1, initial=0) <= config.max_arity)
    trees, results, arity = trees.take(narrow), execution.results[narrow], execution.arity[narrow]
    exact = _hits(trees, results, wanted, config)
    unsolved = np.setdiff1d(np.arange(len(inputs)), exact.sentence)
    starts = np.searchsorted(trees.sentence, np.arange(len(inputs) + 1))
    knowledge = knowledge_of(modules, guesses if config.guesses else {})
    found: list[tuple[int, float, Explanation]] = []
    perceives = config.revises("perception") and not modules.perception.certain
    for sentence in unsolved.tolist() if perceives or config.revises("semantics") else ():
        rows = np.arange(starts[sentence], starts[sentence + 1])
        goal = modules.executor.values[int(wanted[sentence])]
        found += [
            (sentence, log_prob, explanation)
            for log_prob, explanation in _revise(
                knowledge,
                trees.take(rows),
                arity[rows],
                goal,
                modules.perception.alternatives(inputs[sentence]) if perceives else (),
                config,
            )
        ]
    return Proposals.exact(exact).then(stack(found, modules.executor.values))


def _hits(trees: Candidates, results: np.ndarray, wanted: np.ndarray, config: SearchConfig) -> Candidates:
    """The candidates with the wanted value, at most so many an example; ``results`` are their values, shape (C,)."""
    hits = np.flatnonzero(results == wanted[trees.sentence])
    return trees.take(hits[ranks(trees.sentence[hits]) < config.explanations])


def _with_constants(modules: Modules, config: SearchConfig) -> DependencyGrammar:
    """What is given, and that symbols take no dependents whose only entry is that of a constant."""
    given, lexicon = modules.parser.given_grammar, modules.lexicon
    open_symbols = {
        key.symbol for key in lexicon.entries if key.arity > 0 and given.class_of[key.symbol] == UNKNOWN_CLASS
    }
    entries = {key: entry for key, entry in lexicon.entries.items() if key.symbol not in open_symbols}
    return DependencyGrammar.of(replace(lexicon, entries=entries), given.between, config.max_arity)


def _revise(
    knowledge: Knowledge,
    trees: Candidates,
    arity: np.ndarray,
    wanted: Value,
    alternatives: Sequence[Sequence[Alternative]],
    config: SearchConfig,
) -> list[tuple[float, Explanation]]:
    """Explanations of one example by revising its candidates, each with the candidate's log-probability.

    ``arity`` is that of each node under the lexicon, shape (C, N).
    """
    found: dict[tuple[Any, ...], tuple[float, Explanation]] = {}  # trees of several readings may share a revision
    searched: set[Tree] = set()

    def search(tree: Tree, log_prob: float) -> None:
        if len(found) >= config.explanations or tree in searched or not knowledge.allows(tree, config.max_arity):
            return
        searched.add(tree)
        for each in explain(tree, wanted, knowledge, config, _no_better(alternatives, tree)):
            found.setdefault((each.tree, each.revised), (log_prob, each))
            if len(found) >= config.explanations:
                return

    values = knowledge.executor.values
    plausible = _plausible(knowledge, trees, arity, config).tolist()
    for row in plausible:
        search(tree_of(trees, row, values), float(trees.log_probs[row]))
    if not found:
        for row in plausible[: config.rotations]:
            for tree in neighbours(tree_of(trees, row, values)):
                search(tree, float(trees.log_probs[row]))
    return list(found.values())


def _no_better(alternatives: Sequence[Sequence[Alternative]], tree: Tree) -> list[list[Alternative]]:
    """What the symbols of a tree could be instead, given what those of the best reading could be.

    Symbols that are more probable are left out: they belong to better readings. ``alternatives`` is empty if there are
    none for any symbol.
    """
    alternatives = alternatives or [()] * len(tree)
    own = [
        next((each.gain for each in others if each.symbol == symbol), 0.0)
        for symbol, others in zip(tree.symbols, alternatives, strict=True)
    ]
    return [
        [Alternative(each.symbol, each.gain - gain) for each in others if each.symbol != symbol and each.gain <= gain]
        for symbol, gain, others in zip(tree.symbols, own, alternatives, strict=True)
    ]


def _plausible(knowledge: Knowledge, trees: Candidates, arity: np.ndarray, config: SearchConfig) -> np.ndarray:
    """The candidates with no more nodes without program than can be revised: few such nodes, few arguments first."""
    known = np.zeros((len(knowledge.lexicon.symbols), trees.heads.shape[1] + 1), bool)
    for symbol, count in knowledge.lexicon.entries:
        if count < known.shape[1]:
            known[symbol, count] = True
    unknown = ~known[trees.symbols, arity] & (trees.heads != ABSENT)
    counted = unknown & (arity > 0) if knowledge.guesses else unknown
    rows = np.flatnonzero(counted.sum(axis=1) <= config.revisions)
    return rows[np.lexsort([(unknown * arity)[rows].sum(axis=1), unknown[rows].sum(axis=1)])]


def knowledge_of(modules: Modules, guesses: Mapping[int, Sequence[Guess]]) -> Knowledge:
    """What a machine's modules give abduction to go by."""
    return Knowledge(modules.lexicon, modules.executor, guesses, modules.parser.given)


def tree_of(trees: Candidates, row: int, values: ValueTable) -> Tree:
    """One of the candidates; ``values`` gives value ids their values."""
    length = int(trees.lengths[row])
    grounds = trees.grounds[row, :length].tolist()
    return Tree(
        tuple(trees.symbols[row, :length].tolist()),
        tuple(trees.heads[row, :length].tolist()),
        tuple(values[ground] for ground in grounds) if any(grounds) else (),
    )


def stack(found: Sequence[tuple[int, float, Explanation]], values: ValueTable) -> Proposals:
    """Explanations as arrays.

    Args:
        found: example, log-probability of the tree, explanation; in the order of the examples.
        values: gives values their ids.
    """
    symbols, lengths = ragged_to_padded([each.tree.symbols for _, _, each in found], 0)
    heads, _ = ragged_to_padded([each.tree.heads for _, _, each in found], ABSENT)
    grounds = np.full(heads.shape, MISSING_ID, np.int64)
    revised = np.full(heads.shape, UNREVISED, np.int64)
    for row, (_, _, explanation) in enumerate(found):
        grounds[row, : len(explanation.tree.tokens)] = values.ids(explanation.tree.tokens)
        for node, value in explanation.revised:
            revised[row, node] = values.id(value)
    sentence = np.array([sentence for sentence, _, _ in found], np.int64)
    log_probs = np.array([log_prob for _, log_prob, _ in found], float)
    gains = np.array([explanation.gain for _, _, explanation in found], float)
    return Proposals(Candidates(sentence, symbols, heads, grounds, lengths, log_probs), gains, revised)
