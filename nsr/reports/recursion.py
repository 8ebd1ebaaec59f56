"""Which functions of lists are induced without ``reverse``, by recursion, and which with it.

The functions are those of PCFG (Hupkes et al. 2020) that take one list.
"""

from __future__ import annotations

import statistics
import string
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nsr.reports.pool import Runs
from nsr.reports.tables import markdown
from nsr.reports.trainings import Training
from nsr.semantics.compilation import compile_term
from nsr.semantics.induction import Example, InductionConfig, Space, induce
from nsr.semantics.notation import to_text
from nsr.semantics.primitives import primitive_set
from nsr.tasks.string_edits import UNARY

FUNCTIONS = ("reverse", "shift", "swap_first_last", "echo", "repeat")
PRIMITIVES = ("list-recursive", "list-reverse")
EXAMPLES = 20
LENGTHS = (2, 6)
TESTS = 100


@dataclass(frozen=True)
class Induced:
    """One row.

    Attributes:
        name: of the function.
        primitives: name of the primitive set.
        found: percent of the seeds with which the program is right on other lists, too, some longer than all examples.
        seconds: mean over the seeds.
        program: the text of that of the first seed.
    """

    name: str
    primitives: str
    found: float
    seconds: float
    program: str

    @property
    def label(self) -> str:
        """What was induced, from what."""
        return f"{self.name}, {self.primitives}"


@dataclass(frozen=True)
class InductionTable:
    """Each function with each primitive set; ``title`` is the heading."""

    title: str

    def trainings(self, seeds: Sequence[int], data_dir: Path | None) -> dict[str, list[Training]]:
        """No run is needed."""
        return {}

    def measure(self, seeds: Sequence[int], data_dir: Path | None, runs: Runs) -> list[Induced]:
        """The rows, measured anew."""
        rows = []
        for name in FUNCTIONS:
            for primitives in PRIMITIVES:
                trials = [_induce(name, primitives, seed) for seed in seeds]
                found = 100 * statistics.mean(right for right, _, _ in trials)
                seconds = statistics.mean(each for _, each, _ in trials)
                rows.append(Induced(name, primitives, found, seconds, trials[0][2]))
        return rows

    def to_markdown(self, rows: Sequence[Induced]) -> str:
        """The rows under the heading."""
        names = ("function", "primitives", "found, % of seeds", "seconds", "program of the first seed")
        cells = [
            [row.name, row.primitives, f"{row.found:.0f}", f"{row.seconds:.3f}", f"`{row.program}`"] for row in rows
        ]
        return markdown(self.title, names, cells)


def _induce(name: str, primitives: str, seed: int) -> tuple[bool, float, str]:
    """Whether the program is right, the seconds, and the program."""
    function, generator = UNARY[name], np.random.default_rng(seed)
    space = Space(primitive_set(primitives), tuple(string.ascii_uppercase))
    examples = [Example((items,), function(items)) for items in _draw(generator, EXAMPLES, LENGTHS)]
    tests = _draw(generator, TESTS, (LENGTHS[0], 2 * LENGTHS[1]))
    start = time.perf_counter()
    best = induce(examples, 1, space, InductionConfig(), generator)
    seconds = time.perf_counter() - start
    if best is None:
        return False, seconds, "none"
    run = compile_term(best.program, space.max_length)
    return all(run((items,)) == function(items) for items in tests), seconds, to_text(best.program)


def _draw(generator: np.random.Generator, count: int, lengths: tuple[int, int]) -> list[tuple[str, ...]]:
    """Different lists of distinct letters."""
    drawn: dict[tuple[str, ...], None] = {}
    while len(drawn) < count:
        length = int(generator.integers(*lengths, endpoint=True))
        drawn[tuple(generator.choice(list(string.ascii_uppercase), length, replace=False).tolist())] = None
    return list(drawn)
