"""Drawn symbols."""

from __future__ import annotations

import numpy as np
import pytest

from nsr.pictures import SIDE
from nsr.tasks.expressions import SYMBOLS, VOCABULARY
from nsr.tasks.strokes import SHAPES, _spline, draw


@pytest.fixture(scope="module")
def strokes():
    return draw(60, seed=0, writers=20)


def test_images_of_each_class(strokes):
    assert strokes.images.shape == (16 * 60, SIDE, SIDE)
    assert strokes.images.dtype == np.uint8
    assert set(SHAPES) == set(SYMBOLS)
    assert sorted(np.unique(strokes.labels).tolist()) == sorted(VOCABULARY.index(each) for each in SYMBOLS)
    assert (np.bincount(strokes.labels)[list(np.unique(strokes.labels))] == 60).all()
    assert set(strokes.writers.tolist()) == set(range(20))


def test_ink_is_black_on_white(strokes):
    assert set(np.unique(strokes.images)) == {0, 255}
    ink = (strokes.images == 0).mean(axis=(1, 2))
    assert ink.min() > 0.005
    assert ink.max() < 0.4
    rows, columns = (strokes.images == 0).any(axis=2), (strokes.images == 0).any(axis=1)
    assert np.maximum(rows.sum(axis=1), columns.sum(axis=1)).min() > 0.6 * SIDE


def test_the_seed_decides(strokes):
    again, other = draw(60, seed=0, writers=20), draw(60, seed=1, writers=20)
    assert np.array_equal(strokes.images, again.images)
    assert np.array_equal(strokes.writers, again.writers)
    assert not np.array_equal(strokes.images, other.images)
    assert len(np.unique(strokes.images.reshape(len(strokes.images), -1), axis=0)) > 0.9 * len(strokes.images)


def test_classes_look_different(strokes):
    """The nearest drawing of another writer is mostly of the same class, but not always."""
    blurred = strokes.images.reshape(-1, 15, 3, 15, 3).mean(axis=(2, 4)).reshape(len(strokes.images), -1)
    blurred /= np.linalg.norm(blurred - 255, axis=1, keepdims=True)
    distance = ((blurred**2).sum(1)[:, None] + (blurred**2).sum(1) - 2 * blurred @ blurred.T).astype(float)
    distance[strokes.writers[:, None] == strokes.writers] = np.inf
    right = strokes.labels[distance.argmin(axis=1)] == strokes.labels
    assert 0.8 < right.mean() < 1


def test_a_curve_goes_through_its_points():
    assert np.allclose(_spline(5, np.arange(5.0)), np.eye(5))
    assert np.allclose(_spline(2, np.linspace(0, 1, 5)) @ [[0.0], [1.0]], np.linspace(0, 1, 5)[:, None])
    assert np.allclose(_spline(6, np.linspace(0, 5, 40)).sum(axis=1), 1)
