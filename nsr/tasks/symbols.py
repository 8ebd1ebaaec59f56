"""Images of HINT's symbols: drawn, from an .npz file, or from a folder of the official release.

An .npz file has ``images`` (M, 45, 45), ``labels`` into ``classes``, ``writer``, and ``split``: 1 for test writers.
The official release is a folder with ``symbol_images/CLASS/*``, 82 classes of which HINT uses 16 without new words, and
perhaps ``expr_train.json``, ``expr_val.json`` and ``expr_test.json``, lists of ``{"img_paths", "expr", "res"}`` with
paths below ``symbol_images``. Reading image files needs Pillow, which is optional.

Shape letter: M images.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nsr.errors import ConfigError, DataError, reason
from nsr.files import read_arrays, read_file
from nsr.pictures import SIDE
from nsr.semantics.programs import MAX_NUMBER
from nsr.tasks.expressions import SYMBOLS, VOCABULARY
from nsr.tasks.packed import PackedTokens

PROTOCOLS = ("random", "writer", "development")
PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
OFFICIAL = ("train", "val", "test")  # what the official files call the parts
NAMES = {"times": "*", "div": "/"}  # classes with other names than their symbols
CLASSES = tuple({symbol: name for name, symbol in NAMES.items()}.get(symbol, symbol) for symbol in SYMBOLS)
IMAGES = "symbol_images"  # the official folder of images
SHARES = (0.75, 0.05)  # of the images for training and for validation, with protocol random
WRITERS = 0.06  # of the training writers for validation, with protocols by writer
STROKES = 1000  # images a class that are drawn
WRITING = 0.2  # of the writers for test, where the source does not say which
DRAWS = 100  # tries for validation writers of whom each symbol is written, and not by them alone
MAX_IMAGE, MAX_EXPRESSIONS = 2**24, 2**28  # bytes of a file
FORMATS = ("BMP", "GIF", "JPEG", "PNG")  # of image files; others may start programs, as EPS does
ARRAYS = ("images", "labels", "classes", "writer", "split")


@dataclass(frozen=True, eq=False)
class SymbolImages:
    """Images with labels and parts.

    Attributes:
        images: grey values, ink dark on white, uint8, shape (M, SIDE, SIDE).
        labels: index into VOCABULARY, shape (M,).
        parts: TRAIN, VALIDATION or TEST, shape (M,).
        source: where they come from, for the run's record.
    """

    images: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    source: str

    def of(self, part: int, label: int) -> np.ndarray:
        """Indices of the images of a label in a part."""
        return np.flatnonzero((self.labels == label) & (self.parts == part))


def load_symbols(source: str, protocol: str = "random", seed: int = 0) -> SymbolImages:
    """The images of a source, split by a protocol.

    Args:
        source: ``strokes``, an .npz file, or a folder of the official release.
        protocol: ``random``: 75% of each class for training, 5% for validation, 20% for test; ``writer``: by writer;
            ``development``: likewise, among the training writers of ``writer`` alone, to choose settings by.
        seed: draws the split, and the strokes.

    Raises:
        ConfigError: the protocol does not exist.
        DataError: the source cannot be read, or a class has no image in some part.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"symbol_split must be one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    images, labels, writers, tested = _read(source, seed)
    rng = np.random.default_rng([seed, len(images)])
    if protocol == "random":
        parts = _by_image(labels, rng)
    elif writers is None:
        raise ConfigError(f"{source} does not say who wrote its symbols; use --symbol-split random")
    else:
        tested = _test_writers(writers, rng) if tested is None else tested
        if protocol == "development":
            images, labels, writers = images[~tested], labels[~tested], writers[~tested]
            tested = _test_writers(writers, rng)
        parts = _by_writer(labels, writers, tested, rng)
    found = SymbolImages(images, labels, parts, f"{Path(source).name}, split {protocol}")
    _require_symbols(found, source, PARTS)
    return found


