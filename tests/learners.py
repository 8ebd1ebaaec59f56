"""What the tests of learning share: small lexicons, machines around them, naive execution, a perception that errs."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from terms import LISTS, interpret

from nsr.arrays import ragged_to_padded
from nsr.learning.abduction import Tree
from nsr.learning.deduction import Modules
from nsr.perception.perception import Alternative, Readings
from nsr.perception.tokens import TokenPerception
from nsr.semantics.execution import Executor
from nsr.semantics.lexicon import Key, Lexicon, parse_lexicon
from nsr.semantics.values import EMPTY, MISSING, Value
from nsr.syntax.parser import Parser
from nsr.syntax.scorer import ParserConfig
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.scan import GOLD_PROGRAMS

SYMBOLS = ("a", "b", "f", "g", "h", "o", "u")  # "u" never has a program

# Whatever the arguments, every program can be solved for each of them.
SOLVABLE = """
    "a" = (cons "A" nil)
    "b" = nil
    x0 "f" = (append x0 x0)
    x0 "g" = (cons "B" x0)
    x0 "g" x1 = (append x0 (append x1 x0))
    x0 "h" x1 = (append x1 x0)
    x0 "h" x1 x2 = (append x2 (append x0 x1))
    x0 "o" = (cons (car x0) x0)
"""
UNSOLVABLE = """
    "a" = (cons "A" (cons "B" nil))
    "b" = (cons "B" nil)
    x0 "f" = (cdr x0)
    x0 "g" x1 = (cons (car x1) x0)
    x0 "h" x1 = (append x1 x0)
    x0 "o" = (cons (car x0) x0)
