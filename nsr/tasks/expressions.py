"""The expressions of HINT: how they are drawn, written and worth.

Li, Huang, Chen, Zhu and Zhu (2021), A HINT from arithmetic: on systematic generalization of perception, syntax, and
semantics, https://arxiv.org/abs/2103.01403. :func:`draw` repeats the published draw call for call, so it gives the
published expressions in their order.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nsr.gss import ROOT
from nsr.tasks.packed import PackedNumbers, PackedTokens

SEED = 12306
MOST_OPERATORS = 20
TRAIN_OPERATORS = 10  # no training expression has more
TRAIN_LARGEST = 100  # nor a larger intermediate value
LARGEST = 10_000
OPEN, CLOSE = "(", ")"

DIGITS = {**{str(number): number for number in range(10)}, "x": 11, "y": 12}
OPERATORS: dict[str, Callable[[int, int], int | None]] = {
    "+": lambda i, j: i + j,
    "-": lambda i, j: max(0, i - j),
    "*": lambda i, j: i * j,
    "/": lambda i, j: -(-i // j) if j else None,
    "a": max,
    "b": min,
    "c": lambda i, j: -(-(i + j) // 2),
    "d": lambda i, j: -(-2 * i * j // (i + j)) if i + j else None,
}
BINDING = {**dict.fromkeys("+-ab", 0), **dict.fromkeys("*/cd", 1)}
CONCEPTS = ("x", "y", "a", "b", "c", "d")
VOCABULARY = (*DIGITS, *OPERATORS, OPEN, CLOSE)
SYMBOLS = tuple(symbol for symbol in VOCABULARY if symbol not in CONCEPTS)  # those that there are images of


class Wanted(NamedTuple):
    """How many expressions of each number of operators are wanted."""

    train: int
    validation: int
    test: int


PUBLISHED = Wanted(100_000, 100, 1_000)
FEW_SHOT = Wanted(100, 10, 100)


class Drawn(NamedTuple):
    """An expression in prefix notation, what it is worth, and its largest intermediate value."""

    prefix: str
    value: int
    largest: int


class Expressions(NamedTuple):
    """Drawn expressions, packed: tokens in infix notation, values, and largest intermediate values, shape (B,)."""

    tokens: PackedTokens
    values: PackedNumbers
    largest: np.ndarray


def draw(concept: str = "") -> dict[str, Expressions]:
    """The published expressions, or those of a few-shot concept: ``train``, ``validation`` and ``test``."""
    generator = _Generator(concept)
    parts: dict[str, list[Drawn]] = {"train": [], "validation": [], "test": []}
    wanted = FEW_SHOT if concept else PUBLISHED
    for operators in range(MOST_OPERATORS + 1):
        if operators == 0 and concept in OPERATORS:
            continue
        trained = wanted.train if operators <= TRAIN_OPERATORS else 0
        small = generator.pool(operators, 0, TRAIN_LARGEST, trained + wanted.validation + wanted.test)
        large = generator.pool(operators, TRAIN_LARGEST + 1, LARGEST, wanted.validation + wanted.test)
        if len(small) < trained:
            repeats = {0: 2_000, 1: 200}.get(operators) if not concept else None
            repeated = small * (repeats or -(-trained // len(small)))
            small = repeated if repeats else repeated[:trained]
        train, rest = small[:trained], small[trained:]
        parts["train"] += train
        parts["validation"] += train[: len(train) * wanted.validation // wanted.train] + rest[: wanted.validation]
        parts["test"] += train[: len(train) * wanted.test // wanted.train] + rest[wanted.validation :]
        parts["validation"] += large[: wanted.validation]
        parts["test"] += large[wanted.validation :]
    return {part: pack(found) for part, found in parts.items()}


def pack(drawn: Sequence[Drawn]) -> Expressions:
    """Expressions in infix notation, in arrays."""
    tokens = PackedTokens.of(VOCABULARY, (infix(each.prefix) for each in drawn))
    numbers = np.array([(each.value, each.largest) for each in drawn], np.int32).reshape(-1, 2)
    return Expressions(tokens, PackedNumbers(numbers[:, 0].copy()), numbers[:, 1].copy())


class _Generator:
    """Python's Mersenne Twister, asked for what the authors' script asked it for, in the same order."""

    def __init__(self, concept: str) -> None:
        self.random = random.Random(SEED)
        self.concept = concept
        self.digits = "0123456789" + (concept if concept in DIGITS else "")
        self.operators = "+-*/" + (concept if concept in OPERATORS else "")

    def pool(self, operators: int, least: int, most: int, wanted: int) -> list[Drawn]:
        """Expressions whose largest intermediate value is within these bounds, in random order."""
        found = self._all(operators, least, most) if operators <= 2 else self._some(operators, least, most, wanted)
        self.random.shuffle(found)
        return found[:wanted]

    def _all(self, operators: int, least: int, most: int) -> list[Drawn]:
        return [
            each for each in self._enumerate(operators) if least <= each.largest <= most and self.concept in each.prefix
        ]

    def _enumerate(self, operators: int) -> Iterator[Drawn]:
        """All expressions that are defined, in the authors' order."""
        if operators == 0:
            yield from (Drawn(digit, DIGITS[digit], DIGITS[digit]) for digit in self.digits)
            return
        for operator, left in itertools.product(self.operators, range(operators)):
            for one, other in itertools.product(self._enumerate(left), list(self._enumerate(operators - 1 - left))):
                value = OPERATORS[operator](one.value, other.value)
                if value is not None:
                    yield Drawn(operator + one.prefix + other.prefix, value, max(one.largest, other.largest, value))

    def _some(self, operators: int, least: int, most: int, wanted: int) -> list[Drawn]:
        """Distinct expressions with results above 0, none of which is that of more than a twentieth of them."""
        found: list[Drawn] = []
        seen: set[str] = set()
        results: Counter[int] = Counter()
        bits, digits, names = self.random.getrandbits, self.digits, self.operators
        digit_bits, name_bits = len(digits).bit_length(), len(names).bit_length()
        tokens: list[str] = []
        values: list[int] = []

        def expression(count: int) -> int | None:
            """Draw an expression: its tokens, its values, and what it is worth, None if it is undefined.

            ``choice`` and ``randint`` are spelled out as the calls of ``getrandbits`` that they make, for speed.
            """
            if count == 0:
                number = bits(digit_bits)
                while number >= len(digits):
                    number = bits(digit_bits)
                tokens.append(digits[number])
                return DIGITS[digits[number]]
            number = bits(name_bits)
            while number >= len(names):
                number = bits(name_bits)
            operator, width = names[number], count.bit_length()
            tokens.append(operator)
            left = bits(width)
            while left >= count:
                left = bits(width)
            one = expression(left)
            other = expression(count - 1 - left)
            if one is None or other is None:
                return None
            value = OPERATORS[operator](one, other)
            if value is not None:
                values.append(value)
            return value

        while len(found) < wanted:
            tokens.clear()
            values.clear()
            value = expression(operators)
            if not value or results[value] >= int(0.05 * wanted):
                continue
            prefix, largest = "".join(tokens), max(values)
            if not least <= largest <= most or prefix in seen or self.concept not in prefix:
                continue
            seen.add(prefix)
            results[value] += 1
            found.append(Drawn(prefix, value, largest))
        return found


