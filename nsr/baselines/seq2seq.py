"""What all baselines have in common: words, training with teacher forcing, what greedy prediction gets right.

A baseline is a :class:`Network`; :mod:`nsr.baselines.recurrent` and :mod:`nsr.baselines.transformer` have them. Outputs
are tuples of words; a task whose values are numbers spells them out first.

Shapes: B sentences of a batch, S input words, T output words (with the end mark), V output words and the end mark.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nsr.errors import ConfigError, DataError, InputError
from nsr.perception.tokens import unknown_word
from nsr.tasks.task import Examples, Tokens

if TYPE_CHECKING:
    from typing_extensions import Self

MARK = 0  # the id that is no word: starts an output, ends it, and pads every batch
IGNORED = -100  # a padded target, which the loss leaves out
POOL = 16  # batches sorted by length together; sorting all of them at once was faster but learned more slowly
FORCED_AT_ONCE = 8192  # about so many output words are checked together; affects time and memory, not what is found


@dataclass(frozen=True)
class NetworkConfig:
    """Hyperparameters of a network and of its training."""

    layers: int = 2  # of the encoder, and of the decoder if nothing else is said
    hidden: int = 200  # units a layer, and the embedding size
    dropout: float = 0.5
    batch: int = 64  # large enough to keep the cores busy, small enough for 266 updates an epoch on SCAN
    learning_rate: float = 1e-3  # Adam's usual value
    clip: float = 5.0  # largest gradient norm

    def __post_init__(self) -> None:
        """Reject values with which nothing could be trained."""
        for name in ("layers", "hidden", "batch", "learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout}")


@dataclass(frozen=True)
class Vocabulary:
    """The words of one side; the id of a word is its place, from 1, and 0 is ``MARK``."""

    words: Tokens

    @classmethod
    def of(cls, sentences: Iterable[Tokens]) -> Vocabulary:
        """The distinct words of these sentences, sorted."""
        return cls(tuple(sorted({word for sentence in sentences for word in sentence})))

    @cached_property
    def ids(self) -> dict[str, int]:
        """From word to id."""
        return {word: place for place, word in enumerate(self.words, start=1)}

    def __len__(self) -> int:
        """How many ids there are, ``MARK`` included."""
        return len(self.words) + 1

    def has(self, sentence: Tokens) -> bool:
        """Whether all words of a sentence are known."""
        return all(word in self.ids for word in sentence)

    def encode(self, sentence: Tokens) -> list[int]:
        """The ids of a sentence.

        Raises:
            InputError: a word is unknown.
        """
        try:
            return [self.ids[word] for word in sentence]
        except KeyError as error:
            word = error.args[0]
            raise unknown_word(word, sentence.index(word) + 1, self.words) from None


class Network(nn.Module, ABC):
    """A sequence-to-sequence network with its words."""

    def __init__(
        self, words_in: Vocabulary, words_out: Vocabulary, config: NetworkConfig, generator: torch.Generator
    ) -> None:
        """A network with random weights, drawn from ``generator``.

        Raises:
            ConfigError: its layers need a library that is not installed.
        """
        super().__init__()
        self.config, self.words_in, self.words_out = config, words_in, words_out
        with randomness_of(generator):
            self.embed_in = nn.Embedding(len(words_in), config.hidden)
            self.embed_out = nn.Embedding(len(words_out), config.hidden)
            self.add_layers(config)
            self.output = nn.Linear(config.hidden, len(words_out))
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def for_examples(cls, examples: Examples, config: NetworkConfig, generator: torch.Generator) -> Self:
        """A network with the words of these examples, and random weights drawn from ``generator``."""
        return cls(Vocabulary.of(examples.inputs), Vocabulary.of(examples.outputs), config, generator)

    @abstractmethod
    def add_layers(self, config: Any) -> None:
        """Add the layers between embeddings and output, with random weights from torch's global generator."""

    @abstractmethod
    def encode(self, inputs: Tensor, lengths: Tensor) -> Any:
        """What the decoder needs of inputs (B, S) of these lengths (B,), the longest S; padding changes nothing."""

    @abstractmethod
    def decode(self, previous: Tensor, encoded: Any) -> Tensor:
        """Logits (B, T, V) of the words that follow each of ``previous`` (B, T), which begin with ``MARK``."""


def make_optimizer(model: Network) -> torch.optim.Optimizer:
    """Adam at the config's learning rate, in one fused kernel."""
    return torch.optim.Adam(model.parameters(), lr=model.config.learning_rate, fused=True)


