"""Train a run behind tables in its folder, or find it there.

``provenance.json`` in the folder has what is trained, the version of nsr, and each session of training with its commit
and machine (an interrupted run may have several). ``training.lock`` keeps others out.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nsr._version import __version__
from nsr.errors import NSRError, RunError
from nsr.experiment import CHECKPOINT_SECONDS, train
from nsr.model import NSR
from nsr.model_files import CONFIG
from nsr.reports.measurement import commit, machine
from nsr.reports.trainings import Training, options_of
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
from nsr.tasks import make_task
from nsr.training_run import METRICS, STATE

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Session:
    """A process that trained a run, from its start or from a checkpoint."""

    commit: str
    machine: Mapping[str, Any]


def finished(folder: Path, training: Training) -> bool:
    """Whether a folder has the whole run, of this version of nsr, as it was trained: its lexicon was not edited."""
    if not (folder / METRICS).is_file() or _provenance(folder, training) is None:
        return False
    try:
        parse_json((folder / METRICS).read_bytes(), folder)
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
        files = None if (folder / METRICS).exists() else read_checkpoint(path)
        if files is not None:
            parse_json(files[STATE], path)
            NSR.of_files(dict(files), path, make_task)
    except (NSRError, KeyError):
        return None
    return files


def _relocate(training: Training, folder: Path, files: dict[str, bytes]) -> None:
    """Tell a checkpoint where the data and the run that it builds on are now; what they are is in the provenance.

    Raises:
        RunError: it cannot be written.
    """
    config, state = (parse_json(files[name], folder / CHECKPOINT / name) for name in (CONFIG, STATE))
    config["task"]["options"] = options_of(training.task, training.settings)
    state["run"]["data_dir"] = training.data_dir
    if training.base is not None:
        state["run"]["from_run"] = str(_base(training, folder))
    told = {**files, CONFIG: to_json(config), STATE: to_json(state)}
    if told != files:
        write_checkpoint(folder / CHECKPOINT, told)


def _clear(folder: Path) -> None:
    """Remove all but the lock."""
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != LOCK:
            each.unlink()
