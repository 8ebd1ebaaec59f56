"""What the sub-commands share: a parser whose errors are one line, types of options, and the reading of sentences."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nsr.errors import InputError, NSRError, did_you_mean

if TYPE_CHECKING:
    from nsr.model import NSR
    from nsr.tasks.task import Examples, Tokens, Value


class UsageError(NSRError):
    """A command line that cannot be read; the message begins with the name of the command."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises :class:`UsageError` instead of ending the process, and takes no abbreviations."""

    def __init__(self, command: str, purpose: str, example: str) -> None:
        super().__init__(
            command,
            description=purpose,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse(self, argv: list[str]) -> argparse.Namespace | None:
        """The arguments of a command line; None if it asked for help (or the version), which has been printed."""
        try:
            arguments, rest = self.parse_known_args(argv)
        except SystemExit:
            return None
        if rest:
            unknown = next((each for each in rest if each.startswith("-")), None)
            if unknown is None:
                self.error(f"unexpected argument {rest[0]!r}")
            unknown = unknown.partition("=")[0]
            known = [each for action in self._actions for each in action.option_strings if each.startswith("--")]
            self.error(f"unknown option {unknown}; {did_you_mean(unknown, known, 'options')}")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Raise the error instead of printing the usage."""
        raise UsageError(f"{self.prog}: {message} (see {self.prog} --help)")


def whole(text: str) -> int:
    """A whole number, 0 or more, that fits 63 bits, as seeds must."""
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text!r}")
    return int(text)


def number(text: str) -> float:
    """A number, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number, 0 or more, not {text!r}")
    return value


def truth(text: str) -> bool:
    """``true`` or ``false``."""
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, not {text!r}")
    return text == "true"


def path(text: str) -> Path:
    """The name of a file or a folder."""
    if not text:
        raise argparse.ArgumentTypeError("must be a name; the folder you are in is .")
    return Path(text)


METAVARS = {  # of texts that are no names
    **dict.fromkeys(("train", "test", "syntax", "symbols"), "FILE"),
    **dict.fromkeys(("train_sha256", "test_sha256", "syntax_sha256"), "SHA256"),
    "separators": "TOKENS",
    "channels": "SIZES",
    "abduce": "MODULES",
}


def add_option(group: argparse._ArgumentGroup, name: str, default: Any, description: str) -> None:
    """An option ``--NAME`` of the type of its default; if it is not given, it is not among the arguments."""
    kinds: dict[type, tuple[Callable[[str], Any], str]] = {
        bool: (truth, "true|false"),
        int: (whole, "N"),
        float: (number, "X"),
    }
    convert, metavar = kinds.get(type(default), (str, METAVARS.get(name, "NAME")))
    flag = "--" + name.replace("_", "-")
    alone: dict[str, Any] = {}
    if isinstance(default, bool):
        alone = {"nargs": "?", "const": True}  # --NAME alone is --NAME true
    group.add_argument(
        flag,
        dest=name,
        type=convert,
        metavar=metavar,
        default=argparse.SUPPRESS,
        help=description.replace("%", "%%"),
        **alone,
    )


def tell(line: str) -> None:
    """Print a line that is no result."""
    print(line, file=sys.stderr)


def encode(model: NSR, sentences: Sequence[tuple[str, str | Tokens]]) -> list[Any]:
    """Sentences as inputs of a model; arguments and errors as of :func:`examples`."""
    return list(examples(model, sentences, [None] * len(sentences)).inputs)


def examples(model: NSR, sentences: Sequence[tuple[str, str | Tokens]], outputs: Sequence[Value]) -> Examples:
    """Sentences of words that the model knows, and their outputs, as the model sees them.

    Args:
        model: a trained model.
        sentences: each with the place it comes from, which begins the message of an error; "" for none.
        outputs: of the sentences.

    Raises:
        InputError: a sentence is empty, has an unknown word, or is not in the language of the model's task.
    """
    found = []
    for place, sentence in sentences:
        try:
            tokens = model.tokens(sentence)
            inputs = model.examples([tokens], [None]).inputs
            if model.modules.perception.certain:
                model.modules.perception.read(inputs)  # knows which words are known
        except InputError as error:
            raise InputError(f"{place}: {error}" if place else str(error)) from None
        found.append(tokens)
    return model.examples(found, outputs)
