"""Programs: terms of a typed lambda calculus, their text form and their compilation.

A program of arity n is a closed term ``λ x0 ... x(n-1). body``; only the body is kept and written, since the binders
follow from the arity. The text form is an s-expression, read by ``grammars/program.lark``:
``(cons "I_TURN_LEFT" x0)``.

Recursion is structural: ``(fold x0 nil (append rest (cons item nil)))`` takes a step for each token of a list, so every
program ends, after at most ``max_length`` steps for each of its folds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Any

from lark import Lark, Token, Tree, v_args
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from nsr.errors import ProgramError
from nsr.semantics.primitives import CONS, NIL, Primitive, PrimitiveSet, Type
from nsr.semantics.values import EMPTY, MISSING, Sentinel, Value
from nsr.syntax.grammar import load_grammar

MAX_NUMBER = 10**18  # a number above this is MISSING
MAX_CALLS = 20_000  # of recursions without closed form in one run of a program; with more it is MISSING
MAX_TOKENS = 10**9  # that the steps of its folds may take up, nodes times length; with more it is MISSING
MAX_SIZE = 128  # nodes of a term, and its depth (comparing terms takes 4 of 1000 levels of recursion a level)
MAX_TOTAL = 4096  # nodes of a term with those of the programs that it applies, each time that it does

CHOICE, OPERATION, ATOM = range(3)  # how firmly a notation holds together, the loosest first
SPELLED = {"nil": "[]", "empty": "∅", "car": "head", "cdr": "tail"}  # what has another name in the notation
RESERVED = frozenset(["if", "then", "else", "fix", "fold", "head", "item", "rec", "rest", "reverse", "self", "tail"])


@dataclass(frozen=True, slots=True)
class Argument:
    """``x0``, ``x1``, ...: the value of a dependent, counted from the left."""

    index: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A token of the output vocabulary, an integer, or EMPTY: the program of a word that contributes nothing."""

    value: str | int | Sentinel


@dataclass(frozen=True, slots=True)
class Self:
    """``self``: the token at the node itself, for words that denote themselves."""


@dataclass(frozen=True, slots=True)
class Call:
    """A primitive applied to terms."""

    primitive: Primitive
    arguments: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """``item``, in the step of a fold: the token that the step is about."""


@dataclass(frozen=True, slots=True)
class Rest:
    """``rest``, in the step of a fold: the value of the fold over the tokens behind ``item``."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Structural recursion over a list: ``start`` for no items, else ``step`` of the first item and the rest's value.

    The step is closed over ``item`` and ``rest``: no arguments, no ``self`` and no other fold are in it.
    """

    items: Term
    start: Term
    step: Term


@dataclass(frozen=True, slots=True)
class If0:
    """``then`` where ``test`` is worth 0, else ``otherwise``; only the branch that is taken is executed."""

    test: Term
    then: Term
    otherwise: Term


@dataclass(frozen=True, slots=True)
class Fix:
    """Recursion: the least function that is worth ``body``, in which :class:`Recur` calls it; outermost only.

    Its arguments are those of the program, so in the body ``x0`` and ``x1`` are what the call at hand is about.
    """

    body: Term


@dataclass(frozen=True, slots=True)
class Recur:
    """``(rec a b)``, in the body of :class:`Fix`: the function itself on other arguments."""

    arguments: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """``("+" a b)``: a program that was found before, under the name of the symbol it was found for.

    The name does not count when terms are compared: the program under it may be replaced meanwhile.
    """

    name: str = field(compare=False)
    program: Term
    arguments: tuple[Term, ...]


Term = Argument | Constant | Self | Call | Item | Rest | Fold | If0 | Fix | Recur | Apply


def subterms(term: Term) -> Iterator[Term]:
    """The term and everything inside it, outermost first; not what is inside the programs that it applies."""
    stack = [term]
    while stack:
        current = stack.pop()
        yield current
        match current:
            case Call(arguments=inner) | Recur(inner) | Apply(arguments=inner):
                stack.extend(reversed(inner))
            case Fold(items, start, step):
                stack.extend((step, start, items))
            case If0(test, then, otherwise):
                stack.extend((otherwise, then, test))
            case Fix(body):
                stack.append(body)


def size(term: Term) -> int:
    """Number of nodes."""
    return sum(1 for _ in subterms(term))


