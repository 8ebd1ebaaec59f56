"""SCAN: navigation commands and the actions they ask for.

Lake and Baroni (2018), Generalization without Systematicity, https://arxiv.org/abs/1711.00350.

The whole task follows from ``grammars/scan.lark`` and one interpretation of its productions, so nothing need
be downloaded. The splits, of the same paper and of Loula, Baroni and Lake (2018,
https://arxiv.org/abs/1807.07545), are rules over the 20,910 commands, all but ``simple``, which is random.
With a data folder the authors' files are read instead (https://github.com/brendenlake/SCAN), and every line
is checked against the grammar.

The last part, gold heads and gold programs, is for scoring and for the ``given`` ablations: no learner sees
it unless an option says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np
from lark import Token, Transformer, v_args

from nsr.errors import ConfigError, DataError, InputError
from nsr.gss import ROOT
from nsr.settings import setting
from nsr.syntax.grammar import check, language, load_grammar
from nsr.tasks.sources import path_of
from nsr.tasks.task import Dataset, Examples, Task, Tokens, group_by_size, read_lines

Actions = tuple[str, ...]
Pair = tuple[Tokens, Actions]
Rule = Callable[[Tokens, Actions], bool]

WORD_ORDERS = ("projective", "raw")
DIRECTIONS = ("left", "right")
MANNERS = ("opposite", "around")
CONJUNCTIONS = ("and", "after")
WORDS = ("jump", "look", "run", "turn", "walk", *DIRECTIONS, *MANNERS, "twice", "thrice", *CONJUNCTIONS)


# The commands and what they mean.


@cache
def commands() -> dict[Tokens, Actions]:
    """All 20,910 commands in the published word order, each with its actions; cached: do not change it."""
    return dict(language(load_grammar("scan"), _Meaning()))


@v_args(inline=True)
class _Meaning(Transformer[Token, Actions]):
    """The actions of a command, one method a production of ``grammars/scan.lark``."""

    def walk(self) -> Actions:
        return ("I_WALK",)

    def look(self) -> Actions:
        return ("I_LOOK",)

    def run(self) -> Actions:
        return ("I_RUN",)

    def jump(self) -> Actions:
        return ("I_JUMP",)

    def turn(self) -> Actions:
        return ()  # the direction is the action

    def left(self) -> Actions:
        return ("I_TURN_LEFT",)

    def right(self) -> Actions:
        return ("I_TURN_RIGHT",)

    def toward(self, mover: Actions, direction: Actions) -> Actions:
        return direction + mover

    def opposite(self, mover: Actions, direction: Actions) -> Actions:
        return direction + direction + mover

    def around(self, mover: Actions, direction: Actions) -> Actions:
        return 4 * (direction + mover)

    def twice(self, verb: Actions) -> Actions:
        return 2 * verb

    def thrice(self, verb: Actions) -> Actions:
        return 3 * verb

    def and_(self, first: Actions, second: Actions) -> Actions:
        return first + second

    def after(self, second: Actions, first: Actions) -> Actions:
        return first + second


# Splits: a command is left out, or tested, or else trained.


def contains(*phrases: str) -> Rule:
    """The rule that a command contains one of these phrases, as whole words."""
    padded = [f" {phrase} " for phrase in phrases]

    def rule(command: Tokens, actions: Actions) -> bool:
        text = f" {' '.join(command)} "
        return any(phrase in text for phrase in padded)

    return rule


@dataclass(frozen=True)
class Split:
    """How a split divides the commands. The counts are those of the authors' files, repeats included."""

    folder: str  # of the authors' files
    train: int
    test: int
    tested: Rule | None  # None: drawn at random
    left_out: Rule | None = None  # in neither part, whatever ``tested`` says
    repeated: Tokens = ()  # a command that is trained, whatever ``tested`` says
    repeats: int = 1  # lines of that command


def _template(phrase: str) -> Split:
    """The split that tests a phrase behind the four verbs; behind "turn" it is left out."""
    tested = contains(*(f"{verb} {phrase}" for verb in ("walk", "look", "run", "jump")))
    left_out = contains(f"turn {phrase}")
    return Split("template_split", train=15_225, test=4_476, tested=tested, left_out=left_out)


SPLITS = {
    "simple": Split("simple_split", train=16_728, test=4_182, tested=None),
    "length": Split(
        "length_split",
        train=16_990,
        test=3_920,
        tested=lambda command, actions: len(actions) > 22,
    ),
    "addprim_jump": Split(
        "add_prim_split",
        train=14_670,
        test=7_706,
        tested=contains("jump"),
        repeated=("jump",),
        repeats=1_467,
    ),
    "addprim_turn_left": Split(
        "add_prim_split",
        train=21_890,
        test=1_208,
        tested=contains("turn left"),
        repeated=("turn", "left"),
        repeats=2_189,
    ),
    "template_around_right": _template("around right"),
    "template_opposite_right": _template("opposite right"),
    "template_right": _template("right"),
    "template_jump_around_right": Split(
        "template_split",
        train=18_528,
        test=1_173,
        tested=contains("jump around right"),
        left_out=contains("turn around right"),
    ),
}


