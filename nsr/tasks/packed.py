"""Sequences of token sequences and of numbers in flat arrays: a million examples in tens of megabytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

from nsr.arrays import take_ragged
from nsr.tasks.task import Tokens

AT_ONCE = 1024  # sequences unpacked at once


class PackedTokens(Sequence[Tokens]):
    """Token sequences behind each other in one array.

    Args:
        vocabulary: the token of each code; at most 256.
        codes: of all tokens, uint8, shape (T,).
        bounds: where each sequence begins, and where the last one ends, shape (B + 1,).
    """

    def __init__(self, vocabulary: Sequence[str], codes: np.ndarray, bounds: np.ndarray) -> None:
        self.vocabulary = tuple(vocabulary)
        self.codes = codes
        self.bounds = bounds

    @classmethod
    def of(cls, vocabulary: Sequence[str], sequences: Iterable[Sequence[str]]) -> PackedTokens:
        """Pack these sequences of tokens of the vocabulary."""
        look_up = {token: code for code, token in enumerate(vocabulary)}.__getitem__
        codes, bounds = bytearray(), [0]
        for sequence in sequences:
            codes.extend(map(look_up, sequence))
            bounds.append(len(codes))
        return cls(vocabulary, np.frombuffer(bytes(codes), np.uint8), np.array(bounds, np.int64))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @overload
    def __getitem__(self, index: int) -> Tokens: ...
    @overload
    def __getitem__(self, index: slice) -> PackedTokens: ...
    def __getitem__(self, index: int | slice) -> Tokens | PackedTokens:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        place = range(len(self))[index]
        return tuple(map(self.vocabulary.__getitem__, self.codes[self.bounds[place] : self.bounds[place + 1]].tolist()))

    def __iter__(self) -> Iterator[Tokens]:
        for start in range(0, len(self), AT_ONCE):
            bounds = self.bounds[start : start + AT_ONCE + 1]
            tokens = tuple(map(self.vocabulary.__getitem__, self.codes[bounds[0] : bounds[-1]].tolist()))
            for begin, end in itertools.pairwise((bounds - bounds[0]).tolist()):
                yield tokens[begin:end]

    def take(self, indices: Sequence[int]) -> PackedTokens:
        """The sequences at these places, in this order."""
        items, bounds = take_ragged(self.bounds, indices)
        return PackedTokens(self.vocabulary, self.codes[items], bounds)

    def hashes(self) -> np.ndarray:
        """A number of 64 bits for each sequence, the same for the same codes; shape (B,)."""
        spread = np.random.default_rng(0).integers(1, 2**63, size=1 << 12, dtype=np.uint64)
        place = np.arange(len(self.codes)) - np.repeat(self.bounds[:-1], self.lengths)
        totals = np.cumsum((self.codes.astype(np.uint64) + 1) * (2 * spread[place % len(spread)] + 1))
        totals = np.concatenate([[np.uint64(0)], totals])
        found: np.ndarray = totals[self.bounds[1:]] - totals[self.bounds[:-1]]
        return found

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sequence, shape (B,)."""
        return np.diff(self.bounds)


class PackedNumbers(Sequence[int]):
    """Whole numbers in one array."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> PackedNumbers: ...
    def __getitem__(self, index: int | slice) -> int | PackedNumbers:
        return PackedNumbers(self.numbers[index]) if isinstance(index, slice) else int(self.numbers[index])

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers.tolist())

    def take(self, indices: Sequence[int]) -> PackedNumbers:
        """The numbers at these places, in this order."""
        return PackedNumbers(self.numbers[np.asarray(indices, np.int64)])
