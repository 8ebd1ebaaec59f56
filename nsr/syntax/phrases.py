"""A dependency parser as a phrase-structure grammar that lark reads.

A *unit* is a symbol with a signature. What a parser does shows in which units it puts into which places of which
others. If this alone leaves no choice, as levels of precedence leave none in arithmetic, it is the whole parser: each
set of units that fills a place is a rule, and symbols that have the same places and are in the same ones are one
terminal. :func:`check_deterministic` refuses what leaves a choice.

Shape letters: C trees, N tokens.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np
from lark import Lark
from lark.exceptions import LarkError

from nsr.arrays import set_bits, unique_rows
from nsr.errors import ExportError
from nsr.semantics.execution import Layout
from nsr.semantics.lexicon import Signature
from nsr.syntax.grammar import choice_left, summary


class Unit(NamedTuple):
    """A symbol, or the first one of several that parse alike, with certain dependents."""

    symbol: int
    signature: Signature


class Place(NamedTuple):
    """A dependent of a unit, counted from the left over both sides."""

    head: Unit
    rank: int


LITERAL = "literal"
ADVICE = "train on more pairs, in which more words stand together, or give the syntax (--syntax FILE.lark)"
ROOTS = None  # the place of no unit: the root of a tree
Places = Mapping[Place | None, frozenset[Unit]]  # the units that fill each place


def observe(symbols: np.ndarray, heads: np.ndarray, empty: np.ndarray) -> Places:
    """What fills the places of the units in trees.

    Args:
        symbols: shape (C, N).
        heads: position of each token's head, ROOT or ABSENT, shape (C, N).
        empty: whether a token's value is EMPTY, shape (C, N).
    """
    layout = Layout.of(heads)
    tree, node = np.nonzero(heads >= 0)
    right = layout.arity - layout.left
    rows = np.stack([symbols, layout.left, right, layout.blanks(empty), empty], axis=2).reshape(-1, 5)
    first, number = unique_rows(rows)
    number = number.reshape(heads.shape)
    units = [
        Unit(symbol, Signature(left, right, set_bits(blanks), bool(none)))
        for symbol, left, right, blanks, none in rows[first].tolist()
    ]
    filled = np.stack([number[tree, heads[tree, node]], layout.rank[tree, node], number[tree, node]], axis=1)
    places: dict[Place | None, set[Unit]] = defaultdict(set)
    for head, rank, dependent in filled[unique_rows(filled)[0]].tolist():
        places[Place(units[head], rank)].add(units[dependent])
    places[ROOTS] = {units[each] for each in np.unique(number[np.arange(len(heads)), layout.root]).tolist()}
    return {place: frozenset(found) for place, found in places.items()}


def probes(places: Places) -> list[tuple[int, ...]]:
    """Short sentences, as symbols, with each unit alone and in the places of each one, filled or not.

    A parser answers by them what it would do with units that the trees never show together.
    """
    shortest: dict[Unit, list[tuple[int, ...]]] = {}  # what stands in the places of a unit and, between them, itself
    units = {unit for filling in places.values() for unit in filling}
    while found := {unit: parts for unit in units - set(shortest) if (parts := _parts(unit, places, shortest))}:
        shortest |= found
    whole = {unit: sum(parts, ()) for unit, parts in sorted(shortest.items()) if not unit.signature.valueless}
    sentences = dict.fromkeys(whole.values())
    for unit in whole:
        left, right, empty, _ = unit.signature
        for rank in set(range(left + right)).difference(empty):
            index = rank + (rank >= left)
            parts = shortest[unit]
            for other in whole.values():
                sentences[sum([*parts[:index], other, *parts[index + 1 :]], ())] = None
    return list(sentences)


def _parts(unit: Unit, places: Places, known: Mapping[Unit, list[tuple[int, ...]]]) -> list[tuple[int, ...]] | None:
    """The shortest phrases known to fill a unit's places, with the unit between them; None if one has none."""
    parts = []
    for rank in range(unit.signature.left + unit.signature.right):
        filling = [sum(known[each], ()) for each in sorted(places[Place(unit, rank)]) if each in known]
        if not filling:
            return None
        parts.append(min(filling, key=len))
    parts.insert(unit.signature.left, (unit.symbol,))
    return parts


def merge(places: Places, literal: int | None) -> tuple[Places, dict[int, int]]:
    """Make one symbol of those that have the same places and are in the same ones.

    Args:
        places: what fills them.
        literal: a symbol that is merged with none.

    Returns:
        the places of the symbols that are left, and which of these each symbol has become.
    """
    uses: dict[Unit, set[Place | None]] = defaultdict(set)
    for place, units in places.items():
        for unit in units:
            uses[unit].add(place)
    habits: dict[int, set[Any]] = defaultdict(set)
    for unit, used in uses.items():
        signature = unit.signature
        inner = tuple(places[Place(unit, rank)] for rank in range(signature.left + signature.right))
        habits[unit.symbol].add((signature, inner, frozenset(used)))
    if literal in habits:
        habits[literal].add(LITERAL)
    first: dict[frozenset[Any], int] = {}
    became = {symbol: first.setdefault(frozenset(habits[symbol]), symbol) for symbol in sorted(habits)}

    def renamed(unit: Unit) -> Unit:
        return unit._replace(symbol=became[unit.symbol])

    left = {
        place and place._replace(head=renamed(place.head)): frozenset(map(renamed, units))
        for place, units in places.items()
    }
    return left, became


