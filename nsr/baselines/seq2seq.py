"""An LSTM encoder-decoder with attention: the reference against which this project's speed is stated.

The architecture of Lake and Baroni (2018, arXiv 1711.00350), two layers of 200 units on either side, with
the dot-product attention of Luong, Pham and Manning (2015, arXiv 1508.04025), section 3.1: the attentional
vector ``tanh(W [context; hidden])`` predicts the word. There is no input feeding (their section 3.3): the
attentional vector does not enter the next step, so with teacher forcing the whole decoder is one ``nn.LSTM``
call, and attention is three matrix products for all steps of a batch. Training differs from Lake and Baroni's
in two ways that make an epoch faster: batches of 64 instead of single pairs, and teacher forcing always
instead of half the time.

:func:`train_epoch` and :func:`predict` ask a model only for ``config``, ``words_in``, ``words_out``,
``encode`` and ``decode``, and its state only for ``keep``. A model that offers these is trained and evaluated
by the same code. Outputs are tuples of words; a task whose values are numbers spells them out first.

Shapes: B sentences of a batch, S input words, T output words (with the end mark), H hidden units, L layers,
V output words and the end mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nsr.errors import ConfigError, DataError, InputError
from nsr.tasks.task import Examples, Tokens

MARK = 0  # the id that is no word: starts an output, ends it, and pads every batch
IGNORED = -100  # a padded target, which the loss leaves out
POOL = 16  # batches sorted by length together; sorting all of them at once was faster but learned more slowly
DECODED_AT_ONCE = 256  # sentences predicted together; affects time and memory, not predictions


@dataclass(frozen=True)
class Seq2SeqConfig:
    """Hyperparameters of the network and of its training."""

    layers: int = 2  # Lake and Baroni's overall-best network (which had no attention)
    hidden: int = 200  # units a layer, and the embedding size; the same network
    dropout: float = 0.5  # on embeddings and between layers; the same network
    batch: int = 64  # large enough to keep the cores busy, small enough for 266 updates an epoch on SCAN
    learning_rate: float = 1e-3  # Lake and Baroni's; Adam's usual value
    clip: float = 5.0  # largest gradient norm; Lake and Baroni's
    max_output: int = 768  # stops a decoder that never ends; the longest output needed has 736 words (PCFG)

    def __post_init__(self) -> None:
        """Reject values with which nothing could be trained."""
        for name in ("layers", "hidden", "batch", "learning_rate", "clip", "max_output"):
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

    def encode(self, sentence: Tokens) -> list[int]:
        """The ids of a sentence.

        Raises:
            InputError: a word is unknown.
        """
        try:
            return [self.ids[word] for word in sentence]
        except KeyError as error:
            word = error.args[0]
            known = ", ".join(self.words[:20]) + (", ..." if len(self.words) > 20 else "")
            raise InputError(
                f"unknown word {word!r} at position {sentence.index(word) + 1}; known words: {known}"
            ) from None

    def decode(self, ids: Iterable[int]) -> Tokens:
        """The words of these ids."""
        return tuple(self.words[i - 1] for i in ids)


@dataclass(frozen=True)
class RecurrentState:
    """What decoding a batch needs: the encoded inputs, and where the decoder stands."""

    memory: Tensor  # (B, S, H)
    padding: Tensor  # (B, S), true where there is no word
    recurrent: tuple[Tensor, Tensor]  # hidden and cell, each (L, B, H)

    def keep(self, rows: Tensor) -> RecurrentState:
        """The state of some of the sentences; ``rows`` (B,) is true for these."""
        hidden, cell = self.recurrent
        return RecurrentState(self.memory[rows], self.padding[rows], (hidden[:, rows], cell[:, rows]))


class Seq2Seq(nn.Module):
    """LSTM encoder, LSTM decoder that starts from the encoder's last state, dot-product attention."""

    def __init__(
        self, words_in: Vocabulary, words_out: Vocabulary, config: Seq2SeqConfig, generator: torch.Generator
    ) -> None:
        """A network with random weights, drawn from ``generator``."""
        super().__init__()
        self.config, self.words_in, self.words_out = config, words_in, words_out
        size = config.hidden
        between_layers = config.dropout if config.layers > 1 else 0.0
        with randomness_of(generator):
            self.embed_in = nn.Embedding(len(words_in), size)
            self.embed_out = nn.Embedding(len(words_out), size)
            self.encoder = nn.LSTM(size, size, config.layers, batch_first=True, dropout=between_layers)
            self.decoder = nn.LSTM(size, size, config.layers, batch_first=True, dropout=between_layers)
            self.combine = nn.Linear(2 * size, size, bias=False)
            self.output = nn.Linear(size, len(words_out))
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def for_examples(cls, examples: Examples, config: Seq2SeqConfig, generator: torch.Generator) -> Seq2Seq:
        """A network with the words of these examples, whose outputs are tuples of words."""
        return cls(Vocabulary.of(examples.inputs), Vocabulary.of(examples.outputs), config, generator)

    def encode(self, inputs: Tensor, lengths: Tensor) -> RecurrentState:
        """Read inputs (B, S) of these lengths (B,), the longest S; padding is never computed on."""
        embedded = self.dropout(self.embed_in(inputs))  # (B, S, H)
        padding = torch.arange(inputs.shape[1]) >= lengths[:, None]  # (B, S)
        if padding.any():
            packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
            hidden, recurrent = self.encoder(packed)
            memory, _ = pad_packed_sequence(hidden, batch_first=True)  # (B, S, H)
        else:  # the same numbers, faster: oneDNN's LSTM does not take packed sequences
            memory, recurrent = self.encoder(embedded)  # (B, S, H)
        return RecurrentState(memory, padding, recurrent)

    def decode(self, previous: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Logits (B, T, V) of the words that follow each of ``previous`` (B, T), and the state after them.

        Training passes all words of the outputs at once, prediction one word at a time.
        """
        embedded = self.dropout(self.embed_out(previous))  # (B, T, H)
        hidden, recurrent = self.decoder(embedded, state.recurrent)  # (B, T, H)
        scores = hidden @ state.memory.transpose(1, 2)  # (B, T, S)
        weights = scores.masked_fill(state.padding[:, None], -torch.inf).softmax(-1)
        context = weights @ state.memory  # (B, T, H)
        attentional = self.combine(torch.cat((context, hidden), -1)).tanh()  # (B, T, H)
        return self.output(attentional), RecurrentState(state.memory, state.padding, recurrent)


def make_optimizer(model: Seq2Seq) -> torch.optim.Optimizer:
    """Adam at the config's learning rate, in one fused kernel."""
    return torch.optim.Adam(model.parameters(), lr=model.config.learning_rate, fused=True)


def train_epoch(
    model: Seq2Seq, optimizer: torch.optim.Optimizer, examples: Examples, generator: torch.Generator
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
            state = model.encode(*pad([inputs[row] for row in rows]))
            previous, lengths = pad([[MARK, *outputs[row]] for row in rows])  # (B, T)
            targets, _ = pad([[*outputs[row], MARK] for row in rows], IGNORED)  # (B, T)
            logits, _ = model.decode(previous, state)  # (B, T, V)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), model.config.clip)
            optimizer.step()
            total += loss.item() * int(lengths.sum())
            words += int(lengths.sum())
    return total / words


def predict(model: Seq2Seq, inputs: Sequence[Tokens]) -> list[Tokens]:
    """The output of each input, the likeliest word taken at every step.

    Raises:
        InputError: an input is empty, or has a word the model has not been built with.
    """
    encoded = encode_inputs(model, inputs)
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))  # outputs that end together
    predictions: list[Tokens] = [()] * len(encoded)
    model.eval()
    for start in range(0, len(order), DECODED_AT_ONCE):
        rows = order[start : start + DECODED_AT_ONCE]
        for row, ids in zip(rows, greedy_decode(model, [encoded[row] for row in rows]), strict=True):
            predictions[row] = model.words_out.decode(ids)
    return predictions


