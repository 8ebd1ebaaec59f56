"""The loop: deduce, abduce, learn.

For a batch, propose candidate grounded symbol systems that explain the outputs; weigh them by their probability and by
how well the evidence they imply agrees with that of other examples; then refit perception on the weighted symbols, the
parser on the weighted trees, and re-induce the programs whose evidence changed. A stage ends when greedy accuracy
passes a threshold; the next one admits longer inputs.

The state between two rounds is the modules and a :class:`Position`; all randomness of a round is drawn from the seed
and the position, so a run that is stopped and resumed ends as if it had never been stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from nsr.learning.config import Config
from nsr.learning.consistency import Nodes, collect, weigh
from nsr.learning.deduction import Candidates, Deduction, Modules, deduce
from nsr.learning.lexicon import learn_lexicon
from nsr.learning.proposals import Proposals, propose
from nsr.semantics.induction import Space
from nsr.semantics.values import Value
from nsr.syntax.signatures import DependencyGrammar

PATIENCE = 3  # rounds without improvement after which the last stage ends


@dataclass(frozen=True)
class Position:
    """Where a run stands: the next round to do.

    Attributes:
        stage: index of the stage.
        round: rounds done in it.
        best: best accuracy of the stage so far.
        stale: rounds since it was reached.
        settled: whether the parser has been refitted to the trees it chose itself.
    """

    stage: int = 0
    round: int = 0
    best: float = -1.0
    stale: int = 0
    settled: bool = False


@dataclass
class Clock:
    """Seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the seconds that a block takes to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


OnRound = Callable[[Position, dict[str, Any]], None]


