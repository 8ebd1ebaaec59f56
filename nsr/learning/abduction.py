"""Abduction: the most probable revisions of a tree that give it the wanted value.

The search runs top-down. The wanted value of the root is the output; at a node with a wanted value the search may
revise the node's value (evidence for another program), revise its symbol (so that the program of another symbol
applies), or pass a wanted value down to one dependent through the inverse of the program. Partial revisions are
expanded best first, so explanations come out in order of their probability.

Other attachments are other trees: they come from the parser (its k best trees or a sample), or from
:func:`neighbours`.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nsr.gss import ROOT, is_projective, is_tree
from nsr.learning.config import SearchConfig
from nsr.perception.perception import Alternative
from nsr.semantics.execution import Executor
from nsr.semantics.lexicon import Key, Lexicon
from nsr.semantics.values import MISSING, Value

NOVELTY = math.log(0.5)  # log-probability that a key without program has some value
CERTAINTY = 0.999  # a program is never trusted more than this


@dataclass(frozen=True)
class Tree:
    """One symbol sequence with its tree, as plain tuples.

    Attributes:
        symbols: symbol ids.
        heads: positions, ROOT for the root.
    """

    symbols: tuple[int, ...]
    heads: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def root(self) -> int:
        """Position of the root."""
        return self.heads.index(ROOT)

    def dependents(self) -> list[list[int]]:
        """The dependents of each token, from left to right."""
        found: list[list[int]] = [[] for _ in self.heads]
        for position, head in enumerate(self.heads):
            if head != ROOT:
                found[head].append(position)
        return found


@dataclass(frozen=True)
class Evidence:
    """What an explanation says of one node: on these arguments, the value of the key is this."""

    node: int
    key: Key
    arguments: tuple[Value, ...]
    value: Value


@dataclass(frozen=True)
class Explanation:
    """A tree, possibly with revised symbols, that yields the wanted value under the revised values.

    Attributes:
        tree: after revision.
        evidence: the revised values; empty where the programs already give the wanted value.
        gain: log-probability of the revisions.
    """

    tree: Tree
    evidence: tuple[Evidence, ...]
    gain: float


@dataclass(frozen=True)
class _Goal:
    """A partial revision: what node should be worth, given the revisions made above it."""

    node: int
    wanted: Value
    symbols: tuple[int, ...]
    revisions: int


def evaluate(tree: Tree, lexicon: Lexicon, executor: Executor) -> list[Value]:
    """The value of each node; MISSING where there is no program or it is undefined."""
    dependents = tree.dependents()
    values: list[Value] = [MISSING] * len(tree)
    for node in _bottom_up(tree, dependents):
        program = lexicon.program((tree.symbols[node], len(dependents[node])))
        if program is not None:
            values[node] = executor.run(program, [values[each] for each in dependents[node]])
    return values


def explain(
    tree: Tree,
    wanted: Value,
    lexicon: Lexicon,
    executor: Executor,
    config: SearchConfig,
    alternatives: Sequence[Sequence[Alternative]] = (),
) -> Iterator[Explanation]:
    """The explanations of ``wanted`` by this tree with at most ``config.revisions`` nodes revised, best first.

    Args:
        tree: the tree to revise.
        wanted: the value its root should have.
        lexicon: the programs.
        executor: runs and inverts them.
        config: bounds of the search.
        alternatives: for each token, the symbols it could be instead; empty for none.
    """
    values = evaluate(tree, lexicon, executor)
    dependents = tree.dependents()
    if values[tree.root] == wanted:
        yield Explanation(tree, (), 0.0)
        return
    order = itertools.count()  # ties: first found, first out
    queue: list[tuple[float, int, _Goal | Explanation]] = [
        (0.0, next(order), _Goal(tree.root, wanted, tree.symbols, 0))
    ]
    for _ in range(config.expansions):
        if not queue:
            return
        cost, _, goal = heapq.heappop(queue)
        if isinstance(goal, Explanation):
            yield replace(goal, gain=-cost)
            continue
        for gain, found in _expand(goal, -cost, tree, values, dependents, lexicon, executor, config, alternatives):
            heapq.heappush(queue, (-gain, next(order), found))


def _expand(
    goal: _Goal,
    gain: float,
    tree: Tree,
    values: list[Value],
    dependents: list[list[int]],
    lexicon: Lexicon,
    executor: Executor,
    config: SearchConfig,
    alternatives: Sequence[Sequence[Alternative]],
) -> Iterator[tuple[float, _Goal | Explanation]]:
    """The ways to give a node its wanted value, each with the log-probability of all revisions so far."""
    node, wanted = goal.node, goal.wanted
    arguments = tuple(values[each] for each in dependents[node])
    key = Key(goal.symbols[node], len(arguments))
    defined = MISSING not in arguments
    if goal.revisions < config.revisions and defined:
        evidence = Evidence(node, key, arguments, wanted)
        yield (
            gain + surprise(key, lexicon),
            Explanation(replace(tree, symbols=goal.symbols), (evidence,), 0.0),
        )
    choices = [(key.symbol, gain, goal.revisions)]
    if goal.revisions < config.revisions and alternatives:
        choices += [(each.symbol, gain + each.gain, goal.revisions + 1) for each in alternatives[node]]
    for symbol, total, revisions in choices:
        program = lexicon.program((symbol, len(arguments)))
        if program is None:
            continue
        symbols = (*goal.symbols[:node], symbol, *goal.symbols[node + 1 :])
        if symbol != key.symbol and defined and executor.run(program, arguments) == wanted:
            yield total, Explanation(replace(tree, symbols=symbols), (), 0.0)
        for slot, dependent in enumerate(dependents[node]):
            for solution in executor.invert(program, wanted, arguments, slot):
                if solution != values[dependent]:
                    yield total, _Goal(dependent, solution, symbols, revisions)


def surprise(key: Key, lexicon: Lexicon) -> float:
    """Log-probability that a key's value is not what its program says, or that it has a new one."""
    entry = lexicon.entries.get(key)
    return NOVELTY if entry is None else math.log(1 - min(entry.agreement, CERTAINTY))


def neighbours(tree: Tree) -> list[Tree]:
    """The projective trees one attachment away: a token gets another head, or the root and a dependent of it swap.

    The relation is symmetric and connects all projective trees.
    """
    found = []
    for node, head in itertools.product(range(len(tree)), repeat=2):
        if node == head or tree.heads[node] == head:
            continue
        heads = list(tree.heads)
        if tree.heads[node] == ROOT:
            if tree.heads[head] != node:
                continue
            heads[head] = ROOT
        heads[node] = head
        if is_tree(np.array(heads)) and is_projective(np.array(heads)):
            found.append(replace(tree, heads=tuple(heads)))
    return found


def _bottom_up(tree: Tree, dependents: list[list[int]]) -> list[int]:
    """All nodes, dependents before heads."""
    order, stack = [], [tree.root]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(dependents[node])
    return order[::-1]
