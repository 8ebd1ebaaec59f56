"""The data of the tasks: what there is, writing it to files, fetching the authors' files, and checking all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nsr.errors import ConfigError, DataError, reason
from nsr.files import read_file
from nsr.runs import to_json, write_file, write_files
from nsr.tasks import make_task
from nsr.tasks.pairs import format_pairs
from nsr.tasks.sources import File, path_of, read_files, source, sum_file
from nsr.tasks.task import Examples, Task

DATA_DIR = Path("data")
LISTING = "data.json"  # says what the generated files beside it are
PARTS = ("train", "validation", "test")


def describe(task: str, data_dir: Path = DATA_DIR) -> dict[str, str]:
    """What data a task has, by aspect.

    Raises:
        ConfigError: there is no such task.
    """
    made, found = make_task(task), source(task)
    if made.own:
        return {"splits": ", ".join(made.splits), "files": "your own", "page": found.page}
    told = {"splits": ", ".join(made.splits), "generate": f"nsr data generate {task} --out DIR"}
    if made.cache_file is not None:
        told["cache"] = f"{made.cache_file}{'' if made.cache_file.exists() else ' (not there yet)'}"
    if not found.files:
        return told | {"fetch": "not needed: the published examples are generated", "page": found.page}
    size = sum(file.bytes or 0 for file in found.files.values())
    known = sum(file.sha256 is not None for file in found.files.values())
    complete = "" if all(file.bytes for file in found.files.values()) else "more than "
    paths = {name: path_of(task, data_dir, name) for name in found.files}
    roots = dict.fromkeys(str(path.parents[len(Path(name).parts) - 1]) for name, path in paths.items())
    present = sum(path.is_file() for path in paths.values())
    return told | {
        "fetch": f"nsr data fetch {task}",
        "page": found.page,
        "files": f"{len(found.files)}, {complete}{_megabytes(size)}; {known} with a known checksum",
        "licence": str(found.licence),
        "present": f"{present} of {len(found.files)} in {' and '.join(roots)}",
    }


def generate(task: str, out: Path, *, split: str | None = None, seed: int = 0, force: bool = False) -> dict[str, int]:
    """Write the examples of a split, ``train.tsv`` and so on, and what they are, ``data.json``.

    Returns:
        the number of examples of each file.

    Raises:
        ConfigError: there is no such task or split, or one of the files exists and is not to be overwritten, or is a
            folder.
        DataError: the folder cannot be written; what there was stays as it was.
    """
    made = _published(task)
    split = split or made.default_split
    taken = [out / name for name in (*map(_tsv, PARTS), LISTING) if (out / name).exists()]
    if taken and not force:
        raise ConfigError(f"{taken[0]} exists; overwrite it with --force, or choose another folder")
    for path in taken:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; remove it, or choose another folder")
    data = made.load(split, seed=seed)
    parts = {part: examples for part in PARTS if (examples := getattr(data, part)) is not None}
    contents = {_tsv(part): _to_tsv(made, examples) for part, examples in parts.items()}
    listing = {"task": task, "split": split, "seed": seed, "source": data.source}
    contents[LISTING] = to_json(listing | {"files": {name: _entry(content) for name, content in contents.items()}})
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_files(out, contents)
        for path in taken:
            if path.name not in contents:
                path.unlink()
    except OSError as error:
        raise DataError(f"{out} cannot be written: {reason(error)}") from None
    return {_tsv(part): len(examples) for part, examples in parts.items()}


def fetch(
    task: str,
    data_dir: Path = DATA_DIR,
    *,
    tell: Callable[[str], None] = lambda line: None,
    progress: bool = False,
    pause: float = 1.0,
) -> None:
    """Download those of the authors' files that are not there, or not as published.

    Args:
        task: whose files.
        data_dir: where they go, as ``--data-dir`` expects them.
        tell: is called with a line for each file.
        progress: show a bar on stderr.
        pause: seconds before a failed transfer is tried again.

    Raises:
        ConfigError: there is no such task, or pooch is not installed.
        DataError: a file cannot be fetched or written, or is not the published one.
    """
    from nsr.download import download

    _published(task)
    files = source(task).files
    if not files:
        tell(f"{task} needs no download: its published examples are generated")
        return
    for name, file in files.items():
        path = path_of(task, data_dir, name)
        if file.fault(path) is None:
            tell(f"{path}: already there")
            continue
        download(file, path, progress=progress, pause=pause)
        tell(f"{path}: fetched, {_megabytes(path.stat().st_size)}{'' if file.sha256 else _keep_sum(path)}")


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        count: how many things were checked.
        kind: what they are.
        faults: how each faulty one differs.
        advice: what to do if there are any.
        unsure: of how many no checksum is known.
    """

    count: int
    kind: str
    faults: tuple[str, ...]
    advice: str
    unsure: int = 0