def train_epoch(
    model: Network, optimizer: torch.optim.Optimizer, examples: Examples, generator: torch.Generator
) -> float:
    """One pass over the examples with teacher forcing; the mean loss, in nats a word (end marks count).

    Raises:
        DataError: there are no examples.
        InputError: an input is empty, or a word is not in the model's vocabulary.
    """
    if not len(examples):
        raise DataError("no training examples: give at least one input-output pair")
    inputs = encode_inputs(model, examples.inputs)
    outputs = [model.words_out.encode(output) for output in examples.outputs]
    model.train()
    total, words = 0.0, 0
    with randomness_of(generator):
        for rows in length_batches(inputs, outputs, model.config.batch, generator):
            loss, count = train_batch(model, optimizer, [inputs[row] for row in rows], [outputs[row] for row in rows])
            total += loss * count
            words += count
    return total / words


def train_batch(
    model: Network, optimizer: torch.optim.Optimizer, inputs: list[list[int]], outputs: list[list[int]]
) -> tuple[float, int]:
    """One update on a batch of ids; the mean loss, and over how many words (end marks count)."""
    logits, targets = forced(model, inputs, outputs)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), model.config.clip)
    optimizer.step()
    return loss.item(), sum(map(len, outputs)) + len(outputs)


def forced(model: Network, inputs: list[list[int]], outputs: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Logits (B, T, V) after the right words, and the words (B, T) that should follow; ``IGNORED`` is padding."""
    previous, _ = pad([[MARK, *output] for output in outputs])  # (B, T)
    targets, _ = pad([[*output, MARK] for output in outputs], IGNORED)  # (B, T)
    return model.decode(previous, model.encode(*pad(inputs))), targets


@torch.inference_mode()
def solved(model: Network, examples: Examples) -> list[bool]:
    """Of each example whether the model writes exactly its output, if the likeliest word is taken at every step.

    One with a word the model lacks is not solved. Nothing is written for that: the likeliest words are the output if
    and only if each of them, and the end mark, is the likeliest after the right words before it. So outputs go through
    the decoder all at once, as in training.
    """
    rows = [
        row
        for row, (sentence, output) in enumerate(examples)
        if sentence and model.words_in.has(sentence) and model.words_out.has(output)
    ]
    inputs = {row: model.words_in.encode(examples.inputs[row]) for row in rows}
    outputs = {row: model.words_out.encode(examples.outputs[row]) for row in rows}
    rows.sort(key=lambda row: (len(outputs[row]), len(inputs[row])))
    found = [False] * len(examples)
    model.eval()
    while rows:
        width = len(outputs[rows[0]]) + 1
        batch, rows = rows[: max(1, FORCED_AT_ONCE // width)], rows[max(1, FORCED_AT_ONCE // width) :]
        logits, targets = forced(model, [inputs[row] for row in batch], [outputs[row] for row in batch])
        right = (logits.argmax(-1) == targets) | (targets == IGNORED)  # (B, T)
        for row, hit in zip(batch, right.all(1).tolist(), strict=True):
            found[row] = hit
    return found


def length_batches(
    inputs: list[list[int]], outputs: list[list[int]], size: int, generator: torch.Generator
) -> Iterator[list[int]]:
    """Every row once, in batches of the same or nearly the same lengths, in random order.

    Rows are shuffled, sorted by input length, then output length, within pools of ``POOL`` batches, and cut;
    then the batches are shuffled.
    """
    order = torch.randperm(len(inputs), generator=generator).tolist()
    batches = []
    for start in range(0, len(order), POOL * size):
        pool = order[start : start + POOL * size]
        pool.sort(key=lambda row: (len(inputs[row]), len(outputs[row])))
        batches += [pool[first : first + size] for first in range(0, len(pool), size)]
    for place in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[place]


def encode_inputs(model: Network, inputs: Sequence[Tokens]) -> list[list[int]]:
    """The ids of these inputs.

    Raises:
        InputError: an input is empty, or has an unknown word.
    """
    for place, sentence in enumerate(inputs, start=1):
        if not sentence:
            raise InputError(f"input {place} is empty: give at least one word")
    return [model.words_in.encode(sentence) for sentence in inputs]


def pad(sentences: list[list[int]], filler: int = MARK) -> tuple[Tensor, Tensor]:
    """Sentences as one tensor (B, longest), filled up on the right, and their lengths (B,)."""
    lengths = [len(sentence) for sentence in sentences]
    longest = max(lengths)
    filled = [sentence + [filler] * (longest - len(sentence)) for sentence in sentences]
    return torch.tensor(filled), torch.tensor(lengths)


@contextmanager
def randomness_of(generator: torch.Generator) -> Iterator[None]:
    """Let torch's modules, whose weights and dropout only know the global generator, draw from this one.

    The global generator is seeded from ``generator``, and afterwards put back as it was.
    """
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
