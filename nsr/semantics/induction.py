"""Program induction: the shortest program that explains a table of examples.

Bottom-up enumeration with observational equivalence (Albarghouthi, Gulwani and Kincaid 2013; Udupa et al. 2013):
terms are grown by size, and of terms with the same values on the examples only the shortest is kept. After each size
the bank is searched from both ends: for every term the inverse of a primitive says what the other argument must be
worth, and a look-up tells whether a known term is worth just that. A program of size 7 is thus found from terms of
size 3.

Examples may be wrong. Programs are found on small subsets of the table and judged on all of it, contradictions
included, by their posterior: a likelihood with a chance of error, and a prior by description length. A node costs the
choice of a production, a constant also the choice of its token, so of two programs that explain the same examples the
one without constants is often preferred although it is longer: it says more with less. Subsets are drawn until one
without errors was most likely among them (Fischler and Bolles 1981).

Where the primitives have recursion, lists are folded too. What a fold does is in its step, and the steps are the same
for all tables: all terms of a few nodes over ``item`` and ``rest`` that differ in what they do. A fold with its step
counts as one node when terms are grown by size, in its description length the step counts in full. The search also
joins three terms then, by two calls: the results of folds are often pieces of what is wanted.

Programs over integers are another search, see :mod:`nsr.semantics.recursion`.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeVar

import numpy as np

from nsr.semantics import recursion
from nsr.semantics.closed_forms import tabulate
from nsr.semantics.compilation import compile_term
from nsr.semantics.enumeration import numbers
from nsr.semantics.primitives import Primitive, PrimitiveSet, Type
from nsr.semantics.programs import (
    MAX_SIZE,
    Apply,
    Argument,
    Call,
    Constant,
    Fold,
    Item,
    Rest,
    Self,
    Term,
    quote,
    size,
    subterms,
)
from nsr.semantics.values import EMPTY, MISSING, Value
from nsr.settings import setting

MAX_STEP = 5  # nodes of the step of a fold
MAX_START = 2  # size of the start of a fold
RISK = 0.01  # chance that no subset searched was right for a program that explains more than the best one found


@dataclass(frozen=True)
class InductionConfig:
    """How programs are searched for."""

    max_program_size: int = setting(8, "of lists, terms are enumerated up to this size; joins reach about twice as far")
    max_bank: int = setting(1_000, "distinct terms kept in one search over lists")
    subset: int = setting(4, "examples that a search over lists must explain exactly: so few that all may be right")
    subsets: int = setting(16, "searches over lists on different subsets before giving up")
    error_rate: float = setting(0.02, "chance that an example is wrong, under the likelihood")
    bits_per_argument: float = setting(6.0, "description length of an argument: the grammar needs a slot for it")
    bits_per_node: float = setting(2.0, "description length of one node of a program; a constant costs its token too")
    recursion: bool = setting(True, "look for recursive programs, too, where the primitives have recursion")


@dataclass(frozen=True)
class Example:
    """Evidence about one key: on these arguments the value was this, with this weight."""

    arguments: tuple[Value, ...]
    value: Value
    weight: float = 1.0


@dataclass(frozen=True)
class Hypothesis:
    """A program and how well it explains its examples.

    Attributes:
        program: the term.
        agreement: share of the examples' weight that it explains, 0 to 1.
        score: log posterior up to a constant, in bits.
    """

    program: Term
    agreement: float
    score: float


@dataclass(frozen=True)
class LibraryEntry:
    """A program over integers that was found before, and the name of the symbol it was found for."""

    name: str
    arity: int
    program: Term


@dataclass(frozen=True)
class Space:
    """What programs may be made of.

    Attributes:
        primitives: the functions.
        constants: the tokens.
        max_length: lists longer than this are undefined.
        library: programs that others may apply, for integers only; their order does not matter.
    """

    primitives: PrimitiveSet
    constants: tuple[str, ...] = ()
    max_length: int = 10_000
    library: tuple[LibraryEntry, ...] = ()

    def bits(self, term: Term, config: InductionConfig, arity: int = 0) -> float:
        """Description length of a term, and of so many arguments if it is a program: each asks for a slot."""
        bits = config.bits_per_node * size(term) + config.bits_per_argument * arity
        return bits + sum(self.choice_bits(inner, config) for inner in subterms(term))

    def choice_bits(self, node: Term, config: InductionConfig) -> float:
        """What a node costs beyond the choice of its production: which token, number or program of the library."""
        match node:
            case Constant(int(number)):
                return config.bits_per_node * (math.log2(number + 2) - 1)
            case Constant():
                return math.log2(max(len(self.constants), 1))
            case Apply():
                return math.log2(max(len(self.library), 1))
        return 0.0


def judge(program: Term, examples: Sequence[Example], space: Space, config: InductionConfig) -> Hypothesis:
    """Score a program on all examples."""
    total = sum(example.weight for example in examples)
    hits = sum(itertools.compress((example.weight for example in examples), _explained(program, examples, space)))
    log_likelihood = hits * math.log2(1 - config.error_rate) + (total - hits) * math.log2(config.error_rate)
    return Hypothesis(program, hits / total if total else 0.0, log_likelihood - space.bits(program, config))


def _explained(program: Term, examples: Sequence[Example], space: Space) -> Iterable[bool]:
    """Whether the program has the value of each example."""
    if space.primitives.value_type is Type.INT and program != Constant(EMPTY):
        arguments = zip(*(example.arguments for example in examples), strict=True)
        columns = [numbers(column) for column in arguments if not isinstance(column[0], str)]
        if columns:
            wanted = numbers(example.value for example in examples)
            return (tabulate(program, columns) == wanted) & (wanted >= 0)
    run = compile_term(program, space.max_length)
    return [run(example.arguments) == example.value for example in examples]


def induce(
    examples: Sequence[Example],
    arity: int,
    space: Space,
    config: InductionConfig,
    generator: np.random.Generator,
) -> Hypothesis | None:
    """Find the most probable program for these examples.

    Args:
        examples: what is known of one key; several values for the same arguments are allowed. If there is one
            argument more than ``arity``, it is the node's token, which the program may ask for.
        arity: number of arguments; 0 gives the constant with most weight, or a program of the token where one follows.
        space: what programs may be made of.
        config: how to search.
        generator: draws the subsets of examples after the first.

    Returns:
        the best program found, or None if no subset of the examples has one; for integers, None if no program explains
        much of them or there are more than two arguments.
    """
    if not config.recursion:
        space = replace(space, primitives=replace(space.primitives, recursion=False))
    integers = space.primitives.value_type is Type.INT
    if integers:
        examples = [replace(example, arguments=example.arguments[:arity]) for example in examples]
    table = majority(examples)
    if not table:
        return None
    if arity == len(table[0].arguments) == 0:
        program = quote(table[0].value)
        return judge(program, examples, space, config) if size(program) <= MAX_SIZE else None
    if integers:
        judged = [judge(program, examples, space, config) for program in recursion.search(table, arity, space, config)]
        return max(judged, key=lambda hypothesis: hypothesis.score, default=None)
    best: Hypothesis | None = None
    share = 0.0  # of the table that some program found explains
    for tried, subset in enumerate(_subsets(table, config, generator), start=1):
        term = _search(tuple(replace(each, weight=1.0) for each in subset), arity, space, config)
        if term is not None:
            found = judge(term, examples, space, config)
            best = found if best is None or found.score > best.score else best
            share = max(share, judge(term, table, space, config).agreement)
        if (1 - share**config.subset) ** tried < RISK:
            break
    return best


def forget() -> None:
    """Forget the searches that were made, as they are before anything is measured; otherwise none is made twice."""
    _search.cache_clear()


def majority(examples: Sequence[Example]) -> list[Example]:
    """One example for each tuple of arguments: the value with most weight, with that weight; heaviest first."""
    votes: dict[tuple[Value, ...], dict[Value, float]] = defaultdict(lambda: defaultdict(float))
    for example in examples:
        votes[example.arguments][example.value] += example.weight
    table = [Example(arguments, *max(values.items(), key=itemgetter(1))) for arguments, values in votes.items()]
    return sorted(table, key=lambda example: -example.weight)


def _subsets(table: list[Example], config: InductionConfig, generator: np.random.Generator) -> Iterator[list[Example]]:
    """The heaviest examples first, then draws by weight; a table that fits is tried only once."""
    yield table[: config.subset]
    if len(table) > config.subset:
        weights = np.array([example.weight for example in table])
        for _ in range(config.subsets - 1):
            drawn = generator.choice(len(table), config.subset, replace=False, p=weights / weights.sum())
            yield [table[index] for index in sorted(drawn)]


Vector = tuple[Value, ...]  # the values of a term on the examples of a search


class _Known(NamedTuple):
    """A term with its type, its values and its description length."""

    term: Term
    type: Type
    vector: Vector
    bits: float


@lru_cache(maxsize=1 << 12)
def _search(examples: tuple[Example, ...], arity: int, space: Space, config: InductionConfig) -> Term | None:
    """The term with the shortest description found whose values on these examples are the wanted ones."""
    bank = _Bank(examples, arity, space, config)
    best: _Known | None = None
    for term_size in range(1, config.max_program_size + 1):
        if bank.full or (best is not None and best.bits <= term_size * config.bits_per_node):
            break  # no term of this size is shorter
        bank.grow(term_size)
        found = [known for known in (bank.answer(), *bank.join(), best) if known is not None]
        best = min(found, key=lambda known: known.bits, default=None)
    return best.term if best is not None else None


class _Bank:
    """The shortest known term for each type and vector of values."""

    def __init__(self, examples: Sequence[Example], arity: int, space: Space, config: InductionConfig) -> None:
        self.wanted: Vector = tuple(example.value for example in examples)
        self.arguments: list[Vector] = [tuple(each.arguments[index] for each in examples) for index in range(arity)]
        grounded = bool(examples) and len(examples[0].arguments) > arity
        self.tokens: Vector | None = tuple(example.arguments[-1] for example in examples) if grounded else None
        self.longest = max(map(_length, itertools.chain(self.wanted, *self.arguments)))
        self.space = space
        self.config = config
        self.by_vector: dict[Type, dict[Vector, _Known]] = {kind: {} for kind in Type}
        self.by_size: dict[Type, dict[int, list[_Known]]] = {kind: defaultdict(list) for kind in Type}
        self.by_first_value: dict[Type, dict[Value, list[Vector]]] = {kind: defaultdict(list) for kind in Type}

    @property
    def full(self) -> bool:
        """Whether no more terms are taken."""
        return sum(map(len, self.by_vector.values())) >= self.config.max_bank

    def grow(self, term_size: int) -> None:
        """Take the terms of this size over the bank's smaller terms, until the bank is full."""
        # A list longer than all in the examples leads nowhere unless cdr makes it shorter again, by one for each node.
        longest = self.longest + self.config.max_program_size - term_size
        for known in self._leaves() if term_size == 1 else self._larger(term_size, longest):
            rival = self.by_vector[known.type].get(known.vector)
            if rival is not None and rival.bits <= known.bits:
                continue
            if any(value is MISSING or _length(value) > longest for value in known.vector):
                continue
            if rival is None:
                self.by_first_value[known.type][known.vector[0]].append(known.vector)
            self.by_vector[known.type][known.vector] = known
            self.by_size[known.type][term_size].append(known)
            if self.full:
                return

    def answer(self) -> _Known | None:
        """The term with the wanted values."""
        return self.by_vector[self.space.primitives.value_type].get(self.wanted)

    def join(self) -> Iterator[_Known]:
        """The calls of a primitive on two terms of the bank that give the wanted values."""
        for primitive in self.space.primitives.primitives:
            if primitive.invert is None or len(primitive.arguments) != 2:
                continue
            firsts, seconds = (self.by_vector[kind] for kind in primitive.arguments)
            for first in firsts.values():
                rest = _residual(primitive, first.vector, self.wanted)
                if rest is None:
                    continue
                if rest in seconds:
                    yield self._call(primitive, (first, seconds[rest]), self.wanted)
                elif self.space.primitives.recursion and rest != self.wanted:
                    yield from self._join_rest(primitive, first, rest)

    def _join_rest(self, outer: Primitive, left: _Known, wanted: Vector) -> Iterator[_Known]:
        """The calls of ``outer`` on ``left`` and on a call that gives what ``outer`` needs there."""
        for primitive in self.space.primitives.primitives:
            if primitive.invert is None or len(primitive.arguments) != 2 or primitive.result is not outer.arguments[1]:
                continue
            firsts, seconds = (self.by_vector[kind] for kind in primitive.arguments)
            by_value = self.by_first_value[primitive.arguments[0]]
            for value, _ in primitive.invert(wanted[0], (None, None)):
                for vector in by_value.get(value, ()):
                    rest = _residual(primitive, vector, wanted)
                    if rest is not None and rest in seconds:
                        right = self._call(primitive, (firsts[vector], seconds[rest]), wanted)
                        yield self._call(outer, (left, right), self.wanted)

    def _leaves(self) -> Iterator[_Known]:
        """Arguments, primitives without arguments and, last, constants."""
        kind, bits = self.space.primitives.value_type, self.config.bits_per_node
        for index, vector in enumerate(self.arguments):
            yield _Known(Argument(index), kind, vector, bits)
        if self.tokens is not None:
            yield _Known(Self(), Type.TOKEN, self.tokens, bits)
        for primitive in self.space.primitives.primitives:
            if not primitive.arguments:
                yield self._call(primitive, (), (primitive.apply(),) * len(self.wanted))
        for constant in map(Constant, self._constants()):
            vector = (constant.value,) * len(self.wanted)
            yield _Known(constant, Type.TOKEN, vector, self.space.bits(constant, self.config))

    def _larger(self, term_size: int, longest: int) -> Iterator[_Known]:
        yield from self._calls(term_size)
        if self.space.primitives.recursion:
            yield from self._folds(term_size, longest)

    def _folds(self, term_size: int, longest: int) -> Iterator[_Known]:
        """Folds over lists of the bank that never grow longer than this; a fold and its step count as one node."""
        steps = _steps(self.space)
        lists = self.by_size[Type.LIST]
        for items_size, start_size in _compositions(term_size - 1, 2):
            if start_size > MAX_START:
                continue
            for items, start in itertools.product(lists[items_size], lists[start_size]):
                if not any(items.vector):
                    continue
                bits = items.bits + start.bits
                for step, run, step_size in steps:
                    vector = _fold_all(items.vector, start.vector, run, longest)
                    if vector is not None:
                        step_bits = (1 + step_size) * self.config.bits_per_node
                        yield _Known(Fold(items.term, start.term, step), Type.LIST, vector, bits + step_bits)

    def _calls(self, term_size: int) -> Iterator[_Known]:
        """Primitives applied to terms of the bank."""
        for primitive, parts in _applications(self.space.primitives, term_size, self.by_size):
            vector = tuple(map(primitive.apply, *(part.vector for part in parts)))
            yield self._call(primitive, parts, vector)

    def _call(self, primitive: Primitive, parts: Sequence[_Known], vector: Vector) -> _Known:
        term = Call(primitive, tuple(part.term for part in parts))
        bits = self.config.bits_per_node + sum(part.bits for part in parts)
        return _Known(term, primitive.result, vector, bits)

    def _constants(self) -> list[str]:
        """Tokens that every wanted value has: a constant of the program shows in all of its results."""
        wanted = [set(value) for value in self.wanted if isinstance(value, tuple)]
        return sorted(set(self.space.constants).intersection(*wanted)) if wanted else []