def infix(prefix: Sequence[str]) -> str:
    """An expression in infix notation, with the parentheses it needs; operators associate to the left."""
    stack: list[tuple[str, int]] = []
    for token in reversed(prefix):
        binding = BINDING.get(token)
        if binding is None:
            stack.append((token, len(BINDING)))
        else:
            (left, before), (right, behind) = stack.pop(), stack.pop()
            left = left if before >= binding else f"({left})"
            right = right if behind > binding else f"({right})"
            stack.append((f"{left}{token}{right}", binding))
    return stack[0][0]


class Tree(NamedTuple):
    """An expression as a tree over its tokens.

    Attributes:
        heads: the head of each token, ROOT for the root: an operator heads its operands, and the parentheses around it.
        value: what it is worth, None if it is undefined.
        largest: the largest value in it.
        depth: how deep operators are nested.
    """

    heads: tuple[int, ...]
    value: int | None
    largest: int
    depth: int


def is_expression(tokens: Sequence[str]) -> bool:
    """Whether tokens are an expression in infix notation."""
    operand, depth = True, 0  # whether an operand comes next, and parentheses open
    for token in tokens:
        fits = token in DIGITS or token == OPEN if operand else token in OPERATORS or token == CLOSE
        if not fits:
            return False
        depth += (token == OPEN) - (token == CLOSE)
        operand = token == OPEN or token in OPERATORS
        if depth < 0:
            return False
    return depth == 0 and not operand


