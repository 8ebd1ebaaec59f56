"""The training runs behind tables: each in a folder of its own, trained by a process of its own, and used again.

The name of a folder ends with a digest of the task, its options, the data and all settings as they take effect, so that
tables share runs and no run is taken for another. ``provenance.json`` in it has these, the version of nsr, and each
session of training with its commit and machine (an interrupted run may have several). ``lock`` keeps others out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import IO, Any

import torch

from nsr._version import __version__
from nsr.errors import MissingDataError, NSRError, RunError
from nsr.experiment import CHECKPOINT_SECONDS, load, train, untrained
from nsr.model import NSR
from nsr.reports.measurement import commit, machine
from nsr.runs import FORMAT, PROVENANCE, parse_json, read_checkpoint, read_folder, to_json, write_file
from nsr.tasks import make_task

LOCK = "lock"
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
        found = {
            "task": self.task,
            "split": self.split,
            "seed": self.seed,
            "data_dir": self.data_dir,
            "base": None if self.base is None else self.base.name,
            "options": model.task.assumptions(),
            "settings": model.config.to_json(),
        }
        return json.loads(json.dumps(found))

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


def trainings_of(
    task: str,
    split: str,
    seeds: Iterable[int],
    settings: Mapping[str, Any],
    data_dir: Path | None = None,
) -> list[Training]:
    """A training a seed, on official files if ``data_dir`` has those of the split, else on generated data.

    Raises:
        ConfigError: there is no such task, split or setting.
        DataError: there are official files, and they are malformed.
    """
    options = untrained(task, 0, settings).task.assumptions()
    official = data_dir is not None and _has_files(task, split, data_dir, tuple(options.items()))
    return [Training(task, split, seed, settings, str(data_dir) if official else None) for seed in seeds]


@cache
def _has_files(task: str, split: str, data_dir: Path, options: tuple[tuple[str, Any], ...]) -> bool:
    try:
        make_task(task, **dict(options)).load(split, data_dir=data_dir)
    except MissingDataError:
        return False
    return True


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

    def path(self, training: Training) -> Path:
        """The folder of a run."""
        return self.folder / training.name

    def load(self, training: Training) -> NSR:
        """The model of a run.

        Raises:
            RunError: it failed, or it was never trained.
        """
        if training.name in self.failures:
            raise RunError(f"seed {training.seed}: {self.failures[training.name]}")
        return load(self.path(training))

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

    def complete(self, trainings: Iterable[Training]) -> None:
        """Train what is not finished; what fails is in ``failures``, and is not tried again."""
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
            while waiting or processes:
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
    """A process that trains a run; it ends when this process does."""

    def __init__(self, training: Training, runs: Runs) -> None:
        self.training = training
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        request = {
            "training": training.to_json(),
            "folder": str(runs.path(training)),
            "checkpoint_seconds": runs.checkpoint_seconds,
        }
        threads = str(max(1, torch.get_num_threads() // runs.jobs))
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nsr.reports.worker", json.dumps(request)],
            stdin=subprocess.PIPE,  # closed when this process ends, however it does
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env={**os.environ, **limits},
        )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def fault(self) -> str | None:
        """Why the process failed, None if it did not."""
        status = self._process.returncode
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self._close()
        if status < 0:
            return f"the process was ended by {signal.Signals(-status).name}"
        return (lines or [f"exit status {status}"])[-1] if status else None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._process.stdin.close()
        self._errors.close()


def finished(folder: Path, training: Training) -> bool:
    """Whether a folder has the whole run, of this version of nsr."""
    if not (folder / "metrics.json").is_file() or _provenance(folder, training) is None:
        return False
    try:
        read_folder(folder)
        parse_json((folder / "metrics.json").read_bytes(), folder)
    except RunError:
        return False
    return True


def perform(training: Training, folder: Path, checkpoint_seconds: float = CHECKPOINT_SECONDS) -> None:
    """Train a run in its folder, from its checkpoint if there is one; what else is there is removed.

    Raises:
        NSRError: it cannot be trained, or another process is training it.
    """
    with _locked(folder):
        if finished(folder, training):
            return
        provenance, whole = _provenance(folder, training), _has_checkpoint(folder)
        sessions = provenance["sessions"] if provenance is not None and whole else []
        if sessions:
            try:
                _train(training, folder, sessions, checkpoint_seconds)
                return
            except RunError:  # the checkpoint is damaged
                pass
        _clear(folder)
        _train(training, folder, [], checkpoint_seconds)


def _train(training: Training, folder: Path, sessions: list[dict[str, Any]], checkpoint_seconds: float) -> None:
    session = asdict(Session(commit(), machine()))
    content = {
        "training": training.identity,
        "format": FORMAT,
        "version": __version__,
        "sessions": [*sessions, session],
    }
    write_file(folder / PROVENANCE, to_json(content))
    train(
        training.task,
        training.split,
        seed=training.seed,
        data_dir=training.data_dir,
        out=folder,
        resume=True,
        checkpoint_seconds=checkpoint_seconds,
        from_run=None if training.base is None else folder.with_name(training.base.name),
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


def _has_checkpoint(folder: Path) -> bool:
    try:
        return read_checkpoint(folder / "checkpoint") is not None
    except NSRError:
        return False


def _clear(folder: Path) -> None:
    """Remove all but the lock."""
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != LOCK:
            each.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the system takes the lock from a process that ends.

    Raises:
        RunError: another process is in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"another process is training {folder}; wait for it, or choose another --runs") from None
        yield
