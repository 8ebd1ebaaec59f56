"""Tables of results: what is run for each, and how the rows are written down.

A table is a list of variants (settings) on splits of a task; every cell is the mean over seeds, and the worst seed
stands beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nsr.errors import DataError
from nsr.experiment import train
from nsr.reports.measurement import commit, machine
from nsr.runs import to_json, write_file
from nsr.tasks.scan import SPLITS


@dataclass(frozen=True)
class Variant:
    """One row of a table: a split with settings."""

    label: str
    split: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of one task."""

    task: str
    title: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Outcome:
    """What the runs of a variant gave.

    Attributes:
        variant: what was run.
        data: where the examples came from.
        seeds: as many as there are runs.
        accuracy, answered: percent of the test examples, a run.
        count: test examples.
        learned_from: training examples learned from, a run.
        programs: entries of the lexicon, a run.
        seconds: from the beginning of the training to the metrics, a run.
    """

    variant: Variant
    data: str
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    answered: tuple[float, ...]
    count: int
    learned_from: tuple[int, ...]
    programs: tuple[int, ...]
    seconds: tuple[float, ...]


def _ablations() -> Iterator[Variant]:
    changes = {
        "default": {},
        "no grammar mask": {"grammar_mask": False},
        "identity of symbols always seen": {"embed": "identity"},
        "left-arcs early": {"oracle": "early"},
        "no consistency weighting": {"consistency": 0},
        "Metropolis-Hastings": {"search": "mh"},
    }
    for split in ("addprim_jump", "length"):
        for label, settings in changes.items():
            yield Variant(f"{split}, {label}", split, settings)
    yield Variant("length, no curriculum", "length", {"curriculum": "none"})


TABLES = {
    "scan": Table("scan", "SCAN, word order projective", tuple(Variant(split, split, {}) for split in SPLITS)),
    "scan-raw": Table(
        "scan",
        "SCAN, word order raw (as published)",
        tuple(Variant(split, split, {"word_order": "raw"}) for split in SPLITS),
    ),
    "scan-size": Table(
        "scan",
        "SCAN, accuracy against training size",
        (
            *(Variant(f"length, at most {k} tokens", "length", {"max_tokens": k}) for k in (3, 4, 5)),
            Variant("length, all", "length", {}),
            *(Variant(f"simple, {100 * share:g}%", "simple", {"fraction": share}) for share in (0.01, 0.02, 0.05, 0.1)),
        ),
    ),
    "scan-ablations": Table("scan", "SCAN, ablations", tuple(_ablations())),
}


def reproduce(name: str, seeds: Sequence[int], data_dir: Path | None = None, out: Path | None = None) -> str:
    """Run a table and return it as Markdown, under a line that says where it comes from.

    Args:
        name: one of :data:`TABLES`.
        seeds: of the runs behind each row.
        data_dir: folder of the official files, used for the splits that it has.
        out: folder for ``NAME.md`` and ``NAME.json``.
    """
    table, began = TABLES[name], time.perf_counter()
    outcomes = [run(table, variant, seeds, data_dir) for variant in tqdm(table.variants, name, disable=None)]
    provenance = {"commit": commit(), "machine": machine(), "seconds": round(time.perf_counter() - began, 1)}
    seconds, where = provenance["seconds"], provenance["machine"]
    text = to_markdown(table, outcomes) + (
        f"\nseeds {seeds[0]}-{seeds[-1]}; commit {provenance['commit']}; {where['cpu']}, {where['cores']} cores, "
        f"torch {where['torch']}; {seconds:.0f} s in all\n"
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        rows = [asdict(outcome) for outcome in outcomes]
        write_file(out / f"{name}.json", to_json({"table": table.title, **provenance, "rows": rows}))
        write_file(out / f"{name}.md", text.encode())
    return text


def run(table: Table, variant: Variant, seeds: Sequence[int], data_dir: Path | None) -> Outcome:
    """Train and test a variant once a seed; splits of which ``data_dir`` has no files are generated."""
    models = [_train(table.task, variant, seed, data_dir) for seed in seeds]
    metrics = [model.metrics for model in models]
    return Outcome(
        variant,
        metrics[0]["assumptions"]["data"],
        tuple(seeds),
        tuple(each["test"]["accuracy"] for each in metrics),
        tuple(each["test"]["answered"] for each in metrics),
        metrics[0]["test"]["count"],
        tuple(each["train"]["learned_from"] for each in metrics),
        tuple(len(model.lexicon.entries) for model in models),
        tuple(each["seconds"]["total"] for each in metrics),
    )


def _train(task: str, variant: Variant, seed: int, data_dir: Path | None) -> Any:
    try:
        return train(task, variant.split, seed=seed, data_dir=data_dir, **variant.settings)
    except DataError:
        if data_dir is None:
            raise
        return train(task, variant.split, seed=seed, **variant.settings)


def to_markdown(table: Table, outcomes: Sequence[Outcome]) -> str:
    """The table as Markdown: accuracies in percent, seconds of one run."""
    lines = [
        f"### {table.title}",
        "",
        "| | data | test | seeds | accuracy, mean | worst | answered | programs | learned from | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in outcomes:
        low, high = min(each.learned_from), max(each.learned_from)
        cells = [
            each.variant.label,
            "official" if "files" in each.data else "generated",
            f"{each.count:,}",
            str(len(each.seeds)),
            f"{statistics.mean(each.accuracy):.2f}",
            f"{min(each.accuracy):.2f}",
            f"{statistics.mean(each.answered):.2f}",
            _span(min(each.programs), max(each.programs)),
            _span(low, high),
            f"{statistics.mean(each.seconds):.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"
