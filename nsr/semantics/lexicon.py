"""The lexicon: what each symbol means for each number of dependents, and on which sides those dependents stand.

Programs are keyed by (symbol, arity), so arity is learned: a symbol has the arities for which it has an entry. A
lexicon is immutable; learning makes a new one. Its text form, ``lexicon.nsr``, is meant to be read and edited:

    "jump" = (cons "I_JUMP" nil)
    x0 "left" = (cons "I_TURN_LEFT" x0)
    x0 "after" x1 = (append x1 x0)
    "prepend" x0 _ x1 = (append x1 x0)

``_`` is a dependent that contributes nothing, such as a comma: its own program is ``empty``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lark import Tree

from nsr.errors import ProgramError
from nsr.semantics.notation import build_term, parse_text, position, read_string, to_text
from nsr.semantics.primitives import PrimitiveSet
from nsr.semantics.programs import Constant, Term
from nsr.semantics.values import EMPTY

MAX_DEPENDENTS = 32  # the parser's tables grow with the square of it


class Key(NamedTuple):
    """What owns a program: a symbol (its id) with a number of dependents."""

    symbol: int
    arity: int


class Signature(NamedTuple):
    """What a symbol takes and gives.

    Attributes:
        left, right: how many dependents stand on each side.
        empty: the places, counted from the left over both sides, of those whose value is EMPTY.
        valueless: whether the symbol's own value is EMPTY.
    """

    left: int
    right: int
    empty: tuple[int, ...] = ()
    valueless: bool = False

    @property
    def arity(self) -> int:
        """Number of arguments: of dependents that have a value."""
        return self.left + self.right - len(self.empty)


@dataclass(frozen=True)
class Entry:
    """The program of a key.

    Attributes:
        program: the term.
        signatures: where the dependents have been seen to stand.
        agreement: share of the key's evidence that the program explains, 0 to 1.
        support: weight of that evidence (about: number of nodes in training trees).
    """

    program: Term
    signatures: frozenset[Signature]
    agreement: float = 1.0
    support: float = 0.0


@dataclass(frozen=True)
class Lexicon:
    """Entries by key; ``symbols`` gives each symbol id its name."""

    symbols: tuple[str, ...]
    entries: Mapping[Key, Entry] = field(default_factory=dict)

    @property
    def uses(self) -> dict[Key, tuple[Term, frozenset[Signature]]]:
        """The program of each key and where the dependents stand, without agreement and support."""
        return {key: (entry.program, entry.signatures) for key, entry in self.entries.items()}

    @property
    def known(self) -> frozenset[int]:
        """The symbols that have a program, for whatever number of arguments."""
        return frozenset(key.symbol for key in self.entries)

    @property
    def valueless(self) -> list[int]:
        """The words without value."""
        return [key.symbol for key, entry in self.entries.items() if entry.program == Constant(EMPTY)]

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self.entries

    def program(self, key: tuple[int, int]) -> Term | None:
        """The program of a key, or None."""
        entry = self.entries.get(Key(*key))
        return entry.program if entry else None

    @property
    def signatures(self) -> list[frozenset[Signature]]:
        """All signatures of each symbol, over its arities; empty for a symbol that has no entry."""
        found: list[set[Signature]] = [set() for _ in self.symbols]
        for key, entry in self.entries.items():
            found[key.symbol] |= entry.signatures
        return [frozenset(each) for each in found]

    def to_text(self) -> str:
        """The lexicon as a file that :func:`parse_lexicon` reads; symbols in order of their ids."""
        return self.format(lambda program, text: text)

    def format(self, spell: Callable[[Term, str], str]) -> str:
        """The lexicon with what ``spell`` makes of each program and its text in the place of the text."""
        lines = []
        library = {(self.symbols[key.symbol], key.arity, entry.program) for key, entry in self.entries.items()}
        for key in sorted(self.entries):
            entry = self.entries[key]
            name = json.dumps(self.symbols[key.symbol], ensure_ascii=False)
            text = spell(entry.program, to_text(entry.program, library))
            lines += [f"{_frame(name, signature)} = {text}" for signature in sorted(entry.signatures)]
        return "\n".join(lines) + "\n"


def _frame(name: str, signature: Signature) -> str:
    """A symbol between its dependents: ``x0 "after" x1``."""
    arguments = (f"x{index}" for index in itertools.count())
    words = ["_" if place in signature.empty else next(arguments) for place in range(signature.left + signature.right)]
    return " ".join([*words[: signature.left], name, *words[signature.left :]])


def parse_lexicon(
    text: str, symbols: tuple[str, ...] | None, primitives: PrimitiveSet, *, partial: bool = False
) -> Lexicon:
    """Read the text form of a lexicon.

    Args:
        text: the lexicon.
        symbols: the name of each symbol id; None for those that the text names, in its order.
        primitives: what programs may be made of.
        partial: leave out the entries of other symbols.

    Raises:
        ProgramError: line and column of what is wrong: syntax, an unknown symbol or primitive, a wrong type,
            arguments out of order, too many dependents, two different programs for one symbol and arity, or programs
            that apply each other in a circle.
    """
    entries: dict[Key, Entry] = {}
    trees = parse_text(text, "lexicon").children
    library = _Library(trees, primitives)
    symbols = tuple(dict.fromkeys(name for name, _ in library.bodies)) if symbols is None else symbols
    ids = {name: index for index, name in enumerate(symbols)}
    head: list[Any]
    for tree in trees:
        *head, body = tree.children
        left = next(place for place, token in enumerate(head) if token.type == "STRING")
        symbol, dependents = head[left], head[:left] + head[left + 1 :]
        empty = tuple(place for place, token in enumerate(dependents) if token.type == "BLANK")
        arguments = [token for token in dependents if token.type != "BLANK"]
        for index, argument in enumerate(arguments):
            if argument != f"x{index}":
                raise ProgramError(f"{position(argument)}: arguments must be numbered x0, x1, ... from left to right")
        name, arity = read_string(symbol), len(arguments)
        if name not in ids and partial:
            continue
        if len(dependents) > MAX_DEPENDENTS:
            raise ProgramError(f"{position(symbol)}: {symbol} has more than {MAX_DEPENDENTS} dependents")
        if name not in ids:
            raise ProgramError(f"{position(symbol)}: unknown symbol {symbol}")
        library.prepare(body)
        program = build_term(body, primitives, arity, library)
        signature = Signature(left, len(dependents) - left, empty, valueless=program == Constant(EMPTY))
        key, signatures = Key(ids[name], arity), frozenset({signature})
        if key in entries:
            if entries[key].program != program:
                raise ProgramError(f"{position(symbol)}: {symbol} has another program of {arity} arguments already")
            signatures |= entries[key].signatures
        entries[key] = Entry(program, signatures)
    return Lexicon(symbols, entries)


class _Library:
    """The programs of a lexicon's entries by name and number of arguments.

    Args:
        trees: the entries.
        primitives: what programs may be made of.
    """

    def __init__(self, trees: Sequence[Tree[Any]], primitives: PrimitiveSet) -> None:
        self.primitives = primitives
        self.programs: dict[tuple[str, int], Term] = {}
        self.bodies: dict[tuple[str, int], Tree[Any]] = {}
        head: list[Any]
        for tree in trees:
            *head, body = tree.children
            name = next(token for token in head if token.type == "STRING")
            arity = sum(token.type == "ARGUMENT" for token in head)
            self.bodies.setdefault((read_string(name), arity), body)

    def __call__(self, name: str, arity: int) -> Term | None:
        """The program of this name with so many arguments, if it is one that :meth:`prepare` has read."""
        return self.programs.get((name, arity))

    def prepare(self, body: Tree[Any]) -> None:
        """Read all programs that the text of a program applies, and those that these apply, innermost first.

        Raises:
            ProgramError: one of them is wrong, or needs itself.
        """
        for first in self._applied(body):
            opened = {first: self._applied(self.bodies[first])}  # in order, each with what it still needs
            while opened:
                key = next(reversed(opened))
                needed = next(opened[key], None)
                if needed is None:
                    self.programs[key] = build_term(self.bodies[key], self.primitives, key[1], self)
                    del opened[key]
                elif needed in opened:
                    where = position(self.bodies[needed].meta)
                    raise ProgramError(f"{where}: the program of {needed[0]!r} needs itself; use rec")
                else:
                    opened[needed] = self._applied(self.bodies[needed])

    def _applied(self, body: Tree[Any]) -> Iterator[tuple[str, int]]:
        """What it applies that is there and has not been read yet."""
        for tree in body.find_data("apply"):
            name: Any = tree.children[0]
            key = read_string(name), len(tree.children) - 1
            if key in self.bodies and key not in self.programs:
                yield key
