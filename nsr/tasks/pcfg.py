"""PCFG SET: functions of strings, nested, and the strings that they make.

Hupkes, Dankers, Mul and Bruni (2020), Compositionality decomposed: how do neural networks generalise?, JAIR 67,
https://arxiv.org/abs/1908.08351. ``grammars/pcfg.lark`` is the language; :mod:`nsr.tasks.string_edits` interprets and
generates it, so nothing need be downloaded; :mod:`nsr.tasks.compositionality` has the tests of the paper. With a data
folder the authors' files are read (https://github.com/i-machine-think/am-i-compositional), every line checked.

The last part, gold heads and gold programs, is for scoring and for the ``given`` ablations: no learner sees it unless
an option says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nsr.errors import ConfigError, DataError, InputError
from nsr.gss import ROOT
from nsr.settings import setting
from nsr.syntax.grammar import check, load_grammar
from nsr.tasks.compositionality import TESTS, add_exceptions, add_primitive_twins, swap_in_twins
from nsr.tasks.sources import path_of
from nsr.tasks.string_edits import (
    ARITY,
    LITERALS,
    SEPARATOR,
    TWIN,
    TWINS,
    count_functions,
    depth,
    generate,
    is_literal,
    meaning,
)
from nsr.tasks.task import LITERAL, Dataset, Examples, Predict, Task, Tokens, group_by_size, read_lines

Rule = Callable[[Tokens], bool]

# Of the authors' 97,210 examples, 85% are trained in pcfgset and 10% tested; the other splits divide these anew. The
# other 5% are for validation, which has no use here.
TRAIN, TEST = 82_629, 9_721

# Neighbours that training of the split ``systematicity`` lacks.
HELD_OUT = (
    ("swap_first_last", "repeat"),
    ("append", "remove_second"),
    ("repeat", "remove_second"),
    ("append", "swap_first_last"),
)


def _held_out(tokens: Tokens) -> bool:
    """Whether held-out functions are neighbours somewhere."""
    return any(pair in HELD_OUT for pair in pairwise(tokens))


@dataclass(frozen=True)
class Split:
    """How a split divides the examples; ``test`` counts the lines of the authors' test file."""

    test: int
    tested: Rule | None  # None: drawn at random


SPLITS = {
    "pcfgset": Split(TEST, tested=None),
    "systematicity": Split(10_175, tested=_held_out),
    "productivity": Split(11_333, tested=lambda tokens: count_functions(tokens) > 8),
}
# The other splits change the training examples of pcfgset and test the same ones.
CHANGED = ("substitutivity_equal", "substitutivity_primitive", "overgeneralisation")


