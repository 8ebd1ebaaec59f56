"""The loop: deduce, abduce, learn.

For a batch, propose candidate grounded symbol systems that explain the outputs; weigh them by their probability and by
how well the evidence they imply agrees with that of other examples; then refit perception on the weighted symbols, the
parser on the weighted trees, and re-induce the programs whose evidence changed. A stage ends when greedy accuracy
passes a threshold; the next one admits longer inputs.

The state between two rounds is the modules and a :class:`nsr.learning.stages.Position`; all randomness of a round is
drawn from the seed, the stage and the round, so a run that is stopped and resumed ends as if it had never been stopped.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nsr.arrays import present
from nsr.learning.abduction import Guess
from nsr.learning.association import associate
from nsr.learning.config import Config
from nsr.learning.consistency import KeyEvidence, Nodes, Supposed, collect, costs, support, weigh
from nsr.learning.deduction import Candidates, Modules, candidates, decode, deduce, execute
from nsr.learning.knowledge import given_lexicon
from nsr.learning.lexicon import revise, suppose
from nsr.learning.proposals import Proposals, propose
from nsr.learning.pruning import CHALLENGES, convention, rivals, superfluous, without
from nsr.learning.sampling import sample
from nsr.learning.stages import Clock, OnRound, Pool, Position, stages
from nsr.semantics.induction import Hypothesis, Space
from nsr.semantics.lexicon import Key
from nsr.semantics.values import Value
from nsr.syntax.parser import Parser
from nsr.syntax.scorer import VIEWS
from nsr.syntax.signatures import UNKNOWN_CLASS, DependencyGrammar

TEMPERED = 0.1  # trust of the sampler in the parser while a stage makes no progress
STUCK = 0.3  # trust in the parser when all is explained and yet not solved
TURNS = 3  # of weighing candidates and supposing programs
RETRAINED = 500  # examples that the parser of a model that is built upon is trained further on, at least


class Trainer:
    """Learns from distinct examples; changes the modules in place.

    Args:
        modules: the machine, fresh or as it was at the position to continue from.
        inputs, outputs: the examples.
        space: what programs may be made of.
        config: all settings.
        seed: with stage and round, the source of all randomness.
        clock: collects seconds by phase.
        learned_from: collects the examples that were not just checked but learned from.
    """

    def __init__(
        self,
        modules: Modules,
        inputs: Sequence[Any],
        outputs: Sequence[Value],
        space: Space,
        config: Config,
        seed: int,
        clock: Clock,
        learned_from: set[int],
    ) -> None:
        self.modules = modules
        self.inputs = inputs
        self.wanted = modules.executor.values.ids(outputs)
        self.space = space
        search = config.search.narrowed()
        if modules.parser.gold is not None:
            search = replace(search, rotations=0)  # given trees are not revised
        self.config = replace(config, search=search)
        self.seed = seed
        self.clock = clock
        self.learned_from = learned_from
        open_symbol = modules.parser.given_grammar.class_of == UNKNOWN_CLASS
        self.free = np.flatnonzero(open_symbol).tolist()
        self.fixed = frozenset(np.flatnonzero(~open_symbol).tolist())
        told = sorted(given_lexicon(modules.perception, config.knowledge).known)
        self.known = sorted(self.fixed.difference(told))  # what was learned before this run
        self.guesses: dict[int, list[Guess]] = {}
        self.sizes = np.array([len(each) for each in inputs])
        if modules.perception.certain or not modules.lexicon.entries:
            reading = modules.perception.read(inputs)
            here = present(reading.lengths, reading.symbols.shape[2])
            self.sizes = (~np.isin(reading.symbols[:, 0], told) & here).sum(axis=1)
            self.guesses = associate(reading.symbols[:, 0], reading.lengths, outputs)
        least = 1 if self.known else config.learning.least  # a new word may stand in few short examples
        self.limits = stages(self.sizes, config.learning.curriculum, least)

    def run(self, on_round: OnRound, start: Position) -> None:
        """Learn from ``start`` to the end.

        Args:
            on_round: called after each round with the next position and the round's record.
            start: the round to begin with.
        """
        position = start
        while position.stage < len(self.limits):
            began = time.perf_counter()
            position, record = self.round(position)
            on_round(position, {**record, "seconds": time.perf_counter() - began})

    def round(self, position: Position) -> tuple[Position, dict[str, Any]]:
        """Deduce the stage's examples, and learn from them unless it is over; the next position and a record."""
        learning, last = self.config.learning, position.stage == len(self.limits) - 1
        generator = np.random.default_rng([self.seed, position.stage, position.round])
        pool = self.deduce_pool(position.stage, (learning.final or None) if last else learning.pool)
        stale = 0 if pool.accuracy > position.best else position.stale + 1
        reached = pool.accuracy >= (1.0 if last else learning.threshold)
        if reached or position.round >= learning.rounds or stale >= position.patience(pool.accuracy):
            following, record = self.end(position, pool, generator, last, reached)
        else:
            following, record = self.go_on(position, pool, generator, stale)
        return following, {
            "stage": position.stage,
            "tokens": self.limits[position.stage],
            "round": position.round,
            "examples": len(pool),
            "accuracy": pool.accuracy,
            **record,
        }

    def deduce_pool(self, stage: int, most: int | None) -> Pool:
        """Deduce the examples of a stage greedily: those that are short enough, or a draw of them."""
        examples: np.ndarray = np.flatnonzero(self.sizes <= self.limits[stage])
        if most is not None:
            examples = _draw(examples, most, np.random.default_rng([self.seed, stage]))
        with self.clock("deduce"):
            inputs = [self.inputs[index] for index in examples]
            deduction = deduce(self.modules, inputs, fallback=False, readings=self.config.learning.considered)
        return Pool(examples, deduction, deduction.results == self.wanted[examples])

    def end(
        self, position: Position, pool: Pool, generator: np.random.Generator, last: bool, reached: bool
    ) -> tuple[Position, dict[str, Any]]:
        """The next step of the end of a stage: simplify, then settle, then leave it; the next position and a record.

        Args:
            position: where the run stands.
            pool: the stage's examples.
            generator: source of the round's randomness.
            last: whether there is no further stage.
            reached: whether the stage ends with the accuracy that it should.
        """
        untouched = position.round == 0 and (not last or position.simplified)  # nothing was left to learn
        if position.settled or untouched:
            fresh = Position(position.stage, simplified=position.simplified, sight=position.sight)
            if last and self.perceives and position.turn < self.config.learning.turns:
                return replace(fresh, turn=position.turn + 1), self.refine(generator)
            in_vain = position.reached if reached else pool.accuracy
            return replace(fresh, stage=position.stage + 1, reached=in_vain), {}
        record: dict[str, Any] = {}
        if not position.simplified:
            record |= self.simplify(pool, generator, position.sight)
            if any(record.values()):
                return replace(position, simplified=not record["agreed"], best=-1.0, stale=0), record
        if not self.imitates(position.sight):
            record["parser_loss"] = self.settle(pool, generator, position.sight)
        return replace(position, simplified=True, settled=True), record

    def go_on(
        self, position: Position, pool: Pool, generator: np.random.Generator, stale: int
    ) -> tuple[Position, dict[str, Any]]:
        """Learn from the examples; the next position and a record.

        Args:
            position: where the run stands.
            pool: the stage's examples.
            generator: source of the round's randomness.
            stale: rounds since the stage's best accuracy, this one included.
        """
        modules = self.modules
        sight = min(position.sight + (stale > 0), len(VIEWS) - 1)
        guess = stale > 0 and not (self.config.search.licensed and modules.lexicon.known.issuperset(self.free))
        before = modules.lexicon.uses
        record = self.learn(pool, generator, sight, guess, stuck=stale > 0 and position.explained)
        following = replace(
            position,
            round=position.round + 1,
            best=max(position.best, pool.accuracy),
            stale=stale,
            simplified=position.simplified and modules.lexicon.uses == before,
            settled=False,
            sight=sight,
            explained=modules.perception.certain and record["explained"] == record["searched"],
        )
        return following, record

    def learn(self, pool: Pool, generator: np.random.Generator, sight: int, guess: bool, stuck: bool) -> dict[str, Any]:
        """One round of abduction and learning on a batch; returns what to record of it.

        Args:
            pool: the stage's examples.
            generator: draws the batch and samples trees.
            sight: how much the parser may see.
            guess: whether several nodes of a tree may be without program, the leaves among them being guessed.
            stuck: whether what is solved may have been solved by the wrong trees.
        """
        modules = self.modules
        failed, kept = self.draw_batch(pool.solved, generator)
        batch = pool.examples[np.concatenate([failed, kept])]
        self.learned_from.update(batch.tolist())
        found = self.abduce(pool.examples[failed], generator, guess)
        own = pool.solutions(kept, len(failed))
        if stuck:
            own = self.other_solutions(pool.examples[kept], own, len(failed), generator)
        proposals = found.then(Proposals.exact(own))
        trust = STUCK if stuck else 0.0 if guess else 1.0
        weights, evidence, hypotheses = self.judge(modules, proposals, generator, trust)
        before = modules.lexicon
        modules.lexicon = revise(before, evidence, hypotheses, self.config, self.fixed)
        changes = Counter(
            "pruned" if key not in modules.lexicon else "revised"
            for key, entry in before.entries.items()
            if modules.lexicon.program(key) != entry.program
        )
        trees, sources = proposals.trees, batch[proposals.trees.sentence]
        with self.clock("deduce"):
            right = execute(modules, trees).results == self.wanted[sources]
        if self.imitates(sight):
            self.imitate(batch)
            loss = 0.0
        else:
            loss = self.fit_parser(trees.take(np.flatnonzero(right)), weights[right], generator, sight)
        with self.clock("perception"):
            modules.perception.fit([self.inputs[index] for index in sources], trees.symbols, weights)
        return {
            "guess": guess,
            "searched": len(failed),
            "explained": found.explained,
            "candidates": len(proposals),
            "supposed": len(hypotheses),
            "revised": changes["revised"],
            "pruned": changes["pruned"],
            "programs": len(modules.lexicon.entries),
            "parser_loss": loss,
            "sight": sight,
        }

    def draw_batch(self, solved: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The examples of a batch: those that are not solved, and those that are."""
        learning = self.config.learning
        if learning.replay:
            failed = _draw(np.flatnonzero(~solved), learning.batch // 2, generator)
            return failed, _draw(np.flatnonzero(solved), learning.batch - len(failed), generator)
        drawn = _draw(np.arange(len(solved)), learning.batch, generator)
        return drawn[~solved[drawn]], drawn[solved[drawn]]

    def abduce(self, examples: np.ndarray, generator: np.random.Generator, guess: bool) -> Proposals:
        """Explanations of unsolved examples."""
        config = self.config.search
        inputs, guesses = [self.inputs[index] for index in examples], self.guesses if guess else {}
        with self.clock("abduce"):
            if config.search == "mh":
                trust = TEMPERED if guess else 1.0
                return sample(self.modules, inputs, self.wanted[examples], guesses, config, generator, trust)
            return propose(self.modules, inputs, self.wanted[examples], guesses, config, generator)

    def other_solutions(
        self, examples: np.ndarray, own: Candidates, start: int, generator: np.random.Generator
    ) -> Candidates:
        """The trees that the lexicon licenses and that solve these examples too, and ``own`` of those without any.

        Args:
            examples: solved ones.
            own: how.
            start: the number that the first one has in the batch.
            generator: samples trees.
        """
        relaxed = replace(self.modules, parser=self.modules.parser.relaxed())
        search = self.config.search
        with self.clock("abduce"):
            trees = candidates(relaxed, [self.inputs[index] for index in examples], 1, search.trees, generator)
            right = execute(self.modules, trees).results == self.wanted[examples[trees.sentence]]
        trees = trees.take(np.flatnonzero(right))
        trees = replace(trees, sentence=start + trees.sentence)
        both = own.take(np.flatnonzero(~np.isin(own.sentence, trees.sentence))).then(trees)
        return both.take(np.argsort(both.sentence, kind="stable"))

    def judge(
        self, modules: Modules, proposals: Proposals, generator: np.random.Generator, trust: float
    ) -> tuple[np.ndarray, dict[Key, KeyEvidence], dict[Key, Hypothesis]]:
        """Weigh candidates by what they say of the lexicon, and suppose programs by the candidates' weights, in turn.

        The first turn lets all candidates speak. The less the parser is trusted (0 to 1), the less counts what it has
        learned so far.

        Returns:
            the weights, shape (C,), the evidence, and the programs supposed for keys that have none that fits.
        """
        trees, passes = proposals.trees, self.config.learning.consistency
        grammar = DependencyGrammar.of(modules.lexicon)
        with self.clock("abduce"):
            execution = execute(modules, trees, proposals.revised)
            nodes = Nodes(proposals, execution, modules.parser.given)
        supposed = None
        for turn in range(TURNS):
            with self.clock("abduce"):
                weights = weigh(proposals, nodes, modules.lexicon, grammar, passes if turn else 0, supposed, trust)
            with self.clock("induce"):
                evidence = collect(nodes, weights, modules.executor.values, modules.lexicon)
                hypotheses = suppose(modules.lexicon, evidence, self.space, self.config, generator, self.fixed)
            if not hypotheses:
                break
            supposed = Supposed(
                support(nodes, hypotheses, modules.executor),
                costs(nodes, modules.lexicon, hypotheses, self.space, self.config.induction),
            )
        return weights, evidence, hypotheses

    def simplify(self, pool: Pool, generator: np.random.Generator, sight: int) -> dict[str, int]:
        """Drop what all that is solved can do without, and prefer simpler programs; returns what to record of it."""
        modules, solved = self.modules, np.flatnonzero(pool.solved)
        chosen = _draw(solved, self.config.learning.batch // 2, generator)
        with self.clock("abduce"):
            examples, own = pool.examples[chosen], pool.solutions(chosen)
            inputs, wanted = [self.inputs[index] for index in examples], self.wanted[examples]
            learned = not self.known and modules.parser.gold is None
            agreed = convention(modules, wanted, own, self.config) if learned else None
        if agreed is not None:
            modules.lexicon, trees = agreed
            plain = own.take(np.flatnonzero(~own.containing(modules.lexicon.valueless)))
            weights = 1 / np.bincount(trees.sentence)[trees.sentence]
            self.fit_parser(plain.then(trees), np.concatenate([np.ones(len(plain)), weights]), generator, sight)
            return {"agreed": len(trees), "dropped": 0, "replaced": 0}
        with self.clock("abduce"):
            dropped = superfluous(modules, inputs, wanted, own, self.config.search, generator)
            dropped = {use for use in dropped if use.key.symbol not in self.fixed}
            modules.lexicon = without(modules.lexicon, dropped)
        replaced = sum(self.challenge(symbol, pool.examples, generator) for symbol in self.free)
        if dropped and not replaced and not self.imitates(sight):
            trees = pool.solutions(solved)
            right = np.flatnonzero(execute(modules, trees).results == pool.deduction.results[solved])
            trees = trees.take(_draw(right, self.config.learning.pool, generator))
            self.fit_parser(trees, np.ones(len(trees)), generator, sight)
        elif dropped or replaced:
            self.license()
        return {"agreed": 0, "dropped": len(dropped), "replaced": replaced}

    def challenge(self, symbol: int, examples: np.ndarray, generator: np.random.Generator) -> bool:
        """Try to explain examples with fewer arguments for a symbol; whether that gave a simpler program."""
        config, modules, entries = self.config, self.modules, self.modules.lexicon.entries
        keys = [key for key in entries if key.symbol == symbol]
        if not keys or min(key.arity for key in keys) < 2:
            return False
        reading = modules.read([self.inputs[index] for index in examples])
        here = present(reading.lengths, reading.symbols.shape[2])
        rows = examples[((reading.symbols[:, 0] == symbol) & here).any(axis=1)]
        rows = rows[np.argsort(self.sizes[rows], kind="stable")[:CHALLENGES]]
        if not len(rows):
            return False
        with self.clock("abduce"):
            inputs = [self.inputs[index] for index in rows]
            rival, proposals = rivals(modules, symbol, inputs, self.wanted[rows], config.search, generator)
        if proposals.explained < len(rows):
            return False
        _, evidence, hypotheses = self.judge(rival, proposals, generator, trust=0.0)
        most = min(self.space.bits(entries[key].program, config.induction, key.arity) for key in keys)
        for key, found in hypotheses.items():
            holds = key.symbol == symbol and found.agreement >= 1 - config.induction.error_rate
            if holds and self.space.bits(found.program, config.induction, key.arity) < most:
                modules.lexicon = revise(rival.lexicon, {key: evidence[key]}, {key: found}, config)
                return True
        return False

    @property
    def perceives(self) -> bool:
        """Whether perception is something to learn."""
        return not self.modules.perception.certain and self.config.knowledge.perception == "learned"

    def refine(self, generator: np.random.Generator) -> dict[str, Any]:
        """Refit perception to the readings that give examples their values; returns what to record of it."""
        learning, modules = self.config.learning, self.modules
        drawn = _draw(np.arange(len(self.inputs)), learning.decoded, generator)
        inputs = [self.inputs[index] for index in drawn]
        with self.clock("deduce"):
            trees = decode(modules, inputs, self.wanted[drawn], self.config.search.readings)
        with self.clock("perception"):
            modules.perception.learn([inputs[index] for index in trees.sentence], trees.symbols, np.ones(len(trees)))
        self.learned_from.update(drawn[trees.sentence].tolist())
        return {"decoded": len(trees) / max(len(drawn), 1)}

    def settle(self, pool: Pool, generator: np.random.Generator, sight: int) -> float:
        """Refit the parser to the trees it chose for what it solves, so that rival explanations leave no trace."""
        trees = pool.solutions(_draw(np.flatnonzero(pool.solved), self.config.learning.batch, generator))
        return self.fit_parser(trees, np.ones(len(trees)), generator, sight)

    def imitates(self, sight: int) -> bool:
        """Whether new symbols parse like known ones, and the parser is left as it was before this run.

        If that does not explain the examples, the parser is trained on them, provided that they are so many that it
        does not forget what it knew.
        """
        return bool(self.known) and (sight == 0 or len(self.inputs) < RETRAINED)

    def imitate(self, examples: np.ndarray) -> None:
        """Let each new symbol parse like the known one, with as many arguments, that solves most of these examples."""
        modules, inputs = self.modules, [self.inputs[index] for index in examples]
        scorer, alike = modules.parser.scorer, self.license().alike()

        def solved(symbol: int, known: int) -> int:
            scorer.like[symbol] = known
            with self.clock("deduce"):
                return int((deduce(modules, inputs, fallback=False).results == self.wanted[examples]).sum())

        arities: dict[int, set[int]] = defaultdict(set)
        for key in modules.lexicon.entries:
            arities[key.symbol].add(key.arity)
        for symbol in self.free:
            models = {int(alike[each]): each for each in reversed(self.known) if arities[each] == arities[symbol]}
            found = max(sorted(models.values()), key=lambda known: solved(symbol, known), default=symbol)
            scorer.like[symbol] = found

    @property
    def grammar(self) -> DependencyGrammar:
        """What the lexicon licenses."""
        return DependencyGrammar.of(self.modules.lexicon, self.config.knowledge.between)

    def license(self) -> Parser:
        """Tell the parser where the dependents of each word of the lexicon stand; returns it."""
        self.modules.parser.license(self.grammar)
        return self.modules.parser

    def fit_parser(self, trees: Candidates, weights: np.ndarray, generator: np.random.Generator, sight: int) -> float:
        """Fit the dependency grammar and the parser to weighted trees; returns the parser's loss."""
        modules = self.modules
        with self.clock("parser"):
            grammar = self.grammar
            modules.perception.attend(trees.symbols, trees.lengths, weights, grammar.kinds())
            modules.parser.license(grammar.observe(trees.symbols, trees.heads, weights, self.config.learning.prune))
            noise = torch.Generator().manual_seed(int(generator.integers(2**31)))
            if self.known:
                sight = max(sight, int(modules.parser.scorer.view_index))
                modules.parser.scorer.like.copy_(torch.arange(len(modules.parser.scorer.like)))
            return modules.parser.fit(trees.symbols, trees.heads, trees.lengths, weights, noise, sight)


def _draw(indices: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """At most so many of the indices, in order."""
    if len(indices) <= most:
        return indices
    return np.sort(generator.choice(indices, most, replace=False))
