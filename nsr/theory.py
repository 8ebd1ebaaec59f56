"""What the paper proves of the machine, made so that it can be tried: it can represent any finite function.

Li et al. (2024), https://arxiv.org/abs/2210.01603, section 3: with the primitives 0, inc, == and if, some NSR
represents any finite set of input-output pairs, since it can look them up. :func:`look_up` makes such a machine. ==
is spelled with ``decr0`` and ``if0`` here, of the primitive set ``int``.

The section also says why learned machines generalise: they are equivariant (words of one class may be exchanged, see
:mod:`nsr.reports.swap`) and recursive, which :func:`recursiveness` measures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from nsr.errors import InputError
from nsr.gss import GSS, ROOT
from nsr.model import NSR
from nsr.perception.perception import Alternative, Readings
from nsr.semantics.execution import ABSENT
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature
from nsr.semantics.primitives import primitive_set
from nsr.semantics.programs import Argument, Call, Constant, If0, Term, extent
from nsr.semantics.values import MISSING

LARGEST = 10**9  # output
DEEPEST = 220  # program (comparing terms takes 4 of 1000 levels of recursion a level)
LEAF, CHAINED = Signature(0, 0), Signature(1, 0)


class LastWord:
    """A perception for which the last word of a sentence is another symbol than the same word elsewhere.

    Args:
        words: all that it can read.
    """

    certain = True

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self.symbols = (*self.words, *(f"{word}." for word in self.words))

    def symbol(self, word: str, last: bool) -> int:
        """The symbol of a word.

        Raises:
            InputError: it is unknown.
        """
        if word not in self.words:
            raise InputError(f"unknown word {word!r}; known words: {', '.join(self.words)}")
        return self.words.index(word) + last * len(self.words)

    def read(self, inputs: Sequence[Sequence[str]], width: int = 1) -> Readings:
        """The one reading of each sentence."""
        lengths = np.array([len(words) for words in inputs], np.int64)
        symbols = np.zeros((len(inputs), 1, int(lengths.max(initial=0))), np.int64)
        for row, words in enumerate(inputs):
            last = len(words) - 1
            symbols[row, 0, : last + 1] = [self.symbol(word, place == last) for place, word in enumerate(words)]
        return Readings(symbols, lengths, np.zeros((len(inputs), 1)))

    def alternatives(self, sentence: Sequence[str]) -> list[list[Alternative]]:
        """No word could be another symbol."""
        return [[] for _ in sentence]

    def fit(self, inputs: Sequence[Sequence[str]], symbols: np.ndarray, weights: np.ndarray) -> None:
        """Nothing is learned."""

    learn = fit

    def attend(self, symbols: np.ndarray, lengths: np.ndarray, weights: np.ndarray, kinds: np.ndarray) -> None:
        """Nothing is learned."""


def look_up(pairs: Mapping[Sequence[str], int]) -> NSR:
    """A machine that answers these inputs with these outputs; what it answers to others is left open.

    Each word but the last depends on the next one, so all trees are chains. All beginnings of inputs are numbered. The
    value of a word that is not the last is the number of the beginning that ends with it; its program looks this up by
    the number of the beginning before it. The program of a last word looks up the output in the same way.

    Args:
        pairs: inputs, as tuples of words, with numbers from 0 on. Programs grow with the square of the number of
            beginnings, so this is for a hundred pairs, not for thousands.

    Raises:
        InputError: there are no pairs or too many, an input is no tuple of words, or an output no number from 0 to
            LARGEST.
    """
    if not pairs:
        raise InputError("there is nothing to look up")
    numbers: dict[tuple[str, ...], int] = {(): 0}  # of the beginnings
    tables: dict[Key, dict[int, int]] = defaultdict(dict)
    perception = LastWord(sorted({word for words in pairs for word in words}))
    for words, output in pairs.items():
        if isinstance(words, str) or not len(words):
            raise InputError(f"{words!r} must be a tuple of words, at least one")
        if isinstance(output, bool) or not isinstance(output, int) or not 0 <= output <= LARGEST:
            raise InputError(f"{' '.join(words)!r}: {output!r} must be a whole number from 0 to {LARGEST}")
        for place, word in enumerate(words):
            last, before = place == len(words) - 1, numbers[tuple(words[:place])]
            value = output if last else numbers.setdefault(tuple(words[: place + 1]), len(numbers))
            tables[Key(perception.symbol(word, last), int(place > 0))][before] = value
    lexicon = Lexicon(perception.symbols, {key: _entry(key, table) for key, table in tables.items()})
    if max(extent(entry.program)[1] for entry in lexicon.entries.values()) > DEEPEST:
        raise InputError(f"{len(pairs)} pairs make a program too deep to run; look up fewer, about a hundred")
    model = NSR("int", perception=perception).assemble(lexicon)
    reading = perception.read(list(pairs))
    places = np.arange(reading.symbols.shape[2])
    ends = reading.lengths[:, None] - 1
    chains = np.where(places < ends, places + 1, np.where(places == ends, ROOT, ABSENT))
    shares = np.full(len(pairs), 1 / len(pairs))
    model.modules.parser.fit(reading.symbols[:, 0], chains, reading.lengths, shares, torch.Generator().manual_seed(0))
    return model


def _entry(key: Key, table: Mapping[int, int]) -> Entry:
    """The entry of a word, which looks up the number of what stands before it; that of nothing is 0."""
    if key.arity == 0:
        return Entry(Constant(table[0]), frozenset({LEAF}))
    primitives = primitive_set("int")
    decrease = primitives["decr0"]
    *others, (_, value) = sorted(table.items())
    found: Term = Constant(value)
    for number, value in reversed(others):  # smaller ones are dealt with, so x0 less this one is 0 if they are the same
        rest: Term = Argument(0)
        for _ in range(number):
            rest = Call(decrease, (rest,))
        found = If0(rest, Constant(value), found)
    return Entry(found, frozenset({CHAINED}))


def recursiveness(model: NSR, inputs: Sequence[Sequence[str]]) -> float:
    """Share of the parts of inputs that, as inputs of their own, have the value that they have inside.

    A part is what a node and all below it stand for, but not an input as a whole nor a single word.

    Args:
        model: that answers the inputs.
        inputs: those without an answer are left out.

    Returns:
        from 0 to 1; NaN if there are no parts.
    """
    parts = []
    for sentence in inputs:
        gss = model.deduce(sentence)
        if gss.value is not MISSING:
            for node, (low, high) in enumerate(_spans(gss)):
                if node != gss.root and high - low > 1:
                    parts.append((gss.inputs[low:high], gss.values[node]))
    if not parts:
        return float("nan")
    answers = model.predict([words for words, _ in parts])
    return sum(answer == value for answer, (_, value) in zip(answers, parts, strict=True)) / len(parts)


def _spans(gss: GSS) -> list[tuple[int, int]]:
    """Where the words of each node and of all below it begin and end."""
    low, high = list(range(len(gss))), list(range(1, len(gss) + 1))
    order = [gss.root]  # heads before their dependents
    for node in order:
        order += gss.children(node)
    for node in reversed(order[1:]):
        head = int(gss.heads[node])
        low[head], high[head] = min(low[head], low[node]), max(high[head], high[node])
    return list(zip(low, high, strict=True))
