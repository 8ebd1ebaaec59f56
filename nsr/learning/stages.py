"""Stages of growing input length, where a run stands in them, and how many seconds it has spent on what.

Shape letter: B examples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nsr.learning.deduction import Candidates, Deduction

PATIENCE = 5  # rounds without improvement after which a stage ends
TRUSTED = 0.9  # accuracy of a stage from which on what it could not explain may be wrong examples
SLACK = 0.01  # by how much a stage may stay behind the last one and still count as doing as well


@dataclass(frozen=True)
class Position:
    """Where a run stands: the next round to do.

    Attributes:
        stage: index of the stage.
        round: rounds done in it.
        best: best accuracy of the stage so far.
        stale: rounds since it was reached.
        simplified: whether what the stage can do without has been dropped from the lexicon since it last changed.
        settled: whether the parser has been refitted to the trees it chose itself.
        sight: how much the parser may see of a configuration (an index into ``nsr.syntax.scorer.VIEWS``); it grows
            when a stage makes no progress.
        reached: the accuracy with which the last stage ended in vain, above 1 if none has. What it could not explain
            may be wrong examples, so a stage that does as well is soon given up.
        explained: whether the last round explained all it searched; then there is no sign of wrong examples. Never
            where readings are uncertain: there, a misread example is explained by reading it otherwise.
        turn: how often perception has been refitted.
    """

    stage: int = 0
    round: int = 0
    best: float = -1.0
    stale: int = 0
    simplified: bool = False
    settled: bool = False
    sight: int = 0
    reached: float = 2.0
    explained: bool = False
    turn: int = 0

    def patience(self, accuracy: float) -> int:
        """Rounds without improvement after which the stage ends with this accuracy."""
        as_well = accuracy >= max(self.reached - SLACK, TRUSTED)
        return 1 if as_well and not self.explained else PATIENCE


@dataclass
class Clock:
    """Seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the seconds that a block takes to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Pool:
    """The examples of a stage as they were deduced.

    Attributes:
        examples: their numbers, shape (B,).
        deduction: the answers to them.
        solved: which answers are right, shape (B,).
    """

    examples: np.ndarray
    deduction: Deduction
    solved: np.ndarray

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def accuracy(self) -> float:
        """The share of the examples that are solved."""
        return float(self.solved.mean())

    def solutions(self, rows: np.ndarray, start: int = 0) -> Candidates:
        """The trees by which these examples were solved, as inputs ``start``, ``start + 1``, ... of a batch."""
        numbering = np.full(len(self), -1)
        numbering[rows] = start + np.arange(len(rows))
        trees = self.deduction.trees.take(self.deduction.row[rows])
        return replace(trees, sentence=numbering[trees.sentence])


OnRound = Callable[[Position, dict[str, Any]], None]


def stages(lengths: np.ndarray, curriculum: str, least: int) -> list[int]:
    """The longest input of each stage: 1, 2, 3, 4, then half as long again each time.

    A stage that would have fewer than ``least`` examples is joined to the next.
    """
    longest = int(lengths.max(initial=1))
    if curriculum == "none":
        return [longest]
    limits, limit = [], 1
    while limit < longest:
        limits.append(limit)
        limit = limit + 1 if limit < 4 else limit * 3 // 2
    return [limit for limit in limits if (lengths <= limit).sum() >= least] + [longest]
