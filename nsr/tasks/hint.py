"""HINT: arithmetic expressions, with the symbols themselves or with handwritten images of them.

Li, Huang, Chen, Zhu and Zhu (2021), A HINT from arithmetic: on systematic generalization of perception, syntax, and
semantics, https://arxiv.org/abs/2103.01403. ``grammars/hint.lark`` is the language. :mod:`nsr.tasks.expressions` draws
exactly the published expressions, so nothing need be downloaded; they are kept in a cache. With images, each symbol of
an expression is an image of the right class and part, drawn at random from a source of :mod:`nsr.tasks.symbols`.

Gold heads and gold programs are for scoring and for the ``given`` ablations: no learner sees them unless an option
says so.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nsr.errors import ConfigError, InputError
from nsr.files import read_arrays
from nsr.pictures import ImagePool, PackedPictures
from nsr.runs import write_file
from nsr.settings import setting
from nsr.syntax.grammar import check, load_grammar
from nsr.tasks.expressions import (
    CLOSE,
    CONCEPTS,
    DIGITS,
    OPEN,
    OPERATORS,
    SYMBOLS,
    TRAIN_LARGEST,
    TRAIN_OPERATORS,
    VOCABULARY,
    Expressions,
    count_operators,
    draw,
    is_expression,
    nesting,
    read,
)
from nsr.tasks.packed import PackedNumbers, PackedTokens
from nsr.tasks.sources import File, source
from nsr.tasks.symbols import (
    PARTS,
    PROTOCOLS,
    TEST,
    TRAIN,
    SymbolImages,
    load_symbols,
    load_test_symbols,
    read_expressions,
)
from nsr.tasks.task import Dataset, Examples, Task, Tokens, Value, group_by_size

CACHE_VERSION = 1
INPUTS = ("symbols", "images")
SETTINGS = {
    "separators": f"{OPEN} {CLOSE}",
    "between": False,
    "constants": True,
    "empty": True,
    "licensed": 8,
    "max_arity": 2,
    "view_gain": 0.001,
    "examples": 40_000,
    "least": 50,
}
IMAGE_SETTINGS = {
    "separators": "",
    "examples": 100_000,
    "spread": True,
    "pool": 1024,
    "final": 2048,
    "batch": 512,
    "readings": 8,
}
QUICK_SETTINGS = {"turns": 0, "first_steps": 70, "examples": 60_000, "views": 4}
KEPT = tuple(f"{part}.{name}" for part in PARTS for name in ("codes", "lengths", "values", "largest"))  # in the cache
SUBSETS = ("I", "SS", "LS", "SL", "LL")


@dataclass(frozen=True)
class Hint(Task):
    """HINT. ``concept`` names a new word (x y a b c d): then the examples are those of its few-shot split.

    ``shots`` is for concepts: how many training examples there are, drawn by seed; 0 for all. With ``input`` images,
    ``symbols`` is where they come from: ``strokes`` (drawn), an .npz file, or a folder of the official release;
    ``symbol_split`` is how they are split (see :mod:`nsr.tasks.symbols`); with ``quick`` they are learned less
    thoroughly.
    """

    name: ClassVar[str] = "hint"
    splits: ClassVar[tuple[str, ...]] = ("hint",)
    default_split: ClassVar[str] = "hint"
    primitives: ClassVar[str] = "int"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"input": "images"}, {"input": "images", "quick": True})
    input: str = setting("symbols", f"what an expression is made of: {' or '.join(INPUTS)}")
    concept: str = setting("", f"learn this new word instead: one of {', '.join(CONCEPTS)}")
    shots: int = setting(0, "so many examples of the concept, drawn by seed; 0 for all")
    symbols: str = setting("strokes", "images: strokes (drawn here), FILE.npz, or a folder of the official release")
    symbol_split: str = setting("random", f"how images are split: {', '.join(PROTOCOLS)}; see docs/images.md")
    quick: bool = setting(False, "images are learned in less time, and less thoroughly")

    def __post_init__(self) -> None:
        """Refuse inputs and concepts that do not exist, and shots without a concept."""
        if self.input not in INPUTS:
            raise ConfigError(f"input must be one of {', '.join(INPUTS)}, not {self.input!r}")
        if self.concept not in ("", *CONCEPTS):
            raise ConfigError(f"concept must be one of {', '.join(CONCEPTS)}, or nothing, not {self.concept!r}")
        if self.shots < 0:
            raise ConfigError(f"shots must be a number of examples, or 0 for all, not {self.shots}")
        if self.shots and not self.concept:
            raise ConfigError("shots are for a concept; add --concept, one of " + ", ".join(CONCEPTS))
        if self.quick and self.input != "images":
            raise ConfigError("quick is for images; add --input images")
        if self.concept and self.input == "images":
            raise ConfigError("concepts are learned from symbols; leave out --concept or --input images")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Parentheses are separators; of images nothing of the kind is told."""
        images = IMAGE_SETTINGS | (QUICK_SETTINGS if self.quick else {})
        return SETTINGS | (images if self.input == "images" else {})

    def load(self, split: str, *, seed: int = 0, data_dir: Path | None = None) -> Dataset:
        """The published expressions, or those of the concept; see :meth:`Task.load`.

        ``seed`` draws which ``shots`` there are; the expressions are always the same.
        """
        self.require_split(split)
        if data_dir is not None:
            raise ConfigError("hint reads no files, its expressions are generated; leave out --data-dir")
        drawn = expressions(self.concept)
        train, validation, test = (Examples(drawn[part].tokens, drawn[part].values) for part in PARTS)
        if 0 < self.shots < len(train):
            rng = np.random.default_rng([seed, 2])
            train = train.take(np.sort(rng.choice(len(train), self.shots, replace=False)).tolist())
        if self.input == "images":
            pictured = self._pictured(seed)
            parts = [pictured.examples(part, examples) for part, examples in enumerate((train, validation, test))]
            return Dataset(parts[0], parts[2], f"generated as published; images: {pictured.source}", parts[1])
        return Dataset(train, test, "generated as published", validation)

    def test_with(self, symbols: str, seed: int = 0) -> Examples:
        """The test expressions with images of another source, all of them; see :meth:`Task.test_with`."""
        if self.input != "images":
            raise ConfigError("this model reads symbols, not images; leave out --symbols")
        drawn = expressions()["test"]
        return Pictured.all_of(symbols, seed).draw(TEST, Examples(drawn.tokens, drawn.values))

    def _pictured(self, seed: int) -> Pictured:
        return Pictured.of(self.symbols, self.symbol_split, seed)

    def encode(self, text: str) -> Tokens:
        """An expression, with or without white space, a symbol a token; see :meth:`Task.encode`."""
        tokens = tuple("".join(text.split()))
        self._require(tokens)
        return tokens

    def examples(self, sentences: Sequence[Tokens], outputs: Sequence[Value], seed: int = 0) -> Examples:
        """With images, test images of the symbols, drawn for all sentences together; see :meth:`Task.examples`."""
        for tokens in sentences:
            self._require(tokens)
        examples = Examples(sentences, outputs)
        return self._pictured(seed).draw(TEST, examples) if self.input == "images" else examples

    def _require(self, tokens: Tokens) -> None:
        """Refuse what is no expression in the symbols there are."""
        known = SYMBOLS if self.input == "images" else VOCABULARY  # there are no images of new words
        for place, token in enumerate(tokens, start=1):
            if token not in known:
                raise InputError(f"unknown symbol {token!r} at position {place}; known symbols: {' '.join(known)}")
        if not is_expression(tokens):
            check(load_grammar("hint"), tokens)  # says where it is wrong

    def spell(self, tokens: Tokens) -> str:
        """An expression without white space; see :meth:`Task.spell`."""
        return "".join(tokens)

    @property
    def cache_file(self) -> Path:
        """Where the published expressions are kept: ``NSR_CACHE``, or the user's folder for caches."""
        return cache_folder() / f"hint-{CACHE_VERSION}.npz"

    def faults(self) -> Iterator[str]:
        """A damaged cache, and parts whose lines do not have the published checksum; see :meth:`Task.faults`."""
        if self.cache_file.exists() and _read_cache(self.cache_file) is None:
            yield f"{self.cache_file}: damaged"
            return
        data = self.load("hint")
        for part, published in source("hint").published.items():
            found = File.of("".join(self._lines(part, getattr(data, part))).encode())
            if found.sha256 != published.sha256:
                yield f"{part}: not the {published.lines} published lines"

    def _lines(self, part: str, examples: Examples) -> Iterator[str]:
        """The published lines: expression, value and, except in training, subset."""
        groups = {} if part == "train" else self.subsets(examples)
        subset = {index: f"\t{name}" for name in SUBSETS for index in groups.get(name, ())}
        for index, (tokens, value) in enumerate(examples):
            yield f"{self.spell(tokens)}\t{value}{subset.get(index, '')}\n"

    def subsets(self, examples: Examples) -> dict[str, list[int]]:
        """The published subsets, and examples by operators, depth of these and of parentheses, and digits of the value.

        I: the expression is in training. Otherwise the first letter says whether it has at most 10 operators (S) or
        more (L), the second one whether no value in it is above 100 (S) or some is (L).
        """
        trained = _trained(self.concept)
        hashes = PackedTokens.of(VOCABULARY, examples.tokens).hashes().tolist()
        groups: dict[str, list[int]] = {name: [] for name in SUBSETS}
        depths = []
        for index, tokens in enumerate(examples.tokens):
            tree = read(tokens)
            depths.append(tree.depth)
            size = "S" if count_operators(tokens) <= TRAIN_OPERATORS else "L"
            value = "S" if tree.largest <= TRAIN_LARGEST else "L"
            groups["I" if hashes[index] in trained else size + value].append(index)
        sizes = {
            "operators": map(count_operators, examples.tokens),
            "depth": depths,
            "parentheses": map(nesting, examples.tokens),
            "digits": (len(str(value)) for value in examples.outputs),
        }
        return {name: found for name, found in groups.items() if found} | group_by_size(sizes)

    def gold_heads(self, tokens: Tokens) -> tuple[int, ...]:
        """By precedence; an operator also heads the parentheses around it; see :meth:`Task.gold_heads`."""
        if not is_expression(tokens):
            raise InputError(f"'{''.join(tokens)}' is no expression")
        return read(tokens).heads

    def gold_labels(self, seed: int) -> list[str]:
        """See :meth:`Task.gold_labels`."""
        if self.input != "images":
            return list(super().gold_labels(seed))
        pictured = self._pictured(seed)
        names = [VOCABULARY[label] for label in pictured.symbols.labels.tolist()]
        parts = pictured.symbols.parts.tolist()
        return [name if part == TRAIN else "" for name, part in zip(names, parts, strict=True)]

    @property
    def gold_lexicon(self) -> str:
        """See :meth:`Task.gold_lexicon`."""
        return GOLD_LEXICON


