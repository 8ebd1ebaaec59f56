"""Grounding: find the symbols behind images from the shortest inputs, before anything can be parsed.

Nothing is known at first: not how many symbols there are, not which images show the same one, not what any means. Three
steps each find one kind of symbol, from the shortest inputs that have it:

1. An input of one image is worth what its symbol means: a symbol for each result (*constants*).
2. In the shortest longer inputs one place is that of a *function* of the others: the place for which the result is the
   most certain given the others. There are as many functions as there are results for the same arguments, and these
   tell the functions apart wherever all are different. Expectation-maximisation carries that over to all arguments:
   what a function gives for some arguments (a table) tells which images show it, and what images show tells the table.
   Programs are induced from the tables.
3. The shortest inputs that these symbols cannot explain have symbols that mean nothing (*separators*), one or two.
   Where these stand is found by expectation-maximisation over the places without which the rest has the wanted value.

What the steps find are first proposals; the loop of :mod:`nsr.learning.training` revises them.

Shape letters: B inputs, N images, K symbols, F functions, S sets of places.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from nsr.errors import DataError
from nsr.learning.config import Config
from nsr.perception.images import ImagePerception
from nsr.pictures import PackedPictures
from nsr.semantics.execution import Executor
from nsr.semantics.induction import Example, Hypothesis, LibraryEntry, Space, induce
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature
from nsr.semantics.programs import Constant, quote
from nsr.semantics.values import EMPTY, Value
from nsr.syntax.parser import Parser
from nsr.syntax.signatures import DependencyGrammar

RARE = 0.002  # share of the inputs below which a result is taken for a mistake
TELLING = 0.08  # share of the results for the same arguments that a function's must have
FILLED = 20  # inputs with the same arguments, at least, from which functions are counted
TYPICAL = 0.05  # share of the arguments that show so many functions
PASSES = 6  # of expectation-maximisation
TURNS = 3  # of expectation-maximisation and training
UNCERTAIN = 0.02  # pseudo-count of a result in a table
EXPLAINED = 0.5  # share of inputs whose value must follow for their symbols to be known
LOOKED_AT = 1500  # inputs of a length that are looked at; 8 times as many to find functions
TREES = 8  # for a symbol sequence


def ground(
    perception: ImagePerception,
    inputs: PackedPictures,
    outputs: Sequence[Value],
    space: Space,
    config: Config,
    generator: np.random.Generator,
) -> Lexicon:
    """Find the symbols that inputs show, and what they mean.

    Args:
        perception: knows nothing; is trained.
        inputs: of one pool.
        outputs: their values.
        space: what programs may be made of.
        config: all settings.
        generator: source of all randomness.

    Raises:
        DataError: there are no inputs of one image, or no functions are found.
    """
    return _Grounding(perception, inputs, outputs, space, config, generator).run()


@dataclass
class _Grounding:
    """The steps, and what they have found so far; arguments as of :func:`ground`."""

    perception: ImagePerception
    inputs: PackedPictures
    outputs: Sequence[Value]
    space: Space
    config: Config
    generator: np.random.Generator
    entries: dict[Key, Entry] = field(default_factory=dict)
    constants: list[Value] = field(default_factory=list)  # what the first symbols mean

    def __post_init__(self) -> None:
        self.lengths = self.inputs.lengths
        self.counts = np.zeros((len(self.inputs.pool), 0), np.float32)  # how often each image was taken for each symbol

    def run(self) -> Lexicon:
        """Take the three steps."""
        self.find_constants()
        self.find_functions()
        self.find_separators()
        return Lexicon(self.perception.symbols, self.entries)

    def find_constants(self) -> None:
        """A symbol for each result of inputs of one image."""
        rows = np.flatnonzero(self.lengths == 1)
        if not len(rows):
            raise DataError("no input of a single image: what constants mean cannot be found")
        results = Counter(self.outputs[row] for row in rows.tolist())
        self.constants = sorted(value for value, count in results.items() if count >= max(RARE * len(rows), 1))
        self.grow(len(self.constants))
        for symbol, value in enumerate(self.constants):
            self.entries[Key(symbol, 0)] = Entry(quote(value), frozenset({Signature(0, 0)}), 1.0, results[value])
            self.count([row for row in rows.tolist() if self.outputs[row] == value], 0, symbol)
        self.learn(2)

    def find_functions(self) -> None:
        """The functions of the shortest inputs of several images."""
        length = self.shortest()
        rows = np.flatnonzero(self.lengths == length)[: 8 * LOOKED_AT]
        if not length:
            raise DataError("no input of several images: what functions do cannot be found")
        if not 2 <= length <= self.config.search.max_arity + 1:
            raise DataError(
                f"the shortest inputs of several images have {length}, too many for a function of at most "
                f"{self.config.search.max_arity} arguments"
            )
        known = len(self.constants)
        readings = self.read(rows)
        results = [self.outputs[row] for row in rows.tolist()]
        places = [_Cells.of(np.delete(readings, place, axis=1), results) for place in range(length)]
        place = int(np.argmin([cells.entropy() for cells in places]))
        cells = places[place]
        functions = cells.functions()
        self.grow(known + functions)
        images = self.inputs.ids[self.inputs.bounds[rows] + place]
        shares = cells.anchored(functions)
        base = self.counts.copy()
        for _ in range(TURNS):
            self.counts = base.copy()
            np.add.at(self.counts[:, known:], images, shares.astype(np.float32))
            self.learn(1)
            seen = self.perception.log_probs(self.inputs.pool, images)[:, known:]
            shares = cells.shares(seen, functions)
        signature = frozenset({Signature(place, length - 1 - place)})
        found = self.induce(cells.tables(shares, self.constants), length - 1)
        if not found:
            raise DataError("no program explains what the functions of the shortest inputs give")
        for function, hypothesis in found.items():
            key = Key(known + function, length - 1)
            support = float(shares[:, function].sum())
            self.entries[key] = Entry(hypothesis.program, signature, hypothesis.agreement, support)

    def shortest(self) -> int:
        """The number of images of the shortest inputs of several images, 0 if there are none."""
        return int(min(self.lengths[self.lengths > 1].tolist(), default=0))

    def induce(self, tables: Sequence[Sequence[Example]], arity: int) -> dict[int, Hypothesis]:
        """A program for each table that has one; those found help to find others."""
        first = len(self.perception.symbols) - len(tables)
        found: dict[int, Hypothesis] = {}
        while True:
            library = tuple(
                LibraryEntry(self.perception.symbols[first + each], arity, hypothesis.program)
                for each, hypothesis in sorted(found.items())
            )
            before = len(found)
            for each, table in enumerate(tables):
                if each not in found:
                    best = induce(
                        table, arity, replace(self.space, library=library), self.config.induction, self.generator
                    )
                    if best is not None and best.agreement >= self.config.learning.accept:
                        found[each] = best
            if len(found) == before:
                return found

    def find_separators(self) -> None:
        """The symbols without meaning, one or two, found in the shortest inputs that the others do not explain."""
        rows = self.unexplained()
        for count in (1, 2) if len(rows) else ():
            sets = list(itertools.combinations(range(self.lengths[rows[0]]), count))
            found = np.stack([self.hits(rows, left_out) for left_out in sets], axis=1)
            if found.any(axis=1).mean() >= EXPLAINED:
                self.add_separators(rows, sets, _mixture(found))
                return

    def unexplained(self) -> np.ndarray:
        """Numbers of the inputs of the shortest length at which the symbols found explain too few; shape (B,)."""
        for length in np.unique(self.lengths[self.lengths > self.shortest()]).tolist():
            rows = np.flatnonzero(self.lengths == length)[:LOOKED_AT]
            if self.hits(rows, ()).mean() < EXPLAINED:
                return rows
        return np.zeros(0, np.int64)

    def add_separators(self, rows: np.ndarray, sets: Sequence[tuple[int, ...]], shares: np.ndarray) -> None:
        """Have symbols without meaning, and learn them.

        Args:
            rows: inputs of one length, shape (B,).
            sets: where in them these symbols may stand, one place each.
            shares: how probably each input has them in each set of places, shape (B, S).
        """
        known, count = len(self.perception.symbols), len(sets[0])
        self.grow(known + count)
        for row, share in zip(rows.tolist(), shares, strict=True):
            for left_out, weight in zip(sets, share.tolist(), strict=True):
                for symbol, place in enumerate(left_out, start=known):
                    self.counts[self.inputs.ids[self.inputs.bounds[row] + place], symbol] += weight
        self.learn(2)
        signature = frozenset({Signature(0, 0, valueless=True)})
        separators = range(known, known + count)
        self.entries |= {Key(symbol, 0): Entry(Constant(EMPTY), signature) for symbol in separators}
        self.perception.separators = self.perception.symbols[known:]

    def hits(self, rows: np.ndarray, left_out: Sequence[int]) -> np.ndarray:
        """Whether inputs of one length, without the images at some places, have the wanted value; shape (B,)."""
        symbols = np.delete(self.read(rows), list(left_out), axis=1)
        lexicon = Lexicon(self.perception.symbols, self.entries)
        parser = Parser(len(lexicon.symbols), self.config.parser, torch.Generator().manual_seed(0))
        parser.license(DependencyGrammar.of(lexicon))
        parses = parser.parse(symbols, np.full(len(rows), symbols.shape[1]), TREES)
        row, tree = np.nonzero(np.isfinite(parses.log_probs))
        executor = Executor(self.config.learning.max_length)
        wanted = executor.values.ids([self.outputs[each] for each in rows.tolist()])
        right = executor.execute(symbols[row], parses.heads[row, tree], lexicon).results == wanted[row]
        found = np.zeros(len(rows), bool)
        found[row[right]] = True
        return found

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The most probable symbol of each image of inputs of one length, shape (B, N)."""
        ids = self.inputs.ids[self.inputs.bounds[rows][:, None] + np.arange(self.lengths[rows[0]])]
        return self.perception.log_probs(self.inputs.pool, ids.reshape(-1)).argmax(axis=1).reshape(ids.shape)

    def grow(self, symbols: int) -> None:
        """Have so many symbols."""
        self.perception.grow(symbols)
        self.counts = np.pad(self.counts, ((0, 0), (0, symbols - self.counts.shape[1])))

    def count(self, rows: Sequence[int], place: int, symbol: int) -> None:
        """Take the images at a place of these inputs for a symbol."""
        np.add.at(self.counts, (self.inputs.ids[self.inputs.bounds[rows] + place], symbol), 1.0)

    def learn(self, units: int) -> None:
        """Train on what images are taken for; every symbol counts alike."""
        totals = np.maximum(self.counts.sum(axis=0), 1e-9)
        self.perception.learn_counts(
            self.inputs.pool, self.counts / totals * 1000, units * self.config.images.first_steps
        )


