"""The files that the authors of a task publish: where they are, and what they must be.

``sources.json`` has them by their path below the task's folder. ``sha256``, ``bytes`` and ``lines`` are null where they
are not known.
"""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nsr.errors import ConfigError, reason
from nsr.files import read_file, read_given

MAX_DATA = 2**30  # bytes of one of the authors' files


@dataclass(frozen=True)
class File:
    """What a file must be; what is None is not known."""

    sha256: str | None
    bytes: int | None = None
    lines: int | None = None
    url: str | None = None

    @classmethod
    def of(cls, content: builtins.bytes) -> File:
        """What a file with this content is."""
        return cls(hashlib.sha256(content).hexdigest(), len(content), content.count(b"\n"))

    def fault(self, path: Path) -> str | None:
        """How the file at a path differs, None if it does not.

        Raises:
            DataError: the sha256 that was kept of it cannot be read.
        """
        try:
            found = File.of(read_file(path, MAX_DATA))
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            return f"cannot be read: {reason(error)}"
        for name in ("lines", "bytes"):
            count, wanted = getattr(found, name), getattr(self, name)
            if wanted not in (None, count):
                return f"has {count} {name}, not {wanted}"
        wanted = self.sha256 or kept_sum(path)
        return f"its sha256 is {found.sha256}, not {wanted}" if wanted not in (None, found.sha256) else None


@dataclass(frozen=True)
class Source:
    """Where the data of a task comes from.

    Attributes:
        page: where its authors describe it.
        licence: that of the files; None without any.
        files: by their path below the task's folder.
        published: what the lines of each part are, of tasks that draw the published examples.
    """

    page: str
    licence: str | None
    files: Mapping[str, File]
    published: Mapping[str, File] = field(default_factory=dict)


@cache
def source(task: str) -> Source:
    """The source of a task.

    Raises:
        ConfigError: ``sources.json`` has none.
    """
    content = (resources.files("nsr.tasks") / "sources.json").read_text(encoding="utf-8")
    found = json.loads(content).get(task)
    if found is None:
        raise ConfigError(f"nsr/tasks/sources.json has no entry for task {task!r}; add one, see docs/own-task.md")
    parts = {name: read_files(found.get(name, {})) for name in ("files", "published")}
    return Source(found["page"], found["licence"], parts["files"], parts["published"])


def read_files(data: Mapping[str, Mapping[str, Any]]) -> dict[str, File]:
    """Files by name, of plain data."""
    return {name: File(**each) for name, each in data.items()}


def path_of(task: str, data_dir: Path, name: str) -> Path:
    """Where one of the authors' files is below ``--data-dir``: in a folder of the task's name, unless it is there.

    Each of their folders may be at either place; one that is at none belongs beside those that are there.
    """
    top, own = Path(name).parts[0], data_dir / task
    others = {Path(each).parts[0] for each in source(task).files}
    beside = not (own / top).is_dir() and any((data_dir / each).is_dir() for each in others)
    return (data_dir if (data_dir / top).is_dir() or beside else own) / name


def sum_file(path: Path) -> Path:
    """Where the sha256 of a file is kept of which the published one is not known."""
    return path.with_name(f"{path.name}.sha256")


def kept_sum(path: Path) -> str | None:
    """The sha256 that was kept, None if none was; written like the output of ``sha256sum``.

    Raises:
        DataError: it cannot be read.
    """
    kept = sum_file(path)
    return read_given(kept).decode(errors="replace").partition(" ")[0] if kept.exists() else None
