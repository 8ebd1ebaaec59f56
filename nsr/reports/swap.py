"""Which words the parser treats alike: the symbol swap matrix.

The parser of the NSR is equivariant: words of one syntactic class may be exchanged and the tree stays as it is. (Li et
al. 2024, https://arxiv.org/abs/2210.01603, test this by swapping symbols.) For words i and j the matrix has the share
of sentences with i whose tree is still the same when j stands in each place of i: 1 within a class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsr.errors import InputError
from nsr.learning.deduction import Modules, candidates
from nsr.model import NSR
from nsr.reports.plots import format_share
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks import Examples
from nsr.tasks.task import Tokens

NO_TREE = -3  # in arrays of heads: the sentence has no tree


def swap_matrix(
    model: NSR, examples: Examples, words: Sequence[str] | None = None
) -> tuple[tuple[str, ...], np.ndarray]:
    """The symbol swap matrix of a model that reads words.

    Args:
        model: a trained model.
        examples: their inputs are parsed, each greedily to one tree; those without a tree are left out.
        words: which words to swap; all by default, those of one class side by side.

    Returns:
        words: W words.
        matrix: share of the sentences with word i whose heads are unchanged with word j instead, NaN where i does not
            occur, shape (W, W). A tree that is lost counts as changed.

    Raises:
        InputError: the model does not know one of the words.
    """
    modules = model.modules
    words = words_by_class(modules) if words is None else tuple(words)
    before = _heads(modules, examples.inputs)
    parsed = (before != NO_TREE).all(axis=1)
    matrix = np.full((len(words), len(words)), np.nan)
    for row, word in enumerate(words):
        inside = [index for index, tokens in enumerate(examples.inputs) if parsed[index] and word in tokens]
        if word not in modules.perception.symbols:
            raise InputError(f"unknown word {word!r}; known words: {', '.join(words_by_class(modules))}")
        if inside:
            swapped = [_replace(examples.inputs[index], word, other) for other in words for index in inside]
            after = _heads(modules, swapped).reshape(len(words), len(inside), -1)
            matrix[row] = (after == before[inside, : after.shape[2]]).all(axis=2).mean(axis=1)
    return words, matrix


def words_by_class(modules: Modules) -> tuple[str, ...]:
    """All words, those with the same signatures side by side, each class in alphabetical order."""
    classes = DependencyGrammar.of(modules.lexicon).class_of.tolist()
    return tuple(word for _, word in sorted(zip(classes, modules.perception.symbols, strict=True)))


def format_swap_matrix(words: Sequence[str], matrix: np.ndarray) -> str:
    """The matrix as a text table; shares are rounded down, so that only 1 shows as 1, and NaN is a dash."""
    widths = [max(len(word), 3) for word in words]
    margin = max(map(len, words), default=0)
    lines = [[" " * margin, *(word.rjust(width) for word, width in zip(words, widths, strict=True))]]
    for word, shares in zip(words, matrix, strict=True):
        cells = (format_share(share).rjust(width) for share, width in zip(shares, widths, strict=True))
        lines.append([word.ljust(margin), *cells])
    return "\n".join("  ".join(line) for line in lines)


def _heads(modules: Modules, inputs: Sequence[Tokens]) -> np.ndarray:
    """The heads of each sentence's greedy tree, shape (B, N); a row of NO_TREE where there is none."""
    trees = candidates(modules, inputs)
    heads = np.full((len(inputs), trees.heads.shape[1]), NO_TREE, np.int64)
    heads[trees.sentence] = trees.heads
    return heads


def _replace(tokens: Tokens, word: str, other: str) -> Tokens:
    return tuple(other if token == word else token for token in tokens)