@dataclass(frozen=True)
class _Cells:
    """Inputs by the arguments that one place leaves.

    Attributes:
        cell: which arguments, shape (B,).
        arguments: symbols of each cell, shape (cells, arity).
        result: which result, shape (B,).
        values: the results.
    """

    cell: np.ndarray
    arguments: np.ndarray
    result: np.ndarray
    values: tuple[Value, ...]

    @classmethod
    def of(cls, arguments: np.ndarray, results: Sequence[Value]) -> _Cells:
        values = tuple(dict.fromkeys(results))
        number = {value: index for index, value in enumerate(values)}
        distinct, cell = np.unique(arguments, axis=0, return_inverse=True)
        return cls(cell.reshape(-1), distinct, np.array([number[each] for each in results]), values)

    @property
    def counts(self) -> np.ndarray:
        """Inputs by cell and result, shape (cells, results)."""
        found = np.zeros((len(self.arguments), len(self.values)))
        np.add.at(found, (self.cell, self.result), 1.0)
        return found

    def entropy(self) -> float:
        """Of the result given the arguments, nats, with Miller and Madow's correction for few inputs."""
        counts = self.counts
        totals = counts.sum(axis=1, keepdims=True)
        probs = counts / totals
        with np.errstate(divide="ignore", invalid="ignore"):
            each = -np.where(counts > 0, probs * np.log(probs), 0.0).sum(axis=1)
        each += ((counts > 0).sum(axis=1) - 1) / (2 * totals[:, 0])
        return float((each * totals[:, 0]).sum() / totals.sum())

    def telling(self) -> np.ndarray:
        """Which results of a cell are too frequent to be mistakes, shape (cells, results)."""
        counts = self.counts
        totals = counts.sum(axis=1, keepdims=True)
        return (counts >= TELLING * totals) & (counts > 2) & (totals >= FILLED)

    def functions(self) -> int:
        """How many functions there are: as many as results for the same arguments, if that is no exception.

        Raises:
            DataError: no arguments have enough inputs.
        """
        numbers = self.telling().sum(axis=1)
        numbers = numbers[numbers > 0]
        if not len(numbers):
            raise DataError("too few short inputs to tell functions apart")
        return max(number for number in set(numbers.tolist()) if (numbers >= number).mean() >= TYPICAL)

    def anchored(self, functions: int) -> np.ndarray:
        """Shares of the functions in the inputs of one cell in which all give different results; shape (B, F)."""
        counts, telling = self.counts, self.telling()
        rarest = np.where(telling, counts, np.inf).min(axis=1)
        anchor = int(np.argmax(np.where(telling.sum(axis=1) == functions, rarest, -1)))
        shares = np.zeros((len(self.cell), functions))
        for function, result in enumerate(np.flatnonzero(telling[anchor]).tolist()):
            shares[(self.cell == anchor) & (self.result == result), function] = 1.0
        return shares

    def shares(self, seen: np.ndarray, functions: int) -> np.ndarray:
        """By expectation-maximisation, how probably each input shows each function, shape (B, F).

        ``seen`` is the log-probability of the functions given the image, shape (B, F).
        """
        prior = seen - np.logaddexp.reduce(seen, axis=1, keepdims=True)
        shares = np.exp(prior)
        row = self.cell * len(self.values) + self.result
        for _ in range(PASSES):
            table = np.zeros((len(self.arguments) * len(self.values), functions))
            np.add.at(table, row, shares)
            table = table.reshape(len(self.arguments), len(self.values), functions) + UNCERTAIN
            table /= table.sum(axis=1, keepdims=True)
            logs = prior + np.log(table.reshape(-1, functions))[row]
            shares = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        return shares

    def tables(self, shares: np.ndarray, meanings: Sequence[Value]) -> list[list[Example]]:
        """What each function gives for which arguments, by these shares."""
        table = np.zeros((len(self.arguments), len(self.values), shares.shape[1]))
        np.add.at(table, (self.cell, self.result), shares)
        found: list[list[Example]] = [[] for _ in range(shares.shape[1])]
        for cell, result, function in np.argwhere(table >= 0.5).tolist():
            arguments = tuple(meanings[symbol] for symbol in self.arguments[cell].tolist())
            found[function].append(Example(arguments, self.values[result], float(table[cell, result, function])))
        return found


def _mixture(possible: np.ndarray) -> np.ndarray:
    """How probably each input belongs to each of its possible components, by expectation-maximisation; (B, S)."""
    probs = np.full(possible.shape[1], 1 / possible.shape[1])
    shares = possible * probs
    for _ in range(50):
        totals = shares.sum(axis=1, keepdims=True)
        shares = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
        probs = shares.mean(axis=0)
        shares = possible * probs
    totals = shares.sum(axis=1, keepdims=True)
    return np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
