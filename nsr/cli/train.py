"""``nsr train``: train a model on a split of a task."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from nsr.cli.common import Parser, add_option, number, path, tell, whole
from nsr.errors import ConfigError

PURPOSE = "Train a model on a split of a task and test it."
EXAMPLE = "nsr train scan --split length --seed 0 --out runs/scan"


def add_arguments(parser: Parser) -> None:
    """The options of the run, of the tasks, and all settings of the learner."""
    from nsr.learning.config import Config

    parser.usage = f"{parser.prog} TASK [--split S] [--seed N] [--out RUN] [--KEY VALUE ...]"
    add_run_options(parser, "model")
    parser.add_argument(
        "--from", metavar="RUN", dest="from_run", help="a finished run to build on: only new words are learned"
    )
    add_task_options(parser)
    of_tasks = _settings_of_tasks()
    for section in fields(Config):
        settings = getattr(Config(), section.name)
        group = parser.add_argument_group(f"settings: {section.name}", settings.__doc__.partition("\n")[0])
        for each in fields(settings):
            add_option(group, each.name, each.default, _describe(each, of_tasks))


def add_run_options(parser: Parser, kept: str) -> None:
    """The task, its data and the run folder; ``kept`` is what is written to that."""
    from nsr.experiment import CHECKPOINT_SECONDS
    from nsr.tasks import TASKS

    splits = "; ".join(f"{name}: {', '.join(task.splits)}" for name, task in TASKS.items())
    parser.add_argument("task", metavar="TASK", help=f"one of: {', '.join(TASKS)}")
    parser.add_argument("--split", metavar="S", help=f"what is trained and what is tested ({splits})")
    parser.add_argument("--seed", metavar="N", type=whole, default=0, help="source of all randomness (default 0)")
    parser.add_argument("--data-dir", metavar="DIR", help="read the authors' files instead of generating the data")
    parser.add_argument("--out", metavar="RUN", type=path, help=f"folder to write the {kept} to; new or empty")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out where it was stopped")
    parser.add_argument(
        "--checkpoint-seconds",
        metavar="X",
        type=number,
        default=CHECKPOINT_SECONDS,
        help=f"time between two checkpoints in --out (default {CHECKPOINT_SECONDS:g})",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON on the last line")


def add_task_options(parser: Parser) -> None:
    """The options of all tasks."""
    from nsr.tasks import TASKS

    options: dict[str, dict[str, Field[Any]]] = {}
    for name, task in TASKS.items():
        for each in fields(task):
            options.setdefault(each.name, {})[name] = each
    group = parser.add_argument_group("options of the task")
    for name, of_task in options.items():
        described = ", ".join(f"{task}: {_describe(each)}" for task, each in of_task.items())
        add_option(group, name, next(iter(of_task.values())).default, described)


def run(arguments: Namespace) -> None:
    """Train, and print what came of it."""
    from nsr.experiment import train

    train_and_print(arguments, lambda **settings: train(**settings, tell=tell).metrics, _summary)


def train_and_print(
    arguments: Namespace,
    train: Callable[..., dict[str, Any]],
    summary: Callable[[dict[str, Any], Path | None], str],
) -> None:
    """Train as the arguments say and print the metrics; with advice how to go on if it is interrupted.

    Raises:
        ConfigError: there is nothing to resume.
    """
    settings = dict(vars(arguments))
    quiet, as_json = settings.pop("quiet"), settings.pop("json")
    if arguments.resume and arguments.out is None:
        raise ConfigError("--resume needs --out RUN, the folder of the run to continue")
    try:
        metrics = train(**settings, progress=not quiet and sys.stderr.isatty())
    except KeyboardInterrupt:
        advice = "the same command with --resume continues" if arguments.out else "nothing is kept without --out"
        raise KeyboardInterrupt(advice) from None
    print(summary(metrics, arguments.out))
    if as_json:
        print(json.dumps(metrics, ensure_ascii=False))


MOST_WORDS = 20  # of those without program that are named


def _summary(metrics: dict[str, Any], folder: Path | None) -> str:
    """The metrics as a person reads them."""
    test, train = metrics["test"], metrics["train"]
    rows = [
        f"test accuracy  {test['accuracy']:.2f}% of {test['count']} ({test['answered']:.2f}% answered)",
        f"examples       {train['learned_from']} learned from, {train['used']} looked at, "
        f"{train['available']} available",
        f"seconds        {metrics['seconds']['total']:.1f}",
        f"folder         {folder or 'none; --out RUN keeps the model'}",
    ]
    if "unexplained" in train:
        rows.append(f"explained      {train['accuracy']:.2f}% of {train['available']} training pairs")
        if train["without_program"]:
            words, more = train["without_program"][:MOST_WORDS], train["without_program"][MOST_WORDS:]
            rows.append(f"no program     for {', '.join(words)}{f' and {len(more)} more' if more else ''}")
        for each in train["unexplained"]:
            rows += [f"  {each['input']}", f"    expected  {each['output']}", f"    answered  {each['answer']}"]
    return "\n".join(rows)


def _settings_of_tasks() -> dict[str, dict[str, Any]]:
    """Where tasks differ from the defaults: by what one types for them, and for variants that differ from these."""
    from nsr.learning.config import Config, flat
    from nsr.tasks import TASKS, make_task

    found = {}
    for name, task in TASKS.items():
        before = defaults = flat(Config().to_json())
        for options in ({}, *task.variants):
            flags = (f"--{option}" if value is True else f"--{option} {value}" for option, value in options.items())
            settings = {**defaults, **make_task(name, **options).settings}
            changed = {each: value for each, value in settings.items() if value != before.get(each)}
            found[" ".join((name, *flags))] = changed
            before = settings
    return found


def _describe(option: Field[Any], of_tasks: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """What an option is for, if that is said, and its default; also those that tasks have instead."""
    others = {typed: changed[option.name] for typed, changed in (of_tasks or {}).items() if option.name in changed}
    defaults = [f"default {_typed(option.default)}", *(f"{name}: {_typed(value)}" for name, value in others.items())]
    described = "; ".join(defaults)
    return f"{option.metadata['reason']} ({described})" if "reason" in option.metadata else described


def _typed(value: Any) -> str:
    """The value of an option as one types it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if re.fullmatch(r"[\w.-]+", text) else f'"{text}"' if text else "none"
