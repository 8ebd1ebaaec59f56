"""Inversion: which value must an argument have for a program to return what is wanted?

This is how abduction passes a wanted value from a node down to a dependent. The inverses of primitives are composed
through the term, and every candidate is checked by running the program. So what is returned is always right. It is
also complete if the unknown occurs at least once outside folds and the primitives without inverse (``car`` and
``cdr``); otherwise nothing is returned. Numbers are found by trying all up to a bound, see :func:`_numbers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np

from nsr.semantics.closed_forms import closed_form, tabulate
from nsr.semantics.compilation import compile_term
from nsr.semantics.programs import Argument, Call, Constant, Fold, Self, Term, uses
from nsr.semantics.values import MISSING, Value

SMALLEST = 100  # numbers up to here are looked for in any case
LARGEST = 10_000  # numbers above this are not looked for
SOLUTIONS = 16  # numbers found for one argument


class _Any(Enum):
    """Every value solves the equation, as far as this part of the term can tell."""

    ANY = 0


ANY = _Any.ANY
Solutions = set[Value] | _Any


def invert(program: Term, wanted: Value, arguments: Sequence[Value], slot: int, max_length: int) -> list[Value]:
    """The values of argument ``slot`` for which the program returns ``wanted``.

    Args:
        program: a term.
        wanted: the value it should return.
        arguments: the values of all arguments (for ``self``, the token behind them); the one at ``slot`` is not
            looked at.
        slot: the argument to solve for.
        max_length: the bound on list lengths under which the program runs.

    Returns:
        the solutions found, shortest first; none where the argument does not matter. Of numbers, the ``SOLUTIONS``
        smallest.
    """
    if not uses(program, slot):
        return []
    if isinstance(wanted, int) and all(isinstance(each, int) for each in _others(arguments, slot)):
        return _numbers(program, wanted, arguments, slot)
    found = _Equation(tuple(arguments), slot, max_length).solve(program, wanted)
    if found is ANY:
        return []
    run = compile_term(program, max_length)
    candidates = sorted(found, key=lambda value: (len(value) if isinstance(value, tuple) else 0, str(value)))
    return [value for value in candidates if run((*arguments[:slot], value, *arguments[slot + 1 :])) == wanted]


def _others(arguments: Sequence[Value], slot: int) -> Sequence[Value]:
    return [*arguments[:slot], *arguments[slot + 1 :]]


def _numbers(program: Term, wanted: int, arguments: Sequence[Value], slot: int) -> list[Value]:
    """The numbers that solve the equation, smallest first, found by running the program on all that may.

    No argument of a sum, a difference, a product or a quotient that has this value and this other argument is larger
    than the bound, unless there is no end to them. A program without closed form may take long, so only ``SMALLEST``
    numbers are tried.
    """
    largest = SMALLEST if closed_form(program) is None else LARGEST
    bound = min(largest, SMALLEST + (wanted + 1) * (max(_others(arguments, slot), default=0) + 1))
    columns = [np.array([0 if each is MISSING else each]) for each in arguments]
    columns[slot] = np.arange(bound + 1)
    return np.flatnonzero(tabulate(program, columns) == wanted)[:SOLUTIONS].tolist()


class _Equation:
    """``term(arguments with the unknown at slot) = wanted``, solved from the outermost primitive inwards."""

    def __init__(self, arguments: tuple[Value, ...], slot: int, max_length: int) -> None:
        self.arguments = arguments
        self.slot = slot
        self.max_length = max_length
        self.solved: dict[tuple[int, Value], Solutions] = {}  # by the term's identity

    def solve(self, term: Term, wanted: Value) -> Solutions:
        """A superset of the solutions; ANY if the term does not tell."""
        found = self.solved.get((id(term), wanted))
        if found is None:
            found = self.solved[id(term), wanted] = self._solve(term, wanted)
        return found

    def _solve(self, term: Term, wanted: Value) -> Solutions:
        match term:
            case Argument(index) if index == self.slot:
                return {wanted}
            case Argument(index):
                return ANY if self.arguments[index] == wanted else set()
            case Constant(value):
                return ANY if value == wanted else set()
            case Self():
                return ANY if self.arguments[-1] == wanted else set()
            case Call() | Fold() if not uses(term, self.slot):
                return ANY if self._value(term) == wanted else set()
            case Call(primitive, inner):
                if primitive.invert is None:
                    return ANY
                known = [None if uses(each, self.slot) else self._value(each) for each in inner]
                if any(value is MISSING for value in known):
                    return set()
                return self._any_of(inner, primitive.invert(wanted, known))
        return ANY

    def _any_of(self, terms: Sequence[Term], choices: Iterable[Sequence[Value]]) -> Solutions:
        """The union, over ways to choose the values of these terms, of what solves the first term that says anything.

        Not all of it solves the others: running the program is a cheaper way to see that than solving them.
        """
        union: set[Value] = set()
        for values in choices:
            found: Solutions = ANY
            for term, value in zip(terms, values, strict=True):
                if found is ANY:
                    found = self.solve(term, value)
            if found is ANY:
                return ANY
            union |= found
        return union

    def _value(self, term: Term) -> Value:
        return compile_term(term, self.max_length)(self.arguments)
