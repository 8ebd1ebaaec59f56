"""Abductive learning of HINT from images by ABLkit: perception is learned, grammar and programs are given.

Huang, Hu, Gao and Jiang (2024), ABLkit: a Python toolkit for abductive learning, Frontiers of Computer Science 18,
186354. A network reads the images of an expression one by one; where the result of what it read is not the right one,
the fewest readings are revised that make it right, the most probable of several, and the network learns what came of
it. Revisions are searched exhaustively: r of n symbols in (n choose r) * 16 ** r ways. So only expressions of at most
``longest`` symbols are learned from. Training begins with some of each length, from short to long: a digit alone is
revised in 16 ways, and then an operator between known digits.

ABLkit is used as it is: its search, network wrapper and training loop. The network, the preparation of images and their
augmentation are those of :mod:`nsr.perception.network`. ABLkit is only imported when it is needed.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nsr.arrays import percent, ranks
from nsr.baselines.training import Answers, Limits, Trainer
from nsr.devices import usable
from nsr.errors import ConfigError, DataError
from nsr.perception.network import ImageConfig, SymbolNetwork, augment, classify_views, prepare, seeded
from nsr.pictures import PackedPictures
from nsr.tasks.expressions import SYMBOLS, is_expression
from nsr.tasks.hint import Hint, meaning
from nsr.tasks.task import Examples, Task

ABLKIT = "ablkit"
SIZE = "cpu"
EPOCHS = 20


@dataclass(frozen=True)
class AbductiveConfig:
    """Hyperparameters, besides those of the network."""

    longest: int = 7  # symbols of an expression; shorter ones have no parentheses
    revisions: int = 2  # symbols of an expression that are revised at most
    first: int = 1024  # expressions of each length that come first, short ones before long ones
    segment: int = 256  # expressions between reading and learning
    batch: int = 64  # images of an update
    rate: float = 2e-3  # learning rate of AdamW, at the beginning; it falls to 0


class Augmented(nn.Module):
    """A network whose images are changed a little in training; ``generator`` draws how."""

    def __init__(self, network: SymbolNetwork, config: ImageConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.generator = torch.Generator()

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the symbols, shape (M, K)."""
        return self.network(augment(images, self.config, self.generator) if self.training else images)


