"""The figures of a table as flat records, a row and seed each, and these as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from nsr.reports.pool import Runs
from nsr.reports.tables import Failed
from nsr.reports.trainings import Training

LEFT_OUT = ("variant", "measure", "settings", "assumptions", "seeds", "label")  # of rows: in the JSON

Record = dict[str, Any]


def records(rows: Sequence[Any], trainings: Mapping[str, Sequence[Training]], runs: Runs) -> list[Record]:
    """What is known of each row and seed.

    Args:
        rows: of a table; tuples as long as the row's ``seeds`` have a value a seed, and texts in mappings are of the
            first seed.
        trainings: by the label of a row the runs, one a seed, whose metrics belong to it.
        runs: has them.

    Returns:
        a record has ``label`` and ``seed``, and of runs ``accuracy`` (percent, likewise each subset), ``seconds``,
        ``memory`` (MB), ``used``, ``learned_from``, seconds by phase, and where the run is and at which commits it was
        made; of a row that failed, ``failed``.
    """
    found = []
    for row in rows:
        if isinstance(row, Failed):
            found.append({"label": row.label, "seed": "", "failed": row.failed})
            continue
        seeds, behind = getattr(row, "seeds", ("",)), trainings.get(row.label, ())
        for place, seed in enumerate(seeds):
            of_run = _of_run(behind[place], runs) if behind else {}
            of_row = {
                name: value
                for each in fields(row)
                if each.name not in LEFT_OUT
                for name, value in _columns(each.name, getattr(row, each.name), place, len(seeds))
            }
            found.append({"label": row.label, "seed": seed, **of_run, **of_row})
    return found


def to_csv(flat: Sequence[Record]) -> bytes:
    """Records as CSV in UTF-8 with a column for each name that occurs."""
    names = dict.fromkeys(name for record in flat for name in record)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue().encode()


def _of_run(training: Training, runs: Runs) -> Record:
    metrics = runs.metrics(training)
    seconds = dict(metrics["seconds"])
    commits = dict.fromkeys(each.commit for each in runs.sessions(training))
    return {
        "accuracy": metrics["test"]["accuracy"],
        "seconds": seconds.pop("total"),
        "memory": metrics["peak_memory_mb"],
        "used": metrics["train"]["used"],
        "learned_from": metrics["train"]["learned_from"],
        "commit": " ".join(commits),
        "run": training.name,
        **{f"seconds {phase}": value for phase, value in seconds.items()},
        **metrics["test"]["subsets"],
    }


def _columns(name: str, value: Any, place: int, count: int) -> Iterator[tuple[str, Any]]:
    """A field of a row as columns: what it has for one seed, a column for each key of a mapping."""
    if isinstance(value, tuple) and len(value) == count:
        each = value[place]
        yield from each.items() if isinstance(each, Mapping) else [(name, each)]
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if place == 0 or not isinstance(each, str):
                yield from _columns(f"{name} {key}", each, place, count)
    else:
        yield name, value
