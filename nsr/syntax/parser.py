"""The parser: a small network that scores transitions, and one search that parses greedily, by beam or by sampling.

The features are those of Chen and Manning (2014): tokens on the stack, in the buffer, and the dependents taken by the
two topmost tokens of the stack. A symbol enters as the embedding of its signatures, which are learned with the
lexicon, so a symbol never seen in context parses like the others of its class. Where signatures do not determine the
transitions, an embedding of the symbol's identity is added, which starts at zero and is dropped out. Likewise features
farther from the choice are used only where the near ones do not determine it: see :data:`VIEWS`.

Sampling is stochastic beam search (Kool, van Hoof and Welling 2019): a beam search on log-probabilities perturbed by
Gumbel noise draws k distinct trees without replacement. With k at least the number of trees, each is found once.

Shape letters: B sentences, K trees a sentence, R = B * K rows, N tokens, F features, V symbols, E and H units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag
from torch.optim.adamw import adamw

from nsr.arrays import unique_rows
from nsr.semantics.execution import ABSENT
from nsr.semantics.lexicon import Signature
from nsr.settings import setting
from nsr.syntax.signatures import DependencyGrammar
from nsr.syntax.transitions import NONE, Configurations, Order, oracle

# Features: the stack from the top (0-2), the buffer (3-5), and of each of the two topmost tokens (6-9, 10-13) the last
# and the last but one dependent on the left, then on the right.
FEATURES = 14
TOP, BELOW, NEXT = 0, 1, 3
NEAR = (TOP, BELOW, NEXT, 6, 8, 10, 12)
ACTIONS = 3


@dataclass(frozen=True)
class View:
    """What the network sees of a configuration: which features, and whether a symbol is more than its class."""

    slots: tuple[int, ...]
    identity: bool


# From the least to the most that can be seen; a fit uses the first that determines transitions as well as the last.
VIEWS = (
    View(NEAR, identity=False),
    View(tuple(range(FEATURES)), identity=False),
    View(NEAR, identity=True),
    View(tuple(range(FEATURES)), identity=True),
)


@dataclass(frozen=True)
class ParserConfig:
    """The network and how it is fitted."""

    embedding: int = setting(16, "units of a symbol's embedding")
    hidden: int = setting(64, "units of the hidden layer")
    max_side: int = setting(4, "dependents on one side that a signature embedding tells apart")
    identity_dropout: float = setting(0.2, "chance that a symbol's identity is hidden in a feature")
    embed: str = setting(
        "signature", "what a symbol is embedded by: signature (identity where needed), or always identity"
    )
    view_gain: float = setting(0.01, "share of transitions that seeing more must determine better, to be worth it")
    oracle: str = setting("late", "when left-arcs are taken: late or early")
    grammar_mask: bool = setting(True, "let the learned dependency grammar rule out transitions")
    learning_rate: float = setting(0.02, "of Adam")
    weight_decay: float = setting(1e-4, "on all weights; what keeps identities near zero that are not needed")
    parser_steps: int = setting(300, "at most so many steps a fit")
    parser_loss: float = setting(0.01, "a fit ends when the mean loss is this close to the least that is possible")


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
    """Scores the three transitions for rows of features.

    The first layer is linear in each feature, so it is looked up, not multiplied: one table a feature.

    Args:
        symbols: size of the symbol vocabulary.
        config: see :class:`ParserConfig`.
        generator: draws the initial weights.
    """

    def __init__(self, symbols: int, config: ParserConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.sides = config.max_side + 1
        self.order = Order(config.oracle)
        self.absent = symbols
        self.identity_dropout = config.identity_dropout
        signatures = self.sides**2 + 2  # + unknown, + no token
        self.signature = nn.Parameter(torch.empty(signatures, config.embedding))
        self.identity = nn.Parameter(torch.zeros(symbols + 1, config.embedding))  # + no token
        self.slots = nn.Parameter(torch.empty(FEATURES, config.embedding, config.hidden))
        self.bias = nn.Parameter(torch.zeros(config.hidden))
        self.output = nn.Parameter(torch.zeros(config.hidden, ACTIONS))  # at first, all trees are equally likely
        nn.init.normal_(self.signature, generator=generator)
        nn.init.normal_(self.slots, std=(FEATURES * config.embedding) ** -0.5, generator=generator)
        self.register_buffer("membership", torch.zeros(symbols + 1, signatures))
        self.register_buffer("representative", torch.arange(symbols + 1))  # the first symbol of each symbol's class
        self.register_buffer("view_index", torch.tensor(0))
        self.classify([frozenset()] * symbols)

    @property
    def view(self) -> View:
        """What the network sees."""
        return VIEWS[int(self.view_index)]

    def used_parameters(self) -> list[nn.Parameter]:
        """The parameters that the view has a use for."""
        used = [self.signature, self.slots, self.bias, self.output]
        return [*used, self.identity] if self.view.identity else used

    def classify(self, signatures: Sequence[frozenset[Signature]]) -> None:
        """Tell the network the signatures of each symbol."""
        unknown, absent = self.membership.shape[1] - 2, self.membership.shape[1] - 1
        self.membership.zero_()
        for symbol, known in enumerate(signatures):
            for left, right in known:
                index = min(left, self.sides - 1) * self.sides + min(right, self.sides - 1)
                self.membership[symbol, index] += 1 / len(known)
            if not known:
                self.membership[symbol, unknown] = 1
        self.membership[-1, absent] = 1
        _, first, class_of = np.unique(self.membership.numpy(), axis=0, return_index=True, return_inverse=True)
        self.representative.copy_(torch.from_numpy(first[class_of.reshape(-1)]))

    def reduce(self, features: np.ndarray, view: View | None = None) -> np.ndarray:
        """What a view (by default the network's own) keeps of features: (R, F) to (R, slots of the view).

        Where identity does not count, each symbol is replaced by the first one of its class.
        """
        view = view or self.view
        features = features[:, view.slots]
        return features if view.identity else self.representative.numpy()[features]

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Log-probabilities of the transitions.

        Args:
            features: as :meth:`reduce` returns them, the number of symbols where there is no token.
            generator: draws the identity dropout; None for none.

        Returns:
            shape (R, 3).
        """
        slots = self.slots[list(self.view.slots)]
        rows = features + torch.arange(len(slots)) * len(self.identity)
        table = torch.einsum("ve,feh->fvh", self.membership @ self.signature, slots).flatten(0, 1)
        hidden = embedding_bag(rows, table, mode="sum")
        if self.view.identity:
            table = torch.einsum("ve,feh->fvh", self.identity, slots).flatten(0, 1)
            kept = torch.ones(rows.shape)
            if generator is not None:
                kept = (torch.rand(rows.shape, generator=generator) >= self.identity_dropout).float()
            hidden = hidden + embedding_bag(rows, table, mode="sum", per_sample_weights=kept)
        scores = torch.relu(hidden + self.bias) @ self.output
        return torch.log_softmax(scores.masked_fill(~self._valid(features), -torch.inf), dim=1)

    def _valid(self, features: Tensor) -> Tensor:
        """Which transitions the system allows, as ``Configurations.valid`` but read off the features; shape (R, 3)."""
        slots = self.view.slots
        shift = features[:, slots.index(NEXT)] != self.absent
        pair = features[:, slots.index(BELOW)] != self.absent
        if self.order is Order.LATE:
            right = pair & (features[:, slots.index(10)] == self.absent)  # no left dependent yet
            return torch.stack([shift, pair, right], dim=1)
        left = pair & (features[:, slots.index(8)] == self.absent)  # no right dependent yet
        return torch.stack([shift, left, pair], dim=1)


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

    def relaxed(self) -> Parser:
        """The same parser with a grammar whose slots accept every class."""
        relaxed = copy(self)
        if self.grammar is not None:
            relaxed.grammar = replace(self.grammar, accepts={})
        return relaxed

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
        grammar = self.grammar if masked and self.config.grammar_mask else None
        if generator is not None:
            return self._search(symbols, lengths, width, grammar, generator)
        # sentences that look alike, often because only classes are seen, are parsed once
        by_class = self.grammar is not None and not self.scorer.view.identity
        seen = self.grammar.class_of[symbols] if by_class else symbols
        first, inverse = unique_rows(np.where(np.arange(symbols.shape[1]) < lengths[:, None], seen, ABSENT))
        found = self._search(symbols[first], lengths[first], width, grammar)
        return Parses(found.heads[inverse], found.log_probs[inverse])

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
        beam = _Beam(symbols[order], lengths[order], self.symbols, self.order, width, generator)
        for step in range(2 * int(lengths.max()) - 1):
            active = int((2 * lengths - 1 > step).sum())
            if active < beam.sentences:
                self._finish(beam, order, active, heads, log_probs)
            beam.advance(self._score, grammar)
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
        """Log p(tree | symbols) of given trees, without the grammar's mask; shape (C,).

        Raises:
            ValueError: a tree is not projective.
        """
        features, actions, tree = self._derivations(symbols, heads, lengths)
        scores = self._score(features)
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
            sight: index of the last view that may be used.

        Returns:
            the mean loss (nats a transition) at the end.

        Raises:
            ValueError: a tree is not projective.
        """
        counted = weights > 0
        weights = weights[counted]
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
        rows, wanted, mass = torch.from_numpy(features), torch.from_numpy(actions), torch.from_numpy(mass).float()
        step = _adamw(self.scorer.used_parameters(), self.config)
        loss = 0.0
        for _ in range(self.config.parser_steps):
            scores = self.scorer(rows, generator).gather(1, wanted[:, None])[:, 0]
            mean = -(mass * scores).sum()
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

    def _score(self, features: np.ndarray) -> np.ndarray:
        """Log-probabilities of the transitions for feature rows (R, F), computed once for each distinct row; (R, 3)."""
        seen = self.scorer.reduce(features)
        first, inverse = unique_rows(seen)
        with torch.no_grad():
            return self.scorer(torch.from_numpy(seen[first])).numpy()[inverse]

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
                features.append(_features(symbols, configurations, choice, self.symbols))
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


def _adamw(parameters: list[nn.Parameter], config: ParserConfig) -> Callable[[Tensor], None]:
    """A function that takes one AdamW step down the gradient of a loss.

    The functional form, since making a ``torch.optim.Optimizer`` imports the compiler, which takes over a second.
    """
    means, squares = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
    steps = [torch.zeros(()) for _ in parameters]

    def step(loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            adamw(
                parameters,
                list(gradients),
                means,
                squares,
                [],
                steps,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                eps=1e-8,
                maximize=False,
            )

    return step


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
        absent: int,
        order: Order,
        width: int,
        generator: np.random.Generator | None,
    ) -> None:
        self.width = width
        self.absent = absent
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

    def advance(self, score: Callable[[np.ndarray], np.ndarray], grammar: DependencyGrammar | None) -> None:
        """Take the best transition of each configuration, or the best few of each sentence."""
        allowed = self.configurations.valid()
        if grammar is not None:
            allowed &= grammar.mask(self.symbols, self.configurations)
        allowed &= np.isfinite(self.log_probs).reshape(-1, 1)
        scores = np.where(allowed, 0.0, -np.inf)
        choice = np.flatnonzero(allowed.sum(axis=1) > 1)  # the network decides only what is open
        if len(choice):
            features = _features(self.symbols, self.configurations, choice, self.absent)
            found = np.where(allowed[choice], score(features), -np.inf)
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


def _features(symbols: np.ndarray, configurations: Configurations, chosen: np.ndarray, absent: int) -> np.ndarray:
    """The features of the chosen rows: symbol ids, ``absent`` where there is no token; shape (R, F)."""
    stack = [configurations.top(place)[chosen] for place in range(3)]
    ahead = [configurations.ahead(place)[chosen] for place in range(3)]
    taken = [np.where(top[:, None] == NONE, NONE, configurations.children[chosen, top]) for top in stack[:2]]
    positions = np.concatenate([np.stack([*stack, *ahead], axis=1), *taken], axis=1)
    return np.where(positions == NONE, absent, symbols[chosen[:, None], positions])
