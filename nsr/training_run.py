"""A run folder during training: whether it can be used, its checkpoint, the records of its rounds, its results."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nsr.devices import rank
from nsr.errors import RunError
from nsr.learning.config import flat
from nsr.learning.stages import Position
from nsr.model import NSR
from nsr.runs import (
    LOCK,
    PROVENANCE,
    locked,
    parse_json,
    read_checkpoint,
    remove_checkpoint,
    to_json,
    write_checkpoint,
    write_folder,
)
from nsr.semantics.lexicon import Key
from nsr.tasks import make_task

METRICS, HISTORY = "metrics.json", "history.jsonl"
STATE = "state.json"  # of a checkpoint: where the training stands


class Run:
    """A run folder during training."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        self.identity = identity
        self.checkpoint = folder / "checkpoint"
        self.history: list[dict[str, Any]] = []  # of the checkpoint that was restored

    def finished(self, resume: bool) -> bool:
        """Whether the run is complete already.

        Raises:
            RunError: it is no folder, it is not empty and not to be resumed, or it is and holds no run.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{self.folder} is not a folder")
        used = self.folder.exists() and any(each.name != LOCK for each in self.folder.iterdir())
        if used and not resume:
            raise RunError(f"{self.folder} is not empty; continue it with --resume, or choose another folder")
        if used and not self._begun():
            raise RunError(f"{self.folder} holds no run to resume; choose another folder")
        return resume and (self.folder / METRICS).is_file()

    def _begun(self) -> bool:
        """Whether what the folder holds was written by a run."""
        written = (self.folder / name for name in (METRICS, PROVENANCE, LOCK))
        return any(each.is_file() for each in written) or any(self.folder.glob("checkpoint*"))

    def tidy(self) -> None:
        """Remove from a finished run what a kill has left.

        Raises:
            RunError: another process is in it.
        """
        remove_checkpoint(self.checkpoint)
        if (self.folder / LOCK).exists():
            with locked(self.folder):
                pass

    def restore(self, model: NSR) -> tuple[Position | None, float]:
        """Put the model into the state of the checkpoint.

        Returns:
            the next round (None if there is no checkpoint), and the seconds that were spent before.

        Raises:
            RunError: the checkpoint is damaged or belongs to other settings.
        """
        files = read_checkpoint(self.checkpoint)
        if files is None:
            return None, 0.0
        state = parse_json(files.pop(STATE, b""), self.checkpoint / STATE)
        saved = NSR.of_files(files, self.checkpoint, make_task)
        try:
            return self._restore(model, saved, state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{self.checkpoint / STATE} is damaged: {error!r}; train again") from None

    def _restore(self, model: NSR, saved: NSR, state: dict[str, Any]) -> tuple[Position, float]:
        """Put the model into a state; see :meth:`restore`."""
        self.require_same(state["run"], saved, model)
        model.adopt(saved)
        entries = {
            Key(symbol, arity): replace(saved.lexicon.entries[Key(symbol, arity)], agreement=agreement, support=support)
            for symbol, arity, agreement, support in state["entries"]
        }
        model.modules.lexicon = replace(saved.lexicon, entries=entries)
        model.clock.seconds = dict(state["seconds"])
        model.learned_from = set(state["learned_from"])
        self.history = list(state["history"])
        position = Position(**state["position"])
        if any(type(getattr(position, each.name)) is not type(each.default) for each in fields(position)):
            raise TypeError("a position of other kinds")
        return position, float(state["total"])

    def require_same(self, run: dict[str, Any], saved: NSR, model: NSR) -> None:
        """Refuse to continue a run as if it were another.

        Args:
            run: its task, split, seed and, where it is known, data folder; without ``from_run``, it built on none.
            saved: its model.
            model: what is wanted.

        Raises:
            RunError: they differ in a setting.
        """
        alone = {"from_run": None}
        found = {**alone, **run, **flat(saved.config.to_json()), **saved.required_task.assumptions()}
        wished = {**alone, **self.identity, **flat(model.config.to_json()), **model.required_task.assumptions()}
        self.require_settings(found, wished)

    def require_settings(self, found: Mapping[str, Any], wished: Mapping[str, Any]) -> None:
        """Refuse to continue a run with other settings than those ``found`` in it, by name.

        Raises:
            RunError: they differ in one.
        """
        for name, wanted in wished.items():
            if found.get(name, wanted) != wanted:
                raise RunError(
                    f"{self.folder} was begun with {name} = {found[name]!r}, not {wanted!r}; choose another folder"
                )

    def save(self, model: NSR, position: Position, records: list[dict[str, Any]], total: float) -> None:
        """Write a checkpoint: the model and the state of its training."""
        state = {
            "run": self.identity,
            "position": asdict(position),
            "entries": [[*key, entry.agreement, entry.support] for key, entry in model.modules.lexicon.entries.items()],
            "seconds": model.clock.seconds,
            "total": total,
            "learned_from": sorted(model.learned_from),
            "history": records,
        }
        write_checkpoint(self.checkpoint, {**model.files(), STATE: to_json(state)})

    def finish(self, model: NSR, records: list[dict[str, Any]]) -> None:
        """Write the model, the history and, last, the metrics; then drop the checkpoint."""
        write_results(self.folder, model.files(), records, model.metrics)
        remove_checkpoint(self.checkpoint)


def write_results(
    folder: Path, files: Mapping[str, bytes], records: list[dict[str, Any]], metrics: dict[str, Any]
) -> None:
    """Write the files of a finished run, the metrics last, and the checksums of all.

    Raises:
        RunError: the folder cannot be written.
    """
    lines = "".join(json.dumps(record) + "\n" for record in records)
    provenance = folder / PROVENANCE
    told = {PROVENANCE: provenance.read_bytes()} if provenance.is_file() else {}
    write_folder(folder, {**files, **told, HISTORY: lines.encode(), METRICS: to_json(metrics)})


class History:
    """Collects the records of rounds, shows them, and writes checkpoints.

    Args:
        model: what is trained.
        run: where checkpoints go; None to keep nothing.
        began: when training began, by ``time.perf_counter``, had it not been interrupted.
        checkpoint_seconds: time between two checkpoints.
        progress: show a progress bar on stderr.
    """

    def __init__(self, model: NSR, run: Run | None, began: float, checkpoint_seconds: float, progress: bool) -> None:
        self.model = model
        self.run = run
        self.began = began
        self.checkpoint_seconds = checkpoint_seconds
        self.records: list[dict[str, Any]] = [] if run is None else run.history
        self.saved = time.perf_counter()
        self.bar = tqdm(
            disable=not progress or rank() > 0, unit=" rounds", file=sys.stderr, desc="learning", leave=False
        )

    def __enter__(self) -> History:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def add(self, position: Position, record: dict[str, Any]) -> None:
        """Take the record of a round; ``position`` is the next one."""
        self.records.append(record)
        self.bar.update()
        self.bar.set_postfix(tokens=record["tokens"], accuracy=f"{100 * record['accuracy']:.1f}%")
        now = time.perf_counter()
        if self.run is not None and rank() == 0 and now - self.saved >= self.checkpoint_seconds:
            self.run.save(self.model, position, self.records, now - self.began)
            self.saved = now
