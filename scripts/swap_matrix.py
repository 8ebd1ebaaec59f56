"""Show which words a trained model's parser treats alike.

python scripts/swap_matrix.py runs/scan                         # a text table, from the test examples of its split
python scripts/swap_matrix.py runs/scan --split simple --out swap.png
python scripts/swap_matrix.py runs/scan --words walk left twice and
"""

import argparse
import sys
from pathlib import Path

import nsr
from nsr.errors import ConfigError, NSRError, RunError
from nsr.reports.plots import require_matplotlib, swap_heat_map
from nsr.reports.swap import format_swap_matrix, swap_matrix
from nsr.runs import write_file


def main(arguments: list[str] | None = None) -> int:
    """Print the symbol swap matrix; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder of a model that was trained on a task")
    parser.add_argument("--split", help="parse the test examples of this split (default: the one of the run)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="read the official files below this folder")
    parser.add_argument("--words", nargs="+", metavar="WORD", help="swap only these words")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="also draw the matrix")
    given = parser.parse_args(arguments)
    try:
        _show(given)
    except NSRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _show(given: argparse.Namespace) -> None:
    if given.out is not None:
        require_matplotlib()
    model = nsr.load(given.run)
    if model.task is None:
        raise ConfigError(f"{given.run} was not trained on a task, so it has no test examples")
    split = given.split or model.metrics.get("split") or model.task.default_split
    data = model.task.load(split, seed=model.seed, data_dir=given.data_dir)
    words, matrix = swap_matrix(model, data.test, given.words)
    print(format_swap_matrix(words, matrix))
    if given.out is not None:
        title = f"{model.task.name} {split}: trees unchanged when a word is replaced"
        try:
            write_file(given.out, swap_heat_map(words, matrix, title))
        except OSError as error:
            raise RunError(f"{given.out} cannot be written: {error.strerror or error}") from None


if __name__ == "__main__":
    sys.exit(main())
