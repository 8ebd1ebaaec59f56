"""Programs as closures that run in bounded time and memory.

Recursion over lists is structural, so every program ends, after at most ``max_length`` steps for each of its folds.
That over numbers is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter

from nsr.semantics.programs import (
    MAX_NUMBER,
    MAX_SIZE,
    Apply,
    Argument,
    Call,
    Constant,
    Fix,
    Fold,
    If0,
    Item,
    Recur,
    Rest,
    Self,
    Term,
    extent,
    size,
    subterms,
)
from nsr.semantics.values import MISSING, Value

MAX_CALLS = 20_000  # of recursions without closed form in one run of a program; with more it is MISSING
MAX_TOKENS = 10**9  # that the steps of its folds may take up, nodes times length; with more it is MISSING
Run = Callable[[tuple[Value, ...]], Value]  # a program on the values of its arguments


def compile_term(term: Term, max_length: int) -> Run:
    """A closure that runs the term on a tuple of argument values; for ``self``, the node's token follows the others.

    Undefinedness is strict: MISSING inside gives MISSING, but for the branch that an ``if0`` does not take. A call that
    makes a list longer than ``max_length`` is MISSING too, so that a program bounded in size is bounded in memory; so
    is a fold over one.

    The steps of folds are counted by their nodes and the length of the list so far, and with more than ``MAX_TOKENS``
    the program is MISSING. A step runs on the pair of ``item`` and ``rest``. What has a closed form is calculated
    (:mod:`nsr.semantics.closed_forms`); other recursion over numbers runs on a stack of its own, with a memo, and is
    MISSING where it goes in a circle or takes more than ``MAX_CALLS`` calls.
    """
    budget = _Budget()
    run = _compile(term, max_length, budget)
    return budget.limit(run) if budget.needed else run


def _compile(term: Term, max_length: int, budget: _Budget) -> Run:
    open_call = not isinstance(term, Fix) and any(isinstance(inner, Recur) for inner in subterms(term))
    if isinstance(term, Fix | If0 | Apply) and not open_call:
        from nsr.semantics.closed_forms import closed_form, run_closed  # which needs this module

        form = closed_form(term)
        if form is not None:
            return run_closed(form)
    match term:
        case Fix(body):
            weight = max(1, extent(body)[0] // MAX_SIZE)  # of a call, as it applies programs
            return _recursion(_compile(body, max_length, budget), budget, weight)
        case If0(test, then, otherwise):
            return _choice(*(_compile(each, max_length, budget) for each in (test, then, otherwise)))
        case Apply(_, program, arguments):
            return _applied(
                _compile(program, max_length, budget), [_compile(each, max_length, budget) for each in arguments]
            )
        case Recur(arguments):
            return _call([_compile(each, max_length, budget) for each in arguments])
        case Argument(index):
            return itemgetter(index)
        case Constant(value):
            return lambda arguments: value
        case Self():
            return itemgetter(-1)
        case Item():
            return itemgetter(0)
        case Rest():
            return itemgetter(1)
        case Fold(items, start, step):
            of_items, of_start, of_step = (_compile(each, max_length, budget) for each in (items, start, step))
            return _fold(of_items, of_start, of_step, max_length, budget, size(step))
        case Call(primitive, ()):
            constant = primitive.apply()
            return lambda arguments: constant
        case Call(primitive, (inner,)):
            return _unary(primitive.apply, _compile(inner, max_length, budget), max_length)
        case Call(primitive, (left, right)):
            return _binary(
                primitive.apply, _compile(left, max_length, budget), _compile(right, max_length, budget), max_length
            )
        case Call(primitive, inner):
            return _nary(primitive.apply, [_compile(each, max_length, budget) for each in inner], max_length)


def _fold(items: Run, start: Run, step: Run, max_length: int, budget: _Budget, nodes: int) -> Run:
    budget.needed = True

    def run(arguments: tuple[Value, ...]) -> Value:
        tokens, value = items(arguments), start(arguments)
        if tokens is MISSING or value is MISSING or len(tokens) > max_length:
            return MISSING
        for token in reversed(tokens):
            budget.take(nodes * (len(value) + 1))
            value = step((token, value))
            if value is MISSING:
                return MISSING
        return value

    return run


class _Pending(Exception):
    """A recursive call whose value is not known yet."""


class _Exhausted(Exception):
    """There have been ``MAX_CALLS`` calls, or ``MAX_TOKENS`` tokens."""


class _Budget:
    """What recursions and folds may still spend in one run of a program, with those in the programs that it applies."""

    def __init__(self) -> None:
        self.needed = False
        self.calls = 0
        self.tokens = 0

    def spend(self, weight: int) -> None:
        """Count a call."""
        self.calls -= weight
        if self.calls < 0:
            raise _Exhausted

    def take(self, tokens: int) -> None:
        """Count the tokens of a step."""
        self.tokens -= tokens
        if self.tokens < 0:
            raise _Exhausted

    def limit(self, run: Run) -> Run:
        """The function, MISSING where it takes too many calls or tokens."""

        def limited(arguments: tuple[Value, ...]) -> Value:
            self.calls, self.tokens = MAX_CALLS, MAX_TOKENS
            try:
                return run(arguments)
            except _Exhausted:
                return MISSING

        return limited


def _recursion(run_body: Run, budget: _Budget, weight: int) -> Run:
    budget.needed = True

    def run(arguments: tuple[Value, ...]) -> Value:
        memo: dict[tuple[Value, ...], Value] = {}
        stack, open_calls = [arguments], {arguments}
        while stack:
            budget.spend(weight)
            call = stack[-1]
            try:  # behind the arguments of a call is the memo
                value = run_body((*call, memo))
            except _Pending as pending:
                (needed,) = pending.args
                if needed in open_calls:
                    return MISSING
                stack.append(needed)
                open_calls.add(needed)
                continue
            memo[call] = value
            open_calls.remove(stack.pop())
        return value

    return run


def _call(inner: Sequence[Run]) -> Run:
    def run(arguments: tuple[Value, ...]) -> Value:
        call = tuple(each(arguments) for each in inner)
        if MISSING in call:
            return MISSING
        memo = arguments[-1]
        if call not in memo:
            raise _Pending(call)
        return memo[call]

    return run


def _choice(test: Run, then: Run, otherwise: Run) -> Run:
    def run(arguments: tuple[Value, ...]) -> Value:
        value = test(arguments)
        return MISSING if value is MISSING else otherwise(arguments) if value else then(arguments)

    return run


def _applied(program: Run, inner: Sequence[Run]) -> Run:
    def run(arguments: tuple[Value, ...]) -> Value:
        values = tuple(each(arguments) for each in inner)
        return MISSING if MISSING in values else program(values)

    return run


def _bounded(value: Value, max_length: int) -> Value:
    too_large = len(value) > max_length if value.__class__ is tuple else value.__class__ is int and value > MAX_NUMBER
    return MISSING if too_large else value


def _unary(apply: Callable[..., Value], inner: Run, max_length: int) -> Run:
    def run(arguments: tuple[Value, ...]) -> Value:
        value = inner(arguments)
        return MISSING if value is MISSING else _bounded(apply(value), max_length)

    return run


def _binary(apply: Callable[..., Value], left: Run, right: Run, max_length: int) -> Run:
    def run(arguments: tuple[Value, ...]) -> Value:
        first, second = left(arguments), right(arguments)
        if first is MISSING or second is MISSING:
            return MISSING
        value = apply(first, second)
        if value.__class__ is tuple:  # as _bounded, without a call
            return MISSING if len(value) > max_length else value
        return _bounded(value, max_length)

    return run


def _nary(apply: Callable[..., Value], inner: Sequence[Run], max_length: int) -> Run:
    def run(arguments: tuple[Value, ...]) -> Value:
        values = [each(arguments) for each in inner]
        return MISSING if any(value is MISSING for value in values) else _bounded(apply(*values), max_length)

    return run
