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
:mod:`nsr.semantics.compilation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from nsr.semantics.compilation import compile_term
from nsr.semantics.primitives import DECR0, INCR
from nsr.semantics.programs import MAX_NUMBER, Apply, Argument, Call, Constant, Fix, If0, Recur, Term, subterms
from nsr.semantics.values import MISSING, Value

UNDEFINED = -1  # stands for MISSING where numbers are calculated with
BEYOND = MAX_NUMBER + 1  # stands for all larger numbers where they are only taken away or divided by
MAX_NODES = 128  # of a formula, and so its depth


@dataclass(frozen=True)
class Form:
    """A formula: an operation on formulas, ``argument`` with its index, or ``number`` with the number.

    Operations: ``sum``; ``monus``, the difference, at least 0; ``product``; ``over``, the quotient rounded up;
    ``least``; ``if0``; ``less`` of v, n, c, which is max(0, v - n c); ``total``, a sum of at most ``BEYOND``;
    ``given``, the first of two, where the other is defined too. What is taken 0 times, the last part of ``product`` and
    ``less``, need not be defined, nor what 0 is divided by, nor the branch that ``if0`` does not take.
    """

    operation: str
    parts: tuple[Any, ...] = ()
    size: int = field(default=1, compare=False)  # number of nodes

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

    @property
    def defined(self) -> bool:
        """Whether it is surely defined where its arguments are."""
        if self.operation in ("argument", "number"):
            return True
        if self.operation == "over" and self.parts[1].operation == "number":
            return self.parts[1] != ZERO and self.parts[0].defined
        return self.operation in ("monus", "least", "less", "if0", "total") and all(part.defined for part in self.parts)

    def asked(self) -> Iterator[Form]:
        """The formulas in it without which it is surely not defined."""
        yield self
        if self.operation not in ("argument", "number"):
            for part in self.parts[: 1 if self.operation in ("if0", "product", "over") else 2]:
                yield from part.asked()


class _TooLarge(Exception):
    """A formula of more than ``MAX_NODES`` nodes."""


ZERO, ONE = Form("number", (0,)), Form("number", (1,))


def _form(operation: str, *parts: Form) -> Form:
    """A formula, simplified where that changes neither its value nor where it is defined."""
    match operation, parts:
        case ("sum" | "total", (left, right)) if left == ZERO:
            return right
        case ("sum" | "total" | "monus", (left, right)) if right == ZERO:
            return left
        case ("total", (Form("number", (one,)), Form("number", (other,)))):
            return Form("number", (min(one + other, BEYOND),))
        case ("product", (left, right)) if left == ZERO or (right == ZERO and left.defined):
            return ZERO
        case ("product", (left, right)) if left == ONE:
            return right
        case ("product" | "over", (left, right)) if right == ONE:
            return left
        case ("less", (value, times, one)) if one == ONE:
            return _form("monus", value, times)
    size = 1 + sum(part.size for part in parts)
    if size > MAX_NODES:
        raise _TooLarge
    return Form(operation, parts, size)


def _given(form: Form, needed: Form) -> Form:
    """The formula, undefined where what is needed is."""
    return form if needed.defined or needed in form.asked() else _form("given", form, needed)


@lru_cache(maxsize=1 << 14)
def closed_form(term: Term) -> Form | None:
    """The formula of a program over numbers, None if none of at most ``MAX_NODES`` nodes is known."""
    try:
        return _closed(term)
    except _TooLarge:
        return None


def _closed(term: Term) -> Form | None:
    match term:
        case Fix(body):
            return _solve(body)
        case Argument(index):
            return Form("argument", (index,))
        case Constant(int(number)):
            return Form("number", (number,))
        case Call(primitive, (inner,)) if primitive in (INCR, DECR0):
            form = closed_form(inner)
            return form and _form("sum" if primitive is INCR else "monus", form, ONE)
        case If0(test, then, otherwise):
            forms = _closed_all((test, then, otherwise))
            return None if forms is None else _form("if0", *forms)
        case Apply(_, program, arguments):
            form, forms = closed_form(program), _closed_all(arguments)
            if form is None or forms is None:
                return None
            return reduce(_given, forms, form.substitute(forms))
        case Recur(arguments):  # inside a body: what it is worth is one more argument
            return Form("argument", (len(arguments),))
    return None


def _closed_all(terms: Iterable[Term]) -> list[Form] | None:
    """The formulas of some programs, None unless all are known."""
    forms = [closed_form(term) for term in terms]
    known = [form for form in forms if form is not None]
    return known if len(known) == len(forms) else None


def _solve(body: Term) -> Form | None:
    """The formula of a linear recursion with this body."""
    calls = [inner for inner in subterms(body) if isinstance(inner, Recur)]
    if len(calls) != 1:
        return closed_form(body) if not calls else None
    (call,) = calls
    exits: list[tuple[Form, Form]] = []  # the recursion ends with this value where this is worth 0
    while isinstance(body, If0) and call in subterms(body.otherwise):
        pair = _closed_all((body.test, body.then))
        if pair is None:
            return None
        exits.append((pair[0], pair[1]))
        body = body.otherwise
    steps, around = _closed_all(call.arguments), closed_form(body)
    if not exits or around is None or steps is None:
        return None
    own = [Form("argument", (index,)) for index in range(len(steps))]
    by = {}
    for index, step in enumerate(steps):
        if step != own[index]:
            difference = _difference(step, index)
            if difference is None:
                return None
            by[index] = difference
    wrapping = _wrapping(around, len(steps))
    ends: list[int] = [test.parts[0] if test.operation == "argument" else -1 for test, _ in exits]
    if wrapping is None or not set(by).issuperset(ends):
        return None
    operation, added = wrapping
    if any(each.mentions({*by, len(steps)}) for each in (added, *by.values())):
        return None
    if len(exits) > 1 and any(each.operation != "number" for each in by.values()):
        return None  # one of them may never end the recursion
    turns = reduce(lambda one, other: _form("least", one, other), [_form("over", own[each], by[each]) for each in ends])
    state = [_form("less", own[index], turns, by[index]) if index in by else own[index] for index in range(len(steps))]
    if len(exits) == 1:
        state[ends[0]] = ZERO
    *others, (_, last) = [(test.substitute(state), value.substitute(state)) for test, value in exits]
    for test, value in reversed(others):
        last = _form("if0", test, value, last)
    if operation == "monus":
        value = _form("less", last, turns, added)
    else:
        value = _form("sum", last, _form("product", turns, added))
    for index, each in by.items():  # the arguments of a call are defined, used or not
        if index not in ends and not each.defined:
            value = _given(value, _form("less", ZERO, turns, each))
    return value


def _difference(step: Form, index: int) -> Form | None:
    """What is subtracted from an argument in each step."""
    total = ZERO
    while step.operation == "monus":
        step, less = step.parts
        total = _form("total", less, total)
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
        operation, total, around = around.operation, _form("total", right, total), left
    return operation, total


def form_text(form: Form) -> str:
    """A formula in the notation of programs: ``(monus x0 x1)``."""
    if form.operation == "argument":
        return f"x{form.parts[0]}"
    if form.operation == "number":
        return str(form.parts[0])
    return f"({form.operation} {' '.join(map(form_text, form.parts))})"


def _limited(number: int) -> int:
    return number if number <= MAX_NUMBER else UNDEFINED


Formula = Callable[[Sequence[int]], int]  # calculates on the values of the arguments
SCALAR: dict[str, Callable[[int, int], int]] = {
    "sum": lambda left, right: _limited(left + right),
    "total": lambda left, right: min(left + right, BEYOND),
    "monus": lambda left, right: left - right if left > right else 0,
    "least": min,
    "given": lambda left, right: left,
}


def formula(form: Form) -> Formula:
    """A closure that calculates a formula on natural numbers; UNDEFINED where it is not defined."""
    if form.operation == "argument":
        index = form.parts[0]
        return lambda arguments: arguments[index]
    if form.operation == "number":
        number = form.parts[0]
        return lambda arguments: number
    inner = [formula(part) for part in form.parts]
    match form.operation:
        case "if0":
            return _choose(*inner)
        case "product":
            return _product(*inner)
        case "over":
            return _over(*inner)
        case "less":
            return _less(*inner)
    left, right = inner
    apply = SCALAR[form.operation]

    def calculate(arguments: Sequence[int]) -> int:
        one, other = left(arguments), right(arguments)
        return UNDEFINED if one < 0 or other < 0 else apply(one, other)

    return calculate


def _choose(test: Formula, then: Formula, otherwise: Formula) -> Formula:
    def calculate(arguments: Sequence[int]) -> int:
        found = test(arguments)
        return UNDEFINED if found < 0 else otherwise(arguments) if found else then(arguments)

    return calculate


def _product(times: Formula, factor: Formula) -> Formula:
    def calculate(arguments: Sequence[int]) -> int:
        number = times(arguments)
        if number <= 0:
            return number  # 0 or UNDEFINED
        each = factor(arguments)
        return UNDEFINED if each < 0 else _limited(number * each)

    return calculate


def _over(dividend: Formula, divisor: Formula) -> Formula:
    def calculate(arguments: Sequence[int]) -> int:
        number = dividend(arguments)
        if number <= 0:
            return number  # 0 or UNDEFINED
        each = divisor(arguments)
        return UNDEFINED if each <= 0 else -(-number // each)

    return calculate


def _less(value: Formula, times: Formula, factor: Formula) -> Formula:
    def calculate(arguments: Sequence[int]) -> int:
        whole, number = value(arguments), times(arguments)
        if whole < 0 or number < 0:
            return UNDEFINED
        each = factor(arguments) if number else 0
        return UNDEFINED if each < 0 else max(whole - number * each, 0)

    return calculate


def run_closed(form: Form) -> Callable[[tuple[Value, ...]], Value]:
    """A closure as :func:`nsr.semantics.compilation.compile_term` makes them."""
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
        int64, UNDEFINED where the program is not defined, or an argument or the value is above ``MAX_NUMBER``.
    """
    columns = [each.astype(np.int64) for each in np.broadcast_arrays(*map(np.asarray, arguments))]
    undefined = np.any([(column < 0) | (column > MAX_NUMBER) for column in columns], axis=0)
    form = closed_form(program)
    if form is not None:
        columns = [np.where(undefined, 0, column) for column in columns]
        return np.where(undefined, UNDEFINED, _evaluate(form, columns))
    run = compile_term(program, 0)
    rows = np.stack([column[~undefined] for column in columns], axis=1)
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    found = [run(tuple(row)) for row in distinct.tolist()]
    values = np.full(undefined.shape, UNDEFINED)
    values[~undefined] = np.array([UNDEFINED if each is MISSING else each for each in found], np.int64)[inverse.ravel()]
    return values


def _evaluate(form: Form, columns: Sequence[np.ndarray]) -> np.ndarray:
    """A formula on arrays, as :func:`formula` on numbers; no number in between is larger than an int64 holds."""
    if form.operation == "argument":
        return columns[form.parts[0]]
    if form.operation == "number":
        return np.full(columns[0].shape, form.parts[0], np.int64)
    parts = [_evaluate(part, columns) for part in form.parts]
    if form.operation == "if0":
        test, then, otherwise = parts
        return np.where(test < 0, UNDEFINED, np.where(test == 0, then, otherwise))
    if form.operation == "less":
        whole, times, each = parts
        undefined = (whole < 0) | (times < 0) | ((times > 0) & (each < 0))
        positive = np.maximum(each, 1)
        rest = np.where(times > whole // positive, 0, whole - np.minimum(times, whole // positive) * positive)
        return np.where(undefined, UNDEFINED, np.where((times == 0) | (each == 0), whole, rest))
    left, right = parts
    undefined = (left < 0) | (right < 0)
    match form.operation:
        case "sum":
            found = left + right
            undefined |= found > MAX_NUMBER
        case "total":
            found = np.minimum(left + right, BEYOND)
        case "monus":
            found = np.maximum(left - right, 0)
        case "least":
            found = np.minimum(left, right)
        case "over":
            found = -(-left // np.maximum(right, 1))
            undefined = (left < 0) | ((left > 0) & (right <= 0))
        case "product":
            large = left > MAX_NUMBER // np.maximum(right, 1)
            found = np.where(large, 0, left) * right
            undefined = (left < 0) | ((left > 0) & ((right < 0) | (large & (right > 0))))
            found = np.where((left == 0) | (right == 0), 0, found)
        case "given":
            found = left
    return np.where(undefined, UNDEFINED, found)