def write_grammar(places: Places, words: Mapping[int, Sequence[str]], literal: int | None) -> str:
    """The grammar as a lark file, in which a phrase is a ``word`` or a ``literal`` between its dependents.

    Args:
        places: what fills the places of units.
        words: those of each symbol.
        literal: the symbol of all other words; None if there are none.

    Raises:
        ExportError: a word has white space, or one without value has dependents or sometimes a value.
    """
    return _Writer(places, words, literal).grammar()


class _Writer:
    """Writes rules, one for each set of units that fills a place, and terminals; see :func:`write_grammar`."""

    def __init__(self, places: Places, words: Mapping[int, Sequence[str]], literal: int | None) -> None:
        self.places, self.words, self.literal = places, words, literal
        self.units = {unit for units in places.values() for unit in units}
        self.empty = {unit.symbol for unit in self.units if unit.signature.valueless}
        for unit in sorted(self.units):
            if unit.symbol in self.empty and unit.signature != Signature(0, 0, (), True):
                raise ExportError(f"{words[unit.symbol][0]!r} has no value, but has dependents or sometimes a value")
        self.names = dict(zip(words, _distinct(map(self._name, words)), strict=True))
        valued = {units for units in places.values() if not any(unit.symbol in self.empty for unit in units)}
        roots = places[ROOTS]
        self.sets = sorted(valued, key=lambda units: (units != roots, -len(units), sorted(units)))
        self.rules = {units: f"phrase{number}" if number else "start" for number, units in enumerate(self.sets)}

    def grammar(self) -> str:
        """The text of the file."""
        spaced = self.literal is not None or any(len(word) > 1 for words in self.words.values() for word in words)
        terminals = [self._terminal(symbol, spaced) for symbol in self.names]
        return "\n\n".join([*map(self._rule, self.sets), "\n".join(terminals), "%ignore /\\s+/"]) + "\n"

    def _rule(self, units: frozenset[Unit]) -> str:
        """The phrases of these units; those that are in smaller rules are left to these."""
        name, inner, rest = f"?{self.rules[units]}", [], units
        for other in sorted(self.sets, key=len, reverse=True):
            if other < units and other <= rest:
                inner.append(self.rules[other])
                rest -= other
        return f"{name}: " + f"\n{' ' * len(name)}| ".join([*inner, *map(self._phrase, sorted(rest))])

    def _phrase(self, unit: Unit) -> str:
        """A unit between what fills its places."""
        symbol, signature = unit
        places = [self._filling(Place(unit, rank)) for rank in range(signature.left + signature.right)]
        parts = [*places[: signature.left], self.names[symbol], *places[signature.left :]]
        return f"{' '.join(parts)} -> {'literal' if symbol == self.literal else 'word'}"

    def _filling(self, place: Place) -> str:
        """What fills a place: a rule, or words without value."""
        units = self.places[place]
        if units in self.rules:
            return self.rules[units]
        names = [self.names[unit.symbol] for unit in sorted(units)]
        return names[0] if len(names) == 1 else f"({' | '.join(names)})"

    def _name(self, symbol: int) -> str:
        """What the terminal of a symbol is called, by its first word; lark drops those that begin with ``_``."""
        word = LITERAL if symbol == self.literal else self.words[symbol][0]
        spelled = unicodedata.name(word, word) if len(word) == 1 and not word.isalnum() else word
        name = re.sub(r"[^A-Z0-9]+", "_", spelled.upper()).strip("_")
        return f"{'_' * (symbol in self.empty)}{name if name[:1].isalpha() else f'WORD_{name}'.rstrip('_')}"

    def _terminal(self, symbol: int, spaced: bool) -> str:
        """The words of a symbol, of which each ends at white space if they are spaced."""
        name = self.names[symbol]
        if symbol == self.literal:
            return f"{name}.-1: /\\S+/"
        for word in self.words[symbol]:
            if not word or re.search(r"\s", word):
                raise ExportError(f"the word {word!r} is empty or has white space; a lark grammar cannot tell it apart")
        words = " | ".join(json.dumps(word, ensure_ascii=False) for word in self.words[symbol])
        return f"{name}: ({words}) /(?!\\S)/" if spaced else f"{name}: {words}"


def _distinct(names: Iterable[str]) -> Iterator[str]:
    """The names, with numbers behind those that were there before."""
    seen: set[str] = set()
    for name in names:
        free = next(each for each in chain([name], (f"{name}_{number}" for number in count(2))) if each not in seen)
        seen.add(free)
        yield free


def check_deterministic(text: str) -> None:
    """Refuse a grammar that leaves a choice to its parser.

    Raises:
        ExportError: the message says between what.
    """
    try:
        choice = choice_left(Lark(text, parser="lalr"))
    except LarkError as error:
        choice = summary(error)
    if choice:
        raise ExportError(f"what the model learned leaves a choice, so no grammar is exported: {choice}; {ADVICE}")
