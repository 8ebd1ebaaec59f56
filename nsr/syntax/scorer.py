"""The network that scores transitions.

The features are those of Chen and Manning (2014): tokens on the stack, in the buffer, and the dependents taken by the
two topmost tokens of the stack. A symbol enters as the embedding of its signatures, which are learned with the
lexicon, so a symbol never seen in context parses like the others of its class. Where signatures do not determine the
transitions, an embedding of the symbol's identity is added, which starts at zero and is dropped out. Likewise features
farther from the choice are used only where the near ones do not determine it: see :data:`VIEWS`.

Shape letters: R rows (configurations), N tokens, F features, V symbols, E and H units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag
from torch.optim.adamw import adamw

from nsr.semantics.lexicon import Signature
from nsr.settings import setting
from nsr.syntax.transitions import NONE, POSITION, Configurations, Order

# Features: the stack from the top (0-2), the buffer (3-5), and of each of the two topmost tokens (6-9, 10-13) the last
# and the last but one dependent on the left, then on the right.
FEATURES = 14
TOP, BELOW, NEXT = 0, 1, 3
TOP_LEFT, TOP_RIGHT, BELOW_LEFT, BELOW_RIGHT = 6, 8, 10, 12  # the last dependents
NEAR = (TOP, BELOW, NEXT, TOP_LEFT, TOP_RIGHT, BELOW_LEFT, BELOW_RIGHT)
ACTIONS = 3

CONSTANT = frozenset({Signature(0, 0)})  # the signatures of a symbol that never takes dependents


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
    View((TOP, BELOW, 2, NEXT, TOP_LEFT, TOP_RIGHT, BELOW_LEFT, BELOW_RIGHT), identity=True),
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
    share_constants: bool = setting(True, "symbols that only ever stand alone have one identity")
    view_gain: float = setting(0.01, "share of transitions that seeing more must determine better, to be worth it")
    oracle: str = setting("late", "when left-arcs are taken: late or early")
    grammar_mask: bool = setting(True, "let the learned dependency grammar rule out transitions")
    learning_rate: float = setting(0.02, "learning rate of AdamW")
    weight_decay: float = setting(
        1e-4, "weight decay of all weights; it keeps identities near zero that are not needed"
    )
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

    membership: Tensor
    representative: Tensor
    identical: Tensor
    like: Tensor
    view_index: Tensor

    def __init__(self, symbols: int, config: ParserConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.sides = config.max_side + 1
        self.order = Order(config.oracle)
        self.absent = symbols
        self.identity_dropout = config.identity_dropout
        self.share_constants = config.share_constants and config.embed == "signature"
        signatures = self.sides**2 + 3  # + without value, + unknown, + no token
        self.signature = nn.Parameter(torch.empty(signatures, config.embedding))
        self.identity = nn.Parameter(torch.zeros(symbols + 1, config.embedding))  # + no token
        self.slots = nn.Parameter(torch.empty(FEATURES, config.embedding, config.hidden))
        self.bias = nn.Parameter(torch.zeros(config.hidden))
        self.output = nn.Parameter(torch.zeros(config.hidden, ACTIONS))  # at first, all trees are equally likely
        nn.init.normal_(self.signature, generator=generator)
        nn.init.normal_(self.slots, std=(FEATURES * config.embedding) ** -0.5, generator=generator)
        self.register_buffer("membership", torch.zeros(symbols + 1, signatures))
        self.register_buffer("representative", torch.arange(symbols + 1))  # the first symbol of each symbol's class
        self.register_buffer("identical", torch.arange(symbols + 1))  # the symbol as which each one is seen
        self.register_buffer("like", torch.arange(symbols + 1))  # the symbol that each one parses like
        self.register_buffer("view_index", torch.tensor(0))
        self.classify([frozenset()] * symbols)

    def adopt(self, other: TransitionScorer) -> None:
        """Take over the weights of a network with the same first symbols; those behind them stay as they are."""
        known = other.absent
        with torch.no_grad():
            for name in ("signature", "slots", "bias", "output", "view_index"):
                getattr(self, name).copy_(getattr(other, name))
            self.identity[:known] = other.identity[:known]
            self.identity[-1] = other.identity[-1]

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights from a file.

        Raises:
            RuntimeError: they are of another network.
            ValueError: one is no number, or there is no such view or symbol.
        """
        self.load_state_dict(weights)
        if not all(bool(each.isfinite().all()) for each in self.state_dict().values()):
            raise ValueError("a weight is not finite")
        like = self.like
        if not 0 <= int(self.view_index) < len(VIEWS) or int(like.min()) < 0 or int(like.max()) > self.absent:
            raise ValueError("a view or symbol does not exist")

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
        valueless, unknown, absent = range(self.membership.shape[1])[-3:]
        self.membership.zero_()
        for symbol, known in enumerate(signatures):
            for signature in known:
                left, right = (min(count, self.sides - 1) for count in signature[:2])
                index = valueless if signature.valueless else left * self.sides + right
                self.membership[symbol, index] += 1 / len(known)
            if not known:
                self.membership[symbol, unknown] = 1
        self.membership[-1, absent] = 1
        _, first, class_of = np.unique(self.membership.numpy(), axis=0, return_index=True, return_inverse=True)
        self.representative.copy_(torch.from_numpy(first[class_of.reshape(-1)]))
        constants = [symbol for symbol, known in enumerate(signatures) if known == CONSTANT]
        self.identical.copy_(torch.arange(len(self.identical)))
        if self.share_constants:
            self.identical[constants] = min(constants, default=0)

    def reduce(self, features: np.ndarray, view: View | None = None) -> np.ndarray:
        """What a view (by default the network's own) keeps of features: (R, F) to (R, slots of the view).

        Where identity does not count, each symbol is replaced by the first one of its class.
        """
        view = view or self.view
        return self.seen_as(view)[features[:, view.slots]]

    def seen_as(self, view: View) -> np.ndarray:
        """The symbol as which a view sees each symbol, and no symbol; shape (V + 1,)."""
        return (self.identical if view.identity else self.representative)[self.like].numpy()

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Log-probabilities of the transitions.

        Args:
            features: as :meth:`reduce` returns them, the number of symbols where there is no token.
            generator: draws the identity dropout; None for none.

        Returns:
            shape (R, 3).
        """
        if generator is None or not self.view.identity:
            return self.look_up(features, self.table())
        kept = (torch.rand(features.shape, generator=generator) >= self.identity_dropout).float()
        rows = self._rows(features)
        hidden = embedding_bag(rows, self._table(self.membership @ self.signature), mode="sum")
        hidden = hidden + embedding_bag(rows, self._table(self.identity), mode="sum", per_sample_weights=kept)
        return self._log_probs(hidden, features)

    def table(self) -> Tensor:
        """What each symbol in each slot of the view adds to the hidden layer; shape (slots * (V + 1), H)."""
        embedding = self.membership @ self.signature
        return self._table(embedding + self.identity if self.view.identity else embedding)

    def look_up(self, features: Tensor, table: Tensor) -> Tensor:
        """As :meth:`forward` without dropout, with the ``table`` computed before."""
        return self._log_probs(embedding_bag(self._rows(features), table, mode="sum"), features)

    def _table(self, embedding: Tensor) -> Tensor:
        return torch.einsum("ve,feh->fvh", embedding, self.slots[list(self.view.slots)]).flatten(0, 1)

    def _rows(self, features: Tensor) -> Tensor:
        """The rows of a table that features stand for."""
        return features + torch.arange(features.shape[1]) * len(self.identity)

    def _log_probs(self, hidden: Tensor, features: Tensor) -> Tensor:
        scores = torch.relu(hidden + self.bias) @ self.output
        return torch.log_softmax(scores.masked_fill(~self._valid(features), -torch.inf), dim=1)

    def _valid(self, features: Tensor) -> Tensor:
        """Which transitions the system allows, as ``Configurations.valid`` but read off the features; shape (R, 3)."""
        slots = self.view.slots
        shift = features[:, slots.index(NEXT)] != self.absent
        pair = features[:, slots.index(BELOW)] != self.absent
        if self.order is Order.LATE:
            right = pair & (features[:, slots.index(BELOW_LEFT)] == self.absent)  # no left dependent yet
            return torch.stack([shift, pair, right], dim=1)
        left = pair & (features[:, slots.index(TOP_RIGHT)] == self.absent)  # no right dependent yet
        return torch.stack([shift, left, pair], dim=1)


def features_of(symbols: np.ndarray, configurations: Configurations, chosen: np.ndarray, absent: int) -> np.ndarray:
    """The features of the chosen rows: symbol ids, ``absent`` where there is no token; shape (R, F)."""
    stack = [configurations.top(place)[chosen] for place in range(3)]
    ahead = [configurations.ahead(place)[chosen] for place in range(3)]
    positions = np.empty((len(chosen), FEATURES), POSITION)
    for place, token in enumerate((*stack, *ahead)):
        positions[:, place] = token
    for top, slots in zip(stack, (slice(TOP_LEFT, BELOW_LEFT), slice(BELOW_LEFT, FEATURES)), strict=False):
        positions[:, slots] = configurations.at(configurations.children, np.maximum(top, 0), chosen)
        positions[top == NONE, slots] = NONE
    found = symbols.reshape(-1).take((chosen * symbols.shape[1])[:, None] + positions)
    found[positions == NONE] = absent
    return found


def adamw_steps(parameters: list[nn.Parameter], config: ParserConfig) -> Callable[[Tensor], None]:
    """A function that takes one AdamW step down the gradient of a loss.

    The functional form, since making a ``torch.optim.Optimizer`` imports the compiler, which takes over a second.
    """
    means, squares = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
    steps = [torch.zeros(()) for _ in parameters]
    weights: list[Tensor] = [*parameters]

    def step(loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            adamw(
                weights,
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
