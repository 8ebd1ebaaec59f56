"""``nsr predict``: the outputs of a trained model."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from nsr.cli.common import Parser, encode
from nsr.errors import InputError

PURPOSE = "Print what a trained model answers to sentences, a line each; None where it has no answer."
EXAMPLE = 'nsr predict runs/scan "jump twice" "walk around left"'
STDIN = "-"


def add_arguments(parser: Parser) -> None:
    """The run and the sentences."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("sentences", metavar="SENTENCE", nargs="+", help=f"a sentence; {STDIN} reads lines from stdin")
    parser.add_argument("--json", action="store_true", help="print each answer as JSON: a list, a number, or null")


def run(arguments: Namespace) -> None:
    """Predict all, then print all."""
    from nsr.experiment import load
    from nsr.model import show
    from nsr.semantics.values import to_json

    model = load(arguments.run)
    inputs = encode(model, _sentences(arguments.sentences))
    for value in model.predict(inputs) if inputs else []:
        print(json.dumps(to_json(value), ensure_ascii=False) if arguments.json else show(value))


def _sentences(given: list[str]) -> list[tuple[str, str]]:
    """The sentences, each with its place for messages."""
    if given == [STDIN]:
        try:
            text = sys.stdin.read()
        except UnicodeDecodeError as error:
            raise InputError(f"stdin is not {error.encoding} text") from None
        lines = text.removesuffix("\n").split("\n") if text else []
        return [(f"line {number}", line) for number, line in enumerate(lines, start=1)]
    if len(given) == 1:
        return [("", given[0])]
    return [(f"sentence {number}", sentence) for number, sentence in enumerate(given, start=1)]