"""


def lexicon_of(text: str, symbols: Sequence[str] = SYMBOLS, agreement: Mapping[str, float] | None = None) -> Lexicon:
    """The lexicon of a text; for each symbol the agreement of its entries with their evidence, 1 by default."""
    lexicon = parse_lexicon(text, tuple(symbols), LISTS)
    entries = {
        key: replace(entry, agreement=(agreement or {}).get(lexicon.symbols[key.symbol], 1.0))
        for key, entry in lexicon.entries.items()
    }
    return replace(lexicon, entries=entries)


def scan_lexicon(
    *,
    without: Sequence[str] = (),
    change: Mapping[tuple[str, int], str] | None = None,
    agreement: Mapping[str, float] | None = None,
) -> Lexicon:
    """The gold lexicon of SCAN, with some words unknown and some programs changed."""
    lines = []
    for (word, arity), program in {**GOLD_PROGRAMS, **(change or {})}.items():
        if word not in without:
            before, behind = [("", ""), ("x0 ", ""), ("x0 ", " x1")][arity]
            lines.append(f'{before}"{word}"{behind} = {program}')
    return lexicon_of("\n".join(lines), sorted({word for word, _ in GOLD_PROGRAMS}), agreement)


def modules_of(
    lexicon: Lexicon,
    perception=None,
    seed: int | None = None,
    max_length: int = 10_000,
    given: DependencyGrammar | None = None,
) -> Modules:
    """A machine with this lexicon; with a seed its parser has opinions, else it finds all trees equally likely."""
    generator = torch.Generator().manual_seed(seed or 0)
    parser = Parser(len(lexicon.symbols), ParserConfig(), generator, given)
    if seed is not None:
        with torch.no_grad():
            parser.scorer.output.normal_(std=0.1, generator=generator)
    return Modules(perception or TokenPerception(lexicon.symbols), parser, lexicon, Executor(max_length))


def values_of(tree: Tree, lexicon: Lexicon, revised: Mapping[int, Value] | None = None) -> list[Value]:
    """The value of each node, by the definition."""

    def value(node: int) -> Value:
        if node in (revised or {}):
            return revised[node]
        arguments = [value(each) for each, head in enumerate(tree.heads) if head == node]
        arguments = [each for each in arguments if each is not EMPTY]
        program = lexicon.program((tree.symbols[node], len(arguments)))
        token = tree.tokens[node] if tree.tokens else MISSING
        return MISSING if program is None or MISSING in arguments else interpret(program, (*arguments, token))

    return [value(node) for node in range(len(tree))]


def fitting_symbols(heads: Sequence[int], lexicon: Lexicon, generator: np.random.Generator) -> tuple[int, ...]:
    """Random symbols, most of them with a program for their number of dependents."""
    symbols = []
    for node in range(len(heads)):
        known = [key.symbol for key in lexicon.entries if key.arity == heads.count(node)]
        if not known or generator.random() < 0.1:
            known = range(len(lexicon.symbols))
        symbols.append(int(generator.choice(known)))
    return tuple(symbols)


def key_of(tree: Tree, node: int, values: Sequence[Value]) -> Key:
    """The key of a node in a tree with these values: EMPTY dependents are no arguments."""
    return Key(
        tree.symbols[node], sum(head == node and values[each] is not EMPTY for each, head in enumerate(tree.heads))
    )


class NoisyTokens:
    """A perception in which each word has a probability of being each symbol, learned by counting.

    Args:
        symbols: names of the symbols.
        table: for each word, the probabilities of some symbols, by name.
        memory: how many observations the table counts for, for each word.
    """

    certain = False

    def __init__(self, symbols: Sequence[str], table: Mapping[str, Mapping[str, float]], memory: float = 1.0) -> None:
        self.symbols = tuple(symbols)
        self.counts = {
            word: {self.symbols.index(name): memory * share for name, share in shares.items()}
            for word, shares in table.items()
        }
        self.seen: list[tuple[tuple[str, ...], tuple[int, ...], float]] = []  # what fit was given

    def probabilities(self, word: str) -> dict[int, float]:
        """The probability of each symbol that a word could be, the most probable first."""
        counts = self.counts[word]
        ranked = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        return {symbol: counts[symbol] / sum(counts.values()) for symbol in ranked}

    def read(self, inputs: Sequence[Sequence[str]], width: int = 1) -> Readings:
        lengths = np.array([len(words) for words in inputs], np.int64)
        symbols = np.zeros((len(inputs), width, int(lengths.max(initial=0))), np.int64)
        log_probs = np.full((len(inputs), width), -np.inf)
        for row, words in enumerate(inputs):
            best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
            for word in words:
                longer = [
                    (score + math.log(share), (*reading, symbol))
                    for score, reading in best
                    for symbol, share in self.probabilities(word).items()
                ]
                best = heapq.nlargest(width, longer, key=lambda item: item[0])
            for place, (score, reading) in enumerate(best):
                symbols[row, place, : len(words)] = reading
                log_probs[row, place] = score
        return Readings(symbols, lengths, log_probs)

    def alternatives(self, sentence: Sequence[str]) -> list[list[Alternative]]:
        found = []
        for word in sentence:
            (_, most), *others = self.probabilities(word).items()
            found.append([Alternative(symbol, math.log(share / most)) for symbol, share in others])
        return found

    def fit(self, inputs: Sequence[Sequence[str]], symbols: np.ndarray, weights: np.ndarray) -> None:
        for words, row, weight in zip(inputs, symbols.tolist(), weights.tolist(), strict=True):
            self.seen.append((tuple(words), tuple(row[: len(words)]), weight))
            for word, symbol in zip(words, row, strict=False):
                self.counts[word][symbol] = self.counts[word].get(symbol, 0.0) + weight

    def learn(self, inputs: Sequence[Sequence[str]], symbols: np.ndarray, weights: np.ndarray) -> None:
        """Nothing more than :meth:`fit` has learned."""

    def attend(self, symbols: np.ndarray, lengths: np.ndarray, weights: np.ndarray, kinds: np.ndarray) -> None:
        """Any symbol may follow any."""


def padded(rows: Sequence[Sequence[int]], fill: int) -> np.ndarray:
    return ragged_to_padded([tuple(row) for row in rows], fill)[0]