def extent(term: Term) -> tuple[int, int]:
    """Number of nodes and depth, with the programs that are applied counted each time."""
    known: dict[int, tuple[int, int]] = {}  # by identity: what is shared is looked at once
    stack = [term]
    while stack:
        current = stack[-1]
        match current:
            case Apply(_, program, arguments):
                inner = [program, *arguments]
            case Call(arguments=arguments) | Recur(arguments):
                inner = list(arguments)
            case Fold(items, start, step):
                inner = [items, start, step]
            case If0(test, then, otherwise):
                inner = [test, then, otherwise]
            case Fix(body):
                inner = [body]
            case _:
                inner = []
        waiting = [each for each in inner if id(each) not in known]
        if waiting:
            stack += waiting
            continue
        sizes, depths = zip(*(known[id(each)] for each in inner), strict=True) if inner else ((), ())
        known[id(stack.pop())] = 1 + sum(sizes), 1 + max(depths, default=0)
    return known[id(term)]


def applied(term: Term) -> set[str]:
    """The names of all programs that the term applies, or that these apply in turn."""
    found: set[str] = set()
    for inner in subterms(term):
        if isinstance(inner, Apply):
            found |= {inner.name} | applied(inner.program)
    return found


def uses(term: Term, index: int) -> bool:
    """Whether argument ``index`` occurs in the term."""
    return any(isinstance(inner, Argument) and inner.index == index for inner in subterms(term))


def grounded(term: Term) -> bool:
    """Whether the term's value depends on the token at its node."""
    return any(isinstance(inner, Self) for inner in subterms(term))


def result_type(term: Term, argument_type: Type) -> Type:
    """The type of a term whose arguments are all of ``argument_type``."""
    match term:
        case Argument():
            return argument_type
        case Constant(value):
            return {str: Type.TOKEN, int: Type.INT, Sentinel: Type.NOTHING}[type(value)]
        case Self() | Item():
            return Type.TOKEN
        case Rest() | Fold():
            return Type.LIST
        case If0() | Fix() | Recur() | Apply():
            return Type.INT
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


def to_text(term: Term, library: Container[tuple[str, int, Term]] | None = None) -> str:
    """The term as an s-expression.

    Args:
        term: the term.
        library: the name, number of arguments and program of what is applied by its name; None for everything. What is
            not in it is spelled out: ``(apply (incr x0) x1)``.
    """

    def text(term: Term) -> str:
        return to_text(term, library)

    match term:
        case Argument(index):
            return f"x{index}"
        case Constant(value):
            return "empty" if value is EMPTY else json.dumps(value, ensure_ascii=False)
        case Self():
            return "self"
        case Item():
            return "item"
        case Rest():
            return "rest"
        case Fold(items, start, step):
            return f"(fold {text(items)} {text(start)} {text(step)})"
        case If0(test, then, otherwise):
            return f"(if0 {text(test)} {text(then)} {text(otherwise)})"
        case Fix(body):
            return f"(fix {text(body)})"
        case Recur(arguments):
            return f"(rec {' '.join(map(text, arguments))})"
        case Apply(name, program, arguments):
            named = name and (library is None or (name, len(arguments), program) in library)
            applied = json.dumps(name, ensure_ascii=False) if named else f"apply {text(program)}"
            return f"({applied} {' '.join(map(text, arguments))})"
        case Call(primitive, ()):
            return primitive.name
        case Call(primitive, arguments):
            return f"({primitive.name} {' '.join(map(text, arguments))})"


def to_notation(program: Term | str) -> str:
    """A program as people write it: ``[A] ++ x0``, ``if x1 = 0 then x0 else rec(x0 ∸ 1, x1 ∸ 1)``.

    Programs that differ have notations that differ. ``++`` joins two lists, ``∸`` subtracts and ends at 0, ``rec`` is
    the program itself, ``f(x0)`` the program of the symbol f, ``{x0 + 1}(x1)`` one that is spelled out where it is
    applied. In ``([A]) ++ x0`` a list is joined by ``append``, in ``[A] ++ x0`` a token is put in front by ``cons``.

    Args:
        program: a term, or its text.

    Raises:
        ProgramError: the text is no s-expression; the message says where.
    """
    return _notation(parse_text(program if isinstance(program, str) else to_text(program), "term"))


