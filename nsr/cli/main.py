"""The command ``nsr``: finds the sub-command, and shows every error a user can cause as one line.

A sub-command is a module with ``PURPOSE``, ``EXAMPLE``, ``add_arguments(parser)`` and ``run(arguments)``, which may
return an exit status. It imports what is heavy inside these functions, so that ``nsr --help`` answers at once. One with
``COMMANDS`` is a group of such.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nsr._version import __version__
from nsr.cli import data, evaluate, explain, export, predict, table, train, train_baseline
from nsr.cli.common import Parser, UsageError
from nsr.errors import NSRError, did_you_mean, reason

COMMANDS = {
    "train": train,
    "train-baseline": train_baseline,
    "evaluate": evaluate,
    "predict": predict,
    "explain": explain,
    "export": export,
    "table": table,
    "data": data,
}


class Group(NamedTuple):
    """Sub-commands under one name; a module with these is one, too."""

    PURPOSE: str
    EXAMPLE: str
    COMMANDS: Mapping[str, Any]


NSR = Group("The Neural-Symbolic Recursive Machine.", train.EXAMPLE, COMMANDS)

FAILED = 2
INTERRUPTED = 130  # 128 + SIGINT
PIPE_CLOSED = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own; returns the exit status."""
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit finds no closed pipe
        return PIPE_CLOSED
    except KeyboardInterrupt as interrupt:
        _complain("; ".join(["nsr: interrupted", *map(str, interrupt.args)]))
        return INTERRUPTED
    except UsageError as error:
        _complain(str(error))
        return FAILED
    except NSRError as error:
        _complain(f"nsr: {error}")
        return FAILED
    except UnicodeEncodeError as error:
        _complain(f"nsr: the output does not fit the encoding {error.encoding}; set PYTHONIOENCODING=utf-8")
        return FAILED
    except OSError as error:  # no permission, no space, ...
        _complain(f"nsr: {error.filename or 'the system'}: {reason(error)}")
        return FAILED
    return status


def _run(argv: list[str], prog: str = "nsr", group: Any = NSR) -> int:
    """Run the sub-command and return its exit status; only its own arguments are built."""
    if not argv or argv[0] not in group.COMMANDS:
        _answer(argv, prog, group)
        return 0
    name, *rest = argv
    prog, module = f"{prog} {name}", group.COMMANDS[name]
    if hasattr(module, "COMMANDS"):
        return _run(rest, prog, module)
    parser = Parser(prog, module.PURPOSE, module.EXAMPLE)
    module.add_arguments(parser)
    arguments = parser.parse(rest)
    return 0 if arguments is None else module.run(arguments) or 0


def _answer(argv: list[str], prog: str, group: Any) -> None:
    """Show the help or the version, or say what is wrong."""
    parser = Parser(prog, group.PURPOSE, group.EXAMPLE)
    parser.usage = f"{prog} [--help] COMMAND ..."
    if group is NSR:
        parser.usage = f"{prog} [--help] [--version] COMMAND ..."
        parser.add_argument("--version", action="version", version=f"nsr {__version__}", help="print the version")
    commands = parser.add_argument_group("commands", f"{prog} COMMAND --help says more")
    for name, module in group.COMMANDS.items():
        commands.add_argument(name, help=module.PURPOSE, nargs="?")
    if argv and not argv[0].startswith("-"):
        parser.error(f"unknown command {argv[0]!r}; {did_you_mean(argv[0], group.COMMANDS, 'commands')}")
    if parser.parse(argv) is not None:
        parser.error(f"choose a command: {', '.join(group.COMMANDS)}")


def _complain(message: str) -> None:
    """One line on stderr, whatever the message holds; what a terminal would act on is spelled."""
    line = " ".join(message.split("\n"))
    print("".join(each if each.isprintable() else ascii(each)[1:-1] for each in line), file=sys.stderr)