def verify(task: str, data_dir: Path | None = None) -> Verdict:
    """Check data: generated files if ``data_dir`` holds some, else the authors' files, else what the task generates.

    Raises:
        ConfigError: there is no such task.
        DataError: the folder holds generated files of another task, their listing is damaged, or the task has no files.
    """
    made = _published(task)
    if data_dir is not None and (data_dir / LISTING).exists():
        files, command = _read_listing(task, data_dir / LISTING)
        return _verdict({data_dir / name: file for name, file in files.items()}, f"generated files of {task}", command)
    found = source(task)
    if found.files:
        paths = {path_of(task, data_dir or DATA_DIR, name): file for name, file in found.files.items()}
        command = f"nsr data fetch {task}" + (f" --data-dir {data_dir}" if data_dir else "")
        return _verdict(paths, f"files of {task}", f"{command} gets the published ones")
    if data_dir is not None:
        raise DataError(f"{data_dir} holds no {LISTING}: {task} reads no other files; leave out --data-dir")
    faults = tuple(made.faults())
    kind = f"parts of {task} (its cache, and what it generates)"
    return Verdict(1 + len(found.published), kind, faults, f"delete {made.cache_file} and verify again")


def _published(name: str) -> Task:
    """The task of this name, whose data are not the user's own.

    Raises:
        ConfigError: there is no such task, or its data are.
    """
    task = make_task(name)
    if task.own:
        raise ConfigError(f"the data of {name} are your own files; there is nothing to generate, fetch or verify")
    return task


def _verdict(files: Mapping[Path, File], kind: str, advice: str) -> Verdict:
    """How files differ from what they must be."""
    faults = {path: file.fault(path) for path, file in files.items()}
    named = tuple(f"{path}: {fault}" for path, fault in faults.items() if fault)
    return Verdict(len(files), kind, named, advice, sum(file.sha256 is None for file in files.values()))


def _tsv(part: str) -> str:
    return f"{part}.tsv"


def _entry(content: bytes) -> dict[str, Any]:
    """What a listing says of a file."""
    return {name: value for name, value in asdict(File.of(content)).items() if value is not None}


def _to_tsv(task: Task, examples: Examples) -> bytes:
    """Examples as a file of pairs."""
    return format_pairs(
        (task.spell(tokens), " ".join(value) if isinstance(value, tuple) else str(value)) for tokens, value in examples
    )


def _read_listing(task: str, path: Path) -> tuple[dict[str, File], str]:
    """The generated files of a task, by name, and the advice if they differ."""
    try:
        listing: dict[str, Any] = json.loads(read_file(path))
        files = read_files(listing["files"])
        command = f"nsr data generate {listing['task']} --split {listing['split']} --seed {listing['seed']}"
        known = set(files) <= set(map(_tsv, PARTS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known = False
    if not known:
        raise DataError(f"{path} is damaged; generate the data again")
    if listing["task"] != task:
        raise DataError(f"{path.parent} holds data of {listing['task']}, not of {task}")
    return files, f"{command} --out {path.parent} --force writes them again"


def _keep_sum(path: Path) -> str:
    """Keep the sha256 of a file whose checksum is not known; returns what to say of it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write_file(sum_file(path), f"{digest}  {path.name}\n".encode())
    return f", unverified: its checksum is not known, the one it has is kept in {sum_file(path).name}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
