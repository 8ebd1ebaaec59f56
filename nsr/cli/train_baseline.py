"""``nsr train-baseline``: train a neural network on the same examples."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

from nsr.cli.common import Parser, number, whole
from nsr.cli.train import add_task_options
from nsr.errors import ConfigError

PURPOSE = "Train a neural baseline on a split of a task and test it."
EXAMPLE = "nsr train-baseline scan --split length --model lstm --minutes 2 --out runs/lstm"


def add_arguments(parser: Parser) -> None:
    """The model, its size and limits, and the options of the tasks."""
    from nsr.baselines.presets import MODELS, SIZES
    from nsr.experiment import CHECKPOINT_SECONDS
    from nsr.tasks import TASKS

    parser.usage = f"{parser.prog} TASK --model M [--split S] [--seed N] [--size Z] [--out RUN] ..."
    splits = "; ".join(f"{name}: {', '.join(task.splits)}" for name, task in TASKS.items())
    parser.add_argument("task", metavar="TASK", help=f"one of: {', '.join(TASKS)}")
    parser.add_argument("--model", metavar="M", required=True, help=f"one of: {', '.join(MODELS)}")
    parser.add_argument("--split", metavar="S", help=f"what is trained and what is tested ({splits})")
    parser.add_argument("--seed", metavar="N", type=whole, default=0, help="source of all randomness (default 0)")
    parser.add_argument(
        "--size", metavar="Z", default=SIZES[0], help=f"hyperparameters: {', '.join(SIZES)} (default {SIZES[0]})"
    )
    parser.add_argument("--epochs", metavar="N", type=whole, help="at most so many (default: those of the size)")
    parser.add_argument("--minutes", metavar="X", type=number, help="of training at most (default: no limit)")
    parser.add_argument(
        "--examples",
        metavar="N",
        type=whole,
        default=0,
        help="train on at most so many examples, drawn by seed as nsr train --examples does; 0 for all (default 0)",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="read the authors' files instead of generating the data")
    parser.add_argument("--out", metavar="RUN", help="folder to write the metrics to; new or empty")
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
    add_task_options(parser)


def run(arguments: Namespace) -> None:
    """Train, and print what came of it."""
    from nsr.baselines.experiment import train_baseline

    settings = dict(vars(arguments))
    quiet, as_json = settings.pop("quiet"), settings.pop("json")
    if arguments.resume and arguments.out is None:
        raise ConfigError("--resume needs --out RUN, the folder of the run to continue")
    try:
        metrics = train_baseline(**settings, progress=not quiet and sys.stderr.isatty())
    except KeyboardInterrupt:
        advice = "the same command with --resume continues" if arguments.out else "nothing is kept without --out"
        raise KeyboardInterrupt(advice) from None
    print(_summary(metrics, arguments.out))
    if as_json:
        print(json.dumps(metrics, ensure_ascii=False))


def _summary(metrics: dict[str, Any], folder: str | None) -> str:
    """The metrics as a person reads them."""
    test, train, seconds = metrics["test"], metrics["train"], metrics["seconds"]
    return "\n".join(
        (
            f"test accuracy  {test['accuracy']:.2f}% of {test['count']} ({test['answered']:.2f}% answered)",
            f"model          {metrics['model']}, {metrics['size']}: {metrics['parameters']} parameters",
            f"examples       {train['learned_from']} learned from, {train['validation']} for validation, "
            f"{train['available']} available",
            f"epochs         {metrics['epochs']:g}, ended by the limit of {metrics['stopped']}; "
            f"tested: {metrics['tested']['epoch']:g}, {metrics['tested']['validation']:.2f}% in validation",
            f"seconds        {seconds['total']:.1f}, of training {seconds['train']:.1f}, "
            f"{seconds['final']:.1f} of it to the weights tested",
            f"folder         {folder or 'none; --out RUN keeps the metrics'}",
        )
    )