@dataclass(frozen=True, eq=False)
class Pictured:
    """Symbols as images.

    Attributes:
        symbols: the images.
        pool: the same, as inputs have them.
        seed: draws which of them an expression shows.
        folder: where they come from; it may have expressions, too.
    """

    symbols: SymbolImages
    pool: ImagePool
    seed: int
    folder: str

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, source: str, protocol: str, seed: int) -> Pictured:
        """The images of a source, split by seed."""
        symbols = load_symbols(source, protocol, seed)
        return cls(symbols, ImagePool(symbols.images), seed, source)

    @classmethod
    def all_of(cls, source: str, seed: int) -> Pictured:
        """The images of a source, all for testing."""
        symbols = load_test_symbols(source, seed)
        return cls(symbols, ImagePool(symbols.images), seed, source)

    @property
    def source(self) -> str:
        """Where the images come from."""
        return self.symbols.source

    def examples(self, part: int, published: Examples) -> Examples:
        """The examples of a part: those of the source, if it has any, else the published ones with images."""
        path = Path(self.folder)
        found = read_expressions(path, part) if path.is_dir() else None
        if found is None:
            return self.draw(part, published)
        return Examples(PackedPictures(self.pool, found.ids, found.tokens.bounds), found.values, found.tokens)

    def draw(self, part: int, examples: Examples) -> Examples:
        """The same examples with images: of each symbol, one of this part at random."""
        inputs = examples.inputs
        tokens = inputs if isinstance(inputs, PackedTokens) else PackedTokens.of(VOCABULARY, inputs)
        rng = np.random.default_rng([self.seed, part])
        ids = np.empty(len(tokens.codes), np.int32)
        for label in np.unique(tokens.codes).tolist():
            here = np.flatnonzero(tokens.codes == label)
            images = self.symbols.of(part, label)
            ids[here] = images[rng.integers(len(images), size=len(here))]
        return Examples(PackedPictures(self.pool, ids, tokens.bounds), examples.outputs, tokens)