@dataclass(frozen=True)
class Pcfg(Task):
    """PCFG SET. ``exceptions`` is for the split ``overgeneralisation``: how many inputs are exceptions, in percent.

    It is a share of the inputs with the rarer of the two functions whose combination has an exceptional meaning.

    Without ``reverse``, that primitive is not given, and programs may recur on lists instead.
    """

    name: ClassVar[str] = "pcfg"
    splits: ClassVar[tuple[str, ...]] = (*SPLITS, *CHANGED)
    default_split: ClassVar[str] = "pcfgset"
    tests: ClassVar[tuple[str, ...]] = tuple(TESTS)

    exceptions: float = setting(0.1, "percentage of exceptional inputs, for the split overgeneralisation")
    reverse: bool = setting(True, "reverse is a primitive; if not, programs may recur on lists instead")

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0 < self.exceptions <= 100:
            raise ConfigError(f"exceptions must be a percentage, above 0 and at most 100, not {self.exceptions!r}")

    @property
    def primitives(self) -> str:
        """With the primitive ``reverse``, or with recursion in its place."""
        return "list-reverse" if self.reverse else "list-recursive"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Letters are literals, the comma a separator; short inputs are many."""
        return {"literals": True, "separators": SEPARATOR, "least": 50}

    def load(self, split: str, *, seed: int = 0, data_dir: Path | None = None) -> Dataset:
        """The examples of a split; see :meth:`Task.load`.

        ``seed`` draws generated examples, synonyms and exceptions. ``data_dir`` holds the authors' files, in a folder
        ``pcfg`` or directly: ``SPLIT/test.src`` and ``.tgt``; and of training ``SPLIT/train`` or, where that does not
        exist, what the split trains of ``10k/train``. Splits of changed training examples are made from pcfgset.
        """
        self.require_split(split)
        base = self._base(split if split in SPLITS else "pcfgset", seed, data_dir)
        rng = self._rng(seed)
        if split == "substitutivity_equal":
            return Dataset(swap_in_twins(base.train, rng), base.test, f"{base.source}; synonyms put in by seed")
        if split == "substitutivity_primitive":
            return Dataset(add_primitive_twins(base.train, rng), base.test, f"{base.source}; synonyms added by seed")
        if split == "overgeneralisation":
            train, _ = add_exceptions(base.train, self.exceptions, rng)
            return Dataset(train, base.test, f"{base.source}; exceptions put in by seed")
        return base

    def encode(self, text: str) -> Tokens:
        """An input as it is written, a word a token; see :meth:`Task.encode`."""
        tokens = tuple(text.split())
        check(load_grammar("pcfg"), tokens)
        return tokens

    def subsets(self, examples: Examples) -> dict[str, list[int]]:
        """Examples by the number of functions, how deep these are nested, and the tokens of input and output.

        Named ``functions=3``, ``depth=2`` (a function of strings has depth 1), ``tokens=18`` and ``output=5``.
        """
        inputs = examples.inputs
        return group_by_size(
            {
                "functions": map(count_functions, inputs),
                "depth": map(depth, inputs),
                "tokens": map(len, inputs),
                "output": map(len, examples.outputs),
            }
        )

    def examine(
        self, name: str, predict: Predict, *, split: str, seed: int = 0, data_dir: Path | None = None
    ) -> dict[str, Any]:
        """A test of Hupkes et al.; see :meth:`Task.examine` and :data:`nsr.tasks.compositionality.TESTS`."""
        if name not in TESTS:
            return super().examine(name, predict, split=split, seed=seed, data_dir=data_dir)
        needed = {"substitutivity": CHANGED[:2], "localism": self.splits}.get(name, (name,))
        if split not in needed:
            raise ConfigError(
                f"test {name!r} needs a model trained on split {' or '.join(needed)}, not {split!r}; "
                f"train one: nsr train pcfg --split {needed[0]} --out RUN"
            )
        base = self._base(split if split in SPLITS else "pcfgset", seed, data_dir)
        if name == "overgeneralisation":
            return TESTS[name](predict, add_exceptions(base.train, self.exceptions, self._rng(seed))[1])
        if name == "systematicity":
            return TESTS[name](predict, base.test, HELD_OUT)
        return TESTS[name](predict, base.test)

    def gold_heads(self, tokens: Tokens) -> Heads:
        """Also of symbols, in which all literals are one; see :meth:`Task.gold_heads`."""
        return gold_heads(tuple(LITERALS[0] if token == LITERAL else token for token in tokens))

    @property
    def gold_lexicon(self) -> str:
        """With the primitive ``reverse``; see :meth:`Task.gold_lexicon`."""
        return GOLD_LEXICON if self.reverse else super().gold_lexicon

    def _base(self, split: str, seed: int, data_dir: Path | None) -> Dataset:
        """The examples of a split that the authors' files have, too."""
        if data_dir is None:
            return _generate(SPLITS[split], np.random.default_rng(seed))
        return _read(split, Path(data_dir))

    def _rng(self, seed: int) -> np.random.Generator:
        """Draws what is changed in training examples, the same in generated ones and in the authors'."""
        return np.random.default_rng([seed, 1])


def _generate(split: Split, rng: np.random.Generator) -> Dataset:
    """The generated examples of a split."""
    inputs = generate(TRAIN + TEST, rng)
    if split.tested is None:
        train, test = inputs[:TRAIN], inputs[TRAIN:]
    else:
        train = [tokens for tokens in inputs if not split.tested(tokens)]
        test = [tokens for tokens in inputs if split.tested(tokens)]
    return Dataset(_examples(train), _examples(test), "generated as grammars/pcfg.lark says")


def _examples(inputs: list[Tokens]) -> Examples:
    return Examples(tuple(inputs), tuple(map(meaning, inputs)))


