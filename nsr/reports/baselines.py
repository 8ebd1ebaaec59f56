"""The tables that set the learner against others: trained on the same examples, on the same machine."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from tqdm import tqdm

from nsr.baselines.experiment import train_baseline
from nsr.baselines.presets import MODELS, SIZES
from nsr.errors import NSRError
from nsr.reports.images import handwriting, read_separately
from nsr.reports.measurement import commit
from nsr.reports.pool import Runs
from nsr.reports.tables import Failed, markdown, row_or_failed, source, span
from nsr.reports.trainings import Training, trainings_of


@dataclass(frozen=True)
class Contest:
    """What is learned by all.

    Attributes:
        task, split: where the examples come from.
        examples: so many are looked at; 0 for all.
        generated: whether official files are left alone.
        images: whether inputs are images of handwriting.
        given: settings of nsr that tell it what the baselines are told anyway.
    """

    task: str
    split: str
    examples: int = 0
    generated: bool = False
    images: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, data_dir: Path | None) -> dict[str, Any]:
        """Those of all models.

        Raises:
            ConfigError: they need handwriting, and no data folder is given.
        """
        images = {"input": "images", "symbols": handwriting(data_dir)} if self.images else {}
        return {**({"examples": self.examples} if self.examples else {}), **images}

    @property
    def label(self) -> str:
        """Its name in the table."""
        label = self.task if self.task == self.split else f"{self.task} {self.split}"
        return f"{label}, images" if self.images else label


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
        separately: of images, the accuracy where each image is read by itself.
        alone: percent of the images that are read right by themselves.
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
    separately: tuple[float, ...] = ()
    alone: tuple[float, ...] = ()


@dataclass(frozen=True)
class BaselineTable:
    """Each contest, learned by nsr and by all baselines.

    Attributes:
        title: of the table.
        contests: what is learned.
        models: the baselines.
        size: their hyperparameters.
        minutes: of training, for each baseline.
        note: below the table.
    """

    title: str
    contests: tuple[Contest, ...]
    models: tuple[str, ...] = field(default=tuple(MODELS))
    size: str = SIZES[0]
    minutes: float = 3.0
    note: str = ""
    of_runs: ClassVar[bool] = False

    @property
    def cases(self) -> dict[str, Contest]:
        """The contests."""
        return {each.label: each for each in self.contests}

    def trainings(self, seeds: Sequence[int], data_dir: Path | None) -> dict[str, list[Training]]:
        """The runs of nsr, for the contests that can be held."""
        found = {}
        for label, each in self.cases.items():
            with suppress(NSRError):  # the row will say it
                found[label] = self._runs_of(each, seeds, data_dir)
        return found

    def measure(self, seeds: Sequence[int], data_dir: Path | None, runs: Runs) -> list[BaselineRow | Failed]:
        """Train and test all on each contest, once a seed; :class:`Failed` where that was not possible.

        What a baseline gave is used again by the same commit only, as its folder does not say how it came about.
        """
        return [
            row_or_failed(f"{label}, {model}", partial(self._row, contest, model, seeds, data_dir, runs))
            for label, contest in self.cases.items()
            for model in tqdm(("nsr", *self.models), label, disable=None)
        ]

    def _runs_of(self, contest: Contest, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """The runs of nsr; splits of which ``data_dir`` has no files are generated."""
        settings = {**contest.settings(data_dir), **contest.given}
        return trainings_of(contest.task, contest.split, seeds, settings, None if contest.generated else data_dir)

    def _row(
        self, contest: Contest, model: str, seeds: Sequence[int], data_dir: Path | None, runs: Runs
    ) -> BaselineRow:
        """Train and test one model."""
        needed = self._runs_of(contest, seeds, data_dir)
        if model == "nsr":
            models = [runs.load(each) for each in needed]
            separately = tuple(map(read_separately, models)) if contest.images else ()
            return _row(contest, model, seeds, [each.metrics for each in models], separately)
        kind = f"{contest.split}-images" if contest.images else contest.split
        name = f"{contest.task}-{kind}-{model}-{self.size}-{self.minutes:g}-{commit()[:12]}"
        metrics = [
            train_baseline(
                contest.task,
                model,
                contest.split,
                seed=each.seed,
                size=self.size,
                minutes=self.minutes,
                data_dir=each.data_dir,
                out=runs.folder / f"{name}-{each.seed}",
                resume=True,
                **contest.settings(data_dir),
            )
            for each in needed
        ]
        return _row(contest, model, seeds, metrics)

    def to_markdown(self, rows: Sequence[BaselineRow | Failed]) -> str:
        """The table: accuracies in percent, seconds and epochs of one run; of images two columns more."""
        images = any(contest.images for contest in self.contests)
        header = ["", "data", "model", "size", "minutes at most", "examples", "seeds", "accuracy, mean", "worst"]
        header += ["seconds to what is tested", "in all", "epochs", "ended by"]
        header += ["each image by itself", "symbols alone"] if images else []
        cells = [row.cells if isinstance(row, Failed) else _cells(row) for row in rows]
        return markdown(self.title, header, cells, self.note)


def _cells(row: BaselineRow) -> tuple[str, ...]:
    """A row as text."""
    return (
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
        *(f"{statistics.mean(each):.2f}" for each in (row.separately, row.alone) if each),
    )


def _row(
    contest: Contest,
    model: str,
    seeds: Sequence[int],
    runs: Sequence[Mapping[str, Any]],
    separately: tuple[float, ...] = (),
) -> BaselineRow:
    """What the metrics of a model's runs say; a baseline reads each image by itself anyway."""
    first, rival = runs[0], model != "nsr"
    seconds = [each["seconds"] for each in runs]
    accuracy = tuple(each["test"]["accuracy"] for each in runs)
    longest = first["settings"].get("longest") if rival else None
    return BaselineRow(
        contest.label,
        first["assumptions"]["data"],
        f"{model}, from at most {longest} symbols" if longest else model,
        first["size"] if rival else "",
        first["settings"]["minutes"] if rival else None,
        tuple(seeds),
        first["train"]["used"],
        accuracy,
        tuple(each["final"] if rival else each["total"] - each["evaluate"] for each in seconds),
        tuple(each["total"] for each in seconds),
        tuple(each["epochs"] for each in runs) if rival else (),
        tuple(each["stopped"] for each in runs) if rival else (),
        (accuracy if rival else separately) if contest.images else (),
        tuple(each["test"]["symbols"]["alone"] for each in runs) if contest.images else (),
    )
