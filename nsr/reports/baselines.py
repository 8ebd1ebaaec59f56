"""The table that sets the learner against neural networks: trained on the same examples, on the same machine."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tqdm import tqdm

from nsr.baselines.experiment import train_baseline
from nsr.baselines.presets import MODELS, SIZES
from nsr.reports.measurement import commit
from nsr.reports.tables import markdown, source, span
from nsr.reports.trainings import Runs, Training, trainings_of


@dataclass(frozen=True)
class Contest:
    """What is learned by all: a split of a task; ``examples`` are looked at, 0 for all; there may be official files."""

    task: str
    split: str
    examples: int = 0
    official: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """Those of all models."""
        return {"examples": self.examples} if self.examples else {}

    @property
    def label(self) -> str:
        """Its name in the table."""
        return self.task if self.task == self.split else f"{self.task} {self.split}"


@dataclass(frozen=True)
class BaselineRow:
    """What the runs of a model gave; tuples have a value a seed.

    Attributes:
        label: task and split.
        data: where the examples came from.
        model: ``nsr``, or the name of a baseline.
        size: which hyperparameters a baseline had; empty for nsr.
        minutes: how long it was trained at most; None for no limit.
        seeds: of the runs.
        examples: that were looked at.
        accuracy: percent of the test examples.
        final: seconds of training to the state that was tested.
        seconds: in all, with reading the data and testing.
        epochs: how often a baseline saw the examples.
        stopped: the limits that ended the training of a baseline.
    """

    label: str
    data: str
    model: str
    size: str
    minutes: float | None
    seeds: tuple[int, ...]
    examples: int
    accuracy: tuple[float, ...]
    final: tuple[float, ...]
    seconds: tuple[float, ...]
    epochs: tuple[float, ...] = ()
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaselineTable:
    """Each contest, learned by nsr and by all baselines.

    Attributes:
        title: of the table.
        contests: what is learned.
        models: the baselines.
        size: their hyperparameters.
        minutes: of training, for each baseline.
    """

    title: str
    contests: tuple[Contest, ...]
    models: tuple[str, ...] = field(default=tuple(MODELS))
    size: str = SIZES[0]
    minutes: float = 1.25
    of_runs: ClassVar[bool] = False

    @property
    def cases(self) -> dict[str, Contest]:
        """The contests."""
        return {each.label: each for each in self.contests}

    def trainings(self, seeds: Sequence[int], data_dir: Path | None) -> dict[str, list[Training]]:
        """The runs of nsr; splits of which ``data_dir`` has no files are generated."""
        return {
            label: trainings_of(each.task, each.split, seeds, each.settings, data_dir if each.official else None)
            for label, each in self.cases.items()
        }

    def measure(self, seeds: Sequence[int], data_dir: Path | None, runs: Runs) -> list[BaselineRow]:
        """Train and test all on each contest, once a seed.

        What a baseline gave is used again by the same commit only, as its folder does not say how it came about.
        """
        needed = self.trainings(seeds, data_dir)
        runs.complete(each for found in needed.values() for each in found)
        rows = []
        for label, contest in self.cases.items():
            found = needed[label]
            rows.append(_row(contest, "nsr", seeds, [runs.load(each).metrics for each in found]))
            for model in tqdm(self.models, label, disable=None):
                name = f"{contest.task}-{contest.split}-{model}-{self.size}-{self.minutes:g}-{commit()[:12]}"
                metrics = [
                    train_baseline(
                        contest.task,
                        model,
                        contest.split,
                        seed=seed,
                        size=self.size,
                        minutes=self.minutes,
                        data_dir=found[0].data_dir,
                        out=runs.folder / f"{name}-{seed}",
                        resume=True,
                        **contest.settings,
                    )
                    for seed in seeds
                ]
                rows.append(_row(contest, model, seeds, metrics))
        return rows

    def to_markdown(self, rows: Sequence[BaselineRow]) -> str:
        """The table: accuracies in percent, seconds and epochs of one run."""
        header = ["", "data", "model", "size", "minutes at most", "examples", "seeds", "accuracy, mean", "worst"]
        header += ["seconds to what is tested", "in all", "epochs", "ended by"]
        cells = [
            (
                row.label,
                source(row.data),
                row.model,
                row.size,
                "" if row.minutes is None else f"{row.minutes:g}",
                f"{row.examples:,}",
                str(len(row.seeds)),
                f"{statistics.mean(row.accuracy):.2f}",
                f"{min(row.accuracy):.2f}",
                f"{statistics.mean(row.final):.1f}",
                f"{statistics.mean(row.seconds):.1f}",
                span(row.epochs, 1) if row.epochs else "",
                ", ".join(dict.fromkeys(row.stopped)),
            )
            for row in rows
        ]
        return markdown(self.title, header, cells)


def _row(contest: Contest, model: str, seeds: Sequence[int], runs: Sequence[Mapping[str, Any]]) -> BaselineRow:
    """What the metrics of a model's runs say."""
    first, neural = runs[0], model != "nsr"
    seconds = [each["seconds"] for each in runs]
    return BaselineRow(
        contest.label,
        first["assumptions"]["data"],
        model,
        first["size"] if neural else "",
        first["settings"]["minutes"] if neural else None,
        tuple(seeds),
        first["train"]["used"],
        tuple(each["test"]["accuracy"] for each in runs),
        tuple(each["final"] if neural else each["total"] - each["evaluate"] for each in seconds),
        tuple(each["total"] for each in seconds),
        tuple(each["epochs"] for each in runs) if neural else (),
        tuple(each["stopped"] for each in runs) if neural else (),
    )
