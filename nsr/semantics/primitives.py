"""Typed primitives: the functions that programs are built from, each with its inverse where it has one.

Abduction passes a wanted value down through programs, so a primitive may say which arguments give a wanted result.
A :class:`PrimitiveSet` is a named choice of primitives; it is what a task or a user tells the learner about the kind
of values there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from nsr.errors import ConfigError, did_you_mean
from nsr.semantics.values import MISSING, Sentinel, Value


class Type(Enum):
    """The types of values."""

    TOKEN = "token"
    LIST = "list"
    INT = "int"
    NOTHING = "nothing"  # of EMPTY

    @property
    def python(self) -> type:
        """The Python type that carries values of this type."""
        return {Type.TOKEN: str, Type.LIST: tuple, Type.INT: int, Type.NOTHING: Sentinel}[self]


Invert = Callable[[Value, Sequence[Value | None]], Iterable[tuple[Value, ...]]]


@dataclass(frozen=True, eq=False)
class Primitive:
    """A typed function; equal to itself only.

    ``apply`` takes defined values of the argument types and returns a value, or MISSING where it is undefined.
    ``invert(result, known)`` yields the argument tuples that give ``result``. What is known of them (``None`` where an
    argument is not) may be used to yield fewer, but need not be agreed with. It is ``None`` for a primitive that has
    too many to list.
    """

    name: str
    arguments: tuple[Type, ...]
    result: Type
    apply: Callable[..., Value]
    invert: Invert | None = None

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class PrimitiveSet:
    """A named choice of primitives.

    ``value_type`` is the type of every symbol's value. With ``recursion``, programs over lists may also fold them, see
    :class:`nsr.semantics.programs.Fold`, and those over numbers may call themselves and others, see ``Fix`` and
    ``Apply`` there.
    """

    name: str
    value_type: Type
    primitives: tuple[Primitive, ...]
    summary: str
    recursion: bool = False

    def __getitem__(self, name: str) -> Primitive:
        for primitive in self.primitives:
            if primitive.name == name:
                return primitive
        raise KeyError(name)

    def __contains__(self, name: str) -> bool:
        return any(primitive.name == name for primitive in self.primitives)


def _invert_cons(result: Value, known: Sequence[Value | None]) -> Iterable[tuple[Value, ...]]:
    if result:
        yield result[0], result[1:]


def _invert_append(result: Value, known: Sequence[Value | None]) -> Iterable[tuple[Value, ...]]:
    left, right = known
    if left is not None:
        cuts: Iterable[int] = [len(left)]
    elif right is not None:
        cuts = [len(result) - len(right)]
    else:
        cuts = range(len(result) + 1)
    for cut in cuts:
        if 0 <= cut <= len(result):
            yield result[:cut], result[cut:]


NIL = Primitive("nil", (), Type.LIST, lambda: (), lambda result, known: [()] if result == () else [])
CONS = Primitive("cons", (Type.TOKEN, Type.LIST), Type.LIST, lambda head, tail: (head, *tail), _invert_cons)
APPEND = Primitive("append", (Type.LIST, Type.LIST), Type.LIST, lambda left, right: left + right, _invert_append)
CAR = Primitive("car", (Type.LIST,), Type.TOKEN, lambda items: items[0] if items else MISSING)
CDR = Primitive("cdr", (Type.LIST,), Type.LIST, lambda items: items[1:] if items else MISSING)
REVERSE = Primitive(
    "reverse", (Type.LIST,), Type.LIST, lambda items: items[::-1], lambda result, known: [(result[::-1],)]
)
INCR = Primitive(
    "incr", (Type.INT,), Type.INT, lambda number: number + 1, lambda result, known: [(result - 1,)] if result else []
)
DECR0 = Primitive(
    "decr0",
    (Type.INT,),
    Type.INT,
    lambda number: max(number - 1, 0),
    lambda result, known: [(result + 1,)] if result else [(0,), (1,)],
)

PRIMITIVES: dict[str, PrimitiveSet] = {
    "list": PrimitiveSet(
        "list",
        Type.LIST,
        (NIL, CONS, APPEND, CAR, CDR),
        "lists of output tokens: nil, cons, append, car, cdr and the tokens of the output vocabulary as constants",
    ),
    "list-reverse": PrimitiveSet(
        "list-reverse",
        Type.LIST,
        (NIL, CONS, APPEND, CAR, CDR, REVERSE),
        "as list, and reverse",
    ),
    "list-recursive": PrimitiveSet(
        "list-recursive",
        Type.LIST,
        (NIL, CONS, APPEND, CAR, CDR),
        "as list, and structural recursion over lists",
        recursion=True,
    ),
    "int": PrimitiveSet(
        "int",
        Type.INT,
        (INCR, DECR0),
        "numbers from 0 on: 0, incr, decr0 (0 stays 0), if0 and recursion",
        recursion=True,
    ),
}


def primitive_set(name: str) -> PrimitiveSet:
    """The primitive set of this name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    if name not in PRIMITIVES:
        raise ConfigError(
            f"unknown primitives {name!r}; {did_you_mean(name, sorted(PRIMITIVES), 'sets')} "
            "(own ones must be registered in Python first, see nsr.register_primitives)"
        )
    return PRIMITIVES[name]
