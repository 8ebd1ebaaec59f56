"""Program induction: the shortest program that explains a table of examples.

Bottom-up enumeration with observational equivalence (Albarghouthi, Gulwani and Kincaid 2013; Udupa et al. 2013):
terms are grown by size, and of all terms with the same values on the examples only the first is kept. After each size
the bank is searched from both ends: for every term the inverse of a primitive says what the other argument must be
worth, and a look-up tells whether a known term is worth just that. A program of size 7 is thus found from terms of
size 3.

Examples may be wrong. Programs are found on small subsets of the table and judged on all of it, contradictions
included, by their posterior: a likelihood with a chance of error, and a prior that halves with each node.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nsr.semantics.primitives import PrimitiveSet, Type
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
    bits_per_node: float = 2.0  # description length of one node of a program


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


def judge(program: Term, examples: Sequence[Example], config: InductionConfig, max_length: int) -> Hypothesis:
    """Score a program on all examples."""
    run = compile_term(program, max_length)
    total = sum(example.weight for example in examples)
    hits = sum(example.weight for example in examples if run(example.arguments) == example.value)
    log_likelihood = hits * math.log2(1 - config.error_rate) + (total - hits) * math.log2(config.error_rate)
    return Hypothesis(
        program, hits / total if total else 0.0, log_likelihood - config.bits_per_node * size(program)
    )


def induce(
    examples: Sequence[Example],
    arity: int,
    primitives: PrimitiveSet,
    config: InductionConfig,
    generator: np.random.Generator,
    max_length: int = 10_000,
) -> Hypothesis | None:
    """Find the most probable program for these examples.

    Args:
        examples: what is known of one key; several values for the same arguments are allowed.
        arity: number of arguments; 0 gives the constant with most weight.
        primitives: what programs are built from.
        config: how to search.
        generator: draws the subsets of examples after the first.
        max_length: bound on list lengths.

    Returns:
        the best program found, or None if no subset of the examples has one.
    """
    table = majority(examples)
    if arity == 0:
        return judge(quote(table[0].value), examples, config, max_length)
    best: Hypothesis | None = None
    for subset in _subsets(table, config, generator):
        program = _search(subset, arity, primitives, config, max_length)
        if program is None:
            continue
        found = judge(program, examples, config, max_length)
        if best is None or found.score > best.score:
            best = found
        if found.agreement == 1.0 or judge(program, table, config, max_length).agreement == 1.0:
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


def _search(
    examples: list[Example], arity: int, primitives: PrimitiveSet, config: InductionConfig, max_length: int
) -> Term | None:
    """The smallest term found whose values on these examples are the wanted ones."""
    wanted: Vector = tuple(example.value for example in examples)
    bank = _Bank(examples, arity, primitives, max(map(_length, wanted)), max_length)
    goal = (primitives.value_type, wanted)
    for term_size in range(1, config.max_program_size + 1):
        for term, vector in bank.grow(term_size):
            bank.add(term, vector, term_size)
            if len(bank) >= config.max_bank:
                break
        if goal in bank.terms:
            return bank.terms[goal]
        if (joined := bank.join(wanted)) is not None:
            return joined
        if len(bank) >= config.max_bank:
            return None
    return None


class _Bank:
    """Terms by type and values, and by type and size."""

    def __init__(
        self, examples: list[Example], arity: int, primitives: PrimitiveSet, longest: int, max_length: int
    ) -> None:
        self.examples = examples
        self.arity = arity
        self.primitives = primitives
        self.longest = longest  # lists longer than every wanted value lead nowhere: only cdr makes them shorter
        self.max_length = max_length
        self.terms: dict[tuple[Type, Vector], Term] = {}
        self.by_size: dict[tuple[Type, int], list[tuple[Term, Vector]]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self.terms)

    def add(self, term: Term, vector: Vector, term_size: int) -> None:
        kind = self._type(term)
        if (kind, vector) not in self.terms:
            self.terms[kind, vector] = term
            self.by_size[kind, term_size].append((term, vector))

    def grow(self, term_size: int) -> Iterator[tuple[Term, Vector]]:
        """All terms of this size over the bank's smaller terms, those without constants first."""
        count = len(self.examples)
        if term_size == 1:
            for index in range(self.arity):
                yield Argument(index), tuple(example.arguments[index] for example in self.examples)
        for primitive in self.primitives.primitives:
            for sizes in _compositions(term_size - 1, len(primitive.arguments)):
                pools = [self.by_size[kind, part] for kind, part in zip(primitive.arguments, sizes, strict=True)]
                for parts in itertools.product(*pools):
                    columns = [vector for _, vector in parts]
                    vector = tuple(
                        primitive.apply(*(column[row] for column in columns)) for row in range(count)
                    )
                    if MISSING not in vector and all(_length(value) <= self.longest for value in vector):
                        yield Call(primitive, tuple(term for term, _ in parts)), vector
        if term_size == 1:
            for token in self._constants():
                yield Constant(token), (token,) * count

    def join(self, wanted: Vector) -> Term | None:
        """A call of a primitive on two terms of the bank that gives the wanted values; the smallest there is."""
        best: Term | None = None
        for primitive in self.primitives.primitives:
            if primitive.invert is None or len(primitive.arguments) != 2:
                continue
            for (kind, vector), term in self.terms.items():
                if kind is not primitive.arguments[0]:
                    continue
                rest = []
                for value, result in zip(vector, wanted, strict=True):
                    solution = next(iter(primitive.invert(result, (value, None))), None)
                    if solution is None or solution[0] != value:
                        break
                    rest.append(solution[1])
                else:
                    other = self.terms.get((primitive.arguments[1], tuple(rest)))
                    if other is not None:
                        joined = Call(primitive, (term, other))
                        if best is None or _rank(joined) < _rank(best):
                            best = joined
        return best

    def _constants(self) -> list[str]:
        """Tokens that every wanted value has: a constant of the program shows in all of its results."""
        wanted = [set(example.value) for example in self.examples if isinstance(example.value, tuple)]
        return sorted(set.intersection(*wanted)) if wanted else []

    def _type(self, term: Term) -> Type:
        match term:
            case Argument():
                return self.primitives.value_type
            case Constant():
                return Type.TOKEN
            case Call(primitive):
                return primitive.result


def _rank(term: Term) -> tuple[int, int]:
    """Smaller terms first, and of those the ones with fewer constants."""
    return size(term), sum(isinstance(inner, Constant) for inner in subterms(term))


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
