"""Tables for PCFG SET that are not accuracies on splits: the tests of Hupkes et al., and very deep inputs.

Hupkes, Dankers, Mul and Bruni (2020), Compositionality decomposed: how do neural networks generalise?, JAIR 67,
https://arxiv.org/abs/1908.08351.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nsr.experiment import examine
from nsr.learning.deduction import Modules, deduce
from nsr.model import NSR
from nsr.reports import published
from nsr.reports.measurement import timed
from nsr.reports.tables import Failed, RunTable, Variant, markdown, source, span, variant_runs
from nsr.reports.trainings import Training
from nsr.tasks import Examples
from nsr.tasks.string_edits import MAX_OUTPUT, deep
from nsr.tasks.task import FIGURES

NETWORKS = ("LSTMS2S", "ConvS2S", "Transformer")
JAIR = (
    "LSTMS2S, ConvS2S and Transformer: Hupkes et al. (2020), JAIR 67, Table 1, in percent, three runs each, trained on "
    "the authors' full training files (82,000 examples)."
)


@dataclass(frozen=True)
class Measure:
    """One row of the table of tests.

    Attributes:
        label: its name.
        variant: what the model is trained on.
        test: of :meth:`nsr.tasks.task.Task.examine`; None for the accuracy on the test examples of the split.
        published: of each of NETWORKS, where there are figures.
    """

    label: str
    variant: Variant
    test: str | None
    published: tuple[str, ...] = ("", "", "")


def _measures() -> Iterator[Measure]:
    of_others = {name: found for name, found in published.columns("pcfg").items() if name in NETWORKS}
    base = Variant("pcfgset", "pcfgset")

    def figures(name: str) -> tuple[str, ...]:
        return tuple(of_others[network][name] for network in NETWORKS)

    yield Measure("task accuracy", base, None, figures("pcfgset"))
    for name in ("systematicity", "productivity"):
        yield Measure(f"{name}, accuracy", Variant(name, name), name, figures(name))
    for name, split in (("equally distributed", "substitutivity_equal"), ("primitive", "substitutivity_primitive")):
        label = f"substitutivity, {name}, consistency"
        yield Measure(label, Variant(split, split), "substitutivity", figures(split))
    yield Measure("localism, consistency", base, "localism", figures("localism"))
    for percent in (0.01, 0.05, 0.1):
        variant = Variant(f"exceptions {percent:g}%", "overgeneralisation", {"exceptions": percent})
        beside = figures("overgeneralisation") if percent == 0.1 else ("", "", "")
        yield Measure(f"overgeneralisation, {percent:g}% exceptions", variant, "overgeneralisation", beside)


@dataclass(frozen=True)
class TestRow:
    """What the runs of a measure gave.

    Attributes:
        measure: what was measured.
        data: where the examples came from.
        seeds: as many as there are runs.
        examples: training examples, a run.
        cases: of the test, a run.
        value: the figure, in percent, a run.
        further: further figures of the test by name, a run.
        accuracy: percent of the test examples of the split, a run.
        seconds: of training, a run.
        assumptions: what the learner was told.
    """

    __test__ = False  # no test of pytest

    measure: Measure
    data: str
    seeds: tuple[int, ...]
    examples: tuple[int, ...]
    cases: tuple[int, ...]
    value: tuple[float, ...]
    further: tuple[Mapping[str, float], ...]
    accuracy: tuple[float, ...]
    seconds: tuple[float, ...]
    assumptions: Mapping[str, Any]

    @property
    def label(self) -> str:
        """That of the measure."""
        return self.measure.label


@dataclass(frozen=True)
class TestsTable(RunTable):
    """The five tests of Hupkes et al., beside their figures."""

    __test__ = False  # no test of pytest

    title: str
    measures: tuple[Measure, ...] = field(default_factory=lambda: tuple(_measures()))

    @property
    def cases(self) -> dict[str, Measure]:
        """The measures."""
        return {each.label: each for each in self.measures}

    def runs_of(self, case: Measure, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed."""
        return variant_runs("pcfg", case.variant, seeds, data_dir)

    def row(self, case: Measure, seeds: Sequence[int], models: Sequence[NSR]) -> TestRow:
        """Measure each model."""
        metrics = [model.metrics for model in models]
        figures = [_examine(model, case.test) for model in models]
        return TestRow(
            case,
            metrics[0]["assumptions"]["data"],
            tuple(seeds),
            tuple(each["train"]["used"] for each in metrics),
            tuple(each["count"] for each in figures),
            tuple(each["value"] for each in figures),
            tuple({name: value for name, value in each.items() if name not in FIGURES} for each in figures),
            tuple(each["test"]["accuracy"] for each in metrics),
            tuple(each["seconds"]["total"] for each in metrics),
            metrics[0]["assumptions"],
        )

    def cells(self, row: TestRow) -> Sequence[str]:
        """Means over the seeds, beside published figures."""
        return (
            row.label,
            source(row.data),
            span(row.examples),
            str(len(row.seeds)),
            span(row.cases),
            f"{statistics.mean(row.value):.2f}",
            span(row.value, 2),
            *row.measure.published,
            f"{statistics.mean(row.accuracy):.2f}",
            f"{statistics.mean(row.seconds):.1f}",
            ", ".join(f"{name} {value:.2f}" for name, value in _means(row.further).items()),
        )

    def to_markdown(self, rows: Sequence[TestRow | Failed]) -> str:
        """The table, and what to know when comparing."""
        header = (
            *("", "data", "examples", "seeds", "cases", "nsr, mean", "lowest-highest", *NETWORKS),
            *("nsr, accuracy", "seconds", "further figures of nsr"),
        )
        return markdown(self.title, header, self.all_cells(rows), NOT_COMPARABLE)


