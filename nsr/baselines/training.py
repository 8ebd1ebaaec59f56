"""Training of a baseline: until it has seen the examples often enough, has had its time, or gets no better.

:class:`Trainer` is what all baselines share, :class:`NetworkTrainer` trains sequence-to-sequence networks.

After each epoch the network answers a part of the training examples that it does not learn from. The weights that
answer most of them, the latest of several, are the ones it ends with: by accuracy and not by loss, which says little
about generalisation (Csordas, Irie and Schmidhuber 2021, arXiv 2108.12284).

Randomness is drawn anew for each epoch and each update, from the seed and their numbers. So a training that goes on
from a checkpoint ends as if it had not been interrupted (unless it is limited by time).
"""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from nsr.baselines.seq2seq import (
    Network,
    encode_inputs,
    length_batches,
    make_optimizer,
    randomness_of,
    solved,
    train_batch,
)
from nsr.errors import ConfigError, DataError
from nsr.tasks.task import Examples

PROGRESS = "progress.json"  # of a checkpoint: where the training stands
SHARE, MOST = 0.05, 500  # of the training examples for validation, and how many at most


@dataclass(frozen=True)
class Limits:
    """When training ends.

    Attributes:
        epochs: how often each example is seen, at most.
        minutes: of training, validation included; None for no limit.
        patience: epochs without a better accuracy on the validation part that end it; 0: they do not.
    """

    epochs: int
    minutes: float | None = None
    patience: int = 0

    def __post_init__(self) -> None:
        """Refuse to train not at all."""
        if self.epochs < 1:
            raise ConfigError(f"epochs must be at least 1, not {self.epochs}")
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"minutes must be above 0, not {self.minutes:g}")


@dataclass
class Progress:
    """Where training stands.

    Attributes:
        epoch: whole epochs that are over.
        batch: batches of the next one that are over.
        loss, words: summed over the words of these batches, and how many words that were.
        updates: batches since the beginning.
        seconds: of training, validation included.
        best: the record of the epoch whose weights are kept.
        stale: epochs since validation accuracy was better than ever before.
        history: a record of each epoch.
    """

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    words: int = 0
    updates: int = 0
    seconds: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)
    stale: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def split_off_validation(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """What is learned from, and the part for validation, drawn by seed.

    Raises:
        DataError: there are fewer than two examples.
    """
    if len(examples) < 2:
        raise DataError("a baseline needs at least two training examples: one to learn from and one for validation")
    order = np.random.default_rng([seed, len(examples)]).permutation(len(examples))
    count = min(MOST, math.ceil(SHARE * len(examples)))
    return examples.take(np.sort(order[count:]).tolist()), examples.take(np.sort(order[:count]).tolist())


class Answers(NamedTuple):
    """How examples were answered.

    Attributes:
        right: which were answered right, shape (B,).
        answered: which were answered at all, shape (B,).
        figures: what else a test is to say.
    """

    right: np.ndarray
    answered: np.ndarray
    figures: Mapping[str, Any] = MappingProxyType({})


class Trainer(ABC):
    """Trains a network; :meth:`files` and :meth:`restore` keep its state.

    Args:
        model: the network, changed in place.
        optimizer: of its weights; keeps tensors only.
        validation: what its weights are chosen by.
        limits: when to end.
        seed: source of all randomness.
    """

    config: Any  # a dataclass of hyperparameters
    assumptions: ClassVar[Mapping[str, Any]] = MappingProxyType({})  # what training is told besides inputs and results

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, validation: Examples, limits: Limits, seed: int
    ) -> None:
        self.model, self.optimizer, self.validation = model, optimizer, validation
        self.limits, self.seed = limits, seed
        self.progress = Progress()
        self._best: dict[str, Tensor] = {}
        self._resumed = time.perf_counter()

    @property
    @abstractmethod
    def learned_from(self) -> int:
        """How many examples are learned from."""

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""

    @abstractmethod
    def batches(self) -> Sequence[Sequence[int]]:
        """The rows of the training examples in the batches of the next epoch."""

    @abstractmethod
    def learn(self, rows: Sequence[int]) -> tuple[float, int]:
        """Learn from a batch; the mean loss of its words, and how many these were."""

    @abstractmethod
    def answer(self, examples: Examples) -> Answers:
        """Answer the inputs of examples."""

    @property
    def seconds(self) -> float:
        """Spent on training until now, in all sessions."""
        return self.progress.seconds + time.perf_counter() - self._resumed

    @property
    def stopped(self) -> str | None:
        """The limit that has ended training; None if none has."""
        progress, limits = self.progress, self.limits
        if limits.minutes is not None and self.seconds >= 60 * limits.minutes:
            return "minutes"
        if progress.epoch >= limits.epochs:
            return "epochs"
        return "patience" if 0 < limits.patience <= progress.stale else None

    def fit(self, on_update: Callable[[], None] = lambda: None) -> str:
        """Train until a limit is reached, and take the best weights; ``on_update`` is called after each batch.

        Returns:
            the name of the limit.
        """
        self.model.train()
        self._resumed = time.perf_counter()
        reason = self.stopped
        while reason is None or not self._best:
            self._epoch(on_update)
            reason = self.stopped
        self._pause()
        self.model.load_state_dict(self._best)
        return reason

    def files(self) -> dict[str, bytes]:
        """The state, to go on from."""
        self._pause()
        tensors = {f"model.{name}": each for name, each in self.model.state_dict().items()}
        tensors |= {f"best.{name}": each for name, each in self._best.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": each for name, each in state.items()}
        return {"network.safetensors": save(tensors), PROGRESS: json.dumps(asdict(self.progress)).encode()}

    def restore(self, files: dict[str, bytes]) -> None:
        """Take over the state of :meth:`files`; the network must be of the same shape."""
        tensors: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "adam": {}}
        for name, each in load(files["network.safetensors"]).items():
            part, _, rest = name.partition(".")
            tensors[part][rest] = each
        self.model.load_state_dict(tensors["model"])
        self._best = tensors["best"]
        state: dict[int, dict[str, Tensor]] = {}
        for name, each in tensors["adam"].items():
            index, _, rest = name.partition(".")
            state.setdefault(int(index), {})[rest] = each
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.progress = Progress(**json.loads(files[PROGRESS]))
        self._resumed = time.perf_counter()

    def _epoch(self, on_update: Callable[[], None]) -> None:
        """What is left of an epoch, or of the time; then validation."""
        progress = self.progress
        batches = self.batches()
        self.model.train()
        for rows in batches[progress.batch :]:
            with randomness_of(self.generator(progress.epoch, progress.batch + 1)):
                loss, words = self.learn(rows)
            progress.loss += loss * words
            progress.words += words
            progress.batch += 1
            progress.updates += 1
            on_update()
            if self.stopped == "minutes":
                break
        self._validate(progress.batch / len(batches))
        if progress.batch == len(batches):
            progress.epoch += 1
            progress.batch, progress.loss, progress.words = 0, 0.0, 0

    def _validate(self, share: float) -> None:
        """Answer the validation part after this share of an epoch, and keep the weights if they are best."""
        progress = self.progress
        accuracy = 100 * float(self.answer(self.validation).right.mean())
        record = {
            "epoch": round(progress.epoch + share, 3),
            "updates": progress.updates,
            "loss": progress.loss / max(progress.words, 1),
            "validation": accuracy,
            "seconds": round(self.seconds, 3),
        }
        progress.history.append(record)
        before = progress.best.get("validation", -1.0)
        progress.stale = 0 if accuracy > before else progress.stale + 1
        if accuracy >= before:
            progress.best = record
            self._best = {name: weights.clone() for name, weights in self.model.state_dict().items()}

    def generator(self, *numbers: int) -> torch.Generator:
        """Randomness that belongs to an epoch, or to an update of it."""
        drawn = np.random.SeedSequence([self.seed, *numbers]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(drawn[0] >> 1))

    def _pause(self) -> None:
        """Count the seconds until now."""
        self.progress.seconds, self._resumed = self.seconds, time.perf_counter()


