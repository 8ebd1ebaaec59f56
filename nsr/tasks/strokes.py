"""Drawn symbols: images that look handwritten, from stroke models of HINT's symbols; nothing is downloaded.

A symbol has one or several shapes (allographs), each a few strokes through control points. A simulated writer has a
slant, a pen and favourite shapes, and moves the control points a little, always alike; each image moves them again and
is turned, bent and slanted. Lines are drawn without anti-aliasing and fill the image like ink that is scaled to a box.

Shape letters: M images, P control points, S points drawn.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from nsr.pictures import SIDE
from nsr.tasks.expressions import VOCABULARY

STEP = 0.02  # between points drawn, in units of the box
FAVOURITE = 0.85  # share of a writer's symbols that have the favourite shape

Point = tuple[float, float]
Piece = tuple[Point, ...]  # a curve through points; straight if there are two
Stroke = tuple[Piece, ...]  # pieces that follow each other, with corners between them


@dataclass(frozen=True)
class Shape:
    """Strokes in a box of width 1 (x to the right) and height 1 (y down), and its true proportion."""

    strokes: tuple[Stroke, ...]
    width: float = 0.7


def _arc(x: float, y: float, wide: float, high: float, start: float, end: float) -> Piece:
    """Points of an arc; angles in degrees, clockwise from the right."""
    count = max(4, round(abs(end - start) / 45) + 1)
    angles = np.radians(np.linspace(start, end, count)).tolist()
    return tuple((x + wide * math.cos(each), y + high * math.sin(each)) for each in angles)


def _lines(*points: Point) -> Stroke:
    """Straight lines from point to point."""
    return tuple(itertools.pairwise(points))


_LOWER_THREE: Piece = ((0.4, 0.46), (0.8, 0.55), (0.88, 0.8), (0.5, 1.0), (0.05, 0.9))
_BELLY: Piece = ((0.15, 0.42), (0.5, 0.35), (0.9, 0.62), (0.6, 0.98), (0.08, 0.9))
_LOOP: Piece = ((0.82, 0.2), (0.45, 0.02), (0.12, 0.28), (0.4, 0.52), (0.76, 0.34), (0.82, 0.14))
_BAR = _lines((0.0, 0.5), (1.0, 0.5))

SHAPES: dict[str, tuple[Shape, ...]] = {
    "0": (
        Shape(((_arc(0.5, 0.5, 0.45, 0.5, -100, -460),),)),
        Shape(((_arc(0.5, 0.5, 0.45, 0.5, -60, 310),),)),
    ),
    "1": (
        Shape((_lines((0.5, 0.0), (0.5, 1.0)),), 0.1),
        Shape((_lines((0.0, 0.28), (0.8, 0.0), (0.8, 1.0)),), 0.3),
        Shape((_lines((0.1, 0.25), (0.5, 0.0), (0.5, 1.0)), _lines((0.0, 1.0), (1.0, 1.0))), 0.5),
    ),
    "2": (
        Shape(
            (
                (
                    ((0.1, 0.25), (0.3, 0.03), (0.65, 0.02), (0.85, 0.25), (0.6, 0.55), (0.08, 0.97)),
                    ((0.08, 0.97), (0.95, 0.95)),
                ),
            )
        ),
        Shape(
            (
                (
                    (
                        (0.1, 0.25),
                        (0.45, 0.0),
                        (0.82, 0.25),
                        (0.5, 0.65),
                        (0.15, 0.95),
                        (0.08, 0.8),
                        (0.35, 0.82),
                        (1.0, 0.97),
                    ),
                ),
            )
        ),
    ),
    "3": (
        Shape(((((0.1, 0.12), (0.45, 0.0), (0.85, 0.2), (0.7, 0.4), (0.4, 0.46)), _LOWER_THREE),)),
        Shape(((((0.1, 0.03), (0.85, 0.03)), ((0.85, 0.03), (0.4, 0.46)), _LOWER_THREE),)),
    ),
    "4": (
        Shape((_lines((0.5, 0.0), (0.05, 0.65), (0.95, 0.65)), _lines((0.68, 0.3), (0.66, 1.0)))),
        Shape((_lines((0.15, 0.0), (0.08, 0.5), (0.92, 0.5)), _lines((0.78, 0.05), (0.76, 1.0)))),
        Shape((_lines((0.05, 0.68), (0.65, 0.0), (0.65, 1.0)), _lines((0.05, 0.68), (0.95, 0.66)))),
    ),
    "5": (
        Shape((_lines((0.18, 0.03), (0.85, 0.03)), (((0.18, 0.03), (0.15, 0.42)), _BELLY))),
        Shape(((((0.85, 0.03), (0.2, 0.03)), ((0.2, 0.03), (0.15, 0.42)), _BELLY),)),
    ),
    "6": (
        Shape(
            (
                (
                    (
                        (0.75, 0.02),
                        (0.35, 0.25),
                        (0.1, 0.65),
                        (0.3, 0.98),
                        (0.75, 0.9),
                        (0.8, 0.64),
                        (0.45, 0.52),
                        (0.14, 0.7),
                    ),
                ),
            )
        ),
        Shape(((((0.4, 0.0), (0.15, 0.4), (0.12, 0.8), (0.45, 1.0), (0.85, 0.82), (0.6, 0.56), (0.15, 0.76)),),), 0.6),
    ),
    "7": (
        Shape((_lines((0.08, 0.05), (0.9, 0.05), (0.4, 1.0)),)),
        Shape((_lines((0.08, 0.05), (0.9, 0.05), (0.4, 1.0)), _lines((0.25, 0.5), (0.85, 0.5)))),
        Shape(((((0.05, 0.15), (0.1, 0.04), (0.9, 0.03)), ((0.9, 0.03), (0.55, 0.45), (0.45, 1.0))),)),
    ),
    "8": (
        Shape(
            (
                (
                    (
                        (0.78, 0.15),
                        (0.45, 0.0),
                        (0.18, 0.2),
                        (0.5, 0.47),
                        (0.85, 0.75),
                        (0.5, 1.0),
                        (0.15, 0.78),
                        (0.5, 0.48),
                        (0.82, 0.22),
                        (0.75, 0.1),
                    ),
                ),
            )
        ),
        Shape(((_arc(0.5, 0.25, 0.32, 0.25, 90, 460),), (_arc(0.5, 0.75, 0.42, 0.26, -90, 280),))),
    ),
    "9": (
        Shape(((_LOOP, ((0.82, 0.14), (0.78, 0.6), (0.66, 1.0))),)),
        Shape(((_LOOP, ((0.82, 0.14), (0.82, 0.75), (0.5, 1.0), (0.15, 0.9))),)),
    ),
    "+": (Shape((_lines((0.5, 0.0), (0.5, 1.0)), _BAR), 1.0),),
    "-": (Shape((_BAR,), 4.0),),
    "*": (
        Shape((_lines((0.05, 0.05), (0.95, 0.95)), _lines((0.95, 0.05), (0.05, 0.95))), 0.9),
        Shape(
            ((((0.0, 0.15), (0.25, 0.05), (0.5, 0.5), (0.75, 0.95), (1.0, 0.85)),), _lines((0.9, 0.0), (0.1, 1.0))), 0.9
        ),
    ),
    "/": (Shape((_BAR, (_arc(0.5, 0.1, 0.05, 0.06, 0, 360),), (_arc(0.5, 0.9, 0.05, 0.06, 0, 360),)), 1.0),),
    "(": (
        Shape(((_arc(1.0, 0.5, 0.85, 0.5, -90, -270),),), 0.35),
        Shape(((_arc(1.0, 0.5, 0.9, 0.62, -125, -235),),), 0.25),
    ),
    ")": (
        Shape(((_arc(0.0, 0.5, 0.85, 0.5, -90, 90),),), 0.35),
        Shape(((_arc(0.0, 0.5, 0.9, 0.62, -55, 55),),), 0.25),
    ),
}


@dataclass(frozen=True, eq=False)
class Strokes:
    """Drawn symbols, by class.

    Attributes:
        images: ink 0 on white 255, uint8, shape (M, SIDE, SIDE).
        labels: index into VOCABULARY, shape (M,).
        writers: who drew it, shape (M,).
    """

    images: np.ndarray
    labels: np.ndarray
    writers: np.ndarray


def draw(per_class: int, seed: int, writers: int = 100) -> Strokes:
    """Draw so many images of each class.

    Args:
        per_class: images of a class.
        seed: source of all randomness.
        writers: simulated hands.
    """
    rng = np.random.default_rng(seed)
    hands = {
        "slant": rng.normal(0, 0.18, writers),
        "stretch": rng.normal(0, 0.12, writers),
        "pen": rng.random(writers) < 0.3,
    }
    images, labels, drawn_by = [], [], []
    for symbol, shapes in SHAPES.items():
        favourites = rng.integers(len(shapes), size=writers)
        by = rng.integers(writers, size=per_class)
        chosen = np.where(rng.random(per_class) < FAVOURITE, favourites[by], rng.integers(len(shapes), size=per_class))
        found = np.empty((per_class, SIDE, SIDE), np.uint8)
        for number, shape in enumerate(shapes):
            habits = rng.normal(0, 0.035, (writers, len(_controls(shape)), 2))
            rows = np.flatnonzero(chosen == number)
            mine = by[rows]
            points = _points(shape, habits[mine], hands["slant"][mine], hands["stretch"][mine], rng)
            found[rows] = _paint(points, hands["pen"][mine], rng)
        images.append(found)
        labels.append(np.full(per_class, VOCABULARY.index(symbol)))
        drawn_by.append(by)
    return Strokes(np.concatenate(images), np.concatenate(labels), np.concatenate(drawn_by))


def _controls(shape: Shape) -> np.ndarray:
    """The control points of all strokes, shape (P, 2)."""
    return np.array([point for stroke in shape.strokes for piece in stroke for point in piece])


def _points(
    shape: Shape, habits: np.ndarray, slant: np.ndarray, stretch: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The points drawn of one shape, for each image, shape (M, S, 2)."""
    count = len(habits)
    controls = _controls(shape)[None] + habits + rng.normal(0, 0.025, habits.shape)
    controls = _joined(shape, controls)
    points = np.einsum("sp,mpc->msc", _weights(shape), controls)
    points[..., 0] = (points[..., 0] - 0.5) * shape.width * np.exp(stretch)[:, None]
    points[..., 1] -= 0.5
    waves = rng.normal(0, 0.012, (count, 1, 2)) * np.sin(
        2 * np.pi * (points[..., ::-1] * rng.uniform(0.5, 1.5, (count, 1, 2)) + rng.random((count, 1, 2)))
    )
    points = points + waves
    lean = np.clip(slant + rng.normal(0, 0.08, count), -0.6, 0.6)
    points[..., 0] -= lean[:, None] * points[..., 1]
    turn = rng.normal(0, 0.07, count)[:, None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=2)


