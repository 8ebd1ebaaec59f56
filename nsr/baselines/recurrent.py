"""An LSTM or GRU encoder-decoder with attention; the LSTM is the reference for this project's speed.

The architecture of Lake and Baroni (2018, arXiv 1711.00350), two layers of 200 units on either side, with
the dot-product attention of Luong, Pham and Manning (2015, arXiv 1508.04025), section 3.1: the attentional
vector ``tanh(W [context; hidden])`` predicts the word. There is no input feeding (their section 3.3): the
attentional vector does not enter the next step, so with teacher forcing the whole decoder is one ``nn.LSTM``
call, and attention is three matrix products for all steps of a batch. Training differs from Lake and Baroni's
in two ways that make an epoch faster: batches of 64 instead of single pairs, and teacher forcing always
instead of half the time.

Shapes: B sentences of a batch, S input words, T output words (with the end mark), H hidden units, L layers,
V output words and the end mark.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nsr.baselines.seq2seq import Network, NetworkConfig, Vocabulary, randomness_of
from nsr.errors import ConfigError

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class RecurrentConfig(NetworkConfig):
    """Hyperparameters of a recurrent network; the defaults are Lake and Baroni's overall-best (without attention)."""

    cell: str = "lstm"  # or gru

    def __post_init__(self) -> None:
        """Reject a cell that does not exist."""
        super().__post_init__()
        if self.cell not in CELLS:
            raise ConfigError(f"cell must be one of {', '.join(CELLS)}, not {self.cell!r}")


@dataclass(frozen=True)
class RecurrentState:
    """What decoding a batch needs: the encoded inputs, and where the decoder stands."""

    memory: Tensor  # (B, S, H)
    padding: Tensor  # (B, S), true where there is no word
    recurrent: Tensor | tuple[Tensor, Tensor]  # hidden, and of an LSTM the cell, each (L, B, H)

    def keep(self, rows: Tensor) -> RecurrentState:
        """The state of some of the sentences; ``rows`` (B,) is true for these."""
        found = self.recurrent
        kept = (found[0][:, rows], found[1][:, rows]) if isinstance(found, tuple) else found[:, rows]
        return RecurrentState(self.memory[rows], self.padding[rows], kept)


class Recurrent(Network):
    """Recurrent encoder, recurrent decoder that starts from the encoder's last state, dot-product attention."""

    def __init__(
        self, words_in: Vocabulary, words_out: Vocabulary, config: RecurrentConfig, generator: torch.Generator
    ) -> None:
        """A network with random weights, drawn from ``generator``."""
        super().__init__(words_in, words_out, config, generator)
        size, cell = config.hidden, CELLS[config.cell]
        between_layers = config.dropout if config.layers > 1 else 0.0
        with randomness_of(generator):
            self.embed_in = nn.Embedding(len(words_in), size)
            self.embed_out = nn.Embedding(len(words_out), size)
            self.encoder = cell(size, size, config.layers, batch_first=True, dropout=between_layers)
            self.decoder = cell(size, size, config.layers, batch_first=True, dropout=between_layers)
            self.combine = nn.Linear(2 * size, size, bias=False)
            self.output = nn.Linear(size, len(words_out))
        self.dropout = nn.Dropout(config.dropout)

    def encode(self, inputs: Tensor, lengths: Tensor) -> RecurrentState:
        """Read inputs (B, S) of these lengths (B,), the longest S; see :meth:`Network.encode`."""
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
        """See :meth:`Network.decode`; one call of the decoder, whatever T is."""
        embedded = self.dropout(self.embed_out(previous))  # (B, T, H)
        hidden, recurrent = self.decoder(embedded, state.recurrent)  # (B, T, H)
        scores = hidden @ state.memory.transpose(1, 2)  # (B, T, S)
        weights = scores.masked_fill(state.padding[:, None], -torch.inf).softmax(-1)
        context = weights @ state.memory  # (B, T, H)
        attentional = self.combine(torch.cat((context, hidden), -1)).tanh()  # (B, T, H)
        return self.output(attentional), RecurrentState(state.memory, state.padding, recurrent)
