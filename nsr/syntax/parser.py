"""The parser: a small network that scores transitions, and one search that parses greedily, by beam or by sampling.

The features are those of Chen and Manning (2014): tokens on the stack, in the buffer, and the dependents taken by the
two topmost tokens of the stack. A symbol enters as the embedding of its signatures (which are learned with the
lexicon), plus an embedding of its identity that starts at zero and is dropped out: a symbol never seen in context
parses like the others of its class.

Sampling is stochastic beam search (Kool, van Hoof and Welling 2019): a beam search on log-probabilities perturbed by
Gumbel noise draws k distinct trees without replacement. With k at least the number of trees, each is found once.

Shape letters: B sentences, K trees a sentence, R = B * K rows, N tokens, F features, V symbols, E and H units.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from nsr.arrays import unique_rows
from nsr.semantics.execution import ABSENT
from nsr.semantics.lexicon import Signature
from nsr.syntax.signatures import DependencyGrammar
from nsr.syntax.transitions import NONE, Configurations, Order, oracle

FEATURES = 14  # 3 of the stack, 3 of the buffer, 2 + 2 dependents of each of the two topmost tokens
ACTIONS = 3


@dataclass(frozen=True)
class ParserConfig:
    """The network and how it is fitted."""

    embedding: int = 16  # units of a symbol's embedding
    hidden: int = 64  # units of the hidden layer
    max_side: int = 4  # dependents on one side that a signature embedding tells apart
    identity_dropout: float = 0.2  # chance that a symbol's identity is hidden in a feature
    oracle: str = "late"  # when left-arcs are taken: late or early
    grammar_mask: bool = True  # let the learned dependency grammar rule out transitions
    learning_rate: float = 0.02  # of Adam
    weight_decay: float = 1e-4  # on all weights; what keeps identities near zero that are not needed
    parser_steps: int = 300  # at most so many steps a fit
    parser_loss: float = 0.01  # a fit ends when the mean loss falls below this


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: for matrices this small, threads cost far more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class TransitionScorer(nn.Module):
    """Scores the three transitions for feature rows of symbol ids.

    The first layer is linear in each feature, so it is looked up, not multiplied: one table a feature.
    """

    def __init__(self, symbols: int, config: ParserConfig, generator: torch.Generator) -> None:
        super().__init__()
        sides = config.max_side + 1
        self.sides = sides
        self.order = Order(config.oracle)
        self.absent = symbols
        self.identity_dropout = config.identity_dropout
        self.signature = nn.Parameter(torch.empty(sides * sides + 2, config.embedding))  # + unknown, + no token
        self.identity = nn.Parameter(torch.zeros(symbols + 1, config.embedding))  # + no token
        self.slots = nn.Parameter(torch.empty(FEATURES, config.embedding, config.hidden))
        self.bias = nn.Parameter(torch.zeros(config.hidden))
        self.output = nn.Parameter(torch.zeros(config.hidden, ACTIONS))  # at first, all trees are equally likely
        nn.init.normal_(self.signature, generator=generator)
        nn.init.normal_(self.slots, std=(FEATURES * config.embedding) ** -0.5, generator=generator)
        self.register_buffer("membership", torch.zeros(symbols + 1, len(self.signature)))
        self.classify([frozenset()] * symbols)

    def classify(self, signatures: list[frozenset[Signature]]) -> None:
        """Tell the network the signatures of each symbol."""
        unknown, absent = len(self.signature) - 2, len(self.signature) - 1
        self.membership.zero_()
        for symbol, known in enumerate(signatures):
            for left, right in known:
                index = min(left, self.sides - 1) * self.sides + min(right, self.sides - 1)
                self.membership[symbol, index] += 1 / len(known)
            if not known:
                self.membership[symbol, unknown] = 1
        self.membership[-1, absent] = 1

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Log-probabilities of the transitions.

        Args:
            features: symbol ids, the number of symbols where there is no token, shape (R, F).
            generator: draws the identity dropout; None for none.

        Returns:
            shape (R, 3).
        """
        by_class = torch.einsum("ve,feh->fvh", self.membership @ self.signature, self.slots).flatten(0, 1)
        by_identity = torch.einsum("ve,feh->fvh", self.identity, self.slots).flatten(0, 1)
        rows = features + torch.arange(FEATURES) * len(self.identity)
        if generator is None:
            hidden = embedding_bag(rows, by_class + by_identity, mode="sum")
        else:
            kept = (torch.rand(rows.shape, generator=generator) >= self.identity_dropout).float()
            hidden = embedding_bag(rows, by_class, mode="sum")
            hidden = hidden + embedding_bag(rows, by_identity, mode="sum", per_sample_weights=kept)
        scores = torch.relu(hidden + self.bias) @ self.output
        return torch.log_softmax(scores.masked_fill(~self._valid(features), -torch.inf), dim=1)

    def _valid(self, features: Tensor) -> Tensor:
        """Which transitions the system allows, as ``Configurations.valid`` but read off the features; shape (R, 3)."""
        present = features != self.absent
        shift, left_arc, right_arc = present[:, 3], present[:, 1], present[:, 1].clone()
        if self.order is Order.LATE:
            right_arc &= ~present[:, 10]  # the token below the top has taken a left dependent
        else:
            left_arc = left_arc & ~present[:, 8]  # the top has taken a right dependent
        return torch.stack([shift, left_arc, right_arc], dim=1)