def _notation(tree: Tree[Any], least: int = CHOICE) -> str:
    """The notation of a parse tree, in parentheses if it holds together less than ``least``."""
    text, firmness = _loose_notation(tree)
    return text if firmness >= least else f"({text})"


def _loose_notation(tree: Tree[Any]) -> tuple[str, int]:
    """The notation of a parse tree, and how firmly it holds together."""
    name: Any
    name, *inner = tree.children
    match tree.data, name, inner:
        case "call", "cons", [_, _]:
            return _list_notation(tree), OPERATION
        case "call", "append", [left, right]:
            return f"{_notation(left, ATOM)} ++ {_notation(right, OPERATION)}", OPERATION
        case "call", "incr" | "decr0", [operand]:
            steps = 1
            while _is_call(operand, name, 1):
                operand, steps = operand.children[1], steps + 1
            return f"{_notation(operand, OPERATION)} {'+' if name == 'incr' else '∸'} {steps}", OPERATION
        case "call", "if0", [test, then, otherwise]:
            return f"if {_notation(test, OPERATION)} = 0 then {_notation(then)} else {_notation(otherwise)}", CHOICE
        case "call", "fix", [body] if _calls_itself(body):
            return _loose_notation(body)
        case "call", "apply", [program, *inner]:
            return f"{{{_notation(program)}}}({', '.join(map(_notation, inner))})", ATOM
        case "call" | "apply", _, _:
            function = SPELLED.get(name, name) if tree.data == "call" else _word(read_string(name))
            return f"{function}({', '.join(map(_notation, inner))})", ATOM
    return str(SPELLED.get(name, name)), ATOM


def _list_notation(tree: Tree[Any]) -> str:
    """The notation of tokens in front of a list: ``[A, B] ++ x0``, or ``[A, B]`` if nothing follows."""
    tokens = []
    token: Any
    while _is_call(tree, "cons", 2):
        _, token, tree = tree.children
        tokens.append(_word(read_string(token.children[0])) if token.data == "token" else _notation(token))
    items = f"[{', '.join(tokens)}]"
    return items if tree.children == ["nil"] else f"{items} ++ {_notation(tree, OPERATION)}"


def _is_call(tree: Tree[Any], name: str, arity: int) -> bool:
    return tree.data == "call" and tree.children[0] == name and len(tree.children) == 1 + arity


def _word(text: str) -> str:
    """A token or a symbol as it is, in quotes if it might be taken for something else."""
    plain = re.fullmatch(r"\w+", text) and not re.fullmatch(r"x\d+", text) and text not in RESERVED
    return text if plain else json.dumps(text, ensure_ascii=False)


def _calls_itself(tree: Tree[Any]) -> bool:
    """Whether there is a ``rec`` in a parse tree, not counting the programs that are spelled out in it."""
    name, *inner = tree.children
    if tree.data == "call" and name == "apply":
        inner = inner[1:]
    return (tree.data == "call" and name == "rec") or any(map(_calls_itself, inner))


def parse_program(text: str, primitives: PrimitiveSet, arity: int) -> Term:
    """Read a term of a given arity.

    Raises:
        ProgramError: line and column of what does not parse, is not known, or is not well typed.
    """
    return build_term(parse_text(text, "term"), primitives, arity)


def parse_text(text: str, start: str) -> Tree[Any]:
    """Parse program text from one of the grammar's start rules; errors become :class:`ProgramError`."""
    try:
        return _program_grammar().parse(text, start=start)
    except UnexpectedInput as error:
        if isinstance(error, UnexpectedToken) and error.token.type == "$END":
            lines = text.split("\n")
            raise ProgramError(f"line {len(lines)}, column {len(lines[-1]) + 1}: the text stops too early") from None
        found, *_ = text[error.pos_in_stream :].split("\n")
        raise ProgramError(f"{position(error)}: {found[:12]!r} is not what a program has here") from None


@cache
def _program_grammar() -> Lark:
    return load_grammar("program", start=("lexicon", "term"))


Library = Callable[[str, int], "Term | None"]  # the program of a name and a number of arguments


