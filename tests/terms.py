"""What the tests of semantics share: random terms over the list primitives, all small terms, and what they mean."""

from collections.abc import Iterator
from functools import cache
from itertools import product

from hypothesis import strategies as st

from nsr.semantics.primitives import Primitive, PrimitiveSet, Type, primitive_set
from nsr.semantics.programs import Argument, Call, Constant, Self, Term
from nsr.semantics.values import MISSING, Value

LISTS = primitive_set("list")
REVERSING = primitive_set("list-reverse")
TOKENS = ("A", "B")

lists = st.lists(st.sampled_from(TOKENS), max_size=4).map(tuple)


def leaves(kind: Type, arity: int, tokens: tuple[str, ...], grounded: bool) -> list[Term]:
    if kind is Type.TOKEN:
        return [*map(Constant, tokens), *([Self()] if grounded else [])]
    return [Call(LISTS["nil"]), *(Argument(index) for index in range(arity))]


@st.composite
def terms(
    draw,
    arity: int,
    most: int = 15,
    tokens: tuple[str, ...] = TOKENS,
    primitives: PrimitiveSet = LISTS,
    grounded: bool = False,
) -> Term:
    """Well-typed terms of at most so many nodes; if grounded, ``self`` may occur in them."""

    def grow(kind: Type, budget: int) -> Term:
        calls = [each for each in primitives.primitives if each.result is kind and 0 < len(each.arguments) < budget]
        chosen = draw(st.sampled_from([*leaves(kind, arity, tokens, grounded), *calls]))
        if not isinstance(chosen, Primitive):
            return chosen
        share = (budget - 1) // len(chosen.arguments)
        return Call(chosen, tuple(grow(each, share) for each in chosen.arguments))

    return grow(Type.LIST, draw(st.integers(1, most)))


@cache
def terms_of_size(
    size: int,
    arity: int,
    tokens: tuple[str, ...] = TOKENS,
    kind: Type = Type.LIST,
    primitives: PrimitiveSet = LISTS,
    grounded: bool = False,
) -> list[Term]:
    """All well-typed terms of this size, whatever they are worth."""
    if size == 1:
        return leaves(kind, arity, tokens, grounded)
    return [
        Call(primitive, parts)
        for primitive in primitives.primitives
        if primitive.result is kind
        for sizes in product(range(1, size), repeat=len(primitive.arguments))
        if sum(sizes) == size - 1
        for parts in product(
            *(
                terms_of_size(part, arity, tokens, each, primitives, grounded)
                for part, each in zip(sizes, primitive.arguments, strict=True)
            )
        )
    ]


def lists_up_to(length: int) -> Iterator[tuple[str, ...]]:
    for count in range(length + 1):
        yield from product(TOKENS, repeat=count)


def interpret(term: Term, arguments: tuple[Value, ...], max_length: int = 10_000) -> Value:
    """The value of a term, by the definition of the primitives; ``self`` is behind the arguments."""
    match term:
        case Argument(index):
            return arguments[index]
        case Constant(value):
            return value
        case Self():
            return arguments[-1]
    parts = [interpret(each, arguments, max_length) for each in term.arguments]
    match term.primitive.name, parts:
        case "car", [(head, *_)]:
            return head
        case "cdr", [(_, *tail)]:
            value = tail
        case "cons", [str(head), tuple(tail)]:
            value = [head, *tail]
        case "reverse", [tuple(items)]:
            value = list(reversed(items))
        case "nil" | "append", parts if MISSING not in parts:
            value = sum(parts, ())
        case _:
            return MISSING
    return tuple(value) if len(value) <= max_length else MISSING
