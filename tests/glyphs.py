"""Images for tests: each label is a pattern of blots, a little moved and noisy each time."""

from __future__ import annotations

import numpy as np

from nsr.pictures import SIDE, ImagePool, PackedPictures
from nsr.tasks.packed import PackedTokens


def glyphs(labels, each, seed=0):
    """So many images of each label, and the label of each image."""
    rng = np.random.default_rng(seed)
    images, names = [], []
    for label in labels:
        cells = np.random.default_rng([1, *label.encode()]).random((5, 5)) < 0.4
        for _ in range(each):
            image = np.full((SIDE, SIDE), 255, np.uint8)
            down, right = rng.integers(2, 9, 2)
            for row, column in np.argwhere(cells).tolist():
                y, x = down + 7 * row + rng.integers(-1, 2), right + 7 * column + rng.integers(-1, 2)
                image[y : y + 5, x : x + 5] = 0
            images.append(image)
            names.append(label)
    return np.stack(images), names


def pictured(expressions, each=12, seed=0):
    """Expressions (strings) as images of one pool, drawn at random; and the label of each image of the pool."""
    labels = sorted(set("".join(expressions)))
    images, names = glyphs(labels, each, seed)
    of_label = {label: np.flatnonzero(np.array(names) == label) for label in labels}
    rng = np.random.default_rng(seed)
    packed = PackedTokens.of(labels, expressions)
    ids = np.array([rng.choice(of_label[labels[code]]) for code in packed.codes.tolist()])
    return PackedPictures(ImagePool(images), ids, packed.bounds), names
