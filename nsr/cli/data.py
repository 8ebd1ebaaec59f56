"""``nsr data``: the data of the tasks."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nsr.cli.common import Parser, path, whole
from nsr.errors import DataError

PURPOSE = "List, generate, fetch and verify the data of the tasks."
EXAMPLE = "nsr data list"


class Command(NamedTuple):
    """A command of this group; see :mod:`nsr.cli.main`."""

    PURPOSE: str
    EXAMPLE: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[Namespace], None]


def _add_task(parser: Parser, *, optional: bool = False) -> None:
    from nsr.tasks import TASKS

    known = f"one of: {', '.join(TASKS)}"
    if optional:
        parser.add_argument("task", metavar="TASK", nargs="?", help=f"{known} (default: all)")
    else:
        parser.add_argument("task", metavar="TASK", help=known)


def _add_data_dir(parser: Parser, description: str) -> None:
    from nsr.data import DATA_DIR

    parser.add_argument("--data-dir", metavar="DIR", type=Path, help=f"{description} (default {DATA_DIR})")


def _add_list(parser: Parser) -> None:
    _add_task(parser, optional=True)
    _add_data_dir(parser, "where to look for the authors' files")


def _list(arguments: Namespace) -> None:
    """Print an aspect a line."""
    from nsr.data import DATA_DIR, describe
    from nsr.tasks import TASKS

    for task in TASKS if arguments.task is None else [arguments.task]:
        aspects = describe(task, arguments.data_dir or DATA_DIR)
        print("\n".join([task, *(f"  {aspect:<10}{told}" for aspect, told in aspects.items())]))


def _add_generate(parser: Parser) -> None:
    _add_task(parser)
    parser.add_argument("--split", metavar="S", help="which split (default: the one that is trained by default)")
    parser.add_argument("--seed", metavar="N", type=whole, default=0, help="source of all randomness (default 0)")
    parser.add_argument("--out", metavar="DIR", type=path, required=True, help="folder to write the files to")
    parser.add_argument("--force", action="store_true", help="overwrite files of an earlier call")


def _generate(arguments: Namespace) -> None:
    """Generate, and print what was written."""
    from nsr.data import generate

    for name, count in generate(**vars(arguments)).items():
        print(f"{arguments.out / name}: {count} examples")


def _add_fetch(parser: Parser) -> None:
    _add_task(parser)
    _add_data_dir(parser, "folder to put them in")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _fetch(arguments: Namespace) -> None:
    """Fetch, and print a line for each file as soon as it is there."""
    from nsr.data import DATA_DIR, fetch

    progress = not arguments.quiet and sys.stderr.isatty()
    fetch(arguments.task, arguments.data_dir or DATA_DIR, tell=print, progress=progress)


def _add_verify(parser: Parser) -> None:
    _add_task(parser)
    _add_data_dir(parser, "folder of the authors' files, or of generated ones")


def _verify(arguments: Namespace) -> None:
    """Print how each faulty file differs, then the verdict."""
    from nsr.data import verify

    found = verify(arguments.task, arguments.data_dir)
    if not found.faults:
        unsure = f"; the checksum of {found.unsure} of them is not known" if found.unsure else ""
        print(f"{found.count} {found.kind} are as they must be{unsure}")
        return
    print("\n".join(found.faults), flush=True)
    raise DataError(f"{len(found.faults)} of {found.count} {found.kind} differ or are missing; {found.advice}")


COMMANDS = {
    "list": Command("Print what data the tasks have.", "nsr data list scan", _add_list, _list),
    "generate": Command(
        "Write the examples of a split to files, a line each: input, a tab, output.",
        "nsr data generate scan --split length --out data/generated",
        _add_generate,
        _generate,
    ),
    "fetch": Command("Download the authors' files.", "nsr data fetch scan", _add_fetch, _fetch),
    "verify": Command("Check files against what was published.", "nsr data verify scan", _add_verify, _verify),
}
