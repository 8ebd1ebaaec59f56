"""What is trained behind tables: a task, a split, a seed, settings and data, and what tells one such run from another.

The name of a run ends with a digest of the task, its options, the data and all settings as they take effect, so that
tables share runs and no run is taken for another; of files counts what is in them, not where they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from nsr.errors import MissingDataError
from nsr.experiment import untrained
from nsr.tasks import make_task, pcfg
from nsr.tasks.sources import path_of, source

DRAWN = "strokes"  # images of no file
TENTH = "10k"  # folder of the training examples of PCFG SET where a split has none of its own


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

    @cached_property
    def images(self) -> Path | None:
        """The file that images are read from; None where they are drawn, or there are none."""
        options = options_of(self.task, self.settings)
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


def options_of(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
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
    options = tuple(options_of(task, settings).items())
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
    found = [path for name in names if (path := path_of(task, data_dir, name)).exists()]
    if task == "pcfg" and found and not path_of(task, data_dir, f"{own}/train.src").exists():
        found += [path_of(task, data_dir, f"{TENTH}/{name}") for name in ("train.src", "train.tgt")]
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
