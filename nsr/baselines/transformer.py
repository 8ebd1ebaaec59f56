"""Transformer encoder-decoders: with absolute or relative positions, and with one layer for all depths.

Absolute positions are the sinusoids of Vaswani et al. (2017, arXiv 1706.03762), on layers of ``torch.nn``; embeddings
are not scaled. Relative positions, which ``torch.nn`` lacks, come with the layers of x-transformers: a learned bias of
each head for each distance, as in T5 (Raffel et al. 2020, arXiv 1910.10683). With ``shared``, all layers of the encoder
are one layer, and so are those of the decoder: a Universal Transformer (Dehghani et al. 2019, arXiv 1807.03819) without
adaptive halting. Csordas, Irie and Schmidhuber (2021, arXiv 2108.12284) compare these three on SCAN and PCFG SET; their
relative positions are those of Transformer-XL, and their layers normalise after adding; here before.

Shapes: B sentences of a batch, S input words, T output words (with the end mark), H hidden units, V output words and
the end mark.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nsr.baselines.seq2seq import Network, NetworkConfig
from nsr.errors import ConfigError


@dataclass(frozen=True)
class TransformerConfig(NetworkConfig):
    """Hyperparameters of a Transformer."""

    decoder_layers: int = 0  # 0: as many as the encoder has
    heads: int = 8  # of each attention; they divide ``hidden``
    feedforward: int = 256  # units inside a layer
    relative: bool = False  # positions; otherwise absolute
    shared: bool = False  # one layer for all depths; needs relative positions

    def __post_init__(self) -> None:
        """Reject what cannot be built."""
        super().__post_init__()
        for name in ("heads", "feedforward"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.decoder_layers < 0:
            raise ConfigError(f"decoder_layers must be at least 0, not {self.decoder_layers}")
        if self.hidden % self.heads or self.hidden % 2:
            raise ConfigError(f"hidden must be even and a multiple of heads = {self.heads}, not {self.hidden}")
        if self.shared and not self.relative:
            raise ConfigError("shared layers need relative positions; add relative")


class Encoded(NamedTuple):
    """A batch of inputs as the decoder needs them."""

    memory: Tensor  # (B, S, H)
    padding: Tensor  # (B, S), true where there is no word


class Transformer(Network):
    """Embeddings, the layers of :class:`AbsoluteLayers` or :class:`RelativeLayers`, and a linear output."""

    def add_layers(self, config: TransformerConfig) -> None:
        """See :meth:`Network.add_layers`.

        Raises:
            ConfigError: positions are relative, and x-transformers is not installed.
        """
        self.layers = (RelativeLayers if config.relative else AbsoluteLayers)(config)

    def encode(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """See :meth:`Network.encode`."""
        padding = torch.arange(inputs.shape[1]) >= lengths[:, None]  # (B, S)
        return Encoded(self.layers.read(self.dropout(self.layers.place(self.embed_in(inputs))), padding), padding)

    def decode(self, previous: Tensor, encoded: Encoded) -> Tensor:
        """See :meth:`Network.decode`."""
        embedded = self.dropout(self.layers.place(self.embed_out(previous)))
        return self.output(self.layers.write(embedded, encoded.memory, encoded.padding))


class AbsoluteLayers(nn.Module):
    """Encoder and decoder of ``torch.nn``; positions are added to the embeddings."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        settings: dict[str, Any] = {
            "d_model": config.hidden,
            "nhead": config.heads,
            "dim_feedforward": config.feedforward,
            "dropout": config.dropout,
            "activation": "gelu",
            "batch_first": True,
            "norm_first": True,
        }
        encoder, decoder = nn.TransformerEncoderLayer(**settings), nn.TransformerDecoderLayer(**settings)
        size, depth = config.hidden, config.decoder_layers or config.layers
        self.encoder = nn.TransformerEncoder(encoder, config.layers, nn.LayerNorm(size), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decoder, depth, nn.LayerNorm(size))
        for weights in self.parameters():  # copies of a layer begin alike otherwise
            if weights.dim() > 1:
                nn.init.xavier_uniform_(weights)

    def place(self, embedded: Tensor) -> Tensor:
        """Embeddings (B, T, H) with their positions."""
        return embedded + sinusoids(embedded.shape[1], embedded.shape[2])

    def read(self, embedded: Tensor, padding: Tensor) -> Tensor:
        """The encoded inputs (B, S, H)."""
        return self.encoder(embedded, src_key_padding_mask=padding)

    def write(self, embedded: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """What the decoder makes of words (B, T, H), each seeing none behind it."""
        length = embedded.shape[1]
        future = torch.ones(length, length, dtype=torch.bool).triu(1)  # (T, T)
        return self.decoder(embedded, memory, tgt_mask=future, memory_key_padding_mask=padding)


class RelativeLayers(nn.Module):
    """Encoder and decoder of x-transformers; attention knows distances."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        library = x_transformers()
        settings = {
            "dim": config.hidden,
            "heads": config.heads,
            "attn_dim_head": config.hidden // config.heads,
            "attn_dropout": config.dropout,
            "ff_mult": config.feedforward / config.hidden,
            "ff_dropout": config.dropout,
            "rel_pos_bias": True,
            "weight_tie_layers": config.shared,
        }
        self.encoder = library.Encoder(depth=config.layers, **settings)
        self.decoder = library.Decoder(depth=config.decoder_layers or config.layers, cross_attend=True, **settings)

    def place(self, embedded: Tensor) -> Tensor:
        """Embeddings (B, T, H) as they are."""
        return embedded

    def read(self, embedded: Tensor, padding: Tensor) -> Tensor:
        """The encoded inputs (B, S, H)."""
        return self.encoder(embedded, mask=~padding)

    def write(self, embedded: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """What the decoder makes of words (B, T, H), each seeing none behind it."""
        return self.decoder(embedded, context=memory, context_mask=~padding)


def sinusoids(length: int, size: int) -> Tensor:
    """Positions 0 to ``length`` - 1 as sines and cosines of ``size`` / 2 frequencies, (length, size)."""
    frequencies = 10_000.0 ** (-torch.arange(0, size, 2) / size)
    angles = torch.arange(length)[:, None] * frequencies  # (length, size / 2)
    return torch.stack((angles.sin(), angles.cos()), 2).flatten(1)


def x_transformers() -> ModuleType:
    """The library of that name.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it scripts a function when it is imported
            import x_transformers as library
    except ImportError:
        raise ConfigError(
            "relative positions need x-transformers, which is not installed: pip install nsr[baselines]"
        ) from None
    return library
