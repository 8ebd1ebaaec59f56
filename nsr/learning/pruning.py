"""Pruning: which uses of symbols the examples can do without, and which have simpler rivals.

Rival explanations leave uses behind that happen to work: another arity, or the same with dependents elsewhere. What
all examples can do without is dropped, so that the lexicon licenses one use of a symbol unless examples need more. And
what explains all examples may still be needlessly complex: a function of two arguments that are one list cut in two.
So examples are explained again as if a symbol had no program yet and could only have fewer arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nsr.learning.config import SearchConfig
from nsr.learning.consistency import Nodes, Use
from nsr.learning.deduction import Candidates, Modules, candidates, execute
from nsr.learning.proposals import Proposals, propose
from nsr.semantics.lexicon import Lexicon
from nsr.semantics.programs import size
from nsr.syntax.signatures import DependencyGrammar


def superfluous(
    modules: Modules,
    inputs: Sequence[Any],
    wanted: np.ndarray,
    solutions: Candidates,
    config: SearchConfig,
    generator: np.random.Generator,
) -> set[Use]:
    """The uses of symbols that no example needs, found greedily; each symbol keeps one.

    The most complex go first: those with the most arguments, the longest programs, the most dependents. Arguments
    as of :func:`nsr.learning.proposals.propose`; ``solutions`` are trees with the wanted value, which are looked at
    besides those that are sampled.
    """
    uses = [Use(key, each) for key, entry in modules.lexicon.entries.items() for each in sorted(entry.signatures)]
    left_of_symbol = Counter(use.key.symbol for use in uses)
    if all(count == 1 for count in left_of_symbol.values()):
        return set()
    relaxed = replace(modules, parser=modules.parser.relaxed())
    trees = candidates(relaxed, inputs, config.readings, config.trees, generator).then(solutions)
    execution = execute(modules, trees)
    alive = execution.results == wanted[trees.sentence]
    if not alive.any():
        return set()
    nodes = Nodes(Proposals.exact(trees), execution)
    used = {use: np.zeros(len(trees), bool) for use in uses}
    found, number = nodes.use
    for index, use in enumerate(found):
        if use in used:
            used[use][nodes.candidate[number == index]] = True
    dropped: set[Use] = set()
    for use in sorted(uses, key=lambda use: _simplicity(modules.lexicon, use)):
        left = alive & ~used[use]
        if left_of_symbol[use.key.symbol] > 1 and len(set(trees.sentence[left])) == len(set(trees.sentence[alive])):
            alive = left
            dropped.add(use)
            left_of_symbol[use.key.symbol] -= 1
    return dropped


def rivals(
    modules: Modules,
    symbol: int,
    inputs: Sequence[Any],
    wanted: np.ndarray,
    config: SearchConfig,
    generator: np.random.Generator,
) -> tuple[Modules, Proposals]:
    """Explanations in which a symbol has fewer arguments than now, and the modules without its entries.

    Arguments as of :func:`nsr.learning.proposals.propose`.
    """
    entries = modules.lexicon.entries
    lexicon = replace(modules.lexicon, entries={key: entry for key, entry in entries.items() if key.symbol != symbol})
    fewer = min(key.arity for key in entries if key.symbol == symbol) - 1
    grammar = DependencyGrammar.of(lexicon, modules.parser.given.between, fewer)
    rival = replace(modules, lexicon=lexicon, parser=modules.parser.given_that(grammar))
    return rival, propose(rival, inputs, wanted, {}, config, generator)


def _simplicity(lexicon: Lexicon, use: Use) -> tuple:
    """A sort key: more for simpler uses."""
    dependents = use.signature.left + use.signature.right
    return -use.key.arity, -size(lexicon.entries[use.key].program), -dependents, use


def without(lexicon: Lexicon, dropped: set[Use]) -> Lexicon:
    """The lexicon without these uses, and without entries that have none left."""
    entries = {}
    for key, entry in lexicon.entries.items():
        signatures = frozenset(each for each in entry.signatures if Use(key, each) not in dropped)
        if signatures:
            entries[key] = replace(entry, signatures=signatures)
    return replace(lexicon, entries=entries)
