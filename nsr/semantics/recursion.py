"""Induction of programs over integers, recursive ones included.

Terms without recursion are enumerated by size, and of terms with the same values on the examples the first is kept. A
recursive call is enumerated before the function it calls is known: its value is looked up among the examples, which
are an oracle for it (Escher: Albarghouthi, Gulwani and Kincaid 2013). A program is then put together by matching: for
every test there is, the terms that are right where it is 0, and those that are right where it is not.

Examples may be wrong or lacking, for the oracle too. So terms are not filtered but scored, by the posterior that also
judges programs: an example explained is worth some bits and a node costs some. Where the oracle knows no answer, a term
is credited with its share of right answers elsewhere. The best candidates are then run on their own: the least fixed
point of a program is computed by iteration from the function that is nowhere defined (Kleene), on a grid of small
arguments, so a program that never ends is found out cheaply.

A program calls itself in one place at most, and only with arguments of which none is larger and one is smaller than
before.

Shapes: P terms, R examples, M cases (sets of examples). Values are int64, with two that are no numbers: UNDEFINED and
UNKNOWN.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nsr.semantics.closed_forms import UNDEFINED, closed_form, tabulate
from nsr.semantics.primitives import DECR0, INCR, Primitive
from nsr.semantics.programs import MAX_NUMBER, Apply, Argument, Call, Constant, Fix, If0, Recur, Term, subterms
from nsr.semantics.values import Value

if TYPE_CHECKING:
    from nsr.semantics.induction import Example, InductionConfig, LibraryEntry, Space

UNKNOWN = -2  # a value that the oracle was not told; from here down, one for each recursive call
PLAIN = -1  # stands for the recursive term of a term without

MAX_ARITY = 2
CONSTANTS = (0, 1, 2)
POINTS = 64  # examples that terms are compared on
SMALL = 3  # size of tests, of branches and of what is joined
LARGE = 5  # size of the larger of two terms that are joined
CALL = 4  # size of the arguments of a recursive call, together
CALLS = 400  # recursive calls that are built upon
SMALLER = 0.25  # share of the examples on which a recursive call must be about smaller arguments
RULE = 0.6  # share of the examples at a border of the table that a rule for it must explain
KNOWN = 3  # right answers of the oracle that a term needs
DOUBT = 2  # wrong answers that are added to those of a term
PROBES = 5  # examples that decide which joins are looked at closely
JOINS = 4_000  # of these, for each program of the library
DEFINED = 0.5  # share of the examples on which a term must be defined
TESTS = 40  # tests of programs
NESTED = 10  # of them, those of programs with two tests
BRANCHES = 6  # for each case
RECURSIVE_BRANCHES = 12  # for each case, too
CANDIDATES = 64  # recursive programs that are run
FINALISTS = 4  # programs kept of each kind
ROUNDS = 2  # of looking for recursive programs, the second with the answers of the best one of the first
LEAST = 0.3  # share of the examples that a program must explain to be kept
ORACLE_SIDE = 256  # the oracle answers for arguments below
GRID_SIDE = 32  # recursive programs are run on arguments below
STEPS = 1_000  # arguments that a program without closed form is run on are below: it takes so many calls

PRIMITIVES: dict[Primitive, Callable[[np.ndarray], np.ndarray]] = {  # that are run on all examples at once
    INCR: lambda values: np.where(values < 0, values, values + 1),
    DECR0: lambda values: np.where(values > 0, values - 1, values),
}


def numbers(values: Iterable[Value]) -> np.ndarray:
    """Values as int64 (R,), UNDEFINED for those that are no numbers or too large for one."""
    fitting = (value if isinstance(value, int) and 0 <= value <= MAX_NUMBER else UNDEFINED for value in values)
    return np.fromiter(fitting, np.int64)


def search(table: Sequence[Example], arity: int, space: Space, config: InductionConfig) -> list[Term]:
    """Programs that explain much of a table, the most probable first; at most FINALISTS.

    There are stages, from small programs without recursion to large ones; the first that explains the whole table ends
    the search.

    Args:
        table: one example for each tuple of arguments.
        arity: number of arguments; for more than MAX_ARITY nothing is found.
        space: the primitives and the library.
        config: what nodes cost and what examples are worth.
    """
    examples = _Examples.of(table, arity, config)
    if arity > MAX_ARITY or len(examples) == 0:
        return []
    found: dict[Term, float] = {}
    for stage in _stages(examples, space, config):
        values = {term: tabulate(term, examples.columns) for term in stage}
        found |= {term: float(examples.explained(each)) - space.bits(term, config) for term, each in values.items()}
        if any(examples.right(each).all() for each in values.values()):
            break
    return heapq.nlargest(FINALISTS, found, key=found.__getitem__)


def _stages(examples: _Examples, space: Space, config: InductionConfig) -> Iterator[list[Term]]:
    points = examples.nearest(POINTS)
    operators = _operators(space, config)
    bank = _Bank(points, operators, space, config)
    small = bank.grow(SMALL)
    yield _best(points, small)
    yield _join(points, small, small, operators)
    answers = _oracle(examples)
    for _ in range(ROUNDS if space.primitives.recursion else 0):
        programs = _runnable(_branched(points, bank, answers), examples, space, config)
        yield programs
        if not programs:
            break
        _correct(answers, programs[0])
    large = bank.grow(LARGE)
    yield _best(points, large) + _join(points, large, small, operators)


@dataclass(frozen=True)
class _Examples:
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
    def of(cls, table: Sequence[Example], arity: int, config: InductionConfig) -> _Examples:
        """Those of a table that are numbers and have a weight."""
        columns = [numbers(example.arguments[index] for example in table) for index in range(arity)]
        wanted = numbers(example.value for example in table)
        bits = math.log2(1 - config.error_rate) - math.log2(config.error_rate)
        worth = bits * np.array([example.weight for example in table])
        kept = np.flatnonzero((np.minimum.reduce([*columns, wanted]) >= 0) & (worth > 0))
        return cls([column[kept] for column in columns], wanted[kept], worth[kept])

    def __len__(self) -> int:
        return len(self.wanted)

    def take(self, rows: np.ndarray) -> _Examples:
        """Some of the examples, worth as much as all."""
        worth = self.worth[rows]
        scale = self.worth.sum() / worth.sum() if len(worth) else 1.0
        return _Examples([column[rows] for column in self.columns], self.wanted[rows], worth * scale)

    def nearest(self, count: int) -> _Examples:
        """The heaviest with the smallest arguments."""
        near = self.worth / (1 + sum(self.columns))
        return self.take(np.argsort(-near, kind="stable")[:count])

    def right(self, values: np.ndarray) -> np.ndarray:
        """Which values (..., R) are the wanted ones."""
        return values == self.wanted

    def explained(self, values: np.ndarray) -> np.ndarray:
        """What values (..., R) are worth in bits: (...)."""
        return np.einsum("...r,r", self.right(values), self.worth)


class _Pool(NamedTuple):
    """Terms, their description lengths (P,) and their values (P, R)."""

    terms: list[Term]
    bits: np.ndarray
    vectors: np.ndarray

    def take(self, rows: Iterable[int]) -> _Pool:
        """Some of the terms."""
        rows = np.fromiter(rows, np.int64)
        return _Pool([self.terms[row] for row in rows], self.bits[rows], self.vectors[rows])


def _concatenate(pools: Sequence[_Pool]) -> _Pool:
    terms = list(itertools.chain.from_iterable(pool.terms for pool in pools))
    return _Pool(terms, np.concatenate([pool.bits for pool in pools]), np.concatenate([pool.vectors for pool in pools]))


def _distinct(vectors: np.ndarray) -> list[int]:
    """The first of each of the rows (P, R) that are the same."""
    first: dict[bytes, int] = {}
    for row, vector in enumerate(vectors):
        first.setdefault(vector.tobytes(), row)
    return list(first.values())


@dataclass(frozen=True)
class _Operator:
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


def _operators(space: Space, config: InductionConfig) -> list[_Operator]:
    """All there are, in an order that does not depend on that of the library."""
    bits = config.bits_per_node
    operators = [
        _Operator(len(primitive.arguments), bits, _on_arrays(primitive), partial(_call, primitive))
        for primitive in space.primitives.primitives
    ]
    for entry in sorted(space.library, key=lambda entry: (entry.name, entry.arity)):
        if 1 <= entry.arity <= 2:
            cost = bits + space.choice_bits(_apply(entry), config)
            operators.append(_Operator(entry.arity, cost, partial(_tabulate, entry.program), partial(_apply, entry)))
    return operators


def _on_arrays(primitive: Primitive) -> Callable[..., np.ndarray]:
    """A primitive of numbers as a function of arrays: of each number by itself if there is no better way."""
    places = range(len(primitive.arguments))
    return PRIMITIVES.get(primitive) or partial(_tabulate, Call(primitive, tuple(map(Argument, places))))


def _call(primitive: Primitive, *terms: Term) -> Term:
    return Call(primitive, terms)


def _apply(entry: LibraryEntry, *terms: Term) -> Term:
    return Apply(entry.name, entry.program, terms)


def _tabulate(program: Term, *columns: np.ndarray) -> np.ndarray:
    """The values of a program, unknown where an argument is."""
    lowest = reduce(np.minimum, columns)
    return np.where(lowest <= UNKNOWN, lowest, tabulate(program, columns))


@dataclass(frozen=True)
class _Tuples:
    """Tuples of terms, one from each of some pools: in row ``rows[k][p]`` of pool k is the k-th term of tuple p."""

    pools: list[_Pool]
    rows: list[np.ndarray]

    @classmethod
    def all(cls, pools: list[_Pool]) -> _Tuples:
        """Every combination."""
        return cls(pools, [each.ravel() for each in np.indices([len(pool.terms) for pool in pools])])

    def values(self) -> list[np.ndarray]:
        """The values of the first terms of the tuples (P, R), of the second ones, and so on."""
        return [pool.vectors[row] for pool, row in zip(self.pools, self.rows, strict=True)]

    def build(self, term: Callable[..., Term], bits: float, vectors: np.ndarray, kept: np.ndarray) -> _Pool:
        """The terms over some of the tuples; ``bits`` is what a node costs, ``vectors`` holds the values over all."""
        parts = [(pool, row[kept]) for pool, row in zip(self.pools, self.rows, strict=True)]
        terms = list(map(term, *([pool.terms[index] for index in row] for pool, row in parts)))
        return _Pool(terms, bits + sum(pool.bits[row] for pool, row in parts), vectors[kept])


class _Bank:
    """Terms without recursion, by size; of those with the same values the first is kept."""

    def __init__(
        self, points: _Examples, operators: Sequence[_Operator], space: Space, config: InductionConfig
    ) -> None:
        constants = (*CONSTANTS, _commonest(points.wanted))
        terms: list[Term] = [Constant(each) for each in constants]
        terms += [Argument(index) for index in range(len(points.columns))]
        vectors = np.stack([*(np.full(len(points), each) for each in constants), *points.columns])
        leaves = _Pool(terms, np.array([space.bits(term, config) for term in terms]), vectors)
        self.operators = operators
        self.node = config.bits_per_node
        self.by_size = [leaves.take(_distinct(vectors))]
        self.seen = {vector.tobytes() for vector in vectors}

    def grow(self, most: int) -> _Pool:
        """All terms of at most this size."""
        while len(self.by_size) < most:
            self.by_size.append(_concatenate(list(self._next())))
        return _concatenate(self.by_size[:most])

    def _next(self) -> Iterator[_Pool]:
        """The operators over smaller terms."""
        yield self.by_size[0].take([])
        total = len(self.by_size)
        for operator in self.operators:
            for sizes in [(total,)] if operator.arity == 1 else [(left, total - left) for left in range(1, total)]:
                tuples = _Tuples.all([self.by_size[size - 1] for size in sizes])
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


def _best(points: _Examples, pool: _Pool) -> list[Term]:
    """The most probable terms."""
    explained = points.explained(pool.vectors)
    order = np.argsort(pool.bits - explained, kind="stable")[:FINALISTS]
    return [pool.terms[row] for row in order if explained[row] >= LEAST * points.worth.sum()]


def _join(points: _Examples, left: _Pool, right: _Pool, operators: Sequence[_Operator]) -> list[Term]:
    """The most probable applications of the library to a pair of terms.

    Pairs are counted out on a few examples first: there, terms have few distinct values, and so pairs of them.
    """
    spread = [len(np.unique(column)) for column in right.vectors.T]
    probes = np.argsort(-np.array(spread), kind="stable")[:PROBES]
    found = []
    for operator in operators:
        if operator.arity == 2:
            for pools in [[left, right]] if left is right else [[left, right], [right, left]]:
                tuples = _promising(points, pools, operator, probes)
                vectors = operator.run(*tuples.values())
                found.append(tuples.build(operator.term, operator.bits, vectors, np.arange(len(vectors))))
    return _best(points, _concatenate(found)) if found else []


def _promising(points: _Examples, pools: list[_Pool], operator: _Operator, probes: np.ndarray) -> _Tuples:
    """The pairs of terms on which the operator gives what is wanted on most of the probes, at most JOINS."""
    hits = np.zeros([len(pool.terms) for pool in pools], np.uint8)
    for probe in probes:
        (first, first_of), (second, second_of) = (
            np.unique(pool.vectors[:, probe], return_inverse=True) for pool in pools
        )
        right = operator.run(first[:, None], second[None, :]) == points.wanted[probe]
        hits += right[first_of][:, second_of]
    rows = np.nonzero(hits > len(probes) // 2)
    shortest = np.argsort(sum(pool.bits[row] for pool, row in zip(pools, rows, strict=True)), kind="stable")[:JOINS]
    return _Tuples(pools, [row[shortest] for row in rows])


def _oracle(examples: _Examples) -> np.ndarray:
    """What the examples say about a function, in an array over its arguments."""
    answers = np.full((ORACLE_SIDE,) * len(examples.columns), UNKNOWN)
    near = _within(examples.columns, ORACLE_SIDE)
    answers[tuple(column[near] for column in examples.columns)] = examples.wanted[near]
    if answers.ndim == 2:
        _complete(answers[0])
        _complete(answers[:, 0])
    return answers


def _complete(border: np.ndarray) -> None:
    """Fill in what is unknown for the argument 0, where recursion ends, if a constant or the other argument is right.

    Without it, too few calls are answered if the examples are few or their arguments large.
    """
    rules = np.stack([*(np.full(len(border), constant) for constant in CONSTANTS), np.arange(len(border))])
    right = (rules == border).sum(1)
    if right.max() >= max(2, RULE * (border != UNKNOWN).sum()):
        border[:] = np.where(border == UNKNOWN, rules[right.argmax()], border)


def _correct(answers: np.ndarray, program: Term) -> None:
    """Let a program answer in place of the examples, of which some may be wrong and many lacking."""
    grid = list(np.indices((GRID_SIDE,) * answers.ndim))
    values = _fixpoint(program.body, grid) if isinstance(program, Fix) else tabulate(program, grid)
    small = answers[(slice(GRID_SIDE),) * answers.ndim]
    small[:] = np.where(values >= 0, values, small)


def _within(columns: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Where all arguments are defined and below this."""
    return reduce(np.logical_and, [(column >= 0) & (column < side) for column in columns])


