"""Exported models against the models: whether they answer test sentences alike, and how fast."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nsr.errors import ConfigError, ExportError
from nsr.experiment import data_of
from nsr.export import Agreement, export
from nsr.model import NSR
from nsr.reports.tables import Failed, RunTable, TaskVariant, markdown, source, span, variant_runs
from nsr.reports.trainings import Training


@dataclass(frozen=True)
class ExportRow:
    """Runs with the same settings, exported.

    Attributes:
        label: of the row.
        data: where the examples came from.
        seeds: one a run.
        count: test sentences.
        trained: training sentences, and short ones made of their words, that were compared, a run.
        script_speed, model_speed: test sentences a second, a run.
        refusals: why a run was not exported, in which case it has none of the others, a run.
        assumptions: what the learner was told.
    """

    label: str
    data: str
    seeds: tuple[int, ...]
    count: int
    trained: tuple[int | None, ...]
    script_speed: tuple[float | None, ...]
    model_speed: tuple[float | None, ...]
    refusals: tuple[str | None, ...]
    assumptions: Mapping[str, Any]


@dataclass(frozen=True)
class ExportTable(RunTable):
    """A row for each choice of settings.

    Attributes:
        title: its heading.
        variants: the rows.
    """

    title: str
    variants: tuple[TaskVariant, ...]
    of_runs: ClassVar[bool] = False

    def runs_of(self, case: TaskVariant, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed.

        Raises:
            ConfigError: the row needs official files, and there are none.
        """
        found = variant_runs(case.task, case.variant, seeds, data_dir)
        if case.official and any(each.data_dir is None for each in found):
            raise ConfigError("needs the official files; name their folder by --data-dir")
        return found

    def row(self, case: TaskVariant, seeds: Sequence[int], models: Sequence[NSR]) -> ExportRow:
        """Export and compare each model."""
        agreements: list[tuple[Agreement, Agreement] | None] = []
        refusals: list[str | None] = []
        for model in models:
            try:
                found, refusal = _exported(model), None
            except ExportError as error:
                found, refusal = None, str(error)
            agreements.append(found)
            refusals.append(refusal)
        metrics = models[0].metrics
        return ExportRow(
            case.label,
            metrics["assumptions"]["data"],
            tuple(seeds),
            metrics["test"]["count"],
            tuple(each and each[0].count for each in agreements),
            tuple(each and each[1].script_speed for each in agreements),
            tuple(each and each[1].model_speed for each in agreements),
            tuple(refusals),
            metrics["assumptions"],
        )

    def cells(self, row: ExportRow) -> Sequence[str]:
        """Speeds from the slowest to the fastest run."""
        count = row.refusals.count(None)
        measured = (
            [each for each in runs if each is not None] for runs in (row.trained, row.script_speed, row.model_speed)
        )
        trained, script, model = (span(each) if count else "" for each in measured)
        exported = f"{count} of {len(row.seeds)}"
        return row.label, source(row.data), str(len(row.seeds)), exported, trained, f"{row.count:,}", script, model

    def to_markdown(self, rows: Sequence[ExportRow | Failed]) -> str:
        """The table."""
        header = ["", "data", "seeds", "exported", "training sentences", "test sentences"]
        header += ["sentences a second by run.py", "by the model"]
        note = "A model is exported if the script answers all these training and test sentences as it does."
        return markdown(self.title, header, self.all_cells(rows), note)


def _exported(model: NSR) -> tuple[Agreement, Agreement]:
    """How an export agrees with its model, on training sentences and on all test sentences."""
    data = data_of(model)
    with tempfile.TemporaryDirectory() as folder:
        trained, tested = export(model, data.train.inputs, folder, data.test.inputs)
    return trained, tested
