"""Abduction by Metropolis-Hastings: explanations as samples of the posterior.

The chain of an example walks over grounded symbol systems. A state is a symbol sequence with a tree, and perhaps one
revision of it that yields the wanted value. Its probability is that of symbols, tree and revision; a state that does
not yield the wanted value is not impossible but ``MISFIT`` times as probable, so that the chain can walk through it.
Proposals change one attachment, change one symbol, or make or take back a revision; each has an acceptance step.

All chains of a batch move in lock step, so the parser scores the proposals of a step at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nsr.learning.abduction import Explanation, Guess, Knowledge, Tree, evaluate, explain, neighbours
from nsr.learning.config import SearchConfig
from nsr.learning.deduction import Modules, candidates
from nsr.learning.proposals import Proposals, knowledge_of, stack, tree_of
from nsr.perception.perception import Alternative
from nsr.semantics.values import Value, ValueTable
from nsr.syntax.parser import Parser

MISFIT = math.log(1e-2)  # log-probability of a tree that does not yield the wanted value, relative to one that does


@dataclass(frozen=True)
class State:
    """A tree, perhaps revised.

    Attributes:
        tree: before revision.
        revision: an explanation by this tree, or None.
    """

    tree: Tree
    revision: Explanation | None = None


class Chain:
    """The chain of one example.

    Args:
        tree: where it starts.
        log_prob: log p(tree | symbols) of it.
        wanted: the value the root should have.
        knowledge: programs and guesses.
        config: bounds of the search for revisions.
        alternatives: for each token, the symbols it could be instead of that of the starting tree.
    """

    def __init__(
        self,
        tree: Tree,
        log_prob: float,
        wanted: Value,
        knowledge: Knowledge,
        config: SearchConfig,
        alternatives: Sequence[Sequence[Alternative]] = (),
    ) -> None:
        self.wanted = wanted
        self.knowledge = knowledge
        self.config = config
        self.choices = [
            {symbol: 0.0, **{each.symbol: each.gain for each in others}}
            for symbol, others in zip(tree.symbols, alternatives or [()] * len(tree), strict=True)
        ]
        self.state = State(tree)
        self.trees = {tree: log_prob}
        self.visits: Counter[State] = Counter()
        self._revisions: dict[Tree, list[Explanation]] = {}
        self._fits: dict[Tree, bool] = {}

    def log_density(self, state: State) -> float:
        """Log-probability of a state up to a constant; its tree must be among ``trees``."""
        symbols = sum(choice[symbol] for choice, symbol in zip(self.choices, state.tree.symbols, strict=True))
        return self.trees[state.tree] + symbols + self._log_fit(state)

    def _log_fit(self, state: State) -> float:
        if state.revision is not None:
            return state.revision.gain
        return 0.0 if self.fits(state.tree) else MISFIT

    def fits(self, tree: Tree) -> bool:
        """Whether a tree yields the wanted value as it is."""
        if tree not in self._fits:
            self._fits[tree] = evaluate(tree, self.knowledge)[tree.root] == self.wanted
        return self._fits[tree]

    def revisions(self, tree: Tree) -> list[Explanation]:
        """The revisions of values by which a tree yields the wanted value."""
        if tree not in self._revisions:
            found = explain(tree, self.wanted, self.knowledge, self.config)
            self._revisions[tree] = [each for each in found if each.revised]
        return self._revisions[tree]

    def propose(self, generator: np.random.Generator) -> tuple[State, float] | None:
        """A state to move to, and log q(back) - log q(there); None to stay."""
        tree, revision = self.state.tree, self.state.revision
        move = generator.integers(3)
        if revision is not None:
            return (State(tree), -math.log(len(self.revisions(tree)))) if move == 0 else None
        if move == 0:
            revisions = self.revisions(tree)
            if not revisions:
                return None
            return State(tree, revisions[generator.integers(len(revisions))]), math.log(len(revisions))
        if move == 1:
            near = neighbours(tree)
            if not near:
                return None
            there = near[generator.integers(len(near))]
            return State(there), math.log(len(near)) - math.log(len(neighbours(there)))
        flips = [
            (node, symbol)
            for node, choice in enumerate(self.choices)
            for symbol in choice
            if symbol != tree.symbols[node]
        ]
        if not flips:
            return None
        node, symbol = flips[generator.integers(len(flips))]
        return State(replace(tree, symbols=(*tree.symbols[:node], symbol, *tree.symbols[node + 1 :]))), 0.0

    def step(self, proposal: tuple[State, float] | None, generator: np.random.Generator) -> None:
        """Accept or reject a proposal, and count the state the chain is in."""
        if proposal is not None:
            there, correction = proposal
            ratio = self.log_density(there) - self.log_density(self.state) + correction
            if math.log(1 - generator.random()) < ratio:
                self.state = there
        self.visits[self.state] += 1

    def explanations(self, most: int) -> list[tuple[float, Explanation]]:
        """The explanations most visited, each with the logarithm of its share of visits."""
        found = [
            (count, state.revision or Explanation(state.tree, (), 0.0))
            for state, count in self.visits.items()
            if self.knowledge.allows(state.tree, self.config.max_arity)
            and (state.revision is not None or self.fits(state.tree))
        ]
        total = sum(count for count, _ in found)
        best = sorted(found, key=lambda item: -item[0])[:most]
        return [(math.log(count / total), replace(explanation, gain=0.0)) for count, explanation in best]


def walk(
    chains: Sequence[Chain],
    parser: Parser,
    values: ValueTable,
    steps: int,
    generator: np.random.Generator,
    trust_in_trees: float = 1.0,
) -> None:
    """Move all chains by so many steps."""
    for _ in range(steps):
        proposals = [chain.propose(generator) for chain in chains]
        unscored = [
            (chain, proposal[0].tree)
            for chain, proposal in zip(chains, proposals, strict=True)
            if proposal is not None and proposal[0].tree not in chain.trees
        ]
        if unscored:
            arrays = stack([(0, 0.0, Explanation(tree, (), 0.0)) for _, tree in unscored], values).trees
            scores = parser.log_prob(arrays.symbols, arrays.heads, arrays.lengths)
            for (chain, tree), score in zip(unscored, scores.tolist(), strict=True):
                chain.trees[tree] = trust_in_trees * score
        for chain, proposal in zip(chains, proposals, strict=True):
            chain.step(proposal, generator)


def sample(
    modules: Modules,
    inputs: Sequence[Any],
    wanted: np.ndarray,
    guesses: Mapping[int, Sequence[Guess]],
    config: SearchConfig,
    generator: np.random.Generator,
    trust_in_trees: float = 1.0,
) -> Proposals:
    """Explain examples by sampling.

    Arguments as of :func:`nsr.learning.proposals.propose`; ``trust_in_trees`` is the exponent of p(tree | symbols) in
    the distribution that is sampled. Below 1, chains leave trees that the parser is too sure of.
    """
    knowledge = knowledge_of(modules, guesses if config.guesses else {})
    values = modules.executor.values
    starts = candidates(modules, inputs, generator=generator, masked=False)
    known = modules.parser.log_prob(starts.symbols, starts.heads, starts.lengths)
    chains = [
        Chain(
            tree_of(starts, row, values),
            trust_in_trees * float(known[row]),
            values[int(wanted[sentence])],
            knowledge,
            config,
            modules.perception.alternatives(inputs[sentence]),
        )
        for row, sentence in enumerate(starts.sentence.tolist())
    ]
    walk(chains, modules.parser, values, config.steps, generator, trust_in_trees)
    return stack(
        [
            (sentence, log_share, explanation)
            for sentence, chain in zip(starts.sentence.tolist(), chains, strict=True)
            for log_share, explanation in chain.explanations(config.explanations)
        ],
        values,
    )
