"""``nsr train-baseline``: train a neural network on the same examples."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from nsr.cli.common import Parser, number, whole
from nsr.cli.train import add_run_options, add_task_options, train_and_print

PURPOSE = "Train a neural baseline on a split of a task and test it."
EXAMPLE = "nsr train-baseline scan --split length --model lstm --minutes 2 --out runs/lstm"


def add_arguments(parser: Parser) -> None:
    """The model, its size and limits, and the options of the tasks."""
    from nsr.baselines.abductive import ABLKIT
    from nsr.baselines.presets import MODELS, SIZES

    parser.usage = f"{parser.prog} TASK --model M [--split S] [--seed N] [--size Z] [--out RUN] ..."
    add_run_options(parser, "metrics")
    parser.add_argument("--model", metavar="M", required=True, help=f"one of: {', '.join((*MODELS, ABLKIT))}")
    parser.add_argument(
        "--size", metavar="Z", default=SIZES[0], help=f"hyperparameters: {', '.join(SIZES)} (default {SIZES[0]})"
    )
    parser.add_argument("--epochs", metavar="N", type=whole, help="epochs at most (default: those of the size)")
    parser.add_argument("--minutes", metavar="X", type=number, help="minutes of training at most (default: no limit)")
    parser.add_argument(
        "--examples",
        metavar="N",
        type=whole,
        default=0,
        help="train on at most so many examples, drawn by seed as nsr train --examples does; 0 for all (default 0)",
    )
    add_task_options(parser)


def run(arguments: Namespace) -> None:
    """Train, and print what came of it."""
    from nsr.baselines.experiment import train_baseline

    train_and_print(arguments, train_baseline, _summary)


def _summary(metrics: dict[str, Any], folder: Path | None) -> str:
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
