"""Experiments: train a model on a split of a task, keep it in a run folder, evaluate it.

A run folder holds ``config.json``, ``vocabulary.json``, ``lexicon.nsr``, ``grammar.json``, ``parser.safetensors`` and
``manifest.json`` (the model; with a user's grammar also ``syntax.lark``), ``history.jsonl`` (a line a round) and
``metrics.json``, written last: a run that has it is finished. Until then a folder ``checkpoint`` holds the state after
some round, and ``training.lock`` keeps other processes out.
"""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from nsr._version import __version__
from nsr.arrays import draw, percent
from nsr.devices import check_device, processes, rank
from nsr.errors import ConfigError, RunError
from nsr.learning.config import Config, flat
from nsr.model import NSR
from nsr.perception.images import ImagePerception
from nsr.perception.perception import Perception
from nsr.perception.tokens import TokenPerception
from nsr.recognition import symbol_accuracy
from nsr.review import notes, require_known_words, review
from nsr.runs import edit_notice, locked, parse_json, read_folder
from nsr.semantics.values import MISSING_ID
from nsr.tasks import TASKS, Dataset, Examples, Task, make_task
from nsr.training_run import METRICS, History, Run

CHECKPOINT_SECONDS = 10.0
PARTS = ("test", "validation")
NO_TASK = "this model was not trained on a task; use its predict method"


def train(
    task: str,
    split: str | None = None,
    *,
    seed: int = 0,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    from_run: str | Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    **settings: Any,
) -> NSR:
    """Train a model on a split of a task and evaluate it on the split's test examples.

    Args:
        task: name of a task.
        split: one of its splits; its default split if None.
        seed: source of all randomness.
        data_dir: read the authors' files below this folder instead of generating the data.
        out: run folder to write; None to keep nothing.
        resume: continue the run in ``out``, or return it if it is finished.
        from_run: folder of a finished run whose knowledge is kept; only words that are new to it are learned.
        checkpoint_seconds: time between two checkpoints.
        progress: show a progress bar on stderr.
        tell: is called before training with each line about what is odd in the user's own data, or in a finished run.
        settings: options of the task and of :class:`nsr.learning.config.Config`, by name.

    Returns:
        the model; its ``metrics`` are those of ``metrics.json``.

    Raises:
        ConfigError: a task, split or option does not exist, or a run with a perception of its own is to be resumed.
        DataError: the data cannot be read.
        InputError: there are no examples to learn from, a test input has a word that no training input has, or the
            user's grammar does not parse a training input.
        ProgramError: the lexicon of ``from_run``, or of a finished run in ``out``, was edited and is wrong.
        RunError: ``out`` holds something already, cannot be resumed or written, or another process trains there;
            ``from_run`` is as :func:`load` refuses it.
    """
    began = time.perf_counter()
    model = untrained(task, seed, settings)
    made = model.required_task
    split = split or made.default_split
    own_perception = not isinstance(settings.get("perception", ""), str)
    if own_perception and resume:
        raise ConfigError("a run with a perception of its own cannot be resumed; choose another folder")
    check_device(model.config.images.device)
    if from_run is not None:
        model.build_on(load_and_tell(from_run, tell))
    identity = {
        "task": task,
        "split": split,
        "seed": seed,
        "data_dir": None if data_dir is None else str(data_dir),
        **({} if from_run is None else {"from_run": str(from_run)}),
    }
    run = None if out is None else Run(Path(out), identity)
    if run is not None and run.finished(resume):
        return _finished(run, model, tell)
    with (
        processes(model.config.images.device),
        nullcontext() if run is None or rank() > 0 else locked(run.folder),
    ):
        if run is not None and run.finished(resume):  # by another process, just before the lock
            return _finished(run, model, tell)
        data = made.load(split, seed=seed, data_dir=None if data_dir is None else Path(data_dir))
        by_word = data.train.gold is None and not own_perception
        if by_word:
            require_known_words(model, data.train, data.test)
        if made.own:
            for line in notes(data.train, model.config.knowledge):
                tell(line)
        start, before = (None, 0.0) if run is None or not resume else run.restore(model)
        with History(model, run, began - before, checkpoint_seconds, progress) as history:
            model.fit(data.train.inputs, data.train.outputs, history.add, start)
            model.metrics = _metrics(model, data, identity, began - before)
            if run is not None and rank() == 0:
                run.finish(model, history.records)
    return model


