"""Which symbols follow which: a trigram of symbol classes, and the best sequences under it.

Shape letters: B inputs, N tokens, K symbols, C classes, W sequences kept, A symbols tried for a token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nsr.arrays import present

PRIOR = 0.1  # pseudo-count of a class after two others
BLOCK = 4096  # inputs searched at once


@dataclass(frozen=True)
class Context:
    """A trigram of classes.

    Attributes:
        class_of: class of each symbol, shape (K,).
        log_probs: of a class given the two before it, the end of the input being one more, shape (C + 1,) * 3.
    """

    class_of: np.ndarray
    log_probs: np.ndarray

    @classmethod
    def none(cls, symbols: int) -> Context:
        """All symbols of one class, and any length equally probable."""
        return cls(np.zeros(symbols, np.int64), np.zeros((2, 2, 2)))

    @classmethod
    def of(cls, class_of: np.ndarray, symbols: np.ndarray, lengths: np.ndarray, weights: np.ndarray) -> Context:
        """Count trigrams of weighted sequences.

        Args:
            class_of: class of each symbol, shape (K,).
            symbols: symbol ids, shape (B, N).
            lengths: shape (B,).
            weights: shape (B,).
        """
        end = int(class_of.max(initial=0)) + 1
        here = present(lengths, symbols.shape[1])
        padded = np.pad(np.where(here, class_of[symbols], end), ((0, 0), (2, 1)), constant_values=end)
        counts = np.full((end + 1,) * 3, PRIOR)
        first, second, third = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
        counted = np.arange(third.shape[1]) <= lengths[:, None]
        spread = np.broadcast_to(weights[:, None], counted.shape)
        np.add.at(counts, (first[counted], second[counted], third[counted]), spread[counted])
        # symbols of a class share its probability
        sizes = np.append(np.maximum(np.bincount(class_of, minlength=end), 1), 1)
        return cls(class_of, np.log(counts / counts.sum(axis=2, keepdims=True) / sizes))

    def best(self, emissions: np.ndarray, lengths: np.ndarray, width: int, tried: int) -> tuple[np.ndarray, np.ndarray]:
        """The most probable symbol sequences of each input, by beam search.

        Args:
            emissions: log p(symbol | token), shape (B, N, K).
            lengths: shape (B,).
            width: sequences kept.
            tried: symbols tried for a token, the most probable ones.

        Returns:
            symbols, shape (B, W, N), and log-probabilities, -inf where there is no sequence, shape (B, W); best first.
        """
        symbols = np.zeros((len(lengths), width, emissions.shape[1]), np.int64)
        log_probs = np.full((len(lengths), width), -np.inf)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), BLOCK):
            rows = order[start : start + BLOCK]
            longest = int(lengths[rows[-1]])
            found = self._best(emissions[rows, :longest], lengths[rows], width, tried)
            symbols[rows, :, :longest], log_probs[rows] = found
        return symbols, log_probs

    def _best(
        self, emissions: np.ndarray, lengths: np.ndarray, width: int, tried: int
    ) -> tuple[np.ndarray, np.ndarray]:
        count, longest, known = emissions.shape
        tried = min(tried, known)
        shortlist = (
            np.argpartition(-emissions, tried - 1, axis=2)[..., :tried]
            if tried < known
            else (np.broadcast_to(np.arange(known), emissions.shape))
        )
        table, end = self.log_probs, len(self.log_probs) - 1
        scores = np.full((count, width), -np.inf)
        scores[:, 0] = 0.0
        before = np.full((2, count, width), end)  # classes of the last but one and of the last token
        symbols = np.zeros((count, width, longest), np.int64)
        rows = np.arange(count)[:, None]
        for step in range(longest):
            first = int(np.searchsorted(lengths, step, side="right"))  # inputs are sorted by length
            live = slice(first, count)
            names = shortlist[live, step]  # (B, A)
            classes = self.class_of[names]
            gain = np.take_along_axis(emissions[live, step], names, 1)[:, None, :]
            gain = gain + table[before[0, live, :, None], before[1, live, :, None], classes[:, None, :]]
            last = lengths[live] == step + 1
            gain[last] += table[before[1, live, :, None], classes[:, None, :], end][last]
            total = (scores[live, :, None] + gain).reshape(count - first, -1)
            best = (
                np.argpartition(-total, width - 1, axis=1)[:, :width]
                if width < total.shape[1]
                else (np.argsort(-total, axis=1))
            )
            parent, choice = np.divmod(best, tried)
            at = rows[: count - first]
            kept = best.shape[1]
            symbols[live, :kept] = symbols[live][at, parent]
            symbols[live, :kept, step] = names[at, choice]
            before[:, live, :kept] = np.stack([before[1, live][at, parent], classes[at, choice]])
            scores[live] = -np.inf
            scores[live, :kept] = np.take_along_axis(total, best, 1)
        best = np.argsort(-scores, axis=1, kind="stable")
        return symbols[rows, best], np.take_along_axis(scores, best, 1)