Part = TypeVar("Part")
Step = tuple[Term, Callable[[tuple[Value, ...]], Value], int]  # of a fold: the term, what runs it, its size


@lru_cache(maxsize=16)
def _steps(space: Space) -> list[Step]:
    """The steps that differ on lists of fresh tokens, smallest first; those that leave out ``rest`` do not recur."""
    probes = [(f"item{length}", tuple(f"rest{length}.{place}" for place in range(length))) for length in range(4)]
    seen: set[tuple[Type, Vector]] = set()
    by_size: dict[Type, dict[int, list[Term]]] = {kind: defaultdict(list) for kind in Type}
    steps = []
    for term_size in range(1, MAX_STEP + 1):
        new: list[tuple[Type, Term]] = [(Type.TOKEN, Item()), (Type.LIST, Rest())] if term_size == 1 else []
        for primitive, parts in _applications(space.primitives, term_size, by_size):
            new.append((primitive.result, Call(primitive, parts)))
        for kind, term in new:
            run = compile_term(term, space.max_length)
            vector = tuple(map(run, probes))
            if (kind, vector) in seen or all(value is MISSING for value in vector):
                continue
            seen.add((kind, vector))
            by_size[kind][term_size].append(term)
            if kind is Type.LIST and term_size > 1 and any(isinstance(inner, Rest) for inner in subterms(term)):
                steps.append((term, run, term_size))
    return steps


