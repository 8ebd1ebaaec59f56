"""Execution: from trees and a lexicon to values, for a whole data set at once.

Nodes are executed level by level from the leaves. On each level only the distinct (program, arguments) pairs are run,
and those only once in the life of an :class:`Executor`: results are memoised on value ids. A dependent whose value is
EMPTY is no argument: the arity that selects a program counts the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nsr.arrays import unique_rows
from nsr.gss import ROOT
from nsr.semantics.compilation import compile_term
from nsr.semantics.inversion import invert
from nsr.semantics.lexicon import Lexicon
from nsr.semantics.programs import Term, grounded
from nsr.semantics.values import EMPTY_ID, MISSING, MISSING_ID, Value, ValueTable

ABSENT = -2  # in arrays of heads: no token here (the sentence is shorter than the row)
UNREVISED = -1  # in arrays of revised values: the program's own value stands

# Shape letters: C trees, N tokens of the longest sentence, A arguments of the node with the most.


class Executor:
    """Runs programs; remembers every result.

    Args:
        max_length: a list longer than this is MISSING.
    """

    def __init__(self, max_length: int = 10_000) -> None:
        self.values = ValueTable()
        self.max_length = max_length
        self._programs: dict[Term, int] = {}
        self._compiled: list[Callable[[tuple[Value, ...]], Value]] = []
        self._grounded: list[bool] = []
        self._results: dict[tuple[int, ...], int] = {}
        self._solutions: dict[tuple[Any, ...], list[Value]] = {}

    def program_id(self, program: Term) -> int:
        """The number under which a program's results are remembered."""
        found = self._programs.get(program)
        if found is None:
            found = self._programs[program] = len(self._compiled)
            self._compiled.append(compile_term(program, self.max_length))
            self._grounded.append(grounded(program))
        return found

    def grounded(self, lexicon: Lexicon) -> bool:
        """Whether some program of the lexicon needs to know the token at its node."""
        return any(self._grounded[self.program_id(entry.program)] for entry in lexicon.entries.values())

    def run(self, program: Term, arguments: Sequence[Value], ground: Value = MISSING) -> Value:
        """The program's value on these arguments, at a node with the token ``ground``; MISSING where it has none."""
        code = self.program_id(program)
        if self._grounded[code]:
            arguments = (*arguments, ground)
        if any(argument is MISSING for argument in arguments):
            return MISSING
        ids = tuple(self.values.id(argument) for argument in arguments)
        return self.values[self._run_each(code, [(code, *ids)])[0]]

    def invert(
        self, program: Term, wanted: Value, arguments: Sequence[Value], slot: int, ground: Value = MISSING
    ) -> list[Value]:
        """The values of argument ``slot`` for which the program returns ``wanted``; see :func:`inversion.invert`."""
        code = self.program_id(program)
        if self._grounded[code]:
            arguments = (*arguments, ground)
        others = tuple(arguments[:slot]) + tuple(arguments[slot + 1 :])
        if any(argument is MISSING for argument in others):
            return []
        call = (code, wanted, others, slot)
        if call not in self._solutions:
            self._solutions[call] = invert(program, wanted, arguments, slot, self.max_length)
        return self._solutions[call]

    def execute(
        self,
        symbols: np.ndarray,
        heads: np.ndarray,
        lexicon: Lexicon,
        revised: np.ndarray | None = None,
        grounds: np.ndarray | None = None,
    ) -> Execution:
        """Execute trees bottom-up.

        Args:
            symbols: symbol ids, shape (C, N).
            heads: position of each token's head, ROOT or ABSENT, shape (C, N).
            lexicon: programs by (symbol, arity).
            revised: value ids that replace what programs return, UNREVISED elsewhere, shape (C, N).
            grounds: value ids of the tokens, for programs that ask for them, shape (C, N).
        """
        layout = Layout.of(heads)
        values = np.full(heads.shape, MISSING_ID, np.int64)
        arguments = np.full((*heads.shape, max(layout.max_arity, 1)), MISSING_ID, np.int64)
        arity = layout.arity.copy()
        programs = self._program_ids(lexicon, layout.max_arity)
        asks = self._asks()
        grounds = np.full(heads.shape, MISSING_ID, np.int64) if grounds is None else grounds
        for tree, node in layout.levels():
            given = arguments[tree, node]
            some = np.flatnonzero((given == EMPTY_ID).any(axis=1))
            if len(some):
                given[some], dropped = _without_empty(given[some])
                arguments[tree[some], node[some]] = given[some]
                arity[tree[some], node[some]] -= dropped
            count = arity[tree, node]
            program = programs[symbols[tree, node], count]
            ground = np.where(asks[program], grounds[tree, node], MISSING_ID)
            calls = np.concatenate([np.stack([program, count, ground], axis=1), given], axis=1)
            first, inverse = unique_rows(calls)
            results = self._run_all(calls[first])
            result = results[inverse]
            if revised is not None:
                result = np.where(revised[tree, node] == UNREVISED, result, revised[tree, node])
            values[tree, node] = result
            head = heads[tree, node]
            inner = head >= 0
            arguments[tree[inner], head[inner], layout.rank[tree[inner], node[inner]]] = result[inner]
        return Execution(values, arguments, arity, layout)

    def _run_all(self, calls: np.ndarray) -> np.ndarray:
        """Value ids of calls: program, number of arguments, token, arguments; shapes (U, 3 + A) and (U,)."""
        program, count, token, arguments = calls[:, 0], calls[:, 1], calls[:, 2], calls[:, 3:]
        asks = self._asks()[program]
        missing = ((arguments == MISSING_ID) & (np.arange(arguments.shape[1]) < count[:, None])).any(axis=1)
        defined = (program >= 0) & ~missing & (~asks | (token != MISSING_ID))
        results = np.full(len(calls), MISSING_ID, np.int64)
        kind = np.where(defined, program * calls.shape[1] + count, -1)
        for each in np.unique(kind[defined]).tolist():
            code, number = divmod(each, calls.shape[1])
            rows = np.flatnonzero(kind == each)
            columns = [program[rows], *arguments[rows, :number].T, *([token[rows]] if self._grounded[code] else [])]
            results[rows] = self._run_each(code, list(zip(*(column.tolist() for column in columns), strict=True)))
        return results

    def _asks(self) -> np.ndarray:
        """Whether a program needs to know the token at its node, by number; the last is for -1, no program."""
        return np.array([*self._grounded, False])

    def _run_each(self, code: int, calls: list[tuple[int, ...]]) -> list[int]:
        """Value ids of several calls of one program."""
        compiled, results, look_up, number = self._compiled[code], self._results, self.values.look_up, self.values.id
        found = []
        for call in calls:
            result = results.get(call)
            if result is None:
                result = results[call] = number(compiled(tuple(map(look_up, call[1:]))))
            found.append(result)
        return found

    def _program_ids(self, lexicon: Lexicon, max_arity: int) -> np.ndarray:
        """Program numbers by symbol and arity, -1 where there is none; shape (symbols, max_arity + 1)."""
        table = np.full((len(lexicon.symbols), max_arity + 1), -1, np.int64)
        for (symbol, arity), entry in lexicon.entries.items():
            if arity <= max_arity:
                table[symbol, arity] = self.program_id(entry.program)
        return table


