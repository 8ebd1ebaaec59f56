"""Measurements: timing functions and processes, and reporting what was timed beside a reference, and where."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from nsr.errors import RunError
from nsr.runs import unwritable, write_files

LONG = 10.0  # seconds of runs that are enough for a median

Result = TypeVar("Result")


@dataclass(frozen=True)
class Measurement:
    """Something that was timed.

    Attributes:
        group: what kind of thing; "reference" for the one that others are compared with.
        name: what was done.
        runs: the seconds of each run.
        count: how many of ``unit`` were done in each run; 0 where nothing is counted.
        unit: "sentences", "terms", ...
        facts: what else to know of it, by name and unit.
    """

    group: str
    name: str
    runs: tuple[float, ...]
    count: int = 0
    unit: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Median of the runs."""
        return statistics.median(self.runs)

    @property
    def per_second(self) -> float | None:
        """Speed, in units a second; None where nothing is counted."""
        return self.count / self.seconds if self.count else None


@dataclass(frozen=True)
class Report:
    """The outcome of a benchmark.

    Attributes:
        title: what was measured.
        provenance: commit, seed, date, machine, settings, and the seconds of the whole benchmark.
        sections: measurements by heading.
    """

    title: str
    provenance: Mapping[str, Any]
    sections: Mapping[str, Sequence[Measurement]]

    @property
    def measurements(self) -> list[Measurement]:
        """All measurements."""
        return [each for section in self.sections.values() for each in section]

    def group(self, name: str) -> list[Measurement]:
        """The measurements of a group."""
        return [each for each in self.measurements if each.group == name]

    def ratio(self, measurement: Measurement) -> float | None:
        """Its seconds over those of the reference; None without reference."""
        reference = self.group("reference")
        return measurement.seconds / reference[0].seconds if reference else None

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        measured = [
            {
                **asdict(each),
                "seconds": each.seconds,
                "per_second": each.per_second,
                "ratio_to_reference": self.ratio(each),
            }
            for each in self.measurements
        ]
        return {"benchmark": self.title, **self.provenance, "measurements": measured}

    def to_markdown(self) -> str:
        """The report as tables under a line that says where it comes from."""
        parts = [f"# Benchmark: {self.title}", self.caption()]
        for heading, measurements in self.sections.items():
            parts += [f"## {heading}", self._table(measurements)]
        return "\n\n".join(parts) + "\n"

    def caption(self) -> str:
        """Where the figures come from, in one line."""
        source, machine = self.provenance, self.provenance["machine"]
        return (
            f"commit {source['commit']}, seed {source['seed']}, {source['date']}, {source['seconds']:.0f} s; "
            f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}, torch {machine['torch']} "
            f"({machine['threads']} threads); median of up to {source['settings']['repeats']}"
        )

    def _table(self, measurements: Sequence[Measurement]) -> str:
        rows = [
            (
                each.name,
                f"{each.count:,} {each.unit}" if each.count else "",
                _significant(each.seconds),
                _significant(each.per_second),
                _significant(self.ratio(each)),
                ", ".join(f"{_significant(value)} {name}" for name, value in each.facts.items()),
            )
            for each in measurements
        ]
        header = ("what", "amount", "seconds", "a second", "÷ reference epoch", "with")
        return grid(header, rows, aligned=True)


@dataclass(frozen=True)
class ProcessRun:
    """A process that has ended well."""

    seconds: float
    peak_mb: float
    output: str


# Linux hands a process's peak memory down to the programs it starts, so a process that uses hardly any starts the one
# that is measured.
_LAUNCHER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
json.dump([done.returncode, seconds, peak, done.stdout, done.stderr], sys.stdout)
"""


def run_process(command: Sequence[str]) -> ProcessRun:
    """Run a command and measure it from outside.

    Raises:
        RunError: it failed; the message has the last line it wrote on stderr.
    """
    launched = subprocess.run([sys.executable, "-ISc", _LAUNCHER, *command], capture_output=True, text=True, check=True)
    status, seconds, peak, output, errors = json.loads(launched.stdout)
    if status:
        reason = errors.strip().splitlines()[-1:] or [f"exit status {status}"]
        raise RunError(f"{' '.join(command)} failed: {reason[0]}")
    return ProcessRun(seconds, peak / (2**20 if sys.platform == "darwin" else 2**10), output)


def timed(
    work: Callable[[Any], Result], repeats: int, prepare: Callable[[], Any] = lambda: None
) -> tuple[tuple[float, ...], Result]:
    """The seconds that each of several runs takes, and what the last one returned; preparing a run is not counted.

    No further run is begun after ``LONG`` seconds.
    """
    runs = []
    for _ in range(repeats):
        prepared = prepare()
        began = time.perf_counter()
        result = work(prepared)
        runs.append(time.perf_counter() - began)
        if sum(runs) > LONG:
            break
    return tuple(runs), result


def write_outputs(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what was measured into a folder, which is made if need be; all files or none.

    Raises:
        RunError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, files)
    except OSError as error:
        raise unwritable(folder, error) from None


def commit() -> str:
    """The commit of the source this runs from, with ``-dirty`` where the package differs from it, or ``unknown``."""
    package = Path(__file__).parents[1]

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", package, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    """What speed depends on; ``load`` is the machine's average over the minute before, 0 when it was idle."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _significant(number: float | None) -> str:
    """A number with three digits that count; nothing for None."""
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]], *, aligned: bool = False) -> str:
    """A table in Markdown; cells that a row lacks at its end are empty. Aligned, it can also be read as text."""
    full = [(*cells, *[""] * (len(header) - len(cells))) for cells in (header, *rows)]
    if not aligned:
        lines = ["".join(f"| {cell} " if cell else "| " for cell in cells) + "|" for cells in full]
        return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])
    widths = [max(3, *map(len, column)) for column in zip(*full, strict=True)]
    full.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "".join(f"| {cell:<{width}} " for cell, width in zip(cells, widths, strict=True)) + "|" for cells in full
    )
