"""Induction of programs over integers, recursive ones included.

Terms without recursion come from :mod:`nsr.semantics.enumeration`. A recursive call is enumerated before the function
it calls is known: its value is looked up among the examples, which are an oracle for it (Escher: Albarghouthi, Gulwani
and Kincaid 2013). A program is then put together by matching: for every test there is, the terms that are right where
it is 0, and those that are right where it is not.

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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nsr.semantics.closed_forms import UNDEFINED, closed_form, tabulate
from nsr.semantics.enumeration import (
    CONSTANTS,
    UNKNOWN,
    Bank,
    Columns,
    Operator,
    Pool,
    Tuples,
    concatenate,
    distinct,
    on_arrays,
    operators_of,
    tabulate_known,
)
from nsr.semantics.programs import Apply, Argument, Call, Constant, Fix, If0, Recur, Term, subterms

if TYPE_CHECKING:
    from nsr.semantics.induction import Example, InductionConfig, Space

PLAIN = -1  # in the place of the number of a recursive call: the term has none

MAX_ARITY = 2
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
STEPS = 1_000  # a program without closed form is run on arguments below, which takes about as many calls


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
    examples = Columns.of(table, arity, config)
    if arity > MAX_ARITY or len(examples) == 0:
        return []
    found: dict[Term, float] = {}
    for stage in _stages(examples, space, config):
        values = {term: tabulate(term, examples.columns) for term in stage}
        found |= {term: float(examples.explained(each)) - space.bits(term, config) for term, each in values.items()}
        if any(examples.right(each).all() for each in values.values()):
            break
    return heapq.nlargest(FINALISTS, found, key=found.__getitem__)


def _stages(examples: Columns, space: Space, config: InductionConfig) -> Iterator[list[Term]]:
    points = examples.nearest(POINTS)
    operators = operators_of(space, config)
    bank = Bank(points, operators, space, config)
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


def _best(points: Columns, pool: Pool) -> list[Term]:
    """The most probable terms."""
    explained = points.explained(pool.vectors)
    order = np.argsort(pool.bits - explained, kind="stable")[:FINALISTS]
    return [pool.terms[row] for row in order if explained[row] >= LEAST * points.worth.sum()]


def _join(points: Columns, left: Pool, right: Pool, operators: Sequence[Operator]) -> list[Term]:
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
    return _best(points, concatenate(found)) if found else []


def _promising(points: Columns, pools: list[Pool], operator: Operator, probes: np.ndarray) -> Tuples:
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
    return Tuples(pools, [row[shortest] for row in rows])


def _oracle(examples: Columns) -> np.ndarray:
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


def _calls(points: Columns, bank: Bank, answers: np.ndarray) -> Pool:
    """Recursive calls and what the oracle answers, smallest first; UNDEFINED where nothing becomes smaller."""
    arity = len(points.columns)
    sizes = [each for each in itertools.product(range(1, SMALL + 1), repeat=arity) if sum(each) <= CALL]
    found = []
    for pools in ([bank.by_size[size - 1] for size in each] for each in sorted(sizes, key=sum)):
        tuples = Tuples.all(pools)
        arguments = tuples.values()
        pairs = list(zip(arguments, points.columns, strict=True))
        smaller = reduce(np.logical_or, [argument < column for argument, column in pairs])
        for argument, column in pairs:
            smaller &= (argument >= 0) & (argument <= column)
        vectors = np.where(smaller, _ask(answers, arguments, UNKNOWN), UNDEFINED)
        kept = np.flatnonzero(((vectors >= 0).sum(1) >= KNOWN) & (smaller.mean(1) >= SMALLER))
        found.append(tuples.build(_recur, bank.node, vectors, kept))
    calls = concatenate(found)
    vectors = calls.vectors[:CALLS]
    unlike = UNKNOWN - np.arange(len(vectors))[:, None]
    return Pool(calls.terms[:CALLS], calls.bits[:CALLS], np.where(vectors == UNKNOWN, unlike, vectors))


def _recur(*terms: Term) -> Term:
    return Recur(terms)


def _recursive(points: Columns, bank: Bank, answers: np.ndarray) -> Pool:
    """Recursive calls, and an operator on one and on leaves, that are right now and then."""
    calls, leaves = _calls(points, bank, answers), bank.by_size[0]
    found = [calls]
    for operator in bank.operators:
        for place in reversed(range(operator.arity)):
            tuples = Tuples.all([calls if index == place else leaves for index in range(operator.arity)])
            vectors = operator.run(*tuples.values())
            kept = np.flatnonzero(points.right(vectors).sum(1) >= KNOWN)
            found.append(tuples.build(operator.term, operator.bits, vectors, kept))
    recursive = concatenate(found)
    return recursive.take(distinct(recursive.vectors))


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


def _ranking(points: Columns, pool: Pool, cases: np.ndarray, recursive: bool) -> list[list[_Branch]]:
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
        order = order[distinct(pool.vectors[order][:, cases[case]])[: RECURSIVE_BRANCHES if recursive else BRANCHES]]
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


def _tests(pool: Pool) -> Pool:
    """The shortest terms for all the ways to be 0 on some examples and positive on others."""
    signs = np.sign(pool.vectors)
    splits = np.flatnonzero((signs == 0).any(1) & (signs > 0).any(1))
    splits = splits[np.argsort(pool.bits[splits], kind="stable")]
    return pool.take(splits[distinct(signs[splits])[:TESTS]])


def _branched(points: Columns, bank: Bank, answers: np.ndarray) -> list[_Branch]:
    """The most probable terms with one test, or with a second where the first is not 0."""
    plain, recursive = bank.grow(SMALL), _recursive(points, bank, answers)
    tests = _tests(plain)
    if not tests.terms:
        return []

    def branches(cases: np.ndarray) -> list[list[_Branch]]:
        each = zip(_ranking(points, plain, cases, False), _ranking(points, recursive, cases, True), strict=True)
        return [ones + others for ones, others in each]

    def conditionals(case: np.ndarray, tests: Pool, more: list[list[_Branch]], count: int) -> list[_Branch]:
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


def _runnable(branched: Sequence[_Branch], examples: Columns, space: Space, config: InductionConfig) -> list[Term]:
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
            run, parts = on_arrays(primitive), inner
        case Apply(_, program, inner):
            run, parts = partial(tabulate_known, program), inner
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
