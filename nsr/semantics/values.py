"""Values: what programs compute with, and the small integers that stand for them in arrays.

A value is an ``int``, a token (``str``) or a list of tokens (``tuple[str, ...]``). Two sentinels complete the domain:
``MISSING``, the value of a node that has none (no program, or a program undefined on its arguments), and ``EMPTY``,
the value of a node that contributes nothing to its head.

Whole data sets are executed in numpy arrays of value ids; :class:`ValueTable` gives each distinct value its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np


class Sentinel(Enum):
    """What is no value of the output language: ``MISSING`` for undefined, ``EMPTY`` for words that mean nothing."""

    MISSING = 0
    EMPTY = 1

    def __repr__(self) -> str:
        return self.name


MISSING = Sentinel.MISSING
EMPTY = Sentinel.EMPTY
MISSING_ID = 0
EMPTY_ID = 1

Value = Any  # int | str | tuple[str, ...] | Sentinel


class ValueTable:
    """Distinct values, numbered in order of arrival; ids 0 and 1 are the sentinels.

    Grows only; an id keeps its value for the life of the table. ``bool`` and ``int`` are not told apart.
    """

    def __init__(self) -> None:
        self._values: list[Value] = [MISSING, EMPTY]
        self._ids: dict[Value, int] = {MISSING: MISSING_ID, EMPTY: EMPTY_ID}
        self.look_up = self._values.__getitem__  # what ``table[value_id]`` does, without a call of Python code

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, value_id: int) -> Value:
        return self._values[value_id]

    def id(self, value: Value) -> int:
        """The id of a value, new if it was never seen."""
        found = self._ids.get(value)
        if found is None:
            found = self._ids[value] = len(self._values)
            self._values.append(value)
        return found

    def ids(self, values: Iterable[Value]) -> np.ndarray:
        """The ids of several values, int64."""
        return np.fromiter(map(self.id, values), np.int64)


def to_json(value: Value) -> Any:
    """A value in JSON: lists as arrays, MISSING as null, EMPTY as ``{"sentinel": "EMPTY"}``."""
    if value is MISSING:
        return None
    if value is EMPTY:
        return {"sentinel": "EMPTY"}
    return list(value) if isinstance(value, tuple) else value


def format_value(value: Value) -> str:
    """A value as a person reads it: ``I_WALK I_WALK``, ``[]``, ``7``, ``?`` for MISSING."""
    if value is MISSING:
        return "?"
    if value is EMPTY:
        return "∅"
    if isinstance(value, tuple):
        return " ".join(value) if value else "[]"
    return str(value)
