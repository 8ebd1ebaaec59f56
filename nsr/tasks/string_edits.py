"""The language of PCFG SET: string edit functions in prefix notation, what they mean, and random inputs.

Hupkes, Dankers, Mul and Bruni (2020), Compositionality decomposed: how do neural networks generalise?, JAIR 67,
https://arxiv.org/abs/1908.08351. ``grammars/pcfg.lark`` says what an input is. Here it is read from its end, where
prefix notation needs no more than a stack: in linear time, and however deep its functions are nested.

Their inputs are drawn from a probabilistic grammar and then resampled until lengths and depths are those of English
sentences. Here the numbers of functions and of binary functions follow the authors' files. Given these two numbers,
every tree has the same probability under their grammar, so one is drawn uniformly; see :func:`shapes`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn, TypeVar

import numpy as np

from nsr.syntax.grammar import check, load_grammar
from nsr.tasks.task import Examples, Tokens

T = TypeVar("T")

SEPARATOR = ","  # stands between the two arguments of a binary function
TWIN = "_twin"  # ends the synonym of a function
TWINS = ("swap_first_last", "repeat", "append", "remove_second")  # the functions that have one

UNARY: dict[str, Callable[[Tokens], Tokens]] = {
    "copy": lambda x: x,
    "reverse": lambda x: x[::-1],
    "shift": lambda x: x[1:] + x[:1],
    "swap_first_last": lambda x: x[-1:] + x[1:-1] + x[:1] if len(x) > 1 else x,
    "repeat": lambda x: x + x,
    "echo": lambda x: x + x[-1:],
}
BINARY: dict[str, Callable[[Tokens, Tokens], Tokens]] = {
    "append": lambda x, y: x + y,
    "prepend": lambda x, y: y + x,
    "remove_first": lambda x, y: y,
    "remove_second": lambda x, y: x,
}


def _with_twins(of_function: Mapping[str, T]) -> dict[str, T]:
    """The same for the synonyms."""
    return {**of_function, **{name + TWIN: of_function[name] for name in TWINS if name in of_function}}


MEANINGS: dict[str, Callable[..., Tokens]] = _with_twins({**UNARY, **BINARY})
ARITY: dict[str, int] = _with_twins({**dict.fromkeys(UNARY, 1), **dict.fromkeys(BINARY, 2)})

_LENGTHS: dict[str, Callable[..., int]] = _with_twins(
    {
        **dict.fromkeys(("copy", "reverse", "shift", "swap_first_last"), lambda x: x),
        "repeat": lambda x: 2 * x,
        "echo": lambda x: x + 1,
        **dict.fromkeys(("append", "prepend"), lambda x, y: x + y),
        "remove_first": lambda x, y: y,
        "remove_second": lambda x, y: x,
    }
)
_DEPTHS: dict[str, Callable[..., int]] = {name: lambda *depths: 1 + max(depths) for name in ARITY}
is_literal = re.compile("[A-Z][0-9]+").fullmatch


# What an input means.


def meaning(tokens: Tokens) -> Tokens:
    """The output of an input.

    Raises:
        InputError: not an input; the message says where.
    """
    return fold(tokens, tuple, MEANINGS)


def output_length(tokens: Tokens) -> int:
    """The number of tokens of the output, which may be more than memory holds; errors as of :func:`meaning`."""
    return fold(tokens, len, _LENGTHS)


def depth(tokens: Tokens) -> int:
    """How deep functions are nested: a string has depth 0, a function of strings 1; errors as of :func:`meaning`."""
    return fold(tokens, lambda literals: 0, _DEPTHS)


def count_functions(tokens: Tokens) -> int:
    """The number of functions in an input."""
    return sum(token in ARITY for token in tokens)


def fold(tokens: Tokens, string: Callable[[list[str]], T], functions: Mapping[str, Callable[..., T]]) -> T:
    """A value of an input, made from the values of its parts.

    Args:
        tokens: the input.
        string: the value of a string, given its literals.
        functions: for each function, what makes its value from those of its arguments.

    Raises:
        InputError: not an input; the message says where.
    """
    phrases: list[T] = []  # behind the token, the first one on top
    literals: list[str] = []  # of the string that the token behind begins, the first one last
    begun = False  # whether a phrase begins behind the token
    for token in reversed(tokens):
        if is_literal(token):
            if begun and not literals:
                _refuse(tokens)
            literals.append(token)
            begun = True
            continue
        if not begun:
            _refuse(tokens)
        if literals:
            phrases.append(string(literals[::-1]))
            literals = []
        if token == SEPARATOR:
            begun = False
        elif len(phrases) < ARITY.get(token, math.inf):
            _refuse(tokens)
        elif ARITY[token] == 1:
            phrases[-1] = functions[token](phrases[-1])
        else:
            first = phrases.pop()
            phrases[-1] = functions[token](first, phrases[-1])
    if literals:
        phrases.append(string(literals[::-1]))
    if not begun or len(phrases) != 1:
        _refuse(tokens)
    return phrases[0]


def _refuse(tokens: Tokens) -> NoReturn:
    """Say why these tokens are not an input."""
    check(load_grammar("pcfg"), tokens)
    raise AssertionError(f"'{' '.join(tokens)}' is an input by grammars/pcfg.lark only")


# Random inputs, distributed as those of the authors' files.

LITERALS = np.array([f"{letter}{number}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for number in range(1, 21)])
MAX_TOKENS = 71  # of an input
MAX_OUTPUT = 736  # tokens

# In 100,000 inputs, those with so many functions. Counted in the files pcfgset/test and dev and, from 9 functions on,
# productivity/test; so are the other tables.
_1_TO_8 = (1543, 12825, 19388, 18826, 13243, 10253, 6632, 5075)
_9_TO_22 = (3485, 2476, 1874, 1267, 874, 680, 443, 292, 243, 166, 111, 73, 72, 50)
_23_TO_35 = (37, 19, 30, 5, 6, 5, 2, 5, 0, 2, 0, 0, 1)
FUNCTIONS = dict(enumerate((*_1_TO_8, *_9_TO_22, *_23_TO_35), start=1))
# In 1,000 inputs with so many functions, those with 0, 1, 2, ... binary ones; the last row is for 9 and more.
BINARIES = {
    1: (858, 142),
    2: (505, 403, 92),
    3: (161, 524, 222, 93),
    4: (139, 354, 283, 134, 90),
    5: (19, 321, 289, 185, 111, 75),
    6: (8, 247, 271, 214, 130, 78, 52),
    7: (8, 182, 251, 231, 146, 95, 47, 40),
    8: (0, 123, 245, 203, 178, 111, 76, 43, 21),
    9: (0, 68, 209, 230, 194, 127, 86, 53, 23, 10),
}
STRINGS = {2: 0.16, 3: 0.295, 4: 0.28, 5: 0.265}  # shares of strings with so many literals


def generate(count: int, rng: np.random.Generator) -> list[Tokens]:
    """So many distinct inputs in random order; no string occurs twice in them, as in the authors' files."""
    words = Words(rng)
    inputs: list[Tokens] = []
    while len(inputs) < count:
        drawn = _draw(count - len(inputs), words, rng)
        inputs.extend(each for each in drawn if len(each) <= MAX_TOKENS and output_length(each) <= MAX_OUTPUT)
    return [inputs[index] for index in rng.permutation(count)]


