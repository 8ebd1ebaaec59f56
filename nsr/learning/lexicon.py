"""Learning programs: re-induce the entries of a lexicon whose evidence has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import replace

import numpy as np

from nsr.learning.config import Config
from nsr.learning.consistency import KeyEvidence
from nsr.semantics.induction import Hypothesis, LibraryEntry, Space, induce, judge
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature
from nsr.semantics.primitives import Type
from nsr.semantics.programs import Term, applied


def suppose(
    lexicon: Lexicon,
    evidence: Mapping[Key, KeyEvidence],
    space: Space,
    config: Config,
    generator: np.random.Generator,
    fixed: Container[int] = (),
) -> dict[Key, Hypothesis]:
    """The best program for each key that has none or whose program its evidence contradicts.

    Keys with too little evidence, or for whose evidence no program is found, are left out; so are those of symbols
    whose entries are ``fixed``. Programs over numbers may use those of other symbols.
    """
    hypotheses = {}
    for key, found in evidence.items():
        entry = lexicon.entries.get(key)
        if key.symbol in fixed or found.support < config.learning.support or (entry and _holds(found, config)):
            continue
        library = _library(lexicon, key.symbol, config) if space.primitives.value_type is Type.INT else ()
        within = replace(space, library=library)
        best = induce(found.examples, key.arity, within, config.induction, generator)
        if entry is not None:
            best = _better(best, judge(entry.program, found.examples, within, config.induction))
        if best is not None:
            hypotheses[key] = best
    return hypotheses


def _library(lexicon: Lexicon, symbol: int, config: Config) -> tuple[LibraryEntry, ...]:
    """The trusted functions of other symbols that do not need this symbol themselves.

    Who applies a program that this symbol no longer has does not need the symbol.
    """

    def needs(program: Term) -> bool:
        inner = (each for each in applied(program) if each.name == lexicon.symbols[symbol])
        return any(lexicon.program((symbol, len(each.arguments))) == each.program for each in inner)

    return tuple(
        LibraryEntry(lexicon.symbols[key.symbol], key.arity, entry.program)
        for key, entry in sorted(lexicon.entries.items())
        if key.arity > 0
        and key.symbol != symbol
        and entry.agreement >= 1 - config.induction.error_rate
        and not needs(entry.program)
    )


def revise(
    lexicon: Lexicon,
    evidence: Mapping[Key, KeyEvidence],
    hypotheses: Mapping[Key, Hypothesis],
    config: Config,
    fixed: Container[int] = (),
) -> Lexicon:
    """The lexicon after this evidence.

    A key without program gets the supposed one if its evidence agrees with it; a program that is contradicted gives
    way to a better one. Symbols without evidence stay as they are; of one that has some, arities that hardly any or no
    explanation uses are dropped. Entries of ``fixed`` symbols stay as they are in any case.
    """
    entries = dict(lexicon.entries)
    evidence = {key: found for key, found in evidence.items() if key.symbol not in fixed}
    for key, found in evidence.items():
        signatures = _signatures(found.signatures, config.learning.prune)
        entry = entries.get(key)
        if key in hypotheses:
            best = hypotheses[key]
            if entry is not None or best.agreement >= config.learning.accept:
                entries[key] = Entry(best.program, signatures, best.agreement, found.support)
        elif entry is not None and found.support >= config.learning.support:
            entries[key] = Entry(entry.program, signatures, found.agreement, found.support)
    return replace(lexicon, entries=_prune(entries, evidence, config.learning.prune))


def _holds(evidence: KeyEvidence, config: Config) -> bool:
    return evidence.agreement >= 1 - config.induction.error_rate


def _better(new: Hypothesis | None, old: Hypothesis) -> Hypothesis:
    return new if new is not None and new.score > old.score else old


def _signatures(weights: Mapping[Signature, float], share: float) -> frozenset[Signature]:
    """The signatures that hold at least this share of the weight, and the heaviest one in any case."""
    least = min(share * sum(weights.values()), max(weights.values(), default=0.0))
    return frozenset(signature for signature, weight in weights.items() if weight >= least)


def _prune(entries: dict[Key, Entry], evidence: Mapping[Key, KeyEvidence], share: float) -> dict[Key, Entry]:
    """Drop the arities that have less than this share of their symbol's evidence, if it has any."""
    total: dict[int, float] = defaultdict(float)
    for key, found in evidence.items():
        total[key.symbol] += found.support
    return {
        key: entry
        for key, entry in entries.items()
        if total[key.symbol] == 0 or (evidence[key].support if key in evidence else 0.0) >= share * total[key.symbol]
    }
