"""Program induction: the shortest program that explains a table of examples.

Bottom-up enumeration with observational equivalence (Albarghouthi, Gulwani and Kincaid 2013; Udupa et al. 2013):
terms are grown by size, and of all terms with the same values on the examples only the first is kept. After each size
the bank is searched from both ends: for every term the inverse of a primitive says what the other argument must be
worth, and a look-up tells whether a known term is worth just that. A program of size 7 is thus found from terms of
size 3.

Examples may be wrong. Programs are found on small subsets of the table and judged on all of it, contradictions
included, by their posterior: a likelihood with a chance of error, and a prior by description length. A node costs the
choice of a production, a constant also the choice of its token, so of two programs that explain the same examples the
one without constants is often preferred although it is longer: it says more with less.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nsr.semantics.primitives import Primitive, PrimitiveSet, Type
from nsr.semantics.programs import Argument, Call, Constant, Term, compile_term, quote, size, subterms
from nsr.semantics.values import MISSING, Value


@dataclass(frozen=True)
class InductionConfig:
    """How programs are searched for."""

    max_program_size: int = 8  # terms are enumerated up to this size; joins reach about twice as far
    max_bank: int = 4_000  # distinct terms kept in one search
    subset: int = 6  # examples that a search must explain exactly
    subsets: int = 4  # searches on different subsets before giving up
    error_rate: float = 0.02  # chance that an example is wrong, under the likelihood
    bits_per_node: float = 2.0  # description length of one node of a program; a constant costs its token too


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
class Space:
    """What programs may be made of.

    Attributes:
        primitives: the functions.
        constants: the tokens.
        max_length: lists longer than this are undefined.
    """

    primitives: PrimitiveSet
    constants: tuple[str, ...] = ()
    max_length: int = 10_000

    def bits(self, term: Term, config: InductionConfig) -> float:
        """Description length of a term."""
        tokens = sum(isinstance(inner, Constant) for inner in subterms(term))
        return config.bits_per_node * size(term) + math.log2(max(len(self.constants), 1)) * tokens


def judge(program: Term, examples: Sequence[Example], space: Space, config: InductionConfig) -> Hypothesis:
    """Score a program on all examples."""
    run = compile_term(program, space.max_length)
    total = sum(example.weight for example in examples)
    hits = sum(example.weight for example in examples if run(example.arguments) == example.value)
    log_likelihood = hits * math.log2(1 - config.error_rate) + (total - hits) * math.log2(config.error_rate)
    return Hypothesis(program, hits / total if total else 0.0, log_likelihood - space.bits(program, config))


def induce(
    examples: Sequence[Example],
    arity: int,
    space: Space,
    config: InductionConfig,
    generator: np.random.Generator,
) -> Hypothesis | None:
    """Find the most probable program for these examples.

    Args:
        examples: what is known of one key; several values for the same arguments are allowed.
        arity: number of arguments; 0 gives the constant with most weight.
        space: what programs may be made of.
        config: how to search.
        generator: draws the subsets of examples after the first.

    Returns:
        the best program found, or None if no subset of the examples has one.
    """
    table = majority(examples)
    if arity == 0:
        return judge(quote(table[0].value), examples, space, config)
    best: Hypothesis | None = None
    for subset in _subsets(table, config, generator):
        program = _search(subset, arity, space, config)
        if program is None:
            continue
        found = judge(program, examples, space, config)
        if best is None or found.score > best.score:
            best = found
        if found.agreement == 1.0 or judge(program, table, space, config).agreement == 1.0:
            break
    return best


def majority(examples: Sequence[Example]) -> list[Example]:
    """One example for each tuple of arguments: the value with most weight, with the weight of all; heaviest first."""
    votes: dict[tuple[Value, ...], dict[Value, float]] = defaultdict(lambda: defaultdict(float))
    for example in examples:
        votes[example.arguments][example.value] += example.weight
    table = [
        Example(arguments, max(values, key=lambda value: values[value]), sum(values.values()))
        for arguments, values in votes.items()
    ]
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


def _search(examples: list[Example], arity: int, space: Space, config: InductionConfig) -> Term | None:
    """The term with the shortest description found whose values on these examples are the wanted ones."""
    wanted: Vector = tuple(example.value for example in examples)
    bank = _Bank(examples, arity, space, config, max(map(_length, wanted)))
    best: Term | None = None
    for term_size in range(1, config.max_program_size + 1):
        if best is not None and term_size * config.bits_per_node >= space.bits(best, config):
            break  # no term of this size can be shorter
        for term, vector in bank.grow(term_size):
            bank.add(term, vector, term_size)
            if len(bank) >= config.max_bank:
                return best
        found = [bank.terms.get((space.primitives.value_type, wanted)), *bank.join(wanted), best]
        best = min(
            (term for term in found if term is not None),
            key=lambda term: space.bits(term, config),
            default=None,
        )
    return best


class _Bank:
    """Terms by type and values, and by type and size."""

    def __init__(
        self, examples: list[Example], arity: int, space: Space, config: InductionConfig, longest: int
    ) -> None:
        self.examples = examples
        self.arity = arity
        self.space = space
        self.config = config
        self.longest = longest  # lists longer than every wanted value lead nowhere: only cdr makes them shorter
        self.terms: dict[tuple[Type, Vector], Term] = {}
        self.by_size: dict[tuple[Type, int], list[tuple[Term, Vector]]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self.terms)

    def add(self, term: Term, vector: Vector, term_size: int) -> None:
        """Keep a term unless one with the same values has a description as short."""
        kind, bits = self._type(term), self.space.bits(term, self.config)
        known = self.terms.get((kind, vector))
        if known is None or bits < self.space.bits(known, self.config):
            self.terms[kind, vector] = term
            self.by_size[kind, term_size].append((term, vector))

    def grow(self, term_size: int) -> Iterator[tuple[Term, Vector]]:
        """All terms of this size over the bank's smaller terms, those without constants first."""
        count = len(self.examples)
        if term_size == 1:
            for index in range(self.arity):
                yield Argument(index), tuple(example.arguments[index] for example in self.examples)
        for primitive in self.space.primitives.primitives:
            for sizes in _compositions(term_size - 1, len(primitive.arguments)):
                pools = [self.by_size[kind, part] for kind, part in zip(primitive.arguments, sizes, strict=True)]
                for parts in itertools.product(*pools):
                    columns = [vector for _, vector in parts]
                    vector = tuple(primitive.apply(*(column[row] for column in columns)) for row in range(count))
                    if MISSING not in vector and all(_length(value) <= self.longest for value in vector):
                        yield Call(primitive, tuple(term for term, _ in parts)), vector
        if term_size == 1:
            for token in self._constants():
                yield Constant(token), (token,) * count

    def join(self, wanted: Vector) -> Iterator[Term]:
        """The calls of a primitive on two terms of the bank that give the wanted values."""
        for primitive in self.space.primitives.primitives:
            if primitive.invert is None or len(primitive.arguments) != 2:
                continue
            for (kind, vector), term in self.terms.items():
                if kind is primitive.arguments[0] and (rest := _residual(primitive, vector, wanted)) is not None:
                    other = self.terms.get((primitive.arguments[1], rest))
                    if other is not None:
                        yield Call(primitive, (term, other))

    def _constants(self) -> list[str]:
        """Tokens that every wanted value has: a constant of the program shows in all of its results."""
        wanted = [set(example.value) for example in self.examples if isinstance(example.value, tuple)]
        return sorted(set(self.space.constants).intersection(*wanted)) if wanted else []

    def _type(self, term: Term) -> Type:
        match term:
            case Argument():
                return self.space.primitives.value_type
            case Constant():
                return Type.TOKEN
            case Call(primitive):
                return primitive.result


def _residual(primitive: Primitive, first: Vector, wanted: Vector) -> Vector | None:
    """What the second argument must be worth on each example, given the first one and the result."""
    rest = []
    for value, result in zip(first, wanted, strict=True):
        solution = next(iter(primitive.invert(result, (value, None))), None)
        if solution is None or solution[0] != value:
            return None
        rest.append(solution[1])
    return tuple(rest)


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
