"""The published results of the NSR, each beside what the learner here gives, and what others gave."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nsr.model import NSR
from nsr.reports import published
from nsr.reports.tables import Failed, RunTable, markdown
from nsr.reports.trainings import Training

OURS = "NSR paper"  # ends the names of the systems whose figures are the NSR's own


@dataclass(frozen=True)
class Result:
    """A published result, and the runs that have ours.

    Attributes:
        label: what it is.
        table, case: the row of another table whose runs these are.
        benchmark, value: where :mod:`nsr.reports.published` has the figures.
        subset: of the test examples; empty for all.
        paper: the name under which the figures of the NSR are there.
    """

    label: str
    table: RunTable
    case: str
    benchmark: str
    value: str
    subset: str = ""
    paper: str = OURS


@dataclass(frozen=True)
class ResultRow:
    """What runs gave, and what was published.

    Attributes:
        label: of the result.
        seeds: one an accuracy.
        accuracy: percent; of several runs with the same seed, the mean.
        seconds: of one run, the mean.
        paper: as published of the NSR, empty if nothing was.
        others: as published, by system.
    """

    label: str
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    seconds: float
    paper: str
    others: Mapping[str, str]


@dataclass(frozen=True)
class PaperTable(RunTable):
    """A row for each published result."""

    of_runs: ClassVar[bool] = False

    title: str
    variants: tuple[Result, ...]

    def runs_of(self, case: Result, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """Those of the other table's row."""
        return case.table.runs_of(case.table.cases[case.case], seeds, data_dir)

    def row(self, case: Result, seeds: Sequence[int], models: Sequence[NSR]) -> ResultRow:
        """What the metrics say."""
        by_seed: dict[int, list[float]] = {seed: [] for seed in seeds}
        for model in models:
            by_seed[model.seed].append(_accuracy(model.metrics, case.subset))
        figures = {system: values.get(case.value, "") for system, values in published.columns(case.benchmark).items()}
        return ResultRow(
            case.label,
            tuple(seeds),
            tuple(statistics.mean(found) for found in by_seed.values()),
            statistics.mean(model.metrics["seconds"]["total"] for model in models),
            figures.get(case.paper, ""),
            {system: figure for system, figure in figures.items() if figure and not system.endswith(OURS)},
        )

    def cells(self, row: ResultRow) -> Sequence[str]:
        """Means over the seeds and the worst of them, in percent."""
        return (
            row.label,
            f"{statistics.mean(row.accuracy):.2f}",
            f"{statistics.stdev(row.accuracy):.2f}" if len(row.seeds) > 1 else "",
            f"{min(row.accuracy):.2f}",
            str(len(row.seeds)),
            f"{row.seconds:.1f}",
            row.paper,
            ", ".join(f"{system} {figure}" for system, figure in row.others.items()),
        )

    def to_markdown(self, rows: Sequence[ResultRow | Failed]) -> str:
        """The table, and the sources of what was published."""
        header = (
            "",
            "nsr, mean",
            "deviation",
            "worst seed",
            "seeds",
            "seconds a run",
            "NSR paper",
            "others, as published",
        )
        wanted = {each.benchmark for each in self.variants}
        sources = dict.fromkeys(
            f"{each.authors} ({each.year}), {each.where}, {each.url}"
            for each in published.all_published()
            if each.benchmark in wanted
        )
        return markdown(self.title, header, self.all_cells(rows), f"Published: {'; '.join(sources)}.")


def _accuracy(metrics: Mapping[str, Any], subset: str) -> float:
    test = metrics["test"]
    return test["subsets"][subset] if subset else test["accuracy"]