def _ask(answers: np.ndarray, columns: Sequence[np.ndarray], outside: int) -> np.ndarray:
    """Look up the values for columns of arguments; ``outside`` for arguments that are not in the array."""
    near = _within(columns, len(answers))
    return np.where(near, answers[tuple(np.where(near, column, 0) for column in columns)], outside)


def _calls(points: _Examples, bank: _Bank, answers: np.ndarray) -> _Pool:
    """Recursive calls and what the oracle answers, smallest first; UNDEFINED where nothing becomes smaller."""
    arity = len(points.columns)
    sizes = [each for each in itertools.product(range(1, SMALL + 1), repeat=arity) if sum(each) <= CALL]
    found = []
    for pools in ([bank.by_size[size - 1] for size in each] for each in sorted(sizes, key=sum)):
        tuples = _Tuples.all(pools)
        arguments = tuples.values()
        pairs = list(zip(arguments, points.columns, strict=True))
        smaller = reduce(np.logical_or, [argument < column for argument, column in pairs])
        for argument, column in pairs:
            smaller &= (argument >= 0) & (argument <= column)
        vectors = np.where(smaller, _ask(answers, arguments, UNKNOWN), UNDEFINED)
        kept = np.flatnonzero(((vectors >= 0).sum(1) >= KNOWN) & (smaller.mean(1) >= SMALLER))
        found.append(tuples.build(_recur, bank.node, vectors, kept))
    calls = _concatenate(found)
    vectors = calls.vectors[:CALLS]
    unlike = UNKNOWN - np.arange(len(vectors))[:, None]
    return _Pool(calls.terms[:CALLS], calls.bits[:CALLS], np.where(vectors == UNKNOWN, unlike, vectors))


