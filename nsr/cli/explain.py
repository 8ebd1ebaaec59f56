"""``nsr explain``: the tree behind an answer."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from nsr.cli.common import Parser, encode

if TYPE_CHECKING:
    from nsr.gss import GSS

PURPOSE = "Print the tree by which a trained model answers a sentence: symbols, programs and values."
EXAMPLE = 'nsr explain runs/scan "jump around left twice"'
FORMATS = ("text", "json")
WIDTH = 100  # where stdout is no terminal


def add_arguments(parser: Parser) -> None:
    """The run, the sentence and the format."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("sentence", metavar="SENTENCE", help="a sentence, in quotes")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=f"default {FORMATS[0]}")


def run(arguments: Namespace) -> None:
    """Deduce, and print the tree."""
    from nsr.experiment import load
    from nsr.semantics.values import MISSING

    model = load(arguments.run)
    (tokens,) = encode(model, [("", arguments.sentence)])
    gss = model.deduce(tokens)
    print(
        json.dumps(gss.to_json(), ensure_ascii=False) if arguments.format == "json" else _text(arguments.sentence, gss)
    )
    if gss.value is MISSING:
        sys.stdout.flush()
        print("no derivation: the most probable tree has no value where it says ?", file=sys.stderr)


def _text(sentence: str, gss: GSS) -> str:
    from nsr.model import show

    width = shutil.get_terminal_size((WIDTH, 0)).columns
    return "\n".join(
        [
            f"sentence         {sentence}",
            f"answer           {show(gss.value)}",
            f"log-probability  {gss.log_prob:.4f}",
            "",
            gss.pretty(width),
        ]
    )