class NetworkTrainer(Trainer):
    """Trains a sequence-to-sequence network.

    Args:
        model: the network, changed in place.
        train: what it learns from.
        validation: what its weights are chosen by.
        limits: when to end.
        seed: source of all randomness.

    Raises:
        InputError: an input is empty.
    """

    model: Network

    def __init__(self, model: Network, train: Examples, validation: Examples, limits: Limits, seed: int) -> None:
        super().__init__(model, make_optimizer(model), validation, limits, seed)
        self.config = model.config
        self.inputs = encode_inputs(model, train.inputs)
        self.outputs = [model.words_out.encode(output) for output in train.outputs]

    @property
    def learned_from(self) -> int:
        """All training examples, but for those of the validation part."""
        return len(self.inputs)

    @property
    def batches_per_epoch(self) -> int:
        """See :meth:`Trainer.batches_per_epoch`."""
        return math.ceil(len(self.inputs) / self.config.batch)

    def batches(self) -> list[Sequence[int]]:
        """Batches of examples of similar lengths, in random order."""
        generator = self.generator(self.progress.epoch)
        return list(length_batches(self.inputs, self.outputs, self.model.config.batch, generator))

    def learn(self, rows: Sequence[int]) -> tuple[float, int]:
        """Update the weights once, by these examples."""
        inputs, outputs = [self.inputs[row] for row in rows], [self.outputs[row] for row in rows]
        return train_batch(self.model, self.optimizer, inputs, outputs)

    def answer(self, examples: Examples) -> Answers:
        """An input is answered if the network knows all its words."""
        answered = [self.model.words_in.has(sentence) for sentence in examples.inputs]
        return Answers(np.array(solved(self.model, examples)), np.array(answered))
