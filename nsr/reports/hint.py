"""Tables for HINT: accuracy by subset, few-shot concepts, induced programs, and very long expressions.

Li, Huang, Chen, Zhu and Zhu (2021), A HINT from arithmetic: on systematic generalization of perception, syntax, and
semantics, https://arxiv.org/abs/2103.01403.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nsr.learning.deduction import deduce
from nsr.model import NSR
from nsr.reports import published
from nsr.reports.pool import Runs
from nsr.reports.tables import Failed, RunTable, markdown, span
from nsr.reports.trainings import Training, trainings_of
from nsr.semantics.closed_forms import UNDEFINED, tabulate
from nsr.semantics.induction import Example, InductionConfig, LibraryEntry, Space, induce
from nsr.semantics.lexicon import parse_lexicon
from nsr.semantics.notation import to_text
from nsr.semantics.primitives import primitive_set
from nsr.semantics.programs import applied
from nsr.tasks import Examples, make_task
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
class SubsetTable(RunTable):
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

    @property
    def cases(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """Labels and settings."""
        return {label: (label, settings) for label, settings in self.variants.items()}

    def runs_of(
        self, case: tuple[str, Mapping[str, Any]], seeds: Sequence[int], data_dir: Path | None
    ) -> list[Training]:
        """A run a seed; there are no official files for this."""
        return trainings_of("hint", "hint", seeds, case[1])

    def row(self, case: tuple[str, Mapping[str, Any]], seeds: Sequence[int], models: Sequence[NSR]) -> SubsetRow:
        """What the metrics say."""
        metrics = [model.metrics for model in models]
        return SubsetRow(
            *case,
            tuple(seeds),
            tuple(each["test"]["accuracy"] for each in metrics),
            tuple({name: each["test"]["subsets"][name] for name in SUBSETS} for each in metrics),
            tuple(each["train"]["used"] for each in metrics),
            tuple(each["train"]["learned_from"] for each in metrics),
            tuple(each["seconds"]["total"] for each in metrics),
            tuple(each["peak_memory_mb"] for each in metrics),
            metrics[0]["assumptions"],
        )

    def cells(self, row: SubsetRow) -> Sequence[str]:
        """Means over the seeds, and the worst of all subsets and seeds."""
        return (
            row.label,
            *(f"{statistics.mean(run[name] for run in row.subsets):.2f}" for name in SUBSETS),
            f"{statistics.mean(row.accuracy):.2f}",
            f"{min(min(run.values()) for run in row.subsets):.2f}",
            str(len(row.seeds)),
            span(row.used),
            span(row.learned_from),
            f"{statistics.mean(row.seconds):.1f}",
            f"{max(row.memory):,.0f}",
        )

    def to_markdown(self, rows: Sequence[SubsetRow | Failed]) -> str:
        """The rows under the heading, then those of others."""
        header = ("", *SUBSETS, "all", "worst", "seeds", "looked at", "learned from", "seconds", "MB")
        cells = [*self.all_cells(rows), *((label, *figures) for label, figures in self.published.items())]
        return markdown(self.title, header, cells, self.note)


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

    @property
    def label(self) -> str:
        """The number of examples."""
        return f"{self.shots} examples"


@dataclass(frozen=True)
class FewShotTable(RunTable):
    """Concepts learned on top of a trained run, from few examples; ``shots`` 0 means all there are.

    What the run knew before is tested on each ``every``-th published test expression.
    """

    of_runs: ClassVar[bool] = False

    title: str
    shots: tuple[int, ...] = (0, 100, 30)
    every: int = 20

    @property
    def cases(self) -> dict[str, int]:
        """The numbers of examples."""
        return {f"{shots} examples" if shots else "all examples": shots for shots in self.shots}

    def runs_of(self, case: int, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """For each concept a run a seed, on top of the run of this seed."""
        bases = trainings_of("hint", "hint", seeds, {})
        return [
            Training("hint", "hint", base.seed, {"concept": concept, "shots": case}, base=base)
            for concept in CONCEPTS
            for base in bases
        ]

    def row(self, case: int, seeds: Sequence[int], models: Sequence[NSR]) -> ConceptRow:
        """What was learned, and what was kept."""
        test = _published_test(self.every)
        by_concept = {
            concept: models[len(seeds) * place : len(seeds) * (place + 1)] for place, concept in enumerate(CONCEPTS)
        }
        kept = {}
        for concept, learned in by_concept.items():
            right = [each.results(test.inputs) == each.modules.executor.values.ids(test.outputs) for each in learned]
            kept[concept] = tuple(100 * float(each.mean()) for each in right)
        return ConceptRow(
            max(each.metrics["train"]["available"] for each in models),
            tuple(seeds),
            {name: tuple(each.metrics["test"]["accuracy"] for each in of) for name, of in by_concept.items()},
            kept,
            {name: tuple(each.metrics["seconds"]["total"] for each in of) for name, of in by_concept.items()},
            {name: _program(of[0], name) for name, of in by_concept.items()},
        )

    def cells(self, row: ConceptRow) -> Sequence[str]:
        """Means over the seeds."""
        means = {name: statistics.mean(runs) for name, runs in row.accuracy.items()}
        return (
            f"{row.shots:,}",
            *(f"{means[name]:.2f}" for name in CONCEPTS),
            f"{statistics.mean(means.values()):.2f}",
            f"{min(min(runs) for runs in row.accuracy.values()):.2f}",
            f"{min(min(runs) for runs in row.kept.values()):.2f}",
            str(len(row.seeds)),
            f"{statistics.mean(each for runs in row.seconds.values() for each in runs):.1f}",
        )

    def to_markdown(self, rows: Sequence[ConceptRow | Failed]) -> str:
        """The rows under the heading, then the averages of others."""
        header = ("examples, at most", *CONCEPTS, "average", "worst", "the rest", "seeds", "seconds a concept")
        others = published.columns("hint-few-shot").items()
        cells = [
            *self.all_cells(rows),
            *((f"{name}, published", *[""] * len(CONCEPTS), values["average"]) for name, values in others),
        ]
        found = rows[0].programs.items() if isinstance(rows[0], ConceptRow) else ()
        programs = "; ".join(f"{name} `{program}`" for name, program in found)
        note = (
            f'Accuracy in percent of the concept\'s test expressions. "the rest": the lowest accuracy on every '
            f"{self.every}th published test expression after the concept was learned. Programs of the first row and "
            f"seed: {programs}. Published (arXiv 2103.01403) from all examples."
        )
        return markdown(self.title, header, cells, note)


@cache
def _published_test(every: int) -> Examples:
    test = make_task("hint").load("hint").test
    return test.take(range(0, len(test), every))


def _program(model: NSR, concept: str) -> str:
    """The text of a concept's program, ``none`` without any."""
    found = model.lexicon.program((model.lexicon.symbols.index(concept), 2 * (concept in OPERATORS)))
    return "none" if found is None else to_text(found)


