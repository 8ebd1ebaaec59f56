"""The training runs behind tables: each in a folder of its own, trained by a process of its own, and used again.

The name of a folder ends with a digest of the task, its options, the data and all settings as they take effect, so that
tables share runs and no run is taken for another; of files counts what is in them, not where they are.
``provenance.json`` in it has these, the version of nsr, and each session of training with its commit and machine (an
interrupted run may have several). ``training.lock`` keeps others out.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch

from nsr._version import __version__
from nsr.errors import MissingDataError, NSRError, RunError
from nsr.experiment import CHECKPOINT_SECONDS, load, train, untrained
from nsr.model import NSR
from nsr.reports.measurement import commit, machine
from nsr.runs import (
    FORMAT,
    LOCK,
    PROVENANCE,
    edit_notice,
    locked,
    parse_json,
    read_checkpoint,
    read_folder,
    to_json,
    unwritable,
    write_checkpoint,
    write_file,
)
from nsr.tasks import make_task, pcfg
from nsr.tasks.sources import source

CHECKPOINT = "checkpoint"
DRAWN = "strokes"  # images of no file
TENTH = "10k"  # folder of the training examples of PCFG SET where a split has none of its own
POLL = 0.02  # seconds between two looks at the processes


@dataclass(frozen=True)
class Training:
    """What is trained, on what; ``base`` is the run to build on, ``data_dir`` the folder of official files."""

    task: str
    split: str
    seed: int
    settings: Mapping[str, Any]
    data_dir: str | None = None
    base: Training | None = None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the outcome depends on but the version of nsr, as plain data.

        Raises:
            ConfigError: there is no such task or setting.
        """
        model = untrained(self.task, self.seed, self.settings)
        options = model.required_task.assumptions()
        found = {
            "task": self.task,
            "split": self.split,
            "seed": self.seed,
            "data_dir": None if self.data_dir is None else _digests(self._official),
            "base": None if self.base is None else self.base.name,
            "options": options if self.images is None else {**options, "symbols": _sha256(self.images)},
            "settings": model.config.to_json(),
        }
        return json.loads(json.dumps(found))

    @cached_property
    def files(self) -> dict[str, str | None]:
        """The sha256 of each file that is read, by its :func:`short_name`.

        Raises:
            ConfigError: there is no such task or setting.
        """
        return _digests([*self._official, *([] if self.images is None else [self.images])])

    @property
    def _official(self) -> list[Path]:
        return [] if self.data_dir is None else _files_of(self.task, self.split, Path(self.data_dir))

    @property
    def images(self) -> Path | None:
        """The file that images are read from; None where they are drawn, or there are none."""
        options = _options(self.task, self.settings)
        read = options.get("input") == "images" and options["symbols"] != DRAWN
        return Path(options["symbols"]) if read else None

    @cached_property
    def name(self) -> str:
        """The name of its folder."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:12]
        return "-".join(dict.fromkeys((self.task, self.split, str(self.seed), digest)))

    @property
    def lineage(self) -> Iterator[Training]:
        """What it builds on, then itself."""
        if self.base is not None:
            yield from self.base.lineage
        yield self

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Training:
        """The inverse of :meth:`to_json`."""
        base = data["base"]
        return cls(**{**data, "base": None if base is None else cls.from_json(base)})


def _digests(files: Iterable[Path]) -> dict[str, str | None]:
    return {short_name(path): _sha256(path) for path in files}


def _options(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a task, with its defaults and these settings."""
    return untrained(task, 0, settings).required_task.assumptions()


def short_name(path: Path) -> str:
    """The names of a file and of its folder, which say what it is wherever the data are."""
    return "/".join(path.absolute().parts[-2:])


