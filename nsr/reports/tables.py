"""Tables of accuracies: settings on splits of a task, each run with several seeds.

Every cell is the mean over seeds, and the worst seed stands beside it. Which tables there are is in
:mod:`nsr.reports.reproduction`.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nsr.errors import DataError
from nsr.experiment import train
from nsr.model import NSR


@dataclass(frozen=True)
class Variant:
    """One row of a table: a split with settings; ``generated`` leaves official files alone."""

    label: str
    split: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    generated: bool = False


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


@dataclass(frozen=True)
class AccuracyTable:
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

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[Outcome]:
        """Train and test each variant once a seed."""
        return [self.run(each, seeds, data_dir) for each in tqdm(self.variants, self.title, disable=None)]

    def run(self, variant: Variant, seeds: Sequence[int], data_dir: Path | None) -> Outcome:
        """Train and test a variant once a seed."""
        models = [train_variant(self.task, variant, seed, data_dir) for seed in seeds]
        metrics = [model.metrics for model in models]
        return Outcome(
            variant,
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

    def to_markdown(self, outcomes: Sequence[Outcome]) -> str:
        """The table: accuracies in percent, seconds of one run."""
        header = (
            *("", "data", "test", "seeds", "accuracy, mean", "worst", "answered", "programs", "examples"),
            *("learned from", "seconds", *self.published),
        )
        rows = [
            (
                each.variant.label,
                source(each.data),
                f"{each.count:,}",
                str(len(each.seeds)),
                f"{statistics.mean(each.accuracy):.2f}",
                f"{min(each.accuracy):.2f}",
                f"{statistics.mean(each.answered):.2f}",
                span(each.programs),
                span(each.examples),
                span(each.learned_from),
                f"{statistics.mean(each.seconds):.1f}",
                *(column.get(each.variant.split, "") for column in self.published.values()),
            )
            for each in outcomes
        ]
        return markdown(self.title, header, rows) + (f"\n{self.source}\n" if self.source else "")


def train_variant(task: str, variant: Variant, seed: int, data_dir: Path | None) -> NSR:
    """A model of a variant; splits of which ``data_dir`` has no files are generated."""
    if data_dir is not None and not variant.generated:
        try:
            return train(task, variant.split, seed=seed, data_dir=data_dir, **variant.settings)
        except DataError:
            pass
    return train(task, variant.split, seed=seed, **variant.settings)


def source(data: str) -> str:
    """Where examples come from, in a word."""
    return "official" if "files" in data else "generated"


def span(numbers: Sequence[float], digits: int = 0) -> str:
    """The lowest and the highest of the numbers, or the one that they all are."""
    low, high = (f"{each:,.{digits}f}" for each in (min(numbers), max(numbers)))
    return low if low == high else f"{low}-{high}"


def markdown(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown under its title."""
    lines = ["|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|" for cells in (header, *rows)]
    return "\n".join([f"### {title}", "", lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"
