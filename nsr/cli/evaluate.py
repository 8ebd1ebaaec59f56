"""``nsr evaluate``: the accuracy of a trained model."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsr.cli.common import Parser, encode
from nsr.errors import ConfigError, DataError

if TYPE_CHECKING:
    from nsr.model import NSR
    from nsr.tasks.task import Examples

PURPOSE = "Test a trained model on a split of its task, or on examples of your own."
EXAMPLE = "nsr evaluate runs/scan --split simple"


def add_arguments(parser: Parser) -> None:
    """The run and the examples."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--split", metavar="S", help="a split of the model's task (default: the one it was trained on)")
    source.add_argument("--test", metavar="FILE.tsv", help="own examples, a line each: input, a tab, output")
    parser.add_argument("--data-dir", metavar="DIR", help="read the authors' files instead of generating the data")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")


def run(arguments: Namespace) -> None:
    """Evaluate, and print accuracies."""
    from nsr.experiment import evaluate, load, score

    if arguments.test and arguments.data_dir:
        raise ConfigError("--data-dir is of no use with --test; leave one of them out")
    model = load(arguments.run)
    if arguments.test:
        found = score(model, _examples(model, Path(arguments.test)))
    else:
        found = evaluate(model, arguments.split, data_dir=arguments.data_dir)
    print(_table(found))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))


def _examples(model: NSR, path: Path) -> Examples:
    """A file's pairs as the model reads them."""
    from nsr.semantics.primitives import Type
    from nsr.tasks.pairs import read_pairs
    from nsr.tasks.task import Examples

    pairs = read_pairs(path)
    inputs = encode(model, ((f"{path}:{line}", text) for line, (text, _) in enumerate(pairs, start=1)))
    if model.primitives.value_type is not Type.INT:
        return Examples(tuple(inputs), tuple(tuple(text.split()) for _, text in pairs))
    for line, (_, text) in enumerate(pairs, start=1):
        if not text.strip().removeprefix("-").isdecimal():
            raise DataError(f"{path}:{line}: the output must be a whole number, not {text!r}")
    return Examples(tuple(inputs), tuple(int(text) for _, text in pairs))


def _table(found: dict[str, Any]) -> str:
    """The figures, a line each."""
    rows = [
        ("accuracy", f"{found['accuracy']:.2f}%"),
        ("answered", f"{found['answered']:.2f}%"),
        ("examples", str(found["count"])),
        *((name, f"{accuracy:.2f}%") for name, accuracy in found["subsets"].items()),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {figure:>8}" for name, figure in rows)