# The task.


@dataclass(frozen=True)
class Scan(Task):
    """SCAN. ``word_order`` is ``raw``, as published, or ``projective``, as in the paper of the NSR.

    In ``projective`` order "opposite" and "around" stand behind their direction ("jump left around"); then
    every command has a projective dependency tree in which each word is a function of its dependents.
    """

    name: ClassVar[str] = "scan"
    splits: ClassVar[tuple[str, ...]] = tuple(SPLITS)
    default_split: ClassVar[str] = "simple"
    primitives: ClassVar[str] = "list"

    word_order: str = setting("projective", "where opposite and around stand: projective, or raw, as published")

    def __post_init__(self) -> None:
        """Refuse a word order that does not exist."""
        if self.word_order not in WORD_ORDERS:
            raise ConfigError(f"word_order must be one of {', '.join(WORD_ORDERS)}, not {self.word_order!r}")

    def load(self, split: str, *, seed: int = 0, data_dir: Path | None = None) -> Dataset:
        """The examples of a split; see :meth:`Task.load`.

        Generated examples are in the order of the grammar's rules; ``seed`` draws the generated ``simple``
        and changes nothing else. ``data_dir`` holds the authors' files, in a folder ``scan`` or directly.
        """
        self.require_split(split)
        if data_dir is None:
            train, test = _generate(SPLITS[split], np.random.default_rng(seed))
            return Dataset(self._examples(train), self._examples(test), "generated from grammars/scan.lark")
        train, test = _read(split, Path(data_dir))
        return Dataset(self._examples(train), self._examples(test), "the authors' files")

    def encode(self, text: str) -> Tokens:
        """A command in the published word order as the model's input tokens; see :meth:`Task.encode`."""
        command = tuple(text.split())
        check(load_grammar("scan"), command)
        return self._order(command)

    def spell(self, tokens: Tokens) -> str:
        """A command in the published word order; see :meth:`Task.spell`."""
        return " ".join(to_raw(tokens) if self.word_order == "projective" else tokens)

    @property
    def rewriting(self) -> tuple[str, str] | None:
        """The word order, see :meth:`Task.rewriting`."""
        pattern = rf"\b({'|'.join(MANNERS)})\s+({'|'.join(DIRECTIONS)})\b"
        return (pattern, r"\2 \1") if self.word_order == "projective" else None

    def subsets(self, examples: Examples) -> dict[str, list[int]]:
        """Examples by the number of actions, ``actions=24``, and of words, ``tokens=8``, and by depth, ``depth=3``."""
        inputs = examples.inputs
        return group_by_size(
            {"actions": map(len, examples.outputs), "depth": map(depth, inputs), "tokens": map(len, inputs)}
        )

    def _examples(self, pairs: list[Pair]) -> Examples:
        inputs = tuple(self._order(command) for command, _ in pairs)
        return Examples(inputs, tuple(actions for _, actions in pairs))

    def _order(self, command: Tokens) -> Tokens:
        return to_projective(command) if self.word_order == "projective" else command

    def gold_heads(self, tokens: Tokens) -> Heads:
        """Of commands in projective order; see :meth:`Task.gold_heads`."""
        return gold_heads(tokens) if self.word_order == "projective" else super().gold_heads(tokens)

    @property
    def gold_lexicon(self) -> str:
        """For commands in projective order; see :meth:`Task.gold_lexicon`."""
        return GOLD_LEXICON if self.word_order == "projective" else super().gold_lexicon


def depth(command: Tokens) -> int:
    """The depth of a command's tree, in either word order: 0 of a verb, 1 more for each word on it or conjunction."""
    phrases = [len(list(words)) for between, words in groupby(command, CONJUNCTIONS.__contains__) if not between]
    return max(phrases) - 1 + len(phrases) - 1


def to_projective(command: Tokens) -> Tokens:
    """Move "opposite" and "around" behind the direction that follows them: ``jump left around``."""
    return _swap(command, MANNERS, DIRECTIONS)


def to_raw(command: Tokens) -> Tokens:
    """The inverse of :func:`to_projective`: ``jump around left``."""
    return _swap(command, DIRECTIONS, MANNERS)


def _swap(tokens: Tokens, former: Collection[str], latter: Collection[str]) -> Tokens:
    """Exchange neighbours of which the first is in ``former`` and the second in ``latter``."""
    swapped = list(tokens)
    for i in range(len(tokens) - 1):
        if tokens[i] in former and tokens[i + 1] in latter:
            swapped[i], swapped[i + 1] = tokens[i + 1], tokens[i]
    return tuple(swapped)


