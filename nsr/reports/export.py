"""Exported models against the models: whether they answer test sentences alike, and how fast."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nsr.errors import ExportError
from nsr.experiment import data_of
from nsr.export import Agreement, export
from nsr.model import NSR
from nsr.reports.tables import Variant, markdown, source, span, train_variant


@dataclass(frozen=True)
class ExportRow:
    """Runs with the same settings, exported.

    Attributes:
        task: name of the task.
        variant: what was run.
        data: where the examples came from.
        seeds: one a run.
        count: test sentences.
        trained: training sentences, and short ones made of their words, that were compared, an exported run.
        script_speed, model_speed: test sentences a second, an exported run.
        refusals: why a run was not exported, by its seed.
        assumptions: what the learner was told.
    """

    task: str
    variant: Variant
    data: str
    seeds: tuple[int, ...]
    count: int
    trained: tuple[int, ...]
    script_speed: tuple[float, ...]
    model_speed: tuple[float, ...]
    refusals: Mapping[str, str]
    assumptions: Mapping[str, Any]


@dataclass(frozen=True)
class ExportTable:
    """A row for each choice of settings.

    Attributes:
        title: its heading.
        variants: the rows, with the name of the task.
        official: rows that are left out without a data folder.
    """

    title: str
    variants: tuple[tuple[str, Variant], ...]
    official: tuple[tuple[str, Variant], ...] = field(default=())

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[ExportRow]:
        """Train, export and compare each variant once a seed."""
        wanted = self.variants + (() if data_dir is None else self.official)
        return [self.run(*each, seeds, data_dir) for each in tqdm(wanted, self.title, disable=None)]

    def run(self, task: str, variant: Variant, seeds: Sequence[int], data_dir: Path | None) -> ExportRow:
        """Train, export and compare a variant once a seed."""
        agreements: list[tuple[Agreement, Agreement]] = []
        refusals: dict[str, str] = {}
        for seed in seeds:
            model = train_variant(task, variant, seed, data_dir)
            try:
                agreements.append(_exported(model))
            except ExportError as error:
                refusals[str(seed)] = str(error)
        return ExportRow(
            task,
            variant,
            model.metrics["assumptions"]["data"],
            tuple(seeds),
            model.metrics["test"]["count"],
            tuple(trained.count for trained, _ in agreements),
            tuple(tested.script_speed for _, tested in agreements),
            tuple(tested.model_speed for _, tested in agreements),
            refusals,
            model.metrics["assumptions"],
        )

    def to_markdown(self, rows: Sequence[ExportRow]) -> str:
        """The rows under the heading; speeds from the slowest to the fastest run."""
        header = ("", "data", "seeds", "exported", "training sentences", "test sentences")
        header = (*header, "sentences a second by run.py", "by the model")
        cells = []
        for row in rows:
            measured = (row.trained, row.script_speed, row.model_speed)
            trained, script, model = (span(each) if each else "" for each in measured)
            exported = f"{len(row.trained)} of {len(row.seeds)}"
            label = f"{row.task.upper()}, {row.variant.label}"
            cells.append(
                (label, source(row.data), str(len(row.seeds)), exported, trained, f"{row.count:,}", script, model)
            )
        return markdown(self.title, header, cells) + (
            "\nA model is exported if the script answers all these training and test sentences as it does.\n"
        )


def _exported(model: NSR) -> tuple[Agreement, Agreement]:
    """How an export agrees with its model, on training sentences and on all test sentences."""
    data = data_of(model)
    with tempfile.TemporaryDirectory() as folder:
        trained, tested = export(model, data.train.inputs, folder, data.test.inputs)
    return trained, tested