def _fold_all(items: Vector, starts: Vector, run: Callable[[tuple[Value, ...]], Value], longest: int) -> Vector | None:
    """The values of a fold, or None if one is undefined or was longer than ``longest`` on the way."""
    values = []
    for tokens, value in zip(items, starts, strict=True):
        for token in reversed(tokens):
            value = run((token, value))
            if value is MISSING or len(value) > longest:
                return None
        values.append(value)
    return tuple(values)


def _residual(primitive: Primitive, first: Vector, wanted: Vector) -> Vector | None:
    """What the second argument must be worth on each example, given the first one and the result."""
    if primitive.invert is None:
        return None
    rest = []
    for value, result in zip(first, wanted, strict=True):
        solution = next((each for each in primitive.invert(result, (value, None)) if each[0] == value), None)
        if solution is None:
            return None
        rest.append(solution[1])
    return tuple(rest)


def _applications(
    primitives: PrimitiveSet, term_size: int, by_size: Mapping[Type, Mapping[int, list[Part]]]
) -> Iterator[tuple[Primitive, tuple[Part, ...]]]:
    """Each primitive with the parts, known by type and size, that it makes terms of this size of."""
    for primitive in primitives.primitives:
        for sizes in _compositions(term_size - 1, len(primitive.arguments)):
            pools = [by_size[kind][part] for kind, part in zip(primitive.arguments, sizes, strict=True)]
            for parts in itertools.product(*pools):
                yield primitive, parts


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write ``total`` as an ordered sum of ``parts`` positive numbers."""
    if parts == 0:
        if total == 0:
            yield ()
        return
    if parts == 1:
        if total >= 1:
            yield (total,)
        return
    for first in range(1, total - parts + 2):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)


def _length(value: Value) -> int:
    return len(value) if isinstance(value, tuple) else 0
