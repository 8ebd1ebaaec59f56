"""Programs: terms of a typed lambda calculus, their text form and their compilation.

A program of arity n is a closed term ``λ x0 ... x(n-1). body``; only the body is kept and written, since the binders
follow from the arity. The text form is an s-expression, read by ``grammars/program.lark``:
``(cons "I_TURN_LEFT" x0)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from lark import Lark, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError

from nsr.errors import ProgramError
from nsr.semantics.primitives import CONS, NIL, Primitive, PrimitiveSet, Type
from nsr.semantics.values import MISSING, Value
from nsr.syntax.grammar import load_grammar

MAX_SIZE = 256  # nodes of a term; without recursion, also a bound on its depth and on the steps that running it takes


@dataclass(frozen=True, slots=True)
class Argument:
    """``x0``, ``x1``, ...: the value of a dependent, counted from the left."""

    index: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A token of the output vocabulary, or an integer."""

    value: str | int


@dataclass(frozen=True, slots=True)
class Call:
    """A primitive applied to terms."""

    primitive: Primitive
    arguments: tuple[Term, ...] = ()


Term = Argument | Constant | Call


def subterms(term: Term) -> Iterator[Term]:
    """The term and everything inside it, outermost first."""
    stack = [term]
    while stack:
        current = stack.pop()
        yield current
        if isinstance(current, Call):
            stack.extend(reversed(current.arguments))


def size(term: Term) -> int:
    """Number of nodes."""
    return sum(1 for _ in subterms(term))


def uses(term: Term, index: int) -> bool:
    """Whether argument ``index`` occurs in the term."""
    return any(isinstance(inner, Argument) and inner.index == index for inner in subterms(term))


def result_type(term: Term, argument_type: Type) -> Type:
    """The type of a term whose arguments are all of ``argument_type``."""
    match term:
        case Argument():
            return argument_type
        case Constant(value):
            return Type.INT if isinstance(value, int) else Type.TOKEN
        case Call(primitive):
            return primitive.result


def quote(value: Value) -> Term:
    """The term that denotes a value: ``(cons "A" (cons "B" nil))`` for the list A B."""
    if isinstance(value, tuple):
        term: Term = Call(NIL)
        for token in reversed(value):
            term = Call(CONS, (Constant(token), term))
        return term
    return Constant(value)


def to_text(term: Term) -> str:
    """The term as an s-expression."""
    match term:
        case Argument(index):
            return f"x{index}"
        case Constant(value):
            return json.dumps(value, ensure_ascii=False)
        case Call(primitive, ()):
            return primitive.name
        case Call(primitive, arguments):
            return f"({primitive.name} {' '.join(map(to_text, arguments))})"


def parse_program(text: str, primitives: PrimitiveSet, arity: int) -> Term:
    """Read a term of a given arity.

    Raises:
        ProgramError: line and column of what does not parse, is not known, or is not well typed.
    """
    term = build_term(parse_text(text, "term"), primitives, arity)
    found = result_type(term, primitives.value_type)
    if found is not primitives.value_type:
        raise ProgramError(f"line 1, column 1: the program is a {found.value}, not a {primitives.value_type.value}")
    return term


def parse_text(text: str, start: str):
    """Parse program text from one of the grammar's start rules; errors become :class:`ProgramError`."""
    try:
        return _program_grammar().parse(text, start=start)
    except UnexpectedInput as error:
        where = f"line {max(error.line, 1)}, column {max(error.column, 1)}" if error.line else "at the end"
        found = repr(text[error.pos_in_stream or 0 :][:12]) if error.pos_in_stream is not None else "the end"
        raise ProgramError(f"{where}: {found} is not what a program has here") from None


@cache
def _program_grammar() -> Lark:
    return load_grammar("program", start=("lexicon", "term"))


