"""The grounded symbol system (GSS) of one example: a dependency tree of symbols and values.

A node is a triple (x, s, v) of a grounded input, an abstract symbol and a value (Li et al. 2024, arXiv
2210.01603). The nodes stand in the order of the input. The tree is an array of heads: the position of each
node's head, ``ROOT`` for the root.

Shape letter: n nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nsr.errors import ProgramError
from nsr.semantics.values import Value, format_value
from nsr.semantics.values import to_json as value_to_json

ROOT = -1  # the head of the root


@dataclass(frozen=True, eq=False)
class GSS:
    """An immutable tree over the inputs; equal and hashed by content.

    Attributes:
        inputs: x, the grounded inputs: words, or names of images.
        symbols: s, the abstract symbols.
        heads: head of each node, shape (n,), int64, read-only; any integers are accepted and copied.
        values: v, ``MISSING`` where undefined.
        programs: text of the program applied at each node, "" where there is none; empty if unknown.
        log_prob: log p(symbols, tree | inputs).

    Raises:
        ValueError: the lengths differ, the heads are no tree, or log_prob is not the logarithm of a number;
            the message starts with the field.
    """

    inputs: tuple[str, ...]
    symbols: tuple[str, ...]
    heads: np.ndarray
    values: tuple[Value, ...]
    programs: tuple[str, ...] = ()
    log_prob: float = 0.0

    def __post_init__(self) -> None:
        """Copy, freeze and check the fields."""
        heads = np.asarray(self.heads)
        if fault := _fault(heads):
            raise ValueError(f"heads: {fault}")
        heads = heads.astype(np.int64)  # a copy
        heads.flags.writeable = False
        object.__setattr__(self, "heads", heads)

        for name in ("inputs", "symbols", "values", "programs"):
            items = tuple(getattr(self, name))
            if len(items) != len(heads) and (items or name != "programs"):
                raise ValueError(f"{name}: {len(items)} for a tree of {len(heads)} nodes")
            object.__setattr__(self, name, items)

        object.__setattr__(self, "log_prob", float(self.log_prob))
        if not self.log_prob < math.inf:
            raise ValueError(f"log_prob: {self.log_prob} is not the logarithm of a number")

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self.heads)

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal."""
        return self._content() == other._content() if isinstance(other, GSS) else NotImplemented

    def __hash__(self) -> int:
        """The hash of all fields."""
        return hash(self._content())

    @property
    def root(self) -> int:
        """The position of the root."""
        return int((self.heads == ROOT).argmax())

    @property
    def value(self) -> Value:
        """The root's value: the output."""
        return self.values[self.root]

    @property
    def is_projective(self) -> bool:
        """Whether every subtree covers a contiguous span; see :func:`is_projective`."""
        return is_projective(self.heads)

    def children(self, node: int) -> tuple[int, ...]:
        """The dependents of a node, left to right; ``children(ROOT)`` holds the root alone."""
        return tuple(np.flatnonzero(self.heads == node).tolist())

    def arity(self, node: int) -> int:
        """The number of dependents of a node."""
        return int(np.count_nonzero(self.heads == node))

    def pretty(self, width: int | None = 100) -> str:
        """The tree as text: a node a line, each head above its dependents, with symbol, program and value.

        The input follows its symbol in brackets where the two differ. Programs and values are shortened in
        the middle to keep lines within ``width`` characters, but not below ``NARROWEST``; branches, symbols
        and inputs are never shortened. None is no limit.
        """
        nodes, branches = zip(*self._top_down(), strict=True)
        labels = [branch + self._label(node) for node, branch in zip(nodes, branches, strict=True)]
        programs = [self.programs[node] if self.programs else "" for node in nodes]
        values = [format_value(self.values[node]) for node in nodes]
        if width is not None:
            gaps = len(GAP) * (2 if any(programs) else 1)
            programs, values = _fit(programs, values, width - _longest(labels) - gaps)
        return _aligned(labels, programs, values)

    def readable(self) -> GSS:
        """The same tree with its programs as people write them, see :func:`nsr.semantics.notation.to_notation`.

        What is no s-expression, because it is in that notation already, stays as it is.
        """
        return replace(self, programs=tuple(map(_readable, self.programs)))

    def _repr_html_(self) -> str:
        """The tree as a picture, for notebooks."""
        from nsr.reports.trees import to_svg

        return to_svg(self.readable())

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON data; a log_prob of minus infinity, which JSON lacks, as null."""
        return {
            "inputs": list(self.inputs),
            "symbols": list(self.symbols),
            "heads": self.heads.tolist(),
            "values": [value_to_json(value) for value in self.values],
            "programs": list(self.programs),
            "log_prob": None if self.log_prob == -math.inf else self.log_prob,
        }

    def _content(self) -> tuple[Any, ...]:
        return (self.inputs, self.symbols, self.heads.tobytes(), self.values, self.programs, self.log_prob)

    def _top_down(self) -> Iterator[tuple[int, str]]:
        """Each node, heads before dependents, with the branch drawn before it."""
        pending = [(self.root, "", "")]
        while pending:
            node, branch, margin = pending.pop()
            yield node, branch
            corner, below = "└── ", "    "
            for child in reversed(self.children(node)):
                pending.append((child, margin + corner, margin + below))
                corner, below = "├── ", "│   "

    def _label(self, node: int) -> str:
        symbol, name = self.symbols[node], self.inputs[node]
        return symbol if symbol == name else f"{symbol} [{name}]"


def is_tree(heads: Sequence[int] | np.ndarray) -> bool:
    """Whether heads, shape (n,), form one tree: integers in range, a single root, no cycle."""
    return not _fault(np.asarray(heads))


def is_projective(heads: Sequence[int] | np.ndarray) -> bool:
    """Whether heads, shape (n,), form a tree in which every subtree covers a contiguous span.

    Computed in an equivalent form: no two arcs cross, where the root too has an arc, from a position left of
    all nodes, which is what ``ROOT`` = -1 names; so no arc passes over the root.
    """
    heads = np.asarray(heads)
    if not is_tree(heads):
        return False
    nodes = np.arange(len(heads))
    left, right = np.minimum(heads, nodes), np.maximum(heads, nodes)
    begins_within = (left[:, None] < left) & (left < right[:, None])  # (n, n): the second arc in the first
    ends_beyond = right[:, None] < right
    return not (begins_within & ends_beyond).any()


def projective_trees(n: int) -> Iterator[tuple[int, ...]]:
    """The heads of all projective trees over n nodes, each once; 1, 2, 7, 30, 143, 728 for n = 1 to 6."""
    return _subtrees(0, n, ROOT)


def _subtrees(start: int, stop: int, head: int) -> Iterator[tuple[int, ...]]:
    """Heads of start..stop-1: all trees over the span, their root attached to head."""
    for root in range(start, stop):
        for left in _forests(start, root, root):
            for right in _forests(root + 1, stop, root):
                yield (*left, head, *right)


def _forests(start: int, stop: int, head: int) -> Iterator[tuple[int, ...]]:
    """Heads of start..stop-1: all rows of trees side by side over the span, their roots attached to head."""
    if start == stop:
        yield ()
    for cut in range(start + 1, stop + 1):
        for first in _subtrees(start, cut, head):
            for rest in _forests(cut, stop, head):
                yield first + rest


def _fault(heads: np.ndarray) -> str:
    """The first reason why heads are no tree, "" if they are one."""
    if heads.ndim != 1 or not heads.size:
        return f"expected one for each of at least one node, found an array of shape {heads.shape}"
    if heads.dtype.kind not in "iu":
        return f"expected integers, found {heads.tolist()}"
    outside = (heads < ROOT) | (heads >= len(heads))
    if outside.any():
        return f"{heads[outside][0]} is not a node of {len(heads)}, nor ROOT ({ROOT})"
    roots = np.flatnonzero(heads == ROOT).tolist()
    if len(roots) != 1:
        return f"expected one root, found {roots or 'none'}"
    ancestor = np.append(heads, ROOT)  # (n + 1,); index ROOT finds the last entry, so ROOT stays ROOT
    for _ in range(len(heads).bit_length()):
        ancestor = ancestor[ancestor]  # twice as far up, in the end more than n arcs
    lost = np.flatnonzero(ancestor != ROOT).tolist()
    return f"a cycle keeps nodes {lost} from the root" if lost else ""


# Text layout

GAP = "   "  # between columns
NARROWEST = 9  # characters


def shorten(text: str, width: int) -> str:
    """The text without its middle if it is longer than ``width`` characters."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _readable(program: str) -> str:
    from nsr.semantics.notation import to_notation

    try:
        return to_notation(program)
    except ProgramError:
        return program


def _fit(programs: list[str], values: list[str], room: int) -> tuple[list[str], list[str]]:
    """Shorten two columns to ``room`` characters in all: programs to what the values leave, or half of it."""
    for_programs = min(_longest(programs), max(room - _longest(values), room // 2, NARROWEST))
    for_values = max(room - for_programs, NARROWEST)
    programs = [shorten(text, for_programs) for text in programs]
    values = [shorten(text, for_values) for text in values]
    return programs, values


def _aligned(*columns: list[str]) -> str:
    """Columns side by side, empty ones left out."""
    columns = tuple(column for column in columns if any(column))
    widths = [_longest(column) for column in columns]
    rows = zip(*columns, strict=True)
    return "\n".join(GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _longest(texts: list[str]) -> int:
    return max(map(len, texts))