def trainings_of(
    task: str,
    split: str,
    seeds: Iterable[int],
    settings: Mapping[str, Any],
    data_dir: Path | None = None,
) -> list[Training]:
    """A training a seed, on official files if ``data_dir`` has those of the split, else on generated data.

    Raises:
        ConfigError: there is no such task or setting.
        DataError: there are official files, and they are malformed, or some are missing.
    """
    options = tuple(_options(task, settings).items())
    official = data_dir is not None and _has_files(task, split, data_dir, options)
    return [Training(task, split, seed, settings, str(data_dir) if official else None) for seed in seeds]


@cache
def _has_files(task: str, split: str, data_dir: Path, options: tuple[tuple[str, Any], ...]) -> bool:
    files = _files_of(task, split, data_dir)
    for path in files:
        inputs = path.with_suffix(".src")
        if path.suffix == ".tgt" and not inputs.exists():
            raise MissingDataError(f"{inputs} does not exist, but {path.name} does; download the files again")
    if files:
        make_task(task, **dict(options)).load(split, data_dir=data_dir)
    return bool(files)


def _files_of(task: str, split: str, data_dir: Path) -> list[Path]:
    """The authors' files that a split is read from; none if there is not one of its own."""
    own = pcfg.Pcfg.default_split if split in pcfg.CHANGED else split
    names = [name for name in source(task).files if Path(name).parts[0] == own or Path(name).stem.endswith(f"_{own}")]
    if not names:
        return []
    folder = Path(names[0]).parts[0]
    root = data_dir if (data_dir / folder).is_dir() else data_dir / task
    found = [root / name for name in names if (root / name).exists()]
    if task == "pcfg" and found and not (root / own / "train.src").exists():
        found += [root / TENTH / name for name in ("train.src", "train.tgt")]
    return found


@cache
def _sha256(path: Path) -> str | None:
    """The checksum of a file, as it was when it was first asked for; None if it cannot be read.

    That of a folder is of the names and sizes of the files in it.
    """
    try:
        if path.is_dir():
            files = sorted((str(each.relative_to(path)), each.stat().st_size) for each in path.rglob("*.*"))
            return hashlib.sha256(json.dumps(files).encode()).hexdigest()
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


@dataclass(frozen=True)
class Session:
    """A process that trained a run, from its start or from a checkpoint."""

    commit: str
    machine: Mapping[str, Any]


