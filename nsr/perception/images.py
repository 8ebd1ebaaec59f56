"""Perception of images: a small network classifies each image, a trigram says which symbols follow which.

Symbols are clusters without names of their own: ``s0``, ``s1`` and so on. How many there are and what they mean is
found by :mod:`nsr.learning.grounding`. What the network says of an image is computed once and kept until it learns.

Shape letters: B inputs, N images of the longest, K symbols, M distinct images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from safetensors import torch as safetensors
from torch import Tensor

from nsr.arrays import present
from nsr.devices import usable
from nsr.errors import ConfigError, InputError
from nsr.perception.context import Context
from nsr.perception.network import (
    ImageConfig,
    SymbolNetwork,
    classify,
    classify_views,
    fit,
    prepare,
    seeded,
    temperature_of,
)
from nsr.perception.perception import Alternative, Perception, Readings
from nsr.pictures import SIDE, ImagePool, Pictures

TRIED = 8  # symbols tried for an image
MAX_SYMBOLS = 10_000  # that a file may have
LEAST = -8.0  # log-probability, less that of the best symbol, of another symbol that is worth a thought
HELD_OUT = 0.05  # share of the images by which the temperature is chosen


class ImagePerception:
    """Maps images to symbols.

    Args:
        config: see :class:`ImageConfig`.
        seed: draws the initial weights, and with a counter all that training draws.
        symbols: how many there are.

    Attributes:
        symbols: their names.
        separators: the names of those found to mean nothing.
        context: which symbols follow which.
        views: how many of each image are looked at: itself and others a little changed. One suffices in training.
    """

    certain = False

    def __init__(self, config: ImageConfig, seed: int, symbols: int = 1) -> None:
        self.config = config = replace(config, device=usable(config.device))
        self.seed = seed
        self.fits = 0
        self.symbols = _names(symbols)
        self.separators: tuple[str, ...] = ()
        self.context = Context.none(symbols)
        self.temperature = 1.0
        with seeded(seed):
            self.network = SymbolNetwork(symbols, config).to(config.device)
        self._prepared: WeakKeyDictionary[ImagePool, Tensor] = WeakKeyDictionary()
        self._seen: WeakKeyDictionary[ImagePool, np.ndarray] = WeakKeyDictionary()
        self.views = 1

    def grow(self, symbols: int) -> None:
        """Have so many symbols; nothing is known yet of the new ones."""
        self.network.grow(symbols)
        self.symbols = _names(symbols)
        self.context = Context.none(symbols)
        self._seen.clear()

    def rename(self, names: tuple[str, ...]) -> None:
        """Call the symbols something else."""
        separators = [self.symbols.index(name) for name in self.separators]
        self.symbols, self.separators = names, tuple(names[symbol] for symbol in separators)

    def log_probs(self, pool: ImagePool, ids: np.ndarray) -> np.ndarray:
        """log p(symbol | image) of images of a pool, shape (T, K).

        Raises:
            InputError: they are not of the size that the network knows.
        """
        images = self._images(pool)
        if pool not in self._seen:
            self._seen[pool] = np.full((len(pool), len(self.symbols)), np.nan, np.float32)
        seen = self._seen[pool]
        new = np.unique(ids[np.isnan(seen[ids, 0])])
        if len(new):
            scores = classify_views(self.network, images[torch.from_numpy(new)], self.views, self.config)
            seen[new] = torch.log_softmax(scores / self.temperature, 1).numpy()
        return seen[ids]

    def look(self, views: int) -> None:
        """Look at so many views of each image from now on."""
        self.views = views
        self._seen.clear()

    def _images(self, pool: ImagePool) -> Tensor:
        if pool not in self._prepared:
            if pool.images.ndim != 3 or pool.images.shape[1:] != (SIDE, SIDE) or pool.images.dtype != np.uint8:
                raise InputError(
                    f"images must be uint8 arrays of {SIDE} x {SIDE}, ink dark on white, "
                    f"not {pool.images.dtype} of {' x '.join(map(str, pool.images.shape[1:]))}"
                )
            self._prepared[pool] = prepare(pool.images)
        return self._prepared[pool]

    def emissions(self, inputs: Sequence[Pictures]) -> tuple[np.ndarray, np.ndarray]:
        """log p(symbol | image) of all images of each input, shape (B, N, K), and their numbers, shape (B,)."""
        lengths = np.array([len(each) for each in inputs], np.int64)
        if not lengths.all():
            raise InputError("empty input: no images")
        padded = np.zeros((len(inputs), int(lengths.max(initial=0)), len(self.symbols)), np.float32)
        place = present(lengths, padded.shape[1])
        of_pool: dict[ImagePool, list[int]] = {}
        for index, each in enumerate(inputs):
            of_pool.setdefault(each.pool, []).append(index)
        for pool, rows in of_pool.items():
            here = np.zeros(len(inputs), bool)
            here[rows] = True
            padded[place & here[:, None]] = self.log_probs(pool, np.concatenate([inputs[row].ids for row in rows]))
        return padded, lengths

    def read(self, inputs: Sequence[Pictures], width: int = 1) -> Readings:
        """The ``width`` most probable readings of each input.

        Raises:
            InputError: an input has no images, or images of another size.
        """
        emissions, lengths = self.emissions(inputs)
        searched = max(width, TRIED)
        symbols, log_probs = self.context.best(emissions, lengths, searched, TRIED)
        return Readings(symbols[:, :width], lengths, log_probs[:, :width])

    def alternatives(self, sentence: Pictures) -> list[list[Alternative]]:
        """For each image, the symbols it could be instead of the best reading's, most probable first."""
        emissions, _ = self.emissions([sentence])
        best = self.read([sentence]).symbols[0, 0]
        found = []
        for seen, symbol in zip(emissions[0], best.tolist(), strict=True):
            gains = seen - seen[symbol]
            order = np.argsort(-gains, kind="stable")[:TRIED].tolist()
            found.append(
                [
                    Alternative(each, min(float(gains[each]), 0.0))
                    for each in order
                    if each != symbol and gains[each] > LEAST
                ]
            )
        return found

    def fit(self, inputs: Sequence[Any], symbols: np.ndarray, weights: np.ndarray) -> None:
        """One round's revised symbols are too few to learn from; see :meth:`learn`."""

    def attend(self, symbols: np.ndarray, lengths: np.ndarray, weights: np.ndarray, kinds: np.ndarray) -> None:
        """Learn the trigram of the kinds of symbols."""
        _, classes = np.unique(kinds, return_inverse=True)
        self.context = Context.of(classes, symbols, lengths, weights)

    def learn(self, inputs: Sequence[Pictures], symbols: np.ndarray, weights: np.ndarray) -> None:
        """Train the network on weighted readings, and choose its temperature.

        A symbol counts as often as it is read, but each of its images alike, however often it was shown.

        Args:
            inputs: of one pool; C inputs.
            symbols: what they are read as, shape (C, N); -1 for an image of which nothing is known.
            weights: shape (C,).
        """
        pool = inputs[0].pool
        lengths = np.array([len(each) for each in inputs])
        here = present(lengths, symbols.shape[1])
        known = here & (symbols >= 0)
        ids = np.zeros(symbols.shape, np.int64)
        ids[here] = np.concatenate([each.ids for each in inputs])
        counts = np.zeros((len(pool), len(self.symbols)), np.float32)
        np.add.at(counts, (ids[known], symbols[known]), np.broadcast_to(weights[:, None], symbols.shape)[known])
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
        each = counts.sum(axis=0) / np.maximum(shares.sum(axis=0), 1e-9)
        self.learn_counts(pool, shares * each, self.config.image_steps)

    def learn_counts(self, pool: ImagePool, counts: np.ndarray, steps: int) -> None:
        """Train the network on how often each image was taken for each symbol, shape (M, K)."""
        mass = counts.sum(axis=1)
        rows = np.flatnonzero(mass > 0)
        rng = np.random.default_rng([self.seed, self.fits])
        held = rng.random(len(rows)) < HELD_OUT
        images = self._images(pool)
        labels = torch.from_numpy(counts / np.maximum(mass, 1e-9)[:, None])
        trained, tested = torch.from_numpy(rows[~held]), torch.from_numpy(rows[held])
        drawn = torch.from_numpy(mass)[trained]
        seed = int(rng.integers(2**31))
        fit(self.network, images[trained], labels[trained], drawn, steps, self.config, seed)
        self.fits += 1
        if len(tested):
            self.temperature = temperature_of(classify(self.network, images[tested], self.config), labels[tested])
        self._seen.clear()

    def to_json(self) -> dict[str, Any]:
        """All but the network's weights as plain data."""
        return {
            "kind": "images",
            "symbols": list(self.symbols),
            "separators": list(self.separators),
            "fits": self.fits,
            "temperature": self.temperature,
            "classes": self.context.class_of.tolist(),
            "context": self.context.log_probs.tolist(),
        }

    def weights(self) -> bytes:
        """The network's weights as a safetensors file."""
        return safetensors.save({name: each.contiguous().cpu() for name, each in self.network.state_dict().items()})

    @classmethod
    def from_json(cls, data: dict[str, Any], weights: bytes, config: ImageConfig, seed: int) -> ImagePerception:
        """The inverse of :meth:`to_json` and :meth:`weights`.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError, SafetensorError: they are damaged.
        """
        if not 0 < len(data["symbols"]) <= MAX_SYMBOLS:
            raise ValueError(f"there must be 1 to {MAX_SYMBOLS} symbols")
        made = cls(config, seed, len(data["symbols"]))
        made.rename(tuple(data["symbols"]))
        if len(set(made.symbols)) < len(made.symbols) or not all(isinstance(name, str) for name in made.symbols):
            raise ValueError("symbols must be different names")
        made.network.load_state_dict(safetensors.load(weights))
        made.network.eval()
        made.views = config.views
        made.separators = tuple(data["separators"])
        if not set(made.separators) <= set(made.symbols):
            raise ValueError("a separator is no symbol")
        made.fits, made.temperature = int(data["fits"]), float(data["temperature"])
        made.context = Context(np.array(data["classes"], np.int64), np.array(data["context"], float))
        classes, table = made.context.class_of, made.context.log_probs
        if classes.shape != (len(made.symbols),) or table.shape != (len(table),) * 3 or np.isnan(table).any():
            raise ValueError("the context does not fit the symbols")
        if not 0 <= classes.min() <= classes.max() < len(table) - 1:
            raise ValueError("a class does not exist")
        if not (
            0 < made.temperature < math.inf
            and all(each.isfinite().all() for each in made.network.state_dict().values())
        ):
            raise ValueError("a weight or the temperature is not a finite number")
        return made


def images_of(perception: Perception) -> ImagePerception:
    """A perception that is one of images.

    Raises:
        ConfigError: it is another one.
    """
    if not isinstance(perception, ImagePerception):
        raise ConfigError("this model does not read images; give one that does")
    return perception


def pictures(images: Sequence[np.ndarray]) -> Pictures:
    """An input of its own: images of a pool that holds nothing else.

    Raises:
        InputError: they differ in size.
    """
    if len({each.shape for each in images}) > 1:
        raise InputError("the images of one input differ in size")
    return Pictures(ImagePool(np.stack(images)), np.arange(len(images)))


def _names(symbols: int) -> tuple[str, ...]:
    return tuple(f"s{index}" for index in range(symbols))
