"""First guesses at what words mean, from which outputs go with which inputs.

Cross-situational learning (Siskind 1996): a word whose inputs (nearly) always have a token in their outputs may denote
that token; and any word may denote nothing. These are proposals for words that have no program yet; whether to believe
them is decided by abduction and consistency.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from nsr.learning.abduction import Guess
from nsr.semantics.values import Value

ALWAYS = 0.95  # share of a word's inputs whose outputs must have the token
MOST = 2  # tokens guessed for a word
NOTHING = 0.05  # probability that a word denotes nothing, at least


def associate(symbols: np.ndarray, lengths: np.ndarray, outputs: Sequence[Value]) -> dict[int, list[Guess]]:
    """Guesses for each symbol, most probable first; none where outputs are not lists of tokens.

    A token's probability is the share of its outputs that go with the symbol; what the most probable token leaves, and
    at least ``NOTHING``, is that of the empty list.

    Args:
        symbols: symbol ids of B sentences, shape (B, N).
        lengths: shape (B,).
        outputs: their values.
    """
    of_symbol: Counter[int] = Counter()
    of_token: Counter[str] = Counter()
    together: Counter[tuple[int, str]] = Counter()
    for row, length, output in zip(symbols.tolist(), lengths.tolist(), outputs, strict=True):
        if not isinstance(output, tuple):
            return {}
        present, tokens = set(row[:length]), set(output)
        of_symbol.update(present)
        of_token.update(tokens)
        together.update((symbol, token) for symbol in present for token in tokens)
    shares_of: dict[int, dict[str, float]] = {symbol: {} for symbol in of_symbol}
    for (symbol, token), count in together.items():
        if count >= ALWAYS * of_symbol[symbol]:
            shares_of[symbol][token] = count / of_token[token]
    guesses = {}
    for symbol, shares in shares_of.items():
        best = sorted(shares, key=lambda token: (-shares[token], token))[:MOST]
        nothing = max(1 - max((shares[token] for token in best), default=0.0), NOTHING)
        found = [Guess((token,), math.log(shares[token])) for token in best] + [Guess((), math.log(nothing))]
        guesses[symbol] = sorted(found, key=lambda guess: -guess.log_prob)
    return guesses