def read(tokens: Sequence[str]) -> Tree:
    """The tree of an expression in infix notation, which must be one; by precedence, without recursion."""
    heads = [ROOT] * len(tokens)
    operands: list[tuple[int, int | None, int, int]] = []  # root, value, largest, depth
    waiting: list[int] = []  # places of operators and of open parentheses

    def reduce() -> None:
        place = waiting.pop()
        (right, j, most_right, deep_right), (left, i, most_left, deep_left) = operands.pop(), operands.pop()
        heads[left] = heads[right] = place
        value = None if i is None or j is None else OPERATORS[tokens[place]](i, j)
        largest = max(most_left, most_right, value or 0)
        operands.append((place, value, largest, 1 + max(deep_left, deep_right)))

    for place, token in enumerate(tokens):
        if token in DIGITS:
            operands.append((place, DIGITS[token], DIGITS[token], 0))
        elif token == OPEN:
            waiting.append(place)
        elif token == CLOSE:
            while tokens[waiting[-1]] != OPEN:
                reduce()
            root = operands[-1][0]
            heads[waiting.pop()] = heads[place] = root
        else:
            while waiting and tokens[waiting[-1]] != OPEN and BINDING[tokens[waiting[-1]]] >= BINDING[token]:
                reduce()
            waiting.append(place)
    while waiting:
        reduce()
    _, value, largest, depth = operands[0]
    return Tree(tuple(heads), value, largest, depth)


def count_operators(tokens: Sequence[str]) -> int:
    """How many operators an expression has."""
    return sum(token in OPERATORS for token in tokens)


def nesting(tokens: Sequence[str]) -> int:
    """How deep parentheses are nested."""
    steps = np.array([(token == OPEN) - (token == CLOSE) for token in tokens])
    return int(np.cumsum(steps).max(initial=0))


def long_expressions(count: int, operators: int, largest: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Random expressions with so many operators that are defined, above 0, and nowhere above ``largest``.

    From digits in a row, random neighbours become one phrase until there is one; begun anew where no operator fits.
    """
    found: list[tuple[str, ...]] = []
    while len(found) < count:
        digits = rng.integers(1, min(9, largest) + 1, operators + 1).tolist()
        parts = [Drawn(str(digit), digit, digit) for digit in digits]
        while len(parts) > 1:
            place = int(rng.integers(len(parts) - 1))
            one, other = parts[place : place + 2]
            fitting = [
                (operator, value)
                for operator in "+-*/"
                if (value := OPERATORS[operator](one.value, other.value)) and value <= largest
            ]
            if not fitting:
                break
            operator, value = fitting[int(rng.integers(len(fitting)))]
            whole = Drawn(operator + one.prefix + other.prefix, value, max(one.largest, other.largest, value))
            parts[place : place + 2] = [whole]
        else:
            found.append(tuple(infix(parts[0].prefix)))
    return found