class Runs:
    """The folder of all runs, and what has failed since this object was made.

    Args:
        folder: has a folder for each run.
        jobs: how many processes train at once; they share the threads of this one.
        done: is called with each run that is finished or has failed, once.
        checkpoint_seconds: time between two checkpoints of a run.
    """

    def __init__(
        self,
        folder: Path,
        jobs: int = 1,
        done: Callable[[Training], None] = lambda training: None,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self.folder = folder
        self.jobs = jobs
        self.done = done
        self.checkpoint_seconds = checkpoint_seconds
        self.failures: dict[str, str] = {}
        self._complete: set[str] = set()
        self._ahead: threading.Thread | None = None
        self._stopped = threading.Event()

    def path(self, training: Training) -> Path:
        """The folder of a run."""
        return self.folder / training.name

    def load(self, training: Training) -> NSR:
        """The model of a run; it finds its data where they are now.

        Raises:
            RunError: it failed, or it was never trained.
        """
        if training.name in self.failures:
            raise RunError(f"seed {training.seed}: {self.failures[training.name]}")
        model = load(self.path(training))
        model.task = untrained(training.task, training.seed, training.settings).task
        model.metrics["data_dir"] = training.data_dir
        return model

    def metrics(self, training: Training) -> dict[str, Any]:
        """The metrics of a run."""
        path = self.path(training) / "metrics.json"
        return parse_json(path.read_bytes(), path)

    def sessions(self, training: Training) -> list[Session]:
        """Who trained a run."""
        path = self.path(training) / PROVENANCE
        return [Session(**each) for each in parse_json(path.read_bytes(), path)["sessions"]]

    def history(self, training: Training) -> list[dict[str, Any]]:
        """The rounds of a run."""
        text = (self.path(training) / "history.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    @contextmanager
    def ahead(self, trainings: Iterable[Training]) -> Iterator[None]:
        """Train these in their order in the background, while what is done is measured; what is left is given up."""
        wanted = list(trainings)
        self._ahead = threading.Thread(target=self._train, args=(wanted,), daemon=True)
        self._ahead.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._ahead.join()
            self._ahead = None
            self._stopped.clear()

    def complete(self, trainings: Iterable[Training]) -> None:
        """Train what is not finished; what fails is in ``failures``, and is not tried again."""
        wanted = list(trainings)
        names = {each.name for training in wanted for each in training.lineage}
        while self._ahead is not None and self._ahead.is_alive() and names - self._complete - self.failures.keys():
            time.sleep(POLL)
        self._train(wanted)

    def _train(self, trainings: Iterable[Training]) -> None:
        wanted = {each.name: each for training in trainings for each in training.lineage}
        waiting: dict[str, Training] = {}
        for name, training in wanted.items():
            if name in self._complete or name in self.failures:
                continue
            if finished(self.path(training), training):
                self._settle(training)
            else:
                waiting[name] = training
        processes: list[_Process] = []
        try:
            while (waiting or processes) and not self._stopped.is_set():
                self._start(waiting, processes)
                time.sleep(POLL)
                for each in [each for each in processes if each.ended]:
                    processes.remove(each)
                    self._settle(each.training, each.fault())
        finally:
            for each in processes:
                each.kill()

    def _start(self, waiting: dict[str, Training], processes: list[_Process]) -> None:
        """Start as many of those that wait as may run, none before what it builds on."""
        for name, training in list(waiting.items()):
            base = training.base
            if base is not None and base.name in self.failures:
                self._settle(waiting.pop(name), f"what it builds on failed: {self.failures[base.name]}")
            elif len(processes) < self.jobs and (base is None or base.name in self._complete):
                processes.append(_Process(waiting.pop(name), self))

    def _settle(self, training: Training, fault: str | None = None) -> None:
        """Keep how a run ended."""
        if fault is None:
            self._complete.add(training.name)
        else:
            self.failures[training.name] = fault
        self.done(training)


class _Process:
    """A process that trains a run; it ends when this process does.

    It is forked from one that has imported everything, so it starts at once.
    """

    def __init__(self, training: Training, runs: Runs) -> None:
        self.training = training
        self._errors = tempfile.NamedTemporaryFile()  # noqa: SIM115
        request = {
            "training": training.to_json(),
            "folder": str(runs.path(training)),
            "checkpoint_seconds": runs.checkpoint_seconds,
            "threads": max(1, torch.get_num_threads() // runs.jobs),
            "errors": self._errors.name,
        }
        self._process = _forked().Process(target=_serve, args=(json.dumps(request),), daemon=True)
        self._process.start()

    @property
    def ended(self) -> bool:
        return not self._process.is_alive()

    def fault(self) -> str | None:
        """Why the process failed, None if it did not."""
        status = self._process.exitcode or 0
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self._close()
        if status < 0:
            return f"the process was ended by {signal.Signals(-status).name}"
        return (lines or [f"exit status {status}"])[-1] if status else None

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._close()

    def _close(self) -> None:
        self._process.close()
        self._errors.close()


def _serve(request: str) -> None:
    """What the process does: train what is asked for in JSON; what goes wrong is told in the file of errors."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asked = json.loads(request)
    for path, stream in ((os.devnull, sys.stdout), (asked["errors"], sys.stderr)):
        with Path(path).open("ab") as file:
            os.dup2(file.fileno(), stream.fileno())
    torch.set_num_threads(asked["threads"])
    try:
        perform(Training.from_json(asked["training"]), Path(asked["folder"]), asked["checkpoint_seconds"])
    except NSRError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _end_with_parent() -> None:
    """End this process when the one that asked for it does, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@cache
def _forked() -> ForkServerContext:
    """Where processes come from: one that has imported everything, with libraries that start no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})
    return context


def finished(folder: Path, training: Training) -> bool:
    """Whether a folder has the whole run, of this version of nsr, as it was trained: its lexicon was not edited."""
    if not (folder / "metrics.json").is_file() or _provenance(folder, training) is None:
        return False
    try:
        parse_json((folder / "metrics.json").read_bytes(), folder)
        return edit_notice(folder, read_folder(folder)) is None
    except (OSError, RunError):
        return False


def perform(training: Training, folder: Path, checkpoint_seconds: float = CHECKPOINT_SECONDS) -> None:
    """Train a run in its folder, from its checkpoint if there is one; what else is there is removed.

    Raises:
        NSRError: it cannot be trained, or another process is training it.
    """
    with locked(folder):
        if finished(folder, training):
            return
        provenance, checkpoint = _provenance(folder, training), _checkpoint(folder)
        if provenance is None or checkpoint is None:
            _clear(folder)
            _train(training, folder, [], checkpoint_seconds)
        else:
            _relocate(training, folder, checkpoint)
            _train(training, folder, provenance["sessions"], checkpoint_seconds)


def _train(training: Training, folder: Path, sessions: list[dict[str, Any]], checkpoint_seconds: float) -> None:
    session = asdict(Session(commit(), machine()))
    content = {
        "training": training.identity,
        "format": FORMAT,
        "version": __version__,
        "sessions": [*sessions, session],
    }
    try:
        write_file(folder / PROVENANCE, to_json(content))
    except OSError as error:
        raise unwritable(folder, error) from None
    train(
        training.task,
        training.split,
        seed=training.seed,
        data_dir=training.data_dir,
        out=folder,
        resume=True,
        checkpoint_seconds=checkpoint_seconds,
        from_run=_base(training, folder),
        **training.settings,
    )


def _provenance(folder: Path, training: Training) -> dict[str, Any] | None:
    """What a folder says of its run; None unless it is this training, by this version of nsr."""
    path = folder / PROVENANCE
    try:
        found = parse_json(path.read_bytes(), path)
        found["sessions"] = list(found["sessions"])
        same = (found["training"], found["format"], found["version"]) == (training.identity, FORMAT, __version__)
    except (OSError, RunError, KeyError, TypeError):
        return None
    return found if same else None


def _base(training: Training, folder: Path) -> Path | None:
    """The run that one in this folder builds on."""
    return None if training.base is None else folder.with_name(training.base.name)


def _checkpoint(folder: Path) -> dict[str, bytes] | None:
    """The files of the checkpoint of a run that is not at its end; None if there is none, or it is damaged."""
    path = folder / CHECKPOINT
    try:
        files = None if (folder / "metrics.json").exists() else read_checkpoint(path)
        if files is not None:
            parse_json(files["state.json"], path)
            NSR.of_files(dict(files), path, make_task)
    except (NSRError, KeyError):
        return None
    return files


def _relocate(training: Training, folder: Path, files: dict[str, bytes]) -> None:
    """Tell a checkpoint where the data and the run that it builds on are now; what they are is in the provenance.

    Raises:
        RunError: it cannot be written.
    """
    config, state = (parse_json(files[name], folder / CHECKPOINT / name) for name in ("config.json", "state.json"))
    config["task"]["options"] = _options(training.task, training.settings)
    state["run"]["data_dir"] = training.data_dir
    if training.base is not None:
        state["run"]["from_run"] = str(_base(training, folder))
    told = {**files, "config.json": to_json(config), "state.json": to_json(state)}
    if told != files:
        write_checkpoint(folder / CHECKPOINT, told)


def _clear(folder: Path) -> None:
    """Remove all but the lock."""
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != LOCK:
            each.unlink()
