"""The parser: scores transitions by a small network, and finds trees by one search, greedy, by beam or by sampling.

Shape letters: B sentences, K trees a sentence, C trees, N tokens, F features, M choices in derivations.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch

from nsr.arrays import present, unique_rows
from nsr.errors import InputError
from nsr.semantics.execution import ABSENT, Layout
from nsr.syntax.beam import Beam
from nsr.syntax.scorer import (
    ACTIONS,
    FEATURES,
    VIEWS,
    ParserConfig,
    TransitionScorer,
    adamw_steps,
    features_of,
    one_thread,
)
from nsr.syntax.signatures import DependencyGrammar
from nsr.syntax.transitions import Configurations, Order, oracle

BLOCK = 4096  # sentences parsed in lock step


@dataclass(frozen=True)
class Parses:
    """The trees found for a batch of sentences, best first.

    Attributes:
        heads: shape (B, K, N); of no use where there is no tree.
        log_probs: log p(tree | symbols), -inf where there is no tree, shape (B, K).
    """

    heads: np.ndarray
    log_probs: np.ndarray


@dataclass(frozen=True)
class GoldTrees:
    """The right trees, given by the task or by a grammar of the user.

    Attributes:
        symbols: the word of each symbol id.
        heads: gives the words of a sentence their heads; raises InputError if it is not in the language.
    """

    symbols: tuple[str, ...]
    heads: Callable[[tuple[str, ...]], tuple[int, ...]]

    def parse(self, symbols: np.ndarray, lengths: np.ndarray) -> Parses:
        """The one tree of each sentence, if it is in the language; see :meth:`Parser.parse`."""
        heads = np.full((len(symbols), 1, symbols.shape[1]), ABSENT, np.int64)
        log_probs = np.full((len(symbols), 1), -np.inf)
        for row, (sentence, length) in enumerate(zip(symbols.tolist(), lengths.tolist(), strict=True)):
            try:
                heads[row, 0, :length] = self.heads(tuple(self.symbols[symbol] for symbol in sentence[:length]))
            except InputError:  # images may be misread
                continue
            log_probs[row] = 0
        return Parses(heads, log_probs)


class Parser:
    """A transition-based dependency parser.

    Args:
        symbols: size of the symbol vocabulary.
        config: see :class:`ParserConfig`.
        generator: draws the initial weights.
        given: what holds of trees before anything is learned; None if nothing.
    """

    def __init__(
        self,
        symbols: int,
        config: ParserConfig,
        generator: torch.Generator,
        given: DependencyGrammar | None = None,
    ) -> None:
        self.config = config
        self.given = given
        self.order = Order(config.oracle)
        self.symbols = symbols
        self.scorer = TransitionScorer(symbols, config, generator)
        self.grammar: DependencyGrammar | None = None
        self.gold: GoldTrees | None = None  # if given, nothing is parsed

    @property
    def given_grammar(self) -> DependencyGrammar:
        """What is given.

        Raises:
            ValueError: nothing is.
        """
        if self.given is None:
            raise ValueError("this parser was made without a grammar")
        return self.given

    @property
    def learned_grammar(self) -> DependencyGrammar:
        """What has been learned of signatures.

        Raises:
            ValueError: nothing has.
        """
        if self.grammar is None:
            raise ValueError("this parser has learned no grammar; license it first")
        return self.grammar

    def license(self, grammar: DependencyGrammar) -> None:
        """Take over what the lexicon has learned of signatures, for the embeddings and for the mask."""
        self.grammar = grammar
        self.scorer.classify([grammar.classes[number] for number in grammar.class_of])

    def relaxed(self) -> Parser:
        """The same parser with a grammar whose slots accept every class."""
        return self if self.grammar is None else self.licensed_by(replace(self.grammar, accepts={}))

    def licensed_by(self, grammar: DependencyGrammar) -> Parser:
        """The same parser, masked by another grammar."""
        changed = copy(self)
        changed.grammar = grammar
        return changed

    def given_that(self, given: DependencyGrammar) -> Parser:
        """The same parser with another grammar as what is given."""
        changed = copy(self)
        changed.given = given
        return changed

    @one_thread()
    def parse(
        self,
        symbols: np.ndarray,
        lengths: np.ndarray,
        width: int = 1,
        generator: np.random.Generator | None = None,
        masked: bool = True,
    ) -> Parses:
        """The best trees of each sentence, or a sample of them.

        Args:
            symbols: symbol ids, shape (B, N).
            lengths: tokens of each sentence, at least 1, shape (B,).
            width: number of trees; 1 is greedy parsing.
            generator: if given, trees are sampled without replacement instead of taken best first.
            masked: whether the learned dependency grammar rules out transitions (if the configuration says so at
                all), or just what is given.
        """
        if self.gold is not None:
            return self.gold.parse(symbols, lengths)
        grammar = self.grammar if masked and self.config.grammar_mask and self.grammar is not None else self.given
        if generator is not None:
            return self._search(symbols, lengths, width, grammar, generator)
        # sentences that look alike, often because only classes are seen, are parsed once
        by_class = self.grammar is not None and grammar is self.grammar and not self.scorer.view.identity
        seen = self.learned_grammar.class_of[symbols] if by_class else symbols
        first, inverse = unique_rows(np.where(present(lengths, symbols.shape[1]), seen, ABSENT))
        found = self._search_blocks(symbols[first], lengths[first], width, grammar)
        return Parses(found.heads[inverse], found.log_probs[inverse])

    def alike(self) -> np.ndarray:
        """For each symbol the first one that parses like it, whatever is learned of the others; shape (S,).

        Raises:
            ValueError: nothing has been learned, and no trees are given.
        """
        if self.gold is not None:
            return np.arange(self.symbols)
        seen = self.scorer.seen_as(self.scorer.view)[:-1]
        first, inverse = unique_rows(np.stack([seen, self.learned_grammar.class_of], axis=1))
        return first[inverse]

    def _search_blocks(
        self, symbols: np.ndarray, lengths: np.ndarray, width: int, grammar: DependencyGrammar | None
    ) -> Parses:
        """Parse sentences of about the same length together, not too many at once: memory is what takes time."""
        heads = np.full((len(lengths), width, symbols.shape[1]), ABSENT, np.int64)
        log_probs = np.full((len(lengths), width), -np.inf)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), BLOCK):
            rows = order[start : start + BLOCK]
            longest = int(lengths[rows[-1]])
            found = self._search(symbols[rows, :longest], lengths[rows], width, grammar)
            heads[rows, :, :longest], log_probs[rows] = found.heads, found.log_probs
        return Parses(heads, log_probs)

    def _search(
        self,
        symbols: np.ndarray,
        lengths: np.ndarray,
        width: int,
        grammar: DependencyGrammar | None,
        generator: np.random.Generator | None = None,
    ) -> Parses:
        """Parse in lock step; see :meth:`parse`."""
        order = np.argsort(-lengths, kind="stable")  # longest first: the unfinished are always a prefix
        heads = np.full((len(lengths), width, symbols.shape[1]), ABSENT, np.int64)
        log_probs = np.full((len(lengths), width), -np.inf)
        if not len(lengths):
            return Parses(heads, log_probs)
        beam = Beam(symbols[order], lengths[order], self.symbols, self.order, width, grammar, generator)
        score = self._scores()
        for step in range(2 * int(lengths.max()) - 1):
            active = int((2 * lengths - 1 > step).sum())
            if active < beam.sentences:
                self._finish(beam, order, active, heads, log_probs)
            beam.advance(score)
        self._finish(beam, order, 0, heads, log_probs)
        if grammar is not None and grammar.loose:
            sentence, tree = np.nonzero(np.isfinite(log_probs))
            wrong = ~grammar.separated(symbols[sentence], Layout.of(heads[sentence, tree]))
            log_probs[sentence[wrong], tree[wrong]] = -np.inf
            best = np.argsort(-log_probs, axis=1, kind="stable")
            log_probs = np.take_along_axis(log_probs, best, 1)
            heads = np.take_along_axis(heads, best[:, :, None], 1)
        return Parses(heads, log_probs)

    @staticmethod
    def _finish(beam: Beam, order: np.ndarray, active: int, heads: np.ndarray, log_probs: np.ndarray) -> None:
        """Store the sentences behind the first ``active`` ones and drop them from the beam."""
        done = order[active : beam.sentences]
        found = beam.configurations.heads.reshape(beam.sentences, beam.width, -1)[active:]
        best = np.argsort(-beam.log_probs[active:], axis=1, kind="stable")
        log_probs[done] = np.take_along_axis(beam.log_probs[active:], best, 1)
        heads[done, :, : found.shape[2]] = np.take_along_axis(found, best[:, :, None], 1)
        beam.keep(active)

    @one_thread()
    def log_prob(self, symbols: np.ndarray, heads: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Log p(tree | symbols) of given trees, without the grammar's mask; shape (C,).

        Raises:
            ValueError: a tree is not projective.
        """
        features, actions, tree = self._derivations(symbols, heads, lengths)
        scores = self._scores()(features)
        return np.bincount(tree, scores[np.arange(len(actions)), actions], len(heads))

    @one_thread()
    def fit(
        self,
        symbols: np.ndarray,
        heads: np.ndarray,
        lengths: np.ndarray,
        weights: np.ndarray,
        generator: torch.Generator,
        sight: int = len(VIEWS) - 1,
    ) -> float:
        """Fit the network to weighted trees, on the distinct (features, transition) pairs of their derivations.

        It sees the least of :data:`VIEWS` that determines the transitions (nearly) as well as all that can be seen.

        Args:
            symbols, heads: projective trees, shape (C, N).
            lengths: shape (C,).
            weights: not negative, shape (C,).
            generator: draws the identity dropout.
            sight: index of the last view that may be used; with ``embed="identity"`` all is seen from the start.

        Returns:
            the mean loss (nats a transition) at the end.

        Raises:
            ValueError: a tree is not projective.
        """
        counted = weights > 0
        weights = weights[counted]
        if self.gold is not None:
            return 0.0
        features, actions, tree = self._derivations(symbols[counted], heads[counted], lengths[counted])
        if not len(features):
            return 0.0
        first, inverse = unique_rows(np.concatenate([features, actions[:, None]], axis=1))
        features, actions, mass = (
            features[first],
            actions[first],
            np.bincount(inverse, weights[tree], len(first)),
        )
        self.scorer.view_index.fill_(self._choose_view(features, actions, mass, sight))
        features = self.scorer.reduce(features)
        first, inverse = unique_rows(np.concatenate([features, actions[:, None]], axis=1))
        features, actions = features[first], actions[first]
        mass = np.bincount(inverse, mass / mass.sum(), len(first))
        least = _conditional_entropy(features, mass)
        rows, wanted, shares = torch.from_numpy(features), torch.from_numpy(actions), torch.from_numpy(mass).float()
        step = adamw_steps(self.scorer.used_parameters(), self.config)
        loss = 0.0
        for _ in range(self.config.parser_steps):
            scores = self.scorer(rows, generator).gather(1, wanted[:, None])[:, 0]
            mean = -(shares * scores).sum()
            loss = mean.item()
            if loss - least < self.config.parser_loss:
                break
            step(mean)
        return loss

    def _choose_view(self, features: np.ndarray, actions: np.ndarray, mass: np.ndarray, sight: int) -> int:
        """The first view under which the usual transition is (nearly) as often right as under the last one."""
        views = range(sight + 1) if self.config.embed == "signature" else (len(VIEWS) - 1,)
        determined = []
        for index in views:
            seen = self.scorer.reduce(features, VIEWS[index])
            _, inverse = unique_rows(seen)
            table = np.bincount(inverse * ACTIONS + actions, mass, ACTIONS * (int(inverse.max()) + 1))
            determined.append(table.reshape(-1, ACTIONS).max(axis=1).sum() / mass.sum())
        least = determined[-1] - self.config.view_gain
        return next(index for index, share in zip(views, determined, strict=True) if share >= least)

    def _scores(self) -> Callable[[np.ndarray], np.ndarray]:
        """Gives feature rows (R, F) the log-probabilities of the transitions (R, 3), once for each distinct row."""
        with torch.no_grad():
            table = self.scorer.table()

        def score(features: np.ndarray) -> np.ndarray:
            seen = self.scorer.reduce(features)
            first, inverse = unique_rows(seen)
            with torch.no_grad():
                return self.scorer.look_up(torch.from_numpy(seen[first]), table).numpy()[inverse]

        return score

    def _derivations(
        self, symbols: np.ndarray, heads: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The open choices in the derivations of trees: features (M, F), transition (M,) and tree (M,) of each."""
        configurations = Configurations(lengths, self.order)
        heads, rows = heads[:, : configurations.heads.shape[1]], np.arange(len(heads))
        features, actions, trees = [], [], []
        for _ in range(2 * int(lengths.max(initial=1)) - 1):
            wanted, valid = oracle(configurations, heads), configurations.valid()
            wanted[~valid[rows, wanted]] = -1  # only a tree that is not projective leads here
            choice = np.flatnonzero((wanted >= 0) & (valid.sum(axis=1) > 1))
            if len(choice):
                features.append(features_of(symbols, configurations, choice, self.symbols))
                actions.append(wanted[choice])
                trees.append(choice)
            configurations.advance(wanted)
        if (configurations.heads != heads).any():
            raise ValueError("heads: not all are projective trees")
        if not features:
            nothing = np.zeros(0, np.int64)
            return np.zeros((0, FEATURES), np.int64), nothing, nothing
        return np.concatenate(features), np.concatenate(actions), np.concatenate(trees)


def _conditional_entropy(given: np.ndarray, probs: np.ndarray) -> float:
    """Entropy (nats) of events with these probabilities when a row of features is given for each."""
    _, inverse = unique_rows(given)
    return -float((probs * np.log(probs / np.bincount(inverse, probs)[inverse])).sum())