def _joined(shape: Shape, controls: np.ndarray) -> np.ndarray:
    """Control points of which each piece begins where the one before it ended."""
    place = 0
    for stroke in shape.strokes:
        for number, piece in enumerate(stroke):
            if number:
                controls[:, place] = controls[:, place - 1]
            place += len(piece)
    return controls


def _weights(shape: Shape) -> np.ndarray:
    """How the points drawn are mixed from the control points, shape (S, P)."""
    total = sum(len(piece) for stroke in shape.strokes for piece in stroke)
    rows, place = [], 0
    for stroke in shape.strokes:
        for piece in stroke:
            length = sum(math.dist(one, other) for one, other in itertools.pairwise(piece))
            places = np.linspace(0, len(piece) - 1, max(3, round(length * max(shape.width, 1) / STEP)))
            mixed = np.zeros((len(places), total))
            mixed[:, place : place + len(piece)] = _spline(len(piece), places)
            rows.append(mixed)
            place += len(piece)
    return np.concatenate(rows)


def _spline(count: int, places: np.ndarray) -> np.ndarray:
    """The curve of Catmull and Rom through so many points, at these places, 0 being the first point; (S, count)."""
    left = np.clip(np.floor(places).astype(int), 0, count - 2)
    t = (places - left)[:, None]
    basis = np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )
    found = np.zeros((len(places), count))
    rows = np.arange(len(places))
    for offset, column in zip((-1, 0, 1, 2), basis.T / 2, strict=True):
        at = left + offset
        inside = (at >= 0) & (at < count)
        np.add.at(found, (rows[inside], at[inside]), column[inside])
        for edge, inward in ((at < 0, (0, 1)), (at >= count, (count - 1, count - 2))):  # go on straight
            found[rows[edge], inward[0]] += 2 * column[edge]
            found[rows[edge], inward[1]] -= column[edge]
    return found


def _paint(points: np.ndarray, pen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images of points scaled to the box, shape (M, SIDE, SIDE); a broad ``pen`` draws two pixels."""
    low, high = points.min(axis=1, keepdims=True), points.max(axis=1, keepdims=True)
    size = rng.uniform(0.82, 0.98, (len(points), 1, 1)) * (SIDE - 2)
    scaled = (points - (low + high) / 2) / (high - low).max(axis=2, keepdims=True) * size + (SIDE - 1) / 2
    scaled += rng.uniform(-1, 1, (len(points), 1, 2))
    x, y = np.clip(np.rint(scaled), 0, SIDE - 1).astype(int).transpose(2, 0, 1)
    images = np.full((len(points), SIDE, SIDE), 255, np.uint8)
    rows = np.arange(len(points))[:, None]
    images[rows, y, x] = 0
    broad = np.flatnonzero(pen)
    images[broad[:, None], np.minimum(y[broad] + 1, SIDE - 1), x[broad]] = 0
    images[broad[:, None], y[broad], np.minimum(x[broad] + 1, SIDE - 1)] = 0
    return images
