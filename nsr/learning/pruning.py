"""Pruning: which uses of symbols the examples can do without, and which have simpler rivals.

Rival explanations leave uses behind that happen to work: another arity, or the same with dependents elsewhere. What
all examples can do without is dropped, so that the lexicon licenses one use of a symbol unless examples need more. And
what explains all examples may still be needlessly complex: a function of two arguments that are one list cut in two.
So examples are explained again as if a symbol had no program yet and could only have fewer arguments. Where words
without meaning depend changes no result: of several conventions that the examples left open, one is looked for.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nsr.learning.config import Config, SearchConfig
from nsr.learning.consistency import Nodes, Use
from nsr.learning.deduction import Candidates, Modules, candidates, execute
from nsr.learning.proposals import Proposals, propose
from nsr.semantics.lexicon import Entry, Lexicon, Signature
from nsr.semantics.programs import size
from nsr.syntax.signatures import DependencyGrammar

CHALLENGES = 64  # examples, the simplest first, on which a simpler use must hold


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
    grammar = DependencyGrammar.of(lexicon, modules.parser.given_grammar.between, fewer)
    rival = replace(modules, lexicon=lexicon, parser=modules.parser.given_that(grammar))
    return rival, propose(rival, inputs, wanted, {}, config, generator)


def convention(
    modules: Modules, wanted: np.ndarray, solutions: Candidates, config: Config
) -> tuple[Lexicon, Candidates] | None:
    """One pattern of dependents for all heads with as many arguments that have words without value among them.

    It is looked for where the heads of the lexicon have several patterns. Tried are all patterns, also new ones, that
    have as many words without value as one of these has, on the shortest solutions that contain such words.

    Args:
        modules: the machine.
        wanted: value ids of the outputs of B examples.
        solutions: trees that have them.
        config: how many trees are tried for each; of the solutions with each head, at most ``error_rate`` may be lost.

    Returns:
        the lexicon with that pattern only, and the trees with the wanted values under it; None if there are not several
        patterns, or none alone does.
    """
    lexicon, best = modules.lexicon, None
    rows = np.flatnonzero(solutions.containing(lexicon.valueless))
    shown = solutions.take(np.sort(rows[np.argsort(solutions.lengths[rows], kind="stable")[:CHALLENGES]]))
    for arity, seen in _patterns(lexicon).items():
        if len(seen) < 2:
            continue
        heads = [key.symbol for key, entry in lexicon.entries.items() if key.arity == arity and _with_empty(entry)]
        outcomes = []
        for pattern in _conceivable(seen, arity):
            agreed = _agreed(lexicon, arity, pattern)
            grammar = DependencyGrammar.of(agreed, config.knowledge.between)
            found = _parsed(modules, grammar, shown, config.search.trees)
            found = found.take(np.flatnonzero(execute(modules, found).results == wanted[found.sentence]))
            solved = np.isin(shown.sentence, found.sentence)
            shares = (solved[shown.containing([head])] for head in heads)
            share = min((each.mean() for each in shares if len(each)), default=0.0)
            outcomes.append((share, agreed, found))
        most = max(outcomes, key=lambda outcome: outcome[0])
        if most[0] >= 1 - config.induction.error_rate:
            lexicon, best = most[1:]
    return None if best is None else (lexicon, best)


def _with_empty(entry: Entry) -> bool:
    """Whether some of its dependents may have no value."""
    return any(each.empty for each in entry.signatures)


def _patterns(lexicon: Lexicon) -> dict[int, Counter[Signature]]:
    """By number of arguments, the signatures with words without value, and how many symbols have each."""
    patterns: dict[int, Counter[Signature]] = {}
    for key, entry in lexicon.entries.items():
        patterns.setdefault(key.arity, Counter()).update(each for each in entry.signatures if each.empty)
    return patterns


def _conceivable(seen: Counter[Signature], arity: int) -> list[Signature]:
    """The signatures that could take the place of those seen, those that most symbols have first."""
    found = set()
    for each in seen:
        before = each.left - sum(place < each.left for place in each.empty)  # arguments in front of the head
        for places in itertools.combinations(range(arity + len(each.empty) + 1), len(each.empty)):
            others = [place for place in range(arity + len(each.empty) + 1) if place not in places]
            head = others[before]
            empty = tuple(place - (place > head) for place in places)
            found.add(Signature(head, arity + len(each.empty) - head, empty))
    return sorted(found, key=lambda each: (-seen[each], each))


def _agreed(lexicon: Lexicon, arity: int, pattern: Signature) -> Lexicon:
    """The lexicon with this pattern in the place of all with words without value."""
    entries = dict(lexicon.entries)
    for key, entry in entries.items():
        if key.arity == arity and _with_empty(entry):
            plain = {each for each in entry.signatures if not each.empty}
            entries[key] = replace(entry, signatures=frozenset(plain | {pattern}))
    return replace(lexicon, entries=entries)


def _parsed(modules: Modules, grammar: DependencyGrammar, sentences: Candidates, trees: int) -> Candidates:
    """The trees of these sentences that a grammar licenses."""
    parses = modules.parser.licensed_by(grammar).parse(sentences.symbols, sentences.lengths, trees)
    row, tree = np.nonzero(np.isfinite(parses.log_probs))
    found = sentences.take(row)
    return replace(found, heads=parses.heads[row, tree], log_probs=parses.log_probs[row, tree])


def _simplicity(lexicon: Lexicon, use: Use) -> tuple[int, int, int, Use]:
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