def _generate(split: Split, rng: np.random.Generator) -> tuple[list[Pair], list[Pair]]:
    """The commands that are trained and those that are tested."""
    pairs = list(commands().items())
    drawn = set(rng.permutation(len(pairs))[: split.test].tolist())
    train: list[Pair] = []
    test: list[Pair] = []
    for index, pair in enumerate(pairs):
        if split.left_out and split.left_out(*pair):
            continue
        if pair[0] == split.repeated:
            train.extend([pair] * split.repeats)
        elif split.tested(*pair) if split.tested else index in drawn:
            test.append(pair)
        else:
            train.append(pair)
    return train, test


def _read(name: str, data_dir: Path) -> tuple[list[Pair], list[Pair]]:
    """The examples that are trained and those that are tested, from the authors' files."""
    split = SPLITS[name]
    train = _read_file(path_of("scan", data_dir, f"{split.folder}/tasks_train_{name}.txt"), split.train)
    test = _read_file(path_of("scan", data_dir, f"{split.folder}/tasks_test_{name}.txt"), split.test)
    return train, test


def _read_file(path: Path, count: int) -> list[Pair]:
    """The pairs of one of the authors' files, which must be ``count``."""
    lines = read_lines(path, "the official SCAN files")
    known = _lines()
    for number, line in enumerate(lines, start=1):
        if line not in known:
            raise DataError(f"{path}:{number}: {_reason(line)}")
    pairs = [known[line] for line in lines]
    if len(pairs) != count:
        raise DataError(f"{path}: expected {count} lines, found {len(pairs)}; download the file again")
    return pairs


@cache
def _lines() -> dict[str, Pair]:
    """Every line that the authors' files can hold; one look-up parses and checks it."""
    return {f"IN: {' '.join(pair[0])} OUT: {' '.join(pair[1])}": pair for pair in commands().items()}


def _reason(line: str) -> str:
    """Why a line is not one of the authors' files."""
    command, separator, _ = line.removeprefix("IN: ").partition(" OUT: ")
    if not (line.startswith("IN: ") and separator):
        return "expected 'IN: <command> OUT: <actions>'"
    try:
        check(load_grammar("scan"), command.split())
    except InputError as error:
        return str(error)
    return f"these are not the actions of '{command}'"


# Gold knowledge, in projective word order: for scoring and for the ``given`` ablations.

Heads = tuple[int, ...]

# The program of each (word, number of dependents), in the notation of ``grammars/program.lark``.
GOLD_PROGRAMS: dict[tuple[str, int], str] = {
    ("walk", 0): '(cons "I_WALK" nil)',
    ("look", 0): '(cons "I_LOOK" nil)',
    ("run", 0): '(cons "I_RUN" nil)',
    ("jump", 0): '(cons "I_JUMP" nil)',
    ("turn", 0): "nil",
    ("left", 1): '(cons "I_TURN_LEFT" x0)',
    ("right", 1): '(cons "I_TURN_RIGHT" x0)',
    ("opposite", 1): "(cons (car x0) x0)",
    ("around", 1): "(append (append x0 x0) (append x0 x0))",
    ("twice", 1): "(append x0 x0)",
    ("thrice", 1): "(append x0 (append x0 x0))",
    ("and", 2): "(append x0 x1)",
    ("after", 2): "(append x1 x0)",
}
_USES = ('"{}"', 'x0 "{}"', 'x0 "{}" x1')  # by the number of dependents
GOLD_LEXICON = "\n".join(f"{_USES[arity].format(word)} = {program}" for (word, arity), program in GOLD_PROGRAMS.items())


def gold_heads(tokens: Tokens) -> Heads:
    """The head of each word of a command in projective order, -1 (ROOT) for the root.

    Each word heads the phrase before it ("jump" <- "left" <- "around" <- "twice"); a conjunction also heads
    the phrase behind it.

    Raises:
        InputError: not a command.
        ValueError: not in projective order.
    """
    if tokens != to_projective(tokens):
        raise ValueError(f"'{' '.join(tokens)}' is not in projective order")
    return _Heads().transform(check(load_grammar("scan"), to_raw(tokens)))


@v_args(inline=True)
class _Heads(Transformer[Token, Heads]):
    """The heads of a command in projective order, one method a production of ``grammars/scan.lark``."""

    def word(self) -> Heads:
        return (ROOT,)

    walk = look = run = jump = turn = word

    def left(self) -> Heads:
        return ()  # becomes a head in ``toward``, ``opposite`` and ``around``

    right = left

    def toward(self, mover: Heads, _direction: Heads) -> Heads:
        return _join(mover)

    def opposite(self, mover: Heads, _direction: Heads) -> Heads:
        return _join(_join(mover))

    around = opposite

    def twice(self, verb: Heads) -> Heads:
        return _join(verb)

    thrice = twice

    def and_(self, before: Heads, behind: Heads) -> Heads:
        return _join(before, behind)

    after = and_


def _join(before: Heads, behind: Heads = ()) -> Heads:
    """The heads of two phrases with a word between them that heads both."""
    word = len(before)
    attached = (word if head == ROOT else head for head in before)
    shifted = (word if head == ROOT else head + word + 1 for head in behind)
    return (*attached, ROOT, *shifted)
