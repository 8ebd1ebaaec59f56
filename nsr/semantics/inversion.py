"""Inversion: which value must an argument have for a program to return what is wanted?

This is how abduction passes a wanted value from a node down to a dependent. The inverses of primitives are composed
through the term; every solution is checked by running the program, so what is returned is always right, though not
always complete (``car`` alone has no finite inverse).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from nsr.semantics.programs import Argument, Call, Constant, Term, compile_term, uses
from nsr.semantics.values import MISSING, Value


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
        arguments: the values of all arguments; the one at ``slot`` is not looked at.
        slot: the argument to solve for.
        max_length: the bound on list lengths under which the program runs.

    Returns:
        the solutions found, shortest first; none where the argument does not matter.
    """
    if not uses(program, slot):
        return []
    found = _Equation(list(arguments), slot, max_length).solve(program, wanted)
    if found is ANY:
        return []
    run = compile_term(program, max_length)
    candidates = sorted(found, key=lambda value: (len(value) if isinstance(value, tuple) else 0, str(value)))
    return [value for value in candidates if run((*arguments[:slot], value, *arguments[slot + 1 :])) == wanted]


class _Equation:
    """``term(arguments with the unknown at slot) = wanted``, solved from the outermost primitive inwards."""

    def __init__(self, arguments: list[Value], slot: int, max_length: int) -> None:
        self.arguments = tuple(arguments)
        self.slot = slot
        self.max_length = max_length

    def solve(self, term: Term, wanted: Value) -> Solutions:
        match term:
            case Argument(index) if index == self.slot:
                return {wanted}
            case Argument(index):
                return ANY if self.arguments[index] == wanted else set()
            case Constant(value):
                return ANY if value == wanted else set()
            case Call(primitive, inner):
                if not uses(term, self.slot):
                    return ANY if self._value(term) == wanted else set()
                if primitive.invert is None:
                    return ANY
                known = [None if uses(each, self.slot) else self._value(each) for each in inner]
                if any(value is MISSING for value in known):
                    return set()
                return self._any_of(inner, primitive.invert(wanted, known))

    def _any_of(self, terms: Sequence[Term], choices) -> Solutions:
        """The union, over ways to choose the values of these terms, of what solves all of them at once."""
        union: set[Value] = set()
        for values in choices:
            both: Solutions = ANY
            for term, value in zip(terms, values, strict=True):
                both = _meet(both, self.solve(term, value))
                if both is not ANY and not both:
                    break
            if both is ANY:
                return ANY
            union |= both
        return union

    def _value(self, term: Term) -> Value:
        return compile_term(term, self.max_length)(self.arguments)


def _meet(left: Solutions, right: Solutions) -> Solutions:
    if left is ANY:
        return right
    if right is ANY:
        return left
    return left & right
