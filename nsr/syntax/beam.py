"""Beam search over transitions: greedy, by beam, or by sampling, for a batch of sentences at once.

Sampling is stochastic beam search (Kool, van Hoof and Welling 2019): a beam search on log-probabilities perturbed by
Gumbel noise draws k distinct trees without replacement. With k at least the number of trees, each is found once.

Shape letters: B sentences, K trees a sentence, R = B * K rows, N tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nsr.syntax.scorer import ACTIONS, features_of
from nsr.syntax.signatures import DependencyGrammar
from nsr.syntax.transitions import Configurations, Order


class Beam:
    """The state of a beam search over a batch: ``width`` configurations a sentence.

    Attributes:
        log_probs: of each configuration, -inf for an empty place, shape (B, K).
        perturbed: the same plus Gumbel noise when sampling, shape (B, K).
    """

    def __init__(
        self,
        symbols: np.ndarray,
        lengths: np.ndarray,
        absent: int,
        order: Order,
        width: int,
        grammar: DependencyGrammar | None,
        generator: np.random.Generator | None,
    ) -> None:
        self.width = width
        self.absent = absent
        self.sentences = len(lengths)
        self.grammar = grammar
        self.generator = generator
        self.symbols = np.repeat(symbols, width, axis=0)
        self.takers = None if grammar is None else np.repeat(grammar.last_takers(symbols, lengths), width)
        self.configurations = Configurations(np.repeat(lengths, width), order)
        self.log_probs = np.full((self.sentences, width), -np.inf)
        self.log_probs[:, 0] = 0.0
        self.perturbed = self.log_probs.copy()

    def keep(self, sentences: int) -> None:
        """Drop all sentences behind the first ones."""
        self.sentences = sentences
        rows = slice(0, sentences * self.width)
        self.symbols = self.symbols[rows]
        self.takers = None if self.takers is None else self.takers[rows]
        self.configurations = self.configurations.select(rows)
        self.log_probs, self.perturbed = self.log_probs[:sentences], self.perturbed[:sentences]

    def advance(self, score: Callable[[np.ndarray], np.ndarray]) -> None:
        """Take the best transition of each configuration, or the best few of each sentence."""
        allowed = self.configurations.valid()
        if self.grammar is not None and self.takers is not None:
            allowed &= self.grammar.mask(self.symbols, self.configurations, self.takers)
        allowed &= np.isfinite(self.log_probs).reshape(-1, 1)
        scores = np.where(allowed, 0.0, -np.inf)
        choice = np.flatnonzero(allowed.sum(axis=1) > 1)  # the network decides only what is open
        if len(choice):
            features = features_of(self.symbols, self.configurations, choice, self.absent)
            found = np.where(allowed[choice], score(features), -np.inf)
            scores[choice] = found - np.logaddexp.reduce(found, axis=1, keepdims=True)
        log_probs = (self.log_probs.reshape(-1, 1) + scores).reshape(self.sentences, -1)  # (B, 3 K)
        perturbed = log_probs if self.generator is None else self._perturb(log_probs, self.generator)
        if self.width == 1:
            best = perturbed.argmax(axis=1)[:, None]
        else:
            best = np.argsort(-perturbed, axis=1, kind="stable")[:, : self.width]
        self.log_probs = np.take_along_axis(log_probs, best, 1)
        self.perturbed = np.take_along_axis(perturbed, best, 1)
        parents, actions = np.divmod(best, ACTIONS)
        if self.width > 1:
            rows = (parents + np.arange(self.sentences)[:, None] * self.width).reshape(-1)
            self.configurations = self.configurations.select(rows)
        actions = np.where(np.isfinite(self.log_probs), actions, -1).reshape(-1)
        self.configurations.advance(actions)

    def _perturb(self, log_probs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Gumbel noise for the children of each configuration whose maximum is the parent's own perturbed score."""
        children = log_probs.reshape(self.sentences, self.width, ACTIONS)
        parents = self.perturbed[:, :, None]
        noisy = children + generator.gumbel(size=children.shape)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            top = noisy.max(axis=2, keepdims=True)
            shifted = parents - noisy + np.log1p(-np.exp(noisy - top))
            result = parents - np.maximum(shifted, 0) - np.log1p(np.exp(-np.abs(shifted)))
        return np.where(np.isfinite(children), result, -np.inf).reshape(log_probs.shape)
