"""Tables for HINT: accuracy by subset, few-shot concepts, induced programs, and very long expressions.

Li, Huang, Chen, Zhu and Zhu (2021), A HINT from arithmetic: on systematic generalization of perception, syntax, and
semantics, https://arxiv.org/abs/2103.01403; published figures are percent.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nsr.experiment import train
from nsr.learning.deduction import deduce
from nsr.reports.tables import markdown, span
from nsr.semantics.closed_forms import UNDEFINED, tabulate
from nsr.semantics.induction import Example, InductionConfig, LibraryEntry, Space, induce
from nsr.semantics.lexicon import parse_lexicon
from nsr.semantics.primitives import primitive_set
from nsr.semantics.programs import applied, to_text
from nsr.tasks import make_task
from nsr.tasks.expressions import CONCEPTS, OPERATORS, VOCABULARY, long_expressions, read
from nsr.tasks.hint import GOLD_LEXICON, SUBSETS

ARXIV = "Transformer (universal, relative positions), LSTM and GRU with attention: arXiv 2103.01403."


@dataclass(frozen=True)
class SubsetRow:
    """Runs with the same settings.

    Attributes:
        label: of the row.
        settings: what differs from the defaults.
        seeds: one a run.
        accuracy: percent of all test examples, a run.
        subsets: percent by subset, a run.
        used, learned_from: training examples, a run.
        seconds: from the beginning to the metrics, a run.
        memory: peak in MB, a run.
        assumptions: what the learner was told.
    """

    label: str
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    subsets: tuple[Mapping[str, float], ...]
    used: tuple[int, ...]
    learned_from: tuple[int, ...]
    seconds: tuple[float, ...]
    memory: tuple[float, ...]
    assumptions: Mapping[str, Any]


@dataclass(frozen=True)
class SubsetTable:
    """Accuracy by subset, a row for each choice of settings.

    Attributes:
        title: its heading.
        variants: settings by label.
        published: rows of others: figures for each of SUBSETS and the average.
        note: below the table.
    """

    title: str
    variants: Mapping[str, Mapping[str, Any]]
    published: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[SubsetRow]:
        """Train and test once a seed; there are no official files for this."""
        rows = []
        for label, settings in tqdm(self.variants.items(), self.title, disable=None):
            metrics = [train("hint", seed=seed, **settings).metrics for seed in seeds]
            rows.append(
                SubsetRow(
                    label,
                    settings,
                    tuple(seeds),
                    tuple(each["test"]["accuracy"] for each in metrics),
                    tuple({name: each["test"]["subsets"][name] for name in SUBSETS} for each in metrics),
                    tuple(each["train"]["used"] for each in metrics),
                    tuple(each["train"]["learned_from"] for each in metrics),
                    tuple(each["seconds"]["total"] for each in metrics),
                    tuple(each["peak_memory_mb"] for each in metrics),
                    metrics[0]["assumptions"],
                )
            )
        return rows

    def to_markdown(self, rows: Sequence[SubsetRow]) -> str:
        """The rows under the heading: means over the seeds, and the worst of all subsets and seeds."""
        header = ("", *SUBSETS, "all", "worst", "seeds", "looked at", "learned from", "seconds", "MB")
        cells = [
            (
                each.label,
                *(f"{statistics.mean(run[name] for run in each.subsets):.2f}" for name in SUBSETS),
                f"{statistics.mean(each.accuracy):.2f}",
                f"{min(min(run.values()) for run in each.subsets):.2f}",
                str(len(each.seeds)),
                span(each.used),
                span(each.learned_from),
                f"{statistics.mean(each.seconds):.1f}",
                f"{max(each.memory):,.0f}",
            )
            for each in rows
        ]
        cells += [(label, *figures, *[""] * 6) for label, figures in self.published.items()]
        return markdown(self.title, header, cells) + (f"\n{self.note}\n" if self.note else "")


@dataclass(frozen=True)
class ConceptRow:
    """Concepts learned from so many examples each, in arrays a concept, then a seed.

    Attributes:
        shots: training examples.
        seeds: one a run.
        accuracy: percent of the concept's test examples, by concept, a run.
        kept: percent of the published test examples that are right afterwards, likewise.
        seconds: of learning one concept, likewise.
        programs: of each concept, as the first seed found it.
    """

    shots: int
    seeds: tuple[int, ...]
    accuracy: Mapping[str, tuple[float, ...]]
    kept: Mapping[str, tuple[float, ...]]
    seconds: Mapping[str, tuple[float, ...]]
    programs: Mapping[str, str]


@dataclass(frozen=True)
class FewShotTable:
    """Concepts learned on top of a trained run, from few examples; ``shots`` 0 means all there are.

    What the run knew before is tested on each ``every``-th published test expression.
    """

    title: str
    shots: tuple[int, ...] = (0, 100, 30, 10)
    every: int = 20

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[ConceptRow]:
        """Train once a seed, and from each run learn each concept."""
        test = make_task("hint").load("hint").test
        test = test.take(range(0, len(test), self.every))
        found: dict[int, dict[str, list[tuple[Any, ...]]]] = {shots: {} for shots in self.shots}
        for seed in tqdm(seeds, self.title, disable=None):
            with tempfile.TemporaryDirectory() as base:
                train("hint", seed=seed, out=f"{base}/run")
                for concept, shots in itertools.product(CONCEPTS, self.shots):
                    model = train("hint", concept=concept, shots=shots, seed=seed, from_run=f"{base}/run")
                    program = model.lexicon.program((model.lexicon.symbols.index(concept), 2 * (concept in OPERATORS)))
                    right = model.results(test.inputs) == model.modules.executor.values.ids(test.outputs)
                    found[shots].setdefault(concept, []).append(
                        (
                            model.metrics["test"]["accuracy"],
                            100 * float(right.mean()),
                            model.metrics["seconds"]["total"],
                            "none" if program is None else to_text(program),
                            model.metrics["train"]["available"],
                        )
                    )
        rows = []
        for by_concept in found.values():
            columns = {concept: list(zip(*runs, strict=True)) for concept, runs in by_concept.items()}
            accuracy, kept, seconds = ({name: each[place] for name, each in columns.items()} for place in range(3))
            programs = {name: each[3][0] for name, each in columns.items()}
            most = max(each[4][0] for each in columns.values())
            rows.append(ConceptRow(most, tuple(seeds), accuracy, kept, seconds, programs))
        return rows

    def to_markdown(self, rows: Sequence[ConceptRow]) -> str:
        """The rows under the heading: means over the seeds."""
        header = ("examples, at most", *CONCEPTS, "average", "worst", "the rest", "seeds", "seconds a concept")
        cells = []
        for row in rows:
            means = {name: statistics.mean(runs) for name, runs in row.accuracy.items()}
            seconds = [each for runs in row.seconds.values() for each in runs]
            cells.append(
                (
                    f"{row.shots:,}",
                    *(f"{means[name]:.2f}" for name in CONCEPTS),
                    f"{statistics.mean(means.values()):.2f}",
                    f"{min(min(runs) for runs in row.accuracy.values()):.2f}",
                    f"{min(min(runs) for runs in row.kept.values()):.2f}",
                    str(len(row.seeds)),
                    f"{statistics.mean(seconds):.1f}",
                )
            )
        cells += [(f"{name}, published", *[""] * 6, average, *[""] * 4) for name, average in FEW_SHOT_PUBLISHED.items()]
        programs = "; ".join(f"{name} `{program}`" for name, program in rows[0].programs.items())
        note = (
            f'Accuracy in percent of the concept\'s test expressions. "the rest": the lowest accuracy on every '
            f"{self.every}th published test expression after the concept was learned. Programs of the first row and "
            f"seed: {programs}. Published (arXiv 2103.01403) from all examples."
        )
        return markdown(self.title, header, cells) + f"\n{note}\n"


FEW_SHOT_PUBLISHED = {"Transformer rel. uni.": "41.7", "LSTM": "31.6"}


@dataclass(frozen=True)
class InducedRow:
    """A function of two numbers, induced from examples.

    Attributes:
        name: of the symbol.
        library: whether the programs of the other symbols it may need are given.
        noise: share of the examples that are wrong.
        found: by the number of examples, the share of the seeds with which the program is right on all arguments.
        seconds: mean of all searches.
        program: with the most examples and the first seed.
    """

    name: str
    library: bool
    noise: float
    found: Mapping[int, float]
    seconds: float
    program: str


@dataclass(frozen=True)
class ConceptTable:
    """What is induced from examples of each operator and concept alone, with and without library and noise."""

    title: str
    counts: tuple[int, ...] = (30, 50, 100)
    noise: tuple[float, ...] = (0.0, 0.05)
    side: int = 40  # programs are right if they are on all arguments below

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[InducedRow]:
        """The rows; there are no official files for this."""
        rows = []
        cases = list(itertools.product(OPERATORS, (True, False), self.noise))
        for name, library, noise in tqdm(cases, self.title, disable=None):
            runs = {count: [self._induce(name, library, noise, count, seed) for seed in seeds] for count in self.counts}
            found = {count: 100 * statistics.mean(right for right, _, _ in of) for count, of in runs.items()}
            seconds = statistics.mean(each for of in runs.values() for _, each, _ in of)
            rows.append(InducedRow(name, library, noise, found, seconds, runs[max(self.counts)][0][2]))
        return rows

    def _induce(self, name: str, library: bool, noise: float, count: int, seed: int) -> tuple[bool, float, str]:
        """Whether the program is right, the seconds, and the program."""
        function, rng = OPERATORS[name], np.random.default_rng([seed, count, ord(name)])
        pairs: dict[tuple[int, int], int] = {}
        while len(pairs) < count:
            i, j = (int(each) for each in rng.integers(0, 13 if rng.random() < 0.9 else 60, 2))
            value = function(i, j)
            if value is not None and value <= LARGEST_EXAMPLE:
                pairs[i, j] = value
        wrong = set(rng.choice(count, round(noise * count), replace=False).tolist())
        examples = [
            Example(pair, int(rng.integers(0, LARGEST_EXAMPLE)) if place in wrong else value)
            for place, (pair, value) in enumerate(pairs.items())
        ]
        began = time.perf_counter()
        best = induce(examples, 2, Space(primitive_set("int"), library=_others(name) * library), CONFIG, rng)
        seconds = time.perf_counter() - began
        if best is None:
            return False, seconds, "none"
        i, j = np.indices((self.side, self.side)).reshape(2, -1)
        values = map(function, i.tolist(), j.tolist())
        truth = np.array([UNDEFINED if value is None else value for value in values])
        right = (tabulate(best.program, [i, j]) == truth) | (truth < 0)
        return bool(right.all()), seconds, to_text(best.program)

    def to_markdown(self, rows: Sequence[InducedRow]) -> str:
        """The rows under the heading."""
        header = (
            "",
            "library",
            "wrong examples",
            *(f"{count} examples" for count in self.counts),
            "seconds",
            "program",
        )
        cells = [
            (
                f"`{row.name}`",
                "yes" if row.library else "no",
                f"{100 * row.noise:.0f}%",
                *(f"{row.found[count]:.0f}" for count in self.counts),
                f"{row.seconds:.2f}",
                f"`{row.program}`",
            )
            for row in rows
        ]
        note = (
            "Percent of the seeds with which the program is right on all arguments below "
            f"{self.side}. Most arguments of the examples are below 13, the others below 60, values at most "
            f"{LARGEST_EXAMPLE}. The library has the programs of + - * /, without the one that is looked for and those "
            "that need it."
        )
        return markdown(self.title, header, cells) + f"\n{note}\n"


LARGEST_EXAMPLE = 100
CONFIG = InductionConfig()


def _others(name: str) -> tuple[LibraryEntry, ...]:
    """The right programs of the four operators that do not need this one."""
    lexicon = parse_lexicon(GOLD_LEXICON, VOCABULARY, primitive_set("int"))
    entries = [
        LibraryEntry(other, 2, entry.program)
        for other in "+-*/"
        for key, entry in lexicon.entries.items()
        if lexicon.symbols[key.symbol] == other
    ]
    return tuple(each for each in entries if name != each.name and name not in applied(each.program))


@dataclass(frozen=True)
class LongRow:
    """Answers to expressions of one size.

    Attributes:
        operators: in each expression.
        count: expressions, a run.
        largest: the largest value in any of them.
        seeds: one a run.
        accuracy: percent, a run.
        seconds: to deduce all of a run.
    """

    operators: int
    count: int
    largest: int
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class LongTable:
    """Expressions and values far beyond training, which has at most 10 operators and values of 100."""

    title: str
    operators: tuple[int, ...] = (20, 50, 100, 200)
    largest: int = 10**6
    count: int = 200

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[LongRow]:
        """Train once a seed, and answer expressions of each size."""
        models = [train("hint", seed=seed) for seed in seeds]
        rows = []
        for operators in tqdm(self.operators, self.title, disable=None):
            accuracy, seconds, largest = [], [], 0
            for seed, model in zip(seeds, models, strict=True):
                rng = np.random.default_rng([seed, operators])
                inputs = long_expressions(self.count, operators, self.largest, rng)
                trees = list(map(read, inputs))
                largest = max(largest, *(tree.largest for tree in trees))
                began = time.perf_counter()
                results = deduce(model.modules, inputs, model.config.learning.beam).results
                seconds.append(time.perf_counter() - began)
                right = results == model.modules.executor.values.ids(tree.value for tree in trees)
                accuracy.append(100 * float(right.mean()))
            rows.append(LongRow(operators, self.count, largest, tuple(seeds), tuple(accuracy), tuple(seconds)))
        return rows

    def to_markdown(self, rows: Sequence[LongRow]) -> str:
        """The rows under the heading."""
        header = ("operators", "expressions", "largest value", "accuracy, mean", "worst", "seeds", "seconds")
        cells = [
            (
                str(row.operators),
                str(row.count),
                f"{row.largest:,}",
                f"{statistics.mean(row.accuracy):.2f}",
                f"{min(row.accuracy):.2f}",
                str(len(row.seeds)),
                f"{statistics.mean(row.seconds):.2f}",
            )
            for row in rows
        ]
        return markdown(self.title, header, cells)