def build_term(
    tree: Tree[Any], primitives: PrimitiveSet, arity: int, library: Library = lambda name, arity: None
) -> Term:
    """The checked term of a parse tree from ``grammars/program.lark``.

    Args:
        tree: the parse tree.
        primitives: what the term may be made of.
        arity: number of its arguments.
        library: gives the programs that it may apply.

    Raises:
        ProgramError: line and column of an unknown name, a wrong number of arguments, a wrong type, what may not be
            inside or outside the step of a fold or a recursion, or a term that is too large.
    """
    numbers = primitives.recursion and primitives.value_type is Type.INT
    programs = [(tree, arity)]
    while programs:
        programs += _check_program(*programs.pop(), numbers)
    if primitives.recursion and not numbers:
        _check_steps(tree)
    try:
        term = _TermBuilder(primitives, library).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, ProgramError):
            raise error.orig_exc from None
        raise
    total, depth = extent(term)
    if total > MAX_TOTAL or depth > MAX_SIZE:
        raise ProgramError(
            f"{position(tree.meta)}: with the programs it applies, more than {MAX_TOTAL} nodes or {MAX_SIZE} deep"
        )
    if term != Constant(EMPTY):
        _require_type(term, primitives, primitives.value_type, f"{position(tree.meta)}: the program")
    return term


def _check_steps(tree: Tree[Any]) -> None:
    """``item`` and ``rest`` are only in steps, arguments, ``self`` and folds only outside.

    Raises:
        ProgramError: line and column of the first that is not where it may be.
    """
    stack = [(tree, False)]
    while stack:
        current, in_step = stack.pop()
        name, *inner = current.children
        if in_step and (current.data == "argument" or name in ("self", "fold")):
            raise ProgramError(f"{position(current.meta)}: {name} is not allowed in the step of a fold")
        if not in_step and current.data == "name" and name in ("item", "rest"):
            raise ProgramError(f"{position(current.meta)}: {name} is allowed only in the step of a fold")
        steps = [in_step] * len(inner)
        if name == "fold" and len(inner) > 2:
            steps[2] = True
        stack.extend(reversed(list(zip(inner, steps, strict=True))))


def _check_program(tree: Tree[Any], arity: int, numbers: bool) -> list[tuple[Tree[Any], int]]:
    """Check the size of a program, its arguments, and that ``fix`` is only outermost, ``rec`` only inside it.

    Returns:
        the programs spelled out in it, which are not checked yet, each with its number of arguments.

    Raises:
        ProgramError: line and column of the first that is not as it may be.
    """
    known = [f"x{index}" for index in range(arity)]
    recursive = numbers and tree.data == "call" and tree.children[0] == "fix"
    programs: list[tuple[Tree[Any], int]] = []
    stack, nodes = [tree], 0
    while stack:
        current, nodes = stack.pop(), nodes + 1
        where, (name, *inner) = position(current.meta), current.children
        if nodes > MAX_SIZE:
            raise ProgramError(f"{position(tree.meta)}: more than {MAX_SIZE} nodes")
        if current.data == "argument" and name not in known:
            raise ProgramError(f"{where}: {name} is not an argument; there are: {', '.join(known) or 'none'}")
        if numbers and current.data == "call" and name == "fix" and current is not tree:
            raise ProgramError(f"{where}: fix is allowed only as the whole program")
        if numbers and current.data == "call" and name == "rec":
            if not recursive:
                raise ProgramError(f"{where}: rec is allowed only inside fix")
            if len(inner) != arity:
                raise ProgramError(f"{where}: rec takes {arity} arguments, not {len(inner)}")
        if numbers and current.data == "call" and name == "apply":
            if len(inner) < 2:
                raise ProgramError(f"{where}: apply takes a program and its arguments")
            programs.append((inner.pop(0), len(inner)))
        stack.extend(each for each in reversed(inner) if isinstance(each, Tree))
    return programs


def read_string(token: Token) -> str:
    """The text that a string of the program language denotes.

    Raises:
        ProgramError: line and column of an escape that does not exist, or of half a character.
    """
    try:
        text: str = json.loads(token)
        text.encode()
    except ValueError:
        raise ProgramError(f"{position(token)}: {token} is not a well-formed string") from None
    return text


def position(place: Any) -> str:
    """Where a token, a tree's ``meta`` or a lark error is, for messages."""
    return f"line {place.line}, column {place.column}"