def meaning(tokens: Sequence[str]) -> int | None:
    """The value of an expression, None if it is undefined."""
    return read(tokens).value


@lru_cache(maxsize=2)
def expressions(concept: str = "") -> dict[str, Expressions]:
    """The drawn expressions of each part, from the cache if they are there.

    The published ones are kept in a file in ``NSR_CACHE``, or the user's folder for caches; a damaged file is replaced.
    """
    if concept:
        return draw(concept)
    path = Hint().cache_file
    found = _read_cache(path)
    if found is None:
        found = draw()
        _write_cache(path, found)
    return found


def cache_folder() -> Path:
    """Where generated data is kept: ``NSR_CACHE``, else ``nsr`` in ``XDG_CACHE_HOME``, else in ``~/.cache``."""
    chosen = os.environ.get("NSR_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "nsr"


def _arrays(found: Mapping[str, Expressions]) -> dict[str, np.ndarray]:
    arrays: list[np.ndarray] = []
    for each in (found[part] for part in PARTS):
        arrays += [each.tokens.codes, each.tokens.lengths.astype(np.uint8), each.values.numbers, each.largest]
    return dict(zip(KEPT, arrays, strict=True))


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def _write_cache(path: Path, found: Mapping[str, Expressions]) -> None:
    """Keep the expressions; a folder that cannot be written just keeps nothing."""
    arrays = _arrays(found)
    kept: dict[str, Any] = {"checksum": np.array(_checksum(arrays)), **arrays}
    file = io.BytesIO()
    np.savez(file, **kept)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, file.getvalue())
    except OSError:
        return


