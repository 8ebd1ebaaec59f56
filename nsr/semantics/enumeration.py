"""Terms over integers, enumerated by size together with their values on examples.

Of terms with the same values the first is kept, so a bank of them is small. Programs of the library are operators
beside the primitives, and are run on all examples at once.

Shapes: P terms, R examples. Values are int64, with two that are no numbers: UNDEFINED and UNKNOWN.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nsr.semantics.closed_forms import UNDEFINED, tabulate
from nsr.semantics.primitives import DECR0, INCR, Primitive
from nsr.semantics.programs import MAX_NUMBER, Apply, Argument, Call, Constant, Term
from nsr.semantics.values import Value

if TYPE_CHECKING:
    from nsr.semantics.induction import Example, InductionConfig, LibraryEntry, Space

UNKNOWN = -2  # a value that is not known yet: -2 that of the first recursive call, -3 of the second, and so on
CONSTANTS = (0, 1, 2)
DEFINED = 0.5  # share of the examples on which a term must be defined

ON_ARRAYS: dict[Primitive, Callable[[np.ndarray], np.ndarray]] = {  # that are run on all examples at once
    INCR: lambda values: np.where(values < 0, values, values + 1),
    DECR0: lambda values: np.where(values > 0, values - 1, values),
}


def numbers(values: Iterable[Value]) -> np.ndarray:
    """Values as int64 (R,), UNDEFINED for those that are no numbers or too large for one."""
    fitting = (value if isinstance(value, int) and 0 <= value <= MAX_NUMBER else UNDEFINED for value in values)
    return np.fromiter(fitting, np.int64)


@dataclass(frozen=True)
class Columns:
    """Examples in columns.

    Attributes:
        columns: (R,) int64 for each argument.
        wanted: (R,) int64, the values.
        worth: (R,), the bits that it is worth to explain each of them.
    """

    columns: list[np.ndarray]
    wanted: np.ndarray
    worth: np.ndarray

    @classmethod
    def of(cls, table: Sequence[Example], arity: int, config: InductionConfig) -> Columns:
        """Those of a table that are numbers and have a weight."""
        columns = [numbers(example.arguments[index] for example in table) for index in range(arity)]
        wanted = numbers(example.value for example in table)
        bits = math.log2(1 - config.error_rate) - math.log2(config.error_rate)
        worth = bits * np.array([example.weight for example in table])
        kept = np.flatnonzero((np.minimum.reduce([*columns, wanted]) >= 0) & (worth > 0))
        return cls([column[kept] for column in columns], wanted[kept], worth[kept])

    def __len__(self) -> int:
        return len(self.wanted)

    def take(self, rows: np.ndarray) -> Columns:
        """Some of the examples, worth as much as all."""
        worth = self.worth[rows]
        scale = self.worth.sum() / worth.sum() if len(worth) else 1.0
        return Columns([column[rows] for column in self.columns], self.wanted[rows], worth * scale)

    def nearest(self, count: int) -> Columns:
        """The heaviest with the smallest arguments."""
        near = self.worth / (1 + sum(self.columns))
        return self.take(np.argsort(-near, kind="stable")[:count])

    def right(self, values: np.ndarray) -> np.ndarray:
        """Which values (..., R) are the wanted ones."""
        return values == self.wanted

    def explained(self, values: np.ndarray) -> np.ndarray:
        """What values (..., R) are worth in bits: (...)."""
        return np.einsum("...r,r", self.right(values), self.worth)


class Pool(NamedTuple):
    """Terms, their description lengths (P,) and their values (P, R)."""

    terms: list[Term]
    bits: np.ndarray
    vectors: np.ndarray

    def take(self, rows: Iterable[int]) -> Pool:
        """Some of the terms."""
        rows = np.fromiter(rows, np.int64)
        return Pool([self.terms[row] for row in rows], self.bits[rows], self.vectors[rows])


def concatenate(pools: Sequence[Pool]) -> Pool:
    """The terms of all pools, in their order."""
    terms = list(itertools.chain.from_iterable(pool.terms for pool in pools))
    return Pool(terms, np.concatenate([pool.bits for pool in pools]), np.concatenate([pool.vectors for pool in pools]))


def distinct(vectors: np.ndarray) -> list[int]:
    """The first of each of the rows (P, R) that are the same."""
    first: dict[bytes, int] = {}
    for row, vector in enumerate(vectors):
        first.setdefault(vector.tobytes(), row)
    return list(first.values())


@dataclass(frozen=True)
class Operator:
    """A primitive or a program of the library.

    Attributes:
        arity: number of its arguments.
        bits: description length of a node with it.
        run: from arrays to an array.
        term: from terms to a term.
    """

    arity: int
    bits: float
    run: Callable[..., np.ndarray]
    term: Callable[..., Term]


def operators_of(space: Space, config: InductionConfig) -> list[Operator]:
    """All there are, in an order that does not depend on that of the library."""
    bits = config.bits_per_node
    operators = [
        Operator(len(primitive.arguments), bits, on_arrays(primitive), partial(_call, primitive))
        for primitive in space.primitives.primitives
    ]
    for entry in sorted(space.library, key=lambda entry: (entry.name, entry.arity)):
        if 1 <= entry.arity <= 2:
            cost = bits + space.choice_bits(_apply(entry), config)
            operators.append(
                Operator(entry.arity, cost, partial(tabulate_known, entry.program), partial(_apply, entry))
            )
    return operators


def on_arrays(primitive: Primitive) -> Callable[..., np.ndarray]:
    """A primitive of numbers as a function of arrays: of each number by itself if there is no better way."""
    places = range(len(primitive.arguments))
    return ON_ARRAYS.get(primitive) or partial(tabulate_known, Call(primitive, tuple(map(Argument, places))))


def _call(primitive: Primitive, *terms: Term) -> Term:
    return Call(primitive, terms)


def _apply(entry: LibraryEntry, *terms: Term) -> Term:
    return Apply(entry.name, entry.program, terms)


def tabulate_known(program: Term, *columns: np.ndarray) -> np.ndarray:
    """The values of a program, unknown where an argument is."""
    lowest = reduce(np.minimum, columns)
    return np.where(lowest <= UNKNOWN, lowest, tabulate(program, columns))


@dataclass(frozen=True)
class Tuples:
    """Tuples of terms, one from each of some pools: in row ``rows[k][p]`` of pool k is the k-th term of tuple p."""

    pools: list[Pool]
    rows: list[np.ndarray]

    @classmethod
    def all(cls, pools: list[Pool]) -> Tuples:
        """Every combination."""
        return cls(pools, [each.ravel() for each in np.indices([len(pool.terms) for pool in pools])])

    def values(self) -> list[np.ndarray]:
        """The values of the first terms of the tuples (P, R), of the second ones, and so on."""
        return [pool.vectors[row] for pool, row in zip(self.pools, self.rows, strict=True)]

    def build(self, term: Callable[..., Term], bits: float, vectors: np.ndarray, kept: np.ndarray) -> Pool:
        """The terms over some of the tuples; ``bits`` is what a node costs, ``vectors`` holds the values over all."""
        parts = [(pool, row[kept]) for pool, row in zip(self.pools, self.rows, strict=True)]
        terms = list(map(term, *([pool.terms[index] for index in row] for pool, row in parts)))
        return Pool(terms, bits + sum(pool.bits[row] for pool, row in parts), vectors[kept])


class Bank:
    """Terms without recursion, by size; of those with the same values the first is kept."""

    def __init__(self, points: Columns, operators: Sequence[Operator], space: Space, config: InductionConfig) -> None:
        constants = (*CONSTANTS, _commonest(points.wanted))
        terms: list[Term] = [Constant(each) for each in constants]
        terms += [Argument(index) for index in range(len(points.columns))]
        vectors = np.stack([*(np.full(len(points), each) for each in constants), *points.columns])
        leaves = Pool(terms, np.array([space.bits(term, config) for term in terms]), vectors)
        self.operators = operators
        self.node = config.bits_per_node
        self.by_size = [leaves.take(distinct(vectors))]
        self.seen = {vector.tobytes() for vector in vectors}

    def grow(self, most: int) -> Pool:
        """All terms of at most this size."""
        while len(self.by_size) < most:
            self.by_size.append(concatenate(list(self._next())))
        return concatenate(self.by_size[:most])

    def _next(self) -> Iterator[Pool]:
        """The operators over smaller terms."""
        yield self.by_size[0].take([])
        total = len(self.by_size)
        for operator in self.operators:
            for sizes in [(total,)] if operator.arity == 1 else [(left, total - left) for left in range(1, total)]:
                tuples = Tuples.all([self.by_size[size - 1] for size in sizes])
                vectors = operator.run(*tuples.values())
                yield tuples.build(operator.term, operator.bits, vectors, self._unseen(vectors))

    def _unseen(self, vectors: np.ndarray) -> np.ndarray:
        """Which vectors are new, and defined often enough."""
        new = []
        for row in np.flatnonzero((vectors >= 0).mean(1) >= DEFINED):
            key = vectors[row].tobytes()
            if key not in self.seen:
                self.seen.add(key)
                new.append(row)
        return np.array(new, np.int64)


def _commonest(wanted: np.ndarray) -> int:
    values, counts = np.unique(wanted, return_counts=True)
    return int(values[counts.argmax()])
