"""Perception of tokens: each word is its own symbol."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

import numpy as np

from nsr.arrays import ragged_to_padded
from nsr.errors import ConfigError, InputError
from nsr.perception.perception import Alternative, Perception, Readings
from nsr.tasks.task import LITERAL, Tokens


class TokenPerception:
    """Words map to symbols one to one, so there is one reading and nothing to learn.

    With ``literals``, all words that are not in the vocabulary share one more symbol, :data:`LITERAL`.

    Args:
        words: the vocabulary; a word's position is its symbol id.
        literals: whether other words are literals; otherwise they are unknown.
    """

    certain = True

    def __init__(self, words: Sequence[str], literals: bool = False) -> None:
        self.words = tuple(words)
        self.symbols = (*self.words, LITERAL) if literals else self.words
        self.literal = len(self.words) if literals else None
        self._ids = {word: index for index, word in enumerate(self.words)}

    @classmethod
    def of(cls, inputs: Iterable[Tokens], literals: Container[str] = ()) -> TokenPerception:
        """The vocabulary of these sentences, in alphabetical order.

        Args:
            inputs: the sentences.
            literals: words that denote themselves.
        """
        words = {word for sentence in inputs for word in sentence}
        own = sorted(word for word in words if word not in literals and not (literals and word == LITERAL))
        return cls(own, len(own) < len(words))

    def extended(self, inputs: Iterable[Tokens]) -> TokenPerception:
        """The same words, and behind them those that are new in these sentences, in alphabetical order.

        Raises:
            InputError: words may be literals, so none is new.
        """
        if self.literal is not None:
            raise InputError("words cannot be added to a vocabulary with literals")
        new = {word for sentence in inputs for word in sentence}.difference(self.words)
        return TokenPerception((*self.words, *sorted(new)))

    def read(self, inputs: Sequence[Tokens], width: int = 1) -> Readings:
        """The one reading of each sentence.

        Raises:
            InputError: a sentence is empty or has an unknown word; the message says where.
        """
        look_up = self._ids.__getitem__ if self.literal is None else lambda word: self._ids.get(word, self.literal)
        try:
            ids = [list(map(look_up, sentence)) for sentence in inputs]
        except KeyError:
            raise self._unknown_word(inputs) from None
        if not all(ids):
            raise InputError("empty sentence")
        symbols, lengths = ragged_to_padded(ids, 0)
        return Readings(symbols[:, None], lengths, np.zeros((len(ids), 1)))

    def alternatives(self, sentence: Tokens) -> list[list[Alternative]]:
        """No word could be another."""
        return [[] for _ in sentence]

    def attend(self, symbols: np.ndarray, lengths: np.ndarray, weights: np.ndarray, kinds: np.ndarray) -> None:
        """Nothing to learn."""

    def learn(self, inputs: Sequence[Tokens], symbols: np.ndarray, weights: np.ndarray) -> None:
        """Nothing to learn."""

    def fit(self, inputs: Sequence[Tokens], symbols: np.ndarray, weights: np.ndarray) -> None:
        """Nothing to learn."""

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as plain data."""
        return {"kind": "tokens", "words": list(self.words), "literals": self.literal is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TokenPerception:
        """The inverse of :meth:`to_json`; raises KeyError or TypeError on anything else."""
        if not all(isinstance(word, str) for word in data["words"]):
            raise TypeError("words must be strings")
        return cls(data["words"], bool(data["literals"]))

    def _unknown_word(self, inputs: Sequence[Tokens]) -> InputError:
        word, position = next(
            (word, position)
            for sentence in inputs
            for position, word in enumerate(sentence, start=1)
            if word not in self._ids
        )
        return unknown_word(word, position, self.words)


def unknown_word(word: str, position: int, words: Sequence[str]) -> InputError:
    """The error that a word, which stands at a position from 1 in its sentence, is none of these."""
    known = ", ".join(words[:20]) + (", ..." if len(words) > 20 else "")
    return InputError(f"unknown word {word!r} at position {position}; known words: {known}")


def words_of(perception: Perception) -> TokenPerception:
    """A perception that is one of words.

    Raises:
        ConfigError: it is another one.
    """
    if not isinstance(perception, TokenPerception):
        raise ConfigError("this model does not read words; give one that does")
    return perception
