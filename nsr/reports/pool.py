"""The training runs behind tables: each in a folder of its own, trained by a process of its own, and used again."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch

from nsr.errors import NSRError, RunError
from nsr.experiment import CHECKPOINT_SECONDS, load, untrained
from nsr.model import NSR
from nsr.reports.performing import Session, finished, perform
from nsr.reports.trainings import Training
from nsr.runs import PROVENANCE, parse_json
from nsr.training_run import METRICS

POLL = 0.02  # seconds between two looks at the processes


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
        path = self.path(training) / METRICS
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
