"""What the files of a model hold, and reading them: they may be damaged, or edited by hand.

:meth:`nsr.model.NSR.files` and :meth:`nsr.model.NSR.of_files` write and read all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from nsr._version import __version__
from nsr.errors import ConfigError, NSRError, ProgramError, RunError
from nsr.learning.config import Config, flat
from nsr.perception.images import ImagePerception
from nsr.perception.network import ImageConfig
from nsr.perception.perception import Perception
from nsr.perception.tokens import TokenPerception
from nsr.runs import parse_json, written_by
from nsr.semantics.lexicon import Lexicon, parse_lexicon
from nsr.semantics.primitives import PrimitiveSet

CONFIG, VOCABULARY, LEXICON, GRAMMAR = "config.json", "vocabulary.json", "lexicon.nsr", "grammar.json"
PARSER, IMAGES = "parser.safetensors", "perception.safetensors"
SYNTAX = "syntax.lark"  # the user's grammar
DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)
NEEDS_PERCEPTION = "was made with a perception of its own; load it with nsr.load(folder, perception=...)"
HAS_PERCEPTION = "reads its inputs by itself; load it without a perception"


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Say of whatever goes wrong while files are read that the folder they are from is damaged.

    Raises:
        RunError: an option is wrong, something is missing or is not what it should be.
    """
    try:
        yield
    except ConfigError as error:
        raise RunError(f"{folder / CONFIG}: {error}") from None
    except NSRError:
        raise
    except KeyError as error:
        raise RunError(f"{folder} is damaged: {error} is missing; train again") from None
    except DAMAGED as error:  # torch has what is wrong in the second line
        reason = " ".join(map(str.strip, str(error).splitlines()[:2])) or type(error).__name__
        raise RunError(f"{folder} is damaged: {reason}; train again") from None


def read_settings(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings in the configuration of a model, by name.

    Raises:
        RunError: one was added after this version; a new setting with a default does not raise FORMAT.
    """
    settings, known = flat(config["settings"]), flat(Config().to_json())
    for name in settings:
        if name not in known and (version := written_by(folder)) != __version__:
            raise RunError(
                f"{folder} was written by nsr {version} and has the setting {name!r}, which nsr {__version__} does "
                f"not know; read it with nsr {version} or newer"
            )
    return settings


def perception_files(perception: Perception, own: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the vocabulary says of a perception, and the file of its weights if it has any.

    Args:
        perception: that of a model.
        own: whether it was brought along by the user; then only the names of its symbols are kept.
    """
    vocabulary: dict[str, Any] = {"kind": "own", "symbols": list(perception.symbols)}
    if not own and isinstance(perception, ImagePerception | TokenPerception):
        vocabulary = perception.to_json()
    return vocabulary, {IMAGES: perception.weights()} if isinstance(perception, ImagePerception) else {}


def read_perception(
    files: Mapping[str, bytes], folder: Path, own: Perception | None, config: ImageConfig, seed: int
) -> Perception:
    """The perception of a model.

    Args:
        files: of the model.
        folder: where they are from, for messages.
        own: the perception that the user has brought along, if any.
        config: of one that reads images.
        seed: likewise.

    Raises:
        RunError: the user's is needed, not needed, or another one.
        Exception: of many kinds, if the files are damaged; see :func:`damage_told`.
    """
    words = parse_json(files[VOCABULARY], folder / VOCABULARY)
    if (words["kind"] == "own") != (own is not None):
        raise RunError(f"{folder} " + (NEEDS_PERCEPTION if own is None else HAS_PERCEPTION))
    if own is not None:
        if list(own.symbols) != words["symbols"]:
            raise RunError(f"{folder} has the symbols {', '.join(words['symbols'])}, the perception has others")
        return own
    if words["kind"] == "images":
        return ImagePerception.from_json(words, files[IMAGES], config, seed)
    return TokenPerception.from_json(words)


def read_lexicon(
    files: Mapping[str, bytes], folder: Path, symbols: tuple[str, ...], primitives: PrimitiveSet
) -> Lexicon:
    """The lexicon of a model, which may have been edited.

    Raises:
        ProgramError: it is wrong; the message says where.
    """
    try:
        return parse_lexicon(_decode(files[LEXICON]), symbols, primitives)
    except ProgramError as error:
        raise ProgramError(f"{folder / LEXICON}: {error}") from None


def checked_seed(seed: Any) -> int:
    """The seed of a file, if it is one; raises ValueError on anything else."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError("the seed must be a whole number, 0 or more")
    return seed


def checked_names(names: Any) -> tuple[str, ...]:
    """Names of a file, if that is what they are; raises ValueError on anything else."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("constants must be a list of names")
    return tuple(names)


def _decode(content: bytes) -> str:
    """The text of an edited file.

    Raises:
        ProgramError: line and column where it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        *lines, last = content[: error.start].decode().split("\n")
        where = f"line {len(lines) + 1}, column {len(last) + 1}"
        raise ProgramError(f"{where}: this is not UTF-8; save the file in that encoding") from None
