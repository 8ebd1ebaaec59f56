"""Own data: files of input-output pairs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nsr.errors import DataError


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """The pairs of a file, one a line: the input, a tab, the output; UTF-8.

    Raises:
        DataError: the file cannot be read or has no lines, or a line is not a pair; the message says which.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    if not text:
        raise DataError(f"{path} is empty; expected lines of an input, a tab and an output")
    return [_pair(line, f"{path}:{number}") for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1)]


def format_pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    """A file that :func:`read_pairs` reads; neither inputs nor outputs have tabs or line breaks."""
    return "".join(f"{one}\t{other}\n" for one, other in pairs).encode()


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
