"""The benchmarks, each one file, and the table of their names."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from nsr.errors import ConfigError, did_you_mean
from nsr.tasks.hint import Hint
from nsr.tasks.pairs import Pairs
from nsr.tasks.pcfg import Pcfg
from nsr.tasks.scan import Scan
from nsr.tasks.task import Dataset, Examples, Task

__all__ = ["TASKS", "Dataset", "Examples", "Hint", "Pairs", "Pcfg", "Scan", "Task", "make_task"]

TASKS: dict[str, type[Task]] = {"scan": Scan, "pcfg": Pcfg, "hint": Hint, "pairs": Pairs}


def make_task(name: str, **options: Any) -> Task:
    """The task of this name with these options.

    Raises:
        ConfigError: there is no such task, no such option, or an option cannot have this value.
    """
    if name not in TASKS:
        raise ConfigError(f"unknown task {name!r}; {did_you_mean(name, TASKS, 'tasks')}")
    known = {field.name: field.default for field in fields(TASKS[name])}
    for option, value in options.items():
        if option not in known:
            raise ConfigError(f"task {name!r} has no option {option!r}; {did_you_mean(option, known, 'options')}")
        kind: type = type(known[option])
        allowed: dict[type, tuple[type, ...]] = {str: (str, Path), float: (float, int)}
        if not isinstance(value, allowed.get(kind, kind)) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"option {option!r} must be of the kind of {known[option]!r}, not {value!r}")
    return TASKS[name](
        **{option: str(value) if isinstance(value, Path) else value for option, value in options.items()}
    )