NOT_COMPARABLE = (
    f"{JAIR} Not strictly comparable: with official data, nsr learns from `10k/train`, a tenth of that, changed by the "
    "rules of each test (the authors' own files of changed examples are not used). Overgeneralisation is the highest "
    "share of rule-like answers to exceptions in the course of training in the paper, and that of the trained model "
    'for nsr; published figures are for 0.1% exceptions. "accuracy" is that of the same model on the test examples of '
    "its split. Means of the further figures are over the seeds that have them."
)


def _examine(model: NSR, test: str | None) -> dict[str, Any]:
    if test is not None:
        return examine(model, test)
    found = model.metrics["test"]
    return {"test": "accuracy", "measure": "accuracy", "value": found["accuracy"], "count": found["count"]}


def _means(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the runs that have it."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: statistics.mean(run[name] for run in runs if name in run) for name in names}


@dataclass(frozen=True)
class DeepRow:
    """Answers to inputs of one size.

    Attributes:
        functions: in each input, all nested in one another.
        count: inputs, a run.
        seeds: as many as there are runs.
        tokens: mean length of the inputs, a run.
        accuracy: percent of outputs that are right, a run.
        seconds: to deduce all inputs with nothing remembered, a run.
    """

    functions: int
    count: int
    seeds: tuple[int, ...]
    tokens: tuple[float, ...]
    accuracy: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def label(self) -> str:
        """The size."""
        return f"{self.functions} functions"

    @property
    def per_token(self) -> float:
        """Microseconds a token of an input."""
        return statistics.mean(1e6 * s / (self.count * t) for s, t in zip(self.seconds, self.tokens, strict=True))


@dataclass(frozen=True)
class DeepTable(RunTable):
    """Inputs much deeper than those trained (31 functions at most in the 10k files), and the time they take."""

    of_runs: ClassVar[bool] = False

    title: str
    functions: tuple[int, ...] = (50, 100, 200, 300)
    count: int = 128
    repeats: int = 3

    @property
    def cases(self) -> dict[str, int]:
        """The numbers of functions."""
        return {f"{functions} functions": functions for functions in self.functions}

    def runs_of(self, case: int, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed, of which all rows are about."""
        return variant_runs("pcfg", Variant("pcfgset", "pcfgset"), seeds, data_dir)

    def row(self, case: int, seeds: Sequence[int], models: Sequence[NSR]) -> DeepRow:
        """Answer inputs of this size."""
        inputs = [deep(case, self.count, np.random.default_rng([seed, case]), MAX_OUTPUT) for seed in seeds]
        answered = [_answer(model, each, self.repeats) for model, each in zip(models, inputs, strict=True)]
        tokens = tuple(statistics.mean(map(len, each.inputs)) for each in inputs)
        accuracy, seconds = zip(*answered, strict=True)
        return DeepRow(case, self.count, tuple(seeds), tokens, accuracy, seconds)

    def cells(self, row: DeepRow) -> Sequence[str]:
        """Means over the seeds, and the worst of them."""
        return (
            str(row.functions),
            str(row.count),
            str(len(row.seeds)),
            f"{statistics.mean(row.tokens):,.0f}",
            f"{statistics.mean(row.accuracy):.2f}",
            f"{min(row.accuracy):.2f}",
            f"{statistics.mean(row.seconds):.2f}",
            f"{row.per_token:.1f}",
        )

    def to_markdown(self, rows: Sequence[DeepRow | Failed]) -> str:
        """The table; time per token is compared with that of the first row."""
        header = (
            *("functions", "inputs", "seeds", "tokens, mean", "accuracy, mean", "worst", "seconds"),
            *("microseconds a token", "ratio to the first row"),
        )
        first = rows[0]
        cells = [
            (*cells, f"{row.per_token / first.per_token:.2f}")
            if isinstance(row, DeepRow) and isinstance(first, DeepRow)
            else cells
            for row, cells in zip(rows, self.all_cells(rows), strict=True)
        ]
        note = (
            "All functions of an input are nested in one another; outputs have at most "
            f"{MAX_OUTPUT} tokens. Seconds are for all inputs together, with nothing remembered, the median of "
            f"{self.repeats}; were time linear in length, the last column would be 1."
        )
        return markdown(self.title, header, cells, note)


def _answer(model: NSR, examples: Examples, repeats: int) -> tuple[float, float]:
    """Accuracy in percent, and the median of seconds."""

    def right(modules: Modules) -> np.ndarray:
        results = deduce(modules, examples.inputs, model.config.learning.beam).results
        return modules.executor.values.ids(examples.outputs) == results

    seconds, hits = timed(right, repeats, model.modules.fresh)
    return 100 * float(hits.mean()), statistics.median(seconds)