def _finished(run: Run, model: NSR, tell: Callable[[str], None]) -> NSR:
    """The model of a finished run, which is to be the one wanted.

    Raises:
        RunError: it is damaged, or differs in a setting.
    """
    saved = load_and_tell(run.folder, tell)
    run.require_same(saved.metrics, saved, model)
    run.tidy()
    return saved


def untrained(task: str, seed: int, settings: Mapping[str, Any]) -> NSR:
    """A model that is to learn a task, with its defaults and these settings; errors as of :func:`train`."""
    of_learner = flat(Config().to_json())
    for each in fields(TASKS[task]) if task in TASKS else ():
        if each.name in of_learner:
            raise ConfigError(f"option {each.name!r} of task {task!r} is also a setting of the learner; rename it")
    names = {each.name for made in TASKS.values() for each in fields(made)} - of_learner.keys()
    made = make_task(task, **{name: value for name, value in settings.items() if name in names})
    rest = {name: value for name, value in settings.items() if name not in names}
    return NSR(made.primitives, task=made, seed=seed, **{**made.settings, **rest})


def load(folder: str | Path, perception: Perception | None = None) -> NSR:
    """The model of a finished run.

    Args:
        folder: of the run.
        perception: that of the model, if it has one of its own; it is not kept in files.

    Raises:
        RunError: the folder is missing, unfinished, damaged or of another version, or needs another perception.
        ProgramError: its lexicon was edited and is wrong; the message says where.
    """
    return _model(read_folder(Path(folder)), Path(folder), perception)


def load_and_tell(folder: str | Path, tell: Callable[[str], None]) -> NSR:
    """As :func:`load`; ``tell`` is called with a line if the lexicon is not as it was trained."""
    files = read_folder(Path(folder))
    model, notice = _model(files, Path(folder)), edit_notice(Path(folder), files)
    if notice is not None:
        tell(notice)
    return model


def _model(files: dict[str, bytes], folder: Path, perception: Perception | None = None) -> NSR:
    """The model of a run's files, with its metrics if there are any; errors as of :func:`load`."""
    model = NSR.of_files(files, folder, make_task, perception)
    if METRICS in files:
        model.metrics = _read_metrics(files[METRICS], folder / METRICS)
    return model


def _read_metrics(content: bytes, path: Path) -> dict[str, Any]:
    """The metrics of a run, of which the split and the data folder are names, if they are there."""
    found: dict[str, Any] = parse_json(content, path)
    named = [found.get(name) for name in ("split", "data_dir")] if isinstance(found, dict) else [()]
    if not all(each is None or isinstance(each, str) for each in named):
        raise RunError(f"{path} is damaged; train again")
    return found


def evaluate(
    model: NSR,
    split: str | None = None,
    *,
    part: str = "test",
    data_dir: str | Path | None = None,
    symbols: str | None = None,
) -> dict[str, Any]:
    """Accuracy of a trained model on the examples of a split of its task.

    Args:
        model: trained on a task.
        split: if None, the one the model was trained on, from where its data came.
        part: ``test``, or ``validation``: what settings are chosen by.
        data_dir: read the authors' files below this folder.
        symbols: draw the test inputs with all images of this source instead.

    Returns:
        ``{"accuracy", "answered", "accuracy_of_answered", "count", "subsets"}``, in percent; without any answer, the
        third is None. Of images also ``"symbols"``.

    Raises:
        ConfigError: it is no model, it has no task, its task has no such split or part, or the images of ``symbols``
            are drawn for test inputs only.
        DataError: the data cannot be read.
        InputError: an example has a word that the model does not know.
    """
    if not isinstance(model, NSR):
        raise ConfigError(f"{model!r} is no model; nsr.load(folder) reads one")
    if symbols is None:
        return score(model, examples_of(model, split, part=part, data_dir=data_dir))
    if model.task is None:
        raise ConfigError(NO_TASK)
    if split is not None or part != "test" or data_dir is not None:
        raise ConfigError("with symbols, the inputs are those of the test; leave out split, part and data_dir")
    return score(model, model.task.test_with(symbols, model.seed))


def examples_of(
    model: NSR, split: str | None = None, *, part: str = "test", data_dir: str | Path | None = None
) -> Examples:
    """The examples that :func:`evaluate` scores a model on; arguments and errors as there."""
    if part not in PARTS:
        raise ConfigError(f"unknown part {part!r}; known parts: {', '.join(PARTS)}")
    data = data_of(model, split, data_dir)
    examples = data.test if part == "test" else data.validation
    if examples is None:
        raise ConfigError(f"{model.required_task.name} has no {part} examples; parts: test")
    return examples


