"""A baseline trained on a split of a task, and tested: the counterpart of :func:`nsr.experiment.train`.

It gets the same training examples as the learner of this project. Its run folder holds ``history.jsonl`` (a line an
epoch), ``manifest.json`` and ``metrics.json``, written last; while it trains, ``checkpoint/`` and ``training.lock``.
The weights are not kept.
"""

from __future__ import annotations

import math
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nsr._version import __version__
from nsr.baselines.abductive import ABLKIT, EPOCHS, AbductiveTrainer, check
from nsr.baselines.presets import make_network, preset
from nsr.baselines.training import PROGRESS, Limits, NetworkTrainer, Trainer, split_off_validation
from nsr.errors import ConfigError, RunError
from nsr.experiment import CHECKPOINT_SECONDS, accuracies, drawn_examples, peak_memory_mb
from nsr.runs import (
    MANIFEST,
    locked,
    parse_json,
    read_checkpoint,
    read_folder,
    remove_checkpoint,
    to_json,
    write_checkpoint,
)
from nsr.tasks import Dataset, Examples, Task, make_task
from nsr.training_run import METRICS, STATE, Run, write_results


def train_baseline(
    task: str,
    model: str,
    split: str | None = None,
    *,
    seed: int = 0,
    size: str = "cpu",
    epochs: int | None = None,
    minutes: float | None = None,
    examples: int = 0,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Train a baseline on a split of a task and test it on the split's test examples.

    Args:
        task: name of a task.
        model: one of :data:`nsr.baselines.presets.MODELS`, or ``ablkit`` for images.
        split: one of its splits; its default split if None.
        seed: source of all randomness.
        size: the hyperparameters, one of :data:`nsr.baselines.presets.SIZES`.
        epochs: at most so many; those of the preset if None.
        minutes: of training at most; no limit if None.
        examples: train on at most so many examples, the same that ``nsr train --examples`` looks at; 0 for all.
        data_dir: read the authors' files below this folder instead of generating the data.
        out: run folder to write; None to keep nothing.
        resume: continue the run in ``out``, or return its metrics if it is finished.
        checkpoint_seconds: time between two checkpoints.
        progress: show a progress bar on stderr.
        options: of the task, by name.

    Returns:
        what ``metrics.json`` says.

    Raises:
        ConfigError: a task, model, size, split or option does not exist, the model does not read such inputs, or it
            needs a library that is not installed.
        DataError: the data cannot be read, there are fewer than two examples, or none that is short enough for ABLkit.
        RunError: ``out`` holds something already, cannot be resumed or written, or another process trains there.
    """
    began = time.perf_counter()
    made = make_task(task, **options)
    split = split or made.default_split
    _require_possible(made, model, size, epochs, minutes)
    identity = {
        "task": task,
        "split": split,
        "seed": seed,
        "data_dir": None if data_dir is None else str(data_dir),
        "model": model,
        "size": size,
        "epochs": epochs,
        "minutes": minutes,
        "examples": examples,
        "options": made.assumptions(),
    }
    run = None if out is None else Run(Path(out), identity)
    if run is not None and run.finished(resume):
        return _result(run)
    with nullcontext() if run is None else locked(run.folder):
        if run is not None and run.finished(resume):  # by another process, just before the lock
            return _result(run)
        data = made.load(split, seed=seed, data_dir=None if data_dir is None else Path(data_dir))
        if data.train.gold is not None and model != ABLKIT:
            raise ConfigError(f"{model} reads tokens, not images; leave out --input images, or choose --model {ABLKIT}")
        used = drawn_examples(data.train, examples, seed, spread=model == ABLKIT)
        trainer = _trainer(made, model, size, used, epochs, minutes, seed)
        began -= _restore(trainer, run) if run is not None and resume else 0.0
        reason = _fit(trainer, run, began, checkpoint_seconds, progress)
        metrics = _metrics(identity, trainer, made, data, len(used), reason, began)
        if run is not None:
            write_results(run.folder, {}, trainer.progress.history, metrics)
            remove_checkpoint(run.checkpoint)
    return metrics


def _require_possible(task: Task, model: str, size: str, epochs: int | None, minutes: float | None) -> None:
    """Say what is wrong before anything is read.

    Raises:
        ConfigError: there is no such model, size or limit, or the model does not read such inputs.
    """
    if model == ABLKIT:
        check(task, size)
    else:
        preset(model, size, task.name)
    if epochs is not None or minutes is not None:
        Limits(1 if epochs is None else epochs, minutes)


def _trainer(
    task: Task, model: str, size: str, used: Examples, epochs: int | None, minutes: float | None, seed: int
) -> Trainer:
    """What trains a baseline on a part of these examples, and validates it on the others; nothing is learned yet."""
    if model == ABLKIT:
        return AbductiveTrainer(*split_off_validation(used, seed), Limits(epochs or EPOCHS, minutes), seed)
    used, chosen = spelled(used), preset(model, size, task.name)
    train, validation = split_off_validation(used, seed)
    network = make_network(model, chosen.config, used, torch.Generator().manual_seed(seed))
    epochs = epochs or math.ceil(chosen.updates / math.ceil(len(train) / chosen.config.batch))
    return NetworkTrainer(network, train, validation, Limits(epochs, minutes, chosen.patience), seed)


def _metrics(
    identity: dict[str, Any], trainer: Trainer, task: Task, data: Dataset, used: int, reason: str, began: float
) -> dict[str, Any]:
    """Test what was trained; what ``metrics.json`` says of it.

    Args:
        identity: what was asked for.
        trainer: at the end of training.
        task: whose data were used.
        data: of the split.
        used: training examples that were looked at.
        reason: the limit that ended training.
        began: when training began, by ``time.perf_counter``, had it not been interrupted.
    """
    trained = time.perf_counter()
    test = score(trainer, task, data.test if data.test.gold is not None else spelled(data.test))
    ended, asked = time.perf_counter(), ("epochs", "minutes", "examples", "options")
    return {
        **{name: value for name, value in identity.items() if name not in asked},
        "version": __version__,
        "epochs": trainer.progress.history[-1]["epoch"],
        "updates": trainer.progress.updates,
        "stopped": reason,
        "tested": trainer.progress.best,
        "parameters": sum(weights.numel() for weights in trainer.model.parameters()),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "settings": {**asdict(trainer.config), **asdict(trainer.limits)},
        "run": identity,
        "test": test,
        "train": {
            "available": len(data.train),
            "used": used,
            "learned_from": trainer.learned_from,
            "validation": len(trainer.validation),
        },
        "seconds": {
            "total": round(ended - began, 3),
            "train": round(trainer.progress.seconds, 3),
            "final": trainer.progress.best["seconds"],
            "evaluate": round(ended - trained, 3),
        },
        "assumptions": {"data": data.source, **task.assumptions(), **trainer.assumptions},
    }


def spelled(examples: Examples) -> Examples:
    """The same examples with numbers as their decimal digits, the first digit first."""
    outputs = tuple(tuple(str(each)) if isinstance(each, int) else each for each in examples.outputs)
    return Examples(tuple(examples.inputs), outputs)


def score(trainer: Trainer, task: Task, examples: Examples) -> dict[str, Any]:
    """As :func:`nsr.experiment.score`."""
    right, answered, figures = trainer.answer(examples)
    return {**accuracies(right, answered, task.subsets(examples)), **figures}


def _fit(trainer: Trainer, run: Run | None, began: float, checkpoint_seconds: float, progress: bool) -> str:
    """Train to the end with a bar and checkpoints; the name of the limit that ended it.

    ``began`` is as in :func:`_metrics`.
    """
    saved = time.perf_counter()
    with tqdm(
        total=trainer.limits.epochs * trainer.batches_per_epoch,
        initial=trainer.progress.updates,
        disable=not progress,
        unit=" updates",
        file=sys.stderr,
        desc=f"epoch {trainer.progress.epoch + 1}",
        leave=False,
    ) as bar:

        def on_update() -> None:
            nonlocal saved
            bar.update()
            bar.set_description(f"epoch {trainer.progress.epoch + 1}", refresh=False)
            if trainer.progress.best:
                bar.set_postfix(validation=f"{trainer.progress.best['validation']:.1f}%", refresh=False)
            if run is not None and time.perf_counter() - saved >= checkpoint_seconds:
                _save(trainer, run, time.perf_counter() - began)
                saved = time.perf_counter()

        return trainer.fit(on_update)


def _save(trainer: Trainer, run: Run, total: float) -> None:
    state = {"run": run.identity, "total": total}
    write_checkpoint(run.checkpoint, {**trainer.files(), STATE: to_json(state)})


def _restore(trainer: Trainer, run: Run) -> float:
    """Put the trainer into the state of the checkpoint; the seconds spent before, 0 if there is none.

    Raises:
        RunError: the checkpoint is damaged or belongs to other settings.
    """
    files = read_checkpoint(run.checkpoint)
    if files is None:
        return 0.0
    if STATE not in files or PROGRESS not in files:
        raise RunError(f"{run.folder} is no run of a baseline; choose another folder")
    state = parse_json(files[STATE], run.checkpoint / STATE)
    try:
        _require_same(run, state["run"])
        trainer.restore(files)
        return float(state["total"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.checkpoint} is damaged: {error!r}; train again") from None


def _require_same(run: Run, found: Any) -> None:
    """Refuse to continue a run as if it were another; ``found`` is what the folder says of it.

    Raises:
        RunError: it is no run of a baseline, or they differ in a setting.
    """
    if not isinstance(found, dict):
        raise RunError(f"{run.folder} is no run of a baseline; choose another folder")
    run.require_settings({name: found.get(name) for name in run.identity}, run.identity)


def _result(run: Run) -> dict[str, Any]:
    """The metrics of a finished run.

    Raises:
        RunError: they are damaged, or the run differs in a setting.
    """
    path = run.folder / METRICS
    files = read_folder(run.folder) if (run.folder / MANIFEST).is_file() else {}
    found: dict[str, Any] = parse_json(files[METRICS], path) if METRICS in files else {}
    _require_same(run, found.get("run") if isinstance(found, dict) else None)
    run.tidy()
    return found