@dataclass(frozen=True)
class Parses:
    """The trees found for a batch of sentences, best first.

    Attributes:
        heads: shape (B, K, N); of no use where there is no tree.
        log_probs: log p(tree | symbols), -inf where there is no tree, shape (B, K).
    """

    heads: np.ndarray
    log_probs: np.ndarray


class Parser:
    """A transition-based dependency parser.

    Args:
        symbols: size of the symbol vocabulary.
        config: see :class:`ParserConfig`.
        generator: draws the initial weights.
    """

    def __init__(self, symbols: int, config: ParserConfig, generator: torch.Generator) -> None:
        self.config = config
        self.order = Order(config.oracle)
        self.symbols = symbols
        self.scorer = TransitionScorer(symbols, config, generator)
        self.grammar: DependencyGrammar | None = None

    def license(self, grammar: DependencyGrammar) -> None:
        """Take over what the lexicon has learned of signatures, for the embeddings and for the mask."""
        self.grammar = grammar
        self.scorer.classify([grammar.classes[number] for number in grammar.class_of])

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
            masked: whether the dependency grammar rules out transitions (if the configuration says so at all).
        """
        order = np.argsort(-lengths, kind="stable")  # longest first: the unfinished are always a prefix
        heads = np.full((len(lengths), width, symbols.shape[1]), ABSENT, np.int64)
        log_probs = np.full((len(lengths), width), -np.inf)
        grammar = self.grammar if masked and self.config.grammar_mask else None
        beam = _Beam(symbols[order], lengths[order], self.order, width, generator)
        scorer = _Scores(self.scorer)
        for step in range(2 * int(lengths.max(initial=1)) - 1):
            active = int((2 * lengths - 1 > step).sum())
            if active < beam.sentences:
                self._finish(beam, order, active, heads, log_probs)
            beam.advance(scorer, grammar)
        self._finish(beam, order, 0, heads, log_probs)
        return Parses(heads, log_probs)

    @staticmethod
    def _finish(beam: _Beam, order: np.ndarray, active: int, heads: np.ndarray, log_probs: np.ndarray) -> None:
        """Store the sentences behind the first ``active`` ones and drop them from the beam."""
        done = order[active : beam.sentences]
        found = beam.configurations.heads.reshape(beam.sentences, beam.width, -1)[active:]
        best = np.argsort(-beam.log_probs[active:], axis=1, kind="stable")
        log_probs[done] = np.take_along_axis(beam.log_probs[active:], best, 1)
        heads[done, :, : found.shape[2]] = np.take_along_axis(found, best[:, :, None], 1)
        beam.keep(active)

    @one_thread()
    def log_prob(self, symbols: np.ndarray, heads: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Log p(tree | symbols) of given projective trees, without the grammar's mask; shape (C,)."""
        features, actions, tree = self._derivations(symbols, heads, lengths)
        first, inverse = unique_rows(features)
        with torch.no_grad():
            scores = self.scorer(torch.from_numpy(features[first])).numpy()[inverse]
        return np.bincount(tree, scores[np.arange(len(actions)), actions], len(heads))

    @one_thread()
    def fit(
        self,
        symbols: np.ndarray,
        heads: np.ndarray,
        lengths: np.ndarray,
        weights: np.ndarray,
        generator: torch.Generator,
    ) -> float:
        """Fit the network to weighted trees, on the distinct (features, transition) pairs of their derivations.

        Args:
            symbols, heads: projective trees, shape (C, N).
            lengths: shape (C,).
            weights: shape (C,).
            generator: draws the identity dropout.

        Returns:
            the mean loss (nats a transition) at the end.
        """
        features, actions, tree = self._derivations(symbols, heads, lengths)
        first, inverse = unique_rows(np.concatenate([features, actions[:, None]], axis=1))
        mass = torch.from_numpy(np.bincount(inverse, weights[tree], len(first))).float()
        rows, wanted = torch.from_numpy(features[first]), torch.from_numpy(actions[first])
        mass = mass / mass.sum()
        optimizer = torch.optim.AdamW(
            self.scorer.parameters(), self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        loss = torch.tensor(0.0)
        for _ in range(self.config.parser_steps):
            scores = self.scorer(rows, generator).gather(1, wanted[:, None])[:, 0]
            loss = -(mass * scores).sum()
            if loss.item() < self.config.parser_loss:
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    def _derivations(
        self, symbols: np.ndarray, heads: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The open choices in the derivations of trees: features (M, F), transition (M,) and tree (M,) of each."""
        configurations = Configurations(lengths, self.order)
        features, actions, trees = [], [], []
        for _ in range(2 * int(lengths.max(initial=1)) - 1):
            wanted = oracle(configurations, heads[:, : configurations.heads.shape[1]])
            choice = np.flatnonzero((wanted >= 0) & (configurations.valid().sum(axis=1) > 1))
            if len(choice):
                features.append(_features(symbols[choice], configurations.select(choice), self.symbols))
                actions.append(wanted[choice])
                trees.append(choice)
            configurations.advance(wanted)
        if not features:
            nothing = np.zeros(0, np.int64)
            return np.zeros((0, FEATURES), np.int64), nothing, nothing
        return np.concatenate(features), np.concatenate(actions), np.concatenate(trees)


class _Scores:
    """Transition scores of feature rows, computed once for each distinct row of a parse."""

    def __init__(self, scorer: TransitionScorer) -> None:
        self.scorer = scorer
        self.symbols = len(scorer.identity) - 1

    def __call__(self, features: np.ndarray) -> np.ndarray:
        first, inverse = unique_rows(features)
        with torch.no_grad():
            return self.scorer(torch.from_numpy(features[first])).numpy()[inverse]


class _Beam:
    """The state of a beam search over a batch: ``width`` configurations a sentence.

    Attributes:
        log_probs: of each configuration, -inf for an empty place, shape (B, K).
        perturbed: the same plus Gumbel noise when sampling, shape (B, K).
    """

    def __init__(
        self,
        symbols: np.ndarray,
        lengths: np.ndarray,
        order: Order,
        width: int,
        generator: np.random.Generator | None,
    ) -> None:
        self.width = width
        self.sentences = len(lengths)
        self.generator = generator
        self.symbols = np.repeat(symbols, width, axis=0)
        self.configurations = Configurations(np.repeat(lengths, width), order)
        self.log_probs = np.full((self.sentences, width), -np.inf)
        self.log_probs[:, 0] = 0.0
        self.perturbed = self.log_probs.copy()

    def keep(self, sentences: int) -> None:
        """Drop all sentences behind the first ones."""
        self.sentences = sentences
        rows = slice(0, sentences * self.width)
        self.symbols = self.symbols[rows]
        self.configurations = self.configurations.select(rows)
        self.log_probs, self.perturbed = self.log_probs[:sentences], self.perturbed[:sentences]

    def advance(self, scorer: _Scores, grammar: DependencyGrammar | None) -> None:
        """Take the best transition of each configuration, or the best few of each sentence."""
        allowed = self.configurations.valid()
        if grammar is not None:
            allowed &= grammar.mask(self.symbols, self.configurations)
        allowed &= np.isfinite(self.log_probs).reshape(-1, 1)
        scores = np.where(allowed, 0.0, -np.inf)
        choice = np.flatnonzero(allowed.sum(axis=1) > 1)  # the network decides only what is open
        if len(choice):
            features = _features(self.symbols[choice], self.configurations.select(choice), scorer.symbols)
            found = np.where(allowed[choice], scorer(features), -np.inf)
            scores[choice] = found - np.logaddexp.reduce(found, axis=1, keepdims=True)
        log_probs = (self.log_probs.reshape(-1, 1) + scores).reshape(self.sentences, -1)  # (B, 3 K)
        perturbed = log_probs if self.generator is None else self._perturb(log_probs)
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

    def _perturb(self, log_probs: np.ndarray) -> np.ndarray:
        """Gumbel noise for the children of each configuration whose maximum is the parent's own perturbed score."""
        children = log_probs.reshape(self.sentences, self.width, ACTIONS)
        parents = self.perturbed[:, :, None]
        noisy = children + self.generator.gumbel(size=children.shape)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            top = noisy.max(axis=2, keepdims=True)
            shifted = parents - noisy + np.log1p(-np.exp(noisy - top))
            result = parents - np.maximum(shifted, 0) - np.log1p(np.exp(-np.abs(shifted)))
        return np.where(np.isfinite(children), result, -np.inf).reshape(log_probs.shape)


def _features(symbols: np.ndarray, configurations: Configurations, absent: int) -> np.ndarray:
    """The features of each row: symbol ids, ``absent`` where there is no token; shape (R, F)."""
    rows = np.arange(len(configurations))
    stack = [configurations.top(place) for place in range(3)]
    places = [*stack, *(configurations.ahead(place) for place in range(3))]
    for top in stack[:2]:
        found = configurations.children[:, rows, np.maximum(top, 0)]
        places.extend(np.where(top == NONE, NONE, found))
    positions = np.stack(places, axis=1)
    return np.where(positions == NONE, absent, symbols[rows[:, None], np.maximum(positions, 0)])
