"""What the tests of semantics share: random terms over the list primitives, all small terms, and what they mean."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import product

from hypothesis import strategies as st

from nsr.semantics.primitives import Primitive, PrimitiveSet, Type, primitive_set
from nsr.semantics.programs import Argument, Call, Constant, Fold, Item, Rest, Self, Term
from nsr.semantics.values import MISSING, Value

LISTS = primitive_set("list")
REVERSING = primitive_set("list-reverse")
RECURSIVE = primitive_set("list-recursive")
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
    """Well-typed terms of at most so many nodes; if grounded, ``self`` may occur in them, if recursive, folds."""

    def grow(kind: Type, budget: int, in_step: bool = False) -> Term:
        ends = leaves(kind, 0, tokens, False) + step_leaves[kind] if in_step else leaves(kind, arity, tokens, grounded)
        calls = [each for each in primitives.primitives if each.result is kind and 0 < len(each.arguments) < budget]
        folds = primitives.recursion and not in_step and kind is Type.LIST and budget > 3
        chosen = draw(st.sampled_from([*ends, *calls, *([Fold] if folds else [])]))
        if chosen is Fold:
            share = (budget - 1) // 3
            return Fold(grow(kind, share), grow(kind, share), grow(kind, share, in_step=True))
        if not isinstance(chosen, Primitive):
            return chosen
        share = (budget - 1) // len(chosen.arguments)
        return Call(chosen, tuple(grow(each, share, in_step) for each in chosen.arguments))

    step_leaves: dict[Type, list[Term]] = {Type.TOKEN: [Item()], Type.LIST: [Rest()]}

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
    """The value of a term, by the definition of the primitives; ``self`` is behind the arguments.

    The arguments of a step are its item and its rest.
    """
    match term:
        case Fold(items, start, step):
            ends = [interpret(each, arguments, max_length) for each in (items, start)]
            return MISSING if MISSING in ends or len(ends[0]) > max_length else recur(*ends, step, max_length)
        case Item():
            return arguments[0]
        case Rest():
            return arguments[1]
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


def recur(items: tuple[str, ...], start: Value, step: Term, max_length: int) -> Value:
    if not items:
        return start
    rest = recur(items[1:], start, step, max_length)
    return MISSING if rest is MISSING else interpret(step, (items[0], rest), max_length)


def run_text(program: str, arguments: list[tuple[str, ...]], itself: str = "") -> tuple[str, ...] | str:
    """A reference interpreter of the text of list programs: reads a term from the front and evaluates it.

    Args:
        program: the text; its tokens hold no blanks and no brackets.
        arguments: the values of x0, x1, ...
        itself: the value of ``self``.
    """
    words = program.replace("(", " ( ").replace(")", " ) ").split()
    functions = {
        "cons": lambda token, rest: (token, *rest),
        "append": lambda left, right: left + right,
        "car": lambda items: items[0],
        "cdr": lambda items: items[1:],
        "reverse": lambda items: items[::-1],
    }

    def term():
        word = words.pop(0)
        if word == "(":
            name, operands = words.pop(0), []
            while words[0] != ")":
                operands.append(term())
            words.pop(0)
            return functions[name](*operands)
        if word in ("nil", "self"):
            return () if word == "nil" else itself
        return json.loads(word) if word[0] == '"' else arguments[int(word[1:])]

    value = term()
    assert not words
    return value
