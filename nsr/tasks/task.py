"""What a benchmark is: where its examples come from, how they are split, and what it declares.

A task is one file. It hands the learner input-output pairs and the name of a set of primitives; gold trees and
gold programs, where they are known, stay with the task, for scoring and for the ``given`` ablations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from nsr.errors import ConfigError, DataError, MissingDataError, reason

Tokens = tuple[str, ...]
LITERAL = "<literal>"  # the symbol of all words that denote themselves
Value = Any  # what a program returns: a tuple of output tokens, or an integer
FIGURES = ("test", "measure", "value", "count")  # what every test of a task returns, besides further figures
Predict = Callable[[Sequence[Tokens]], list[Value | None]]  # a model's answers; None where it has none


@dataclass(frozen=True)
class Examples:
    """Input-output pairs in a fixed order; repeats are kept.

    ``gold`` are the right symbols of inputs that are not tokens themselves, for scoring only.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Value]
    gold: Sequence[Tokens] | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.outputs):
            raise ValueError(f"{len(self.inputs)} inputs but {len(self.outputs)} outputs")

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[tuple[Tokens, Value]]:
        return zip(self.inputs, self.outputs, strict=True)

    def take(self, indices: Iterable[int]) -> Examples:
        """The examples at these indices, in this order."""
        indices = list(indices)
        gold = None if self.gold is None else _take(self.gold, indices)
        return Examples(_take(self.inputs, indices), _take(self.outputs, indices), gold)

    @property
    def tokens(self) -> Sequence[Tokens]:
        """The inputs as tokens: the gold ones of images."""
        return self.inputs if self.gold is None else self.gold


def _take(items: Sequence[Any], indices: list[int]) -> Sequence[Any]:
    """The items at these places, packed if they are packed."""
    return items.take(indices) if hasattr(items, "take") else tuple(items[index] for index in indices)


@dataclass(frozen=True)
class Dataset:
    """One split of a task. ``source`` says where the examples come from, for the run's record.

    ``validation`` is for choosing settings; tasks that publish none have none.
    """

    train: Examples
    test: Examples
    source: str
    validation: Examples | None = None