def _read_cache(path: Path) -> dict[str, Expressions] | None:
    """The expressions kept in a file, None if there is none or it is damaged."""
    try:
        arrays = read_arrays(path, ("checksum", *KEPT))
        if str(arrays.pop("checksum")) != _checksum(arrays):
            return None
        found = {}
        for part in PARTS:
            lengths = arrays[f"{part}.lengths"].astype(np.int64)
            tokens = PackedTokens(VOCABULARY, arrays[f"{part}.codes"], np.concatenate([[0], np.cumsum(lengths)]))
            found[part] = Expressions(tokens, PackedNumbers(arrays[f"{part}.values"]), arrays[f"{part}.largest"])
    except Exception:
        return None
    return found


@lru_cache(maxsize=2)
def _trained(concept: str) -> frozenset[int]:
    """The hashes of the training expressions."""
    return frozenset(expressions(concept)["train"].tokens.hashes().tolist())


def _symbol(token: str, program: str, *, binary: bool) -> list[str]:
    name = f'"{token}"'
    return [f"x0 {name} x1 = {program}", f"_ x0 {name} x1 _ = {program}"] if binary else [f"{name} = {program}"]


GOLD_PROGRAMS = {
    "+": "(fix (if0 x1 x0 (incr (rec x0 (decr0 x1)))))",
    "-": "(fix (if0 x1 x0 (decr0 (rec x0 (decr0 x1)))))",
    "*": '(fix (if0 x1 0 ("+" x0 (rec x0 (decr0 x1)))))',
    "/": '(fix (if0 x0 0 (incr (rec ("-" x0 x1) x1))))',
    "a": '("+" x0 ("-" x1 x0))',
    "b": '("-" x0 ("-" x0 x1))',
    "c": '("/" ("+" x0 x1) 2)',
    "d": '("/" ("*" ("+" x0 x0) x1) ("+" x0 x1))',
}
GOLD_LEXICON = "\n".join(
    [
        *(line for digit, value in DIGITS.items() for line in _symbol(digit, str(value), binary=False)),
        *(line for operator in OPERATORS for line in _symbol(operator, GOLD_PROGRAMS[operator], binary=True)),
        *(line for token in (OPEN, CLOSE) for line in _symbol(token, "empty", binary=False)),
    ]
)
