"""The arc-standard transition system (Nivre 2004), in lock step over a whole batch of sentences.

A configuration is a stack, a buffer and the arcs built so far. SHIFT moves the next token to the stack; LEFT_ARC makes
the top of the stack the head of the token below it, RIGHT_ARC the other way round; the dependent leaves the stack. A
sentence of n tokens takes 2n - 1 transitions and ends with its root alone on the stack.

Arc-standard has spurious ambiguity: a token may take its left dependents before or after its right ones. An
:class:`Order` settles this and thereby gives every projective tree exactly one derivation. ``LATE`` (right dependents
first) is the default: when a head takes its left dependents, everything it governs is already complete.

Shape letters: R rows (configurations), N tokens of the longest sentence.
"""

from __future__ import annotations

from enum import Enum, IntEnum

import numpy as np

from nsr.arrays import present
from nsr.gss import ROOT
from nsr.semantics.execution import ABSENT

PENDING = -3  # head of a token that has none yet
NONE = -1  # no such token
POSITION = np.int32  # type of positions and counts: half the memory, and most of the time goes into moving it


class Action(IntEnum):
    """The transitions."""

    SHIFT = 0
    LEFT_ARC = 1
    RIGHT_ARC = 2


class Order(Enum):
    """Which of its dependents a token takes first."""

    EARLY = "early"  # left dependents first
    LATE = "late"  # right dependents first


class Configurations:
    """One configuration a row; ``advance`` changes them in place.

    Attributes:
        stack: positions of tokens, bottom first, shape (R, N).
        depth: tokens on the stack, shape (R,).
        buffer: position of the next token, shape (R,).
        heads: head of each token; ROOT, PENDING or ABSENT where it has none, shape (R, N).
        left, right: dependents taken on each side, shape (R, N).
        children: positions of the last and the last but one dependent taken on the left, then on the right, NONE
            where there is none, shape (R, N, 4).
    """

    def __init__(self, lengths: np.ndarray, order: Order) -> None:
        rows, longest = len(lengths), int(lengths.max(initial=1))
        self.order = order
        self.lengths = lengths
        self.stack = np.zeros((rows, longest), POSITION)
        self.depth = np.zeros(rows, POSITION)
        self.buffer = np.zeros(rows, POSITION)
        self.heads = np.where(present(lengths, longest), PENDING, ABSENT).astype(POSITION)
        self.left = np.zeros((rows, longest), POSITION)
        self.right = np.zeros((rows, longest), POSITION)
        self.children = np.full((rows, longest, 4), NONE, POSITION)
        self.starts = np.arange(rows) * longest
        self._tops: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.depth)

    def at(self, table: np.ndarray, position: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """What a table of shape (R, N) or (R, N, ...) has at one position of each row, or of each of some rows.

        One flat index a row, which is much faster than two.
        """
        return table.reshape(-1, *table.shape[2:]).take(self.starts[rows] + position, axis=0)

    def select(self, rows: np.ndarray | slice) -> Configurations:
        """The configurations of these rows: a copy for an array of rows, a view for a slice."""
        chosen = object.__new__(Configurations)
        chosen.order = self.order
        for name in ("lengths", "stack", "depth", "buffer", "heads", "left", "right", "children"):
            setattr(chosen, name, getattr(self, name)[rows])
        chosen.starts = np.arange(len(chosen.depth)) * chosen.stack.shape[1]
        chosen._tops = None
        return chosen

    def top(self, place: int) -> np.ndarray:
        """Position of the token ``place`` (0 to 2) below the top of the stack, NONE where it ends; shape (R,)."""
        if self._tops is None:
            index = self.depth - 1 - np.arange(3, dtype=POSITION)[:, None]
            found = self.at(self.stack, np.maximum(index, 0))
            found[index < 0] = NONE
            self._tops = found
        return self._tops[place]

    def ahead(self, place: int) -> np.ndarray:
        """Position of the token ``place`` behind the next one, NONE where the buffer ends; shape (R,)."""
        index = self.buffer + place
        return np.where(index < self.lengths, index, NONE)

    def valid(self) -> np.ndarray:
        """Which transitions the system allows, shape (R, 3)."""
        pair = self.depth >= 2
        first, second = np.maximum(self.top(0), 0), np.maximum(self.top(1), 0)
        allowed = np.empty((3, len(self)), bool).T  # a column is what is worked on at once
        allowed[:, Action.SHIFT] = self.buffer < self.lengths
        allowed[:, Action.LEFT_ARC] = pair
        allowed[:, Action.RIGHT_ARC] = pair
        if self.order is Order.LATE:  # who has taken left dependents is done with the right ones
            allowed[:, Action.RIGHT_ARC] &= self.at(self.left, second) == 0
        else:
            allowed[:, Action.LEFT_ARC] &= self.at(self.right, first) == 0
        return allowed

    def advance(self, actions: np.ndarray) -> None:
        """Take one transition in each row, shape (R,); whether it is valid is the caller's business."""
        tops = self.top(0), self.top(1)
        self._tops = None
        stack, heads, children = self.stack.reshape(-1), self.heads.reshape(-1), self.children.reshape(-1, 4)
        row = np.flatnonzero(actions == Action.SHIFT)
        stack[self.starts[row] + self.depth[row]] = self.buffer[row]
        self.depth[row] += 1
        self.buffer[row] += 1
        for action, count, last in ((Action.LEFT_ARC, self.left, 0), (Action.RIGHT_ARC, self.right, 2)):
            row = np.flatnonzero(actions == action)
            start, upper, lower = self.starts[row], tops[0][row], tops[1][row]
            head, dependent = (upper, lower) if action == Action.LEFT_ARC else (lower, upper)
            at = start + head
            heads[start + dependent] = head
            count.reshape(-1)[at] += 1
            children[at, last + 1] = children[at, last]
            children[at, last] = dependent
            stack[start + self.depth[row] - 2] = head
            self.depth[row] -= 1
        done = np.flatnonzero((self.depth == 1) & (self.buffer == self.lengths))
        heads[self.starts[done] + self.stack[done, 0]] = ROOT


def oracle(configurations: Configurations, heads: np.ndarray) -> np.ndarray:
    """The next transition of the one derivation of each projective tree; -1 where the tree is complete.

    Args:
        configurations: reached by following the oracle from the start.
        heads: the trees, shape (R, N).

    Returns:
        actions, shape (R,).
    """
    rows = np.arange(len(configurations))
    first, second = configurations.top(0), configurations.top(1)
    pair = second != NONE
    waiting = (heads == first[:, None]) & (configurations.heads == PENDING)  # dependents that first has still to take
    waiting_right = waiting & (np.arange(heads.shape[1]) > first[:, None])
    left_arc = pair & (heads[rows, second] == first)
    if configurations.order is Order.LATE:
        left_arc &= ~waiting_right.any(axis=1)
    right_arc = pair & (heads[rows, first] == second) & ~waiting.any(axis=1)
    actions = np.where(left_arc, Action.LEFT_ARC, np.where(right_arc, Action.RIGHT_ARC, Action.SHIFT))
    finished = (configurations.depth == 1) & (configurations.buffer == configurations.lengths)
    return np.where(finished, -1, actions)