def _recur(*terms: Term) -> Term:
    return Recur(terms)


def _recursive(points: _Examples, bank: _Bank, answers: np.ndarray) -> _Pool:
    """Recursive calls, and an operator on one and on leaves, that are right now and then."""
    calls, leaves = _calls(points, bank, answers), bank.by_size[0]
    found = [calls]
    for operator in bank.operators:
        for place in reversed(range(operator.arity)):
            tuples = _Tuples.all([calls if index == place else leaves for index in range(operator.arity)])
            vectors = operator.run(*tuples.values())
            kept = np.flatnonzero(points.right(vectors).sum(1) >= KNOWN)
            found.append(tuples.build(operator.term, operator.bits, vectors, kept))
    recursive = _concatenate(found)
    return recursive.take(_distinct(recursive.vectors))


class _Branch(NamedTuple):
    """A term for some case.

    Attributes:
        gain: what it explains of the case less its description length, in bits.
        term: the term.
        call: which recursive term is in it, PLAIN if none.
    """

    gain: float
    term: Term
    call: int


def _ranking(points: _Examples, pool: _Pool, cases: np.ndarray, recursive: bool) -> list[list[_Branch]]:
    """For each of the cases (M, R) the terms that explain it best and differ there.

    What is unknown counts like what is known, less the doubt of a few wrong answers.
    """
    within = cases * points.worth
    right = points.right(pool.vectors)
    explained = _sums(right, within)  # (P, M)
    known = _sums(pool.vectors > UNKNOWN, within)
    share = explained / (known + DOUBT * points.worth.mean())
    gains = explained + (within.sum(1) - known) * share - pool.bits[:, None]
    enough = _sums(right, cases) >= KNOWN if recursive else np.ones(gains.shape, bool)
    rankings = []
    for case, order in enumerate(np.argsort(np.where(enough, -gains, np.inf), axis=0, kind="stable").T):
        order = order[: 4 * BRANCHES]
        order = order[enough[order, case]]
        order = order[_distinct(pool.vectors[order][:, cases[case]])[: RECURSIVE_BRANCHES if recursive else BRANCHES]]
        rankings.append(
            [_Branch(float(gains[row, case]), pool.terms[row], int(row) if recursive else PLAIN) for row in order]
        )
    return rankings


