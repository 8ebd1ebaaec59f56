"""Abduction: the most probable revisions of a tree that give it the wanted value.

The search runs top-down. The wanted value of the root is the output; at a node with a wanted value the search may
revise the node's value (evidence for another program), revise its symbol (so that the program of another symbol
applies), or pass a wanted value down to one dependent through the inverse of the program. Where several nodes have no
program yet, the leaves among them may be guessed first. Partial revisions are expanded best first, so explanations
come out in order of their probability.

Other attachments are other trees: they come from the parser (its k best trees or a sample), or from
:func:`neighbours`.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from nsr.gss import ROOT, is_projective
from nsr.learning.config import SearchConfig
from nsr.perception.perception import Alternative
from nsr.semantics.execution import Executor, Layout
from nsr.semantics.lexicon import MAX_DEPENDENTS, Key, Lexicon
from nsr.semantics.values import EMPTY, MISSING, Value
from nsr.syntax.signatures import DependencyGrammar

NOVELTY = math.log(0.5)  # log-probability that a key without program has some value
CERTAINTY = 0.999  # a program is never trusted more than this


@dataclass(frozen=True)
class Tree:
    """One symbol sequence with its tree, as plain tuples.

    Attributes:
        symbols: symbol ids.
        heads: positions, ROOT for the root.
        tokens: what programs may ask for, if any asks.
    """

    symbols: tuple[int, ...]
    heads: tuple[int, ...]
    tokens: tuple[Value, ...] = ()

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def root(self) -> int:
        """Position of the root."""
        return self.heads.index(ROOT)

    def token(self, node: int) -> Value:
        """The token of a node, MISSING if no program asks for it."""
        return self.tokens[node] if self.tokens else MISSING

    def dependents(self) -> list[list[int]]:
        """The dependents of each token, from left to right."""
        found: list[list[int]] = [[] for _ in self.heads]
        for position, head in enumerate(self.heads):
            if head != ROOT:
                found[head].append(position)
        return found


class Guess(NamedTuple):
    """What a word may mean by itself, before anything else is known of it."""

    value: Value
    log_prob: float


@dataclass(frozen=True)
class Knowledge:
    """What abduction goes by.

    Attributes:
        lexicon: the programs.
        executor: runs and inverts them.
        guesses: what unknown words may mean.
        given: what holds of trees before anything is learned; None if nothing.
    """

    lexicon: Lexicon
    executor: Executor
    guesses: Mapping[int, Sequence[Guess]] = field(default_factory=dict)
    given: DependencyGrammar | None = None

    def allows(self, tree: Tree, max_arity: int) -> bool:
        """Whether what is given licenses the tree, and no token has too many dependents, or so many arguments."""
        for found in tree.dependents():
            arguments = sum(tree.symbols[each] not in self._empty for each in found)
            if arguments > max_arity or len(found) > MAX_DEPENDENTS:
                return False
        if self.given is None:
            return True
        symbols, layout = np.array([tree.symbols]), Layout.of(np.array([tree.heads]))
        return bool(self.given.licensed(symbols, layout)[0])

    @cached_property
    def _empty(self) -> frozenset[int]:
        """The symbols that by themselves have no value."""
        return frozenset(self.lexicon.valueless)

    def surprise(self, key: Key) -> float:
        """Log-probability that a key's value is not what its program says, or that it has a new one."""
        entry = self.lexicon.entries.get(key)
        return NOVELTY if entry is None else math.log(1 - min(entry.agreement, CERTAINTY))


@dataclass(frozen=True)
class Explanation:
    """A tree, possibly with revised symbols, that yields the wanted value under the revised values.

    Attributes:
        tree: after revision.
        revised: nodes with the values that are not what their programs say.
        gain: log-probability of the revisions.
    """

    tree: Tree
    revised: tuple[tuple[int, Value], ...]
    gain: float


def evaluate(tree: Tree, knowledge: Knowledge, revised: Mapping[int, Value] | None = None) -> list[Value]:
    """The value of each node; MISSING where there is no program or it is undefined."""
    dependents = tree.dependents()
    values: list[Value] = [MISSING] * len(tree)
    for node in _bottom_up(tree, dependents):
        if revised and node in revised:
            values[node] = revised[node]
            continue
        arguments = [values[each] for each in dependents[node] if values[each] is not EMPTY]
        program = knowledge.lexicon.program((tree.symbols[node], len(arguments)))
        if program is not None:
            values[node] = knowledge.executor.run(program, arguments, tree.token(node))
    return values


def explain(
    tree: Tree,
    wanted: Value,
    knowledge: Knowledge,
    config: SearchConfig,
    alternatives: Sequence[Sequence[Alternative]] = (),
) -> Iterator[Explanation]:
    """The explanations of ``wanted`` by this tree with at most ``config.revisions`` nodes revised, best first.

    Guesses at leaves without program come on top of the revisions.

    Args:
        tree: the tree to revise.
        wanted: the value its root should have.
        knowledge: programs and guesses.
        config: bounds of the search.
        alternatives: for each token, the symbols it could be instead, with gains of at most 0; empty for none.
    """
    yield from _Search(tree, knowledge, config, alternatives).run(wanted)


@dataclass(frozen=True)
class _Start:
    """Guesses at leaves, the values that follow, and the log-probability of the guesses."""

    guesses: tuple[tuple[int, Value], ...]
    values: tuple[Value, ...]
    gain: float


