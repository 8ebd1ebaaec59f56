"""Which baselines there are, and with which hyperparameters: those published, or such as a CPU can train in minutes.

Published ones come from

- Lake and Baroni (2018, arXiv 1711.00350): recurrent networks on SCAN, their overall-best. They presented 100,000
  single pairs; updates here are on batches, and there are fewer. These are taken for PCFG SET and own pairs, too.
- Csordas, Irie and Schmidhuber (2021, arXiv 2108.12284) and the code released with it: Transformers on SCAN and PCFG
  SET. Those of SCAN are taken for own pairs, too.
- Li, Huang, Chen, Zhu and Zhu (2021, arXiv 2103.01403) and the code released with it: all networks on HINT. Embeddings
  are as wide as the hidden layers here, theirs have 128 units.

A task has the numbers of a result spelled out as digits, as in the last of these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from nsr.baselines.abductive import ABLKIT
from nsr.baselines.recurrent import Recurrent, RecurrentConfig
from nsr.baselines.seq2seq import Network, NetworkConfig
from nsr.baselines.transformer import Transformer, TransformerConfig
from nsr.errors import ConfigError
from nsr.tasks.task import Examples

SIZES = ("cpu", "published")


@dataclass(frozen=True)
class Preset:
    """Hyperparameters of a network, and how long it is trained at most."""

    config: NetworkConfig
    updates: int  # after so many batches training ends, at the end of an epoch
    patience: int = 0  # epochs without a better accuracy on the validation part that end it, too; 0: it goes on


class Kind(NamedTuple):
    """A baseline: its network, and what makes it differ from others of this network."""

    network: type[Network]
    settings: dict[str, Any]


MODELS = {
    "lstm": Kind(Recurrent, {"cell": "lstm"}),
    "gru": Kind(Recurrent, {"cell": "gru"}),
    "transformer": Kind(Transformer, {}),
    "transformer-relative": Kind(Transformer, {"relative": True}),
    "universal": Kind(Transformer, {"relative": True, "shared": True}),
}

_CPU = {
    Recurrent: Preset(RecurrentConfig(layers=1, hidden=128, dropout=0.1, learning_rate=2e-3), 20_000, patience=10),
    Transformer: Preset(
        TransformerConfig(layers=2, hidden=128, dropout=0.1, heads=8, feedforward=256, clip=1.0), 20_000, patience=10
    ),
}
_SCAN = {
    Recurrent: Preset(RecurrentConfig(), 30_000),
    Transformer: Preset(TransformerConfig(layers=3, hidden=128, dropout=0.1, batch=256), 50_000),
}
_PCFG = {
    Recurrent: _SCAN[Recurrent],
    Transformer: Preset(
        TransformerConfig(layers=6, hidden=512, dropout=0.1, learning_rate=1e-4, clip=1.0, feedforward=2048), 300_000
    ),
}
_HINT = {
    Recurrent: Preset(RecurrentConfig(layers=3, hidden=512, batch=128), 100_000),
    Transformer: Preset(
        TransformerConfig(
            layers=6, decoder_layers=1, hidden=512, dropout=0.1, batch=128, learning_rate=1e-4, feedforward=2048
        ),
        100_000,
    ),
}
_PUBLISHED = {"scan": _SCAN, "pcfg": _PCFG, "hint": _HINT}


def preset(model: str, size: str, task: str) -> Preset:
    """The preset of a baseline.

    Args:
        model: one of :data:`MODELS`.
        size: one of :data:`SIZES`.
        task: name of a task.

    Raises:
        ConfigError: there is no such baseline or size.
    """
    if model not in MODELS:
        raise ConfigError(f"unknown model {model!r}; known models: {', '.join((*MODELS, ABLKIT))}")
    if size not in SIZES:
        raise ConfigError(f"size must be one of {', '.join(SIZES)}, not {size!r}")
    kind = MODELS[model]
    found = (_CPU if size == "cpu" else _PUBLISHED.get(task, _SCAN))[kind.network]
    return replace(found, config=replace(found.config, **kind.settings))


def make_network(model: str, config: NetworkConfig, examples: Examples, generator: torch.Generator) -> Network:
    """A baseline with the words of these examples, and random weights.

    Raises:
        ConfigError: it needs x-transformers, which is not installed.
    """
    return MODELS[model].network.for_examples(examples, config, generator)