@dataclass(frozen=True)
class InducedRow:
    """A function of two numbers, induced from examples.

    Attributes:
        name: of the symbol.
        library: whether the programs of the other symbols it may need are given.
        noise: share of the examples that are wrong.
        found: by the number of examples, percent of the seeds with which the program is right on all arguments.
        seconds: mean of all searches.
        program: with the most examples and the first seed.
    """

    name: str
    library: bool
    noise: float
    found: Mapping[int, float]
    seconds: float
    program: str

    @property
    def label(self) -> str:
        """What was induced, and from what."""
        return f"{self.name}, {'library' if self.library else 'no library'}, {100 * self.noise:.0f}% wrong"


@dataclass(frozen=True)
class ConceptTable:
    """What is induced from examples of each operator and concept alone, with and without library and noise."""

    title: str
    counts: tuple[int, ...] = (30, 50, 100)
    noise: tuple[float, ...] = (0.0, 0.05)
    side: int = 40  # programs are right if they are on all arguments below

    def trainings(self, seeds: Sequence[int], data_dir: Path | None) -> dict[str, list[Training]]:
        """No run is needed."""
        return {}

    def measure(self, seeds: Sequence[int], data_dir: Path | None, runs: Runs) -> list[InducedRow]:
        """The rows, measured anew."""
        rows = []
        for name, library, noise in itertools.product(OPERATORS, (True, False), self.noise):
            trials = {
                count: [self._induce(name, library, noise, count, seed) for seed in seeds] for count in self.counts
            }
            found = {count: 100 * statistics.mean(right for right, _, _ in of) for count, of in trials.items()}
            seconds = statistics.mean(each for of in trials.values() for _, each, _ in of)
            rows.append(InducedRow(name, library, noise, found, seconds, trials[max(self.counts)][0][2]))
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
        left, right_of = np.indices((self.side, self.side)).reshape(2, -1)
        values = map(function, left.tolist(), right_of.tolist())
        truth = np.array([UNDEFINED if value is None else value for value in values])
        right = (tabulate(best.program, [left, right_of]) == truth) | (truth < 0)
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
        return markdown(self.title, header, cells, note)


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
    needed = {each.name: {inner.name for inner in applied(each.program)} for each in entries}
    return tuple(each for each in entries if name != each.name and name not in needed[each.name])


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

    @property
    def label(self) -> str:
        """The size."""
        return f"{self.operators} operators"


@dataclass(frozen=True)
class LongTable(RunTable):
    """Expressions and values far beyond training, which has at most 10 operators and values of 100."""

    of_runs: ClassVar[bool] = False

    title: str
    operators: tuple[int, ...] = (20, 50, 100, 200)
    largest: int = 10**6
    count: int = 200

    @property
    def cases(self) -> dict[str, int]:
        """The numbers of operators."""
        return {f"{operators} operators": operators for operators in self.operators}

    def runs_of(self, case: int, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed, of which all rows are about."""
        return trainings_of("hint", "hint", seeds, {})

    def row(self, case: int, seeds: Sequence[int], models: Sequence[NSR]) -> LongRow:
        """Answer expressions of this size."""
        accuracy, seconds, largest = [], [], 0
        for seed, model in zip(seeds, models, strict=True):
            rng = np.random.default_rng([seed, case])
            inputs = long_expressions(self.count, case, self.largest, rng)
            trees = list(map(read, inputs))
            largest = max(largest, *(tree.largest for tree in trees))
            began = time.perf_counter()
            results = deduce(model.modules, inputs, model.config.learning.beam).results
            seconds.append(time.perf_counter() - began)
            right = results == model.modules.executor.values.ids(tree.value for tree in trees)
            accuracy.append(100 * float(right.mean()))
        return LongRow(case, self.count, largest, tuple(seeds), tuple(accuracy), tuple(seconds))

    def cells(self, row: LongRow) -> Sequence[str]:
        """Means over the seeds, and the worst of them."""
        return (
            str(row.operators),
            str(row.count),
            f"{row.largest:,}",
            f"{statistics.mean(row.accuracy):.2f}",
            f"{min(row.accuracy):.2f}",
            str(len(row.seeds)),
            f"{statistics.mean(row.seconds):.2f}",
        )

    def to_markdown(self, rows: Sequence[LongRow | Failed]) -> str:
        """The rows under the heading."""
        header = ("operators", "expressions", "largest value", "accuracy, mean", "worst", "seeds", "seconds")
        return markdown(self.title, header, self.all_cells(rows))