def accuracy(model: Seq2Seq, examples: Examples) -> float:
    """The share of examples whose whole output is predicted exactly.

    Raises:
        DataError: there are no examples.
        InputError: as :func:`predict`.
    """
    if not len(examples):
        raise DataError("no test examples: give at least one input-output pair")
    predictions = predict(model, examples.inputs)
    right = sum(found == wanted for found, wanted in zip(predictions, examples.outputs, strict=True))
    return right / len(examples)


@torch.inference_mode()
def greedy_decode(model: Seq2Seq, inputs: list[list[int]]) -> list[list[int]]:
    """Output ids of a batch of input ids; a sentence leaves the batch when it ends."""
    state = model.encode(*pad(inputs))
    previous = torch.full((len(inputs), 1), MARK)  # (B, 1)
    rows = torch.arange(len(inputs))  # (B,), the sentences still being written
    outputs: list[list[int]] = [[] for _ in inputs]
    for _ in range(model.config.max_output):
        logits, state = model.decode(previous, state)  # (B, 1, V)
        previous = logits.argmax(-1)  # (B, 1)
        going = previous[:, 0] != MARK
        if not going.all():
            rows, previous, state = rows[going], previous[going], state.keep(going)
        if not len(rows):
            break
        for row, word in zip(rows.tolist(), previous[:, 0].tolist(), strict=True):
            outputs[row].append(word)
    return outputs


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


def encode_inputs(model: Seq2Seq, inputs: Sequence[Tokens]) -> list[list[int]]:
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