class AbductiveTrainer(Trainer):
    """Trains a network to read symbols; a batch is what ABLkit calls a segment.

    Args:
        train: what it learns from, as far as it is short enough.
        validation: what its weights are chosen by.
        limits: when to end.
        seed: source of all randomness.
        config: hyperparameters.

    Raises:
        ConfigError: ABLkit is not installed.
        DataError: no expression is short enough.
    """

    assumptions: ClassVar[Mapping[str, Any]] = MappingProxyType({"syntax": "given", "semantics": "given"})

    def __init__(
        self,
        train: Examples,
        validation: Examples,
        limits: Limits,
        seed: int,
        config: AbductiveConfig = AbductiveConfig(),
    ) -> None:
        self.config = config
        self.images = ImageConfig(device=usable("auto"))
        with seeded(seed):
            self.network = SymbolNetwork(len(SYMBOLS), self.images).to(self.images.device)
        optimizer = torch.optim.AdamW(self.network.parameters(), config.rate, weight_decay=self.images.image_decay)
        super().__init__(self.network, optimizer, validation, limits, seed)
        inputs = _pictures(train)
        short = np.flatnonzero(inputs.lengths <= config.longest)
        if not len(short):
            raise DataError(f"{ABLKIT} needs expressions of at most {config.longest} symbols; take more by --examples")
        self.train, self.lengths = train.take(short.tolist()), inputs.lengths[short]
        self.prepared = prepare(inputs.pool.images)
        self.views = 1
        self.augmented = Augmented(self.network, self.images)
        self.losses: list[tuple[float, int]] = []
        loss = nn.CrossEntropyLoss(label_smoothing=self.images.smoothing)
        loss.register_forward_hook(lambda _, given, mean: self.losses.append((mean.item(), len(given[0]))))
        self.bridge = make_bridge(self.augmented, loss, optimizer, config, self.images.device)

    @property
    def learned_from(self) -> int:
        """The training expressions that are short enough."""
        return len(self.train)

    @property
    def batches_per_epoch(self) -> int:
        """See :meth:`nsr.baselines.training.Trainer.batches_per_epoch`."""
        return math.ceil(len(self.train) / self.config.segment)

    def batches(self) -> list[list[int]]:
        """Segments in random order; the first epoch begins with some expressions of each length, short ones first."""
        rng = np.random.default_rng([self.seed, self.progress.epoch])
        order = rng.permutation(len(self.train))
        if self.progress.epoch == 0:
            lengths = self.lengths[order]
            first = ranks(lengths) < self.config.first
            order = np.concatenate([order[first][np.argsort(lengths[first], kind="stable")], order[~first]])
        segment = self.config.segment
        return [order[start : start + segment].tolist() for start in range(0, len(order), segment)]

    def learn(self, rows: Sequence[int]) -> tuple[float, int]:
        """Read some expressions, revise what was read, and learn from that."""
        progress, limits = self.progress, self.limits
        share = progress.updates / (limits.epochs * self.batches_per_epoch)
        if limits.minutes is not None:
            share = max(share, min(self.seconds / (60 * limits.minutes), 1))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * (1 - share)
        self.augmented.generator = self.generator(progress.epoch, progress.batch + 1)
        chosen = self.train.take(rows)
        images = [list(self.prepared[torch.from_numpy(each.ids)]) for each in chosen.inputs]
        self.losses.clear()
        data = (images, None, list(chosen.outputs))
        self.bridge.train(data, val_data=tuple(each and each[:1] for each in data), loops=1, segment_size=len(images))
        learned = sum(count for _, count in self.losses)
        return sum(loss * count for loss, count in self.losses) / max(learned, 1), learned

    def fit(self, on_update: Callable[[], None] = lambda: None) -> str:
        """See :meth:`nsr.baselines.training.Trainer.fit`; afterwards several views of an image are looked at."""
        reason = super().fit(on_update)
        self.views = self.images.views
        return reason

    def answer(self, examples: Examples) -> Answers:
        """Each image is read by itself; an input is answered if that is an expression that has a value."""
        inputs = _pictures(examples)
        ids, places = np.unique(inputs.ids, return_inverse=True)
        scores = classify_views(self.network, self.prepared[torch.from_numpy(ids)], self.views, self.images)
        symbols = [SYMBOLS[symbol] for symbol in scores.argmax(1).numpy()[places].tolist()]
        values = [value_of(symbols[start:end]) for start, end in itertools.pairwise(inputs.bounds)]
        right = [value == output for value, output in zip(values, examples.outputs, strict=True)]
        gold = [symbol for tokens in examples.tokens for symbol in tokens]
        answered = np.array([value is not None for value in values])
        return Answers(np.array(right), answered, {"symbols": {"alone": percent(np.array(symbols) == np.array(gold))}})


def _pictures(examples: Examples) -> PackedPictures:
    """The inputs, which are images.

    Raises:
        ConfigError: they are not.
    """
    if not isinstance(examples.inputs, PackedPictures):
        raise ConfigError(f"{ABLKIT} reads images, not tokens")
    return examples.inputs


def value_of(symbols: Sequence[str]) -> int | None:
    """The value of an expression, None if it has none or is not one."""
    return meaning(symbols) if is_expression(symbols) else None


def check(task: Task, size: str) -> None:
    """Refuse what ABLkit cannot be trained for.

    Raises:
        ConfigError: the task's inputs are not HINT's images, there are no such hyperparameters, or ABLkit is not
            installed.
    """
    if not isinstance(task, Hint) or task.input != "images":
        raise ConfigError(f"{ABLKIT} reads the images of hint: nsr train-baseline hint --input images --model {ABLKIT}")
    if size != SIZE:
        raise ConfigError(f"{ABLKIT} has hyperparameters of size {SIZE} only, not {size!r}")
    ablkit()


def ablkit() -> Any:
    """The library of that name, which is kept from writing logs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import ablkit as library
    except ImportError:
        raise ConfigError(f"{ABLKIT} needs ABLkit, which is not installed: pip install nsr[abl]") from None
    logger = library.utils.ABLLogger
    if not logger.check_instance_created("nsr"):
        logger.get_instance("nsr", log_file=os.devnull, log_level="ERROR")
    return library


def make_bridge(
    network: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, config: AbductiveConfig, device: str
) -> Any:
    """ABLkit's training loop for a network that reads symbols.

    Raises:
        ConfigError: it is not installed.
    """
    library = ablkit()
    values = {"logic_forward": lambda self, symbols: value_of(symbols)}  # what expressions are worth
    knowledge = type("Knowledge", (library.reasoning.KBBase,), values)
    wrapped = library.learning.BasicNN(
        network, loss, optimizer, device=device, batch_size=config.batch, num_epochs=1, stop_loss=None
    )
    reasoner = library.reasoning.Reasoner(knowledge(list(SYMBOLS)), "confidence", max_revision=config.revisions)
    return library.bridge.SimpleBridge(library.learning.ABLModel(wrapped), reasoner, [])
