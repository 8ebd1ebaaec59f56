"""Which words the parser treats alike: the symbol swap matrix.

The parser of the NSR is equivariant: words of one syntactic class may be exchanged and the tree stays as it is. (Li et
al. 2024, https://arxiv.org/abs/2210.01603, test this by swapping symbols.) For words i and j the matrix has the share
of sentences with i whose tree is still the same when j stands in each place of i: 1 within a class.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from nsr.errors import InputError
from nsr.experiment import examples_of
from nsr.learning.deduction import Modules, candidates
from nsr.model import NSR
from nsr.reports.tables import Failed, RunTable, Variant, markdown, variant_runs
from nsr.reports.trainings import Training
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks import Examples
from nsr.tasks.task import Tokens

NO_TREE = -3  # in arrays of heads: the sentence has no tree


@dataclass(frozen=True)
class SwapRow:
    """A word that others take the place of.

    Attributes:
        label: the word.
        seeds: one a run.
        sentences: that have the word and a tree, a run.
        kept: by the other word the share of these whose tree stays as it is, a run; None without any sentence.
    """

    label: str
    seeds: tuple[int, ...]
    sentences: tuple[int, ...]
    kept: Mapping[str, tuple[float | None, ...]]

    @property
    def shares(self) -> dict[str, float]:
        """By the other word the mean over the seeds, NaN without any sentence."""
        means = {}
        for other, runs in self.kept.items():
            found = [share for share in runs if share is not None]
            means[other] = statistics.mean(found) if found else math.nan
        return means


@dataclass(frozen=True)
class SwapTable(RunTable):
    """The symbol swap matrix of a task that has words, a row a word, measured on all test inputs.

    Attributes:
        task: its name.
        title: of the table.
        variant: what is trained.
        words: those that are exchanged; put the ones side by side that should be alike.
    """

    task: str
    title: str
    variant: Variant
    words: tuple[str, ...]
    of_runs: ClassVar[bool] = False

    @property
    def cases(self) -> dict[str, str]:
        """The words."""
        return {word: word for word in self.words}

    def runs_of(self, case: str, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed, the same for all words."""
        return variant_runs(self.task, self.variant, seeds, data_dir)

    def row(self, case: str, seeds: Sequence[int], models: Sequence[NSR]) -> SwapRow:
        """Put each word in the place of one.

        Raises:
            InputError: a model does not know one of the words.
        """
        found = [swap_shares(model, examples_of(model), case, self.words) for model in models]
        kept = {
            word: tuple(None if math.isnan(shares[place]) else float(shares[place]) for _, shares in found)
            for place, word in enumerate(self.words)
        }
        return SwapRow(case, tuple(seeds), tuple(count for count, _ in found), kept)

    def cells(self, row: SwapRow) -> Sequence[str]:
        """Means over the seeds."""
        return (row.label, *map(format_share, row.shares.values()), f"{statistics.mean(row.sentences):,.0f}")

    def to_markdown(self, rows: Sequence[SwapRow | Failed]) -> str:
        """The table."""
        note = (
            f"Split {self.variant.split}. The share of the test sentences with the word on the left whose tree stays "
            "as it is when the word above stands in each of its places; rounded down, so that only 1 shows as 1."
        )
        return markdown(self.title, ("", *self.words, "sentences"), self.all_cells(rows), note)


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
    words = words_by_class(model.modules) if words is None else tuple(words)
    rows = [swap_shares(model, examples, word, words)[1] for word in words]
    return words, np.array(rows).reshape(len(words), len(words))


def swap_shares(model: NSR, examples: Examples, word: str, others: Sequence[str]) -> tuple[int, np.ndarray]:
    """A row of the symbol swap matrix: how many sentences have the word, and the share unchanged, shape (W,).

    Raises:
        InputError: the model does not know one of the words.
    """
    modules = model.modules
    for each in (word, *others):
        if each not in modules.perception.symbols:
            raise InputError(f"unknown word {each!r}; known words: {', '.join(words_by_class(modules))}")
    inputs = [tokens for tokens in examples.inputs if word in tokens]
    before = _heads(modules, inputs) if inputs else np.zeros((0, 0), np.int64)
    parsed = np.flatnonzero((before != NO_TREE).all(axis=1))
    if not len(parsed):
        return 0, np.full(len(others), np.nan)
    swapped = [_replace(inputs[index], word, other) for other in others for index in parsed.tolist()]
    after = _heads(modules, swapped).reshape(len(others), len(parsed), -1)
    return len(parsed), (after == before[parsed, : after.shape[2]]).all(axis=2).mean(axis=1)


def words_by_class(modules: Modules) -> tuple[str, ...]:
    """All words, those with the same signatures side by side, each class in alphabetical order."""
    classes = DependencyGrammar.of(modules.lexicon).class_of.tolist()
    return tuple(word for _, word in sorted(zip(classes, modules.perception.symbols, strict=True)))


def format_share(share: float) -> str:
    """A share with two digits, rounded down: only what is exactly 1 shows as 1; ``-`` for NaN."""
    if math.isnan(share):
        return "-"
    return "1" if share == 1 else f"{int(100 * share) / 100:.2f}".removeprefix("0") if share else "0"


def _heads(modules: Modules, inputs: Sequence[Tokens]) -> np.ndarray:
    """The heads of each sentence's greedy tree, shape (B, N); a row of NO_TREE where there is none."""
    trees = candidates(modules, inputs)
    heads = np.full((len(inputs), trees.heads.shape[1]), NO_TREE, np.int64)
    heads[trees.sentence] = trees.heads
    return heads


def _replace(tokens: Tokens, word: str, other: str) -> Tokens:
    return tuple(other if token == word else token for token in tokens)
