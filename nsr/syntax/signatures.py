"""The learned dependency grammar: which trees the lexicon licenses.

A symbol's class is the set of its signatures (left arity, right arity) in the lexicon; symbols of one class parse
alike, also those never seen in context. The grammar says for each class how many dependents it takes on each side, and
for each slot (class, side, place) which classes of dependents it accepts. It masks transitions that no licensed tree
contains, so the network only decides what is left open.

Shape letters: R rows, S symbols, K classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nsr.semantics.execution import Layout
from nsr.semantics.lexicon import Lexicon, Signature
from nsr.syntax.transitions import Action, Configurations, Order

UNKNOWN_CLASS = 0  # the class of symbols that have no entry yet: anything goes


class Slot(NamedTuple):
    """An argument place: dependents are counted outwards from the head on each side."""

    head: int  # class
    side: int  # 0 left, 1 right
    place: int  # 0 next to the head


class _Tokens(NamedTuple):
    """A token of each row: its class, and how many dependents it has on each side, up to the limit; shape (R,)."""

    kind: np.ndarray
    left: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class DependencyGrammar:
    """Signatures by class, and the classes each slot accepts.

    Attributes:
        class_of: class of each symbol, shape (S,); UNKNOWN_CLASS for a symbol without entry.
        classes: the signatures of each class; class 0 has none.
        accepts: for each slot that was seen, the classes of its dependents.
    """

    class_of: np.ndarray
    classes: tuple[frozenset[Signature], ...]
    accepts: Mapping[Slot, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, lexicon: Lexicon) -> DependencyGrammar:
        """The grammar of a lexicon's signatures; its slots accept everything until :meth:`observe`."""
        signatures = [lexicon.signatures(symbol) for symbol in range(len(lexicon.symbols))]
        known = sorted({each for each in signatures if each}, key=sorted)
        numbers = {each: number for number, each in enumerate(known, start=1)}
        class_of = np.array([numbers.get(each, UNKNOWN_CLASS) for each in signatures], np.int64)
        return cls(class_of, (frozenset(), *known))

    def observe(self, symbols: np.ndarray, heads: np.ndarray, weights: np.ndarray, share: float) -> DependencyGrammar:
        """The same grammar with slots that accept the classes seen in these trees.

        Args:
            symbols, heads: trees, shape (C, N).
            weights: weight of each tree, shape (C,).
            share: a class is accepted if it fills at least this share of the slot's occurrences.
        """
        layout = Layout.of(heads)
        tree, node = np.nonzero(heads >= 0)
        head = heads[tree, node]
        side = (node > head).astype(np.int64)
        rank, left = layout.rank[tree, node], layout.left[tree, head]
        place = np.where(side == 1, rank - left, left - 1 - rank)
        classes = self.class_of[symbols]
        seen: dict[Slot, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        rows = np.stack([classes[tree, head], side, place, classes[tree, node]], axis=1)
        distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
        totals = np.bincount(inverse.reshape(-1), weights[tree], len(distinct))
        for (head_class, side_, place_, dependent), weight in zip(distinct.tolist(), totals, strict=True):
            seen[Slot(head_class, side_, place_)][dependent] += weight
        accepts = {
            slot: frozenset(each for each, weight in found.items() if weight >= share * sum(found.values()))
            for slot, found in seen.items()
            if slot.head != UNKNOWN_CLASS
        }
        return DependencyGrammar(self.class_of, self.classes, accepts)

    def mask(self, symbols: np.ndarray, configurations: Configurations) -> np.ndarray:
        """Which transitions may lead to a licensed tree, shape (R, 3); combine with ``configurations.valid()``.

        Args:
            symbols: the sentence of each row, shape (R, N).
            configurations: one a row.
        """
        top, below = (self._tokens(symbols, configurations, place) for place in range(2))
        complete, (left_open, right_open) = self._complete, self._open[configurations.order]
        fits_left = self._accepted[0, top.kind, top.left, below.kind]
        fits_right = self._accepted[1, below.kind, below.right, top.kind]
        allowed = np.empty((len(configurations), 3), bool)
        # who is covered by a shifted token must be complete, or still have right dependents to take
        allowed[:, Action.SHIFT] = (configurations.depth == 0) | complete[top] | right_open[top]
        allowed[:, Action.LEFT_ARC] = complete[below] & left_open[top] & fits_left
        allowed[:, Action.RIGHT_ARC] = complete[top] & right_open[below] & fits_right
        # the last transition leaves the root, which must be complete with it
        last = np.flatnonzero((configurations.depth == 2) & (configurations.buffer == configurations.lengths))
        allowed[last, Action.LEFT_ARC] &= complete[top.kind[last], top.left[last] + 1, top.right[last]]
        allowed[last, Action.RIGHT_ARC] &= complete[below.kind[last], below.left[last], below.right[last] + 1]
        alone = np.flatnonzero((configurations.depth == 0) & (configurations.lengths == 1))
        allowed[alone, Action.SHIFT] = complete[self.class_of[symbols[alone, 0]], 0, 0]
        return allowed

    def _tokens(self, symbols: np.ndarray, configurations: Configurations, place: int) -> _Tokens:
        """The tokens ``place`` below the top."""
        rows, token = np.arange(len(configurations)), np.maximum(configurations.top(place), 0)
        left = np.minimum(configurations.left[rows, token], self._limit)
        right = np.minimum(configurations.right[rows, token], self._limit)
        return _Tokens(self.class_of[symbols[rows, token]], left, right)

    def licensed(self, symbols: np.ndarray, layout: Layout) -> np.ndarray:
        """Whether every token of each tree has a signature of its class; shape (C,)."""
        limit = self._limit
        left = np.minimum(layout.left, limit)
        right = np.minimum(layout.arity - layout.left, limit)
        here = layout.heads >= -1
        return (self._complete[self.class_of[symbols], left, right] | ~here).all(axis=1)

    @cached_property
    def _limit(self) -> int:
        """One more than the most dependents that any class takes on one side."""
        return 1 + max((max(signature) for known in self.classes for signature in known), default=0)

    @property
    def _size(self) -> int:
        """Sides of the tables below: with the limit, there is room for one more."""
        return self._limit + 2

    @cached_property
    def _complete(self) -> np.ndarray:
        """Whether a class may stop with so many left and right dependents, shape (K, size, size)."""
        table = np.zeros((len(self.classes), self._size, self._size), bool)
        table[UNKNOWN_CLASS] = True
        for number, signatures in enumerate(self.classes):
            for left, right in signatures:
                table[number, left, right] = True
        return table

    @cached_property
    def _open(self) -> dict[Order, np.ndarray]:
        """Whether a class may take one more dependent on the left (0) or right (1), shape (2, K, size, size)."""
        tables = {order: np.zeros((2, *self._complete.shape), bool) for order in Order}
        for order, table in tables.items():
            table[:, UNKNOWN_CLASS] = True
            for number, signatures in enumerate(self.classes):
                for left, right in signatures:  # the side that is taken second opens when the first is full
                    if order is Order.LATE:
                        table[0, number, :left, right] = True
                        table[1, number, 0, :right] = True
                    else:
                        table[0, number, :left, 0] = True
                        table[1, number, left, :right] = True
        return tables

    @cached_property
    def _accepted(self) -> np.ndarray:
        """Whether a slot (side, head, place) accepts a class, shape (2, K, size, K); slots never seen accept all."""
        table = np.ones((2, len(self.classes), self._size, len(self.classes)), bool)
        for slot, accepted in self.accepts.items():
            if slot.place < self._size:
                table[slot.side, slot.head, slot.place] = False
                table[slot.side, slot.head, slot.place, sorted(accepted)] = True
        table[..., UNKNOWN_CLASS] = True
        return table

    def to_json(self) -> dict:
        """The grammar as plain data."""
        return {
            "class_of": self.class_of.tolist(),
            "classes": [sorted(map(list, known)) for known in self.classes],
            "accepts": [
                {
                    "head": slot.head,
                    "side": ("left", "right")[slot.side],
                    "place": slot.place,
                    "classes": sorted(found),
                }
                for slot, found in sorted(self.accepts.items())
            ],
        }

    @classmethod
    def from_json(cls, data: dict) -> DependencyGrammar:
        """The inverse of :meth:`to_json`; raises KeyError, TypeError or ValueError on anything else."""
        accepts = {
            Slot(each["head"], ("left", "right").index(each["side"]), each["place"]): frozenset(each["classes"])
            for each in data["accepts"]
        }
        classes = tuple(frozenset(Signature(*pair) for pair in known) for known in data["classes"])
        class_of = np.array(data["class_of"], np.int64)
        used = frozenset(class_of.tolist()).union((slot.head for slot in accepts), *accepts.values())
        if not used <= frozenset(range(len(classes))) or any(slot.place < 0 for slot in accepts):
            raise ValueError("a class or place does not exist")
        return cls(class_of, classes, accepts)