def _draw(count: int, words: Words, rng: np.random.Generator) -> Iterator[Tokens]:
    """So many inputs, those of the same size together."""
    for functions, among in _divide(count, FUNCTIONS, rng):
        row = BINARIES[min(functions, max(BINARIES))]
        for binaries, alike in _divide(among, dict(enumerate(row)), rng):
            for shape in shapes(alike, functions, binaries, rng).tolist():
                yield words.fill(shape)


def _divide(count: int, weights: Mapping[int, float], rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Each key with how many of ``count`` draws hit it."""
    share = np.array(list(weights.values()), float)
    for key, hits in zip(weights, rng.multinomial(count, share / share.sum()).tolist(), strict=True):
        if hits:
            yield key, hits


def shapes(count: int, functions: int, binaries: int, rng: np.random.Generator) -> np.ndarray:
    """Trees drawn uniformly from those with these numbers of functions.

    The probability of a tree under a grammar that chooses arities and arguments independently depends on these numbers
    alone. A tree in prefix order is a sequence of arities (0 for a string); of the rotations of any sequence of these
    arities exactly one is a tree: by the cycle lemma (Dvoretzky and Motzkin 1947), the one that begins behind the first
    lowest point of the path with steps arity - 1. So a random order, rotated, is a uniformly drawn tree.

    Returns:
        arities in prefix order; shape (count, functions + binaries + 1).
    """
    arities = np.repeat([0, 1, 2], [binaries + 1, functions - binaries, binaries])
    shuffled = rng.permuted(np.tile(arities, (count, 1)), axis=1)
    lowest = np.cumsum(shuffled - 1, axis=1).argmin(axis=1)
    places = (lowest[:, None] + 1 + np.arange(len(arities))) % len(arities)
    return np.take_along_axis(shuffled, places, axis=1)


class Words:
    """Draws the words of inputs; no string twice."""

    def __init__(self, rng: np.random.Generator) -> None:
        lengths, shares = list(STRINGS), list(STRINGS.values())
        self.literals = _stream(lambda size: rng.choice(LITERALS, size))
        self.lengths = _stream(lambda size: rng.choice(lengths, size, p=shares))
        self.functions = {
            1: _stream(lambda size: rng.choice(list(UNARY), size)),
            2: _stream(lambda size: rng.choice(list(BINARY), size)),
        }
        self.drawn: set[Tokens] = set()

    def string(self) -> Tokens:
        """A string that was not drawn before."""
        length = next(self.lengths)
        string = tuple(islice(self.literals, length))
        while string in self.drawn:
            string = tuple(islice(self.literals, length))
        self.drawn.add(string)
        return string

    def fill(self, shape: Sequence[int]) -> Tokens:
        """An input with these arities in prefix order."""
        return self.apply([next(self.functions[arity]) if arity else "" for arity in shape])

    def apply(self, functions: Sequence[str]) -> Tokens:
        """The input that has these functions in prefix order; "" stands for a string."""
        tokens: list[str] = []
        missing: list[int] = []  # arguments of each function that is open, the innermost last
        for function in functions:
            if function:
                tokens.append(function)
                missing.append(ARITY[function])
                continue
            tokens.extend(self.string())
            while missing and missing[-1] == 1:
                missing.pop()
            if missing:
                tokens.append(SEPARATOR)
                missing[-1] = 1
        return tuple(tokens)


def _stream(draw: Callable[[int], np.ndarray]) -> Iterator[Any]:
    """Endless draws, made many at a time."""
    while True:
        yield from draw(4096).tolist()


_LENGTHEN = ("repeat", "echo", "append", "prepend")


def deep(functions: int, count: int, rng: np.random.Generator, max_output: int) -> Examples:
    """Examples with so many functions, all nested in one another.

    The other argument of a binary function is a string, and never the one that alone is kept, so each function has its
    part in the output. That is at most ``max_output`` tokens long: where it would be longer, functions that lengthen
    their argument, drawn at random, give way to others.

    Raises:
        ValueError: ``max_output`` is less than the length of a string.
    """
    if max_output < max(STRINGS):
        raise ValueError(f"max_output must be {max(STRINGS)} or more, not {max_output}")
    words = Words(rng)
    inputs = tuple(_nest(functions, words, rng, max_output) for _ in range(count))
    return Examples(inputs, tuple(map(meaning, inputs)))


def _nest(functions: int, words: Words, rng: np.random.Generator, max_output: int) -> Tokens:
    """An input for :func:`deep`."""
    innermost = words.string()
    others = [words.string() for _ in range(functions)]
    names = rng.choice([*UNARY, *BINARY], functions).tolist()  # of functions, the innermost first
    for level in rng.permutation(functions).tolist():
        if _grown(len(innermost), names, others) <= max_output:
            break
        if names[level] in _LENGTHEN:
            names[level] = str(rng.choice([name for name in (*UNARY, *BINARY) if name not in _LENGTHEN]))
    before: list[str] = []  # the tokens in front of the innermost string, the last one first
    behind: list[str] = []
    for name, other in zip(names, others, strict=True):
        if name in BINARY:
            first = name == "remove_second" or (name != "remove_first" and rng.random() < 0.5)  # is the deep argument
            if first:
                behind += (SEPARATOR, *other)
            else:
                before += (SEPARATOR, *reversed(other))
        before.append(name)
    return (*reversed(before), *innermost, *behind)


def _grown(length: int, names: Sequence[str], others: Sequence[Tokens]) -> int:
    """The length of a string after these functions, none of which drops it."""
    for name, other in zip(names, others, strict=True):
        if name in _LENGTHEN:
            length = _LENGTHS[name](length, len(other)) if name in BINARY else _LENGTHS[name](length)
    return length
