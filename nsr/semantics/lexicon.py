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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lark import Tree

from nsr.errors import ProgramError
from nsr.semantics.primitives import PrimitiveSet
from nsr.semantics.programs import Constant, Term, build_term, parse_text, position, read_string, to_text
from nsr.semantics.values import EMPTY


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

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self.entries

    def program(self, key: tuple[int, int]) -> Term | None:
        """The program of a key, or None."""
        entry = self.entries.get(key)
        return entry.program if entry else None

    def signatures(self, symbol: int) -> frozenset[Signature]:
        """All signatures of a symbol, over its arities; empty for a symbol that has no entry."""
        return frozenset(
            signature for key, entry in self.entries.items() if key.symbol == symbol for signature in entry.signatures
        )

    def to_text(self) -> str:
        """The lexicon as a file that :func:`parse_lexicon` reads; symbols in order of their ids."""
        lines = []
        library = {(self.symbols[key.symbol], key.arity, entry.program) for key, entry in self.entries.items()}
        for key in sorted(self.entries):
            entry = self.entries[key]
            for signature in sorted(entry.signatures):
                name = json.dumps(self.symbols[key.symbol], ensure_ascii=False)
                lines.append(f"{_frame(name, signature)} = {to_text(entry.program, library)}")
        return "\n".join(lines) + "\n"


def _frame(name: str, signature: Signature) -> str:
    """A symbol between its dependents: ``x0 "after" x1``."""
    arguments = (f"x{index}" for index in itertools.count())
    words = ["_" if place in signature.empty else next(arguments) for place in range(signature.left + signature.right)]
    return " ".join([*words[: signature.left], name, *words[signature.left :]])


def parse_lexicon(text: str, symbols: tuple[str, ...], primitives: PrimitiveSet, *, partial: bool = False) -> Lexicon:
    """Read the text form of a lexicon.

    Args:
        text: the lexicon.
        symbols: the name of each symbol id.
        primitives: what programs may be made of.
        partial: leave out the entries of other symbols.

    Raises:
        ProgramError: line and column of what is wrong: syntax, an unknown symbol or primitive, a wrong type,
            arguments out of order, two different programs for one symbol and arity, or programs that apply each other
            in a circle.
    """
    ids = {name: index for index, name in enumerate(symbols)}
    entries: dict[Key, Entry] = {}
    trees = parse_text(text, "lexicon").children
    library = _Library(trees, primitives)
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
        if name not in ids:
            raise ProgramError(f"{position(symbol)}: unknown symbol {symbol}")
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
    """The programs of a lexicon's entries by name and number of arguments, read when they are asked for.

    Args:
        trees: the entries.
        primitives: what programs may be made of.
    """

    def __init__(self, trees: Sequence[Tree], primitives: PrimitiveSet) -> None:
        self.primitives = primitives
        self.found: dict[tuple[str, int], Term | None] = {}  # None while an entry is being read
        self.bodies: dict[tuple[str, int], Tree] = {}
        for tree in trees:
            *head, body = tree.children
            name = next(token for token in head if token.type == "STRING")
            arity = sum(token.type == "ARGUMENT" for token in head)
            self.bodies.setdefault((read_string(name), arity), body)

    def __call__(self, name: str, arity: int) -> Term | None:
        """The program of this name with so many arguments; None if there is none.

        Raises:
            ProgramError: it needs itself.
        """
        key = name, arity
        if key not in self.bodies:
            return None
        if key in self.found and self.found[key] is None:
            raise ProgramError(f"{position(self.bodies[key].meta)}: the program of {name!r} needs itself; use rec")
        if key not in self.found:
            self.found[key] = None
            self.found[key] = build_term(self.bodies[key], self.primitives, arity, self)
        return self.found[key]
