"""Exported models against the models: whether they answer test sentences alike, and how fast."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from nsr.errors import ConfigError, ExportError
from nsr.experiment import data_of
from nsr.export import Agreement, export
from nsr.model import NSR
from nsr.reports.tables import Failed, RunTable, Variant, markdown, source, span, variant_runs
from nsr.reports.trainings import Training


class Exported(NamedTuple):
    """What is trained and exported; ``official`` says that it needs official files."""

    task: str
    variant: Variant
    official: bool = False

    @property
    def label(self) -> str:
        """Of the row."""
        return f"{self.task.upper()}, {self.variant.label}{', official' * self.official}"


@dataclass(frozen=True)
class ExportRow:
    """Runs with the same settings, exported.

    Attributes:
        label: of the row.
        data: where the examples came from.
        seeds: one a run.
        count: test sentences.
        trained: training sentences, and short ones made of their words, that were compared, an exported run.
        script_speed, model_speed: test sentences a second, an exported run.
        refusals: why a run was not exported, by its seed.
        assumptions: what the learner was told.
    """

    label: str
    data: str
    seeds: tuple[int, ...]
    count: int
    trained: tuple[int, ...]
    script_speed: tuple[float, ...]
    model_speed: tuple[float, ...]
    refusals: Mapping[str, str]
    assumptions: Mapping[str, Any]


@dataclass(frozen=True)
class ExportTable(RunTable):
    """A row for each choice of settings.

    Attributes:
        title: its heading.
        variants: the rows: the name of the task, what to train, and whether it needs official files.
    """

    title: str
    variants: tuple[Exported, ...]
    of_runs: ClassVar[bool] = False

    @property
    def cases(self) -> dict[str, Exported]:
        """The variants."""
        return {each.label: each for each in self.variants}

    def runs_of(self, case: Exported, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed."""
        if case.official and data_dir is None:
            raise ConfigError("needs the official files; name their folder by --data-dir")
        return variant_runs(case.task, case.variant, seeds, data_dir)

    def row(self, case: Exported, seeds: Sequence[int], models: Sequence[NSR]) -> ExportRow:
        """Export and compare each model."""
        agreements: list[tuple[Agreement, Agreement]] = []
        refusals: dict[str, str] = {}
        for seed, model in zip(seeds, models, strict=True):
            try:
                agreements.append(_exported(model))
            except ExportError as error:
                refusals[str(seed)] = str(error)
        metrics = models[0].metrics
        return ExportRow(
            case.label,
            metrics["assumptions"]["data"],
            tuple(seeds),
            metrics["test"]["count"],
            tuple(trained.count for trained, _ in agreements),
            tuple(tested.script_speed for _, tested in agreements),
            tuple(tested.model_speed for _, tested in agreements),
            refusals,
            metrics["assumptions"],
        )

    def cells(self, row: ExportRow) -> Sequence[str]:
        """Speeds from the slowest to the fastest run."""
        measured = (row.trained, row.script_speed, row.model_speed)
        trained, script, model = (span(each) if each else "" for each in measured)
        exported = f"{len(row.trained)} of {len(row.seeds)}"
        return row.label, source(row.data), str(len(row.seeds)), exported, trained, f"{row.count:,}", script, model

    def to_markdown(self, rows: Sequence[ExportRow | Failed]) -> str:
        """The table."""
        header = ("", "data", "seeds", "exported", "training sentences", "test sentences")
        header = (*header, "sentences a second by run.py", "by the model")
        return markdown(self.title, header, self.all_cells(rows)) + (
            "\nA model is exported if the script answers all these training and test sentences as it does.\n"
        )


def _exported(model: NSR) -> tuple[Agreement, Agreement]:
    """How an export agrees with its model, on training sentences and on all test sentences."""
    data = data_of(model)
    with tempfile.TemporaryDirectory() as folder:
        trained, tested = export(model, data.train.inputs, folder, data.test.inputs)
    return trained, tested
