"""What others published of the tasks: ``published.json`` has each figure as it was printed, and where.

None of these figures was measured here. They are text, for a table shows them as they stand in their source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Published:
    """Figures of one system, from one place.

    Attributes:
        benchmark: the task, or the table, that they belong to.
        system: its name.
        authors, year, where, url: the source.
        values: percent by split, test or subset of the benchmark, as printed.
    """

    benchmark: str
    system: str
    authors: str
    year: int
    where: str
    url: str
    values: Mapping[str, str]


@cache
def all_published() -> tuple[Published, ...]:
    """Everything there is."""
    text = resources.files("nsr.reports").joinpath("published.json").read_text(encoding="utf-8")
    return tuple(Published(**each) for each in json.loads(text))


def columns(benchmark: str) -> dict[str, Mapping[str, str]]:
    """The figures on a benchmark, by system."""
    return {each.system: each.values for each in all_published() if each.benchmark == benchmark}


def rows(benchmark: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The figures on a benchmark, by system, in the order of ``names``; empty text where there is none."""
    return {system: tuple(values.get(name, "") for name in names) for system, values in columns(benchmark).items()}
