"""Tables for HINT with images: accuracy by subset, symbols recognised alone and jointly, modules given or learned.

Runs take minutes, so they are kept in ``runs/images``: a table that was interrupted goes on where it was, and finished
runs are used again.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nsr.errors import ConfigError
from nsr.experiment import examples_of, train
from nsr.learning.deduction import deduce
from nsr.model import NSR
from nsr.perception.context import Context
from nsr.reports.tables import markdown, span
from nsr.tasks.hint import SUBSETS

RUNS = Path("runs/images")
HANDWRITING = Path("hint/handwriting.npz")  # below the data folder


@dataclass(frozen=True)
class ImageVariant:
    """One row: settings, and whether the images are those of :data:`HANDWRITING` or drawn."""

    label: str
    handwriting: bool
    settings: Mapping[str, Any] = field(default_factory=dict)

    def folder(self, seed: int) -> Path:
        """Where the run of a seed is kept."""
        return RUNS / f"{''.join(each if each.isalnum() else '-' for each in self.label)}-{seed}"


@dataclass(frozen=True)
class ImageRow:
    """Runs with the same settings.

    Attributes:
        variant: what was run.
        seeds: one a run.
        accuracy: percent of all test expressions, a run.
        separately: the same where each image is read by itself, as what it most probably shows.
        subsets: percent by subset, a run.
        alone, jointly: percent of the images in test expressions that are read right, by themselves and in derivations.
        found: symbols that perception has, a run.
        seconds: from the beginning to the metrics, a run.
        assumptions: what the learner was told.
    """

    variant: ImageVariant
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    separately: tuple[float, ...]
    subsets: tuple[Mapping[str, float], ...]
    alone: tuple[float, ...]
    jointly: tuple[float, ...]
    found: tuple[int, ...]
    seconds: tuple[float, ...]
    assumptions: Mapping[str, Any]


@dataclass(frozen=True)
class ImageTable:
    """Accuracy by subset, a row for each choice of settings.

    Attributes:
        title: its heading.
        variants: the rows.
        published: rows of others: figures for each of SUBSETS and the average.
        note: below the table.
    """

    title: str
    variants: tuple[ImageVariant, ...]
    published: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[ImageRow]:
        """Train and test each variant once a seed, unless that was done before.

        Raises:
            ConfigError: a row needs handwriting, and no data folder is given.
        """
        if data_dir is None and any(each.handwriting for each in self.variants):
            raise ConfigError(f"this table needs {HANDWRITING}; name its folder by --data-dir")
        return [self.run(each, seeds, data_dir) for each in tqdm(self.variants, self.title, disable=None)]

    def run(self, variant: ImageVariant, seeds: Sequence[int], data_dir: Path | None) -> ImageRow:
        """Train and test a variant once a seed."""
        source = {"symbols": str(data_dir / HANDWRITING)} if variant.handwriting else {}
        settings = {"input": "images", **source, **variant.settings}
        models = [train("hint", seed=seed, out=variant.folder(seed), resume=True, **settings) for seed in seeds]
        tests = [model.metrics["test"] for model in models]
        return ImageRow(
            variant,
            tuple(seeds),
            tuple(each["accuracy"] for each in tests),
            tuple(map(read_separately, models)),
            tuple({name: each["subsets"][name] for name in SUBSETS} for each in tests),
            tuple(each["symbols"]["alone"] for each in tests),
            tuple(each["symbols"]["jointly"] for each in tests),
            tuple(len(model.lexicon.symbols) for model in models),
            tuple(model.metrics["seconds"]["total"] for model in models),
            models[0].metrics["assumptions"],
        )

    def to_markdown(self, rows: Sequence[ImageRow]) -> str:
        """The rows under the heading: means over the seeds, and the worst and the best seed of all."""
        header = ("", *SUBSETS, "all", "seeds: worst-best", "each image by itself", "symbols alone", "jointly")
        header = (*header, "symbols found", "seeds", "seconds")
        cells = [
            (
                row.variant.label,
                *(f"{statistics.mean(run[name] for run in row.subsets):.2f}" for name in SUBSETS),
                f"{statistics.mean(row.accuracy):.2f}",
                span(row.accuracy, 2),
                f"{statistics.mean(row.separately):.2f}",
                f"{statistics.mean(row.alone):.2f}",
                f"{statistics.mean(row.jointly):.2f}",
                span(row.found),
                str(len(row.seeds)),
                span(row.seconds),
            )
            for row in rows
        ]
        cells += [(label, *figures, *[""] * 7) for label, figures in self.published.items()]
        return markdown(self.title, header, cells) + (f"\n{self.note}\n" if self.note else "")


def read_separately(model: NSR) -> float:
    """Accuracy in percent on the test expressions where each image is read as what it most probably shows by itself."""
    perception, examples = model.modules.perception, examples_of(model)
    context = perception.context
    perception.context = Context.none(len(perception.symbols))
    try:
        results = deduce(model.modules, examples.inputs, model.config.learning.beam, fallback=False).results
    finally:
        perception.context = context
    return 100 * float((results == model.modules.executor.values.ids(examples.outputs)).mean())
