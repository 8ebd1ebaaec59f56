"""``nsr predict``: the outputs of a trained model, on demand the most probable few with their probabilities."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from nsr.cli.common import Parser, encode, tell, whole
from nsr.errors import InputError

if TYPE_CHECKING:
    from nsr.model import Answer

PURPOSE = "Print what a trained model answers to sentences, a line each; None where it has no answer."
EXAMPLE = 'nsr predict runs/scan "jump twice" "walk around left"'
STDIN = "-"


def add_arguments(parser: Parser) -> None:
    """The run and the sentences."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("sentences", metavar="SENTENCE", nargs="+", help=f"a sentence; {STDIN} reads lines from stdin")
    parser.add_argument("--json", action="store_true", help="print each answer as JSON: a list, a number, or null")
    several = parser.add_mutually_exclusive_group()
    several.add_argument("--log-prob", action="store_true", help="print each answer's log-probability; as --top 1")
    several.add_argument(
        "--top", metavar="K", type=whole, help="print up to K distinct answers, best first, with log-probabilities"
    )


def run(arguments: Namespace) -> None:
    """Predict all, then print all."""
    from nsr.experiment import load_and_tell
    from nsr.model import show
    from nsr.semantics.values import to_json

    model = load_and_tell(arguments.run, tell)
    inputs = encode(model, _sentences(arguments.sentences))
    if arguments.log_prob or arguments.top is not None:
        top = model.predict_top(inputs, 1 if arguments.top is None else arguments.top) if inputs else []
        for place, answers in enumerate(top):
            print(_as_json(answers) if arguments.json else "\n" * bool(place) + _as_text(answers))
        return
    for value in model.predict(inputs) if inputs else []:
        print(json.dumps(to_json(value), ensure_ascii=False) if arguments.json else show(value))


def _as_json(answers: list[Answer]) -> str:
    """The answers to a sentence in a line."""
    from nsr.semantics.values import to_json

    found = [{"value": to_json(answer.value), "log_prob": answer.log_prob} for answer in answers]
    return json.dumps(found, ensure_ascii=False)


def _as_text(answers: list[Answer]) -> str:
    """The answers to a sentence, a line each."""
    from nsr.model import show

    return "\n".join(f"{answer.log_prob:10.4f}  {show(answer.value)}" for answer in answers) or f"{'-':>10}  None"


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