def stages(lengths: np.ndarray, curriculum: str) -> list[int]:
    """The longest input of each stage: 1, 2, 3, 4, then half as long again each time, where there is any such input."""
    longest = int(lengths.max(initial=1))
    if curriculum == "none":
        return [longest]
    limits, limit = [], 1
    while limit < longest:
        limits.append(limit)
        limit = max(limit + 1, limit * 3 // 2) if limit >= 4 else limit + 1
    limits.append(longest)
    shortest = int(lengths.min(initial=longest))
    return [limit for limit in limits if limit >= shortest]


def train(
    modules: Modules,
    inputs: Sequence[Any],
    outputs: Sequence[Value],
    space: Space,
    config: Config,
    seed: int,
    clock: Clock,
    on_round: OnRound,
    learned_from: set[int],
    start: Position,
) -> None:
    """Learn from distinct examples; changes the modules in place.

    Args:
        modules: the machine, fresh or as it was at ``start``.
        inputs, outputs: the examples.
        space: what programs may be made of.
        config: all settings.
        seed: with the position, the source of all randomness.
        clock: collects seconds by phase.
        on_round: called after each round with the next position and the round's record.
        learned_from: collects the examples that were not just checked but learned from.
        start: the round to begin with.
    """
    lengths = np.array([len(each) for each in inputs])
    wanted = modules.executor.values.ids(outputs)
    limits = stages(lengths, config.learning.curriculum)
    position = start
    while position.stage < len(limits):
        last = position.stage == len(limits) - 1
        pool = np.flatnonzero(lengths <= limits[position.stage])
        if not last and len(pool) > config.learning.pool:
            generator = np.random.default_rng([seed, position.stage])
            pool = np.sort(generator.choice(pool, config.learning.pool, replace=False))
        began = time.perf_counter()
        generator = np.random.default_rng([seed, position.stage, position.round])
        with clock("deduce"):
            deduction = deduce(modules, [inputs[index] for index in pool], fallback=False)
        solved = deduction.results == wanted[pool]
        accuracy = float(solved.mean())
        record: dict[str, Any] = {
            "stage": position.stage,
            "tokens": limits[position.stage],
            "round": position.round,
            "examples": len(pool),
            "accuracy": accuracy,
        }
        improved = accuracy > position.best
        stale = 0 if improved else position.stale + 1
        done = accuracy >= (1.0 if last else config.learning.threshold)
        done |= position.round >= config.learning.rounds or (last and stale >= PATIENCE)
        if done and (position.settled or position.round == 0):
            position = Position(position.stage + 1)
        elif done:
            record["parser_loss"] = _settle(modules, deduction, solved, config, generator, clock)
            position = replace(position, settled=True)
        else:
            record |= _learn(
                modules,
                inputs,
                wanted,
                pool,
                solved,
                deduction,
                space,
                config,
                generator,
                clock,
                learned_from,
            )
            position = Position(position.stage, position.round + 1, max(position.best, accuracy), stale)
        record["seconds"] = time.perf_counter() - began
        on_round(position, record)


def _learn(
    modules: Modules,
    inputs: Sequence[Any],
    wanted: np.ndarray,
    pool: np.ndarray,
    solved: np.ndarray,
    deduction: Deduction,
    space: Space,
    config: Config,
    generator: np.random.Generator,
    clock: Clock,
    learned_from: set[int],
) -> dict[str, Any]:
    """One round of abduction and learning on a batch; returns what to record of it."""
    failed = _draw(np.flatnonzero(~solved), config.learning.batch // 2, generator)
    kept = _draw(np.flatnonzero(solved), config.learning.batch - len(failed), generator)
    learned_from.update(pool[failed].tolist(), pool[kept].tolist())
    with clock("abduce"):
        batch = [inputs[index] for index in pool[failed]]
        found = propose(modules, batch, wanted[pool[failed]], config.search, generator)
        exact = deduction.trees.take(deduction.row[kept])
        numbering = np.full(len(pool), -1)
        numbering[kept] = len(failed) + np.arange(len(kept))
        exact = Proposals.exact(exact.renumber(numbering[exact.sentence]))
        proposals = found.then(exact)
        execution = modules.executor.execute(
            proposals.trees.symbols, proposals.trees.heads, modules.lexicon, proposals.revised
        )
        nodes = Nodes(proposals, execution)
        grammar = DependencyGrammar.of(modules.lexicon)
        weights = weigh(proposals, nodes, modules.lexicon, grammar, config.learning.consistency)
    with clock("induce"):
        evidence = collect(nodes, weights, modules.executor.values, modules.lexicon)
        modules.lexicon, searched = learn_lexicon(modules.lexicon, evidence, space, config, generator)
    loss = _fit_parser(modules, proposals.trees, weights, config, generator, clock)
    with clock("perception"):
        sentences = np.concatenate([pool[failed], pool[kept]])[proposals.trees.sentence]
        modules.perception.fit([inputs[index] for index in sentences], proposals.trees.symbols, weights)
    return {
        "searched": len(failed),
        "explained": found.explained,
        "candidates": len(proposals),
        "inductions": searched,
        "programs": len(modules.lexicon.entries),
        "parser_loss": loss,
        "view": int(modules.parser.scorer.view_index),
    }


def _settle(
    modules: Modules,
    deduction: Deduction,
    solved: np.ndarray,
    config: Config,
    generator: np.random.Generator,
    clock: Clock,
) -> float:
    """Refit the parser to the trees it chose for what it solves, so that rival explanations leave no trace."""
    rows = deduction.row[_draw(np.flatnonzero(solved), config.learning.pool, generator)]
    return _fit_parser(modules, deduction.trees.take(rows), np.ones(len(rows)), config, generator, clock)


def _fit_parser(
    modules: Modules,
    trees: Candidates,
    weights: np.ndarray,
    config: Config,
    generator: np.random.Generator,
    clock: Clock,
) -> float:
    """Fit the dependency grammar and the parser to weighted trees; returns the parser's loss."""
    with clock("parser"):
        grammar = DependencyGrammar.of(modules.lexicon)
        modules.parser.license(grammar.observe(trees.symbols, trees.heads, weights, config.learning.prune))
        noise = torch.Generator().manual_seed(int(generator.integers(2**31)))
        return modules.parser.fit(trees.symbols, trees.heads, trees.lengths, weights, noise)


def _draw(indices: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """At most so many of the indices, in order."""
    if len(indices) <= most:
        return indices
    return np.sort(generator.choice(indices, most, replace=False))