def _varied(branches: Iterable[_Branch], count: int) -> list[_Branch]:
    """The best branches, at most FINALISTS of them with the same recursive term, and as many with none."""
    chosen: list[_Branch] = []
    calls: dict[int, int] = defaultdict(int)
    for branch in sorted(branches, key=lambda branch: -branch.gain):
        calls[branch.call] += 1
        if calls[branch.call] <= FINALISTS:
            chosen.append(branch)
            if len(chosen) == count:
                break
    return chosen


def _sums(which: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What (P, R) of each of the weights (M, R) is summed up: (P, M).

    Not the operator @: on matrices this small its threads cost more than they gain.
    """
    return np.einsum("pr,mr->pm", which.astype(np.float32), weights.astype(np.float32))


def _tests(pool: _Pool) -> _Pool:
    """The shortest terms for all the ways to be 0 on some examples and positive on others."""
    signs = np.sign(pool.vectors)
    splits = np.flatnonzero((signs == 0).any(1) & (signs > 0).any(1))
    splits = splits[np.argsort(pool.bits[splits], kind="stable")]
    return pool.take(splits[_distinct(signs[splits])[:TESTS]])


def _branched(points: _Examples, bank: _Bank, answers: np.ndarray) -> list[_Branch]:
    """The most probable terms with one test, or with a second where the first is not 0."""
    plain, recursive = bank.grow(SMALL), _recursive(points, bank, answers)
    tests = _tests(plain)
    if not tests.terms:
        return []

    def branches(cases: np.ndarray) -> list[list[_Branch]]:
        each = zip(_ranking(points, plain, cases, False), _ranking(points, recursive, cases, True), strict=True)
        return [ones + others for ones, others in each]

    def conditionals(case: np.ndarray, tests: _Pool, more: list[list[_Branch]], count: int) -> list[_Branch]:
        """``more`` holds other branches for where each of the tests is not 0."""
        zero, other = case & (tests.vectors == 0), case & (tests.vectors > 0)
        splits = zero.any(1) & other.any(1)
        pairs = (
            _Branch(
                then.gain + otherwise.gain - bits,
                If0(test, then.term, otherwise.term),
                max(then.call, otherwise.call),
            )
            for test, bits, thens, otherwises, further, split in zip(
                tests.terms, tests.bits + bank.node, branches(zero), branches(other), more, splits, strict=True
            )
            if split
            for then, otherwise in itertools.product(thens, otherwises + further)
            if PLAIN in (then.call, otherwise.call)
        )
        return _varied(pairs, count)

    first = tests.take(range(min(NESTED, len(tests.terms))))
    none: list[list[_Branch]] = [[] for _ in tests.terms]
    nested = [conditionals(vector > 0, first, none[: len(first.terms)], BRANCHES) for vector in first.vectors]
    everywhere = np.ones(len(points), bool)
    return conditionals(everywhere, tests, nested + none[len(nested) :], CANDIDATES)


def _runnable(branched: Sequence[_Branch], examples: _Examples, space: Space, config: InductionConfig) -> list[Term]:
    """The most probable programs, recursive ones as they are when they call themselves and not the oracle.

    Of equals, those with a closed form come first.
    """
    largest = max(int(column.max()) for column in examples.columns)
    grid = list(np.indices((min(GRID_SIDE, largest + 1),) * len(examples.columns)))
    near = examples.take(np.flatnonzero(_within(examples.columns, GRID_SIDE)))
    scores: dict[Term, tuple[float, bool]] = {}
    for branch in branched:
        if branch.call != PLAIN:
            program: Term = Fix(branch.term)
            explained = near.explained(_fixpoint(branch.term, grid)[tuple(near.columns)])
        else:
            program = branch.term
            explained = examples.explained(tabulate(program, examples.columns))
        closed = closed_form(program) is not None
        if explained >= LEAST * examples.worth.sum() and (closed or largest < STEPS):
            scores[program] = float(explained) - space.bits(program, config), closed
    return heapq.nlargest(FINALISTS, scores, key=scores.__getitem__)


def _fixpoint(body: Term, grid: Sequence[np.ndarray]) -> np.ndarray:
    """The values of a recursive program on a grid of its arguments, UNDEFINED where a call leaves the grid."""
    run = _compile(body, grid)
    values = np.full(grid[0].shape, UNDEFINED)
    for _ in range(values.size):
        before, values = values, run(values)
        if np.array_equal(before, values):
            break
    return values


def _compile(term: Term, columns: Sequence[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """A closure from the values of the function to those of the term; what does not recur is run only once."""
    run: Callable[..., np.ndarray]
    match term:
        case Argument(index):
            constant = columns[index]
            return lambda values: constant
        case Constant(value):
            return lambda values: np.full(columns[0].shape, value)
        case Call(primitive, inner):
            run, parts = _on_arrays(primitive), inner
        case Apply(_, program, inner):
            run, parts = partial(_tabulate, program), inner
        case Recur(inner):
            arguments = [_compile(each, columns)(columns[0]) for each in inner]
            return lambda values: _ask(values, arguments, UNDEFINED)
        case If0(test, then, otherwise):
            run, parts = _choose, (test, then, otherwise)
    compiled = [_compile(part, columns) for part in parts]
    if any(isinstance(each, Recur) for each in subterms(term)):
        return lambda values: run(*(part(values) for part in compiled))
    result = run(*(part(columns[0]) for part in compiled))
    return lambda values: result


def _choose(test: np.ndarray, then: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(test == 0, then, np.where(test > 0, otherwise, UNDEFINED))
