"""Deduction: perceive, parse, execute.

Shape letters: B sentences, C candidates (several a sentence), N tokens.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from nsr.arrays import present, ragged_to_padded
from nsr.perception.perception import Perception, Readings
from nsr.semantics.execution import ABSENT, Execution, Executor
from nsr.semantics.lexicon import Lexicon
from nsr.semantics.values import EMPTY_ID, MISSING_ID
from nsr.syntax.parser import Parser

BLOCK = 32_768  # candidates at once
FALLBACK_WIDTH = 16  # trees tried for a sentence whose best one has no value
ANSWERS_WIDTH = 32  # readings, and trees of each, among which all answers to a sentence are looked for


@dataclass
class Modules:
    """The three modules together: perception, syntax, semantics."""

    perception: Perception
    parser: Parser
    lexicon: Lexicon
    executor: Executor

    def fresh(self) -> Modules:
        """The same modules with an empty memo."""
        return replace(self, executor=Executor(self.executor.max_length))

    def read(self, inputs: Sequence[Any], width: int = 1) -> Readings:
        """The ``width`` most probable readings of each input; perception is not asked about none."""
        if not len(inputs):
            return Readings(np.zeros((0, width, 0), np.int64), np.zeros(0, np.int64), np.zeros((0, width)))
        return self.perception.read(inputs, width)


@dataclass(frozen=True)
class Candidates:
    """Parsed sentences; as :func:`candidates` finds them in the order of their sentences, and there best first.

    Attributes:
        sentence: which input of the batch, shape (C,).
        symbols: symbol ids, shape (C, N).
        heads: position of each token's head, ROOT or ABSENT, shape (C, N).
        grounds: value ids of the tokens, MISSING_ID where no program asks for them, shape (C, N).
        lengths: shape (C,).
        log_probs: log p(symbols, tree | input), shape (C,).
    """

    sentence: np.ndarray
    symbols: np.ndarray
    heads: np.ndarray
    grounds: np.ndarray
    lengths: np.ndarray
    log_probs: np.ndarray

    def __len__(self) -> int:
        return len(self.sentence)

    def take(self, rows: np.ndarray) -> Candidates:
        """The candidates of these rows."""
        return replace(self, **{each.name: getattr(self, each.name)[rows] for each in fields(self)})

    def containing(self, symbols: Sequence[int]) -> np.ndarray:
        """Whether each tree has one of these symbols, shape (C,)."""
        return (np.isin(self.symbols, symbols) & (self.heads != ABSENT)).any(axis=1)

    def then(self, other: Candidates) -> Candidates:
        """These candidates and behind them others of the same batch."""
        width = max(self.heads.shape[1], other.heads.shape[1])

        def joined(name: str, fill: int = 0) -> np.ndarray:
            parts = [getattr(self, name), getattr(other, name)]
            if parts[0].ndim == 2:
                parts = [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=fill) for part in parts]
            return np.concatenate(parts)

        return Candidates(
            joined("sentence"),
            joined("symbols"),
            joined("heads", ABSENT),
            joined("grounds"),
            joined("lengths"),
            joined("log_probs"),
        )


def candidates(
    modules: Modules,
    inputs: Sequence[Any],
    readings: int = 1,
    trees: int = 1,
    generator: np.random.Generator | None = None,
    masked: bool = True,
) -> Candidates:
    """The most probable (symbols, tree) pairs of each input, or a sample of the trees.

    Args:
        modules: the machine.
        inputs: a batch of B inputs.
        readings: symbol sequences for an input.
        trees: trees for a symbol sequence.
        generator: if given, trees are sampled without replacement.
        masked: whether the learned dependency grammar rules out trees, or just what is given.
    """
    read = modules.read(inputs, readings)
    batch, kept = np.nonzero(np.isfinite(read.log_probs))
    symbols, lengths = read.symbols[batch, kept], read.lengths[batch]
    parses = modules.parser.parse(symbols, lengths, trees, generator, masked)
    row, tree = np.nonzero(np.isfinite(parses.log_probs))
    sentence = batch[row]
    found = Candidates(
        sentence,
        symbols[row],
        parses.heads[row, tree],
        _grounds(modules, inputs, symbols.shape[1])[sentence],
        lengths[row],
        read.log_probs[batch[row], kept[row]] + parses.log_probs[row, tree],
    )
    if readings == 1:
        return found
    return found.take(np.lexsort((-found.log_probs, found.sentence)))


def _grounds(modules: Modules, inputs: Sequence[Any], width: int) -> np.ndarray:
    """Value ids of the tokens of each input, if there are programs that ask for them, shape (B, N)."""
    if not modules.executor.grounded(modules.lexicon):
        return np.full((len(inputs), width), MISSING_ID, np.int64)
    tokens = modules.executor.values.ids(itertools.chain.from_iterable(inputs))
    ids, _ = ragged_to_padded(np.split(tokens, np.cumsum([len(each) for each in inputs])[:-1]), MISSING_ID)
    return ids


def execute(modules: Modules, trees: Candidates, revised: np.ndarray | None = None) -> Execution:
    """The values of candidates under the current lexicon, with revised values as in :meth:`Executor.execute`."""
    return modules.executor.execute(trees.symbols, trees.heads, modules.lexicon, revised, trees.grounds)


@dataclass(frozen=True)
class Deduction:
    """The answer to each input of a batch.

    Attributes:
        results: value id of the answer, MISSING_ID where no derivation was found, shape (B,).
        row: the candidate it comes from, -1 where there is none, shape (B,).
        trees: the candidates.
    """

    results: np.ndarray
    row: np.ndarray
    trees: Candidates

    def complete(self, missing: np.ndarray, again: Deduction) -> Deduction:
        """This deduction with the answers that ``again`` gives to the inputs ``missing``."""
        results, row = self.results.copy(), self.row.copy()
        results[missing] = again.results
        row[missing] = np.where(again.row >= 0, again.row + len(self.trees), -1)
        return Deduction(results, row, self.trees.then(replace(again.trees, sentence=missing[again.trees.sentence])))


def deduce(
    modules: Modules, inputs: Sequence[Any], beam: int = 1, fallback: bool = True, readings: int = 1
) -> Deduction:
    """The most probable derivation of each input that has a value.

    With ``fallback``, inputs still without an answer are searched more widely; then once more with slots that accept
    every class, since a class may just not have been seen in a slot.

    Args:
        modules: the machine.
        inputs: a batch of B inputs.
        beam: trees tried for each reading.
        fallback: whether to try more for inputs without an answer.
        readings: symbol sequences tried for each; one where perception is certain.
    """
    found = _deduce(modules, inputs, beam, readings)
    if fallback:
        missing = _with_programs(modules, inputs, np.flatnonzero(found.row < 0))
        for wider in (modules, replace(modules, parser=modules.parser.relaxed())):
            missing = missing[found.row[missing] < 0]
            if not len(missing):
                break
            again = _deduce(wider, [inputs[index] for index in missing.tolist()], FALLBACK_WIDTH, FALLBACK_WIDTH)
            found = found.complete(missing, again)
    return found


def _with_programs(modules: Modules, inputs: Sequence[Any], rows: np.ndarray) -> np.ndarray:
    """Of these inputs, those that might have a value: each symbol of them has a program, whatever its arguments."""
    if not (modules.perception.certain and len(rows)):
        return rows
    known = np.zeros(len(modules.lexicon.symbols), bool)
    known[list(modules.lexicon.known)] = True
    reading = modules.perception.read([inputs[row] for row in rows.tolist()])
    here = present(reading.lengths, reading.symbols.shape[2])
    return rows[(known[reading.symbols[:, 0]] | ~here).all(axis=1)]


def _deduce(modules: Modules, inputs: Sequence[Any], beam: int, readings: int) -> Deduction:
    """As :func:`deduce`, once; of many inputs with several candidates, only the trees that answer are kept."""
    readings = 1 if modules.perception.certain else readings
    block = max(1, BLOCK // (readings * beam))
    if readings == beam == 1 or len(inputs) <= block:
        return _deduce_block(modules, inputs, beam, readings)
    results, trees = [], []
    for start in range(0, len(inputs), block):
        found = _deduce_block(modules, inputs[start : start + block], beam, readings)
        chosen = found.trees.take(found.row[found.row >= 0])
        trees.append(replace(chosen, sentence=start + chosen.sentence))
        results.append(found.results)
    joined = functools.reduce(Candidates.then, trees)
    row = np.full(len(inputs), -1, np.int64)
    row[joined.sentence] = np.arange(len(joined))
    return Deduction(np.concatenate(results), row, joined)


def _deduce_block(modules: Modules, inputs: Sequence[Any], beam: int, readings: int) -> Deduction:
    trees = candidates(modules, inputs, readings, beam)
    values = execute(modules, trees).results
    results = np.full(len(inputs), MISSING_ID, np.int64)
    row = np.full(len(inputs), -1, np.int64)
    defined = np.flatnonzero(_defined(values))[::-1]  # so that the best comes last and stays
    row[trees.sentence[defined]] = defined
    results[trees.sentence[defined]] = values[defined]
    return Deduction(results, row, trees)


def answers(modules: Modules, inputs: Sequence[Any], width: int = ANSWERS_WIDTH) -> list[dict[int, float]]:
    """All answers to each input that a beam of this width finds.

    As in :func:`deduce`, slots accept every class only where there would be no answer otherwise.

    Returns:
        for each input, value ids with the logarithm of the summed probability of the derivations found for them: a
        lower bound of log p(value | input), exact if the beam holds all trees. Empty where there is no derivation.
    """
    found: list[dict[int, float]] = [{} for _ in inputs]
    readings = 1 if modules.perception.certain else width
    block = max(1, BLOCK // (readings * width))
    for wider in (modules, replace(modules, parser=modules.parser.relaxed())):
        missing = [index for index, of_input in enumerate(found) if not of_input]
        for start in range(0, len(missing), block):
            rows = missing[start : start + block]
            trees = candidates(wider, [inputs[index] for index in rows], readings, width)
            values = execute(wider, trees).results
            for tree in np.flatnonzero(_defined(values)).tolist():
                of_input, value = found[rows[trees.sentence[tree]]], int(values[tree])
                summed = np.logaddexp(of_input.get(value, -np.inf), trees.log_probs[tree])
                of_input[value] = min(float(summed), 0.0)
    return found


def _defined(values: np.ndarray) -> np.ndarray:
    """Which value ids are answers."""
    return (values != MISSING_ID) & (values != EMPTY_ID)


def decode(modules: Modules, inputs: Sequence[Any], wanted: np.ndarray, readings: int) -> Candidates:
    """The most probable derivation of each input that has the wanted value, for the inputs that have one.

    Args:
        modules: the machine.
        inputs: a batch of B inputs.
        wanted: value ids, shape (B,).
        readings: symbol sequences tried for each.
    """
    found, block = [], max(1, BLOCK // readings)
    for start in range(0, len(inputs), block):
        trees = candidates(modules, inputs[start : start + block], readings)
        hits = np.flatnonzero(execute(modules, trees).results == wanted[start + trees.sentence])
        _, first = np.unique(trees.sentence[hits], return_index=True)
        trees = trees.take(hits[first])
        found.append(replace(trees, sentence=start + trees.sentence))
    return functools.reduce(Candidates.then, found)
