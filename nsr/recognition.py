"""How well images are recognised, for scoring only: the learner's symbols have no names.

Shape letters: T images, K symbols, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nsr.arrays import percent
from nsr.learning.deduction import Deduction
from nsr.model import NSR
from nsr.perception.images import images_of
from nsr.pictures import PackedPictures
from nsr.tasks.task import Examples


@dataclass(frozen=True)
class Recognition:
    """The images of examples, one after the other.

    Attributes:
        labels: names of the labels that occur.
        images: id in the pool, shape (T,).
        gold: the right label, an index into ``labels``, shape (T,).
        alone: the symbol most probable by the image alone, shape (T,).
        read: the symbol in the derivation that gave the answer, -1 where there is none, shape (T,).
        label_of: the label that fits each symbol best, one to one, -1 where none is left, shape (K,).
    """

    labels: tuple[str, ...]
    images: np.ndarray
    gold: np.ndarray
    alone: np.ndarray
    read: np.ndarray
    label_of: np.ndarray

    @classmethod
    def of(cls, model: NSR, examples: Examples, found: Deduction) -> Recognition:
        """Compare what a model derived from examples with their gold symbols."""
        perception = images_of(model.modules.perception)
        packed = PackedPictures.of(list(examples.inputs))
        tokens = [token for sentence in examples.tokens for token in sentence]
        labels = tuple(sorted(set(tokens)))
        number = {label: index for index, label in enumerate(labels)}
        gold = np.array([number[token] for token in tokens])
        alone = perception.log_probs(packed.pool, packed.ids).argmax(axis=1)
        read = np.full(len(gold), -1)
        answered = np.flatnonzero(found.row >= 0)
        symbols = found.trees.symbols[found.row[answered]]
        lengths = packed.lengths
        place = np.arange(symbols.shape[1])
        rows = np.repeat(np.isin(np.arange(len(lengths)), answered), lengths)
        read[rows] = symbols[place < lengths[answered][:, None]]
        counts = np.zeros((len(perception.symbols), len(labels)), np.int64)
        np.add.at(counts, (alone, gold), 1)
        return cls(labels, packed.ids, gold, alone, read, best_matching(counts))

    def confusion(self, read: np.ndarray) -> np.ndarray:
        """How often each label is read as each label, or as none of them (the last column), shape (L, L + 1)."""
        counts = np.zeros((len(self.labels), len(self.labels) + 1), np.int64)
        np.add.at(counts, (self.gold, np.append(self.label_of, -1)[read]), 1)
        return counts

    def accuracy(self, read: np.ndarray) -> float:
        """Percent of the images that are read as what they are."""
        return percent(np.append(self.label_of, -1)[read] == self.gold)


def symbol_accuracy(model: NSR, examples: Examples, found: Deduction) -> dict[str, float]:
    """Percent of the images recognised, by themselves (``alone``) and in the derivations (``jointly``)."""
    seen = Recognition.of(model, examples, found)
    return {"alone": seen.accuracy(seen.alone), "jointly": seen.accuracy(seen.read)}


def best_matching(counts: np.ndarray) -> np.ndarray:
    """The label of each symbol in the one-to-one matching with the most agreement, -1 where none is left.

    The Hungarian algorithm by shortest augmenting paths (Jonker and Volgenant 1987).

    Args:
        counts: agreement, shape (K, L).
    """
    symbols, labels = counts.shape
    size = max(symbols, labels)
    cost = np.zeros((size + 1, size + 1))
    cost[1 : symbols + 1, 1 : labels + 1] = -counts
    above, below = np.zeros(size + 1), np.zeros(size + 1)  # potentials of rows and columns
    row_of = np.zeros(size + 1, np.int64)
    for row in range(1, size + 1):
        row_of[0], column = row, 0
        least, before = np.full(size + 1, np.inf), np.zeros(size + 1, np.int64)
        done = np.zeros(size + 1, bool)
        while row_of[column]:
            done[column] = True
            slack = cost[row_of[column]] - above[row_of[column]] - below
            better = ~done & (slack < least)
            least[better], before[better] = slack[better], column
            following = int(np.where(done, np.inf, least).argmin())
            step = least[following]
            above[row_of[done]] += step
            below[done] -= step
            least[~done] -= step
            column = following
        while column:
            row_of[column] = row_of[before[column]]
            column = before[column]
    found = np.full(size + 1, -1)
    found[row_of[1:]] = np.arange(size)
    found = found[1 : symbols + 1]
    return np.where(found < labels, found, -1)