def read_lines(path: Path, files: str) -> list[str]:
    """The lines of one of the authors' files.

    Args:
        path: the file.
        files: what to look for where it does not exist.

    Raises:
        MissingDataError: it does not exist.
        DataError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise MissingDataError(
            f"{path} does not exist; give the folder of {files}, or run without --data-dir to generate the data"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}") from None


def group_by_size(sizes: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    """The indices of examples of the same size, ``tokens=8``, for each kind of size; smallest first."""
    groups: dict[tuple[str, int], list[int]] = {}
    for what, each in sizes.items():
        for index, size in enumerate(each):
            groups.setdefault((what, size), []).append(index)
    return {f"{what}={size}": groups[what, size] for what, size in sorted(groups)}


@dataclass(frozen=True)
class Task(ABC):
    """A benchmark. The fields of a subclass are its options; each becomes a flag of the command line.

    ``tests`` names what :meth:`examine` measures. ``variants`` are options that change its ``settings``, each narrower
    than the one before; the help of the command line has these settings. The examples of a task that is ``own`` are the
    user's: nothing about them is published, and training ends with a review of what it could not explain.
    """

    name: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]
    default_split: ClassVar[str]
    tests: ClassVar[tuple[str, ...]] = ()
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    own: ClassVar[bool] = False

    @property
    @abstractmethod
    def primitives(self) -> str:
        """What programs are made of: the name of a set of primitives; in most tasks a class variable."""

    @abstractmethod
    def load(self, split: str, *, seed: int = 0, data_dir: Path | None = None) -> Dataset:
        """The examples of a split: generated, or read from the authors' files below ``data_dir``.

        Raises:
            ConfigError: there is no such split, or the task reads no files below ``data_dir``.
            DataError: a file is missing, malformed, or fails the split's counts.
        """

    def require_split(self, split: str) -> None:
        """Refuse a split that does not exist, as :meth:`load` must.

        Raises:
            ConfigError: there is none of this name; the message lists those there are.
        """
        if split not in self.splits:
            raise ConfigError(f"{self.name} has no split {split!r}; known splits: {', '.join(self.splits)}")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its defaults for :class:`nsr.learning.config.Config`, for instance what the learner is told.

        An option given by the user wins.
        """
        return {}

    @abstractmethod
    def encode(self, text: str) -> Any:
        """A user's sentence as tokens; what the model gets to see of them is up to :meth:`examples`.

        Raises:
            InputError: the sentence is not in the task's language; the message says where. One that is empty may also
                become an empty input, which :meth:`nsr.model.NSR.encode` refuses.
        """

    def examples(self, sentences: Sequence[Any], outputs: Sequence[Value], seed: int = 0) -> Examples:
        """A user's sentences, as of :meth:`encode`, and their outputs, as the model sees them.

        Args:
            sentences: of each example.
            outputs: of each example.
            seed: of the model; draws the images that a task shows instead of tokens.

        Raises:
            InputError: a sentence is not in the task's language; the message says where.
        """
        return Examples(sentences, outputs)

    def spell(self, tokens: Tokens) -> str:
        """An input as the authors write it, the inverse of :meth:`encode`."""
        return " ".join(tokens)

    @property
    def cache_file(self) -> Path | None:
        """Where generated examples are kept, None if they are not."""
        return None

    def faults(self) -> Iterator[str]:
        """How the examples it generates differ from the published ones, a line each."""
        return iter(())

    @property
    def rewriting(self) -> tuple[str, str] | None:
        """A regular expression and its replacement that make of what is typed the words of the model's input.

        None if :meth:`encode` only finds the words.
        """
        return None

    def subsets(self, examples: Examples) -> dict[str, list[int]]:
        """Named groups of test examples (indices) whose accuracy is reported apart."""
        return {}

    def test_with(self, symbols: str, seed: int = 0) -> Examples:
        """The test examples with images from another source.

        Raises:
            ConfigError: the task's inputs are not images.
            DataError: the source cannot be read.
        """
        raise ConfigError(f"the inputs of {self.name} are not images; leave out --symbols")

    def examine(
        self, name: str, predict: Predict, *, split: str, seed: int = 0, data_dir: Path | None = None
    ) -> dict[str, Any]:
        """What one of the task's ``tests`` measures of a model.

        Args:
            name: the test.
            predict: the model.
            split: the split it was trained on; so ``seed`` and ``data_dir``.

        Returns:
            ``{"test", "measure", "value", "count"}`` and further figures; ``value`` and these are in percent, ``count``
            is the number of cases.

        Raises:
            ConfigError: there is no such test, or it needs a model that was trained on another split.
            DataError: as of :meth:`load`.
        """
        raise ConfigError(f"{self.name} has no test {name!r}; known tests: {', '.join(self.tests) or 'none'}")

    def gold_heads(self, tokens: Tokens) -> tuple[int, ...]:
        """The head of each token in the right tree, ROOT for the root: what ``syntax: given`` gives.

        Literals may stand there as :data:`LITERAL`.

        Raises:
            ConfigError: the task has no right trees to give.
            InputError: the sentence is not in the task's language.
        """
        raise ConfigError(f"{self.name} cannot give the syntax; leave --syntax learned")

    def gold_labels(self, seed: int) -> Sequence[str]:
        """The symbol of each image that inputs may show, "" of those not for training: ``perception: given``.

        Raises:
            ConfigError: the task's inputs are not images.
        """
        raise ConfigError(f"{self.name} cannot give the perception; leave --perception learned")

    @property
    def gold_lexicon(self) -> str:
        """The right programs, as the text of a lexicon: what ``semantics: given`` gives.

        Raises:
            ConfigError: the task has no right programs to give.
        """
        raise ConfigError(f"{self.name} cannot give the semantics; leave --semantics learned")

    def assumptions(self) -> dict[str, Any]:
        """What this task tells the learner beyond input-output pairs, for ``metrics.json``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
