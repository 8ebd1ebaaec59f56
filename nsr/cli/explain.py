"""``nsr explain``: the tree behind an answer, as text, data or a picture."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from nsr.cli.common import Parser, encode, path, tell
from nsr.errors import ConfigError

if TYPE_CHECKING:
    from nsr.gss import GSS
    from nsr.tasks.task import Tokens

PURPOSE = "Show the tree by which a trained model answers a sentence: symbols, programs and values."
EXAMPLE = 'nsr explain runs/scan "jump around left twice"'
PICTURES = ("svg", "html")
FORMATS = ("text", "json", *PICTURES)
ENDINGS = {"": "text", "txt": "text"} | {form: form for form in FORMATS}
NOTATIONS = ("sexpr", "readable")  # as in lexicon.nsr, or as people write
WIDTH = 100  # where stdout is no terminal


def add_arguments(parser: Parser) -> None:
    """The run, the sentence and the format."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("sentence", metavar="SENTENCE", help="a sentence, in quotes")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help=f"what the tree is written as; default: as the name of FILE ends, else {FORMATS[0]}",
    )
    parser.add_argument("--out", metavar="FILE", type=path, help="write to a file instead of stdout")
    parser.add_argument(
        "--notation",
        choices=NOTATIONS,
        help=f"how programs are written; default sexpr, but readable in {' and '.join(PICTURES)}",
    )


def run(arguments: Namespace) -> None:
    """Deduce, and print the tree or write it to a file."""
    from nsr.experiment import load_and_tell
    from nsr.runs import unwritable, write_file
    from nsr.semantics.values import MISSING

    suffix = arguments.out.suffix.removeprefix(".") if arguments.out else ""
    form = arguments.format or ENDINGS.get(suffix)
    if form is None:
        raise ConfigError(f"{arguments.out} could be of any format; choose one by --format, or end the name in .html")
    model = load_and_tell(arguments.run, tell)
    (tokens,) = encode(model, [("", arguments.sentence)])
    gss = model.deduce(tokens)
    notation = arguments.notation or ("readable" if form in PICTURES else "sexpr")
    shown = _shown(form, arguments.sentence, tokens, gss.readable() if notation == "readable" else gss)
    if arguments.out is None:
        print(shown)
    else:
        try:
            write_file(arguments.out, f"{shown}\n".encode())
        except OSError as error:
            raise unwritable(arguments.out, error) from None
        print(arguments.out)
    if gss.value is MISSING:
        sys.stdout.flush()
        print("no derivation: the most probable tree has no value where it says ?", file=sys.stderr)


def _shown(form: str, sentence: str, tokens: Tokens, gss: GSS) -> str:
    """The tree in a format."""
    from nsr.pictures import Pictures
    from nsr.reports.trees import to_html, to_svg

    images = tokens.images if isinstance(tokens, Pictures) else None
    match form:
        case "json":
            return json.dumps(gss.to_json(), ensure_ascii=False)
        case "svg":
            return to_svg(gss, images)
        case "html":
            return to_html(gss, sentence, images)
    return _text(sentence, gss)


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
