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
        rows = np.arange(len(configurations))
        first, second = np.maximum(configurations.top(0), 0), np.maximum(configurations.top(1), 0)
        first_class = self.class_of[symbols[rows, first]]
        second_class = self.class_of[symbols[rows, second]]
        limit = self._limit
        first_left = np.minimum(configurations.left[rows, first], limit)
        first_right = np.minimum(configurations.right[rows, first], limit)
        second_left = np.minimum(configurations.left[rows, second], limit)
        second_right = np.minimum(configurations.right[rows, second], limit)
        first_complete = self._complete[first_class, first_left, first_right]
        second_complete = self._complete[second_class, second_left, second_right]
        left_open, right_open = self._open[configurations.order]
        allowed = np.empty((len(configurations), 3), bool)
        # who is covered by a shifted token must be complete, or still have right dependents to take
        allowed[:, Action.SHIFT] = (
            (configurations.depth == 0) | first_complete | right_open[first_class, first_left, first_right]
        )
        allowed[:, Action.LEFT_ARC] = (
            second_complete
            & left_open[first_class, first_left, first_right]
            & self._accepted[first_class, 0, first_left, second_class]
        )
        allowed[:, Action.RIGHT_ARC] = (
            first_complete
            & right_open[second_class, second_left, second_right]
            & self._accepted[second_class, 1, second_right, first_class]
        )
        # the head of the last arc is the root, and must be complete with it
        last = (configurations.depth == 2) & (configurations.buffer == configurations.lengths)
        one_more_left, one_more_right = np.minimum(first_left + 1, limit), np.minimum(second_right + 1, limit)
        allowed[:, Action.LEFT_ARC] &= ~last | self._complete[first_class, one_more_left, first_right]
        allowed[:, Action.RIGHT_ARC] &= ~last | self._complete[second_class, second_left, one_more_right]
        return allowed

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

    @cached_property
    def _complete(self) -> np.ndarray:
        """Whether a class may stop with so many left and right dependents, shape (K, limit + 1, limit + 1)."""
        table = np.zeros((len(self.classes), self._limit + 1, self._limit + 1), bool)
        table[UNKNOWN_CLASS] = True
        for number, signatures in enumerate(self.classes):
            for left, right in signatures:
                table[number, left, right] = True
        return table

    @cached_property
    def _open(self) -> dict[Order, np.ndarray]:
        """Whether a class may take one more dependent on the left (0) or right (1): (2, K, limit + 1, limit + 1)."""
        tables = {order: np.zeros((2, *self._complete.shape), bool) for order in Order}
        for order, table in tables.items():
            table[:, UNKNOWN_CLASS] = True
            for number, signatures in enumerate(self.classes):
                for left, right in signatures:  # the side that is taken second opens when the first is full
                    if order is Order.LATE:
                        table[0, number, :left, right] = True
                        table[1, number, : left + 1, :right] = True
                    else:
                        table[0, number, :left, : right + 1] = True
                        table[1, number, left, :right] = True
        return tables

    @cached_property
    def _accepted(self) -> np.ndarray:
        """Whether a slot accepts a class, shape (K, 2, limit + 1, K); slots never seen accept everything."""
        table = np.ones((len(self.classes), 2, self._limit + 1, len(self.classes)), bool)
        for slot, accepted in self.accepts.items():
            if slot.place <= self._limit:
                table[slot.head, slot.side, slot.place] = False
                table[slot.head, slot.side, slot.place, sorted(accepted)] = True
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
        return cls(
            np.array(data["class_of"], np.int64),
            tuple(frozenset(Signature(*pair) for pair in known) for known in data["classes"]),
            {
                Slot(each["head"], ("left", "right").index(each["side"]), each["place"]): frozenset(each["classes"])
                for each in data["accepts"]
            },
        )
