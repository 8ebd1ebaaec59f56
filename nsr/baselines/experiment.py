"""A baseline trained on a split of a task, and tested: the counterpart of :func:`nsr.experiment.train`.

It gets the same training examples as the learner of this project. Its run folder holds ``history.jsonl`` (a line an
epoch) and ``metrics.json``, written last; while it trains, ``checkpoint/``. The weights are not kept.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from nsr._version import __version__
from nsr.baselines.presets import make_network, preset
from nsr.baselines.seq2seq import Network, solved
from nsr.baselines.training import Limits, Trainer, cut
from nsr.errors import ConfigError, RunError
from nsr.experiment import CHECKPOINT_SECONDS, Run, peak_memory_mb
from nsr.runs import (
    parse_json,
    read_checkpoint,
    read_run_file,
    remove_checkpoint,
    to_json,
    write_checkpoint,
    write_file,
)
from nsr.tasks import Examples, Task, make_task


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
        model: one of :data:`nsr.baselines.presets.MODELS`.
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
        ConfigError: a task, model, size, split or option does not exist, the inputs are images, or the baseline needs
            x-transformers, which is not installed.
        DataError: the data cannot be read.
        RunError: ``out`` holds something already, or cannot be resumed.
    """
    began = time.perf_counter()
    made = make_task(task, **options)
    split = split or made.default_split
    chosen = preset(model, size, task)
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
    if epochs is not None or minutes is not None:
        Limits(1 if epochs is None else epochs, minutes)  # says what is wrong before anything is read
    run = None if out is None else Run(Path(out), identity)
    if run is not None and run.finished(resume):
        found = parse_json(read_run_file(run.folder / "metrics.json"), run.folder / "metrics.json")
        if not isinstance(found, dict):
            raise RunError(f"{run.folder / 'metrics.json'} is damaged; train again")
        _require_same(found.get("run"), identity, run.folder)
        remove_checkpoint(run.checkpoint)  # if a kill left it
        return found
    data = made.load(split, seed=seed, data_dir=None if data_dir is None else Path(data_dir))
    if data.train.gold is not None:
        raise ConfigError("baselines read tokens, not images; leave out --input images")
    used = spelled(drawn_examples(data.train, examples, seed))
    train, validation = cut(used, seed)
    network = make_network(model, chosen.config, used, torch.Generator().manual_seed(seed))
    an_epoch = math.ceil(len(train) / chosen.config.batch)
    limits = Limits(epochs or math.ceil(chosen.updates / an_epoch), minutes, chosen.patience)
    trainer = Trainer(network, train, validation, limits, seed)
    before = _restore(trainer, run) if run is not None and resume else 0.0
    reason = _fit(trainer, run, before, began, checkpoint_seconds, progress, an_epoch)
    trained = time.perf_counter()
    test = score(network, made, data.test)
    metrics = {
        **{name: value for name, value in identity.items() if name not in ("epochs", "minutes", "examples", "options")},
        "version": __version__,
        "test": test,
        "train": {
            "available": len(data.train),
            "used": len(used),
            "learned_from": len(train),
            "validation": len(validation),
        },
        "epochs": trainer.progress.history[-1]["epoch"],
        "updates": trainer.progress.updates,
        "stopped": reason,
        "tested": trainer.progress.best,
        "seconds": {
            "total": round(before + time.perf_counter() - began, 3),
            "train": round(trainer.progress.seconds, 3),
            "final": trainer.progress.best["seconds"],
            "evaluate": round(time.perf_counter() - trained, 3),
        },
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "settings": {**asdict(chosen.config), **asdict(limits)},
        "assumptions": {"data": data.source, **made.assumptions()},
        "run": identity,
    }
    if run is not None:
        _finish(run, metrics, trainer.progress.history)
    return metrics


def spelled(examples: Examples) -> Examples:
    """The same examples with numbers as their decimal digits, the first digit first."""
    outputs = tuple(tuple(str(each)) if isinstance(each, int) else each for each in examples.outputs)
    return Examples(tuple(examples.inputs), outputs)


def score(network: Network, task: Task, examples: Examples) -> dict[str, Any]:
    """As :func:`nsr.experiment.score`; an input is answered if the network knows all its words."""
    right = np.array(solved(network, spelled(examples)))
    answered = np.array([network.words_in.has(sentence) for sentence in examples.inputs])
    return {
        "accuracy": _percent(right),
        "answered": _percent(answered),
        "accuracy_of_answered": _percent(right[answered]) if answered.any() else None,
        "count": len(examples),
        "subsets": {name: _percent(right[indices]) for name, indices in task.subsets(examples).items()},
    }


def drawn_examples(examples: Examples, most: int, seed: int) -> Examples:
    """So many of the examples, those that :meth:`nsr.model.NSR.fit` draws; 0 for all."""
    count = len(examples)
    if not most or count <= most:
        return examples
    return examples.take(np.sort(np.random.default_rng([seed, count]).choice(count, most, replace=False)).tolist())


def _fit(
    trainer: Trainer,
    run: Run | None,
    before: float,
    began: float,
    checkpoint_seconds: float,
    progress: bool,
    an_epoch: int,
) -> str:
    """Train to the end with a bar and checkpoints; the name of the limit that ended it."""
    saved = time.perf_counter()
    with tqdm(
        total=trainer.limits.epochs * an_epoch,
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
                _save(trainer, run, before + time.perf_counter() - began)
                saved = time.perf_counter()

        return trainer.fit(on_update)


def _save(trainer: Trainer, run: Run, total: float) -> None:
    state = {"run": run.identity, "total": total}
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_checkpoint(run.checkpoint, {**trainer.files(), "state.json": to_json(state)})
    except OSError as error:
        raise RunError(f"{run.checkpoint} cannot be written: {error.strerror or error}") from None


def _restore(trainer: Trainer, run: Run) -> float:
    """Put the trainer into the state of the checkpoint; the seconds spent before, 0 if there is none.

    Raises:
        RunError: the checkpoint is damaged or belongs to other settings.
    """
    files = read_checkpoint(run.checkpoint)
    if files is None:
        return 0.0
    if "state.json" not in files or "progress.json" not in files:
        raise RunError(f"{run.folder} is no run of a baseline; choose another folder")
    state = parse_json(files["state.json"], run.checkpoint / "state.json")
    _require_same(state["run"], run.identity, run.folder)
    trainer.restore(files)
    return float(state["total"])


def _require_same(found: dict[str, Any] | None, wanted: dict[str, Any], folder: Path) -> None:
    """Refuse to continue a run as if it were another.

    Raises:
        RunError: they differ in a setting.
    """
    if found is None:
        raise RunError(f"{folder} is no run of a baseline; choose another folder")
    for name, value in wanted.items():
        if found.get(name) != value:
            raise RunError(
                f"{folder} was begun with {name} = {found.get(name)!r}, not {value!r}; choose another folder"
            )


def _finish(run: Run, metrics: dict[str, Any], history: list[dict[str, Any]]) -> None:
    """Write the history and, last, the metrics; then drop the checkpoint."""
    lines = "".join(json.dumps(record) + "\n" for record in history)
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_file(run.folder / "history.jsonl", lines.encode())
        write_file(run.folder / "metrics.json", to_json(metrics))
    except OSError as error:
        raise RunError(f"{run.folder} cannot be written: {error.strerror or error}") from None
    remove_checkpoint(run.checkpoint)


def _percent(hits: np.ndarray) -> float:
    return round(100 * float(hits.mean()), 4) if len(hits) else 0.0