def data_of(model: NSR, split: str | None = None, data_dir: str | Path | None = None) -> Dataset:
    """A split of a model's task, by default the one it was trained on, from where its data came.

    Raises:
        ConfigError: the model has no task, or its task no such split.
        DataError: the data cannot be read.
    """
    if model.task is None:
        raise ConfigError(NO_TASK)
    split, folder = _source(model, model.task, split, data_dir)
    return model.task.load(split, seed=model.seed, data_dir=folder)


def _source(
    model: NSR, task: Task, split: str | None = None, data_dir: str | Path | None = None
) -> tuple[str, Path | None]:
    """A split of a model's task, by default the one it was trained on, and the folder from which its data came."""
    trained = model.metrics.get("split") or task.default_split
    split = split or trained
    if data_dir is None and split == trained:
        data_dir = model.metrics.get("data_dir")
    return split, None if data_dir is None else Path(data_dir)


def examine(model: NSR, name: str, *, data_dir: str | Path | None = None) -> dict[str, Any]:
    """What a test of the model's task measures, on the data the model was trained on if nothing else is said.

    Returns:
        figures as of :meth:`nsr.tasks.task.Task.examine`.

    Raises:
        ConfigError: there is no such test, or it needs a model that was trained on another split.
    """
    if model.task is None:
        raise ConfigError("this model was not trained on a task, so there is no test for it")
    split, folder = _source(model, model.task, data_dir=data_dir)
    return model.task.examine(name, model.predict, split=split, seed=model.seed, data_dir=folder)


def score(model: NSR, examples: Examples) -> dict[str, Any]:
    """Accuracy on examples, in percent: of all, of those answered and of the task's subsets; the share answered."""
    found = model.derive(examples.inputs)
    right = found.results == model.modules.executor.values.ids(examples.outputs)
    answered = found.results != MISSING_ID
    return {
        **accuracies(right, answered, model.task.subsets(examples) if model.task else {}),
        **({} if examples.gold is None else {"symbols": symbol_accuracy(model, examples, found)}),
    }


def accuracies(right: np.ndarray, answered: np.ndarray, subsets: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """What a test says, in percent.

    Args:
        right: which of B examples were answered right, shape (B,).
        answered: which were answered at all, shape (B,).
        subsets: indices of examples, by name.
    """
    return {
        "accuracy": percent(right),
        "answered": percent(answered),
        "accuracy_of_answered": percent(right[answered]) if answered.any() else None,
        "count": len(right),
        "subsets": {name: percent(right[indices]) for name, indices in subsets.items()},
    }


def _metrics(model: NSR, data: Dataset, identity: dict[str, Any], began: float) -> dict[str, Any]:
    """What ``metrics.json`` says of a run."""
    with model.clock("evaluate"):
        test = score(model, drawn_examples(data.test, model.config.learning.tested, model.seed))
    phases = ("ground", "deduce", "abduce", "induce", "parser", "perception", "evaluate")
    return {
        **identity,
        "version": __version__,
        "test": test,
        "train": {
            "available": len(data.train),
            "used": model.used,
            "learned_from": len(model.learned_from),
            **(review(model, data.train) if model.required_task.own else {}),
        },
        "seconds": {
            "total": round(time.perf_counter() - began, 3),
            **{phase: round(model.clock.seconds.get(phase, 0.0), 3) for phase in phases},
        },
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "assumptions": {
            "data": data.source,
            "primitives": model.primitives.name,
            "arity": "learned",
            "constants": model.config.search.constants,
            "max_arity": model.config.search.max_arity,
            "empty": model.config.search.empty,
            "curriculum": model.config.learning.curriculum,
            **asdict(model.config.knowledge),
            "perception": _perceived(model),
            **model.required_task.assumptions(),
        },
    }


def _perceived(model: NSR) -> str:
    """How inputs became symbols."""
    perception = model.modules.perception
    if isinstance(perception, ImagePerception):
        return model.config.knowledge.perception
    return "tokens" if isinstance(perception, TokenPerception) else "own"


def drawn_examples(examples: Examples, most: int, seed: int, *, spread: bool = False) -> Examples:
    """At most so many examples, drawn in order, with ``spread`` of all lengths alike; see :func:`nsr.arrays.draw`."""
    return examples.take(draw(examples.inputs, most, seed, len if spread else None).tolist())


def peak_memory_mb() -> float:
    """The most memory this process has had in use, in MB."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux passes ru_maxrss on from parent to child
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"))
        if found:
            return int(found[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
