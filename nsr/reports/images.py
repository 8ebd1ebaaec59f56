"""Tables for HINT with images: accuracy by subset, symbols recognised alone and jointly, modules given or learned."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsr.errors import ConfigError
from nsr.experiment import examples_of
from nsr.learning.deduction import deduce
from nsr.model import NSR
from nsr.perception.context import Context
from nsr.perception.images import images_of
from nsr.reports.tables import Failed, RunTable, markdown, span
from nsr.reports.trainings import Training, trainings_of
from nsr.tasks.hint import SUBSETS
from nsr.tasks.symbols import IMAGES

HANDWRITING = Path("hint/handwriting.npz")  # below the data folder; without it, the official release beside it


@dataclass(frozen=True)
class ImageVariant:
    """One row: settings, and whether the images are of :func:`handwriting` or drawn."""

    label: str
    handwriting: bool
    settings: Mapping[str, Any] = field(default_factory=dict)


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

    @property
    def label(self) -> str:
        """That of the variant."""
        return self.variant.label


@dataclass(frozen=True)
class ImageTable(RunTable):
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

    def runs_of(self, case: ImageVariant, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed.

        Raises:
            ConfigError: the row needs handwriting, and no data folder is given.
        """
        source = {"symbols": handwriting(data_dir)} if case.handwriting else {}
        return trainings_of("hint", "hint", seeds, {"input": "images", **source, **case.settings})

    def row(self, case: ImageVariant, seeds: Sequence[int], models: Sequence[NSR]) -> ImageRow:
        """What the metrics say, and what is read without context."""
        tests = [model.metrics["test"] for model in models]
        return ImageRow(
            case,
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

    def cells(self, row: ImageRow) -> Sequence[str]:
        """Means over the seeds, and the worst and the best seed of all."""
        return (
            row.label,
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

    def to_markdown(self, rows: Sequence[ImageRow | Failed]) -> str:
        """The rows under the heading, then those of others."""
        header = ["", *SUBSETS, "all", "seeds: worst-best", "each image by itself", "symbols alone", "jointly"]
        header += ["symbols found", "seeds", "seconds"]
        cells = [*self.all_cells(rows), *((label, *figures) for label, figures in self.published.items())]
        return markdown(self.title, header, cells, self.note)


def handwriting(data_dir: Path | None) -> str:
    """The images of handwriting below the data folder: :data:`HANDWRITING`, else HINT's official release.

    Raises:
        ConfigError: no data folder is given.
    """
    if data_dir is None:
        raise ConfigError(f"needs {HANDWRITING} or {HANDWRITING.with_name(IMAGES)}; name their folder by --data-dir")
    file = data_dir / HANDWRITING
    return str(file.parent if not file.exists() and (file.parent / IMAGES).is_dir() else file)


def read_separately(model: NSR) -> float:
    """Accuracy in percent on the test expressions where each image is read as what it most probably shows by itself."""
    perception, examples = images_of(model.modules.perception), examples_of(model)
    context = perception.context
    perception.context = Context.none(len(perception.symbols))
    try:
        results = deduce(model.modules, examples.inputs, model.config.learning.beam, fallback=False).results
    finally:
        perception.context = context
    return 100 * float((results == model.modules.executor.values.ids(examples.outputs)).mean())
