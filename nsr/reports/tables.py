"""Tables of runs, and those of accuracies: settings on splits of a task, each run with several seeds.

Every cell is the mean over seeds, and the worst seed stands beside it. Which tables there are is in
:mod:`nsr.reports.reproduction`.
"""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from nsr.errors import NSRError
from nsr.model import NSR
from nsr.reports.measurement import grid
from nsr.reports.pool import Runs
from nsr.reports.trainings import Training, trainings_of

Row = TypeVar("Row")


@dataclass(frozen=True)
class Failed:
    """A row that could not be measured, and why."""

    label: str
    failed: str

    @property
    def cells(self) -> tuple[str, str]:
        """The row; what is missing of it is left empty by :func:`markdown`."""
        return self.label, f"failed: {' '.join(self.failed.split())}".replace("|", "/")


def row_or_failed(label: str, measure: Callable[[], Row]) -> Row | Failed:
    """The row that is measured; :class:`Failed` where that was not possible, so that the other rows go on."""
    try:
        return measure()
    except NSRError as error:
        return Failed(label, str(error))
    except Exception as error:  # a defect
        return Failed(label, f"{type(error).__name__}: {error}")


class RunTable(ABC):
    """A table whose rows are measured on models that were trained; a row is a dataclass with a ``label``.

    ``of_runs`` says that a row is about its runs as such, one a seed, so that their metrics belong to it.
    """

    of_runs: ClassVar[bool] = True
    variants: Any

    @property
    def cases(self) -> Mapping[str, Any]:
        """What is measured, by the label of its row: the variants, if there is nothing else."""
        return {each.label: each for each in self.variants}

    @abstractmethod
    def runs_of(self, case: Any, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """The runs that a row needs; for each model that it is about, a run a seed.

        Raises:
            NSRError: it cannot be measured.
        """

    @abstractmethod
    def row(self, case: Any, seeds: Sequence[int], models: Sequence[NSR]) -> Any:
        """The row, measured on the models of its runs.

        Raises:
            NSRError: it cannot be measured.
        """

    @abstractmethod
    def cells(self, row: Any) -> Sequence[str]:
        """The row as text."""

    def trainings(self, seeds: Sequence[int], data_dir: Path | None) -> dict[str, list[Training]]:
        """The runs of the rows that can be measured, by label."""
        found = {}
        for label, case in self.cases.items():
            with suppress(NSRError):  # the row will say it
                found[label] = self.runs_of(case, seeds, data_dir)
        return found

    def measure(self, seeds: Sequence[int], data_dir: Path | None, runs: Runs) -> list[Any]:
        """The rows, :class:`Failed` where that was not possible.

        Args:
            seeds: of the runs behind each row.
            data_dir: folder of official files, used for the splits that it has.
            runs: has the runs of :meth:`trainings`.
        """
        models: dict[str, NSR] = {}

        def measured(case: Any) -> Any:
            needed = self.runs_of(case, seeds, data_dir)
            for each in needed:
                if each.name not in models:
                    models[each.name] = runs.load(each)
            return self.row(case, seeds, [models[each.name] for each in needed])

        return [row_or_failed(label, partial(measured, case)) for label, case in self.cases.items()]

    def all_cells(self, rows: Sequence[Any]) -> list[Sequence[str]]:
        """All rows as text."""
        return [row.cells if isinstance(row, Failed) else self.cells(row) for row in rows]


@dataclass(frozen=True)
class Variant:
    """One row of a table: a split with settings; ``generated`` leaves official files alone."""

    label: str
    split: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    generated: bool = False


class TaskVariant(NamedTuple):
    """A variant of some task; ``official`` says that it needs official files."""

    label: str
    task: str
    variant: Variant
    official: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the runs of a variant gave.

    Attributes:
        variant: what was run.
        data: where the examples came from.
        seeds: as many as there are runs.
        accuracy, answered: percent of the test examples, a run.
        count: test examples.
        examples: training examples looked at, a run.
        learned_from: training examples learned from, a run.
        programs: entries of the lexicon, a run.
        seconds: from the beginning of the training to the metrics, a run.
        assumptions: what the learner was told.
    """

    variant: Variant
    data: str
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    answered: tuple[float, ...]
    count: int
    examples: tuple[int, ...]
    learned_from: tuple[int, ...]
    programs: tuple[int, ...]
    seconds: tuple[float, ...]
    assumptions: Mapping[str, Any]

    @property
    def label(self) -> str:
        """That of the variant."""
        return self.variant.label


@dataclass(frozen=True)
class AccuracyTable(RunTable):
    """Rows of one task.

    Attributes:
        task: its name.
        title: of the table.
        variants: the rows.
        published: further columns: by their heading, figures by split, as published.
        source: where these were published.
    """

    task: str
    title: str
    variants: tuple[Variant, ...]
    published: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    source: str = ""

    def runs_of(self, case: Variant, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed."""
        return variant_runs(self.task, case, seeds, data_dir)

    def row(self, case: Variant, seeds: Sequence[int], models: Sequence[NSR]) -> Outcome:
        """What the metrics say."""
        metrics = [model.metrics for model in models]
        return Outcome(
            case,
            metrics[0]["assumptions"]["data"],
            tuple(seeds),
            tuple(each["test"]["accuracy"] for each in metrics),
            tuple(each["test"]["answered"] for each in metrics),
            metrics[0]["test"]["count"],
            tuple(each["train"]["used"] for each in metrics),
            tuple(each["train"]["learned_from"] for each in metrics),
            tuple(len(model.lexicon.entries) for model in models),
            tuple(each["seconds"]["total"] for each in metrics),
            metrics[0]["assumptions"],
        )

    def cells(self, row: Outcome) -> Sequence[str]:
        """Accuracies in percent, seconds of one run."""
        return (
            row.label,
            source(row.data),
            f"{row.count:,}",
            str(len(row.seeds)),
            f"{statistics.mean(row.accuracy):.2f}",
            f"{min(row.accuracy):.2f}",
            f"{statistics.mean(row.answered):.2f}",
            span(row.programs),
            span(row.examples),
            span(row.learned_from),
            f"{statistics.mean(row.seconds):.1f}",
            *(column.get(row.variant.split, "") for column in self.published.values()),
        )

    def to_markdown(self, rows: Sequence[Outcome | Failed]) -> str:
        """The table."""
        header = (
            *("", "data", "test", "seeds", "accuracy, mean", "worst", "answered", "programs", "examples"),
            *("learned from", "seconds", *self.published),
        )
        return markdown(self.title, header, self.all_cells(rows), self.source)


def variant_runs(task: str, variant: Variant, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
    """A run a seed of a variant; splits of which ``data_dir`` has no files are generated."""
    return trainings_of(task, variant.split, seeds, variant.settings, None if variant.generated else data_dir)


def source(data: str) -> str:
    """Where examples come from, in a word."""
    return "official" if "files" in data else "generated"


def span(numbers: Sequence[float], digits: int = 0) -> str:
    """The lowest and the highest of the numbers, or the one that they all are."""
    low, high = (f"{each:,.{digits}f}" for each in (min(numbers), max(numbers)))
    return low if low == high else f"{low}-{high}"


def markdown(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> str:
    """A table in Markdown under its title, above a note; cells that a row lacks at its end are empty."""
    below = ["", note] if note else []
    return "\n".join([f"### {title}", "", grid(header, rows), *below, ""])
