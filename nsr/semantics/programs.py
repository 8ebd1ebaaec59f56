"""Programs: terms of a typed lambda calculus.

A program of arity n is a closed term ``λ x0 ... x(n-1). body``; only the body is kept and written, since the binders
follow from the arity. Programs are read and written by :mod:`nsr.semantics.notation`, and run by
:mod:`nsr.semantics.compilation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nsr.semantics.primitives import CONS, NIL, Primitive, Type
from nsr.semantics.values import Sentinel, Value

MAX_NUMBER = 10**18 - 1  # a number above this is MISSING; programs are written with 18 digits at most
MAX_SIZE = 128  # nodes of a term, and its depth (comparing terms takes 4 of 1000 levels of recursion a level)
MAX_TOTAL = 4096  # nodes of a term with those of the programs that it applies, each time that it does


@dataclass(frozen=True, slots=True)
class Argument:
    """``x0``, ``x1``, ...: the value of a dependent, counted from the left."""

    index: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A token of the output vocabulary, an integer, or EMPTY: the program of a word that contributes nothing."""

    value: str | int | Sentinel


@dataclass(frozen=True, slots=True)
class Self:
    """``self``: the token at the node itself, for words that denote themselves."""


@dataclass(frozen=True, slots=True)
class Call:
    """A primitive applied to terms."""

    primitive: Primitive
    arguments: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """``item``, in the step of a fold: the token that the step is about."""


@dataclass(frozen=True, slots=True)
class Rest:
    """``rest``, in the step of a fold: the value of the fold over the tokens behind ``item``."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Structural recursion over a list: ``start`` for no items, else ``step`` of the first item and the rest's value.

    The step is closed over ``item`` and ``rest``: no arguments, no ``self`` and no other fold are in it.
    """

    items: Term
    start: Term
    step: Term


@dataclass(frozen=True, slots=True)
class If0:
    """``then`` where ``test`` is worth 0, else ``otherwise``; only the branch that is taken is executed."""

    test: Term
    then: Term
    otherwise: Term


@dataclass(frozen=True, slots=True)
class Fix:
    """Recursion: the least function that is worth ``body``, in which :class:`Recur` calls it; outermost only.

    Its arguments are those of the program, so in the body ``x0`` and ``x1`` are what the call at hand is about.
    """

    body: Term


@dataclass(frozen=True, slots=True)
class Recur:
    """``(rec a b)``, in the body of :class:`Fix`: the function itself on other arguments."""

    arguments: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """``("+" a b)``: a program that was found before, under the name of the symbol it was found for.

    The name does not count when terms are compared: the program under it may be replaced meanwhile.
    """

    name: str = field(compare=False)
    program: Term
    arguments: tuple[Term, ...]


Term = Argument | Constant | Self | Call | Item | Rest | Fold | If0 | Fix | Recur | Apply


def subterms(term: Term) -> Iterator[Term]:
    """The term and everything inside it, outermost first; not what is inside the programs that it applies."""
    stack = [term]
    while stack:
        current = stack.pop()
        yield current
        match current:
            case Call(arguments=inner) | Recur(inner) | Apply(arguments=inner):
                stack.extend(reversed(inner))
            case Fold(items, start, step):
                stack.extend((step, start, items))
            case If0(test, then, otherwise):
                stack.extend((otherwise, then, test))
            case Fix(body):
                stack.append(body)


def size(term: Term) -> int:
    """Number of nodes."""
    return sum(1 for _ in subterms(term))


def extent(term: Term) -> tuple[int, int]:
    """Number of nodes and depth, with the programs that are applied counted each time."""
    known: dict[int, tuple[int, int]] = {}  # by identity: what is shared is looked at once
    stack = [term]
    while stack:
        current = stack[-1]
        match current:
            case Apply(_, program, arguments):
                inner = [program, *arguments]
            case Call(arguments=arguments) | Recur(arguments):
                inner = list(arguments)
            case Fold(items, start, step):
                inner = [items, start, step]
            case If0(test, then, otherwise):
                inner = [test, then, otherwise]
            case Fix(body):
                inner = [body]
            case _:
                inner = []
        waiting = [each for each in inner if id(each) not in known]
        if waiting:
            stack += waiting
            continue
        sizes, depths = zip(*(known[id(each)] for each in inner), strict=True) if inner else ((), ())
        known[id(stack.pop())] = 1 + sum(sizes), 1 + max(depths, default=0)
    return known[id(term)]


def applied(term: Term) -> Iterator[Apply]:
    """Where the term applies programs, and where these apply others in turn."""
    for inner in subterms(term):
        if isinstance(inner, Apply):
            yield inner
            yield from applied(inner.program)


def uses(term: Term, index: int) -> bool:
    """Whether argument ``index`` occurs in the term."""
    return any(isinstance(inner, Argument) and inner.index == index for inner in subterms(term))


def grounded(term: Term) -> bool:
    """Whether the term's value depends on the token at its node."""
    return any(isinstance(inner, Self) for inner in subterms(term))


def result_type(term: Term, argument_type: Type) -> Type:
    """The type of a term whose arguments are all of ``argument_type``."""
    match term:
        case Argument():
            return argument_type
        case Constant(value):
            return {str: Type.TOKEN, int: Type.INT, Sentinel: Type.NOTHING}[type(value)]
        case Self() | Item():
            return Type.TOKEN
        case Rest() | Fold():
            return Type.LIST
        case If0() | Fix() | Recur() | Apply():
            return Type.INT
        case Call(primitive):
            return primitive.result


def quote(value: Value) -> Term:
    """The term that denotes a value: ``(cons "A" (cons "B" nil))`` for the list A B."""
    if isinstance(value, tuple):
        term: Term = Call(NIL)
        for token in reversed(value):
            term = Call(CONS, (Constant(token), term))
        return term
    return Constant(value)
