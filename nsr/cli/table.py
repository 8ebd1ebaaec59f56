"""``nsr table``: the tables of results, trained, measured, written down and drawn."""

from __future__ import annotations

import argparse
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from nsr.cli.common import Parser, number, path, whole
from nsr.errors import ConfigError, RunError, reason

PURPOSE = "Train and measure what tables of results show, and print them; runs that are finished are used again."
EXAMPLE = "nsr table scan --seeds 5 --jobs 2 --out results"
RUNS = Path("runs/tables")
INCOMPLETE = 1


def add_arguments(parser: Parser) -> None:
    """The tables, the seeds, and where everything is."""
    from nsr.experiment import CHECKPOINT_SECONDS

    parser.add_argument("tables", metavar="NAME", nargs="*", help="a table or a group of tables; --list has them")
    parser.add_argument("--list", action="store_true", help="print the groups and their tables, and end")
    parser.add_argument("--seeds", metavar="N", type=_positive, default=5, help="seeds 0 to N - 1 (default 5)")
    parser.add_argument(
        "--jobs", metavar="N", type=_positive, default=1, help="runs trained at once, sharing the threads (default 1)"
    )
    parser.add_argument("--data-dir", metavar="DIR", type=Path, help="read the authors' files that there are below it")
    parser.add_argument("--out", metavar="DIR", type=path, help="write NAME.md, .json, .csv and plots (.png) there")
    parser.add_argument(
        "--runs", metavar="DIR", type=path, default=RUNS, help=f"where the runs are kept (default {RUNS})"
    )
    parser.add_argument(
        "--checkpoint-seconds",
        metavar="X",
        type=number,
        default=CHECKPOINT_SECONDS,
        help=f"time between two checkpoints (default {CHECKPOINT_SECONDS:g})",
    )
    parser.add_argument("--no-plots", action="store_true", help="draw nothing; without it, --out needs matplotlib")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: Namespace) -> int:
    """Make the tables one after the other; returns the exit status, 1 if a row failed."""
    from tqdm import tqdm

    from nsr.reports.plots import require_matplotlib
    from nsr.reports.pool import Runs
    from nsr.reports.reproduction import GROUPS, TABLES, reproduce, tables_of
    from nsr.reports.table_plots import PLOTS

    if arguments.list:
        print("\n".join(f"{group:<10} {' '.join(tables)}" for group, tables in GROUPS.items()))
        return 0
    if not arguments.tables:
        raise ConfigError(f"name a group or a table; groups: {', '.join(GROUPS)}; --list has the tables")
    names, seeds = tables_of(arguments.tables), range(arguments.seeds)
    if arguments.data_dir is not None and not arguments.data_dir.is_dir():
        raise ConfigError(f"{arguments.data_dir} is not a folder; name that of the authors' files by --data-dir")
    plots = not arguments.no_plots
    if plots and arguments.out is not None and any(name in PLOTS for name in names):
        require_matplotlib()
    trainings = {
        each.name: each
        for name in names
        for row in TABLES[name].trainings(seeds, arguments.data_dir).values()
        for last in row
        for each in last.lineage
    }
    for option, folder in (("--out", arguments.out), ("--runs", arguments.runs)):
        if folder is not None:
            _make(folder, option)
    failed = 0
    with tqdm(
        total=len(trainings), unit=" runs", file=sys.stderr, disable=arguments.quiet or not sys.stderr.isatty()
    ) as bar:
        runs = Runs(arguments.runs, arguments.jobs, lambda training: bar.update(), arguments.checkpoint_seconds)
        try:
            with runs.ahead(trainings.values()):
                for name in names:
                    bar.set_description(name)
                    made = reproduce(name, seeds, runs, arguments.data_dir, arguments.out, plots=plots)
                    bar.clear()
                    print(made.text, flush=True)
                    failed += made.failed
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command continues") from None
    if failed:
        print(f"nsr table: rows that failed: {failed}; the tables say why", file=sys.stderr)
    return INCOMPLETE if failed else 0


def _make(folder: Path, option: str) -> None:
    """Make a folder, so that it is known before the training that files can be written to it.

    Raises:
        RunError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise RunError(f"{folder} is not a folder; choose another one by {option}") from None
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {reason(error)}; choose another one by {option}") from None


def _positive(text: str) -> int:
    """A whole number, 1 or more."""
    value = whole(text)
    if not value:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