def load_test_symbols(source: str, seed: int = 0) -> SymbolImages:
    """The images of a source, all of them for testing; arguments as of :func:`load_symbols`.

    Raises:
        DataError: the source cannot be read, or a class has no image.
    """
    images, labels, *_ = _read(source, seed)
    found = SymbolImages(images, labels, np.full(len(images), TEST), f"{Path(source).name}, all for testing")
    _require_symbols(found, source, PARTS[TEST:])
    return found


def _require_symbols(found: SymbolImages, source: str, parts: Sequence[str]) -> None:
    """Refuse images of which some symbol has none for one of these parts."""
    for symbol in SYMBOLS:
        for part in parts:
            if not len(found.of(PARTS.index(part), VOCABULARY.index(symbol))):
                raise DataError(f"{source} has no image of '{symbol}' for {part}")


def _read(source: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Images, labels, writers (None if unknown) and which writers' images are for test (None if that is open)."""
    if source == "strokes":
        from nsr.tasks.strokes import draw

        strokes = draw(STROKES, seed)
        return strokes.images, strokes.labels, strokes.writers, None
    path = Path(source)
    if path.is_dir():
        found = _image_paths(path)
        images = np.stack([read_image(path / IMAGES / name) for name in found])
        return images, np.array([VOCABULARY.index(symbol) for symbol in found.values()]), None, None
    return _read_npz(path)


def _by_image(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    parts = np.full(len(labels), TEST, np.int8)
    for label in np.unique(labels).tolist():
        drawn = rng.permutation(np.flatnonzero(labels == label))
        train, validation = (round(sum(SHARES[:count]) * len(drawn)) for count in (1, 2))
        parts[drawn[:train]], parts[drawn[train:validation]] = TRAIN, VALIDATION
    return parts


def _test_writers(writers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which images are those of some writers drawn for test."""
    every = rng.permutation(np.unique(writers))
    return np.isin(writers, every[: round(WRITING * len(every))])


def _by_writer(labels: np.ndarray, writers: np.ndarray, tested: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts; validation writers are drawn again while a class would have no image for validation or for training."""
    others = np.unique(writers[~tested])
    for _ in range(DRAWS):
        validated = np.isin(writers, rng.permutation(others)[: max(1, round(WRITERS * len(others)))])
        parts = np.where(tested, TEST, np.where(validated, VALIDATION, TRAIN)).astype(np.int8)
        if all(
            len(np.unique(labels[parts == part])) == len(np.unique(labels[~tested])) for part in (TRAIN, VALIDATION)
        ):
            break
    return parts


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The symbols of HINT in an .npz file; see :func:`_read`."""
    try:
        found = read_arrays(path, ARRAYS)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; --symbols is strokes, an .npz file or a folder") from None
    except Exception as error:  # zipfile, zlib and numpy raise many kinds
        raise DataError(f"{path} is not an .npz file of symbols: {reason(error)}") from None
    for name in ARRAYS:
        if not isinstance(found.get(name), np.ndarray):  # numpy gives bytes of what is no array
            raise DataError(f"{path}: {name} is {'no array' if name in found else 'missing'}")
    images, labels, classes, writers, split = found.values()
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
        size = " x ".join(map(str, images.shape))
        raise DataError(f"{path}: images must be uint8 of M x {SIDE} x {SIDE}, not {images.dtype} of {size}")
    for name in ("labels", "writer", "split"):
        if found[name].shape != (len(images),) or found[name].dtype.kind not in "iu":
            raise DataError(f"{path}: {name} must be {len(images)} whole numbers, one an image")
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise DataError(f"{path}: classes must be names")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise DataError(f"{path}: labels must be from 0 to {len(classes) - 1}")
    if not np.isin(split, (0, 1)).all():
        raise DataError(f"{path}: split must be 0, or 1 for the images of test writers")
    both = np.intersect1d(writers[split == 0], writers[split == 1])
    if len(both):
        raise DataError(f"{path}: writer {both[0]} is in both splits; a writer's images must all be in one")
    names = [NAMES.get(name, name) for name in classes.tolist()]
    label_of = np.array([VOCABULARY.index(name) if name in SYMBOLS else -1 for name in names])
    mine = label_of[labels] >= 0
    return images[mine], label_of[labels][mine], writers[mine], split[mine] == 1


def _image_paths(folder: Path) -> dict[str, str]:
    """The symbol of each image of an official release, by its path below ``symbol_images``; other classes are left out.

    The order is that of the images of :func:`load_symbols`.
    """
    root = folder / IMAGES
    if not root.is_dir():
        raise DataError(f"{root} does not exist; the folder must hold {IMAGES}/CLASS/*.jpg")
    found: dict[str, str] = {}
    try:
        for below in sorted(each for each in root.iterdir() if each.is_dir()):
            symbol = NAMES.get(below.name, below.name)
            if symbol in SYMBOLS:
                names = sorted(path.name for path in below.iterdir() if not path.name.startswith("."))
                found |= {f"{below.name}/{name}": symbol for name in names}
    except OSError as error:
        raise DataError(f"{root} cannot be read: {reason(error)}") from None
    if not found:
        raise DataError(f"{root} holds no images of HINT's symbols; its folders must be {' '.join(CLASSES)}")
    return found


def read_image(path: Path) -> np.ndarray:
    """The grey values of an image file, shape (SIDE, SIDE).

    Raises:
        ConfigError: Pillow is not installed.
        DataError: the file cannot be read, or is of another size.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError("image files need Pillow, which is not installed: pip install nsr[images]") from None
    try:
        content = read_file(path, MAX_IMAGE)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the size, which is looked at before anything is decoded
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                size = opened.size
                found = np.asarray(opened.convert("L"), np.uint8) if size == (SIDE, SIDE) else None
    except Exception as error:  # Pillow raises many kinds
        raise DataError(f"{path} is no readable image: {reason(error)}") from None
    if found is None:
        raise DataError(f"{path} must be of {SIDE} x {SIDE} pixels, not {size[0]} x {size[1]}")
    return found


@dataclass(frozen=True, eq=False)
class OfficialExpressions:
    """The expressions of an official file.

    Attributes:
        ids: index of each image in the folder's images, one expression behind the other.
        tokens: the symbols.
        values: the results.
    """

    ids: np.ndarray
    tokens: PackedTokens
    values: tuple[int, ...]


def read_expressions(folder: Path, part: int) -> OfficialExpressions | None:
    """The expressions of a part in an official release; None if it has no file for it.

    Raises:
        DataError: the file is malformed, or names an image that does not exist.
    """
    path = folder / f"expr_{OFFICIAL[part]}.json"
    if not path.is_file():
        return None
    symbols = _image_paths(folder)
    number = {name: index for index, name in enumerate(symbols)}
    try:
        items = json.loads(read_file(path, MAX_EXPRESSIONS))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from None
    if not isinstance(items, list) or not items:
        raise DataError(f"{path} must be a list of expressions")
    ids, sentences, values = [], [], []
    for place, item in enumerate(items):
        images, sentence, value = _item(item, f"{path}, item {place}")
        for image, symbol in zip(images, sentence, strict=True):
            if image not in number:
                raise DataError(f"{path}, item {place}: {folder / IMAGES / image} does not exist")
            if symbols[image] != symbol:
                raise DataError(f"{path}, item {place}: {image} is no image of '{symbol}'")
            ids.append(number[image])
        sentences.append(sentence)
        values.append(value)
    return OfficialExpressions(np.array(ids, np.int32), PackedTokens.of(VOCABULARY, sentences), tuple(values))


def _item(item: Any, place: str) -> tuple[list[str], list[str], int]:
    """Image paths, symbols and result of one item."""
    try:
        images, sentence, value = item["img_paths"], [NAMES.get(each, each) for each in item["expr"]], item["res"]
    except (TypeError, KeyError):
        raise DataError(f"{place} must have img_paths, expr and res") from None
    if not isinstance(images, list) or not images or not all(isinstance(each, str) for each in images):
        raise DataError(f"{place}: img_paths must be paths")
    if len(images) != len(sentence) or not set(sentence) <= set(SYMBOLS):
        raise DataError(f"{place}: expr must have a symbol for each image")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise DataError(f"{place}: res must be a whole number, 0 or more, of at most 18 digits")
    return images, sentence, value
