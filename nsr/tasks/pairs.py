"""Own data: files of input-output pairs, and the task that trains and tests on them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nsr.errors import ConfigError, DataError
from nsr.files import read_given
from nsr.semantics.primitives import PRIMITIVES, PrimitiveSet, Type, primitive_set
from nsr.settings import setting
from nsr.tasks.task import Dataset, Examples, Task, Tokens, Value, group_by_size

Side = str | Tokens | int  # an input or output as a file has it; only outputs are numbers
NUMBER = re.compile(r"[0-9]{1,18}")  # what programs can be written with


@dataclass(frozen=True)
class Pairs(Task):
    """Own pairs. Files are kept in mind by their sha256, so that a run never continues on other ones."""

    name: ClassVar[str] = "pairs"
    splits: ClassVar[tuple[str, ...]] = ("files",)
    default_split: ClassVar[str] = "files"
    own: ClassVar[bool] = True

    train: str = setting("", "pairs to learn from: FILE.tsv or FILE.jsonl")
    test: str = setting("", "pairs to test on: FILE.tsv or FILE.jsonl")
    primitives: str = setting("list", f"what programs are made of: {', '.join(PRIMITIVES)}")
    train_sha256: str = setting("", "checksum that the file of --train must have; none: the one it has")
    test_sha256: str = setting("", "checksum that the file of --test must have; none: the one it has")

    def __post_init__(self) -> None:
        """Take the checksums of files that are named without."""
        for part in ("train", "test"):
            path, checksum = str(getattr(self, part)), f"{part}_sha256"
            object.__setattr__(self, part, path)
            if path and not getattr(self, checksum):
                object.__setattr__(self, checksum, hashlib.sha256(read_given(Path(path))).hexdigest())

    def load(self, split: str, *, seed: int = 0, data_dir: Path | None = None) -> Dataset:
        """The pairs of the two files; see :meth:`Task.load`."""
        self.require_split(split)
        if data_dir is not None:
            raise ConfigError("pairs has files of its own, --train FILE and --test FILE; leave out --data-dir")
        if not (self.train and self.test):
            raise ConfigError("pairs needs files: --train FILE and --test FILE")
        train, test = self._part(self.train, self.train_sha256), self._part(self.test, self.test_sha256)
        return Dataset(train, test, f"{self.train}, {self.test}")

    def _part(self, file: str, checksum: str) -> Examples:
        """The pairs of a file that must have this sha256."""
        path = Path(file)
        content = read_given(path)
        if hashlib.sha256(content).hexdigest() != checksum:
            raise DataError(
                f"{path} is not the file of this run, its sha256 differs; nsr evaluate --test FILE takes any"
            )
        pairs = parse_pairs(content, path)
        return Examples(
            tuple(map(tokens, (one for one, _ in pairs))), outputs(pairs, primitive_set(self.primitives), path)
        )

    def encode(self, text: str) -> Tokens:
        """A sentence split at white space."""
        return tokens(text)

    def subsets(self, examples: Examples) -> dict[str, list[int]]:
        """Examples by the number of tokens of their inputs, ``tokens=8``."""
        return group_by_size({"tokens": map(len, examples.inputs)})


def read_pairs(path: str | Path) -> list[tuple[str | Tokens, Side]]:
    """The pairs of a UTF-8 file, one a line.

    The line is an input, a tab and an output or, if the name of the file ends in ``.jsonl``, an object with ``input``
    and ``output``: text or a list of tokens, of an output also a number.

    Raises:
        DataError: the file cannot be read or has no lines, or a line is not a pair; the message says which.
    """
    return parse_pairs(read_given(Path(path)), Path(path))


def parse_pairs(content: bytes, path: Path) -> list[tuple[str | Tokens, Side]]:
    """The pairs of a file with this content; see :func:`read_pairs`."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text") from None
    if not text:
        raise DataError(f"{path} is empty; expected a line for each pair of an input and an output")
    pair: Callable[[str, str], tuple[str | Tokens, Side]] = _json_pair if path.suffix == ".jsonl" else _pair
    return [pair(line, f"{path}:{number}") for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1)]


def format_pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    """A file that :func:`read_pairs` reads; neither inputs nor outputs have tabs or line breaks."""
    return "".join(f"{one}\t{other}\n" for one, other in pairs).encode()


def tokens(side: str | Tokens) -> Tokens:
    """Text as tokens, split at white space; tokens as they are."""
    return tuple(side.split()) if isinstance(side, str) else side


def outputs(pairs: Iterable[tuple[Side, Side]], primitives: PrimitiveSet, path: Path) -> tuple[Value, ...]:
    """The outputs of a file's pairs, as programs over these primitives return them.

    Raises:
        DataError: an output is of another type; the message says which.
    """
    read = _number if primitives.value_type is Type.INT else _list
    return tuple(read(output, f"{path}:{line}") for line, (_, output) in enumerate(pairs, start=1))


def _number(output: Side, place: str) -> int:
    if isinstance(output, tuple) or not NUMBER.fullmatch(str(output).strip()):
        shown = " ".join(output) if isinstance(output, tuple) else output
        raise DataError(f"{place}: the output must be a whole number, 0 or more, of at most 18 digits, not {shown!r}")
    return int(str(output).strip())


def _list(output: Side, place: str) -> Tokens:
    if isinstance(output, int):
        raise DataError(f"{place}: the output must be tokens, not the number {output}; --primitives int is for numbers")
    return tokens(output)


def _pair(line: str, place: str) -> tuple[str, str]:
    """The two fields of a line."""
    if not line.strip():
        raise DataError(f"{place}: blank line; expected an input, a tab and an output")
    fields = line.split("\t")
    if len(fields) != 2:
        raise DataError(f"{place}: expected an input, a tab and an output, found {len(fields) - 1} tabs")
    if not fields[0].strip():
        raise DataError(f"{place}: empty input")
    return fields[0], fields[1]


def _json_pair(line: str, place: str) -> tuple[str | Tokens, Side]:
    """The input and the output of a line of JSON."""
    try:
        found: Any = json.loads(line)
        if "\\u" in line:  # nothing else can be half a character
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(f"{place}: an escape such as \\ud800 is half a character; write both halves") from None
    except (ValueError, RecursionError):
        found = None
    if not (isinstance(found, dict) and found.keys() == {"input", "output"}):
        raise DataError(f'{place}: expected {{"input": ..., "output": ...}}, not {line[:40]!r}')
    one, other = (_side(found[name]) for name in ("input", "output"))
    if one is None or isinstance(one, int):
        raise DataError(f"{place}: the input must be text or a list of tokens")
    if other is None:
        raise DataError(f"{place}: the output must be text, a list of tokens or a number")
    if not tokens(one):
        raise DataError(f"{place}: empty input")
    return one, other


def _side(data: Any) -> Side | None:
    """An input or output of plain data, None if it is none."""
    if isinstance(data, list):
        return tuple(data) if all(isinstance(token, str) for token in data) else None
    return data if isinstance(data, str | int) and not isinstance(data, bool) else None