@dataclass(frozen=True)
class _Goal:
    """A partial revision: what a node should be worth, given the revisions made above it."""

    start: _Start
    node: int
    wanted: Value
    symbols: tuple[int, ...]
    revisions: int


class _Search:
    """Best-first search over revisions of one tree."""

    def __init__(
        self,
        tree: Tree,
        knowledge: Knowledge,
        config: SearchConfig,
        alternatives: Sequence[Sequence[Alternative]],
    ) -> None:
        self.tree = tree
        self.knowledge = knowledge
        self.config = config
        self.alternatives = alternatives
        self.dependents = tree.dependents()

    def run(self, wanted: Value) -> Iterator[Explanation]:
        order = itertools.count()  # ties: first found, first out
        queue: list[tuple[float, int, _Goal | Explanation]] = []
        yielded: set[tuple[Tree, frozenset[tuple[int, Value]]]] = set()  # a revision may also be found as a guess
        for start in self.starts():
            found = (
                Explanation(self.tree, start.guesses, start.gain)
                if start.values[self.tree.root] == wanted
                else _Goal(start, self.tree.root, wanted, self.tree.symbols, 0)
            )
            heapq.heappush(queue, (-start.gain, next(order), found))
        for _ in range(self.config.expansions):
            if not queue:
                return
            cost, _, found = heapq.heappop(queue)
            if isinstance(found, Explanation):
                content = found.tree, frozenset(found.revised)
                if content not in yielded:
                    yielded.add(content)
                    yield found
                if not found.revised and found.tree == self.tree:
                    return  # nothing to revise
                continue
            for gain, further in self.expand(found, -cost):
                heapq.heappush(queue, (-gain, next(order), further))

    def starts(self) -> Iterator[_Start]:
        """The tree as it is, and with its unknown leaves guessed."""
        yield _Start((), tuple(evaluate(self.tree, self.knowledge)), 0.0)
        lexicon, guesses = self.knowledge.lexicon, self.knowledge.guesses
        leaves = [
            node
            for node, symbol in enumerate(self.tree.symbols)
            if not self.dependents[node] and (symbol, 0) not in lexicon and symbol in guesses
        ]
        if not leaves:
            return
        best: list[tuple[float, tuple[tuple[int, Value], ...]]] = [(0.0, ())]
        for node in leaves:  # the best ways to guess all leaves begin with the best ways to guess the first ones
            ways = [
                (gain + guess.log_prob, (*guessed, (node, guess.value)))
                for gain, guessed in best
                for guess in guesses[self.tree.symbols[node]]
            ]
            best = heapq.nlargest(self.config.guesses, ways, key=itemgetter(0))
        for gain, guessed in best:
            yield _Start(guessed, tuple(evaluate(self.tree, self.knowledge, dict(guessed))), gain)

    def expand(self, goal: _Goal, gain: float) -> Iterator[tuple[float, _Goal | Explanation]]:
        """The ways to give a node its wanted value, each with the log-probability of all revisions so far."""
        node, wanted, values = goal.node, goal.wanted, goal.start.values
        executor = self.knowledge.executor
        dependents = [each for each in self.dependents[node] if values[each] is not EMPTY]
        arguments, token = tuple(values[each] for each in dependents), self.tree.token(node)
        key = Key(goal.symbols[node], len(arguments))
        defined = MISSING not in arguments
        guessed = any(leaf == node for leaf, _ in goal.start.guesses)
        may_revise = goal.revisions < self.config.revisions and not guessed
        if may_revise and defined and self.config.revises("semantics"):
            total = gain + self.knowledge.surprise(key)
            tree = replace(self.tree, symbols=goal.symbols)
            yield total, Explanation(tree, (*goal.start.guesses, (node, wanted)), total)
        choices = [(key.symbol, gain, goal.revisions)]
        if may_revise and self.alternatives:
            choices += [(each.symbol, gain + each.gain, goal.revisions + 1) for each in self.alternatives[node]]
        for symbol, total, revisions in choices:
            program = self.knowledge.lexicon.program((symbol, len(arguments)))
            if program is None:
                continue
            symbols = (*goal.symbols[:node], symbol, *goal.symbols[node + 1 :])
            if symbol != key.symbol and defined and executor.run(program, arguments, token) == wanted:
                yield total, Explanation(replace(self.tree, symbols=symbols), goal.start.guesses, total)
            if revisions == self.config.revisions:
                continue  # nothing below may be revised
            for slot, dependent in enumerate(dependents):
                for solution in executor.invert(program, wanted, arguments, slot, token):
                    if solution != values[dependent]:
                        yield total, _Goal(goal.start, dependent, solution, symbols, revisions)


def neighbours(tree: Tree) -> list[Tree]:
    """The projective trees one attachment away: a token gets another head, or the root and a dependent of it swap.

    The relation is symmetric and connects all projective trees.
    """
    return [replace(tree, heads=heads) for heads in _reattached(tree.heads)]


@lru_cache(maxsize=1 << 14)
def _reattached(heads: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    found = []
    for node, head in itertools.product(range(len(heads)), repeat=2):
        if node == head or heads[node] == head or (heads[node] == ROOT and heads[head] != node):
            continue
        changed = list(heads)
        if heads[node] == ROOT:
            changed[head] = ROOT
        changed[node] = head
        if is_projective(np.array(changed)):
            found.append(tuple(changed))
    return tuple(found)


def _bottom_up(tree: Tree, dependents: list[list[int]]) -> list[int]:
    """All nodes, dependents before heads."""
    order, stack = [], [tree.root]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(dependents[node])
    return order[::-1]