@v_args(meta=True)
class _TermBuilder(Transformer_NonRecursive[Token, Term]):
    """One method a rule of ``grammars/program.lark``."""

    def __init__(self, primitives: PrimitiveSet, library: Library) -> None:
        super().__init__()
        self.primitives = primitives
        self.library = library
        self.numbers = primitives.recursion and primitives.value_type is Type.INT
        self.lists = primitives.recursion and primitives.value_type is Type.LIST

    def token(self, meta: Meta, children: list[Any]) -> Term:
        return Constant(read_string(children[0]))

    def number(self, meta: Meta, children: list[Any]) -> Term:
        if self.numbers and int(children[0]) < 0:
            raise ProgramError(f"{position(meta)}: numbers begin with 0")
        return Constant(int(children[0]))

    def argument(self, meta: Meta, children: list[Any]) -> Term:
        return Argument(int(children[0][1:]))

    def name(self, meta: Meta, children: list[Any]) -> Term:
        words: dict[str, Term] = {"self": Self(), "empty": Constant(EMPTY)}
        if self.lists:
            words |= {"item": Item(), "rest": Rest()}
        if self.numbers and children[0] in ("rec", "apply"):
            raise ProgramError(f"{position(meta)}: {children[0]} takes arguments, so it stands in parentheses")
        word = words.get(children[0])
        return self.call(meta, children) if word is None else word

    def call(self, meta: Meta, children: list[Any]) -> Term:
        name, *arguments = children
        if self.lists and name == "fold":
            self.check(meta, name, arguments, (Type.LIST, Type.LIST, Type.LIST))
            return Fold(*arguments)
        if self.numbers and name == "if0":
            self.check(meta, name, arguments, (Type.INT, Type.INT, Type.INT))
            return If0(*arguments)
        if self.numbers and name in ("fix", "rec", "apply"):
            self.check(meta, name, arguments, (Type.INT,) * (1 if name == "fix" else len(arguments)))
            if name == "rec":
                return Recur(tuple(arguments))
            return Fix(*arguments) if name == "fix" else Apply("", arguments[0], tuple(arguments[1:]))
        if name not in self.primitives:
            known = [primitive.name for primitive in self.primitives.primitives]
            known += ["fold"] * self.lists + ["fix", "rec", "if0"] * self.numbers
            raise ProgramError(f"{position(meta)}: unknown primitive '{name}'; known: {', '.join(known)}")
        primitive = self.primitives[name]
        self.check(meta, name, arguments, primitive.arguments)
        return Call(primitive, tuple(arguments))

    def apply(self, meta: Meta, children: list[Any]) -> Term:
        name, *arguments = read_string(children[0]), *children[1:]
        program = self.library(name, len(arguments)) if self.numbers else None
        if program is None:
            raise ProgramError(f"{position(meta)}: {children[0]} has no program of {len(arguments)} arguments")
        self.check(meta, name, arguments, (Type.INT,) * len(arguments))
        return Apply(name, program, tuple(arguments))

    def check(self, meta: Meta, name: str, arguments: list[Term], kinds: tuple[Type, ...]) -> None:
        """Raise an error unless there are as many arguments as types, and of these types."""
        where = position(meta)
        if len(arguments) != len(kinds):
            raise ProgramError(f"{where}: {name} takes {len(kinds)} arguments, not {len(arguments)}")
        for place, (kind, argument) in enumerate(zip(kinds, arguments, strict=True), start=1):
            _require_type(argument, self.primitives, kind, f"{where}: argument {place} of {name}")


def _require_type(term: Term, primitives: PrimitiveSet, wanted: Type, what: str) -> None:
    found = result_type(term, primitives.value_type)
    if found is not wanted:
        raise ProgramError(f"{what} must have type {wanted.value}, not {found.value}")


Run = Callable[[tuple[Value, ...]], Value]  # a program on the values of its arguments


def compile_term(term: Term, max_length: int) -> Run:
    """A closure that runs the term on a tuple of argument values; for ``self``, the node's token follows the others.

    Undefinedness is strict: MISSING inside gives MISSING. A call that makes a list longer than ``max_length`` is
    MISSING too, so that a program bounded in size is bounded in memory; so is a fold over one.

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
        return MISSING if value.__class__ is tuple and len(value) > max_length else value  # _bounded, without a call

    return run


def _nary(apply: Callable[..., Value], inner: Sequence[Run], max_length: int) -> Run:
    def run(arguments: tuple[Value, ...]) -> Value:
        values = [each(arguments) for each in inner]
        return MISSING if any(value is MISSING for value in values) else _bounded(apply(*values), max_length)

    return run