def _without_empty(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of value ids with EMPTY_ID taken out, and how often it was; shapes (R, A) and (R,)."""
    empty = rows == EMPTY_ID
    rows = np.take_along_axis(np.where(empty, MISSING_ID, rows), np.argsort(empty, axis=1, kind="stable"), 1)
    return rows, empty.sum(axis=1)


@dataclass(frozen=True, eq=False)
class Execution:
    """The values of executed trees.

    Attributes:
        values: value id of each node, shape (C, N).
        arguments: value ids of each node's dependents from left to right, the EMPTY ones left out, shape (C, N, A).
        arity: how many those are, shape (C, N).
        layout: how the trees hang together.
    """

    values: np.ndarray
    arguments: np.ndarray
    arity: np.ndarray
    layout: Layout

    @property
    def results(self) -> np.ndarray:
        """Value id of each tree's root, shape (C,)."""
        return self.values[np.arange(len(self.values)), self.layout.root]


@dataclass(frozen=True, eq=False)
class Layout:
    """What executing needs to know of a batch of trees.

    Attributes:
        heads: position of each token's head, ROOT or ABSENT, shape (C, N).
        root: position of the root, shape (C,).
        arity: number of dependents of each token, shape (C, N).
        left: number of them that stand to its left, shape (C, N).
        rank: place of each token among its head's dependents, from the left, shape (C, N).
    """

    heads: np.ndarray
    root: np.ndarray
    arity: np.ndarray
    left: np.ndarray
    rank: np.ndarray

    @property
    def max_arity(self) -> int:
        """The largest arity."""
        return int(self.arity.max(initial=0))

    @classmethod
    def of(cls, heads: np.ndarray) -> Layout:
        """Lay out trees given by their heads, shape (C, N)."""
        trees, length = heads.shape
        arity = np.zeros((trees, length), np.int64)
        left = np.zeros((trees, length), np.int64)
        rank = np.zeros((trees, length), np.int64)
        for position, column in enumerate(np.ascontiguousarray(heads.T)):  # a dependent's rank: those before it
            row = np.flatnonzero(column >= 0)
            head = column[row]
            rank[row, position] = arity[row, head]
            arity[row, head] += 1
            left[row, head] += position < head
        root = (heads == ROOT).argmax(axis=1) if length else np.zeros(trees, np.int64)
        return cls(heads, root, arity, left, rank)

    def slots(self, tree: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which places at their heads nodes fill, all in arrays of shape (M,).

        Returns:
            the side (0 left of the head, 1 right of it, 2 for a root), and how many dependents stand in between.
        """
        head, rank = self.heads[tree, node], self.rank[tree, node]
        left = self.left[tree, np.maximum(head, 0)]
        side = np.where(head == ROOT, 2, node > head)
        return side, np.where(side == 1, rank - left, np.where(side == 0, left - 1 - rank, 0))

    def blanks(self, empty: np.ndarray) -> np.ndarray:
        """The dependents of each token that are ``empty``, shape (C, N): by their ranks, as bits of a number."""
        bits = np.zeros(self.heads.shape, np.int64)
        tree, node = np.nonzero(empty & (self.heads >= 0))
        np.bitwise_or.at(bits, (tree, self.heads[tree, node]), 1 << self.rank[tree, node])
        return bits

    def levels(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (tree, node) index arrays: all leaves, then all nodes whose dependents have come, and so on."""
        waiting = self.arity.copy()
        tree, node = np.nonzero((waiting == 0) & (self.heads != ABSENT))
        while len(tree):
            yield tree, node
            head = self.heads[tree, node]
            inner = head >= 0
            tree, head = tree[inner], head[inner]
            np.subtract.at(waiting, (tree, head), 1)
            ready = waiting[tree, head] == 0
            tree, node = tree[ready], head[ready]
            if len(tree):
                found = np.zeros(self.heads.shape, bool)
                found[tree, node] = True  # once, and in order
                tree, node = np.nonzero(found)
