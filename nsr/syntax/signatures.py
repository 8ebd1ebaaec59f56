"""The learned dependency grammar: which trees the lexicon licenses.

A symbol's class is the set of its signatures in the lexicon; symbols of one class parse alike, also those never seen
in context. The grammar says for each class how many dependents it takes on each side, and for each slot (class, side,
place) which classes of dependents it accepts. It masks transitions that no licensed tree contains, so the network only
decides what is left open.

Shape letters: R rows, S symbols, K classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nsr.arrays import present
from nsr.semantics.execution import ABSENT, Layout
from nsr.semantics.lexicon import MAX_DEPENDENTS, Lexicon, Signature
from nsr.syntax.transitions import NONE, Action, Configurations, Order

UNKNOWN_CLASS = 0  # the class of symbols that have no entry yet: anything goes


class Slot(NamedTuple):
    """An argument place: dependents are counted outwards from the head on each side."""

    head: int  # class
    side: int  # 0 left, 1 right
    place: int  # 0 next to the head


class _Tokens(NamedTuple):
    """A token of each row, in arrays of shape (R,).

    Attributes:
        kind: its class.
        left, right: how many dependents it has on each side, up to the limit.
        state: index into tables of (class, left, right).
        waiting_left, waiting_right: whether the last one on that side is a separator, which wants another behind it.
    """

    kind: np.ndarray
    left: np.ndarray
    right: np.ndarray
    state: np.ndarray
    waiting_left: np.ndarray | np.bool_
    waiting_right: np.ndarray | np.bool_

    @property
    def waiting(self) -> np.ndarray | np.bool_:
        """Whether another dependent must follow."""
        return self.waiting_left | self.waiting_right


@dataclass(frozen=True)
class DependencyGrammar:
    """Signatures by class, and the classes each slot accepts.

    Attributes:
        class_of: class of each symbol, shape (S,); UNKNOWN_CLASS for a symbol without entry.
        classes: the signatures of each class; class 0 has none.
        accepts: for each slot that was seen, the classes of its dependents.
        between: whether words without value are separators, which stand between two arguments of their head.
        most: how many arguments symbols without entry may have; None for no limit.
    """

    class_of: np.ndarray
    classes: tuple[frozenset[Signature], ...]
    accepts: Mapping[Slot, frozenset[int]] = field(default_factory=dict)
    between: bool = False
    most: int | None = None

    @classmethod
    def of(cls, lexicon: Lexicon, between: bool = False, most: int | None = None) -> DependencyGrammar:
        """The grammar of a lexicon's signatures; its slots accept everything until :meth:`observe`."""
        signatures = lexicon.signatures
        known = sorted({each for each in signatures if each}, key=sorted)
        numbers = {each: number for number, each in enumerate(known, start=1)}
        class_of = np.array([numbers.get(each, UNKNOWN_CLASS) for each in signatures], np.int64)
        return cls(class_of, (frozenset(), *known), between=between, most=most)

    def extended(self, symbols: int) -> DependencyGrammar:
        """The same grammar with more symbols, behind the others, of which nothing is known; ``symbols`` counts all."""
        return replace(self, class_of=np.pad(self.class_of, (0, symbols - len(self.class_of))))

    def observe(self, symbols: np.ndarray, heads: np.ndarray, weights: np.ndarray, share: float) -> DependencyGrammar:
        """The same grammar with slots that accept the classes seen in these trees.

        Args:
            symbols, heads: trees, shape (C, N).
            weights: weight of each tree, shape (C,).
            share: a class is accepted if it fills at least this share of the slot's occurrences.
        """
        tree, node = np.nonzero(heads >= 0)
        head = heads[tree, node]
        side, place = Layout.of(heads).slots(tree, node)
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
        return replace(self, accepts=accepts)

    def kinds(self) -> np.ndarray:
        """A number for each symbol: that of its class, but words without value each have their own; shape (S,)."""
        own = self._empty[self.class_of]
        return np.where(own, len(self.classes) + np.cumsum(own) - 1, self.class_of)

    def mask(self, symbols: np.ndarray, configurations: Configurations, takers: np.ndarray) -> np.ndarray:
        """Which transitions may lead to a licensed tree, shape (R, 3); combine with ``configurations.valid()``.

        Args:
            symbols: the sentence of each row, shape (R, N).
            configurations: one a row.
            takers: what :meth:`last_takers` says of the sentences, shape (R,).
        """
        top, below = (self._tokens(symbols, configurations, place) for place in range(2))
        complete, (left_open, right_open) = self._complete, self._open[configurations.order].reshape(2, -1)
        top_complete, below_complete = (complete.take(token.state) for token in (top, below))
        following = self.class_of[symbols[np.arange(len(configurations)), np.maximum(configurations.ahead(0), 0)]]
        allowed = np.empty((3, len(configurations)), bool).T
        # Who is covered by a shifted token is complete and waits for a head behind it, or still takes right
        # dependents: then the shifted token is one of them, unless it waits for a head behind it.
        allowed[:, Action.SHIFT] = (
            (configurations.depth == 0)
            | (top_complete & ~top.waiting & self._led[top.kind] & (configurations.buffer <= takers))
            | (
                right_open.take(top.state)
                & (
                    (self._led[following] & (configurations.buffer < takers))
                    | self._accepts(1, top.kind, top.right, following)
                )
                & ~(top.waiting_right & self._separates[following])
            )
        )
        allowed[:, Action.LEFT_ARC] = (
            below_complete
            & ~below.waiting
            & left_open.take(top.state)
            & self._accepts(0, top.kind, top.left, below.kind)
        )
        allowed[:, Action.RIGHT_ARC] = (
            top_complete
            & ~top.waiting
            & right_open.take(below.state)
            & self._accepts(1, below.kind, below.right, top.kind)
        )
        if self.loose:
            allowed[:, Action.LEFT_ARC] &= ~(top.waiting_left & self._separates[below.kind])
            allowed[:, Action.RIGHT_ARC] &= ~(below.waiting_right & self._separates[top.kind])
            if configurations.order is Order.LATE:  # who takes left dependents has all right ones, and vice versa
                allowed[:, Action.LEFT_ARC] &= ~top.waiting_right
            else:
                allowed[:, Action.RIGHT_ARC] &= ~below.waiting_left
        if self.most is not None:
            allowed[:, Action.LEFT_ARC] &= (
                self._may_take(symbols, configurations, top.kind, 0) | self._empty[below.kind]
            )
            allowed[:, Action.RIGHT_ARC] &= (
                self._may_take(symbols, configurations, below.kind, 1) | self._empty[top.kind]
            )
        if symbols.shape[1] > MAX_DEPENDENTS + 1:
            allowed[:, Action.LEFT_ARC] &= _dependents(configurations, 0) < MAX_DEPENDENTS
            allowed[:, Action.RIGHT_ARC] &= _dependents(configurations, 1) < MAX_DEPENDENTS
        # the last transition leaves the root, which must be complete with it
        last = np.flatnonzero((configurations.depth == 2) & (configurations.buffer == configurations.lengths))
        allowed[last, Action.LEFT_ARC] &= complete[top.kind[last], top.left[last] + 1, top.right[last]]
        allowed[last, Action.LEFT_ARC] &= ~self._separates[below.kind[last]]
        allowed[last, Action.RIGHT_ARC] &= complete[below.kind[last], below.left[last], below.right[last] + 1]
        allowed[last, Action.RIGHT_ARC] &= ~self._separates[top.kind[last]]
        alone = np.flatnonzero((configurations.depth == 0) & (configurations.lengths == 1))
        kind = self.class_of[symbols[alone, 0]]
        allowed[alone, Action.SHIFT] = complete[kind, 0, 0] & ~self._separates[kind]
        return allowed

    def _tokens(self, symbols: np.ndarray, configurations: Configurations, place: int) -> _Tokens:
        """The tokens ``place`` below the top."""
        token = np.maximum(configurations.top(place), 0)
        left = np.minimum(configurations.at(configurations.left, token), self._limit)
        right = np.minimum(configurations.at(configurations.right, token), self._limit)
        start = np.arange(len(symbols)) * symbols.shape[1]
        kind = self.class_of.take(symbols.take(start + token))
        waiting = [np.False_] * 2
        if self.loose:
            last = configurations.at(configurations.children, token)[:, [0, 2]]
            separates = self._separates[self.class_of[symbols.take(start[:, None] + last)]]
            waiting = list((separates & (last != NONE)).T)
        return _Tokens(kind, left, right, (kind * self._size + left) * self._size + right, *waiting)

    def _accepts(self, side: int, head: np.ndarray, place: np.ndarray, dependent: np.ndarray) -> np.ndarray:
        """Whether slots accept dependents, all given by class; shape (R,)."""
        return self._accepted[side].take((head * self._size + place) * len(self.classes) + dependent)

    def last_takers(self, symbols: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The last position of a token that may take left dependents, -1 where there is none; shape (R,)."""
        takes = self._takes
        if not takes.any():
            return np.full(len(symbols), -1)
        here = takes[symbols] & present(lengths, symbols.shape[1])
        return np.where(here.any(axis=1), here.shape[1] - 1 - here[:, ::-1].argmax(axis=1), -1)

    def _may_take(
        self, symbols: np.ndarray, configurations: Configurations, kind: np.ndarray, place: int
    ) -> np.ndarray:
        """Whether the token ``place`` below the top, of this class, may have one more argument; shape (R,)."""
        may = kind != UNKNOWN_CLASS
        rows = np.flatnonzero(~may)
        taken = configurations.heads[rows] == configurations.top(place)[rows, None]
        taken &= ~self._empty[self.class_of[symbols[rows, : taken.shape[1]]]]
        may[rows] = taken.sum(axis=1) < self.most
        return may

    def licensed(self, symbols: np.ndarray, layout: Layout) -> np.ndarray:
        """Whether every token of each tree has a signature of its class, and separators separate; shape (C,)."""
        limit = self._limit
        left = np.minimum(layout.left, limit)
        right = np.minimum(layout.arity - layout.left, limit)
        here = layout.heads != ABSENT
        fine = (self._complete[self.class_of[symbols], left, right] | ~here).all(axis=1)
        return fine & self.separated(symbols, layout)

    def separated(self, symbols: np.ndarray, layout: Layout) -> np.ndarray:
        """Whether all separators of each tree stand between two arguments of their heads; shape (C,)."""
        separator = self._separates[self.class_of[symbols]] & (layout.heads != ABSENT)
        fine = np.ones(len(symbols), bool)
        tree, node = np.nonzero(separator)
        head, rank = layout.heads[tree, node], layout.rank[tree, node]
        fine[tree[head < 0]] = False
        siblings = layout.heads[tree] == np.maximum(head, 0)[:, None]
        siblings &= ~separator[tree]
        ranks = layout.rank[tree]
        before, behind = ranks == rank[:, None] - 1, ranks == rank[:, None] + 1
        fine[tree[~((siblings & before).any(axis=1) & (siblings & behind).any(axis=1))]] = False
        return fine

    @cached_property
    def _limit(self) -> int:
        """One more than the most dependents that any class takes on one side."""
        return 1 + max(
            (max(signature.left, signature.right) for known in self.classes for signature in known), default=0
        )

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
            for left, right, *_ in signatures:
                table[number, left, right] = True
        return table

    @cached_property
    def _open(self) -> dict[Order, np.ndarray]:
        """Whether a class may take one more dependent on the left (0) or right (1), shape (2, K, size, size)."""
        tables = {order: np.zeros((2, *self._complete.shape), bool) for order in Order}
        for order, table in tables.items():
            table[:, UNKNOWN_CLASS] = True
            for number, signatures in enumerate(self.classes):
                for left, right, *_ in signatures:  # the side that is taken second opens when the first is full
                    if order is Order.LATE:
                        table[0, number, :left, right] = True
                        table[1, number, 0, :right] = True
                    else:
                        table[0, number, :left, 0] = True
                        table[1, number, left, :right] = True
        return tables

    @cached_property
    def _empty(self) -> np.ndarray:
        """Whether the value of words of a class is always EMPTY, shape (K,)."""
        return np.array([bool(known) and all(each.valueless for each in known) for known in self.classes])

    @cached_property
    def _separates(self) -> np.ndarray:
        """Whether the words of a class are separators, shape (K,)."""
        return self._empty & self.between

    @cached_property
    def loose(self) -> bool:
        """Whether separators must be watched: for some symbol, signatures do not tell where they stand."""
        used = [self.classes[number] for number in np.unique(self.class_of).tolist()]
        told = all(len(known) == 1 or (known and not any(each.empty for each in known)) for known in used)
        return self.between and bool(self._separates.any()) and not told

    @cached_property
    def _takes(self) -> np.ndarray:
        """Whether a symbol may take left dependents, shape (S,)."""
        return self._open[Order.EARLY][0].any(axis=(1, 2))[self.class_of]

    @cached_property
    def _led(self) -> np.ndarray:
        """Whether there may be a word that takes words of a class as left dependents, shape (K,)."""
        takers = np.unique(self.class_of)
        return (self._open[Order.EARLY][0].any(axis=2)[..., None] & self._accepted[0])[takers].any(axis=(0, 1))

    @cached_property
    def _accepted(self) -> np.ndarray:
        """Whether a slot (side, head, place) accepts a class, shape (2, K, size, K); slots never seen accept all."""
        table = np.ones((2, len(self.classes), self._size, len(self.classes)), bool)
        for number, signatures in enumerate(self.classes[1:], start=1):
            valued, empty = np.zeros((2, 2, self._size), bool)  # whether a place may have a dependent of that kind
            for signature in signatures:
                for index in range(signature.left + signature.right):
                    side = int(index >= signature.left)
                    place = index - signature.left if side else signature.left - 1 - index
                    (empty if index in signature.empty else valued)[side, place] = True
            table[:, number] = np.where(self._empty, empty[..., None], valued[..., None])
        for slot, accepted in self.accepts.items():
            if slot.place < self._size:
                table[slot.side, slot.head, slot.place] &= np.isin(np.arange(len(self.classes)), sorted(accepted))
        table[..., UNKNOWN_CLASS] = True
        return table

    def to_json(self) -> dict[str, Any]:
        """The grammar as plain data."""
        return {
            "class_of": self.class_of.tolist(),
            "classes": [sorted(map(list, known)) for known in self.classes],
            "between": self.between,
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
    def from_json(cls, data: dict[str, Any]) -> DependencyGrammar:
        """The inverse of :meth:`to_json`, which leaves ``most`` out.

        Raises:
            KeyError, OverflowError, TypeError, ValueError: the data are of something else.
        """
        accepts = {
            Slot(_whole(each["head"]), ("left", "right").index(each["side"]), _whole(each["place"])): frozenset(
                map(_whole, each["classes"])
            )
            for each in data["accepts"]
        }
        classes = tuple(
            frozenset(
                Signature(_whole(left), _whole(right), tuple(map(_whole, empty)), bool(valueless))
                for left, right, empty, valueless in known
            )
            for known in data["classes"]
        )
        class_of = np.array(list(map(_whole, data["class_of"])), np.int64)
        used = frozenset(class_of.tolist()).union((slot.head for slot in accepts), *accepts.values())
        if not used <= frozenset(range(len(classes))) or any(slot.place < 0 for slot in accepts):
            raise ValueError("a class or place does not exist")
        return cls(class_of, classes, accepts, bool(data["between"]))


def _whole(number: Any) -> int:
    """A number of a file; raises TypeError if it is not whole."""
    if type(number) is not int:
        raise TypeError(f"{number!r} is not a whole number")
    return number


def _dependents(configurations: Configurations, place: int) -> np.ndarray:
    """How many dependents the token ``place`` below the top has so far, shape (R,)."""
    token = np.maximum(configurations.top(place), 0)
    return configurations.at(configurations.left, token) + configurations.at(configurations.right, token)