def _read(name: str, data_dir: Path) -> Dataset:
    """The examples of a split in the authors' files."""
    split = SPLITS[name]
    path = path_of("pcfg", data_dir, f"{name}/test.src")
    test = _read_files(path)
    if len(test) != split.test:
        raise DataError(f"{path}: expected {split.test} lines, found {len(test)}; download the file again")
    _require(split, test, path, tested=True)
    path = path_of("pcfg", data_dir, f"{name}/train.src")
    if path.exists():
        train = _read_files(path)
        _require(split, train, path, tested=False)
        return Dataset(train, test, "the authors' files")
    train = _read_files(path_of("pcfg", data_dir, "10k/train.src"))
    tested = set(test.inputs)
    kept = [
        index
        for index, tokens in enumerate(train.inputs)
        if tokens not in tested and not (split.tested and split.tested(tokens))
    ]
    source = "the authors' files, training from 10k/train"
    return Dataset(train.take(kept), test, source if len(kept) == len(train) else f"{source} by the split's rule")


def _require(split: Split, examples: Examples, path: Path, *, tested: bool) -> None:
    """Refuse examples that belong in the other part of the split."""
    if split.tested is not None:
        for number, tokens in enumerate(examples.inputs, start=1):
            if split.tested(tokens) != tested:
                other = "training" if tested else "test"
                raise DataError(f"{path}:{number}: by the rule of the split this is a {other} example")


def _read_files(path: Path) -> Examples:
    """The examples of ``NAME.src``, the inputs, and ``NAME.tgt``, their outputs."""
    inputs, outputs = _lines(path), _lines(path.with_suffix(".tgt"))
    if len(inputs) != len(outputs):
        raise DataError(f"{path} has {len(inputs)} lines, {path.with_suffix('.tgt')} has {len(outputs)}")
    for number, (tokens, output) in enumerate(zip(inputs, outputs, strict=True), start=1):
        try:
            found = meaning(tokens)
        except InputError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        if found != output:
            raise DataError(f"{path.with_suffix('.tgt')}:{number}: this is not the output of '{' '.join(tokens)}'")
    return Examples(tuple(inputs), tuple(outputs))


def _lines(path: Path) -> list[Tokens]:
    """The tokens of each line of a file."""
    return [tuple(line.split()) for line in read_lines(path, "the authors' PCFG SET files")]


# Gold knowledge: for scoring and for the ``given`` ablations.

Heads = tuple[int, ...]

# The program of each (word, number of dependents), in the notation of ``grammars/program.lark``. A literal is named
# "literal"; the separator is no argument. swap_first_last is for strings of two and more.
GOLD_PROGRAMS: dict[tuple[str, int], str] = {
    ("literal", 0): "(cons self nil)",
    ("literal", 1): "(cons self x0)",
    ("copy", 1): "x0",
    ("reverse", 1): "(reverse x0)",
    ("shift", 1): "(append (cdr x0) (cons (car x0) nil))",
    ("swap_first_last", 1): (
        "(cons (car (reverse x0)) (append (reverse (cdr (reverse (cdr x0)))) (cons (car x0) nil)))"
    ),
    ("repeat", 1): "(append x0 x0)",
    ("echo", 1): "(append x0 (cons (car (reverse x0)) nil))",
    ("append", 2): "(append x0 x1)",
    ("prepend", 2): "(append x1 x0)",
    ("remove_first", 2): "x1",
    ("remove_second", 2): "x0",
}
GOLD_PROGRAMS |= {(name + TWIN, ARITY[name]): GOLD_PROGRAMS[name, ARITY[name]] for name in TWINS}
_USES = {1: '"{}" x0', 2: '"{}" x0 _ x1'}  # of a function, by its arity
GOLD_LEXICON = "\n".join(
    f"{_USES[arity].format(name)} = {program}" for (name, arity), program in GOLD_PROGRAMS.items() if name in ARITY
)


def gold_heads(tokens: Tokens) -> Heads:
    """The head of each token of an input, -1 (ROOT) for the root.

    A function heads its arguments and the separator between them, an argument that is a string by its first literal;
    each literal of a string heads the next one.

    Raises:
        InputError: not an input.
    """
    depth(tokens)  # refuses what is not an input
    heads: list[int] = []
    missing: list[list[int]] = []  # each function that is open and the number of its arguments to come, innermost last
    for index, token in enumerate(tokens):
        if token == SEPARATOR:
            while missing[-1][1] == 1:
                missing.pop()
            missing[-1][1] = 1
        follows = is_literal(token) and index > 0 and is_literal(tokens[index - 1])
        heads.append(index - 1 if follows else missing[-1][0] if missing else ROOT)
        if token in ARITY:
            missing.append([index, ARITY[token]])
    return tuple(heads)
