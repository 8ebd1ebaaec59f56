"""``nsr evaluate``: the accuracy of a trained model."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsr.cli.common import Parser, examples, tell
from nsr.errors import ConfigError

if TYPE_CHECKING:
    from nsr.model import NSR
    from nsr.tasks.task import Examples

PURPOSE = "Test a trained model on a split of its task, by a test of its task, or on examples of your own."
EXAMPLE = "nsr evaluate runs/scan --split simple"


def add_arguments(parser: Parser) -> None:
    """The run and the examples."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--split", metavar="S", help="a split of the model's task (default: the one it was trained on)")
    source.add_argument(
        "--test",
        metavar="NAME|FILE",
        help=f"a test ({_tests()}), or own examples: FILE.tsv (a line each: input, a tab, output) or FILE.jsonl",
    )
    parser.add_argument(
        "--part",
        metavar="P",
        help="part of the split: test (default), or validation, for choosing settings",
    )
    source.add_argument("--symbols", metavar="FILE.npz|DIR", help="test expressions with all images of another source")
    parser.add_argument("--data-dir", metavar="DIR", help="read the authors' files instead of generating the data")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")


def run(arguments: Namespace) -> None:
    """Evaluate, and print accuracies."""
    from nsr.experiment import evaluate, examine, load_and_tell, score

    model = load_and_tell(arguments.run, tell)
    tests = model.task.tests if model.task else ()
    named = arguments.test in tests
    other = "--symbols" if arguments.symbols is not None else None if arguments.test is None else "--test"
    if other and arguments.part:
        raise ConfigError(f"--part is of a split, not of {other}; leave one of them out")
    if other and arguments.data_dir and not named:
        raise ConfigError(f"--data-dir is of no use with {other} FILE; leave one of them out")
    if named:
        found = examine(model, arguments.test, data_dir=arguments.data_dir)
    elif arguments.test is not None:
        found = score(model, _examples(model, _file(Path(arguments.test), tests)))
    else:
        found = evaluate(
            model,
            arguments.split,
            part=arguments.part or "test",
            data_dir=arguments.data_dir,
            symbols=arguments.symbols,
        )
    print(_table(found))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))


def _tests() -> str:
    """The tests of all tasks."""
    from nsr.tasks import TASKS

    return "; ".join(f"{name}: {', '.join(task.tests)}" for name, task in TASKS.items() if task.tests)


def _file(path: Path, tests: tuple[str, ...]) -> Path:
    """The path, unless it is likely to be meant as the name of a test."""
    if tests and not path.exists():
        raise ConfigError(f"{path} is neither a file nor a test; tests of this model's task: {', '.join(tests)}")
    return path


def _examples(model: NSR, path: Path) -> Examples:
    """A file's pairs as the model reads them."""
    from nsr.tasks.pairs import outputs, read_pairs

    pairs = read_pairs(path)
    sentences = [(f"{path}:{line}", one) for line, (one, _) in enumerate(pairs, start=1)]
    return examples(model, sentences, outputs(pairs, model.primitives, path))


def _table(found: dict[str, Any]) -> str:
    """The figures, a line each."""
    from nsr.tasks.task import FIGURES

    if "test" in found:
        main = {found["measure"]: found["value"]}
        more = {name: share for name, share in found.items() if name not in FIGURES}
    else:
        main, more = {"accuracy": found["accuracy"], "answered": found["answered"]}, dict(found["subsets"])
        main["accuracy of answered"] = found["accuracy_of_answered"]
        more |= {f"symbols {how}": share for how, share in found.get("symbols", {}).items()}
    rows = [
        *((name, "none" if share is None else f"{share:.2f}%") for name, share in main.items()),
        ("examples", str(found["count"])),
        *((name, f"{share:.2f}%") for name, share in more.items()),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {figure:>8}" for name, figure in rows)
