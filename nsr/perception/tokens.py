"""Perception of tokens: each word is its own symbol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nsr.arrays import ragged_to_padded
from nsr.errors import InputError
from nsr.perception.perception import Alternative, Readings
from nsr.tasks.task import Tokens


class TokenPerception:
    """Words map to symbols one to one, so there is one reading and nothing to learn.

    Args:
        words: the vocabulary; a word's position is its symbol id.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.symbols = tuple(words)
        self._ids = {word: index for index, word in enumerate(self.symbols)}

    @classmethod
    def of(cls, inputs: Iterable[Tokens]) -> TokenPerception:
        """The vocabulary of these sentences, in alphabetical order."""
        return cls(sorted({word for sentence in inputs for word in sentence}))

    def read(self, inputs: Sequence[Tokens], width: int = 1) -> Readings:
        """The one reading of each sentence.

        Raises:
            InputError: a sentence is empty or has an unknown word; the message says where.
        """
        try:
            ids = [[self._ids[word] for word in sentence] for sentence in inputs]
        except KeyError:
            raise self._unknown_word(inputs) from None
        if not all(ids):
            raise InputError("empty sentence")
        symbols, lengths = ragged_to_padded(ids, 0)
        return Readings(symbols[:, None], lengths, np.zeros((len(ids), 1)))

    def alternatives(self, sentence: Tokens) -> list[list[Alternative]]:
        """No word could be another."""
        return [[] for _ in sentence]

    def fit(self, inputs: Sequence[Tokens], symbols: np.ndarray, weights: np.ndarray) -> None:
        """Nothing to learn."""

    def to_json(self) -> dict:
        """The vocabulary as plain data."""
        return {"kind": "tokens", "words": list(self.symbols)}

    @classmethod
    def from_json(cls, data: dict) -> TokenPerception:
        """The inverse of :meth:`to_json`; raises KeyError or TypeError on anything else."""
        if not all(isinstance(word, str) for word in data["words"]):
            raise TypeError("words must be strings")
        return cls(data["words"])

    def _unknown_word(self, inputs: Sequence[Tokens]) -> InputError:
        word, position = next(
            (word, position)
            for sentence in inputs
            for position, word in enumerate(sentence, start=1)
            if word not in self._ids
        )
        known = ", ".join(self.symbols[:20]) + (", ..." if len(self.symbols) > 20 else "")
        return InputError(f"unknown word {word!r} at position {position}; known words: {known}")