def build_term(tree, primitives: PrimitiveSet, arity: int) -> Term:
    """The checked term of a parse tree from ``grammars/program.lark``.

    Raises:
        ProgramError: line and column of an unknown name, a wrong number of arguments or a wrong type.
    """
    try:
        term = _TermBuilder(primitives, arity).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, ProgramError):
            raise error.orig_exc from None
        raise
    if size(term) > MAX_SIZE:
        raise ProgramError(f"line {tree.meta.line}, column {tree.meta.column}: more than {MAX_SIZE} nodes")
    return term


@v_args(meta=True)
class _TermBuilder(Transformer):
    """One method a rule of ``grammars/program.lark``."""

    def __init__(self, primitives: PrimitiveSet, arity: int) -> None:
        super().__init__()
        self.primitives = primitives
        self.arity = arity

    def token(self, meta, children) -> Term:
        try:
            return Constant(json.loads(children[0]))
        except ValueError:
            raise ProgramError(f"{_at(meta)}: {children[0]} is not a well-formed string") from None

    def number(self, meta, children) -> Term:
        return Constant(int(children[0]))

    def argument(self, meta, children) -> Term:
        index = int(children[0][1:])
        if index >= self.arity:
            raise ProgramError(f"{_at(meta)}: {children[0]} is not an argument; there are {self.arity}")
        return Argument(index)

    def name(self, meta, children) -> Term:
        return self.call(meta, children)

    def call(self, meta, children) -> Term:
        name, *arguments = children
        if name not in self.primitives:
            known = ", ".join(primitive.name for primitive in self.primitives.primitives)
            raise ProgramError(f"{_at(meta)}: unknown primitive '{name}'; known: {known}")
        primitive = self.primitives[str(name)]
        if len(arguments) != len(primitive.arguments):
            raise ProgramError(f"{_at(meta)}: {name} takes {len(primitive.arguments)} arguments, not {len(arguments)}")
        for place, (wanted, argument) in enumerate(zip(primitive.arguments, arguments, strict=True), start=1):
            found = result_type(argument, self.primitives.value_type)
            if found is not wanted:
                raise ProgramError(
                    f"{_at(meta)}: argument {place} of {name} must be a {wanted.value}, not a {found.value}"
                )
        return Call(primitive, tuple(arguments))


def _at(meta) -> str:
    return f"line {meta.line}, column {meta.column}"


def compile_term(term: Term, max_length: int) -> Callable[[tuple[Value, ...]], Value]:
    """A closure that runs the term on a tuple of argument values.

    Undefinedness is strict: MISSING inside gives MISSING. A list longer than ``max_length`` is MISSING too, so that a
    program bounded in size is bounded in memory.
    """
    match term:
        case Argument(index):
            return lambda arguments: arguments[index]
        case Constant(value):
            return lambda arguments: value
        case Call(primitive, ()):
            constant = primitive.apply()
            return lambda arguments: constant
        case Call(primitive, (inner,)):
            return _unary(primitive.apply, compile_term(inner, max_length), max_length)
        case Call(primitive, (left, right)):
            return _binary(primitive.apply, compile_term(left, max_length), compile_term(right, max_length), max_length)
        case Call(primitive, inner):
            return _nary(primitive.apply, [compile_term(each, max_length) for each in inner], max_length)


def _bounded(value: Value, max_length: int) -> Value:
    return MISSING if value.__class__ is tuple and len(value) > max_length else value


def _unary(apply, inner, max_length):
    def run(arguments):
        value = inner(arguments)
        return MISSING if value is MISSING else _bounded(apply(value), max_length)

    return run


def _binary(apply, left, right, max_length):
    def run(arguments):
        first, second = left(arguments), right(arguments)
        return MISSING if first is MISSING or second is MISSING else _bounded(apply(first, second), max_length)

    return run


def _nary(apply, inner, max_length):
    def run(arguments):
        values = [each(arguments) for each in inner]
        return MISSING if any(value is MISSING for value in values) else _bounded(apply(*values), max_length)

    return run
