"""Inputs made of images: sequences of images from a pool of distinct ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from nsr.arrays import take_ragged

SIDE = 45  # pixels of an image, in height and in width


@dataclass(frozen=True, eq=False)
class ImagePool:
    """Distinct images, compared by identity.

    Attributes:
        images: grey values, ink dark on white, uint8, shape (M, height, width).
    """

    images: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Pictures:
    """One input: images of a pool in their order, compared by identity.

    Attributes:
        pool: where the images are.
        ids: which of them, shape (N,).
    """

    pool: ImagePool
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.images)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each image: its number in the pool."""
        return tuple(f"#{each}" for each in self.ids.tolist())

    @property
    def images(self) -> np.ndarray:
        """The images themselves, shape (N, height, width)."""
        chosen: np.ndarray = self.pool.images[self.ids]
        return chosen


class PackedPictures(Sequence[Pictures]):
    """Inputs behind each other in one array.

    Args:
        pool: of all of them.
        ids: of all images, shape (T,).
        bounds: where each input begins, and where the last one ends, shape (B + 1,).
    """

    def __init__(self, pool: ImagePool, ids: np.ndarray, bounds: np.ndarray) -> None:
        self.pool = pool
        self.ids = ids
        self.bounds = bounds

    @classmethod
    def of(cls, inputs: Sequence[Pictures]) -> PackedPictures:
        """Pack inputs; images of several pools make one new pool."""
        pools = list(dict.fromkeys(each.pool for each in inputs))
        start = dict(zip(pools, np.cumsum([0, *map(len, pools)]).tolist(), strict=False))
        pool = pools[0] if len(pools) == 1 else ImagePool(np.concatenate([each.images for each in pools]))
        bounds = np.cumsum([0, *map(len, inputs)])
        return cls(pool, np.concatenate([each.ids + start[each.pool] for each in inputs]), bounds)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @overload
    def __getitem__(self, index: int) -> Pictures: ...
    @overload
    def __getitem__(self, index: slice) -> PackedPictures: ...
    def __getitem__(self, index: int | slice) -> Pictures | PackedPictures:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        place = range(len(self))[index]
        return Pictures(self.pool, self.ids[self.bounds[place] : self.bounds[place + 1]])

    def __iter__(self) -> Iterator[Pictures]:
        return (self[place] for place in range(len(self)))

    def take(self, indices: Sequence[int]) -> PackedPictures:
        """The inputs at these places, in this order."""
        items, bounds = take_ragged(self.bounds, indices)
        return PackedPictures(self.pool, self.ids[items], bounds)

    @property
    def lengths(self) -> np.ndarray:
        """Images of each input, shape (B,)."""
        return np.diff(self.bounds)
