"""Programs as text: s-expressions, read by ``grammars/program.lark``, and a notation for people.

An s-expression: ``(cons "I_TURN_LEFT" x0)``. Recursion over lists is structural: ``(fold x0 nil (append rest (cons
item nil)))`` takes a step for each token of a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container
from functools import cache
from typing import Any

from lark import Lark, Token, Tree, v_args
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from nsr.errors import ProgramError
from nsr.semantics.primitives import PrimitiveSet, Type
from nsr.semantics.programs import (
    MAX_SIZE,
    MAX_TOTAL,
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
    result_type,
)
from nsr.semantics.values import EMPTY
from nsr.syntax.grammar import load_grammar

CHOICE, OPERATION, ATOM = range(3)  # how firmly a notation holds together, the loosest first
SPELLED = {"nil": "[]", "empty": "∅", "car": "head", "cdr": "tail"}  # what has another name in the notation
WORDS = ("self", "item", "rest")  # what is no primitive
RESERVED = frozenset(["if", "then", "else", "fix", "fold", "head", "item", "rec", "rest", "reverse", "self", "tail"])


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
        ProgramError: the text is no s-expression, or is deeper than programs are; the message says where.
    """
    tree = parse_text(program if isinstance(program, str) else to_text(program), "term")
    _require_depth(tree)
    return _notation(tree)


def _require_depth(tree: Tree[Any]) -> None:
    """Refuse a parse tree that is deeper than a program may be."""
    level = [tree]
    for _ in range(MAX_SIZE):
        level = [inner for each in level for inner in each.children if isinstance(inner, Tree)]
        if not level:
            return
    raise ProgramError(f"{position(tree.meta)}: more than {MAX_SIZE} deep")


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
        case "name", _, _ if name not in SPELLED and name not in WORDS:
            return f"{name}()", ATOM
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
