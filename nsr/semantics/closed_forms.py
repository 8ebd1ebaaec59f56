"""Closed forms of programs over numbers: recursion without recursing.

A linear recursion is a nest of ``if0`` with one recursive call. Where it counts arguments down and adds up a constant,
its value is a formula, by four lemmas on the natural numbers, in which ``c`` does not change during the recursion:

1. n times v -> v + c makes v + n c.
2. n times v -> max(0, v - c) makes max(0, v - n c).
3. x -> max(0, x - c) makes x zero for the first time after ceil(x / c) steps; never if x > 0 = c.
4. A recursion that ends after n steps is worth what its last call is worth, n times wrapped in what stands around the
   recursive call.

The formula is composed of sums, truncated differences, products, quotients rounded up and ``if0``. So additions learned
as counting take as long for billions as for ones. A program without closed form is run call by call, see
:mod:`nsr.semantics.programs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np

from nsr.semantics.primitives import INCR
from nsr.semantics.programs import (
    MAX_NUMBER,
    Apply,
    Argument,
    Call,
    Constant,
    Fix,
    If0,
    Recur,
    Term,
    compile_term,
    subterms,
)
from nsr.semantics.values import MISSING, Value

UNDEFINED = -1  # stands for MISSING where numbers are calculated with


@dataclass(frozen=True)
class Form:
    """A formula: an operation on formulas, ``argument`` with its index, or ``number`` with the number.

    Operations: ``sum``, ``monus`` (difference, at least 0), ``product``, ``over`` (quotient rounded up), ``least``,
    ``if0``.
    """

    operation: str
    parts: tuple = ()

    def substitute(self, arguments: Sequence[Form]) -> Form:
        """The formula with formulas in place of its arguments."""
        if self.operation == "argument":
            return arguments[self.parts[0]]
        if self.operation == "number":
            return self
        return _form(self.operation, *(part.substitute(arguments) for part in self.parts))

    def mentions(self, indices: set[int]) -> bool:
        """Whether it depends on one of these arguments."""
        if self.operation == "argument":
            return self.parts[0] in indices
        return self.operation != "number" and any(part.mentions(indices) for part in self.parts)


ZERO, ONE = Form("number", (0,)), Form("number", (1,))


def _form(operation: str, *parts: Form) -> Form:
    """A formula, simplified where an operation has no effect."""
    match operation, parts:
        case ("sum", (left, right)) if left == ZERO:
            return right
        case ("sum" | "monus", (left, right)) if right == ZERO:
            return left
        case ("product", (left, right)) if ZERO in parts:
            return ZERO
        case ("product", (left, right)) if left == ONE:
            return right
        case ("product" | "over", (left, right)) if right == ONE:
            return left
    return Form(operation, parts)


@lru_cache(maxsize=1 << 14)
def closed_form(term: Term) -> Form | None:
    """The formula of a program over numbers, None if none is known."""
    if isinstance(term, Fix):
        return _solve(term.body)
    match term:
        case Argument(index):
            return Form("argument", (index,))
        case Constant(int(number)):
            return Form("number", (number,))
        case Call(primitive, (inner,)):
            form = closed_form(inner)
            return form and _form("sum" if primitive is INCR else "monus", form, ONE)
        case If0(test, then, otherwise):
            forms = [closed_form(each) for each in (test, then, otherwise)]
            return None if None in forms else _form("if0", *forms)
        case Apply(_, program, arguments):
            form, forms = closed_form(program), [closed_form(each) for each in arguments]
            return None if form is None or None in forms else form.substitute(forms)
        case Recur(arguments):  # inside a body: what it is worth is one more argument
            return Form("argument", (len(arguments),))
    return None


def _solve(body: Term) -> Form | None:
    """The formula of a linear recursion with this body."""
    calls = [inner for inner in subterms(body) if isinstance(inner, Recur)]
    if len(calls) != 1:
        return closed_form(body) if not calls else None
    (call,) = calls
    exits: list[tuple[Form | None, Form | None]] = []  # the recursion ends with this value where this is worth 0
    while isinstance(body, If0) and call in subterms(body.otherwise):
        exits.append((closed_form(body.test), closed_form(body.then)))
        body = body.otherwise
    steps, around = [closed_form(each) for each in call.arguments], closed_form(body)
    if not exits or around is None or None in steps or any(None in pair for pair in exits):
        return None
    count = len(steps)
    changing = {index for index, step in enumerate(steps) if step != Form("argument", (index,))}
    by = {index: _difference(steps[index], index) for index in changing}
    wrapping = _wrapping(around, count)
    ends = [test.parts[0] if test.operation == "argument" else None for test, _ in exits]
    if wrapping is None or None in by.values() or not changing.issuperset(ends):
        return None
    operation, added = wrapping
    constants = [each for each in by.values() if each.operation == "number" and each.parts[0] > 0]
    if any(each.mentions({*changing, count}) for each in (added, *by.values())):
        return None
    if len(exits) > 1 and len(constants) < len(by):
        return None  # one of them may never end the recursion
    turns = reduce(
        lambda one, other: _form("least", one, other),
        [_form("over", Form("argument", (index,)), by[index]) for index in ends],
    )
    state = [
        _form("monus", Form("argument", (index,)), _form("product", turns, by[index]))
        if index in changing
        else Form("argument", (index,))
        for index in range(count)
    ]
    if len(exits) == 1:
        state[ends[0]] = ZERO
    *others, (_, last) = [(test.substitute(state), value.substitute(state)) for test, value in exits]
    for test, value in reversed(others):
        last = _form("if0", test, value, last)
    return _form(operation, last, _form("product", turns, added))


def _difference(step: Form, index: int) -> Form | None:
    """What is subtracted from an argument in each step."""
    total = ZERO
    while step.operation == "monus":
        step, less = step.parts
        total = _form("sum", less, total)
    return total if step == Form("argument", (index,)) else None


def _wrapping(around: Form, value: int) -> tuple[str, Form] | None:
    """How a step changes the value of the call in it, argument ``value`` here: the operation and what it adds."""
    operation, total, own = "sum", ZERO, Form("argument", (value,))
    while around != own:
        if around.operation not in ("sum", "monus"):
            return None
        left, right = around.parts
        if around.operation == "sum" and right.mentions({value}):
            left, right = right, left
        if total != ZERO and operation != around.operation:
            return None
        operation, total, around = around.operation, _form("sum", right, total), left
    return operation, total


def _limited(number: int) -> int:
    return number if number <= MAX_NUMBER else UNDEFINED


def _over(left: int, right: int) -> int:
    return 0 if left == 0 else -(-left // right) if right else UNDEFINED


SCALAR: dict[str, Callable[[int, int], int]] = {
    "sum": lambda left, right: _limited(left + right),
    "monus": lambda left, right: left - right if left > right else 0,
    "product": lambda left, right: _limited(left * right),
    "over": _over,
    "least": min,
}


def formula(form: Form) -> Callable[[Sequence[int]], int]:
    """A closure that calculates a formula on natural numbers; UNDEFINED where it is not defined."""
    if form.operation == "argument":
        index = form.parts[0]
        return lambda arguments: arguments[index]
    if form.operation == "number":
        number = form.parts[0]
        return lambda arguments: number
    inner = [formula(part) for part in form.parts]
    if form.operation == "if0":
        test, then, otherwise = inner

        def choose(arguments: Sequence[int]) -> int:
            found = test(arguments)
            return UNDEFINED if found < 0 else otherwise(arguments) if found else then(arguments)

        return choose
    left, right = inner
    apply = SCALAR[form.operation]

    def calculate(arguments: Sequence[int]) -> int:
        one, other = left(arguments), right(arguments)
        return UNDEFINED if one < 0 or other < 0 else apply(one, other)

    return calculate


def run_closed(form: Form) -> Callable[[tuple[Value, ...]], Value]:
    """A closure as :func:`nsr.semantics.programs.compile_term` makes them."""
    calculate = formula(form)

    def run(arguments: tuple[Value, ...]) -> Value:
        found = calculate(arguments)
        return MISSING if found < 0 else found

    return run


def tabulate(program: Term, arguments: Sequence[np.ndarray]) -> np.ndarray:
    """The values of a program over numbers on many arguments at once.

    Args:
        program: a term.
        arguments: of each call, int64 arrays of shapes that can be broadcast; UNDEFINED where an argument is.

    Returns:
        int64, UNDEFINED where the program is not defined or its value is above ``MAX_NUMBER``.
    """
    columns = [each.astype(np.int64) for each in np.broadcast_arrays(*map(np.asarray, arguments))]
    undefined = np.any([column < 0 for column in columns], axis=0)
    form = closed_form(program)
    if form is not None:
        return np.where(undefined, UNDEFINED, _evaluate(form, columns))
    run = compile_term(program, 0)
    rows = np.stack([column.reshape(-1) for column in columns], axis=1)
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    found = [UNDEFINED if min(row) < 0 or (value := run(tuple(row))) is MISSING else value for row in distinct.tolist()]
    return np.array(found, np.int64)[inverse.reshape(-1)].reshape(undefined.shape)


def _evaluate(form: Form, columns: Sequence[np.ndarray]) -> np.ndarray:
    """A formula on arrays, as :func:`formula` on numbers."""
    if form.operation == "argument":
        return columns[form.parts[0]]
    if form.operation == "number":
        return np.full(columns[0].shape, form.parts[0], np.int64)
    parts = [_evaluate(part, columns) for part in form.parts]
    if form.operation == "if0":
        test, then, otherwise = parts
        return np.where(test < 0, UNDEFINED, np.where(test == 0, then, otherwise))
    left, right = parts
    undefined = (left < 0) | (right < 0)
    match form.operation:
        case "sum":
            found = left + right
        case "monus":
            found = np.maximum(left - right, 0)
        case "least":
            found = np.minimum(left, right)
        case "over":
            found = -(-left // np.maximum(right, 1))
            undefined |= (right == 0) & (left > 0)
        case "product":
            large = left.astype(float) * right > MAX_NUMBER
            found = np.where(large, 0, left) * right
            undefined |= large
    return np.where(undefined | (found > MAX_NUMBER), UNDEFINED, found)
