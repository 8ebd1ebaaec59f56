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
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nsr.baselines.seq2seq import Network, NetworkConfig
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


class Encoded(NamedTuple):
    """A batch of inputs as the decoder needs them."""

    memory: Tensor  # (B, S, H)
    padding: Tensor  # (B, S), true where there is no word
    last: Tensor | tuple[Tensor, Tensor]  # the encoder's last state: hidden, and of an LSTM the cell, each (L, B, H)


class Recurrent(Network):
    """Recurrent encoder, recurrent decoder that starts from the encoder's last state, dot-product attention."""

    def add_layers(self, config: RecurrentConfig) -> None:
        """See :meth:`Network.add_layers`."""
        size, cell = config.hidden, CELLS[config.cell]
        between_layers = config.dropout if config.layers > 1 else 0.0
        self.encoder = cell(size, size, config.layers, batch_first=True, dropout=between_layers)
        self.decoder = cell(size, size, config.layers, batch_first=True, dropout=between_layers)
        self.combine = nn.Linear(2 * size, size, bias=False)

    def encode(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """See :meth:`Network.encode`."""
        embedded = self.dropout(self.embed_in(inputs))  # (B, S, H)
        padding = torch.arange(inputs.shape[1]) >= lengths[:, None]  # (B, S)
        if padding.any():
            packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
            hidden, last = self.encoder(packed)
            memory, _ = pad_packed_sequence(hidden, batch_first=True)  # (B, S, H)
        else:  # the same numbers, faster: oneDNN's LSTM does not take packed sequences
            memory, last = self.encoder(embedded)  # (B, S, H)
        return Encoded(memory, padding, last)

    def decode(self, previous: Tensor, encoded: Encoded) -> Tensor:
        """See :meth:`Network.decode`; one call of the decoder, whatever T is."""
        embedded = self.dropout(self.embed_out(previous))  # (B, T, H)
        hidden, _ = self.decoder(embedded, encoded.last)  # (B, T, H)
        scores = hidden @ encoded.memory.transpose(1, 2)  # (B, T, S)
        weights = scores.masked_fill(encoded.padding[:, None], -torch.inf).softmax(-1)
        context = weights @ encoded.memory  # (B, T, H)
        attentional = self.combine(torch.cat((context, hidden), -1)).tanh()  # (B, T, H)
        return self.output(attentional)
